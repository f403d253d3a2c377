"""The application behind `top`: keys, panes, when to read and when to draw.

One line of head, one of panes, the pane, one of keys. Everything fits 80 x 24.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

from rich.text import Text
from textual import events
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Footer, Input, Static

from lowlat.cli import _top_latency as latency
from lowlat.cli import _top_lists as lists
from lowlat.cli import _top_panes as panes
from lowlat.cli._top_source import Shot, Source

__all__ = ["PANES", "TopApp"]

POLL_S: Final = 0.2
"""Streams: the shortest ring holds 256 signals."""
DRAW_S: Final = 0.5
_PAGE: Final = 10


@dataclass(frozen=True, slots=True)
class Pane:
    """One screen. A pane with items has a cursor and can be filtered."""

    name: str
    wants: frozenset[str]
    draw: Callable[..., list[Text]]
    items: Callable[[Shot], list[Any]] | None = None
    key: Callable[[Any], object] = id
    text: Callable[[Shot, Any], str] = lambda _shot, _item: ""

    def lines(
        self, shot: Shot, items: list[Any], cursor: int | None, width: int, height: int
    ) -> list[Text]:
        """Draw it, cut to a terminal of any size."""
        if self.items is None:
            found = self.draw(shot, width, height)
        else:
            found = self.draw(shot, items, cursor, width, height)
        for line in found:
            line.truncate(width)
        return found[:height]


def _record_text(shot: Shot, item: Any) -> str:
    return f"{shot.name(item.instrument)} {lists.module_of(item.module)}"


def _decision_text(shot: Shot, item: Any) -> str:
    return f"{_record_text(shot, item)} {lists.rule_of(item)}"


def _stage_key(item: Any) -> object:
    return item


PANES: Final = (
    Pane("all", frozenset({"feeds", "money"}), panes.draw_overview),
    Pane("procs", frozenset(), panes.draw_processes),
    Pane("feeds", frozenset({"feeds"}), panes.draw_feeds),
    Pane("books", frozenset({"books"}), lists.draw_books, lambda shot: shot.books,
         lambda item: item.market, lambda _, item: item.name),
    Pane("signals", frozenset(), lists.draw_signals, lambda shot: shot.signals,
         lambda item: item.id, _record_text),
    Pane("decisions", frozenset(), lists.draw_decisions, lambda shot: shot.decisions,
         lambda item: item.id, _decision_text),
    Pane("orders", frozenset({"orders"}), lists.draw_orders, lambda shot: shot.orders,
         lambda item: item.id, _record_text),
    Pane("money", frozenset({"money"}), panes.draw_money),
    Pane("latency", frozenset(), latency.draw_latency, latency.stages_of, _stage_key,
         lambda _, item: item),
)  # fmt: skip


@dataclass(slots=True)
class _Choice:
    """What is chosen in one pane."""

    at: int = 0
    key: object = None
    """Of the chosen item: it stays chosen when others come before it."""
    filter: str = ""


class Board(Widget, can_focus=True):
    """Draws one pane of one shot."""

    def __init__(self) -> None:
        super().__init__(id="board")
        self._lines: list[Text] = []

    def show(self, lines: list[Text]) -> None:
        """Take new lines."""
        self._lines = lines
        self.refresh()

    def render(self) -> Text:
        """Return what is shown."""
        return Text("\n", no_wrap=True, overflow="crop").join(self._lines)


class TopApp(App[None]):
    """One instance, seen from outside."""

    ENABLE_COMMAND_PALETTE = False
    CSS: ClassVar[str] = """
    Screen { background: $background; }
    #head, #tabs { height: 1; }
    #tabs { background: $surface; }
    #board { height: 1fr; }
    #filter { display: none; height: 1; border: none; padding: 0 1; }
    #filter.open { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("1", "pane(0)", "panes", key_display="1-9"),
        *(Binding(str(n), f"pane({n - 1})", show=False) for n in range(2, 10)),
        Binding("right", "turn(1)", show=False),
        Binding("left", "turn(-1)", show=False),
        Binding("tab", "turn(1)", show=False, priority=True),
        Binding("shift+tab", "turn(-1)", show=False, priority=True),
        Binding("up,k", "move(-1)", "choose", key_display="↑↓"),
        Binding("down,j", "move(1)", show=False),
        Binding("pageup", f"move(-{_PAGE})", show=False),
        Binding("pagedown", f"move({_PAGE})", show=False),
        Binding("home", "move(-1000000)", show=False),
        Binding("end", "move(1000000)", show=False),
        Binding("slash", "filter", "filter", key_display="/"),
        Binding("space", "freeze", "freeze"),
        Binding("s", "picture", "picture"),
        Binding("q", "quit", "quit"),
    ]
    pane: reactive[int] = reactive(0, init=False)
    frozen: reactive[bool] = reactive(default=False, init=False)

    def __init__(self, source: Source, pane: str = PANES[0].name) -> None:
        super().__init__()
        self._source = source
        self._choices = [_Choice() for _ in PANES]
        self._shot: Shot | None = None
        self._head, self._tabs, self._board = Static(id="head"), Static(id="tabs"), Board()
        self._field = Input(id="filter", placeholder="part of a name; Enter applies, Esc leaves")
        self.set_reactive(TopApp.pane, [each.name for each in PANES].index(pane))

    def compose(self) -> ComposeResult:
        """Lay the screen out."""
        yield self._head
        yield self._tabs
        yield self._board
        yield self._field
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        """Begin to read."""
        self._board.focus()
        self.set_interval(POLL_S, self._source.poll)
        self.set_interval(DRAW_S, self.take)
        self._source.poll()
        self.call_after_refresh(self.take)

    # ------------------------------------------------------------------------------ showing
    def take(self) -> None:
        """Read a new shot and draw it."""
        if not self.frozen or self._shot is None:
            self._shot = self._source.shot(PANES[self.pane].wants)
        self.draw()

    def draw(self) -> None:
        """Draw the shot there is."""
        shot = self._shot
        board = self._board
        if shot is None or not board.size.width:
            return
        width, height = board.size
        pane, choice = PANES[self.pane], self._choices[self.pane]
        self._head.update(panes.head(shot, width, frozen=self.frozen))
        self._tabs.update(_tabs(self.pane, choice.filter))
        items = self._items(pane, choice, shot)
        cursor = self._follow(pane, choice, items)
        board.show(pane.lines(shot, items, cursor, width, height))

    def _items(self, pane: Pane, choice: _Choice, shot: Shot) -> list[Any]:
        wanted = choice.filter.lower()
        return [
            item
            for item in (pane.items(shot) if pane.items is not None else ())
            if not wanted or wanted in pane.text(shot, item).lower()
        ]

    @staticmethod
    def _follow(pane: Pane, choice: _Choice, items: list[Any]) -> int | None:
        """Return where the chosen item stands now; the first one is chosen by its place."""
        if not items:
            return None
        if choice.at and choice.key is not None:
            keys = [pane.key(item) for item in items]
            if choice.key in keys:
                choice.at = keys.index(choice.key)
        choice.at = min(choice.at, len(items) - 1)
        choice.key = pane.key(items[choice.at])
        return choice.at

    # ------------------------------------------------------------------------------ keys
    def watch_pane(self) -> None:
        """Show another pane at once; its tables may not have been read yet."""
        if self.frozen and self._shot is not None:
            self.frozen = False
        self.take()

    def watch_frozen(self) -> None:
        """Show whether we read."""
        self.draw()

    def action_pane(self, number: int) -> None:
        """Show a pane."""
        self.pane = number

    def action_turn(self, step: int) -> None:
        """Show the pane beside."""
        self.pane = (self.pane + step) % len(PANES)

    def action_move(self, step: int) -> None:
        """Choose another item."""
        pane, choice = PANES[self.pane], self._choices[self.pane]
        if pane.items is None or self._shot is None:
            return
        items = self._items(pane, choice, self._shot)
        if items:
            choice.at = max(0, min(choice.at + step, len(items) - 1))
            choice.key = pane.key(items[choice.at])
            self.draw()

    def action_freeze(self) -> None:
        """Stop reading, or go on."""
        self.frozen = not self.frozen

    def action_filter(self) -> None:
        """Ask for a filter of this pane."""
        if PANES[self.pane].items is None:
            self.notify("nothing to filter here: try 4 to 7")
            return
        field = self._field
        field.value = self._choices[self.pane].filter
        field.add_class("open")
        field.focus()

    def action_picture(self) -> None:
        """Save the screen as it is."""
        path = Path(f"lowlat-top-{self._source.instance}-{PANES[self.pane].name}.svg").resolve()
        try:
            path.write_text(self.picture(), encoding="utf-8")
        except OSError as error:
            self.notify(f"{path}: {error.strerror}", severity="error")
        else:
            self.notify(f"saved {path}")

    def picture(self) -> str:
        """Return the screen as SVG, without what would be fetched from the network."""
        svg = self.export_screenshot(title=f"lowlat top --instance {self._source.instance}")
        while (begin := svg.find("@font-face")) >= 0:
            svg = svg[:begin] + svg[svg.index("}", begin) + 1 :]
        return svg.replace("Fira Code", "DejaVu Sans Mono")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take the filter."""
        self._choices[self.pane].filter = event.value.strip()
        self._close_filter()

    def on_key(self, event: events.Key) -> None:
        """Leave the filter as it was."""
        if event.key == "escape":
            self._close_filter()

    def on_mouse_scroll_down(self) -> None:
        """Choose what is below."""
        self.action_move(1)

    def on_mouse_scroll_up(self) -> None:
        """Choose what is above."""
        self.action_move(-1)

    def on_resize(self) -> None:
        """Draw for the new size."""
        self.call_after_refresh(self.draw)

    def _close_filter(self) -> None:
        self._field.remove_class("open")
        self._board.focus()
        self.draw()


def _tabs(current: int, wanted: str) -> Text:
    line = Text()
    for index, pane in enumerate(PANES):
        line.append(f" {index + 1} {pane.name}", "reverse bold" if index == current else "")
    if wanted:
        line = Text.assemble((f" {PANES[current].name} with {wanted!r} ", "bold yellow"), line)
    return line
