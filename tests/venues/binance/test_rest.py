"""REST answers: recorded shapes, then mutations of them."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowlat.core.errors import LocalProtocolError, RemoteProtocolError
from lowlat.core.layout import Action
from lowlat.core.units import NO_PRICE_E8
from lowlat.venues.binance import rest
from lowlat.venues.binance.events import DepthSnapshot, Kline, Top, Trade
from lowlat.venues.binance.rest import SymbolInfo

DATA = json.loads((Path(__file__).parents[2] / "data" / "binance" / "rest.json").read_text())
BODY = {name: json.dumps(value).encode() for name, value in DATA.items()}
START = 1_795_352_400_000_000_000


def klines(payload, now_ns=START):
    return rest.decode_klines(payload, "BTCUSDT", "1m", now_ns)


def test_depth_snapshot_decodes():
    assert rest.decode_depth(BODY["depth"], "BTCUSDT") == DepthSnapshot(
        "BTCUSDT", 72057594037900, [(9812345000000, 123450000), (9812300000000, 400000000)],
        [(9812346000000, 67800000)],
    )  # fmt: skip


def test_snapshot_level_of_zero_is_an_error():
    with pytest.raises(RemoteProtocolError, match="zero"):
        rest.decode_depth(BODY["depth"].replace(b"4.00000000", b"0.00000000"), "BTCUSDT")


def test_server_time_decodes():
    assert rest.decode_time(BODY["time"]) == START + 123_000_000


def test_candle_is_final_only_after_its_close_time_has_passed():
    close_ns = START + 59_999_000_000
    (candle,) = klines(BODY["klines"], close_ns)
    assert candle == Kline(
        "BTCUSDT", "1m", START, close_ns, 9812000000000, 9814000000000, 9811111000000,
        9813050000000, final=False, event_ns=close_ns,
    )  # fmt: skip
    assert klines(BODY["klines"], close_ns + 1)[0].final


def test_exchange_info_reads_filters_and_says_unknown_for_missing_ones():
    assert rest.decode_exchange_info(BODY["info"]) == {
        "BTCUSDT": SymbolInfo("BTCUSDT", True, "BTC", "USDT", 1_000_000, 1_000),
        "SOLUSDT": SymbolInfo("SOLUSDT", False, "SOL", "USDT", None, None),
    }


def test_paths():
    assert rest.depth_path("BTCUSDT", 100) == "/api/v3/depth?symbol=BTCUSDT&limit=100"
    assert rest.klines_path("BTCUSDT", "1h", START) == (
        "/api/v3/klines?symbol=BTCUSDT&interval=1h&startTime=1795352400000&limit=1"
    )
    with pytest.raises(LocalProtocolError):
        rest.depth_path("BTCUSDT", 7)
    with pytest.raises(LocalProtocolError):
        rest.klines_path("BTCUSDT", "1h", START, 0)


@given(data=st.data(), name=st.sampled_from(sorted(BODY)))
def test_mutated_answer_gives_a_value_or_protocol_error(mangle, keeps_promise, data, name):
    codec = {
        "depth": lambda payload: rest.decode_depth(payload, "BTCUSDT"),
        "time": rest.decode_time,
        "klines": klines,
        "info": rest.decode_exchange_info,
    }[name]
    keeps_promise(codec, mangle(data, BODY[name]))


def test_book_ticker_decodes_and_an_empty_side_is_no_price():
    body = (
        b'{"symbol":"ETHUSDT","bidPrice":"0.00000000","bidQty":"0.00000000",'
        b'"askPrice":"4.00000200","askQty":"9.00000000"}'
    )
    assert rest.decode_book_ticker(body) == Top(
        "ETHUSDT", 0, NO_PRICE_E8, 0, 400000200, 900000000, None
    )


def test_recent_prints_decode_and_one_of_zero_is_an_error():
    row = (
        '[{"id":28457,"price":"4.00000100","qty":"12.00000000","quoteQty":"48.000012",'
        '"time":1795352400123,"isBuyerMaker":true,"isBestMatch":true}]'
    )
    (print_,) = rest.decode_trades(row.encode(), "ETHUSDT")
    at_ns = 1_795_352_400_123_000_000
    assert print_ == Trade("ETHUSDT", 28457, 400000100, 12 * 10**8, Action.SELL, at_ns, at_ns)
    with pytest.raises(RemoteProtocolError, match="zero"):
        rest.decode_trades(row.replace("12.00000000", "0").encode(), "ETHUSDT")
