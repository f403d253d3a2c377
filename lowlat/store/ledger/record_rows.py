"""Records of shared memory as rows of the ledger's tables. Pure."""

from typing import Any, Final

from lowlat.core.layout import (
    CASH_ROW,
    DECISION,
    CashRow,
    DecisionRecord,
    GroupState,
    OrderRow,
    OrderState,
    PositionRow,
    ReportKind,
    ReportRecord,
    Rule,
)
from lowlat.store.ledger.words import hex_id, module_of, token_of, trade_of

__all__ = [
    "cash_row",
    "decision_row",
    "difference_row",
    "group_row",
    "halt_row",
    "order_row",
    "position_row",
    "report_row",
]

_VENUE: Final = "polymarket"
_NO_ID: Final = bytes(32)
_NAMED: Final = {"unlisted": "token", "listed": "token"}
"""What a word of the executor is about, where it is no order."""
_BELIEVED: Final = "the venue's balance was taken over"


def report_row(report: ReportRecord, life: int, wall_ms: int) -> dict[str, Any]:
    """Return what a report says, kinds and ids in words."""
    row = report._asdict()
    for name in ("id", "group", "trade_text", "order_row", "action", "order_type"):
        del row[name]
    row |= {
        "life": life,
        "report": report.id,
        "wall_ms": wall_ms,
        "group_id": report.group,
        "kind": ReportKind(report.kind).name,
        "order_id": hex_id(report.order_id) if report.order_id != _NO_ID else None,
        "trade_id": trade_of(report) or None,
        "module": module_of(report.module),
    }
    return row


def order_row(order: OrderRow, life: int, wall_ms: int) -> dict[str, Any]:
    """Return an order, absolute."""
    row = order._asdict()
    for name in ("id", "group", "lookups", "unwind_price_e4"):
        del row[name]
    row |= {
        "life": life,
        "intent": order.id,
        "group_id": order.group,
        "order_id": hex_id(order.order_id),
        "token_id": token_of(order.token_id),
        "module": module_of(order.module),
        "state": OrderState(order.state).name,
        "changed_wall_ms": wall_ms,
    }
    return row


def position_row(position: PositionRow, wall_ms: int) -> dict[str, Any]:
    """Return a token's position, absolute."""
    row = position._asdict()
    del row["id"]
    return row | {"token_id": token_of(position.token_id), "wall_ms": wall_ms}


def cash_row(data: bytes, wall_ms: int) -> dict[str, Any]:
    """Return the account's cash, absolute."""
    row = CashRow._make(CASH_ROW.codec.unpack(data))
    return {
        "venue": _VENUE,
        "cash_e6": row.cash_e6,
        "reserved_e6": row.reserved_e6,
        "fees_e6": row.fees_e6,
        "realized_e6": row.realized_e6,
        "wall_ms": wall_ms,
    }


def group_row(report: ReportRecord, life: int, wall_ms: int) -> dict[str, Any]:
    """Return a group's newest state."""
    return {
        "life": life,
        "group_id": report.group,
        "module": module_of(report.module),
        "state": GroupState(report.group_state).name,
        "opened_wall_ms": wall_ms,
        "changed_wall_ms": wall_ms,
        "filled_e6": report.size_e6,
        "unwind_cost_e6": report.cash_e6,
        "legs": report.legs,
    }


def difference_row(
    report: ReportRecord, life: int, wall_ms: int, tokens: dict[int, str]
) -> dict[str, Any]:
    """Return where our books and the venue's word differed, and what was done about it."""
    row = {"life": life, "report": report.id, "wall_ms": wall_ms}
    words = report.trade_text.rstrip(b"\0").decode("utf-8", "replace")
    if report.size_e6:
        name = tokens.get(report.instrument, "")
        sides = (report.position_e6 - report.size_e6, report.position_e6)
        return row | _sides("position", name, words or _BELIEVED, sides)
    if report.cash_e6:
        sides = (report.cash_after_e6 - report.cash_e6, report.cash_after_e6)
        return row | _sides("cash", _VENUE, words or _BELIEVED, sides)
    resolution, _, name = words.partition(" ")
    return row | _sides(_NAMED.get(resolution, "order"), name, resolution, (0, 0))


def _sides(kind: str, name: str, resolution: str, sides: tuple[int, int]) -> dict[str, Any]:
    named = {"kind": kind, "name": name, "resolution": resolution}
    return named | {"ours_e6": sides[0], "venue_e6": sides[1]}


def halt_row(report: ReportRecord, life: int, wall_ms: int) -> dict[str, Any]:
    """Return a halt or its end."""
    return {
        "life": life,
        "report": report.id,
        "halted": int(report.kind == ReportKind.HALT),
        "reason": report.trade_text.rstrip(b"\0").decode("utf-8", "replace"),
        "wall_ms": wall_ms,
    }


def decision_row(data: bytes, life: int, wall_ms: int) -> dict[str, Any]:
    """Return how a signal ended."""
    record = DecisionRecord._make(DECISION.codec.unpack(data))
    row = record._asdict()
    for name in ("id", "group", "limit", "was"):
        del row[name]
    row |= {
        "life": life,
        "decision": record.id,
        "rule": Rule(record.rule).name,
        "module": module_of(record.module),
        "bound": record.limit,
        "met": record.was,
        "wall_ms": wall_ms,
    }
    return row
