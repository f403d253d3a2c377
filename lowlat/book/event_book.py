"""Hold the books of a neg-risk event together and say whether its set may be traded.

Used by signal modules. n markets, exactly one of which resolves YES, so every YES together is
worth one dollar. That holds only for the whole set: an augmented event (placeholder outcomes
whose meaning changes), a market that is missing, paused, stale or crossed makes the sum
meaningless, and then the verdict says why. Default deny. Source: polymarket.md 12.5, feeds.md 6.1.
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Final

import msgspec

from lowlat.book._sets import SetWalk, walk_sets
from lowlat.book._view import BookView
from lowlat.book.fees import FeeSchedule, schedule_of
from lowlat.core.layout import Action, BookFlag, Known, MarketRow, MarketStatus, Outcome
from lowlat.core.units import NO_PRICE_E4, ONE_E4

__all__ = ["EventBook", "EventMember", "EventVerdict", "member_of"]

UNHEALTHY: Final = BookFlag.STALE | BookFlag.CROSSED | BookFlag.LOCKED | BookFlag.DIVERGED


class EventVerdict(IntEnum):
    """Why an event's set may not be traded; only TRADEABLE may."""

    TRADEABLE = 0
    AUGMENTED = 1
    UNKNOWN = 2
    """A market's tick, fee, delay, neg-risk flag, minimum size or status is unknown."""
    NOT_NEG_RISK = 3
    INCOMPLETE = 4
    """Fewer markets known than the venue lists, or the markets disagree about the count."""
    INACTIVE = 5
    NO_BOOK = 6
    STALE = 7
    UNHEALTHY = 8
    """Crossed, locked, diverged or stale by its own flags."""


class EventMember(msgspec.Struct, frozen=True, gc=False):
    """What the set needs to know of one market; see MARKET_ROW."""

    market: int
    generation: int
    known: int
    status: int
    neg_risk: bool
    augmented: bool
    event_market_count: int
    fee: FeeSchedule | None


def member_of(row: MarketRow) -> EventMember:
    """Take the facts of a market's row."""
    return EventMember(
        row.market,
        row.generation,
        row.known,
        row.status,
        bool(row.neg_risk),
        bool(row.neg_risk_augmented),
        row.event_market_count,
        schedule_of(row),
    )


class EventBook:
    """One event: its markets, a private copy of each one's book, and running sums.

    Check ``ask_sum_e4`` or ``bid_sum_e4`` first (a few additions kept up to date), then
    ``verdict`` (every market is looked at), then ``walk``.
    """

    __slots__ = (
        "_ask_sum_e4",
        "_asks_missing",
        "_augmented",
        "_bid_sum_e4",
        "_bids_missing",
        "_members",
        "_touch",
        "_views",
        "event_id",
    )

    def __init__(self, event_id: bytes) -> None:
        self.event_id = event_id
        self._augmented = False
        self._members: dict[int, EventMember] = {}
        self._views: dict[int, BookView] = {}
        self._touch: dict[int, tuple[int, int]] = {}
        self._ask_sum_e4 = self._bid_sum_e4 = 0
        self._asks_missing = self._bids_missing = 0

    @property
    def markets(self) -> tuple[int, ...]:
        """Market rows of the set, in the order in which they became known."""
        return tuple(self._members)

    def set_member(self, member: EventMember) -> None:
        """Take a market in or replace its facts; a new generation forgets the old book."""
        # Once augmented, always: the placeholder may be gone from the list, its meaning is not.
        self._augmented |= member.augmented
        old = self._members.get(member.market)
        self._members[member.market] = member
        if old is None or old.generation != member.generation:
            self._forget(member.market)
            self._count(member.market, NO_PRICE_E4, NO_PRICE_E4)

    def remove(self, market: int) -> None:
        """Take a market out; the set is incomplete unless the venue lists one fewer too."""
        del self._members[market]
        self._forget(market)

    def update(self, view: BookView) -> bool:
        """Copy a market's book; return whether it belongs to the set and its generation."""
        market = view.market
        member = self._members.get(market)
        if member is None or view.generation != member.generation:
            return False
        own = self._views.get(market)
        if own is None:
            own = self._views[market] = view.copy()
        else:
            own.assign(view)
        self._uncount(market)
        self._count(market, view.best_bid_e4(Outcome.YES), view.best_ask_e4(Outcome.YES))
        return True

    def ask_sum_e4(self) -> int:
        """Return the price of one YES of every market, NO_PRICE_E4 while one has no ask."""
        return NO_PRICE_E4 if self._asks_missing or not self._touch else self._ask_sum_e4

    def bid_sum_e4(self) -> int:
        """Return what one YES of every market sells for, NO_PRICE_E4 while one has no bid."""
        return NO_PRICE_E4 if self._bids_missing or not self._touch else self._bid_sum_e4

    def verdict(self, shard_generations: Mapping[int, int]) -> EventVerdict:
        """Say whether the set may be traded.

        ``shard_generations`` has the connection generation of each shard that is alive now; a
        book fed by any other connection is stale.
        """
        return self._judge_facts() or self._judge_books(shard_generations)

    def walk(
        self,
        outcome: Outcome,
        action: Action,
        margin_e4: int,
        sets_max_e6: int = 2**63 - 1,
    ) -> SetWalk:
        """Walk one token of every market for complete sets, legs in the order of ``markets``.

        YES BUY holds to the payout of 1, YES SELL needs sets split at 1, NO BUY pays n - 1.
        Ask ``verdict`` first. Raises ValueError when a book or a fee is missing.
        """
        members = self._members
        fees = [member.fee for member in members.values()]
        known = [fee for fee in fees if fee is not None]
        if not members or len(known) != len(members) or len(self._views) != len(members):
            raise ValueError(f"event {self.event_id.hex()} is not complete: see verdict")
        payout_e4 = ONE_E4 if outcome == Outcome.YES else ONE_E4 * (len(members) - 1)
        return walk_sets(
            [self._views[market] for market in members],
            [outcome] * len(members),
            action,
            [fee.rate_e6 for fee in known],
            [fee.exponent for fee in known],
            margin_e4,
            payout_e4,
            sets_max_e6,
        )

    def _judge_facts(self) -> EventVerdict:
        if self._augmented:
            return EventVerdict.AUGMENTED
        members = self._members.values()
        for member in members:
            if member.known & Known.TRADEABLE != Known.TRADEABLE or member.fee is None:
                return EventVerdict.UNKNOWN
        if not all(member.neg_risk for member in members):
            return EventVerdict.NOT_NEG_RISK
        count = len(members)
        if count < 2 or any(member.event_market_count != count for member in members):
            return EventVerdict.INCOMPLETE
        if any(member.status != MarketStatus.ACTIVE for member in members):
            return EventVerdict.INACTIVE
        return EventVerdict.TRADEABLE

    def _judge_books(self, shard_generations: Mapping[int, int]) -> EventVerdict:
        if len(self._views) != len(self._members):
            return EventVerdict.NO_BOOK
        for view in self._views.values():
            if shard_generations.get(view.shard) != view.connection_generation:
                return EventVerdict.STALE
            if view.flags & UNHEALTHY:
                return EventVerdict.UNHEALTHY
        return EventVerdict.TRADEABLE

    def _count(self, market: int, bid_e4: int, ask_e4: int) -> None:
        self._touch[market] = (bid_e4, ask_e4)
        if bid_e4 == NO_PRICE_E4:
            self._bids_missing += 1
        else:
            self._bid_sum_e4 += bid_e4
        if ask_e4 == NO_PRICE_E4:
            self._asks_missing += 1
        else:
            self._ask_sum_e4 += ask_e4

    def _uncount(self, market: int) -> None:
        touch = self._touch.pop(market, None)
        if touch is None:
            return
        bid_e4, ask_e4 = touch
        if bid_e4 == NO_PRICE_E4:
            self._bids_missing -= 1
        else:
            self._bid_sum_e4 -= bid_e4
        if ask_e4 == NO_PRICE_E4:
            self._asks_missing -= 1
        else:
            self._ask_sum_e4 -= ask_e4

    def _forget(self, market: int) -> None:
        self._views.pop(market, None)
        self._uncount(market)
