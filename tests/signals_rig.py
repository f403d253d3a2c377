"""The signals engine over list-backed ports, for its own tests and those of its modules."""

from lowlat.signals.engine import SignalsEngine, SignalsPorts
from lowlat.signals.module import Mode
from lowlat.signals.params import EngineParams

__all__ = ["make", "ports"]


def ports(world):
    """Return every port of a signals engine over the world's lists."""
    return SignalsPorts(
        market=world.market.reader(),
        metadata=world.metadata.reader(),
        spot=world.spot.reader(),
        settle=world.settle.reader(),
        books=world.books,
        shards=world.shards,
        markets=world.markets,
        spots=world.spots,
        reports=world.reports.reader(),
        orders=world.orders,
        positions=world.positions,
        signals=world.signals,
        turns=world.turns,
        clock=world.clock,
        cell=world.counts.cell,
        recorder=world.counts.recorder,
    )


def make(world, *modules, params=None):
    """Return a started engine with these modules, live."""
    engine = SignalsEngine(
        [(module, Mode.LIVE) for module in modules],
        ports(world),
        params or EngineParams(),
    )
    engine.start()
    return engine
