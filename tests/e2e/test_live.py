"""Mode live against the simulator over TLS: closed until proven, then it trades, then closed."""

import json
import signal
import subprocess
import sys
import time

import pytest
from rig import LIVELY

from lowlat.app.agreement import VenueDoor
from lowlat.app.halts import Puller, read_halts
from lowlat.app.telemetry import Telemetry
from lowlat.cli._demo_files import open_account, write_config
from lowlat.core.errors import LowlatError

pytestmark = [pytest.mark.e2e, pytest.mark.stress]
MAIN = [sys.executable, "-c", "from lowlat.cli.main import main; main()"]


@pytest.fixture
def venue(tmp_path):
    options = ["--tls", "true", "--seed", "3", "--flow", json.dumps(LIVELY)]
    with subprocess.Popen(
        [sys.executable, "-m", "lowlat.sim", *options], stdout=subprocess.PIPE, text=True
    ) as sim:
        yield json.loads(sim.stdout.readline())
        sim.terminate()
        sim.wait(timeout=20)


@pytest.fixture
def config(venue, instance, tmp_path):
    urls, certificate = venue["urls"], venue["certificate"]
    # As live wants it: a key that may only trade, for a deposit wallet.
    account = open_account(VenueDoor(urls["control"]), tmp_path, 3, session=True)
    path = tmp_path / "engine.toml"
    write_config(path, instance, urls, account)
    text = path.read_text().replace('mode = "sim"', 'mode = "live"', 1)
    trusted = f"certificate_file = {json.dumps(str(certificate))}\n\n[account]"
    text = text.replace("\n[account]", trusted, 1).replace('mode = "paper"', 'mode = "live"')
    path.write_text(text)
    return path


def counters(instance):
    try:
        return Telemetry(instance).read().counters
    except LowlatError:
        return {}


def await_(condition, process, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()[1][-3000:]
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.2)


def test_live_trades_once_it_is_proven_and_not_without_the_flag(config, instance):
    refused = subprocess.run(
        [*MAIN, "run", "--config", str(config)], capture_output=True, text=True, check=False
    )
    assert refused.returncode == 2
    assert "explicit consent" in refused.stderr
    run = subprocess.Popen(
        [*MAIN, "run", "--config", str(config), "--live", "--quiet"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        await_(lambda: counters(instance).get("executor.heartbeats"), run)
        # In this order: what is not proven yet had not been when the fills were counted either.
        fills = counters(instance).get("executor.fills", 0)
        if [each.puller for each in read_halts(instance)] == [Puller.UNPROVEN]:
            assert not fills, "nothing was filled before"
        await_(lambda: not read_halts(instance), run)
        await_(lambda: counters(instance).get("executor.fills", 0) > 2, run)
    finally:
        run.send_signal(signal.SIGTERM)
        _, said = run.communicate(timeout=100)
    assert run.returncode == 0, said[-3000:]
    assert [each.puller for each in read_halts(instance)] == [Puller.UNPROVEN]
