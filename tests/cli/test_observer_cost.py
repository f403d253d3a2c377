"""What an observer costs the engine: instructions and system calls of a writer, with and without.

A writer publishes and writes tables, histograms and counters as the engine does for so many orders,
under valgrind (instructions) and strace (system calls); beside it nobody, or an observer that reads
everything without a pause, so far more often than `top`. Valgrind counts from where the writer is
told to go, calls are the difference to a run without a loop: the start of Python, which is never
the same twice, is in neither.
"""

import os
import re
import shutil
import subprocess
import sys

import pytest

HERE = os.path.dirname(__file__)
ORDERS = {"instructions": 1_500, "calls": 6_000}
TOLERANCE = 0.02
WRITER = """
import os, sys
sys.path.insert(0, sys.argv[3])
from instance_kit import Instance
from lowlat.core.layout import DECISION, ORDER_ROW, SIGNAL
made = Instance(sys.argv[1])
streams, tables, stats = made.streams, made.tables, made.stats["engine"]
histogram, counter = stats.histogram("latency.tick_to_sent"), stats.counter("executor.orders")
# Somebody reads by now, when there is somebody.
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[2])):
    assert streams["signals"].publish(SIGNAL.kind)
    assert streams["decisions"].publish(DECISION.kind)
    tables["orders"].write(number & 31)
    tables["book"].write(number & 31)
    histogram.record(number)
    counter.add(1)
    stats.heartbeat.set(number)
made.__exit__()
"""
CALLGRIND = (
    "valgrind", "--tool=callgrind", "--instr-atstart=no", "--callgrind-out-file=/dev/null",
)  # fmt: skip
OBSERVER = """
import sys
from lowlat.cli._top_source import Source
source = Source(sys.argv[1])
print("ready", flush=True)
while True:
    source.poll()
    source.shot(frozenset({"books", "orders"}))
"""
pytestmark = [
    pytest.mark.stress,
    pytest.mark.skipif(
        not (shutil.which("valgrind") and shutil.which("strace")), reason="needs valgrind, strace"
    ),
]


def run(instance, tool, orders, *, watched):
    """Run the writer under a tool; return what the tool said."""
    command = [*tool, sys.executable, "-c", WRITER, instance, str(orders), HERE]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    environment = os.environ | {"PYTHONHASHSEED": "0", "PYTHONMALLOC": "pymalloc"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, env=environment, **pipes) as writer:
        assert writer.stdout.readline() == "ready\n", writer.stderr.read()
        observer = None
        if watched:
            observer = subprocess.Popen([sys.executable, "-c", OBSERVER, instance], **pipes)
            assert observer.stdout.readline() == "ready\n"
        if tool is CALLGRIND:
            count_from_now(writer.pid)
        try:
            _, said = writer.communicate("go\n", timeout=300)
            assert observer is None or observer.poll() is None, "it has to have read to the end"
        finally:
            if observer is not None:
                observer.kill()
                observer.communicate()
    assert writer.returncode == 0, said
    return said


def count_from_now(pid):
    """Let callgrind, which has run without counting and so ten times as fast, begin."""
    subprocess.run(
        ["callgrind_control", "--instr=on", str(pid)], check=True, timeout=60, capture_output=True
    )


def instructions(instance, *, watched):
    said = run(instance, CALLGRIND, ORDERS["instructions"], watched=watched)
    return int(re.search(r"Collected : (\d+)", said)[1])


def calls(instance, *, watched):
    tool = ("strace", "-f", "-c", "-U", "calls,name")
    both = [run(instance, tool, orders, watched=watched) for orders in (0, ORDERS["calls"])]
    idle, busy = (int(re.search(r"(\d+)\s+total", said)[1]) for said in both)
    return busy - idle


@pytest.mark.parametrize("count", [instructions, calls])
def test_a_writer_does_the_same_work_whether_somebody_reads_or_not(instance, count, capsys):
    alone = count(instance, watched=False)
    watched = count(instance, watched=True)
    orders = ORDERS[count.__name__]
    found = f"{count.__name__} of {orders} orders: {alone} alone, {watched} watched"
    with capsys.disabled():
        sys.stdout.write(f"\n  {found}\n")
    if count is calls:
        assert watched - alone in range(-5, 6), found
        assert alone < orders // 10, found
    else:
        assert alone > orders * 100, found
        assert abs(watched - alone) <= TOLERANCE * alone, found
