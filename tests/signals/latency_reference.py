"""How ``latency`` looks at a market, in Python: the oracle of lowlat/signals/_latency.pyx."""

from math import sqrt
from typing import Any, ClassVar, Final

import msgspec
from coin_reference import CoinModel
from fair_reference import average_variance_s, fat_probability, limit_price_e4, normal_density

from lowlat.book._view import BookView, Walk
from lowlat.core.layout import (
    Action,
    MarketRow,
    Outcome,
    Settle,
    SettleRule,
    SettleSeries,
    SpotTop,
    Urgency,
)
from lowlat.core.signal import Signal
from lowlat.core.units import E4, E6, E8
from lowlat.signals.latency import FairValue, Latency, LatencyParams, _boundary, _opens_ns
from lowlat.signals.module import Module
from lowlat.venues.polymarket.amounts import MIN_NOTIONAL_E6, TICKS

__all__ = ["Reference"]

_S_NS: Final = 1_000_000_000
_MS_NS: Final = 1_000_000
_AVERAGE_S: Final = 60
_SANE: Final = 1e12
_BUY: Final = int(Action.BUY)


class _Market:
    """One market's rule, and its two limits while prices stand still."""

    __slots__ = (
        "average_s",
        "coin",
        "delay_s",
        "exponent",
        "fair",
        "limits_e4",
        "locked",
        "locked_version",
        "margin_delay",
        "market",
        "min_size_e6",
        "next_ns",
        "rate",
        "rate_e6",
        "row",
        "second",
        "start_ns",
        "step_e6",
        "stop_ns",
        "strike",
        "tick_e4",
        "tokens",
        "version",
    )

    def __init__(self, row: MarketRow, params: LatencyParams) -> None:
        self.row = row
        self.market = row.market
        self.coin = row.coin
        self.average_s = _AVERAGE_S if row.settle_rule == SettleRule.TWAP_60_UP else 0
        self.strike = _boundary(row)
        self.start_ns = _opens_ns(row)
        self.stop_ns = row.end_ns - params.stop_before_end_ms * _MS_NS
        self.delay_s = (row.taker_delay_ms + params.own_delay_ms) / 1_000.0
        self.rate_e6 = row.fee_rate_e6
        self.rate = row.fee_rate_e6 / E6
        self.exponent = row.fee_exponent
        self.tick_e4 = row.tick_e4
        self.step_e6 = TICKS[row.tick_e4].ladder_step_e6
        self.min_size_e6 = row.min_size_e6
        self.tokens = (row.yes_token_id, row.no_token_id)
        self.limits_e4 = (0, 0)
        self.fair: FairValue | None = None
        self.margin_delay = 0.0
        self.version = -1
        self.second = -1
        self.locked = (0.0, 0, 0)
        self.locked_version = -1
        self.next_ns = [0, 0]


class Reference(Module):
    """Does what Latency does, a Python call at a time."""

    name: ClassVar[str] = "latency"
    Params: ClassVar[type[msgspec.Struct]] = LatencyParams
    params: LatencyParams

    def __init__(self, params: Any) -> None:
        super().__init__(params)
        self._coins: dict[int, CoinModel] = {}
        self._markets: dict[int, _Market] = {}
        self._by_coin: dict[int, dict[int, _Market]] = {}
        self._looked: dict[int, float] = {}
        """Mid at which a coin's books were last looked at."""

    # ------------------------------------------------------------------------------- callbacks
    interest = Latency.interest

    def on_market(self, row: MarketRow) -> None:
        """Take the rule; a start price that became known makes the market priceable."""
        old = self._markets.get(row.market)
        state = _Market(row, self.params)
        if old is not None:
            state.next_ns = old.next_ns
            self.on_gone(row.market)
        self._markets[row.market] = state
        self._by_coin.setdefault(row.coin, {})[row.market] = state
        if row.coin not in self._coins:
            self._coins[row.coin] = CoinModel(self.params.coin)

    def on_gone(self, market: int) -> None:
        """Forget the market; the coin's estimates stay."""
        state = self._markets.pop(market, None)
        if state is not None:
            self._by_coin[state.coin].pop(market, None)

    def on_book(self, book: BookView, now_ns: int) -> None:
        """Compare the touch with the limits."""
        self._look(self._markets[book.market], book, now_ns)

    def on_spot(self, spot: SpotTop, now_ns: int) -> None:
        """Take the mid; when it moved enough, look at every open book of the coin."""
        bid, ask = spot.bid_price_e8, spot.ask_price_e8
        if not 0 < bid <= ask:
            self.ctx.count("spot_without_mid")
            return
        coin = self._coins.get(spot.coin)
        if coin is None:
            coin = self._coins[spot.coin] = CoinModel(self.params.coin)
        mid = (bid + ask) / (2 * E8)
        if coin.take_mid(
            mid,
            self.ctx.wall_ns(spot.recv_ns),
            spot.connection_generation,
            spot.lead_ppb / 1_000_000_000,
        ):
            before = self._looked.get(spot.coin, 0.0)
            if abs(coin.ahead - before) * E6 >= before * self.params.spot_move_ppm:
                self._looked[spot.coin] = coin.ahead
                self._look_at_coin(spot.coin, now_ns)

    def on_settle(self, print_: Settle, now_ns: int) -> None:
        """Take a settlement spot print; live ones lock another second of the average."""
        series = print_.series
        if series not in {SettleSeries.CHAINLINK_SPOT, SettleSeries.BINANCE_SECOND_CLOSE}:
            return
        coin = self._coins.get(print_.coin)
        if coin is None:
            coin = self._coins[print_.coin] = CoinModel(self.params.coin)
        if print_.price_e8 <= 0:
            self.ctx.count("print_without_price")
            return
        if series == SettleSeries.BINANCE_SECOND_CLOSE:
            coin.take_second(print_.stamp_ns, print_.price_e8 / E8)
            return
        coin.take_print(print_.stamp_ns, print_.price_e8 / E8)
        if not print_.history:
            self._look_at_coin(print_.coin, now_ns)

    def fair(self, market):
        """Return what a market's limits rest on."""
        return self._markets[market].fair

    # ------------------------------------------------------------------------------- looking
    def _look_at_coin(self, coin: int, now_ns: int) -> None:
        wall_ns = self.ctx.wall_ns(now_ns)
        book_of = self.ctx.book
        for market, state in self._by_coin.get(coin, {}).items():
            if state.strike is not None and state.start_ns <= wall_ns < state.stop_ns:
                book = book_of(market)
                if book is not None:
                    self._look(state, book, now_ns)

    def _look(self, state: _Market, book: BookView, now_ns: int) -> None:
        """Buy a token whose ask is at or under its limit. 0.5 us when prices stand still."""
        if state.strike is None:
            return
        wall_ns = self.ctx.wall_ns(now_ns)
        coin = self._coins[state.coin]
        if state.version != coin.version or state.second != wall_ns // _S_NS:
            self._reprice(state, coin, wall_ns)
        limit_yes_e4, limit_no_e4 = state.limits_e4
        if limit_yes_e4 and 0 < book.best_ask_e4(0) <= limit_yes_e4:
            self._buy(state, book, 0, now_ns)
        elif limit_no_e4 and 0 < book.best_ask_e4(1) <= limit_no_e4:
            self._buy(state, book, 1, now_ns)

    def _reprice(self, state: _Market, coin: CoinModel, wall_ns: int) -> None:
        """Work out fair value and limits for this second and these prices."""
        state.version = coin.version
        state.second = wall_ns // _S_NS
        fair = state.fair = self._fair(state, coin, wall_ns)
        if fair is None:
            state.limits_e4 = (0, 0)
            return
        params = self.params
        density = normal_density(fair.z)
        volatility = coin.volatility
        assert volatility is not None, "a fair value exists without volatility"
        move = volatility * coin.mid
        variance = move * move * average_variance_s(fair.left_s, state.average_s)
        share = variance / (fair.deviation * fair.deviation)
        # dP/dlog(sigma) = -phi(z) z share: what a volatility that is wrong would cost.
        margin_vol = params.volatility_error_weight * params.volatility_error
        learned_s = params.coin.volatility_slow_half_life_s
        margin_vol *= sqrt(1.0 + max(0.0, fair.left_s) / learned_s)
        margin = params.edge_min + margin_vol * density * abs(fair.z) * share
        state.margin_delay = (
            params.delay_weight * density * move * sqrt(state.delay_s) / fair.deviation
        )
        margin += state.margin_delay
        up = fair.probability
        rate, exponent, tick = state.rate, state.exponent, state.tick_e4
        state.limits_e4 = (
            limit_price_e4(up - margin, rate, exponent, tick),
            limit_price_e4(1.0 - up - margin, rate, exponent, tick),
        )

    def _fair(self, state: _Market, coin: CoinModel, wall_ns: int) -> FairValue | None:
        """Return the probability of YES, or None while anything it rests on is unknown."""
        params = self.params
        volatility = coin.volatility
        strike = state.strike
        if (
            strike is None
            or volatility is None
            or not state.start_ns <= wall_ns < state.stop_ns
            or wall_ns - coin.mid_wall_ns > params.spot_age_ms_max * _MS_NS
        ):
            return None
        if not state.average_s:
            left_s = (state.row.end_ns - wall_ns) / _S_NS
            mean, locked_s, noise = coin.ahead, 0, 0.0
            spot = mean
        else:
            if (
                not coin.basis_known
                or wall_ns - coin.last_print_s * _S_NS > params.print_age_s_max * _S_NS
            ):
                return None
            spot = coin.settled_price(coin.ahead)
            last_s = state.row.end_ns // _S_NS - params.average_lag_s
            left_s = (last_s * _S_NS - wall_ns) / _S_NS
            noise = coin.basis_noise * spot
            if left_s >= state.average_s:
                mean, locked_s = spot, 0
            else:
                found = self._window_mean(state, coin, spot, last_s, wall_ns // _S_NS)
                if found is None:
                    return None
                mean, locked_s = found
        move = volatility * spot
        variance = move * move * average_variance_s(left_s, state.average_s)
        deviation = sqrt(variance + noise * noise)
        if deviation <= 0.0:
            return None
        z = (mean - strike) / deviation
        if not (abs(z) < _SANE and 0.0 < mean < _SANE):
            return None
        return FairValue(fat_probability(z), mean, deviation, z, locked_s, left_s)

    def _window_mean(
        self, state: _Market, coin: CoinModel, spot: float, last_s: int, passed_s: int
    ) -> tuple[float, int] | None:
        """Return the expected average and how many of its seconds have printed."""
        first_s = last_s - state.average_s + 1
        printed_to = min(last_s, coin.last_print_s)
        if state.locked_version != coin.prints_version:
            state.locked = coin.locked(first_s, printed_to)
            state.locked_version = coin.prints_version
        total, seconds, carried = state.locked
        wanted = max(0, printed_to - first_s + 1)
        if wanted - seconds + carried > self.params.missing_s_max:
            return None
        # Seconds that passed but have not printed yet: the exchange saw them.
        known = seconds
        for second in range(max(first_s, printed_to + 1), min(last_s, passed_s) + 1):
            mid = coin.mid_at(second)
            if mid is not None:
                total += coin.settled_price(mid)
                known += 1
        return (total + (state.average_s - known) * spot) / state.average_s, seconds

    # ------------------------------------------------------------------------------- buying
    def _buy(self, state: _Market, book: BookView, outcome: int, now_ns: int) -> None:
        """Emit a BUY of the outcome for what its book offers under the limit."""
        if now_ns < state.next_ns[outcome] or book.tick_e4 not in (0, state.tick_e4):
            return
        fair, coin = state.fair, self._coins[state.coin]
        assert fair is not None, "a limit exists without a fair value"
        worth = fair.probability if outcome == Outcome.YES else 1.0 - fair.probability
        worth -= state.margin_delay
        walk = self._sized(state, book, outcome, worth)
        if walk is None:
            return
        cost = (walk.cost_e6 + walk.fee_e6) / E6
        shares = walk.filled_e6 / E6
        params = self.params
        instrument = self.ctx.instruments.by_index[2 * state.market + outcome]
        sent = self.ctx.emit(
            Signal(
                module=self.name,
                market_id=instrument.market_id,
                token_id=instrument.token_id,
                action=Action.BUY,
                confidence=min(1.0, max(0.0, worth)),
                expected_value=params.fill_probability * (shares * worth - cost),
                size_suggestion=walk.filled_e6,
                urgency=Urgency.IMMEDIATE,
                metadata={
                    "up_e4": int(fair.probability * E4),
                    "z_e2": int(fair.z * 100.0),
                    "mean_e2": int(fair.mean * 100.0),
                    "locked_s": fair.locked_s,
                    "left_ms": int(fair.left_s * 1_000.0),
                    "lead_ppb": int(coin.lead_weight * coin.lead * 1e9),
                },
                limit_price_e4=state.limits_e4[outcome],
                expires_ns=now_ns + params.latency_budget_us * 1_000,
            )
        )
        if sent:
            state.next_ns[outcome] = now_ns + params.cooldown_ms * _MS_NS

    def _sized(self, state: _Market, book: BookView, outcome: int, worth: float) -> Walk | None:
        """Walk this book up to the cap, on the ladder, within the impact rule; else the touch."""
        limit_e4 = state.limits_e4[outcome]
        rate_e6, exponent, step_e6 = state.rate_e6, state.exponent, state.step_e6
        cash_e6 = self.params.order_cash_e6_max
        size_e6 = book.walk_cash(outcome, cash_e6, limit_e4).filled_e6
        for attempt in range(2):
            size_e6 -= size_e6 % step_e6
            if size_e6 < state.min_size_e6:
                return None
            walk = book.walk_size(outcome, _BUY, size_e6, limit_e4, rate_e6, exponent)
            if walk.cost_e6 < MIN_NOTIONAL_E6:
                return None
            if self._impact_ok(state, walk, worth):
                return walk
            assert attempt == 0, "a walk of the touch alone has an impact"
            size_e6 = min(size_e6, book.best_ask_size_e6(outcome))
        return None

    def _impact_ok(self, state: _Market, walk: Walk, worth: float) -> bool:
        if walk.levels == 1:
            return True
        params = self.params
        touch_e4 = walk.touch_price_e4
        one_tick_ppm = state.tick_e4 * E6 // touch_e4
        slip = walk.cost_e6 / walk.filled_e6 - touch_e4 / E4
        edge = worth - (walk.cost_e6 + walk.fee_e6) / walk.filled_e6 + slip
        return (
            walk.impact_ppm() <= max(params.impact_max_ppm, one_tick_ppm)
            and slip <= edge * params.impact_share_max
        )
