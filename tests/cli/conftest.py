"""The command line in a home of its own, called as its entry point is."""

import logging
import os
import sys
import uuid
from pathlib import Path
from types import SimpleNamespace

import pytest

from lowlat.cli.main import main
from lowlat.shm import places

ROOT = Path(__file__).parents[2]


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    (tmp_path / "run").mkdir(mode=0o700)
    return tmp_path


@pytest.fixture
def lowlat(home, monkeypatch, capsys):
    """Run a command in this process (a new one costs half a second); logging is put back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["lowlat", *arguments])
        with pytest.raises(SystemExit) as leave:
            main()
        said = capsys.readouterr()
        return SimpleNamespace(returncode=leave.value.code or 0, stdout=said.out, stderr=said.err)

    yield run
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


@pytest.fixture
def instance(home):
    name = f"c{uuid.uuid4().hex[:12]}"
    yield name
    for segment in places.segment_names(name):
        os.unlink(places.segment_file(name, segment))
