"""What each kind of planted edge does to the books, and what it is worth. Pure.

Every kind returns a ``Planted``: the markets it is in charge of, a price list to check by hand, and
its known value: what somebody expects to gain, net of fees, who takes all of it while it lives.

* ``neg_risk``: all outcomes of an event together cost less than a dollar;
* ``neg_risk_sell``: together they can be sold for more than a dollar;
* ``strikes``: the lower of two strikes is cheaper than the higher one is worth at its bid;
* ``bond``: a nearly certain outcome is offered below its chance;
* ``latency``: the exchange jumps and the makers of a coin do not look for a while;
* ``news``: a hidden chance jumps and its makers do not look for a while;
* ``whale``: a whale buys through a book, and the chance follows it later;
* ``passive_set``: one outcome of an event is wanted so badly that who bids for it completes a set
  with the others (``passive_edges``).

Legs are quoted with depth on both sides, so that half of a set can be sold back at a bounded loss.
"""

import math
from collections.abc import Callable, Iterable
from random import Random
from typing import Any, Final, NamedTuple

from lowlat.core.units import E6, ONE_E4
from lowlat.sim.catalog import Event, Market
from lowlat.sim.config import EdgeConfig
from lowlat.sim.exchange import Exchange
from lowlat.sim.flow import Flow
from lowlat.sim.ladder import NO, YES
from lowlat.sim.news import News
from lowlat.sim.quotes import fair_chance
from lowlat.sim.rules import fee_e6
from lowlat.sim.spot import SpotPath
from lowlat.sim.universe import Universe

__all__ = ["PLANTERS", "Ground", "Planted", "Planter", "given_away", "leg_of", "offer"]

PRICE_MIN_TICKS: Final = 5
BOND_MIN: Final = 0.9
_BOUNDLESS: Final = 2**62


class Ground(NamedTuple):
    """Where edges are planted."""

    exchange: Exchange
    universe: Universe
    flow: Flow
    news: News
    spots: dict[str, SpotPath]
    rng: Random
    spent_e6: dict[int, int]
    """What a perfect trader put into each market by latency so far; markets that ended have none.
    """


class Planted(NamedTuple):
    """One planted edge. Amounts in base units of cash."""

    name: str
    markets: list[Market]
    value_e6: int
    legs: list[dict[str, Any]]
    sides: dict[int, bool]
    """By market index, which side was planted (bids: True); empty: quotes were left standing."""
    truth: Callable[[Market, int], float]
    """The chance of YES that its value rests on, at a time."""
    finish: Callable[[int], None] | None = None
    """What else happens when its life is over, before the makers quote again."""
    halfway: Callable[[int], None] | None = None
    """What happens in the middle of its life."""
    rests_in: int = -1
    """Index of the market in which it is there for somebody whose order rests."""


def _gain(ground: Ground, config: EdgeConfig) -> int:
    return ground.rng.randint(*config.gain_e4)


def _size_e6(ground: Ground, config: EdgeConfig) -> int:
    return ground.rng.randint(*config.depth_shares) * E6


def _is_free(ground: Ground, markets: Iterable[Market]) -> bool:
    return all(each.accepting and each.index not in ground.flow.held for each in markets)


# ------------------------------------------------------------------------------- several legs
def _sets(ground: Ground, config: EdgeConfig, now_ns: int, *, sell: bool) -> Planted | None:
    """Quote every leg of an event off its fair value, all of them the same way."""
    free = [
        event
        for event in ground.universe.events
        if event.rules.neg_risk and _is_free(ground, event.markets)
    ]
    if not free:
        return None
    event = ground.rng.choice(free)
    prices = _set_prices(ground, event, _gain(ground, config), sell=sell)
    if prices is None:
        return None
    size_e6 = _size_e6(ground, config)
    rate_e4 = event.rules.fee_rate_e4
    fees_e6 = sum(fee_e6(rate_e4, price, size_e6) for price in prices)
    gross_e4 = sum(prices) - ONE_E4 if sell else ONE_E4 - sum(prices)
    for market, price_e4 in zip(event.markets, prices, strict=True):
        offer(ground, market, price_e4, size_e6, now_ns, bid=sell)
    legs = [
        leg_of(market, YES, "SELL" if sell else "BUY", price, size_e6)
        for market, price in zip(event.markets, prices, strict=True)
    ]
    value_e6 = gross_e4 * size_e6 // ONE_E4 - fees_e6
    sides = {market.index: sell for market in event.markets}
    return Planted(event.slug, list(event.markets), value_e6, legs, sides, _hidden(ground))


def _set_prices(ground: Ground, event: Event, gain_e4: int, *, sell: bool) -> list[int] | None:
    """Return prices that leave a net gain a set, None when a leg would leave the grid.

    Fees are those of a share at these prices; the last steps go tick by tick, to buy from the
    dearest leg, to sell onto the cheapest.
    """
    tick = event.markets[0].tick_e4
    rate_e4 = event.rules.fee_rate_e4
    fairs = [ground.universe.fair[market.index] for market in event.markets]
    prices = [round(fair * ONE_E4) // tick * tick for fair in fairs]

    def short_e6() -> int:
        fees = sum(fee_e6(rate_e4, price, E6) for price in prices)
        gross = (sum(prices) - ONE_E4) * 100 if sell else (ONE_E4 - sum(prices)) * 100
        return gain_e4 * 100 - (gross - fees)

    while short_e6() > 0:
        pick = (min if sell else max)(range(len(prices)), key=prices.__getitem__)
        prices[pick] += tick if sell else -tick
    low = PRICE_MIN_TICKS * tick
    return prices if all(low <= price <= ONE_E4 - low for price in prices) else None


def _strikes(ground: Ground, config: EdgeConfig, now_ns: int) -> Planted | None:
    """Offer YES of a strike below what a higher strike of the same event bids for its YES."""
    free = [
        (low, high)
        for event in ground.universe.events
        for low, high in zip(event.markets, event.markets[1:], strict=False)
        if low.kind == "strike" and _is_free(ground, (low, high))
    ]
    if not free:
        return None
    low, high = ground.rng.choice(free)
    tick, rate_e4 = low.tick_e4, low.rules.fee_rate_e4
    middle = (ground.flow.fair(low) + ground.flow.fair(high)) / 2.0
    gain_e4 = _gain(ground, config)
    ask_e4 = bid_e4 = round(middle * ONE_E4) // tick * tick

    def net_e6() -> int:
        return (bid_e4 - ask_e4) * 100 - fee_e6(rate_e4, ask_e4, E6) - fee_e6(rate_e4, bid_e4, E6)

    while net_e6() < gain_e4 * 100:
        if ONE_E4 - bid_e4 > ask_e4:
            bid_e4 += tick
        else:
            ask_e4 -= tick
    margin = PRICE_MIN_TICKS * tick
    if not margin <= ask_e4 < bid_e4 <= ONE_E4 - margin:
        return None
    size_e6 = _size_e6(ground, config)
    offer(ground, low, ask_e4, size_e6, now_ns, bid=False)
    offer(ground, high, bid_e4, size_e6, now_ns, bid=True)
    legs = [
        leg_of(low, YES, "BUY", ask_e4, size_e6),
        leg_of(high, NO, "BUY", ONE_E4 - bid_e4, size_e6),
    ]
    # A part is certain; a price that ends between the strikes pays both legs.
    low_e4, high_e4 = (
        ONE_E4 * fair_chance(each, ground.spots[each.coin], now_ns) for each in (low, high)
    )
    value_e6 = _worth_e6(low_e4, ask_e4, rate_e4, size_e6)
    value_e6 += _worth_e6(ONE_E4 - high_e4, ONE_E4 - bid_e4, rate_e4, size_e6)
    sides = {low.index: False, high.index: True}
    name = f"{low.slug}/{high.slug}"
    return Planted(name, [low, high], value_e6, legs, sides, _by_price(ground))


# ------------------------------------------------------------------------------- one leg
def _bond(ground: Ground, config: EdgeConfig, now_ns: int) -> Planted | None:
    """Offer a nearly certain outcome below its chance, by the gain after fees."""
    fair = ground.universe.fair
    free = [
        market
        for market in ground.news.free_markets()
        if max(fair[market.index], 1.0 - fair[market.index]) >= BOND_MIN
    ]
    if not free:
        return None
    market = ground.rng.choice(free)
    outcome = YES if fair[market.index] >= BOND_MIN else NO
    worth_e4 = fair[market.index] * ONE_E4
    if outcome == NO:
        worth_e4 = ONE_E4 - worth_e4
    tick, rate_e4, size_e6 = market.tick_e4, market.rules.fee_rate_e4, _size_e6(ground, config)
    gain_e4 = _gain(ground, config)
    price_e4 = math.floor(worth_e4) // tick * tick
    while _worth_e6(worth_e4, price_e4, rate_e4, E6) < gain_e4 * 100:
        price_e4 -= tick
    if price_e4 < PRICE_MIN_TICKS * tick:
        return None
    yes_e4 = price_e4 if outcome == YES else ONE_E4 - price_e4
    offer(ground, market, yes_e4, size_e6, now_ns, bid=outcome == NO)
    value_e6 = _worth_e6(worth_e4, price_e4, rate_e4, size_e6)
    legs = [leg_of(market, outcome, "BUY", price_e4, size_e6)]
    sides = {market.index: outcome == NO}
    return Planted(market.slug, [market], value_e6, legs, sides, _hidden(ground))


def _latency(ground: Ground, config: EdgeConfig, now_ns: int) -> Planted | None:
    """Let the exchange jump while the makers of its coin do not look."""
    flow = ground.flow
    free = [coin for coin in ground.spots if now_ns >= flow.blind_until_ns.get(coin, 0)]
    if not free:
        return None
    coin = ground.rng.choice(free)
    spot = ground.spots[coin]
    markets = [market for market in flow.priced(coin) if _is_free(ground, [market])]
    if not markets:
        return None
    move = _gain(ground, config) / ONE_E4
    spot.move(move if ground.rng.random() < 0.5 else -move)
    # The end of the edge lifts it; so long the makers hold still.
    flow.blind_until_ns[coin] = now_ns + 2 * config.life_ms[1] * 1_000_000
    wrong = [
        (market, each)
        for market in markets
        for each in _given(market, fair_chance(market, spot, now_ns))
    ]
    value_e6, legs = _afford(ground, config, coin, wrong)

    def finish(at_ns: int) -> None:
        del flow.blind_until_ns[coin]
        for market in markets:
            if not market.closed:
                flow.seen[market.index] = fair_chance(market, spot, at_ns)

    return Planted(f"{coin} jump", markets, value_e6, legs, {}, _by_price(ground), finish)


def _news(ground: Ground, config: EdgeConfig, now_ns: int) -> Planted | None:
    """Let a hidden chance jump while the makers do not look."""
    free = ground.news.free_markets()
    if not free:
        return None
    market = ground.rng.choice(free)
    ground.news.move(market, _gain(ground, config), now_ns)
    value_e6, legs = given_away(market, ground.universe.fair[market.index])
    return Planted(market.slug, [market], value_e6, legs, {}, _hidden(ground))


def _whale(ground: Ground, config: EdgeConfig, now_ns: int) -> Planted | None:
    """Let a whale who knows buy first; the chance moves its way when the edge ends."""
    free = ground.news.free_markets()
    fair = ground.universe.fair
    gain = _gain(ground, config) / ONE_E4
    free = [each for each in free if gain < fair[each.index] < 1.0 - gain]
    if not free or not ground.flow.takers.whales:
        return None
    market = ground.rng.choice(free)
    outcome = ground.rng.randrange(2)
    wallet = ground.flow.takers.whale(market, outcome, now_ns).wallet
    # Makers fill the book up again around what they still believe.
    ground.flow.quote_all(market, fair[market.index], now_ns)
    later = fair[market.index] + (gain if outcome == YES else -gain)
    value_e6, legs = given_away(market, later)

    def finish(at_ns: int) -> None:
        del at_ns
        fair[market.index] = later

    name = f"{market.slug} {wallet}"
    return Planted(name, [market], value_e6, legs, {}, lambda _, __: later, finish)


# ------------------------------------------------------------------------------- pieces
def _hidden(ground: Ground) -> Callable[[Market, int], float]:
    return lambda market, _: ground.universe.fair[market.index]


def _by_price(ground: Ground) -> Callable[[Market, int], float]:
    return lambda market, now_ns: fair_chance(market, ground.spots[market.coin], now_ns)


def offer(
    ground: Ground, market: Market, yes_e4: int, size_e6: int, now_ns: int, *, bid: bool
) -> None:
    """Quote one market so that its planted side stands at a price with a size."""
    flow, tick = ground.flow, market.tick_e4
    flow.held.add(market.index)
    step = -tick if bid else tick
    away_e4 = flow.half_spread_e4(market) + tick
    away = (yes_e4 + (-away_e4 if bid else away_e4)) / ONE_E4
    levels = [
        (bid, yes_e4, size_e6),
        (not bid, yes_e4 - step, size_e6),
        (not bid, yes_e4 - 2 * step, 3 * size_e6),
    ]
    flow.offer(market, away, levels, now_ns, bids=bid)


def _afford(
    ground: Ground, config: EdgeConfig, coin: str, wrong: list[tuple[Market, "_Given"]]
) -> tuple[int, list[dict[str, Any]]]:
    """Return what a perfect trader takes of it: the best per dollar first, within its cash.

    What it took before stays in its markets until they end.
    """
    spent_e6 = ground.spent_e6
    open_e6 = 0
    for market in ground.exchange.markets:
        if market.index in spent_e6 and market.closed:
            del spent_e6[market.index]
        elif market.coin == coin:
            open_e6 += spent_e6.get(market.index, 0)
    room_e6 = config.coin_cash * E6 - open_e6 if config.coin_cash else _BOUNDLESS
    value_e6, legs = 0, []
    for market, each in sorted(wrong, key=lambda pair: -pair[1].gain_e6 / pair[1].cost_e6):
        own_e6 = _BOUNDLESS
        if config.market_cash:
            own_e6 = config.market_cash * E6 - spent_e6.get(market.index, 0)
        cash_e6 = min(each.cost_e6, room_e6, own_e6)
        size_e6 = each.size_e6 * cash_e6 // each.cost_e6 // E6 * E6
        if size_e6 <= 0:
            continue
        cost_e6 = each.cost_e6 * size_e6 // each.size_e6
        room_e6 -= cost_e6
        spent_e6[market.index] = spent_e6.get(market.index, 0) + cost_e6
        value_e6 += each.gain_e6 * size_e6 // each.size_e6
        legs.append(leg_of(market, each.outcome, "BUY", each.price_e4, size_e6))
    return value_e6, legs


class _Given(NamedTuple):
    """A level that gives something away, after the fee."""

    outcome: int
    price_e4: int
    size_e6: int
    gain_e6: int

    @property
    def cost_e6(self) -> int:
        return max(1, self.price_e4 * self.size_e6 // ONE_E4)


def given_away(market: Market, chance: float) -> tuple[int, list[dict[str, Any]]]:
    """Return what the standing quotes of a market give away at a chance of YES, after fees.

    Level by level, whoever takes it; empty in a market whose makers know that chance.
    """
    found = _given(market, chance)
    legs = [leg_of(market, each.outcome, "BUY", each.price_e4, each.size_e6) for each in found]
    return sum(each.gain_e6 for each in found), legs


def _given(market: Market, chance: float) -> list[_Given]:
    worth_e4 = chance * ONE_E4
    rate_e4 = market.rules.fee_rate_e4
    ladder = market.ladder
    levels = [(NO, ONE_E4 - price, size) for price, size in reversed(ladder.bid_levels())]
    levels += [(YES, price, size) for price, size in ladder.ask_levels()]
    found = []
    for outcome, price_e4, size_e6 in levels:
        own_e4 = worth_e4 if outcome == YES else ONE_E4 - worth_e4
        gain_e6 = _worth_e6(own_e4, price_e4, rate_e4, size_e6)
        if gain_e6 > 0:
            found.append(_Given(outcome, price_e4, size_e6, gain_e6))
    return found


def _worth_e6(worth_e4: float, price_e4: int, rate_e4: int, size_e6: int) -> int:
    """Return what buying at a price brings when a share is worth so much, after the fee."""
    return int((worth_e4 - price_e4) * size_e6 / ONE_E4) - fee_e6(rate_e4, price_e4, size_e6)


def leg_of(market: Market, outcome: int, side: str, price_e4: int, size_e6: int) -> dict[str, Any]:
    """Return one order that takes part of an edge, to be checked by hand."""
    return {
        "market": market.slug,
        "token": market.tokens[outcome],
        "side": side,
        "price_e4": price_e4,
        "size_e6": size_e6,
    }


Planter = Callable[[Ground, EdgeConfig, int], Planted | None]
PLANTERS: Final[dict[str, Planter]] = {
    "neg_risk": lambda ground, config, now: _sets(ground, config, now, sell=False),
    "neg_risk_sell": lambda ground, config, now: _sets(ground, config, now, sell=True),
    "strikes": _strikes,
    "bond": _bond,
    "latency": _latency,
    "news": _news,
    "whale": _whale,
}
"""Plant one edge of a kind; None when no market for it is free."""
