"""A disk that takes nothing: new orders stop, cancels go on, somebody says so, and it goes on.

The kernel refuses every write of the recorder (RLIMIT_FSIZE, as a full file system does with
another number), while the engine trades against the simulator. The ring of reports is small, so
that half of it is full within seconds.
"""

import json
import resource
import subprocess
import sys

import pytest
from rig import Rig

pytestmark = [pytest.mark.e2e, pytest.mark.stress]
MAIN = [sys.executable, "-c", "from lowlat.cli.main import main; main()"]


def limit_files(pid, size_bytes):
    """Let no file of a process grow beyond a size; the hard limit stays as it is."""
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size_bytes, hard))


def lowlat(*arguments):
    command = [*MAIN, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout


def test_a_disk_that_takes_nothing_stops_new_orders_and_nothing_else(instance, home, capsys):
    with Rig(instance, home, seed=3, segments={"slots": {"reports": 512}}) as rig:
        count = lambda name: rig.reading().counter(name)  # noqa: E731
        rig.turn_until(lambda: count("executor.orders") > 10, 60, "orders")
        limit_files(rig.pid("recorder"), 0)
        rig.turn_until(lambda: count("risk.refused.no_room") > 3, 90, "a refusal for want of room")
        ordered, written = count("executor.orders"), count("journal.bytes_written")
        rig.run(5.0)
        assert count("executor.orders") == ordered, "nothing new leaves"
        assert count("journal.bytes_written") == written, "nothing was written"
        assert not count("executor.ledger_gap"), "fills and cancels have their room"
        assert "no_room" in lowlat("why", "-i", instance).lower()
        wrong = json.loads(lowlat("status", "-i", instance, "--json", "--over", "0"))["problems"]
        assert any("disk" in each for each in wrong), wrong
        limit_files(rig.pid("recorder"), resource.RLIM_INFINITY)
        rig.turn_until(lambda: count("executor.orders") > ordered, 60, "orders again")
        assert rig.drain().holds
