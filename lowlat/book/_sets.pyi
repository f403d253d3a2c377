# Types of the compiled complete-set walk; behaviour is documented in _sets.pyx.

from collections.abc import Sequence
from typing import final

from lowlat.book._view import BookView

__all__ = ["SetWalk", "walk_sets"]

@final
class SetWalk:
    # Result of walking several tokens together.

    @property
    def sets_e6(self) -> int: ...
    @property
    def cost_e6(self) -> int: ...
    @property
    def fees_e6(self) -> int: ...
    @property
    def profit_e6(self) -> int: ...
    @property
    def levels(self) -> int: ...
    @property
    def complete(self) -> bool: ...
    @property
    def worst_prices_e4(self) -> tuple[int, ...]: ...
    @property
    def touch_prices_e4(self) -> tuple[int, ...]: ...

def walk_sets(
    views: Sequence[BookView],
    outcomes: Sequence[int],
    action: int,
    fee_rates_e6: Sequence[int],
    fee_exponents: Sequence[int],
    margin_e4: int = 0,
    payout_e4: int = 10000,
    sets_max_e6: int = ...,
) -> SetWalk: ...
