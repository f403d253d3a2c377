"""Fixed-point units: decimal text to integers, once, in the codec, and back for display.

========  =====================================  =======================
suffix    one unit is                            used for
========  =====================================  =======================
``_e4``   0.0001 dollar                          contract price, tick
``_e6``   0.000001 share or dollar               size, cash (venue base units)
``_e8``   0.00000001 dollar                      spot price and spot size
========  =====================================  =======================

No function here rounds silently: text with more digits than the unit holds is an error unless
the caller names the rounding.
"""

from typing import Final

from lowlat.core.errors import RemoteProtocolError

__all__ = [
    "E4",
    "E6",
    "E8",
    "NO_PRICE_E4",
    "NO_PRICE_E8",
    "ONE_E4",
    "cost_e6",
    "floor_to_step",
    "format_fixed",
    "parse_fixed",
    "parse_fixed_floor",
]

E4: Final = 10_000
E6: Final = 1_000_000
E8: Final = 100_000_000
ONE_E4: Final = E4
"""A share that pays for certain: price 1.0000."""
NO_PRICE_E4: Final = -(2**31)
"""There is no price (empty side). Never 0, None or NaN."""
NO_PRICE_E8: Final = -(2**63)
"""There is no spot price."""

_DIGITS_MAX: Final = 18


def parse_fixed(text: str, decimals: int) -> int:
    """Turn non-negative decimal text into an integer of ``10**-decimals`` units, exactly.

    Raises RemoteProtocolError for anything else: sign, exponent, NaN, blanks, empty text, digits
    beyond the unit that are not zero, or a value over 18 digits.
    """
    value, rest = _split(text, decimals)
    if rest.strip("0"):
        raise RemoteProtocolError(f"decimal {text!r} has more than {decimals} decimals")
    return value


def parse_fixed_floor(text: str, decimals: int) -> int:
    """As parse_fixed, but digits beyond the unit are cut off (rounded down)."""
    return _split(text, decimals)[0]


def _split(text: str, decimals: int) -> tuple[int, str]:
    if not isinstance(text, str):
        raise RemoteProtocolError(f"decimal {text!r} is {type(text).__name__}, expected text")
    whole, _, fraction = text.partition(".")
    digits = whole + fraction
    if not (digits.isascii() and digits.isdigit()) or text[-1:] == "." or not whole:
        raise RemoteProtocolError(f"decimal {text!r} is not a plain non-negative decimal")
    if len(whole) + decimals > _DIGITS_MAX:
        raise RemoteProtocolError(f"decimal {text!r} is over {_DIGITS_MAX} digits in its unit")
    return int(whole + fraction[:decimals].ljust(decimals, "0")), fraction[decimals:]


def format_fixed(value: int, decimals: int) -> str:
    """Write an integer of ``10**-decimals`` units as plain decimal text without needless zeros."""
    sign = "-" if value < 0 else ""
    whole, fraction = divmod(abs(value), 10**decimals)
    text = f"{fraction:0{decimals}d}".rstrip("0") if decimals else ""
    return f"{sign}{whole}.{text}" if text else f"{sign}{whole}"


def floor_to_step(value: int, step: int) -> int:
    """Round down to a multiple of step (both non-negative, same unit)."""
    return value - value % step


def cost_e6(price_e4: int, size_e6: int) -> int:
    """Cash for size at price, rounded down to the base unit (exact on whole-cent sizes)."""
    return price_e4 * size_e6 // E4
