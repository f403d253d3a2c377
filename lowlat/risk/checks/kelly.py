"""No more than a share of what Kelly would stake on the edge, shrunk for what we do not know.

For a binary at all-in cost c a share, worth p = c + e by its module (e: the signal's expected
value over its size, net already), growth is largest at the share f = e / (1 - c) of the bankroll.
The module's p has an error, standard deviation s, so f is shrunk by e^2 / (e^2 + s^2); and only a
fraction k of it is staked, less the nearer a drawdown is to its limit (state.kelly_ppm)::

    shares = bankroll * k * e^3 / (c * (1 - c) * (e^2 + s^2))

Example (feeds.md 6.4): p 0.60, ask 0.55, fee rate 7 %: c = 0.5673, e = 0.0327, f = 7.6 %; with
s = 0.03 shrunk by 0.54 to 4.1 %; a quarter of that is 1.03 % of the bankroll: of 1 000 dollars
10.27, which buys 18.1 shares.

The cost is that of a share at the price that is sent, with the fee of that price. Not the bound
that reserves cash: of a share at 0.96 it would leave next to nothing to win, and nothing to bet on.

The stake is a position, not an order: what is held of the token and what is under way to it counts,
whoever owns it. So modules that agree never add up to more than the best of them alone.

Legs of a set win whatever happens and quotes are bounded by inventory: neither is a bet on p.
Integers throughout: the plain path (lowlat.risk._cells) gives the same shares to the unit.
"""

from lowlat.core.layout import Rule
from lowlat.core.units import E6, ONE_E4
from lowlat.risk.case import Case, Unit
from lowlat.risk.state import RiskState

__all__ = ["check_kelly", "edge_e6", "kelly_cost_e6", "kelly_size_e6"]

_KELLY = int(Rule.KELLY)
_LOW = 0
_BUY = 0
_SPREAD_UNIT = 10**8


def edge_e6(case: Case) -> int:
    """Return what a share is worth beyond its cost, in 1e-6 dollar; 0 when it is worth nothing."""
    edge = case.expected_value * 1e12 / case.suggested_e6
    if not edge > 0.0:
        return 0
    return E6 if edge >= E6 else int(edge)


def kelly_cost_e6(price_e4: int, rate_e6: int, exponent: int) -> int:
    """Return what a share costs with the fee of its price, rounded up, in 1e-6 dollar.

    The fee is ``rate * (p * (1 - p)) ** exponent``. Source: polymarket.md 7.1.
    """
    spread = price_e4 * (ONE_E4 - price_e4)
    fee = rate_e6 * (spread if exponent else _SPREAD_UNIT)
    for _ in range(1, exponent):
        fee = -(-fee * spread // _SPREAD_UNIT)
    return price_e4 * 100 - -fee // _SPREAD_UNIT


def kelly_size_e6(
    bankroll_e6: int, kelly_ppm: int, edge: int, error_e6: int, unit_cost_e6: int
) -> int:
    """Return the most shares (1e-6) for an edge and a cost of one share, all in 1e-6 dollar."""
    edge = min(edge, E6 - unit_cost_e6)
    if edge <= 0 or unit_cost_e6 <= 0:
        return 0
    worth = bankroll_e6 * kelly_ppm * edge**3
    return worth // (unit_cost_e6 * (E6 - unit_cost_e6) * (edge**2 + error_e6**2))


def check_kelly(unit: Unit, state: RiskState) -> int:
    """Cut a directional BUY to its Kelly share; refuse what is below the minimum then."""
    case = unit.cases[0]
    if state.kelly_ppm < 0 or unit.group or not case.buys or case.urgency == _LOW:
        return 0
    most_e6 = kelly_size_e6(
        state.bankroll_e6,
        state.kelly_ppm,
        edge_e6(case),
        state.limits.kelly_error_e4 * 100,
        kelly_cost_e6(state.order_price_e4(case), case.facts.rate_e6, case.facts.exponent),
    )
    most_e6 = max(0, most_e6 - _held_e6(case, state))
    if case.size_e6 <= most_e6:
        return 0
    smaller_e6 = state.floor_size(most_e6, state.common_step_e6)
    if smaller_e6 < state.common_min_e6 or not smaller_e6:
        return case.refuse(_KELLY, most_e6, case.size_e6)
    case.cut(smaller_e6, _KELLY, most_e6, case.size_e6)
    return 0


def _held_e6(case: Case, state: RiskState) -> int:
    """Return the shares of the token that are held or may still be bought by open orders."""
    held_e6: int = case.holding.shares_e6[case.outcome]
    if not state.own.orders_in(case.market):
        return held_e6
    return held_e6 + sum(
        order.size_e6
        for order in state.own
        if order.instrument == case.instrument and order.action == _BUY
    )
