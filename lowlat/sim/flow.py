"""The generated market: makers who follow fair values, at once or late, and the clock of takers.

Makers who see every move first (``maker_delay_ms`` and ``news_delay_ms`` (0, 0)) and no planted
edges are the null market, in which nothing can be won. Pure. Source: design 11.
"""

from random import Random
from typing import Final

from lowlat.core.units import E6, ONE_E4
from lowlat.sim.accounts import Account
from lowlat.sim.catalog import Market
from lowlat.sim.config import SimConfig
from lowlat.sim.exchange import Exchange
from lowlat.sim.ladder import Order
from lowlat.sim.listener import Listener
from lowlat.sim.quotes import fair_chance, ladder_of, ladder_order
from lowlat.sim.spot import SpotPath
from lowlat.sim.takers import Takers
from lowlat.sim.timers import Timers
from lowlat.sim.universe import Universe

__all__ = ["Flow"]

NS: Final = 1_000_000_000
MS: Final = 1_000_000
MAKER_CASH_E6: Final = 1_000_000_000 * E6
INVENTORY_E6: Final = 5_000 * E6


class Flow(Listener):
    """Makers and takers. Owns nothing but their accounts and quotes."""

    def __init__(
        self,
        config: SimConfig,
        exchange: Exchange,
        universe: Universe,
        spots: dict[str, SpotPath],
        timers: Timers,
        rng: Random,
    ) -> None:
        self._config = config.flow
        self._exchange = exchange
        self._universe = universe
        self._spots = spots
        self._timers = timers
        self._rng = rng
        self._makers = [self._account(f"maker {i}") for i in range(config.flow.makers)]
        self.takers = Takers(config.flow, exchange, universe, rng)
        self._moved = config.flow.requote_e4 / ONE_E4
        self._wide = {maker.wallet: i % 2 for i, maker in enumerate(self._makers)}
        self._quotes: dict[tuple[int, str], list[Order]] = {}
        self._quoted: dict[tuple[int, str], float] = {}
        self._open: list[Market] = []
        self._priced: dict[str, list[Market]] = {coin: [] for coin in spots}
        self.held: set[int] = set()
        """Markets whose quotes somebody else (a planted edge) is in charge of."""
        self.resting = False
        """Whether random makers and takers have gone home; prices still move quotes."""
        self.blind_until_ns: dict[str, int] = {}
        """Coins whose moves makers do not see before a time: a planted edge."""
        self.seen: dict[int, float] = {}
        """Fair values of price markets as the makers see them now: late."""
        exchange.listeners.append(self)

    def open(self, now_ns: int) -> None:
        """Start the clocks of random events."""
        self._next(now_ns)
        self._next_whale(now_ns)

    def come_back(self, now_ns: int) -> None:
        """Let the random makers and takers come back who had gone home."""
        self.resting = False
        self.open(now_ns)

    # ----------------------------------------------------------------------------- events
    def _next(self, now_ns: int) -> None:
        rate = self._config.events_per_s
        if rate and not self.resting:
            wait_ns = max(1, round(self._rng.expovariate(rate) * NS))
            self._timers.at(now_ns + wait_ns, self._event)

    def _event(self, now_ns: int) -> None:
        """Let one random maker or taker act in one random market."""
        self._next(now_ns)
        market = self._rng.choice(self._open) if self._open else None
        if market is None or not market.accepting or market.index in self.held:
            return
        if self._rng.randrange(ONE_E4) < self._config.taker_e4:
            for moved in self.takers.act(market, self.fair(market), now_ns):
                self.follow(moved, now_ns)
            return
        for moved in self._universe.drift(market, self._rng):
            self.follow(moved, now_ns)
        self._refresh_one(market, self._rng.choice(self._makers), now_ns)

    def _next_whale(self, now_ns: int) -> None:
        rate = self._config.whale_per_minute
        if rate and self._config.whales and not self.resting:
            wait_ns = max(1, round(self._rng.expovariate(rate / 60.0) * NS))
            self._timers.at(now_ns + wait_ns, self._on_whale)

    def _on_whale(self, now_ns: int) -> None:
        """Let a whale buy in one random market; its makers fill the book up again."""
        self._next_whale(now_ns)
        market = self._rng.choice(self._open) if self._open else None
        if market is None or not market.accepting or market.index in self.held:
            return
        if not self._config.adverse_e4:
            self.takers.whale(market, self._rng.randrange(2), now_ns)
        elif not market.coin:
            for moved in self.takers.whale_who_knows(market, now_ns):
                self.follow(moved, now_ns)
        self.quote_all(market, self.fair(market), now_ns)

    def follow(self, market: Market, now_ns: int) -> None:
        """Let those makers quote again whose quotes are too far from the fair value."""
        if market.index in self.held or not market.accepting:
            return
        fair = self.fair(market)
        behind = [
            maker
            for maker in self._makers
            if abs(fair - self._quoted.get((market.index, maker.wallet), fair)) >= self._moved
        ]
        if behind:
            self.quote(market, behind, fair, now_ns)

    def fair(self, market: Market) -> float:
        """Return the makers' present opinion of a market."""
        if market.coin:
            return self.seen[market.index]
        return self._universe.fair[market.index]

    def take_over(self, market: Market, now_ns: int) -> None:
        """Begin to quote a market; makers bring inventory to it."""
        if self._config.events_per_s and market.accepting:
            for maker in self._makers:
                self._exchange.accounts.split(maker, market.index, INVENTORY_E6)
            self.quote_all(market, self.fair(market), now_ns)

    def quote(self, market: Market, makers: list[Account], fair: float, now_ns: int) -> None:
        """Move the ladders of some makers in one change; levels that stay keep their place."""
        gone, fresh = self._moves(market, makers, fair)
        self._replace(market, gone, fresh, now_ns)

    def offer(
        self,
        market: Market,
        fair: float,
        levels: list[tuple[bool, int, int]],
        now_ns: int,
        *,
        bids: bool,
    ) -> None:
        """Quote one side around a value, nothing but ``levels`` on the other: all in one change.

        Levels (is_bid, YES price, size) rest in the name of the first maker.
        """
        gone, fresh = self._moves(market, self._makers, fair)
        leaving = {order.id for order in gone}
        gone += [
            order
            for maker in self._makers
            for order in self._quotes.get((market.index, maker.wallet), [])
            if order.is_bid != bids and order.id not in leaving
        ]
        fresh = [order for order in fresh if order.is_bid == bids]
        fresh += [ladder_order(market, self._makers[0], level, self._rng) for level in levels]
        self._replace(market, gone, fresh, now_ns)

    def _moves(
        self, market: Market, makers: list[Account], fair: float
    ) -> tuple[list[Order], list[Order]]:
        """Return what leaves and what comes when some makers quote around a value."""
        gone: list[Order] = []
        fresh: list[Order] = []
        for maker in makers:
            key = (market.index, maker.wallet)
            half_e4 = self.half_spread_e4(market) + self._wide[maker.wallet] * market.tick_e4
            ladder = ladder_of(market, fair, self._config.levels, half_e4, self._rng)
            wanted = {level[:2]: level for level in ladder}
            gone.extend(
                order
                for order in self._quotes.get(key, [])
                if wanted.pop((order.is_bid, order.yes_price_e4), None) is None
            )
            fresh += [ladder_order(market, maker, level, self._rng) for level in wanted.values()]
            self._quoted[key] = fair
        return gone, fresh

    def half_spread_e4(self, market: Market) -> int:
        """Return how far from the fair value the nearest quotes of a market stand."""
        return max(market.tick_e4, self._config.half_spread_e4)

    def quote_all(self, market: Market, fair: float, now_ns: int) -> None:
        """Let every maker quote a market."""
        self.quote(market, self._makers, fair, now_ns)

    def _replace(self, market: Market, gone: list[Order], fresh: list[Order], now_ns: int) -> None:
        rested = self._exchange.requote(market, gone, fresh, now_ns)
        for maker in self._makers:
            key = (market.index, maker.wallet)
            live = [order for order in self._quotes.get(key, []) if order.state == "LIVE"]
            self._quotes[key] = live + [o for o in rested if o.account == maker.wallet]

    def add_quotes(self, market: Market, levels: list[tuple[bool, int, int]], now_ns: int) -> None:
        """Rest more quotes (is_bid, YES price, size) in the name of the first maker."""
        maker = self._makers[0]
        orders = [ladder_order(market, maker, level, self._rng) for level in levels]
        self._replace(market, [], orders, now_ns)

    def pull(self, market: Market, now_ns: int, *, bids: bool) -> None:
        """Take every maker's quotes out of one side of a market."""
        gone = [
            order
            for maker in self._makers
            for order in self._quotes.get((market.index, maker.wallet), [])
            if order.is_bid == bids
        ]
        self._replace(market, gone, [], now_ns)

    def _refresh_one(self, market: Market, maker: Account, now_ns: int) -> None:
        """Change the size of one standing quote: the most common event of a real book."""
        key = (market.index, maker.wallet)
        live = [order for order in self._quotes.get(key, []) if order.state == "LIVE"]
        if len(live) < self._config.levels:
            self.quote(market, [maker], self.fair(market), now_ns)
            return
        old = self._rng.choice(live)
        size_e6 = max(20 * E6, old.size_e6 + self._rng.randrange(-10, 11) * E6)
        level = (old.is_bid, old.yes_price_e4, size_e6)
        self._replace(market, [old], [ladder_order(market, maker, level, self._rng)], now_ns)

    # ----------------------------------------------------------------------------- prices
    def on_spot(self, coin: str, now_ns: int) -> None:
        """See the exchange move: each price market's fair value follows after the makers' delay."""
        if now_ns < self.blind_until_ns.get(coin, 0):
            return
        spot = self._spots[coin]
        low_ms, high_ms = self._config.maker_delay_ms
        for market in self._priced[coin]:
            chance = fair_chance(market, spot, now_ns)
            if abs(chance - self.seen[market.index]) < self._moved:
                continue
            if not high_ms:
                self._reprice(market, chance, now_ns)
                continue
            due_ns = now_ns + self._rng.randint(low_ms, high_ms) * MS
            self._timers.at(due_ns, _Reprice(self, market, chance))

    def priced(self, coin: str) -> list[Market]:
        """Return the open markets that a coin's price decides."""
        return list(self._priced[coin])

    def reprice_late(self, market: Market, chance: float, now_ns: int) -> None:
        """Take over a fair value seen some time ago, unless a newer one is already quoted."""
        if abs(chance - self.seen[market.index]) >= self._moved:
            self._reprice(market, chance, now_ns)

    def _reprice(self, market: Market, chance: float, now_ns: int) -> None:
        self.seen[market.index] = chance
        if market.accepting and market.index not in self.held:
            self.quote_all(market, chance, now_ns)

    # ----------------------------------------------------------------------------- listener
    def on_new_market(self, market: Market, now_ns: int) -> None:
        """Quote a new market at once, unless something else plays it or nobody ever does."""
        if market.kind == "quiet":
            return
        self._open.append(market)
        if market.coin:
            self._priced[market.coin].append(market)
            self.seen[market.index] = fair_chance(market, self._spots[market.coin], now_ns)
        if market.index not in self.held:
            self.take_over(market, now_ns)

    def on_resolved(self, market: Market, now_ns: int) -> None:
        """Forget a market that ended."""
        del now_ns
        if market.kind == "quiet":
            return
        self._open.remove(market)
        if market.coin:
            self._priced[market.coin].remove(market)
        for maker in self._makers:
            self._quotes.pop((market.index, maker.wallet), None)
            self._quoted.pop((market.index, maker.wallet), None)
        self.seen.pop(market.index, None)

    def on_tick(self, market: Market, old_tick_e4: int, now_ns: int) -> None:
        """Quote anew on the new grid."""
        del old_tick_e4
        if self._config.events_per_s and market.kind != "quiet":
            self.quote_all(market, self.fair(market), now_ns)

    def _account(self, name: str) -> Account:
        wallet = f"0x{self._rng.getrandbits(160):040x}"
        return self._exchange.accounts.open(wallet, name, 0, MAKER_CASH_E6)


class _Reprice:
    """A fair value on its way to the makers."""

    __slots__ = ("_chance", "_flow", "_market")

    def __init__(self, flow: Flow, market: Market, chance: float) -> None:
        self._flow = flow
        self._market = market
        self._chance = chance

    def __call__(self, now_ns: int) -> None:
        """Arrive."""
        if not self._market.closed:
            self._flow.reprice_late(self._market, self._chance, now_ns)
