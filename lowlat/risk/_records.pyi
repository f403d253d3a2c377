# Types of what risk writes; behaviour is documented in _records.pyx.

from collections.abc import Callable
from typing import Self, final

from lowlat.core.ports import Cell, StreamWriter
from lowlat.risk._case import Case

__all__ = ["DecisionWriter", "IntentSlot", "Names"]

@final
class Names:
    def __new__(cls, epoch: int) -> Self: ...
    def next_id(self) -> int: ...

@final
class IntentSlot:
    def __new__(cls, intents: StreamWriter) -> Self: ...
    def write(
        self,
        case: Case,
        intent: int,
        group: int,
        checked_ns: int,
        expires_ns: int,
        spend_e6: int,
        unwind_reserve_e6: int,
        price_e4: int,
        touch_price_e4: int,
        config_generation: int,
        order_type: int,
        flags: int,
    ) -> bool: ...
    def take_back(
        self, case: Case, intent: int, target: int, checked_ns: int, config_generation: int
    ) -> bool: ...

@final
class DecisionWriter:
    def __new__(
        cls, decisions: StreamWriter, names: Names, cell: Callable[[str], Cell]
    ) -> Self: ...
    def approve(self, case: Case, intent: int, checked_ns: int, config_generation: int) -> None: ...
    def refuse(self, case: Case, checked_ns: int, config_generation: int) -> None: ...
    def crossed(self, case: Case, checked_ns: int, config_generation: int) -> None: ...
    def free(self, wanted: int) -> int: ...
