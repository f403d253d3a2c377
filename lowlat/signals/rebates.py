"""Rebates: two-sided post-only quotes where makers are paid to stand, and gone when they are not.

Per market, a bid for YES and a bid for NO (an ask of YES by another name), one order each. Pairs of
both are complete sets: nothing is ever sold short. Source: feeds.md 6.8; polymarket.md 7.2-7.4.

**Price.** p is the mid without our own quotes. Inventory q (YES less NO, whoever of us bought it)
moves what we would take on its logit, so a quote never leaves (0, 1)::

    logit r = logit p - gamma * q          p = 0.5, gamma = 0.002, q = 100 -> 0.4502

Bid at most r - half, ask at least r + half, on the grid, never through the book (post-only)::

    half = max(tick / 2, adverse + margin - rebate)
    rebate = rebate share * rate * p (1 - p)      per filled share, 0 while a part is unknown

Inside the reward spread the quote that scores is preferred: it is moved outwards, never inwards.

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
back after ``calm_s``. Requotes cost queue: only for half a tick and more, within two budgets.
"""

from collections.abc import Sequence
from math import exp, log
from typing import Any, ClassVar, Final

import msgspec

from lowlat.book._view import BookView
from lowlat.core.errors import ConfigError
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
from lowlat.signals.module import Module
from lowlat.signals.own import OwnOrder
from lowlat.venues.polymarket.amounts import MIN_NOTIONAL_E6, TICKS
from lowlat.venues.polymarket.scoring import maker_score, order_score, side_score

__all__ = ["Rebates", "RebatesParams", "logit_skew"]

_MS_NS: Final = 1_000_000
_S_NS: Final = 1_000_000_000
_ODD: Final = int(BookFlag.CROSSED | BookFlag.LOCKED | BookFlag.DIVERGED)
_OUTCOMES: Final = (int(Outcome.YES), int(Outcome.NO))
_MARKS_S: Final = (5, 30)
_UNCHOSEN_NS: Final = 60 * _S_NS
_GONE: Final = frozenset({ReportKind.REJECT, ReportKind.DROPPED})


class RebatesParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where to stand, how far away, for how much, and when to leave."""

    priority: int = 10
    """For places among what is followed."""
    volume_24h_e6_min: int = 10_000 * E6
    mid_min_e4: int = 1_000
    mid_max_e4: int = 9_000
    """Outside nobody is paid for one side alone. Source: polymarket.md 7.4."""
    crypto_markets: bool = False
    """Also where an exchange leads: its pulls have to be faster than the takers."""
    markets_max: int = 20
    quote_cash_e6: int = 25 * E6
    inventory_e6_max: int = 200 * E6
    """Net shares of a market at which the side that adds is no longer quoted."""
    gamma: float = 0.002
    margin: float = 0.002
    """Dollars a share beyond what fills are known to lose."""
    edge_min: float = 0.001
    adverse_prior: float = 0.008
    adverse_prior_fills: float = 10.0
    fills_judged: int = 8
    pause_s: int = 600
    fill_probability: float = 0.3
    """Of a quote within its life; it scales expected value only."""
    requote_e4: int = 25
    """Hysteresis beyond half a tick."""
    requotes_per_minute: int = 12
    requotes_per_s: int = 5
    """Of all markets together."""
    look_ms: int = 200
    jump_e4: int = 200
    spot_jump_ppm: int = 400
    depth_gone_share: float = 0.7
    calm_s: int = 10
    warmup_s: int = 10
    stop_before_end_s: int = 3_600
    stop_around_start_s: int = 300
    quiet_unix_s: tuple[tuple[int, int], ...] = ()
    """Windows of scheduled events, [from, to) in unix seconds: nothing rests in them."""
    answer_ms: int = 2_000
    """A wish that nobody mentioned for so long was not granted."""
    quote_life_ms: int = 500
    """How long risk and executor may take with a wish."""

    def validate(self) -> None:
        """Raise ConfigError for values that make no sense."""
        if not 0 < self.mid_min_e4 < self.mid_max_e4 < ONE_E4:
            raise ConfigError(
                f"mid_min_e4, mid_max_e4 were {self.mid_min_e4}, {self.mid_max_e4}, expected "
                "above 0, the smaller first, below 10000"
            )
        for key in (
            "gamma",
            "edge_min",
            "margin",
            "adverse_prior",
            "adverse_prior_fills",
            "fill_probability",
            "depth_gone_share",
        ):
            value = getattr(self, key)
            if not 0.0 <= value < 1_000.0:
                raise ConfigError(f"{key} was {value}, expected 0 to 1000")
        if not self.gamma > 0.0 or not 0.0 < self.fill_probability <= 1.0:
            raise ConfigError(
                f"gamma, fill_probability were {self.gamma}, {self.fill_probability}, expected "
                "above 0, the second at most 1"
            )
        for key in ("requotes_per_minute", "requotes_per_s", "look_ms", "markets_max"):
            if getattr(self, key) < 1:
                raise ConfigError(f"{key} was {getattr(self, key)}, expected 1 or more")
        for window in self.quiet_unix_s:
            if window[0] >= window[1]:
                raise ConfigError(f"quiet_unix_s was {list(window)}, expected [from, to)")


def logit_skew(chance: float, inventory: float, gamma: float) -> float:
    """Return what a share is worth to somebody who holds so many already."""
    return 1.0 / (1.0 + exp(-(log(chance / (1.0 - chance)) - gamma * inventory)))


class _Tokens:
    """A budget that refills with time."""

    def __init__(self, rate_s: float, most: float) -> None:
        self._rate_s, self._most, self._left, self._at_ns = rate_s, most, most, 0

    def take(self, now_ns: int) -> bool:
        passed_s = max(0, now_ns - self._at_ns) / _S_NS
        self._left = min(self._most, self._left + passed_s * self._rate_s)
        self._at_ns = now_ns
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True


class _Losses:
    """Mean loss of the mid after our fills, a share, over a prior."""

    def __init__(self, prior: float, weight: float) -> None:
        self._sum, self._weight = prior * weight, weight
        self.fills = 0
        self.earned = 0.0

    def add(self, loss: float, rebate: float) -> None:
        self._sum += loss
        self._weight += 1.0
        self.fills += 1
        self.earned += rebate - loss

    @property
    def mean(self) -> float:
        return self._sum / self._weight


class _Quote:
    """One side: nothing, wished, resting, or being taken back."""

    __slots__ = ("ahead_e6", "due_ns", "intents", "level_e6", "price_e4", "size_e6", "taken_back")

    def __init__(self) -> None:
        self.intents: dict[int, int] = {}
        """Open orders: intent -> shares left. More than one only when something went wrong."""
        self.price_e4 = 0
        """Of the token that is bought; 0 when nothing is wished or rests."""
        self.size_e6 = 0
        self.due_ns = 0
        """When a wish or a taking back that nobody answered is forgotten."""
        self.taken_back = False
        self.ahead_e6 = self.level_e6 = 0

    @property
    def left_e6(self) -> int:
        return sum(self.intents.values())


class _Mark:
    __slots__ = ("at_ns", "mid", "outcome", "price", "rebate", "shares", "step")

    def __init__(
        self, outcome: int, price: float, mid: float, shares: float, rebate: float, at_ns: int
    ) -> None:
        self.outcome, self.price, self.mid = outcome, price, mid
        self.shares, self.rebate, self.at_ns, self.step = shares, rebate, at_ns, 0


class _Market:
    """One market: its facts, its two quotes, what its fills taught."""

    def __init__(self, row: MarketRow, watch: Watch, params: RebatesParams) -> None:
        self.row = row
        self.watch = watch
        self.quotes = (_Quote(), _Quote())
        self.tokens = _Tokens(params.requotes_per_minute / 60.0, params.requotes_per_minute)
        self.losses = _Losses(params.adverse_prior, params.adverse_prior_fills)
        self.marks: list[_Mark] = []
        self.quiet_until_ns = 0
        self.mid_e4 = 0.0
        self.depth_e6 = (0, 0)
        self.chosen = False

    @property
    def rests(self) -> bool:
        return any(quote.intents or quote.price_e4 for quote in self.quotes)


class Rebates(Module):
    """Quotes both sides of markets that pay makers."""

    name: ClassVar[str] = "rebates"
    Params: ClassVar[type[msgspec.Struct]] = RebatesParams
    turn_every_ns: ClassVar[int] = _S_NS // 4
    params: RebatesParams

    def __init__(self, params: Any) -> None:
        super().__init__(params)
        self._markets: dict[int, _Market] = {}
        self._tokens = _Tokens(params.requotes_per_s, params.requotes_per_s)
        self._losses = _Losses(params.adverse_prior, params.adverse_prior_fills)
        self._spots: dict[int, float] = {}
        self._looked_ns = 0

    @classmethod
    def describe(cls, signal: Signal, row: MarketRow) -> list[str]:
        """Tell what a fill of one share earns and where the quote stands, or why it left."""
        told: dict[str, Any] = signal.metadata
        if not signal.size_suggestion:
            return [f"takes its bid back: {told['why'].replace('_', ' ')}"]
        price, shares = signal.limit_price_e4 / E4, signal.size_suggestion / E6
        edge = told["worth"] - price + told["rebate"] - told["adverse"]
        return [
            (
                f"bids {price:g} for {shares:g} shares, {told['ahead']} in front, mid of YES "
                f"{told['mid']:g}; to us a share is worth {told['worth']:.5f}"
            ),
            (
                f"a filled share: {told['worth']:.5f} - {price:g} + rebate {told['rebate']:.6f} "
                f"(share {row.rebate_rate_e6 / E6:g} of rate {row.fee_rate_e6 / E6:g}) - adverse "
                f"{told['adverse']:.6f} = {edge:.6f}"
            ),
            f"rewards of ${told['reward_day']:.4f} a day while it rests",
        ]

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
        before = self._markets.get(row.market)
        if before is not None and before.row.generation == row.generation:
            before.row = row
            before.watch.due_ns = 0
            return
        self._markets[row.market] = _Market(row, Watch(row.market, self.on_book), self.params)
        self._choose()

    def on_gone(self, market: int) -> None:
        """Take back what rests and forget the market."""
        found = self._markets.get(market)
        if found is not None:
            if found.rests and market in self.ctx.instruments.markets:
                self._pull(found, "gone", self._looked_ns)
            del self._markets[market]
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
        for market in self._markets.values():
            if market.row.coin == spot.coin:
                self._leave(market, "spot", now_ns)

    def on_book(self, book: BookView, now_ns: int) -> None:
        """Leave when the book says so, else bring the quotes to where they should be."""
        market = self._markets[book.market]
        self._looked_ns = now_ns
        bid_e4, ask_e4 = book.best_bid_e4(Outcome.YES), book.best_ask_e4(Outcome.YES)
        if bid_e4 <= 0 or ask_e4 <= 0 or book.flags & _ODD:
            self._leave(market, "odd_book", now_ns)
            self._wait(market, 0, ONE_E4, now_ns)
            return
        mid_e4 = _outside_mid_e4(book, market)
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
        elif self._closed(market, self.ctx.wall_ns(now_ns)):
            self._pull(market, "closed", now_ns)
        elif now_ns >= market.quiet_until_ns and market.chosen:
            self._quote(market, book, mid_e4, now_ns)
        self._count_queue(market, book)
        self._wait(market, bid_e4, ask_e4, now_ns)

    def on_turn(self, now_ns: int) -> None:
        """Mark fills whose time came; look after quotes of books that are quiet."""
        for market in self._markets.values():
            if market.marks:
                self._mark(market, now_ns)
            if market.rests and self.ctx.book(market.row.market) is None:
                self._pull(market, "stale", now_ns)
            elif market.rests and self._closed(market, self.ctx.wall_ns(now_ns)):
                self._pull(market, "closed", now_ns)

    def on_order(self, order: OwnOrder, now_ns: int) -> None:
        """Follow our own orders: what rests, what was filled, what is gone."""
        market = self._markets.get(order.instrument >> 1)
        if market is None or market.row.generation != order.generation or order.action:
            return
        outcome = order.instrument & 1
        quote = market.quotes[outcome]
        if order.open:
            if order.intent not in quote.intents:
                quote.price_e4 = order.price_e4 if order.kind != ReportKind.FILL else quote.price_e4
                quote.size_e6 = order.size_e6 if order.kind != ReportKind.FILL else quote.size_e6
                quote.intents[order.intent] = quote.size_e6
                quote.due_ns = 0
            if order.kind == ReportKind.ACK:
                quote.ahead_e6 = max(0, quote.level_e6)
            quote.intents[order.intent] = max(0, quote.size_e6 - order.filled_e6)
        elif order.intent in quote.intents or order.kind in _GONE:
            quote.intents.pop(order.intent, None)
            if not quote.intents:
                quote.price_e4 = quote.due_ns = 0
                quote.taken_back = False
        if order.kind == ReportKind.FILL and order.size_e6 > 0:
            shares = order.size_e6 / E6
            mid = market.mid_e4 / E4
            rebate = _rebate(market.row, order.price_e4 / E4)
            worth = mid if outcome == Outcome.YES else 1.0 - mid
            market.marks.append(_Mark(outcome, order.price_e4 / E4, worth, shares, rebate, now_ns))
            self.ctx.count("fills")
        market.watch.due_ns = 0

    def _choose(self) -> None:
        """Fill free places with who pays most; who has one keeps it, its place in queues too."""
        free = self.params.markets_max - sum(each.chosen for each in self._markets.values())
        if free <= 0:
            return
        others = [each for each in self._markets.values() if not each.chosen]
        others.sort(key=lambda each: (-_pay(each.row), each.row.market))
        for market in others[:free]:
            market.chosen = True
            market.watch.due_ns = 0

    # ------------------------------------------------------------------------------- leaving
    def _closed(self, market: _Market, wall_ns: int) -> bool:
        """Whether nothing may rest now: near the start or the end, in a quiet window."""
        params, row = self.params, market.row
        if wall_ns >= row.end_ns - params.stop_before_end_s * _S_NS:
            return True
        if row.start_ns and abs(wall_ns - row.start_ns) < params.stop_around_start_s * _S_NS:
            return True
        second = wall_ns // _S_NS
        return any(first <= second < last for first, last in params.quiet_unix_s)

    def _leave(self, market: _Market, why: str, now_ns: int) -> None:
        """Take everything back and stay away for a while."""
        market.quiet_until_ns = max(market.quiet_until_ns, now_ns + self.params.calm_s * _S_NS)
        self._pull(market, why, now_ns)

    def _pull(self, market: _Market, why: str, now_ns: int) -> None:
        for outcome in _OUTCOMES:
            quote = market.quotes[outcome]
            if quote.intents or quote.price_e4:
                self._take_back(market, outcome, why, now_ns)

    def _take_back(self, market: _Market, outcome: int, why: str, now_ns: int) -> None:
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
    def _quote(self, market: _Market, book: BookView, mid_e4: float, now_ns: int) -> None:
        """Bring each side to its target; one that should not rest is taken back."""
        params, row = self.params, market.row
        if not params.mid_min_e4 <= mid_e4 <= params.mid_max_e4 or book.tick_e4 != row.tick_e4:
            self._pull(market, "price", now_ns)
            return
        base = 2 * row.market
        held_e6 = self.ctx.position_e6(base) - self.ctx.position_e6(base + 1)
        worth = logit_skew(mid_e4 / E4, held_e6 / E6, params.gamma)
        # Half of the pooled mean and half of the market's own: few fills say little alone.
        adverse = max(0.0, (self._losses.mean + market.losses.mean) / 2.0)
        for outcome in _OUTCOMES:
            own = worth if outcome == Outcome.YES else 1.0 - worth
            adds = held_e6 if outcome == Outcome.YES else -held_e6
            target_e4 = 0
            if adds < params.inventory_e6_max:
                target_e4 = self._target_e4(row, book, outcome, own, mid_e4, adverse)
            self._move(market, book, outcome, target_e4, own, adverse, now_ns)

    def _target_e4(
        self,
        row: MarketRow,
        book: BookView,
        outcome: int,
        worth: float,
        mid_e4: float,
        adverse: float,
    ) -> int:
        """Return the best price to bid for a token, 0 when none is worth it."""
        tick = row.tick_e4
        rebate = _rebate(row, worth)
        half = max(tick / 2.0 / E4, adverse + self.params.margin - rebate)
        most_e4 = int((worth - half) * E4 + 1e-9)
        ask_e4 = book.best_ask_e4(outcome)
        # Post-only: one tick away from what would take.
        most_e4 = min(most_e4, ask_e4 - tick if ask_e4 > 0 else ONE_E4 - tick)
        price_e4 = most_e4 - most_e4 % tick
        own_mid_e4 = mid_e4 if outcome == Outcome.YES else ONE_E4 - mid_e4
        if price_e4 < tick or abs(own_mid_e4 - price_e4) > self.params.jump_e4 * 2:
            # So far from the mid nobody comes but with news.
            return 0
        return price_e4

    def _move(
        self,
        market: _Market,
        book: BookView,
        outcome: int,
        target_e4: int,
        worth: float,
        adverse: float,
        now_ns: int,
    ) -> None:
        """Send, keep or take back one side."""
        quote, row = market.quotes[outcome], market.row
        if quote.price_e4:
            unanswered = bool(quote.due_ns) and now_ns >= quote.due_ns and not quote.intents
            if unanswered:
                # Refused, or lost with its process: what comes late is adopted by its report.
                quote.price_e4 = quote.due_ns = 0
                quote.taken_back = False
            elif not quote.intents:
                return
            elif not target_e4 or abs(target_e4 - quote.price_e4) > (
                row.tick_e4 // 2 + self.params.requote_e4
            ):
                if not target_e4 or self._may_move(market, now_ns):
                    self._take_back(market, outcome, "requote", now_ns)
                return
            else:
                return
        if not target_e4 or not self._may_move(market, now_ns):
            return
        self._send(market, book, outcome, target_e4, worth, adverse, now_ns)

    def _may_move(self, market: _Market, now_ns: int) -> bool:
        if market.tokens.take(now_ns) and self._tokens.take(now_ns):
            return True
        self.ctx.count("over_budget")
        return False

    def _send(
        self,
        market: _Market,
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
        rebate = _rebate(row, price_e4 / E4)
        reward_day = self._reward_day(market, book, outcome, price_e4, size_e6)
        shares = size_e6 / E6
        # An hour of rewards over the shares that an hour is expected to fill.
        reward = reward_day / 24.0 / (params.fill_probability * shares)
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
            "reward_day": round(reward_day, 4),
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

    def _reward_day(
        self, market: _Market, book: BookView, outcome: int, price_e4: int, size_e6: int
    ) -> float:
        """Return the dollars a day that this quote adds to our part of the pool."""
        row = market.row
        spread_e4, least_e6 = row.reward_spread_e4, row.reward_size_e6
        if row.reward_day_e6 <= 0 or not spread_e4 or size_e6 < least_e6:
            return 0.0
        mid_e4 = market.mid_e4
        bids = book.levels(Outcome.YES, 0), book.levels(Outcome.NO, 0)
        mids = mid_e4, ONE_E4 - mid_e4
        all_of = [side_score(bids[at], mids[at], spread_e4, least_e6) for at in _OUTCOMES]
        ours = [0.0, 0.0]
        for at in _OUTCOMES:
            quote = market.quotes[at]
            if quote.intents:
                distance_e4 = abs(mids[at] - quote.price_e4)
                ours[at] = order_score(distance_e4, quote.left_e6 / E6, spread_e4)
        before = maker_score(ours[0], ours[1], mid_e4)
        added = order_score(abs(mids[outcome] - price_e4), size_e6 / E6, spread_e4)
        ours[outcome] += added
        after = maker_score(ours[0], ours[1], mid_e4)
        others = maker_score(all_of[0], all_of[1], mid_e4)
        total = others + after
        return (after - before) / total * row.reward_day_e6 / E6 if total > 0.0 else 0.0

    # ------------------------------------------------------------------------------- learning
    def _mark(self, market: _Market, now_ns: int) -> None:
        """Say of each fill how far the mid moved against it; leave a market that costs."""
        kept = []
        for mark in market.marks:
            if now_ns < mark.at_ns + _MARKS_S[mark.step] * _S_NS:
                kept.append(mark)
                continue
            mid = market.mid_e4 / E4
            worth = mid if mark.outcome == Outcome.YES else 1.0 - mid
            self.ctx.count(f"marked_{_MARKS_S[mark.step]}s")
            mark.step += 1
            if mark.step < len(_MARKS_S):
                kept.append(mark)
                continue
            loss = mark.mid - worth
            market.losses.add(loss, mark.rebate + mark.mid - mark.price)
            self._losses.add(loss, mark.rebate)
        market.marks = kept
        losses = market.losses
        if losses.fills >= self.params.fills_judged and losses.earned < 0.0:
            self.ctx.count("rested_after_losses")
            market.quiet_until_ns = now_ns + self.params.pause_s * _S_NS
            market.losses = _Losses(losses.mean, self.params.adverse_prior_fills)
            self._pull(market, "losses", now_ns)

    def _count_queue(self, market: _Market, book: BookView) -> None:
        """Let what left our levels since shorten what stands in front of us."""
        for outcome in _OUTCOMES:
            quote = market.quotes[outcome]
            if not quote.intents:
                continue
            level_e6 = dict(book.levels(outcome, 0)).get(quote.price_e4, 0)
            quote.ahead_e6 = min(quote.ahead_e6, max(0, level_e6 - quote.left_e6))

    def _wait(self, market: _Market, bid_e4: int, ask_e4: int, now_ns: int) -> None:
        """Set what wakes us: a touch that jumps at once, any other move or time a little later."""
        watch, params = market.watch, self.params
        watch.rest()
        if not market.chosen:
            watch.due_ns = now_ns + _UNCHOSEN_NS
            return
        jump_e4 = params.jump_e4 // 2
        watch.bid_low_e4, watch.bid_high_e4 = bid_e4 - jump_e4, bid_e4 + jump_e4
        watch.ask_low_e4, watch.ask_high_e4 = ask_e4 - jump_e4, ask_e4 + jump_e4
        watch.due_ns = now_ns + params.look_ms * _MS_NS


def _pay(row: MarketRow) -> float:
    """Return dollars a day that a market pays its makers, as far as its row says."""
    volume = max(0, row.volume_e6) / E6 / 30.0
    return row.reward_day_e6 / E6 + volume * _rebate(row, 0.5)


def _rebate(row: MarketRow, price: float) -> float:
    """Return the rebate of one filled share at a price; 0 while a part of it is unknown."""
    if not row.known & Known.FEE:
        return 0.0
    spread = (price * (1.0 - price)) ** row.fee_exponent
    return row.rebate_rate_e6 / E6 * row.fee_rate_e6 / E6 * spread


def _outside_mid_e4(book: BookView, market: _Market) -> float:
    """Return the middle of the best prices that are not ours alone."""
    best = []
    for outcome in _OUTCOMES:
        quote = market.quotes[outcome]
        ours_e4, left_e6 = (quote.price_e4, quote.left_e6) if quote.intents else (0, 0)
        price_e4 = book.best_bid_e4(outcome)
        for level_e4, size_e6 in book.levels(outcome, 0)[:3]:
            price_e4 = level_e4
            if level_e4 != ours_e4 or size_e6 > left_e6:
                break
        best.append(price_e4)
    return (best[0] + ONE_E4 - best[1]) / 2.0
