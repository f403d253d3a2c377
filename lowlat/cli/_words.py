"""Numbers as people read them: money, times, counts, prices."""

from typing import Final

from lowlat.core.units import format_fixed

__all__ = ["age", "count", "dollars", "duration", "price", "quote", "shares"]

_STEPS: Final = ((1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us"))
_LONG_STEPS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"))


def dollars(amount_e6: int, *, signed: bool = False) -> str:
    """Write base units as dollars and cents; below a cent every digit that is not zero."""
    sign = "-" if amount_e6 < 0 else "+" if signed else ""
    cents, rest = divmod(abs(amount_e6), 10_000)
    if not cents and rest:
        return f"{sign}${format_fixed(rest, 6)}"
    return f"{sign}${cents // 100:,}.{cents % 100:02d}"


def shares(size_e6: int) -> str:
    """Write a size in shares."""
    return format_fixed(size_e6, 6)


def price(price_e4: int) -> str:
    """Write a contract price."""
    return format_fixed(price_e4, 4)


def quote(price_e4: int) -> str:
    """Write a contract price for a column: at least two decimals."""
    whole, _, digits = price(price_e4).partition(".")
    return f"{whole}.{digits:0<2}"


def age(nanoseconds: int) -> str:
    """Write how long ago something was; beyond two minutes nobody counts seconds."""
    seconds = nanoseconds / 1_000_000_000
    for size, unit in _LONG_STEPS:
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return duration(nanoseconds)


def duration(nanoseconds: int) -> str:
    """Write a time with three digits and its unit."""
    for size, unit in _STEPS:
        if abs(nanoseconds) >= size:
            value = nanoseconds / size
            digits = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
            return f"{value:.{digits}f} {unit}"
    return f"{nanoseconds} ns"


def count(number: int) -> str:
    """Write a count with thousands apart."""
    return f"{number:,}"
