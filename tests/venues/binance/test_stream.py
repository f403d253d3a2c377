"""JSON streams: recorded shapes raw and combined, then mutations of them."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowlat.core.errors import LocalProtocolError, RemoteProtocolError
from lowlat.core.layout import Action, Coin
from lowlat.core.units import NO_PRICE_E8
from lowlat.venues.binance.events import (
    AggTrade,
    Depth,
    DepthSnapshot,
    Ignored,
    Kline,
    Reply,
    Shutdown,
    Ticker,
    Top,
    Trade,
)
from lowlat.venues.binance.stream import StreamCodec, control_frame, stream_names, stream_path

DATA = Path(__file__).parents[2] / "data" / "binance"
FRAMES = (DATA / "stream_frames_us.jsonl").read_bytes().splitlines()
EVENTS = (Top, Trade, AggTrade, Depth, DepthSnapshot, Kline, Shutdown, Reply, Ignored)
CODEC = StreamCodec("us")


def test_every_recorded_frame_decodes_exactly():
    start = 1_795_352_400_000_000_000
    assert [CODEC.decode(frame) for frame in FRAMES] == [
        Top("BTCUSDT", 72057594037927, 9812345000000, 123450000, 9812346000000, 67800000, None),
        Top("ETHUSDT", 72057594037928, 345678000000, 1000010000, 345679000000, 250000000, None),
        Trade("BTCUSDT", 5400000001, 9812346000000, 1500000, Action.BUY,
              start + 199_500_000, start + 201_000_000),
        AggTrade("SOLUSDT", 3900000001, 5400000001, 5400000002, 18731000000, 21500000,
                 Action.SELL, start + 199_000_000, start + 201_000_000),
        Depth("BTCUSDT", 72057594037920, 72057594037927,
              [(9812345000000, 123450000), (9812300000000, 0)], [(9812346000000, 67800000)],
              start + 220_000_000),
        Kline("BTCUSDT", "1m", start, start + 59_999_999_000, 9812000000000, 9814000000000,
              9811111000000, 9813050000000, final=True, event_ns=start + 60_001_000_000),
        DepthSnapshot("BTCUSDT", 72057594037927, [(9812345000000, 123450000)],
                      [(9812346000000, 67800000)]),
        Shutdown(start + 123_000_000),
        Shutdown(start + 123_000_000),
        Reply(1),
        Reply("a-1", 2, "Invalid request: unknown method"),
        Reply(None, 3, "Invalid JSON"),
    ]  # fmt: skip


@pytest.mark.parametrize("frame", [f for f in FRAMES if b'"stream"' in f and b"depth5" not in f])
def test_raw_and_combined_frames_say_the_same(frame):
    raw = json.dumps(json.loads(frame)["data"]).encode()
    assert CODEC.decode(raw) == CODEC.decode(frame)


@pytest.mark.parametrize("frame", FRAMES)
def test_key_order_and_blanks_do_not_matter(frame):
    def turned(value):
        if isinstance(value, dict):
            return {key: turned(value[key]) for key in reversed(value)}
        return value

    assert CODEC.decode(json.dumps(turned(json.loads(frame)), indent=1).encode()) == CODEC.decode(
        frame
    )


def test_partial_book_on_a_raw_connection_has_no_symbol():
    event = CODEC.decode(json.dumps(json.loads(FRAMES[6])["data"]).encode())
    assert isinstance(event, DepthSnapshot)
    assert event.symbol is None


def test_empty_side_is_the_sentinel_never_zero():
    event = CODEC.decode(FRAMES[1].replace(b"3456.78000000", b"0.00000000"))
    assert isinstance(event, Top)
    assert event.bid_price_e8 == NO_PRICE_E8


def test_milliseconds_on_a_microsecond_connection_are_noticed_and_the_reverse():
    ms_frame = FRAMES[2].replace(b"1795352400201000", b"1795352400201")
    ms_frame = ms_frame.replace(b"1795352400199500", b"1795352400199")
    assert isinstance(StreamCodec("ms").decode(ms_frame), Trade)
    with pytest.raises(RemoteProtocolError, match="2020"):
        CODEC.decode(ms_frame)
    with pytest.raises(RemoteProtocolError, match="2020"):
        StreamCodec("ms").decode(FRAMES[2])


def test_ninth_decimal_is_an_error_unless_it_is_zero():
    assert CODEC.decode(FRAMES[0].replace(b"98123.45000000", b"98123.450000000"))
    with pytest.raises(RemoteProtocolError, match="8 decimals"):
        CODEC.decode(FRAMES[0].replace(b"98123.45000000", b"98123.450000001"))


@pytest.mark.parametrize("field", ["u", "s", "b", "B", "a", "A"])
def test_ticker_without_a_field_is_an_error(field):
    frame = json.loads(FRAMES[0])
    del frame["data"][field]
    with pytest.raises(RemoteProtocolError):
        CODEC.decode(json.dumps(frame).encode())


def test_print_without_price_or_size_is_an_error():
    for change in ((b"98123.46000000", b"0.00000000"), (b"0.01500000", b"0.00000000")):
        with pytest.raises(RemoteProtocolError, match="zero"):
            CODEC.decode(FRAMES[2].replace(*change))


def test_update_ids_that_run_backwards_are_an_error():
    with pytest.raises(RemoteProtocolError, match="backwards"):
        CODEC.decode(FRAMES[4].replace(b'"u":72057594037927', b'"u":1'))


def test_unknown_kinds_are_ignored_by_name():
    assert CODEC.decode(b'{"e":"referencePrice","s":"BTCUSDT","r":"1","t":1}') == Ignored(
        "referencePrice"
    )
    assert CODEC.decode(
        b'{"stream":"btcusdt@blockTrade","data":{"e":"blockTrade","x":[]}}'
    ) == Ignored("blockTrade")


@pytest.mark.parametrize(
    "frame",
    [b"", b"{}", b"[]", b"null", b'{"stream":"btcusdt@bookTicker"}', b'{"stream":"x","data":{}}',
     b'{"stream":"', b'{"u":', b"[" * 5000, b'{"e":7}', b"\xff", b'{"u":-1}', b'{"id":1}'],
)  # fmt: skip
def test_anything_else_is_a_protocol_error(frame):
    with pytest.raises(RemoteProtocolError):
        CODEC.decode(frame)


@given(data=st.data(), frame=st.sampled_from(FRAMES), unit=st.sampled_from(["ms", "us"]))
def test_mutated_frame_gives_an_event_or_protocol_error(mangle, keeps_promise, data, frame, unit):
    event = keeps_promise(StreamCodec(unit).decode, mangle(data, frame))
    assert event is None or isinstance(event, EVENTS)


@given(st.binary(max_size=200))
def test_garbage_gives_an_event_or_protocol_error(keeps_promise, payload):
    keeps_promise(CODEC.decode, payload)
    keeps_promise(CODEC.decode, memoryview(b'{"stream":"btcusdt@bookTicker"' + payload))


def test_paths_and_control_frames():
    names = stream_names([Coin.BTC, Coin.SOL], ["bookTicker", "trade"])
    assert names == ["btcusdt@bookTicker", "btcusdt@trade", "solusdt@bookTicker", "solusdt@trade"]
    assert stream_path(names[:2]) == (
        "/stream?streams=btcusdt@bookTicker/btcusdt@trade&timeUnit=MICROSECOND"
    )
    assert stream_path(names[:1], "ms") == "/stream?streams=btcusdt@bookTicker"
    assert json.loads(control_frame("SUBSCRIBE", names[:1], 7)) == {
        "method": "SUBSCRIBE", "params": ["btcusdt@bookTicker"], "id": 7,
    }  # fmt: skip
    for wrong in ([], ["x"] * 1025):
        with pytest.raises(LocalProtocolError):
            stream_path(wrong)


def test_day_ticker_decodes():
    frame = (
        b'{"e":"24hrTicker","E":1795352400201000,"s":"BTCUSDT","p":"0.0015","P":"250.00",'
        b'"w":"0.0018","x":"0.0009","c":"0.0025","Q":"10","b":"0.0024","B":"10","a":"0.0026",'
        b'"A":"100","o":"0.0010","h":"0.0025","l":"0.0010","v":"10000","q":"18",'
        b'"O":1795266000201000,"C":1795352400201000,"F":0,"L":18150,"n":18151}'
    )
    at_ns = 1795352400201000000
    assert CODEC.decode(frame) == Ticker(
        "BTCUSDT", 100000, 250000, 100000, 250000, 10000 * 10**8, 18151,
        1795266000201000000, at_ns, at_ns,
    )  # fmt: skip
