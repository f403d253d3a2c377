"""Order books as integers: ladders, images of them in shared memory, views, fees, events.

``_ladder`` keeps levels and ``_book`` writes a market's row from them, as the feed does; ``_view``
is what a module is given to read; ``_sets`` and ``event_book`` hold the books of one event
together. ``diff_book`` (Binance) and ``delta_book`` (Kalshi) say when a book is whole. ``fees`` has
the venue's formula. Compiled parts have a Python twin in tests, equal level by level.
"""
