"""What the venue's web site tells bots: where a caller may trade, and prices of up/down windows.

The site has no port of its own; the order-book service serves its paths. Pure.
Source: polymarket.md 1; feeds.md 3.2.
"""

import zlib
from collections.abc import Callable
from datetime import datetime
from typing import Final

from lowlat.core.units import E8
from lowlat.sim.config import SimConfig
from lowlat.sim.spot import SpotPath
from lowlat.sim.wire import Request, Response, failure, success

__all__ = ["Site"]

NS: Final = 1_000_000_000
MS: Final = 1_000_000
KNOWN_AFTER_S: Final = 3
"""The price of a second appears so long after it."""
MENDED_AFTER_S: Final = 12
"""One window in four shows the second before until then, and is corrected."""
WRONG_EACH: Final = 4
CANDLES: Final = frozenset({"hourly", "daily"})
"""Variants that the exchange's price decides; all others are Chainlink's."""


class Site:
    """Answers of the site's own paths."""

    def __init__(self, config: SimConfig, spots: dict[str, SpotPath]) -> None:
        self._config = config
        self._spots = spots

    def routes(self) -> dict[tuple[str, str], Callable[[Request, int], Response]]:
        """Return the paths and who answers them."""
        return {
            ("GET", "/api/geoblock"): lambda request, _: self._region(request),
            ("GET", "/api/crypto/crypto-price"): self._crypto_price,
        }

    def _region(self, request: Request) -> Response:
        """Say whether an address may trade."""
        config = self._config
        where = {"ip": request.address, "country": config.country, "region": ""}
        return success({"blocked": config.geoblocked, **where})

    def _crypto_price(self, request: Request, now_ns: int) -> Response:
        """Tell the price at a window's start and end: null until it is known.

        Without both parameters of the average it is the spot, and nothing says so.
        """
        query = {name: values[-1] for name, values in request.query.items()}
        spot = self._spots.get(query.get("symbol", "").upper())
        try:
            start_s = _seconds(query.get("eventStartTime", ""))
            end_s = _seconds(query.get("endDate", ""))
            window_s = int(query.get("twapLookbackSeconds", "0"))
        except ValueError:
            spot = None
        if spot is None or not start_s < end_s:
            return failure(400, "invalid symbol, eventStartTime or endDate")
        if query.get("twapEnabled") != "true" or window_s not in {30, 60}:
            window_s = 0
        if query.get("variant") in CANDLES:
            window_s = -1
        open_price = _price(spot, start_s, window_s, now_ns)
        close_price = _price(spot, end_s, window_s, now_ns)
        completed = open_price is not None and close_price is not None
        return success(
            {
                "openPrice": open_price,
                "closePrice": close_price,
                "timestamp": now_ns // MS,
                "completed": completed,
                "incomplete": now_ns >= (end_s + KNOWN_AFTER_S) * NS and not completed,
                "cached": False,
            }
        )


def _price(spot: SpotPath, second: int, window_s: int, now_ns: int) -> float | None:
    """Return what is told of a second now: the exchange's (-1), spot (0) or an average."""
    age_s = now_ns // NS - second
    if age_s < KNOWN_AFTER_S:
        return None
    mark = zlib.crc32(f"{spot.coin}{second}".encode())
    if age_s < MENDED_AFTER_S and mark % WRONG_EACH == 0:
        second -= 1
    if window_s < 0:
        closed = spot.seconds.get(second)
        price_e8 = None if closed is None else closed[0]
    elif window_s == 0:
        price_e8 = spot.settle_e8(second)
    else:
        price_e8 = spot.average_e8(second, window_s)
    return None if price_e8 is None else price_e8 / E8


def _seconds(text: str) -> int:
    """Return the second an ISO time names; raises ValueError."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"time without zone: {text[:40]}")
    return int(moment.timestamp())
