"""Shared memory: segments, streams, tables, statistics, and the compiled core under them.

Begin with ``attachment``: what one process reads and writes of an instance; outsiders use
``attach``. The rest::

    made       segments (by the supervisor), memory (mapped), places (names), header, layouts, locks
    used       _core over ring.h (streams, tables: one writer each), stats, histograms, waiting
    besides    private (the same without sharing), picture (what an earlier life left)

A reader never blocks a writer: it gets a whole record, EMPTY, or an overrun that says how many.
"""
