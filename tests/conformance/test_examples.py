"""The worked example of docs/simulator.md runs as it stands."""

import json
import pathlib
import subprocess
import sys

import pytest

pytest.importorskip("py_clob_client_v2")

pytestmark = [pytest.mark.oracle, pytest.mark.smoke]
CLIENT = "py-clob-client-v2"
EXAMPLE = pathlib.Path(__file__).parents[2] / "docs/examples/bot/first_order.py"


def test_first_order_is_placed_read_and_canceled(sim, tmp_path):
    ready = tmp_path / "ready.json"
    ready.write_text(json.dumps({"urls": sim.urls}))
    command = [sys.executable, str(EXAMPLE), str(ready)]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    placed, resting, canceled = said.splitlines()
    order = placed.split()[1]
    assert placed.endswith(": live")
    assert resting == "resting: 20 at 0.05"
    assert order in canceled
