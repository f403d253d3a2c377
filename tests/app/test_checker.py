"""Configs are checked in a process of its own, which may hang or die without harm."""

import os
import signal
import time

import msgspec
import pytest
from config_text import GOOD

from lowlat.app import checker
from lowlat.app.checker import Checker, check
from lowlat.app.config import EngineConfig
from lowlat.core.clock import monotonic_ns
from lowlat.core.config import decode_config

RAW = msgspec.to_builtins(decode_config(GOOD, EngineConfig))
BAD = RAW | {"modules": {"arbitrage": {"mode": "paper", "params": {"no_such": 1}}}}


def answer(found):
    end = time.monotonic() + 60
    while (text := found.poll(monotonic_ns())) is None:
        assert time.monotonic() < end
        time.sleep(0.01)
    return text


@pytest.fixture
def running():
    found = Checker()
    yield found
    found.close()
    assert found.descriptors() == []


def test_good_and_bad_configs_get_their_answers_from_one_process(running):
    running.ask(RAW, monotonic_ns())
    assert answer(running) == ""
    pid = running._process.pid
    running.ask(BAD, monotonic_ns())
    assert "no_such" in answer(running)
    off = {"mode": "off", "params": {"no_such": 1}}
    running.ask(RAW | {"modules": RAW["modules"] | {"latency": off}}, monotonic_ns())
    assert "no_such" in answer(running), "also what is off is checked"
    running.ask(RAW | {"mode": "reel"}, monotonic_ns())
    assert "mode" in answer(running)
    running.ask(RAW | {"extra": "x" * 300_000}, monotonic_ns())
    assert "unknown key extra" in answer(running)
    assert running._process.pid == pid


def test_a_checker_that_dies_is_an_answer_and_the_next_one_works(running):
    running.ask(RAW, monotonic_ns())
    os.kill(running._process.pid, signal.SIGKILL)
    assert "died" in answer(running)
    running.ask(RAW, monotonic_ns())
    assert answer(running) == ""


def test_a_checker_that_hangs_is_given_up(running, monkeypatch):
    monkeypatch.setattr(checker, "_ANSWER_NS", 100_000_000)
    running.ask(RAW, monotonic_ns())
    os.kill(running._process.pid, signal.SIGSTOP)
    assert "could not be checked within 0.1 s" in answer(running)
    assert running._process is None


def test_an_idle_checker_is_let_go(running, monkeypatch):
    monkeypatch.setattr(checker, "_IDLE_NS", 1)
    running.ask(RAW, monotonic_ns())
    answer(running)
    assert running.poll(monotonic_ns()) is None
    assert running._process is None


def test_a_module_that_raises_is_a_bad_config_not_a_crash(monkeypatch):
    def explode(config):
        raise ZeroDivisionError("in a strategy")

    monkeypatch.setattr(checker, "check_modules", explode)
    assert check(RAW) == ("a signal module cannot be made: ZeroDivisionError: in a strategy")
