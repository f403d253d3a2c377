"""What the signals engine owes its modules and its readers, over list-backed ports."""

from typing import ClassVar

import pytest
from engine_fakes import S, World
from signals_rig import make

from lowlat.core.errors import ConfigError
from lowlat.core.layout import (
    BOOK_TOP,
    RECORDS,
    SIGNAL,
    TURN,
    Action,
    Outcome,
    SettleSeries,
    Urgency,
)
from lowlat.core.signal import Signal, Stamps, decode_signal, encode_signal
from lowlat.core.units import E6
from lowlat.signals.module import Mode, Module, load_modules, make_module
from lowlat.signals.params import EngineParams


class Probe(Module):
    """Records what it is told; emits what it is asked to."""

    name: ClassVar[str] = "probe"

    def __init__(self, params=None):
        super().__init__(params)
        self.books = []
        self.spots = []
        self.prints = []
        self.markets = []
        self.gone = []
        self.wanted = {0, 1, 2, 3}
        self.emits = True

    def interest(self, row):
        return row.market in self.wanted

    def on_market(self, row):
        self.markets.append(row)

    def on_gone(self, market):
        self.gone.append(market)

    def on_spot(self, spot, now_ns):
        self.spots.append(spot)

    def on_settle(self, print_, now_ns):
        self.prints.append(print_.stamp_ns)

    def on_book(self, book, now_ns):
        self.books.append((book.market, book.best_ask_e4(Outcome.YES)))
        if self.emits:
            self.sent = self.ctx.emit(self.signal(book.market, now_ns))

    def signal(self, market, now_ns, **changes):
        instrument = self.ctx.instruments.by_index[2 * market]
        fields = {
            "module": self.name,
            "market_id": instrument.market_id,
            "token_id": instrument.token_id,
            "action": Action.BUY,
            "confidence": 0.5,
            "expected_value": 1.25,
            "size_suggestion": 10 * E6,
            "urgency": Urgency.IMMEDIATE,
            "metadata": {"why": "test", "n": 3},
            "limit_price_e4": 4200,
            "expires_ns": now_ns + S,
        }
        return Signal(**(fields | changes))


class Broken(Probe):
    name: ClassVar[str] = "broken"

    def on_book(self, book, now_ns):
        raise ZeroDivisionError("its own fault")


@pytest.fixture
def world():
    world = World()
    for market in range(3):
        world.put_market(market)
    return world


def test_a_changed_book_reaches_the_module_and_its_signal_the_stream(world):
    probe = Probe()
    engine = make(world, probe)
    world.put_book(1, [(4000, 10)], [(4200, 20)])
    assert engine.turn(world.now) > 0
    assert probe.books == [(1, 4200)]
    (record,) = world.signals.decoded(SIGNAL)
    top = next(raw for kind, raw, _ in world.market.records if kind == BOOK_TOP.kind)
    assert record.cause == int.from_bytes(top[16:24], "little")
    assert record.published_ns == world.now
    assert record.mode == Mode.LIVE


def test_record_is_the_one_of_encode_signal(world):
    probe = Probe()
    engine = make(world, probe)
    world.put_book(1, [(4000, 10)], [(4200, 20)])
    engine.turn(world.now)
    (record,) = world.signals.decoded(SIGNAL)
    stamps = Stamps(record.event_ns, record.recv_ns, record.decoded_ns, record.published_ns)
    signal = decode_signal(record)
    identity = engine.instruments.by_token[signal.token_id].identity
    again = encode_signal(signal, record.id, identity, stamps, record.decided_ns, record.mode)
    buffer = bytearray(SIGNAL.size_bytes)
    SIGNAL.pack(buffer, again)
    assert buffer[16:] == world.signals.records[0][1][16:512]


@pytest.mark.parametrize(
    "changes",
    [
        {"confidence": 1.5},
        {"confidence": float("nan")},
        {"expected_value": float("inf")},
        {"size_suggestion": 0},
        {"limit_price_e4": 10_000},
        {"token_id": "77"},
        {"market_id": "0x" + "00" * 32},
        {"module": "a name of more than 16"},
        {"metadata": {"long": "x" * 300}},
        {"expires_ns": 0},
        {"action": 7},
        {"urgency": 9},
        {"legs": 2, "group": 5},
    ],
)
def test_what_the_record_cannot_hold_is_an_error_where_it_is_emitted(world, changes):
    probe = Probe()
    probe.emits = False
    engine = make(world, probe)
    engine._outlet.about(engine._idle_source())
    with pytest.raises(ValueError, match=r"expected|fit"):
        engine.emit(probe.signal(0, world.now, **changes))
    assert world.signals.records == []


def test_a_backlog_shows_each_market_once_with_its_newest_book(world):
    probe = Probe()
    engine = make(world, probe)
    for ask in range(4200, 4300, 100 // 10 * 10):
        world.put_book(0, [(4000, 10)], [(ask, 20)])
    world.put_book(2, [(4000, 10)], [(5000, 20)])
    for ask in (4400, 4500):
        world.put_book(0, [(4000, 10)], [(ask, 20)])
    engine.turn(world.now)
    assert probe.books == [(0, 4500), (2, 5000)]
    assert world.counts["signals.conflated"] == 2


class Nosy(Probe):
    """Looks at market 1 whenever another one changes, and when the exchange moves."""

    name: ClassVar[str] = "nosy"

    def on_spot(self, spot, now_ns):
        assert self.ctx.book(1) is not None

    def on_book(self, book, now_ns):
        if book.market != 1:
            assert self.ctx.book(1) is not None
        super().on_book(book, now_ns)


@pytest.mark.parametrize("first", ["book", "spot"])
def test_a_book_that_somebody_looked_up_is_still_shown_once_to_all(world, first):
    nosy, probe = Nosy(), Probe()
    engine = make(world, nosy, probe)
    if first == "spot":
        world.put_spot(1, 100.0)
    else:
        world.put_book(0, [(4000, 10)], [(4200, 20)])
    world.put_book(1, [(4000, 10)], [(4300, 20)])
    engine.turn(world.now)
    assert engine.errors == {}
    assert probe.books[-1] == (1, 4300)
    engine._ports.market.overrun = True
    engine.turn(world.now)
    assert probe.books.count((1, 4300)) == nosy.books.count((1, 4300)) == 1


def test_an_overrun_sweeps_the_versions_of_every_interesting_row(world):
    probe = Probe()
    engine = make(world, probe)
    world.put_book(0, [(4000, 10)], [(4200, 20)])
    world.put_book(2, [(4000, 10)], [(5000, 20)])
    engine._ports.market.overrun = True
    engine.turn(world.now)
    assert sorted(probe.books) == [(0, 4200), (2, 5000)]
    assert world.counts["signals.overruns"] == 1


def test_a_book_of_a_lost_connection_is_not_shown(world):
    probe = Probe()
    engine = make(world, probe)
    world.shard(generation=2)
    world.put_book(0, [(4000, 10)], [(4200, 20)], connection=1)
    engine.turn(world.now)
    world.shard(generation=2, alive=0)
    world.put_book(1, [(4000, 10)], [(4200, 20)], connection=2)
    engine.turn(world.now)
    assert probe.books == []
    assert world.counts["signals.stale_book"] == 2


def test_a_silent_shard_is_stale_and_a_quiet_market_is_not(world):
    probe = Probe()
    engine = make(world, probe, params=EngineParams(shard_silent_ns_max=5 * S))
    world.put_book(0, [(4000, 10)], [(4200, 20)])
    world.advance(4 * S)
    world.shard()
    world.advance(4 * S)
    assert engine.turn(world.now)
    assert probe.books == [(0, 4200)]
    world.put_book(0, [(4000, 10)], [(4300, 20)])
    engine.turn(world.advance(2 * S))
    assert probe.books == [(0, 4200)]


def test_a_recycled_row_is_another_market(world):
    probe = Probe()
    engine = make(world, probe)
    world.put_market(1, generation=2)
    world.put_book(1, [(4000, 10)], [(4200, 20)], generation=1)
    engine.turn(world.now)
    assert probe.gone == [1]
    assert probe.books == []
    world.put_book(1, [(4000, 10)], [(4300, 20)], generation=2)
    engine.turn(world.now)
    assert probe.books == [(1, 4300)]


def test_interest_is_asked_again_when_the_row_changes(world):
    probe = Probe()
    engine = make(world, probe)
    probe.wanted = {0}
    world.put_market(1)
    world.put_book(1, [(4000, 10)], [(4200, 20)])
    engine.turn(world.now)
    assert probe.gone == [1]
    assert probe.books == []


def test_spot_is_conflated_and_prints_come_once_in_order(world):
    probe = Probe()
    engine = make(world, probe)
    for mid in (100.0, 101.0, 102.0):
        world.put_spot(1, mid)
    for second in (5, 7, 5, 6):
        world.put_print(1, second, 100.0 + second)
    engine.turn(world.now)
    assert len(probe.spots) == 1
    assert engine.spot(1).bid_price_e8 == probe.spots[0].bid_price_e8
    history = engine.settle_history(1, SettleSeries.CHAINLINK_SPOT)
    assert [print_.price_e8 // 10**8 for print_ in history] == [105, 106, 107]
    assert len(probe.prints) == 3
    assert world.counts["signals.settle_repeated"] == 1


def test_a_module_that_raises_is_switched_off_and_the_rest_go_on(world):
    probe, broken = Probe(), Broken()
    engine = make(world, broken, probe)
    world.put_book(0, [(4000, 10)], [(4200, 20)])
    engine.turn(world.now)
    world.put_book(0, [(4000, 10)], [(4300, 20)])
    engine.turn(world.now)
    assert probe.books == [(0, 4200), (0, 4300)]
    assert engine.errors == {"broken": "ZeroDivisionError: its own fault"}
    assert world.counts["signals.module_failures"] == 1


def test_a_full_gate_drops_and_counts_and_never_waits(world):
    probe = Probe()
    world.signals.reader(gate=True)
    world.signals.slots = 1
    engine = make(world, probe)
    for ask in (4200, 4300):
        world.put_book(0, [(4000, 10)], [(ask, 20)])
        engine.turn(world.now)
    assert len(world.signals.records) == 1
    assert probe.sent is False
    assert world.counts["signals.dropped_gate_full"] == 1


def test_every_working_turn_says_what_it_had_read(world):
    engine = make(world, Probe())
    assert engine.turn(world.now) == 0
    world.put_book(0, [(4000, 10)], [(4200, 20)])
    engine.turn(world.advance(5))
    (turn,) = world.turns.decoded(TURN)
    assert (turn.now_ns, turn.market_cursor) == (world.now, 2)
    assert turn.wall_offset_ns == world.clock.wall_ns() - world.now


def test_same_inputs_same_bytes():
    def run():
        world = World()
        for market in range(3):
            world.put_market(market)
        engine = make(world, Probe())
        for step in range(50):
            world.put_book(step % 3, [(4000, 10)], [(4200 + 100 * (step % 7), 20)])
            world.put_spot(1, 100.0 + step)
            world.put_print(1, step, 100.0)
            engine.turn(world.advance(S // 10))
        return world.signals.records, world.turns.records

    assert run() == run()


def test_a_busy_row_is_read_in_the_next_turn(world):
    probe = Probe()
    engine = make(world, probe)
    world.put_book(0, [(4000, 10)], [(4200, 20)])
    world.books.busy.add(0)
    engine.turn(world.now)
    assert probe.books == []
    world.books.busy.clear()
    engine.turn(world.now)
    assert probe.books == [(0, 4200)]


def test_another_mode_is_in_the_next_record_and_the_module_knows_what_it_knew(world):
    probe = Probe()
    engine = make(world, probe)
    world.put_book(0, [(4000, 10)], [(4200, 20)])
    engine.turn(world.now)
    assert engine.modules == {"probe": (probe, Mode.LIVE)}
    engine.reload([(probe, Mode.SHADOW)])
    world.put_book(1, [(4000, 10)], [(4300, 20)])
    engine.turn(world.now)
    # Asked again, it is shown the standing book again, too.
    assert probe.books == [(0, 4200), (0, 4200), (1, 4300)]
    assert [record.mode for record in world.signals.decoded(SIGNAL)] == [2, 0, 0]


def test_a_module_that_is_left_out_is_called_no_more_and_a_new_one_sees_what_stands(world):
    first, second = Probe(), Probe()
    engine = make(world, first)
    world.put_book(0, [(4000, 10)], [(4200, 20)])
    engine.turn(world.now)
    engine.reload([(second, Mode.LIVE)])
    world.put_book(1, [(4000, 10)], [(4300, 20)])
    engine.turn(world.now)
    assert first.books == [(0, 4200)]
    assert second.books == [(0, 4200), (1, 4300)]
    assert {row.market for row in second.markets} == {0, 1, 2}


def test_a_module_made_anew_is_no_longer_in_error(world):
    engine = make(world, Broken())
    world.put_book(0, [(4000, 10)], [(4200, 20)])
    engine.turn(world.now)
    assert engine.modules == {}
    engine.reload([(Broken(), Mode.LIVE)])
    assert engine.errors == {}
    engine.turn(world.now)
    assert list(engine.errors) == ["broken"]


class Point:
    def __init__(self, name, loaded):
        self.name, self._loaded = name, loaded

    def load(self):
        return self._loaded


def test_modules_are_found_by_their_entry_points():
    points = [Point("probe", Probe), Point("broken", Broken)]
    assert load_modules(["broken", "probe"], points) == {"broken": Broken, "probe": Probe}


@pytest.mark.parametrize(
    ("points", "says"),
    [
        ([], "provided 0 times"),
        ([Point("probe", Probe), Point("probe", Probe)], "provided 2 times"),
        ([Point("probe", dict)], "expected a subclass"),
        ([Point("probe", Broken)], "name = 'probe'"),
    ],
)
def test_bad_entry_points_are_config_errors(points, says):
    with pytest.raises(ConfigError, match=says):
        load_modules(["probe"], points)


def test_unknown_settings_of_a_module_are_config_errors():
    with pytest.raises(ConfigError, match=r"modules\.probe.*colour"):
        make_module(Probe, {"colour": 3})


def test_kinds_are_unique():
    assert len({record.kind for record in RECORDS}) == len(RECORDS)


def test_the_record_of_a_turn_waits_for_settle_and_never_for_the_next_input(world):
    probe = Probe()
    engine = make(world, probe)
    before = len(world.turns.records)
    world.put_book(0, [(4000, 10)], [(4200, 20)])
    assert engine.advance(world.now)
    assert len(world.signals.records) == 1
    assert len(world.turns.records) == before
    engine.settle()
    engine.settle()
    assert len(world.turns.records) == before + 1
    world.put_book(0, [(4000, 10)], [(4300, 20)])
    engine.advance(world.now + 1)
    world.put_book(0, [(4000, 10)], [(4400, 20)])
    engine.advance(world.now + 2)
    engine.settle()
    turns = world.turns.decoded(TURN)[before:]
    assert [turn.now_ns - world.now for turn in turns] == [0, 1, 2]
    assert [turn.market_cursor for turn in turns] == [
        turns[0].market_cursor + at for at in range(3)
    ]
