"""Real money: refused with each reason by name, the gate closed until the proof, and after it."""

import json
import os

import pytest
from sqlalchemy import create_engine, text

from lowlat.app import live
from lowlat.app.config import load_config
from lowlat.app.engine import main as engine_main
from lowlat.app.halts import Puller, lift_halts, pull_halt, read_halts
from lowlat.app.live import what_is_missing
from lowlat.app.proof import LiveProof, Proof
from lowlat.app.state import state_dir
from lowlat.app.wallet_lock import lock_trading
from lowlat.cli._demo_files import Account, write_config
from lowlat.core.errors import ConfigError
from lowlat.store.ledger.database import open_database

SECOND = 1_000_000_000
URLS = {
    "clob": "https://127.0.0.1:1",
    "clob_ws": "wss://127.0.0.1:1",
    "gamma": "https://127.0.0.1:1",
    "rtds_ws": "wss://127.0.0.1:1",
    "binance_ws": "wss://127.0.0.1:1",
    "binance": "https://127.0.0.1:1",
}
INSTANCE = "live-test"
REAL_VENUE = live._venue


def private(path, values):
    path.write_text(json.dumps(values))
    path.chmod(0o600)
    return path


@pytest.fixture
def config_of(home, monkeypatch):
    """A config that is healthy but for what a test changes; the venue is asked in its own test."""
    key = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
    address = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
    secrets = {
        "api_key": "00000000-0000-0000-0000-000000000001",
        "api_secret": "c2VjcmV0",
        "api_passphrase": "p",
    }
    wallet = {"address": address, "funder": address, "signature_type": 0}
    signs = private(home / "signs.json", secrets | wallet | {"private_key": key})
    cancels = private(home / "cancels.json", secrets | wallet)
    path = home / "engine.toml"
    write_config(path, INSTANCE, URLS, Account(address, signs, cancels))
    monkeypatch.setattr(live, "_venue", lambda _: [])

    def make(*changes):
        text_ = path.read_text().replace('mode = "sim"', 'mode = "live"', 1)
        for old, new in changes:
            assert old in text_, old
            text_ = text_.replace(old, new, 1)
        path.write_text(text_)
        return path

    return make


def test_a_healthy_config_with_the_flag_misses_nothing(config_of):
    assert what_is_missing(load_config(str(config_of())), flag=True) == []


def test_the_flag_and_the_mode_are_both_needed(config_of):
    path = config_of()
    (word,) = what_is_missing(load_config(str(path)), flag=False)
    assert "--live" in word
    config = load_config(str(config_of(('mode = "live"', 'mode = "paper"'))))
    (word,) = what_is_missing(config, flag=True)
    assert 'mode was "paper"' in word


def test_each_thing_that_is_not_healthy_is_named(config_of, home):
    (home / "signs.json").chmod(0o644)
    config = load_config(str(config_of(("[limits]", "[ledger]\nenabled = false\n\n[limits]"))))
    words = what_is_missing(config, flag=True)
    assert [word.partition(":")[0] for word in words] == ["credentials", "ledger"]
    assert "chmod 600" in words[0]
    (home / "signs.json").unlink()
    assert "No such file" in what_is_missing(config, flag=True)[0]


def test_a_dead_mans_switch_that_never_beats_is_refused(config_of):
    config = config_of(("[limits]", "[execution]\nheartbeat_every_ns = 11_000_000_000\n\n[limits]"))
    (word,) = what_is_missing(load_config(str(config)), flag=True)
    assert word.startswith("heartbeat: ")
    assert "11000000000" in word


def test_a_ledger_that_contradicts_itself_is_refused_with_both_numbers(config_of):
    config = load_config(str(config_of()))
    url = f"sqlite:///{state_dir(INSTANCE)}/ledger.db"
    open_database(url).dispose()
    assert what_is_missing(config, flag=True) == []
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO positions (token_id, size_e6, confirmed_e6, cost_e6, realized_e6, "
                "fees_e6, wall_ms, instrument, generation) VALUES ('7', 5, 5, 0, 0, 0, 1, 0, 1)"
            )
        )
    engine.dispose()
    (word,) = what_is_missing(config, flag=True)
    assert word == "ledger: contradicts itself: position 7 size_e6: ledger 5, open lots 0"


def test_a_venue_that_does_not_answer_is_named(config_of):
    config = load_config(str(config_of()))
    (word,) = REAL_VENUE(config)
    assert word.startswith("reconciliation: the venue did not answer: ")


def test_an_engine_process_refuses_mode_live_without_its_flag(config_of, capsys, monkeypatch):
    path = config_of()
    monkeypatch.setattr("lowlat.app.entry.harden", lambda: None)
    monkeypatch.setattr("lowlat.app.entry.configure", lambda *_: None)
    assert engine_main(["--config", str(path)]) == 2
    assert "only lowlat run --live" in capsys.readouterr().err


# --------------------------------------------------------------------------- the proof
class World:
    def __init__(self):
        self.unready = ["engine"]
        self.beats = 4


@pytest.fixture
def proof_of(home, monkeypatch):
    def make(answer, code=0):
        world = World()
        script = f"import sys; sys.stdout.write({answer!r}); sys.exit({code})"
        monkeypatch.setattr("lowlat.app.proof._CHECK", script)
        proof = LiveProof(INSTANCE, "x.toml", lambda: world.unready, lambda: world.beats)
        return proof, world

    return make


def unproven():
    return [each.puller for each in read_halts(INSTANCE)] == [Puller.UNPROVEN]


def settle(proof, now_ns):
    """Let the check process end, as turns of a supervisor would find it."""
    if proof._check is not None:
        proof._check.wait(timeout=30)
    proof.turn(now_ns)


def test_the_gate_opens_when_everything_is_proven_and_closes_at_the_end(proof_of):
    proof, world = proof_of('{"ok": true, "differences": []}')
    assert unproven()
    proof.turn(1)
    assert proof.missing() == [
        "reconciliation: engine is not ready",
        "heartbeat: the venue has not accepted one yet",
    ]
    world.unready = []
    proof.turn(SECOND)
    assert proof.state is Proof.WAITING, "beats of an earlier life prove nothing"
    world.beats = 5
    proof.turn(2 * SECOND)
    assert proof.state is Proof.COMPARING
    assert unproven()
    settle(proof, 3 * SECOND)
    assert proof.state is Proof.PROVEN
    assert read_halts(INSTANCE) == []
    proof.close()
    assert unproven()


def test_differences_end_it_with_both_numbers(proof_of):
    answer = {
        "ok": False,
        "differences": [
            {"kind": "cash", "name": "polymarket", "field": "cash_e6", "ledger": 5, "other": 7,
             "against": "venue"},
        ],
    }  # fmt: skip
    proof, world = proof_of(json.dumps(answer), 1)
    world.unready = []
    proof.turn(1)
    world.beats = 5
    proof.turn(SECOND)
    settle(proof, 2 * SECOND)
    assert proof.state is Proof.FAILED
    assert "ledger 5, venue 7" in proof.problem
    assert unproven()


def test_a_check_that_says_nothing_is_no_proof(proof_of):
    proof, world = proof_of("", 2)
    world.unready = []
    proof.turn(1)
    world.beats = 5
    proof.turn(SECOND)
    settle(proof, 2 * SECOND)
    assert proof.problem.startswith("ledger: could not be compared")
    assert unproven()


def test_patience_ends_and_says_what_is_missing(proof_of):
    proof, _ = proof_of("")
    proof.turn(1)
    proof.turn(200 * SECOND)
    assert proof.state is Proof.FAILED
    assert "engine is not ready" in proof.problem
    assert "heartbeat" in proof.problem


def test_a_persons_resume_does_not_open_an_unproven_gate(proof_of):
    proof_of("")
    pull_halt(INSTANCE, Puller.OPERATOR, "look", 1)
    assert [each.puller for each in lift_halts(INSTANCE)] == [Puller.OPERATOR]
    assert unproven()


# --------------------------------------------------------------------------- one engine a wallet
def test_a_second_engine_on_a_wallet_is_refused_by_name(home):
    wallet = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
    first = lock_trading(wallet, "one")
    with pytest.raises(ConfigError, match=f"instance one pid {os.getpid()}"):
        lock_trading(wallet.lower(), "two")
    other = lock_trading("0x" + "1a" * 20, "two")
    first.close()
    again = lock_trading(wallet, "three")
    for lock in (other, again):
        lock.close()
