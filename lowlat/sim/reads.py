"""What the order-book service answers to reads: markets, books, open orders, trades, balances.

Pure. Source: polymarket.md 1.1-1.4, 5.4, 5.5.
"""

import base64
import binascii
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from lowlat.core.units import ONE_E4, format_fixed
from lowlat.sim import events
from lowlat.sim.catalog import Market, iso
from lowlat.sim.credentials import ApiKey
from lowlat.sim.exchange import Exchange
from lowlat.sim.ladder import YES
from lowlat.sim.verify import EXCHANGES
from lowlat.sim.wire import UNREADABLE, Request, Response, failure, success

__all__ = ["PrivateReads", "PublicReads"]

NS: Final = 1_000_000_000
PAGE: Final = 500
END_CURSOR: Final = "LTE="
NO_BOOK: Final = failure(404, "No orderbook exists for the requested token id")
NO_MARKET: Final = failure(404, "market not found")


class _BookQuery(msgspec.Struct, gc=False):
    token_id: str


_decode_books: Final = msgspec.json.Decoder(list[_BookQuery]).decode


class PublicReads:
    """Reads without credentials."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def book(self, request: Request, now_ns: int) -> Response:
        """GET /book."""
        found = self._open(request.arg("token_id"))
        return NO_BOOK if found is None else success(events.book(*found, now_ns))

    def books(self, request: Request, now_ns: int) -> Response:
        """POST /books; unknown tokens are left out."""
        try:
            wanted = _decode_books(request.body)
        except UNREADABLE:
            return failure(400, "Invalid payload")
        found = (self._open(query.token_id) for query in wanted)
        return success([events.book(*each, now_ns) for each in found if each is not None])

    def clob_market(self, condition_id: str) -> Response:
        """GET /clob-markets/{cid}: the compact object. Source: 1.2."""
        market = self._exchange.conditions.get(condition_id)
        if market is None:
            return NO_MARKET
        rules = market.rules
        value: dict[str, Any] = {
            "c": market.condition_id,
            "t": [
                {"t": token, "o": name}
                for token, name in zip(market.tokens, market.outcomes, strict=True)
            ],
            "mts": market.tick_e4 / ONE_E4,
            "mos": rules.min_size_e6 // 1_000_000,
            "r": None,
            "ao": market.accepting,
            "aot": iso(market.start_ns),
            "rfqe": False,
            "ibce": False,
            "v": "v1",
        }
        if rules.neg_risk:
            value["nr"] = True
        if rules.fee_rate_e4:
            value["fd"] = {"r": rules.fee_rate_e4 / ONE_E4, "e": 1, "to": True}
            value["mbf"] = value["tbf"] = 1000
        if rules.sd_s:
            value["sd"] = rules.sd_s
        if rules.itode:
            value["itode"] = True
        return success(value)

    def long_market(self, condition_id: str) -> Response:
        """GET /markets/{cid}: the long object. Source: 1.2."""
        market = self._exchange.conditions.get(condition_id)
        return NO_MARKET if market is None else success(_long(market))

    def market_by_token(self, token: str) -> Response:
        """GET /markets-by-token/{token}."""
        found = self._exchange.tokens.get(token)
        if found is None:
            return NO_MARKET
        market = found[0]
        return success(
            {
                "condition_id": market.condition_id,
                "primary_token_id": market.tokens[0],
                "secondary_token_id": market.tokens[1],
            }
        )

    def tick_size(self, request: Request) -> Response:
        """GET /tick-size: a number, unlike every other price."""
        found = self._open(request.arg("token_id"))
        if found is None:
            return NO_BOOK
        return success({"minimum_tick_size": found[0].tick_e4 / ONE_E4})

    def neg_risk(self, request: Request) -> Response:
        """GET /neg-risk."""
        found = self._open(request.arg("token_id"))
        return NO_BOOK if found is None else success({"neg_risk": found[0].rules.neg_risk})

    def fee_rate(self, request: Request) -> Response:
        """GET /fee-rate: the remains of V1, not the fee."""
        found = self._open(request.arg("token_id"))
        return NO_BOOK if found is None else success({"base_fee": 0})

    def midpoint(self, request: Request) -> Response:
        """GET /midpoint."""
        found = self._open(request.arg("token_id"))
        if found is None:
            return NO_BOOK
        bid, ask = _best(*found)
        if bid is None or ask is None:
            return failure(404, "No orderbook exists for the requested token id")
        return success({"mid": format_fixed((bid + ask) * 5, 5)})

    def price(self, request: Request) -> Response:
        """GET /price: side BUY is the best bid, SELL the best ask."""
        found = self._open(request.arg("token_id"))
        if found is None:
            return NO_BOOK
        side = request.arg("side").upper()
        if side not in {"BUY", "SELL"}:
            return failure(400, "Invalid side")
        price_e4 = _best(*found)[0 if side == "BUY" else 1]
        if price_e4 is None:
            return failure(404, "No orderbook exists for the requested token id")
        return success({"price": format_fixed(price_e4, 4)})

    def last_trade(self, request: Request) -> Response:
        """GET /last-trade-price; side is empty when never traded."""
        found = self._open(request.arg("token_id"))
        if found is None:
            return NO_BOOK
        market, outcome = found
        last = market.last_trade_e4
        if last is None:
            return success({"price": "0.5", "side": ""})
        price_e4 = last if outcome == YES else ONE_E4 - last
        return success({"price": format_fixed(price_e4, 4), "side": market.last_trade_side})

    def markets(self, request: Request) -> Response:
        """GET /markets: pages of long objects."""
        return _page(request, self._exchange.markets, _long)

    def _open(self, token: str) -> tuple[Market, int] | None:
        found = self._exchange.tokens.get(token)
        return None if found is None or found[0].closed else found


class PrivateReads:
    """Reads of one API key's own things."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def order(self, key: ApiKey, order_id: str) -> Response:
        """GET /data/order/{id}: any status, 404 when it never existed."""
        order = self._exchange.orders.get(order_id)
        if order is None or order.owner != key.key:
            return failure(404, "order not found")
        return success(events.open_order(order, self._exchange.markets[order.market]))

    def orders(self, key: ApiKey, request: Request) -> Response:
        """GET /data/orders: open ones, or one of any status by id."""
        exchange = self._exchange
        wanted, condition = request.arg("id"), request.arg("market")
        token = request.arg("asset_id")
        if wanted:
            order = exchange.orders.get(wanted)
            rows = [order] if order is not None and order.owner == key.key else []
        else:
            rows = list(exchange.open_of.get(key.key, {}).values())
        kept = [
            order
            for order in rows
            if (not condition or exchange.markets[order.market].condition_id == condition)
            and (not token or exchange.markets[order.market].tokens[order.outcome] == token)
        ]
        return _page(
            request, kept, lambda order: events.open_order(order, exchange.markets[order.market])
        )

    def trades(self, key: ApiKey, request: Request) -> Response:
        """GET /data/trades, newest last."""
        wanted, condition = request.arg("id"), request.arg("market")
        token, after, before = request.arg("asset_id"), request.arg("after"), request.arg("before")
        for bound in (after, before):
            if bound and not bound.isdecimal():
                return failure(400, "Invalid time")
        kept = [
            trade
            for trade in self._exchange.trades_of.get(key.key, [])
            if (not wanted or trade.id == wanted)
            and (not condition or trade.market.condition_id == condition)
            and (not token or token in trade.market.tokens)
            and (not after or trade.match_ns // NS >= int(after))
            and (not before or trade.match_ns // NS <= int(before))
        ]
        return _page(request, kept, lambda trade: events.trade_row(trade, key.key))

    def balance_allowance(self, key: ApiKey, request: Request) -> Response:
        """GET /balance-allowance: settled base units of the wallet of a signature type."""
        kind = request.arg("signature_type", "0")
        if kind not in {"0", "1", "2", "3"}:
            return failure(400, "Invalid signature type")
        wallet = next(w for w, each in key.wallets.items() if each == int(kind))
        account = self._exchange.accounts.by_wallet.get(wallet)
        asset = request.arg("asset_type", "COLLATERAL").upper()
        if asset == "COLLATERAL":
            balance_e6 = 0 if account is None else account.cash_e6
        elif asset in {"CONDITIONAL", "CONDITIONAL-V2"}:
            found = self._exchange.tokens.get(request.arg("token_id"))
            if found is None:
                return failure(400, "Invalid token id")
            instrument = 2 * found[0].index + found[1]
            balance_e6 = 0 if account is None else account.tokens_e6.get(instrument, 0)
        else:
            return failure(400, "Invalid asset type")
        allowance_e6 = 0 if account is None else account.allowance_e6
        allowances = {contract: str(allowance_e6) for _, contract in EXCHANGES.values()}
        return success({"balance": str(balance_e6), "allowances": allowances})


def _best(market: Market, outcome: int) -> tuple[int | None, int | None]:
    bid, ask = market.ladder.best_bid_e4(), market.ladder.best_ask_e4()
    if outcome == YES:
        return bid, ask
    return None if ask is None else ONE_E4 - ask, None if bid is None else ONE_E4 - bid


def _long(market: Market) -> dict[str, Any]:
    rules = market.rules
    bid, ask = _best(market, YES)
    yes = (bid + ask) / 2 / ONE_E4 if bid is not None and ask is not None else 0.5
    return {
        "enable_order_book": True,
        "active": True,
        "closed": market.closed,
        "archived": False,
        "accepting_orders": market.accepting,
        "accepting_order_timestamp": iso(market.start_ns),
        "minimum_order_size": rules.min_size_e6 // 1_000_000,
        "minimum_tick_size": market.tick_e4 / ONE_E4,
        "condition_id": market.condition_id,
        "question_id": market.question_id,
        "question": market.question,
        "description": market.question,
        "market_slug": market.slug,
        "end_date_iso": iso(market.end_ns) if market.end_ns else None,
        "game_start_time": None,
        "seconds_delay": rules.sd_s,
        "fpmm": "",
        "maker_base_fee": 0,
        "taker_base_fee": 0,
        "notifications_enabled": True,
        "neg_risk": rules.neg_risk,
        "neg_risk_market_id": market.event.neg_risk_id,
        "neg_risk_request_id": market.question_id if rules.neg_risk else "",
        "icon": "",
        "image": "",
        "rewards": {"rates": None, "min_size": 0, "max_spread": 0},
        "is_50_50_outcome": False,
        "tokens": [
            {
                "token_id": token,
                "outcome": market.outcomes[outcome],
                "price": yes if outcome == YES else 1 - yes,
                "winner": market.winner == outcome,
            }
            for outcome, token in enumerate(market.tokens)
        ],
        "tags": [rules.category],
    }


def _page(request: Request, rows: Sequence[Any], shape: Any) -> Response:
    """Serve a page; the cursor is base64 of an offset, LTE= ends. Asking for LTE= is a 400."""
    cursor = request.arg("next_cursor")
    offset = 0
    if cursor:
        try:
            offset = int(base64.b64decode(cursor, validate=True))
        except (binascii.Error, ValueError):
            return failure(400, "Invalid next cursor")
        if offset < 0:
            return failure(400, "Invalid next cursor")
    page = rows[offset : offset + PAGE]
    end = offset + len(page)
    following = END_CURSOR
    if end < len(rows):
        following = base64.b64encode(str(end).encode()).decode()
    data = [shape(row) for row in page]
    return success({"limit": PAGE, "count": len(data), "next_cursor": following, "data": data})
