"""Amounts of an order, in integers: what the maker gives and wants in base units.

Called by the executor when it signs and by risk when it sizes. The venue's rules are in
polymarket.md 4; one unit of ``_e6`` is a millionth of a share or a dollar, of ``_e4`` a hundredth
of a cent of price. Nothing here rounds up, and nothing rounds unless its name says so.

Every size the engine chooses lies on a **ladder**: whole shares whose notional is a whole cent at
every price of the tick (1 share at tick 0.01, 10 at 0.001, 100 at 0.0001). Such an order is valid
as any order type, so that one signature serves GTC, GTD, FOK and FAK alike.
"""

from math import gcd
from typing import Final, NamedTuple

from lowlat.core.errors import LocalProtocolError
from lowlat.core.layout import Action
from lowlat.core.units import E4, E6, ONE_E4, floor_to_step, format_fixed

__all__ = [
    "CENT_E6",
    "MIN_NOTIONAL_E6",
    "MIN_SIZE_E6",
    "TICKS",
    "Amounts",
    "TickRule",
    "check_price",
    "floor_to_ladder",
    "floor_to_whole_cent",
    "ladder_step_e6",
    "limit_amounts",
    "market_buy_amounts",
    "market_sell_amounts",
    "odd_lot_amounts",
]

CENT_E6: Final = E6 // 100
"""A cent of cash, and also the hundredth of a share that is the finest size the venue takes."""
MIN_SIZE_E6: Final = 5 * E6
"""Smallest resting order, five shares, unless the market says otherwise. Source: 3.4."""
MIN_NOTIONAL_E6: Final = E6
"""Smallest marketable BUY, one dollar. Source: 3.4."""
_TAKER_DECIMALS_MAX: Final = 4
"""Decimals of the taker amount that the venue takes in FOK and FAK. Source: 4.2."""


class TickRule(NamedTuple):
    """Decimals the venue allows at a tick. Source: polymarket.md 4."""

    price_decimals: int
    amount_decimals: int
    ladder_step_e6: int


def _rule(tick_e4: int, price_decimals: int, amount_decimals: int) -> TickRule:
    """Derive the ladder: the fewest whole shares whose notional at one tick is whole cents."""
    cents_e4 = E4 // 100
    step = cents_e4 // gcd(cents_e4, tick_e4)
    return TickRule(price_decimals, amount_decimals, step * E6)


TICKS: Final[dict[int, TickRule]] = {
    1_000: _rule(1_000, 1, 3),
    100: _rule(100, 2, 4),
    50: _rule(50, 3, 5),
    25: _rule(25, 4, 6),
    10: _rule(10, 3, 5),
    1: _rule(1, 4, 6),
}
"""Every tick of the venue by its size in 1e-4 dollar. Source: ROUNDING_CONFIG, polymarket.md 4."""


class Amounts(NamedTuple):
    """What is signed. BUY: maker is cash, taker shares; SELL: the other way round."""

    maker_e6: int
    taker_e6: int


def ladder_step_e6(tick_e4: int) -> int:
    """Return the ladder's step in shares; LocalProtocolError for a tick the venue has not."""
    return _tick_rule(tick_e4).ladder_step_e6


def floor_to_ladder(size_e6: int, tick_e4: int) -> int:
    """Round a size down onto the ladder of its tick (0 when it is below the first rung)."""
    if size_e6 < 0:
        raise LocalProtocolError(f"size was {format_fixed(size_e6, 6)}, expected 0 or more")
    return floor_to_step(size_e6, _tick_rule(tick_e4).ladder_step_e6)


def floor_to_whole_cent(size_e6: int, price_e4: int) -> int:
    """Round a size down to hundredths of a share with a whole-cent notional at this price.

    Finer than the ladder (0.02 shares at 0.50, 1.25 at 0.056): for selling what a fill left over.
    """
    if size_e6 < 0 or not 0 < price_e4 < ONE_E4:
        raise LocalProtocolError(f"size was {size_e6}, price_e4 {price_e4}, expected both positive")
    return floor_to_step(size_e6, CENT_E6 * (E4 // gcd(E4, price_e4)))


def check_price(price_e4: int, tick_e4: int) -> None:
    """Raise LocalProtocolError unless the price is on the grid and in [tick, 1 - tick]."""
    _tick_rule(tick_e4)
    if not tick_e4 <= price_e4 <= ONE_E4 - tick_e4 or price_e4 % tick_e4:
        raise LocalProtocolError(
            f"price was {format_fixed(price_e4, 4)}, expected a multiple of "
            f"{format_fixed(tick_e4, 4)} inside (0, 1)"
        )


def limit_amounts(
    action: Action, price_e4: int, size_e6: int, tick_e4: int, min_size_e6: int = MIN_SIZE_E6
) -> Amounts:
    """Return the amounts of an order on the ladder, good for every order type.

    Raises LocalProtocolError off the grid, off the ladder, under the market's minimum size or
    under one dollar: sizes are rounded by whoever chose them (floor_to_ladder), never here.
    """
    check_price(price_e4, tick_e4)
    step_e6 = TICKS[tick_e4].ladder_step_e6
    if size_e6 % step_e6:
        raise LocalProtocolError(
            f"size was {format_fixed(size_e6, 6)} shares, expected a multiple of "
            f"{format_fixed(step_e6, 6)} at tick {format_fixed(tick_e4, 4)}"
        )
    if size_e6 < min_size_e6:
        raise LocalProtocolError(
            f"size was {format_fixed(size_e6, 6)} shares, expected at least "
            f"{format_fixed(min_size_e6, 6)}"
        )
    amounts = _exact(action, price_e4, size_e6)
    _check_notional(amounts.maker_e6 if action == Action.BUY else amounts.taker_e6)
    return amounts


def odd_lot_amounts(action: Action, price_e4: int, size_e6: int, tick_e4: int) -> Amounts:
    """Return the amounts of a resting order off the ladder: any whole hundredth of a share.

    For GTC and GTD only, to leave a position that fills made odd: the venue may refuse these
    amounts as FOK or FAK. Source: polymarket.md 4.1, 4.2.
    """
    check_price(price_e4, tick_e4)
    return _exact(action, price_e4, size_e6)


def market_buy_amounts(cost_e6: int, worst_price_e4: int, tick_e4: int) -> Amounts:
    """Return the amounts of a FOK or FAK BUY, which spends dollars.

    ``cost_e6`` is what the book asks for the wished shares, level by level, and is floored to the
    cent: size times worst price would buy more shares than wished. ``worst_price_e4`` caps the
    price; the taker amount follows from it, floored, so that the implied price is never under the
    worst level (which could not match) and always under the next price of the finest grid.
    Raises LocalProtocolError where that cannot be, and under one dollar.
    """
    check_price(worst_price_e4, tick_e4)
    maker_e6 = floor_to_step(cost_e6, CENT_E6)
    _check_notional(maker_e6)
    decimals = min(TICKS[tick_e4].amount_decimals, _TAKER_DECIMALS_MAX)
    taker_e6 = floor_to_step(maker_e6 * E4 // worst_price_e4, 10 ** (6 - decimals))
    # Ticks become finer while orders wait: the next price is one of the finest grid. From a
    # dollar up only tick 0.1, with its three decimals, can reach it.
    if maker_e6 * E4 >= (worst_price_e4 + 1) * taker_e6:
        raise LocalProtocolError(
            f"cost was ${format_fixed(maker_e6, 6)}, expected more: cutting the shares to "
            f"{format_fixed(taker_e6, 6)} would pay over {format_fixed(worst_price_e4, 4)}"
        )
    return Amounts(maker_e6, taker_e6)


def market_sell_amounts(size_e6: int, worst_price_e4: int, tick_e4: int) -> Amounts:
    """Return the amounts of a FOK or FAK SELL: hundredths of a share worth whole cents.

    Raises LocalProtocolError for a size that floor_to_whole_cent would change. The venue has no
    minimum for it. Source: polymarket.md 4.2.
    """
    check_price(worst_price_e4, tick_e4)
    amounts = _exact(Action.SELL, worst_price_e4, size_e6)
    if amounts.taker_e6 % CENT_E6:
        raise LocalProtocolError(
            f"size was {format_fixed(size_e6, 6)} shares at {format_fixed(worst_price_e4, 4)}, "
            f"expected a whole-cent notional, not {format_fixed(amounts.taker_e6, 6)}"
        )
    return amounts


def _exact(action: Action, price_e4: int, size_e6: int) -> Amounts:
    """Multiply without loss: hundredths of a share times 1e-4 dollar are base units."""
    if size_e6 <= 0 or size_e6 % CENT_E6:
        raise LocalProtocolError(
            f"size was {format_fixed(size_e6, 6)} shares, expected whole hundredths above 0"
        )
    cash_e6 = size_e6 * price_e4 // E4
    return Amounts(cash_e6, size_e6) if action == Action.BUY else Amounts(size_e6, cash_e6)


def _check_notional(cash_e6: int) -> None:
    if cash_e6 < MIN_NOTIONAL_E6:
        raise LocalProtocolError(
            f"order is worth ${format_fixed(cash_e6, 6)}, expected at least "
            f"${format_fixed(MIN_NOTIONAL_E6, 6)}"
        )


def _tick_rule(tick_e4: int) -> TickRule:
    rule = TICKS.get(tick_e4)
    if rule is None:
        raise LocalProtocolError(
            f"tick_e4 was {tick_e4}, expected one of {', '.join(map(str, TICKS))}"
        )
    return rule
