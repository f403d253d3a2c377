"""Parameters, windows and pages of the indexer's requests. Pure.

Source: polymarket.md 11.2.
"""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Any, Final

from lowlat.core.errors import ProtocolError
from lowlat.core.units import parse_fixed
from lowlat.sim.catalog import Market
from lowlat.sim.wire import Request, Response, success

__all__ = [
    "NS",
    "RECENT_S",
    "BadQuery",
    "amount_e6",
    "bare",
    "choice",
    "conditions_of",
    "events_of",
    "ids",
    "number",
    "page",
    "passes",
    "user_of",
    "window",
]

NS: Final = 1_000_000_000
LIMIT_DEFAULT: Final = 100
LIMIT_MAX: Final = 1_000
IDS_MAX: Final = 20
RECENT_S: Final = 86_400
"""Without a start, feeds cover no more than this."""
Shape = Callable[[Any], dict[str, Any]]


class BadQuery(Exception):
    """A parameter the service answers 400 for."""


def number(request: Request, name: str, default: int) -> int:
    """Return a whole number. Raises BadQuery."""
    text = request.arg(name, str(default))
    if not (text.isascii() and text.isdecimal()) or len(text) > 12:
        raise BadQuery(f"invalid {name}")
    return int(text)


def amount_e6(request: Request, name: str, default: str) -> int:
    """Return an amount that may have decimals, in base units. Raises BadQuery."""
    text = request.arg(name, default)
    try:
        value = parse_fixed(text, 6)
    except ProtocolError as error:
        raise BadQuery(f"invalid {name}") from error
    if len(text) > 20:
        raise BadQuery(f"invalid {name}")
    return value


def choice(request: Request, name: str, allowed: Sequence[str], default: str) -> str:
    """Return one of several words, in capitals or as written. Raises BadQuery."""
    text = request.arg(name, default)
    for word in allowed:
        if text.upper() == word.upper():
            return word
    raise BadQuery(f"{name} must be one of {', '.join(filter(None, allowed))}")


def ids(request: Request, *names: str, limit: int = IDS_MAX) -> set[str]:
    """Return the values of the first parameter that is there, repeated or comma-joined."""
    for name in names:
        found = {each for text in request.query.get(name, []) for each in text.split(",") if each}
        if len(found) > limit:
            raise BadQuery(f"at most {limit} values of {name}")
        if found:
            return found
    return set()


def conditions_of(request: Request) -> set[str]:
    """Return the conditions asked for, under the new or the old name."""
    return ids(request, "condition_id", "market")


def events_of(request: Request) -> set[str]:
    """Return the events asked for, under the new or the old name."""
    return ids(request, "event_id", "eventId")


def passes(request: Request) -> Callable[[Market], bool]:
    """Return what a market must pass: its condition or its event. Raises BadQuery for both."""
    conditions, events = conditions_of(request), events_of(request)
    if conditions and events:
        raise BadQuery("condition_id and event_id are mutually exclusive")
    return lambda market: (
        (not conditions or market.condition_id in conditions)
        and (not events or market.event.id in events)
    )


def user_of(request: Request) -> str:
    """Return the wallet asked for, lower case. Raises BadQuery when there is none."""
    user = request.arg("user").lower()
    if not user:
        raise BadQuery("required query param 'user' not provided")
    return user


def window(request: Request, now_ns: int) -> tuple[int, int]:
    """Return the time asked for; without a start only what is recent."""
    start_s = number(request, "start", 0)
    since_ns = start_s * NS if start_s else now_ns - RECENT_S * NS
    end_s = number(request, "end", 0)
    return since_ns, end_s * NS if end_s else now_ns


def page(
    request: Request,
    found: Sequence[Any],
    shape: Shape,
    limit_max: int = LIMIT_MAX,
    limit_default: int = LIMIT_DEFAULT,
) -> Response:
    """Answer a page in the new envelope."""
    start = _decode_cursor(request.arg("cursor"))
    end = start + min(number(request, "limit", limit_default), limit_max)
    more = end < len(found)
    pagination = {"has_more": more, "next_cursor": _encode_cursor(end) if more else None}
    data = [shape(row) for row in found[start:end]]
    return success({"data": data, "pagination": pagination})


def bare(request: Request, found: Sequence[Any], shape: Shape) -> Response:
    """Answer a page of the old paths: a bare list."""
    limit = min(number(request, "limit", LIMIT_DEFAULT), LIMIT_MAX)
    start = number(request, "offset", 0)
    return success([shape(row) for row in found[start : start + limit]])


def _encode_cursor(place: int) -> str:
    return base64.urlsafe_b64encode(str(place).encode()).decode()


def _decode_cursor(cursor: str) -> int:
    if not cursor:
        return 0
    try:
        text = base64.urlsafe_b64decode(cursor.encode()).decode()
    except (binascii.Error, UnicodeError, ValueError):
        text = ""
    if not (text.isascii() and text.isdecimal()) or len(text) > 9:
        raise BadQuery("invalid cursor")
    return int(text)
