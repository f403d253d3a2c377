"""`lowlat ctl`, `panic`, `inject`, `limits` without an engine: codes, words, what works anyway."""

import json

import pytest

from lowlat.app.audit import read_audit
from lowlat.app.halts import HALTS_FILE, Puller, lift_halts, read_halts
from lowlat.app.state import state_dir

NOBODY = ("--instance", "nobody")


def test_halting_needs_no_engine_and_is_kept_and_audited(lowlat):
    done = lowlat("ctl", "halt", "fills look wrong", *NOBODY)
    assert done.returncode == 0
    assert "halted, on disk; instance 'nobody' has no running supervisor" in done.stdout
    assert [str(each) for each in read_halts("nobody")] == ["operator: fills look wrong"]
    ((line,), damaged) = read_audit("nobody")
    assert (line.op, line.result, line.detail, damaged) == ("halt", "done", "fills look wrong", 0)


def test_status_of_what_does_not_run_is_3_and_still_shows_halts(lowlat):
    assert lowlat("ctl", "status", *NOBODY).returncode == 3
    lowlat("ctl", "halt", "x", *NOBODY)
    done = lowlat("ctl", "status", *NOBODY)
    assert done.returncode == 3
    assert "halted: operator: x" in done.stdout
    done = lowlat("ctl", "status", "--json", *NOBODY)
    assert json.loads(done.stdout)["halts"] == ["operator: x"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("resume",),
        ("drain",),
        ("restart", "engine"),
        ("module", "latency", "off"),
        ("set", "limits.orders_per_s=1"),
        ("reload",),
    ],
)
def test_what_needs_a_supervisor_is_3_without_one(lowlat, arguments):
    done = lowlat("ctl", *arguments, *NOBODY)
    assert done.returncode == 3
    assert "has no running supervisor" in done.stderr
    done = lowlat("ctl", *arguments, "--json", *NOBODY)
    assert done.returncode == 3
    assert json.loads(done.stdout)["ok"] is False


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("ctl", "set", "limits.orders_per_s"), "no KEY=VALUE"),
        (("ctl", "restart"), "PROCESS"),
        (("ctl", "module", "latency"), "off|shadow|paper|live"),
        (("ctl", "format"), "No such command"),
        (("inject", "--shares", "0"), "--shares"),
        (("panic", "--seconds", "0"), "--seconds"),
    ],
)
def test_wrong_use_is_2(lowlat, arguments, words):
    done = lowlat(*arguments)
    assert done.returncode == 2
    assert words.lower() in done.stderr.lower()
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["inject", "limits"])
def test_what_reads_an_instance_says_when_there_is_none(lowlat, command):
    done = lowlat(command, *NOBODY)
    assert done.returncode == 1
    assert "instance 'nobody' has no segments" in done.stderr


def test_audit_shows_changes_and_counts_what_it_cannot_read(lowlat):
    lowlat("ctl", "halt", "first", *NOBODY)
    with open(state_dir("nobody") / "audit.jsonl", "ab") as file:
        file.write(b"\xff torn")
    lowlat("ctl", "halt", "second", *NOBODY)
    done = lowlat("ctl", "audit", *NOBODY)
    assert done.returncode == 0
    assert done.stdout.index("first") < done.stdout.index("second")
    assert "1 lines could not be read" in done.stdout
    found = json.loads(lowlat("ctl", "audit", "--json", "--last", "1", *NOBODY).stdout)
    assert [each["detail"] for each in found["lines"]] == ["second"]
    assert found["damaged"] == 1


def test_panic_without_a_config_halts_all_the_same(lowlat):
    done = lowlat("panic", "smoke", *NOBODY)
    assert done.returncode == 2
    assert "never had a config in force" in done.stderr
    (halt,) = read_halts("nobody")
    assert (halt.puller, halt.reason) == (Puller.PANIC, "smoke")
    lift_halts("nobody")
    done = lowlat("panic", "--config", "/nonexistent.toml", *NOBODY)
    assert done.returncode == 2
    assert "/nonexistent.toml" in done.stderr
    assert read_halts("nobody"), "the option's instance is halted"


def test_panic_without_credentials_says_how_to_have_them(lowlat, home):
    path = home / "engine.toml"
    path.write_text(
        'instance = "nobody"\nmode = "sim"\n[endpoints]\n'
        + "".join(
            f'{key} = "{scheme}://127.0.0.1:1"\n'
            for key, scheme in (
                ("clob_url", "http"),
                ("market_ws_url", "ws"),
                ("user_ws_url", "ws"),
                ("gamma_url", "http"),
                ("prices_ws_url", "ws"),
                ("binance_ws_url", "ws"),
                ("binance_rest_url", "http"),
            )
        )
        + '[account]\ncredentials_file = "none"\n[modules.arbitrage]\nmode = "paper"\n'
    )
    done = lowlat("panic", "--config", str(path))
    assert done.returncode == 2
    assert "account.cancel_credentials_file was not set" in done.stderr
    assert read_halts("nobody")


def test_a_damaged_halt_file_is_said_not_ignored(lowlat):
    (state_dir("nobody") / HALTS_FILE).write_bytes(b"x")
    done = lowlat("ctl", "halt", "x", *NOBODY)
    assert done.returncode == 1
    assert "is damaged" in done.stderr


@pytest.mark.parametrize("command", ["panic", "inject", "limits"])
def test_help_has_an_example(lowlat, command):
    assert f"lowlat {command}" in lowlat(command, "--help").stdout.split("Example", 1)[1]


@pytest.mark.parametrize(
    "command",
    ["status", "halt", "resume", "drain", "restart", "module", "set", "reload", "audit"],
)
def test_every_ctl_command_has_an_example(lowlat, command):
    assert f"lowlat ctl {command}" in lowlat("ctl", command, "--help").stdout
