"""What one coin's prices say, in Python: the oracle of lowlat/signals/_coin.pyx."""

from math import exp, log, sqrt
from typing import Final

from lowlat.signals.coins import CoinParams

__all__ = ["CoinModel"]

_RING: Final = 256
"""Seconds kept: two averaging minutes and their lags."""
_S_NS: Final = 1_000_000_000
_NEVER: Final = -(2**63)


class CoinModel:
    """Estimates for one coin. ``version`` moves whenever a fair value could."""

    __slots__ = (
        "_basis_factor",
        "_decay_basis",
        "_decay_fast",
        "_decay_slow",
        "_fast",
        "_generation",
        "_history_price",
        "_history_s",
        "_lead_before",
        "_lead_xx",
        "_lead_xy",
        "_lead_yy",
        "_live_s",
        "_mid_seconds",
        "_mids",
        "_params",
        "_print_seconds",
        "_prints",
        "_second",
        "_slow",
        "ahead",
        "basis",
        "basis_count",
        "basis_noise",
        "basis_variance",
        "last_print_s",
        "lead",
        "lead_count",
        "lead_weight",
        "mid",
        "mid_wall_ns",
        "prints_version",
        "returns_count",
        "version",
        "volatility",
    )

    def __init__(self, params: CoinParams) -> None:
        self._params = params
        self._decay_fast = 0.5 ** (1.0 / params.volatility_half_life_s)
        self._decay_slow = 0.5 ** (1.0 / params.volatility_slow_half_life_s)
        self._decay_basis = 0.5 ** (1.0 / params.basis_half_life_s)
        self._fast = self._slow = 0.0
        self._generation = -1
        self._second = self._live_s = self._history_s = -1
        self._history_price = 0.0
        self._mids = [0.0] * _RING
        self._mid_seconds = [_NEVER] * _RING
        self._prints = [0.0] * _RING
        self._print_seconds = [_NEVER] * _RING
        self.mid = self.ahead = 0.0
        self.lead = self.lead_weight = self._lead_before = 0.0
        self.lead_count = 0
        self._lead_xx = self._lead_xy = self._lead_yy = 0.0
        self.mid_wall_ns = 0
        self.returns_count = 0
        self.basis = 0.0
        self.basis_variance = 0.0
        self.basis_noise = params.basis_noise_floor
        """Relative error of ``settled_price``."""
        self._basis_factor = 1.0
        self.volatility: float | None = None
        """Relative deviation per square root of a second; None until warm."""
        self.basis_count = 0
        self.last_print_s = -1
        self.prints_version = 0
        self.version = 0

    # ------------------------------------------------------------------------------- inputs
    def take_mid(
        self, mid: float, wall_ns: int, connection_generation: int, lead: float = 0.0
    ) -> bool:
        """Take the exchange's mid and lead; True when ``ahead`` moved."""
        params = self._params
        second = (wall_ns - params.spot_lag_ms * 1_000_000) // _S_NS
        before = self._second
        if second != before:
            gap = second - before
            if before < 0:
                self._second = self._live_s = second
            elif gap < 0 or gap > params.gap_s_max:
                self._second = second
            elif connection_generation == self._generation:
                self._cross(before, second)
            else:
                self._second = second
        self._generation = connection_generation
        self.mid_wall_ns = wall_ns
        self.mid = mid
        self.lead = lead
        ahead = mid * (1.0 + self.lead_weight * lead)
        if ahead == self.ahead:
            return False
        self.ahead = ahead
        self.version += 1
        return True

    def _cross(self, before: int, second: int) -> None:
        """Note the mid in force at each second boundary since ``before``, and its return."""
        mid = self.mid
        at_before = self.mid_at(before)
        for crossed in range(before + 1, second + 1):
            self._mids[crossed % _RING] = mid
            self._mid_seconds[crossed % _RING] = crossed
        self._second = second
        if at_before is None:
            self._lead_before = self.lead
            return
        gap = second - before
        move = log(mid / at_before)
        if gap == 1:
            self._learn_lead(move)
        self._lead_before = self.lead
        self._learn_return(move, gap)

    def take_second(self, stamp_ns: int, price: float) -> None:
        """Take the exchange's close of a second before the first mid."""
        second = stamp_ns // _S_NS
        before, self_before = self._history_s, self._history_price
        if second <= before or (self._live_s >= 0 and second > self._live_s):
            return
        self._history_s, self._history_price = second, price
        if before >= 0 and second - before <= self._params.gap_s_max:
            self._learn_return(log(price / self_before), second - before)
            self.version += 1

    def _learn_return(self, move: float, gap: int) -> None:
        square = move * move / gap
        self.returns_count += gap
        share = gap / self.returns_count
        fast = max(1.0 - self._decay_fast**gap, share)
        slow = max(1.0 - self._decay_slow**gap, share)
        self._fast += fast * (square - self._fast)
        self._slow += slow * (square - self._slow)
        params = self._params
        if self.returns_count >= params.warmup_s:
            weight = params.volatility_fast_weight
            variance = weight * self._fast + (1.0 - weight) * self._slow
            self.volatility = max(sqrt(variance), params.volatility_floor)

    def _learn_lead(self, move: float) -> None:
        """Learn what a lead was worth a second later: a slope, believed as far as t goes."""
        lead, params = self._lead_before, self._params
        if lead == 0.0:
            return
        self.lead_count = min(self.lead_count + 1, int(1.0 / (1.0 - self._decay_slow)))
        share = 1.0 / self.lead_count
        self._lead_xx += share * (lead * lead - self._lead_xx)
        self._lead_xy += share * (lead * move - self._lead_xy)
        self._lead_yy += share * (move * move - self._lead_yy)
        self.lead_weight = 0.0
        square = self._lead_xy * self._lead_xy
        rest = self._lead_xx * self._lead_yy - square
        if self.lead_count >= params.lead_returns_min and rest > 0.0 and square > 0.0:
            doubt = params.lead_doubt * rest / (self.lead_count * square)
            self.lead_weight = self._lead_xy / self._lead_xx * max(0.0, 1.0 - doubt)

    def take_print(self, stamp_ns: int, price: float) -> None:
        """Take a settlement spot print; with the exchange's mid of its second it gives a basis."""
        second = stamp_ns // _S_NS
        if self.last_print_s - second >= _RING:
            return
        self._prints[second % _RING] = price
        self._print_seconds[second % _RING] = second
        self.prints_version += 1
        self.version += 1
        if second <= self.last_print_s:
            return
        self.last_print_s = second
        mid = self.mid_at(second)
        if mid is None and 0 < second - self._second <= self._params.gap_s_max and self.mid:
            # No exchange update since: what stands now stood then.
            mid = self.mid
        if mid is None:
            return
        basis = log(price / mid)
        self.basis_count += 1
        weight = max(1.0 - self._decay_basis, 1.0 / self.basis_count)
        off = basis - self.basis
        self.basis += weight * off
        self.basis_variance = (1.0 - weight) * (self.basis_variance + weight * off * off)
        self._basis_factor = exp(self.basis)
        self.basis_noise = max(sqrt(self.basis_variance), self._params.basis_noise_floor)

    # ------------------------------------------------------------------------------- answers
    def mid_at(self, second: int) -> float | None:
        """Return the mid in force at a wall second, None when not seen."""
        at = second % _RING
        return self._mids[at] if self._mid_seconds[at] == second else None

    def print_at(self, second: int) -> float | None:
        """Return the settlement print of a second, None when it never came."""
        at = second % _RING
        return self._prints[at] if self._print_seconds[at] == second else None

    @property
    def basis_known(self) -> bool:
        """Whether enough prints met a mid."""
        return self.basis_count >= self._params.basis_prints_min

    def settled_price(self, mid: float) -> float:
        """Return what the settlement series would print while the exchange's mid is this."""
        return mid * self._basis_factor

    def locked(self, first_s: int, last_s: int) -> tuple[float, int, int]:
        """Sum the prints of these seconds: (sum, seconds, how many of them were carried over).

        A second without a print takes the print before it (feeds.md 3.2: some 3 % never come).
        Seconds before the first known print are not counted in ``seconds``.
        """
        total = 0.0
        seconds = carried = 0
        last = self.print_at(first_s - 1)
        for second in range(first_s, last_s + 1):
            price = self.print_at(second)
            if price is None:
                if last is None:
                    continue
                carried += 1
                price = last
            last = price
            total += price
            seconds += 1
        return total, seconds, carried
