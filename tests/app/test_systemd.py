"""The shipped unit: what systemd itself says about it, and that it fits what the code does."""

import configparser
import shutil
import subprocess
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[2] / "tuning" / "systemd" / "lowlat@.service"


@pytest.fixture
def unit():
    parser = configparser.RawConfigParser(strict=False, comment_prefixes=("#",))
    parser.optionxform = str
    parser.read_string(UNIT.read_text())
    return parser


def test_unit_notifies_is_watched_and_lets_the_engine_outlive_its_supervisor(unit):
    service = unit["Service"]
    assert service["Type"] == "notify"
    assert service["KillMode"] == "process"
    assert service["RuntimeDirectoryPreserve"] == "restart"
    assert service["RestartPreventExitStatus"] == "2"
    assert float(service["WatchdogSec"]) >= 2
    assert "CPUAffinity" not in service
    assert service["LimitCORE"] == "0"
    assert "lowlat run --quiet --config" in service["ExecStart"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")
def test_systemd_finds_nothing_wrong_and_little_exposed(tmp_path):
    # Only the paths of an installation that is not here are replaced.
    text = UNIT.read_text().replace("/opt/lowlat/.venv/bin/lowlat", "/bin/true")
    path = tmp_path / "lowlat@paper.service"
    path.write_text(text.replace("User=lowlat\nGroup=lowlat\n", ""))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(path)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    ours = [line for line in done.stderr.splitlines() if "lowlat" in line]
    assert ours == [], done.stderr
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=35", str(path)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-1500:] + done.stderr
