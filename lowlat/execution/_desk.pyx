# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: auto_pickle=False
"""The executor's books, compiled: own orders by id and market, cash held, rows, open questions.

Bases and parts of OrderDesk, Accounts and InFlight; no I/O. What each plain order changes is here;
fills, corrections and restarts are in desk.py and accounts.py.
"""

cimport cython
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memset

from lowlat.core.layout cimport (
    LL_ACTION_BUY,
    LL_ACTION_SELL,
    LL_OUTCOME_YES,
    LL_SLOT_HEAD_BYTES,
    ll_cash_row,
)
from lowlat.execution._order cimport Order

__all__ = ["AccountCells", "DeskCells", "InFlight", "OpenOrders", "PositionCells", "Question"]

cdef enum:
    ONE_E4 = 10000
cdef uint64_t SEQ_MASK = (<uint64_t>1 << 40) - 1


cdef inline bint _buys_yes(int outcome, int action) noexcept:
    return (action == LL_ACTION_BUY) == (outcome == LL_OUTCOME_YES)


cdef inline int64_t _yes_e4(int outcome, int64_t price_e4) noexcept:
    return price_e4 if outcome == LL_OUTCOME_YES else ONE_E4 - price_e4


@cython.final
cdef class OpenOrders:
    """Own orders that may still trade, by market, for the self-cross check."""

    def __cinit__(self):
        self.by_market = {}

    def __len__(self):
        return sum(len(each) for each in self.by_market.values())

    def add(self, Order order not None):
        """Count an order in."""
        self.put(order)

    def discard(self, Order order not None):
        """Count an order out; nothing when it was not in."""
        self.remove(order)

    def of(self, market):
        """Return the market's open orders."""
        return self.by_market.get(market, {})

    def all(self):
        """Return every open order."""
        return [order for orders in self.by_market.values() for order in orders.values()]

    def crossing(
        self, market, int outcome, int action, int64_t price_e4, *, bint resting=False
    ):
        """Return an own order that this one would trade with, in either token of the market.

        Both are put in YES terms: buying NO at q is selling YES at 1 - q. Source: design 8.
        ``resting``: leave out orders that never rest. An immediate order cannot meet them, and an
        unwinding must not wait until the fate of one that got no answer is known.
        """
        cdef dict orders = self.by_market.get(market)
        if orders is None:
            return None
        return self.find_crossing(orders, outcome, action, price_e4, resting)

    def selling_e6(self, market, uint32_t instrument):
        """Return shares of the instrument that open SELL orders may still give away."""
        cdef dict orders = self.by_market.get(market)
        return 0 if orders is None else self.sum_selling(orders, instrument)

    cdef int put(self, Order order) except -1:
        cdef object market = order.market
        cdef dict orders = self.by_market.get(market)
        if orders is None:
            self.by_market[market] = {order.id: order}
        else:
            orders[order.id] = order
        return 0

    cdef int remove(self, Order order) except -1:
        cdef object market = order.market
        cdef dict orders = self.by_market.get(market)
        if orders is not None:
            orders.pop(order.id, None)
            if not orders:
                del self.by_market[market]
        return 0

    cdef Order find_crossing(
        self, dict orders, int outcome, int action, int64_t price_e4, bint resting
    ):
        cdef Order order
        cdef bint buys = _buys_yes(outcome, action)
        cdef int64_t yes_e4 = _yes_e4(outcome, price_e4), other_e4
        for order in orders.values():
            if _buys_yes(order.instrument & 1, order.action) == buys:
                continue
            if resting and order.is_immediate():
                continue
            other_e4 = _yes_e4(order.instrument & 1, order.price_e4)
            if yes_e4 >= other_e4 if buys else yes_e4 <= other_e4:
                return order
        return None

    cdef int64_t sum_selling(self, dict orders, uint32_t instrument) except -1:
        cdef Order order
        cdef int64_t total_e6 = 0
        for order in orders.values():
            if order.instrument == instrument and order.action == LL_ACTION_SELL:
                total_e6 += order.rest()
        return total_e6


cdef class PositionCells:
    """Shares of one token that came and went; ``Position`` adds what they cost."""

    @property
    def size_e6(self):
        """Shares held."""
        return self.bought_e6 - self.sold_e6


cdef class AccountCells:
    """Cash, what is spoken for of it, and positions by instrument."""

    def __cinit__(self, *_args, **_kwargs):
        self.positions = {}

    @property
    def free_e6(self):
        """Cash nobody has claimed."""
        return self.cash_e6 - self.reserved_e6

    def size_e6(self, instrument):
        """Return shares held of an instrument, 0 when none."""
        return self.shares_of(instrument)

    def hold(self, Order order not None):
        """Recompute what the order holds of the cash. The caller writes the rows."""
        self.hold_again(order)

    cdef int64_t shares_of(self, object instrument) except? -1:
        cdef PositionCells held = self.positions.get(instrument)
        return 0 if held is None else held.bought_e6 - held.sold_e6

    cdef int hold_again(self, Order order) except -1:
        cdef int64_t held_e6 = order.hold()
        self.reserved_e6 += held_e6 - order.reserved_e6
        order.reserved_e6 = held_e6
        return 0

    cdef int put_cash(self, ll_cash_row *row, uint64_t record, uint64_t position) noexcept:
        """Fill the cash row in, without a booking to redo."""
        memset(&row.id, 0, sizeof(ll_cash_row) - LL_SLOT_HEAD_BYTES)
        row.id = record
        row.cash_e6 = self.cash_e6
        row.reserved_e6 = self.reserved_e6
        row.fees_e6 = self.fees_e6
        row.realized_e6 = self.realized_e6
        row.reconciled_ns = self.reconciled_ns
        row.report_position = position
        return 0


cdef class DeskCells:
    """Own orders by id, names for records, rows of the orders table that are free, oldest first.

    ``unsettled``: orders of which something is still expected, open ones included.
    """

    def __cinit__(self, *_args, **_kwargs):
        self.by_id = {}
        self.by_order_id = {}
        self.unsettled = {}
        self.open = OpenOrders()

    def __dealloc__(self):
        PyMem_Free(self._free)

    def bind(self, uint64_t id_base, uint32_t rows):
        """Name records from ``id_base`` on and hand out so many rows, all free."""
        PyMem_Free(self._free)
        self._free = <uint32_t *>PyMem_Malloc(max(rows, 1) * sizeof(uint32_t))
        if self._free == NULL:
            raise MemoryError(f"no memory for {rows} rows")
        self._id_base = id_base
        self._rows = rows
        self.free_rows(range(rows))

    def free_rows(self, rows):
        """Take these rows, and no others, for free."""
        self._free_at = self._free_count = 0
        for row in rows:
            self.push_row(row)

    @property
    def rows_ready(self):
        """Rows that are free now."""
        return self._free_count

    def take_in(self, Order order not None):
        """Find the order by its ids from here on; open ones also by market."""
        self.index(order)

    def new_id(self):
        """Name a record of the executor: a report, or an order no intent asked for."""
        return self.next_id()

    def next_row(self):
        """Hand out the row that was freed first, -1 when none is."""
        return self.pop_row()

    def give_row(self, uint32_t row):
        """Take a row back."""
        self.push_row(row)

    cdef uint64_t next_id(self) noexcept:
        self._seq += 1
        return self._id_base | (self._seq & SEQ_MASK)

    cdef int64_t pop_row(self) noexcept:
        cdef uint32_t row
        if self._free_count == 0:
            return -1
        row = self._free[self._free_at]
        self._free_at = self._free_at + 1 if self._free_at + 1 < self._rows else 0
        self._free_count -= 1
        return row

    cdef int push_row(self, uint32_t row) except -1:
        cdef uint64_t at = <uint64_t>self._free_at + self._free_count
        if row >= self._rows or self._free_count >= self._rows:
            raise AssertionError(
                f"row {row} freed beside {self._free_count}, there are {self._rows}"
            )
        self._free[at if at < self._rows else at - self._rows] = row
        self._free_count += 1
        return 0

    cdef int index(self, Order order) except -1:
        self.by_id[order.id] = order
        self.by_order_id[order.order_id] = order
        if order.is_open():
            self.open.put(order)
        if order.is_open() or order.is_settling():
            self.unsettled[order.id] = order
        return 0


@cython.final
cdef class Question:
    """A request that is out: what it was, which orders it is about, since when."""

    def __init__(self, asked, tuple orders not None, int64_t at_ns, detail=None):
        self.asked = asked
        self.orders = orders
        self.at_ns = at_ns
        self.detail = detail


@cython.final
cdef class InFlight:
    """Requests by key. The transport answers every one of them exactly once."""

    def __cinit__(self):
        self._questions = {}

    def __len__(self):
        return len(self._questions)

    def add(self, asked, tuple orders not None, int64_t at_ns, detail=None):
        """Note a request that is about to leave; return its key."""
        cdef int64_t key = self.next_key()
        self._questions[key] = Question(asked, orders, at_ns, detail)
        return key

    def new_key(self):
        """Return a key that was never used."""
        return self.next_key()

    def put(self, int64_t key, Question question not None):
        """Note what a key asked; before the transport's next callback."""
        self.ask(key, question)

    def take(self, int64_t key):
        """Return and forget what a key asked; None for a key that is not in flight."""
        return self._questions.pop(key, None)

    cdef int64_t next_key(self) noexcept:
        self._next_key += 1
        return self._next_key

    cdef int ask(self, int64_t key, Question question) except -1:
        self._questions[key] = question
        return 0
