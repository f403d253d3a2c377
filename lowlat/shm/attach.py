"""Read-only access to a running or dead instance, for tools, notebooks and post-mortems.

Needs no help from the instance and cannot disturb it: mappings are read-only, copies are private.
Record types come from the description in each segment, so a segment of another build reads too.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from lowlat.core.errors import LayoutError, SegmentError
from lowlat.shm import _core, places
from lowlat.shm.header import CURSOR_AT, Kind, State
from lowlat.shm.locks import Identity, probe_lock
from lowlat.shm.memory import Segment, open_segment
from lowlat.shm.stats import StatsReader

__all__ = ["Attached", "SegmentStatus", "StreamView", "TableView", "attach", "parse_abi"]

Records = npt.NDArray[np.void]
_T = TypeVar("_T")
_RECORD: Final = re.compile(r"(\w+) kind=(\d+) (\w+) (\d+)\Z")
_FIELD: Final = re.compile(r"  (\w+) ([<|][a-zA-Z]\d+)(?:\[(\d+)\])? (\d+)\Z")


def attach(instance: str) -> "Attached":
    """Open an instance for reading. Raises SegmentError when it has no segments."""
    names = places.segment_names(instance)
    if not names:
        others = sorted(
            {f.split(".")[1] for f in os.listdir(places.SHM_DIR) if f.startswith("lowlat.")}
        )
        raise SegmentError(f"instance {instance!r} has no segments; instances here: {others}")
    return Attached(instance, names)


def parse_abi(text: str) -> dict[int, tuple[str, np.dtype[np.void]]]:
    """Rebuild the name and dtype of each kind from a segment's abi text."""
    found: dict[int, tuple[str, np.dtype[np.void]]] = {}
    fields: dict[str, list[Any]] = {}
    for line in text.splitlines()[1:]:
        if record := _RECORD.match(line):
            fields = {"names": [], "formats": [], "offsets": []}
            found[int(record[2])] = (record[1], np.dtype((np.void, int(record[4]))))
            last = int(record[2])
        elif field := _FIELD.match(line):
            shape = (int(field[3]),) if field[3] else ()
            fields["names"].append(field[1])
            fields["formats"].append((field[2], shape))
            fields["offsets"].append(int(field[4]))
            name, dtype = found[last]
            found[last] = (name, np.dtype({**fields, "itemsize": dtype.itemsize}))  # type: ignore[call-overload]
        else:
            raise LayoutError(f"abi text has a line of no known form: {line!r}")
    return found


class StreamView:
    """A stream that an outsider follows from the moment it first looked."""

    def __init__(self, segment: Segment) -> None:
        header = segment.header
        self.kinds = parse_abi(header.abi_text)
        """Record name and dtype by kind."""
        self.reader = _core.StreamReader(
            segment.memory,
            header.header_bytes,
            header.record_bytes,
            header.record_count,
            CURSOR_AT,
        )
        self._slot_bytes = header.record_bytes
        self._slot_count = header.record_count
        self._views = {
            kind: np.frombuffer(self.reader.buffer, dtype, count=1)
            for kind, (_, dtype) in self.kinds.items()
        }

    def array(self, kind: int) -> Records:
        """Return the private buffer as ``record[1]`` of a kind; the next poll overwrites it."""
        return self._views[kind]

    def poll(self) -> np.void | None:
        """Return the next record (a view of the private buffer), None when there is none yet.

        Overrun records are skipped and counted in ``reader.lost``.
        """
        kind = self.reader.poll()
        if kind < 0:
            kind = self.reader.poll()
        if kind <= 0:
            return None
        record: np.void = self._views[kind][0]
        return record

    def rewind(self) -> int:
        """Stand at the oldest record that is still there; return how many may be read."""
        cursor = self.reader.cursor
        # The oldest slot is the next to be overwritten: leave the writer a quarter of the ring.
        held = min(cursor - 1, self._slot_count - self._slot_count // 4)
        self.reader.seek(cursor - held)
        return held

    def batch(self, limit: int = 1024) -> dict[str, Records]:
        """Copy up to limit records into private arrays, one a record name; ``seq`` keeps order."""
        slots = np.zeros((limit, self._slot_bytes // 8), np.uint64)
        count = self.reader.poll_into(slots)
        raw = slots[:count].view(np.uint8)
        kinds = raw[:, 12:14].copy().view("<u2")[:, 0] if count else np.zeros(0, "<u2")
        return {
            name: np.ascontiguousarray(raw[kinds == kind][:, : dtype.itemsize]).view(dtype)[:, 0]
            for kind, (name, dtype) in self.kinds.items()
        }


class TableView:
    """A latest-value table as private numpy copies."""

    def __init__(self, segment: Segment) -> None:
        header = segment.header
        ((self.name, self.dtype),) = parse_abi(header.abi_text).values()
        self.reader = _core.TableReader(
            segment.memory, header.header_bytes, header.record_bytes, header.record_count
        )
        self.array: Records = np.frombuffer(self.reader.buffer, self.dtype, count=1)
        """The private buffer as ``record[1]``; the next read overwrites it."""

    def read(self, row: int) -> np.void | None:
        """Return a row (a view of the private buffer), None when never written or busy."""
        if self.reader.read(row) <= 0:
            return None
        record: np.void = self.array[0]
        return record

    def snapshot(self) -> tuple[Records, npt.NDArray[np.int64]]:
        """Copy all rows and their versions (0 = never written, -1 = busy)."""
        rows = self.reader.rows
        raw = np.zeros((rows, self.dtype.itemsize // 8), np.uint64)
        versions = np.zeros(rows, np.int64)
        self.reader.read_into(raw, versions)
        return raw.view(self.dtype)[:, 0], versions


@dataclass(frozen=True, slots=True)
class SegmentStatus:
    """What a segment's header says about it and its writer."""

    name: str
    kind: Kind
    size_bytes: int
    record_bytes: int
    record_count: int
    state: State
    epoch: int
    cursor: int
    heartbeat_ns: int
    writer: Identity | None
    alive: bool
    """Whether the owner lock is held. READY and not alive: the writer crashed."""


class Attached:
    """Everything an outsider can read of an instance. Opens on first use.

    Nothing in it refers back to it: its mappings go with the last reference, not when garbage is
    collected. Pages of an unlinked segment stay taken as long as somebody maps them.
    """

    def __init__(self, instance: str, names: list[str]) -> None:
        self.instance = instance
        self._segment: Final = _opener(instance)
        self.streams: Mapping[str, StreamView] = _Lazy(names, "stream", StreamView, self._segment)
        self.tables: Mapping[str, TableView] = _Lazy(names, "table", TableView, self._segment)
        self.stats: Mapping[str, StatsReader] = _Lazy(names, "stats", StatsReader, self._segment)
        self._names = names

    def status(self) -> list[SegmentStatus]:
        """Describe every segment."""
        return [self._status(self._segment(name)) for name in self._names]

    def _status(self, segment: Segment) -> SegmentStatus:
        header = segment.header
        return SegmentStatus(
            name=segment.name,
            kind=header.kind,
            size_bytes=header.segment_bytes,
            record_bytes=header.record_bytes,
            record_count=header.record_count,
            state=segment.state,
            epoch=segment.epoch,
            cursor=_core.load_acquire(segment.memory, CURSOR_AT),
            heartbeat_ns=segment.heartbeat_ns,
            writer=segment.writer,
            alive=probe_lock(header.run_dir, segment.name) is not None,
        )


def _opener(instance: str) -> Callable[[str], Segment]:
    """Return what opens a segment by name, each once."""
    opened: dict[str, Segment] = {}

    def segment(name: str) -> Segment:
        if name not in opened:
            opened[name] = open_segment(instance, name)
        return opened[name]

    return segment


class _Lazy(Mapping[str, _T], Generic[_T]):
    """Opens each value on first use and keeps it."""

    def __init__(
        self,
        names: list[str],
        kind: str,
        view: Callable[[Segment], _T],
        segment: Callable[[str], Segment],
    ) -> None:
        prefix = kind + "."
        self._full = {n.removeprefix(prefix): n for n in names if n.startswith(prefix)}
        self._view = view
        self._segment = segment
        self._values: dict[str, _T] = {}

    def __getitem__(self, name: str) -> _T:
        if name not in self._values:
            self._values[name] = self._view(self._segment(self._full[name]))
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._full)

    def __len__(self) -> int:
        return len(self._full)
