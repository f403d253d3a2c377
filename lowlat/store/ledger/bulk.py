"""Many rows by one statement, compiled once; the driver gets them as they are.

SQLAlchemy checks and copies every parameter of every row; at some ten thousand rows a second that
was two thirds of what the ledger cost. Its tables hold nothing but integers, floats and text.
"""

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Executable
from sqlalchemy.sql.expression import ClauseElement

__all__ = ["Bulk"]


class _Ready(NamedTuple):
    text: str
    constants: dict[str, Any]
    """Values that the statement brings itself."""
    values: Callable[[Any], tuple[Any, ...]] | None
    """Puts a row in the order of the places; None where the driver takes names."""


class Bulk:
    """Statements by name, each with the columns of its first row: all rows of one look the same."""

    def __init__(self) -> None:
        self._ready: Final[dict[str, _Ready]] = {}

    def execute(
        self,
        connection: Connection,
        name: str,
        make: Callable[[], Executable],
        rows: Sequence[dict[str, Any]],
    ) -> None:
        """Execute the statement of that name for each row; ``make`` builds it the first time."""
        if not rows:
            return
        ready = self._ready.get(name)
        if ready is None:
            ready = self._ready[name] = _compile(connection, make(), list(rows[0]))
        given: list[Any] = list(rows)
        if ready.constants:
            given = [row | ready.constants for row in given]
        if ready.values is not None:
            given = list(map(ready.values, given))
        connection.exec_driver_sql(ready.text, given)


def _compile(connection: Connection, statement: Executable, columns: list[str]) -> _Ready:
    assert isinstance(statement, ClauseElement)
    compiled: Any = statement.compile(dialect=connection.dialect, column_keys=columns)
    constants = {name: each for name, each in compiled.params.items() if name not in columns}
    names = compiled.positiontup
    if names is None:
        return _Ready(str(compiled), constants, None)
    assert len(names) > 1, f"one value a row: {compiled}"
    return _Ready(str(compiled), constants, itemgetter(*names))
