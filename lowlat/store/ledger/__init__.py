"""The ledger: every order, fill, lot, decision and halt in a database, as evidence.

Begin with ``schema`` (the tables) and ``writer`` (how a batch becomes rows, with its position in
the same transaction). ``booking`` and ``lots`` follow shares, ``movements`` and ``crossings`` what
moved them without an order; ``notes`` and ``inbox`` bring what others tell. ``audit`` checks the
ledger against itself, ``versus`` against the venue, ``export`` writes files. Money is integers.
"""
