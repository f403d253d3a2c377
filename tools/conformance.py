"""Run the vendors' clients against the simulator and print a table: method, client, result.

The last line counts the tests: ``N passed, N failed``. Exit 1 when one failed or nothing ran.
"""

import sys
from collections import Counter

import pytest

MARKS = {"passed": "ok", "failed": "FAILED", "skipped": "-"}


class Table:
    """Collects results by what a test covers and whose client it drives."""

    def __init__(self):
        self.cells = {}
        self.counts = Counter()
        self._about = {}

    def pytest_collection_modifyitems(self, items):
        for item in items:
            calls = [call for mark in item.iter_markers("covers") for call in mark.args]
            params = getattr(item, "callspec", None)
            client = params.params.get("pair") if params is not None else None
            self._about[item.nodeid] = (calls, client or getattr(item.module, "CLIENT", "?"))

    def pytest_runtest_logreport(self, report):
        # A test fails in its set-up and clean-up too; it passes once, when called.
        if report.when != "call" and report.passed:
            return
        self.counts[report.outcome] += 1
        calls, client = self._about[report.nodeid]
        for call in calls:
            cell = self.cells.setdefault(call, {})
            if cell.get(client) != "failed":
                cell[client] = report.outcome

    def text(self):
        clients = sorted({client for row in self.cells.values() for client in row})
        width = max(map(len, self.cells), default=6)
        lines = ["  ".join(["method".ljust(width), *clients])]
        for call, row in sorted(self.cells.items()):
            marks = (MARKS.get(row.get(client, ""), "").ljust(len(client)) for client in clients)
            lines.append("  ".join([call.ljust(width), *marks]).rstrip())
        lines.append("")
        lines.append(f"{self.counts['passed']} passed, {self.counts['failed']} failed")
        return "\n".join(lines)


def main():
    table = Table()
    code = pytest.main(["-qq", "tests/conformance", *sys.argv[1:]], plugins=[table])
    print(table.text())
    return 0 if code == 0 and table.counts["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
