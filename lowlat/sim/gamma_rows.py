"""Events and markets as the metadata service writes them. Pure.

Source: polymarket.md 11.1, feeds.md 3.1. Lists inside a market are JSON text inside a string.
"""

import zlib
from typing import Any, Final

import orjson

from lowlat.core.units import E8, ONE_E4, format_fixed
from lowlat.sim.catalog import COINS, Event, Market, iso, span_text
from lowlat.sim.contracts import PUSD
from lowlat.sim.gamma_series import series_json

__all__ = ["event_json", "liquidity_e6", "market_json", "tags_of"]

SOURCES: Final = {
    "twap": "https://data.chain.link/streams/{coin}-usd-twap-60s-streams",
    "candle": "https://www.binance.com/en/trade/{COIN}_USDT",
    "strike": "https://www.binance.com/en/trade/{COIN}_USDT",
}
VOLUMES: Final = ("volume24hr", "volume1wk", "volume1mo", "volume1yr")
"""No run outlasts what it has seen: all of it is of the last day."""
CLOB_VOLUMES: Final = ("volumeClob", *(f"{name}Clob" for name in VOLUMES))
COMMON_FLAGS: Final = {
    "image": "",
    "icon": "",
    "new": False,
    "featured": False,
    "restricted": True,
    "cyom": False,
    "automaticallyActive": True,
    "pendingDeployment": False,
    "deploying": False,
    "requiresTranslation": False,
}
MARKET_FLAGS: Final = {
    **COMMON_FLAGS,
    "marketMakerAddress": "",
    "submitted_by": "0x91430CaD2d3975766499717fA0D66A78D814E5c5",
    "resolvedBy": "0x65070BE91477460D8A7AeEb94ef92fe056C2f2A7",
    "approved": True,
    "ready": False,
    "funded": False,
    "hasReviewedDates": True,
    "pagerDutyNotificationEnabled": False,
    "manualActivation": False,
    "clearBookOnStart": False,
    "negRiskOther": False,
    "rfqEnabled": False,
    "holdingRewardsEnabled": False,
    "showGmpSeries": False,
    "showGmpOutcome": False,
    "seriesColor": "",
    "umaBond": "500",
    "umaReward": "2",
    "umaResolutionStatuses": "[]",
    "customLiveness": 0,
}
"""What each recorded market says beside the facts; clients insist on some. Source: data/polymarket.
"""
EVENT_FLAGS: Final = {
    **COMMON_FLAGS,
    "enableOrderBook": True,
    "commentCount": 0,
    "showAllOutcomes": True,
    "showMarketImages": True,
}


def event_json(event: Event) -> dict[str, Any]:
    """Return an event with its markets."""
    closed = all(market.closed for market in event.markets)
    volume_e6 = sum(market.volume_e6 for market in event.markets)
    return {
        **_event_head(event, closed=closed),
        "volume": volume_e6 / 1e6,
        **dict.fromkeys(VOLUMES, volume_e6 / 1e6),
        "liquidity": sum(map(liquidity_e6, event.markets)) / 1e6,
        "liquidityClob": sum(map(liquidity_e6, event.markets)) / 1e6,
        "markets": [market_json(market, nested=True) for market in event.markets],
        "tags": tags_of(event),
    }


def market_json(market: Market, *, nested: bool = False) -> dict[str, Any]:
    """Return a market; a lone one carries its event's head."""
    rules, event = market.rules, market.event
    bid, ask = market.ladder.best_bid_e4(), market.ladder.best_ask_e4()
    volume_e6, liquid_e6 = market.volume_e6, liquidity_e6(market)
    value: dict[str, Any] = {
        **MARKET_FLAGS,
        "createdAt": iso(market.start_ns),
        "updatedAt": iso(market.start_ns),
        "acceptingOrdersTimestamp": iso(market.start_ns),
        "startDateIso": iso(market.start_ns)[:10],
        "endDateIso": iso(market.end_ns)[:10],
        "id": market.id,
        "version": market.version,
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
        **dict.fromkeys(VOLUMES, volume_e6 / 1e6),
        **dict.fromkeys(CLOB_VOLUMES, volume_e6 / 1e6),
        "liquidity": format_fixed(liquid_e6, 6),
        "liquidityNum": liquid_e6 / 1e6,
        "liquidityClob": liquid_e6 / 1e6,
        "bestBid": 0 if bid is None else bid / ONE_E4,
        "bestAsk": 1 if ask is None else ask / ONE_E4,
        "spread": 1 if bid is None or ask is None else (ask - bid) / ONE_E4,
        "lastTradePrice": (market.last_trade_e4 or 0) / ONE_E4,
        "rewardsMinSize": rules.reward_min_size_e6 // 1_000_000 if rules.reward_daily_e6 else 0,
        "rewardsMaxSpread": rules.reward_spread_e4 / 100 if rules.reward_daily_e6 else 0,
        "orderMinSize": rules.min_size_e6 // 1_000_000,
        "orderPriceMinTickSize": market.tick_e4 / ONE_E4,
        "secondsDelay": rules.sd_s,
        "feesEnabled": rules.fee_rate_e4 > 0,
        "feeType": rules.category.lower() if rules.fee_rate_e4 else None,
        "umaResolutionStatus": "resolved" if market.closed else "",
    }
    if rules.neg_risk:
        value["negRiskRequestID"] = market.question_id
    if market.version == "v2":
        value["positionIds"] = value["clobTokenIds"]
    if market.closed:
        value["closedTime"] = value["endDate"]
    if rules.reward_daily_e6:
        value["clobRewards"] = [
            {
                "id": market.id,
                "conditionId": market.condition_id,
                "assetAddress": PUSD,
                "rewardsAmount": 0,
                "rewardsDailyRate": rules.reward_daily_e6 / 1e6,
                "startDate": iso(market.start_ns)[:10],
                "endDate": "2500-12-31",
            }
        ]
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
        value["tags"] = tags_of(event)
    return value


def liquidity_e6(market: Market) -> int:
    """Return the dollars behind what rests: bids at their price, asks at the other side's.

    How the venue counts is not known; this is what makers would pay if all of it filled.
    """
    ladder = market.ladder
    bids = sum(price * size_e6 for price, size_e6 in ladder.bid_levels())
    asks = sum((ONE_E4 - price) * size_e6 for price, size_e6 in ladder.ask_levels())
    return (bids + asks) // ONE_E4


def _event_head(event: Event, *, closed: bool) -> dict[str, Any]:
    head: dict[str, Any] = {
        **EVENT_FLAGS,
        "createdAt": iso(event.start_ns),
        "updatedAt": iso(event.start_ns),
        "creationDate": iso(event.start_ns),
        "description": _description(event.markets[0]) if event.markets else "",
        "resolutionSource": _source(event.markets[0]) if event.markets else "",
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
    if event.series:
        head["series"] = [series_json(event.series)]
    if event.rules.neg_risk:
        head["negRiskMarketID"] = event.neg_risk_id
    first = event.markets[0]
    if first.kind == "twap" and closed and first.start_price_e8:
        # Known only after the end, as live. Source: feeds.md 3.2.
        head["eventMetadata"] = {
            "priceToBeat": first.start_price_e8 / E8,
            "finalPrice": first.final_price_e8 / E8,
        }
    return head


def tags_of(event: Event) -> list[dict[str, Any]]:
    """Return the tags of an event; their ids follow from their slugs."""
    slugs = [event.rules.category.lower()]
    if event.series:
        slugs += ["up-or-down", "crypto-prices"]
    return [
        {"id": str(100 + zlib.crc32(slug.encode()) % 900_000), "label": slug.title(), "slug": slug}
        for slug in slugs
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
        return (
            f'This market will resolve to "Yes" if: {market.question} '
            "The resolution source for this market is the official record of the vote."
        )
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
