"""A pool of signed orders kept ready: the signature and the HMAC are paid for in idle turns.

Owned by the executor, driven by its idle turns: ``refresh`` does one piece of work, at most one
signature. ``take`` hands out bytes and the order id they stand for, once: the venue refuses the
same order twice, and the id must be in the order's row before the bytes leave. Type, expiry and
post-only are outside the signature (polymarket.md 3.1), so one template serves them all; one kept
for FOK and taken as GTC costs a rendering, no signature.

A template dies when the book moves away from its price, when tick or exchange change, after
``template_age_max_ns``, or with the interest in its side.
"""

from typing import Final, NamedTuple

from lowlat.core.errors import LocalProtocolError
from lowlat.core.layout import Action, Exchange, OrderType
from lowlat.core.ports import Clock, Salts
from lowlat.core.units import NO_PRICE_E4, ONE_E4
from lowlat.execution._check import FactCells
from lowlat.execution._pool import Hot, Ready, ReadyOrders
from lowlat.execution.books import MarketReader
from lowlat.execution.params import ExecutorParams
from lowlat.venues.polymarket.amounts import (
    CENT_E6,
    MIN_NOTIONAL_E6,
    Amounts,
    floor_to_ladder,
    market_buy_amounts,
)
from lowlat.venues.polymarket.orders import (
    OrderTemplate,
    PostParams,
    ready_order,
    sign_template,
)
from lowlat.venues.polymarket.requests import ClobRequests
from lowlat.venues.polymarket.signing import OrderFields, OrderSigner

__all__ = ["POSTS", "Taken", "TemplatePool"]

_SECOND_NS: Final = 1_000_000_000
_MS_NS: Final = 1_000_000
_SCAN: Final = 8
"""Entries looked at by one refresh that finds nothing to do."""
POSTS: Final = {
    kind + 4 * only: PostParams(kind, 0, only)
    for kind in (OrderType.GTC, OrderType.FOK, OrderType.FAK)
    for only in (False, True)
}
"""How orders without an expiry are posted, by type, +4 for post-only."""

Key = tuple[int, int, int, int]
"""instrument, action, maker amount, taker amount"""


class Taken(NamedTuple):
    """An order ready to send: its template, and the whole request unless it goes in a batch."""

    template: OrderTemplate
    request: bytes
    hit: bool


class TemplatePool:
    """Signed orders for the hot set. Counts ``hits``, ``misses`` and ``signed``."""

    def __init__(
        self,
        markets: MarketReader,
        signer: OrderSigner,
        requests: ClobRequests,
        salts: Salts,
        clock: Clock,
        params: ExecutorParams,
    ) -> None:
        self._markets = markets
        self._signer = signer
        self._requests = requests
        self._salts = salts
        self._clock = clock
        self._params = params
        self.ready = ReadyOrders(params.templates_max)
        self.posts = POSTS
        self._todo = self.ready.todo
        self._hot: dict[tuple[int, int], Hot] = {}
        self._hot_ring: list[Hot] = []
        self._hot_at = 0
        self._ring: list[Ready] = []
        self._ring_at = 0
        self._renews_first = False
        self._last_ms = 0
        self.signed = 0
        self.renewed = 0

    def __len__(self) -> int:
        return len(self.ready)

    @property
    def hits(self) -> int:
        """Orders that were ready when they were wanted."""
        return self.ready.hits

    @property
    def misses(self) -> int:
        """Orders that had to be signed on the spot."""
        return self.ready.misses

    # --------------------------------------------------------------------------- interest
    def nominate(
        self, instrument: int, action: int, now_ns: int, price_e4: int = NO_PRICE_E4
    ) -> bool:
        """Keep a side of a token signed for a while, and a price of it when named.

        False when the hot set is full.
        """
        hot = self._hot.get((instrument, action))
        if hot is None:
            if len(self._hot) >= self._params.hot_max:
                self._expire(now_ns)
                if len(self._hot) >= self._params.hot_max:
                    return False
            hot = self._hot[instrument, action] = Hot(instrument, action)
            self._hot_ring.append(hot)
        hot.expires_ns = now_ns + self._params.hot_ttl_ns
        if price_e4 != NO_PRICE_E4:
            if price_e4 not in hot.prices_e4:
                hot.version = -1
            hot.prices_e4[price_e4] = hot.expires_ns
        return True

    def _expire(self, now_ns: int) -> None:
        for key in [key for key, hot in self._hot.items() if now_ns >= hot.expires_ns]:
            self._drop_hot(self._hot.pop(key))

    def _drop_hot(self, hot: Hot) -> None:
        self._hot_ring.remove(hot)
        for key in hot.keys:
            self.ready.pop(key)

    # --------------------------------------------------------------------------- hot path
    def take(
        self,
        instrument: int,
        action: int,
        amounts: Amounts,
        exchange: int,
        token_id: int,
        post: PostParams,
        *,
        alone: bool = True,
    ) -> Taken:
        """Return an order of these amounts that was never handed out: a ready one, or a new one.

        ``alone=False`` leaves the request empty: the template goes into a batch.
        """
        key = (instrument, action, amounts[0], amounts[1])
        return self.take_key(key, exchange, token_id, post, alone=alone)

    def take_key(
        self, key: Key, exchange: int, token_id: int, post: PostParams, *, alone: bool = True
    ) -> Taken:
        """Take by the key of what is wanted (see ``take``). Hot."""
        ready = self.ready.take_key(key, exchange)
        if ready is None:
            template = self._sign_missed(key, exchange, token_id)
            return Taken(template, self.render(template, post) if alone else b"", hit=False)
        self._todo.append(ready.key)
        if not alone:
            return Taken(ready.template, b"", hit=True)
        if post != POSTS[ready.post]:
            return Taken(ready.template, self.render(ready.template, post), hit=True)
        # Idle turns keep the second current; only after a long busy stretch is this needed.
        second = self._clock.wall_ns() // _SECOND_NS
        if not 0 <= second - ready.timestamp_s <= self._params.template_stale_s:
            ready.renew(second)
            self.ready.late += 1
        return Taken(ready.template, ready.wire, hit=True)

    def make(self, key: Key, facts: FactCells, post: int, now_ns: int) -> Ready:
        """Return an order that was not ready, signed on the spot, for the compiled path."""
        template = self._sign_missed(key, facts.exchange, facts.token_number)
        return self._rendered(key, facts.generation, template, post, None, now_ns)

    def _sign_missed(self, key: Key, exchange: int, token_id: int) -> OrderTemplate:
        self._want_again(key)
        return self._sign(exchange, token_id, key[1], Amounts(key[2], key[3]))

    def _rendered(
        self,
        key: Key,
        generation: int,
        template: OrderTemplate,
        post: int,
        hot: Hot | None,
        now_ns: int,
    ) -> Ready:
        second = self._clock.wall_ns() // _SECOND_NS
        request = ready_order(self._requests, template, POSTS[post], second)
        return Ready(key, generation, template, request, post, hot, now_ns)

    def _want_again(self, key: Key) -> None:
        """Queue an order of the hot set that was taken, dropped or never got its turn."""
        hot = self._hot.get(key[:2])
        if hot is not None and key in hot.keys:
            self._todo.append(key)

    def render(self, template: OrderTemplate, post: PostParams) -> bytes:
        """Return the request that posts a template in this way."""
        second = self._clock.wall_ns() // _SECOND_NS
        return ready_order(self._requests, template, post, second).wire

    def _sign(self, exchange: int, token_id: int, action: int, amounts: Amounts) -> OrderTemplate:
        # Never in the future, never falling: the salt makes ids differ. Source: polymarket.md 3.3.
        self._last_ms = max(self._last_ms, self._clock.wall_ns() // _MS_NS)
        fields = OrderFields(
            self._salts.next_salt(),
            token_id,
            amounts.maker_e6,
            amounts.taker_e6,
            Action(action),
            self._last_ms,
        )
        self.signed += 1
        return sign_template(self._signer, Exchange(exchange), fields)

    # --------------------------------------------------------------------------- idle turns
    def refresh(self, now_ns: int) -> int:
        """Do one piece of idle work: sign one order, renew one HMAC or plan one side.

        0: the few entries looked at this time need nothing.
        """
        while self._todo:
            if self._sign_next(self._todo.pop(), now_ns):
                return 1
        # In turns: books move all the time and seconds pass all the time.
        self._renews_first = not self._renews_first
        if self._renews_first:
            return self._renew_one(now_ns) or self._plan_one(now_ns)
        return self._plan_one(now_ns) or self._renew_one(now_ns)

    def _sign_next(self, key: Key, now_ns: int) -> bool:
        instrument, action, maker_e6, taker_e6 = key
        hot = self._hot.get((instrument, action))
        row = self._markets.market(instrument >> 1)
        token = self._markets.instruments.by_index.get(instrument)
        full = len(self.ready) >= self._params.templates_max
        if full or hot is None or key not in hot.keys or key in self.ready:
            return False
        if row is None or token is None or row.exchange == Exchange.UNKNOWN:
            return False
        amounts = Amounts(maker_e6, taker_e6)
        template = self._sign(row.exchange, int(token.token_id), action, amounts)
        post = OrderType.FOK if self._params.template_fill_or_kill else OrderType.FAK
        ready = self._rendered(key, row.generation, template, post, hot, now_ns)
        self.ready.put(ready)
        self._ring.append(ready)
        return True

    def _renew_one(self, now_ns: int) -> int:
        ring = self._ring
        second = self._clock.wall_ns() // _SECOND_NS
        for _ in range(min(_SCAN, len(ring))):
            if self._ring_at >= len(ring):
                self._ring_at = 0
            at = self._ring_at
            ready = ring[at]
            if self.ready.get(ready.key) is not ready:
                # Taken or dropped since: the last of the ring takes its place.
                ring[at] = ring[-1]
                ring.pop()
                if not ring:
                    return 0
                continue
            self._ring_at += 1
            if now_ns - ready.signed_ns >= self._params.template_age_max_ns:
                self.ready.pop(ready.key)
                self._todo.append(ready.key)
                return 1
            if abs(second - ready.timestamp_s) >= self._params.template_renew_s:
                ready.renew(second)
                self.renewed += 1
                return 1
        return 0

    def _plan_one(self, now_ns: int) -> int:
        ring = self._hot_ring
        for _ in range(min(_SCAN, len(ring))):
            self._hot_at = (self._hot_at + 1) % len(ring)
            hot = ring[self._hot_at]
            if now_ns >= hot.expires_ns:
                del self._hot[hot.instrument, hot.action]
                self._drop_hot(hot)
                return 1
            market = hot.instrument >> 1
            row = self._markets.market(market)
            version = self._markets.book_version(market)
            if row is None or version == hot.version:
                continue
            hot.version = version
            self._plan(hot, now_ns)
            return 1
        return 0

    def _plan(self, hot: Hot, now_ns: int) -> None:
        """Compare what should be signed for a side with what is, and queue the difference."""
        wanted = self._wanted(hot, now_ns)
        for key in hot.keys:
            if key not in wanted:
                self.ready.pop(key)
        row = self._markets.market(hot.instrument >> 1)
        missing = []
        for key in wanted:
            ready = self.ready.get(key)
            if ready is not None and row is not None:
                if (ready.generation, ready.exchange) == (row.generation, row.exchange):
                    continue
                self.ready.pop(key)
            missing.append(key)
        hot.keys = wanted
        # Taken from the end: the nearest prices, which come first, are signed first.
        self._todo.extend(reversed(missing))

    def _wanted(self, hot: Hot, now_ns: int) -> dict[Key, None]:
        market = hot.instrument >> 1
        row = self._markets.market(market)
        view = self._markets.book(market)
        if row is None or view is None or view.generation != row.generation or not row.tick_e4:
            return {}
        outcome, action, tick_e4 = hot.instrument & 1, hot.action, row.tick_e4
        rungs = sorted({floor_to_ladder(size, tick_e4) for size in self._params.template_rungs_e6})
        rungs = [size for size in rungs if size and size >= row.min_size_e6]
        buy = action == Action.BUY
        touch_e4 = view.best_ask_e4(outcome) if buy else view.best_bid_e4(outcome)
        hot.prices_e4 = {each: end for each, end in hot.prices_e4.items() if now_ns < end}
        wanted: dict[Key, None] = {}
        for price_e4 in [*self._near(touch_e4, tick_e4, buy=buy), *hot.prices_e4]:
            if not tick_e4 <= price_e4 <= ONE_E4 - tick_e4 or price_e4 % tick_e4:
                continue
            for size_e6 in rungs:
                cash_e6 = size_e6 * price_e4 // ONE_E4
                if cash_e6 >= MIN_NOTIONAL_E6:
                    amounts = (cash_e6, size_e6) if buy else (size_e6, cash_e6)
                    wanted[hot.instrument, action, *amounts] = None
        if buy:
            for size_e6 in rungs:
                walk = view.walk_size(outcome, action, size_e6)
                spend_e6 = walk.cost_e6 - walk.cost_e6 % CENT_E6
                if walk.complete and walk.levels > 1 and spend_e6 >= MIN_NOTIONAL_E6:
                    deep = _deep_amounts(spend_e6, walk.worst_price_e4, tick_e4)
                    if deep is not None:
                        wanted[hot.instrument, action, *deep] = None
        return wanted

    def _near(self, touch_e4: int, tick_e4: int, *, buy: bool) -> list[int]:
        """Return the touch, the ticks around it and those of an edge, nearest first."""
        if touch_e4 == NO_PRICE_E4:
            return []
        steps = range(1, self._params.template_reach_ticks + 1)
        around = [touch_e4 + sign * step * tick_e4 for step in steps for sign in (1, -1)]
        better = -tick_e4 if buy else tick_e4
        edge = range(self._params.template_reach_ticks + 1, self._params.template_edge_ticks + 1)
        return [touch_e4, *around, *(touch_e4 + better * step for step in edge)]


def _deep_amounts(spend_e6: int, worst_price_e4: int, tick_e4: int) -> Amounts | None:
    try:
        return market_buy_amounts(spend_e6, worst_price_e4, tick_e4)
    except LocalProtocolError:
        # So small that rounding its shares reaches the next price: nothing to keep signed.
        return None
