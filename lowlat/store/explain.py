"""Signals, their markets and books, kept on disk so that an order can be explained later.

Run by the recorder, off the order path. It gates nobody: what its ring overwrote before it was
read is counted, and its orders are explained without their signal.
"""

from typing import Any, Final

import msgspec

from lowlat.core.layout import (
    BOOK_ROW,
    MARKET_ROW,
    SIGNAL,
    SLOT_HEAD_BYTES,
    RecordType,
    SignalRecord,
)
from lowlat.core.ports import EMPTY, Cell, StreamReader, TableReader
from lowlat.store.ledger.lots import EXIT_PLANS
from lowlat.store.record_log import BOOKS, MARKETS, SIGNALS, RecordLog

__all__ = ["ExplainEngine", "ExplainMeters"]

_A_TURN: Final = 256
_MARKETS_BYTES_MAX: Final = 32 << 20
_BOOKS_BYTES_MAX: Final = 64 << 20
"""Some 70 000 signals."""
_PLANS_MAX: Final = 50_000
"""Signals whose exit plan is remembered for orders that are still open."""


class ExplainMeters(msgspec.Struct):
    """Counters of what explains."""

    signals: Cell
    signals_lost: Cell
    disk_errors: Cell
    plans_unknown: Cell
    """Signals whose exit plan is no word of ours: booked as the usual one."""


class _Exit(msgspec.Struct):
    exit: str


_decode_exit: Final = msgspec.json.Decoder(_Exit).decode


class ExplainEngine:
    """Copies each signal with its market's book, and each market when its first signal comes."""

    name: Final = "explain"

    def __init__(
        self,
        directory: str,
        signals: StreamReader,
        markets: TableReader,
        meters: ExplainMeters,
        bytes_max: int,
        books: TableReader | None = None,
    ) -> None:
        self._signals = signals
        self._markets = markets
        self._meters = meters
        self._signal_log = RecordLog(directory, SIGNALS, bytes_max)
        self._market_log = RecordLog(directory, MARKETS, _MARKETS_BYTES_MAX)
        self._books = books
        self._book_log = RecordLog(directory, BOOKS, _BOOKS_BYTES_MAX)
        self._scratch = memoryview(bytearray(BOOK_ROW.size_bytes))
        self._written: dict[int, int] = {}
        """Version of each market's row that the log has."""
        self._plans: dict[int, str] = {}
        """Signals whose metadata names an exit plan that is not the usual one."""

    def start(self) -> None:
        """Nothing to do: the reader stands where it was opened."""

    def turn(self, now_ns: int) -> int:
        """Write what came; return how many signals."""
        del now_ns
        taken = 0
        while taken < _A_TURN and (kind := self._signals.poll()) != EMPTY:
            taken += 1
            if kind == SIGNAL.kind:
                self._take()
        self._meters.signals_lost.set(self._signals.lost)
        if taken:
            self._flush()
        return taken

    def plan_of(self, signal: int) -> str:
        """Return how the module of a signal means to end what it buys; metadata key ``exit``.

        Call ``turn`` of this engine before orders of the newest signals are booked.
        """
        return self._plans.get(signal, EXIT_PLANS[0])

    def close(self) -> None:
        """Write the rest."""
        self._signal_log.close()
        self._market_log.close()
        self._book_log.close()

    def _take(self) -> None:
        self._signal_log.add(_fields(self._signals.buffer, SIGNAL))
        self._meters.signals.add(1)
        signal = SIGNAL.unpack(self._signals.buffer)
        if signal.metadata_bytes and b'"exit"' in signal.metadata:
            self._keep_plan(signal)
        self._keep_market(signal.instrument >> 1)
        self._keep_book(signal)

    def _keep_plan(self, signal: SignalRecord) -> None:
        try:
            plan = _decode_exit(signal.metadata[: signal.metadata_bytes]).exit
        except msgspec.MsgspecError:
            plan = ""
        if plan not in EXIT_PLANS:
            self._meters.plans_unknown.add(1)
            return
        if len(self._plans) >= _PLANS_MAX:
            del self._plans[next(iter(self._plans))]
        self._plans[signal.id] = plan

    def _keep_book(self, signal: SignalRecord) -> None:
        """Keep the book as it stands a few milliseconds after the decision: mostly the same."""
        books, market = self._books, signal.instrument >> 1
        if books is None or market >= books.rows or books.read(market) <= 0:
            return
        row = BOOK_ROW.unpack(books.buffer)
        if (row.market, row.generation) == (market, signal.generation):
            kept = row._replace(id=signal.id, decoded_ns=signal.decided_ns)
            BOOK_ROW.pack(self._scratch, kept)
            self._book_log.add(_fields(self._scratch, BOOK_ROW))

    def _keep_market(self, market: int) -> None:
        if market >= self._markets.rows:
            return
        version = self._markets.version(market)
        if not version or self._written.get(market) == version:
            return
        if self._markets.read(market) > 0:
            self._written[market] = version
            self._market_log.add(_fields(self._markets.buffer, MARKET_ROW))

    def _flush(self) -> None:
        try:
            self._signal_log.flush()
            self._book_log.flush()
            if self._market_log.flush():
                # A file was begun that knows no market yet.
                self._written.clear()
        except OSError:
            # A full disk costs explanations, nothing else.
            self._meters.disk_errors.add(1)


def _fields(buffer: memoryview, record: RecordType[Any]) -> bytes:
    """Return the fields of the record that a slot-sized buffer holds."""
    return bytes(buffer[SLOT_HEAD_BYTES : SLOT_HEAD_BYTES + record.codec.size])
