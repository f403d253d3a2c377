"""What the simulated spot exchange says of its symbols and of a day. Pure.

Source: feeds.md 1.4; field by field the vendor's documentation of /api/v3/exchangeInfo, 2026-11.
"""

from typing import Any, Final

__all__ = ["exchange_info", "ticker_event"]

ORDER_TYPES: Final = (
    "LIMIT",
    "LIMIT_MAKER",
    "MARKET",
    "STOP_LOSS",
    "STOP_LOSS_LIMIT",
    "TAKE_PROFIT",
    "TAKE_PROFIT_LIMIT",
)
FLAGS: Final = {
    "icebergAllowed": True,
    "ocoAllowed": True,
    "otoAllowed": True,
    "opoAllowed": True,
    "quoteOrderQtyMarketAllowed": True,
    "allowTrailingStop": True,
    "cancelReplaceAllowed": True,
    "amendAllowed": True,
    "pegInstructionsAllowed": True,
    "isSpotTradingAllowed": True,
    "isMarginTradingAllowed": False,
}
PRECISIONS: Final = (
    "baseAssetPrecision",
    "quotePrecision",
    "quoteAssetPrecision",
    "baseCommissionPrecision",
    "quoteCommissionPrecision",
)
FILTERS: Final[tuple[dict[str, Any], ...]] = (
    {
        "filterType": "PRICE_FILTER",
        "minPrice": "0.01000000",
        "maxPrice": "1000000.00000000",
        "tickSize": "0.01000000",
    },
    {
        "filterType": "LOT_SIZE",
        "minQty": "0.00001000",
        "maxQty": "9000.00000000",
        "stepSize": "0.00001000",
    },
    {
        "filterType": "NOTIONAL",
        "minNotional": "5.00000000",
        "applyMinToMarket": True,
        "maxNotional": "9000000.00000000",
        "applyMaxToMarket": False,
        "avgPriceMins": 5,
    },
)


def exchange_info(
    coins: dict[str, str], now_ms: int, limits: tuple[tuple[str, str, int, int], ...]
) -> dict[str, Any]:
    """Return the answer for some symbols (symbol to coin) and limits (type, unit, count, most)."""
    return {
        "timezone": "UTC",
        "serverTime": now_ms,
        "rateLimits": [
            {"rateLimitType": kind, "interval": unit, "intervalNum": count, "limit": most}
            for kind, unit, count, most in limits
        ],
        "exchangeFilters": [],
        "symbols": [_symbol(symbol, coin) for symbol, coin in coins.items()],
    }


def _symbol(symbol: str, coin: str) -> dict[str, Any]:
    return {
        "symbol": symbol,
        "status": "TRADING",
        "baseAsset": coin,
        "quoteAsset": "USDT",
        **dict.fromkeys(PRECISIONS, 8),
        "orderTypes": list(ORDER_TYPES),
        **FLAGS,
        "filters": [dict(each) for each in FILTERS],
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": ["EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"],
    }


def ticker_event(event: str, day: dict[str, Any], now_ns: int) -> dict[str, Any]:
    """Return what a ticker stream says of a day's figures."""
    value = {
        "e": event,
        "E": now_ns,
        "s": day["symbol"],
        "c": day["lastPrice"],
        "o": day["openPrice"],
        "h": day["highPrice"],
        "l": day["lowPrice"],
        "v": day["volume"],
        "q": day["quoteVolume"],
    }
    if event == "24hrMiniTicker":
        return value
    return value | {
        "p": day["priceChange"],
        "P": day["priceChangePercent"],
        "w": day["weightedAvgPrice"],
        "x": day["prevClosePrice"],
        "Q": day["lastQty"],
        "b": day["bidPrice"],
        "B": day["bidQty"],
        "a": day["askPrice"],
        "A": day["askQty"],
        "O": day["openTime"],
        "C": day["closeTime"],
        "F": day["firstId"],
        "L": day["lastId"],
        "n": day["count"],
    }
