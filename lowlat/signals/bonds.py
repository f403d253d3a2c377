"""Bonds: nearly certain outcomes bought below what they are worth, held until they pay.

A share that pays 1 with chance p and costs c = ask + fee all in earns (p - c) for c locked until
cash. At 0.97 and rate 0.04 c is 0.9712: the whole strategy is the estimate of the last 2.88 %.
Source: feeds.md 6.6, 6.9. What is lost comes from three places, and they add::

    loss = event + rules + venue
    event = (1 - consensus) * calibration of the category
    rules = core.resolution.assess: 0.1 % at score 0, doubled each 12 points
    venue = a constant: contract, bridge, venue

**The consensus is not the touch.** An ask that falls below what the market thought is either a
cheap seller, and the price comes back, or news, and it does not. Which of the two is counted, not
assumed: each dip of at least ``dip_e4`` is watched for ``revert_s``, traded or not, and the share w
of dips that come back has a Beta posterior. It begins where most dips are news, so a market whose
makers are first never sells us one. With the slow mid s and the mid m of now::

    consensus = m + w * (s - m),  w = posterior mean less one deviation, 0 to 1

**Days to cash**: time to the end, plus proposal and challenge, plus a dispute's days times its
chance (the rules' loss doubled: half of those who argue win). The yearly yield (p - c) / c * 365 /
days has to beat the hurdle. Never quoted as compounded.

**Size**: a small share of Kelly's f* = (p - c) / (1 - c), which near 1 is huge while the loss is
total, and a cap in dollars; both count what is held. One level of the book a wish, since what is
offered deeper has less edge and would spoil the size of the first; what is left is looked at again
after the cooldown. Markets on one narrative share a correlation id: risk caps those. The promise is
edge times the part of our orders that is filled, which is counted (``Fills``).

Not bought: what prices decide in minutes (``latency``), augmented events, what the oracle disputes,
rules over ``score_max``, ends that nobody knows. A bid of ``exit_bid_e4``
buys it back from us when holding on is worth less: chance times (1 - hurdle * days / 365).
"""

from collections import deque
from collections.abc import Sequence
from typing import Any, ClassVar, Final, NamedTuple

import msgspec

from lowlat.book._view import BookView
from lowlat.core.interest import Interest
from lowlat.core.layout import (
    Action,
    Category,
    Coin,
    Dispute,
    Known,
    MarketRow,
    MarketStatus,
    Outcome,
    ReportKind,
    Urgency,
)
from lowlat.core.resolution import assess
from lowlat.core.signal import Signal
from lowlat.core.units import E4, E6, ONE_E4
from lowlat.signals._fair import limit_price_e4
from lowlat.signals._watch import Watch
from lowlat.signals.bond_market import BondMarket, mid_of
from lowlat.signals.bond_value import BondsParams, Dips, Fills, value_bond
from lowlat.signals.kept import Kept
from lowlat.signals.module import Module
from lowlat.signals.own import OwnOrder
from lowlat.venues.polymarket.amounts import TICKS

__all__ = ["Bonds"]

_MS_NS: Final = 1_000_000
_S_NS: Final = 1_000_000_000
_DAY_NS: Final = 86_400 * _S_NS


class _Dip(NamedTuple):
    market: int
    generation: int
    outcome: int
    half: float
    """The mid that counts as having come back."""
    due_ns: int


class _Again(NamedTuple):
    market: int
    generation: int
    outcome: int
    bought_e6: int
    ask_e4: int
    """As they were when it was wished."""
    due_ns: int


class Bonds(Module):
    """Buys nearly certain outcomes that somebody sells too cheaply."""

    name: ClassVar[str] = "bonds"
    Params: ClassVar[type[msgspec.Struct]] = BondsParams
    turn_every_ns: ClassVar[int] = _S_NS
    params: BondsParams

    def __init__(self, params: Any) -> None:
        super().__init__(params)
        self._markets = Kept(self._new)
        self._dips = Dips(params)
        self._fills = Fills(params)
        self._watched: deque[_Dip] = deque()
        self._again: deque[_Again] = deque()
        """What was bought, and when to look at what is left of its offer: the book may be quiet by
        then, and risk may have let through less than was there."""
        self._calibration = [
            params.calibration.get(each.name.lower(), 1.0) for each in sorted(Category)
        ]

    @classmethod
    def describe(cls, signal: Signal, row: MarketRow) -> list[str]:
        """Tell the three losses, the cost and what is left, of one share and of all."""
        told: dict[str, Any] = signal.metadata
        shares = signal.size_suggestion / E6
        if signal.action == Action.SELL:
            return [
                (
                    f"holding on is worth {told['worth']:.4f} a share, cash in "
                    f"{told['days']} days; the bid takes {shares:g} shares at "
                    f"{signal.limit_price_e4 / E4:g} or better"
                )
            ]
        worth, cost = signal.confidence, told["cost"]
        return [
            (
                f"consensus {told['consensus']:.5f}: mid {told['mid']:.5f} + {told['w']:.4f} (dips "
                f"counted to come back) x what the slow mid {told['slow']:.5f} is above it"
            ),
            (
                f"worth 1 - {told['loss_event']:.6f} event - {told['loss_rules']:.6f} rules "
                f"(score {told['score']}) - {told['venue']:.6f} venue = {worth:.6f}"
            ),
            (
                f"costs {cost:.6f} with fee (rate {row.fee_rate_e6 / E6:g}), leaves "
                f"{worth - cost:.6f} a share; {shares:g} shares earn "
                f"{(worth - cost) * shares:.4f}, of which {100 * told['filled']:.0f} % are filled"
            ),
            f"cash in {told['days']} days: {100 * told['yearly']:.1f} % a year, simple",
            (
                f"sized for ${told['cash']:.2f}: its share of Kelly within the caps, less what is "
                f"held of the token"
            ),
        ]

    # ------------------------------------------------------------------------------- callbacks
    def wants(self) -> Sequence[Interest]:
        """Want what ends soon enough to be held to its end."""
        return (Interest(self.params.priority, ends_within_ns=int(self.params.days_max * _DAY_NS)),)

    def interest(self, row: MarketRow) -> bool:
        """Want markets that trade, end at a known time, and that no price feed decides."""
        return (
            row.known & Known.TRADEABLE == Known.TRADEABLE
            and row.status == MarketStatus.ACTIVE
            and row.coin == Coin.NONE
            and not row.neg_risk_augmented
            and row.dispute not in (Dispute.PROPOSED, Dispute.DISPUTED)
            and row.end_ns > 0
            and row.tick_e4 in TICKS
        )

    def on_market(self, row: MarketRow) -> None:
        """Take the market's facts; what was learned of it stays."""
        self._markets.take(row)

    def on_gone(self, market: int) -> None:
        """Forget a market."""
        self._markets.drop(market)

    def look(self, market: int) -> Watch:
        """Return what waits for an ask below the consensus, or for the next sample."""
        return self._markets[market].watch

    def on_book(self, book: BookView, now_ns: int) -> None:
        """Sample the mid; look whether a token is cheap; wait for the next of either."""
        market = self._markets[book.market]
        mid = mid_of(book, self.params.gap_e4_max)
        if mid < 0.0:
            market.skip(now_ns)
            return
        if market.is_warm(now_ns):
            self._look_at(market, book, int(Outcome.YES), mid, now_ns)
            self._look_at(market, book, int(Outcome.NO), 1.0 - mid, now_ns)
        market.sample(mid, now_ns)
        market.wait()

    def on_turn(self, now_ns: int) -> None:
        """Say of each watched dip whether it came back; take what is left of a bought one."""
        again = self._again
        while again and again[0].due_ns <= now_ns:
            self._look_again(again.popleft(), now_ns)
        watched = self._watched
        while watched and watched[0].due_ns <= now_ns:
            self._end_dip(watched.popleft())

    def on_order(self, order: OwnOrder, now_ns: int) -> None:
        """Keep what was bought, to sell it; learn what part of an order is filled."""
        del now_ns
        moved_e6 = order.moved_e6
        if order.action == Action.BUY:
            if order.kind == ReportKind.SENDING:
                self._fills.sent(order.size_e6)
            elif order.kind:
                self._fills.got(moved_e6)
        market = self._markets.of_order(order)
        if market is None or not moved_e6:
            return
        outcome = order.instrument & 1
        sign = 1 if order.action == Action.BUY else -1
        market.bought_e6[outcome] = max(0, market.bought_e6[outcome] + sign * moved_e6)
        market.wait()

    def _new(self, row: MarketRow) -> BondMarket:
        return BondMarket(row, self.on_book, self.params)

    def _end_dip(self, dip: _Dip) -> None:
        market = self._markets.get(dip.market, dip.generation)
        book = self.ctx.book(dip.market)
        if market is None:
            return
        market.dips.discard(dip.outcome)
        mid = -1.0 if book is None else mid_of(book, self.params.gap_e4_max)
        if mid < 0.0:
            self.ctx.count("dips_unknown")
            return
        if (mid if dip.outcome == Outcome.YES else 1.0 - mid) >= dip.half:
            self._dips.back += 1.0
            self.ctx.count("dips_back")
        else:
            self._dips.gone += 1.0
            self.ctx.count("dips_gone")

    # ------------------------------------------------------------------------------- deciding
    def _look_at(
        self, market: BondMarket, book: BookView, outcome: int, mid: float, now_ns: int
    ) -> None:
        """Note a dip of one token, buy it when it is worth it, sell it at the exit."""
        ask_e4, bid_e4 = book.best_ask_e4(outcome), book.best_bid_e4(outcome)
        if market.bought_e6[outcome] and bid_e4 >= self.params.exit_bid_e4:
            self._sell(market, book, outcome, now_ns)
            return
        limit_e4 = market.dip_limit_e4(outcome)
        if not 0 < ask_e4 <= limit_e4 or book.tick_e4 not in (0, market.row.tick_e4):
            return
        if outcome not in market.dips:
            market.dips.add(outcome)
            due_ns = now_ns + self.params.revert_s * _S_NS
            half = (market.slow_of(outcome) + min(mid, ask_e4 / E4)) / 2.0
            row = market.row
            self._watched.append(_Dip(row.market, row.generation, outcome, half, due_ns))
            self.ctx.count("dips")
        if now_ns >= market.next_ns:
            self._buy(market, book, outcome, mid, now_ns)

    def _look_again(self, again: _Again, now_ns: int) -> None:
        """Look at what is left of an offer, unless nothing changed: it would be refused again."""
        market = self._markets.get(again.market, again.generation)
        book = self.ctx.book(again.market)
        if market is None or book is None:
            return
        bought = market.bought_e6[again.outcome] > again.bought_e6
        if bought or book.best_ask_e4(again.outcome) != again.ask_e4:
            self.on_book(book, now_ns)

    def _buy(
        self, market: BondMarket, book: BookView, outcome: int, mid: float, now_ns: int
    ) -> None:
        params, row = self.params, market.row
        slow, weight = market.slow_of(outcome), self._dips.weight()
        consensus = mid + weight * (slow - mid)
        wall_ns = self.ctx.wall_ns(now_ns)
        risk = assess(row, wall_ns)
        left_days = (row.end_ns - wall_ns) / _DAY_NS
        calibration = self._calibration[row.category]
        rate = row.fee_rate_e6 / E6
        if risk.score > params.score_max or not 0.0 < left_days <= params.days_max:
            self.ctx.count("refused_rules" if left_days > 0.0 else "refused_over")
            return
        rules_loss = risk.loss_ppm / E6
        worth = value_bond(consensus, 1.0, rules_loss, left_days, params, calibration).chance
        most_e4 = limit_price_e4(worth - params.edge_min, rate, row.fee_exponent, row.tick_e4)
        # One level a wish: each has an edge of its own, and a size that fits it.
        limit_e4 = book.best_ask_e4(outcome)
        if limit_e4 > most_e4:
            self.ctx.count("refused_edge")
            return
        held_e6 = self.ctx.position_e6(2 * row.market + outcome)
        sized = market.size(book, outcome, limit_e4, worth, held_e6)
        if sized is None:
            self.ctx.count("refused_size")
            return
        size_e6, cost_e6, cash_e6 = sized
        bond = value_bond(consensus, cost_e6 / size_e6, rules_loss, left_days, params, calibration)
        if bond.edge < params.edge_min or bond.yearly < params.yield_min:
            self.ctx.count("refused_yield")
            return
        filled = self._fills.probability()
        instrument = self.ctx.instruments.by_index[2 * row.market + outcome]
        sent = self.ctx.emit(
            Signal(
                module=self.name,
                market_id=instrument.market_id,
                token_id=instrument.token_id,
                action=Action.BUY,
                confidence=bond.chance,
                expected_value=filled * bond.edge * size_e6 / E6,
                size_suggestion=size_e6,
                urgency=Urgency.IMMEDIATE,
                metadata={
                    "consensus": round(consensus, 5),
                    "mid": round(mid, 5),
                    "slow": round(slow, 5),
                    "w": round(weight, 4),
                    "filled": round(filled, 4),
                    "cost": round(bond.cost, 6),
                    "loss_event": round(bond.event_loss, 6),
                    "loss_rules": round(bond.rules_loss, 6),
                    "venue": bond.venue_loss,
                    "score": risk.score,
                    "days": round(bond.days, 4),
                    "yearly": round(bond.yearly, 4),
                    "cash": round(cash_e6 / E6, 2),
                    "exit": "resolution",
                },
                limit_price_e4=limit_e4,
                expires_ns=now_ns + params.latency_budget_us * 1_000,
            )
        )
        if sent:
            market.next_ns = now_ns + params.cooldown_ms * _MS_NS
            bought_e6, due_ns = market.bought_e6[outcome], market.next_ns
            self._again.append(
                _Again(row.market, row.generation, outcome, bought_e6, limit_e4, due_ns)
            )

    def _sell(self, market: BondMarket, book: BookView, outcome: int, now_ns: int) -> None:
        """Sell what was bought: what is left to earn is less than what waiting costs."""
        params, row = self.params, market.row
        if now_ns < market.next_ns:
            return
        limit_e4 = params.exit_bid_e4 + -params.exit_bid_e4 % row.tick_e4
        size_e6 = market.bought_e6[outcome]
        size_e6 -= size_e6 % TICKS[row.tick_e4].ladder_step_e6
        if limit_e4 >= ONE_E4 or size_e6 < row.min_size_e6:
            return
        walk = book.walk_size(
            outcome, Action.SELL, size_e6, limit_e4, row.fee_rate_e6, row.fee_exponent
        )
        if walk.filled_e6 < row.min_size_e6:
            return
        wall_ns = self.ctx.wall_ns(now_ns)
        bond = value_bond(
            market.slow_of(outcome),
            limit_e4 / E4,
            assess(row, wall_ns).loss_ppm / E6,
            (row.end_ns - wall_ns) / _DAY_NS,
            params,
            self._calibration[row.category],
        )
        waiting = max(0.0, 1.0 - params.yield_min * bond.days / 365.0)
        got = (walk.cost_e6 - walk.fee_e6) / E6
        kept = walk.filled_e6 / E6 * bond.chance * waiting
        if got <= kept:
            self.ctx.count("kept")
            return
        instrument = self.ctx.instruments.by_index[2 * row.market + outcome]
        if self.ctx.emit(
            Signal(
                module=self.name,
                market_id=instrument.market_id,
                token_id=instrument.token_id,
                action=Action.SELL,
                confidence=bond.chance,
                expected_value=got - kept,
                size_suggestion=size_e6,
                urgency=Urgency.IMMEDIATE,
                metadata={"worth": round(bond.chance, 6), "days": round(bond.days, 4)},
                limit_price_e4=limit_e4,
                expires_ns=now_ns + params.latency_budget_us * 1_000,
            )
        ):
            market.next_ns = now_ns + params.cooldown_ms * _MS_NS
