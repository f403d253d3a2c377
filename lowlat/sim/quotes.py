"""Fair values and quotes of the generated makers. Floats are their opinion, never money.

Source: feeds.md 6.2 for the chance of an up/down market.
"""

from random import Random
from typing import Final

from lowlat.core.units import ONE_E4
from lowlat.sim.accounts import Account
from lowlat.sim.catalog import Market
from lowlat.sim.ladder import BUY, NO, SELL, YES, Order
from lowlat.sim.spot import SpotPath

__all__ = ["fair_chance", "ladder_of", "ladder_order", "quote"]

NS: Final = 1_000_000_000
MINUTE_S: Final = 60
SHARE_E6: Final = 1_000_000


def fair_chance(market: Market, spot: SpotPath, now_ns: int) -> float:
    """Return the chance of YES of a market that a price decides, by what is known now."""
    now_s = now_ns // NS
    end_s = market.end_ns // NS
    if market.kind == "twap":
        base = spot.average_e8(market.start_ns // NS)
        if base is None:
            # Not begun, or begun this instant: nobody knows the start yet.
            return 0.5
        mean, spread_s, left_s = spot.outlook(end_s, now_s)
    else:
        known = spot.seconds.get(market.start_ns // NS)
        base = market.strike_e8 if market.kind == "strike" else (known[0] if known else None)
        if base is None:
            return 0.5
        # A candle closes with its last second; a strike's minute begins at its end.
        last_s = end_s + MINUTE_S - 1 if market.kind == "strike" else end_s - 1
        mean = float(spot.price_e8)
        left_s = max(0, last_s - now_s)
        spread_s = float(left_s)
    return spot.chance_above(mean / base - 1.0, spread_s, left_s)


def ladder_of(
    market: Market, fair: float, levels: int, half_e4: int, rng: Random
) -> list[tuple[bool, int, int]]:
    """Return a maker's wanted quotes around a fair value: (is_bid, YES price, size).

    ``half_e4``: how far from the fair value the nearest ones stand.
    """
    tick = market.tick_e4
    fair_e4 = round(fair * ONE_E4)
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
