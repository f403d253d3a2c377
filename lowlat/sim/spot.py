"""The simulated spot market: a jump diffusion a coin, its Chainlink echo, averages and candles.

Prices are 1e-8 integers; floats live only inside the path's increments. Pure: seeded and driven by
the venue's timers. Source: feeds.md 3.2, 3.6, 3.7.
"""

import math
from random import Random
from typing import Final

from lowlat.sim.catalog import COINS
from lowlat.sim.config import SimConfig

__all__ = ["AVERAGE_S", "SpotPath"]

NS: Final = 1_000_000_000
AVERAGE_S: Final = 60
CENT_E8: Final = 1_000_000
HISTORY_S: Final = 2 * 3600


class SpotPath:
    """One coin: where its exchange price is now and was each second.

    ``seconds`` maps a whole unix second to (exchange price, settlement spot) at that instant.
    """

    def __init__(self, coin: str, config: SimConfig, rng: Random, now_ns: int) -> None:
        self.coin = coin
        self.price_e8 = COINS[coin].spot_e8
        self._flow = config.flow
        self._lag_s = config.twap_lag_s
        self._rng = rng
        self._basis_e4 = rng.randint(-8, 8)
        """The settlement source sits this far from the exchange, in 1e-4 of the price."""
        self.seconds: dict[int, tuple[int, int]] = {}
        self.jumps = 0
        self._jump_in_s = self._between_jumps_s() * rng.random()
        now_s = now_ns // NS
        for second in range(now_s - HISTORY_S, now_s + 1):
            self.step(1.0, calm=True)
            self.close_second(second)

    def step(self, seconds: float, *, calm: bool = False) -> bool:
        """Move on by a time; return True when the price jumped. ``calm`` never jumps.

        Jumps are spread evenly with a jitter, so that short runs see their share of them.
        """
        sigma = self._flow.volatility_bps_per_sqrt_s * 1e-4 * math.sqrt(seconds)
        move = self._rng.gauss(0.0, sigma)
        jumped = False
        if not calm:
            self._jump_in_s -= seconds
            jumped = self._jump_in_s <= 0.0
        if jumped:
            self.jumps += 1
            self._jump_in_s += self._between_jumps_s() * (0.5 + self._rng.random())
            size = self._flow.jump_bps * 1e-4 * (0.5 + self._rng.random())
            move += size if self._rng.random() < 0.5 else -size
        self.move(move)
        return jumped

    def _between_jumps_s(self) -> float:
        rate = self._flow.jumps_per_minute
        return 60.0 / rate if rate > 0.0 else math.inf

    def move(self, relative: float) -> None:
        """Shift the price by a relative amount, on the exchange's cent grid."""
        price = round(self.price_e8 * (1.0 + relative))
        # To the nearest cent: cutting it off would be a drift of its own.
        price += CENT_E8 // 2
        self.price_e8 = max(100 * CENT_E8, price - price % CENT_E8)

    def close_second(self, second: int) -> None:
        """Note the prices that stand at a second."""
        settle_e8 = self.price_e8 + self.price_e8 * self._basis_e4 // 10_000
        self.seconds[second] = (self.price_e8, settle_e8)
        self.seconds.pop(second - HISTORY_S - 1, None)

    def settle_e8(self, second: int) -> int | None:
        """Return the settlement source's spot of a second, None when out of the history."""
        found = self.seconds.get(second)
        return None if found is None else found[1]

    def average_e8(self, second: int) -> int | None:
        """Return the 60 second average stamped at a second; it ends ``twap_lag_s`` before."""
        last = second - self._lag_s
        total = 0
        for each in range(last - AVERAGE_S + 1, last + 1):
            found = self.seconds.get(each)
            if found is None:
                return None
            total += found[1]
        return total // AVERAGE_S

    def outlook(self, end_s: int, now_s: int) -> tuple[float, float]:
        """Return the mean of the average stamped at ``end_s`` and its relative deviation now."""
        last = end_s - self._lag_s
        known = [
            self.seconds[s][1] for s in range(last - AVERAGE_S + 1, last + 1) if s in self.seconds
        ]
        spot_e8 = self.price_e8 + self.price_e8 * self._basis_e4 // 10_000
        left = AVERAGE_S - len(known)
        mean = (sum(known) + left * spot_e8) / AVERAGE_S
        if not left:
            return mean, 0.0
        before = max(0, last - AVERAGE_S - now_s)
        share = left / AVERAGE_S
        spread = share * share * (before + left / 3.0)
        return mean, self.sigma() * math.sqrt(max(spread, 1e-9))

    def sigma(self) -> float:
        """Return the relative deviation of one second, jumps included."""
        flow = self._flow
        diffusion = (flow.volatility_bps_per_sqrt_s * 1e-4) ** 2
        jumps = flow.jumps_per_minute / 60.0 * (flow.jump_bps * 1e-4) ** 2 * 13.0 / 12.0
        return math.sqrt(diffusion + jumps)

    def candle(self, start_s: int, end_s: int) -> tuple[int, int, int, int] | None:
        """Return open, high, low, close of the exchange price in [start, end), None if unknown."""
        path = [self.seconds[s][0] for s in range(start_s, end_s) if s in self.seconds]
        if start_s not in self.seconds:
            return None
        return path[0], max(path), min(path), path[-1]
