"""The recorder as a process: journal of reports and decisions, raw-frame tapes and captures.

``python -m lowlat.app.recorder --config FILE``. Never on the order path: it polls every few
milliseconds, fsyncs, and only then lets the executor reuse the slots it read.
"""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Final

from sqlalchemy import Engine as Database

from lowlat.app.config import EngineConfig, load_config
from lowlat.app.config_notes import ConfigNotes
from lowlat.app.entry import pin, run_child
from lowlat.app.generations import Generation, config_in_force
from lowlat.app.ledger_url import ledger_url
from lowlat.app.log import say_ready
from lowlat.app.machine import Metrics
from lowlat.app.nameplate import hang_nameplate
from lowlat.app.state import state_dir
from lowlat.app.steering import Steering
from lowlat.app.topology import RECORDER
from lowlat.core.clock import RealClock, monotonic_ns
from lowlat.core.layout import FRAME, STREAMS
from lowlat.core.ports import Engine
from lowlat.shm.attachment import Attachment
from lowlat.shm.locks import boot_id
from lowlat.shm.places import segment_file
from lowlat.store.explain import ExplainEngine, ExplainMeters
from lowlat.store.journal import JournalEngine, JournalMeters
from lowlat.store.ledger.database import open_database
from lowlat.store.ledger.inbox import InboxEngine, InboxMeters
from lowlat.store.ledger.lock import LedgerLock
from lowlat.store.ledger.writer import Ledger
from lowlat.store.markouts import MarkoutEngine
from lowlat.store.risk_rows import RiskTables

__all__ = ["main"]

NAME: Final = RECORDER
_GATE: Final = "ledger"
CAPTURE: Final = "capture"
FRAME_STREAMS: Final = tuple(
    name for name in STREAMS if FRAME in STREAMS[name].records and name != CAPTURE
)
"""Each feed writes its own."""


def main(arguments: list[str] | None = None) -> int:
    """Run the recorder process; return its exit code."""
    parser = argparse.ArgumentParser(prog="lowlat.app.recorder", description=__doc__)
    parser.add_argument("--config", required=True, help="TOML file")
    path = parser.parse_args(arguments).config
    return run_child(NAME, lambda: _run(config_in_force(load_config(path), NAME)))


def _run(generation: Generation) -> int:
    config = generation.config
    place = config.topology[NAME]
    pin(NAME, place)
    poll_s = place.tick_ms / 1000
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with Attachment(config.instance, NAME) as attachment:
        stats = attachment.open_stats()
        metrics = Metrics(stats)
        hang_nameplate(metrics, config.mode, "poll")
        metrics.gauge("process.core").set(place.core + 1)
        steering = Steering(attachment, stats, _Recording(stop), generation.number)
        for number in (signal.SIGUSR1, signal.SIGUSR2):
            # The supervisor asks everybody who steers to dump; unhandled it would end us.
            signal.signal(number, lambda *_: None)
        engines = [steering, *_engines(config, attachment, metrics)]
        for engine in engines:
            engine.start()
        say_ready(NAME)
        if config.tape.enabled:
            # Behind READY: its library takes long to load, and nobody waits for frames.
            engines += _tapes(config, attachment, metrics)
        last = False
        while True:
            now_ns = monotonic_ns()
            stats.heartbeat.set(now_ns)
            worked = sum(engine.turn(now_ns) for engine in engines)
            if worked:
                continue
            if last:
                break
            # One more round after the signal: what was published before it is written down.
            last = stop.wait(poll_s)
        for engine in reversed(engines):
            engine.close()
    return 0


class _Recording:
    """What a process without orders can be made to do: keep up with the generation in force.

    None of its own keys changes live, so that every generation suits it; it has nothing to halt.
    """

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop

    def apply(self, generation: Generation) -> None:
        """Acknowledge."""

    def halt(self, reason: str = "") -> None:
        """Go on: what others did is still to be written down."""

    def resume(self) -> None:
        """Go on."""

    def drain(self) -> None:
        """End once everything is written down."""
        self._stop.set()

    def dump(self) -> None:
        """There are no histograms."""


def _engines(config: EngineConfig, attachment: Attachment, metrics: Metrics) -> list[Engine]:
    directory = str(state_dir(config.instance))
    engines: list[Engine] = []
    plan_of: Callable[[int], str] | None = None
    if config.journal.decisions_bytes_max:
        # Before the journal: an order's signal is read before its fill is booked.
        explain = _explain(config, attachment, metrics)
        engines.append(explain)
        plan_of = explain.plan_of
    database = open_ledger(config)
    ledger = Ledger(database, plan_of) if database is not None else None
    journal = JournalEngine(
        directory,
        attachment.open_stream_reader("reports", gate=_GATE),
        attachment.open_stream_reader("decisions", gate=_GATE),
        (
            attachment.open_table_reader("orders"),
            attachment.open_table_reader("positions"),
            attachment.open_table_reader("cash"),
        ),
        RealClock(),
        _journal_meters(metrics),
        config.journal,
        ledger,
        life_of(config.instance),
        risk=RiskTables(*(attachment.open_table_reader(name) for name in RiskTables._fields)),
    )
    engines.append(journal)
    engines.append(
        MarkoutEngine(
            attachment.open_stream_reader("reports"),
            attachment.open_table_reader("orders"),
            attachment.open_table_reader("book"),
            metrics.cell,
        )
    )
    if database is not None and ledger is not None:
        names = InboxMeters.__struct_fields__
        meters = InboxMeters(*(metrics.cell(f"inbox.{name}") for name in names))
        engines += [
            InboxEngine(state_dir(config.instance), ledger, meters),
            ConfigNotes(config.instance, ledger),
            LedgerLock(database),
        ]
    return engines


def _journal_meters(metrics: Metrics) -> JournalMeters:
    gauges = {"refused"}
    return JournalMeters(
        *(
            (metrics.gauge if name in gauges else metrics.cell)(f"journal.{name}")
            for name in JournalMeters.__struct_fields__
        )
    )


def _tapes(config: EngineConfig, attachment: Attachment, metrics: Metrics) -> list[Engine]:
    """Make and start what writes raw frames and captures. Streams are joined first: they go on.

    A captured process waits for its reader, so that nothing of a capture is lost.
    """
    sources = {
        "tape": [attachment.open_stream_reader(name) for name in FRAME_STREAMS],
        CAPTURE: [attachment.open_stream_reader(CAPTURE, gate=_GATE)],
    }
    from lowlat.store.tape import TapeCells, TapeWriter  # noqa: PLC0415

    tapes: list[Engine] = [
        TapeWriter(
            readers,
            state_dir(config.instance) / name,
            TapeCells(*(metrics.cell(f"{name}.{cell}") for cell in TapeCells._fields)),
            config.tape.params,
        )
        for name, readers in sources.items()
    ]
    for tape in tapes:
        tape.start()
    return tapes


def _explain(config: EngineConfig, attachment: Attachment, metrics: Metrics) -> ExplainEngine:
    meters = ExplainMeters(
        *(metrics.cell(f"explain.{name}") for name in ExplainMeters.__struct_fields__)
    )
    return ExplainEngine(
        str(state_dir(config.instance)),
        attachment.open_stream_reader("signals"),
        attachment.open_table_reader("markets"),
        meters,
        config.journal.decisions_bytes_max,
        attachment.open_table_reader("book"),
    )


def open_ledger(config: EngineConfig) -> Database | None:
    """Open the ledger's database, by default a file beside the journal; None when it is off."""
    if not config.ledger.enabled:
        return None
    state_dir(config.instance)
    return open_database(ledger_url(config), config.ledger.password_file)


def life_of(instance: str) -> str:
    """Name this incarnation of the shared memory: its boot and the file of its reports."""
    return f"{boot_id()}:{os.stat(segment_file(instance, 'stream.reports')).st_ino}"


if __name__ == "__main__":
    sys.exit(main())
