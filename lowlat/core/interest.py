"""What a signal module wants followed, told by signals to whoever chooses: the table *wants*.

A module declares wishes, each a few filters and a priority; the metadata engine gives places to
the markets that the highest priorities want. Pure; both sides meet in WANT_ROW only.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from lowlat.core.errors import ConfigError
from lowlat.core.layout import WANT_ROW, WantRow

__all__ = ["PRIORITY_MAX", "Interest", "interest_of_row", "row_of_interest"]

PRIORITY_MAX: Final = 1_000
_TEXT_BYTES: Final = {"tags": 96, "series": 96, "slug_prefixes": 96}


class Interest(msgspec.Struct, frozen=True):
    """One wish. An empty tuple and a zero let everything through; all that is set must hold."""

    priority: int
    """1 to PRIORITY_MAX; the larger goes first."""
    tags: tuple[str, ...] = ()
    series: tuple[str, ...] = ()
    slug_prefixes: tuple[str, ...] = ()
    neg_risk: bool = False
    """Only markets of exclusive events; places go to whole events."""
    ends_within_ns: int = 0
    """Only from so long before the end on."""
    liquidity_e6_min: int = 0
    volume_24h_e6_min: int = 0

    def __post_init__(self) -> None:
        """Refuse what the row cannot hold; raises ConfigError naming field and value."""
        if not 1 <= self.priority <= PRIORITY_MAX:
            raise ConfigError(f"priority was {self.priority}, expected 1 to {PRIORITY_MAX}")
        for field, most in _TEXT_BYTES.items():
            words: tuple[str, ...] = getattr(self, field)
            text = ",".join(words)
            if len(text) > most or not text.isascii() or any("," in word for word in words):
                raise ConfigError(f"{field} was {words!r}, expected {most} bytes of ASCII at most")

    def wants(
        self,
        slug: str | None,
        tags: Sequence[str] | None,
        series: Sequence[str] | None,
        neg_risk: bool,
        liquidity_e6: int | None,
        volume_24h_e6: int | None,
    ) -> bool:
        """Whether a market is wanted, whenever it ends; what is unknown fails a filter on it."""
        return (
            (not self.slug_prefixes or (slug or "").startswith(self.slug_prefixes))
            and (not self.tags or not set(self.tags).isdisjoint(tags or ()))
            and (not self.series or not set(self.series).isdisjoint(series or ()))
            and (neg_risk or not self.neg_risk)
            and (liquidity_e6 or 0) >= self.liquidity_e6_min
            and (volume_24h_e6 or 0) >= self.volume_24h_e6_min
        )


def row_of_interest(module: str, interest: Interest, now_ns: int) -> WantRow:
    """Return the row of one wish."""
    return WantRow(
        now_ns,
        interest.ends_within_ns,
        interest.liquidity_e6_min,
        interest.volume_24h_e6_min,
        interest.priority,
        1,
        int(interest.neg_risk),
        0,
        module.encode(),
        *(",".join(getattr(interest, field)).encode() for field in _TEXT_BYTES),
    )


def interest_of_row(buffer: memoryview) -> tuple[str, Interest] | None:
    """Return module and wish of a row's image; None of a row that is nobody's."""
    row: WantRow = WANT_ROW.unpack(buffer)
    if not row.used:
        return None
    tags, series, slug_prefixes = (
        tuple(word for word in raw.rstrip(b"\0").decode("ascii").split(",") if word)
        for raw in (row.tags, row.series, row.slug_prefixes)
    )
    interest = Interest(
        row.priority,
        tags,
        series,
        slug_prefixes,
        bool(row.neg_risk),
        row.ends_within_ns,
        row.liquidity_e6_min,
        row.volume_24h_e6_min,
    )
    return row.module.rstrip(b"\0").decode("ascii"), interest
