"""Notes: whole or not there, taken once, kept while the database refuses, set aside if bad."""

import os

import pytest
from ledger_rig import FAKES, rows
from sqlalchemy import create_engine

from lowlat.core.errors import LedgerError
from lowlat.store.ledger import schema
from lowlat.store.ledger.inbox import InboxEngine, InboxMeters
from lowlat.store.ledger.lock import LedgerLock
from lowlat.store.ledger.notes import (
    ConfigNote,
    IncomeNote,
    SettlementNote,
    drop_notes,
    read_notes,
    waiting_notes,
)

SECOND = 1_000_000_000
INCOME = IncomeNote("r1", "reward", "0xcid", 1, 5_000_000, "0xaa")


@pytest.fixture
def inbox(tmp_path, ledger):
    meters = InboxMeters(*(FAKES.Cell() for _ in InboxMeters.__struct_fields__))
    return InboxEngine(tmp_path, ledger, meters)


def test_notes_come_back_as_they_were_dropped_in_order(tmp_path):
    config = ConfigNote(3, 1, "{}", "uid 0", '[["limits.x",1,2]]')
    assert drop_notes(tmp_path, []) is None
    drop_notes(tmp_path, [INCOME])
    drop_notes(tmp_path, [config, INCOME])
    first, second = waiting_notes(tmp_path)
    assert read_notes(first) == [INCOME]
    assert read_notes(second) == [config, INCOME]
    assert first.stat().st_mode & 0o777 == 0o600
    assert not list((tmp_path / "inbox").glob(".*"))


def test_a_note_is_taken_once_and_gone(tmp_path, inbox, database):
    drop_notes(tmp_path, [INCOME])
    assert inbox.turn(0) == 1
    drop_notes(tmp_path, [INCOME])
    assert inbox.turn(1) == 0, "not before its time"
    assert inbox.turn(SECOND) == 1
    assert [tuple(row) for row in rows(database, schema.INCOME)] == [
        ("reward", "r1", "0xcid", 1, 5_000_000, "0xaa")
    ]
    assert waiting_notes(tmp_path) == []


def test_the_newest_word_on_a_settlement_stays(tmp_path, inbox, database):
    sent = SettlementNote("b1", "merge", "0xcid", "sent", 5, 5, 100, -1, 1, 1)
    proven = SettlementNote("b1", "merge", "0xcid", "proven", 5, 5, 100, 105, 1, 9, "0xhash")
    drop_notes(tmp_path, [sent])
    inbox.turn(0)
    drop_notes(tmp_path, [proven])
    inbox.turn(SECOND)
    (row,) = rows(database, schema.SETTLEMENTS)
    assert (row.state, row.after_e6, row.transaction_hash) == ("proven", 105, "0xhash")


@pytest.mark.parametrize("content", [b"", b"[{]", b'[{"type":"other"}]', b"\xff", b"{}"])
def test_a_damaged_note_is_set_aside_and_the_rest_goes_on(tmp_path, inbox, content):
    path = drop_notes(tmp_path, [INCOME])
    path.write_bytes(content)
    drop_notes(tmp_path, [INCOME])
    assert inbox.turn(0) == 1
    assert path.with_suffix(".damaged").read_bytes() == content
    assert inbox._meters.notes_damaged.value == 1


def test_notes_wait_while_the_database_refuses(tmp_path, inbox, ledger, monkeypatch):
    drop_notes(tmp_path, [INCOME])

    def refuse(_):
        raise LedgerError("no room")

    with monkeypatch.context() as patched:
        patched.setattr(ledger, "note", refuse)
        assert inbox.turn(0) == 0
    assert len(waiting_notes(tmp_path)) == 1
    assert inbox.turn(SECOND) == 0
    assert inbox.turn(3 * SECOND) == 1


def test_a_second_writer_of_a_ledger_is_refused_by_name(url, database):
    lock = LedgerLock(database)
    other = create_engine(url)
    with pytest.raises(LedgerError, match="one account"):
        LedgerLock(other)
    if database.dialect.name == "sqlite":
        with pytest.raises(LedgerError, match=str(os.getpid())):
            LedgerLock(other)
    lock.turn(SECOND)
    lock.close()
    again = LedgerLock(other)
    again.close()
    other.dispose()


def test_a_lost_session_takes_its_lock_again_or_ends(url, database):
    if database.dialect.name == "sqlite":
        pytest.skip("a file lock is lost with its process only")
    lock = LedgerLock(database)
    lock._connection.invalidate()
    lock.turn(SECOND)
    other = create_engine(url)
    with pytest.raises(LedgerError, match="another engine"):
        LedgerLock(other)
    lock._connection.invalidate()
    taken = LedgerLock(other)
    with pytest.raises(LedgerError, match="another engine"):
        lock.turn(3 * SECOND)
    taken.close()
    other.dispose()
