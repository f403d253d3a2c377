"""What an observer costs the engine: instructions and system calls of a writer, with and without.

A writer publishes and writes tables, histograms and counters as the engine does for so many orders,
under valgrind (instructions) and strace (system calls); beside it nobody, or an observer that reads
everything without a pause, so far more often than `top`. Loops are counted as the difference to a
run without any, so that the start of Python is not in it.
"""

import os
import re
import shutil
import subprocess
import sys

import pytest

HERE = os.path.dirname(__file__)
ORDERS = 6_000
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
        try:
            _, said = writer.communicate("go\n", timeout=300)
            assert observer is None or observer.poll() is None, "it has to have read to the end"
        finally:
            if observer is not None:
                observer.kill()
                observer.communicate()
    assert writer.returncode == 0, said
    return said


def instructions(instance, orders, *, watched):
    tool = ("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null")
    said = run(instance, tool, orders, watched=watched)
    return int(re.search(r"Collected : (\d+)", said)[1])


def calls(instance, orders, *, watched):
    said = run(instance, ("strace", "-f", "-c", "-U", "calls,name"), orders, watched=watched)
    return int(re.search(r"(\d+)\s+total", said)[1])


@pytest.mark.parametrize("count", [instructions, calls])
def test_a_writer_does_the_same_work_whether_somebody_reads_or_not(instance, count):
    idle = count(instance, 0, watched=False)
    alone = count(instance, ORDERS, watched=False) - idle
    watched = count(instance, ORDERS, watched=True) - idle
    found = f"{count.__name__} of {ORDERS} orders: {alone} alone, {watched} watched"
    if count is calls:
        assert watched - alone in range(-5, 6), found
        assert alone < ORDERS // 10, found
    else:
        assert alone > ORDERS * 100, found
        assert abs(watched - alone) <= TOLERANCE * alone, found
