"""Planning and booking of a match: who fills how much at whose price, and what each one pays.

A plan changes nothing; ``commit`` books it. Execution is at the maker's price, improvement is the
taker's. A fraction of a base unit (only possible after tick changes) goes to the maker.
Source: polymarket.md 4.2, 12.1.
"""

from collections.abc import Callable

from lowlat.core.units import ONE_E4
from lowlat.sim.accounts import Accounts, Transfer
from lowlat.sim.catalog import Market
from lowlat.sim.ladder import BUY, YES, Order, ceil_cash_e6, floor_cash_e6
from lowlat.sim.rules import fee_e6
from lowlat.sim.trades import MakerFill, Trade

__all__ = ["Plan", "commit", "plan_match"]


class Plan:
    """What a taker would get now, from its own view; the fee comes on top or off the proceeds."""

    __slots__ = ("cost_e6", "fee_e6", "fills", "full", "size_e6")

    def __init__(self) -> None:
        self.fills: list[tuple[Order, int, int]] = []
        """(maker, size, price in terms of the taker's token), in order of execution."""
        self.size_e6 = 0
        self.cost_e6 = 0
        self.fee_e6 = 0
        self.full = False
        """Nothing more could be wanted: all shares sold or bought, or all dollars spent."""


def plan_match(market: Market, order: Order) -> Plan:
    """Walk the ladder for a taker. A FOK/FAK BUY spends dollars, everything else counts shares."""
    plan = Plan()
    quantum = market.quantum_e6
    spends = order.is_market and order.side == BUY
    budget_e6 = order.maker_amount_e6
    want_e6 = order.remaining_e6
    for maker in market.ladder.opposite(is_bid=order.is_bid, limit_yes_e4=order.yes_price_e4):
        yes_e4 = maker.yes_price_e4
        price_e4 = yes_e4 if order.outcome == YES else ONE_E4 - yes_e4
        if spends:
            size_e6 = min(maker.remaining_e6, budget_e6 * ONE_E4 // price_e4 // quantum * quantum)
        else:
            size_e6 = min(maker.remaining_e6, want_e6)
        if size_e6 <= 0:
            break
        cost_e6 = _taker_cash_e6(order, price_e4, size_e6)
        plan.fills.append((maker, size_e6, price_e4))
        plan.size_e6 += size_e6
        plan.cost_e6 += cost_e6
        budget_e6 -= cost_e6
        want_e6 -= size_e6
    if spends:
        plan.full = budget_e6 < ceil_cash_e6(order.price_e4, quantum)
    else:
        plan.full = want_e6 == 0
    rate_e4 = market.rules.fee_rate_e4
    if rate_e4 and plan.fills:
        for price_e4, size_e6 in _sizes_by_price(plan).items():
            plan.fee_e6 += fee_e6(rate_e4, price_e4, size_e6)
    return plan


def commit(
    plan: Plan, market: Market, order: Order, accounts: Accounts, new_id: Callable[[], str]
) -> list[Trade]:
    """Turn a plan into trades, one a price, and take the filled sizes off every order.

    Transfers are prepared here and booked by the settlement.
    """
    trades: list[Trade] = []
    for maker, size_e6, price_e4 in plan.fills:
        if not trades or trades[-1].price_e4 != price_e4:
            trades.append(Trade(new_id(), market, order, price_e4, len(trades)))
        trade = trades[-1]
        trade.fills.append(MakerFill(maker, size_e6))
        trade.size_e6 += size_e6
        maker.remaining_e6 -= size_e6
        if maker.side == order.side:
            trade.minted_e6 += size_e6 if order.side == BUY else -size_e6
        cash_e6 = _taker_cash_e6(order, price_e4, size_e6)
        trade.transfers.append(_side(accounts, order, size_e6, cash_e6))
        if maker.side == order.side:
            cash_e6 = size_e6 - cash_e6
        trade.transfers.append(_side(accounts, maker, size_e6, cash_e6))
    spends = order.is_market and order.side == BUY
    order.remaining_e6 = (
        order.size_e6 - plan.size_e6 if spends else order.remaining_e6 - plan.size_e6
    )
    for trade in trades:
        trade.fee_e6 = fee_e6(market.rules.fee_rate_e4, trade.price_e4, trade.size_e6)
        first = trade.transfers[0]
        if order.side == BUY:
            first.cash_out_e6 += trade.fee_e6
        else:
            first.cash_in_e6 -= trade.fee_e6
    return trades


def _side(accounts: Accounts, order: Order, size_e6: int, cash_e6: int) -> Transfer:
    account = accounts.by_wallet[order.account]
    instrument = 2 * order.market + order.outcome
    if order.side == BUY:
        return Transfer(account, instrument, cash_out_e6=cash_e6, tokens_in_e6=size_e6)
    return Transfer(account, instrument, cash_in_e6=cash_e6, tokens_out_e6=size_e6)


def _taker_cash_e6(order: Order, price_e4: int, size_e6: int) -> int:
    """Cash of the taker: it pays a fraction of a base unit, or goes without."""
    if order.side == BUY:
        return ceil_cash_e6(price_e4, size_e6)
    return floor_cash_e6(price_e4, size_e6)


def _sizes_by_price(plan: Plan) -> dict[int, int]:
    sizes: dict[int, int] = {}
    for _, size_e6, price_e4 in plan.fills:
        sizes[price_e4] = sizes.get(price_e4, 0) + size_e6
    return sizes
