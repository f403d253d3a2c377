"""The engine process before and while it runs: bad use, hygiene, the loop's failures."""

import os
import signal
import subprocess
import sys

import msgspec
import pytest
from config_text import GOOD

from lowlat.app import engine, entry, recorder, settling
from lowlat.app.hygiene import refuse_in_environment
from lowlat.app.loop import LoopCells
from lowlat.app.runtime import Runtime, run_process
from lowlat.core.errors import ConfigError, SegmentError
from lowlat.venues.polymarket.eip712 import SigningKey

MAINS = {"engine": engine.main, "recorder": recorder.main, "settlement": settling.main}


@pytest.fixture
def unhardened(monkeypatch):
    """Keep the test process as it is."""
    monkeypatch.setattr(entry, "harden", lambda: None)
    monkeypatch.setattr(entry, "configure", lambda name: None)


@pytest.mark.parametrize("name", MAINS)
def test_bad_config_is_one_line_and_exit_code_2(home, unhardened, capsys, name):
    path = home / "engine.toml"
    path.write_text("instance = 'a'\nmode = 'reel'\n")
    assert MAINS[name](["--config", str(path)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith(f"lowlat {name}: ")
    assert "mode" in said
    assert "'reel'" in said


@pytest.mark.parametrize("name", MAINS)
def test_missing_config_file_is_exit_code_2(home, unhardened, capsys, name):
    assert MAINS[name](["--config", str(home / "none.toml")]) == 2
    assert "none.toml" in capsys.readouterr().err


def test_live_refuses_the_wallets_own_key_before_it_opens_anything(home, unhardened, capsys):
    key = b"\x5a" * 32
    address = SigningKey(key).address_text
    values = {
        "private_key": key.hex(),
        "api_key": "01234567-89ab-cdef-0123-456789abcdef",
        "api_secret": "c2VjcmV0LXNlY3JldA==",
        "api_passphrase": "open-sesame",
        "funder": address,
        "address": address,
        "signature_type": 0,
    }
    secrets = home / "credentials.json"
    secrets.write_bytes(msgspec.json.encode(values))
    secrets.chmod(0o600)
    config = home / "engine.toml"
    text = GOOD.replace("http://", "https://").replace("ws://", "wss://")
    text = text.replace('"credentials.json"', f'"{secrets}"')
    config.write_text(text.replace('mode = "sim"', 'mode = "live"', 1))
    assert engine.main(["--config", str(config), "--live"]) == 2
    said = capsys.readouterr().err
    assert "owner_key = true" in said
    assert key.hex() not in said


def test_hardened_process_dumps_no_core_and_writes_private_files(tmp_path):
    """In a process of its own: none of it can be taken back."""
    code = f"""
import os, resource, ctypes
from lowlat.app.hygiene import harden
harden()
open({str(tmp_path / "file")!r}, "w").close()
print(resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), flush=True)
os.abort()
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == -signal.SIGABRT
    assert done.stdout == "(0, 0) 0\n"
    assert (tmp_path / "file").stat().st_mode & 0o077 == 0
    assert sorted(os.listdir(tmp_path)) == ["file"], "a core file was left"


def test_hardening_is_the_first_thing_every_process_does(home, monkeypatch):
    class FirstError(Exception):
        pass

    def first():
        raise FirstError

    monkeypatch.setattr(entry, "configure", lambda name: None)
    monkeypatch.setattr(entry, "harden", first)
    for main in MAINS.values():
        with pytest.raises(FirstError):
            main(["--config", str(home / "none.toml")])


def test_a_fault_of_ours_is_exit_code_1_and_one_line_in_the_log(unhardened, caplog):
    def stop():
        raise SegmentError("no such segment")

    assert entry.run_child("risk", stop) == 1
    assert [each.getMessage() for each in caplog.records] == ["stopped error=no such segment"]


class Null:
    value = 0

    def set(self, value):
        self.value = value

    def add(self, count):
        self.value += count

    def record(self, value):
        self.value = value


class Failing:
    name = "failing"

    def __init__(self, error, at_turn):
        self.error = error
        self.left = at_turn
        self.closed = False

    def start(self):
        pass

    def turn(self, now_ns):
        self.left -= 1
        if not self.left:
            raise self.error
        return 0

    def close(self):
        self.closed = True


@pytest.mark.parametrize("waiting", ["busy", "parked"])
def test_a_fault_in_a_turn_ends_the_process_and_closes_every_engine(waiting):
    good, bad = Failing(None, 0), Failing(ZeroDivisionError("a bug"), 3)

    async def run():
        cells = LoopCells(Null(), Null(), Null(), Null())
        await Runtime([good, bad], cells, waiting=waiting, tick_ms=1).run()
        return 0

    with pytest.raises(ZeroDivisionError, match="a bug"):
        run_process(run)
    assert good.closed
    assert bad.closed


def test_stop_ends_after_the_turn_and_the_collector_is_on_again():
    import gc

    class Stopping(Failing):
        def turn(self, now_ns):
            assert not gc.isenabled(), "no collection between two turns"
            runtime[0].stop()
            return 1

    engine_of = Stopping(None, 0)
    cells = LoopCells(Null(), Null(), Null(), Null())
    runtime = [Runtime([engine_of], cells, waiting="parked", tick_ms=1)]

    async def run():
        await runtime[0].run()
        return 0

    assert run_process(run) == 0
    assert gc.isenabled()
    assert engine_of.closed
    assert cells.heartbeat.value > 0
    assert gc.get_freeze_count() > 0
    gc.unfreeze()


@pytest.mark.parametrize("value", ["0x" + "Ab" * 32, "x=" + "ab" * 32, "c2VjcmV0LW9mLWFwaQ=="])
def test_a_secret_in_the_environment_is_refused_by_the_name_of_its_variable(value):
    secrets = ("0x" + "ab" * 32, "c2VjcmV0LW9mLWFwaQ==", "")
    with pytest.raises(ConfigError, match="environment variable MY_KEY holds") as raised:
        refuse_in_environment(secrets, {"PATH": "/bin", "MY_KEY": value})
    assert value not in str(raised.value)
    refuse_in_environment(secrets, {"PATH": "/bin", "EMPTY": ""})
