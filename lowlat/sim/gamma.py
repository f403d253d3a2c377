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
from lowlat.sim.gamma_series import profile, recurrence_of, related, series_json, series_of
from lowlat.sim.limits import GAMMA_LIMITS, IpLimits
from lowlat.sim.wire import Request, Respond, Response, failure, success

__all__ = ["Gamma"]

EVENTS_MAX: Final = 500
MARKETS_MAX: Final = 100
SEARCH_MAX: Final = 50
SERIES_MAX: Final = 50
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
                respond(self._answer(request, now_ns))
            except BadQuery as error:
                respond(failure(422, str(error)))

    def _answer(self, request: Request, now_ns: int) -> Response:
        kind, *rest = request.path.strip("/").split("/")
        routes: dict[str, Callable[[Request, list[str]], Response]] = {
            "events": self._events_answer,
            "markets": self._markets_answer,
            "series": self._series,
            "tags": lambda _, rest: self._tags(rest),
            "public-search": lambda request, _: self._search(request),
            "public-profile": lambda request, _: self._profile(request, now_ns),
            # Nothing is played or said here.
            "sports": lambda _, rest: success({"marketTypes": []} if rest else []),
            "teams": lambda *_: success([]),
            "market-clarifications": lambda *_: success([]),
            "comments": lambda _, rest: success({"comments": []} if rest == ["keyset"] else []),
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

    def _series(self, request: Request, rest: list[str]) -> Response:
        """Serve the series there are, or one by its id, each with its open events."""
        rows = [
            {
                **series_json(slug),
                "events": [event_json(each) for each in events if not each.markets[0].closed],
            }
            for slug, events in sorted(series_of(self._events).items())
        ]
        if rest:
            found = [row for row in rows if row["id"] == rest[0]]
            return success(found[0]) if found else failure(404, "series not found")
        slugs, recurrence = request.query.get("slug", []), request.arg("recurrence")
        kept = [
            row
            for row in rows
            if (not slugs or row["slug"] in slugs)
            and (not recurrence or recurrence_of(row["slug"]) == recurrence)
        ]
        page = read_page(request, SERIES_MAX, len(kept))
        return success(kept[page.start : page.start + page.limit])

    def _tags(self, rest: list[str]) -> Response:
        """Serve all tags, or one, or those it is related to: they are on the same events."""
        events = [tags_of(event) for event in self._events]
        tags = {tag["slug"]: tag for each in events for tag in each}
        if not rest:
            return success(sorted(tags.values(), key=lambda tag: tag["slug"]))
        by, names = ("slug", rest[1:]) if rest[0] == "slug" else ("id", rest)
        tag = next((tag for tag in tags.values() if names and tag[by] == names[0]), None)
        if tag is None:
            return failure(404, "tag not found")
        if len(names) == 1:
            return success(tag)
        others = {
            other["slug"]: other for each in events if tag in each for other in each if other != tag
        }
        if names[1:] == ["related-tags"]:
            return success(related(tag, list(others.values())))
        if names[1:] == ["related-tags", "tags"]:
            return success(list(others.values()))
        return failure(404, "not found")

    def _profile(self, request: Request, now_ns: int) -> Response:
        account = self._exchange.accounts.by_wallet.get(request.arg("address").lower())
        if account is None:
            return failure(404, "profile not found")
        return success(profile(account, now_ns))

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
