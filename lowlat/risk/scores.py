"""What each module owns, may use, promised and earned; who lost too much or promised too much.

Owned by risk. A stake is what one module owns of one token, all its lots together (the ledger
keeps each lot by itself, first in first out; risk needs sums). A sale takes the seller's own stake
first; shares that come or go without an order of ours belong to nobody (16 NUL bytes).

::

    loss today     = worth at midnight - worth now,  worth = realized + marks - cost
    stopped        when the loss today passes its limit on three looks in a row, until midnight
                   or until somebody resumes; then the module may only sell
    realized ratio = realized / promised over closed lots, once there are enough of them
    damped         to ratio / least ratio of its sizes when the ratio is below the least,
                   never below the floor: a module that mended can show it
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Final

from lowlat.core.recovered import Owned
from lowlat.core.units import E6
from lowlat.risk._scores import Score, ScoreCells
from lowlat.risk.limits import LimitsParams

__all__ = ["NOBODY", "Record", "Scores", "Stake"]

NOBODY: Final = bytes(16)
"""Owner of shares that no order of ours brought."""
_PPM: Final = 1_000_000
_LOOKS: Final = 3


class Stake:
    """What one module owns of one token."""

    __slots__ = (
        "booked",
        "cost_e6",
        "generation",
        "instrument",
        "opened_ns",
        "owner",
        "promised_e6",
        "size_e6",
    )

    def __init__(self, owner: bytes, instrument: int, generation: int, opened_ns: int) -> None:
        self.owner = owner
        self.instrument = instrument
        self.generation = generation
        self.opened_ns = opened_ns
        self.size_e6 = 0
        self.cost_e6 = 0
        self.promised_e6 = 0
        self.booked = 0
        """Name of the report that changed it last: a report read twice counts once."""


class Record:
    """A module's history, beside the words that its orders change (score)."""

    __slots__ = (
        "crossed_e6",
        "day_start_e6",
        "fills",
        "looks",
        "lots",
        "open_e6",
        "promised_e6",
        "realized_e6",
        "score",
    )

    def __init__(self, score: Score) -> None:
        self.score = score
        self.realized_e6 = self.promised_e6 = self.open_e6 = self.day_start_e6 = 0
        self.crossed_e6 = 0
        self.fills = self.lots = self.looks = 0

    @property
    def loss_today_e6(self) -> int:
        """What was lost since midnight; negative for a gain."""
        return self.day_start_e6 - self.realized_e6 - self.open_e6


class Scores(ScoreCells):
    """All modules, and what they own."""

    def __init__(self, limits: LimitsParams) -> None:
        self._limits = limits
        self.records: dict[bytes, Record] = {}
        self.stakes: dict[tuple[bytes, int], Stake] = {}
        self._by_token: dict[int, list[Stake]] = {}
        self.changed: dict[tuple[bytes, int], Stake] = {}
        """Stakes whose rows are old."""
        self.at_work: frozenset[bytes] | None = None
        """Modules that are not off; None while nobody said."""

    def set_limits(self, limits: LimitsParams) -> None:
        """Take other budgets and measures."""
        self._limits = limits
        for record in self.records.values():
            record.score.budget_ppm = limits.budget_ppm(_text(record.score.module))
            self._damp(record)

    def set_at_work(self, modules: Collection[str] | None) -> None:
        """Say which modules are not off; None: nobody knows, so all are."""
        if modules is None:
            self.at_work = None
            return
        names = [name.encode("ascii", "replace").ljust(len(NOBODY), b"\0") for name in modules]
        self.at_work = frozenset(names)
        for name in names:
            self.score(name)

    def score(self, module: bytes) -> Score:
        """Return a module's words, made when it is first heard of."""
        score = self.get(module)
        if score is None:
            score = Score(module)
            score.budget_ppm = self._limits.budget_ppm(_text(module))
            self.scores.append(score)
            self.records[module] = Record(score)
        return score

    # ------------------------------------------------------------------------------- stakes
    def owned_e6(self, module: bytes, instrument: int) -> int:
        """Return the shares of a token that are a module's."""
        stake = self.stakes.get((module, instrument))
        return stake.size_e6 if stake is not None else 0

    def of_token(self, instrument: int) -> list[Stake]:
        """Return what everybody owns of a token."""
        return self._by_token.get(instrument, [])

    def put(self, stake: Stake) -> None:
        """Take a stake as it stood in another life."""
        key = stake.owner, stake.instrument
        assert key not in self.stakes, f"stake {key} was there before"
        self.stakes[key] = stake
        self._by_token.setdefault(stake.instrument, []).append(stake)
        self.score(stake.owner).cost_e6 += stake.cost_e6

    def recall(self, owned: Owned, instrument: int, generation: int) -> None:
        """Take a stake as it stood before a reboot; what came of it then is in the record."""
        self.score(owned.owner)
        stake = self._stake(owned.owner, instrument, generation, owned.opened_ns)
        stake.size_e6 += owned.size_e6
        stake.promised_e6 += owned.promised_e6
        self._add_cost(stake, owned.cost_e6)

    def _stake(self, owner: bytes, instrument: int, generation: int, wall_ns: int) -> Stake:
        stake = self.stakes.get((owner, instrument))
        if stake is None:
            stake = Stake(owner, instrument, generation, wall_ns)
            self.put(stake)
        elif stake.generation != generation or not stake.size_e6:
            # The row holds another market, or what it held is gone: a new stake begins.
            self._take(stake, stake.size_e6, stake.cost_e6)
            stake.generation, stake.opened_ns = generation, wall_ns
        return stake

    def bought(
        self,
        owner: bytes,
        instrument: int,
        generation: int,
        size_e6: int,
        cost_e6: int,
        promise_e6: int,
        report: int,
        wall_ns: int,
    ) -> None:
        """Add shares to a stake. ``promise_e6``: of one share, beyond its cost."""
        stake = self._stake(owner, instrument, generation, wall_ns)
        if report and stake.booked >= report:
            return
        stake.booked = max(stake.booked, report)
        stake.size_e6 += size_e6
        stake.promised_e6 += promise_e6 * size_e6 // E6
        self._add_cost(stake, cost_e6)
        self.records[owner].fills += 1

    def left(
        self, owner: bytes, instrument: int, size_e6: int, proceeds_e6: int | None, report: int
    ) -> None:
        """Take shares out, of the owner's stake first, and realize what they brought.

        ``proceeds_e6`` None: nobody knows, so nothing is earned or lost by it.
        """
        stakes = self.of_token(instrument)
        if report and any(stake.booked >= report for stake in stakes):
            return
        left_e6 = size_e6
        for stake in sorted(stakes, key=lambda stake: self._turn(stake.owner, owner)):
            taken_e6 = min(stake.size_e6, left_e6)
            if taken_e6 <= 0:
                continue
            share_e6 = None if proceeds_e6 is None else proceeds_e6 * taken_e6 // left_e6
            self._take(stake, taken_e6, share_e6)
            stake.booked = max(stake.booked, report)
            left_e6 -= taken_e6
            proceeds_e6 = None if proceeds_e6 is None else proceeds_e6 - (share_e6 or 0)
            if not left_e6:
                break

    def undone(
        self, owner: bytes, instrument: int, size_e6: int, cost_e6: int, report: int
    ) -> None:
        """Take back a purchase that failed: shares and cost go, nothing is realized."""
        stake = self.stakes.get((owner, instrument))
        if stake is None or not stake.size_e6:
            return
        if report and stake.booked >= report:
            return
        stake.booked = max(stake.booked, report)
        taken_e6 = min(size_e6, stake.size_e6)
        stake.promised_e6 -= stake.promised_e6 * taken_e6 // stake.size_e6
        stake.size_e6 -= taken_e6
        self._add_cost(stake, -min(cost_e6, stake.cost_e6) if stake.size_e6 else -stake.cost_e6)

    def level(
        self, instrument: int, generation: int, size_e6: int, payout_e6: int | None, wall_ns: int
    ) -> None:
        """Make the stakes of a token add up to what the account holds; pure bookkeeping.

        What is more belongs to nobody; what is less left everybody alike, for ``payout_e6`` a
        share, or for its own cost when the payout is not known.
        """
        known_e6 = sum(stake.size_e6 for stake in self.of_token(instrument))
        if known_e6 < size_e6:
            self.bought(NOBODY, instrument, generation, size_e6 - known_e6, 0, 0, 0, wall_ns)
            return
        gone_e6 = known_e6 - size_e6
        for stake in list(self.of_token(instrument)) if gone_e6 else ():
            taken_e6 = -(-stake.size_e6 * gone_e6 // known_e6) if known_e6 else 0
            known_e6 -= stake.size_e6
            gone_e6 -= taken_e6
            if taken_e6:
                brought_e6 = None if payout_e6 is None else payout_e6 * taken_e6 // E6
                self._take(stake, taken_e6, brought_e6)

    def cross(
        self,
        seller: Stake,
        buyer: bytes,
        size_e6: int,
        cash_e6: int,
        promise_e6: int,
        wall_ns: int,
    ) -> None:
        """Hand shares from one module to another for cash, inside: the account does not move.

        ``promise_e6``: what a share is worth to the buyer beyond its cost.
        """
        assert 0 < size_e6 <= seller.size_e6, f"{size_e6} of {seller.size_e6} change hands"
        token = seller.instrument, seller.generation
        self._take(seller, size_e6, cash_e6)
        self.bought(buyer, *token, size_e6, cash_e6, promise_e6, 0, wall_ns)
        for module in (seller.owner, buyer):
            self.records[module].crossed_e6 += size_e6

    def _take(self, stake: Stake, size_e6: int, proceeds_e6: int | None) -> None:
        """Close a part of a stake."""
        if not stake.size_e6:
            return
        cost_e6 = stake.cost_e6 * size_e6 // stake.size_e6
        promised_e6 = stake.promised_e6 * size_e6 // stake.size_e6
        stake.size_e6 -= size_e6
        stake.promised_e6 -= promised_e6
        self._add_cost(stake, -cost_e6)
        if proceeds_e6 is None:
            return
        record = self.records[stake.owner]
        record.realized_e6 += proceeds_e6 - cost_e6
        record.promised_e6 += promised_e6
        record.lots += 1
        self._damp(record)

    def _add_cost(self, stake: Stake, cost_e6: int) -> None:
        stake.cost_e6 += cost_e6
        self.records[stake.owner].score.cost_e6 += cost_e6
        self.changed[stake.owner, stake.instrument] = stake

    def _damp(self, record: Record) -> None:
        limits = self._limits
        share = _PPM
        if limits.damp_after_lots and record.lots >= limits.damp_after_lots:
            promised_e6 = record.promised_e6
            ratio = max(0, record.realized_e6) * _PPM // promised_e6 if promised_e6 > 0 else _PPM
            if ratio < limits.damp_ratio_min_ppm:
                share = max(limits.damp_floor_ppm, ratio * _PPM // limits.damp_ratio_min_ppm)
        record.score.damp_ppm = share

    def _turn(self, owner: bytes, seller: bytes) -> int:
        """Return whose shares go first: the seller's, then those that nobody looks after."""
        return 0 if owner == seller else 1 if self.is_orphan(owner) else 2

    def is_orphan(self, owner: bytes) -> bool:
        """Whether nobody looks after what this owner has: it is off, or nobody."""
        return owner == NOBODY or (self.at_work is not None and owner not in self.at_work)

    def for_sale_e6(self, module: bytes, instrument: int) -> int:
        """Return the shares of a token that a module may sell: its own, and orphaned ones."""
        return sum(
            stake.size_e6
            for stake in self.of_token(instrument)
            if stake.owner == module or self.is_orphan(stake.owner)
        )

    # ------------------------------------------------------------------------------- days
    def by_owner(self) -> Iterator[tuple[bytes, list[Stake]]]:
        """Return what each module owns."""
        found: dict[bytes, list[Stake]] = {module: [] for module in self.records}
        for stake in self.stakes.values():
            if stake.size_e6:
                found[stake.owner].append(stake)
        yield from found.items()

    def look(self, bankroll_e6: int, worth_e6: Callable[[Iterable[Stake]], int]) -> list[bytes]:
        """Mark what modules own; stop who lost too much. Returns who was stopped just now."""
        most_e6 = bankroll_e6 * self._limits.module_loss_max_ppm // _PPM
        stopped = []
        for module, stakes in self.by_owner():
            record = self.records[module]
            record.open_e6 = worth_e6(stakes) - record.score.cost_e6
            if module == NOBODY or record.loss_today_e6 <= most_e6:
                record.looks = 0
                continue
            record.looks += 1
            if record.looks >= _LOOKS and not record.score.stopped:
                record.score.stopped = True
                stopped.append(module)
        return stopped

    def begin_day(self) -> None:
        """Count losses from here; who was stopped works again."""
        for record in self.records.values():
            record.day_start_e6 = record.realized_e6 + record.open_e6
            record.looks = 0
            record.score.stopped = False


def _text(module: bytes) -> str:
    return module.rstrip(b"\0").decode("ascii", "replace")
