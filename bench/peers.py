"""The same hop through other people's queues, and the same work through other people's code.

Peers are measured where they are installed (``pip install iceoryx2 nautilus_trader``); the
official SDK comes with the development requirements. ``ratio`` is how many times slower than ours.
"""

import importlib.util
import multiprocessing
import os
import sys
from collections.abc import Callable
from contextlib import nullcontext
from multiprocessing.connection import Connection
from multiprocessing.queues import Queue
from typing import Any

import numpy as np

from bench import peer_work
from bench.cores import pin, unpin
from bench.harness import Row, paired
from bench.hop import _Echo
from lowlat.core.clock import monotonic_ns

HOPS = ("peer-queue", "peer-pipe", "peer-iceoryx2")
ROWS = (*HOPS, *peer_work.ROWS)
PAYLOAD = bytes(512)
ROUND_TRIPS = 2_000


def run(names: tuple[str, ...] = ROWS) -> list[Row]:
    """Measure the peers that are installed."""
    rows = []
    hops = {
        "peer-queue": (_queue_samples, None),
        "peer-pipe": (_pipe_samples, None),
        "peer-iceoryx2": (_iceoryx2_samples, "iceoryx2"),
    }
    with _Echo() if set(names) & set(HOPS) else nullcontext() as echo:
        for name, (samples, package) in hops.items():
            if name in names and (package is None or importlib.util.find_spec(package)):
                row = paired(name, samples, echo.from_python, floor_name="our hop")
                if package:
                    row.target = ">= 10 x our hop"
                    row.met = row.ratio is not None and row.ratio >= 10
                rows.append(row)
    return rows + peer_work.run(names)


def _queue_samples() -> np.ndarray:
    unpin()
    context = multiprocessing.get_context("spawn")
    there: Queue[bytes] = context.Queue()
    back: Queue[bytes] = context.Queue()
    child = context.Process(target=_echo_calls, args=(there, back), daemon=True)
    child.start()
    pin(0)
    samples = _round_trips(lambda: there.put(PAYLOAD), back.get)
    there.put(b"")
    child.join(10)
    return samples


def _pipe_samples() -> np.ndarray:
    unpin()
    context = multiprocessing.get_context("spawn")
    mine, other = context.Pipe()
    child = context.Process(target=_echo_pipe, args=(other,), daemon=True)
    child.start()
    pin(0)
    samples = _round_trips(lambda: mine.send_bytes(PAYLOAD), mine.recv_bytes)
    mine.send_bytes(b"end")
    child.join(10)
    return samples


def _iceoryx2_samples() -> np.ndarray:
    unpin()
    context = multiprocessing.get_context("spawn")
    mine, other = context.Pipe()
    name = f"lowlat-bench-{os.getpid()}-{monotonic_ns()}"
    child = context.Process(target=_echo_iceoryx2, args=(name, other), daemon=True)
    child.start()
    pin(0)
    assert mine.recv_bytes() == b"ready"
    publisher, subscriber = _iceoryx2_ends(name, "there", "back")
    mine.send_bytes(b"go")
    assert mine.recv_bytes() == b"connected"

    def receive() -> object:
        sample = subscriber.receive()
        while sample is None:
            sample = subscriber.receive()
        return sample

    samples = _round_trips(lambda: _iceoryx2_send(publisher), receive)
    child.terminate()
    child.join(10)
    return samples


def _round_trips(send: Callable[[], object], receive: Callable[[], object]) -> np.ndarray:
    samples = np.empty(ROUND_TRIPS)
    for i in range(ROUND_TRIPS):
        start = monotonic_ns()
        send()
        receive()
        samples[i] = monotonic_ns() - start
    return samples[ROUND_TRIPS // 10 :] / 2


def _echo_calls(there: "Queue[bytes]", back: "Queue[bytes]") -> None:
    pin(1)
    while payload := there.get():
        back.put(payload)


def _echo_pipe(other: Connection) -> None:
    pin(1)
    while (payload := other.recv_bytes()) != b"end":
        other.send_bytes(payload)


def _iceoryx2_ends(name: str, out: str, back: str) -> tuple[Any, Any]:
    import ctypes

    import iceoryx2

    class Record(ctypes.Structure):
        _fields_ = [("words", ctypes.c_uint64 * 64)]

    iceoryx2.set_log_level(iceoryx2.LogLevel.Error)
    node = iceoryx2.NodeBuilder.new().create(iceoryx2.ServiceType.Ipc)
    ends = []
    for part in (out, back):
        service_name = iceoryx2.ServiceName.new(f"{name}/{part}")
        ends.append(node.service_builder(service_name).publish_subscribe(Record).open_or_create())
    publisher = ends[0].publisher_builder().create()
    subscriber = ends[1].subscriber_builder().create()
    _KEEP.append((node, ends, Record))
    return publisher, subscriber


_KEEP: list[object] = []


def _iceoryx2_send(publisher: Any) -> None:
    sample = publisher.loan_uninit()
    sample.assume_init().send()


def _echo_iceoryx2(name: str, control: Connection) -> None:
    pin(1)
    publisher, subscriber = _iceoryx2_ends(name, "back", "there")
    control.send_bytes(b"ready")
    control.recv_bytes()
    control.send_bytes(b"connected")
    while True:
        sample = subscriber.receive()
        if sample is not None:
            _iceoryx2_send(publisher)


if __name__ == "__main__":
    sys.exit("run it as: lowlat bench peers")
