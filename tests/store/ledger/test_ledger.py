"""The ledger behind a real executor: it agrees with the tables, once, whatever dies in between."""

from pathlib import Path

import pytest
from ledger_rig import DOLLAR, FAKES, LIFE, Book, buy, count, rows
from sqlalchemy import text

from lowlat.core.errors import ConfigError, LedgerError
from lowlat.core.layout import DECISION, ReportKind, Rule
from lowlat.store.journal import Decided
from lowlat.store.ledger import database as database_module
from lowlat.store.ledger import schema
from lowlat.store.ledger.database import open_database
from lowlat.store.ledger.writer import Ledger


def test_orders_fills_lots_positions_and_cash_agree_with_the_executor(
    desk, tmp_path, ledger, database
):
    book = Book(desk, tmp_path, ledger)
    for number in range(3):
        buy(desk, 10 + number, f"t{number}", "CONFIRMED" if number % 2 else "MATCHED")
        book.turn()
    (position,) = rows(database, schema.POSITIONS)
    held = desk.position(0)
    assert position.size_e6 == held.size_e6 == 33 * DOLLAR
    assert position.cost_e6 == held.cost_e6
    lots = rows(database, schema.LOTS)
    assert sum(lot.left_e6 for lot in lots) == held.size_e6
    assert sum(lot.left_cost_e6 for lot in lots) == held.cost_e6
    (cash,) = rows(database, schema.CASH)
    assert cash.cash_e6 == desk.cash().cash_e6
    orders = rows(database, schema.ORDERS)
    assert {order.state for order in orders} == {"MATCHED"}
    assert [order.filled_e6 for order in orders] == [10 * DOLLAR, 11 * DOLLAR, 12 * DOLLAR]
    fills = {fill.trade_id: fill for fill in rows(database, schema.FILLS)}
    assert {trade: fill.state for trade, fill in fills.items()} == {
        "t0": "MATCHED",
        "t1": "CONFIRMED",
        "t2": "MATCHED",
    }
    assert sum(fill.cash_e6 for fill in fills.values()) == sum(o.cash_e6 for o in orders)


def test_many_orders_in_one_batch_are_booked_as_one_by_one(desk, tmp_path, ledger, database):
    for number in range(6):
        buy(desk, 10 + number, f"t{number}", "CONFIRMED" if number % 2 else "MATCHED")
    Book(desk, tmp_path, ledger).turn()
    fills = {fill.trade_id: fill.state for fill in rows(database, schema.FILLS)}
    assert fills == {f"t{n}": "CONFIRMED" if n % 2 else "MATCHED" for n in range(6)}
    lots = rows(database, schema.LOTS)
    assert [lot.trade_id for lot in lots] == [f"t{n}" for n in range(6)]
    assert sum(lot.left_e6 for lot in lots) == desk.position(0).size_e6
    assert sum(lot.left_cost_e6 for lot in lots) == desk.position(0).cost_e6


def test_a_fill_that_fails_gives_its_lot_back_and_stays_as_evidence(
    desk, tmp_path, ledger, database
):
    book = Book(desk, tmp_path, ledger)
    order = buy(desk, 100, "bad", "MATCHED")
    book.turn()
    desk.user(desk.trade_event(order, "100", "0.46", "bad", "FAILED"))
    book.turn()
    assert desk.position(0).size_e6 == 0
    (fill,) = rows(database, schema.FILLS)
    assert (fill.state, fill.size_e6) == ("FAILED", 100 * DOLLAR)
    (lot,) = rows(database, schema.LOTS)
    assert lot.left_e6 == 0
    (closing,) = rows(database, schema.CLOSINGS)
    assert closing.why == "failed"
    assert closing.proceeds_e6 == closing.cost_e6 == 46 * DOLLAR


def test_a_recorder_that_died_behind_the_commit_books_nothing_twice(
    desk, tmp_path, ledger, database
):
    buy(desk)
    book = Book(desk, tmp_path, ledger)
    book.reports.release = lambda: None
    book.turn()
    before = {table: count(database, table) for table in schema.METADATA.sorted_tables}
    assert before[schema.FILLS] == 1
    again = Book(desk, tmp_path / "again", Ledger(database))
    again.turn()
    assert {table: count(database, table) for table in schema.METADATA.sorted_tables} == before


def test_a_batch_that_is_cut_elsewhere_after_a_crash_adds_only_the_new(
    desk, tmp_path, ledger, database
):
    buy(desk, 10, "t0")
    Book(desk, tmp_path / "a", ledger).turn()
    reports = count(database, schema.REPORTS)
    buy(desk, 20, "t1")
    Book(desk, tmp_path / "b", Ledger(database)).turn()
    assert count(database, schema.REPORTS) == len(desk.shared.reports.records) > reports
    assert [lot.size_e6 for lot in rows(database, schema.LOTS)] == [10 * DOLLAR, 20 * DOLLAR]


def test_what_only_the_journal_holds_is_caught_up_with_after_a_reboot(
    desk, tmp_path, ledger, database
):
    class Dead:
        def take(self, life, batch):
            raise LedgerError("the machine died here")

    book = Book(desk, tmp_path, Dead())
    buy(desk)
    assert book.turn() == 0
    assert book.reports.released == 0
    book.engine.drop()
    # Shared memory is gone with its gate; the journal is what is left.
    fresh = FAKES.Desk(start=False)
    Book(fresh, tmp_path, ledger, life="boot:2")
    assert [lot.left_e6 for lot in rows(database, schema.LOTS)] == [100 * DOLLAR]
    assert [life.name for life in rows(database, schema.LIVES)] == [LIFE]


def test_a_database_that_refuses_holds_the_gate_and_is_asked_again_later(desk, tmp_path, database):
    class Sulking(Ledger):
        refuse = True

        def take(self, life, batch):
            if self.refuse:
                raise LedgerError("disk full")
            return super().take(life, batch)

    ledger = Sulking(database)
    book = Book(desk, tmp_path, ledger)
    buy(desk)
    assert book.turn(1) == 0
    assert book.turn(2) == 0
    assert book.meters.ledger_errors.value == 1, "not asked again at once"
    journal_bytes = book.engine._file.size_bytes
    ledger.refuse = False
    assert book.turn(10**9) == len(desk.shared.reports.records)
    assert book.engine._file.size_bytes == journal_bytes, "the journal has it once"
    assert book.reports.released == book.reports.at
    assert count(database, schema.FILLS) == 1


def test_the_same_record_ids_after_a_reboot_are_other_records(desk, tmp_path, ledger, database):
    buy(desk, 10, "t0")
    Book(desk, tmp_path / "a", ledger).turn()
    other = FAKES.Desk()
    Book(other, tmp_path / "b", ledger, life="boot:2").turn()
    lives = {life.name: life.life for life in rows(database, schema.LIVES)}
    assert set(lives) == {LIFE, "boot:2"}
    assert {report.life for report in rows(database, schema.REPORTS)} == set(lives.values())


def test_shares_that_the_venue_takes_or_gives_close_and_open_lots(desk, tmp_path, ledger, database):
    book = Book(desk, tmp_path, ledger)
    buy(desk, 100, "a")
    book.turn()
    order = desk.order()
    accounts = desk.engine.desk.accounts
    change = accounts.correct_position(0, 1, order.token_id, 40 * DOLLAR)
    desk.engine.desk.reports.say(
        ReportKind.RECONCILED,
        desk.clock.now_ns,
        instrument=0,
        generation=1,
        amounts=(change, 0, 0),
    )
    book.turn()
    (lot,) = rows(database, schema.LOTS)
    assert lot.left_e6 == 40 * DOLLAR
    (closing,) = rows(database, schema.CLOSINGS)
    assert (closing.why, closing.size_e6, closing.proceeds_e6) == ("reconciled", 60 * DOLLAR, 0)


def test_each_difference_is_kept_with_both_numbers_and_what_was_done(
    desk, tmp_path, ledger, database
):
    book = Book(desk, tmp_path, ledger)
    buy(desk, 10)
    book.turn()
    count_before = count(database, schema.DIFFERENCES)
    ours = desk.cash().cash_e6
    desk.engine.desk.accounts.correct_cash(ours - 3, 0)
    desk.engine.desk.reports.say(ReportKind.RECONCILED, 0, amounts=(0, -3, 0))
    instrument, generation = 0, desk.position(0).generation
    change = desk.engine.desk.accounts.correct_position(
        instrument, generation, desk.position(0).token_id, 4 * DOLLAR
    )
    desk.engine.desk.reports.say(
        ReportKind.RECONCILED,
        0,
        instrument=instrument,
        generation=generation,
        amounts=(change, 0, 0),
    )
    desk.engine.desk.reports.say(ReportKind.RECONCILED, 0, text=b"canceled 0x1234")
    desk.engine.desk.reports.say(ReportKind.RECONCILED, 0, text=b"unlisted 77")
    book.turn()
    found = rows(database, schema.DIFFERENCES)[count_before:]
    believed = "the venue's balance was taken over"
    token = rows(database, schema.POSITIONS)[0].token_id
    assert [(d.kind, d.name, d.ours_e6, d.venue_e6, d.resolution) for d in found] == [
        ("cash", "polymarket", ours, ours - 3, believed),
        ("position", token, 10 * DOLLAR, 4 * DOLLAR, believed),
        ("order", "0x1234", 0, 0, "canceled"),
        ("token", "77", 0, 0, "unlisted"),
    ]


def test_a_lot_has_the_exit_plan_of_its_signal(desk, tmp_path, database):
    plans = {8: "target"}
    ledger = Ledger(database, lambda signal: plans.get(signal, "resolution"))
    book = Book(desk, tmp_path, ledger)
    buy(desk, 10, "a", signal=7)
    buy(desk, 11, "b", signal=8)
    book.turn()
    assert [lot.exit_plan for lot in rows(database, schema.LOTS)] == ["resolution", "target"]


def test_halts_are_kept_with_their_reason(desk, tmp_path, ledger, database):
    desk.engine.halt("because", desk.clock.now_ns)
    desk.engine.resume(desk.clock.now_ns)
    Book(desk, tmp_path, ledger).turn()
    assert [(halt.halted, halt.reason) for halt in rows(database, schema.HALTS)] == [
        (1, "because"),
        (0, ""),
    ]


# ------------------------------------------------------------------ decisions
def decision(number, rule=Rule.NO_EDGE):
    values = dict.fromkeys(DECISION.row._fields, 0)
    values |= {
        "id": number,
        "signal": number,
        "rule": rule,
        "module": b"arbitrage".ljust(16, b"\0"),
    }
    return DECISION.codec.pack(*DECISION.row(**values))


def test_each_decision_is_kept_once_by_its_position(ledger, database):
    batch = [Decided(at, decision(at)) for at in range(1, 6)]
    assert ledger.decide(LIFE, 1, 1, batch[:3]) == 3
    assert ledger.decide(LIFE, 1, 1, batch) == 2
    assert Ledger(database).decide(LIFE, 1, 1, batch) == 0
    kept = rows(database, schema.DECISIONS)
    assert [each.decision for each in kept] == [1, 2, 3, 4, 5]
    assert {each.rule for each in kept} == {"NO_EDGE"}


def test_a_signal_decided_twice_is_refused_loudly(ledger):
    ledger.decide(LIFE, 1, 1, [Decided(1, decision(1))])
    with pytest.raises(LedgerError, match="IntegrityError"):
        ledger.decide(LIFE, 1, 1, [Decided(2, decision(1))])


# ------------------------------------------------------------------ the database
def test_bad_urls_are_named(tmp_path):
    for url, said in (
        ("mysql://h/x", "allowed: sqlite, postgresql"),
        ("nonsense", "ledger.url"),
        ("sqlite://", "names no file"),
    ):
        with pytest.raises(ConfigError, match=said):
            open_database(url)


def test_a_file_that_others_may_read_is_refused(tmp_path):
    path = tmp_path / "ledger.db"
    path.touch(mode=0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        open_database(f"sqlite:///{path}")


def test_a_newer_schema_is_refused_and_left_alone(url):
    engine = open_database(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(LedgerError, match="9999"):
        open_database(url)


def test_the_migrations_make_exactly_the_schema(database):
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext

    with database.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.METADATA) == []


def test_the_newest_migration_is_the_one_that_is_named():
    from alembic.script import ScriptDirectory

    folder = Path(database_module.__file__).parent / "migrations"
    assert ScriptDirectory(str(folder)).get_current_head() == database_module.NEWEST


def test_a_password_is_read_from_a_private_file_only(tmp_path):
    url = "postgresql+psycopg://u{}@127.0.0.1:1/x"
    with pytest.raises(ConfigError, match="password_file") as caught:
        open_database(url.format(":secret"))
    assert "secret" not in str(caught.value)
    path = tmp_path / "password"
    with pytest.raises(ConfigError, match="No such file"):
        open_database(url.format(""), str(path))
    path.write_text("secret\n")
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        open_database(url.format(""), str(path))


def test_opening_again_changes_nothing(url, database):
    with database.begin() as connection:
        connection.execute(schema.LIVES.insert().values(name="x", first_wall_ms=1))
    open_database(url).dispose()
    assert count(database, schema.LIVES) == 1


def test_an_unreachable_server_is_one_line(tmp_path):
    pytest.importorskip("psycopg")
    secret = tmp_path / "password"
    secret.touch(mode=0o600)
    secret.write_text("hidden")
    with pytest.raises(LedgerError, match="ledger postgresql") as caught:
        open_database("postgresql+psycopg://u@127.0.0.1:1/x", str(secret))
    assert "hidden" not in str(caught.value)
    assert "\n" not in str(caught.value)
