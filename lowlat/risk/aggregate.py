"""Put the turn's signals together: whole groups, each wish once, agreement pooled, dearest first.

Run by RiskEngine before any check. A signal leaves here in a unit to be checked or refused with a
rule; none is forgotten. Deterministic: ties go by arrival.
"""

from collections.abc import Callable

from lowlat.core.layout import Rule
from lowlat.core.units import E4, E6
from lowlat.risk._case import Granted
from lowlat.risk.case import Case, Unit, usd_e6
from lowlat.risk.limits import LimitsParams
from lowlat.risk.pooling import merge, net

__all__ = ["Aggregator"]


class Aggregator:
    """Signals in, ranked units out."""

    def __init__(
        self, hours_to_end: Callable[[int], float], hand_over: Callable[[Case, Case], bool]
    ) -> None:
        """``hours_to_end(market)``: how long money in it is locked at least.

        ``hand_over(one, two)`` moves shares between the modules of two opposite wishes, if it can.
        """
        self._hours_to_end = hours_to_end
        self._hand_over = hand_over
        self.refused: list[Case] = []
        """Cases that ended here; their rule says why. Emptied by the engine."""
        self.take_backs: list[Case] = []
        """Wishes to rest nothing more on a side. Emptied by the engine."""
        self._ready: list[Unit] = []
        self.groups: dict[int, Unit] = {}
        """Legs held back for the rest of their group; always the same dict."""
        self.granted = Granted()
        """Wishes that were sent lately."""
        self._taken: dict[int, float] = {}
        """Instruments approved this turn, with the value of their unit."""
        self._directions: dict[int, int] = {}
        """Which way each market was approved this turn, 0 = both (a set)."""
        self._count = 0

    @property
    def held(self) -> int:
        """Return how many legs wait in here without a decision."""
        return sum(len(unit.cases) for unit in self.groups.values())

    def take(self, case: Case, now_ns: int) -> None:
        """Take a signal; legs wait for their group."""
        self._count += 1
        if case.takes_back:
            self.take_backs.append(case)
            return
        if case.legs == 1:
            self._ready.append(Unit(case, self._count, now_ns))
            return
        if not case.group or case.leg >= case.legs:
            case.refuse(Rule.GROUP_INCOMPLETE, case.legs, case.leg)
            self.refused.append(case)
            return
        unit = self.groups.get(case.group)
        if unit is None:
            unit = self.groups[case.group] = Unit(case, self._count, now_ns)
        elif unit.cases[0].legs != case.legs or unit.cases[0].module != case.module:
            case.refuse(Rule.GROUP_INCOMPLETE, unit.cases[0].legs, case.legs)
            self.refused.append(case)
            return
        else:
            unit.add(case)
        if len(unit.cases) == case.legs:
            del self.groups[case.group]
            if unit.complete:
                self._ready.append(unit)
            else:
                self._refuse(unit, Rule.GROUP_INCOMPLETE, case.legs, len(unit.cases))

    def drop_epochs(self, epoch: int) -> None:
        """Refuse what another life of the signals writer left behind."""
        for unit in self._ready:
            if unit.cases[0].epoch != epoch:
                self._refuse(unit, Rule.DROPPED_EPOCH, epoch, unit.cases[0].epoch)
        self._ready = [unit for unit in self._ready if unit.cases[0].epoch == epoch]
        for group, unit in list(self.groups.items()):
            if any(case.epoch != epoch for case in unit.cases):
                del self.groups[group]
                self._refuse(unit, Rule.DROPPED_EPOCH, epoch, unit.cases[0].epoch)

    def ranked(self, now_ns: int, limits: LimitsParams) -> list[Unit]:
        """Return what is whole and in time, dearest first; refuse what waited too long."""
        for group, unit in list(self.groups.items()):
            if now_ns - unit.seen_ns > limits.group_wait_ns or now_ns >= unit.expires_ns:
                del self.groups[group]
                self._refuse(unit, Rule.GROUP_INCOMPLETE, unit.cases[0].legs, len(unit.cases))
        ready = self._ready
        if not ready:
            return ready
        self._ready = []
        self._taken.clear()
        self._directions.clear()
        if len(ready) > 1:
            rank = _rank
            if limits.rank_by_capital_hour:
                rank = self._rank_by_capital_hour
            # Only units that may still be sent are pooled or netted.
            ready = [unit for unit in ready if not self._is_spent(unit, now_ns)]
            sent = [unit for unit in ready if unit.cases[0].mode >= limits.mode_min]
            shadows = [unit for unit in ready if unit.cases[0].mode < limits.mode_min]
            sent, merged = merge(sent)
            sent.sort(key=rank)
            sent, crossed = net(sent, self._hand_over)
            for unit in (*merged, *crossed):
                self.refused.extend(unit.cases)
            ready = sent
            if shadows:
                ready = sorted((*sent, *shadows), key=rank)
        return ready

    def _is_spent(self, unit: Unit, now_ns: int) -> bool:
        if now_ns < unit.expires_ns:
            return False
        self._refuse(unit, Rule.EXPIRED, unit.expires_ns, now_ns)
        return True

    def _rank_by_capital_hour(self, unit: Unit) -> tuple[float, int, int, int]:
        """Rank by value over what is locked and for how long: who pays back soon goes first."""
        locked = sum(
            case.limit_price_e4 / E4 * case.size_e6 / E6 * self._hours_to_end(case.market)
            for case in unit.cases
            if case.buys
        )
        rank = _rank(unit)
        return (rank[0] / locked if locked > 0 else rank[0] * 1e9, *rank[1:])

    def veto(self, unit: Unit, now_ns: int, limits: LimitsParams) -> bool:
        """Refuse a unit that is spent, a duplicate, or behind a better one of this turn."""
        if now_ns >= unit.expires_ns:
            self._refuse(unit, Rule.EXPIRED, unit.expires_ns, now_ns)
            return True
        window_ns = limits.duplicate_window_ns
        for case in unit.cases:
            age_ns = self.granted.age(case, now_ns, window_ns)
            if age_ns >= 0:
                # Another module was granted the same just now: sizes do not add.
                rule = Rule.MERGED if self.granted.by_other else Rule.DUPLICATE
                self._refuse(unit, rule, window_ns, age_ns)
                return True
            if not self._taken:
                continue
            better = self._taken.get(case.instrument)
            if better is not None:
                own = usd_e6(unit.expected_value)
                self._refuse(unit, Rule.OUTRANKED, usd_e6(better), own)
                return True
            direction = self._directions.get(case.market)
            if direction is not None and direction != case.direction:
                self._refuse(unit, Rule.CONFLICT, direction, case.direction)
                return True
        return False

    def approved(self, unit: Unit, now_ns: int) -> None:
        """Remember what was sent, so that it is not sent twice."""
        for case in unit.cases:
            self.granted.add(case, now_ns)
            self._taken[case.instrument] = unit.expected_value
            direction = case.direction
            known = self._directions.setdefault(case.market, direction)
            if known != direction:
                self._directions[case.market] = 0

    def _refuse(self, unit: Unit, rule: Rule, limit: int, was: int) -> None:
        for case in unit.cases:
            case.refuse(rule, limit, was)
        self.refused.extend(unit.cases)


def _rank(unit: Unit) -> tuple[float, int, int, int]:
    """Dearest first; of equals the more urgent, then who has less time, then who came first."""
    return -unit.expected_value, -unit.cases[0].urgency, unit.expires_ns, unit.order
