"""Metadata service: events and markets with the field names, caps and limits of the real one. Pure.

Source: polymarket.md 11.1, 12.4.
"""

from collections.abc import Callable
from typing import Any, Final

from lowlat.sim.catalog import Event, Market
from lowlat.sim.config import SimConfig
from lowlat.sim.exchange import Exchange
from lowlat.sim.gamma_query import (
    BadQuery,
    Page,
    Test,
    encode_cursor,
    event_filter,
    market_filter,
    ordering,
    read_page,
    select,
)
from lowlat.sim.gamma_rows import event_json, market_json, tags_of
from lowlat.sim.limits import GAMMA_LIMITS, IpLimits
from lowlat.sim.wire import Request, Respond, Response, failure, success

__all__ = ["Gamma"]

EVENTS_MAX: Final = 500
MARKETS_MAX: Final = 100
SEARCH_MAX: Final = 50
Shape = Callable[[Any], dict[str, Any]]


class Gamma:
    """Answers of the metadata service."""

    def __init__(self, config: SimConfig, exchange: Exchange, events: list[Event]) -> None:
        self._exchange = exchange
        self._events = events
        self._limits = IpLimits(GAMMA_LIMITS) if config.ip_limits else None
        self._named: dict[tuple[str, str, str], Event | Market] = {}
        """Rows by (kind, field, value), filled up as far as the lists have grown."""
        self._known = [0, 0]

    def handle(self, request: Request, now_ns: int, respond: Respond) -> None:
        """Answer one request."""
        if self._limits is not None and not self._limits.take(request, now_ns):
            respond(failure(429, "rate limit exceeded", (("Retry-After", "10"),)))
        elif request.method != "GET":
            respond(failure(405, "method not allowed"))
        else:
            try:
                respond(self._answer(request))
            except BadQuery as error:
                respond(failure(422, str(error)))

    def _answer(self, request: Request) -> Response:
        kind, *rest = request.path.strip("/").split("/")
        routes: dict[str, Callable[[Request, list[str]], Response]] = {
            "events": self._events_answer,
            "markets": self._markets_answer,
            "tags": lambda _, rest: self._tags(rest),
            "public-search": lambda request, _: self._search(request),
            # Nothing is played or said here.
            **dict.fromkeys(("sports", "teams", "comments"), lambda *_: success([])),
        }
        route = routes.get(kind)
        return failure(404, "not found") if route is None else route(request, rest)

    def _events_answer(self, request: Request, rest: list[str]) -> Response:
        if rest not in ([], ["keyset"]):
            return self._single("event", rest, event_json)
        tests = event_filter(request)
        return self._page(request, "events", self._events, tests, event_json, EVENTS_MAX)

    def _markets_answer(self, request: Request, rest: list[str]) -> Response:
        if rest not in ([], ["keyset"]):
            return self._single("market", rest, market_json)
        rows, tests = self._exchange.markets, market_filter(request)
        return self._page(request, "markets", rows, tests, market_json, MARKETS_MAX)

    def _page(
        self,
        request: Request,
        name: str,
        rows: list[Any],
        tests: list[Test],
        shape: Shape,
        limit_max: int,
    ) -> Response:
        """Serve a keyset page, or a bare list on the old offset path."""
        key = ordering(request)
        if key is not None:
            rows = sorted(rows, key=key)
        page = read_page(request, limit_max, len(rows))
        if not request.path.endswith("/keyset"):
            # The old path counts what passes, not what there is.
            first = len(rows) - 1 if page.descending else 0
            found, _ = select(rows, Page(first, page.start + page.limit, page.descending), tests)
            return success([shape(row) for row in found[page.start :]])
        found, following = select(rows, page, tests)
        body: dict[str, Any] = {name: [shape(row) for row in found]}
        if following is not None:
            body["next_cursor"] = encode_cursor(following)
        return success(body)

    def _single(self, kind: str, rest: list[str], shape: Shape) -> Response:
        """Serve one row by its id or slug, or the tags of one."""
        by = "slug" if rest[0] == "slug" else "id"
        names = rest[1:] if by == "slug" else rest
        row = self._find(kind, by, names[0]) if names else None
        if row is None:
            return failure(404, f"{kind} not found")
        if names[1:] == ["tags"]:
            return success(tags_of(row if isinstance(row, Event) else row.event))
        return success(shape(row)) if len(names) == 1 else failure(404, "not found")

    def _find(self, kind: str, by: str, value: str) -> Event | Market | None:
        known, rows = self._known, (self._events, self._exchange.markets)
        for which, name in enumerate(("event", "market")):
            for row in rows[which][known[which] :]:
                self._named[name, "id", row.id] = self._named[name, "slug", row.slug] = row
            known[which] = len(rows[which])
        return self._named.get((kind, by, value))

    def _tags(self, rest: list[str]) -> Response:
        tags = {tag["slug"]: tag for event in self._events for tag in tags_of(event)}
        if not rest:
            return success(sorted(tags.values(), key=lambda tag: tag["slug"]))
        by, value = ("slug", rest[1]) if rest[0] == "slug" and len(rest) > 1 else ("id", rest[0])
        found = [tag for tag in tags.values() if tag[by] == value]
        return success(found[0]) if found else failure(404, "tag not found")

    def _search(self, request: Request) -> Response:
        words = request.arg("q").lower().split()
        if not words:
            raise BadQuery("q is required")
        found = [
            event_json(event)
            for event in self._events
            if all(word in event.title.lower() for word in words)
        ][:SEARCH_MAX]
        more = {"hasMore": False, "totalResults": len(found)}
        return success({"events": found, "tags": [], "profiles": [], "pagination": more})
