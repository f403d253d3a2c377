"""Kalshi's socket: every message of the reference, numbers that keep the books, broken frames."""

import json
import pathlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowlat.book._book import ASK, BID, MarketBook
from lowlat.book.delta_book import GAP, DeltaBooks
from lowlat.core.errors import LocalProtocolError, RemoteProtocolError
from lowlat.core.layout import Action, Outcome, Venue
from lowlat.core.units import NO_PRICE_E4
from lowlat.venues.kalshi.commands import snapshot_frame, subscribe_frame, unsubscribe_frame
from lowlat.venues.kalshi.events import (
    Delta,
    OwnFill,
    OwnOrder,
    OwnPosition,
    Reply,
    Snapshot,
    StreamTrade,
    Ticker,
)
from lowlat.venues.kalshi.order_values import OrderStatus
from lowlat.venues.kalshi.stream import decode
from lowlat.venues.wire import Ignored

FRAMES = [
    line.encode()
    for line in (pathlib.Path(__file__).parents[2] / "data" / "kalshi" / "stream_frames.jsonl")
    .read_text()
    .splitlines()
]
MS = 1_000_000


def one(kind, number=0):
    return [raw for raw in FRAMES if json.loads(raw)["type"] == kind][number]


def changed(raw, **change):
    """Return a frame with other values in its message; None takes one out."""
    frame = json.loads(raw)
    message = frame["msg"] | change
    frame["msg"] = {key: value for key, value in message.items() if value is not None}
    return json.dumps(frame).encode()


def test_snapshot_without_a_side_has_an_empty_one():
    assert decode(one("orderbook_snapshot", 1)) == Snapshot(
        1, 2, "KXB-2", [("0.2000", "1.00")], [], None
    )


def test_delta_is_a_signed_change_and_says_whose_it_was():
    assert decode(one("orderbook_delta")) == Delta(
        1, 3, "KXB-1", "yes", "0.4100", "-4.50", False, 1795352400200 * MS, 1795352400203 * MS
    )
    assert decode(one("orderbook_delta", 1)).is_own


def test_trade_is_read_to_integers():
    assert decode(one("trade") + b"\n") == StreamTrade(
        2, 1, "07257cc7-1ca1-a990-846a-5d3b7c016969", "KXB-1", 4_200, 4_570_000, Outcome.YES,
        False, 1795352400401 * MS, 1795352400405 * MS,
    )  # fmt: skip


def test_ticker_says_no_price_where_there_is_none():
    full = decode(one("ticker"))
    assert full == Ticker(
        "KXB-1", 4_200, 4_100, 4_400, 5_500_000, 17_500_000, 1_543_210_000, 820_500_000,
        1795352400401 * MS,
    )  # fmt: skip
    bare = decode(changed(one("ticker"), yes_bid_dollars="0.0000", yes_ask_dollars="1.0000",
                          price_dollars=None, yes_bid_size_fp=None))  # fmt: skip
    assert (bare.last_e4, bare.yes_bid_e4, bare.yes_ask_e4) == (NO_PRICE_E4,) * 3
    assert bare.yes_bid_size_e6 is None


def test_own_messages_carry_what_the_venue_says_of_money():
    assert decode(one("fill")) == OwnFill(
        "t-1", "o-1", "c-1", "KXB-1", Outcome.YES, Action.SELL, 4_100, 4_500_000, True, 76_198,
        -2_250_000, 1795352400205 * MS,
    )  # fmt: skip
    assert decode(one("user_order")) == OwnOrder(
        "o-1", "c-1", "KXB-1", OrderStatus.RESTING, "resting", Outcome.YES, 4_000, 10_000_000,
        4_000_000, 6_000_000, "Trade", 1795352400205 * MS,
    )  # fmt: skip
    assert decode(one("market_position")) == OwnPosition("KXB-1", -2_250_000)


def test_fill_without_the_older_words_is_a_purchase_of_its_outcome():
    fill = decode(changed(one("fill"), side=None, action=None))
    assert (fill.outcome, fill.action) == (Outcome.NO, Action.BUY)
    with pytest.raises(RemoteProtocolError, match="neither side with action nor outcome_side"):
        decode(changed(one("fill"), side=None, outcome_side=None))


def test_fill_without_a_fee_has_an_unknown_one():
    assert decode(changed(one("fill"), fee_cost=None)).fee_e6 is None


def test_answers_name_the_number_they_consume():
    assert decode(one("subscribed")) == Reply("subscribed", 1, 1, None, "orderbook_delta")
    assert decode(one("ok")) == Reply("ok", 2, 1, 5)
    assert decode(one("ok", 1)) == Reply("ok", 5, None, None)
    assert decode(one("error")) == Reply(
        "error", 3, None, None, code=8, message="Unknown channel name"
    )
    assert decode(one("error", 1)).code == 25
    assert decode(one("unsubscribed")) == Reply("unsubscribed", 4, 1, 7)


def test_unknown_kind_is_ignored_by_name_and_unknown_status_is_a_value():
    assert decode(b'{"type":"event_lifecycle","msg":{"a":1}}') == Ignored("event_lifecycle")
    order = decode(changed(one("user_order"), status="parked"))
    assert (order.status, order.status_text) == (OrderStatus.UNKNOWN, "parked")


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("orderbook_delta", {"price_dollars": "1.0000"}),
        ("orderbook_delta", {"price_dollars": "0.41005"}),
        ("orderbook_delta", {"delta_fp": "0.00"}),
        ("orderbook_delta", {"delta_fp": "--1"}),
        ("orderbook_delta", {"side": "maybe"}),
        ("orderbook_delta", {"market_ticker": "two words"}),
        ("orderbook_snapshot", {"yes_dollars_fp": [["0.4100", "0.00"]]}),
        ("orderbook_snapshot", {"yes_dollars_fp": [["0.4100"]]}),
        ("trade", {"no_price_dollars": "0.5700"}),
        ("trade", {"count_fp": "0.00"}),
        ("trade", {"ts_ms": 1795352400}),
        ("ticker", {"yes_bid_dollars": "1.0100"}),
        ("error", {"code": None}),
    ],
)
def test_message_that_cannot_be_true_is_refused(kind, change):
    with pytest.raises(RemoteProtocolError, match="kalshi frame"):
        decode(changed(one(kind), **change))


def test_numbered_message_needs_its_number():
    frame = json.loads(one("orderbook_delta"))
    del frame["seq"]
    with pytest.raises(RemoteProtocolError, match="no seq"):
        decode(json.dumps(frame).encode())


def test_frames_in_order_make_books_and_a_missing_one_loses_them():
    books = DeltaBooks(use_yes_price=False)
    first, second = (MarketBook(at, 1, Venue.KALSHI) for at in (0, 1))
    books.add("KXB-1", first)
    books.add("KXB-2", second)
    for raw in FRAMES:
        event = decode(raw)
        if isinstance(event, Snapshot):
            books.snapshot(event.seq, event.ticker, event.yes, event.no)
        elif isinstance(event, Delta):
            books.delta(event.seq, event.ticker, event.side, event.price, event.delta)
        elif isinstance(event, Reply) and event.sid == 1 and event.seq is not None:
            books.number(event.seq)
    assert (books.seq, books.gaps, books.missing) == (7, 0, set())
    assert first.levels(Outcome.YES, BID) == [(4_100, 5_500_000), (4_000, 12_000_000)]
    assert second.levels(Outcome.YES, ASK) == [(3_000, 3_000_000)]
    late = decode(FRAMES[3])
    assert books.delta(9, late.ticker, late.side, late.price, late.delta) == GAP


def test_commands_are_what_the_venue_documents():
    frame = subscribe_frame(1, ["orderbook_delta", "trade"], ["A"], use_yes_price=False)
    assert json.loads(frame) == {
        "id": 1,
        "cmd": "subscribe",
        "params": {
            "channels": ["orderbook_delta", "trade"],
            "market_tickers": ["A"],
            "use_yes_price": False,
        },
    }  # fmt: skip
    assert json.loads(snapshot_frame(3, 1, ["A"]))["params"] == {
        "sid": 1, "action": "get_snapshot", "market_tickers": ["A"],
    }  # fmt: skip
    assert json.loads(unsubscribe_frame(4, [1, 2]))["params"] == {"sids": [1, 2]}


def test_commands_that_the_venue_would_refuse_are_not_made():
    with pytest.raises(LocalProtocolError, match="pyth_value"):
        subscribe_frame(1, ["pyth_value"], ["A"], use_yes_price=True)
    with pytest.raises(LocalProtocolError, match="0 tickers, expected 1 to 500"):
        subscribe_frame(1, ["trade"], [], use_yes_price=True)
    with pytest.raises(LocalProtocolError, match="number was 0"):
        unsubscribe_frame(0, [1])


@settings(max_examples=60)
@given(data=st.data())
def test_broken_frame_is_an_event_or_an_error(data, mangle, keeps_promise):
    keeps_promise(decode, mangle(data, data.draw(st.sampled_from(FRAMES))))
