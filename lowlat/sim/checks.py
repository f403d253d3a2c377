"""The order checks of the engine, in the venue's order, each with its words. Pure.

Source: polymarket.md 6, 18.
"""

from typing import Final

from lowlat.sim import rules
from lowlat.sim.accounts import Accounts
from lowlat.sim.catalog import Market
from lowlat.sim.config import SimConfig
from lowlat.sim.contracts import CTF, EXCHANGES, POSITION_MANAGER, PUSD
from lowlat.sim.ladder import BUY, SELL, Order
from lowlat.sim.matching import plan_match

__all__ = ["check_order", "funds_error", "post_only_error"]

NS: Final = 1_000_000_000


def check_order(
    config: SimConfig, market: Market, order: Order, taker_amount_e6: int, now_ns: int
) -> str | None:
    """Return the refusal of state, price, size or expiration, None for a good order."""
    if not market.accepting:
        return "the market is not yet ready to process new orders"
    is_market = order.is_market
    maker_e6 = order.maker_amount_e6
    tick_e4 = market.tick_e4
    price_e4 = rules.limit_price(
        order.side, maker_e6, taker_amount_e6, tick_e4, is_market=is_market
    )
    error = rules.price_error(
        order.id, order.side, maker_e6, taker_amount_e6, tick_e4, price_e4
    ) or rules.amounts_error(
        order.id,
        order.side,
        maker_e6,
        taker_amount_e6,
        is_market=is_market,
        min_size_e6=market.rules.min_size_e6,
        taker_decimals=config.market_taker_decimals,
    )
    if error is None and order.side == BUY and (is_market or market.met_by(order)):
        error = rules.marketable_buy_error(maker_e6)
    if error is None and not _expiration_ok(config, order, now_ns):
        error = "invalid expiration"
    return error


def funds_error(accounts: Accounts, market: Market, order: Order) -> str | None:
    """Refuse what the account cannot pay; a taker's fee comes on top of a BUY."""
    account = accounts.by_wallet[order.account]
    exchange = EXCHANGES[market.exchange][1]
    if order.side == SELL:
        allowed_e6 = account.allowance_e6(
            CTF if market.version == "v1" else POSITION_MANAGER, exchange
        )
        if not allowed_e6:
            return rules.text_balance(allowed_e6, order.size_e6, allowance=True)
        free_e6 = account.tokens_free_e6(2 * order.market + order.outcome)
        return rules.text_balance(free_e6, order.size_e6) if free_e6 < order.size_e6 else None
    need_e6 = order.maker_amount_e6
    if market.rules.fee_rate_e4 and market.met_by(order):
        need_e6 += plan_match(market, order).fee_e6
    allowed_e6 = account.allowance_e6(PUSD, exchange)
    if allowed_e6 < need_e6:
        return rules.text_balance(allowed_e6, need_e6, allowance=True)
    if account.cash_free_e6 < need_e6:
        return rules.text_balance(account.cash_free_e6, need_e6)
    return None


def post_only_error(market: Market, order: Order) -> str | None:
    """Refuse a post-only order of the wrong type or across the book."""
    if order.post_only and order.is_market:
        return "invalid post-only order: only GTC and GTD order types are allowed"
    if order.post_only and market.met_by(order):
        return "invalid post-only order: order crosses book"
    return None


def _expiration_ok(config: SimConfig, order: Order, now_ns: int) -> bool:
    if order.order_type != "GTD":
        return order.expiration_s == 0
    return order.expiration_s * NS >= now_ns + config.gtd_min_s * NS
