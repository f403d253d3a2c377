"""Records to explain things with: from the running instance, else from its state directory.

A running instance has the newest in its streams and tables; what they no longer hold, and all of
it after the end, is in the journal and the decision log.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from lowlat.app.state import state_dir
from lowlat.core.errors import SegmentError
from lowlat.core.layout import (
    DECISION,
    MARKET_ROW,
    ORDER_ROW,
    REPORT,
    SIGNAL,
    BookRow,
    DecisionRecord,
    MarketRow,
    OrderRow,
    RecordType,
    ReportRecord,
    SignalRecord,
)
from lowlat.shm.attach import Attached, attach
from lowlat.store.journal_file import EntryKind, newest_batches
from lowlat.store.record_log import BOOKS, DECISIONS, MARKETS, SIGNALS, read_records

__all__ = ["Evidence", "gather"]

_STREAMS: Final = frozenset({"decisions", "reports", "signals"})


@dataclass(slots=True)
class Evidence:
    """What is known, each record once, oldest first."""

    source: str
    """Where it came from, in words."""
    decisions: list[DecisionRecord] = field(default_factory=list)
    orders: dict[bytes, OrderRow] = field(default_factory=dict)
    """By order id, as last written."""
    reports: list[ReportRecord] = field(default_factory=list)
    signals: dict[int, SignalRecord] = field(default_factory=dict)
    """By record id."""
    markets: dict[int, MarketRow] = field(default_factory=dict)
    books: dict[tuple[int, int], BookRow] = field(default_factory=dict)
    """By signal and the time of its decision: its market's book soon after it."""

    def market_name(self, instrument: int) -> str:
        """Return the slug of an instrument's market, else its number."""
        row = self.markets.get(instrument >> 1)
        slug = row.slug.rstrip(b"\0").decode("utf-8", "replace") if row else ""
        return slug or f"market {instrument >> 1}"


def gather(instance: str) -> Evidence:
    """Collect evidence. Raises SegmentError when there is none at all."""
    attached = _open(instance)
    folder = _journal_dir(instance)
    found = Evidence("")
    sources = []
    # First: what became of the newest signal is then in what is read behind it.
    newest = list(_stream(attached, "signals", SIGNAL)) if attached is not None else []
    if _from_disk(found, folder):
        sources.append(f"journal in {folder}")
    found.signals |= {each.id: each for each in newest}
    if attached is not None:
        _from_memory(found, attached)
        sources.append("running instance" if _is_alive(attached) else "shared memory left behind")
    if not sources:
        raise SegmentError(
            f"instance {instance!r} has neither segments nor a journal in {folder}: "
            "run lowlat demo, or name another with --instance"
        )
    found.source = " and ".join(sources)
    return found


def _open(instance: str) -> Attached | None:
    """Attach to the instance; None when its segments are gone or not all there."""
    try:
        attached = attach(instance)
    except SegmentError:
        return None
    return attached if set(attached.streams) >= _STREAMS else None


def _journal_dir(instance: str) -> Path:
    """Return where the recorder writes: below the state directory, or that itself."""
    folder = state_dir(instance, make=False)
    return folder / "journal" if (folder / "journal").is_dir() else folder


def _is_alive(attached: Attached) -> bool:
    return any(each.alive for each in attached.status())


def _from_disk(found: Evidence, folder: Path) -> bool:
    batches = newest_batches(str(folder))
    for batch in batches:
        for kind, data in batch.entries:
            if kind == EntryKind.ORDER:
                order = OrderRow._make(ORDER_ROW.codec.unpack(data))
                found.orders[order.order_id] = order
            elif kind == EntryKind.REPORT:
                found.reports.append(ReportRecord._make(REPORT.codec.unpack(data)))
    found.decisions = list(read_records(str(folder), DECISIONS))
    found.signals = {each.id: each for each in read_records(str(folder), SIGNALS)}
    found.markets = {each.market: each for each in read_records(str(folder), MARKETS)}
    found.books = {(each.id, each.decoded_ns): each for each in read_records(str(folder), BOOKS)}
    return bool(batches or found.decisions)


def _from_memory(found: Evidence, attached: Attached) -> None:
    # Ids begin anew after a reboot, times of one boot do not come back.
    known = {(each.id, each.checked_ns) for each in found.decisions}
    found.decisions += (
        r for r in _stream(attached, "decisions", DECISION) if (r.id, r.checked_ns) not in known
    )
    seen = {(each.id, each.kind, each.at_ns) for each in found.reports}
    found.reports += (
        r for r in _stream(attached, "reports", REPORT) if (r.id, r.kind, r.at_ns) not in seen
    )
    for order in _rows(attached, "orders", ORDER_ROW):
        if order.state:
            found.orders[order.order_id] = order
    for row in _rows(attached, "markets", MARKET_ROW):
        found.markets[row.market] = row


def _stream(attached: Attached, name: str, record: RecordType[Any]) -> Iterator[Any]:
    view = attached.streams[name]
    view.rewind()
    while True:
        kind = view.reader.poll()
        if kind == 0:
            return
        if kind == record.kind:
            yield record.unpack(view.reader.buffer)


def _rows(attached: Attached, name: str, record: RecordType[Any]) -> Iterator[Any]:
    table = attached.tables[name]
    for index in range(table.reader.rows):
        if table.reader.version(index) and table.reader.read(index) > 0:
            yield record.unpack(table.reader.buffer)
