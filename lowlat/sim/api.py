"""Routes of the simulated services: one Request in, one Response out, maybe later. Pure."""

from collections.abc import Callable
from typing import Any, Final

from lowlat.core.units import format_fixed
from lowlat.sim.cancels import Cancels
from lowlat.sim.credentials import ApiKey, Credentials
from lowlat.sim.entry import UNAUTHORIZED, Entry
from lowlat.sim.exchange import Exchange
from lowlat.sim.heartbeat import Heartbeats
from lowlat.sim.reads import PrivateReads, PublicReads
from lowlat.sim.wire import Request, Respond, Response, failure, success

__all__ = ["ClobApi", "DataApi"]

NS: Final = 1_000_000_000
NOT_FOUND: Final = failure(404, "not found")

Public = Callable[[Request, int], Response]
Private = Callable[[ApiKey, Request, int], Response]


class ClobApi:
    """The order-book service. Source: polymarket.md 1.1."""

    def __init__(
        self,
        exchange: Exchange,
        credentials: Credentials,
        entry: Entry,
        cancels: Cancels,
        heartbeats: Heartbeats,
    ) -> None:
        self._credentials = credentials
        reads, own = PublicReads(exchange), PrivateReads(exchange)
        self._reads, self._own = reads, own
        self._entry_routes: dict[tuple[str, str], Callable[[Request, int, Respond], None]] = {
            ("POST", "/order"): entry.post_order,
            ("POST", "/orders"): entry.post_orders,
            ("DELETE", "/order"): cancels.cancel_order,
            ("DELETE", "/orders"): cancels.cancel_orders,
            ("DELETE", "/cancel-all"): cancels.cancel_all,
            ("DELETE", "/cancel-market-orders"): cancels.cancel_market,
        }
        self._public: dict[tuple[str, str], Public] = {
            ("GET", "/"): lambda _, __: success("OK"),
            ("GET", "/ok"): lambda _, __: success("OK"),
            ("GET", "/time"): lambda _, now_ns: success(now_ns // NS),
            ("GET", "/version"): lambda _, __: success({"version": 2}),
            ("GET", "/book"): reads.book,
            ("POST", "/books"): reads.books,
            ("GET", "/markets"): lambda request, _: reads.markets(request),
            ("GET", "/tick-size"): lambda request, _: reads.tick_size(request),
            ("GET", "/neg-risk"): lambda request, _: reads.neg_risk(request),
            ("GET", "/fee-rate"): lambda request, _: reads.fee_rate(request),
            ("GET", "/midpoint"): lambda request, _: reads.midpoint(request),
            ("GET", "/price"): lambda request, _: reads.price(request),
            ("GET", "/last-trade-price"): lambda request, _: reads.last_trade(request),
            ("POST", "/auth/api-key"): lambda r, now: credentials.l1(r, now, create=True),
            ("GET", "/auth/derive-api-key"): lambda r, now: credentials.l1(r, now, create=False),
        }
        self._private: dict[tuple[str, str], Private] = {
            ("GET", "/auth/api-keys"): lambda key, _, __: success(
                {"apiKeys": credentials.keys_of(key.owner)}
            ),
            ("DELETE", "/auth/api-key"): lambda key, _, __: self._delete(key),
            ("GET", "/auth/ban-status/closed-only"): lambda _, __, ___: success(
                {"closed_only": False}
            ),
            ("GET", "/data/orders"): lambda key, request, _: own.orders(key, request),
            ("GET", "/data/trades"): lambda key, request, _: own.trades(key, request),
            ("GET", "/balance-allowance"): lambda key, r, _: own.balance_allowance(key, r),
            ("GET", "/balance-allowance/update"): lambda key, r, _: own.balance_allowance(key, r),
            ("POST", "/v1/heartbeats"): heartbeats.beat,
        }

    def handle(self, request: Request, now_ns: int, respond: Respond) -> None:
        """Answer one request."""
        route = (request.method, request.path)
        entry = self._entry_routes.get(route)
        if entry is not None:
            entry(request, now_ns, respond)
            return
        public = self._public.get(route)
        if public is not None:
            respond(public(request, now_ns))
            return
        respond(self._private_or_named(request, now_ns))

    def _private_or_named(self, request: Request, now_ns: int) -> Response:
        private = self._private.get((request.method, request.path))
        head, _, name = request.path.rpartition("/")
        if private is None and request.method == "GET":
            named = {
                "/clob-markets": self._reads.clob_market,
                "/markets": self._reads.long_market,
                "/markets-by-token": self._reads.market_by_token,
            }.get(head)
            if named is not None:
                return named(name)
        if private is None and not (request.method == "GET" and head == "/data/order"):
            return NOT_FOUND
        key = self._credentials.l2(request, now_ns)
        if key is None:
            return UNAUTHORIZED
        if private is None:
            return self._own.order(key, name)
        return private(key, request, now_ns)

    def _delete(self, key: ApiKey) -> Response:
        self._credentials.delete(key)
        return success("OK")


class DataApi:
    """The indexer's view: positions by wallet. Source: polymarket.md 11.2."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def handle(self, request: Request, now_ns: int, respond: Respond) -> None:
        """Answer one request."""
        del now_ns
        if request.method == "GET" and request.path == "/deployed":
            # The relayer's only read that trading clients need; wallets with an account exist.
            known = request.arg("address").lower() in self._exchange.accounts.by_wallet
            respond(success({"deployed": known}))
            return
        if request.method != "GET" or request.path not in {"/positions", "/v2/positions"}:
            respond(NOT_FOUND)
            return
        user = request.arg("user").lower()
        if not user:
            respond(failure(400, "required query param 'user' not provided"))
            return
        legacy = request.path == "/positions"
        rows = [self._row(user, i, size, legacy=legacy) for i, size in self._held(user)]
        if legacy:
            respond(success(rows))
            return
        page = {"has_more": False, "next_cursor": None}
        respond(success({"data": rows, "pagination": page}))

    def _held(self, user: str) -> list[tuple[int, int]]:
        account = self._exchange.accounts.by_wallet.get(user)
        return [] if account is None else sorted(account.tokens_e6.items())

    def _row(self, user: str, instrument: int, size_e6: int, *, legacy: bool) -> dict[str, Any]:
        market = self._exchange.markets[instrument // 2]
        outcome = instrument % 2
        last = market.last_trade_e4 or 5000
        price = (last if outcome == 0 else 10_000 - last) / 10_000
        if legacy:
            return {
                "proxyWallet": user,
                "asset": market.tokens[outcome],
                "conditionId": market.condition_id,
                "size": size_e6 / 1e6,
                "curPrice": price,
                "title": market.question,
                "slug": market.slug,
                "eventSlug": market.event.slug,
                "outcome": market.outcomes[outcome],
                "outcomeIndex": outcome,
                "oppositeAsset": market.tokens[1 - outcome],
                "oppositeOutcome": market.outcomes[1 - outcome],
                "negativeRisk": market.rules.neg_risk,
                "redeemable": market.closed,
            }
        return {
            "proxy_wallet": user,
            "token_id": market.tokens[outcome],
            "condition_id": market.condition_id,
            "current_size": format_fixed(size_e6, 6),
            "current_price": str(price),
            "outcome": market.outcomes[outcome],
            "outcome_index": outcome,
            "opposite_token_id": market.tokens[1 - outcome],
            "negative_risk": market.rules.neg_risk,
            "redeemable": market.closed,
            "status": "REDEEMABLE" if market.closed else "OPEN",
        }
