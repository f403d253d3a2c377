"""Tables as an outsider reads them, and what is raised when something in them must not be."""

from typing import Any

from lowlat.core.layout import TABLES
from lowlat.world.memory import Memory

__all__ = ["Rows", "Violation"]


class Violation(Exception):
    """Something that must hold does not."""


class Rows:
    """Every row ever written of a table; only what changed since the last look is read again."""

    def __init__(self, memory: Memory, name: str) -> None:
        self._table = memory.open_table_reader(name)
        self._record = TABLES[name].record
        self._touched = memory.touched(name)
        self._rows: dict[int, Any] = {}
        self._list: list[Any] = []

    def read(self) -> list[Any]:
        """Return the rows as they are now, in their order."""
        if self._touched:
            table = self._table
            for row in self._touched:
                version = table.read(row)
                assert version >= 0, f"{self._record.name} row {row} is busy in one thread"
                # A writer that died before its last store wrote nothing.
                if version:
                    self._rows[row] = self._record.unpack(table.buffer)
            self._touched.clear()
            self._list = [self._rows[row] for row in sorted(self._rows)]
        return self._list
