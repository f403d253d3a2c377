"""A live session over real sockets comes out of the production engines again, deaths included."""

import json
import subprocess
import sys

import pytest
from rig import Rig

pytestmark = [pytest.mark.e2e, pytest.mark.stress]
MAIN = [sys.executable, "-c", "from lowlat.cli.main import main; main()"]


def replay(instance, *more):
    command = [*MAIN, "replay", "-i", instance, "--json", *more]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert done.stdout, done.stderr[-3000:]
    return done.returncode, json.loads(done.stdout)


def test_lives_before_and_behind_a_sigkill_are_replayed_to_the_byte(instance, home, capsys):
    with Rig(instance, home, seed=4) as rig:
        rig.run(4.0)
        for _ in range(2):
            died_ns = rig.kill("engine")
            took_s = rig.await_ready("engine", died_ns)
            rig.run(3.0)
        assert rig.drain().holds
        log = rig.whole_log("engine")
    # On a machine under load the supervisor may have ended a life more.
    lives = 1 + log.count("capture begins with a picture of an earlier life")
    assert lives >= 3
    decisions = []
    for life in range(1, lives + 1):
        code, found = replay(instance, "--life", str(life))
        with capsys.disabled():
            shown = {key: found[key] for key in ("seconds", "wall_s", "decisions", "bytes")}
            sys.stdout.write(f"\n  life {life} READY {took_s:.2f} s: {shown}\n")
        assert (code, found["equal"], found["gap"]) == (0, True, ""), found["difference"]
        assert found["finished"] == (life == lives)
        decisions.append(found["decisions"])
    assert sum(map(bool, decisions)) >= 3
