"""Fair values and quotes of the generated makers. Floats are their opinion, never money.

Source: feeds.md 6.2 for the chance of an up/down market.
"""

import math
from random import Random
from typing import Final

from lowlat.core.units import ONE_E4
from lowlat.sim.accounts import Account
from lowlat.sim.catalog import Market
from lowlat.sim.ladder import BUY, NO, SELL, YES, Order
from lowlat.sim.spot import SpotPath

__all__ = ["fair_chance", "ladder_of", "ladder_order", "quote"]

NS: Final = 1_000_000_000
CHANCE_MIN: Final = 0.02
SHARE_E6: Final = 1_000_000


def fair_chance(market: Market, spot: SpotPath, now_ns: int) -> float:
    """Return the chance of YES of a market that a price decides, by what is known now."""
    now_s = now_ns // NS
    end_s = market.end_ns // NS
    if market.kind == "twap":
        start_s = market.start_ns // NS
        base = spot.average_e8(start_s)
        if base is None:
            # Not begun, or begun this instant: nobody knows the start yet.
            return 0.5
        mean, deviation = spot.outlook(end_s, now_s)
    else:
        known = spot.seconds.get(market.start_ns // NS)
        base = market.strike_e8 if market.kind == "strike" else (known[0] if known else None)
        if base is None:
            return 0.5
        mean = float(spot.price_e8)
        deviation = spot.sigma() * math.sqrt(max(0, end_s - now_s))
    distance = mean / base - 1.0
    if deviation <= 0.0:
        chance = 1.0 if distance >= 0.0 else 0.0
    else:
        chance = 0.5 * (1.0 + math.erf(distance / deviation / math.sqrt(2.0)))
    return min(1.0 - CHANCE_MIN, max(CHANCE_MIN, chance))


def ladder_of(
    market: Market, fair: float, levels: int, wide: int, rng: Random
) -> list[tuple[bool, int, int]]:
    """Return a maker's wanted quotes around a fair value: (is_bid, YES price, size)."""
    tick = market.tick_e4
    fair_e4 = round(fair * ONE_E4)
    half_e4 = max(tick, 40) + wide * tick
    step_e4 = max(tick, 60)
    wanted = []
    for depth in range(levels):
        size_e6 = rng.randrange(20, 120) * (1 + depth) * SHARE_E6
        away_e4 = half_e4 + depth * step_e4
        bid_e4 = (fair_e4 - away_e4) // tick * tick
        ask_e4 = -(-(fair_e4 + away_e4) // tick) * tick
        if bid_e4 >= tick:
            wanted.append((True, bid_e4, size_e6))
        if ask_e4 <= ONE_E4 - tick:
            wanted.append((False, ask_e4, size_e6))
    return wanted


def ladder_order(
    market: Market, account: Account, level: tuple[bool, int, int], rng: Random
) -> Order:
    """Turn a wanted level into an order: bids buy YES, asks sell inventory or buy NO."""
    is_bid, yes_e4, size_e6 = level
    if is_bid:
        return quote(market, account.wallet, YES, BUY, yes_e4, size_e6, rng)
    if account.tokens_free_e6(2 * market.index + YES) >= size_e6 and rng.random() < 0.3:
        return quote(market, account.wallet, YES, SELL, yes_e4, size_e6, rng)
    return quote(market, account.wallet, NO, BUY, ONE_E4 - yes_e4, size_e6, rng)


def quote(
    market: Market,
    account: str,
    outcome: int,
    side: int,
    price_e4: int,
    size_e6: int,
    rng: Random,
    order_type: str = "GTC",
) -> Order:
    """Make one order of the generated flow; its id is random, its owner nobody."""
    order_id = f"0x{rng.getrandbits(256):064x}"
    order = Order(order_id, account, "", market.index, outcome, side, price_e4, size_e6, order_type)
    cash_e6 = price_e4 * size_e6 // ONE_E4
    order.maker_amount_e6 = cash_e6 if side == BUY else size_e6
    return order
