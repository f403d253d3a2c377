"""What a process does when a turn found nothing: spin, yield, or park on a FIFO.

=======  =====================  =====================  ==========================================
wait     a hop, p50             costs the core         for
=======  =====================  =====================  ==========================================
spin     0.3 us                 all of it              a core with one hot process, nothing else
yield    0.5 us                 all of it, politely    a core that hot processes share
park     20-50 us               nothing                gated stages that may be late
=======  =====================  =====================  ==========================================

``time.sleep(0)`` is not here: on 3.11 it is a 71 us timer sleep. Parking works only behind a gate:
the sleep flag lives there. Nobody rings from the order path: a ring costs its writer 11-15 us.
"""

import errno
import os
import select
import stat
from collections.abc import Sequence
from typing import Final, Protocol

from lowlat.core.errors import ConfigError, SegmentError
from lowlat.shm import places

__all__ = [
    "Bells",
    "Park",
    "Sleeper",
    "Spin",
    "Wait",
    "Wakeable",
    "Yield",
    "bell_path",
    "choose_wait",
]

_DRAIN_BYTES: Final = 4096
_RING: Final = b"!"


class Wait(Protocol):
    """A way to spend an idle turn."""

    def wait(self) -> None:
        """Return when it is worth looking again."""
        ...


class Sleeper(Protocol):
    """The part of a gated StreamReader that parking needs."""

    def ready(self) -> bool:
        """Return whether a poll would return something."""
        ...

    def sleep(self, sleeping: bool) -> None:
        """Set or clear the sleep flag, with a full fence behind it."""
        ...


class Wakeable(Protocol):
    """The part of a StreamWriter that ringing needs."""

    def sleepers(self) -> int:
        """Return one bit a gate whose reader sleeps."""
        ...


class Spin:
    """Look again at once. Refused unless the core has one hot process."""

    def __init__(self, hot_processes: int) -> None:
        if hot_processes != 1:
            raise ConfigError(
                f"waiting = 'spin' on a core with {hot_processes} hot processes: each would wait "
                "8 ms for the other; allowed here: 'yield', 'park'"
            )

    def wait(self) -> None:
        """Do nothing."""


class Yield:
    """Give the core to whoever else is runnable; 0.9 us when nobody is."""

    wait = staticmethod(os.sched_yield)


class Park:
    """Sleep until a gating writer rings, at most ``timeout_ms`` (heartbeats must go on)."""

    def __init__(
        self, instance: str, reader: str, streams: Sequence[Sleeper], timeout_ms: int = 50
    ) -> None:
        self._streams = list(streams)
        self._timeout_ms = timeout_ms
        # Opened for both directions, so that it neither blocks without a writer nor hangs up
        # when one leaves.
        self._fd = os.open(bell_path(instance, reader), os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)

    def wait(self) -> None:
        """Say that we sleep, look once more, and only then sleep."""
        for stream in self._streams:
            stream.sleep(True)
        try:
            if not any(stream.ready() for stream in self._streams):
                self._poll.poll(self._timeout_ms)
        finally:
            for stream in self._streams:
                stream.sleep(False)
        self._drain()

    def _drain(self) -> None:
        try:
            os.read(self._fd, _DRAIN_BYTES)
        except BlockingIOError:
            # Nobody rang: the timeout passed or a record was there already.
            return

    def close(self) -> None:
        """Close the FIFO; its name stays."""
        if self._fd >= 0:
            self._poll.unregister(self._fd)
            os.close(self._fd)
            self._fd = -1


class Bells:
    """Wakes the parked readers of one stream: call ``ring`` after publishing."""

    def __init__(self, instance: str, writer: Wakeable, gates: Sequence[str]) -> None:
        """``gates``: readers' names in the order the writer was given them."""
        self._writer = writer
        self._paths = [bell_path(instance, reader) for reader in gates]
        self._fds: list[int | None] = [None] * len(self._paths)

    def ring(self) -> int:
        """Ring for every sleeper; return how many bells rang. 0.1 us when nobody sleeps."""
        bits = self._writer.sleepers()
        return sum(self._ring(i) for i in range(len(self._paths)) if bits >> i & 1) if bits else 0

    def _ring(self, index: int) -> bool:
        fd = self._fds[index]
        try:
            if fd is None:
                fd = os.open(self._paths[index], os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
                self._fds[index] = fd
            os.write(fd, _RING)
        except OSError as error:
            # Full (EAGAIN): it rings already. No reader (ENXIO, EPIPE): it died with its flag
            # set and will look at its stream when it comes back.
            if error.errno not in {errno.EAGAIN, errno.ENXIO, errno.EPIPE}:
                raise
            return False
        return True

    def close(self) -> None:
        """Close every FIFO opened so far."""
        for fd in self._fds:
            if fd is not None:
                os.close(fd)
        self._fds = [None] * len(self._paths)


def choose_wait(
    name: str,
    *,
    hot_processes: int,
    instance: str = "",
    reader: str = "",
    streams: Sequence[Sleeper] = (),
) -> Wait:
    """Return the wait strategy of that name: spin, yield or park (which needs the rest)."""
    if name == "spin":
        return Spin(hot_processes)
    if name == "yield":
        return Yield()
    if name == "park":
        if not streams:
            raise ConfigError(
                "waiting = 'park' for a process without gated streams, which nobody wakes; "
                "allowed here: 'spin', 'yield'"
            )
        return Park(instance, reader, streams)
    raise ConfigError(f"waiting = {name!r}; allowed: 'spin', 'yield', 'park'")


def bell_path(instance: str, reader: str) -> str:
    """Return the path of a reader's FIFO, made if missing."""
    path = f"{places.instance_dir(instance)}/{places.check_name(reader)}.bell"
    try:
        os.mkfifo(path, 0o600)
    except FileExistsError:
        found = os.lstat(path)
        if not stat.S_ISFIFO(found.st_mode) or found.st_uid != os.getuid():
            raise SegmentError(f"{path} is no FIFO of ours: remove it") from None
    return path
