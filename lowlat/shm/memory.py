"""Map shared memory: make, open, pre-fault, lock, unlink. Knows headers, no records.

Readers map read-only, so that a fault in a strategy cannot corrupt a book. The standard library's
SharedMemory is not used: on 3.11 a reader's exit unlinks live segments.
"""

import ctypes
import errno
import mmap
import os
import resource
import time
from typing import Final

import posix_ipc

from lowlat.core.clock import monotonic_ns
from lowlat.core.errors import LayoutError, SegmentError
from lowlat.shm import _core, places
from lowlat.shm.header import (
    EPOCH_AT,
    HEADER_BYTES_MIN,
    HEARTBEAT_AT,
    STATE_AT,
    Header,
    State,
    read_header,
    read_writer,
    write_header,
)
from lowlat.shm.locks import Identity

__all__ = ["Segment", "create_segment", "lock_memory", "open_segment", "unlink_segment"]

_PAGE: Final = 4096
_libc: Final = ctypes.CDLL(None, use_errno=True)


class Segment:
    """One mapped segment. The mapping lives as long as anything that uses it."""

    def __init__(self, name: str, where: str, memory: mmap.mmap, header: Header) -> None:
        self.name = name
        self.where = where
        self.memory = memory
        self.header = header

    @property
    def view(self) -> memoryview:
        """The whole segment as bytes."""
        return memoryview(self.memory)

    @property
    def state(self) -> State:
        """Where its writer is in its life."""
        value = _core.load_acquire(self.memory, STATE_AT)
        if value not in State.__members__.values():
            raise LayoutError(f"{self.where} has a damaged header: state was {value}")
        return State(value)

    def set_state(self, state: State) -> None:
        """Tell everyone; only the writer may."""
        _core.store_release(self.memory, STATE_AT, state)

    @property
    def epoch(self) -> int:
        """How many times a writer has attached."""
        return _core.load_acquire(self.memory, EPOCH_AT)

    @property
    def writer(self) -> Identity | None:
        """Who wrote last, None when nobody did yet."""
        return read_writer(memoryview(self.memory), self.header.boot_id)

    @property
    def heartbeat_ns(self) -> int:
        """When the writer's loop last said that it turns, 0 when never."""
        return _core.load_acquire(self.memory, HEARTBEAT_AT)


def create_segment(instance: str, header: Header) -> Segment:
    """Make a segment of zeroed, really allocated pages and write its header.

    Raises SegmentError when the name exists or /dev/shm cannot hold it.
    """
    where = places.segment_file(instance, header.name)
    shm_name = places.shm_name(instance, header.name)
    try:
        shm = posix_ipc.SharedMemory(shm_name, posix_ipc.O_CREX, mode=0o600)
    except posix_ipc.ExistentialError as error:
        raise SegmentError(f"segment {where} already exists") from error
    try:
        # ftruncate would succeed on a full tmpfs and kill whoever touches the page first.
        os.posix_fallocate(shm.fd, 0, header.segment_bytes)
        memory = _map(shm.fd, header.segment_bytes, writable=True)
    except OSError as error:
        posix_ipc.unlink_shared_memory(shm_name)
        if error.errno != errno.ENOSPC:
            raise SegmentError(f"segment {where} cannot be allocated: {error.strerror}") from error
        raise SegmentError(_full(where, header.segment_bytes)) from error
    finally:
        shm.close_fd()
    write_header(memoryview(memory), header)
    return Segment(header.name, where, memory, header)


def _full(where: str, size_bytes: int) -> str:
    free = os.statvfs(places.SHM_DIR)
    return (
        f"segment {where} needs {size_bytes} bytes, {places.SHM_DIR} has "
        f"{free.f_bavail * free.f_frsize} free: enlarge it (mount -o remount,size=512m "
        f"{places.SHM_DIR}, in a container --shm-size=512m), remove left-overs (lowlat clean) or "
        "lower rows and slots in the configuration"
    )


def open_segment(
    instance: str, name: str, *, writable: bool = False, wait_ns: int = 1_000_000_000
) -> Segment:
    """Map an existing segment; wait up to wait_ns for a creator that is just at it.

    Raises SegmentError when it is missing or not private to us, LayoutError when it is not ours.
    """
    where = places.segment_file(instance, name)
    deadline_ns = monotonic_ns() + wait_ns
    try:
        shm = posix_ipc.SharedMemory(places.shm_name(instance, name), read_only=not writable)
    except posix_ipc.ExistentialError as error:
        raise SegmentError(
            f"segment {where} does not exist: is instance {instance!r} running?"
        ) from error
    except (posix_ipc.PermissionsError, PermissionError) as error:
        raise SegmentError(f"segment {where} belongs to somebody else") from error
    try:
        found = os.fstat(shm.fd)
        if found.st_uid != os.getuid() or found.st_mode & 0o077:
            raise SegmentError(f"segment {where} is not private to uid {os.getuid()}")
        memory = None
        while True:
            size_bytes = os.fstat(shm.fd).st_size
            if size_bytes >= HEADER_BYTES_MIN:
                memory = memory or _map(shm.fd, size_bytes, writable=writable)
                if _core.load_acquire(memory, 0):
                    break
            if monotonic_ns() >= deadline_ns:
                raise LayoutError(f"{where} was never finished: its creator died while creating it")
            time.sleep(0.0005)
    finally:
        shm.close_fd()
    return Segment(name, where, memory, read_header(memoryview(memory), where))


def _map(fd: int, size_bytes: int, *, writable: bool) -> mmap.mmap:
    # Populated: a first touch costs 3.4 us a page, and would be paid on the hot path.
    prot = mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0)
    return mmap.mmap(fd, size_bytes, mmap.MAP_SHARED | mmap.MAP_POPULATE, prot)


def unlink_segment(instance: str, name: str) -> None:
    """Remove a name; whoever still maps the segment keeps its pages. Owner lock holders only."""
    try:
        posix_ipc.unlink_shared_memory(places.shm_name(instance, name))
    except posix_ipc.ExistentialError:
        # Somebody removed it by hand between our listing and now: the goal is reached.
        return


def lock_memory(segments: list[Segment]) -> str:
    """Keep segments from being swapped out; return '' or what to do so that it works.

    One locked mapping in any process keeps a shared page in memory for all.
    """
    # On use: whoever only attaches starts without numpy.
    import numpy as np  # noqa: PLC0415

    for segment in segments:
        address = np.frombuffer(segment.memory, np.uint8).ctypes.data
        size_bytes = len(segment.memory)
        if _libc.mlock(ctypes.c_void_p(address), ctypes.c_size_t(size_bytes)) != 0:
            code = ctypes.get_errno()
            limit = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
            needed = sum(len(each.memory) for each in segments)
            return (
                f"shared memory may be swapped out ({errno.errorcode.get(code, str(code))}): "
                f"{needed} bytes, the limit is {limit}; set LimitMEMLOCK={-(-needed // 1024)}K "
                f"in the unit file or run ulimit -l {-(-needed // 1024)}"
            )
    return ""
