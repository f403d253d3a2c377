"""Candles of the simulated spot exchange: rows of the REST answer, events of the streams. Pure.

A stream speaks each two seconds, that of one-second candles each second, and once more when its
candle is over. Source: feeds.md 1.4, 3.7.
"""

from typing import Any, Final

from lowlat.sim.binance_book import Book, e8
from lowlat.sim.spot import SpotPath

__all__ = ["INTERVALS_S", "kline_events", "kline_rows"]

NS: Final = 1_000_000_000
INTERVALS_S: Final = {
    "1s": 1,
    "1m": 60,
    "3m": 180,
    "5m": 300,
    "15m": 900,
    "30m": 1_800,
    "1h": 3_600,
    "2h": 7_200,
    "4h": 14_400,
    "6h": 21_600,
    "8h": 28_800,
    "12h": 43_200,
    "1d": 86_400,
}
_EVERY_S: Final = 2


def kline_rows(
    spot: SpotPath, book: Book, span_s: int, since_s: int, count_max: int, now_ns: int
) -> list[list[Any]]:
    """Return candles that begin at or after a second, oldest first; the last may be running."""
    oldest = max(min(spot.seconds), since_s)
    start_s = -(-oldest // span_s) * span_s
    rows: list[list[Any]] = []
    while start_s * NS <= now_ns and len(rows) < count_max:
        prices = _prices(spot, start_s, span_s, now_ns)
        if prices is not None:
            texts = [e8(price) for price in prices]
            closing_ms = (start_s + span_s) * 1000 - 1
            count, *sums = book.turnover.between(start_s, start_s + span_s)
            base, quote, bought, paid = map(e8, sums)
            head = [start_s * 1000, *texts, base, closing_ms]
            rows.append([*head, quote, count, bought, paid, "0"])
        start_s += span_s
    return rows


def kline_events(
    spot: SpotPath, book: Book, interval: str, second: int, now_ns: int
) -> list[dict[str, Any]]:
    """Return what a stream says at a whole second: the end of a candle, the state of the next."""
    span_s = INTERVALS_S[interval]
    start_s = second // span_s * span_s
    wanted = []
    if start_s == second:
        wanted.append(start_s - span_s)
    if second % min(_EVERY_S, span_s) == 0:
        wanted.append(start_s)
    events = []
    for each_s in wanted:
        prices = _prices(spot, each_s, span_s, now_ns)
        if prices is not None:
            over = each_s < start_s
            events.append(_event(book, interval, each_s, prices, over=over, now_ns=now_ns))
    return events


def _prices(spot: SpotPath, start_s: int, span_s: int, now_ns: int) -> list[int] | None:
    """Return open, high, low and close; a running candle closes at the last price."""
    candle = spot.candle(start_s, start_s + span_s)
    if candle is None:
        return None
    first, high, low, last = candle
    if (start_s + span_s) * NS > now_ns:
        last = spot.price_e8
    return [first, max(high, last), min(low, last), last]


def _event(
    book: Book, interval: str, start_s: int, prices: list[int], *, over: bool, now_ns: int
) -> dict[str, Any]:
    first, high, low, last = (e8(price) for price in prices)
    end_s = start_s + INTERVALS_S[interval]
    before = book.first_trade_id + book.turnover.until(start_s).trades
    count, *sums = book.turnover.between(start_s, end_s)
    base, quote, bought, paid = map(e8, sums)
    return {
        "e": "kline",
        "E": now_ns,
        "s": book.symbol,
        "k": {
            "t": start_s * NS,
            # The end is written one unit before the next candle, whatever the unit.
            "T": end_s * NS - 1,
            "s": book.symbol,
            "i": interval,
            "f": before + 1 if count else -1,
            "L": before + count if count else -1,
            "o": first,
            "c": last,
            "h": high,
            "l": low,
            "v": base,
            "n": count,
            "x": over,
            "q": quote,
            "V": bought,
            "Q": paid,
            "B": "0",
        },
    }
