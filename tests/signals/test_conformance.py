"""What every module owes the engine, ours and those of any installed package.

A new module is picked up by its entry point; nothing here names one.
"""

import ast
import importlib.util
import inspect
import sys
import tomllib
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import msgspec
import pytest
from engine_fakes import MS, WALL0, S, World
from signals_rig import ports

from lowlat.core.layout import SIGNAL, Known
from lowlat.core.signal import decode_signal
from lowlat.core.units import E8
from lowlat.signals.engine import SignalsEngine
from lowlat.signals.module import Mode, Module, load_modules, make_module
from lowlat.signals.params import EngineParams

ROOT = Path(__file__).parents[2]
GROUP = "lowlat.signals"
FORBIDDEN = {
    "asyncio",
    "datetime",
    "logging",
    "os",
    "random",
    "secrets",
    "socket",
    "threading",
    "time",
}


def every_module():
    """Names to classes: the project's entry points, the example's, and what is installed."""
    sys.path.insert(0, str(ROOT / "docs/examples/lowlat-spread-watch/src"))
    points = {point.name: point for point in entry_points(group=GROUP)}
    for file in (ROOT / "pyproject.toml", *ROOT.glob("docs/examples/*/pyproject.toml")):
        declared = tomllib.loads(file.read_text())["project"]["entry-points"][GROUP]
        for name, value in declared.items():
            points.setdefault(name, EntryPoint(name, value, GROUP))
    return load_modules(sorted(points), points.values())


MODULES = every_module()


def run(module):
    """Live through a market with an event, a crypto window, and books that move."""
    world = World()
    for market in range(3):
        world.put_market(market, event_id=b"\7" * 32, neg_risk=1, event_market_count=3)
    world.put_market(
        3,
        coin=1,
        settle_rule=2,
        known=int(Known.TRADEABLE | Known.SETTLE_RULE | Known.START_PRICE),
        start_price_e8=98_000 * E8,
    )
    world.put_market(4)
    engine = SignalsEngine(
        [(module, Mode.SHADOW)],
        ports(world),
        EngineParams(),
    )
    engine.start()
    for step in range(200):
        world.advance(S // 2)
        world.shard()
        second = (world.clock.wall_ns() - WALL0) // S
        world.put_spot(1, 98_000 + 7 * (step % 11) - 30 * (step % 2))
        world.put_print(1, second, 98_010 + step % 5)
        for market in range(5):
            ask = 2_500 + 100 * ((step * (market + 3)) % 60)
            world.put_book(market, [(ask - 300 - 100 * (step % 4), 50)], [(ask, 40 + step)])
        if step % 50 == 49:
            # Empty sides, a crossing, a lost connection, a recycled row.
            world.put_book(0, [], [(5_000, 10)])
            world.put_book(1, [(6_000, 10)], [(5_000, 10)])
            world.put_book(2, [], [])
            world.put_book(4, [(100, 10)], [(9_900, 10)], connection=7)
            engine.turn(world.now)
            world.put_market(4, generation=2 + step)
            world.put_book(4, [(100, 10)], [(9_900, 10)], generation=2 + step)
        engine.turn(world.advance(MS))
    return world, engine


@pytest.mark.parametrize("name", MODULES)
def test_survives_every_kind_of_book(name):
    _, engine = run(make_module(MODULES[name], {}))
    assert engine.errors == {}


@pytest.mark.parametrize("name", MODULES)
def test_same_calls_same_signals(name):
    first, _ = run(make_module(MODULES[name], {}))
    second, _ = run(make_module(MODULES[name], {}))
    assert first.signals.records == second.signals.records


@pytest.mark.parametrize("name", MODULES)
def test_signals_can_be_acted_on(name):
    world, _ = run(make_module(MODULES[name], {}))
    records = world.signals.decoded(SIGNAL)
    for record in records:
        signal = decode_signal(record)
        row = world.rows[record.instrument >> 1]
        told = MODULES[name].describe(signal, row)
        assert told
        assert all(told)
        if not signal.size_suggestion:
            # Takes back what it rests: worth nothing by itself.
            assert signal.expected_value == 0
            continue
        assert signal.module == name
        assert signal.expires_ns > record.decided_ns
        assert signal.expected_value > 0
        assert signal.limit_price_e4 % 100 == 0
        assert record.cause != 0
    groups = {record.group for record in records if record.legs > 1}
    for group in groups:
        legs = [record for record in records if record.group == group]
        assert [leg.leg for leg in legs] == list(range(legs[0].legs))
        assert len({leg.size_suggestion_e6 for leg in legs}) == 1


@pytest.mark.parametrize("name", MODULES)
def test_parameters_are_frozen_with_a_default_each(name):
    params = MODULES[name].Params
    assert params.__struct_config__.frozen
    assert params.__struct_config__.forbid_unknown_fields
    assert msgspec.convert({}, params) == params()
    assert issubclass(MODULES[name], Module)


@pytest.mark.parametrize("name", MODULES)
def test_reads_no_clock_no_file_and_no_chance(name):
    path = inspect.getsourcefile(MODULES[name])
    assert path is not None
    for node in ast.walk(ast.parse(Path(path).read_text())):
        if isinstance(node, ast.Import):
            roots = {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            roots = {(node.module or "").split(".")[0]}
        else:
            continue
        assert not roots & FORBIDDEN


def test_the_example_package_is_among_them():
    assert "spread_watch" in MODULES
    assert importlib.util.find_spec("spread_watch") is not None
