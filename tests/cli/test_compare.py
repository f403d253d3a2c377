"""Holding a bench run against an older one: which figure counts, what is worse, what is refused."""

import importlib
import json

import pytest
import typer

from lowlat.cli import bench
from lowlat.cli._compare import OldRow, compare, comparison_table, read_rows
from lowlat.core.errors import ConfigError


def test_row_with_a_floor_is_compared_by_its_ratio():
    [one] = compare([OldRow("hop", 100, 2.0)], [OldRow("hop", 900, 2.2)], 1.25, whole=True)
    assert (one.measure, one.times, one.worse) == ("x floor", 1.1, False)


def test_row_without_a_floor_by_its_own_figure():
    [one] = compare([OldRow("sign", 100)], [OldRow("sign", 126)], 1.25, whole=True)
    assert (one.measure, one.then, one.now, one.worse) == ("ns", 100, 126, True)
    [one] = compare(
        [OldRow("shared", 0, value_bytes=64)],
        [OldRow("shared", 0, value_bytes=64)],
        1.0,
        whole=True,
    )
    assert (one.measure, one.times, one.worse) == ("bytes", 1.0, False)


def test_row_of_one_run_only_is_named_and_never_worse():
    then, now = [OldRow("gone", 1), OldRow("both", 1)], [OldRow("both", 1), OldRow("new", 1)]
    found = {one.name: one for one in compare(then, now, 1.25, whole=True)}
    assert set(found) == {"gone", "both", "new"}
    assert found["gone"].times is found["new"].times is None
    assert not any(one.worse for one in found.values())
    assert "only in one run" in comparison_table(list(found.values()), 1.25)
    assert {one.name for one in compare(then, now, 1.25, whole=False)} == {"both", "new"}


@pytest.mark.parametrize("content", ["", "[1]", '{"name": 3, "p50_ns": 1}', '[{"name": "x"}]'])
def test_file_that_is_no_bench_output_is_refused_by_name(tmp_path, content):
    path = tmp_path / "old.json"
    path.write_text(content)
    with pytest.raises(ConfigError, match=r"old\.json is not the output of lowlat bench --json"):
        read_rows(path)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.json cannot be read: No such file"):
        read_rows(tmp_path / "none.json")


@pytest.mark.parametrize(("ratio", "code"), [(1.0, 0), (0.5, 1)])
def test_command_ends_with_1_when_a_row_is_worse(tmp_path, monkeypatch, capsys, ratio, code):
    """Against a suite that measures nothing: what is measured is the bench's own test."""
    path = tmp_path / "old.json"
    row = {"name": "hop", "p50_ns": 5, "p99_ns": 6, "ratio": ratio}
    path.write_text(json.dumps(row))
    monkeypatch.setattr(bench, "SUITES", ("hop",))

    def measured(names):
        from bench.harness import Row

        return [Row(name="hop", p50_ns=5, p99_ns=6, ratio=1.1)]

    monkeypatch.setattr(importlib.import_module("bench.hop"), "run", measured)
    ended = 0
    try:
        bench.bench("hop", as_json=True, compare=path, tolerance=1.25)
    except typer.Exit as leave:
        ended = leave.exit_code
    assert ended == code
    [one] = json.loads(capsys.readouterr().out)
    assert (one["then"], one["now"], one["worse"]) == (ratio, 1.1, bool(code))
