"""The loop that runs engines in turns, busy or parked, and the signals that steer it.

``busy`` never sleeps: a callback that re-schedules itself keeps the event loop polling its
sockets (the biggest single latency win; needs a core of its own). ``parked`` sleeps in the kernel
until a socket has something and wakes every ``tick_ms`` for what is due by time.
"""

import asyncio
import gc
import signal
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol

import uvloop

from lowlat.app._spin import Spin
from lowlat.app.loop import BUSY, PARKED, LoopCells
from lowlat.core.ports import Engine
from lowlat.net.options import PollWatch

__all__ = ["Runtime", "install_signals", "run_process"]


class Control(Protocol):
    """What process signals mean to a process."""

    def drain(self) -> None:
        """Begin an orderly end (SIGTERM, SIGINT)."""
        ...

    def dump(self) -> None:
        """Write histograms to the log (SIGUSR1)."""
        ...

    def halt(self) -> None:
        """Stop new orders (SIGUSR2)."""
        ...


class Runtime:
    """Run engines in one process until stopped."""

    def __init__(
        self,
        engines: Sequence[Engine],
        cells: LoopCells,
        *,
        waiting: str,
        tick_ms: int,
        spaced_ns: int = 0,
        watch: PollWatch | None = None,
    ) -> None:
        """``spaced_ns``: turns of a busy loop come no more often, for engines that frames drive.

        ``watch`` is told of every round of the loop, so that it knows when sockets were empty.
        """
        assert waiting in {BUSY, PARKED}, waiting
        self._engines = engines
        self._cells = cells
        self._busy = waiting == BUSY
        self._tick_s = tick_ms / 1000
        self._loop: asyncio.AbstractEventLoop | None = None
        self._done: asyncio.Future[None] | None = None
        self._spin = Spin(
            tuple(engine.turn for engine in engines),
            cells,
            self._schedule,
            self._fail,
            self._stopped,
            watch,
            spaced_ns if self._busy else 0,
        )

    async def run(self) -> None:
        """Start the engines, run turns until stop, close the engines in reverse order."""
        self._loop = asyncio.get_running_loop()
        self._done = self._loop.create_future()
        for engine in self._engines:
            engine.start()
        self._cells.collect()
        gc.disable()
        self._schedule(self._spin)
        try:
            await self._done
        finally:
            gc.enable()
            for engine in reversed(self._engines):
                engine.close()

    def stop(self) -> None:
        """End run() after the current turn."""
        self._spin.stopping = True

    def _schedule(self, spin: Callable[[], None]) -> None:
        assert self._loop is not None, "scheduled before run"
        if self._busy:
            self._loop.call_soon(spin)
        else:
            self._loop.call_later(self._tick_s, spin)

    def _stopped(self) -> None:
        assert self._done is not None, "stopped before run"
        if not self._done.done():
            self._done.set_result(None)

    def _fail(self, error: BaseException) -> None:
        """End run() with the error of a turn: a programming fault never trades on."""
        assert self._done is not None
        if not self._done.done():
            self._done.set_exception(error)


def run_process(main: Callable[[], Coroutine[Any, Any, int]]) -> int:
    """Run a process' main coroutine on uvloop; any exception in a callback ends the process."""

    async def guarded() -> int:
        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(main())
        failure: list[BaseException] = []

        def on_exception(_: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
            error = context.get("exception")
            if isinstance(error, BaseException):
                failure.append(error)
            else:
                failure.append(RuntimeError(str(context.get("message"))))
            task.cancel()

        loop.set_exception_handler(on_exception)
        try:
            return await task
        except asyncio.CancelledError:
            if failure:
                raise failure[0] from None
            raise

    return uvloop.run(guarded())


def install_signals(loop: asyncio.AbstractEventLoop, control: Control) -> None:
    """Connect process signals to control; handlers run between two turns."""
    loop.add_signal_handler(signal.SIGTERM, control.drain)
    loop.add_signal_handler(signal.SIGINT, control.drain)
    loop.add_signal_handler(signal.SIGUSR1, control.dump)
    loop.add_signal_handler(signal.SIGUSR2, control.halt)
