"""Find markets at Gamma: a paged sweep of everything wanted, and a newest-first poll.

Used by the metadata engine only. One page of each is under way at a time; a page that could not
be read is asked again later, from where the sweep stands. Source: polymarket.md 11.1.
"""

from collections.abc import Callable
from typing import Final

from lowlat.core.errors import RemoteProtocolError
from lowlat.feeds._counters import FaultNotes, MetadataCells
from lowlat.feeds.params import MetadataParams
from lowlat.feeds.ports import Fetch
from lowlat.venues.polymarket.gamma import MarketInfo, decode_events, events_path

__all__ = ["Listings"]

HTTP_OK: Final = 200
PAGE_FAILURES_MAX: Final = 5


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
        self.listed: frozenset[str] | None = None
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
        self._page_due_ns = 0
        self._page_asked = False
        self._cursor: str | None = None
        self._page_failures = 0
        self._tag_at = 0
        self._sweep_start_ns = 0

    def turn(self, now_ns: int) -> int:
        """Ask the pages that are due."""
        work = 0
        if now_ns >= self._newest_due_ns and not self._newest_asked:
            work += self._ask_newest(now_ns)
        if now_ns >= self._page_due_ns and not self._page_asked:
            work += self._ask_page(now_ns)
        return work

    def hasten(self) -> None:
        """Ask for the newest listings at once."""
        self._newest_due_ns = 0

    def _ask_newest(self, now_ns: int) -> int:
        params = self._params
        self._newest_due_ns = now_ns + params.newest_ns
        path = events_path(
            None,
            limit=params.newest_count,
            order=params.newest_order,
            ascending="false",
            closed="false",
        )

        def done(status: int, body: bytes, recv_ns: int) -> None:
            self._newest_asked = False
            self._take_page(status, body, None, recv_ns)

        self._newest_asked = self._gamma(path, done)
        return int(self._newest_asked)

    def _ask_page(self, now_ns: int) -> int:
        """Ask the next page of the sweep: every wanted tag in turn, or everything."""
        self._page_due_ns = now_ns + self._params.page_ns
        cursor, tags = self._cursor, self._tags
        if cursor is None and self._tag_at == 0:
            self.seen.clear()
            self._sweep_start_ns = now_ns
        limit = self._params.page_events
        if tags:
            path = events_path(cursor, limit=limit, closed="false", tag_slug=tags[self._tag_at])
        else:
            path = events_path(cursor, limit=limit, closed="false")

        def done(status: int, body: bytes, recv_ns: int) -> None:
            self._page_asked = False
            taken, after = self._take_page(status, body, cursor, recv_ns)
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
        self, status: int, body: bytes, cursor: str | None, recv_ns: int
    ) -> tuple[bool, str | None]:
        """Take a page's markets; return whether it could be read, and its cursor."""
        if status != HTTP_OK:
            self._cells.failed.add(1)
            self._notes.add("gamma failed", f"status {status}", recv_ns)
            return False, None
        try:
            page = decode_events(body, cursor)
        except RemoteProtocolError as error:
            self._cells.malformed.add(1)
            self._notes.add("gamma answer", error, recv_ns)
            return False, None
        self._cells.pages.add(1)
        for reason in page.rejected:
            self._cells.rejected.add(1)
            self._notes.add("gamma row", reason, recv_ns)
        for info in page.markets:
            self.seen.add(info.condition_id)
            self._take(info, recv_ns)
        return True, page.next_cursor

    def _end_sweep(self, now_ns: int) -> None:
        self._tag_at = 0
        self.listed = frozenset(self.seen)
        self._page_due_ns = now_ns + self._params.sweep_ns
        self._cells.sweeps.add(1)
        self._cells.sweep_age_ns.set(now_ns - self._sweep_start_ns)
        self._swept(now_ns)
