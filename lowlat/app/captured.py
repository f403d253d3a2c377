"""The capture of an engine process: begun before its engines are made, handed to the recorder.

See ``wiring.capture``. A life that follows a crash finds what the last one left in shared memory:
its capture begins with a picture of that.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from lowlat.app.captures import without_tapes
from lowlat.app.config import Credentials, EngineConfig
from lowlat.app.ends import RealEnds
from lowlat.core._ends import HaltEnd
from lowlat.core.clock import monotonic_ns, wall_ns
from lowlat.core.layout import FRAME, STREAMS, TABLES
from lowlat.core.ports import Engine
from lowlat.shm.attachment import Attachment
from lowlat.shm.picture import picture_attached
from lowlat.wiring.blocks import BlockStream
from lowlat.wiring.capture import (
    Capture,
    CapturedEnds,
    CapturedGauge,
    CapturedHalting,
    CapturedInject,
    CapturedSink,
    header_of,
)
from lowlat.wiring.ports import Meters

if TYPE_CHECKING:
    from lowlat.core.recovered import Recovered
    from lowlat.wiring.trading import Trading

__all__ = ["Captured", "begin_capture"]

_LOG: Final = logging.getLogger(__name__)
_FINISH_NS: Final = 1_000_000_000
_LOOK_S: Final = 0.001
_OTHERS: Final = frozenset(
    {"inject", *(name for name in STREAMS if FRAME in STREAMS[name].records)}
)
"""Streams that no captured engine writes."""


class Captured:
    """A process's own engines, ends and cells with a capture between them."""

    def __init__(self, capture: Capture, ends: RealEnds, blocks: BlockStream) -> None:
        self._capture = capture
        self._blocks = blocks
        self.ends: CapturedEnds = capture.ends(ends)
        self.sink: CapturedSink
        self.executor: CapturedHalting
        self.halt: CapturedGauge
        self.signals: CapturedInject

    def halted(self, elsewhere: HaltEnd | Callable[[], int]) -> HaltEnd:
        """Return halt cells elsewhere, looks at them written down."""
        return self._capture.halted(elsewhere)

    def listen(self, trading: "Trading") -> None:
        """Write down what is done to the deciding engines from here on."""
        capture = self._capture
        capture.listen(trading)
        self.sink = capture.sink(trading.executor.inbox)
        self.executor = capture.executor(trading.executor)
        self.halt = capture.gauge(trading.halt)
        self.signals = capture.signals(trading.signals)

    def engines(self, engines: Sequence[Engine]) -> list[Engine]:
        """Return what turns them; the blocks come first, so that they are closed last."""
        return [self._blocks, self._capture.engines(engines)]

    async def finish(self) -> None:
        """Hand the rest to the recorder, if it still takes any within a second."""
        until_ns = monotonic_ns() + _FINISH_NS
        while not self._blocks.flush(monotonic_ns()):
            if monotonic_ns() > until_ns:
                _LOG.warning("capture unfinished: the recorder takes no more of it")
                return
            await asyncio.sleep(_LOOK_S)


def begin_capture(
    config: EngineConfig,
    attachment: Attachment,
    meters: Meters,
    ends: RealEnds,
    keys: Credentials,
    recovered: "Recovered | None",
) -> Captured:
    """Begin a capture, with a picture of what an earlier life left in shared memory."""
    streams = [name for name in STREAMS if name not in _OTHERS]
    names = [f"stream.{name}" for name in streams] + [f"table.{name}" for name in TABLES]
    segments = {name: attachment.segment(name) for name in names}
    camera = picture_attached(attachment, streams, TABLES)
    found = camera.data()
    if found:
        _LOG.info("capture begins with a picture of an earlier life bytes=%d", len(found))
    counts = {name: segment.header.record_count for name, segment in segments.items()}
    header = header_of(
        {name: counts[f"table.{name}"] for name in TABLES},
        recovered=recovered,
        keys=keys,
        process=attachment.process,
        instance=config.instance,
        mode=config.mode,
        host=ends.host,
        started_ns=monotonic_ns(),
        wall_ns=wall_ns(),
        config=msgspec.to_builtins(without_tapes(config)),
        slots={name: counts[f"stream.{name}"] for name in streams},
        streams=camera.streams,
        tables=camera.tables,
        halt=meters.gauge("halt").value,
        watches=True,
    )
    capture = Capture(attachment, header, keys, found)
    blocks = BlockStream(
        capture.log,
        attachment.open_stream_writer("capture"),
        ends.clock,
        meters.gauge("capture.waiting_bytes"),
        meters.gauge("capture.lost"),
    )
    return Captured(capture, ends, blocks)
