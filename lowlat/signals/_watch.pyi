# Types of the compiled filter in front of Python modules; behaviour is documented in _watch.pyx.

from collections.abc import Callable
from typing import final

from lowlat.book._view import BookView
from lowlat.signals._look import Look

__all__ = ["Watch"]

@final
class Watch(Look):
    yes_max_e4: int
    no_max_e4: int
    bid_low_e4: int
    bid_high_e4: int
    ask_low_e4: int
    ask_high_e4: int
    not_before_ns: int
    due_ns: int

    def __init__(self, market: int, look: Callable[[BookView, int], None]) -> None: ...
    @property
    def market(self) -> int: ...
    def rest(self) -> None: ...
