"""One record is one line, in order, rotated, whatever is in it."""

import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowlat.app import log
from lowlat.app.log import LogFile, configure

ROOT = Path(__file__).parents[2]
LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z [A-Z]+ \S+ \S+ .*")


@pytest.fixture(autouse=True)
def logging_as_before():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in root.handlers:
        if handler not in handlers:
            handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


def formatted(text, *values, name="some.logger"):
    record = logging.LogRecord(name, logging.INFO, "", 0, text, values, None)
    return log._Line("engine").format(record)


def test_a_line_tells_when_how_bad_who_and_what():
    line = formatted("connected url=%s", "ws://x")
    assert LINE.fullmatch(line)
    assert line.split(" ", 1)[1] == "INFO engine some.logger connected url=ws://x"


@given(st.text())
def test_nothing_from_outside_begins_a_line_or_steers_a_terminal(text):
    line = formatted("closed reason=%s", text)
    controls = {*range(32), *range(127, 160)} - {ord("\t")}
    assert not {ord(character) for character in line} & controls


def test_an_exception_stays_in_its_line():
    try:
        int("two\nlines")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "", 0, "failed", (), sys.exc_info())
    line = log._Line("engine").format(record)
    assert "\n" not in line
    assert "ValueError: invalid literal" in line


def test_a_file_rotates_at_its_size_and_keeps_so_many(tmp_path, monkeypatch):
    monkeypatch.setattr(log, "LOG_BYTES_MAX", 1000)
    path = tmp_path / "engine.log"
    handler = LogFile(path)
    handler.setFormatter(log._Line("engine"))
    for number in range(200):
        handler.emit(logging.LogRecord("x", logging.INFO, "", 0, "n=%d", (number,), None))
    handler.close()
    names = sorted(each.name for each in tmp_path.iterdir())
    assert names == ["engine.log", *(f"engine.log.{n}" for n in range(1, 5))]
    lines = []
    for name in (*reversed(names[1:]), "engine.log"):
        data = (tmp_path / name).read_text()
        assert len(data) <= 1000
        lines += data.splitlines()
    numbers = [int(line.rsplit("=", 1)[1]) for line in lines]
    assert numbers == list(range(numbers[0], 200)), "nothing in between is lost or twice"
    assert (path.stat().st_mode & 0o777) == 0o600


def test_lines_a_full_disk_swallowed_are_counted_in_the_next_one(tmp_path, monkeypatch):
    path = tmp_path / "engine.log"
    handler = LogFile(path)
    handler.setFormatter(log._Line("engine"))
    record = logging.LogRecord("x", logging.INFO, "", 0, "hello", (), None)
    handler.emit(record)
    real, full = os.write, True

    def write(descriptor, data):
        if full:
            raise OSError(28, "No space left on device")
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", write)
    handler.emit(record)
    handler.emit(record)
    full = False
    handler.emit(record)
    handler.emit(record)
    handler.close()
    ends = [line.split("hello")[1] for line in path.read_text().splitlines()]
    assert ends == ["", " log_lines_lost=2", ""]


CHILD = """
import logging, sys
from lowlat.app import log
log.LOG_BYTES_MAX = 2000
log.configure("engine")
for number in range(100):
    logging.getLogger("x").info("n=%d", number)
print("straight to stderr", file=sys.stderr, flush=True)
raise SystemExit("last words")
"""


def child(home, path):
    with open(path, "ab") as file:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        subprocess.run([sys.executable, "-c", CHILD], stderr=file, env=environment, check=False)


def test_a_childs_stderr_in_the_state_directory_follows_the_rotation(home):
    folder = home / "state" / "lowlat" / "x"
    folder.mkdir(parents=True)
    child(home, folder / "engine.log")
    assert (folder / "engine.log.1").exists()
    text = (folder / "engine.log").read_text()
    assert "straight to stderr" in text
    assert text.endswith("last words\n")


def test_a_file_that_somebody_else_chose_for_stderr_is_not_rotated(home):
    path = home / "mine.log"
    child(home, path)
    assert "n=0\n" in path.read_text()
    assert [each.name for each in home.glob("mine.log*")] == ["mine.log"]


def test_a_copy_on_disk_has_what_the_terminal_is_spared(tmp_path, capsys):
    path = tmp_path / "supervisor.log"
    configure("run", level="WARNING", file=path)
    logging.getLogger("x").info("started child=engine")
    logging.getLogger("x").warning("lost child=engine")
    logging.getLogger("x").debug("nobody wants this")
    assert [line.split(" x ")[1] for line in path.read_text().splitlines()] == [
        "started child=engine",
        "lost child=engine",
    ]
    assert "started" not in capsys.readouterr().err
