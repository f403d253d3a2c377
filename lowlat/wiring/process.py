"""The engines of one process: the roles that the topology gives it, in the order of their turns.

Used by every engine process (real ends) and by the world (simulated ends): what is tested is what
runs. ``spread`` gives each role a process of its own, ``fused`` all of them one; the stages are the
same and meet in the same streams.
"""

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Final

from lowlat.core._ends import HaltEnd
from lowlat.core.ports import Engine
from lowlat.wiring.ports import Connections, Keys, Memory, Meters, Settings
from lowlat.wiring.stages import (
    Site,
    binance_stage,
    metadata_stage,
    polymarket_stage,
    prices_stage,
)
from lowlat.wiring.trading import DECIDING, Trading

if TYPE_CHECKING:
    from lowlat.core.recovered import Recovered
    from lowlat.feeds.binance import BinanceFeed
    from lowlat.feeds.metadata import MetadataEngine
    from lowlat.feeds.polymarket import PolymarketFeed
    from lowlat.feeds.prices import PricesFeed
    from lowlat.venues.polymarket.eip712 import Signs

    _Feed = MetadataEngine | BinanceFeed | PricesFeed | PolymarketFeed

__all__ = ["ROLES", "ProcessEngines"]

ROLES: Final = ("metadata", "binance", "prices", "polymarket", *DECIDING)
"""Every role, in the order in which engines of one process start and turn."""

_DECIDES: Final = frozenset({"signals", "risk"})


class ProcessEngines:
    """The engines, made but not started. What a role brings is only set where it is here."""

    def __init__(
        self,
        config: Settings,
        memory: Memory,
        meters: Meters,
        keys: Keys | None,
        host: str,
        ends: Connections,
        recovered: "Recovered | None",
        *,
        roles: Collection[str] = ROLES,
        halted_elsewhere: HaltEnd | Callable[[], int] | None = None,
        signs: "Signs | None" = None,
    ) -> None:
        """``keys`` and ``signs`` are the executor's (see Trading), ``recovered`` also risk's.

        ``ends`` is asked only for the connections of roles that are here.
        """
        self.roles = frozenset(roles)
        assert self.roles <= frozenset(ROLES), f"roles {sorted(self.roles)}"
        site = Site(config, memory, meters, ends.clock, ends.note)
        self.trading = Trading(
            config,
            memory,
            meters,
            keys,
            host,
            ends.orders if "executor" in self.roles else None,
            recovered,
            clock=ends.clock,
            salts=ends.salts,
            note=ends.note,
            roles=self.roles,
            halted_elsewhere=halted_elsewhere,
            signs=signs,
        )
        self.engines: list[Engine] = []
        """All engines in the order in which they start and turn."""
        self._feeds: list[_Feed] = []
        if "metadata" in self.roles:
            self.metadata = metadata_stage(site, ends.gamma, ends.clob, ends.binance_rest)
            self._feeds.append(self.metadata)
        if "binance" in self.roles:
            self.binance = binance_stage(
                site, ends.binance_ws, ends.binance_rest, self.trading.pump_of_feed
            )
            self._feeds.append(self.binance)
        if "prices" in self.roles:
            self.prices = prices_stage(site, ends.prices_ws, ends.binance_rest, ends.prices_auth)
            self._feeds.append(self.prices)
        if "polymarket" in self.roles:
            self.market = polymarket_stage(
                site, ends.market_ws, ends.clob, self.trading.pump_of_feed
            )
            self._feeds.append(self.market)
        self.engines += [*self._feeds, *self.trading.engines]
        if "executor" in self.roles:
            from lowlat.wiring.user_channel import UserChannel

            executor = self.trading.executor
            self.user = UserChannel(ends.user_ws, executor.inbox, self.trading.api, ends.clock)
            self.engines.append(self.user)

    def unready(self) -> list[str]:
        """Return what does not work yet, by role; READY is said when there is nothing."""
        found = [feed.name for feed in self._feeds if not feed.ready]
        trading = self.trading
        # Beside a feed it may have to be READY before the executor can be: it says so itself then,
        # by deciding nothing until the account is known.
        if self.roles <= _DECIDES and "risk" in self.roles and trading.risk.state.waiting:
            found.append("risk")
        if "executor" in self.roles:
            if not trading.executor.ready:
                found.append("executor")
            if not self.user.is_open:
                found.append("user channel")
        return found
