"""What an order costs in instructions, from the frame that draws it to its send; and a capture.

The shipped decision path under callgrind, on a clock that does not follow the slowed-down machine.
"""

import shutil
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.stress,
    pytest.mark.skipif(not shutil.which("valgrind"), reason="needs valgrind"),
]
ROOT = Path(__file__).parents[2]
ORDERS = 20
CAPTURE_SHARE_MAX = 0.05


@pytest.fixture(autouse=True)
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def test_a_capture_costs_an_order_little(capsys):
    from bench.order_cost import instructions

    plain, captured = (
        instructions(ORDERS, "order", captured=captured) for captured in (False, True)
    )
    with capsys.disabled():
        share = captured / plain - 1
        sys.stdout.write(f"\n  {plain:.0f} instructions an order, captured {share:+.1%}\n")
    assert plain > 10_000
    assert plain < captured <= (1 + CAPTURE_SHARE_MAX) * plain
