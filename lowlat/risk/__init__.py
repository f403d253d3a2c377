"""Risk: which signals become intents, of what size, and why the others do not.

Begin with ``engine`` (what a turn does), then ``checks`` (one rule a file, in fixed order)::

    wishes     aggregate (who wants what), pooling, crossing (inside), exits (what must be sold)
    judging    judging (check, size), deciding (send or refuse), case, facts (of a market),
               examine (in words), second (what other limits would say)
    account    account, reservations, resting, exposure, equity, stakes and scores (whose, how good)
    shown      board; decisions and intents are written by _records
    restarts   left_overs

A signal that nothing stops goes through _plain, compiled; the checks are its oracle. No I/O: all
comes in as ``ports``. Limits are in ``limits``, unit in every key, shares of one in ppm.
"""
