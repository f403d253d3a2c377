"""The live screen: 80 columns, 24 lines, one picture at a time; and its one-line form for logs."""

import shutil
from collections.abc import Iterable
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from lowlat.app.supervisor import ChildState
from lowlat.app.telemetry import latency_table
from lowlat.cli._observer import Picture
from lowlat.cli._words import count, dollars, duration

__all__ = ["PlainLines", "Screen", "View", "lines_of", "one_line"]

WIDTH: Final = 80
HEIGHT: Final = 23
"""One less than the terminal's: the cursor stands on the last line."""
_LABEL: Final = 11
_STATE_STYLES: Final = {
    ChildState.READY: "green",
    ChildState.FAILED: "bold red",
    ChildState.BACKOFF: "red",
}


def lines_of(picture: Picture, title: str, badge: str, phase: str) -> list[Text]:
    """Lay a picture out in at most HEIGHT lines of at most WIDTH columns."""
    head = Text.assemble((f" {title} ", "bold"), (f" {badge} ", "bold black on yellow"))
    head.append(f"  {phase}")
    if picture.halts:
        head.append(f"  new orders halted: {', '.join(picture.halts)}", "bold red")
    lines = [head, Text("")]
    processes = Text()
    for child in picture.children:
        style = _STATE_STYLES.get(child.state, "yellow")
        again = f", {child.restarts} restarts" if child.restarts else ""
        processes.append(f"{child.name} ")
        processes.append(f"{child.state.name.lower()}{again}   ", style)
    reading = picture.reading
    hits = reading.hit_rate()
    pairs = picture.pairs
    rows: list[tuple[str, Text | str]] = [
        ("processes", processes),
        (
            "feeds",
            (
                f"{picture.shards_alive}/{picture.shards} shards up   "
                f"{count(picture.messages)} messages ({picture.message_rate:,.0f}/s)   "
                f"{count(reading.total('reconnects'))} reconnects"
            ),
        ),
        ("books", f"{count(picture.books_fresh)} of {count(picture.books)} markets fresh"),
        ("signals", _pairs_of(picture.signals)),
        ("decisions", _pairs_of(_by_size(picture.decisions))),
        (
            "orders",
            f"{count(picture.orders)} sent, {picture.orders_open} open   "
            f"{count(picture.fills)} fills   signed ahead "
            + (f"{hits:.0%}" if hits is not None else "-"),
        ),
        (
            "groups",
            (
                f"{pairs.completed} completed, {pairs.unwound} unwound, {pairs.flat} unfilled, "
                f"{pairs.open} under way"
            ),
        ),
    ]
    if picture.worth is not None:
        worth = picture.worth
        text = (
            f"{dollars(worth.cash_e6)} cash, {worth.tokens} tokens worth at least "
            f"{dollars(worth.holdings_e6)}"
        )
        rows.append(("account", text))
    errors = sum(each.count for found in reading.errors.values() for each in found)
    if errors:
        rows.append(("errors", f"{count(errors)} ({_last_error(picture)})"))
    if picture.lost:
        rows.append(("not seen", _pairs_of(picture.lost) + " records: this screen was too slow"))
    for label, value in rows:
        lines.append(Text.assemble((f" {label:<{_LABEL}}", "cyan"), value))
    lines += _latency_lines(picture, HEIGHT - len(lines))
    for line in lines:
        line.truncate(WIDTH, overflow="ellipsis")
    return lines[:HEIGHT]


def _latency_lines(picture: Picture, room: int) -> list[Text]:
    table = latency_table(picture.reading.histograms)
    if not table or room < 3:
        return []
    head = f" {'stage':<24}{'count':>10}{'p50':>10}{'p99':>10}{'p99.9':>10}{'max':>10}"
    lines = [Text(""), Text(head, "cyan")]
    for stage, cell in list(table.items())[: room - 2]:
        times = "".join(f"{duration(cell[key]):>10}" for key in ("p50", "p99", "p999", "max"))
        lines.append(Text(f" {stage:<24.24}{count(cell['count']):>10}{times}"))
    return lines


def one_line(picture: Picture, phase: str) -> str:
    """Write a picture as one line of text."""
    pairs = picture.pairs
    parts = [
        phase,
        f"messages={picture.messages}",
        f"books={picture.books_fresh}/{picture.books}",
        f"signals={sum(picture.signals.values())}",
        f"decisions={sum(picture.decisions.values())}",
        f"orders={picture.orders}",
        f"fills={picture.fills}",
        f"groups={pairs.completed}+{pairs.unwound}+{pairs.open}",
    ]
    if picture.worth is not None:
        parts.append(f"cash={dollars(picture.worth.cash_e6)}")
    restarts = sum(child.restarts for child in picture.children)
    if restarts:
        parts.append(f"restarts={restarts}")
    if picture.halts:
        parts.append("halt=" + ",".join(picture.halts).replace(" ", "_"))
    return "  ".join(parts)


def _by_size(counts: dict[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: -item[1]))


def _pairs_of(counts: dict[str, int]) -> str:
    return "  ".join(f"{name} {count(number)}" for name, number in counts.items()) or "none yet"


def _last_error(picture: Picture) -> str:
    errors = (each for found in picture.reading.errors.values() for each in found)
    return max(errors, key=lambda each: each.last_ns).text


class View:
    """Where pictures go. A context manager."""

    every_s: float = 1.0
    """How often a picture is worth taking."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        return None

    def show(self, picture: Picture, phase: str) -> None:
        """Show a picture."""
        raise NotImplementedError

    def say(self, text: str) -> None:
        """Say one thing."""
        raise NotImplementedError


class PlainLines(View):
    """A line a second, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def show(self, picture: Picture, phase: str) -> None:
        """Print the picture as a line."""
        self.say(one_line(picture, phase))

    def say(self, text: str) -> None:
        """Print a line."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


class Screen(View):
    """A live screen on a terminal; it leaves nothing behind."""

    every_s = 0.25

    def __init__(self, console: Console, title: str, badge: str) -> None:
        self._console = console
        self._title = title
        self._badge = badge
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._live.stop()

    def show(self, picture: Picture, phase: str) -> None:
        """Draw the picture."""
        self._draw(lines_of(picture, self._title, self._badge, phase))

    def say(self, text: str) -> None:
        """Draw a title and one thing."""
        head = Text.assemble((f" {self._title} ", "bold"), (f" {self._badge} ", "black on yellow"))
        self._draw([head, Text(""), Text(f" {text}")])

    def _draw(self, lines: Iterable[Text]) -> None:
        rows = max(4, shutil.get_terminal_size().lines - 1)
        self._live.update(Text("\n").join(list(lines)[:rows]), refresh=True)
