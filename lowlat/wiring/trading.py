"""The deciding stages of one process: signals, risk, executor, or those of them that live there.

They meet in the streams exactly as they would across processes. Where all three share a process
with the feed, ``pump`` runs their turns right behind the frame that caused them.
"""

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Final

from lowlat.core._ends import HaltEnd, Halts
from lowlat.core.layout import Rule
from lowlat.core.ports import Clock, Engine, Salts, Transport
from lowlat.feeds.ports import Note
from lowlat.wiring._pump import Pump
from lowlat.wiring.capture_tags import Tag
from lowlat.wiring.ports import Keys, Memory, Meters, Settings
from lowlat.wiring.reload import Reloads
from lowlat.wiring.stages import Site, executor_stage, risk_stage, signals_stage

if TYPE_CHECKING:
    from lowlat.core.recovered import Recovered
    from lowlat.venues.polymarket.eip712 import Signs

__all__ = ["DECIDING", "Trading"]

DECIDING: Final = ("signals", "risk", "executor")
"""Roles of this file, in the order of their turns."""
_HALTED: Final = int(Rule.HALTED)


class Trading:
    """Deciding engines over one memory. ``halt`` is this process's halt cell.

    An engine whose role is elsewhere does not exist here: ``executor``, ``risk``, ``signals`` and
    what belongs to them are only set where ``roles`` names them.
    """

    def __init__(
        self,
        config: Settings,
        attachment: Memory,
        metrics: Meters,
        credentials: Keys | None,
        host: str,
        transport: Transport | None,
        recovered: "Recovered | None",
        *,
        clock: Clock,
        salts: Salts,
        note: Note | None = None,
        roles: Collection[str] = DECIDING,
        halted_elsewhere: HaltEnd | Callable[[], int] | None = None,
        signs: "Signs | None" = None,
    ) -> None:
        """Only the executor needs ``credentials`` and ``transport``.

        ``halted_elsewhere`` reads the halt cells of the other trading processes. ``signs`` stands
        for the key of ``credentials`` in a replay, which has none.
        """
        self.told: Callable[[int, int, object], None] = _untold
        """Hears, before it is done, what somebody outside makes these engines do."""
        self.roles = frozenset(roles) & frozenset(DECIDING)
        self._now_ns = clock.monotonic_ns
        self.halt = metrics.gauge("halt")
        self.draining = metrics.gauge("draining")
        site = Site(config, attachment, metrics, clock, note or _forget)
        if "executor" in self.roles:
            assert credentials is not None, "an executor without keys"
            assert transport is not None, "an executor without connections"
            from lowlat.venues.polymarket.auth import ApiCredentials, L2Auth
            from lowlat.venues.polymarket.requests import ClobRequests
            from lowlat.wiring.interest import Nominator

            self.api = ApiCredentials(
                credentials.api_key, credentials.api_secret, credentials.api_passphrase
            )
            self.requests = ClobRequests(host, L2Auth(credentials.address, self.api))
            self.executor = executor_stage(
                site, credentials, self.requests, transport, salts, recovered, signs
            )
            self.nominator = Nominator(attachment.open_table_reader("interest"), self.executor)
        if "risk" in self.roles:
            self.halted = Halts(self.halt, self.draining, halted_elsewhere, _HALTED)
            self.risk = risk_stage(site, self.halted, self._pull_halt, recovered)
        if "signals" in self.roles:
            from lowlat.wiring.modules import build_modules

            self.signals, self.interest = signals_stage(site, build_modules(config))
        if len(self.roles) == len(DECIDING):
            self.pump = Pump(clock, self.signals.path, self.risk.plain, self.executor.path)
        self._reloads = Reloads(
            config,
            signals=self.signals if "signals" in self.roles else None,
            risk=self.risk if "risk" in self.roles else None,
            executor=self.executor if "executor" in self.roles else None,
        )
        self._wake_halted()

    def _wake_halted(self) -> None:
        """Go on as the last life ended: a halt outlives its process, an order to end does not."""
        self.draining.set(0)
        if "executor" not in self.roles:
            return
        if self.halt.value and not self.executor.halted:
            self.executor.hold(f"halt of an earlier life: {Rule(self.halt.value).name.lower()}")
        elif self.executor.halted and not self.halt.value:
            self.halt.set(int(Rule.HALTED))

    @property
    def engines(self) -> list[Engine]:
        """The engines that are here, in the order of their turns."""
        found: list[Engine] = []
        if "signals" in self.roles:
            found += [self.signals, self.interest]
        if "risk" in self.roles:
            found.append(self.risk)
        if "executor" in self.roles:
            found += [self.executor, self.nominator]
        return found

    def reload(self, config: Settings, generation: int) -> None:
        """Run on another config from here on; raises ConfigError and changes nothing instead."""
        self.told(Tag.RELOAD, generation, config)
        self._reloads.apply(config, generation)

    @property
    def pump_of_feed(self) -> Callable[[], None] | None:
        """What a feed in the same process calls behind each frame; None when nobody is here.

        Without signals nobody reads what a feed says; without the rest it goes on elsewhere.
        """
        if "signals" not in self.roles:
            return None
        return self.pump if len(self.roles) == len(DECIDING) else self._pump_some

    def _pump_some(self) -> None:
        """Run the turns of those that are here, once: the others live in their own loops."""
        for engine in self.engines:
            engine.turn(self._now_ns())

    def halt_now(self, code: int, reason: str) -> None:
        """Set this process's halt cell: nothing urgent leaves from the next write on."""
        self.told(Tag.HALT, code, reason)
        self._halt_now(code, reason)

    def _halt_now(self, code: int, reason: str) -> None:
        self.halt.set(code)
        if "executor" in self.roles:
            self.executor.halt(reason, self._now_ns())

    def drain(self) -> None:
        """Take no new orders for the rest of this life; the next one trades again."""
        self.told(Tag.DRAIN, 0, "")
        self.draining.set(1)
        if "executor" in self.roles:
            self.executor.hold("drain")

    def resume(self) -> None:
        """Lift every halt of this process; only ever called because a person asked."""
        self.told(Tag.RESUME, 0, "")
        self.halt.set(0)
        if "risk" in self.roles:
            self.risk.resume()
        if "executor" in self.roles:
            self.executor.resume(self._now_ns())
            if self.draining.value:
                self.executor.hold("drain")

    def cancel(self, order_id: int) -> None:
        """Cancel an order by our id of it, in the next turn."""
        self.told(Tag.CANCEL, order_id, "")
        self.executor.cancel(order_id)

    def check_balances(self, now_ns: int) -> None:
        """Have the executor compare balances with the venue: the end of a drain waits for it."""
        self.told(Tag.CHECK, now_ns, "")
        self.executor.reconciler.check_balances(now_ns)

    def open_orders(self) -> int:
        """Count orders that rest or whose fate is not known."""
        return sum(order.open for order in self.executor.desk.by_id.values())

    def at_rest(self) -> bool:
        """Whether nothing is under way: no open order, no unsettled fill, no open group."""
        executor = self.executor
        return not (self.open_orders() or executor.desk.unsettled or executor.groups.active)

    def _pull_halt(self, code: int, reason: bytes) -> None:
        self._halt_now(code, reason.decode("ascii", "replace"))


def _forget(kind: str, sample: str) -> None:
    """Keep no note of faults: they are counted all the same."""
    del kind, sample


def _untold(tag: int, number: int, what: object) -> None:
    """Nobody wants to hear it."""
    del tag, number, what
