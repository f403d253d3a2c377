"""Make our books and the venue's agree: at start before any intent, and whenever in doubt.

Owned by the executor; a sans-IO state machine, one request in flight::

    load tables, or the journal → open orders → trades since → balances → done, intents may come

The venue's trades decide what our orders filled; its open orders what rests. Orders in SENDING may
have left: they become UNKNOWN and are canceled by id (lookups.py). Resting orders of our key that
no book knows are canceled, and so are ours in a market that has no row: nobody watches them. What
a reboot took is taken over from the journal (adoption.py). Balances are compared only while nothing
is on its way (balances.py). Nothing here ever sends an order. Source: design 10.
"""

from collections.abc import Callable
from enum import IntEnum
from typing import Final

from lowlat.book.fees import schedule_of
from lowlat.core.errors import RemoteProtocolError
from lowlat.core.layout import OrderState, ReportKind
from lowlat.core.ports import SEND_PARTIAL, SENT, Clock, Transport
from lowlat.core.recovered import Recovered
from lowlat.execution.adoption import Adoption
from lowlat.execution.answers import VenueListener
from lowlat.execution.balances import CASH, Balances
from lowlat.execution.books import MarketReader
from lowlat.execution.desk import OrderDesk
from lowlat.execution.groups import GroupDesk
from lowlat.execution.in_flight import Asked, InFlight, Question
from lowlat.execution.listing import Listing
from lowlat.execution.meters import ExecutorMeters
from lowlat.execution.orders import Heard, Order
from lowlat.execution.params import ExecutorParams
from lowlat.execution.unlisted import Unlisted
from lowlat.execution.untold import Untold
from lowlat.venues.polymarket.account import Account
from lowlat.venues.polymarket.lookups import (
    decode_balance,
    decode_orders_page,
    decode_trades_page,
)
from lowlat.venues.polymarket.requests import FIRST_CURSOR, AssetType, ClobRequests
from lowlat.venues.polymarket.signing import is_v3

__all__ = ["Reconciler"]

_SECOND_NS: Final = 1_000_000_000
_RETRY_NS: Final = 200_000_000
_MARKETS_POLL_NS: Final = 50_000_000
"""Between two looks at the markets table while tokens that we hold are not listed yet."""
_PAGES_MAX: Final = 500
_CANCELS_MAX: Final = 1_000
_NAMED_MAX: Final = 10_000
_TEXT_BYTES: Final = 40
"""A report's room for words: an id is cut to what fits behind the first of them."""


class _Step(IntEnum):
    IDLE = 0
    ORDERS = 1
    TRADES = 2
    CANCEL = 3
    REFRESH = 4
    CASH = 5
    TOKENS = 6


class Reconciler:
    """Compares the account with the venue's word for it."""

    def __init__(
        self,
        desk: OrderDesk,
        groups: GroupDesk,
        listener: VenueListener,
        markets: MarketReader,
        requests: ClobRequests,
        signature_type: int,
        account: Account,
        transport: Transport,
        in_flight: InFlight,
        clock: Clock,
        params: ExecutorParams,
        meters: ExecutorMeters,
        recovered: Recovered | None,
        halt: Callable[[str, int], None],
        untold: Untold,
    ) -> None:
        """``halt(reason, now_ns)`` stops new orders: not all that is held has a place."""
        self._desk = desk
        self._groups = groups
        self._listener = listener
        self._markets = markets
        self._requests = requests
        self._signature_type = signature_type
        self._account = account
        self._transport = transport
        self._in_flight = in_flight
        self._clock = clock
        self._params = params
        self._meters = meters
        self.unlisted = Unlisted(desk, groups, markets, halt)
        self._adoption = Adoption(desk, self.unlisted, listener, markets, self._name)
        self._adoption.recovered = recovered
        self._balances = Balances(desk, self.unlisted, listener, markets, self._name)
        self._untold = untold
        self._listing = Listing(desk, self.unlisted, self._adoption, listener, untold, self._name)
        self._step = _Step.IDLE
        self._cursor = FIRST_CURSOR
        self._pages = 0
        self._wait_ns = 0
        self._asking = False
        self._after_s: int | None = None
        self._tokens: list[int] = []
        self._booked_at_ask = 0
        self._balance_due_ns = 0
        self._ended_due_ns = 0
        self._whole_ns = 0
        self._doubted = False
        self.agreed_ns = 0
        """When the last round of all balances began that left no difference."""
        self._fresh = False
        self._again = False
        self._markets_due_ns = 0
        self._named: set[str] = set()
        """Differences that were reported and that no balance will tell again."""
        self.loaded = False
        """What we know of the account is in the tables: before that, they say nothing."""
        self.listed = False
        """Orders and trades were read once: look-ups may begin."""
        self.done = False

    def reload(self, params: ExecutorParams) -> None:
        """Go on with these from here on; what is under way keeps its deadlines."""
        self._params = params

    # --------------------------------------------------------------------------- start
    def start(self, now_ns: int) -> None:
        """Load what we know of the account and begin to ask."""
        orders = self._desk.restore_rows()
        if self._desk.accounts.restore(orders) is not None:
            self._adoption.recovered = None
            self._load(orders, now_ns)
            return
        self._desk.wipe(orders)
        self._markets_due_ns = now_ns + self._params.markets_wait_ns
        recovered = self._adoption.recovered
        if recovered is not None and recovered.cash is not None:
            self._await_markets(recovered, now_ns)
            return
        # Nothing is known at all: the venue's balances are the books.
        self._fresh = True
        self._load([], now_ns)

    def _await_markets(self, recovered: Recovered, now_ns: int) -> int:
        """Load the journal once its tokens are listed again: after a reboot no market is."""
        if not self._adoption.has_markets(recovered) and now_ns < self._markets_due_ns:
            self._wait_ns = now_ns + _MARKETS_POLL_NS
            return 0
        orders = self._adoption.load(recovered, now_ns)
        self._load(orders, now_ns)
        for order in orders:
            # Of this boot's reports the first: what the next life finds told begins here.
            self._desk.reports.state(order, now_ns)
        return 1

    def _load(self, orders: list[Order], now_ns: int) -> None:
        """Take up the account as we know it and begin to ask the venue."""
        self.loaded = True
        self._untold.begin(orders, now_ns)
        for order in orders:
            self._readmit(order, now_ns)
        self._groups.restore(orders, now_ns)
        self._desk.accounts.write_cash()
        self._begin(now_ns)

    def _readmit(self, order: Order, now_ns: int) -> None:
        row = self._markets.market(order.market)
        if row is not None and row.generation == order.generation:
            order.fees = schedule_of(row)
        order.sealed = order.done
        self._desk.readmit(order)
        if order.state == OrderState.SENDING:
            # Written before the bytes left, if they did: nobody knows.
            self._desk.hear(order, Heard.LOST, now_ns)
        if not order.done:
            order.lookup_ns = now_ns

    def check_orders(self, now_ns: int) -> None:
        """Read open orders and trades again: something may have been missed."""
        if self._step == _Step.IDLE and self.done:
            self._begin(now_ns)
        else:
            self._again = True

    def _begin(self, now_ns: int) -> None:
        self._step = _Step.ORDERS
        self._cursor, self._pages = FIRST_CURSOR, 0
        self._listing.clear()
        self._listener.stray = False
        self._wait_ns = now_ns
        created = [
            order.created_wall_ms
            for order in (*self._desk.unsettled.values(), *self._untold.orders())
        ]
        if self._fresh:
            self._after_s = None
            return
        since_ms = self._clock.wall_ns() // 1_000_000
        if self._adoption.recovered is not None and not self.done:
            since_ms = self._adoption.recovered.last_wall_ms
        self._after_s = max(0, min([since_ms, *created]) // 1_000 - self._params.trades_overlap_s)

    # --------------------------------------------------------------------------- asking
    def turn(self, now_ns: int) -> int:
        """Ask the next question when the last is answered; return 1 when one left."""
        if not self.loaded:
            recovered = self._adoption.recovered
            if recovered is None or now_ns < self._wait_ns:
                return 0
            return self._await_markets(recovered, now_ns)
        if self._step == _Step.IDLE:
            return self._idle(now_ns)
        if self._asking or now_ns < self._wait_ns:
            return 0
        request = self._request()
        key = self._in_flight.add(Asked.RECONCILE, (), now_ns, self._step)
        if self._transport.send(request, key, urgent=False) in (SENT, SEND_PARTIAL):
            self._asking = True
            return 1
        self._in_flight.take(key)
        self._wait_ns = now_ns + _RETRY_NS
        return 0

    def _idle(self, now_ns: int) -> int:
        """Look for what there is to ask about."""
        if self._listener.stray and self._params.cancel_foreign:
            self._begin(now_ns)
            return 1
        return self.unlisted.turn(now_ns) + self._consider_balances(now_ns)

    def _request(self) -> bytes:
        second = self._clock.wall_ns() // _SECOND_NS
        requests = self._requests
        if self._step == _Step.ORDERS:
            return requests.orders(second, cursor=self._cursor)
        if self._step == _Step.TRADES:
            return requests.trades(second, after_s=self._after_s, cursor=self._cursor)
        if self._step == _Step.CANCEL:
            return requests.cancel_orders(second, self._unwatched()[:_CANCELS_MAX])
        refresh = self._step == _Step.REFRESH
        if self._step != _Step.TOKENS:
            return requests.balance(second, self._signature_type, refresh=refresh)
        token = self._tokens[-1]
        kind = AssetType.CONDITIONAL_V2 if is_v3(token) else AssetType.CONDITIONAL
        return requests.balance(second, self._signature_type, kind, token)

    def lost(self, question: Question, now_ns: int) -> None:
        """Ask again a little later."""
        del question
        self._asking = False
        self._wait_ns = now_ns + _RETRY_NS

    def answer(self, question: Question, status: int, body: bytes, now_ns: int) -> None:
        """Take in an answer; one that cannot be read is asked for again."""
        self._asking = False
        if question.detail != self._step:
            return
        try:
            self._take(status, body, now_ns)
        except RemoteProtocolError:
            self._meters.remote_errors.add(1)
            self._wait_ns = now_ns + _RETRY_NS

    def _take(self, status: int, body: bytes, now_ns: int) -> None:
        if self._step == _Step.ORDERS:
            orders = decode_orders_page(status, body)
            self._listing.orders.update({row.order_id: row for row in orders.rows})
            if not self._next_page(orders.next_cursor):
                self._step, self._cursor, self._pages = _Step.TRADES, FIRST_CURSOR, 0
        elif self._step == _Step.TRADES:
            trades = decode_trades_page(status, body, self._account)
            self._listing.trades.extend(trades.rows)
            if self._next_page(trades.next_cursor):
                return
            listed = self._adoption.has_markets_of_news(self._listing.trades)
            if not listed and now_ns < self._markets_due_ns:
                self._begin(now_ns)
                self._wait_ns = now_ns + _MARKETS_POLL_NS
                return
            self._compare(now_ns)
        elif self._step == _Step.CANCEL:
            self._after_orders(now_ns)
        elif self._step == _Step.REFRESH:
            # Only asks the venue to look at the chain; its answer carries nothing we need.
            self._step = _Step.CASH
        elif self._step == _Step.CASH:
            self._balances.told = {CASH: decode_balance(status, body).balance_e6}
            self._step = _Step.TOKENS
            self._tokens_left(now_ns)
        else:
            self._balances.told[self._tokens.pop()] = decode_balance(status, body).balance_e6
            self._tokens_left(now_ns)

    def _next_page(self, cursor: str) -> bool:
        self._pages += 1
        self._cursor = cursor
        if self._pages > _PAGES_MAX:
            raise RemoteProtocolError(f"a listing of more than {_PAGES_MAX} pages")
        return bool(cursor)

    # --------------------------------------------------------------------------- comparing
    def _compare(self, now_ns: int) -> None:
        cancel_foreign = self._params.cancel_foreign
        self._listing.compare(now_ns, fresh=self._fresh, cancel_foreign=cancel_foreign)
        self.listed = True
        if self._unwatched():
            self._step = _Step.CANCEL
        else:
            self._after_orders(now_ns)

    def _unwatched(self) -> list[bytes]:
        return self._listing.unwatched(cancel_foreign=self._params.cancel_foreign)

    def _after_orders(self, now_ns: int) -> None:
        for order in self._desk.unsettled.values():
            if order.open and self.unlisted.is_without_market(order):
                # Canceled a moment ago, if it rested: its own id tells.
                order.lookup_ns = now_ns
        if self._fresh:
            self._step = _Step.REFRESH
            self._tokens = self._listing.tokens()
            self._booked_at_ask = self._desk.accounts.bookings
            return
        self._finish(now_ns)

    def _finish(self, now_ns: int) -> None:
        self._step = _Step.IDLE
        self._listing.clear()
        if not self.done:
            self.done = True
            self._adoption.recovered = None
            # From here on a restart may trust the tables.
            self._desk.accounts.reconciled_ns = now_ns
            self._desk.accounts.write_cash()
            self._groups.reconciled(now_ns)
            self._balance_due_ns = now_ns
        if self._again:
            self._again = False
            self._begin(now_ns)

    def _name(self, resolution: str, name: str, now_ns: int) -> None:
        """Report, once a life, a difference that no amount tells, and what is done about it."""
        if name not in self._named and len(self._named) < _NAMED_MAX:
            self._named.add(name)
            text = f"{resolution} {name}".encode("ascii")[:_TEXT_BYTES]
            self._desk.reports.say(ReportKind.RECONCILED, now_ns, text=text)

    # --------------------------------------------------------------------------- balances
    def _consider_balances(self, now_ns: int) -> int:
        if not self.done or self._desk.unsettled:
            return 0
        if self._listener.in_doubt:
            self._balance_due_ns = min(self._balance_due_ns, now_ns + _SECOND_NS)
        whole = now_ns >= self._balance_due_ns
        if not whole and now_ns < self._ended_due_ns:
            return 0
        self._ended_due_ns = now_ns + self._params.ended_check_every_ns
        self._tokens = list(self._balances.ours()) if whole else self._balances.ended()
        if not whole and not self._tokens:
            return 0
        self._whole_ns = now_ns if whole else 0
        if whole:
            self._doubted, self._listener.in_doubt = self._listener.in_doubt, False
            self._balance_due_ns = now_ns + self._params.balance_check_every_ns
        self._booked_at_ask = self._desk.accounts.bookings
        self._step = _Step.REFRESH
        self._wait_ns = now_ns
        return 1

    def check_balances(self, now_ns: int) -> None:
        """Compare every balance as soon as nothing is on its way; ``agreed_ns`` tells the end."""
        self._balance_due_ns = now_ns

    def _tokens_left(self, now_ns: int) -> None:
        if self._tokens or (self._fresh and self._ask_unlisted_again(now_ns)):
            return
        moved = self._desk.accounts.bookings != self._booked_at_ask or bool(self._desk.unsettled)
        if self._fresh or not moved:
            self._balances.believe(now_ns, at_once=self._fresh)
            if not self._listener.in_doubt:
                self.agreed_ns = max(self.agreed_ns, self._whole_ns)
        elif self._whole_ns and self._doubted:
            # Nothing was learned: what there was to doubt is in doubt still.
            self._listener.in_doubt = True
        self._fresh = False
        self._finish(now_ns)

    def _ask_unlisted_again(self, now_ns: int) -> bool:
        """Wait for the markets of tokens that are held; True when the venue is asked anew."""
        if now_ns >= self._markets_due_ns or self.unlisted.ask(self._balances.held()):
            return False
        self._tokens = sorted(token for token in self._balances.told if token != CASH)
        self._step = _Step.REFRESH
        self._wait_ns = now_ns + _MARKETS_POLL_NS
        return True
