"""The executor: intents in, signed orders out, every word of the venue booked and reported.

Begin with ``engine`` (what a turn does), then ``orders`` (the states of one order). The rest::

    way out    sender, templates (orders signed ahead), limits, retries; compiled: _path, _pool
    way in     inbox (who asked), answers (what it means), fills, lookups (what nobody told)
    books      desk (orders and rows), accounts (positions, cash), reports (what is said of them)
    groups     groups (what is decided), group_book (what is kept), legs, passive
    restarts   reconcile, listing, rebase, adoption, balances, told and untold, unlisted

No I/O: streams, tables, transport, clock and chance come in as ``ports``. Money is integers, 1e-6
dollar and 1e-6 share; prices are 1e-4 dollar.
"""
