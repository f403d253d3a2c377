"""The compiled way of a book tick against its Python twin: what is shown, counted and recorded.

Method: a seeded life of markets, connections and modules (one that emits, one that looks at other
markets, one that raises) in two engines that differ in the path alone; every record and counter is
compared after each step.
"""

import random
from typing import ClassVar

import pytest
from engine_fakes import World
from hypothesis import event, given, settings
from hypothesis import strategies as st
from path_reference import PathReference
from signals_rig import ports

from lowlat.book._view import BookView
from lowlat.core.layout import BOOK_ROW, MARKET_ROW, Action, BookFlag, Outcome, Urgency
from lowlat.core.signal import Signal
from lowlat.core.units import E6
from lowlat.signals import engine as engine_module
from lowlat.signals._look import Look, PythonLook
from lowlat.signals._path import BookPath
from lowlat.signals.engine import SignalsEngine
from lowlat.signals.module import Mode, Module
from lowlat.signals.params import EngineParams

MARKETS = 6
MS = 1_000_000


class Buyer(Module):
    """Emits for every book it sees; looks at the next market, too."""

    name: ClassVar[str] = "buyer"

    def __init__(self, params=None):
        super().__init__(params)
        self.seen = []

    def interest(self, row):
        return row.market != 5

    def on_gone(self, market):
        self.seen.append(("gone", market))

    def on_book(self, book, now_ns):
        beside = self.ctx.book((book.market + 1) % MARKETS)
        self.seen.append(
            (book.market, book.best_ask_e4(Outcome.YES), beside and beside.best_ask_e4(0))
        )
        instrument = self.ctx.instruments.by_index[2 * book.market]
        self.ctx.emit(
            Signal(
                module=self.name,
                market_id=instrument.market_id,
                token_id=instrument.token_id,
                action=Action.BUY,
                confidence=0.5,
                expected_value=1.0,
                size_suggestion=10 * E6,
                urgency=Urgency.IMMEDIATE,
                metadata={},
                limit_price_e4=4200,
                expires_ns=now_ns + 1,
            )
        )


class Watcher(Module):
    """Sees some markets and every turn; raises when a book says so."""

    name: ClassVar[str] = "watcher"

    def __init__(self, params=None):
        super().__init__(params)
        self.seen = []

    def interest(self, row):
        return row.market % 2 == 0

    def on_book(self, book, now_ns):
        self.seen.append((book.market, now_ns))
        if book.best_bid_e4(Outcome.YES) == 6600:
            raise ValueError("no such book")

    def on_turn(self, now_ns):
        self.seen.append((now_ns, self.ctx.spot(2)))

    def on_spot(self, spot, now_ns):
        self.seen.append((spot, self.ctx.spot(spot.coin), self.ctx.spot(1), now_ns))
        if spot.bid_price_e8 < 100:
            raise ValueError("no such price")


class Life:
    """One engine over one world; ``path`` is what shows the books."""

    def __init__(self, path, most):
        self.world = world = World()
        world.signals.slots = 5
        self.gate = world.signals.reader(gate=True)
        for market in range(MARKETS):
            world.put_market(market)
        self.modules = [Buyer(), Watcher()]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(engine_module, "BookPath", path)
            self.engine = SignalsEngine(
                [(module, Mode.LIVE) for module in self.modules],
                ports(world),
                EngineParams(records_a_turn=most),
            )
        self.engine.start()

    def step(self, chance):
        world = self.world
        world.advance(chance.choice([MS, 400 * MS, 2_000 * MS]))
        for _ in range(chance.randrange(6)):
            self.change(chance)
        for _ in range(chance.randrange(3)):
            done = self.engine.advance(world.now)
            if chance.random() < 0.5:
                self.engine.settle()
            if not done:
                break

    def change(self, chance):
        world, market = self.world, chance.randrange(MARKETS)
        what = chance.random()
        generation = MARKET_ROW.unpack(world.markets.images[market]).generation
        if what < 0.6:
            bid = chance.randrange(3_000, 6_700, 100)
            world.put_book(
                market,
                [(bid, 10)],
                [(bid + 100, 20)],
                generation=generation - (what < 0.03),
                connection=chance.choice([1, 1, 1, 2]),
                flags=int(BookFlag.STALE) if what > 0.57 else 0,
            )
        elif what < 0.68:
            world.shard(generation=chance.choice([1, 2]), alive=chance.choice([0, 1, 1]))
        elif what < 0.74:
            world.put_market(market, generation=generation + chance.randrange(2))
        elif what < 0.8:
            self.engine._ports.market.overrun = True
        elif what < 0.88:
            world.books.busy ^= {market}
        elif what < 0.92:
            self.gate.at = len(world.signals.records)
            self.gate.release()
        elif what < 0.96:
            world.put_spot(chance.randrange(1, 4), chance.choice([1e-7, 100.0, 101.0]))
        elif what < 0.97:
            self.engine._ports.spot.overrun = True
        elif what < 0.99:
            self.engine.reload([(module, chance.choice(list(Mode))) for module in self.modules])

    def state(self):
        world, engine = self.world, self.engine
        return (
            world.signals.records,
            world.turns.records,
            world.counts,
            [module.seen for module in self.modules],
            engine.errors,
            engine.path.markets(),
        )


@settings(max_examples=40)
@given(st.integers(0, 2**32), st.sampled_from([2, 256]))
def test_both_paths_show_count_and_record_the_same(seed, most):
    compiled, twin = Life(BookPath, most), Life(PathReference, most)
    assert type(compiled.engine.path) is not type(twin.engine.path)
    chances = random.Random(seed), random.Random(seed)
    for _ in range(60):
        compiled.step(chances[0])
        twin.step(chances[1])
        assert compiled.state() == twin.state()
    counts = compiled.world.counts
    for name in ("conflated", "stale_book", "book_busy", "overruns", "dropped_gate_full"):
        if counts.get(f"signals.{name}"):
            event(name)


def test_a_look_without_at_is_a_programming_fault():
    with pytest.raises(NotImplementedError):
        Look()(BookView(bytearray(BOOK_ROW.size_bytes)), 1)


def test_a_python_look_calls_the_module():
    told = []
    view = BookView(bytearray(BOOK_ROW.size_bytes))
    PythonLook(lambda book, now_ns: told.append((book, now_ns)))(view, 7)
    assert told == [(view, 7)]


def test_a_market_beyond_the_books_is_refused():
    path = Life(BookPath, 256).engine.path
    with pytest.raises(ValueError, match="market was 99, expected one of 16 books"):
        path.watch(99, 1, ())
    assert path.book(99) is None


def test_small_slots_are_refused():
    life = Life(BookPath, 256)
    ports = life.engine._ports
    ports.turns.buffer = memoryview(bytearray(16))
    with pytest.raises(ValueError, match="turn buffer was 16 bytes"):
        BookPath(ports, life.engine.path.outlet, life.engine.path.shards, life.engine, 256)
