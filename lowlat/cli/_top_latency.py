"""Latencies for `top`: a table of the stages, the histogram of one."""

from typing import Final

from rich.text import Text

from lowlat.app.telemetry import LATENCY_PREFIX
from lowlat.cli._top_source import Shot
from lowlat.cli._top_table import Cell, Column, bar, table
from lowlat.cli._words import count, duration
from lowlat.shm.histograms import HistogramView

__all__ = ["PATH", "draw_latency", "draw_stages", "histogram_lines", "stages_of"]

PATH: Final = tuple(
    f"{LATENCY_PREFIX}{stage}"
    for stage in (
        "tick_to_sent",
        "sent_to_acked",
        "sent_to_filled",
        "decided_to_sent",
        "intent_wait",
        "template",
        "intent_to_sent",
    )
)
"""Stages of an order's path, what matters most first."""
_PERCENTS: Final = (50.0, 99.0, 99.9, 100.0)
_COLUMNS: Final = (
    Column("latency, last 10 s (dim: before)", 0),
    Column("count", 10, right=True),
    Column("p50", 8, right=True),
    Column("p99", 8, right=True),
    Column("p99.9", 8, right=True),
    Column("max", 8, right=True),
)
_EDGES_NS: Final = tuple(step * 10**power for power in range(2, 11) for step in (1, 2, 5))
"""Borders of the drawn buckets, 100 ns to 50 s."""


def stages_of(shot: Shot) -> list[str]:
    """Return the stages that were timed, those of the order path first."""
    names = [name for name, view in shot.picture.reading.histograms.items() if view.count]
    return sorted(names, key=lambda name: (PATH.index(name) if name in PATH else 99, name))


def draw_stages(
    shot: Shot, stages: tuple[str, ...], cursor: int | None, width: int, height: int
) -> list[Text]:
    """Draw a line a stage: its last seconds, else (dim) everything since the start."""
    rows: list[list[Cell]] = []
    for name in stages:
        view = shot.lately.get(name)
        style = ""
        if view is None or not view.count:
            view, style = shot.picture.reading.histograms.get(name), "dim"
        if view is not None and view.count:
            times = (duration(view.percentile_ns(percent)) for percent in _PERCENTS)
            rows.append([(text, style) for text in (_short(name), count(view.count), *times)])
    return table(_COLUMNS, rows, width, height, cursor) if rows and height > 1 else []


def draw_latency(
    shot: Shot, stages: list[str], cursor: int | None, width: int, height: int
) -> list[Text]:
    """Draw every stage, and the histogram of the chosen one since the start."""
    upper = min(1 + len(stages), max(4, height // 2))
    lines = draw_stages(shot, tuple(stages), cursor, width, upper)
    if cursor is None:
        return [Text(" nothing was timed yet", "dim")]
    name = stages[cursor]
    view = shot.picture.reading.histograms[name]
    title = (
        f" {_short(name)} since the start: {count(view.count)} values, "
        f"mean {duration(round(view.mean_ns))}, p50 {duration(view.percentile_ns(50))}"
    )
    lines += [Text(""), Text(title, "bold cyan")]
    return [*lines, *histogram_lines(view, width, height - len(lines))]


def histogram_lines(view: HistogramView, width: int, height: int) -> list[Text]:
    """Draw a histogram as bars, a line a bucket of 1, 2, 5 steps, where there are values."""
    counts = view.buckets([0, *_EDGES_NS, 1 << 62])
    used = [index for index, number in enumerate(counts) if number]
    if not used or height <= 0:
        return []
    shown = list(range(used[0], used[-1] + 1))
    while len(shown) > height:
        # Too many for the screen: leave out the emptier end.
        shown = shown[1:] if counts[shown[0]] <= counts[shown[-1]] else shown[:-1]
    total, most = view.count, max(counts)
    room = max(8, width - 40)
    lines = []
    for index in shown:
        low = duration(_EDGES_NS[index - 1]) if index else "0 ns"
        high = duration(_EDGES_NS[index]) if index < len(_EDGES_NS) else "more"
        lines.append(
            Text.assemble(
                f" {_plain(low):>7} to {_plain(high):>7} ",
                (bar(counts[index] / most, room), "green"),
                f" {count(counts[index]):>10} {counts[index] / total:>6.1%}",
            )
        )
    return lines


def _short(name: str) -> str:
    return name.removeprefix(LATENCY_PREFIX).removesuffix("_ns")


def _plain(text: str) -> str:
    """Drop decimals that say nothing: 100 us, not 100.0 us."""
    value, _, unit = text.partition(" ")
    return f"{value.rstrip('0').rstrip('.') if '.' in value else value} {unit}".rstrip()
