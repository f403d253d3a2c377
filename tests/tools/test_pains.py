"""Documents that answer with tests name tests that exist, each line at least one."""

import re
from pathlib import Path

import pytest

from lowlat.world.faults import KINDS

TESTS = Path(__file__).parent.parent
DOCS = TESTS.parent / "docs"
NAMED = re.compile(r"`([\w/]+\.py)::(test_\w+)`")


def rows_of(name):
    """Return the numbered rows of a document's table."""
    lines = (DOCS / name).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if re.match(r"\| \d+ \|", line)]


CHECKLIST = [
    line
    for line in (DOCS / "simulator-checklist.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not line.endswith("| held by |")
]
ROWS = {
    "pains.md": rows_of("pains.md"),
    "venue-faults.md": rows_of("venue-faults.md"),
    "simulator-checklist.md": CHECKLIST,
}


@pytest.mark.parametrize(("name", "count"), [("pains.md", 25), ("venue-faults.md", 37)])
def test_all_have_an_answer_and_a_test(name, count):
    assert [int(row.split("|")[1]) for row in ROWS[name]] == list(range(1, count + 1))
    assert all(NAMED.search(row) for row in ROWS[name])


def test_every_box_of_the_simulators_checklist_has_a_test():
    assert len(CHECKLIST) >= 40
    assert [row for row in CHECKLIST if not NAMED.search(row)] == []


@pytest.mark.parametrize("name", ROWS)
def test_every_test_that_is_named_exists(name):
    named = [pair for row in ROWS[name] for pair in NAMED.findall(row)]
    missing = [
        f"{file}::{test}"
        for file, test in named
        if not (TESTS / file).exists()
        or not re.search(rf"^(async )?def {test}\(", (TESTS / file).read_text(), re.MULTILINE)
    ]
    assert missing == []


def test_every_fault_that_is_named_is_one_of_the_worlds():
    cells = [row.split("|")[4].strip() for row in ROWS["venue-faults.md"]]
    named = [kind for cell in cells if cell != "-" for kind in re.findall(r"`(\w+)`", cell)]
    assert len(named) > 20
    assert all(cell == "-" or re.fullmatch(r"(`\w+` ?)+", cell) for cell in cells)
    assert sorted(set(named) - set(KINDS)) == []


def test_every_test_that_the_security_page_names_exists():
    text = (DOCS / "security.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`tests/([a-z0-9_/]+\.py)`", text))
    assert len(named) > 8
    assert [each for each in sorted(named) if not (TESTS / each).is_file()] == []
