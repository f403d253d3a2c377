"""Routes of the simulated order-book service: one Request in, one Response out, maybe later. Pure.

Source: polymarket.md 1.1.
"""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from lowlat.sim.cancels import Cancels
from lowlat.sim.catalog import iso
from lowlat.sim.credentials import ApiKey, BuilderKey, Credentials
from lowlat.sim.entry import UNAUTHORIZED, Entry
from lowlat.sim.exchange import Exchange
from lowlat.sim.heartbeat import Heartbeats
from lowlat.sim.history import History
from lowlat.sim.limits import IpLimits
from lowlat.sim.notices import Notices
from lowlat.sim.own_reads import OwnReads
from lowlat.sim.pages import page
from lowlat.sim.reads import PublicReads
from lowlat.sim.reward_reads import RewardReads
from lowlat.sim.rewards import Rewards
from lowlat.sim.site import Site
from lowlat.sim.verify import checksum_address
from lowlat.sim.wire import UNREADABLE, Request, Respond, Response, failure, success

__all__ = ["ClobApi"]

NS: Final = 1_000_000_000
NOT_FOUND: Final = failure(404, "not found")
RESTRICTED: Final = failure(
    403,
    "Trading restricted in your region, please refer to available regions - "
    "https://docs.polymarket.com/developers/CLOB/geoblock",
)
"""Source: 1."""

Public = Callable[[Request, int], Response]
Private = Callable[[ApiKey, Request, int], Response]
Named = Callable[[Request, str], Response]
Route = tuple[str, str]


class _KeyBody(msgspec.Struct, gc=False):
    key: str


_decode_key: Final = msgspec.json.Decoder(_KeyBody).decode


class ClobApi:
    """The order-book service: who may call what, and who answers."""

    def __init__(
        self,
        exchange: Exchange,
        credentials: Credentials,
        entry: Entry,
        cancels: Cancels,
        heartbeats: Heartbeats,
        rewards: Rewards,
        history: History,
        site: Site,
    ) -> None:
        self._credentials = credentials
        self._config = exchange.config
        self._limits = IpLimits() if exchange.config.ip_limits else None
        reads, own = PublicReads(exchange), OwnReads(exchange, credentials)
        notices, income = Notices(exchange), RewardReads(exchange, rewards)
        self._own = own
        self._entry: dict[Route, Callable[[Request, int, Respond], None]] = {
            ("POST", "/order"): entry.post_order,
            ("POST", "/orders"): entry.post_orders,
            ("DELETE", "/order"): cancels.cancel_order,
            ("DELETE", "/orders"): cancels.cancel_orders,
            ("DELETE", "/cancel-all"): cancels.cancel_all,
            ("DELETE", "/cancel-market-orders"): cancels.cancel_market,
        }
        if self._config.geoblocked:
            # Who is blocked may still cancel.
            for path in ("/order", "/orders"):
                self._entry["POST", path] = lambda _, __, respond: respond(RESTRICTED)
        self._public: dict[Route, Public] = {
            **site.routes(),
            **_service_routes(credentials),
            **_market_routes(reads, history),
            **_income_routes(income),
            **_single_only(),
            ("GET", "/builder/trades"): lambda request, _: own.builder_trades(request),
        }
        self._named: dict[str, Named] = {
            "/clob-markets": lambda _, name: reads.clob_market(name),
            "/markets": lambda _, name: reads.long_market(name),
            "/markets-by-token": lambda _, name: reads.market_by_token(name),
            "/markets/live-activity": lambda _, name: history.live_activity(name),
            "/rewards/markets": income.of_market,
            "/fees/builder-fees": lambda _, name: self._builder_fees(name),
        }
        self._private: dict[Route, Private] = {
            **self._key_routes(),
            **_own_routes(own, notices),
            **_own_income_routes(income),
            ("POST", "/v1/heartbeats"): heartbeats.beat,
            ("POST", "/heartbeats"): lambda key, _, now_ns: heartbeats.old_beat(key, now_ns),
        }

    def handle(self, request: Request, now_ns: int, respond: Respond) -> None:
        """Answer one request."""
        if self._limits is not None and not self._limits.take(request, now_ns):
            respond(failure(429, "rate limit exceeded", (("Retry-After", "10"),)))
            return
        route = (request.method, request.path)
        entry = self._entry.get(route)
        if entry is not None:
            entry(request, now_ns, respond)
            return
        public = self._public.get(route)
        respond(self._other(request, now_ns) if public is None else public(request, now_ns))

    def _other(self, request: Request, now_ns: int) -> Response:
        private = self._private.get((request.method, request.path))
        head, _, name = request.path.rpartition("/")
        if private is None and request.method == "GET" and head in self._named:
            return self._named[head](request, name)
        if request.method == "DELETE" and request.path == "/auth/builder-api-key":
            return self._revoke_builder(request, now_ns)
        if private is None and not (request.method == "GET" and head == "/data/order"):
            return NOT_FOUND
        key = self._credentials.l2(request, now_ns)
        if key is None:
            return UNAUTHORIZED
        if private is None:
            return self._own.order(key, name)
        return private(key, request, now_ns)

    # ----------------------------------------------------------------------------- keys
    def _key_routes(self) -> dict[Route, Private]:
        held = self._credentials
        return {
            ("GET", "/auth/api-keys"): lambda key, _, __: success(
                {"apiKeys": held.keys_of(key.owner)}
            ),
            ("DELETE", "/auth/api-key"): lambda key, _, __: self._delete(key),
            ("GET", "/auth/ban-status/closed-only"): lambda key, _, __: success(
                {"closed_only": held.restriction(key.owner) == "closed_only"}
            ),
            ("POST", "/auth/readonly-api-key"): lambda key, _, __: success(
                {"apiKey": held.create_readonly(key).key}
            ),
            ("GET", "/auth/readonly-api-keys"): lambda key, _, __: success(
                {"readonlyApiKeys": [each.key for each in held.readonly_of(key.owner)]}
            ),
            ("DELETE", "/auth/readonly-api-key"): self._delete_readonly,
            ("POST", "/auth/builder-api-key"): lambda key, _, now_ns: success(
                _builder_secrets(held.create_builder(key, now_ns))
            ),
            ("GET", "/auth/builder-api-key"): lambda key, _, __: success(
                [_builder_row(each) for each in held.builders_of(key.owner)]
            ),
            ("GET", "/v1/user/session-signers"): lambda key, _, now_ns: self._sessions(key, now_ns),
        }

    def _delete(self, key: ApiKey) -> Response:
        self._credentials.delete(key)
        return success("OK")

    def _delete_readonly(self, key: ApiKey, request: Request, now_ns: int) -> Response:
        del now_ns
        try:
            wanted = _decode_key(request.body).key
        except UNREADABLE:
            return failure(400, "Invalid payload")
        for each in self._credentials.readonly_of(key.owner):
            if each.key == wanted:
                self._credentials.delete(each)
                return success("OK")
        return failure(404, "api key not found")

    def _revoke_builder(self, request: Request, now_ns: int) -> Response:
        key = self._credentials.builder(request, now_ns)
        if key is None:
            return UNAUTHORIZED
        self._credentials.delete_builder(key)
        return success("OK")

    def _sessions(self, key: ApiKey, now_ns: int) -> Response:
        """List the live session keys of the owner's deposit wallet. Source: 2.3."""
        wallet = next(w for w, kind in key.wallets.items() if kind == 3)
        rows = [
            {"address": checksum_address(signer), "scopes": list(scopes), "valid_until": end_s}
            for signer, (scopes, end_s) in self._credentials.sessions_of(wallet).items()
            if now_ns < end_s * NS
        ]
        return success({"wallet": checksum_address(wallet), "signers": rows})

    def _builder_fees(self, code: str) -> Response:
        rates = self._config.builders.get(code.lower())
        if rates is None:
            return failure(404, "builder not found")
        maker, taker = rates
        return success({"builder_maker_fee_rate_bps": maker, "builder_taker_fee_rate_bps": taker})


def _single_only() -> dict[Route, Public]:
    """Several tokens are asked for by POST only. Source: 1.3."""
    refusal = failure(400, "Invalid payload")
    paths = ("/books", "/midpoints", "/spreads", "/last-trades-prices")
    return {("GET", path): lambda *_: refusal for path in paths}


def _service_routes(credentials: Credentials) -> dict[Route, Public]:
    return {
        ("GET", "/"): lambda *_: success("OK"),
        ("GET", "/ok"): lambda *_: success("OK"),
        ("GET", "/time"): lambda _, now_ns: success(credentials.time_s(now_ns)),
        ("GET", "/version"): lambda *_: success({"version": 2}),
        ("POST", "/auth/api-key"): lambda r, now: credentials.l1(r, now, create=True),
        ("GET", "/auth/derive-api-key"): lambda r, now: credentials.l1(r, now, create=False),
    }


def _market_routes(reads: PublicReads, history: History) -> dict[Route, Public]:
    def listing(*, sampling: bool, simplified: bool) -> Public:
        return lambda request, _: reads.markets(request, sampling=sampling, simplified=simplified)

    return {
        ("GET", "/book"): reads.book,
        ("POST", "/books"): reads.books,
        ("GET", "/markets"): listing(sampling=False, simplified=False),
        ("GET", "/simplified-markets"): listing(sampling=False, simplified=True),
        ("GET", "/sampling-markets"): listing(sampling=True, simplified=False),
        ("GET", "/sampling-simplified-markets"): listing(sampling=True, simplified=True),
        ("GET", "/tick-size"): lambda request, _: reads.tick_size(request),
        ("GET", "/neg-risk"): lambda request, _: reads.neg_risk(request),
        ("GET", "/fee-rate"): lambda request, _: reads.fee_rate(request),
        ("GET", "/midpoint"): lambda request, _: reads.midpoint(request),
        ("POST", "/midpoints"): lambda request, _: reads.midpoints(request),
        ("GET", "/price"): lambda request, _: reads.price(request),
        ("GET", "/prices"): lambda *_: reads.all_prices(),
        ("POST", "/prices"): lambda request, _: reads.prices(request),
        ("GET", "/spread"): lambda request, _: reads.spread(request),
        ("POST", "/spreads"): lambda request, _: reads.spreads(request),
        ("GET", "/last-trade-price"): lambda request, _: reads.last_trade(request),
        ("POST", "/last-trades-prices"): lambda request, _: reads.last_trades(request),
        ("GET", "/prices-history"): history.prices,
    }


def _income_routes(income: RewardReads) -> dict[Route, Public]:
    return {
        ("GET", "/rewards/markets/current"): lambda request, _: income.current(request),
        ("GET", "/rewards/markets/multi"): lambda request, _: income.multi(request),
        ("GET", "/rebates/current"): lambda request, _: income.rebates(request),
    }


def _own_routes(own: OwnReads, notices: Notices) -> dict[Route, Private]:
    return {
        ("GET", "/data/orders"): lambda key, request, _: own.orders(key, request),
        ("GET", "/data/trades"): lambda key, request, _: own.trades(key, request),
        # Nothing predates the cutover here.
        ("GET", "/data/pre-migration-orders"): lambda _, request, __: page(
            request, (), lambda row: row
        ),
        ("GET", "/balance-allowance"): lambda key, request, _: own.balance_allowance(
            key, request, update=False
        ),
        ("GET", "/balance-allowance/update"): lambda key, request, _: own.balance_allowance(
            key, request, update=True
        ),
        ("GET", "/notifications"): lambda key, _, __: notices.read(key),
        ("DELETE", "/notifications"): lambda key, request, _: notices.drop(key, request),
    }


def _own_income_routes(income: RewardReads) -> dict[Route, Private]:
    return {
        ("GET", "/order-scoring"): income.order_scoring,
        ("POST", "/orders-scoring"): income.orders_scoring,
        ("GET", "/rewards/user"): lambda key, request, _: income.user(key, request),
        ("GET", "/rewards/user/total"): lambda key, request, _: income.user_total(key, request),
        ("GET", "/rewards/user/markets"): lambda key, request, _: income.user_markets(key, request),
        ("GET", "/rewards/user/percentages"): lambda key, r, _: income.user_percentages(key, r),
    }


def _builder_secrets(key: BuilderKey) -> dict[str, str]:
    return {"key": key.key, "secret": key.secret, "passphrase": key.passphrase}


def _builder_row(key: BuilderKey) -> dict[str, Any]:
    return {"key": key.key, "createdAt": iso(key.created_ns), "revokedAt": None}
