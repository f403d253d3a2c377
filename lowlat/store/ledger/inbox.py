"""Take notes into the ledger: whatever lies in the inbox, each file once its rows are committed.

Run by the recorder, behind the journal. A note that cannot be read is set aside as evidence and
counted; while the database refuses, notes wait where they are.
"""

import logging
from pathlib import Path
from typing import Final

import msgspec

from lowlat.core.errors import LedgerError
from lowlat.core.ports import Cell
from lowlat.store.ledger.notes import read_notes, waiting_notes
from lowlat.store.ledger.writer import Ledger

__all__ = ["InboxEngine", "InboxMeters"]

_LOG: Final = logging.getLogger(__name__)
_EVERY_NS: Final = 250_000_000
_RETRY_NS: Final = 2_000_000_000


class InboxMeters(msgspec.Struct):
    """Counters of the inbox."""

    notes: Cell
    notes_damaged: Cell
    movements_booked: Cell
    ledger_errors: Cell


class InboxEngine:
    """Reads the inbox a few times a second."""

    name: Final = "inbox"

    def __init__(self, state_dir: Path, ledger: Ledger, meters: InboxMeters) -> None:
        self._state_dir = state_dir
        self._ledger = ledger
        self._meters = meters
        self._due_ns = 0

    def start(self) -> None:
        """Nothing to do: what waits is found in the first turn."""

    def turn(self, now_ns: int) -> int:
        """Take what waits; return how many files were."""
        if now_ns < self._due_ns:
            return 0
        self._due_ns = now_ns + _EVERY_NS
        taken = 0
        for path in waiting_notes(self._state_dir):
            try:
                notes = read_notes(path)
            except LedgerError as error:
                path.rename(path.with_suffix(".damaged"))
                self._meters.notes_damaged.add(1)
                _LOG.error("note set aside error=%s", error)
                continue
            try:
                booked = self._ledger.note(notes)
            except LedgerError:
                self._meters.ledger_errors.add(1)
                self._due_ns = now_ns + _RETRY_NS
                _LOG.exception("note kept path=%s", path)
                break
            path.unlink()
            taken += 1
            self._meters.notes.add(len(notes))
            self._meters.movements_booked.add(booked)
        return taken

    def close(self) -> None:
        """Nothing is held: what waits is taken by the next life."""
