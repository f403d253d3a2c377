"""Settlement price feeds: three number formats, snapshots, refusals, mutations."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowlat.core.errors import LocalProtocolError, RemoteProtocolError
from lowlat.core.layout import Coin, SettleSeries
from lowlat.venues.polymarket import prices
from lowlat.venues.polymarket.prices import (
    Ack,
    EquityPrices,
    FeedError,
    Ignored,
    PricePoint,
    Prices,
    decode_polybolt,
    decode_rtds,
)

DATA = Path(__file__).parents[2] / "data" / "polymarket"
RTDS = (DATA / "rtds_frames.jsonl").read_bytes().splitlines()
BOLT = (DATA / "polybolt_frames.jsonl").read_bytes().splitlines()
RESULTS = (Prices, EquityPrices, Ack, FeedError, Ignored)
T = 1_795_352_400_000_000_000
SECOND = 1_000_000_000
TWAP = SettleSeries.CHAINLINK_TWAP_60


def changed(frame, **payload):
    value = json.loads(frame)
    value["payload"] |= payload
    value["payload"] = {k: v for k, v in value["payload"].items() if v is not None}
    return json.dumps(value).encode()


def test_each_rtds_topic_is_read_in_its_own_format():
    points = [decode_rtds(frame).points[0] for frame in RTDS[:4]]
    assert points == [
        PricePoint(Coin.BTC, SettleSeries.BINANCE_RELAYED, T, T + 154_000_000,
                   9_812_345_000_000, 0, False, False),
        PricePoint(Coin.BTC, SettleSeries.CHAINLINK_SPOT, T - SECOND, T + 451_000_000,
                   9_809_912_345_678, 9_012_345_678, False, False),
        PricePoint(Coin.ETH, SettleSeries.CHAINLINK_TWAP_30, T - SECOND, T + 537_000_000,
                   345_600_000_000, 1, False, False),
        PricePoint(Coin.BTC, TWAP, T - SECOND, T + 495_000_000,
                   9_809_857_531_747, 4_428_059_648, False, False),
    ]  # fmt: skip


def test_rtds_snapshots_are_history():
    twap, binance = decode_rtds(RTDS[4]), decode_rtds(RTDS[5])
    assert [(p.price_e8, p.stamp_ns, p.history) for p in twap.points] == [
        (18_731_000_000, T - 60 * SECOND, True), (18_732_000_000, T - 59 * SECOND, True),
    ]  # fmt: skip
    assert [p.price_e8 for p in binance.points] == [9_812_073_000_000, 9_812_110_000_000]


def test_polybolt_is_plain_decimal_everywhere():
    twap, spot, snapshot = (decode_polybolt(BOLT[i]) for i in (2, 3, 4))
    assert twap == Prices(
        "price.crypto.twap",
        (PricePoint(Coin.BTC, TWAP, T, T + 980_000_000, 9_809_857_531_747, 4_428_059_648,
                    False, False),),
        7,
    )  # fmt: skip
    assert (spot.seq, spot.dropped) == (3, 2)
    assert spot.points[0].carried_forward
    assert spot.points[0].series is SettleSeries.CHAINLINK_SPOT
    assert [(p.price_e8, p.price_rest_e18, p.history) for p in snapshot.points] == [
        (18_731_000_000, 1, True), (18_732_000_000, 0, True),
    ]  # fmt: skip


def test_same_print_from_both_relays_has_the_same_key_and_price():
    old = decode_rtds(RTDS[3]).points[0]
    new = decode_polybolt(changed(BOLT[2], timestamp=1_795_352_399_000)).points[0]
    assert old.key == new.key
    assert (old.price_e8, old.price_rest_e18) == (new.price_e8, new.price_rest_e18)


def test_formats_mixed_up_are_noticed():
    with pytest.raises(RemoteProtocolError, match="not value"):
        decode_rtds(changed(RTDS[3], full_accuracy_value="98098"))
    with pytest.raises(RemoteProtocolError, match="integer"):
        decode_rtds(changed(RTDS[3], full_accuracy_value="98098.57531747443"))
    with pytest.raises(RemoteProtocolError):
        decode_rtds(changed(RTDS[0], full_accuracy_value="98123450000000000000000"))
    with pytest.raises(RemoteProtocolError):
        decode_polybolt(changed(BOLT[2], full_accuracy_value="98098575317474428059648"))


@pytest.mark.parametrize("window", [None, 30, 61])
def test_average_over_another_window_than_its_topic_is_an_error(window):
    with pytest.raises(RemoteProtocolError, match="window"):
        decode_rtds(changed(RTDS[3], window_s=window))


def test_settlement_history_without_exact_text_is_an_error():
    frame = json.loads(RTDS[4])
    del frame["payload"]["data"][0]["full_accuracy_value"]
    with pytest.raises(RemoteProtocolError, match="full_accuracy_value"):
        decode_rtds(json.dumps(frame).encode())


@pytest.mark.parametrize(
    "change",
    [{"full_accuracy_value": text} for text in
     ("0", "-1", "NaN", "1e5", "", " 98098.5", "98098.", "98_098", "98098.5753174744280596481")]
    + [{"timestamp": 0}, {"timestamp": 1_795_352_400}, {"timestamp": "1795352400000"},
       {"timestamp": None}, {"full_accuracy_value": None}, {"value": "NaN"}, {"value": 1e300},
       {"value": -98098}, {"window_seconds": None}, {"symbol": None}],
)  # fmt: skip
def test_bad_point_is_a_protocol_error(change):
    with pytest.raises(RemoteProtocolError):
        decode_polybolt(changed(BOLT[2], **change))


def test_spot_of_another_provider_is_never_taken_for_chainlink():
    assert decode_polybolt(BOLT[5]) == Ignored("price.crypto pyth None")
    with pytest.raises(RemoteProtocolError, match="source"):
        decode_polybolt(changed(BOLT[5], source=None))
    assert isinstance(decode_polybolt(changed(BOLT[2], source="pyth")), Ignored)
    assert isinstance(decode_polybolt(changed(BOLT[2], window_seconds=300)), Ignored)


def test_other_coins_topics_and_versions_are_ignored():
    assert decode_rtds(changed(RTDS[1], symbol="doge/usd")) == Ignored(
        "crypto_prices_chainlink doge/usd"
    )
    assert decode_rtds(RTDS[0].replace(b'"crypto_prices"', b'"comments"')) == Ignored(
        "comments update"
    )
    assert isinstance(decode_polybolt(BOLT[2].replace(b'"v":1', b'"v":2')), Ignored)
    assert isinstance(decode_polybolt(BOLT[2].replace(b".twap", b".moon")), Ignored)
    assert decode_polybolt(b'{"op":"draining"}') == Ignored("op draining")


def test_refusals_and_acks_are_values():
    assert decode_rtds(RTDS[6]).code == "401"
    assert "crypto_moods" in decode_rtds(RTDS[6]).message
    assert decode_rtds(b"PONG") == Ack("pong")
    assert [decode_polybolt(BOLT[i]) for i in (0, 1, 7)] == [
        Ack("authed", "1"), Ack("subscribed", "2"), Ack("pong"),
    ]  # fmt: skip
    assert decode_polybolt(BOLT[6]) == FeedError("auth_required", "authenticate first", "9")


@pytest.mark.parametrize("frame", [b"", b"{}", b"[]", b"null", b"\xff", b"[" * 5000, b'{"v":1}'])
def test_anything_else_is_a_protocol_error(frame):
    for codec in (decode_rtds, decode_polybolt):
        with pytest.raises(RemoteProtocolError):
            codec(frame)


@given(data=st.data(), frame=st.sampled_from(RTDS))
def test_mutated_rtds_frame_gives_a_value_or_protocol_error(mangle, keeps_promise, data, frame):
    result = keeps_promise(decode_rtds, mangle(data, frame))
    assert result is None or isinstance(result, RESULTS)


@given(data=st.data(), frame=st.sampled_from(BOLT))
def test_mutated_bolt_frame_gives_a_value_or_protocol_error(mangle, keeps_promise, data, frame):
    result = keeps_promise(decode_polybolt, mangle(data, frame))
    assert result is None or isinstance(result, RESULTS)
    if isinstance(result, Prices):
        assert all(0 <= point.price_rest_e18 < 10**10 for point in result.points)


def test_subscribe_frames():
    assert json.loads(prices.rtds_subscribe("crypto_prices_twap_sixty")) == {
        "action": "subscribe",
        "subscriptions": [{"topic": "crypto_prices_twap_sixty", "type": "update"}],
    }
    wanted = [(Coin.BTC, SettleSeries.CHAINLINK_SPOT), (Coin.ETH, TWAP)]
    assert json.loads(prices.polybolt_subscribe("2", wanted)) == {
        "op": "subscribe",
        "rid": "2",
        "subscriptions": [
            {"channel": "price.crypto", "filter": {"symbol": "btcusd", "provider": "chainlink"}},
            {"channel": "price.crypto.twap",
             "filter": {"symbol": "ethusd", "provider": "chainlink", "window_seconds": 60}},
        ],
    }  # fmt: skip
    assert json.loads(prices.polybolt_auth("1", "k", "s", "p")) == {
        "op": "auth", "auth": {"apiKey": "k", "secret": "s", "passphrase": "p"}, "rid": "1",
    }  # fmt: skip


def test_subscriptions_the_relay_would_refuse_are_refused_here():
    with pytest.raises(LocalProtocolError):
        prices.rtds_subscribe("crypto_moods")
    for wanted in ([], [(Coin.BTC, TWAP)] * 65, [(Coin.BTC, SettleSeries.BINANCE_RELAYED)]):
        with pytest.raises(LocalProtocolError):
            prices.polybolt_subscribe("1", wanted)


def test_equity_prices_are_understood_though_nothing_settles_on_them():
    frame = (
        b'{"topic":"equity_prices","type":"update","timestamp":1795305600000,"payload":{"symbol":'
        b'"aapl","value":198.45,"full_accuracy_value":"198.4523","timestamp":1795305600000}}'
    )
    at_ns = 1_795_305_600_000_000_000
    assert decode_rtds(frame) == EquityPrices("aapl", ((at_ns, 19845230000),), history=False)
    history = (
        b'{"topic":"equity_prices","type":"subscribe","timestamp":1795305600000,"payload":{"symbol"'
        b':"aapl","data":[{"timestamp":1795305600000,"value":307.91499}]}}'
    )
    assert decode_rtds(history) == EquityPrices("aapl", ((at_ns, 30791499000),), history=True)
    with pytest.raises(RemoteProtocolError, match="without a value"):
        decode_rtds(frame.replace(b'"value":198.45,"full_accuracy_value":"198.4523",', b""))
