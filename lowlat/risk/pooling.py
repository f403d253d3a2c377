"""Make one wish of what modules agree on, and net what they disagree on. Pure.

Run by the Aggregator over the wishes of one turn that come alone (legs of a set stay as they are).

* **Agree** (same side of the same token, different modules): each says what a share is worth to
  it, its limit plus its expected value a share. The pooled value is the mean of these, weighted by
  confidence. The dearest wish goes on with its own size and the pooled value in place of its own;
  the others end as MERGED. Sizes never add; when the pool says the limit is too dear, all end.
* **Disagree** (one gains when YES rises, the other when it falls). When one owns what the other
  wants to buy, the shares change owner and both end as CROSSED (``crossing``). When both buy, one
  of each token, each wants a position that the other would offset: that part, in shares, is not
  traded, so nobody pays the spread to a stranger; the larger wish goes on with what is left, the
  smaller ends as CROSSED, told with the mid of their two limits. Wishes whose limits do not meet
  are no matter for each other. A module that is only shadowed takes part in none of this: it moves
  no other's orders.

Worked example. Module a: BUY YES 100 at .40 worth 5.00 (so .45 a share), confidence .6; module b:
BUY YES 40 at .41 worth .40 (.42), confidence .2. Pooled: (.6 * .45 + .2 * .42) / .8 = .4425. One
wish goes on: a's, 100 at .40, worth 100 * (.4425 - .40) = 4.25.
"""

from collections.abc import Callable
from typing import Final

from lowlat.core.layout import Action, Rule
from lowlat.core.units import E6
from lowlat.risk.case import Case, Unit, usd_e6

__all__ = ["merge", "net"]

_LOW: Final = 0
_E4: Final = 10_000
_BUY: Final = int(Action.BUY)


def merge(units: list[Unit]) -> tuple[list[Unit], list[Unit]]:
    """Return the units that go on, and those that went into another; their cases say so."""
    by_wish: dict[tuple[int, int], list[Unit]] = {}
    for unit in units:
        case = unit.cases[0]
        if not unit.group and case.urgency != _LOW and case.action == _BUY:
            by_wish.setdefault((case.instrument, case.action), []).append(unit)
    merged = []
    for pool in by_wish.values():
        if len({unit.cases[0].module for unit in pool}) < 2:
            continue
        pool.sort(key=lambda unit: (-unit.expected_value, unit.order))
        best = pool[0]
        own = best.expected_value
        _take_value(best, _pooled_value(pool))
        for unit in pool[1:]:
            if unit.cases[0].module == best.cases[0].module:
                continue
            case = unit.cases[0]
            case.refuse(Rule.MERGED, usd_e6(own), usd_e6(case.expected_value))
            merged.append(unit)
    return [unit for unit in units if unit not in merged], merged


def _pooled_value(pool: list[Unit]) -> float:
    """Return what a share is worth to the modules together, in dollars."""
    weights = [max(unit.cases[0].confidence, 1e-9) for unit in pool]
    worths = [_worth(unit.cases[0]) for unit in pool]
    return sum(w * v for w, v in zip(weights, worths, strict=True)) / sum(weights)


def _worth(case: Case) -> float:
    return case.limit_price_e4 / _E4 + case.expected_value * E6 / case.suggested_e6


def _take_value(unit: Unit, worth: float) -> None:
    case = unit.cases[0]
    edge = worth - case.limit_price_e4 / _E4
    case.expected_value = unit.expected_value = edge * case.suggested_e6 / E6


def net(
    units: list[Unit], hand_over: Callable[[Case, Case], bool]
) -> tuple[list[Unit], list[Unit]]:
    """Return the units that go on, cut by what was crossed, and those that were crossed whole.

    ``units``: dearest first. The size that is left decides who goes on, not the value: that is
    what both modules together want of the market. ``hand_over(one, two)`` moves shares between two
    modules where it can, and says so itself: those units are in neither list.
    """
    handed: list[Unit] = []
    crossed: list[Unit] = []
    open_by_market: dict[int, list[Unit]] = {}
    for unit in units:
        case = unit.cases[0]
        if unit.group or case.urgency == _LOW:
            continue
        rivals = open_by_market.setdefault(case.market, [])
        for rival in rivals:
            other = rival.cases[0]
            if other.rule or case.rule or other.module == case.module:
                continue
            if other.direction == case.direction or not _meet(case, other):
                continue
            if not (case.buys and other.buys):
                # A sale that nobody may make is no reason to keep another from buying.
                if hand_over(case, other):
                    handed += [unit, rival]
                continue
            _cross(case, other)
            crossed += [each for each in (unit, rival) if each.cases[0].rule]
        rivals.append(unit)
    ended = {id(unit) for unit in (*crossed, *handed)}
    return [unit for unit in units if id(unit) not in ended], crossed


def _theirs_e4(case: Case, other: Case) -> int:
    """Return the other's limit in terms of a case's own token."""
    theirs_e4: int = other.limit_price_e4
    return theirs_e4 if other.outcome == case.outcome else _E4 - theirs_e4


def _meet(one: Case, two: Case) -> bool:
    """Whether a price suits both: who gains when YES rises pays at least what the other takes."""
    up, down = (one, two) if one.direction > 0 else (two, one)
    up_e4: int = up.limit_price_e4 if up.outcome == 0 else _E4 - up.limit_price_e4
    down_e4: int = down.limit_price_e4 if down.outcome == 0 else _E4 - down.limit_price_e4
    return up_e4 >= down_e4


def _cross(one: Case, two: Case) -> None:
    """Take what both want out of both; whoever has nothing left ends here."""
    size_e6 = min(one.size_e6, two.size_e6)
    for case, other in ((one, two), (two, one)):
        mid_e4 = (case.limit_price_e4 + _theirs_e4(case, other)) // 2
        left_e6 = case.size_e6 - size_e6
        if left_e6 <= 0:
            case.refuse(Rule.CROSSED, mid_e4, size_e6)
        else:
            case.cut(left_e6, Rule.CROSSED, mid_e4, size_e6)
