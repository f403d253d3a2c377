"""What an order costs the hot path in instructions: a program to run under callgrind or strace.

``python -m bench.order_cost '{"orders": 200, "what": "order", "captured": false, "instance": ""}'``

``what``: *order* counts from a frame that makes a market cheap to the send, *frame* a frame that
moves a size. With ``instance`` it works on the shared memory of that instance, which others made
and a recorder reads.
"""

import json
import os
import re
import subprocess
import sys
from typing import Any

from bench.harness import native
from bench.stages_engine import CRYPTO, StageBench
from lowlat.core.clock import VirtualClock, monotonic_ns, wall_ns
from lowlat.core.layout import Table
from lowlat.shm._core import TableWriter
from lowlat.shm.attachment import Attachment

__all__ = ["instructions", "system_calls"]

CALLGRIND = (
    "valgrind", "--tool=callgrind", "--instr-atstart=no", "--callgrind-out-file=/dev/null",
)  # fmt: skip
STRACE = ("strace", "-f", "-c", "-U", "calls,name")


def instructions(orders: int, what: str, **settings: Any) -> float:
    """Return how many instructions one of ``orders`` takes."""
    said = _run(CALLGRIND, {"orders": orders, "what": what, **settings})
    found = re.search(r"Collected : (\d+)", said)
    assert found is not None, said[-2000:]
    return int(found[1]) / orders


def system_calls(orders: int, **settings: Any) -> int:
    """Return how many system calls a process makes that lives ``orders`` orders, its start too."""
    said = _run(STRACE, {"orders": orders, "what": "order", **settings})
    found = re.search(r"(\d+)\s+total", said)
    assert found is not None, said[-2000:]
    return int(found[1])


def _run(tool: tuple[str, ...], settings: dict[str, Any]) -> str:
    command = [*tool, sys.executable, "-m", "bench.order_cost", json.dumps(settings)]
    done = subprocess.run(
        command,
        env=os.environ | {"PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stderr


class _Shared(Attachment):
    """The memory of an instance in which an earlier life held the positions that we begin with."""

    def __init__(self, instance: str) -> None:
        super().__init__(instance, "engine")
        self._earlier: Attachment | None = Attachment(instance, "earlier")

    def open_table_writer(self, name: str, table: Table | None = None) -> TableWriter:
        """Own a table; positions belong to the earlier life the first time."""
        earlier = self._earlier
        if name != "positions" or earlier is None:
            return super().open_table_writer(name, table)
        if earlier.holder("table.positions") is None:
            return earlier.open_table_writer(name, table)
        earlier.close()
        self._earlier = None
        return super().open_table_writer(name, table)


class _Working(VirtualClock):
    """Passes a microsecond a reading: callgrind is fifty times as slow, and nothing is late."""

    def __init__(self) -> None:
        super().__init__(monotonic_ns(), wall_ns())

    def monotonic_ns(self) -> int:
        """Pass and read."""
        self.advance(1_000)
        return super().monotonic_ns()


def main() -> None:
    """Live so many orders."""
    settings = json.loads(sys.argv[1])
    what, instance = settings["what"], settings.get("instance")
    memory = _Shared(instance) if instance else None
    bench = StageBench(
        pumped=True,
        captured=bool(settings.get("captured")),
        memory=memory,
        clock=_Working(),
    )
    callgrind = native("callgrind")
    sent, left = 0, settings["orders"]
    for market in range(CRYPTO):
        # Each market's first order is a template's first: not what is measured.
        sent += _order(bench, market, callgrind, "")
    for number in range(left):
        sent += _order(bench, number % CRYPTO, callgrind, what)
    assert sent == left + CRYPTO, f"{sent} orders for {left + CRYPTO} triggers"
    print(json.dumps({"orders": left}))


def _order(bench: StageBench, market: int, callgrind: Any, what: str) -> int:
    """Make a market cheap and dear again; return how many orders that drew."""
    before = bench.transport.orders
    cheap, dear, quiet = bench.frames(market)
    for name, frame in (("order", cheap), ("", dear), ("frame", quiet)):
        if name == what:
            # Only here: counting makes all some fifty times as slow, and engines live by the clock.
            callgrind.begin()
            bench.send(frame, market)
            callgrind.end()
        else:
            bench.send(frame, market)
        bench.settle()
    return bench.transport.orders - before


if __name__ == "__main__":
    main()
