"""A mistake in the venue's signing, decoding or matching does not get past the vendors' clients."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("py_clob_client_v2")

pytestmark = pytest.mark.oracle
HERE = Path(__file__).parent
CHOSEN = "limit_order_rests or post_only or fok_fills"


def run(mistake):
    """Run a few tests of the suite against a venue with a mistake; return what failed."""
    environment = os.environ | {"LOWLAT_SIM_MISTAKE": mistake}
    command = [sys.executable, "-m", "pytest", "-q", "--tb=no", "-k", CHOSEN]
    ended = subprocess.run(
        [*command, str(HERE / "test_py_clob_client.py")],
        check=False,
        env=environment,
        cwd=HERE.parent.parent,
        capture_output=True,
        text=True,
        timeout=600,
    )
    lines = [line for line in ended.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return {line.split("::")[1].split()[0] for line in lines}, ended


def test_without_a_mistake_the_chosen_tests_pass():
    failed, ended = run("")
    assert not failed, ended.stdout
    assert ended.returncode == 0, ended.stdout


@pytest.mark.parametrize(
    ("mistake", "noticed"),
    [
        ("signing", "test_a_limit_order_rests_and_is_read_back"),
        ("decoding", "test_post_only_never_takes"),
        ("matching", "test_fok_fills_whole_and_waits_for_its_transaction"),
    ],
)
def test_a_mistake_is_noticed(mistake, noticed):
    failed, ended = run(mistake)
    assert noticed in failed, ended.stdout
    assert ended.returncode == 1
