"""A person's quarter of an hour with a running demo, over the command line alone."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest

from lowlat.app.audit import read_audit
from lowlat.app.control_client import ask
from lowlat.app.halts import read_halts
from lowlat.cli._evidence import gather
from lowlat.shm.locks import probe_lock
from lowlat.shm.places import instance_dir

pytestmark = [pytest.mark.e2e, pytest.mark.stress]
MAIN = [sys.executable, "-c", "from lowlat.cli.main import main; main()"]
WAIT_S = 120


def lowlat(*arguments):
    done = subprocess.run(
        [*MAIN, *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(params=["fused", "spread"])
def demo(request, instance):
    process = subprocess.Popen(
        [*MAIN, "demo", "--seconds", "900", "--json", "--instance", instance]
        + (["--topology", "spread"] if request.param == "spread" else []),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        wait_for(lambda: trading(instance))
        yield instance, process
    finally:
        process.send_signal(signal.SIGCONT)
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=60)


def wait_for(condition):
    end = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.2)


def status(instance):
    code, out, _ = lowlat("ctl", "status", "--json", "--instance", instance)
    return json.loads(out) if code == 0 else None


def trading(instance):
    found = status(instance)
    return found is not None and found["generation"] and not found["halts"]


def test_limits_reload_halt_resume_inject_panic_restart_drain(demo):
    instance, process = demo
    mine = ("--instance", instance)
    start = status(instance)

    code, out, err = lowlat("ctl", "set", "limits.orders_burst=44", *mine)
    assert code == 0, err
    assert "limits.orders_burst: 45 -> 44" in out
    code, out, _ = lowlat("limits", "--json", *mine)
    assert code == 0
    armed = {each["key"]: each["value"] for each in json.loads(out)["limits"]}
    assert armed["limits.orders_burst"] == 44
    code, _, err = lowlat("ctl", "set", "execution.hot_max=3", *mine)
    assert code == 4
    assert "execution.hot_max" in err
    code, out, _ = lowlat("ctl", "reload", "--confirm", *mine)
    assert code == 0
    assert "limits.orders_burst: 44 -> 45" in out
    found = status(instance)
    assert {each.get("generation", 3) for each in found["processes"]} == {3}

    # Somebody may take the offer while the order is on its way: that is an answer of the venue too.
    for _ in range(5):
        code, out, err = lowlat("inject", "--json", *mine)
        assert code == 0, out + err
        if json.loads(out)["state"] == "MATCHED":
            break
    assert json.loads(out)["state"] == "MATCHED"

    assert lowlat("ctl", "halt", "a look", *mine)[0] == 0
    assert "operator: a look" in status(instance)["halts"]
    code, out, _ = lowlat("inject", "--json", *mine)
    assert code == 1
    assert json.loads(out)["rule"] in {"halted", None}
    assert lowlat("ctl", "resume", "seen", *mine)[0] == 0
    wait_for(lambda: trading(instance))

    # With the supervisor and every engine process stopped, a person still stops all of it.
    pids = [each["pid"] for each in start["processes"] if each["name"] not in {"sim", "recorder"}]
    pids.append(probe_lock(instance_dir(instance), "supervisor").pid)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    code, out, _ = lowlat("panic", "dead hands", "--json", *mine)
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    assert code == 0, out
    assert json.loads(out)["open"] == 0
    assert [str(each) for each in read_halts(instance)] == ["panic: dead hands"]
    wait_for(lambda: status(instance) is not None)
    assert lowlat("ctl", "resume", "all well", *mine)[0] == 0
    wait_for(lambda: trading(instance))

    code, out, err = lowlat("ctl", "restart", "recorder", *mine)
    assert code == 0, err
    wait_for(lambda: trading(instance))
    ops = [each.op for each in read_audit(instance)[0]]
    assert ops == ["set", "set", "reload", "halt", "resume", "panic", "resume", "restart"]

    assert lowlat("ctl", "drain", *mine)[0] == 0
    out, _ = process.communicate(timeout=90)
    report = json.loads(out)
    assert report["agreement"]["positions"] is True
    assert report["agreement"]["cash"] is True
    assert report["signals"]["inject"] >= 1
    assert sum(report["decisions"].values()) == sum(report["signals"].values())
    assert process.returncode == 0


RELOADS = [
    ("limits.orders_burst", lambda draw: draw.randrange(0, 60)),
    ("limits.orders_per_s", lambda draw: draw.randrange(-2, 60)),
    ("limits.order_notional_e6_max", lambda draw: draw.randrange(0, 300) * 1_000_000),
    ("limits.market_loss_max_ppm", lambda draw: draw.choice([0, 10_000, 50_000, 900_000])),
    ("limits.unheard_of", lambda draw: 1),
    ("execution.limits.price_band_e4", lambda draw: draw.randrange(-5, 600)),
    ("execution.hot_max", lambda draw: draw.randrange(1, 60)),
    ("endpoints.clob_url", lambda draw: '"http://127.0.0.1:1"'),
    ("modules.latency.mode", lambda draw: draw.choice(["off", "shadow", "paper", "on"])),
    ("modules.arbitrage.mode", lambda draw: draw.choice(["shadow", "paper", "paper", "paper"])),
    ("modules.latency.params.no_such", lambda draw: 1),
]


def test_a_thousand_reloads_of_an_engine_that_trades(demo, capsys):
    """Every decision names a generation that was validated whole, and none is lost."""
    instance, process = demo
    draw = random.Random(7)
    accepted = {1}
    tally = Counter()
    for _ in range(1_000):
        key, value = draw.choice(RELOADS)
        request = {"op": "set", "key": key, "value": str(value(draw))}
        answer = ask(instance, request, 60.0)
        tally[answer["code"]] += 1
        accepted.add(answer["generation"])
        if not answer["ok"]:
            assert key.rpartition(".")[2] in answer["text"] or "market <=" in answer["text"]
    with capsys.disabled():
        sys.stdout.write(f"\n  reloads by answer: {dict(tally)}, generations {len(accepted)}\n")
    assert tally["done"] > 200
    assert tally["config"] > 100
    assert tally["refused"] > 50
    assert tally["failed"] == 0
    found = status(instance)
    assert len({each["generation"] for each in found["processes"] if "generation" in each}) == 1
    assert all(each["restarts"] == 0 for each in found["processes"])
    assert lowlat("ctl", "drain", "--instance", instance)[0] == 0
    out, _ = process.communicate(timeout=120)
    report = json.loads(out)
    decided = {each.config_generation for each in gather(instance).decisions}
    assert decided <= accepted
    assert len(decided) > 10
    assert sum(report["decisions"].values()) == sum(report["signals"].values())
    assert report["agreement"]["cash"] is True
    assert report["agreement"]["positions"] is True
