"""What an order costs, from the frame that draws it to its send: with a capture, with the ledger.

The shipped decision path under callgrind (instructions) and strace (system calls), on a clock that
does not follow the slowed-down machine. With the ledger: over the shared memory of an instance,
whose recorder writes down what the path publishes while it runs.
"""

import contextlib
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from lowlat.app.child import ChildSpec, module_argv
from lowlat.app.state import state_dir
from lowlat.app.supervisor import Supervisor

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.stress,
    pytest.mark.skipif(
        not (shutil.which("valgrind") and shutil.which("strace")), reason="needs valgrind, strace"
    ),
]
ROOT = Path(__file__).parents[2]
ORDERS = 20
CALLED = 200
CAPTURE_SHARE_MAX = 0.05
LEDGER_SHARE_MAX = 0.02
CONFIG = """
instance = "{}"
mode = "sim"

[endpoints]
clob_url = "http://127.0.0.1:1"
market_ws_url = "ws://127.0.0.1:1/ws/market"
user_ws_url = "ws://127.0.0.1:1/ws/user"
gamma_url = "http://127.0.0.1:1"
prices_ws_url = "ws://127.0.0.1:1"
binance_ws_url = "ws://127.0.0.1:1"
binance_rest_url = "http://127.0.0.1:1"

[account]
credentials_file = "credentials.json"

[modules.latency]
mode = "paper"
"""


@pytest.fixture(autouse=True)
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def test_a_capture_costs_an_order_little(capsys):
    from bench.order_cost import instructions

    plain, captured = (
        instructions(ORDERS, "order", captured=captured) for captured in (False, True)
    )
    with capsys.disabled():
        share = captured / plain - 1
        sys.stdout.write(f"\n  {plain:.0f} instructions an order, captured {share:+.1%}\n")
    assert plain > 10_000
    assert plain < captured <= (1 + CAPTURE_SHARE_MAX) * plain


@contextlib.contextmanager
def memory_of(name):
    """The segments of an instance, made anew, in which nobody runs."""
    office = Supervisor(name, [ChildSpec(each, ("true",)) for each in ("recorder", "engine")])
    office.open()
    try:
        yield name
    finally:
        office.close()


@contextlib.contextmanager
def recorded(name, home):
    """The same with the recorder at work: journal, decisions and ledger."""
    config = home / f"{name}.toml"
    config.write_text(CONFIG.format(name))
    with memory_of(name):
        command = module_argv("lowlat.app.recorder", "--config", str(config))
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        with subprocess.Popen(command, **pipes) as recorder:
            assert '"ready": true' in recorder.stdout.readline(), recorder.stderr.read()
            yield name
            recorder.terminate()
            _, said = recorder.communicate(timeout=60)
            assert recorder.returncode == 0, said


def orders_in_ledger(name):
    engine = create_engine(f"sqlite:///{state_dir(name)}/ledger.db")
    with engine.connect() as connection:
        found = connection.execute(text("SELECT count(*) FROM orders")).scalar_one()
    engine.dispose()
    return found


def counted(count, orders, home, *, ledger):
    """Count on memory of its own: a second life would find the orders of the first."""
    from bench.wire_engine import CRYPTO

    name = f"e{uuid.uuid4().hex[:12]}"
    with recorded(name, home) if ledger else memory_of(name):
        found = count(orders, instance=name)
    if ledger:
        assert orders_in_ledger(name) == orders + CRYPTO
    return found


def test_the_ledger_costs_an_order_no_instructions(home, capsys):
    from bench.order_cost import instructions

    def cost(orders, **settings):
        return instructions(orders, "order", **settings)

    alone, beside = (counted(cost, ORDERS, home, ledger=ledger) for ledger in (False, True))
    with capsys.disabled():
        said = f"{alone:.0f} instructions an order, with the ledger {beside / alone - 1:+.2%}"
        sys.stdout.write(f"\n  {said}\n")
    assert alone > 10_000
    assert abs(beside - alone) <= LEDGER_SHARE_MAX * alone


def test_the_ledger_costs_an_order_no_system_calls(home, capsys):
    from bench.order_cost import system_calls

    alone, beside = (
        counted(system_calls, CALLED, home, ledger=ledger)
        - counted(system_calls, 0, home, ledger=ledger)
        for ledger in (False, True)
    )
    with capsys.disabled():
        said = f"system calls of {CALLED} orders: {alone} alone, {beside} with the ledger"
        sys.stdout.write(f"\n  {said}\n")
    assert abs(beside - alone) <= LEDGER_SHARE_MAX * CALLED
