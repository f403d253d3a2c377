"""Each bug put in on purpose is found within 200 seeds; docs/world.md shows the first traces."""

import importlib.util
from pathlib import Path

import pytest

_SPEC = importlib.util.spec_from_file_location("mutants", Path(__file__).parent / "mutants.py")
MUTANTS = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(MUTANTS)
FOUND_BY = {
    "resend_on_timeout": "was sent twice",
    "fill_counted_twice": "not at rest|^cash: |^token ",
    "gate_before_commit": "before it was written down",
    "stale_exposure": "^over a limit",
}
"""What a rule says of it: other findings of the same seed do not count."""


@pytest.mark.stress
@pytest.mark.parametrize("mutant", MUTANTS.MUTANTS, ids=lambda mutant: mutant.__name__)
def test_bug_put_in_on_purpose_is_found(mutant, monkeypatch):
    mutant(monkeypatch.setattr)
    assert MUTANTS.hunt(FOUND_BY[mutant.__name__]) is not None
