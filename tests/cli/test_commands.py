"""Exit codes, messages and help of the commands, without an engine."""

import json
import re
import subprocess
import sys

import pytest

from lowlat.app.state import ChildRecord, living_children, save_children
from lowlat.core.layout import DECISION, MARKET_ROW, ORDER_ROW, SIGNAL, OrderState, Rule
from lowlat.shm.attachment import Attachment
from lowlat.shm.layouts import StatsShape
from lowlat.shm.locks import boot_id, start_ticks
from lowlat.shm.places import segment_names
from lowlat.shm.segments import create_segments
from lowlat.store.journal_file import Batch, Entry, EntryKind, JournalFile
from lowlat.store.record_log import DECISIONS, MARKETS, SIGNALS, RecordLog

COMMANDS = ("demo", "run", "why", "trace", "clean")
CONFIG = """
instance = "{instance}"
mode = "{mode}"
[endpoints]
clob_url = "{http}://127.0.0.1:1"
market_ws_url = "{ws}://127.0.0.1:1"
user_ws_url = "{ws}://127.0.0.1:1"
gamma_url = "{http}://127.0.0.1:1"
prices_ws_url = "{ws}://127.0.0.1:1"
binance_ws_url = "{ws}://127.0.0.1:1"
binance_rest_url = "{http}://127.0.0.1:1"
[account]
credentials_file = "none"
[modules.arbitrage]
mode = "paper"
"""


def write_config(home, instance, mode="sim"):
    tail = "s" if mode == "live" else ""
    path = home / "engine.toml"
    path.write_text(CONFIG.format(instance=instance, mode=mode, http="http" + tail, ws="ws" + tail))
    return path


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(lowlat, command):
    done = lowlat(command, "--help")
    assert done.returncode == 0, done.stderr
    assert f"lowlat {command}" in done.stdout.split("Example", 1)[1]


def test_help_loads_nothing_heavy(home):
    """What makes help slow is imports; a process of its own shows them all."""
    code = f"""
import sys
from lowlat.cli.main import main
for command in {COMMANDS!r}:
    sys.argv[1:] = [command, "--help"]
    try:
        main()
    except SystemExit as leave:
        assert not leave.code
heavy = {{"numpy", "uvloop", "rich.live", "lowlat.shm", "lowlat.app.supervisor"}}
print("HEAVY", sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "HEAVY []" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("nonsense",), 2, "No such command"),
        (("demo", "--seconds", "0"), 2, "--seconds"),
        (("run",), 2, "--config"),
        (("run", "--config", "/nonexistent.toml"), 2, "/nonexistent.toml"),
        (("why", "--instance", "nobody"), 1, "neither segments nor a journal"),
        (("trace", "last", "--instance", "nobody"), 1, "neither segments nor a journal"),
        (("clean", "--instance", "Not/Valid"), 1, "instance 'Not/Valid'"),
    ],
)
def test_wrong_use_is_one_message_and_a_stable_code(lowlat, arguments, code, words):
    done = lowlat(*arguments)
    assert done.returncode == code
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("mode", ["sim", "live"])
def test_live_is_refused_and_names_what_is_missing(lowlat, home, instance, mode):
    flags = ("--live",) if mode == "sim" else ()
    done = lowlat("run", "--config", str(write_config(home, instance, mode)), *flags)
    assert done.returncode == 2
    missing = "config: mode was" if mode == "sim" else "explicit consent"
    for word in (missing, "reconciliation: account.cancel_credentials_file was not set"):
        assert word in done.stderr
    assert done.stdout == ""


def test_run_says_why_a_process_would_not_start(lowlat, home, instance):
    done = lowlat("run", "--config", str(write_config(home, instance)))
    assert done.returncode == 2
    assert "engine ended with exit code 2" in done.stderr
    assert "credentials_file none" in done.stderr
    assert segment_names(instance) == []
    assert living_children(instance) == []


def test_clean_ends_orphans_and_removes_segments(lowlat, instance):
    create_segments(instance, streams={}).close()
    with subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]) as orphan:
        record = ChildRecord("engine", orphan.pid, start_ticks(orphan.pid), boot_id(), ())
        save_children(instance, [record])
        done = lowlat("clean", "--instance", instance)
        assert orphan.wait(60) != 0
    assert done.returncode == 0, done.stderr
    assert f"ended engine (pid {orphan.pid})" in done.stdout
    assert "removed segment table.cash" in done.stdout
    assert segment_names(instance) == []
    assert "left nothing" in lowlat("clean", "--instance", instance).stdout


def test_clean_never_ends_a_process_that_only_has_the_pid_of_a_dead_child(lowlat, instance):
    with subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]) as stranger:
        record = ChildRecord("engine", stranger.pid, start_ticks(stranger.pid) - 1, boot_id(), ())
        save_children(instance, [record])
        done = lowlat("clean", "--instance", instance)
        assert stranger.poll() is None
        stranger.kill()
    assert done.returncode == 0
    assert "ended" not in done.stdout


def test_clean_refuses_while_a_supervisor_runs(lowlat, instance):
    made = create_segments(instance, streams={})
    try:
        done = lowlat("clean", "--instance", instance)
        assert done.returncode == 1
        assert "owned by supervisor" in done.stderr
        assert segment_names(instance)
    finally:
        made.unlink()


def blank(record):
    return record.row._make(
        0.0 if format_.kind == "f" else b"" if format_.kind == "V" else 0
        for name, (format_, *_) in record.dtype.fields.items()
        if name not in {"seq", "epoch", "slot_kind", "slot_flags"}
    )


@pytest.fixture
def journal(home, instance):
    """A journal with three decisions and one order, as a run leaves it."""
    folder = home / "state" / "lowlat" / instance
    folder.mkdir(parents=True, mode=0o700)
    log = RecordLog(str(folder), DECISIONS, 1 << 20)
    base = blank(DECISION)._replace(module=b"latency", limit_price_e4=4600, signal=5, decided_ns=30)
    for at, changes in enumerate(
        (
            {"rule": Rule.APPROVED, "approved": 1, "size_e6": 10_000_000},
            {"rule": Rule.MARKET_LIMIT, "limit": 50_000_000, "was": 51_000_000, "signal": 6},
            {"rule": Rule.NOTIONAL, "limit": 250_000_000, "was": 500_000_000, "signal": 7},
        ),
        1,
    ):
        log.add(DECISION.codec.pack(*base._replace(id=at, checked_ns=at, **changes)))
    log.close()
    wish = blank(SIGNAL)._replace(
        id=5, decided_ns=30, confidence=0.8, metadata=b'{"edge_e4":120}', metadata_bytes=15
    )
    signals = RecordLog(str(folder), SIGNALS, 1 << 20)
    signals.add(SIGNAL.codec.pack(*wish))
    signals.close()
    market = blank(MARKET_ROW)._replace(market=0, slug=b"a-market-of-yesterday")
    markets = RecordLog(str(folder), MARKETS, 1 << 20)
    markets.add(MARKET_ROW.codec.pack(*market))
    markets.close()
    order = blank(ORDER_ROW)._replace(
        id=77,
        signal=5,
        order_id=bytes.fromhex("ab" * 32),
        module=b"latency",
        state=OrderState.MATCHED,
        recv_ns=10,
        decided_ns=30,
        checked_ns=45,
        sent_ns=1_045,
        price_e4=4600,
        size_e6=10_000_000,
    )
    file = JournalFile(str(folder))
    file.rotate(Batch(1, 0, 1, (Entry(EntryKind.ORDER, ORDER_ROW.codec.pack(*order)),)))
    file.close()


def test_why_counts_rules_and_orders_misses_by_distance(lowlat, instance, journal):
    done = lowlat("why", "--instance", instance, "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["rules"] == {"approved": 1, "market_limit": 1, "notional": 1}
    near, far = result["misses"]
    assert (near["rule"], near["why"]) == ("market_limit", "limit $50.00, was $51.00")
    assert near["off_by"] == pytest.approx(0.02)
    assert far["rule"] == "notional"
    assert "3 decisions" in lowlat("why", "latency", "--instance", instance).stdout
    assert "0 decisions" in lowlat("why", "arbitrage", "--instance", instance).stdout


def test_why_names_the_leg_that_stopped_a_group_and_each_miss_once(lowlat, home, instance, journal):
    """Group 8 came twice, before and after a reboot: each leg goes with the cause of its time."""
    log = RecordLog(str(home / "state" / "lowlat" / instance), DECISIONS, 1 << 20)
    incomplete = {"rule": Rule.GROUP_INCOMPLETE, "limit": 3, "was": 1, "group": 8}
    locked = {"rule": Rule.LONG_LOCKED, "limit": 100, "group": 8, "instrument": 4}
    base = blank(DECISION)._replace(module=b"arbitrage", limit_price_e4=3_700)
    for at, changes in enumerate(
        (
            incomplete | {"checked_ns": 1_000},
            locked | {"was": 130, "checked_ns": 1_001},
            locked | {"was": 110, "checked_ns": 5_002, "group": 9},
            {"rule": Rule.NO_EDGE, "checked_ns": 9_000_002, "group": 8},
            incomplete | {"checked_ns": 9_000_000},
            incomplete | {"checked_ns": 9_000_001},
            incomplete | {"checked_ns": 9_000_003, "group": 10},
        ),
        100,
    ):
        log.add(DECISION.codec.pack(*base._replace(id=at, signal=at, **changes)))
    log.close()
    result = json.loads(lowlat("why", "arbitrage", "--instance", instance, "--json").stdout)
    assert result["group_causes"] == {
        "no_edge": 2, "long_locked": 1, "a leg that never came": 1
    }  # fmt: skip
    assert [(each["rule"], each["was"], each["farther"]) for each in result["misses"]] == [
        ("long_locked", 110, 1)
    ]
    words = lowlat("why", "arbitrage", "--instance", instance).stdout
    assert re.search(r"because of long_locked +1$", words, re.MULTILINE)
    assert "(10.0 % off), and 1 farther off" in words


def test_trace_shows_each_stage_and_the_decision_behind_it(lowlat, instance, journal):
    result = json.loads(lowlat("trace", "last", "--instance", instance, "--json").stdout)
    steps = [(each["stage"], each["step_ns"]) for each in result["stages"]]
    assert steps == [
        ("market message received", 0),
        ("module decided", 20),
        ("risk checked", 15),
        ("order written to the socket", 1_000),
    ]
    assert result["decision"]["rule"] == "approved"
    assert result["signal"]["metadata"] == {"edge_e4": 120}
    assert result["market"] == "a-market-of-yesterday"
    assert result["state"] == "MATCHED"
    text = lowlat("trace", "0xabab", "--instance", instance)
    assert "BUY 10 YES at 0.46" in text.stdout


@pytest.mark.parametrize("order", ["0xcdcd", "ab", "nonsense"])
def test_trace_of_no_order_is_wrong_use(lowlat, instance, journal, order):
    done = lowlat("trace", order, "--instance", instance)
    assert done.returncode == 2
    assert "trace:" in done.stderr


def test_demo_never_clears_the_journal_of_a_real_run(lowlat, instance, journal):
    done = lowlat("demo", "--seconds", "1", "--instance", instance)
    assert done.returncode == 2
    assert "journal of a real run" in done.stderr
    assert "trace" not in done.stderr
    assert lowlat("trace", "last", "--instance", instance).returncode == 0
    assert segment_names(instance) == []


def test_trace_takes_no_signal_of_another_boot_for_its_own(lowlat, home, instance, journal):
    path = home / "state" / "lowlat" / instance / "signals.records"
    wish = SIGNAL.row._make(SIGNAL.codec.unpack(path.read_bytes()))._replace(decided_ns=31)
    path.write_bytes(SIGNAL.codec.pack(*wish))
    result = json.loads(lowlat("trace", "last", "--instance", instance, "--json").stdout)
    assert result["signal"] is None


def test_why_counts_what_modules_and_executor_stopped(lowlat, instance, journal):
    with Attachment(instance, "engine") as attachment:
        stats = attachment.open_stats(StatsShape(counters=8, histograms=1, errors=1))
        stats.counter("signals.latency.spot_without_mid").add(7)
        stats.counter("executor.rejects").add(2)
        stats.counter("signals.emitted").add(100)
        result = json.loads(lowlat("why", "--instance", instance, "--json").stdout)
        assert result["gates"] == {"signals.latency.spot_without_mid": 7, "executor.rejects": 2}
        result = json.loads(lowlat("why", "latency", "--instance", instance, "--json").stdout)
        assert result["gates"] == {"signals.latency.spot_without_mid": 7}
