"""What survives a reboot: the journal's picture of the account, for the executor and for risk."""

from typing import NamedTuple

import msgspec

from lowlat.core.layout import CashRow, ExposureRow, OrderRow, PositionRow, ScoreRow

__all__ = ["Owned", "Recovered"]


class Owned(NamedTuple):
    """What one module owns of one token. Owner as in records; NUL bytes: nobody."""

    token_id: bytes
    owner: bytes
    size_e6: int
    cost_e6: int
    promised_e6: int
    opened_ns: int
    """Wall time of its first lot."""


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
    owned: list[Owned] = []
    """Adds up to the positions; what no module is known to own is left out."""
    scores: list[ScoreRow] = []
    """What modules promised and earned."""
    total: ExposureRow | None = None
    """Peaks of the equity, and the day and bankroll they belong to."""
