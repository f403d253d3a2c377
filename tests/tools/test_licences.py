"""The licence report: what passes, what does not, and that silence is no licence."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def licences():
    spec = importlib.util.spec_from_file_location("licences", ROOT / "tools" / "licences.py")
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


@pytest.mark.parametrize(
    ("words", "passes"),
    [
        ("MIT", True),
        ("MIT OR GPL-2.0-only", True),
        ("MPL-2.0 AND (Apache-2.0 OR MIT)", True),
        ("Python Software Foundation License", True),
        ("GPL-3.0-only", False),
        ("MIT AND GPL-3.0-only", False),
        ("GNU Lesser General Public License v3 (LGPLv3)", False),
        ("ask us", False),
        ("", False),
    ],
)
def test_only_permissive_licences_pass(licences, words, passes):
    assert (licences.verdict(words) == "") is passes


def test_everything_that_an_installation_brings_is_permissive(licences, capsys):
    assert licences.main([str(ROOT / "requirements" / "runtime.lock")]) == 0
    assert capsys.readouterr().out.count("\n") > 30


def test_a_package_that_is_not_there_is_an_error(licences, tmp_path, capsys):
    lock = tmp_path / "some.lock"
    lock.write_text("no-such-package-anywhere==1.0\n")
    assert licences.main([str(lock)]) == 1
    assert "no-such-package-anywhere is not installed" in capsys.readouterr().err
