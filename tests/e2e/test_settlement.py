"""Settlement beside a trading engine: complete sets of unwound groups become cash, proven."""

import json
import subprocess
import sys

import pytest
from rig import Rig

from lowlat.app.agreement import VenueDoor
from lowlat.app.halts import Puller, lift_halts, pull_halt
from lowlat.app.locked_capital import locked
from lowlat.core.clock import monotonic_ns

pytestmark = [pytest.mark.e2e, pytest.mark.kill, pytest.mark.stress]


def status(instance):
    code = "from lowlat.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "status", "-i", instance, "--json", "--over", "0"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return json.loads(done.stdout)


def test_sets_are_merged_while_trading_and_both_sides_agree(instance, home):
    sim = {"auto_redeem": False, "relayer_ms": [200, 200], "index_lag_ms": [0, 0]}
    with Rig(instance, home, seed=3, sim=sim, settles=True) as rig:
        rig.turn_until(
            lambda: rig.reading().counter("settlement.proven"), 90, "a merge that balances prove"
        )
        found = locked(rig.reading())
        assert found.held_cost_e6 > 0
        shown = status(instance)
        assert shown["processes"]["settlement"]["state"] == "ready"
        assert shown["locked"]["settled"]["proven"] >= 1

        # Its death stops no trading and repeats nothing.
        before = rig.reading().counter("executor.orders")
        rig.await_ready("settlement", rig.kill("settlement"), 20)
        rig.turn_until(lambda: rig.reading().counter("executor.orders") > before, 60, "orders")

        # While anybody halts nothing is moved, however much there is to free.
        pull_halt(instance, Puller.OPERATOR, "test", 1)
        rig.run(1.0)
        sent = merges(rig)
        halted_ns = monotonic_ns()
        rig.turn_until(lambda: monotonic_ns() > halted_ns + 7_000_000_000, 9)
        assert merges(rig) == sent
        lift_halts(instance)

        counters = rig.counters()
        assert not counters.get("settlement.differs", 0), counters
        assert not counters.get("settlement.failed", 0), counters
        rig.supervisor.stop(["settlement"], 10)
        # What was merged last is still to be seen by the executor.
        rig.run(3.0)
        assert rig.drain().holds
    assert rig.whole_log("settlement").count("merge proven") >= 1


def merges(rig):
    """Count the merges of the wallet as the venue's indexer tells them."""
    data = VenueDoor(rig.urls["data"])
    page = data.call("GET", f"/v2/activity?user={rig.account.wallet}&type=MERGE&limit=500")
    return sum(row["type"] == "MERGE" for row in page["data"])
