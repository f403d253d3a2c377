"""A planted edge for who rests: one leg of a set that nobody bids well for, and its seller. Pure.

All outcomes but one of an exclusive event are offered near their fair values. The last is quoted
wide: its ask makes the whole set cost more than a dollar, its bid is so low that somebody who bids
one tick more, and takes the others once filled, gains. Halfway through its life a seller comes who
does not look at prices. Its known value is what that bid gains, after the fees of the others.
"""

from typing import Final

from lowlat.core.units import E6, ONE_E4
from lowlat.sim.catalog import Event, Market
from lowlat.sim.config import EdgeConfig
from lowlat.sim.edge_kinds import PRICE_MIN_TICKS, Ground, Planted, leg_of, offer
from lowlat.sim.ladder import YES
from lowlat.sim.rules import fee_e6

__all__ = ["plant_passive_set"]

_WIDE_TICKS: Final = 6
"""How far the ask of the wide leg stands at least above what completes a set without a gain."""


def plant_passive_set(ground: Ground, config: EdgeConfig, now_ns: int) -> Planted | None:
    """Plant one; None when no event is free or its prices would leave the grid."""
    free = [
        event
        for event in ground.universe.events
        if event.rules.neg_risk
        and all(each.accepting and each.index not in ground.flow.held for each in event.markets)
    ]
    if not free:
        return None
    event = ground.rng.choice(free)
    wide = ground.rng.choice(event.markets)
    gain_e4 = ground.rng.randint(*config.gain_e4)
    size_e6 = ground.rng.randint(*config.depth_shares) * E6
    asks = _asks(ground, event, wide)
    price_e4, ask_e4 = _wide_prices(event, wide, asks, gain_e4)
    low_e4 = PRICE_MIN_TICKS * wide.tick_e4
    inside = all(low_e4 <= each <= ONE_E4 - low_e4 for each in (*asks.values(), price_e4, ask_e4))
    if not inside:
        return None
    for market in event.markets:
        if market is not wide:
            offer(ground, market, asks[market.index], size_e6, now_ns, bid=False)
    _quote_wide(ground, wide, price_e4, ask_e4, size_e6, now_ns)
    value_e6 = _earned_e6(event, asks, price_e4) * size_e6 // E6
    others = [market for market in event.markets if market is not wide]
    legs = [leg_of(wide, YES, "BUY", price_e4, size_e6)]
    legs += [leg_of(each, YES, "BUY", asks[each.index], size_e6) for each in others]

    def sell(at_ns: int) -> None:
        if wide.accepting:
            ground.flow.takers.sell(wide, size_e6, at_ns)

    fair = ground.universe.fair
    return Planted(
        event.slug,
        list(event.markets),
        value_e6,
        legs,
        dict.fromkeys((each.index for each in others), False),
        lambda market, _: fair[market.index],
        halfway=sell,
        rests_in=wide.index,
    )


def _asks(ground: Ground, event: Event, wide: Market) -> dict[int, int]:
    """Return the asks of the others: their fair values, rounded up to the grid."""
    return {
        each.index: -(-round(ground.universe.fair[each.index] * ONE_E4) // each.tick_e4)
        * each.tick_e4
        for each in event.markets
        if each is not wide
    }


def _earned_e6(event: Event, asks: dict[int, int], price_e4: int) -> int:
    """Return what a set earns whose wide leg rested at a price: no fee for that one."""
    fees_e6 = sum(fee_e6(event.rules.fee_rate_e4, each, E6) for each in asks.values())
    return (ONE_E4 - price_e4 - sum(asks.values())) * 100 - fees_e6


def _wide_prices(event: Event, wide: Market, asks: dict[int, int], gain_e4: int) -> tuple[int, int]:
    """Return at which price a bid gains so much, and an ask at which the set is not to be taken."""
    tick_e4 = wide.tick_e4
    even_e4 = _earned_e6(event, asks, 0) // 100
    price_e4 = (even_e4 - gain_e4) // tick_e4 * tick_e4
    return price_e4, even_e4 // tick_e4 * tick_e4 + _WIDE_TICKS * tick_e4


def _quote_wide(
    ground: Ground, wide: Market, price_e4: int, ask_e4: int, size_e6: int, now_ns: int
) -> None:
    """Bid a tick below the price, ask far above it, and nothing else."""
    flow, tick_e4 = ground.flow, wide.tick_e4
    flow.held.add(wide.index)
    for bids in (True, False):
        flow.pull(wide, now_ns, bids=bids)
    bid_e4 = price_e4 - tick_e4
    levels = [(True, bid_e4, size_e6), (True, bid_e4 - tick_e4, 3 * size_e6)]
    levels += [(False, ask_e4, size_e6), (False, ask_e4 + tick_e4, 3 * size_e6)]
    flow.add_quotes(wide, levels, now_ns)
