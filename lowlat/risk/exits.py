"""Sell what is to be left, whatever its module does: orphans, stops, targets, time. Run by risk.

Each second the stakes are looked at; what is due becomes a SELL of the owner's shares at the touch,
reduce-only, that passes every check of a signal but the one for its value. Its decision carries the
rule that asked for it. Nothing is sold of a book that is not fresh, and no leg beside another one
of the same event: together they may be worth more than apart.

=============  ===================================================================================
EXIT_ORPHAN    ``limits.orphans_sell``: the module of the shares is off
EXIT_STOP      ``limits.exits.NAME.stop_ppm`` below what a share cost, seen BREACHES times in a row
EXIT_TARGET    the bid reached ``target_e4``
EXIT_TIME      held for ``hold_ns_max``
=============  ===================================================================================

Without a key the module itself ends what it began, which is the default; shares of nobody (a
person's, on the same wallet) are never sold. Source: design 8; feeds.md 6.9 (single looks at thin
books are false alarms).
"""

from typing import Final

from lowlat.core.layout import SIGNAL, Action, Rule, SignalRecord, Urgency
from lowlat.core.units import E4
from lowlat.risk._case import Case, CaseReader
from lowlat.risk._records import Names
from lowlat.risk.case import Unit
from lowlat.risk.limits import ExitParams
from lowlat.risk.scores import NOBODY, Stake
from lowlat.risk.state import RiskState

__all__ = ["Exits"]

BREACHES: Final = 3
_LOOK_NS: Final = 1_000_000_000
_AGAIN_NS: Final = 5 * _LOOK_NS
_REFUSED_NS: Final = 60 * _LOOK_NS
_PPM: Final = 1_000_000
_SELL: Final = int(Action.SELL)
_IMMEDIATE: Final = int(Urgency.IMMEDIATE)
_NONE: Final = ExitParams()
_EMPTY: Final = SIGNAL.unpack(bytearray(SIGNAL.size_bytes))

Key = tuple[bytes, int]
"""Owner and instrument."""


class Exits:
    """What waits to be sold. Owned by the risk engine, which decides on what ``due`` returns."""

    def __init__(self, state: RiskState, names: Names) -> None:
        self._state = state
        self._names = names
        self._slot = memoryview(bytearray(SIGNAL.size_bytes))
        self._reader = CaseReader(self._slot)
        self._look_ns = 0
        self._breaches: dict[Key, int] = {}
        self._next_ns: dict[Key, int] = {}

    @property
    def wanted(self) -> bool:
        """Whether the limits ask for any exit."""
        limits = self._state.limits
        return limits.orphans_sell or bool(limits.exits)

    def due(self, now_ns: int) -> list[Unit]:
        """Return what is to be sold now; the caller decides on each and says how it ended."""
        if now_ns < self._look_ns or not self.wanted or self._state.waiting:
            return []
        self._look_ns = now_ns + _LOOK_NS
        found = []
        stakes = self._state.scores.stakes
        for key in [key for key in self._next_ns if not self._holds(key)]:
            del self._next_ns[key]
        for key, stake in list(stakes.items()):
            if not stake.size_e6 or stake.owner == NOBODY:
                self._breaches.pop(key, None)
            elif now_ns >= self._next_ns.get(key, 0):
                unit = self._unit(key, stake, now_ns)
                if unit is not None:
                    found.append(unit)
        return found

    def ended(self, unit: Unit, now_ns: int) -> None:
        """Wait before the same shares are tried again, longer when they were refused."""
        case = unit.cases[0]
        wait_ns = _REFUSED_NS if case.rule else _AGAIN_NS
        self._next_ns[case.module, case.instrument] = now_ns + wait_ns

    def _holds(self, key: Key) -> bool:
        stake = self._state.scores.stakes.get(key)
        return stake is not None and stake.size_e6 > 0

    def _unit(self, key: Key, stake: Stake, now_ns: int) -> Unit | None:
        state = self._state
        market, outcome = stake.instrument >> 1, stake.instrument & 1
        facts, holding = state.facts.get(market), state.exposure.holdings.get(market)
        if facts is None or holding is None or facts.generation != stake.generation:
            return None
        view = state.book(market)
        if (
            view is None
            or view.generation != stake.generation
            or not state.shards.is_fresh(view.shard, view.connection_generation, now_ns)
        ):
            return None
        bid_e4 = view.best_bid_e4(outcome)
        why = None if bid_e4 <= 0 else self._why(key, stake, bid_e4)
        if why is None or holding.selling_e6[outcome] or self._is_part_of_more(stake):
            return None
        size_e6 = min(stake.size_e6, holding.confirmed_e6[outcome], view.best_bid_size_e6(outcome))
        size_e6 -= size_e6 % facts.step_e6 if facts.step_e6 else 0
        if size_e6 < facts.min_size_e6 or not size_e6:
            return None
        return self._wish(stake, size_e6, bid_e4, why, now_ns)

    def _why(self, key: Key, stake: Stake, bid_e4: int) -> tuple[Rule, int, int] | None:
        """Return the rule that asks for an exit, its limit and what met it."""
        limits = self._state.limits
        plan = limits.exits.get(stake.owner.rstrip(b"\0").decode("ascii", "replace"), _NONE)
        cost_e4 = stake.cost_e6 * E4 // stake.size_e6
        stop_e4 = cost_e4 * (_PPM - plan.stop_ppm) // _PPM
        breaches = self._breaches.get(key, 0) + 1 if plan.stop_ppm and bid_e4 <= stop_e4 else 0
        self._breaches[key] = breaches
        held_ns = self._state.wall_ns - stake.opened_ns
        if limits.orphans_sell and self._state.scores.is_orphan(stake.owner):
            return Rule.EXIT_ORPHAN, 0, 1
        if breaches >= BREACHES:
            return Rule.EXIT_STOP, stop_e4, bid_e4
        if plan.target_e4 and bid_e4 >= plan.target_e4:
            return Rule.EXIT_TARGET, plan.target_e4, bid_e4
        if plan.hold_ns_max and held_ns >= plan.hold_ns_max:
            return Rule.EXIT_TIME, plan.hold_ns_max, held_ns
        return None

    def _is_part_of_more(self, stake: Stake) -> bool:
        """Whether its owner holds another token of the same event: a set is not sold by legs."""
        holdings = self._state.exposure.holdings
        bucket = holdings[stake.instrument >> 1].bucket
        return any(
            other is not stake
            and other.size_e6 > 0
            and other.owner == stake.owner
            and (held := holdings.get(other.instrument >> 1)) is not None
            and held.bucket is bucket
            for other in self._state.scores.stakes.values()
        )

    def _wish(
        self, stake: Stake, size_e6: int, bid_e4: int, why: tuple[Rule, int, int], now_ns: int
    ) -> Unit:
        limits = self._state.limits
        record: SignalRecord = _EMPTY._replace(
            id=self._names.next_id(),
            recv_ns=now_ns,
            decoded_ns=now_ns,
            published_ns=now_ns,
            decided_ns=now_ns,
            expires_ns=now_ns + limits.intent_life_ns_max,
            size_suggestion_e6=size_e6,
            module=stake.owner,
            instrument=stake.instrument,
            generation=stake.generation,
            limit_price_e4=bid_e4,
            action=_SELL,
            urgency=_IMMEDIATE,
            legs=1,
            mode=limits.mode_min,
        )
        SIGNAL.pack(self._slot, record)
        case: Case = self._reader.case()
        rule, limit, was = why
        case.cut_rule, case.cut_limit, case.cut_was = int(rule), limit, was
        return Unit(case, 0, now_ns, is_exit=True)
