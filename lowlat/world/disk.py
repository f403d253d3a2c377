"""The recorder's disk and database: they fill up, and the recorder dies at each of their calls."""

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Final

from sqlalchemy import Engine, func, select
from typing_extensions import Buffer

from lowlat.core.errors import LedgerError
from lowlat.core.layout import DECISION, REPORT
from lowlat.store.journal import Decided
from lowlat.store.journal_file import Batch, EntryKind
from lowlat.store.ledger.audit import audit
from lowlat.store.ledger.schema import DECISIONS, REPORTS
from lowlat.store.ledger.writer import Ledger
from lowlat.world.faults import Windows
from lowlat.world.fuse import Fuse

__all__ = ["Shelf", "WorldDisk"]

_REPORT_ID: Final = REPORT.codec.unpack_from
_DECISION_ID: Final = DECISION.codec.unpack_from


class WorldDisk:
    """``lowlat.store.disk.Disk`` over the real one."""

    def __init__(
        self, fuse: Fuse, windows: Windows, now_ns: Callable[[], int], rng: Random
    ) -> None:
        self._fuse = fuse
        self._windows = windows
        self._now_ns = now_ns
        self._rng = rng

    def write(self, descriptor: int, data: Buffer, /) -> int:
        """Write all, a part, or nothing; die before, in the middle, or behind it."""
        view = memoryview(data)
        if self._fuse.left == 1:
            os.write(descriptor, view[: self._rng.randrange(len(view) + 1)])
        self._fuse.burn()
        if self._windows.hit("disk_full", self._now_ns()):
            part = self._rng.randrange(len(view))
            if not part:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return os.write(descriptor, view[:part])
        written = os.write(descriptor, view)
        self._fuse.burn()
        return written

    def fsync(self, fd: int) -> None:
        """Wait for the disk, in vain when it is full."""
        self._fuse.burn()
        if self._windows.hit("disk_full", self._now_ns()):
            raise OSError(errno.ENOSPC, f"descriptor {fd}: {os.strerror(errno.ENOSPC)}")
        self._fuse.burn()

    def fdatasync(self, descriptor: int, /) -> None:
        """Do as fsync."""
        self.fsync(descriptor)


class Shelf:
    """The ledger's side of the recorder: ids of what was committed, which no death takes back."""

    def __init__(
        self, fuse: Fuse, windows: Windows, now_ns: Callable[[], int], database: Engine | None
    ) -> None:
        """``database``: what is committed goes into a real ledger too."""
        self._fuse = fuse
        self._windows = windows
        self._now_ns = now_ns
        self.database = database
        self._ledger: Ledger | None = None
        self._reports: dict[str, set[int]] = {}
        self._decisions: dict[str, set[int]] = {}

    def open(self) -> None:
        """Begin a life of the recorder: what it remembered is gone, what it committed is not."""
        if self.database is not None:
            self._ledger = Ledger(self.database)

    def close(self) -> None:
        """Let go of the database."""
        if self.database is not None:
            self.database.dispose()

    def reports(self, life: str) -> set[int]:
        """Return the ids of reports committed of that shared memory."""
        return self._reports.setdefault(life, set())

    def decisions(self, life: str) -> set[int]:
        """Return the ids of decisions committed of that shared memory."""
        return self._decisions.setdefault(life, set())

    def differences(self) -> Iterator[str]:
        """Say what the real ledger has more or less of than was committed; and its wrong sums."""
        if self.database is None:
            return
        kept = (("reports", REPORTS, self._reports), ("decisions", DECISIONS, self._decisions))
        with self.database.connect() as connection:
            for name, table, lives in kept:
                rows = connection.execute(select(func.count()).select_from(table)).scalar_one()
                committed = sum(len(ids) for ids in lives.values())
                if rows != committed:
                    yield f"{rows} {name}, {committed} were committed"
        yield from (str(each) for each in audit(self.database))

    def take(self, life: str, batch: Batch) -> bool:
        """Commit a batch; see ``LedgerPort``."""
        self._begin()
        fresh = self._ledger is None or self._ledger.take(life, batch)
        known = self.reports(life)
        for kind, data in batch.entries:
            if kind == EntryKind.REPORT:
                known.add(_REPORT_ID(data)[0])
        self._fuse.burn()
        return fresh

    def decide(self, life: str, wall_ms: int, epoch: int, decided: Sequence[Decided]) -> int:
        """Commit decisions; see ``LedgerPort``."""
        self._begin()
        count = len(decided)
        if self._ledger is not None:
            count = self._ledger.decide(life, wall_ms, epoch, decided)
        self.decisions(life).update(_DECISION_ID(each.data)[0] for each in decided)
        self._fuse.burn()
        return count

    def _begin(self) -> None:
        self._fuse.burn()
        if self._windows.hit("disk_full", self._now_ns()):
            raise LedgerError("the ledger did not take a batch: database or disk is full")
