"""Records to explain things with: from the running instance, else from its state directory.

A running instance has the newest in its streams and tables; what they no longer hold, and all of
it after the end, is in the journal and the decision log.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
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

__all__ = ["Evidence", "gather", "slug_of"]

_STREAMS: Final = frozenset({"decisions", "reports", "signals"})


Wished = tuple[int, int]
"""A signal by its id, which begins anew after a reboot, and the time of its decision."""
Told = SignalRecord | DecisionRecord | OrderRow


@dataclass
class Evidence:
    """What is known, each record once, oldest first."""

    source: str
    """Where it came from, in words."""
    decisions: list[DecisionRecord] = field(default_factory=list)
    orders: dict[bytes, OrderRow] = field(default_factory=dict)
    """By order id, as last written."""
    reports: list[ReportRecord] = field(default_factory=list)
    signals: dict[Wished, SignalRecord] = field(default_factory=dict)
    markets: dict[bytes, MarketRow] = field(default_factory=dict)
    """By condition id, as last written."""
    books: dict[Wished, BookRow] = field(default_factory=dict)
    """Of each signal its market's book soon after it."""

    def market_of(self, record: Told) -> MarketRow | None:
        """Return the market that a record is about, None when it was not kept.

        By what the venue calls it: its number is another market's after a reboot, or once its
        row was given away. Where only the number is told, it must have been one market's ever.
        """
        if isinstance(record, OrderRow):
            return self._by_token.get(record.token_id)
        if isinstance(record, DecisionRecord):
            signal = self.signals.get((record.signal, record.decided_ns))
            if signal is None:
                places = self._by_place.get((record.instrument >> 1, record.generation), [])
                return places[0] if len(places) == 1 else None
            record = signal
        return self.markets.get(record.market_id)

    def market_name(self, record: Told) -> str:
        """Return the slug of a record's market, else its number."""
        row = self.market_of(record)
        return slug_of(row) if row is not None else f"market {record.instrument >> 1}"

    @cached_property
    def _by_token(self) -> dict[bytes, MarketRow]:
        rows = self.markets.values()
        return {token: row for row in rows for token in (row.yes_token_id, row.no_token_id)}

    @cached_property
    def _by_place(self) -> dict[tuple[int, int], list[MarketRow]]:
        found: dict[tuple[int, int], list[MarketRow]] = {}
        for row in self.markets.values():
            found.setdefault((row.market, row.generation), []).append(row)
        return found


def slug_of(row: MarketRow) -> str:
    """Return what a market is called, else its number."""
    return row.slug.rstrip(b"\0").decode("utf-8", "replace") or f"market {row.market}"


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
    found.signals |= {(each.id, each.decided_ns): each for each in newest}
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
    signals = read_records(str(folder), SIGNALS)
    found.signals = {(each.id, each.decided_ns): each for each in signals}
    found.markets = {each.condition_id: each for each in read_records(str(folder), MARKETS)}
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
        found.markets[row.condition_id] = row


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
