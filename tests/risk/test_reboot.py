"""A reboot takes all shared memory: owners, scores and peaks come back from the journal.

The rows that risk wrote go through the journal's own code, as in a real run: copied, folded, read.
"""

import pytest
from risk_rig import Rig

from lowlat.core.layout import POSITION_ROW, OrderState, PositionRow, ReportKind, Rule
from lowlat.core.units import E6
from lowlat.store.journal_file import Batch, Entry, EntryKind, decode_batches, encode_batch
from lowlat.store.journal_state import JournalState
from lowlat.store.risk_rows import RiskRows, RiskTables

S = 1_000_000_000
TEST, OTHER = b"test".ljust(16, b"\0"), b"other".ljust(16, b"\0")

TOKENS = [bytes([9, number]) * 16 for number in range(8)]


def hold(rig, instrument, size, cost, *, row=None, token=None):
    """Write a position as the executor does, under the row it has in this boot."""
    row = instrument if row is None else row
    values = dict.fromkeys(PositionRow._fields, 0) | {
        "size_e6": size * E6,
        "confirmed_e6": size * E6,
        "cost_e6": int(cost * E6),
        "token_id": TOKENS[instrument] if token is None else token,
        "instrument": row,
        "generation": 1,
    }
    rig.positions.put(row, PositionRow(**values))
    return PositionRow(**values)


def fill(rig, module, instrument, size, cash, *, position, action=0):
    """Report a fill of an order that risk did not send in this life."""
    rig.report(
        ReportKind.FILL,
        900 + rig._report,
        OrderState.MATCHED,
        module=module,
        instrument=instrument,
        generation=1,
        action=action,
        size_e6=size * E6,
        cash_e6=int(cash * E6),
        filled_e6=size * E6,
        position_e6=position * E6,
    )
    rig.turn()


class Journal:
    """Copies risk's rows as the recorder does and hands the picture to the next boot."""

    def __init__(self, rig):
        self.rows = RiskRows(RiskTables(rig.stakes, rig.scores, rig.exposure), rig.positions)
        self.batches = b""
        self.rig = rig

    def copy(self):
        entries = self.rows.changed()
        self.batches += encode_batch(Batch(1, 0, 0, tuple(entries)))
        self.rows.kept()
        return entries

    def recovered(self, *, copies=True):
        """Return what the next boot reads; positions are the executor's part."""
        if copies:
            self.rig.engine.close()
            self.copy()
        state = JournalState()
        for _, batch in decode_batches(self.batches):
            state.apply(batch)
        for row in range(self.rig.positions.rows):
            if self.rig.positions.read(row) > 0:
                data = self.rig.positions.buffer[16 : 16 + POSITION_ROW.codec.size]
                state.apply(Batch(1, 0, 0, (Entry(EntryKind.POSITION, bytes(data)),)))
        # What a rotation leaves says the same.
        again = JournalState()
        again.apply(state.checkpoint(1, 0, 0))
        assert again.recovered() == state.recovered()
        return state.recovered()


def reboot(before, **options):
    """Make the next boot; its tables are filled before it starts."""
    return Rig(recovered=Journal(before).recovered(), start=False, **options)


def owners(rig, instrument):
    return {
        each.owner: (each.size_e6, each.cost_e6)
        for each in rig.engine.state.scores.of_token(instrument)
        if each.size_e6
    }


def two_owners(rig):
    """Let two modules own shares of market 0, and one of market 1."""
    for market in range(2):
        rig.market(market, bids=((3900, 5_000),))
    hold(rig, 0, 100, 40.0)
    fill(rig, TEST, 0, 100, 40.0, position=100)
    hold(rig, 0, 150, 61.0)
    fill(rig, OTHER, 0, 50, 21.0, position=150)
    hold(rig, 3, 30, 12.0)
    fill(rig, OTHER, 3, 30, 12.0, position=30)


def test_owners_survive_the_loss_of_all_shared_memory_under_other_rows():
    before = Rig()
    two_owners(before)
    known = {0: owners(before, 0), 3: owners(before, 3)}
    assert set(known[0]) == {TEST, OTHER}
    after = reboot(before)
    # The same tokens have other rows in this boot.
    hold(after, 3, 30, 12.0, row=0)
    hold(after, 0, 150, 61.0, row=4)
    after.start()
    for market in (0, 2):
        after.market(market)
    assert owners(after, 0) == known[3]
    assert owners(after, 4) == known[0]
    assert after.counts["risk.shares_of_nobody"] == 0


def test_owners_wait_for_an_executor_that_is_later_than_risk():
    before = Rig()
    two_owners(before)
    known = owners(before, 0)
    after = reboot(before, cash=None)
    after.start()
    after.market(0)
    assert owners(after, 0) == {}
    hold(after, 0, 160, 65.0)
    # A fill that came before the executor said that its tables are whole.
    fill(after, TEST, 0, 10, 4.0, position=160)
    assert owners(after, 0)[OTHER] == known[OTHER]
    assert owners(after, 0)[TEST] == (110 * E6, 44 * E6)
    after.world.put_cash(after.cash, 1_000)
    after.turn()
    assert sum(size for size, _ in owners(after, 0).values()) == 160 * E6
    assert after.counts["risk.shares_of_nobody"] == 0


def test_what_was_redeemed_while_nothing_ran_is_taken_from_its_owners():
    before = Rig()
    two_owners(before)
    after = reboot(before)
    hold(after, 0, 0, 0.0)
    after.start()
    after.market(0)
    after.report(
        ReportKind.RECONCILED, instrument=0, generation=1, size_e6=-150 * E6, position_e6=0
    )
    after.turn()
    assert owners(after, 0) == {}


def test_a_memory_that_is_newer_than_the_journal_is_believed():
    before = Rig()
    two_owners(before)
    old = Journal(before).recovered()
    hold(before, 0, 100, 40.0)
    fill(before, OTHER, 0, 50, 25.0, position=100, action=1)
    known = owners(before, 0)
    assert set(known) == {TEST}
    before.recovered = old
    before.start()
    assert owners(before, 0) == known


def test_losses_of_modules_and_of_the_day_survive():
    before = Rig()
    two_owners(before)
    hold(before, 0, 100, 40.0)
    fill(before, OTHER, 0, 50, 5.0, position=100, action=1)
    before.turn(S)
    record = before.engine.state.scores.records[OTHER]
    assert record.realized_e6 == -16 * E6
    equity = before.engine.equity
    after = reboot(before)
    hold(after, 0, 100, 40.0)
    after.start()
    again = after.engine.state.scores.records[OTHER]
    assert (again.realized_e6, again.day_start_e6) == (record.realized_e6, record.day_start_e6)
    assert (again.fills, again.lots) == (record.fills, record.lots)
    assert after.engine.equity.peak_e6 == equity.peak_e6
    assert after.engine.equity.trailing_peak_e6 == equity.trailing_peak_e6
    assert after.engine.state.bankroll_e6 == before.engine.state.bankroll_e6


def lost_much(rig):
    hold(rig, 0, 1_000, 390.0)
    fill(rig, TEST, 0, 1_000, 390.0, position=1_000)
    rig.market(bids=((3900, 2_000),), asks=((4000, 1_000),))
    rig.turn(S)
    assert rig.engine.equity.equity_e6 == 1_390 * E6


@pytest.mark.parametrize("bid_e4", [2_000, 3_900])
def test_a_drawdown_is_judged_against_the_peak_of_before_the_reboot(bid_e4):
    before = Rig()
    lost_much(before)
    after = reboot(before)
    hold(after, 0, 1_000, 390.0)
    after.start()
    after.market(bids=((bid_e4, 2_000),), asks=((4000, 1_000),))
    for _ in range(8):
        after.turn(S // 2)
    assert bool(after.pulled) == (bid_e4 == 2_000)


def test_books_that_have_not_come_yet_are_no_loss_but_not_for_ever():
    before = Rig()
    lost_much(before)
    after = reboot(before)
    hold(after, 0, 1_000, 390.0)
    after.world.put_market(0)
    after.start()
    for _ in range(20):
        after.turn(S // 2)
    assert after.engine.state.exposure.holdings[0].shares_e6[0] == 1_000 * E6
    assert after.pulled == []
    for _ in range(120):
        after.turn(S // 2)
    assert after.pulled == [(int(Rule.DRAWDOWN), b"drawdown")]


def test_a_row_that_serves_another_owner_between_two_copies_leaves_nothing_behind():
    rig = Rig()
    two_owners(rig)
    journal = Journal(rig)
    journal.copy()
    assert journal.copy() == []
    hold(rig, 0, 100, 40.0)
    fill(rig, OTHER, 0, 50, 20.0, position=100, action=1)
    hold(rig, 1, 70, 28.0)
    fill(rig, OTHER, 1, 70, 28.0, position=70)
    rows = [key for key, _ in rig.engine.account.stakes._rows.items()]
    assert (OTHER, 1) in rows
    assert (OTHER, 0) not in rows
    found = journal.recovered()
    held = {(each.token_id, each.owner): each.size_e6 for each in found.owned}
    assert held == {
        (TOKENS[0], TEST): 100 * E6,
        (TOKENS[1], OTHER): 70 * E6,
        (TOKENS[3], OTHER): 30 * E6,
    }


def test_owners_of_a_market_that_is_not_listed_in_this_boot_are_kept_for_the_next():
    before = Rig()
    two_owners(before)
    first = Journal(before)
    known = first.recovered().owned
    after = Rig(recovered=first.recovered(), start=False)
    unlisted = after.positions.rows - 2
    values = hold(after, 0, 150, 61.0, row=unlisted)
    after.positions.put(unlisted, values._replace(generation=0))
    after.start()
    for _ in range(3):
        after.turn(S)
    second = Journal(after)
    second.batches = first.batches
    assert set(known) >= set(second.recovered().owned)
    assert {each.owner for each in second.recovered().owned} == {TEST, OTHER}
