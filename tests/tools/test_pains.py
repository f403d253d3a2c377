"""Documents that answer with tests name tests that exist, each line at least one."""

import re
from pathlib import Path

TESTS = Path(__file__).parent.parent
ROWS = [
    line
    for line in (TESTS.parent / "docs" / "pains.md").read_text(encoding="utf-8").splitlines()
    if re.match(r"\| \d+ \|", line)
]
CHECKLIST = [
    line
    for line in (TESTS.parent / "docs" / "simulator-checklist.md").read_text().splitlines()
    if line.startswith("| ") and not line.endswith("| held by |")
]
NAMED = re.compile(r"`([\w/]+\.py)::(test_\w+)`")


def test_all_twenty_five_have_an_answer_and_a_test():
    assert [int(row.split("|")[1]) for row in ROWS] == list(range(1, 26))
    assert all(NAMED.search(row) for row in ROWS)


def test_every_box_of_the_simulators_checklist_has_a_test():
    assert len(CHECKLIST) >= 40
    assert [row for row in CHECKLIST if not NAMED.search(row)] == []


def test_every_test_that_is_named_exists():
    named = [pair for row in (*ROWS, *CHECKLIST) for pair in NAMED.findall(row)]
    missing = [
        f"{file}::{name}"
        for file, name in named
        if not (TESTS / file).exists()
        or not re.search(rf"^(async )?def {name}\(", (TESTS / file).read_text(), re.MULTILINE)
    ]
    assert missing == []


def test_every_test_that_the_security_page_names_exists():
    text = (TESTS.parent / "docs" / "security.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`tests/([a-z0-9_/]+\.py)`", text))
    assert len(named) > 8
    assert [each for each in sorted(named) if not (TESTS / each).is_file()] == []
