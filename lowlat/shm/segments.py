"""The segments of an instance: made, kept, replaced and removed. Run by the supervisor.

One process creates and unlinks (it holds the lock ``supervisor``), one process writes a segment (it
holds the lock of that name), everyone else maps it read-only. See ``attachment`` for those.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from lowlat.core import layout
from lowlat.core.clock import monotonic_ns
from lowlat.core.errors import LayoutError, SegmentError
from lowlat.shm import places
from lowlat.shm.header import Header, State
from lowlat.shm.layouts import (
    StatsShape,
    gates_header,
    gates_of,
    stats_header,
    stream_header,
    table_header,
)
from lowlat.shm.locks import OwnerLock, boot_id
from lowlat.shm.memory import (
    Segment,
    create_segment,
    lock_memory,
    open_segment,
    unlink_segment,
)

__all__ = ["Cleaned", "SegmentSet", "clean", "create_segments", "make_segment"]

SUPERVISOR_LOCK: Final = "supervisor"
Made = Literal["created", "kept", "replaced"]


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What was removed, and what was left with the reason."""

    removed: list[str] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class SegmentSet:
    """Every segment of an instance, mapped and locked in memory by the one who may unlink them."""

    instance: str
    lock: OwnerLock
    segments: list[Segment] = field(default_factory=list)
    made: dict[str, Made] = field(default_factory=dict)
    """By name: created, kept as it was, or replaced (another build, size or boot)."""
    warning: str = ""
    """Empty, or why pages could not be locked and what to do about it."""

    @property
    def shared_bytes(self) -> int:
        """Size of all segments together."""
        return sum(segment.header.segment_bytes for segment in self.segments)

    def close(self) -> None:
        """Let go; the segments stay for the next supervisor."""
        self.segments.clear()
        self.lock.close()

    def unlink(self) -> Cleaned:
        """Remove every segment whose writer is gone, then let go: the end of a clean stop."""
        try:
            return _clean(self.instance, self.lock)
        finally:
            self.close()


def create_segments(
    instance: str,
    *,
    streams: Mapping[str, layout.Stream] = layout.STREAMS,
    tables: Mapping[str, layout.Table] = layout.TABLES,
    slots: Mapping[str, int] | None = None,
    rows: Mapping[str, int] | None = None,
    stats: Mapping[str, StatsShape] | Iterable[str] = (),
    owner: str = "supervisor",
) -> SegmentSet:
    """Make every segment of an instance, keeping what a crash or restart left intact.

    ``slots`` and ``rows`` override the sizes of single streams and tables; ``stats`` names the
    processes that count. Raises SegmentError when another supervisor runs, when a segment that
    must be replaced still has a writer, or when /dev/shm is too small.
    """
    slots, rows = slots or {}, rows or {}
    strangers = [*(slots.keys() - streams.keys()), *(rows.keys() - tables.keys())]
    if strangers:
        raise SegmentError(f"sizes are given for what is no stream or table: {strangers}")
    shapes = stats if isinstance(stats, Mapping) else {name: StatsShape() for name in stats}
    headers = [
        *(stream_header(instance, n, s, slots.get(n, s.slots)) for n, s in streams.items()),
        *(table_header(instance, n, t, rows.get(n, t.rows)) for n, t in tables.items()),
        *(gates_header(instance, reader, names) for reader, names in gates_of(streams).items()),
        *(stats_header(instance, process, shape) for process, shape in shapes.items()),
    ]
    result = SegmentSet(instance, OwnerLock(instance, SUPERVISOR_LOCK, owner))
    try:
        for header in headers:
            segment, result.made[header.name] = make_segment(instance, header, owner)
            result.segments.append(segment)
    except BaseException:
        result.close()
        raise
    result.warning = lock_memory(result.segments)
    return result


def make_segment(
    instance: str, header: Header, who: str, lock: OwnerLock | None = None
) -> tuple[Segment, Made]:
    """Make one segment, keep the one that is there, or replace it when it does not fit.

    ``lock``: the owner lock of that name when the caller holds it already.
    """
    header = replace(header, created_ns=monotonic_ns())
    if header.name not in places.segment_names(instance):
        return create_segment(instance, header), "created"
    existing = _open_if_ours(instance, header.name)
    if existing is not None and _same(existing.header, header):
        if existing.header.run_dir != header.run_dir:
            raise SegmentError(
                f"segment {existing.where} keeps its locks in {existing.header.run_dir}, we in "
                f"{header.run_dir}: set XDG_RUNTIME_DIR to the same value everywhere; if nothing "
                f"of it runs any more, lowlat clean --instance {instance} removes it"
            )
        return existing, "kept"
    own = lock or OwnerLock(instance, header.name, who)
    try:
        if existing is not None:
            existing.set_state(State.CLOSED)
        unlink_segment(instance, header.name)
        return create_segment(instance, header), "replaced"
    finally:
        if own is not lock:
            own.close()


def _open_if_ours(instance: str, name: str) -> Segment | None:
    """Open an existing segment; None when it is unfinished or of another build."""
    try:
        return open_segment(instance, name, writable=True, wait_ns=0)
    except LayoutError:
        return None


def _same(found: Header, wanted: Header) -> bool:
    return (
        found.kind == wanted.kind
        and found.abi_text == wanted.abi_text
        and (found.record_bytes, found.record_count) == (wanted.record_bytes, wanted.record_count)
        and found.data_bytes == wanted.data_bytes
        and found.boot_id == wanted.boot_id
    )


def clean(instance: str, who: str = "clean") -> Cleaned:
    """Remove the segments of an instance that nobody writes any more.

    Raises SegmentError while its supervisor runs. Segments with a living writer stay.
    """
    lock = OwnerLock(instance, SUPERVISOR_LOCK, who)
    try:
        return _clean(instance, lock)
    finally:
        lock.close()


def _clean(instance: str, supervisor: OwnerLock) -> Cleaned:
    assert supervisor.held, "only the holder of the supervisor lock unlinks"
    done = Cleaned()
    for name in places.segment_names(instance):
        try:
            lock = OwnerLock(instance, name, "clean")
            try:
                _check_unused(instance, name)
                unlink_segment(instance, name)
            finally:
                lock.close()
        except SegmentError as error:
            done.left[name] = str(error)
        else:
            done.removed.append(name)
    return done


def _check_unused(instance: str, name: str) -> None:
    """Raise SegmentError when a living process may write it although we hold its lock here."""
    segment = _open_if_ours(instance, name)
    if segment is None:
        return
    writer = segment.writer
    here = places.instance_dir(instance)
    if writer is not None and writer.alive and segment.header.run_dir != here:
        raise SegmentError(
            f"{segment.where} is written by {writer}, which keeps its locks in "
            f"{segment.header.run_dir}, not in {here}"
        )
    if segment.header.boot_id == boot_id() and segment.state != State.CLOSED:
        segment.set_state(State.CLOSED)
