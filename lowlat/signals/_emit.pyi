# Types of the compiled part of emitting; behaviour is documented in _emit.pyx.

from typing import final

from lowlat.core.instruments import Instrument
from lowlat.core.ports import Cell, Clock, Recorder, StreamWriter
from lowlat.core.signal import Signal
from lowlat.signals.emit import Source

__all__ = ["Outlet"]

@final
class Outlet:
    # Mode of the module that is being called.
    mode: int

    def __init__(
        self,
        signals: StreamWriter,
        by_token: dict[str, Instrument],
        clock: Clock,
        name: int,
        emitted: Cell,
        dropped: Cell,
        latency: Recorder,
    ) -> None: ...
    def next_id(self) -> int: ...
    def emit(self, signal: Signal, metadata: bytes) -> bool | None: ...
    def about(self, source: Source) -> None: ...
    @property
    def cause(self) -> tuple[int, int, int, int, int]: ...
    def sent(self, decided_ns: int) -> bool: ...
