"""Filters, order and cursors of the metadata service. Pure.

A cursor is opaque and good for one place: the next page needs the answer of the one before it.
Source: polymarket.md 11.1.
"""

import base64
import binascii
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from lowlat.sim.catalog import Event, Market
from lowlat.sim.gamma_rows import liquidity_e6, tags_of
from lowlat.sim.gamma_series import recurrence_of, series_id
from lowlat.sim.wire import Request

__all__ = [
    "BadQuery",
    "Page",
    "encode_cursor",
    "event_filter",
    "market_filter",
    "ordering",
    "read_page",
    "select",
]

NS: Final = 1_000_000_000
CONDITIONS_MAX: Final = 100
OFFSET_MAX: Final = 2_000
PAGE_DEFAULT: Final = 20


class BadQuery(Exception):
    """A parameter the service answers 422 for."""


class Page(NamedTuple):
    """Where a page begins and how long it may be."""

    start: int
    limit: int
    descending: bool


Test = Callable[[Any], bool]


def read_page(request: Request, limit_max: int, count: int) -> Page:
    """Return the place a request asks for, among so many rows. Raises BadQuery."""
    limit = min(_number(request, "limit", PAGE_DEFAULT), limit_max)
    descending = request.arg("ascending", "true").lower() == "false"
    first = count - 1 if descending else 0
    if request.path.endswith("/keyset"):
        cursor = request.arg("after_cursor")
        return Page(_decode(cursor) if cursor else first, limit, descending)
    offset = _number(request, "offset", 0)
    if offset > OFFSET_MAX:
        raise BadQuery(f"offset must be at most {OFFSET_MAX}, use /keyset")
    return Page(offset, limit, descending)


def encode_cursor(place: int) -> str:
    """Write the place of the next row."""
    return base64.urlsafe_b64encode(f"k:{place}".encode()).decode()


def _decode(cursor: str) -> int:
    try:
        text = base64.urlsafe_b64decode(cursor.encode()).decode()
    except (binascii.Error, UnicodeError, ValueError):
        text = ""
    kind, _, place = text.partition(":")
    if kind != "k" or not (place.isascii() and place.isdecimal()) or len(place) > 9:
        raise BadQuery("invalid after_cursor")
    return int(place)


def select(rows: Sequence[Any], page: Page, tests: Sequence[Test]) -> tuple[list[Any], int | None]:
    """Return the rows of a keyset page and the place of the next one, None at the end."""
    found: list[Any] = []
    for place in _places(page, len(rows)):
        row = rows[place]
        if not all(test(row) for test in tests):
            continue
        if len(found) == page.limit:
            return found, place
        found.append(row)
    return found, None


def _places(page: Page, count: int) -> Iterator[int]:
    if page.descending:
        return iter(range(min(page.start, count - 1), -1, -1))
    return iter(range(page.start, count))


# ------------------------------------------------------------------------------- filters
def event_filter(request: Request) -> list[Test]:
    """Return what an event must pass. Raises BadQuery."""
    tests: list[Test] = [_closed(request, lambda event: all(m.closed for m in event.markets))]
    tests += _texts(request, "id", lambda event: event.id)
    tests += _texts(request, "slug", lambda event: event.slug)
    tests += _texts(request, "series_slug", lambda event: event.series)
    tests += _texts(request, "series_id", lambda event: event.series and series_id(event.series))
    tests += _texts(request, "recurrence", lambda event: recurrence_of(event.series))
    tests += [lambda _: False for name in ("live", "ended", "featured") if _is_true(request, name)]
    tests += _tags(request, lambda event: event)
    tests += _times(request, lambda event: event)
    tests += _bounds(request, "volume", lambda event: sum(m.volume_e6 for m in event.markets) / 1e6)
    title = request.arg("title_search").lower()
    if title:
        tests.append(lambda event: title in event.title.lower())
    return tests


def market_filter(request: Request) -> list[Test]:
    """Return what a market must pass. Raises BadQuery."""
    tests: list[Test] = [_closed(request, lambda market: market.closed)]
    if len(request.query.get("condition_ids", [])) > CONDITIONS_MAX:
        raise BadQuery(f"at most {CONDITIONS_MAX} condition_ids")
    tests += _texts(request, "id", lambda market: market.id)
    tests += _texts(request, "slug", lambda market: market.slug)
    tests += _texts(request, "condition_ids", lambda market: market.condition_id)
    tests += _texts(request, "question_ids", lambda market: market.question_id)
    tests += _texts(request, "version", lambda market: market.version)
    tests += _texts(request, "sports_market_types", lambda _: "")
    tests += _texts(request, "game_id", lambda _: "")
    tests += _texts(request, "uma_resolution_status", lambda m: "resolved" if m.closed else "")
    tests += _tags(request, lambda market: market.event)
    tests += _times(request, lambda market: market)
    tests += _bounds(request, "volume_num", lambda market: market.volume_e6 / 1e6)
    tests += _bounds(request, "liquidity_num", _liquidity)
    tokens = {
        token
        for name in ("clob_token_ids", "position_ids")
        for token in request.query.get(name, [])
    }
    if tokens:
        tests.append(lambda market: not tokens.isdisjoint(market.tokens))
    return tests


def ordering(request: Request) -> Callable[[Any], Any] | None:
    """Return the key rows are sorted by, None for their own order. Raises BadQuery."""
    name = request.arg("order")
    if name in {"", "id"}:
        return None
    keys: dict[str, Callable[[Any], Any]] = {
        "startDate": lambda row: row.start_ns,
        "createdAt": lambda row: row.start_ns,
        "endDate": lambda row: row.end_ns,
        "slug": lambda row: row.slug,
        # Sorted as text, as live: 9 comes after 10.
        "volume": lambda row: str(_volume(row)),
        "volumeNum": _volume,
        "volume24hr": _volume,
        "liquidity": lambda row: str(_liquidity(row)),
        "liquidityNum": _liquidity,
    }
    if name not in keys:
        raise BadQuery(f"order fields are not valid: {name}")
    return keys[name]


def _volume(row: Event | Market) -> float:
    if isinstance(row, Event):
        return sum(market.volume_e6 for market in row.markets) / 1e6
    return row.volume_e6 / 1e6


def _liquidity(row: Event | Market) -> float:
    markets = row.markets if isinstance(row, Event) else [row]
    return sum(map(liquidity_e6, markets)) / 1e6


def _is_true(request: Request, name: str) -> bool:
    return request.arg(name).lower() == "true"


def _closed(request: Request, is_closed: Test) -> Test:
    wanted = request.arg("closed", "false").lower() == "true"
    return lambda row: is_closed(row) == wanted


def _texts(request: Request, name: str, value: Callable[[Any], str]) -> list[Test]:
    wanted = set(request.query.get(name, []))
    return [lambda row: value(row) in wanted] if wanted else []


def _tags(request: Request, event_of: Callable[[Any], Event]) -> list[Test]:
    tests: list[Test] = []
    for name, key in (("tag_slug", "slug"), ("tag_id", "id")):
        wanted = set(request.query.get(name, []))
        if wanted:
            tests.append(
                lambda row, wanted=wanted, key=key: any(  # type: ignore[misc]
                    tag[key] in wanted for tag in tags_of(event_of(row))
                )
            )
    unwanted = set(request.query.get("exclude_tag_id", []))
    if unwanted:
        tests.append(lambda row: all(tag["id"] not in unwanted for tag in tags_of(event_of(row))))
    return tests


def _times(request: Request, row_of: Callable[[Any], Event | Market]) -> list[Test]:
    tests: list[Test] = []
    for field in ("start", "end"):
        for bound in ("min", "max"):
            text = request.arg(f"{field}_date_{bound}")
            if text:
                tests.append(_time_test(field, bound, _time_ns(text), row_of))
    return tests


def _time_test(
    field: str, bound: str, limit_ns: int, row_of: Callable[[Any], Event | Market]
) -> Test:
    def passes(row: Any) -> bool:
        at_ns: int = getattr(row_of(row), f"{field}_ns")
        return at_ns >= limit_ns if bound == "min" else at_ns <= limit_ns

    return passes


def _time_ns(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadQuery(f"invalid time {text[:40]!r}") from error
    return int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() * NS)


def _bounds(request: Request, name: str, value: Callable[[Any], float]) -> list[Test]:
    tests: list[Test] = []
    for bound in ("min", "max"):
        text = request.arg(f"{name}_{bound}")
        if not text:
            continue
        try:
            limit = float(text)
        except ValueError as error:
            raise BadQuery(f"invalid {name}_{bound}") from error
        if bound == "min":
            tests.append(lambda row, limit=limit: value(row) >= limit)  # type: ignore[misc]
        else:
            tests.append(lambda row, limit=limit: value(row) <= limit)  # type: ignore[misc]
    return tests


def _number(request: Request, name: str, default: int) -> int:
    text = request.arg(name, str(default))
    if not (text.isascii() and text.isdecimal()) or len(text) > 9:
        raise BadQuery(f"invalid {name}")
    return int(text)
