"""The settlement price feed: each print once, contradictions visible, stalls replaced."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowlat.core.clock import VirtualClock
from lowlat.core.layout import Coin, SettleSeries
from lowlat.feeds.params import CANDLES, POLYBOLT, RTDS, PricesFeedParams
from lowlat.feeds.prices import PricesFeed

SECOND = 1_000_000_000
MS = 1_795_352_400_000


def rtds(stamp_ms=MS, price="98123456780000000000000", symbol="btc/usd", topic="sixty"):
    payload = {
        "symbol": symbol,
        "timestamp": stamp_ms,
        "value": int(price) / 1e18,
        "window_s": 60,
        "full_accuracy_value": price,
    }
    return {
        "topic": f"crypto_prices_twap_{topic}",
        "type": "update",
        "timestamp": stamp_ms + 900,
        "payload": payload,
    }


def bolt(seq, stamp_ms=MS, price="98123.45678", **more):
    payload = {
        "symbol": "btcusd",
        "source": "chainlink",
        "timestamp": stamp_ms,
        "value": float(price),
        "full_accuracy_value": price,
        "window_seconds": 60,
        **more,
    }
    return {"v": 1, "channel": "price.crypto.twap", "seq": seq, "ts": stamp_ms + 900,
            "payload": payload}  # fmt: skip


def kline(open_price="98000.00", final=False, start_us=MS * 1000):
    candle = {"t": start_us, "T": start_us + 3_600_000_000 - 1, "i": "1h", "s": "BTCUSDT"}
    candle |= {"o": open_price, "h": "98200.00", "l": "97900.00", "c": "98100.00", "x": final}
    data = {"e": "kline", "E": start_us + 5, "s": "BTCUSDT", "k": candle}
    return {"stream": "btcusdt@kline_1h", "data": data}


class Rig:
    def __init__(self, tools, sources=(RTDS, POLYBOLT, CANDLES), exchange=None):
        self.clock = VirtualClock(1_000 * SECOND)
        self.counts = tools.Counts()
        self.notes = []
        self.connections = {}
        self.settle = tools.MemoryStream("settle")

        def dial(listener, number):
            self.connections[number] = tools.FakeConnection(listener, number)
            return self.connections[number]

        self.feed = PricesFeed(
            PricesFeedParams(sources=sources),
            self.settle.writer,
            dial,
            self.clock,
            self.counts.cell,
            lambda kind, sample: self.notes.append((kind, sample)),
            exchange=exchange,
            auth=lambda: b'{"op":"auth"}',
        )
        self.feed.start()
        for connection in self.connections.values():
            connection.open()

    def send(self, message, number=RTDS):
        self.raw(json.dumps(message, separators=(",", ":")).encode(), number)

    def raw(self, payload, number=RTDS):
        self.clock.advance(1_000)
        self.feed.on_frame(self.connections[number], payload, True, self.clock.monotonic_ns())

    def turn(self, after_ns):
        self.clock.advance(after_ns)
        return self.feed.turn(self.clock.monotonic_ns())


@pytest.fixture
def rig(tools):
    return Rig(tools)


def test_print_keeps_every_digit_and_its_stamp(rig):
    rig.send(rtds(price="98123456781234567891234"))
    [record] = rig.settle.take()
    assert (record.coin, record.series) == (Coin.BTC, SettleSeries.CHAINLINK_TWAP_60)
    assert record.stamp_ns == MS * 1_000_000
    assert (record.price_e8, record.price_rest_e18) == (9_812_345_678_123, 4_567_891_234)


def test_same_print_from_two_relays_is_published_once(rig):
    rig.send(rtds())
    rig.send(bolt(1), POLYBOLT)
    assert len(rig.settle.take()) == 1
    assert rig.counts["prices.copies"] == 1


def test_contradicting_prints_are_both_published_and_counted(rig):
    rig.send(rtds())
    rig.send(bolt(1, price="98123.5"), POLYBOLT)
    assert len(rig.settle.take()) == 2
    assert rig.counts["prices.conflicts"] == 1


def test_repeated_old_value_is_no_print(rig):
    rig.send(bolt(1, is_carried_forward=True), POLYBOLT)
    assert rig.settle.take() == []
    assert rig.counts["prices.carried_forward"] == 1


def test_each_topic_is_subscribed_in_a_frame_of_its_own(rig):
    frames = rig.connections[RTDS].frames()
    assert [len(frame["subscriptions"]) for frame in frames] == [1, 1]


def test_polybolt_subscribes_only_after_the_word_on_its_credentials(rig):
    sent = rig.connections[POLYBOLT].sent
    assert sent == [b'{"op":"auth"}']
    rig.send({"op": "authed", "rid": "1"}, POLYBOLT)
    assert len(json.loads(sent[1])["subscriptions"]) == 6
    rig.send({"op": "error", "code": "auth_invalid", "message": "no"}, POLYBOLT)
    assert rig.counts["prices.refused"] == 1


def test_missed_and_dropped_polybolt_messages_are_counted(rig):
    rig.send(bolt(1), POLYBOLT)
    rig.send(bolt(4, MS + 3000), POLYBOLT)
    rig.send(bolt(5, MS + 4000) | {"dropped": 2}, POLYBOLT)
    assert rig.counts["prices.gaps"] == 4


def test_candle_gives_its_open_once_and_its_close_when_final(rig):
    rig.send(kline(), CANDLES)
    rig.send(kline(), CANDLES)
    rig.send(kline(final=True), CANDLES)
    records = rig.settle.take()
    assert [(one.series, one.stamp_ns, one.price_e8) for one in records] == [
        (SettleSeries.BINANCE_KLINE_OPEN, MS * 1_000_000, 9_800_000_000_000),
        (SettleSeries.BINANCE_KLINE_CLOSE, (MS + 3_600_000) * 1_000_000, 9_810_000_000_000),
    ]


def test_stalled_socket_is_replaced_and_pings_leave_meanwhile(tools):
    rig = Rig(tools, (RTDS,))
    rig.send(rtds())
    rig.turn(6 * SECOND)
    assert rig.connections[RTDS].sent[-1] == b"PING"
    assert rig.connections[RTDS].reconnects == []
    rig.raw(b"PONG")
    rig.turn(3 * SECOND)
    assert rig.connections[RTDS].reconnects == ["silent"]


def test_polybolt_without_credentials_is_refused_at_construction(tools):
    with pytest.raises(ValueError, match="credentials"):
        PricesFeed(
            PricesFeedParams(sources=(POLYBOLT,)),
            tools.MemoryStream("settle").writer,
            None,
            VirtualClock(),
            tools.Counts().cell,
            print,
        )


@settings(max_examples=100)
@given(data=st.data())
def test_mutated_frames_only_move_counters(tools, data):
    rig = Rig(tools)
    message, number = data.draw(
        st.sampled_from([(rtds(), RTDS), (bolt(1), POLYBOLT), (kline(), CANDLES)])
    )
    raw = bytearray(json.dumps(message, separators=(",", ":")).encode())
    for _ in range(data.draw(st.integers(0, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    rig.raw(bytes(raw[: data.draw(st.integers(0, len(raw)))]), number)
    for record in rig.settle.take():
        assert record.price_e8 > 0


def test_seconds_before_the_start_are_published_as_history_and_settle_nothing(tools):
    rest = tools.FakeFetch()
    rig = Rig(tools, exchange=rest)
    rig.turn(50_000_000)
    second = rig.clock.wall_ns() // SECOND - 5
    candle = [second * 1000, "1", "1", "1", "98000.5", "1", second * 1000 + 999, "1", 1, "1", "1"]
    rest.answer(200, [[*candle, "0"]])
    rig.turn(50_000_000)
    [record] = rig.settle.take()
    assert (record.coin, record.series, record.history) == (
        Coin.BTC,
        SettleSeries.BINANCE_SECOND_CLOSE,
        1,
    )
    assert (record.stamp_ns, record.price_e8) == ((second + 1) * SECOND, 9_800_050_000_000)
