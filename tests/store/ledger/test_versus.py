"""The ledger against the venue's words, both given: equal is silent, each difference is named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowlat.core.layout import Action
from lowlat.store.ledger.versus import Books, Row, VenuePicture, compare
from lowlat.store.ledger.words import trade_name
from lowlat.venues.polymarket.account import (
    Fill,
    OrderChange,
    OrderStatus,
    OrderUpdate,
    TradeStatus,
    TradeUpdate,
)
from lowlat.venues.polymarket.rejects import RejectCode

ORDER, OTHER = b"\1" * 32, b"\2" * 32
TOKEN = "777"


def hexed(order):
    return "0x" + order.hex()


def trade(order=ORDER, trade_id="t1", status=TradeStatus.CONFIRMED, size_e6=5_000_000, match_ns=9):
    fill = Fill(trade_id, order, int(TOKEN), Action.BUY, 4_000, size_e6, 2_000_000, maker=False)
    return TradeUpdate(trade_id, status, status.name, b"", 0, match_ns, match_ns, "", (fill,))


def row(state="CONFIRMED", action=Action.BUY, size_e6=5_000_000, cash_e6=2_000_000, fee_e6=10):
    return Row(TOKEN, action, state, size_e6, cash_e6, fee_e6, 1)


def open_order(order=ORDER, matched_e6=0):
    who = (order, OrderStatus.LIVE, "LIVE", OrderChange.NONE, RejectCode.NONE, b"", int(TOKEN))
    return OrderUpdate(*who, Action.BUY, None, 4_000, 9, matched_e6, 0, 0, 0, ())


def books(**changes):
    given_ = {
        "cash_e6": 100,
        "positions_e6": {TOKEN: 5_000_000},
        "open_orders": {},
        "fills": {(hexed(ORDER), "t1"): row()},
        "known_orders": {hexed(ORDER)},
        "since_ms": 0,
        "differences": [],
    }
    return Books(**(given_ | changes))


def venue(**changes):
    given_ = {
        "cash_e6": 100,
        "balances_e6": {TOKEN: 5_000_000},
        "orders": [],
        "trades": [trade()],
    }
    return VenuePicture(**(given_ | changes))


def test_equal_books_have_no_difference():
    found = compare(books(), venue())
    assert found.differences == []
    assert (found.trades, found.tokens, found.settling) == (1, 1, 0)


@pytest.mark.parametrize(
    ("ours", "theirs", "kind", "both"),
    [
        ({"cash_e6": 99}, {}, "cash", (99, 100)),
        ({"cash_e6": None}, {}, "cash", ("no row", 100)),
        ({"positions_e6": {}}, {}, "position", (0, 5_000_000)),
        ({}, {"balances_e6": {}}, "position", (5_000_000, 0)),
        ({"fills": {}}, {}, "trade", ("not booked", 5_000_000)),
        ({}, {"trades": []}, "trade", (5_000_000, "not listed")),
        ({}, {"trades": [trade(size_e6=1)]}, "trade", (5_000_000, 1)),
        ({}, {"trades": [trade(status=TradeStatus.MINED)]}, "trade", ("CONFIRMED", "MINED")),
        ({}, {"trades": [trade(status=TradeStatus.FAILED)]}, "trade", ("CONFIRMED", "FAILED")),
        ({"open_orders": {hexed(ORDER): ("LIVE", 0)}}, {}, "open order", ("LIVE", "not listed")),
        ({}, {"orders": [open_order()]}, "open order", ("not open", "LIVE")),
        (
            {"open_orders": {hexed(ORDER): ("LIVE", 0)}},
            {"orders": [open_order(matched_e6=4)]},
            "open order",
            (0, 4),
        ),
    ],
)
def test_each_kind_of_difference_is_named_with_both_numbers(ours, theirs, kind, both):
    (found,) = compare(books(**ours), venue(**theirs)).differences
    assert found.kind == kind
    assert (found.ledger, found.other) == both
    assert str(found.ledger) in str(found)


def test_orders_that_we_never_sent_are_a_persons_and_no_difference():
    theirs = venue(trades=[trade(), trade(OTHER, "t2")], orders=[open_order(OTHER)])
    found = compare(books(), theirs)
    assert found.differences == []
    assert found.human == [("t2", TOKEN, 5_000_000)]
    assert found.human_orders == [hexed(OTHER)]


def test_what_failed_counts_on_neither_side():
    failed = {(hexed(ORDER), "t1"): row("FAILED")}
    assert compare(books(fills=failed), venue(trades=[])).differences == []
    assert (
        compare(books(fills={}), venue(trades=[trade(status=TradeStatus.FAILED)])).differences == []
    )


def test_trades_from_before_the_ledger_are_not_asked_of_it():
    theirs = venue(trades=[trade(), trade(ORDER, "old", match_ns=5)])
    assert compare(books(since_ms=1), theirs).differences == []


def test_a_long_trade_id_is_known_by_its_digest():
    name = "x" * 60
    ours = {(hexed(ORDER), trade_name(name)): row()}
    assert compare(books(fills=ours), venue(trades=[trade(trade_id=name)])).differences == []


@given(st.sampled_from(list(Action)), st.booleans(), st.booleans(), st.integers(-1, 1))
def test_a_fill_in_settlement_may_be_in_the_balance_or_not_and_nothing_else(
    action, cash_moved, shares_moved, wrong
):
    """Our books have the fill; the venue's balance has it, or has it not yet."""
    fills = {(hexed(ORDER), "t1"): row("MATCHED", action)}
    sign = 1 if action == Action.BUY else -1
    cash_back = 0 if cash_moved else sign * (2_000_000 + sign * 10)
    shares_back = 0 if shares_moved else -sign * 5_000_000
    beyond = wrong * 10_000_000
    theirs = venue(
        cash_e6=100 + cash_back + beyond,
        balances_e6={TOKEN: 5_000_000 + shares_back},
        trades=[trade(status=TradeStatus.MATCHED)],
    )
    found = compare(books(fills=fills), theirs)
    assert found.settling == 1
    assert [each.kind for each in found.differences] == ["cash"] * abs(wrong)
