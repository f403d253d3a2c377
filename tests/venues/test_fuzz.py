"""Coverage-guided fuzzing of every decoder for a bounded time (``make stress``; longer by hand)."""

import importlib.util
import pathlib
import subprocess
import sys

import pytest

TOOL = pathlib.Path(__file__).parents[2] / "tools" / "fuzz_decoders.py"


@pytest.mark.stress
@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is not installed")
def test_no_decoder_breaks_its_promise(tmp_path):
    command = [sys.executable, str(TOOL), "--all", "--seconds", "3", "--corpus", str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.count(" ok\n") >= 20


def test_tool_lists_the_decoders_it_knows():
    command = [sys.executable, str(TOOL), "--list"]
    names = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert {"market", "rtds", "polybolt", "gamma-events", "binance-sbe"} <= set(names)
