"""Tables of text that fit a terminal: fixed columns, one that takes the rest, a window of rows."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from rich.text import Text

__all__ = ["BAR_WIDTH", "Cell", "Column", "bar", "fitted", "table", "window"]

Cell = str | tuple[str, str]
"""Text, or text and its style."""
BAR_WIDTH: Final = 20
_EIGHTHS: Final = " ▏▎▍▌▋▊▉█"
_CURSOR_STYLE: Final = "reverse"
_ELLIPSIS: Final = "…"
_TAIL: Final = 7
"""What is kept behind a lost middle: the end of a window or a year tells names apart."""


class Column(NamedTuple):
    """One column. ``width`` 0 takes what is left; shown from a screen of ``from_width`` on.

    ``middle``: what does not fit loses its middle (names differ at their ends).
    """

    title: str
    width: int
    right: bool = False
    from_width: int = 0
    middle: bool = False


def table(
    columns: Sequence[Column],
    rows: Sequence[Sequence[Cell]],
    width: int,
    height: int,
    cursor: int | None = None,
) -> list[Text]:
    """Lay out a head and as many rows as fit, those around the cursor when there is one."""
    shown = [index for index, column in enumerate(columns) if width >= column.from_width]
    fixed = sum(columns[index].width for index in shown) + len(shown)
    rest = max(0, width - fixed)
    widths = {index: columns[index].width or rest for index in shown}
    head = Text(style="bold cyan")
    for index in shown:
        head.append(" " + fitted(columns[index].title, widths[index], right=columns[index].right))
    first = window(len(rows), height - 1, cursor)
    lines = [head]
    for at, row in enumerate(rows[first : first + max(0, height - 1)], first):
        line = Text(style=_CURSOR_STYLE if at == cursor else "")
        for index in shown:
            cell = row[index]
            text, style = cell if isinstance(cell, tuple) else (cell, "")
            column = columns[index]
            text = fitted(text, widths[index], right=column.right, middle=column.middle)
            line.append(" " + text, style)
        lines.append(line)
    return lines


def window(count: int, height: int, cursor: int | None) -> int:
    """Return the first of ``height`` rows to show so that the cursor stands in their middle."""
    if cursor is None or height <= 0:
        return 0
    return max(0, min(cursor - height // 2, count - height))


def bar(share: float, width: int = BAR_WIDTH) -> str:
    """Draw a share of 1 as a bar of that many columns, to an eighth of one."""
    eighths = round(max(0.0, min(1.0, share)) * width * 8)
    if share > 0 and not eighths:
        eighths = 1
    full, part = divmod(eighths, 8)
    return ("█" * full + (_EIGHTHS[part] if part else "")).ljust(width)


def fitted(text: str, width: int, *, right: bool = False, middle: bool = False) -> str:
    """Cut or pad to exactly width columns; what we show is ASCII but for bars and the ellipsis."""
    if len(text) > width:
        if width <= 0:
            return ""
        tail = min(_TAIL, (width - 1) // 2) if middle else 0
        return text[: width - 1 - tail] + _ELLIPSIS + text[len(text) - tail :]
    return text.rjust(width) if right else text.ljust(width)
