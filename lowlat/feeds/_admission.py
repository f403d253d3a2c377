"""Which listed markets are followed, and how: filters, what modules want, few places.

Used by the metadata engine only. Every market that passes the filters is in the running, tens of
thousands of them, a few hundred bytes each; ``markets_max`` of them have a row, and of these the
first are on sockets, the others are read by REST. What is held or ordered keeps its place, and
gets one back if it has none. Source: design 7.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

from lowlat.core.interest import PRIORITY_MAX, Interest, interest_of_row
from lowlat.core.layout import ListingReason, Watch
from lowlat.core.ports import READ_BUSY, READ_NEVER, TableReader
from lowlat.feeds._choice import Choice, Steps
from lowlat.feeds._counters import MetadataCells
from lowlat.feeds._listed import ListedNews
from lowlat.feeds._universe import refusal
from lowlat.feeds.params import UniverseParams
from lowlat.venues.polymarket.market_info import MarketInfo

__all__ = ["Admission", "event_key", "score_of"]

E6: Final = 1_000_000
_OURS: Final = PRIORITY_MAX + 1
"""Priority of what is held or ordered."""
_CHECKED_A_TURN: Final = 64
_ALWAYS: Final = -(2**62)


class Admission:
    """The running. ``held(condition_id)``: shares or orders of it are ours."""

    def __init__(
        self,
        params: UniverseParams,
        wants: TableReader | None,
        news: ListedNews,
        cells: MetadataCells,
        held: Callable[[str], bool],
    ) -> None:
        self._params = params
        self._wants = wants
        self._news = news
        self._cells = cells
        self._held = held
        self._interests: list[tuple[str, Interest]] = []
        self._versions: list[int] = [0] * (wants.rows if wants is not None else 0)
        least = 1 if params.wanted_only else 0
        self._rows = Choice(
            params.markets_max, params.stay_ns, params.gain_ppm, held, priority_min=least
        )
        self._sockets = Choice(params.socket_tokens_max // 2, params.stay_ns, params.gain_ppm, held)
        self._fresh: dict[str, MarketInfo] = {}
        """Listings seen since the last review, for those that get a place at once."""
        self.reweigh = False
        """Modules want something else: listings are to be offered again."""
        self._checks: deque[str] = deque()
        self._listed: frozenset[str] | set[str] = frozenset()
        self._review_due_ns = 0

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def inside(self) -> int:
        """Markets that have a place."""
        return len(self._rows.inside)

    def has_place(self, condition_id: str) -> bool:
        """Whether a market has a place."""
        return condition_id in self._rows.inside

    def watch(self, condition_id: str) -> Watch:
        """Return how a market's book is to be kept."""
        if condition_id not in self._rows.inside:
            return Watch.NONE
        return Watch.SOCKET if condition_id in self._sockets.inside else Watch.POLL

    def priority(self, condition_id: str) -> int:
        """Return the highest priority that wants a market now."""
        return self._rows.priority(condition_id)

    # ------------------------------------------------------------------ the running
    def offer(self, info: MarketInfo, wall_ns: int) -> ListingReason:
        """Take a listing; return why the market is out, FOLLOWED when it is in the running."""
        condition_id = info.condition_id
        inside = condition_id in self._rows.inside
        reason = refusal(self._params, info, wall_ns, followed=inside)
        if reason and not self._held(condition_id):
            self.withdraw(condition_id, wall_ns)
            return reason
        if reason and not inside:
            # Claimed already, and on its way to a place.
            return ListingReason.FOLLOWED
        offered = (event_key(info), score_of(info), self._steps(info))
        self._rows.offer(condition_id, *offered, wall_ns)
        if inside:
            self._sockets.offer(condition_id, *offered, wall_ns)
        if not inside:
            self._fresh[condition_id] = info
        return ListingReason.FOLLOWED

    def claim(self, condition_id: str, wall_ns: int, info: MarketInfo | None = None) -> None:
        """Give a place, before all others, to what is ours or was followed in an earlier life.

        Its listing, when it is seen again, says what it is worth otherwise.
        """
        if info is not None:
            self._fresh[condition_id] = info
        key, score, steps = self._rows.standing(condition_id) or (condition_id, 0, ())
        offered = (key, score, tuple(sorted({*steps, (_ALWAYS, _OURS)})))
        self._rows.offer(condition_id, *offered, wall_ns)
        self._sockets.offer(condition_id, *offered, wall_ns)

    def is_ours(self, condition_id: str) -> bool:
        """Whether a market was claimed, so that no filter keeps it out."""
        return self._rows.priority(condition_id) == _OURS

    def withdraw(self, condition_id: str, wall_ns: int) -> None:
        """Take a market out of the running: refused, gone or resolved."""
        self._fresh.pop(condition_id, None)
        self._sockets.withdraw(condition_id, wall_ns)
        self._rows.withdraw(condition_id, wall_ns)

    def _steps(self, info: MarketInfo) -> Steps:
        """Return from when on which priority wants the market."""
        neg_risk = bool(info.neg_risk)
        steps = []
        for _, interest in self._interests:
            if not interest.wants(
                info.slug, info.tags, info.series, neg_risk, info.liquidity_e6, info.volume_24h_e6
            ):
                continue
            if not interest.ends_within_ns:
                steps.append((_ALWAYS, interest.priority))
            elif info.end_ns is not None:
                steps.append((info.end_ns - interest.ends_within_ns, interest.priority))
        return tuple(sorted(steps))

    # ------------------------------------------------------------------ review
    def is_idle(self, now_ns: int) -> bool:
        """Whether a review now would find nothing to do."""
        return now_ns < self._review_due_ns and not self._fresh and not self._checks

    def review(self, now_ns: int, wall_ns: int) -> tuple[dict[str, MarketInfo | None], list[str]]:
        """Return who gets a place now, with its listing if that is at hand, and who changes watch.

        Cheap when nothing is due.
        """
        self._check(wall_ns)
        if now_ns < self._review_due_ns and not self._fresh:
            return {}, []
        if now_ns >= self._review_due_ns:
            self._review_due_ns = now_ns + self._params.review_ns
            self._read_wants()
        rows, sockets = self._rows, self._sockets
        admitted, evicted = rows.review(now_ns, wall_ns)
        found = {one: self._fresh.pop(one, None) for one in admitted}
        for condition_id in evicted:
            sockets.withdraw(condition_id, wall_ns)
        for condition_id in admitted:
            standing = rows.standing(condition_id)
            assert standing is not None, "admitted from the running"
            sockets.offer(condition_id, *standing, wall_ns)
        up, down = sockets.review(now_ns, wall_ns)
        if rows.is_busy or sockets.is_busy:
            self._review_due_ns = now_ns
        else:
            self._say_waiting()
        self._cells.listed.set(len(rows))
        self._cells.places.set(self.inside)
        self._cells.evicted.add(len(evicted))
        return found, [*evicted, *down, *up]

    def _say_waiting(self) -> None:
        """Say of the listings that found no place why they have none."""
        for condition_id, info in self._fresh.items():
            worth = self._rows.priority(condition_id)
            unwanted = self._params.wanted_only and not worth
            reason = ListingReason.NO_MODULE if unwanted else ListingReason.OUTRANKED
            self._news.refuse(condition_id, info.slug, reason, worth, score_of(info))
        self._fresh.clear()

    def _read_wants(self) -> None:
        """Take what modules want when that changed; listings are weighed anew as they are seen."""
        wants = self._wants
        if wants is None:
            return
        versions = [wants.version(row) for row in range(wants.rows)]
        if versions == self._versions:
            return
        found = []
        for row in range(wants.rows):
            read = wants.read(row)
            if read == READ_BUSY:
                return
            if read == READ_NEVER:
                continue
            interest = interest_of_row(wants.buffer)
            if interest is not None:
                found.append(interest)
        self._versions = versions
        if found != self._interests:
            self._interests = found
            self.reweigh = True

    # ------------------------------------------------------------------ end of a sweep
    def end_sweep(self, listed: frozenset[str] | set[str]) -> None:
        """Drop, bit by bit, what the venue lists no more and has no place."""
        self._listed = listed
        self._checks = deque(self._rows.names())

    def _check(self, wall_ns: int) -> None:
        checks = self._checks
        for _ in range(min(len(checks), _CHECKED_A_TURN)):
            condition_id = checks.popleft()
            if condition_id not in self._listed and not self.has_place(condition_id):
                self.withdraw(condition_id, wall_ns)


def event_key(info: MarketInfo) -> str:
    """Return the name that the members of an exclusive event share; else the market's own."""
    if info.neg_risk and info.neg_risk_market_id is not None and not info.neg_risk_augmented:
        return f"event {info.neg_risk_market_id}"
    return info.condition_id


def score_of(info: MarketInfo) -> int:
    """Return dollars resting and traded in a day, rounded; what is unknown adds nothing."""
    amount = ((info.liquidity_e6 or 0) + (info.volume_24h_e6 or 0)) // E6
    shift = max(amount.bit_length() - 4, 0)
    return min(amount >> shift << shift, 0xFFFF_FFFF)
