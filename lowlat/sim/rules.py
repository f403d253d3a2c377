"""The venue's arithmetic: prices out of signed amounts, grid, sizes, fees, words of refusal.

Pure integers. Source: polymarket.md 3.4, 4, 6, 7.1, 12.1.
"""

from typing import Final

from lowlat.core.units import E4, E6, format_fixed
from lowlat.sim.ladder import BUY

__all__ = [
    "TEXT_FAK",
    "TEXT_FOK",
    "amounts_error",
    "fee_e6",
    "limit_price",
    "marketable_buy_error",
    "price_error",
    "text_balance",
]

TEXT_FOK: Final = "order couldn't be fully filled. FOK orders are fully filled or killed."
TEXT_FAK: Final = (
    "no orders found to match with FAK order. "
    "FAK orders are partially filled or killed if no match is found."
)
CENT_E6: Final = 10_000
MARKET_BUY_MIN_E6: Final = E6
FEE_STEP_E6: Final = 10
"""Fees have five decimals."""


def fee_e6(rate_e4: int, price_e4: int, size_e6: int) -> int:
    """Return the taker fee: shares x rate x p(1 - p), five decimals, half up. Source: 7.1."""
    scaled = size_e6 * rate_e4 * price_e4 * (E4 - price_e4)
    unit = E4 * E4 * E4 * FEE_STEP_E6
    return (2 * scaled + unit) // (2 * unit) * FEE_STEP_E6


def limit_price(
    side: int, maker_e6: int, taker_e6: int, tick_e4: int, *, is_market: bool
) -> int | None:
    """Return the grid price that signed amounts stand for, None when they stand for none.

    Limit orders must be exact. Market orders round shares (BUY) or dollars (SELL) down, so up to
    0.01 of either may be missing: the next worse grid price within that is meant.
    """
    shares, cash = (taker_e6, maker_e6) if side == BUY else (maker_e6, taker_e6)
    price, rest = divmod(cash * E4, shares)
    if not rest and price % tick_e4 == 0:
        return price
    if not is_market:
        return None
    if side == BUY:
        price -= price % tick_e4
        close = price > 0 and cash * E4 // price - shares < CENT_E6
    else:
        price += bool(rest)
        price += -price % tick_e4
        close = shares * price // E4 - cash < CENT_E6
    return price if close else None


def price_error(
    order_id: str, side: int, maker_e6: int, taker_e6: int, tick_e4: int, price_e4: int | None
) -> str | None:
    """Return the refusal of a price off the grid or out of bounds, None for a good one."""
    if price_e4 is not None and tick_e4 <= price_e4 <= E4 - tick_e4:
        return None
    shares, cash = (taker_e6, maker_e6) if side == BUY else (maker_e6, taker_e6)
    shown = format_fixed(cash * E6 // shares, 6)
    tick = format_fixed(tick_e4, 4)
    return f"order {order_id} is invalid. Price ({shown}) breaks minimum tick size rule: {tick}"


def amounts_error(
    order_id: str,
    side: int,
    maker_e6: int,
    taker_e6: int,
    *,
    is_market: bool,
    min_size_e6: int,
    taker_decimals: int,
) -> str | None:
    """Return the refusal of sizes or decimals, None for good amounts. Source: 3.4, 4.2, 6."""
    word = "buy" if side == BUY else "sell"
    if is_market:
        if maker_e6 % CENT_E6 or taker_e6 % 10 ** (6 - taker_decimals):
            return (
                f"invalid amounts, the market {word} orders maker amount supports a max accuracy "
                f"of 2 decimals, taker amount a max of {taker_decimals} decimals"
            )
        return None
    shares = taker_e6 if side == BUY else maker_e6
    if shares % CENT_E6:
        return (
            f"invalid amounts, the limit {word} orders size supports a max accuracy of 2 decimals"
        )
    if shares < min_size_e6:
        size, least = format_fixed(shares, 6), format_fixed(min_size_e6, 6)
        return f"order {order_id} is invalid. Size ({size}) lower than the minimum: {least}"
    return None


def marketable_buy_error(amount_e6: int) -> str | None:
    """Return the refusal of a marketable BUY below one dollar."""
    if amount_e6 >= MARKET_BUY_MIN_E6:
        return None
    shown = format_fixed(amount_e6, 6)
    return f"invalid amount for a marketable BUY order (${shown}), min size: $1"


def text_balance(balance_e6: int, amount_e6: int, *, allowance: bool = False) -> str:
    """Return the refusal for want of money or tokens."""
    what = "allowance" if allowance else "balance"
    return (
        f"not enough balance / allowance: the {what} is not enough -> "
        f"{what}: {balance_e6}, order amount: {amount_e6}"
    )
