"""What a process left when it ended unasked, kept in one file before its successor overwrites it.

``post-mortem/<UTC>-<process>-<pid>.json`` in the state directory, 0600, the newest _KEPT stay. Read
from shared memory, which outlives its writer: counters, gauges, latencies, distinct errors, the
last records of every stream, the state of every segment, the end of the log. No raw frames and no
credentials: they are in no stream that is read here.
"""

import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from lowlat.app.child import ChildProcess
from lowlat.app.state import state_dir
from lowlat.core.clock import monotonic_ns
from lowlat.core.errors import LayoutError, SegmentError
from lowlat.core.layout import FRAME, STREAMS
from lowlat.shm.attach import Attached, StreamView, attach
from lowlat.shm.stats import Metric, StatsReader

__all__ = ["FOLDER", "PostMortem", "read_bundles"]

FOLDER: Final = "post-mortem"
_KEPT: Final = 32
_TAIL: Final = 32
"""Records of each stream."""
_LOG_BYTES: Final = 16_384
_log: Final = logging.getLogger(__name__)


class PostMortem:
    """Writes bundles for one instance. Call it with a life that ended and how."""

    def __init__(self, instance: str, wall_s: Callable[[], float] = time.time) -> None:
        self._instance = instance
        self._wall_s = wall_s

    def __call__(self, life: ChildProcess, how: str) -> Path | None:
        """Write a bundle; None, and a line in the log, when the disk does not take it."""
        folder = state_dir(self._instance) / FOLDER
        at_s = self._wall_s()
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(at_s)) + f".{int(at_s * 1e3) % 1000:03d}"
        path = folder / f"{stamp}Z-{life.spec.name}-{life.pid}.json"
        bundle = {
            "process": life.spec.name,
            "pid": life.pid,
            "how": how,
            "exit_code": life.exit_code,
            "wall_s": at_s,
            "monotonic_ns": monotonic_ns(),
            "argv": list(life.spec.argv),
            "log": _log_tail(life.log),
            **self._from_memory(life.spec.name),
        }
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            path.touch(mode=0o600)
            path.write_text(json.dumps(bundle, indent=1), encoding="utf-8")
            _prune(folder)
        except OSError as error:
            _log.error("post-mortem not written path=%s error=%s", path, error.strerror)
            return None
        _log.info("post-mortem path=%s", path)
        return path

    def _from_memory(self, process: str) -> dict[str, Any]:
        """Return what shared memory still says; an instance without segments says nothing."""
        try:
            attached = attach(self._instance)
        except SegmentError as error:
            return {"memory": str(error)}
        found: dict[str, Any] = {"segments": _guarded(lambda: _segments(attached))}
        if process in attached.stats:
            found |= _guarded(lambda: _stats(attached.stats[process]))
        found["streams"] = {
            name: _guarded(lambda name=name: _tail(attached.streams[name]))  # type: ignore[misc]
            for name in attached.streams
            if name not in STREAMS or FRAME not in STREAMS[name].records
        }
        return found


def read_bundles(instance: str) -> list[Path]:
    """Return the bundles of an instance, oldest first."""
    return sorted((state_dir(instance, make=False) / FOLDER).glob("*.json"))


def _guarded(read: Callable[[], Any]) -> Any:
    """Return what was read, or why it could not be: damage is what a bundle is written for."""
    try:
        return read()
    except (LayoutError, SegmentError, ValueError) as error:
        return {"unreadable": str(error)}


def _segments(attached: Attached) -> list[dict[str, Any]]:
    return [
        {
            "name": each.name,
            "state": each.state.name,
            "epoch": each.epoch,
            "cursor": each.cursor,
            "heartbeat_ns": each.heartbeat_ns,
            "writer": str(each.writer) if each.writer is not None else "",
            "alive": each.alive,
        }
        for each in attached.status()
    ]


def _stats(reader: StatsReader) -> dict[str, Any]:
    """Return counters, gauges, latencies and distinct errors as the process left them."""
    seen = reader.snapshot()
    kinds = seen.metrics
    return {
        "epoch": seen.epoch,
        "heartbeat_ns": seen.heartbeat_ns,
        "counters": {k: v for k, v in seen.counters.items() if kinds[k] is Metric.COUNTER},
        "gauges": {k: v for k, v in seen.counters.items() if kinds[k] is Metric.GAUGE},
        "latency_ns": {
            name: {
                "count": view.count,
                "p50": view.percentile_ns(50),
                "p99": view.percentile_ns(99),
                "max": view.max_ns,
            }
            for name, view in seen.histograms.items()
            if view.count
        },
        "errors": [
            {
                "text": each.text,
                "count": each.count,
                "first_ns": each.first_ns,
                "last_ns": each.last_ns,
            }
            for each in seen.errors
        ],
        "errors_dropped": seen.errors_dropped,
    }


def _tail(view: StreamView) -> dict[str, Any]:
    """Return the last records of a stream, oldest first."""
    cursor = view.reader.cursor
    view.reader.seek(max(1, cursor - min(_TAIL, view.rewind())))
    records = [
        (int(record["seq"]), name, record)
        for name, batch in view.batch(_TAIL).items()
        for record in batch
    ]
    return {
        "cursor": cursor,
        "records": [
            {"record": name, **_fields(record)}
            for _, name, record in sorted(records, key=lambda each: each[0])
        ],
    }


def _fields(record: np.void) -> dict[str, Any]:
    names = record.dtype.names
    assert names is not None, "a record has fields"
    return {name: _plain(record[name]) for name in names}


def _plain(value: Any) -> Any:
    """Return numbers as numbers, text as text, other bytes as hex without their tail of zeros."""
    if isinstance(value, np.ndarray):
        return [_plain(each) for each in value.tolist()]
    raw = value.tobytes() if isinstance(value, np.void) else value
    if isinstance(raw, bytes):
        cut = raw.rstrip(b"\0")
        printable = cut.isascii() and cut.decode("ascii", "replace").isprintable()
        return cut.decode("ascii") if printable else cut.hex()
    return raw.item() if isinstance(raw, np.generic) else raw


def _log_tail(path: Path) -> list[str]:
    try:
        with open(path, "rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - _LOG_BYTES))
            return file.read().decode("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return []


def _prune(folder: Path) -> None:
    for path in sorted(folder.glob("*.json"))[:-_KEPT]:
        path.unlink(missing_ok=True)
