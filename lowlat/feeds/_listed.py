"""Why each listed market is (not) followed, published for whoever asks. Used by metadata only.

A change is published once, and everything again after each sweep of the venue's list: the stream's
ring then holds the newest word on every market, if the config refuses no more than it has slots.
"""

from collections import deque
from collections.abc import Set as AbstractSet
from itertools import islice
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
        self._words: dict[str, tuple[bytes, int, int]] = {}
        """Slug, priority and score of what is refused."""
        self._due: dict[str, None] = {}
        self._again: deque[str] = deque()
        self._listed: AbstractSet[str] = frozenset()

    def refuse(
        self,
        condition_id: str,
        slug: str | None,
        reason: ListingReason,
        priority: int = 0,
        score_usd: int = 0,
    ) -> None:
        """Note that a market is out."""
        before = self.refused.get(condition_id)
        self._words[condition_id] = (ascii_text(slug, 64).rstrip(b"\0"), priority, score_usd)
        if before is not reason:
            self.refused[condition_id] = reason
            self._due[condition_id] = None

    def follow(self, condition_id: str) -> None:
        """Note that a market is in."""
        if self.refused.pop(condition_id, None) is not None:
            self._due[condition_id] = None

    def end_sweep(self, listed: AbstractSet[str]) -> None:
        """Forget, bit by bit, what the venue lists no more; say everything else again."""
        self._listed = listed
        self._again = deque(self.refused)

    def turn(self, now_ns: int) -> int:
        """Publish some of what is due; return how many."""
        self._go_through()
        writer = self._listings
        if writer is None or not self._due:
            return 0
        some = list(islice(self._due, _A_TURN))
        for condition_id in some:
            del self._due[condition_id]
            reason = self.refused.get(condition_id, ListingReason.FOLLOWED)
            slug, priority, score_usd = self._words.get(condition_id, (b"", 0, 0))
            raw = bytes.fromhex(condition_id.removeprefix("0x"))
            LISTING.pack(writer.buffer, Listing(now_ns, raw, reason, priority, score_usd, slug))
            writer.publish(LISTING.kind)
            if reason is ListingReason.FOLLOWED:
                self._words.pop(condition_id, None)
        return len(some)

    def _go_through(self) -> None:
        again = self._again
        for _ in range(min(len(again), _A_TURN)):
            condition_id = again.popleft()
            if condition_id in self._listed:
                if condition_id in self.refused:
                    self._due[condition_id] = None
            elif self.refused.pop(condition_id, None) is not None:
                self._words.pop(condition_id, None)
                self._due.pop(condition_id, None)
