"""Find the markets of tokens that are ours and that no row names: running ones and ended ones.

Used by the metadata engine only. After a reboot the executor has shares whose market may have ended
meanwhile: no list of running markets shows it any more. Gamma is asked by token, for running
markets and for ended ones in turn, until each token has a row. Source: polymarket.md 11.1.
"""

from collections import deque
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Final

from lowlat.core.errors import RemoteProtocolError
from lowlat.feeds._counters import FaultNotes, MetadataCells
from lowlat.feeds.params import MetadataParams
from lowlat.feeds.ports import Fetch
from lowlat.venues.polymarket.gamma import MARKETS_PAGE_MAX, decode_markets, markets_path
from lowlat.venues.polymarket.market_info import MarketInfo

__all__ = ["Sought"]

HTTP_OK: Final = 200
LOOK_NS: Final = 20_000_000
"""How often the executor's tokens are looked at: after a reboot it waits for us."""


class Sought:
    """Tokens that are looked for. ``unlisted()`` names them, ``by_token`` those that have a row."""

    def __init__(
        self,
        params: MetadataParams,
        unlisted: Callable[[], AbstractSet[str]],
        by_token: Mapping[str, object],
        gamma: Fetch,
        cells: MetadataCells,
        notes: FaultNotes,
        found: Callable[[MarketInfo, int], None],
    ) -> None:
        """``found(info, now_ns)`` gets each market that holds one of them."""
        self._params = params
        self._unlisted = unlisted
        self._by_token = by_token
        self._gamma = gamma
        self._cells = cells
        self._notes = notes
        self._found = found
        self._look_ns = 0
        self._missing: frozenset[str] = frozenset()
        self._pages: deque[tuple[list[str], str]] = deque()
        """Questions of this round: tokens, and whether ended markets are meant."""
        self._asked = False
        self._due_ns = 0
        self._tokens: dict[str, tuple[str, str]] = {}
        """Tokens of each market that was found."""

    def wants(self, condition_id: str) -> bool:
        """Whether a market holds a token that has no row yet."""
        return not self._missing.isdisjoint(self._tokens.get(condition_id, ()))

    def turn(self, now_ns: int) -> int:
        """Ask the next question that is due; cheap while every token has its row."""
        if now_ns >= self._look_ns:
            self._look_ns = now_ns + LOOK_NS
            missing = frozenset(each for each in self._unlisted() if each not in self._by_token)
            if missing - self._missing:
                # News: from the beginning, and at once.
                self._pages.clear()
                self._due_ns = 0
            self._missing = missing
            if self._tokens and not missing:
                self._tokens.clear()
        if not self._missing or self._asked or now_ns < self._due_ns:
            return 0
        if not self._pages:
            self._begin()
        return self._ask(now_ns)

    def _begin(self) -> None:
        tokens = sorted(self._missing)
        for at in range(0, len(tokens), MARKETS_PAGE_MAX):
            some = tokens[at : at + MARKETS_PAGE_MAX]
            self._pages += [(some, "false"), (some, "true")]

    def _ask(self, now_ns: int) -> int:
        tokens, closed = page = self._pages[0]
        path = markets_path(None, clob_token_ids=tokens, closed=closed)

        def done(status: int, body: bytes, recv_ns: int) -> None:
            self._asked = False
            if not self._take(status, body, recv_ns):
                self._due_ns = recv_ns + self._params.retry_ns_min
                return
            if self._pages and self._pages[0] is page:
                self._pages.popleft()
            if not self._pages:
                self._due_ns = recv_ns + self._params.retry_ns_min

        self._asked = self._gamma(path, done)
        if not self._asked:
            self._due_ns = now_ns + self._params.page_ns
        return int(self._asked)

    def _take(self, status: int, body: bytes, now_ns: int) -> bool:
        """Take a page's markets; False when it could not be read."""
        if status != HTTP_OK:
            self._cells.failed.add(1)
            self._notes.add("gamma failed", f"status {status}", now_ns)
            return False
        try:
            page = decode_markets(body)
        except RemoteProtocolError as error:
            self._cells.malformed.add(1)
            self._notes.add("gamma answer", error, now_ns)
            return False
        self._cells.pages.add(1)
        for reason in page.rejected:
            self._cells.rejected.add(1)
            self._notes.add("gamma row", reason, now_ns)
        for info in page.markets:
            # What the venue answers beside the question is not ours.
            if info.token_ids is not None and not self._missing.isdisjoint(info.token_ids):
                self._tokens[info.condition_id] = info.token_ids
                self._found(info, now_ns)
        return True
