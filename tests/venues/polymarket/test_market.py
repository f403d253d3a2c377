"""Market channel and REST books: recorded shapes, then mutations of them."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowlat.core.errors import LocalProtocolError, RemoteProtocolError
from lowlat.venues.polymarket import market
from lowlat.venues.polymarket.market import (
    BestBidAsk,
    Book,
    Ignored,
    LastTrade,
    Level,
    MarketResolved,
    MarketSession,
    NewMarket,
    PriceChange,
    TickSizeChange,
    decode,
    event_ns,
)

DATA = Path(__file__).parents[2] / "data" / "polymarket"
FRAMES = (DATA / "market_frames.jsonl").read_bytes().splitlines()
EVENTS = (
    Book, PriceChange, LastTrade, TickSizeChange, BestBidAsk, NewMarket, MarketResolved, Ignored,
)  # fmt: skip
YES = "31415926535897932384626433832795028841971693993751058209749445923078164062862"


def test_every_recorded_frame_decodes_to_its_kind():
    kinds = [[type(event) for event in decode(frame)] for frame in FRAMES]
    assert kinds == [
        [Book, Book], [Book], [Book], [PriceChange], [LastTrade], [TickSizeChange], [BestBidAsk],
        [NewMarket], [MarketResolved],
    ]  # fmt: skip


def test_initial_dump_keeps_served_order_tick_and_last_trade():
    book = decode(FRAMES[0])[0]
    assert isinstance(book, Book)
    assert market.pairs(book.bids) == [("0.4", "75"), ("0.47", "210.5"), ("0.48", "33")]
    assert market.pairs(book.asks)[-1] == ("0.5", "18")
    assert (book.tick_size, book.last_trade_price) == ("0.01", "0.490")


def test_later_book_has_no_tick_and_an_empty_side_is_not_a_missing_side():
    (book,) = decode(FRAMES[1])
    assert isinstance(book, Book)
    assert book.asks == ()
    assert book.tick_size is None
    assert book.last_trade_price is None


def test_older_names_of_sides_read_the_same():
    (book,) = decode(FRAMES[2])
    assert isinstance(book, Book)
    assert book.bids == (Level("0.48", "33"),)
    assert book.asks == (Level("0.5", "18"),)


@pytest.mark.parametrize("absent", ["bids", "asks"])
def test_book_without_a_side_is_an_error(absent):
    frame = json.loads(FRAMES[1])
    del frame[absent]
    with pytest.raises(RemoteProtocolError, match=absent):
        decode(json.dumps(frame).encode())


def test_book_with_both_names_of_a_side_is_an_error():
    frame = json.loads(FRAMES[1]) | {"buys": []}
    with pytest.raises(RemoteProtocolError, match="exactly one of bids and buys"):
        decode(json.dumps(frame).encode())


def test_price_change_carries_both_tokens():
    (event,) = decode(FRAMES[3])
    assert isinstance(event, PriceChange)
    first, second = event.price_changes
    assert (first.asset_id, first.price, first.size, first.side) == (YES, "0.49", "120", "BUY")
    assert (first.best_bid, first.best_ask) == ("0.49", "0.5")
    assert second.side == "SELL"


@pytest.mark.parametrize("field", ["asset_id", "price", "size", "side", "best_bid", "best_ask"])
def test_price_change_without_a_field_is_an_error(field):
    frame = json.loads(FRAMES[3])
    del frame["price_changes"][0][field]
    with pytest.raises(RemoteProtocolError, match=field):
        decode(json.dumps(frame).encode())


@pytest.mark.parametrize("value", [0.49, None, -1, True, ["0.49"]])
def test_number_instead_of_text_is_an_error(value):
    frame = json.loads(FRAMES[3])
    frame["price_changes"][0]["price"] = value
    with pytest.raises(RemoteProtocolError):
        decode(json.dumps(frame).encode())


def test_unknown_side_is_an_error():
    with pytest.raises(RemoteProtocolError):
        decode(FRAMES[3].replace(b'"BUY"', b'"HOLD"'))


def test_pong_and_empty_dump_hold_no_events():
    assert list(decode(b"PONG")) == []
    assert list(decode(memoryview(b"PONG"))) == []
    assert list(decode(b"[]")) == []


def test_unknown_event_type_is_ignored_alone_and_among_known_ones():
    unknown = b'{"event_type":"midnight_auction","x":{"y":[1,2]}}'
    assert list(decode(unknown)) == [Ignored("midnight_auction")]
    mixed = decode(b"[" + unknown + b"," + FRAMES[6] + b"]")
    assert [type(event) for event in mixed] == [Ignored, BestBidAsk]


@pytest.mark.parametrize(
    "frame",
    [b"", b"PING", b"{}", b"null", b"17", b'"book"', b'{"event_type":7}', b"[[]]", b"[null]",
     b'{"event_type":"book"}', b"\xff\xfe", b"[" * 5000, b'{"a":' * 5000, b'{"event_type":NaN}'],
)  # fmt: skip
def test_anything_else_is_a_protocol_error(frame):
    with pytest.raises(RemoteProtocolError):
        decode(frame)


def test_error_quotes_at_most_200_bytes():
    with pytest.raises(RemoteProtocolError) as caught:
        decode(b'{"event_type":"book","pad":"' + b"x" * 100_000 + b'"}')
    assert str(caught.value).count("x") <= 200


def test_all_buffer_types_decode_alike():
    expected = list(decode(FRAMES[3]))
    assert list(decode(bytearray(FRAMES[3]))) == expected
    assert list(decode(memoryview(FRAMES[3]))) == expected


def test_event_time_is_nanoseconds():
    assert event_ns("1795305600123") == 1_795_305_600_123_000_000


@pytest.mark.parametrize(
    "text",
    ["", "1795305600", "-795305600123", "1_795305600123", "179530560012.", "9999999999999",
     "0000000000000", "१७९५३०५६००१२३", " 179530560012", "17953056001230"],
)  # fmt: skip
def test_event_time_outside_its_form_or_range_is_an_error(text):
    with pytest.raises(RemoteProtocolError):
        event_ns(text)


@given(data=st.data(), frame=st.sampled_from(FRAMES))
def test_mutated_frame_gives_events_or_protocol_error(mangle, keeps_promise, data, frame):
    events = keeps_promise(decode, mangle(data, frame))
    assert events is None or all(isinstance(event, EVENTS) for event in events)


@given(st.binary(max_size=300))
def test_garbage_gives_events_or_protocol_error(keeps_promise, payload):
    keeps_promise(decode, payload)


def test_first_subscription_opens_the_session_and_later_ones_add():
    session = MarketSession()
    assert json.loads(session.subscribe(["1", "2"])) == {
        "type": "market", "assets_ids": ["1", "2"], "custom_feature_enabled": True,
    }  # fmt: skip
    assert json.loads(session.subscribe(["3"])) == {
        "operation": "subscribe", "assets_ids": ["3"], "custom_feature_enabled": True,
    }  # fmt: skip
    assert json.loads(session.unsubscribe(["1"])) == {
        "operation": "unsubscribe", "assets_ids": ["1"],
    }  # fmt: skip
    assert session.assets == {"2", "3"}


def test_initial_dump_can_be_declined():
    assert json.loads(MarketSession(initial_dump=False).subscribe(["1"]))["initial_dump"] is False


def test_ping_before_subscribe_is_refused():
    session = MarketSession()
    with pytest.raises(LocalProtocolError, match="PING"):
        session.ping()
    session.subscribe(["1"])
    assert session.ping() == b"PING"


@pytest.mark.parametrize("assets", [[], ["0x1"], ["1" * 79], [""], [str(i) for i in range(201)]])
def test_subscription_the_venue_would_not_carry_is_refused(assets):
    with pytest.raises(LocalProtocolError):
        MarketSession().subscribe(assets)


def test_unsubscribe_of_a_stranger_is_refused():
    session = MarketSession()
    session.subscribe(["1"])
    with pytest.raises(LocalProtocolError, match="2"):
        session.unsubscribe(["2"])
