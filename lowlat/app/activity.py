"""What an instance did: signals by module, decisions by rule, orders, fills, groups.

Read from outside through read-only mappings, so it can neither slow nor stop the engine; what a
slow reader missed is counted as lost, never guessed. Orders and groups come from tables, where
rows stay long enough to be seen; signals, decisions and fills from their streams. It outlives
restarts and reboots: when the segments are made anew, it opens them and counts on.
"""

import os
from collections import Counter
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from lowlat.core.errors import LayoutError, SegmentError
from lowlat.core.layout import GroupState, OrderState, ReportKind, Rule
from lowlat.shm.attach import Attached, attach
from lowlat.shm.places import segment_file

__all__ = ["Activity", "Pairs", "rule_name"]

Records = npt.NDArray[np.void]
_WITNESS: Final = "stream.decisions"
"""Its inode tells whether the segments are still the ones we opened."""
_BATCH: Final = 1024
_ROUNDS_MAX: Final = 80
"""Bound of one poll of a stream: more than the largest ring holds."""
_CLOSED: Final = (GroupState.COMPLETE, GroupState.UNWOUND, GroupState.FLAT)


class Pairs(NamedTuple):
    """Groups by how they stand."""

    completed: int
    """Every leg filled and settled."""
    unwound: int
    """Not all legs filled; what was filled was sold again."""
    flat: int
    """No leg was filled."""
    open: int
    """Still under way, or naked."""
    interrupted: int
    """Under way when shared memory was lost; the journal knows their orders, not their groups."""


def rule_name(number: int) -> str:
    """Return a rule's name in lower case; a number of a newer build stays a number."""
    return Rule(number).name.lower() if number in Rule.__members__.values() else str(number)


class Activity:
    """Counts since it was made. ``poll`` often: the signals ring holds 256 records."""

    def __init__(self, instance: str, *, from_start: bool = False) -> None:
        """``from_start``: count also what the streams still hold from before."""
        self._from_start = from_start
        self._instance = instance
        self._attached: Attached | None = None
        self._inode = 0
        self._interrupted = 0
        self.signals: Counter[str] = Counter()
        self.decisions: Counter[int] = Counter()
        """By Rule: APPROVED, CUT (approved, but smaller), else the rule that refused."""
        self.approved: Counter[str] = Counter()
        """Approved wishes by module, those made smaller too."""
        self.filled: Counter[str] = Counter()
        """Trades booked by module; '' are those of unwinding."""
        self.reports: Counter[int] = Counter()
        self.lost: Counter[str] = Counter()
        """Records by stream that were overwritten before they were read."""
        self.orders: dict[int, int] = {}
        """OrderState by order row id."""
        self.groups: dict[int, int] = {}
        """GroupState by group id."""
        self.on_records: Callable[[str, Records], None] | None = None
        """Called with the name and the private copies of all records that a poll read."""

    @property
    def attached(self) -> Attached | None:
        """The segments as they are now, None before there are any."""
        return self._attached

    @property
    def fills(self) -> int:
        """Trades booked."""
        return self.reports[ReportKind.FILL]

    def poll(self) -> int:
        """Read what is new in the streams; return how many records."""
        if not self._follow():
            return 0
        attached = self._attached
        assert attached is not None
        count = 0
        for name, take in (
            ("signals", self._take_signals),
            ("decisions", self._take_decisions),
            ("reports", self._take_reports),
        ):
            view = attached.streams[name]
            before = view.reader.lost
            for _ in range(_ROUNDS_MAX):
                lost = view.reader.lost
                batch = view.batch(_BATCH)
                taken = sum(len(records) for records in batch.values())
                for record_name, records in batch.items():
                    if len(records):
                        take(record_name, records)
                        if self.on_records is not None:
                            self.on_records(record_name, records)
                count += taken
                # Nothing taken although more was lost: lapped, and now stands at the newest.
                if not taken and view.reader.lost == lost:
                    break
            self.lost[name] += view.reader.lost - before
        return count

    def sweep(self) -> None:
        """Read the tables of orders and groups; about 1 ms."""
        if not self._follow():
            return
        attached = self._attached
        assert attached is not None
        self.orders.update(_states(attached, "orders"))
        self.groups.update(_states(attached, "groups"))

    def pairs(self) -> Pairs:
        """Count groups by how they stand."""
        states = Counter(self.groups.values())
        return Pairs(
            states[GroupState.COMPLETE],
            states[GroupState.UNWOUND],
            states[GroupState.FLAT],
            sum(n for state, n in states.items() if state not in _CLOSED),
            self._interrupted,
        )

    def by_module(self) -> dict[str, dict[str, int]]:
        """Return signals, approved wishes and trades of each module that said anything."""
        return {
            name: {
                "signals": self.signals[name],
                "approved": self.approved[name],
                "fills": self.filled[name],
            }
            for name in sorted(self.signals)
        }

    def forget_memory(self) -> None:
        """Say that the segments go (a reboot): read their last words, then let them go.

        Groups that were open live on only if the engine brings them back from its journal.
        """
        self.poll()
        self.sweep()
        self._drop()

    def by_rule(self) -> dict[str, int]:
        """Return decisions by the name of the rule."""
        return {rule_name(rule): n for rule, n in sorted(self.decisions.items())}

    def _drop(self) -> None:
        self._attached = None
        open_groups = [g for g, state in self.groups.items() if state not in _CLOSED]
        for group in open_groups:
            del self.groups[group]
        self._interrupted += len(open_groups)

    def _follow(self) -> bool:
        """Open the segments, or those that took their place. False while there are none."""
        try:
            inode = os.stat(segment_file(self._instance, _WITNESS)).st_ino
        except FileNotFoundError:
            if self._attached is not None:
                self._drop()
            return False
        if self._attached is not None and inode == self._inode:
            return True
        if self._attached is not None:
            self._drop()
        try:
            attached = attach(self._instance)
            for name in ("signals", "decisions", "reports"):
                if self._from_start:
                    attached.streams[name].rewind()
                else:
                    attached.streams[name]
            for name in ("orders", "groups"):
                attached.tables[name]
        except (SegmentError, LayoutError, KeyError):
            # Being made at this very moment: the next poll finds it whole.
            return False
        # Segments that took the place of ours are all news.
        self._from_start = True
        self._attached, self._inode = attached, inode
        return True

    def _take_signals(self, name: str, records: Records) -> None:
        if name == "SIGNAL":
            for module, count in _counted(records["module"]):
                self.signals[_text(module)] += count

    def _take_decisions(self, name: str, records: Records) -> None:
        if name == "DECISION":
            rules, approved = records["rule"], records["approved"] != 0
            for module, count in _counted(records["module"][approved]):
                self.approved[_text(module)] += count
            # An approval names the rule that made it smaller: counted as cut, not as refused.
            rules = np.where(approved & (rules != int(Rule.APPROVED)), int(Rule.CUT), rules)
            for rule, count in _counted(rules):
                self.decisions[int(rule)] += count

    def _take_reports(self, name: str, records: Records) -> None:
        if name == "REPORT":
            for kind, count in _counted(records["kind"]):
                self.reports[int(kind)] += count
            fills = records["module"][records["kind"] == int(ReportKind.FILL)]
            for module, count in _counted(fills):
                self.filled[_text(module)] += count


def _counted(values: npt.NDArray[Any]) -> list[tuple[Any, int]]:
    return list(Counter(values.tolist()).items())


def _text(raw: bytes) -> str:
    return raw.rstrip(b"\0").decode("ascii", "replace")


def _states(attached: Attached, table: str) -> dict[int, int]:
    """Return the state of every row that is in use, by the row's own id."""
    rows, versions = attached.tables[table].snapshot()
    used = rows[(versions > 0) & (rows["state"] != OrderState.NONE)]
    return dict(zip(used["id"].tolist(), used["state"].tolist(), strict=True))
