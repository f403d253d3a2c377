"""`lowlat init` through the vendor's client: whole, again, and killed at every place.

A run is killed by SIGKILL right after a step, or while the vendor's client waits for a transaction
that is on its way; the next run must end with the same wallet, all money and no second of anything.
"""

import json
import os
import signal
import stat
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from lowlat.app.config import load_credentials

pytest.importorskip("polymarket")
pytestmark = pytest.mark.oracle

STEPS = ["region", "wallet", "keys", "collateral", "approvals", "balances", "files"]
ROOT = Path(__file__).parents[2]
MONEY_E6 = 7_500_000
COMMAND = [sys.executable, "-c", "from lowlat.cli.main import main; main()", "init"]
DRIVER = """
import os, signal, sys
from pathlib import Path
import json
from lowlat.app.onboarding import Choices, onboard
urls = json.loads(Path(sys.argv[2]).read_text())["urls"]
def say(step, words):
    print(step, flush=True)
    if step == sys.argv[3]:
        os.kill(os.getpid(), signal.SIGKILL)
folder = Path(sys.argv[1])
onboard(Choices(folder / "key", folder / "out.json", folder / "cancel.json", urls=urls), say)
"""


@pytest.fixture(scope="module")
def venue(serving):
    serve, stop = serving
    process, urls = serve(
        fresh_wallets=True,
        wallet_types=[0, 3],
        account_cash_e6=0,
        account_usdce_e6=MONEY_E6,
        relayer_ms=[700, 100],
        markets=20,
        neg_risk_events=1,
    )
    yield urls
    stop(process)


@pytest.fixture
def folder(tmp_path, venue):
    (tmp_path / "ready.json").write_text(json.dumps({"urls": venue, "certificate": ""}))
    (tmp_path / "key").write_text("0x" + os.urandom(32).hex())
    (tmp_path / "key").chmod(0o600)
    return tmp_path


def start(folder, kill_after="nothing"):
    command = [sys.executable, "-c", DRIVER, folder, folder / "ready.json", kill_after]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)


def finish(folder, venue):
    """Run to the end; return what is written and what the venue's audit says of the wallet."""
    process = start(folder)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert said.split() == STEPS
    written = json.loads((folder / "out.json").read_text())
    with urllib.request.urlopen(venue["control"] + "/sim/state", timeout=5) as answer:
        state = json.loads(answer.read())
    assert state["audit"] == "ok"
    (mine,) = [each for each in state["accounts"] if each["wallet"] == written["funder"]]
    return written, mine


@pytest.mark.parametrize("step", STEPS)
def test_a_run_killed_after_a_step_goes_on(folder, venue, step):
    process = start(folder, step)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert said.split() == STEPS[: STEPS.index(step) + 1]
    written, mine = finish(folder, venue)
    assert mine["cash_e6"] == MONEY_E6, "wrapped once, not twice and not in part"
    assert written["signature_type"] == 3
    assert not list(folder.glob("*.part"))


def test_a_session_key_goes_to_the_engine_and_the_owners_stays_away(folder, venue):
    files = ["--key-file", folder / "key", "--session-key-file", folder / "session"]
    more = ["--sim", folder / "ready.json", "--out", folder / "out.json", "--new-key"]
    said = []
    for _ in range(2):
        done = subprocess.run(
            [*COMMAND, *files, *more], cwd=ROOT, text=True, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr
        said.append(done.stdout)
    assert "may trade until" in said[0]
    owner = (folder / "key").read_text().strip().removeprefix("0x")
    found = load_credentials(str(folder / "out.json"))
    assert found.session
    assert found.signature_type == 3
    assert found.private_key == (folder / "session").read_text().strip()
    for name in ("out.json", "cancel-out.json"):
        assert owner not in (folder / name).read_text()
    assert "session" not in json.loads((folder / "cancel-out.json").read_text())


@pytest.mark.parametrize("waiting_after", ["wallet", "keys", "collateral"])
def test_a_run_killed_while_a_transaction_is_on_its_way_goes_on(folder, venue, waiting_after):
    process = start(folder)
    for line in process.stdout:
        if line.strip() == waiting_after:
            break
    # The transaction that follows takes 0.7 s to be mined.
    time.sleep(0.4)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    _, mine = finish(folder, venue)
    assert mine["cash_e6"] == MONEY_E6


def test_nothing_secret_leaves_but_for_files_of_ours(folder, venue):
    """Output, logs at their loudest, argument list and environment of the process: no secret."""
    loud = os.environ | {"HTTPX_LOG_LEVEL": "trace"}
    files = ["--key-file", folder / "key", "--sim", folder / "ready.json"]
    command = [*COMMAND, *files, "--out", folder / "out.json"]
    process = subprocess.Popen(
        command, cwd=ROOT, env=loud, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    seen = process.stdout.readline()
    seen += Path(f"/proc/{process.pid}/cmdline").read_text()
    seen += Path(f"/proc/{process.pid}/environ").read_text()
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    written = json.loads((folder / "out.json").read_text())
    hidden = [written[name] for name in ("private_key", "api_key", "api_secret", "api_passphrase")]
    for secret in [*hidden, written["private_key"][2:]]:
        assert secret not in seen + said
    for name in ("out.json", "cancel-out.json", "key"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    assert "private_key" not in json.loads((folder / "cancel-out.json").read_text())
