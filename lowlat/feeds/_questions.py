"""What the order-book service is asked next: new markets before all that is asked about again.

Used by the metadata engine only. A market's question is due at a time; two heaps keep the order,
one of markets that have no row yet and one of the rest, so that however far refreshing is behind
(a slow venue, a host of markets), a listing waits for other listings at most. Some questions under
way are kept for them too. Source: polymarket.md 1.2, 12.4.
"""

import heapq
from collections.abc import Callable
from typing import Final, Protocol

from lowlat.feeds._start_prices import Key
from lowlat.feeds.params import MetadataParams
from lowlat.feeds.ports import Fetch
from lowlat.venues.polymarket.clob_markets import clob_market_path
from lowlat.venues.polymarket.market_info import MarketInfo
from lowlat.venues.polymarket.resolution import resolution_path

__all__ = ["HTTP_NOT_FOUND", "Followed", "Questions"]

HTTP_NOT_FOUND: Final = 404

AHEAD_NS: Final = 10_000_000_000
"""Of two new markets that wait, the one of a priority one step higher may have come so much later
and is asked about first: listings of windows overtake a first start's thousands."""
RESERVED_SHARE: Final = 4
"""Every so many-th place under way is for new markets only."""

_Heap = list[tuple[int, str]]


class Followed:
    """A market that the filters let in."""

    __slots__ = (
        "asked",
        "condition_id",
        "due_ns",
        "info",
        "key",
        "market",
        "step_ns",
        "winner_due",
    )

    def __init__(self, condition_id: str, info: MarketInfo | None, due_ns: int) -> None:
        self.condition_id = condition_id
        self.info = info
        self.market = -1
        """Its row, -1 while pending."""
        self.due_ns = due_ns
        self.step_ns = 0
        self.asked = False
        self.winner_due = False
        """The next question is who won, not what the market is like."""
        self.key: Key | None = None


class Answered(Protocol):
    """Takes the answer to a question."""

    def __call__(
        self, followed: Followed, wins: bool, status: int, body: bytes, recv_ns: int
    ) -> None:
        """Take what came; ``wins`` says that the question was who won."""
        ...


class Questions:
    """Questions by due time. ``find`` gives the market of a condition id that is followed still."""

    def __init__(
        self,
        params: MetadataParams,
        clob: Fetch,
        find: Callable[[str], Followed | None],
        answered: Answered,
    ) -> None:
        self._params = params
        self._clob = clob
        self._find = find
        self._answered = answered
        self._new: _Heap = []
        self._known: _Heap = []
        """(due_ns, condition id); an entry that is not the market's due_ns is void."""
        self._under_way = 0

    def schedule(self, followed: Followed, due_ns: int) -> None:
        """Ask at due_ns, whatever was planned before."""
        followed.due_ns = due_ns
        heap = self._new if followed.market < 0 else self._known
        heapq.heappush(heap, (due_ns, followed.condition_id))

    def schedule_new(self, followed: Followed, priority: int, now_ns: int) -> None:
        """Ask about a new market at once, the most wanted first."""
        self.schedule(followed, now_ns - priority * AHEAD_NS)

    def hasten(self, followed: Followed, due_ns: int) -> None:
        """Ask sooner, unless a question is under way already."""
        if not followed.asked and due_ns < followed.due_ns:
            self.schedule(followed, due_ns)

    def turn(self, now_ns: int) -> int:
        """Ask what is due, within the bound of questions under way; return how many."""
        most = self._params.asked_max
        asked = self._ask_due(self._new, most, now_ns)
        return asked + self._ask_due(self._known, most - most // RESERVED_SHARE, now_ns)

    def _ask_due(self, heap: _Heap, under_way_max: int, now_ns: int) -> int:
        asked = 0
        while heap and heap[0][0] <= now_ns and self._under_way < under_way_max:
            due_ns, condition_id = heapq.heappop(heap)
            followed = self._find(condition_id)
            if followed is None or followed.due_ns != due_ns or followed.asked:
                continue
            if not self._ask(followed):
                self.schedule(followed, now_ns + self._params.page_ns)
                break
            asked += 1
        return asked

    def _ask(self, followed: Followed) -> bool:
        wins = followed.winner_due
        path = (resolution_path if wins else clob_market_path)(followed.condition_id)
        params = self._params

        def done(status: int, body: bytes, recv_ns: int) -> None:
            followed.asked = False
            self._under_way -= 1
            # Until the answer says otherwise: ask again, ever more rarely.
            most_ns = params.retry_new_ns_max if status == HTTP_NOT_FOUND else params.retry_ns_max
            followed.step_ns = min(max(2 * followed.step_ns, params.retry_ns_min), most_ns)
            self.schedule(followed, recv_ns + followed.step_ns)
            self._answered(followed, wins, status, body, recv_ns)

        if not self._clob(path, done):
            return False
        followed.asked = True
        self._under_way += 1
        return True
