"""The indexer's answers: trades, activity, positions, value, holders, leaderboard. Pure.

Version 2 has envelopes, cursors and numeric text; the old paths still answer bare camelCase lists.
Source: polymarket.md 11.2, 12.4.
"""

import base64
import binascii
from collections.abc import Callable
from itertools import islice
from typing import Any, Final

from lowlat.sim import data_rows as rows
from lowlat.sim.config import SimConfig
from lowlat.sim.exchange import Exchange
from lowlat.sim.indexer import Deed, Indexer
from lowlat.sim.limits import DATA_LIMITS, IpLimits
from lowlat.sim.rewards import Rewards
from lowlat.sim.wire import Request, Respond, Response, failure, success

__all__ = ["DataApi"]

NS: Final = 1_000_000_000
LIMIT_DEFAULT: Final = 100
LIMIT_MAX: Final = 1_000
IDS_MAX: Final = 20
RECENT_S: Final = 86_400
"""Without a start, feeds cover no more than this."""
LEADERS_MAX: Final = 50


class BadQuery(Exception):
    """A parameter the service answers 400 for."""


class DataApi:
    """Answers of the indexer."""

    def __init__(
        self, config: SimConfig, exchange: Exchange, indexer: Indexer, rewards: Rewards
    ) -> None:
        self._exchange = exchange
        self._indexer = indexer
        self._rewards = rewards
        self._limits = IpLimits(DATA_LIMITS) if config.ip_limits else None
        self._routes: dict[str, Callable[[Request, int], Response]] = {
            "/v2/trades": lambda r, now: self._page(r, self._trades(r, now), rows.trade),
            "/v2/activity": lambda r, now: self._page(r, self._activity(r, now), rows.activity),
            "/v2/positions": lambda r, _: self._page(r, self._positions(r), rows.position),
            "/v2/holders": lambda r, _: self._page(r, self._holders(r), lambda row: row),
            "/v2/leaderboard": lambda r, _: self._page(r, self._leaders(r), lambda row: row),
            "/v2/value": lambda r, _: success({"data": self._value(r)}),
            "/trades": lambda r, now: self._bare(r, self._trades(r, now), rows.old_trade),
            "/activity": lambda r, now: self._bare(r, self._activity(r, now), rows.old_activity),
            "/positions": lambda r, _: self._bare(r, self._positions(r), rows.old_position),
            "/value": lambda r, _: success([self._value(r)]),
        }

    def handle(self, request: Request, now_ns: int, respond: Respond) -> None:
        """Answer one request."""
        if self._limits is not None and not self._limits.take(request, now_ns):
            respond(failure(429, "rate limit exceeded", (("Retry-After", "10"),)))
            return
        route = self._routes.get(request.path) if request.method == "GET" else None
        if route is None:
            respond(failure(404, "not found"))
            return
        try:
            respond(route(request, now_ns))
        except BadQuery as error:
            respond(failure(400, str(error)))

    # ----------------------------------------------------------------------------- feeds
    def _trades(self, request: Request, now_ns: int) -> list[Deed]:
        """Select trades, newest first."""
        taker_only = request.arg("taker_only", request.arg("takerOnly", "true")) == "true"
        floor = _number(request, "filter_amount", 0) * 1_000_000
        by_cash = request.arg("filter_type", "CASH").upper() == "CASH"
        return [
            deed
            for deed in self._deeds(request, now_ns, needs_user=False)
            if deed.kind == "TRADE"
            and (deed.is_taker or not taker_only)
            and (deed.cash_e6 if by_cash else deed.size_e6) >= floor
        ]

    def _activity(self, request: Request, now_ns: int) -> list[Deed]:
        """Select what a wallet did, newest first unless told otherwise."""
        kinds = _ids(request, "type")
        found = self._deeds(request, now_ns, needs_user=True)
        user = request.arg("user").lower()
        since_ns, until_ns = _window(request, now_ns)
        for income in self._rewards.paid:
            if income.wallet.lower() == user and since_ns <= income.paid_ns <= until_ns:
                found.append(rows.income(income, self._exchange.markets[income.market]))
        found = [deed for deed in found if not kinds or deed.kind in kinds]
        ascending = request.arg("sort_direction", "DESC").upper() == "ASC"
        return sorted(found, key=lambda deed: (deed.at_ns, deed.number), reverse=not ascending)

    def _deeds(self, request: Request, now_ns: int, *, needs_user: bool) -> list[Deed]:
        user = request.arg("user").lower()
        if needs_user and not user:
            raise BadQuery("required query param 'user' not provided")
        conditions = _ids(request, "condition_id") or _ids(request, "market")
        events = _ids(request, "event_id") or _ids(request, "eventId")
        if conditions and events:
            raise BadQuery("condition_id and event_id are mutually exclusive")
        side = request.arg("side").upper()
        since_ns, until_ns = _window(request, now_ns)
        found = []
        for deed in reversed(self._indexer.deeds):
            if deed.at_ns < since_ns - NS * RECENT_S:
                break
            if (
                since_ns <= deed.at_ns <= until_ns
                and (not user or deed.wallet.lower() == user)
                and (not conditions or deed.market.condition_id in conditions)
                and (not events or deed.market.event.id in events)
                and (not side or deed.side == side)
            ):
                found.append(deed)
        return found

    # ----------------------------------------------------------------------------- wallets
    def _positions(self, request: Request) -> list[rows.Position]:
        """Select what a wallet holds; what the chain says, with what the indexer knows of it."""
        user = request.arg("user").lower()
        conditions = _ids(request, "condition_id") or _ids(request, "market")
        if not user and len(conditions) != 1:
            raise BadQuery("required query param 'user' not provided")
        accounts = self._exchange.accounts.by_wallet
        wallets = [user] if user else list(accounts)
        status = request.arg("status").upper()
        found = []
        for wallet in wallets:
            account = accounts.get(wallet)
            if account is None:
                continue
            stakes = self._indexer.stakes.get(wallet, {})
            for instrument, size_e6 in sorted(account.tokens_e6.items()):
                market = self._exchange.markets[instrument // 2]
                if conditions and market.condition_id not in conditions:
                    continue
                row = rows.Position(wallet, market, instrument % 2, size_e6)
                row.stake = stakes.get(instrument)
                row.mergeable = not market.closed and bool(account.tokens_e6.get(instrument ^ 1))
                found.append(row)
        return [each for each in found if not status or each.status == status]

    def _holders(self, request: Request) -> list[dict[str, Any]]:
        conditions = _ids(request, "condition_id")
        if not conditions:
            raise BadQuery("required query param 'condition_id' not provided")
        least_e6 = _number(request, "min_balance", 1) * 1_000_000
        found = []
        for condition in conditions:
            market = self._exchange.conditions.get(condition)
            if market is None:
                continue
            for outcome, token in enumerate(market.tokens):
                instrument = 2 * market.index + outcome
                held = [
                    (account.tokens_e6.get(instrument, 0), wallet)
                    for wallet, account in self._exchange.accounts.by_wallet.items()
                ]
                top = sorted((each for each in held if each[0] >= least_e6), reverse=True)
                found.append(rows.holders(token, outcome, top[:LIMIT_MAX]))
        return found

    def _leaders(self, request: Request) -> list[dict[str, Any]]:
        by = request.arg("sort_by", "PNL").upper()
        if by not in {"PNL", "VOLUME"}:
            raise BadQuery("sort_by must be PNL or VOLUME")
        indexer = self._indexer
        figures = [
            (indexer.profit_e6(wallet), volume_e6, wallet)
            for wallet, volume_e6 in indexer.volume_e6.items()
        ]
        figures.sort(key=lambda each: each[0 if by == "PNL" else 1], reverse=True)
        names = {wallet: each.owner for wallet, each in self._exchange.accounts.by_wallet.items()}
        return [
            rows.leader(rank, wallet, profit_e6, volume_e6, names.get(wallet, ""))
            for rank, (profit_e6, volume_e6, wallet) in enumerate(figures[:LEADERS_MAX], 1)
        ]

    def _value(self, request: Request) -> dict[str, Any]:
        positions = self._positions(request)
        value_e6 = sum(each.value_e6 for each in positions)
        return {"user": request.arg("user"), "value": value_e6 / 1e6}

    # ----------------------------------------------------------------------------- pages
    def _page(
        self, request: Request, found: list[Any], shape: Callable[[Any], dict[str, Any]]
    ) -> Response:
        limit = min(_number(request, "limit", LIMIT_DEFAULT), LIMIT_MAX)
        start = _decode_cursor(request.arg("cursor"))
        end = start + limit
        more = end < len(found)
        page = {"has_more": more, "next_cursor": _encode_cursor(end) if more else None}
        data = [shape(row) for row in islice(found, start, end)]
        return success({"data": data, "pagination": page})

    def _bare(
        self, request: Request, found: list[Any], shape: Callable[[Any], dict[str, Any]]
    ) -> Response:
        limit = min(_number(request, "limit", LIMIT_DEFAULT), LIMIT_MAX)
        start = _number(request, "offset", 0)
        return success([shape(row) for row in found[start : start + limit]])


def _window(request: Request, now_ns: int) -> tuple[int, int]:
    start_s = _number(request, "start", 0)
    since_ns = start_s * NS if start_s else now_ns - RECENT_S * NS
    end_s = _number(request, "end", 0)
    return since_ns, end_s * NS if end_s else now_ns


def _ids(request: Request, name: str) -> set[str]:
    found = {each for text in request.query.get(name, []) for each in text.split(",") if each}
    if len(found) > IDS_MAX:
        raise BadQuery(f"at most {IDS_MAX} values of {name}")
    return found


def _number(request: Request, name: str, default: int) -> int:
    text = request.arg(name, str(default))
    if not (text.isascii() and text.isdecimal()) or len(text) > 12:
        raise BadQuery(f"invalid {name}")
    return int(text)


def _encode_cursor(place: int) -> str:
    return base64.urlsafe_b64encode(str(place).encode()).decode()


def _decode_cursor(cursor: str) -> int:
    if not cursor:
        return 0
    try:
        text = base64.urlsafe_b64decode(cursor.encode()).decode()
    except (binascii.Error, UnicodeError, ValueError):
        text = ""
    if not (text.isascii() and text.isdecimal()) or len(text) > 9:
        raise BadQuery("invalid cursor")
    return int(text)
