"""`lowlat sim faults` against a simulator in another process: what it says holds there."""

import json
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from lowlat.cli._sim_faults import run_faults
from lowlat.core.errors import ConfigError, RemoteProtocolError


@pytest.fixture(scope="module")
def urls():
    flow = json.dumps({"events_per_s": 0, "edges": []})
    command = [sys.executable, "-m", "lowlat.sim", "--scenario", "null", "--coins", "[]"]
    command += ["--markets", "8", "--neg-risk-events", "1", "--bonds", "0", "--flow", flow]
    process = subprocess.Popen([*command, "--seconds", "60"], stdout=subprocess.PIPE)
    try:
        yield json.loads(process.stdout.readline())["urls"]
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


@pytest.fixture
def say(urls, capsys):
    def run(*words):
        assert run_faults([*words, "--control", urls["control"], "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    yield run
    run("--reset", "--mode", "normal")


def status(url):
    try:
        with urllib.request.urlopen(url) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_knobs_and_rules_hold_in_the_running_simulator(urls, say):
    assert status(urls["clob"] + "/time") == 200
    rule = json.dumps({"service": "clob", "path": "/time", "refuse_e4": 10_000})
    state = say("answer_lost_e4=5", "--request", rule, "--frame", '{"feed": "user"}')
    assert state["config"]["answer_lost_e4"] == 5
    assert state["config"]["frames"][0]["feed"] == "user"
    assert status(urls["clob"] + "/time") == 503
    assert status(urls["clob"] + "/ok") == 200
    assert say()["hits"] == {"refused 503": 1}
    assert say("--reset")["config"]["requests"] == []
    assert status(urls["clob"] + "/time") == 200


def test_windows_freezes_and_armed_faults_are_shown(say):
    state = say("--mode", "restart", "--for", "30", "--freeze", "all", "--arm", "answer_lost_e4=2")
    assert (state["mode"], state["mode_left_s"]) == ("restart", 30)
    assert state["frozen_ms"] > 29_000


def test_text_names_what_is_in_force(urls, capsys):
    run_faults(["user_duplicate_e4=70", "--control", urls["control"]])
    assert "user_duplicate_e4 = 70" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        (["lost"], ConfigError, "knob was 'lost', expected KEY=VALUE"),
        (["lost=x"], ConfigError, "'x' is no JSON value"),
        (["lost=1"], RemoteProtocolError, "faults.lost is unknown, allowed: answer_lost_e4"),
        (["--freeze", "moon", "--for", "1"], RemoteProtocolError, "feed was 'moon', allowed"),
        (["--mode", "party"], RemoteProtocolError, "mode was 'party', allowed"),
    ],
)
def test_wrong_words_are_refused_by_name(urls, words, error, message):
    with pytest.raises(error, match=message):
        run_faults([*words, "--control", urls["control"]])


def test_control_address_is_checked():
    with pytest.raises(ConfigError, match="--control was 'ws://x'"):
        run_faults(["--control", "ws://x"])
