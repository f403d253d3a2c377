"""Metadata service: events and markets with the field names of the real one. Pure.

Source: polymarket.md 11.1, feeds.md 3.1. Lists inside a market are JSON text inside a string.
"""

from typing import Any, Final

import orjson

from lowlat.core.units import E8, ONE_E4, format_fixed
from lowlat.sim.catalog import COINS, Event, Market, iso, span_text
from lowlat.sim.exchange import Exchange
from lowlat.sim.wire import Request, Respond, Response, failure, success

__all__ = ["Gamma"]

EVENTS_MAX: Final = 500
MARKETS_MAX: Final = 100
SOURCES: Final = {
    "twap": "https://data.chain.link/streams/{coin}-usd-twap-60s-streams",
    "candle": "https://www.binance.com/en/trade/{COIN}_USDT",
    "strike": "https://www.binance.com/en/trade/{COIN}_USDT",
}


class Gamma:
    """Answers of the metadata service."""

    def __init__(self, exchange: Exchange, events: list[Event]) -> None:
        self._exchange = exchange
        self._events = events

    def handle(self, request: Request, now_ns: int, respond: Respond) -> None:
        """Answer one request."""
        del now_ns
        respond(self.answer(request))

    def answer(self, request: Request) -> Response:
        """Route one GET."""
        parts = request.path.strip("/").split("/")
        if parts[0] == "events":
            return self._events_answer(request, parts[1:])
        if parts[0] == "markets":
            return self._markets_answer(request, parts[1:])
        return failure(404, "not found")

    def _events_answer(self, request: Request, rest: list[str]) -> Response:
        if rest in ([], ["keyset"]):
            return self._page(request, "events", EVENTS_MAX, self._open_events(request), event_json)
        wanted = rest[-1]
        by_slug = len(rest) == 2 and rest[0] == "slug"
        for event in self._events:
            if wanted == (event.slug if by_slug else event.id):
                return success(event_json(event))
        return failure(404, "event not found")

    def _markets_answer(self, request: Request, rest: list[str]) -> Response:
        if rest in ([], ["keyset"]):
            rows = self._open_markets(request)
            return self._page(request, "markets", MARKETS_MAX, rows, market_json)
        wanted = rest[-1]
        by_slug = len(rest) == 2 and rest[0] == "slug"
        for market in self._exchange.markets:
            if wanted == (market.slug if by_slug else market.id):
                return success(market_json(market))
        return failure(404, "market not found")

    def _open_events(self, request: Request) -> list[Event]:
        closed = request.arg("closed", "false") == "true"
        slugs = request.query.get("slug", [])
        return [
            event
            for event in self._events
            if all(m.closed for m in event.markets) == closed and (not slugs or event.slug in slugs)
        ]

    def _open_markets(self, request: Request) -> list[Market]:
        closed = request.arg("closed", "false") == "true"
        slugs = request.query.get("slug", [])
        conditions = request.query.get("condition_ids", [])
        tokens = set(request.query.get("clob_token_ids", []))
        return [
            market
            for market in self._exchange.markets
            if market.closed == closed
            and (not slugs or market.slug in slugs)
            and (not conditions or market.condition_id in conditions)
            and (not tokens or tokens & set(market.tokens))
        ]

    def _page(
        self, request: Request, name: str, most: int, rows: list[Any], shape: Any
    ) -> Response:
        """Serve a keyset page (or a bare list on the old offset path)."""
        limit_text = request.arg("limit", str(min(most, 100)))
        cursor = request.arg("after_cursor") or request.arg("offset", "0")
        if not limit_text.isdecimal() or not cursor.isdecimal():
            return failure(422, "invalid limit or cursor")
        limit, offset = min(int(limit_text), most), int(cursor)
        page = [shape(row) for row in rows[offset : offset + limit]]
        if not request.path.endswith("keyset"):
            return success(page)
        body: dict[str, Any] = {name: page}
        if offset + limit < len(rows):
            body["next_cursor"] = str(offset + limit)
        return success(body)


def event_json(event: Event) -> dict[str, Any]:
    """Return an event with its markets."""
    closed = all(market.closed for market in event.markets)
    volume_e6 = sum(market.volume_e6 for market in event.markets)
    return {
        **_event_head(event, closed=closed),
        "volume": volume_e6 / 1e6,
        "liquidity": 0,
        "markets": [market_json(market, nested=True) for market in event.markets],
        "tags": _tags(event),
    }


def market_json(market: Market, *, nested: bool = False) -> dict[str, Any]:
    """Return a market; a lone one carries its event's head."""
    rules, event = market.rules, market.event
    bid, ask = market.ladder.best_bid_e4(), market.ladder.best_ask_e4()
    volume_e6 = market.volume_e6
    value: dict[str, Any] = {
        "id": market.id,
        "version": "v1",
        "question": market.question,
        "conditionId": market.condition_id,
        "questionID": market.question_id,
        "slug": market.slug,
        "resolutionSource": _source(market),
        "startDate": iso(market.start_ns),
        "endDate": iso(market.end_ns),
        "description": _description(market),
        "outcomes": orjson.dumps(market.outcomes).decode(),
        "outcomePrices": orjson.dumps(_outcome_prices(market)).decode(),
        "clobTokenIds": orjson.dumps(market.tokens).decode(),
        "groupItemTitle": market.group_item,
        "category": rules.category,
        "active": True,
        "closed": market.closed,
        "archived": False,
        "acceptingOrders": market.accepting,
        "enableOrderBook": True,
        "negRisk": rules.neg_risk,
        "negRiskMarketID": event.neg_risk_id,
        "volume": format_fixed(volume_e6, 6),
        "volumeNum": volume_e6 / 1e6,
        "volume24hr": volume_e6 / 1e6,
        "liquidity": "0",
        "liquidityNum": 0,
        "bestBid": 0 if bid is None else bid / ONE_E4,
        "bestAsk": 1 if ask is None else ask / ONE_E4,
        "spread": 1 if bid is None or ask is None else (ask - bid) / ONE_E4,
        "lastTradePrice": (market.last_trade_e4 or 0) / ONE_E4,
        "orderMinSize": rules.min_size_e6 // 1_000_000,
        "orderPriceMinTickSize": market.tick_e4 / ONE_E4,
        "secondsDelay": rules.sd_s,
        "feesEnabled": rules.fee_rate_e4 > 0,
        "feeType": rules.category.lower() if rules.fee_rate_e4 else None,
        "umaResolutionStatus": "resolved" if market.closed else "",
    }
    if rules.fee_rate_e4:
        value["feeSchedule"] = {
            "exponent": 1,
            "rate": rules.fee_rate_e4 / ONE_E4,
            "takerOnly": True,
            "rebateRate": rules.rebate,
        }
    if market.kind in {"twap", "candle"}:
        value["eventStartTime"] = iso(market.start_ns)
    if market.kind == "twap":
        value["cryptoMarketConfig"] = {
            "id": f"{market.coin.lower()}-{_duration(market)}-twap-60",
            "asset": market.coin.lower(),
            "duration": _duration(market),
            "twapEnabled": True,
            "twapLookbackSeconds": 60,
        }
    if not nested:
        value["events"] = [_event_head(event, closed=market.closed)]
        value["tags"] = _tags(event)
    return value


def _event_head(event: Event, *, closed: bool) -> dict[str, Any]:
    head: dict[str, Any] = {
        "id": event.id,
        "ticker": event.slug,
        "slug": event.slug,
        "title": event.title,
        "active": True,
        "closed": closed,
        "archived": False,
        "startDate": iso(event.start_ns),
        "endDate": iso(event.end_ns),
        "negRisk": event.rules.neg_risk,
        "enableNegRisk": event.rules.neg_risk,
        "negRiskAugmented": False,
        "seriesSlug": event.series,
    }
    if event.rules.neg_risk:
        head["negRiskMarketID"] = event.neg_risk_id
    first = event.markets[0]
    if first.kind == "twap" and closed and first.start_price_e8:
        # Known only after the end, as live. Source: feeds.md 3.2.
        head["eventMetadata"] = {"priceToBeat": first.start_price_e8 / E8}
    return head


def _tags(event: Event) -> list[dict[str, Any]]:
    slugs = [event.rules.category.lower()]
    if event.series:
        slugs += ["up-or-down", "crypto-prices"]
    return [
        {"id": str(100 + i), "label": slug.title(), "slug": slug} for i, slug in enumerate(slugs)
    ]


def _duration(market: Market) -> str:
    return span_text((market.end_ns - market.start_ns) // 1_000_000_000)


def _source(market: Market) -> str:
    text = SOURCES.get(market.kind, "")
    return text.format(coin=market.coin.lower(), COIN=market.coin.upper())


def _outcome_prices(market: Market) -> tuple[str, str]:
    if market.winner is not None:
        return ("1", "0") if market.winner == 0 else ("0", "1")
    bid, ask = market.ladder.best_bid_e4(), market.ladder.best_ask_e4()
    mid = 5000 if bid is None or ask is None else (bid + ask) // 2
    return format_fixed(mid, 4), format_fixed(ONE_E4 - mid, 4)


def _description(market: Market) -> str:
    """Write the rules in the phrases the venue uses. Source: feeds.md 3.1."""
    if not market.coin:
        return f'This market will resolve to "Yes" if: {market.question}'
    pair = f"{market.coin}/USDT"
    if market.kind == "twap":
        return (
            f'This market will resolve to "Up" if the {COINS[market.coin].name} price at the end '
            "of the time range specified in the title is greater than or equal to the price at "
            "the beginning of that range, both taken as the 60 second TWAP. The resolution source "
            f"is information from Chainlink, specifically the {market.coin}/USD TWAP data stream."
        )
    if market.kind == "candle":
        return (
            'This market will resolve to "Up" if the close price is greater than or equal to the '
            f"open price for the Binance {pair} 1 hour candle that begins on the time and date in "
            "the title."
        )
    return (
        f'This market will resolve to "Yes" if the Binance 1 minute candle for {pair} 12:00 in '
        'the ET timezone (noon) on the date in the title has a final "Close" price higher than '
        "the price in the title."
    )
