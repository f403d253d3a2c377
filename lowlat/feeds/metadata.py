"""Metadata engine: finds markets, learns what trading needs, keeps their rows, notes resolution.

Run by the metadata process (or a fused one); REST and time are ports. Sole writer of the markets
table and the metadata stream.

A market's way: listed by Gamma (sweep, newest-first poll, hint) and let in by the filters ->
PENDING until ``/clob-markets`` answers (404 for minutes is normal: retried with back-off) -> a row
of its own, refreshed now and then -> closed: its winner is looked up -> RESOLVED -> after an hour
and with nothing held the row goes to another market, one generation higher.

Source: polymarket.md 1.2, 11.1; feeds.md 3.
"""

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Final

import msgspec

from lowlat.core.errors import RemoteProtocolError
from lowlat.core.instruments import Instruments
from lowlat.core.interest import PRIORITY_MAX
from lowlat.core.layout import (
    MARKET_STATE,
    ListingReason,
    MarketRow,
    MarketStateReason,
    MarketStatus,
    Watch,
)
from lowlat.core.ports import EMPTY, OVERRUN, Clock, StreamReader, StreamWriter, TableReader
from lowlat.feeds._admission import Admission, score_of
from lowlat.feeds._counters import FaultNotes, MetadataCells
from lowlat.feeds._dossiers import DossierNews
from lowlat.feeds._listed import ListedNews
from lowlat.feeds._listings import Listings
from lowlat.feeds._questions import HTTP_NOT_FOUND, Followed, Questions
from lowlat.feeds._rows import MarketRows
from lowlat.feeds._sought import Sought
from lowlat.feeds._start_prices import Starts
from lowlat.feeds._universe import dossier_of, facts_refusal, market_row
from lowlat.feeds.params import MetadataParams, UniverseParams
from lowlat.feeds.ports import Counters, Fetch, Note
from lowlat.venues.polymarket.clob_markets import MarketFacts, decode_clob_market, market_facts
from lowlat.venues.polymarket.market_info import MarketInfo
from lowlat.venues.polymarket.resolution import decode_resolution
from lowlat.venues.polymarket.rules import read_rule

__all__ = ["MarketRows", "MetadataEngine"]

HTTP_OK: Final = 200
OURS_NS: Final = 5_000_000_000
"""How often markets of ours that lost their place are looked for."""
_DONE: Final = frozenset({MarketStatus.CLOSED, MarketStatus.RESOLVED})


class MetadataEngine:
    """Engine of the markets table.

    ``gamma`` and ``clob`` fetch from their hosts, ``settle`` and ``market`` are the price and
    book streams to read along, ``exchange`` asks the spot exchange for old candles.
    ``held(market)`` says that something of a market is still ours.
    """

    name: Final = "metadata"

    def __init__(
        self,
        params: MetadataParams,
        universe: UniverseParams,
        rows: MarketRows,
        gamma: Fetch,
        clob: Fetch,
        clock: Clock,
        counters: Counters,
        note: Note,
        *,
        settle: StreamReader | None = None,
        market: StreamReader | None = None,
        listings: StreamWriter | None = None,
        dossiers: StreamWriter | None = None,
        wants: TableReader | None = None,
        ours: Callable[[], AbstractSet[int]] = frozenset,
        unlisted: Callable[[], AbstractSet[str]] = frozenset,
        gauges: Counters | None = None,
        exchange: Fetch | None = None,
    ) -> None:
        self._params = params
        self._universe = universe
        self._rows = rows
        self._clock = clock
        self._cells = MetadataCells(counters, gauges or counters)
        self._notes = FaultNotes(note)
        self._market = market
        self._starts = Starts(settle, exchange, rows, clock, self._cells, self._notes)
        self._followed: dict[str, Followed] = {}
        self._questions = Questions(params, clob, self._followed.get, self._answered)
        self._listings = Listings(
            params,
            universe.tags,
            gamma,
            self._cells,
            self._notes,
            self._take_listing,
            self._end_sweep,
        )
        self._sought = Sought(
            params,
            unlisted,
            rows.instruments.by_token,
            gamma,
            self._cells,
            self._notes,
            self._take_ours,
        )
        self.news = ListedNews(listings)
        """Why listed markets are out."""
        self._dossiers = DossierNews(dossiers, self._cells.malformed)
        self._admission = Admission(universe, wants, self.news, self._cells, self._is_held)
        self._ours = ours
        self._ours_due_ns = 0
        self._barred: dict[str, ListingReason] = {}
        """Refused for what the CLOB says; asked again after the next sweep."""

    @property
    def ready(self) -> bool:
        """Whether a market is known, or the venue listed none that the filters let in."""
        return bool(self._rows.count) or self._listings.listed is not None

    @property
    def instruments(self) -> Instruments:
        """The directory of tokens, as of the last turn."""
        return self._rows.instruments

    # ------------------------------------------------------------------ engine
    def start(self) -> None:
        """Take over the table as the last life left it; everything in it is asked for again."""
        now_ns, wall_ns = self._clock.monotonic_ns(), self._clock.wall_ns()
        for row in self._rows.start(now_ns):
            condition_id = "0x" + row.condition_id.hex()
            followed = Followed(condition_id, None, now_ns)
            followed.market = row.market
            followed.winner_due = row.status in _DONE
            self._followed[condition_id] = followed
            if row.watch != Watch.NONE:
                self._admission.claim(condition_id, wall_ns)
            self._questions.schedule(followed, now_ns)
            followed.key = self._starts.wait(followed.key, row)

    def turn(self, now_ns: int) -> int:
        """Read along, ask what is due; return how much was done."""
        work = self._starts.turn(now_ns) + self._read_market(now_ns) + self.news.turn(now_ns)
        work += self._sought.turn(now_ns) + self._dossiers.turn(now_ns) + self._review(now_ns)
        return work + self._listings.turn(now_ns) + self._questions.turn(now_ns)

    def close(self) -> None:
        """Do nothing: rows stay for the next life."""

    # ------------------------------------------------------------------ listings
    def _take_listing(self, info: MarketInfo, now_ns: int) -> None:
        condition_id = info.condition_id
        followed = self._followed.get(condition_id)
        if followed is not None:
            self._take_news(followed, info, now_ns)
        if condition_id in self._barred:
            return
        reason = self._admission.offer(info, self._clock.wall_ns())
        if reason:
            self.news.refuse(condition_id, info.slug, reason)
            if followed is not None:
                self._rewatch(followed, now_ns)

    def _take_news(self, followed: Followed, info: MarketInfo, now_ns: int) -> None:
        changed = followed.info is None or _lasting(followed.info) != _lasting(info)
        is_first = followed.info is None and followed.market < 0
        followed.info = info
        if is_first:
            self._ask_new(followed, now_ns)
        elif changed and not followed.winner_due and followed.market >= 0:
            self._questions.hasten(followed, now_ns)

    def _end_sweep(self, now_ns: int) -> None:
        """Finish a sweep: what it did not list any more has probably closed."""
        listed = self._listings.listed or set()
        for followed in list(self._followed.values()):
            if followed.condition_id in listed:
                continue
            if followed.market < 0 and followed.info is None:
                self._forget(followed)
            else:
                self._questions.hasten(followed, now_ns)
        self._barred.clear()
        self._admission.end_sweep(listed)
        self.news.end_sweep(listed)

    # ------------------------------------------------------------------ places
    def _review(self, now_ns: int) -> int:
        """Give and take places; everything about it is incremental."""
        admission = self._admission
        if admission.is_idle(now_ns):
            return 0
        if now_ns >= self._ours_due_ns:
            self._ours_due_ns = now_ns + OURS_NS
            self._claim_ours()
        admitted, changed = admission.review(now_ns, self._clock.wall_ns())
        for condition_id, info in admitted.items():
            self._admit(condition_id, info, now_ns)
        for condition_id in changed:
            followed = self._followed.get(condition_id)
            if followed is not None:
                self._rewatch(followed, now_ns)
        if admission.reweigh:
            admission.reweigh = False
            self._listings.hasten_sweep()
        return len(admitted) + len(changed)

    def _claim_ours(self) -> None:
        """See that what is held or ordered is on a socket."""
        wall_ns = self._clock.wall_ns()
        for market in self._ours():
            row = self._rows.get(market)
            if row is not None and row.watch != Watch.SOCKET and row.status not in _DONE:
                self._admission.claim("0x" + row.condition_id.hex(), wall_ns)

    def _take_ours(self, info: MarketInfo, now_ns: int) -> None:
        """Follow a market that was sought by a token of ours, whatever the filters say of it."""
        condition_id = info.condition_id
        self._barred.pop(condition_id, None)
        self._admission.claim(condition_id, self._clock.wall_ns(), info)
        followed = self._followed.get(condition_id)
        if followed is not None and followed.market < 0:
            followed.info = info
            self._ask_new(followed, now_ns)

    def _admit(self, condition_id: str, info: MarketInfo | None, now_ns: int) -> None:
        self.news.follow(condition_id)
        followed = self._followed.get(condition_id)
        if followed is not None:
            self._rewatch(followed, now_ns)
            return
        self._followed[condition_id] = followed = Followed(condition_id, info, now_ns)
        if info is None:
            self._listings.want(condition_id)
        else:
            self._ask_new(followed, now_ns)

    def _rewatch(self, followed: Followed, now_ns: int) -> None:
        """Write how a market is followed from now on; one without a row may be forgotten."""
        condition_id = followed.condition_id
        row = self._rows.get(followed.market)
        if row is not None:
            self._rows.write(self._placed(row, followed), MarketStateReason.METADATA, now_ns)
        elif not self._admission.has_place(condition_id) and not followed.asked:
            del self._followed[condition_id]

    def _placed(self, row: MarketRow, followed: Followed) -> MarketRow:
        """Return the row with its place in the universe."""
        info, condition_id = followed.info, followed.condition_id
        return row._replace(
            watch=int(self._admission.watch(condition_id)),
            priority=min(self._admission.priority(condition_id), PRIORITY_MAX),
            score_usd=row.score_usd if info is None else score_of(info),
        )

    def _is_held(self, condition_id: str) -> bool:
        followed = self._followed.get(condition_id)
        if followed is not None and followed.market >= 0:
            return self._rows.held(followed.market)
        return self._sought.wants(condition_id)

    def _refuse(self, followed: Followed, reason: ListingReason) -> None:
        slug = followed.info.slug if followed.info is not None else None
        self.news.refuse(followed.condition_id, slug, reason)

    # ------------------------------------------------------------------ one market
    def _ask_new(self, followed: Followed, now_ns: int) -> None:
        priority = self._admission.priority(followed.condition_id)
        self._questions.schedule_new(followed, min(priority, PRIORITY_MAX), now_ns)

    def _answered(
        self,
        followed: Followed,
        wins: bool,
        status: int,
        body: bytes,
        recv_ns: int,
    ) -> None:
        if status == HTTP_NOT_FOUND and followed.market < 0:
            self._cells.not_yet.add(1)
            self._refuse(followed, ListingReason.NOT_ON_CLOB)
            if not self._listings.knows(followed.condition_id):
                self._forget(followed)
            return
        if status != HTTP_OK:
            self._cells.failed.add(1)
            self._notes.add("clob failed", f"{status} {followed.condition_id}", recv_ns)
            return
        try:
            (self._take_resolution if wins else self._take_clob)(followed, body, recv_ns)
        except RemoteProtocolError as error:
            self._cells.malformed.add(1)
            self._notes.add("clob answer", error, recv_ns)

    def _take_clob(self, followed: Followed, body: bytes, now_ns: int) -> None:
        clob = decode_clob_market(body)
        if clob.condition_id != followed.condition_id:
            raise RemoteProtocolError(f"asked {followed.condition_id}, got {clob.condition_id}")
        info = followed.info
        facts = market_facts(clob, info, self._clock.wall_ns())
        for conflict in facts.conflicts:
            self._cells.conflicts.add(1)
            self._notes.add("sources differ", f"{followed.condition_id} {conflict}", now_ns)
        before = self._rows.get(followed.market)
        if before is None:
            if not self._may_enter(followed, facts):
                return
            market = self._rows.allocate(now_ns)
            if market is None:
                self._cells.full.add(1)
                self._refuse(followed, ListingReason.NO_ROW_FREE)
                return
            followed.market = market
            self.news.follow(followed.condition_id)
        generation = self._rows.generation(followed.market)
        reading = read_rule(info) if info is not None else None
        row = market_row(before, followed.market, generation, facts, info, reading)
        row = self._placed(row, followed)
        self._plan(followed, row, now_ns)
        self._rows.write(row, MarketStateReason.METADATA, now_ns)
        if info is not None:
            self._dossiers.put(row.market, generation, dossier_of(info))
        followed.key = self._starts.wait(followed.key, row)
        self._cells.markets.set(self._rows.count)
        self._cells.tradeable.set(self._rows.tradeable)

    def _may_enter(self, followed: Followed, facts: MarketFacts) -> bool:
        """Whether a market may have a row, now that its trading facts are known."""
        reason = facts_refusal(self._universe, facts)
        if reason and self._admission.is_ours(followed.condition_id):
            reason = ListingReason.FOLLOWED
        if reason:
            self._barred[followed.condition_id] = reason
            self._refuse(followed, reason)
        if reason or not self._admission.has_place(followed.condition_id):
            self._forget(followed)
            return False
        return True

    def _forget(self, followed: Followed) -> None:
        """Stop following a market: it has no row, or needs its own no more."""
        self._admission.withdraw(followed.condition_id, self._clock.wall_ns())
        del self._followed[followed.condition_id]

    def _plan(self, followed: Followed, row: MarketRow, now_ns: int) -> None:
        """Choose the next question: what it is like, or, once it may be over, who won."""
        params = self._params
        listed = self._listings.listed
        gone = listed is not None and followed.condition_id not in listed
        left_ns = row.end_ns - self._clock.wall_ns() if row.end_ns else params.refresh_ns
        over = row.status in _DONE or left_ns <= 0
        followed.winner_due = over or (gone and row.status == MarketStatus.PAUSED)
        followed.step_ns = 0
        ended_ns = max(left_ns, 0) + params.winner_ns
        # Rows that were made together are not asked about together ever after.
        refresh_ns = params.refresh_ns - followed.market % 64 * (params.refresh_ns // 256)
        wait_ns = params.winner_ns if followed.winner_due else min(ended_ns, refresh_ns)
        self._questions.schedule(followed, now_ns + wait_ns)

    def _take_resolution(self, followed: Followed, body: bytes, now_ns: int) -> None:
        resolution = decode_resolution(body)
        row = self._rows.get(followed.market)
        if resolution.condition_id != followed.condition_id or row is None:
            raise RemoteProtocolError(
                f"asked {followed.condition_id}, got {resolution.condition_id}"
            )
        if resolution.winning_token is None:
            # Some markets run long past their end: who won is asked ever more rarely.
            if resolution.closed:
                closed = row._replace(status=MarketStatus.CLOSED)
                self._rows.write(closed, MarketStateReason.METADATA, now_ns)
            followed.winner_due = resolution.closed or row.status in _DONE
            self._questions.schedule(
                followed, now_ns + max(followed.step_ns, self._params.winner_ns)
            )
            return
        raw = int(resolution.winning_token).to_bytes(32, "big")
        if raw not in (row.yes_token_id, row.no_token_id):
            raise RemoteProtocolError(f"winner of {followed.condition_id} is no token of it")
        winner = 1 if raw == row.yes_token_id else 2
        self._rows.write(
            row._replace(winner=winner, status=MarketStatus.RESOLVED),
            MarketStateReason.RESOLVED,
            now_ns,
        )
        self._rows.retire(row.market, now_ns)
        self._dossiers.forget(row.market)
        self._cells.resolved.add(1)
        if followed.key is not None:
            self._starts.forget(followed.key, followed.market)
        self._forget(followed)

    # ------------------------------------------------------------------ book stream
    def _read_market(self, now_ns: int) -> int:
        """Take tick changes and resolutions that the venue pushed to the book feed."""
        reader, work = self._market, 0
        if reader is None:
            return 0
        for work in range(1024):
            kind = reader.poll()
            if kind == EMPTY:
                return work
            if kind == OVERRUN:
                self._cells.overruns.add(1)
            elif kind == MARKET_STATE.kind:
                change = MARKET_STATE.unpack(reader.buffer)
                if change.reason == MarketStateReason.LISTED:
                    self._listings.hasten()
                    continue
                row = self._rows.get(change.market)
                if row is not None and row.generation == change.generation:
                    self._take_push(row, change.reason, change.tick_e4, now_ns)
        return work + 1

    def _take_push(self, row: MarketRow, reason: int, tick_e4: int, now_ns: int) -> None:
        followed = self._followed.get("0x" + row.condition_id.hex())
        if followed is None:
            return
        if reason == MarketStateReason.TICK and tick_e4 != row.tick_e4:
            self._rows.write(row._replace(tick_e4=tick_e4), MarketStateReason.TICK, now_ns)
            self._questions.hasten(followed, now_ns)
        elif reason == MarketStateReason.RESOLVED and row.status != MarketStatus.RESOLVED:
            closed = row._replace(status=MarketStatus.CLOSED)
            self._rows.write(closed, MarketStateReason.RESOLVED, now_ns)
            followed.winner_due = True
            self._questions.hasten(followed, now_ns)


def _lasting(info: MarketInfo) -> MarketInfo:
    """Return the listing without what changes with every trade."""
    return msgspec.structs.replace(info, volume_e6=None, volume_24h_e6=None, liquidity_e6=None)
