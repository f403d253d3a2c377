"""What the order-book service answers to everybody: markets, books, prices. Pure.

Source: polymarket.md 1.1-1.4.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from lowlat.core.units import ONE_E4, format_fixed
from lowlat.sim import events
from lowlat.sim.catalog import Market
from lowlat.sim.exchange import Exchange
from lowlat.sim.ladder import YES
from lowlat.sim.market_rows import (
    best_e4,
    compact_market,
    long_market,
    mid_e5,
    simplified_market,
)
from lowlat.sim.pages import page
from lowlat.sim.wire import UNREADABLE, Request, Response, failure, success

__all__ = ["PublicReads"]

BATCH_MAX: Final = 500
NO_BOOK: Final = failure(404, "No orderbook exists for the requested token id")
NO_MARKET: Final = failure(404, "market not found")


class _BookQuery(msgspec.Struct, gc=False):
    token_id: str
    side: str = ""


_decode_books: Final = msgspec.json.Decoder(list[_BookQuery]).decode
Found = tuple[Market, int]


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
        found = self._many(request)
        if isinstance(found, Response):
            return found
        return success([events.book(*each, now_ns) for _, each in found])

    def clob_market(self, condition_id: str) -> Response:
        """GET /clob-markets/{cid}: the compact object. Source: 1.2."""
        market = self._exchange.conditions.get(condition_id)
        if market is None:
            return NO_MARKET
        return success(compact_market(market))

    def long_market(self, condition_id: str) -> Response:
        """GET /markets/{cid}: the long object. Source: 1.2."""
        market = self._exchange.conditions.get(condition_id)
        return NO_MARKET if market is None else success(long_market(market))

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
        return self._one(request, lambda found, _: {"mid": _mid_text(found)})

    def midpoints(self, request: Request) -> Response:
        """POST /midpoints: a string by token; tokens without a midpoint are left out."""
        return self._map(request, lambda found, _: _mid_text(found))

    def spread(self, request: Request) -> Response:
        """GET /spread."""
        return self._one(request, lambda found, _: {"spread": _spread_text(found)})

    def spreads(self, request: Request) -> Response:
        """POST /spreads."""
        return self._map(request, lambda found, _: _spread_text(found))

    def price(self, request: Request) -> Response:
        """GET /price: side BUY is the best bid, SELL the best ask."""
        return self._one(
            request, lambda found, side: {"price": _price_text(found, side)}, side=True
        )

    def prices(self, request: Request) -> Response:
        """POST /prices: sides by token."""
        found = self._many(request)
        if isinstance(found, Response):
            return found
        values: dict[str, dict[str, str]] = {}
        for query, each in found:
            for side in (query.side.upper(),) if query.side else ("BUY", "SELL"):
                if side not in {"BUY", "SELL"}:
                    return failure(400, "Invalid side")
                text = _price_text(each, side)
                if text is not None:
                    values.setdefault(query.token_id, {})[side] = text
        return success(values)

    def all_prices(self) -> Response:
        """GET /prices: both sides of all tokens with a book. Source: rs-clob-client, all_prices."""
        values: dict[str, dict[str, str]] = {}
        for token, found in self._exchange.tokens.items():
            texts = {} if found[0].closed else _both_texts(found)
            if texts:
                values[token] = texts
        return success(values)

    def last_trade(self, request: Request) -> Response:
        """GET /last-trade-price; side is empty when never traded."""
        found = self._open(request.arg("token_id"))
        return NO_BOOK if found is None else success(_last_trade(found))

    def last_trades(self, request: Request) -> Response:
        """POST /last-trades-prices: tokens that never traded are left out."""
        found = self._many(request)
        if isinstance(found, Response):
            return found
        rows = ({"token_id": query.token_id, **_last_trade(each)} for query, each in found)
        return success([row for row in rows if row["side"]])

    def markets(self, request: Request, *, sampling: bool, simplified: bool) -> Response:
        """GET /markets and its shorter kinds; sampling ones pay liquidity rewards."""
        rows = self._exchange.markets
        if sampling:
            rows = [m for m in rows if m.rules.reward_daily_e6 and not m.closed]
        return page(request, rows, simplified_market if simplified else long_market)

    def _one(
        self,
        request: Request,
        value: Callable[[Found, str], dict[str, str | None]],
        *,
        side: bool = False,
    ) -> Response:
        found = self._open(request.arg("token_id"))
        if found is None:
            return NO_BOOK
        wanted = request.arg("side").upper()
        if side and wanted not in {"BUY", "SELL"}:
            return failure(400, "Invalid side")
        body = value(found, wanted)
        # An empty side has no price, as a missing book has none.
        return NO_BOOK if None in body.values() else success(body)

    def _map(self, request: Request, value: Callable[[Found, str], str | None]) -> Response:
        found = self._many(request)
        if isinstance(found, Response):
            return found
        values = {query.token_id: value(each, query.side) for query, each in found}
        return success({token: text for token, text in values.items() if text is not None})

    def _many(self, request: Request) -> list[tuple[_BookQuery, Found]] | Response:
        try:
            wanted = _decode_books(request.body)
        except UNREADABLE:
            return failure(400, "Invalid payload")
        if len(wanted) > BATCH_MAX:
            return failure(400, "Payload exceeds the limit")
        pairs = ((query, self._open(query.token_id)) for query in wanted)
        return [(query, each) for query, each in pairs if each is not None]

    def _open(self, token: str) -> tuple[Market, int] | None:
        found = self._exchange.tokens.get(token)
        return None if found is None or found[0].closed else found


def _mid_text(found: Found) -> str | None:
    mid = mid_e5(*found)
    return None if mid is None else format_fixed(mid, 5)


def _spread_text(found: Found) -> str | None:
    bid, ask = best_e4(*found)
    return None if bid is None or ask is None else format_fixed(ask - bid, 4)


def _price_text(found: Found, side: str) -> str | None:
    price_e4 = best_e4(*found)[0 if side == "BUY" else 1]
    return None if price_e4 is None else format_fixed(price_e4, 4)


def _both_texts(found: Found) -> dict[str, str]:
    texts = {side: _price_text(found, side) for side in ("BUY", "SELL")}
    return {side: text for side, text in texts.items() if text is not None}


def _last_trade(found: Found) -> dict[str, str]:
    market, outcome = found
    last = market.last_trade_e4
    if last is None:
        return {"price": "0.5", "side": ""}
    price_e4 = last if outcome == YES else ONE_E4 - last
    return {"price": format_fixed(price_e4, 4), "side": market.last_trade_side}
