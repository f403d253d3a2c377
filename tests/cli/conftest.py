"""The command line in a home of its own, called as its entry point is."""

import logging
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from lowlat.cli.main import main

ROOT = Path(__file__).parents[2]


@pytest.fixture
def home(home, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return home


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
