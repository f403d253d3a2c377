"""Risk's own rows as the journal keeps them: what modules own and earned, and what equity was.

Part of the journal. Shared memory holds them through the death of a process; through a reboot the
journal does. Tokens are written in place of instruments, which are given anew.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from lowlat.core.layout import (
    EXPOSURE_ROW,
    POSITION_ROW,
    SCORE_ROW,
    SLOT_HEAD_BYTES,
    STAKE_ROW,
    PositionRow,
    RecordType,
    ScoreRow,
    StakeRow,
)
from lowlat.core.ports import TableReader
from lowlat.store.journal_file import Entry, EntryKind

__all__ = ["RiskRows", "RiskTables"]

_NO_TOKEN: Final = bytes(32)


class RiskTables(NamedTuple):
    """Tables that only risk writes; of ``exposure`` the total is kept."""

    stakes: TableReader
    scores: TableReader
    exposure: TableReader


class RiskRows:
    """Finds what the journal has not got yet: all owners of a token together, scores, the total."""

    def __init__(self, tables: RiskTables, positions: TableReader) -> None:
        """``positions`` tells which token an instrument is."""
        self._tables = tables
        self._positions = positions
        self._versions = {
            EntryKind.STAKES: [0] * tables.stakes.rows,
            EntryKind.SCORE: [0] * tables.scores.rows,
            EntryKind.TOTAL: [0],
        }
        """Of each table's rows, the version that was read last; 0: none."""
        self._stakes: dict[int, tuple[bytes, bytes]] = {}
        """Token and packed stake of each row of the stakes table."""
        self._due: dict[tuple[EntryKind, bytes], bytes] = {}
        """Scores by module, and the total, that are not written yet."""
        self._due_tokens: set[bytes] = set()

    def changed(self) -> list[Entry]:
        """Return what changed since ``kept``; a busy row comes next time."""
        tables = self._tables
        for row, data in self._news(EntryKind.STAKES, tables.stakes, STAKE_ROW):
            self._take_stake(row, data)
        for _, data in self._news(EntryKind.SCORE, tables.scores, SCORE_ROW):
            module = ScoreRow._make(SCORE_ROW.codec.unpack(data)).module
            self._due[EntryKind.SCORE, module] = data
        for _, data in self._news(EntryKind.TOTAL, tables.exposure, EXPOSURE_ROW):
            self._due[EntryKind.TOTAL, b""] = data
        entries = [Entry(kind, data) for (kind, _), data in self._due.items()]
        for token_id in sorted(self._due_tokens):
            owners = [data for token, data in self._stakes.values() if token == token_id]
            entries.append(Entry(EntryKind.STAKES, token_id + b"".join(owners)))
        return entries

    def kept(self) -> None:
        """Take what was found last for written."""
        self._due.clear()
        self._due_tokens.clear()

    def _news(
        self, kind: EntryKind, table: TableReader, record: RecordType[Any]
    ) -> Iterator[tuple[int, bytes]]:
        versions, version_of = self._versions[kind], table.version
        for row, known in enumerate(versions):
            if version_of(row) == known:
                continue
            version = table.read(row)
            if version > 0:
                data = bytes(table.buffer[SLOT_HEAD_BYTES : SLOT_HEAD_BYTES + record.codec.size])
                versions[row] = version
                yield row, data

    def _take_stake(self, row: int, data: bytes) -> None:
        stake = StakeRow._make(STAKE_ROW.codec.unpack(data))
        # Generation 0: nobody lists the market in this boot, so its owners are those of before.
        token_id = self._token_of(stake) if stake.size_e6 and stake.generation else _NO_TOKEN
        if not token_id:
            # Its position is being written: look again.
            self._versions[EntryKind.STAKES][row] = 0
            return
        before = self._stakes.pop(row, (_NO_TOKEN, b""))[0]
        if token_id != _NO_TOKEN:
            self._stakes[row] = token_id, data
        self._due_tokens |= {before, token_id} - {_NO_TOKEN}

    def _token_of(self, stake: StakeRow) -> bytes:
        """Return the token of a stake's instrument; empty while its row is another's or busy."""
        if self._positions.read(stake.instrument) <= 0:
            return b""
        held: PositionRow = POSITION_ROW.unpack(self._positions.buffer)
        same = held.generation == stake.generation and held.token_id != _NO_TOKEN
        return held.token_id if same else b""
