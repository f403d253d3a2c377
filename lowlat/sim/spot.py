"""The simulated spot market: a jump diffusion a coin, its Chainlink echo, averages and candles.

Prices are 1e-8 integers; floats live only inside the path's increments. Pure: seeded and driven by
the venue's timers. Source: feeds.md 3.2, 3.6, 3.7.
"""

import math
from random import Random
from typing import Final

from lowlat.core.units import ONE_E4
from lowlat.sim.catalog import COINS
from lowlat.sim.config import SimConfig

__all__ = ["AVERAGE_S", "SpotPath"]

NS: Final = 1_000_000_000
AVERAGE_S: Final = 60
CENT_E8: Final = 1_000_000
HISTORY_S: Final = 2 * 3600
MEAN_SQUARE: Final = 13.0 / 12.0
"""Of a jump's size between a half and one and a half."""
JUMPS_MANY: Final = 1e-3
"""When no jump at all is rarer than this, the sum of them is normal enough."""


class SpotPath:
    """One coin: where its exchange price is now and was each second.

    ``seconds`` maps a whole unix second to (exchange price, settlement spot) at that instant.
    """

    def __init__(self, coin: str, config: SimConfig, rng: Random, now_ns: int) -> None:
        self.coin = coin
        self.price_e8 = COINS[coin].spot_e8
        self._flow = config.flow
        self._planted = next((each for each in config.flow.edges if each.kind == "latency"), None)
        """Edges that move the price, coin by coin: part of the path, as everybody knows."""
        self._planted_per_minute = 0.0
        if self._planted is not None:
            self._planted_per_minute = self._planted.per_minute / len(config.coins)
        self._jump_variance = self._mean_square()
        self._lag_s = config.twap_lag_s
        self._rng = rng
        limit = config.flow.basis_e4_max
        self._basis_e8 = rng.randint(-limit, limit) * 10_000
        """The settlement source sits this far from the exchange, in 1e-8 of the price."""
        self.seconds: dict[int, tuple[int, int]] = {}
        self.jumps = 0
        self._jump_in_s = self._between_jumps_s() * rng.random()
        now_s = now_ns // NS
        past = Random(f"{config.seed}|past {coin}")  # noqa: S311 - simulation, not secrets
        for second in range(now_s - HISTORY_S, now_s + 1):
            self.step(1.0, calm=True)
            self._jump_in_the_past(past)
            self.close_second(second)

    def step(self, seconds: float, *, calm: bool = False) -> bool:
        """Move on by a time; return True when the price jumped. ``calm`` never jumps."""
        sigma = self._flow.volatility_bps_per_sqrt_s * 1e-4 * math.sqrt(seconds)
        move = self._rng.gauss(0.0, sigma)
        jumped = False
        if not calm:
            self._jump_in_s -= seconds
            jumped = self._jump_in_s <= 0.0
        if jumped:
            self.jumps += 1
            self._jump_in_s += self._next_jump_s()
            size = self._flow.jump_bps * 1e-4 * (0.5 + self._rng.random())
            move += size if self._rng.random() < 0.5 else -size
        self.move(move)
        return jumped

    def _jump_in_the_past(self, past: Random) -> None:
        """Let a second before the start be like those after it: nobody who looks back is fooled."""
        flow, planted = self._flow, self._planted
        drawn = past.random() * 60.0
        if drawn < flow.jumps_per_minute:
            size = flow.jump_bps * 1e-4 * past.uniform(0.5, 1.5)
        elif planted is not None and drawn < flow.jumps_per_minute + self._planted_per_minute:
            size = past.randint(*planted.gain_e4) / ONE_E4
        else:
            return
        self.move(size if past.random() < 0.5 else -size)

    def _mean_square(self) -> float:
        """Return the mean square of a jump of either kind, relative to the price."""
        flow, planted = self._flow, self._planted
        rate = flow.jumps_per_minute + self._planted_per_minute
        if not rate:
            return 0.0
        total = flow.jumps_per_minute * (flow.jump_bps * 1e-4) ** 2 * MEAN_SQUARE
        if planted is not None:
            low, high = (each / ONE_E4 for each in planted.gain_e4)
            square = (low * low + low * high + high * high) / 3.0
            total += self._planted_per_minute * square
        return total / rate

    def _next_jump_s(self) -> float:
        mean_s = self._between_jumps_s()
        if self._flow.jumps_spread:
            return mean_s * (0.5 + self._rng.random())
        return self._rng.expovariate(1.0 / mean_s)

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
        drift = self._flow.basis_drift_bps_per_hour
        if drift:
            self._basis_e8 += round(self._rng.gauss(0.0, drift / 60.0) * 10_000)
        self.seconds[second] = (self.price_e8, self.settle_now_e8())
        self.seconds.pop(second - HISTORY_S - 1, None)

    def settle_now_e8(self) -> int:
        """Return where the settlement source stands now."""
        return self.price_e8 + self.price_e8 * self._basis_e8 // 100_000_000

    def settle_e8(self, second: int) -> int | None:
        """Return the settlement source's spot of a second, None when out of the history."""
        found = self.seconds.get(second)
        return None if found is None else found[1]

    def average_e8(self, second: int, window_s: int = AVERAGE_S) -> int | None:
        """Return the average stamped at a second; it ends ``twap_lag_s`` before."""
        last = second - self._lag_s
        seconds = self.seconds
        try:
            total = sum([seconds[each][1] for each in range(last - window_s + 1, last + 1)])
        except KeyError:
            return None
        return total // window_s

    def outlook(self, end_s: int, now_s: int) -> tuple[float, float, int]:
        """Return what is known now of the average stamped at ``end_s``.

        Its mean; its variance in seconds of the price's own; the seconds until it is complete.
        """
        last = end_s - self._lag_s
        known = [
            self.seconds[s][1] for s in range(last - AVERAGE_S + 1, last + 1) if s in self.seconds
        ]
        left = AVERAGE_S - len(known)
        mean = (sum(known) + left * self.settle_now_e8()) / AVERAGE_S
        before = max(0, last - AVERAGE_S - now_s)
        share = left / AVERAGE_S
        return mean, share * share * (before + left / 3.0), before + left

    def chance_above(self, distance: float, spread_s: float, left_s: int) -> float:
        """Return the chance that a move of ``spread_s`` seconds' variance stays above -distance.

        Diffusion plus a Poisson number of jumps: none, one and two exactly, more as a normal.
        A jump in an averaged part counts with the share that is still to come.
        """
        flow = self._flow
        diffusion = (flow.volatility_bps_per_sqrt_s * 1e-4) ** 2 * spread_s
        expected = (flow.jumps_per_minute + self._planted_per_minute) / 60.0 * left_s
        if left_s <= 0 or spread_s <= 0.0 or not expected:
            return _chance(distance, diffusion)
        jump = math.sqrt(self._jump_variance * spread_s / left_s)
        weight = math.exp(-expected)
        if weight < JUMPS_MANY:
            return _chance(distance, diffusion + expected * jump * jump)
        one, two = weight * expected, weight * expected * expected / 2.0
        rest = max(0.0, 1.0 - weight - one - two)
        level = _chance(distance, diffusion)
        return (
            weight * level
            + one
            * 0.5
            * (_chance(distance + jump, diffusion) + _chance(distance - jump, diffusion))
            + two
            * 0.25
            * (
                _chance(distance + 2.0 * jump, diffusion)
                + 2.0 * level
                + _chance(distance - 2.0 * jump, diffusion)
            )
            + rest * _chance(distance, diffusion + max(3.0, expected) * jump * jump)
        )

    def candle(self, start_s: int, end_s: int) -> tuple[int, int, int, int] | None:
        """Return open, high, low, close of the exchange price in [start, end), None if unknown."""
        path = [self.seconds[s][0] for s in range(start_s, end_s) if s in self.seconds]
        if start_s not in self.seconds:
            return None
        return path[0], max(path), min(path), path[-1]


def _chance(distance: float, variance: float) -> float:
    """Return the chance that a normal step of this variance stays above -distance; a tie is up."""
    if variance <= 0.0:
        return 1.0 if distance >= 0.0 else 0.0
    return 0.5 * (1.0 + math.erf(distance / math.sqrt(2.0 * variance)))
