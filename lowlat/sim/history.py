"""What public reads need from the past: prices and the latest trades of each market. Pure.

Source: polymarket.md 1.1 (``/prices-history``, ``/markets/live-activity``).
"""

from collections import deque
from typing import Any, Final

from lowlat.core.units import ONE_E4, format_fixed
from lowlat.sim.catalog import Market
from lowlat.sim.exchange import Exchange
from lowlat.sim.ladder import BUY, YES
from lowlat.sim.listener import Listener
from lowlat.sim.trades import Trade
from lowlat.sim.verify import checksum_address
from lowlat.sim.wire import Request, Response, failure, success

__all__ = ["INTERVALS_S", "History"]

NS: Final = 1_000_000_000
POINTS_MAX: Final = 20_000
TRADES_MAX: Final = 100
INTERVALS_S: Final = {
    "1m": 30 * 86_400,
    "1w": 7 * 86_400,
    "1d": 86_400,
    "6h": 21_600,
    "1h": 3_600,
    "max": 1 << 40,
    "all": 1 << 40,
}


class History(Listener):
    """Keeps the last trade of each second and the last trades of each market."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._points: dict[int, deque[tuple[int, int]]] = {}
        self._trades: dict[int, deque[Trade]] = {}
        exchange.listeners.append(self)

    def on_trades(self, market: Market, trades: list[Trade], now_ns: int) -> None:
        """Note the price of YES."""
        points = self._points.setdefault(market.index, deque(maxlen=POINTS_MAX))
        self._trades.setdefault(market.index, deque(maxlen=TRADES_MAX)).extend(trades)
        last = market.last_trade_e4
        assert last is not None, f"market {market.slug} traded without a price"
        second = now_ns // NS
        if points and points[-1][0] == second:
            points.pop()
        points.append((second, last))

    def points(self, market: Market) -> list[tuple[int, int]]:
        """Return (second, price of YES) of a market's past, oldest first."""
        return list(self._points.get(market.index, ()))

    def prices(self, request: Request, now_ns: int) -> Response:
        """GET /prices-history: the last price of each interval of ``fidelity`` minutes."""
        found = self._exchange.tokens.get(request.arg("market"))
        if found is None:
            return failure(400, "Invalid market")
        window = _window(request, now_ns // NS)
        fidelity = request.arg("fidelity", "1")
        if window is None or not fidelity.isdecimal() or not 0 < int(fidelity) < 10**6:
            return failure(400, "Invalid time range")
        market, outcome = found
        step_s = int(fidelity) * 60
        kept: dict[int, int] = {}
        for second, yes_e4 in self._points.get(market.index, ()):
            if window[0] <= second <= window[1]:
                kept[second // step_s * step_s] = yes_e4 if outcome == YES else ONE_E4 - yes_e4
        rows = [{"t": second, "p": price_e4 / ONE_E4} for second, price_e4 in kept.items()]
        return success({"history": rows})

    def live_activity(self, condition_id: str) -> Response:
        """GET /markets/live-activity/{cid}: the latest trades, newest first."""
        market = self._exchange.conditions.get(condition_id)
        if market is None:
            return failure(404, "market not found")
        return success([_activity(trade) for trade in reversed(self._trades.get(market.index, ()))])


def _window(request: Request, now_s: int) -> tuple[int, int] | None:
    """Return the seconds asked for, None when they are no range."""
    interval, start, end = (request.arg(name) for name in ("interval", "startTs", "endTs"))
    if interval:
        length_s = INTERVALS_S.get(interval)
        return None if length_s is None else (now_s - length_s, now_s)
    if not (start.isdecimal() and len(start) < 13) or (end and not end.isdecimal()):
        return None
    return int(start), int(end) if end else now_s


def _activity(trade: Trade) -> dict[str, Any]:
    market, taker = trade.market, trade.taker
    wallet = checksum_address(taker.account)
    return {
        "event_type": "trade",
        "market": {
            "condition_id": market.condition_id,
            "asset_id": market.tokens[taker.outcome],
            "question": market.question,
            "icon": "",
            "slug": market.slug,
        },
        "user": {
            "address": wallet,
            "username": "",
            "profile_picture": "",
            "optimized_profile_picture": "",
            "pseudonym": "",
        },
        "side": "BUY" if taker.side == BUY else "SELL",
        "size": format_fixed(trade.size_e6, 6),
        "fee_rate_bps": "0",
        "price": format_fixed(trade.price_e4, 4),
        "outcome": market.outcomes[taker.outcome],
        "outcome_index": taker.outcome,
        "transaction_hash": trade.transaction_hash,
        "timestamp": str(trade.match_ns // NS),
    }
