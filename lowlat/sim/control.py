"""The simulator's own door: read everything, plant an edge, switch faults, skew an account. Pure.

``GET /sim/state``, ``/sim/edges``, ``/sim/news``, ``/sim/faults``; ``POST /sim/control`` with
``{"op": ...}``. Never part of the venue's API.
"""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from lowlat.core.errors import ConfigError
from lowlat.sim.accounts import Account
from lowlat.sim.config import FaultConfig
from lowlat.sim.venue import Venue
from lowlat.sim.wire import UNREADABLE, Request, Respond, Response, failure, success

__all__ = ["Control"]

MS: Final = 1_000_000
NS: Final = 1_000_000_000
DEPOSIT_WALLET: Final = 3
SESSION_S: Final = 4_315 * 3_600
"""Source: polymarket.md 2.3."""
DAY_NS: Final = 86_400 * 1_000_000_000


class Control:
    """Answers of the control endpoint."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._ops: dict[str, Callable[[dict[str, Any]], Any]] = {
            "faults": self._faults,
            "arm": self._arm,
            "mode": self._mode,
            "freeze": self._freeze,
            "disconnect": self._disconnect,
            "tick": self._tick,
            "resolve": self._resolve,
            "skew": self._skew,
            "deposit": self._skew,
            "account": self._account,
            "restrict": self._restrict,
            "session_key": self._session_key,
            "orders": self._orders,
            "edge": self._edge,
            "jump": self._jump,
            "payout": self._payout,
            "binance_shutdown": lambda _: self._venue.binance.shut_down(self._venue.now_ns),
            "sample_rewards": self._sample_rewards,
        }

    def handle(self, request: Request, respond: Respond) -> None:
        """Answer one request."""
        route = (request.method, request.path)
        if route == ("GET", "/sim/state"):
            respond(success(self.state()))
        elif route == ("GET", "/sim/edges"):
            respond(success([record.as_json() for record in self._venue.edges.records]))
        elif route == ("GET", "/sim/faults"):
            respond(success(self._fault_state()))
        elif route == ("GET", "/sim/news"):
            respond(success(list(self._venue.news.items)))
        elif route == ("POST", "/sim/control"):
            respond(self._control(request))
        else:
            respond(failure(404, "not found"))

    def state(self) -> dict[str, Any]:
        """Return every account in base units and the result of a full audit."""
        venue = self._venue
        exchange = venue.exchange
        try:
            exchange.accounts.audit()
            exchange.accounts.audit_tokens()
            audit = "ok"
        except AssertionError as error:
            audit = str(error)
        owners = sorted(exchange.accounts.by_wallet.values(), key=lambda each: each.wallet)
        return {
            "audit": audit,
            "seed": venue.config.seed,
            "now_ns": venue.now_ns,
            "markets": sum(not market.closed for market in exchange.markets),
            "trades": exchange.settlement.matched,
            "trades_failed": exchange.settlement.failed,
            "self_trades": [trade.id for trade in venue.volumes.self_trades],
            "frames": venue.market_feed.frames + venue.user_feed.frames,
            "fees_e6": exchange.accounts.fees_e6,
            "fault_hits": venue.faults.hits,
            "accounts": [self._account_state(each) for each in owners],
            **venue.report(),
        }

    def _account_state(self, account: Account) -> dict[str, Any]:
        markets = self._venue.exchange.markets

        def named(amounts: dict[int, int]) -> dict[str, int]:
            return {markets[i // 2].tokens[i % 2]: size for i, size in sorted(amounts.items())}

        return {
            "wallet": account.wallet,
            "owner": account.owner,
            "signature_type": account.signature_type,
            "cash_e6": account.cash_e6,
            "cash_pending_e6": account.cash_pending_e6,
            "cash_reserved_e6": account.cash_reserved_e6,
            "positions_e6": named(account.tokens_e6),
            "positions_pending_e6": named(account.tokens_pending_e6),
        }

    def _control(self, request: Request) -> Response:
        try:
            values = msgspec.json.decode(request.body, type=dict[str, Any])
            operation = self._ops.get(values.pop("op", ""))
            if operation is None:
                return failure(400, f"op is unknown, allowed: {', '.join(sorted(self._ops))}")
            return success({"ok": True, "result": operation(values)})
        except (*UNREADABLE, ConfigError, KeyError, TypeError, ValueError) as error:
            return failure(400, f"{type(error).__name__}: {error}")

    def _fault_state(self) -> dict[str, Any]:
        faults, now_ns = self._venue.faults, self._venue.now_ns
        mode, left_s = faults.mode(now_ns)
        return {
            "config": msgspec.to_builtins(faults.config),
            "mode": mode,
            "mode_left_s": left_s,
            "frozen_ms": max(0, faults.frozen_until_ns - now_ns) // MS,
            "hits": faults.hits,
        }

    # ----------------------------------------------------------------------------- operations
    def _faults(self, values: dict[str, Any]) -> Any:
        """Change knobs by name, with ``for_ms`` for a while only; ``reset`` begins anew."""
        venue = self._venue
        before = venue.faults.config
        for_ms = int(values.pop("for_ms", 0))
        if values.pop("reset", False):
            values = msgspec.to_builtins(FaultConfig(price_drop_e4=0)) | values
        venue.faults.change(values)
        if for_ms:
            old = {name: msgspec.to_builtins(getattr(before, name)) for name in values}
            due_ns = venue.now_ns + for_ms * MS
            venue.timers.at(due_ns, lambda _: venue.faults.change(old))
        return msgspec.to_builtins(venue.faults.config)

    def _arm(self, values: dict[str, Any]) -> Any:
        """Make the next draws of one knob hit."""
        self._venue.faults.arm(values["fault"], int(values.get("count", 1)))
        return None

    def _mode(self, values: dict[str, Any]) -> Any:
        """Open a window: restart, post_only, cancel_only, disabled, rate_limited, error."""
        venue = self._venue
        duration_ns = int(values.get("duration_ms", 0)) * MS
        venue.faults.open_window(values["mode"], venue.now_ns, duration_ns)
        return None

    def _freeze(self, values: dict[str, Any]) -> Any:
        """Send no data on a feed, or on all of them, for a while; PONG lives."""
        until_ns = self._venue.now_ns + int(values["duration_ms"]) * MS
        self._venue.faults.freeze(values.get("feed", ""), until_ns)
        return None

    def _disconnect(self, values: dict[str, Any]) -> Any:
        """Drop every socket of a feed (market, user, binance, rtds, polybolt) with a code."""
        sessions = self._venue.sessions(values.get("feed", "market"))
        for session in sessions:
            session.close(int(values.get("code", 1006)), "dropped by the simulator")
        return len(sessions)

    def _tick(self, values: dict[str, Any]) -> Any:
        """Change the tick of a market."""
        market = self._venue.exchange.conditions[values["market"]]
        tick_e4 = int(values["tick_e4"])
        if tick_e4 not in {1, 10, 25, 50, 100, 1000}:
            raise ConfigError(f"tick_e4 was {tick_e4}, allowed: 1, 10, 25, 50, 100, 1000")
        self._venue.exchange.change_tick(market, tick_e4, self._venue.now_ns)
        return None

    def _resolve(self, values: dict[str, Any]) -> Any:
        """End a market now."""
        market = self._venue.exchange.conditions[values["market"]]
        if market.closed:
            raise ConfigError(f"market {market.slug} is already closed")
        self._venue.exchange.resolve(market, int(values.get("winner", 0)), self._venue.now_ns)
        return None

    def _skew(self, values: dict[str, Any]) -> Any:
        """Bring cash nobody told the account's owner about (default: one base unit)."""
        accounts = self._venue.exchange.accounts
        account = accounts.by_wallet[values["wallet"].lower()]
        cash_e6 = int(values.get("cash_e6", 1))
        accounts.deposit(account, cash_e6)
        self._venue.chain.hide(account, cash_e6, self._venue.now_ns)
        return account.cash_e6

    def _account(self, values: dict[str, Any]) -> Any:
        """Make an API key for an EOA without its signature; for tests that need no L1."""
        key = self._venue.credentials.create(values["owner"])
        wallets = {str(kind): wallet for wallet, kind in key.wallets.items()}
        return {
            "apiKey": key.key,
            "secret": key.secret,
            "passphrase": key.passphrase,
            "wallets": wallets,
            "relayerApiKey": self._venue.credentials.relayer_key(values["owner"]),
        }

    def _restrict(self, values: dict[str, Any]) -> Any:
        """Ban an owner, or let him only close positions (closed_only); an empty kind lifts it."""
        self._venue.credentials.restrict(values["owner"], values.get("kind", "banned"))
        return None

    def _session_key(self, values: dict[str, Any]) -> Any:
        """Let a key trade for an EOA's deposit wallet, without its signature; return API keys."""
        credentials = self._venue.credentials
        owner = credentials.create(values["owner"])
        wallet = next(wallet for wallet, kind in owner.wallets.items() if kind == DEPOSIT_WALLET)
        end_s = self._venue.now_ns // NS + SESSION_S
        credentials.authorize(wallet, values["signer"], ("CLOB",), end_s)
        key = credentials.create(values["signer"])
        return {"apiKey": key.key, "secret": key.secret, "passphrase": key.passphrase}

    def _sample_rewards(self, values: dict[str, Any]) -> Any:
        """Score the resting orders now, as the venue does once a minute."""
        del values
        self._venue.rewards.sample(self._venue.now_ns)
        return None

    def _payout(self, values: dict[str, Any]) -> Any:
        """Pay rebates and rewards earned so far, today's included, without waiting for midnight."""
        del values
        venue = self._venue
        markets = venue.exchange.markets
        day = venue.now_ns // DAY_NS
        return [
            {
                "kind": income.kind,
                "day": income.day,
                "market": markets[income.market].condition_id,
                "wallet": income.wallet,
                "amount_e6": income.amount_e6,
            }
            for income in venue.rewards.pay(venue.now_ns, until_day=day + 1)
        ]

    def _orders(self, values: dict[str, Any]) -> Any:
        """List every order that a wallet ever had accepted, finished ones included."""
        wallet = values["wallet"].lower()
        markets = self._venue.exchange.markets
        return [
            {
                "id": order.id,
                "token": markets[order.market].tokens[order.outcome],
                "side": order.side,
                "price_e4": order.price_e4,
                "size_e6": order.size_e6,
                "remaining_e6": order.remaining_e6,
                "order_type": order.order_type,
                "state": order.state,
            }
            for order in self._venue.exchange.orders.values()
            if order.account.lower() == wallet
        ]

    def _edge(self, values: dict[str, Any]) -> Any:
        """Plant an edge of a kind now; null when no market for it is free."""
        kind = str(values.get("kind", "neg_risk"))
        return self._venue.plant_edge(kind, vanish=bool(values.get("vanish", False)))

    def _jump(self, values: dict[str, Any]) -> Any:
        """Move a coin's exchange price by so many basis points now."""
        spot = self._venue.spots[values["coin"]]
        spot.move(float(values["bps"]) * 1e-4)
        return spot.price_e8
