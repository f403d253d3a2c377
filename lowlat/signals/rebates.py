"""Rebates: two-sided post-only quotes where makers are paid to stand, and gone when they are not.

Per market, a bid for YES and a bid for NO (an ask of YES by another name), one order each. Pairs of
both are complete sets: nothing is ever sold short. Source: feeds.md 6.8; polymarket.md 7.2-7.4.

**Price.** p is the mid without our own quotes. Inventory q (YES less NO, whoever of us bought it)
moves what we would take on its logit, so a quote never leaves (0, 1)::

    logit r = logit p - gamma * q          p = 0.5, gamma = 0.002, q = 100 -> 0.4502

Bid at most r - half, ask at least r + half, on the grid, one tick better than everybody else at
most (where rewards are paid nearness itself is paid), never through the book (post-only)::

    half = max(tick / 2, adverse + margin - rebate)
    rebate = rebate share * rate * p (1 - p)      per filled share, 0 while a part is unknown

**Worth.** Per fill of a share ``|r - price| + rebate - adverse``; a quote has to earn more than
``edge_min``, rewards added: our part of the pool by the venue's score (``scoring``) over an hour,
divided by the shares that are expected to be filled in it.

**Adverse selection** is measured, not assumed: each fill is marked at 5 and 30 s; the mean loss of
the mid, a market's own and all markets' pooled, begins at ``adverse_prior``. A market whose mean of
``fills_judged`` fills loses more than it is paid rests for ``pause_s``.

**Queue.** Shares in front of us: the level's size when our order was heard to rest, less what left
the level since (all of it counts as being behind us while more than ours remains).

**Gone at once** (all quotes of the market, or of the coin): a jump of the touch, a side that lost
most of its depth (what news looks like before it is read), a jump of the exchange, an odd or stale
book, the time before the market's start and end, and the quiet windows of the config. Quotes come
back after ``calm_s``. Requotes cost queue: only for half a tick and more, within a budget of the
market; all quotes of all markets share another one.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, Final

import msgspec

from lowlat.book._view import BookView
from lowlat.core.interest import Interest
from lowlat.core.layout import (
    Action,
    BookFlag,
    Coin,
    Known,
    MarketRow,
    MarketStatus,
    Outcome,
    ReportKind,
    SpotTop,
    Urgency,
)
from lowlat.core.signal import MetadataValue, Signal
from lowlat.core.units import E4, E6, ONE_E4
from lowlat.signals._watch import Watch
from lowlat.signals.kept import Kept
from lowlat.signals.module import Module
from lowlat.signals.own import OwnOrder
from lowlat.signals.rebate_quotes import (
    MARKS_S,
    OUTCOMES,
    Budget,
    Losses,
    Mark,
    Quoted,
    others_bids_e4,
    reward_day,
    target_e4,
)
from lowlat.signals.rebate_value import (
    RebatesParams,
    logit_skew,
    pay_of,
    quote_words,
    rebate_of,
)
from lowlat.venues.polymarket.amounts import MIN_NOTIONAL_E6, TICKS

__all__ = ["Rebates"]

_MS_NS: Final = 1_000_000
_S_NS: Final = 1_000_000_000
_ODD: Final = int(BookFlag.CROSSED | BookFlag.LOCKED | BookFlag.DIVERGED)


class Rebates(Module):
    """Quotes both sides of markets that pay makers."""

    name: ClassVar[str] = "rebates"
    Params: ClassVar[type[msgspec.Struct]] = RebatesParams
    turn_every_ns: ClassVar[int] = _S_NS // 4
    params: RebatesParams

    def __init__(self, params: Any) -> None:
        super().__init__(params)
        self._markets = Kept(self._new)
        self._budget = Budget(params.quotes_per_s, params.quotes_per_s)
        self._losses = Losses(params.adverse_prior, params.adverse_prior_fills)
        self._spots: dict[int, float] = {}
        self._looked_ns = 0

    @classmethod
    def describe(cls, signal: Signal, row: MarketRow) -> list[str]:
        """Tell what a fill of one share earns and where the quote stands, or why it left."""
        return quote_words(signal, row)

    # ------------------------------------------------------------------------------- callbacks
    def wants(self) -> Sequence[Interest]:
        """Want markets with something to be filled by."""
        params = self.params
        return (Interest(params.priority, volume_24h_e6_min=params.volume_24h_e6_min),)

    def interest(self, row: MarketRow) -> bool:
        """Want markets that trade and pay makers, by rebate or by reward."""
        pays = (row.rebate_rate_e6 > 0 and row.fee_rate_e6 > 0) or row.reward_day_e6 > 0
        return (
            row.known & Known.TRADEABLE == Known.TRADEABLE
            and row.status == MarketStatus.ACTIVE
            and (row.coin == Coin.NONE or self.params.crypto_markets)
            and bool(pays)
            and row.end_ns > 0
            and row.tick_e4 in TICKS
        )

    def on_market(self, row: MarketRow) -> None:
        """Take the market's facts; quotes that rest stay ours."""
        if self._markets.take(row):
            self._choose()

    def on_gone(self, market: int) -> None:
        """Take back what rests and forget the market."""
        found = self._markets.drop(market)
        if found is not None:
            if found.rests and market in self.ctx.instruments.markets:
                self._pull(found, "gone", self._looked_ns)
            self._choose()

    def look(self, market: int) -> Watch:
        """Return what waits for the touch to leave its band, or for the next look."""
        return self._markets[market].watch

    def on_spot(self, spot: SpotTop, now_ns: int) -> None:
        """Leave every market of a coin that jumped."""
        mid = (spot.bid_price_e8 + spot.ask_price_e8) / 2.0
        before = self._spots.get(spot.coin)
        if before is None or mid <= 0.0:
            self._spots[spot.coin] = mid
            return
        if abs(mid / before - 1.0) * 1e6 < self.params.spot_jump_ppm:
            return
        self._spots[spot.coin] = mid
        for market in self._markets:
            if market.row.coin == spot.coin:
                self._leave(market, "spot", now_ns)

    def on_book(self, book: BookView, now_ns: int) -> None:
        """Leave when the book says so, else bring the quotes to where they should be."""
        market = self._markets[book.market]
        self._looked_ns = now_ns
        bid_e4, ask_e4 = book.best_bid_e4(Outcome.YES), book.best_ask_e4(Outcome.YES)
        if bid_e4 <= 0 or ask_e4 <= 0 or book.flags & _ODD:
            self._leave(market, "odd_book", now_ns)
            market.wait(0, ONE_E4, now_ns)
            return
        others_e4 = others_bids_e4(book, market)
        mid_e4 = (others_e4[0] + ONE_E4 - others_e4[1]) / 2.0
        before_e4, market.mid_e4 = market.mid_e4, mid_e4
        depth = book.depth_e6(Outcome.YES, 0), book.depth_e6(Outcome.YES, 1)
        depth_before, market.depth_e6 = market.depth_e6, depth
        if not before_e4:
            market.quiet_until_ns = now_ns + self.params.warmup_s * _S_NS
        elif abs(mid_e4 - before_e4) >= self.params.jump_e4:
            self._leave(market, "jump", now_ns)
        elif any(
            now < (1.0 - self.params.depth_gone_share) * then
            for now, then in zip(depth, depth_before, strict=True)
        ):
            self._leave(market, "depth_gone", now_ns)
        elif market.closed(self.ctx.wall_ns(now_ns)):
            self._pull(market, "closed", now_ns)
        elif now_ns >= market.quiet_until_ns and market.chosen:
            self._quote(market, book, others_e4, now_ns)
        market.count_queue(book)
        market.wait(bid_e4, ask_e4, now_ns)

    def on_turn(self, now_ns: int) -> None:
        """Mark fills whose time came; look after quotes of books that are quiet."""
        for market in self._markets:
            if market.marks:
                self._mark(market, now_ns)
            if market.rests and self.ctx.book(market.row.market) is None:
                self._pull(market, "stale", now_ns)
            elif market.rests and market.closed(self.ctx.wall_ns(now_ns)):
                self._pull(market, "closed", now_ns)

    def on_order(self, order: OwnOrder, now_ns: int) -> None:
        """Follow our own orders: what rests, what was filled, what is gone."""
        market = self._markets.of_order(order)
        if market is None or order.action:
            return
        outcome = order.instrument & 1
        market.quotes[outcome].follow(order)
        if order.kind == ReportKind.FILL and order.size_e6 > 0:
            rebate = rebate_of(market.row, order.price_e4 / E4)
            worth = market.worth_of(outcome)
            market.marks.append(Mark(outcome, order.price_e4 / E4, worth, rebate, now_ns))
            self.ctx.count("fills")
        market.watch.due_ns = 0

    def _new(self, row: MarketRow) -> Quoted:
        return Quoted(row, Watch(row.market, self.on_book), self.params)

    def _choose(self) -> None:
        """Fill free places with who pays most; who has one keeps it, its place in queues too."""
        free = self.params.markets_max - sum(each.chosen for each in self._markets)
        if free <= 0:
            return
        others = [each for each in self._markets if not each.chosen]
        others.sort(key=lambda each: (-pay_of(each.row), each.row.market))
        for market in others[:free]:
            market.chosen = True
            market.watch.due_ns = 0

    # ------------------------------------------------------------------------------- leaving
    def _leave(self, market: Quoted, why: str, now_ns: int) -> None:
        """Take everything back and stay away for a while."""
        market.quiet_until_ns = max(market.quiet_until_ns, now_ns + self.params.calm_s * _S_NS)
        self._pull(market, why, now_ns)

    def _pull(self, market: Quoted, why: str, now_ns: int) -> None:
        for outcome in OUTCOMES:
            quote = market.quotes[outcome]
            if quote.intents or quote.price_e4:
                self._take_back(market, outcome, why, now_ns)

    def _take_back(self, market: Quoted, outcome: int, why: str, now_ns: int) -> None:
        """Wish one side away; said again only when nobody answered."""
        quote = market.quotes[outcome]
        if quote.taken_back and now_ns < quote.due_ns:
            return
        quote.taken_back = True
        quote.due_ns = now_ns + self.params.answer_ms * _MS_NS
        if not quote.intents:
            # Nobody mentioned it yet: it may be on its way.
            quote.price_e4 = max(quote.price_e4, 1)
        instrument = self.ctx.instruments.by_index[2 * market.row.market + outcome]
        self.ctx.count(f"pulled_{why}")
        self.ctx.emit(
            Signal(
                module=self.name,
                market_id=instrument.market_id,
                token_id=instrument.token_id,
                action=Action.BUY,
                confidence=1.0,
                expected_value=0.0,
                size_suggestion=0,
                urgency=Urgency.LOW,
                metadata={"why": why},
                limit_price_e4=market.row.tick_e4,
                expires_ns=quote.due_ns,
            )
        )

    # ------------------------------------------------------------------------------- quoting
    def _quote(
        self, market: Quoted, book: BookView, others_e4: tuple[int, int], now_ns: int
    ) -> None:
        """Bring each side to its target; one that should not rest is taken back."""
        params, row, mid_e4 = self.params, market.row, market.mid_e4
        if not params.mid_min_e4 <= mid_e4 <= params.mid_max_e4 or book.tick_e4 != row.tick_e4:
            self._pull(market, "price", now_ns)
            return
        base = 2 * row.market
        held_e6 = self.ctx.position_e6(base) - self.ctx.position_e6(base + 1)
        worth = logit_skew(mid_e4 / E4, held_e6 / E6, params.gamma)
        # Half of the pooled mean and half of the market's own: few fills say little alone.
        adverse = max(0.0, (self._losses.mean + market.losses.mean) / 2.0)
        for outcome in OUTCOMES:
            own = worth if outcome == Outcome.YES else 1.0 - worth
            adds = held_e6 if outcome == Outcome.YES else -held_e6
            price_e4 = 0
            if adds < params.inventory_e6_max:
                price_e4 = target_e4(market, book, outcome, own, others_e4, adverse)
            self._move(market, book, outcome, price_e4, own, adverse, now_ns)

    def _move(
        self,
        market: Quoted,
        book: BookView,
        outcome: int,
        price_e4: int,
        worth: float,
        adverse: float,
        now_ns: int,
    ) -> None:
        """Send, keep or take back one side; ``price_e4`` 0: nothing is to rest there."""
        quote = market.quotes[outcome]
        if quote.taken_back and now_ns < quote.due_ns:
            return
        if quote.price_e4 and not quote.intents:
            if not quote.due_ns or now_ns < quote.due_ns:
                return
            # Refused, or lost with its process: what comes late is adopted by its report.
            quote.price_e4 = quote.due_ns = 0
            quote.taken_back = False
        if quote.price_e4:
            band_e4 = market.row.tick_e4 // 2 + self.params.requote_e4
            moved = price_e4 and abs(price_e4 - quote.price_e4) > band_e4
            if not price_e4 or (moved and self._may(now_ns, market.requotes)):
                self._take_back(market, outcome, "requote", now_ns)
        elif price_e4 and self._may(now_ns):
            self._send(market, book, outcome, price_e4, worth, adverse, now_ns)

    def _may(self, now_ns: int, *budgets: Budget) -> bool:
        """Spend one of each budget, of all markets together too, or none of any."""
        wanted = (self._budget, *budgets)
        if not all(each.has(now_ns) for each in wanted):
            self.ctx.count("over_budget")
            return False
        for each in wanted:
            each.take()
        return True

    def _send(
        self,
        market: Quoted,
        book: BookView,
        outcome: int,
        price_e4: int,
        worth: float,
        adverse: float,
        now_ns: int,
    ) -> None:
        params, row, quote = self.params, market.row, market.quotes[outcome]
        step_e6 = TICKS[row.tick_e4].ladder_step_e6
        size_e6 = max(params.quote_cash_e6 * E4 // price_e4, row.min_size_e6)
        size_e6 -= size_e6 % step_e6
        if size_e6 < row.min_size_e6 or price_e4 * size_e6 // E4 < MIN_NOTIONAL_E6:
            return
        rebate = rebate_of(row, price_e4 / E4)
        a_day = reward_day(market, book, outcome, price_e4, size_e6)
        shares = size_e6 / E6
        # An hour of rewards over the shares that an hour is expected to fill.
        reward = a_day / 24.0 / (params.fill_probability * shares)
        edge = worth - price_e4 / E4 + rebate - adverse + reward
        if edge < params.edge_min:
            self.ctx.count("refused_edge")
            return
        level_e6 = dict(book.levels(outcome, 0)).get(price_e4, 0)
        metadata: dict[str, MetadataValue] = {
            "worth": round(worth, 5),
            "mid": round(market.mid_e4 / E4, 5),
            "rebate": round(rebate, 6),
            "adverse": round(adverse, 6),
            "reward_day": round(a_day, 4),
            "ahead": level_e6 // E6,
            "exit": "pair",
        }
        instrument = self.ctx.instruments.by_index[2 * row.market + outcome]
        if self.ctx.emit(
            Signal(
                module=self.name,
                market_id=instrument.market_id,
                token_id=instrument.token_id,
                action=Action.BUY,
                confidence=min(1.0, max(0.0, worth)),
                expected_value=params.fill_probability * edge * shares,
                size_suggestion=size_e6,
                urgency=Urgency.LOW,
                metadata=metadata,
                limit_price_e4=price_e4,
                expires_ns=now_ns + params.quote_life_ms * _MS_NS,
            )
        ):
            quote.price_e4, quote.size_e6, quote.level_e6 = price_e4, size_e6, level_e6
            quote.due_ns = now_ns + params.answer_ms * _MS_NS
            quote.taken_back = False

    # ------------------------------------------------------------------------------- learning
    def _mark(self, market: Quoted, now_ns: int) -> None:
        """Say of each fill how far the mid moved against it; leave a market that costs."""
        for after_s, loss, earned in market.marks_due(now_ns):
            self.ctx.count(f"marked_{after_s}s")
            if after_s == MARKS_S[-1]:
                market.losses.add(loss, earned)
                self._losses.add(loss, earned)
        losses = market.losses
        if losses.fills >= self.params.fills_judged and losses.earned < 0.0:
            self.ctx.count("rested_after_losses")
            market.quiet_until_ns = now_ns + self.params.pause_s * _S_NS
            market.losses = Losses(losses.mean, self.params.adverse_prior_fills)
            self._pull(market, "losses", now_ns)
