"""Configs that change hundreds of times while a world trades, good ones and bad ones.

Every decision and order names the generation that was in force when it was made, refusals quote
that generation's limit, nothing is lost or decided twice (the world's own rules), and a config
that cannot be changes nothing.
"""

import random

import msgspec
import pytest

from lowlat.core.errors import ConfigError
from lowlat.core.layout import Rule
from lowlat.world.rows import Violation
from lowlat.world.settings import ModuleSettings, WorldParams
from lowlat.world.watch import Watch
from lowlat.world.world import World

MS = 1_000_000
E6 = 1_000_000
LIMIT_OF = {
    Rule.NOTIONAL: lambda limits: {limits.order_notional_e6_max, limits.order_notional_e6_min},
    Rule.OPEN_ORDERS: lambda limits: {limits.open_orders_max},
    Rule.MODULE_OFF: lambda limits: {limits.mode_min},
}
"""Rules whose decision quotes a value of the config as it is."""


class Reloading:
    """Changes a world's config every ``every_ns`` of its time."""

    def __init__(self, world, seed, every_ns, monkeypatch):
        self.world = world
        self.draw = random.Random(seed)
        self.every_ns = every_ns
        self.settings = world.node._around.settings
        self.number = 0
        self.accepted = {0: self.settings}
        self.refused = 0
        self.seen = {}
        take = Watch._take_decision

        def checked(watch, decision):
            self.check(decision)
            take(watch, decision)

        monkeypatch.setattr(Watch, "_take_decision", checked)
        world._agenda.at(1, self.turn)

    def check(self, decision):
        generation = decision.config_generation
        self.seen[generation] = self.seen.get(generation, 0) + 1
        if generation not in self.accepted:
            raise Violation(f"a decision names generation {generation}, which was never in force")
        if generation != self.number:
            raise Violation(f"a decision of generation {generation} while {self.number} is")
        quoted = LIMIT_OF.get(decision.rule)
        if quoted is not None and not decision.approved:
            allowed = quoted(self.accepted[generation].limits)
            if decision.limit not in allowed:
                raise Violation(f"rule {decision.rule} quotes {decision.limit}, is {allowed}")

    def turn(self):
        node = self.world.node
        if node.fused is not None and node.fused.trading.executor.ready:
            self.change(node.fused.trading)
        self.world._agenda.at(self.world._clock.monotonic_ns() + self.every_ns, self.turn)

    def change(self, trading):
        wanted = self.drawn()
        at_work = trading.signals.modules
        limits = trading.risk.state.limits
        hard = trading.executor.sender._limits
        try:
            trading.reload(wanted, self.number + 1)
        except ConfigError:
            self.refused += 1
            assert trading.signals.modules == at_work
            assert trading.risk.state.limits is limits
            assert trading.executor.sender._limits is hard
            return
        self.number += 1
        self.settings = wanted
        self.world.watch.departures.limits = wanted.limits
        self.accepted[self.number] = wanted
        on = {name for name, module in wanted.modules.items() if module.mode != "off"}
        assert trading.signals.modules.keys() | trading.signals.errors.keys() >= on

    def drawn(self):
        draw, settings = self.draw, self.settings
        limits = msgspec.structs.replace(
            settings.limits,
            order_notional_e6_max=draw.choice([0, 1, 20, 60, 120, 250]) * E6,
            order_notional_e6_min=draw.choice([1, 1, 1, 5, 100]) * E6,
            orders_per_s=draw.choice([0, 1, 5, 30, 100]),
            open_orders_max=draw.choice([0, 1, 5, 200]),
            market_loss_max_ppm=draw.choice([10_000, 50_000, 50_000, 400_000]),
            mode_min=draw.choice([1, 1, 1, 2, 3]),
        )
        hard = msgspec.structs.replace(
            settings.execution.limits, order_notional_max_e6=draw.choice([5, 100, 1_000]) * E6
        )
        modules = dict(settings.modules)
        name = draw.choice(["arbitrage", "latency", "latency", "nobody"])
        mode = draw.choice(["off", "shadow", "paper", "paper", "paper"])
        params = draw.choice([{}, {}, {"no_such_key": 1}])
        modules[name] = ModuleSettings(mode=mode, params=params)
        if name == "nobody" and mode == "off":
            del modules[name]
        return msgspec.structs.replace(
            settings,
            limits=limits,
            execution=msgspec.structs.replace(settings.execution, limits=hard),
            modules=modules,
        )


def trade(seed, seconds, every_ns, monkeypatch):
    with World(seed, WorldParams(kinds=())) as world:
        reloading = Reloading(world, seed, every_ns, monkeypatch)
        outcome = world.run(seconds)
        assert not outcome.violation, "\n".join([outcome.violation, *outcome.trace])
        assert outcome.decisions == outcome.signals > 0
        assert outcome.compared > 1
        orders = world.node.fused.trading.executor.desk.by_id.values()
        assert {order.config_generation for order in orders} <= reloading.accepted.keys()
    return reloading, outcome


def test_a_hundred_reloads_under_load(monkeypatch):
    reloading, outcome = trade(2, 6.0, 25 * MS, monkeypatch)
    assert reloading.number > 20
    assert reloading.refused > 20
    assert len(reloading.seen) > 5, "decisions were made under many generations"
    assert outcome.orders


@pytest.mark.stress
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_thousand_reloads_under_load(seed, monkeypatch):
    reloading, outcome = trade(seed, 20.0, 12 * MS, monkeypatch)
    assert reloading.number + reloading.refused > 1_000
    assert reloading.number > 150
    assert outcome.orders > 20
