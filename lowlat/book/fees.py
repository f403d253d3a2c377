"""Compute a trade's fee by the market's own schedule, in integers.

Used by signals, risk and execution. The venue sets the fee when it matches; orders carry none.
Source: polymarket.md 7.1.
"""

from typing import Final

import msgspec

from lowlat.core.layout import Known, MarketRow
from lowlat.core.units import ONE_E4

__all__ = ["FeeSchedule", "fee_e6", "schedule_of"]

FEE_STEP_E6: Final = 10
"""Fees are whole multiples of 0.00001 dollar."""
RATE_MAX_E6: Final = 1_000_000
EXPONENT_MAX: Final = 4
"""The compiled walks hold p * (1 - p) to this power in 128 bits; today every market has 1."""


class FeeSchedule(msgspec.Struct, frozen=True, gc=False):
    """A market's fee rule: ``shares * rate * (price * (1 - price)) ** exponent``."""

    rate_e6: int
    exponent: int
    taker_only: bool

    def __post_init__(self) -> None:
        """Refuse a rule that no market can have; a fee above the notional is a unit error."""
        if not 0 <= self.rate_e6 <= RATE_MAX_E6:
            raise ValueError(f"rate_e6 was {self.rate_e6}, expected 0 to {RATE_MAX_E6}")
        if not 0 <= self.exponent <= EXPONENT_MAX:
            raise ValueError(f"exponent was {self.exponent}, expected 0 to {EXPONENT_MAX}")


def schedule_of(row: MarketRow) -> FeeSchedule | None:
    """Return the schedule that a market's row states, None when it is unknown."""
    sized = 0 <= row.fee_rate_e6 <= RATE_MAX_E6 and row.fee_exponent <= EXPONENT_MAX
    if not row.known & Known.FEE or not sized:
        # A rule outside what the integers were sized for blocks the market like an unknown one.
        return None
    return FeeSchedule(row.fee_rate_e6, row.fee_exponent, bool(row.fee_taker_only))


def fee_e6(
    shares_e6: int, price_e4: int, schedule: FeeSchedule | None, *, maker: bool = False
) -> int:
    """Return the fee of one match, half-up to 0.00001 dollar; less than that is nothing.

    The venue does not document the rounding of the half (order_vectors.json assumes half-up).
    Raises ValueError for an unknown schedule: unknown is never zero.
    """
    if schedule is None:
        raise ValueError("the market's fee schedule is unknown, so its fee is too")
    if shares_e6 < 0 or not 0 <= price_e4 <= ONE_E4:
        raise ValueError(f"shares_e6, price_e4 were {shares_e6}, {price_e4}, out of range")
    if maker and schedule.taker_only:
        return 0
    spread_e8 = price_e4 * (ONE_E4 - price_e4)
    # Exact fee in dollars is raw / unit; one step of 1e-5 dollar is unit / 1e5.
    raw: int = shares_e6 * schedule.rate_e6 * spread_e8**schedule.exponent * 10**5
    unit: int = 10**12 * 10 ** (8 * schedule.exponent)
    if raw < unit:
        return 0
    return (2 * raw + unit) // (2 * unit) * FEE_STEP_E6
