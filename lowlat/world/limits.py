"""Limits as an outsider checks them: from the tables as they stand when an order leaves.

Nothing of risk is used: what is held, what may still fill and what it cost are added up anew, and
which markets are one bet is read from the markets table. Source of the rules: design 8; a SELL
takes no cash, and an unwinding may go beyond any of them.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from lowlat.core.layout import Action, IntentFlag, MarketRow, OrderRow, OrderState, PositionRow
from lowlat.core.units import E6, ONE_E4
from lowlat.risk.limits import LimitsParams

__all__ = ["Account", "excess"]

_OPEN: Final = frozenset(
    {
        OrderState.SENDING,
        OrderState.LIVE,
        OrderState.DELAYED,
        OrderState.UNKNOWN,
    }
)
_PPM: Final = 1_000_000
_SLACK_E6: Final = E6
"""Fees and prices of what fills differ by less from what was counted for it."""
_NO_EVENT: Final = bytes(32)
Compared = tuple[str, int, int]
"""What, how much of it there is, how much is allowed."""


class Account(NamedTuple):
    """What an order meets as it leaves; itself is among the orders."""

    orders: list[OrderRow]
    positions: list[PositionRow]
    market: Callable[[int], MarketRow | None]
    """The row of a market, None when it was never written."""
    wall_ns: int
    bankroll_e6: int


def excess(leaving: OrderRow, account: Account, limits: LimitsParams) -> str:
    """Say which limit the order that leaves is over, counting everything in flight as filled."""
    if leaving.order_flags & IntentFlag.UNWIND or leaving.action != Action.BUY:
        return ""
    flying = [row for row in account.orders if row.state in _OPEN]
    held = [row for row in account.positions if row.size_e6]
    fixed: list[Compared] = [
        ("dollars of an order", _notional_e6(leaving), limits.order_notional_e6_max),
        ("shares of an order", leaving.size_e6, limits.order_shares_e6_max),
        ("open orders", len(flying), limits.open_orders_max),
    ]
    shares = (
        (what, was, account.bankroll_e6 * ppm // _PPM + _SLACK_E6)
        for what, was, ppm in _shares(leaving, flying, held, account, limits)
    )
    return next(
        (
            f"{what}: {was}, allowed {most}"
            for each in (fixed, shares)
            for what, was, most in each
            if was > most
        ),
        "",
    )


def _shares(
    leaving: OrderRow,
    flying: list[OrderRow],
    held: list[PositionRow],
    account: Account,
    limits: LimitsParams,
) -> Iterator[Compared]:
    """Yield what is compared with a share of the bankroll; the last number is in ppm of it."""
    market = leaving.instrument >> 1
    yield "cash locked", _locked_e6(flying, held), limits.cash_locked_max_ppm
    losses: dict[object, int] = {}
    bets: dict[tuple[str, object], int] = {}
    for key, members in _bundles(flying, held, account).items():
        here = [row for row in flying if row.instrument >> 1 in members]
        loss_e6 = _reserved_e6(here) + _held_loss_e6(held, members)
        losses[key] = loss_e6
        for bet in {bet for row in members.values() if row is not None for bet in _bets(row)}:
            bets[bet] = bets.get(bet, 0) + loss_e6
    yield "what all markets may lose", sum(losses.values()), limits.total_loss_max_ppm
    row = account.market(market)
    alone = {market: None}
    in_flight_e6 = _reserved_e6(each for each in flying if each.instrument >> 1 == market)
    loss_e6 = in_flight_e6 + _held_loss_e6(held, alone)
    yield f"what market {market} may lose", loss_e6, limits.market_loss_max_ppm
    yield "what its event may lose", losses[_bundle(market, row)], limits.correlated_loss_max_ppm
    if row is None:
        return
    ppm = {
        "underlying": limits.correlated_loss_max_ppm,
        "series": limits.series_loss_max_ppm,
        "source": limits.source_loss_max_ppm,
    }
    for bet in _bets(row):
        yield f"what its {bet[0]} may lose", bets[bet], ppm[bet[0]]
    late_ns = account.wall_ns + limits.long_horizon_ns
    if _ends_late(row, late_ns):
        long_flying = [each for each in flying if _is_late(each.instrument, account, late_ns)]
        long_held = [each for each in held if _is_late(each.instrument, account, late_ns)]
        # Pairs of both outcomes can be merged at any time: they are not stuck.
        markets = {each.instrument >> 1 for each in long_held}
        stuck_e6 = sum(_held_loss_e6(long_held, {each: None}) for each in markets)
        locked_e6 = _reserved_e6(long_flying) + stuck_e6
        yield "cash locked for long", locked_e6, limits.long_locked_max_ppm


def _notional_e6(order: OrderRow) -> int:
    return order.price_e4 * order.size_e6 // ONE_E4


def _reserved_e6(orders: Iterable[OrderRow]) -> int:
    return sum(row.reserved_e6 for row in orders)


def _locked_e6(flying: Iterable[OrderRow], held: Iterable[PositionRow]) -> int:
    return _reserved_e6(flying) + sum(row.cost_e6 for row in held)


def _is_late(instrument: int, account: Account, late_ns: int) -> bool:
    row = account.market(instrument >> 1)
    return row is None or _ends_late(row, late_ns)


def _ends_late(row: MarketRow, late_ns: int) -> bool:
    """Whether a market ends behind a time, or nobody knows when."""
    return not row.end_ns or row.end_ns > late_ns


def _bets(row: MarketRow) -> list[tuple[str, object]]:
    """Return what a market is one bet with others in."""
    found = (
        ("underlying", row.correlation_id),
        ("series", row.series_hash),
        ("source", row.source_hash),
    )
    return [(name, key) for name, key in found if key]


def _bundle(market: int, row: MarketRow | None) -> object:
    """Return what wins or loses together for sure: an exclusive event, or the market alone."""
    return row.event_id if row is not None and _is_exclusive(row) else market


def _is_exclusive(row: MarketRow) -> bool:
    return row.neg_risk == 1 and row.event_id != _NO_EVENT


def _bundles(
    flying: Iterable[OrderRow], held: Iterable[PositionRow], account: Account
) -> dict[object, dict[int, MarketRow | None]]:
    """Return every bundle in which something is held or in flight, and its markets."""
    found: dict[object, dict[int, MarketRow | None]] = {}
    markets = {row.instrument >> 1 for row in flying} | {row.instrument >> 1 for row in held}
    for market in sorted(markets):
        row = account.market(market)
        found.setdefault(_bundle(market, row), {})[market] = row
    return found


def _held_loss_e6(held: list[PositionRow], members: Mapping[int, MarketRow | None]) -> int:
    """Return what the shares of one bundle lose at worst, by listing who may win."""
    here = [row for row in held if row.instrument >> 1 in members]
    yes = dict.fromkeys(members, 0)
    no = dict.fromkeys(members, 0)
    for each in here:
        side = no if each.instrument & 1 else yes
        side[each.instrument >> 1] += each.size_e6
    known = next(iter(members.values()))
    if known is None or not _is_exclusive(known):
        worst_e6 = min(sum(yes.values()), sum(no.values()))
    else:
        all_no_e6 = sum(no.values())
        pays = [all_no_e6 - no[market] + yes[market] for market in members]
        if len(members) < known.event_market_count or known.neg_risk_augmented:
            # Somebody else may win: every NO pays then.
            pays.append(all_no_e6)
        worst_e6 = min(pays)
    return max(0, sum(row.cost_e6 for row in here) - worst_e6)
