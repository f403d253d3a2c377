"""Find markets at Gamma: a paged sweep of everything wanted, and a newest-first poll.

Used by the metadata engine only. One page of each is under way at a time; a page that could not
be read is asked again later, from where the sweep stands. Source: polymarket.md 11.1.
"""

from collections.abc import Callable
from itertools import islice
from typing import Final

from lowlat.core.errors import RemoteProtocolError
from lowlat.feeds._counters import FaultNotes, MetadataCells
from lowlat.feeds.params import MetadataParams
from lowlat.feeds.ports import Fetch
from lowlat.venues.polymarket.gamma import (
    MARKETS_PAGE_MAX,
    Page,
    decode_events,
    decode_markets,
    events_path,
    markets_path,
)
from lowlat.venues.polymarket.market_info import MarketInfo

__all__ = ["Listings"]

HTTP_OK: Final = 200
PAGE_FAILURES_MAX: Final = 5
NEWEST_PAGES_MAX: Final = 10


class Listings:
    """What the venue lists: ``take(info, now_ns)`` gets each market, ``swept`` a sweep's end."""

    def __init__(
        self,
        params: MetadataParams,
        tags: tuple[str, ...],
        gamma: Fetch,
        cells: MetadataCells,
        notes: FaultNotes,
        take: Callable[[MarketInfo, int], None],
        swept: Callable[[int], None],
    ) -> None:
        self.seen: set[str] = set()
        """Condition ids of the sweep under way, and of newest polls since it began."""
        self.listed: set[str] | None = None
        """What the last whole sweep listed; None before the first."""
        self._params = params
        self._tags = tags
        self._gamma = gamma
        self._cells = cells
        self._notes = notes
        self._take = take
        self._swept = swept
        self._newest_due_ns = 0
        self._newest_asked = False
        self._newest_pages = 0
        """Pages of news that followed the newest one without a pause."""
        self._newest_cursor: str | None = None
        self._news_count = 0
        """Markets that neither this sweep nor the last one had shown."""
        self._wanted: dict[str, None] = {}
        self._wanted_asked = False
        self._wanted_due_ns = 0
        self._page_due_ns = 0
        self._page_asked = False
        self._cursor: str | None = None
        self._page_failures = 0
        self._tag_at = 0
        self._sweep_start_ns = 0
        self._known_since_ns: int | None = None
        """When the last whole sweep began: everything listed then has been seen since."""

    def turn(self, now_ns: int) -> int:
        """Ask the pages that are due."""
        work = 0
        if now_ns >= self._newest_due_ns and not self._newest_asked:
            work += self._ask_newest(now_ns)
        if now_ns >= self._page_due_ns and not self._page_asked:
            work += self._ask_page(now_ns)
        if self._wanted and now_ns >= self._wanted_due_ns and not self._wanted_asked:
            work += self._ask_wanted()
        return work

    def hasten(self) -> None:
        """Ask for the newest listings at once."""
        self._newest_due_ns = 0

    def hasten_sweep(self) -> None:
        """Begin the next sweep at once, if none is under way."""
        if self._cursor is None and self._tag_at == 0:
            self._page_due_ns = 0

    def knows(self, condition_id: str) -> bool:
        """Whether a market was listed by the last whole sweep or since."""
        return condition_id in self.seen or condition_id in (self.listed or ())

    def want(self, condition_id: str) -> None:
        """Ask for the listing of one market."""
        self._wanted[condition_id] = None

    def _ask_wanted(self) -> int:
        """Ask for listings by name, a page of them at a time."""
        some = list(islice(self._wanted, MARKETS_PAGE_MAX))
        path = markets_path(None, condition_ids=some, closed="false")

        def done(status: int, body: bytes, recv_ns: int) -> None:
            self._wanted_asked = False
            taken, _ = self._take_page(status, body, None, recv_ns, decode_markets)
            if not taken:
                self._wanted_due_ns = recv_ns + self._params.retry_ns_min
                self._wanted.update(dict.fromkeys(some))

        self._wanted_asked = self._gamma(path, done)
        if self._wanted_asked:
            # What the answer leaves out is closed, or comes with the next sweep.
            for condition_id in some:
                del self._wanted[condition_id]
        return int(self._wanted_asked)

    def _ask_newest(self, now_ns: int) -> int:
        params = self._params
        self._newest_due_ns = now_ns + params.newest_ns
        since_ns = now_ns if self._known_since_ns is None else self._known_since_ns
        self._cells.sweep_age_ns.set(now_ns - since_ns)
        cursor = self._newest_cursor
        path = events_path(
            cursor,
            limit=params.newest_count,
            order=params.newest_order,
            ascending="false",
            closed="false",
        )

        def done(status: int, body: bytes, recv_ns: int) -> None:
            self._newest_asked = False
            before = self._news_count
            taken, after = self._take_page(status, body, cursor, recv_ns, decode_events)
            self._follow_news(taken and self._news_count > before, after)

        self._newest_asked = self._gamma(path, done)
        return int(self._newest_asked)

    def _follow_news(self, is_news: bool, cursor: str | None) -> None:
        """Go on with the next page at once while pages bring news: many may be listed together.

        Before the first whole sweep everything is news, which the sweep brings anyway.
        """
        goes_on = (
            is_news
            and cursor is not None
            and self.listed is not None
            and self._newest_pages < NEWEST_PAGES_MAX
        )
        self._newest_pages = self._newest_pages + 1 if goes_on else 0
        self._newest_cursor = cursor if goes_on else None
        if goes_on:
            self._newest_due_ns = 0

    def _ask_page(self, now_ns: int) -> int:
        """Ask the next page of the sweep: every wanted tag in turn, or everything."""
        self._page_due_ns = now_ns + self._params.page_ns
        cursor, tags = self._cursor, self._tags
        if cursor is None and self._tag_at == 0:
            self.seen = set()
            self._sweep_start_ns = now_ns
        limit = self._params.page_events
        if tags:
            path = events_path(cursor, limit=limit, closed="false", tag_slug=tags[self._tag_at])
        else:
            path = events_path(cursor, limit=limit, closed="false")

        def done(status: int, body: bytes, recv_ns: int) -> None:
            self._page_asked = False
            taken, after = self._take_page(status, body, cursor, recv_ns, decode_events)
            if not taken:
                self._fail_page(recv_ns)
                return
            self._page_failures = 0
            self._cursor = after
            if after is None:
                self._tag_at += 1
                if self._tag_at >= len(tags):
                    self._end_sweep(recv_ns)

        self._page_asked = self._gamma(path, done)
        return int(self._page_asked)

    def _fail_page(self, now_ns: int) -> None:
        """Ask the same page later; begin the sweep again when its cursor seems to be dead."""
        self._page_due_ns = now_ns + self._params.retry_ns_min
        self._page_failures += 1
        if self._page_failures >= PAGE_FAILURES_MAX:
            self._page_failures = 0
            self._cursor = None
            self._tag_at = 0

    def _take_page(
        self,
        status: int,
        body: bytes,
        cursor: str | None,
        recv_ns: int,
        decode: Callable[[bytes, str | None], Page],
    ) -> tuple[bool, str | None]:
        """Take a page's markets; return whether it could be read, and its cursor."""
        if status != HTTP_OK:
            self._cells.failed.add(1)
            self._notes.add("gamma failed", f"status {status}", recv_ns)
            return False, None
        try:
            page = decode(body, cursor)
        except RemoteProtocolError as error:
            self._cells.malformed.add(1)
            self._notes.add("gamma answer", error, recv_ns)
            return False, None
        self._cells.pages.add(1)
        for reason in page.rejected:
            self._cells.rejected.add(1)
            self._notes.add("gamma row", reason, recv_ns)
        for info in page.markets:
            if not self.knows(info.condition_id):
                self._news_count += 1
            self.seen.add(info.condition_id)
            self._take(info, recv_ns)
        return True, page.next_cursor

    def _end_sweep(self, now_ns: int) -> None:
        self._tag_at = 0
        # Not copied: the next sweep begins with a set of its own.
        self.listed = self.seen
        self._page_due_ns = now_ns + self._params.sweep_ns
        self._cells.sweeps.add(1)
        self._known_since_ns = self._sweep_start_ns
        self._cells.sweep_age_ns.set(now_ns - self._sweep_start_ns)
        self._cells.sweep_ns.set(now_ns - self._sweep_start_ns)
        self._swept(now_ns)
