"""Waking an event loop for gated streams: the reader's end of ``bells`` where there are sockets."""

import asyncio
import os
from collections.abc import Callable, Iterable
from typing import Final

from lowlat.core.clock import monotonic_ns
from lowlat.shm.waiting import Sleeper, bell_path

__all__ = ["Doorbell"]

_DRAIN_BYTES: Final = 4096
_ROUNDS_MAX: Final = 8
"""Bound of one ring: what is still there then waits for the next look."""


class Doorbell:
    """Engine that lets an event loop wake up for gated streams; ``pump`` runs what reads them."""

    name: Final = "doorbell"

    def __init__(
        self,
        instance: str,
        gate: str,
        streams: Iterable[Sleeper],
        pump: Callable[[int], int],
    ) -> None:
        self._streams = list(streams)
        self._pump = pump
        # Opened for both directions, so that it neither blocks nor ends with a writer.
        self._fd = os.open(bell_path(instance, gate), os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._open = True

    def start(self) -> None:
        """Listen."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._fd, self._rung)
        self._doze()

    def turn(self, now_ns: int) -> int:
        """Nothing is due: the engines themselves have just looked."""
        del now_ns
        return 0

    def close(self) -> None:
        """Stop listening; the FIFO's name stays."""
        assert self._loop is not None, "closed before it was started"
        self._loop.remove_reader(self._fd)
        self._open = False
        for stream in self._streams:
            stream.sleep(False)
        os.close(self._fd)

    def _rung(self) -> None:
        """Run what reads the streams, until there is nothing, or for _ROUNDS_MAX rounds."""
        self._drain()
        for stream in self._streams:
            stream.sleep(False)
        for _ in range(_ROUNDS_MAX):
            self._pump(monotonic_ns())
            if not self._ready():
                break
        self._doze()

    def _doze(self) -> None:
        """Say that we sleep, then look once more: what came in between rang for nobody."""
        for stream in self._streams:
            stream.sleep(True)
        if self._ready():
            assert self._loop is not None, "dozes before it was started"
            self._loop.call_soon(self._again)

    def _again(self) -> None:
        if self._open:
            self._pump(monotonic_ns())

    def _ready(self) -> bool:
        return any(stream.ready() for stream in self._streams)

    def _drain(self) -> None:
        try:
            os.read(self._fd, _DRAIN_BYTES)
        except BlockingIOError:
            # Somebody rang twice and we came once.
            return
