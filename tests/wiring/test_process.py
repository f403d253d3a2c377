"""Each role alone: it opens what is its own, asks for no connection and no key that is not."""

import pytest

from lowlat.app.flows import READERS
from lowlat.core.clock import VirtualClock
from lowlat.core.layout import STREAMS, TABLES, Writer
from lowlat.wiring.process import ROLES, ProcessEngines
from lowlat.world.fuse import Fuse, FusedMeters
from lowlat.world.memory import Memory
from lowlat.world.settings import WorldSettings

KEYS = None
NEEDS = {
    "metadata": {"gamma", "clob", "binance_rest"},
    "binance": {"binance_ws", "binance_rest"},
    "prices": {"prices_ws", "prices_auth", "binance_rest"},
    "polymarket": {"market_ws", "clob"},
    "signals": set(),
    "risk": set(),
}


class Ends:
    """Connections that note who asked for them."""

    def __init__(self):
        self.clock = VirtualClock(10**9)
        self.asked = set()

    @property
    def salts(self):
        return lambda: 1

    def note(self, kind, sample):
        raise AssertionError((kind, sample))

    def __getattr__(self, name):
        self.asked.add(name)
        return lambda *_: None


class Written(Memory):
    """Memory that notes who writes and who reads what."""

    def __init__(self):
        super().__init__(Fuse(), {name: 64 for name in TABLES if name != "interest"})
        self.written = set()
        self.read = set()

    def open_stream_reader(self, name, *, position=None, gate=None):
        self.read.add(name)
        return super().open_stream_reader(name, position=position, gate=gate)

    def open_stream_writer(self, name):
        self.written.add(name)
        return super().open_stream_writer(name)

    def open_table_writer(self, name):
        self.written.add(name)
        return super().open_table_writer(name)


def make(roles):
    ends, memory = Ends(), Written()
    settings = WorldSettings(records_frames=True, rows={})
    parts = ProcessEngines(
        settings, memory, FusedMeters(Fuse()), KEYS, "venue", ends, None, roles=roles
    )
    return parts, ends, memory


@pytest.mark.parametrize("role", NEEDS)
def test_a_role_asks_only_for_its_own_connections(role):
    _, ends, _ = make([role])
    assert ends.asked == NEEDS[role]


@pytest.mark.parametrize("role", NEEDS)
def test_a_role_writes_what_the_layout_says_is_its_own(role):
    parts, _, memory = make([role])
    writer = Writer[role.upper()]
    own = {name for name, stream in STREAMS.items() if stream.writer is writer}
    own |= {name for name, table in TABLES.items() if table.writer is writer}
    assert memory.written == own
    assert parts.engines


def test_every_stream_and_table_of_an_engine_has_one_role_that_writes_it():
    everybody = set()
    for role in NEEDS:
        _, _, memory = make([role])
        assert not everybody & memory.written
        everybody |= memory.written
    left = (set(STREAMS) | set(TABLES)) - everybody
    assert left >= {"reports", "orders", "groups", "positions", "cash"}
    assert {(STREAMS | TABLES)[name].writer for name in left} <= {
        Writer.EXECUTOR, Writer.SUPERVISOR, Writer.INJECT,
    }  # fmt: skip


@pytest.mark.parametrize("role", NEEDS)
def test_a_role_reads_the_streams_that_the_drawing_says(role):
    _, _, memory = make([role])
    drawn = {name for name, readers in READERS.items() if role in readers}
    # Risk reads the end of its own decisions once, at its start.
    assert memory.read - memory.written == drawn


def test_without_the_executor_there_is_no_place_for_a_key():
    parts, _, _ = make([role for role in ROLES if role != "executor"])
    assert not hasattr(parts.trading, "executor")
    assert not hasattr(parts.trading, "api")
    with pytest.raises(AssertionError, match="without keys"):
        make(["executor"])


@pytest.mark.parametrize(
    ("roles", "pumped"),
    [
        (["polymarket"], False),
        (["polymarket", "risk"], False),
        (["polymarket", "signals"], True),
        (["polymarket", "signals", "risk"], True),
    ],
)
def test_a_frame_runs_those_that_share_its_process(roles, pumped):
    parts, _, _ = make(roles)
    pump = parts.trading.pump_of_feed
    assert (pump is not None) is pumped
    if pump is not None:
        pump()


def test_halts_of_other_processes_reach_risk():
    codes = [0]
    parts = ProcessEngines(
        WorldSettings(), Memory(Fuse(), {}), FusedMeters(Fuse()), None, "venue", Ends(), None,
        roles=["risk"], halted_elsewhere=lambda: codes[0],
    )  # fmt: skip
    trading = parts.trading
    assert trading.halted() == 0
    codes[0] = 5
    assert trading.halted() == 5
    codes[0] = 0
    trading.halt_now(3, "drawdown")
    assert (trading.halted(), trading.halt.value) == (3, 3)
    trading.resume()
    assert trading.halted() == 0
    trading.drain()
    assert trading.halted()
