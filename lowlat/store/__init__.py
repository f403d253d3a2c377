"""What outlives shared memory: journal, ledger, captures, tapes, and what explains an order.

The journal (fsynced, small) is what a start after a reboot believes; the ledger (SQL, ``ledger``)
is what people and audits read; captures replay a process; tapes are raw frames. Written by the
recorder's process, which may wait for the disk: nobody who trades does.
"""
