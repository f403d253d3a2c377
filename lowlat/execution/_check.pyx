# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: auto_pickle=False
"""The executor's last look, compiled: facts, book, freshness, amounts, account, rate.

``FastCheck`` says yes only when every check of ``OrderSender`` would pass for an order that stands
alone; for anything else it says nothing and the checks decide. A test runs both over the same
inputs. No I/O.
"""

cimport cython
from libc.stdint cimport int64_t

from lowlat.book._view cimport BookView, i128
from lowlat.core._ends cimport row_end
from lowlat.core._freshness cimport Shards
from lowlat.core.layout cimport (
    LL_ACTION_BUY,
    LL_ACTION_SELL,
    LL_BOOKFLAG_TRUNCATED,
    ll_book_row,
    ll_intent,
)
from lowlat.execution._desk cimport AccountCells, DeskCells
from lowlat.execution._order cimport IntentView

from lowlat.core.layout import IntentFlag, OrderType
from lowlat.core.units import NO_PRICE_E4

__all__ = ["FactCells", "FastCheck", "MarketGate", "RateBucket"]

cdef enum:
    ONE_E4 = 10000
    MILLION = 1000000
    CENT_E6 = 10000
    DOLLAR_E6 = 1000000
    SECOND_NS = 1000000000
    BID = 0
    ASK = 1

cdef int REDUCE_ONLY = IntentFlag.REDUCE_ONLY
cdef int POST_ONLY = IntentFlag.POST_ONLY
cdef int GTD = OrderType.GTD
cdef int FOK = OrderType.FOK
cdef int FAK = OrderType.FAK
cdef int64_t NO_PRICE = NO_PRICE_E4
# More than this many millionths is for the checks: products below stay in 64 bits.
cdef int64_t SANE = 100000000000000
# A bound from here on is none; sums with it stay in 64 bits.
NO_LIMIT = 1 << 62


cdef class FactCells:
    """What a check needs to know of a token, as machine integers; ``Facts`` adds the rest.

    ``ladder_e6`` is the step of sizes at the tick, ``cut_e6`` that of the shares of a FOK or FAK
    BUY; both are 0 for a tick that the venue has not.
    """


@cython.final
cdef class MarketGate:
    """What MarketReader read, and the tables it reads, for the compiled checks."""

    def __init__(
        self, dict facts, learn, markets, book, BookView view not None, Shards shards not None
    ):
        """facts: FactCells by instrument, kept by ``learn``, which returns the newest or None.

        view: over the book's buffer.
        """
        self._facts = facts
        self._learn = learn
        self._markets = row_end(markets)
        self._books = row_end(book)
        self._view = view
        self._book_rows = book.rows
        self._shards = shards

    cdef FactCells facts(self, object instrument, object market):
        """Find the facts of the newest row, None when nothing is known of the token."""
        cdef FactCells known = self._facts.get(instrument)
        if known is None or known.version != self._markets.c_version(market):
            known = self._learn(instrument)
        return known

    cdef const ll_book_row *book(self, object market) except? NULL:
        """Read a market's book into the view; NULL when there is none to trade on."""
        if <int64_t>market >= self._book_rows or self._books.c_read(market) <= 0:
            return NULL
        return <const ll_book_row *>self._view.live()


@cython.final
cdef class RateBucket:
    """Token bucket of one kind of request, in the venue's terms; corrected by its headers.

    ``headroom`` tokens are kept for those who ask with ``reserve=True`` (unwinds).
    """

    def __init__(self, int64_t per_s, int64_t burst, int64_t headroom):
        assert 0 <= headroom < burst, f"headroom was {headroom}, expected 0 to {burst - 1}"
        self.per_s = per_s
        self.burst = burst
        self.headroom = headroom
        self._tokens_e9 = burst * SECOND_NS

    def set_tier(self, int64_t per_s, int64_t burst):
        """Take another tier's numbers."""
        self.per_s = per_s
        self.burst = burst
        self.headroom = min(self.headroom, burst - 1)
        self._tokens_e9 = min(self._tokens_e9, burst * SECOND_NS)

    def available(self, int64_t now_ns, *, bint reserve=False):
        """Return how many requests may go now."""
        self._refill(now_ns)
        if now_ns < self._blocked_ns:
            return 0
        return max(0, self._tokens_e9 // SECOND_NS - (0 if reserve else self.headroom))

    def take(self, int64_t count, int64_t now_ns, *, bint reserve=False):
        """Spend tokens when they are there; a batch that does not fit is refused whole."""
        return self.spend(count, now_ns, reserve)

    def give_back(self, int64_t count):
        """Return tokens of requests that never left."""
        self._tokens_e9 = min(self.burst * SECOND_NS, self._tokens_e9 + count * SECOND_NS)

    def block(self, int64_t until_ns):
        """Stop until a time: 429 with Retry-After."""
        self._blocked_ns = max(self._blocked_ns, until_ns)

    def correct(self, remaining, int64_t now_ns):
        """Believe the venue when it counts fewer tokens than we do; never when more.

        Answers overtake each other, so a larger number may be older than our own count.
        """
        self._refill(now_ns)
        if remaining < self.burst:
            self._tokens_e9 = min(self._tokens_e9, <int64_t>max(0, remaining) * SECOND_NS)

    cdef bint spend(self, int64_t count, int64_t now_ns, bint reserve) noexcept:
        self._refill(now_ns)
        if now_ns < self._blocked_ns:
            return False
        if self._tokens_e9 < (count if reserve else count + self.headroom) * SECOND_NS:
            return False
        self._tokens_e9 -= count * SECOND_NS
        return True

    cdef int _refill(self, int64_t now_ns) noexcept:
        cdef i128 grown_e9
        if now_ns > self._at_ns:
            if self._at_ns:
                grown_e9 = <i128>(now_ns - self._at_ns) * <i128>self.per_s + self._tokens_e9
                self._tokens_e9 = <int64_t>min(<i128>self.burst * <i128>SECOND_NS, grown_e9)
            self._at_ns = now_ns
        return 0


@cython.final
cdef class FastCheck:
    """The checks of OrderSender for the plain case, from its desk and its limits."""

    def __init__(
        self,
        DeskCells desk not None,
        AccountCells accounts not None,
        MarketGate gate not None,
        breaker,
        limits,
    ):
        """Bind what the checks of OrderSender read."""
        self._desk = desk
        self._accounts = accounts
        self._tripped = breaker.open_until
        self._closed = breaker.closed
        self._gate = gate
        self.bound_by(limits)

    def bound_by(self, limits):
        """Check against these HardLimits from here on."""
        self._shares_max_e6 = min(limits.order_shares_max_e6, NO_LIMIT)
        self._notional_max_e6 = min(limits.order_notional_max_e6, NO_LIMIT)
        self._open_max_e6 = min(limits.open_notional_max_e6, NO_LIMIT)
        self._band_e4 = min(limits.price_band_e4, NO_LIMIT)
        self._price_min_e4 = min(limits.price_min_e4, NO_LIMIT)
        self._price_max_e4 = min(limits.price_max_e4, NO_LIMIT)
        self._age_max_ns = min(limits.book_age_max_ns, NO_LIMIT)

    def clear(self, IntentView intent not None, int64_t now_ns):
        """Return whether every check passes; then the readonly fields say what is sent."""
        return self.passes(intent.raw, intent.raw.instrument, now_ns)

    cdef bint passes(self, const ll_intent *raw, object instrument, int64_t now_ns) except -1:
        """Check an order that stands alone; ``instrument`` is its own, as Python has it."""
        cdef FactCells facts
        cdef const ll_book_row *row
        cdef object market = raw.instrument >> 1
        if raw.intent_flags & ~(POST_ONLY | REDUCE_ONLY):
            return False
        if raw.order_type == GTD or raw.order_type > FAK:
            return False
        if raw.action > LL_ACTION_SELL or 0 < raw.expires_ns < now_ns or raw.id in self._desk.by_id:
            return False
        if not 0 < raw.size_e6 <= SANE or not 0 <= raw.spend_e6 <= SANE:
            return False
        if not 0 < raw.limit_price_e4 < ONE_E4:
            return False
        facts = self._gate.facts(instrument, market)
        if facts is None or facts.generation != raw.generation or not facts.tradeable:
            return False
        if self._tripped and not self._closed(market, now_ns):
            return False
        row = self._gate.book(market)
        if row == NULL or row.generation != facts.generation:
            return False
        # A ladder deeper than the row is whole as far as the row goes.
        if row.book_flags & ~LL_BOOKFLAG_TRUNCATED:
            return False
        if not self._gate._shards.fresh(row.shard, row.connection_generation, now_ns):
            return False
        if 0 < self._age_max_ns < now_ns - row.recv_ns:
            return False
        if not self._in_band(raw) or not self._amounts(raw, facts):
            return False
        if not self._account(raw, facts, market):
            return False
        self.facts = facts
        self.post = raw.order_type + (4 if raw.intent_flags & POST_ONLY else 0)
        return True

    cdef int _in_band(self, const ll_intent *raw) except -1:
        cdef BookView view = self._gate._view
        cdef int outcome = raw.instrument & 1
        cdef int64_t price_e4 = raw.limit_price_e4, touch_e4
        if not self._price_min_e4 <= price_e4 <= self._price_max_e4:
            return 0
        # A BUY is measured from the ask, a SELL from the bid; without it, from the other side.
        touch_e4 = view._touch(outcome, ASK if raw.action == LL_ACTION_BUY else BID)
        if touch_e4 == NO_PRICE:
            touch_e4 = view._touch(outcome, BID if raw.action == LL_ACTION_BUY else ASK)
        if touch_e4 == NO_PRICE:
            return 0
        if raw.action == LL_ACTION_BUY:
            return price_e4 <= touch_e4 + self._band_e4
        return price_e4 >= touch_e4 - self._band_e4

    cdef int _amounts(self, const ll_intent *raw, FactCells facts) except -1:
        """Work out what would be signed; 0 for what the rules of the venue refuse."""
        cdef int64_t price_e4 = raw.limit_price_e4, size_e6 = raw.size_e6, spend_e6, cash_e6
        cdef bint immediate = raw.order_type == FOK or raw.order_type == FAK
        cdef i128 paid
        if facts.ladder_e6 <= 0 or facts.cut_e6 <= 0 or facts.tick_e4 <= 0:
            return 0
        if price_e4 % facts.tick_e4 or not facts.tick_e4 <= price_e4 <= ONE_E4 - facts.tick_e4:
            return 0
        if immediate and raw.intent_flags & POST_ONLY:
            return 0
        if immediate and raw.action == LL_ACTION_BUY:
            spend_e6 = raw.spend_e6
            if not spend_e6:
                spend_e6 = self._gate._view._walk(
                    raw.instrument & 1, LL_ACTION_BUY, size_e6, -1, price_e4, -1, 1
                ).cost_e6
            spend_e6 -= spend_e6 % CENT_E6
            if not DOLLAR_E6 <= spend_e6 <= SANE:
                return 0
            self.maker_e6 = spend_e6
            self.taker_e6 = spend_e6 * ONE_E4 // price_e4
            self.taker_e6 -= self.taker_e6 % facts.cut_e6
            paid = <i128>(price_e4 + 1) * <i128>self.taker_e6
            return <i128>spend_e6 * <i128>ONE_E4 < paid
        if size_e6 % CENT_E6:
            return 0
        cash_e6 = size_e6 * price_e4 // ONE_E4
        if immediate:
            if cash_e6 % CENT_E6:
                return 0
        elif not raw.intent_flags & REDUCE_ONLY:
            if size_e6 % facts.ladder_e6 or size_e6 < facts.min_size_e6 or cash_e6 < DOLLAR_E6:
                return 0
        self.maker_e6 = cash_e6 if raw.action == LL_ACTION_BUY else size_e6
        self.taker_e6 = size_e6 if raw.action == LL_ACTION_BUY else cash_e6
        return 1

    cdef int _account(self, const ll_intent *raw, FactCells facts, object market) except -1:
        cdef bint buy = raw.action == LL_ACTION_BUY
        cdef AccountCells accounts = self._accounts
        cdef int64_t price_e4 = raw.limit_price_e4, size_e6 = raw.size_e6, left_e6
        cdef int64_t cash_e6 = self.maker_e6 if buy else self.taker_e6
        cdef dict own
        if size_e6 > self._shares_max_e6 or cash_e6 > self._notional_max_e6:
            return 0
        if (accounts.reserved_e6 if buy else 0) + cash_e6 > self._open_max_e6:
            return 0
        if buy and <i128>cash_e6 * <i128>ONE_E4 > <i128>size_e6 * <i128>price_e4:
            return 0
        own = self._desk.open.by_market.get(market)
        if own is not None and self._desk.open.find_crossing(
            own, raw.instrument & 1, raw.action, price_e4, False
        ) is not None:
            return 0
        self.hold_e6 = 0
        if buy:
            self.hold_e6 = cash_e6 + <int64_t>(
                (<i128>cash_e6 * <i128>facts.rate_e6 + (MILLION - 1)) // <i128>MILLION
            )
            return self.hold_e6 <= accounts.cash_e6 - accounts.reserved_e6
        left_e6 = accounts.shares_of(raw.instrument)
        if own is not None:
            left_e6 -= self._desk.open.sum_selling(own, raw.instrument)
        return size_e6 <= left_e6
