"""Shares handed from module to module: lots change owner, their money adds up, positions stay."""

import pytest
from ledger_rig import DOLLAR, LIFE, Book, buy, rows

from lowlat.core.layout import DECISION, Action, Rule
from lowlat.store.journal import Decided
from lowlat.store.ledger import schema
from lowlat.store.ledger.writer import Ledger

BUYER = b"rebates".ljust(16, b"\0")


def leg(number, module, action, size_e6=60 * DOLLAR, price_e4=4550, **changes):
    values = dict.fromkeys(DECISION.row._fields, 0)
    values |= {
        "id": number,
        "signal": number,
        "rule": Rule.CROSSED,
        "action": action,
        "size_e6": size_e6,
        "limit": price_e4,
        "was": size_e6,
        "generation": 1,
        "module": module,
    }
    return Decided(number, DECISION.codec.pack(*DECISION.row(**(values | changes))))


@pytest.fixture
def held(desk, tmp_path, ledger, database):
    """A module's hundred shares, bought for 46 dollars and fees; its name and its row."""
    book = Book(desk, tmp_path, ledger)
    buy(desk)
    book.turn()
    [lot] = rows(database, schema.LOTS)
    [position] = rows(database, schema.POSITIONS)
    where = {"instrument": position.instrument, "generation": position.generation}
    return lot.owner.encode().ljust(16, b"\0"), where, lot


def test_the_seller_s_lot_closes_at_the_price_and_the_buyer_s_begins_at_it(held, ledger, database):
    seller, where, lot = held
    legs = [leg(1, seller, Action.SELL, **where), leg(2, BUYER, Action.BUY, **where)]
    ledger.decide(LIFE, 5, 1, legs)
    old, new = rows(database, schema.LOTS)
    [closing] = rows(database, schema.CLOSINGS)
    assert (closing.lot, closing.why, closing.size_e6) == (old.lot, "crossed", 60 * DOLLAR)
    assert closing.proceeds_e6 == new.cost_e6 == 27_300_000
    assert closing.cost_e6 == lot.cost_e6 * 60 // 100
    assert (old.left_e6, old.left_cost_e6) == (40 * DOLLAR, lot.cost_e6 - closing.cost_e6)
    assert (new.owner, new.left_e6, new.token_id) == ("rebates", 60 * DOLLAR, old.token_id)
    [position] = rows(database, schema.POSITIONS)
    assert position.size_e6 == old.left_e6 + new.left_e6


@pytest.mark.parametrize("again", [False, True])
def test_legs_in_two_batches_or_told_twice_are_booked_once(held, ledger, database, again):
    seller, where, _ = held
    legs = [leg(1, seller, Action.SELL, **where), leg(2, BUYER, Action.BUY, **where)]
    ledger.decide(LIFE, 5, 1, legs[:1])
    taker = Ledger(database) if again else ledger
    taker.decide(LIFE, 6, 1, legs)
    taker.decide(LIFE, 7, 1, legs)
    assert [each.left_e6 // DOLLAR for each in rows(database, schema.LOTS)] == [40, 60]
    assert len(rows(database, schema.CLOSINGS)) == 1


def test_only_the_seller_s_own_lots_change_owner_and_what_is_missing_is_said(
    held, ledger, database, caplog
):
    _, where, _ = held
    other = b"bonds".ljust(16, b"\0")
    legs = [leg(1, other, Action.SELL, **where), leg(2, BUYER, Action.BUY, **where)]
    ledger.decide(LIFE, 5, 1, legs)
    assert [each.left_e6 for each in rows(database, schema.LOTS)] == [100 * DOLLAR]
    assert "lots did not change owner" in caplog.text
    assert "seller=bonds buyer=rebates" in caplog.text


def test_wishes_that_were_only_netted_move_no_lot(held, ledger, database):
    seller, where, _ = held
    legs = [
        leg(1, seller, Action.SELL, size_e6=0, **where),
        leg(2, BUYER, Action.BUY, size_e6=0, **where),
        leg(3, BUYER, Action.BUY, approved=1, intent=9, **where),
    ]
    ledger.decide(LIFE, 5, 1, legs)
    assert len(rows(database, schema.LOTS)) == 1
    assert rows(database, schema.CLOSINGS) == []
