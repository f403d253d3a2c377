"""Why each listed market is (not) followed, published for whoever asks. Used by metadata only.

A change is published once, and everything again after each sweep of the venue's list: the stream's
ring then holds the newest word on every market, if the config refuses no more than it has slots.
"""

from typing import Final

from lowlat.core.layout import LISTING, Listing, ListingReason
from lowlat.core.ports import StreamWriter
from lowlat.feeds._universe import ascii_text

__all__ = ["ListedNews"]

_A_TURN: Final = 32
"""Bound of one turn: a page of listings may hold hundreds."""


class ListedNews:
    """What is out and why, by condition id; tells a stream about it when there is one."""

    def __init__(self, listings: StreamWriter | None) -> None:
        self._listings = listings
        self.refused: dict[str, ListingReason] = {}
        self._slugs: dict[str, str] = {}
        self._due: dict[str, None] = {}

    def refuse(self, condition_id: str, slug: str | None, reason: ListingReason) -> None:
        """Note that a market is out."""
        if self.refused.get(condition_id) is not reason:
            self.refused[condition_id] = reason
            self._slugs[condition_id] = slug or ""
            self._due[condition_id] = None

    def follow(self, condition_id: str) -> None:
        """Note that a market is in."""
        if self.refused.pop(condition_id, None) is not None:
            self._due[condition_id] = None

    def end_sweep(self, listed: frozenset[str]) -> None:
        """Forget what the venue lists no more; say everything again."""
        for condition_id in [one for one in self.refused if one not in listed]:
            del self.refused[condition_id]
            self._slugs.pop(condition_id, None)
            self._due.pop(condition_id, None)
        self._due.update(dict.fromkeys(self.refused))

    def turn(self, now_ns: int) -> int:
        """Publish some of what is due; return how many."""
        writer = self._listings
        if writer is None or not self._due:
            return 0
        some = list(self._due)[:_A_TURN]
        for condition_id in some:
            del self._due[condition_id]
            reason = self.refused.get(condition_id, ListingReason.FOLLOWED)
            slug = ascii_text(self._slugs.get(condition_id), 64)
            raw = bytes.fromhex(condition_id.removeprefix("0x"))
            LISTING.pack(writer.buffer, Listing(now_ns, raw, reason, 0, 0, slug))
            writer.publish(LISTING.kind)
            if reason is ListingReason.FOLLOWED:
                self._slugs.pop(condition_id, None)
        return len(some)
