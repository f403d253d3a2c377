"""Logs of several processes as one: order, rotation, filters, following, and nothing hidden."""

import json
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowlat.cli._log_lines import Follower, LogFilter, log_files, merged, parse


@pytest.fixture
def folder(home, instance):
    path = home / "state" / "lowlat" / instance
    path.mkdir(parents=True, mode=0o700)
    return path


def line(second, process, words, level="INFO"):
    return f"2026-11-22T10:00:{second:09.6f}Z {level} {process} some.logger {words}\n"


@pytest.fixture
def two(folder):
    """Two processes, one of them rotated, one with a traceback, and binary files beside them."""
    (folder / "engine.log.1").write_text(line(1, "engine", "a=1") + line(3, "engine", "a=3"))
    (folder / "engine.log").write_text(
        line(5, "engine", "a=5", "ERROR") + "Traceback (most recent call last):\n  boom\n"
        + line(7, "engine", "a=7")
    )  # fmt: skip
    (folder / "recorder.log").write_text(
        line(2, "recorder", "b=2") + line(5.5, "recorder", "b=5", "WARNING")
    )
    (folder / "journal-0000000001.log").write_bytes(bytes(range(256)))
    return folder


def test_lines_of_all_processes_and_rotations_come_in_time_order(lowlat, instance, two):
    done = lowlat("logs", "-i", instance, "--json")
    assert done.returncode == 0, done.stderr
    found = [json.loads(each) for each in done.stdout.splitlines()]
    words = [each["message"].split("\n")[0] for each in found]
    assert words == ["a=1", "b=2", "a=3", "a=5", "b=5", "a=7"]
    assert found[0] == {
        "time": "2026-11-22T10:00:01+00:00",
        "level": "INFO",
        "process": "engine",
        "logger": "some.logger",
        "message": "a=1",
    }


def test_a_traceback_stays_with_the_line_before_it(lowlat, instance, two):
    text = lowlat("logs", "-i", instance, "--level", "error").stdout
    assert text.splitlines()[1:] == ["Traceback (most recent call last):", "  boom"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["-p", "recorder"], ["b=2", "b=5"]),
        (["-p", "recorder", "-p", "engine", "-n", "2"], ["b=5", "a=7"]),
        (["--level", "warning"], ["a=5", "b=5"]),
        (["--grep", "BOOM"], ["a=5"]),
        (["--grep", "nothing has this"], []),
        (["--since", "1s"], []),
        (["--since", "36500d"], ["a=1", "b=2", "a=3", "a=5", "b=5", "a=7"]),
        (["-n", "0"], []),
    ],
)
def test_filters(lowlat, instance, two, arguments, expected):
    done = lowlat("logs", "-i", instance, "--json", *arguments)
    found = [json.loads(each)["message"].split("\n")[0] for each in done.stdout.splitlines()]
    assert found == expected


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--since", "5x"], "--since was '5x'"),
        (["--level", "loud"], "--level was 'loud'"),
        (["-p", "nobody"], "expected one of engine, recorder"),
    ],
)
def test_wrong_use_names_the_option_the_value_and_what_is_allowed(
    lowlat, instance, two, arguments, word
):
    done = lowlat("logs", "-i", instance, *arguments)
    assert done.returncode == 2
    assert word in done.stderr


def test_an_instance_without_logs_is_wrong_use(lowlat, instance):
    done = lowlat("logs", "-i", instance)
    assert done.returncode == 2
    assert "has no logs" in done.stderr


def test_what_a_process_wrote_cannot_steer_the_terminal(lowlat, instance, folder):
    (folder / "engine.log").write_text(line(1, "engine", "x") + "\x1b[2Jgone \x9b31m\n")
    text = lowlat("logs", "-i", instance).stdout
    assert "\x1b" not in text
    assert "\x9b" not in text
    assert "\\x1b[2Jgone" in text


def test_lines_without_a_time_are_shown_first_not_hidden(folder):
    (folder / "engine.log").write_text("Fatal Python error\n" + line(1, "engine", "x"))
    first, second = merged(folder)
    assert (first.at_us, first.process, first.words) == (0, "engine", "Fatal Python error")
    assert LogFilter(level="ERROR", since_us=5).wants(first)
    assert second.words == "x"


@given(
    st.lists(st.text(st.characters(exclude_characters="\n\r\x85\u2028\u2029\x0b\x0c\x1c\x1d\x1e")))
)
def test_parsing_loses_no_text_whatever_the_lines_are(raw):
    found = list(parse(raw, "engine"))
    assert "\n".join(each.text for each in found) == "\n".join(raw)


def test_a_month_that_does_not_exist_is_text(folder):
    (only,) = parse(["2026-13-40T99:99:99Z INFO engine x y"], "engine")
    assert only.at_us == 0


def test_following_sees_appends_rotations_and_new_processes_each_line_once(folder):
    path = folder / "engine.log"
    path.write_text(line(1, "engine", "old"))
    follower = Follower(folder)
    assert follower.read() == []
    with open(path, "a") as file:
        file.write(line(2, "engine", "two") + line(3, "engine", "three")[:-5])
        file.flush()
        assert [each.words for each in follower.read()] == ["two"], "half a line waits"
        file.write(line(3, "engine", "three")[-5:])
    path.rename(folder / "engine.log.1")
    path.write_text(line(5, "engine", "five"))
    (folder / "recorder.log").write_text(line(4, "recorder", "four"))
    assert [each.words for each in follower.read()] == ["three", "four", "five"]
    assert follower.read() == []


def test_follow_prints_what_comes_until_it_is_stopped(home, instance, two):
    command = [
        sys.executable, "-c", "from lowlat.cli.main import main; main()", "logs", "-i", instance,
        "-f", "-n", "1",
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ) as running:
        assert running.stdout.readline().endswith("a=7\n")
        with open(two / "recorder.log", "a") as file:
            file.write(line(9, "recorder", "b=9"))
        assert running.stdout.readline().endswith("b=9\n")
        running.send_signal(2)
        assert running.wait(60) == 130


def test_only_logs_are_taken_for_logs(two):
    assert {name: [each.name for each in paths] for name, paths in log_files(two).items()} == {
        "engine": ["engine.log.1", "engine.log"],
        "recorder": ["recorder.log"],
    }
