"""Injected opportunities: handed on once, refused when they cannot be signals, never in live."""

import pytest
from config_text import GOOD
from hypothesis import given
from hypothesis import strategies as st

from lowlat.app.config import EngineConfig
from lowlat.app.generations import write_generation
from lowlat.app.inject import choose, inject
from lowlat.app.injector import Injector
from lowlat.app.names import GENERATION
from lowlat.app.wish import Offer, Wish
from lowlat.core.config import decode_config
from lowlat.core.errors import ConfigError, SegmentError
from lowlat.core.layout import SIGNAL, STREAMS, Action, Rule, Urgency, Writer
from lowlat.core.ports import EMPTY, OVERRUN
from lowlat.core.signal import Identity, Signal, Stamps, encode_signal
from lowlat.risk.examine import Opinion
from lowlat.shm.attachment import Attachment
from lowlat.shm.segments import create_segments

SIGNAL_IN = Signal(
    "other",
    "0x" + "ab" * 32,
    "77",
    Action.BUY,
    1.0,
    0.5,
    10_000_000,
    Urgency.IMMEDIATE,
    {"injected": True},
    limit_price_e4=4_600,
    expires_ns=9,
    cause=5,
)
RECORD = encode_signal(
    SIGNAL_IN, 5, Identity(2, 1, b"\xab" * 32, (77).to_bytes(32, "big")), Stamps(), 3, 1
)


class Reader:
    def __init__(self, *kinds, record=RECORD, raw=None):
        self.kinds = list(kinds)
        self.buffer = memoryview(bytearray(SIGNAL.size_bytes))
        if raw is None:
            SIGNAL.pack(self.buffer, record)
        else:
            self.buffer[:] = raw

    def poll(self):
        return self.kinds.pop(0) if self.kinds else EMPTY


class Signals:
    def __init__(self, answer=True):
        self.answer = answer
        self.got = []

    def inject(self, signal, source):
        if isinstance(self.answer, Exception):
            raise self.answer
        self.got.append((signal, source))
        return self.answer


class Cells(dict):
    def cell(self, name):
        outer = self

        class Cell:
            def add(self, count):
                outer[name] = outer.get(name, 0) + count

        return Cell()


def injector(reader, signals):
    cells, notes = Cells(), []
    return Injector(reader, signals, cells, lambda *note: notes.append(note)), cells, notes


def test_a_record_becomes_a_signal_of_the_module_inject_timed_from_its_arrival():
    signals = Signals()
    engine, cells, _ = injector(Reader(SIGNAL.kind), signals)
    assert engine.turn(1_000) == 1
    assert engine.turn(1_001) == 0
    ((signal, source),) = signals.got
    assert signal.module == "inject", "whatever the record says: it is counted apart"
    assert (signal.cause, signal.token_id, signal.limit_price_e4) == (5, "77", 4_600)
    assert (source.id, source.recv_ns, source.published_ns) == (5, 1_000, 1_000)
    assert cells == {"inject.signals": 1}


@pytest.mark.parametrize("answer", [False, ValueError("token_id was '77'")])
def test_what_the_engine_refuses_is_counted(answer):
    engine, cells, notes = injector(Reader(SIGNAL.kind), Signals(answer))
    engine.turn(1)
    assert cells == {"inject.refused": 1}
    assert notes == ([] if answer is False else [("inject refused", "token_id was '77'")])


def test_lost_records_and_foreign_kinds_are_survived():
    signals = Signals()
    engine, cells, _ = injector(Reader(OVERRUN, 3, SIGNAL.kind), signals)
    assert engine.turn(1) == 3
    assert cells == {"inject.lost": 1, "inject.signals": 1}


@given(st.binary(min_size=SIGNAL.size_bytes, max_size=SIGNAL.size_bytes))
def test_garbage_is_refused_and_harms_nobody(raw):
    engine, cells, _ = injector(Reader(SIGNAL.kind, raw=raw), Signals())
    engine.turn(1)
    assert sum(cells.values()) == 1


def test_the_stream_is_its_own():
    assert STREAMS["inject"].writer is Writer.INJECT
    assert STREAMS["inject"].gates == ()


@pytest.fixture
def running(instance):
    segments = create_segments(instance, stats=["engine"])
    with Attachment(instance, "engine") as attachment:
        attachment.open_stats().gauge(GENERATION).set(1)
        yield instance
    segments.unlink()


def test_nothing_synthetic_is_sent_in_live(running):
    text = GOOD.replace('"t1"', f'"{running}"').replace('"sim"', '"live"')
    text = text.replace("http:", "https:").replace("ws:", "wss:")
    write_generation(running, 1, decode_config(text, EngineConfig), 1)
    with pytest.raises(ConfigError, match="mode is 'live': nothing synthetic"):
        inject(running, Wish(), 0.1)


def test_without_a_tradeable_market_nothing_is_sent(running):
    text = GOOD.replace('"t1"', f'"{running}"')
    write_generation(running, 1, decode_config(text, EngineConfig), 1)
    with pytest.raises(SegmentError, match="no market like 'btc'"):
        inject(running, Wish("btc"), 0.1)


FINE = Opinion("market", Rule.APPROVED, 0, 0, 10)


@pytest.mark.parametrize(
    "objection",
    [
        Opinion("market", Rule.START_PRICE_UNKNOWN, 1, 0, 0),
        Opinion("depth", Rule.APPROVED, 0, 0, 10, missing="market"),
    ],
)
def test_nobody_named_a_market_so_it_is_the_first_that_risk_lets_through(objection):
    found = [Offer(market, 4_600) for market in ("refused", "cut", "fine")]
    said = {
        "refused": [FINE, objection],
        "cut": [FINE, Opinion("depth", Rule.DEPTH, 9, 10, 9)],
        "fine": [FINE],
    }
    assert choose(found, lambda market, _: said[market]).row == "cut"
    assert choose(found[:1], lambda market, _: said[market]).row == "refused", "says why"
