"""Config generations into the ledger: each whole, with who asked for it and what it changed.

Run by the recorder. A generation is an immutable file; the audit line that says who wanted it is
written when every process has taken it. Its row is written at once and signed when the line comes.
"""

import json
import logging
from typing import Final

import msgspec

from lowlat.app.audit import AuditLine, read_audit
from lowlat.app.generations import numbers_from, read_generation
from lowlat.core.errors import ConfigError, LedgerError
from lowlat.store.ledger.notes import ConfigNote
from lowlat.store.ledger.writer import Ledger

__all__ = ["ConfigNotes"]

_LOG: Final = logging.getLogger(__name__)
_EVERY_NS: Final = 1_000_000_000
_MS: Final = 1_000_000
_SIGNED_WITHIN_NS: Final = 180_000_000_000
"""A change that was not completed by then never gets a line."""
_NO_LINE: Final = "the config file at start, or a change that was not completed"


class ConfigNotes:
    """Engine that looks for new generations once a second."""

    name: Final = "config-notes"

    def __init__(self, instance: str, ledger: Ledger) -> None:
        self._instance = instance
        self._ledger = ledger
        self._due_ns = 0
        self._known = ledger.newest_config()
        self._unsigned: dict[int, int] = {}
        """Number to when its line is no longer awaited."""

    def start(self) -> None:
        """Nothing to do."""

    def turn(self, now_ns: int) -> int:
        """Write generations that the ledger does not have, or not signed; return how many."""
        if now_ns < self._due_ns:
            return 0
        self._due_ns = now_ns + _EVERY_NS
        fresh = numbers_from(self._instance, self._known + 1)
        self._unsigned.update(dict.fromkeys(fresh, now_ns + _SIGNED_WITHIN_NS))
        if not self._unsigned:
            return 0
        lines = {each.generation: each for each in read_audit(self._instance)[0] if each.changes}
        signed = [number for number in self._unsigned if number in lines]
        notes = [self._note(number, lines.get(number)) for number in {*fresh, *signed}]
        try:
            self._ledger.note([each for each in notes if each is not None])
        except LedgerError:
            _LOG.exception("config generations wait numbers=%s", fresh)
            return 0
        self._known = max([self._known, *fresh, *signed])
        self._unsigned = {
            number: due_ns
            for number, due_ns in self._unsigned.items()
            if number not in lines and now_ns < due_ns
        }
        return len(notes)

    def close(self) -> None:
        """Nothing is held."""

    def _note(self, number: int, line: AuditLine | None) -> ConfigNote | None:
        try:
            found = read_generation(self._instance, number)
        except ConfigError as error:
            _LOG.warning("generation not kept error=%s", error)
            return None
        text = msgspec.json.encode(found.config).decode()
        if line is None:
            return ConfigNote(number, found.wall_ns // _MS, text, _NO_LINE, "")
        who = f"uid {line.uid} pid {line.pid} {line.command}: {line.op} {line.result}"
        return ConfigNote(number, found.wall_ns // _MS, text, who, json.dumps(line.changes))
