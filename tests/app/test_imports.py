"""A process loads what its own roles need and no more: after a death every module is waited for.

Each role is made in a process of its own over real segments; what it loaded is looked at. The
number of modules is the budget of the default run, instructions in ratio to an interpreter with
numpy that of the stress run: neither depends on the machine.
"""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest
from config_text import GOOD

from lowlat.app.children import children_of
from lowlat.app.supervisor import Supervisor
from lowlat.app.topology import ENGINE_ROLES, RECORDER, ProcessConfig, topology_toml

MAKE = """
import json, sys
from lowlat.app import engine
from lowlat.app.config import Credentials, load_config
from lowlat.app.generations import Generation

path, name = sys.argv[1:]
uuid, address = "0" * 8 + "-0000-0000-0000-" + "0" * 12, "0x" + "22" * 20
keys = Credentials("11" * 32, uuid, "c2VjcmV0", "p", address, address, 2)
def make():
    own = keys if name == "executor" else None
    return engine.EngineProcess(Generation(0, 0, load_config(path)), name, own)
if name in engine._SOCKETED:
    import asyncio
    import lowlat.app.runtime
    async def on_loop():
        return make()
    made = asyncio.run(on_loop())
else:
    made = make()
print(json.dumps(sorted(sys.modules)))
"""
HEAVY = {"numpy", "pyarrow", "sqlalchemy", "alembic", "textual", "rich", "typer", "pydantic"}
FEEDS = {"metadata", "binance", "prices", "polymarket"}
SOCKETS = {"asyncio", "uvloop", "picows", "ssl", "httptools"}
ENGINES = {
    **{role: f"lowlat.feeds.{role}" for role in FEEDS},
    "executor": "lowlat.execution.engine",
    "risk": "lowlat.risk.engine",
    "signals": "lowlat.signals.engine",
}
CODECS = {f"lowlat.venues.polymarket.{each}" for each in ("market", "gamma", "user", "signing")}
MODULES_MAX = {"signals": 260, "risk": 230, "executor": 400}
"""Beside those of a bare interpreter; feeds may have as many as the executor."""
START_MAX = {"risk": 1.4, "signals": 1.65, "binance": 1.95, "executor": 2.2}
"""In instructions of an interpreter that imports numpy; a start is felt after each death."""


@pytest.fixture
def segments(instance, home):
    topology = {
        RECORDER: ProcessConfig((RECORDER,)),
        **{role: ProcessConfig((role,)) for role in ENGINE_ROLES},
    }
    path = home / "engine.toml"
    text = GOOD.replace('"t1"', f'"{instance}"') + '[modules.latency]\nmode = "paper"\n'
    path.write_text(text + topology_toml(topology))
    with Supervisor(instance, children_of(str(path), topology)) as supervisor:
        supervisor.open()
        yield path


def loaded(path, role, **environment):
    done = subprocess.run(
        [sys.executable, "-c", MAKE, str(path), role], capture_output=True, text=True, check=False,
        env=os.environ | environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


def test_a_role_loads_its_own_engine_and_nothing_heavy(segments):
    bare = subprocess.run(
        [sys.executable, "-c", "import sys; print(len(sys.modules))"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    for role in ENGINE_ROLES:
        found = loaded(segments, role)
        assert not HEAVY & found, role
        assert {each for each in found if each in ENGINES.values()} == {ENGINES[role]}, role
        packages = {each.partition(".")[0] for each in found}
        if role in {"signals", "risk"}:
            assert not SOCKETS & packages, role
            assert not [each for each in found if each in CODECS], role
        if role != "executor":
            assert "coincurve" not in packages, role
            assert not [each for each in found if each.startswith("lowlat.store.ledger")], role
        count = len(found) - int(bare.stdout)
        assert count <= MODULES_MAX.get(role, MODULES_MAX["executor"]), (role, count)


def instructions(argv, environment):
    """Return how many a command takes, which other work on the machine does not change."""
    # Byte code is written first.
    subprocess.run(argv, capture_output=True, check=True, env=environment)
    tool = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]
    done = subprocess.run(
        [*tool, *argv], capture_output=True, text=True, check=True, env=environment
    )
    return int(re.search(r"I\s+refs:\s+([\d,]+)", done.stderr)[1].replace(",", ""))


@pytest.mark.stress
@pytest.mark.skipif(shutil.which("valgrind") is None, reason="needs valgrind")
def test_a_role_starts_in_little_more_than_an_interpreter_with_numpy(segments, tmp_path):
    """With byte code, as an installation has it."""
    environment = os.environ | {"PYTHONPYCACHEPREFIX": str(tmp_path / "pyc"), "PYTHONHASHSEED": "0"}
    numpy = instructions([sys.executable, "-c", "import numpy"], environment)
    ratios = {
        role: instructions([sys.executable, "-c", MAKE, str(segments), role], environment) / numpy
        for role in START_MAX
    }
    assert {role: ratio for role, ratio in ratios.items() if ratio > START_MAX[role]} == {}, ratios
