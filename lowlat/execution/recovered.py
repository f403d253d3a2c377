"""What survives a reboot: the journal's picture of the account, as the executor wants it."""

import msgspec

from lowlat.core.layout import CashRow, OrderRow, PositionRow

__all__ = ["Recovered"]


class Recovered(msgspec.Struct):
    """Orders not known to be finished, positions, cash, and why trading was halted, if it was.

    Instruments are those of the earlier boot: tokens are found again by their ids.
    """

    orders: list[OrderRow]
    positions: list[PositionRow]
    cash: CashRow | None
    halted: str
    last_wall_ms: int
    """Wall time of the newest entry: what happened later only the venue knows."""
    known_ids: set[bytes]
    """Ids of all orders the journal still remembers, finished ones too."""
