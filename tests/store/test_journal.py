"""The journal: torn at every byte, read while the executor writes, and trusted after a reboot."""

import importlib.util
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowlat.core import layout as lo
from lowlat.store.journal import JournalEngine, JournalMeters
from lowlat.store.journal_file import Batch, Entry, JournalFile, decode_batches, encode_batch
from lowlat.store.journal_params import JournalParams
from lowlat.store.journal_state import read_journal

SECOND = 1_000_000_000
State = lo.OrderState


def executor_fakes():
    path = Path(__file__).parent.parent / "execution" / "conftest.py"
    spec = importlib.util.spec_from_file_location("executor_fakes", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FAKES = executor_fakes()


def meters():
    return JournalMeters(*(FAKES.Cell() for _ in JournalMeters.__struct_fields__))


def journal_of(desk, directory, **params):
    engine = JournalEngine(
        str(directory),
        FAKES.Reader(desk.shared.reports),
        None,
        (desk.shared.orders.reader(), desk.shared.positions.reader(), desk.shared.cash.reader()),
        desk.clock,
        meters(),
        JournalParams(**params),
    )
    engine.start()
    return engine


def reboot(desk, directory):
    """Lose all shared memory; start again from the journal and the venue."""
    fresh = FAKES.Desk(start=False)
    fresh.venue_cash_e6 = desk.venue_cash_e6
    fresh.venue_tokens = desk.venue_tokens
    fresh.venue_orders, fresh.venue_trades = desk.venue_orders, desk.venue_trades
    fresh.transport = FAKES.Transport()
    fresh.clock.wall_base_ns += 3600 * SECOND
    fresh.shared.reports.records.clear()
    fresh.boot(read_journal(str(directory)))
    fresh.ready()
    return fresh


def buy(desk, size=100, trade="a", status="CONFIRMED", venue=True):
    desk.wish(desk.intent(price_e4=4600, size=size))
    key = desk.posts()[-1][0]
    order = desk.order()
    desk.answer(key, desk.matched(order, str(size), f"{size * 0.46:.2f}", trade=trade))
    event = desk.trade_event(order, str(size), "0.46", trade, status)
    desk.user(event)
    if venue:
        desk.venue_trades.append({**event, "status": "TRADE_STATUS_" + status})
        desk.venue_cash_e6 -= size * 460_000
        desk.venue_tokens[desk.token(0)] = desk.venue_tokens.get(desk.token(0), 0) + size * 10**6
    return order


# ------------------------------------------------------------------ the file
BATCHES = [
    Batch(1, 10, 1, (Entry(1, b"one"), Entry(2, b""))),
    Batch(2, 20, 1, ()),
    Batch(3, 30, 2, (Entry(5, bytes(range(64))),)),
]


def test_tail_torn_at_every_byte_is_cut_and_the_rest_kept(tmp_path, monkeypatch):
    frames = [encode_batch(batch) for batch in BATCHES]
    whole = b"".join(frames)
    ends = [sum(map(len, frames[:count])) for count in range(4)]
    # The disk is not what is tested here.
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    monkeypatch.setattr(os, "fdatasync", lambda descriptor: None)
    for cut in range(len(whole) + 1):
        directory = tmp_path / str(cut)
        directory.mkdir()
        path = directory / "journal-0000000001.log"
        path.write_bytes(whole[:cut])
        file = JournalFile(str(directory))
        kept = max(count for count, end in enumerate(ends) if end <= cut)
        assert file.batches == BATCHES[:kept]
        assert file.cut_bytes == cut - ends[kept]
        assert path.stat().st_size == ends[kept]
        file.append(BATCHES[2])
        file.close()
        assert JournalFile(str(directory)).batches == [*BATCHES[:kept], BATCHES[2]]


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_any_flipped_byte_ends_the_reading_there(at, flip):
    frames = [encode_batch(batch) for batch in BATCHES]
    data = bytearray(b"".join(frames))
    at %= len(data)
    data[at] ^= flip
    hit = next(count for count in range(3) if at < sum(map(len, frames[: count + 1])))
    assert [batch for _, batch in decode_batches(bytes(data))] == BATCHES[:hit]


@given(st.binary(max_size=200))
def test_garbage_is_no_batch(data):
    assert list(decode_batches(data)) == []


def test_rotation_keeps_two_files_and_the_newest_says_everything(tmp_path):
    file = JournalFile(str(tmp_path))
    for number in range(5):
        file.rotate(Batch(number, 0, 0, ()))
        file.append(Batch(100 + number, 0, 0, ()))
    file.close()
    assert sorted(os.listdir(tmp_path)) == ["journal-0000000004.log", "journal-0000000005.log"]
    assert [batch.wall_ms for batch in JournalFile(str(tmp_path)).batches] == [4, 104]


def test_file_torn_while_being_created_falls_back_to_the_one_before(tmp_path):
    file = JournalFile(str(tmp_path))
    file.rotate(BATCHES[0])
    file.rotate(BATCHES[1])
    file.close()
    (tmp_path / "journal-0000000002.log").write_bytes(encode_batch(BATCHES[1])[:9])
    assert JournalFile(str(tmp_path)).batches == [BATCHES[0]]


# ------------------------------------------------------------------ the engine
def test_gate_is_released_only_behind_fsync(tmp_path, monkeypatch):
    desk = FAKES.Desk()
    journal = journal_of(desk, tmp_path)
    seen = []
    reader = journal._reports
    real = os.fdatasync

    def sync(descriptor):
        seen.append((reader.released, reader.at))
        real(descriptor)

    monkeypatch.setattr(os, "fdatasync", sync)
    journal.turn(0)
    ((released, polled),) = seen
    assert released == 0 < polled
    assert reader.released == polled


def test_full_disk_holds_the_gate_and_loses_nothing(tmp_path, monkeypatch):
    desk = FAKES.Desk()
    buy(desk)
    journal = journal_of(desk, tmp_path)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", full)
        assert journal.turn(0) == 0
    assert journal._reports.released == 0
    assert journal._meters.disk_errors.value == 1
    assert journal.turn(0) == len(desk.shared.reports.records)
    journal.close()
    assert read_journal(str(tmp_path)).positions[0].size_e6 == 100_000_000


def test_reading_the_same_reports_twice_changes_nothing(tmp_path):
    desk = FAKES.Desk()
    buy(desk)
    for _ in range(2):
        journal = journal_of(desk, tmp_path)
        journal.turn(0)
        journal.close()
    recovered = read_journal(str(tmp_path))
    assert [each.size_e6 for each in recovered.positions] == [100_000_000]
    assert recovered.cash.cash_e6 == 954_000_000
    assert recovered.orders == []


def test_order_whose_row_was_given_on_before_it_was_read_is_known(tmp_path):
    desk = FAKES.Desk()
    gone, kept = buy(desk, 10, "a"), buy(desk, 20, "b")
    rows = desk.shared.orders.store
    rows[gone.row] = rows[kept.row]
    journal = journal_of(desk, tmp_path)
    journal.turn(0)
    journal.close()
    assert read_journal(str(tmp_path)).known_ids == {gone.order_id, kept.order_id}
    assert list(journal.state.known).count(kept.order_id) == 1


def test_compaction_says_what_the_long_file_said(tmp_path):
    desk = FAKES.Desk()
    plain = journal_of(desk, tmp_path / "plain")
    small = journal_of(desk, tmp_path / "small", rotate_bytes=1000)
    for number in range(6):
        buy(desk, 10, f"t{number}", "CONFIRMED" if number % 2 else "MATCHED")
        plain.turn(0)
        small.turn(0)
    desk.engine.halt("because", desk.clock.now_ns)
    plain.turn(0)
    small.turn(0)
    first, second = read_journal(str(tmp_path / "plain")), read_journal(str(tmp_path / "small"))
    assert first == second
    assert first.halted == "because"
    assert len(first.orders) == 3
    assert len(first.known_ids) == 6
    assert len(os.listdir(tmp_path / "small")) == 2


def test_booking_cut_short_between_rows_is_finished_in_the_journal(tmp_path):
    desk = FAKES.Desk()
    desk.wish(desk.intent(price_e4=4600, size=100))
    order = desk.order()
    writes = []

    def stop_after_cash():
        writes.append(1)
        if len(writes) > 1:
            raise RuntimeError

    desk.shared.orders.on_write = stop_after_cash
    desk.shared.cash.on_write = lambda: writes.append(1)
    with pytest.raises(RuntimeError):
        desk.user(desk.trade_event(order, "100", "0.46"))
    journal = journal_of(desk, tmp_path)
    journal.turn(0)
    recovered = read_journal(str(tmp_path))
    assert recovered.cash.cash_e6 == 954_000_000
    assert recovered.orders[0].filled_e6 == 100_000_000


# ------------------------------------------------------------------ after a reboot
def test_reboot_brings_positions_cash_and_halt_back(tmp_path):
    desk = FAKES.Desk()
    journal = journal_of(desk, tmp_path)
    buy(desk)
    desk.engine.halt("drawdown", desk.clock.now_ns)
    journal.turn(0)
    again = reboot(desk, tmp_path)
    assert again.position(0).size_e6 == 100_000_000
    assert again.cash().cash_e6 == 954_000_000
    assert again.engine.halted == "drawdown"
    again.wish(again.intent(price_e4=4600, size=10))
    assert again.posts() == []
    again.engine.resume(again.clock.now_ns)
    again.wish(again.intent(price_e4=4600, size=10))
    assert len(again.posts()) == 1


def test_order_in_flight_at_the_reboot_is_resolved_by_the_venue(tmp_path):
    desk = FAKES.Desk()
    journal = journal_of(desk, tmp_path)
    desk.wish(desk.intent(price_e4=4600, size=100))
    journal.turn(0)
    event = desk.trade_event(desk.order(), "100", "0.46", "a")
    desk.venue_trades.append({**event, "status": "TRADE_STATUS_MINED"})
    again = reboot(desk, tmp_path)
    assert again.posts() == []
    assert again.position(0).size_e6 == 100_000_000
    assert again.cash().cash_e6 == 954_000_000
    assert again.order().state == State.MATCHED


def test_orders_the_journal_never_heard_of_are_adopted_or_canceled(tmp_path):
    desk = FAKES.Desk()
    journal = journal_of(desk, tmp_path)
    buy(desk, 10, "t0")
    journal.turn(0)
    # The machine dies before the journal reads on: one order rests, one was matched.
    matched = buy(desk, 20, "t1", "MATCHED")
    desk.wish(desk.intent(price_e4=4500, size=10, order_type=int(lo.OrderType.GTC)))
    resting = desk.order_event(desk.order(), "LIVE")
    desk.venue_orders.append(resting)
    again = reboot(desk, tmp_path)
    assert resting["status"] == "CANCELED"
    assert again.position(0).size_e6 == 30_000_000
    assert again.cash().cash_e6 == 1_000_000_000 - 30 * 460_000
    assert again.engine.desk.by_order_id[matched.order_id].state == State.MATCHED
    # A finished order in the window of the listing is not adopted a second time.
    assert again.cash().reserved_e6 == 0


def test_tokens_get_their_new_rows_after_a_reboot(tmp_path):
    desk = FAKES.Desk()
    journal = journal_of(desk, tmp_path)
    buy(desk)
    journal.turn(0)
    fresh = FAKES.Desk(start=False)
    # Market 0 sits in row 3 in this boot.
    row = lo.MARKET_ROW.unpack(fresh.shared.markets.store[0][1])
    fresh.shared.markets.store.clear()
    lo.MARKET_ROW.pack(fresh.shared.markets.buffer, row._replace(market=3))
    fresh.shared.markets.write(3)
    fresh.venue_trades, fresh.venue_cash_e6 = desk.venue_trades, desk.venue_cash_e6
    fresh.venue_tokens = desk.venue_tokens
    fresh.shared.reports.records.clear()
    fresh.transport.sent.clear()
    fresh.boot(read_journal(str(tmp_path)))
    fresh.ready()
    assert fresh.position(6).size_e6 == 100_000_000
    assert fresh.position(0) is None


@settings(max_examples=25)
@given(
    st.lists(
        st.tuples(st.integers(5, 40), st.sampled_from(["MATCHED", "CONFIRMED", "FAILED"])),
        max_size=5,
    ),
    st.data(),
)
def test_reboot_at_any_batch_agrees_with_the_venue(tmp_path_factory, story, data):
    directory = tmp_path_factory.mktemp("journal")
    patch = pytest.MonkeyPatch()
    patch.setattr(os, "fsync", lambda descriptor: None)
    patch.setattr(os, "fdatasync", lambda descriptor: None)
    try:
        reboot_and_compare(directory, story, data)
    finally:
        patch.undo()


def reboot_and_compare(directory, story, data):
    desk = FAKES.Desk()
    journal = journal_of(desk, directory)
    stop = data.draw(st.integers(0, len(story)))
    for number, (size, status) in enumerate(story):
        buy(desk, size, f"t{number}", status, venue=status != "FAILED")
        if status == "FAILED":
            event = desk.trade_event(desk.order(), str(size), "0.46", f"t{number}")
            desk.venue_trades.append({**event, "status": "TRADE_STATUS_FAILED"})
        if number < stop:
            journal.turn(0)
    journal._file.close()
    again = reboot(desk, directory)
    kept = sum(size for size, status in story if status != "FAILED")
    held = again.position(0)
    assert (held.size_e6 if held else 0) == kept * 10**6
    assert again.cash().cash_e6 == 1_000_000_000 - kept * 460_000 == desk.venue_cash_e6
    assert again.posts() == []
