"""The panes of `top` that list things to choose from: books, signals, decisions, orders."""

import json
from typing import Any, Final

from rich.text import Text

from lowlat.app.activity import rule_name
from lowlat.cli._rules import explain
from lowlat.cli._top_panes import decided
from lowlat.cli._top_source import Shot
from lowlat.cli._top_table import Cell, Column, fitted, table
from lowlat.cli._views import BookLine, flag_names, is_open_group, is_open_order
from lowlat.cli._words import age, count, dollars, duration, price, quote, shares
from lowlat.core.layout import (
    Action,
    BookRow,
    DecisionRecord,
    GroupState,
    OrderRow,
    OrderState,
    OrderType,
    Rule,
    SignalRecord,
    Urgency,
)
from lowlat.core.units import NO_PRICE_E4

__all__ = [
    "draw_books",
    "draw_decisions",
    "draw_orders",
    "draw_signals",
    "enum_name",
    "module_of",
    "rule_of",
]

_LADDER_WIDTH: Final = 32
_GROUPS_SHOWN: Final = 4
_STAGES: Final = (
    ("decoded", "decoded_ns"),
    ("published", "published_ns"),
    ("decided", "decided_ns"),
    ("checked", "checked_ns"),
    ("sent", "sent_ns"),
    ("acked", "acked_ns"),
    ("filled", "filled_ns"),
)
_ORDER_STYLES: Final[dict[int, str]] = {
    OrderState.MATCHED: "green",
    OrderState.UNKNOWN: "bold red",
    OrderState.REJECTED: "red",
}
_GROUP_STYLES: Final[dict[int, str]] = {
    GroupState.COMPLETE: "green",
    GroupState.FILLED: "green",
    GroupState.NAKED: "bold red",
}


def enum_name(kind: Any, value: int) -> str:
    """Return a number's name in lower case; a number of a newer build stays a number."""
    return kind(value).name.lower() if value in kind.__members__.values() else str(value)


def module_of(raw: bytes) -> str:
    """Return a module's name as text."""
    return raw.rstrip(b"\0").decode("ascii", "replace")


def _price(price_e4: int | None) -> str:
    return "-" if price_e4 is None or price_e4 == NO_PRICE_E4 else quote(price_e4)


def _wish(action: int, instrument: int) -> str:
    return f"{enum_name(Action, action).upper()} {'NO' if instrument & 1 else 'YES'}"


def _age(shot: Shot, at_ns: int) -> str:
    return age(max(0, shot.at_ns - at_ns)) if at_ns else "-"


# -------------------------------------------------------------------------------------- books
def draw_books(
    shot: Shot, items: list[BookLine], cursor: int | None, width: int, height: int
) -> list[Text]:
    """Draw every market's top at the left and the chosen one's ladder at the right."""
    left_width = max(40, width - _LADDER_WIDTH)
    rows: list[list[Cell]] = [
        [
            (each.name, "" if not (each.flags or each.missing) else "yellow"),
            _price(each.bid_e4),
            _price(each.ask_e4),
            age(each.age_ns),
            (",".join(each.flags) or ("no trade" if each.missing else "ok"), "dim"),
        ]
        for each in items
    ]
    columns = (
        Column(f"market ({len(items)}), YES", 0, middle=True),
        Column("bid", 6, right=True),
        Column("ask", 6, right=True),
        Column("age", 7, right=True),
        Column("book", 10, from_width=70),
    )
    left = table(columns, rows, left_width, height, cursor)
    chosen = items[cursor] if cursor is not None and cursor < len(items) else None
    right = _ladder_lines(shot, chosen, height) if chosen is not None else []
    lines = []
    for at in range(max(len(left), len(right))):
        line = Text().append_text(left[at]) if at < len(left) else Text(" " * left_width)
        line.append(" ")
        lines.append(line.append_text(right[at]) if at < len(right) else line)
    return lines


def _ladder_lines(shot: Shot, chosen: BookLine, height: int) -> list[Text]:
    room = _LADDER_WIDTH - 1
    book = shot.ladder(chosen.market)
    if book is None:
        return [Text(" no book yet", "dim")]
    lines = [
        Text(fitted(chosen.name, room, middle=True), "bold"),
        *_about(book, chosen, room),
        Text(""),
    ]
    lines.append(Text(f"{'size':>8} {'bid':>6} {'ask':>6} {'size':>8}", "bold cyan"))
    levels = max(book.bid_count, book.ask_count)
    for at in range(min(levels, height - len(lines))):
        line = Text()
        if at < book.bid_count:
            bid = f"{_short(book.bid_size_e6[at]):>8} {quote(book.bid_price_e4[at]):>6} "
            line.append(bid, "green")
        else:
            line.append(" " * 16)
        if at < book.ask_count:
            line.append(
                f"{quote(book.ask_price_e4[at]):>6} {_short(book.ask_size_e6[at]):>8}", "red"
            )
        lines.append(line)
    return lines


def _about(book: BookRow, chosen: BookLine, room: int) -> list[Text]:
    flags = ", ".join(flag_names(book.book_flags)) or "healthy"
    last = price(book.last_trade_price_e4) if book.last_trade_price_e4 > 0 else "-"
    lines = [
        Text(f"{flags}, tick {price(book.tick_e4)}, last {last}"[:room]),
        Text(f"depth {_short(book.bid_depth_e6)} bid, {_short(book.ask_depth_e6)} ask"[:room]),
    ]
    if chosen.missing:
        lines.append(Text("not traded: " + ", ".join(chosen.missing), "yellow"))
        lines[-1].truncate(room, overflow="ellipsis")
    return lines


def _short(size_e6: int) -> str:
    """Write a size in whole shares; with two digits when it is small."""
    whole = size_e6 / 1_000_000
    return f"{whole:,.0f}" if whole >= 100 else f"{whole:,.2f}"


# ------------------------------------------------------------------------------------ signals
def draw_signals(
    shot: Shot, items: list[SignalRecord], cursor: int | None, width: int, height: int
) -> list[Text]:
    """Draw the newest signals, and what the chosen one says of itself."""
    counts = ", ".join(f"{name} {count(n)}" for name, n in shot.picture.signals.items())
    rows: list[list[Cell]] = [
        [
            _age(shot, each.decided_ns),
            module_of(each.module),
            shot.name(each.instrument),
            _wish(each.action, each.instrument),
            _price(each.limit_price_e4),
            _short(each.size_suggestion_e6),
            f"${each.expected_value:.3f}",
            f"{each.confidence:.2f}",
            enum_name(Urgency, each.urgency),
            f"{each.leg + 1}/{each.legs}" if each.legs else "-",
        ]
        for each in items
    ]
    columns = (
        Column("ago", 7, right=True),
        Column("module", 9),
        Column("market", 0, middle=True),
        Column("wish", 8),
        Column("limit", 6, right=True),
        Column("size", 7, right=True),
        Column("worth", 8, right=True),
        Column("conf.", 5, right=True, from_width=100),
        Column("urgency", 9, from_width=100),
        Column("leg", 4, from_width=100),
    )
    chosen = items[cursor] if cursor is not None and cursor < len(items) else None
    detail = _signal_detail(shot, chosen, width) if chosen is not None else []
    first = Text(f" seen: {counts or 'none yet'}", "dim")
    lines = table(columns, rows, width, height - len(detail) - 2, cursor)
    return [first, *_filled(lines, height - len(detail) - 1), *detail]


def _signal_detail(shot: Shot, signal: SignalRecord, width: int) -> list[Text]:
    raw = signal.metadata[: signal.metadata_bytes] or b"{}"
    words = "  ".join(f"{key} {value}" for key, value in json.loads(raw).items())
    when = duration(signal.decided_ns - signal.recv_ns)
    life = duration(signal.expires_ns - signal.decided_ns)
    about = (
        f"confidence {signal.confidence:.3f}, {enum_name(Urgency, signal.urgency)}, "
        f"decided {when} after the message, good for {life}"
    )
    return _detail(shot.name(signal.instrument), [about, words or "no metadata"], width)


# ---------------------------------------------------------------------------------- decisions
def draw_decisions(
    shot: Shot, items: list[DecisionRecord], cursor: int | None, width: int, height: int
) -> list[Text]:
    """Draw how often each rule decided, the newest decisions, and the chosen one's reason."""
    rules = "  ".join(f"{rule} {count(number)}" for rule, number in decided(shot).items())
    rows: list[list[Cell]] = [
        [
            _age(shot, each.checked_ns),
            module_of(each.module),
            shot.name(each.instrument),
            _wish(each.action, each.instrument),
            _price(each.limit_price_e4),
            _short(each.size_e6) if each.approved else "-",
            (rule_of(each), "green" if each.approved else "yellow"),
            explain(each) if each.rule else "within every limit",
        ]
        for each in items
    ]
    columns = (
        Column("ago", 7, right=True),
        Column("module", 9),
        Column("market", 0, middle=True),
        Column("wish", 8),
        Column("limit", 6, right=True),
        Column("size", 7, right=True),
        Column("decided by", 16),
        Column("reason", 32, from_width=110),
    )
    chosen = items[cursor] if cursor is not None and cursor < len(items) else None
    detail = _decision_detail(shot, chosen, width) if chosen is not None else []
    head = Text(f" {rules or 'no decision yet'}", "dim")
    head.truncate(width, overflow="ellipsis")
    lines = table(columns, rows, width, height - len(detail) - 2, cursor)
    return [head, *_filled(lines, height - len(detail) - 1), *detail]


def rule_of(decision: DecisionRecord) -> str:
    """Return what decided: a refusal by its rule, an approval also by the rule that cut it."""
    name = rule_name(decision.rule)
    if not decision.approved or not decision.rule or decision.rule == Rule.CUT:
        return name
    return f"cut {name}"


def _decision_detail(shot: Shot, decision: DecisionRecord, width: int) -> list[Text]:
    got = f"{shares(decision.size_e6)} of them" if decision.approved else "nothing"
    wanted = f"{shares(decision.size_suggestion_e6)} shares worth ${decision.expected_value:.4f}"
    why = explain(decision) if decision.rule else "within every limit"
    return _detail(
        shot.name(decision.instrument),
        [f"wanted {wanted}, got {got}", f"{rule_of(decision)}: {why}"],
        width,
    )


# ------------------------------------------------------------------------------------- orders
def draw_orders(
    shot: Shot, items: list[OrderRow], cursor: int | None, width: int, height: int
) -> list[Text]:
    """Draw open orders and the newest others, groups, and the chosen order's stages."""
    rows: list[list[Cell]] = [
        [
            _age(shot, each.sent_ns or each.checked_ns),
            (_order_state(each), _order_style(each.state)),
            module_of(each.module),
            shot.name(each.instrument),
            _wish(each.action, each.instrument),
            _price(each.price_e4),
            _short(each.size_e6),
            _short(each.filled_e6),
            enum_name(OrderType, each.order_type).upper(),
            f"{each.leg + 1}/{each.legs}" if each.group else "-",
        ]
        for each in items
    ]
    columns = (
        Column("sent ago", 8, right=True),
        Column("state", 9),
        Column("module", 9, from_width=100),
        Column("market", 0, middle=True),
        Column("side", 8),
        Column("price", 6, right=True),
        Column("size", 7, right=True),
        Column("filled", 7, right=True),
        Column("type", 4, from_width=100),
        Column("leg", 4, from_width=100),
    )
    chosen = items[cursor] if cursor is not None and cursor < len(items) else None
    detail = _order_detail(shot, chosen, width) if chosen is not None else []
    groups = _group_lines(shot, width)
    room = height - len(detail) - len(groups)
    return [*_filled(table(columns, rows, width, room - 1, cursor), room), *groups, *detail]


def _order_state(order: OrderRow) -> str:
    name = enum_name(OrderState, order.state)
    return f"*{name}" if is_open_order(order.state) else name


def _order_style(state: int) -> str:
    return _ORDER_STYLES.get(state, "")


def _group_style(state: int) -> str:
    return _GROUP_STYLES.get(state, "yellow" if is_open_group(state) else "")


def _group_lines(shot: Shot, width: int) -> list[Text]:
    rows: list[list[Cell]] = [
        [
            _age(shot, each.opened_ns),
            (enum_name(GroupState, each.state), _group_style(each.state)),
            module_of(each.module),
            f"{each.legs_done}/{each.legs}",
            _short(each.target_e6),
            f"{_short(each.filled_low_e6)} to {_short(each.filled_high_e6)}",
            str(each.unwinds),
            dollars(each.unwind_cost_e6),
        ]
        for each in shot.groups[:_GROUPS_SHOWN]
    ]
    columns = (
        Column("opened", 8, right=True),
        Column("group", 9),
        Column("module", 0),
        Column("legs", 5, right=True),
        Column("target", 8, right=True),
        Column("filled by leg", 17, right=True),
        Column("unwinds", 7, right=True),
        Column("cost", 8, right=True),
    )
    if not rows:
        return []
    return [*table(columns, rows, width, 1 + _GROUPS_SHOWN), Text("")]


def _order_detail(shot: Shot, order: OrderRow, width: int) -> list[Text]:
    start_ns = order.recv_ns
    times = "  ".join(
        f"{words} +{duration(at_ns - start_ns)}"
        for words, field in _STAGES
        if (at_ns := getattr(order, field)) and start_ns
    )
    filled = f"{shares(order.filled_e6)} for {dollars(order.cash_e6)}, fee {dollars(order.fee_e6)}"
    return _detail(
        shot.name(order.instrument),
        [
            f"filled {filled}; lowlat trace 0x{order.order_id.hex()[:8]} -i {shot.instance}",
            times or "no stage was timed: not caused by a market message",
        ],
        width,
    )


# ------------------------------------------------------------------------------------- pieces
def _detail(title: str, words: list[str], width: int) -> list[Text]:
    """Lay out a title and its words over as many lines as they need, at most four."""
    lines = [Text(f" {title}", "bold")]
    for each in words:
        lines += _wrapped(each, width - 2)
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return lines[:5]


def _wrapped(text: str, width: int) -> list[Text]:
    lines, line = [], ""
    for word in text.split("  ") if "  " in text else text.split(" "):
        gap = "  " if "  " in text else " "
        if line and len(line) + len(gap) + len(word) > width:
            lines.append(Text(f" {line}"))
            line = word
        else:
            line = f"{line}{gap}{word}" if line else word
    return [*lines, Text(f" {line}")]


def _filled(lines: list[Text], height: int) -> list[Text]:
    """Return exactly height lines, so that what comes below stands still."""
    return [*lines[:height], *(Text("") for _ in range(height - len(lines)))]
