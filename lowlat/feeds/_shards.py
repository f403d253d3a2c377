"""Place markets on shards, keep their sockets subscribed and watched.

Used by the Polymarket feed only. A socket is replaced when it leaves a PING unanswered, when its
twin hears and it does not, when it lags, or when REST shows news that it never delivered:
sockets freeze without closing. Source: polymarket.md 8.1, 15 (no. 16, 28, 29).
"""

from lowlat.feeds._arrival import FirstArrival
from lowlat.feeds._counters import PolymarketCells
from lowlat.feeds._publish import FeedOutputs
from lowlat.feeds._resync import Resync
from lowlat.feeds._shard import Link, MarketState, Shard
from lowlat.feeds.params import PolymarketFeedParams
from lowlat.feeds.ports import Dial, Listener
from lowlat.venues.polymarket.market import MarketSession

__all__ = ["Shards"]


class Shards:
    """All shards of one feed; ``resync`` fetches what a socket does not deliver."""

    def __init__(
        self,
        params: PolymarketFeedParams,
        outputs: FeedOutputs,
        cells: PolymarketCells,
        dial: Dial,
        listener: Listener,
        resync: Resync,
    ) -> None:
        self.links: list[Link] = []
        self.all: list[Shard] = []
        self._params = params
        self._outputs = outputs
        self._cells = cells
        self._dial = dial
        self._listener = listener
        self._resync = resync

    # ------------------------------------------------------------------ placing
    def room(self) -> Shard | None:
        """Return the first shard with room for two tokens, a new one if need be, or None."""
        for shard in self.all:
            if 2 * len(shard.markets) + 2 <= self._params.shard_assets_max:
                return shard
        if len(self.all) >= self._params.shards_max:
            return None
        number = len(self.all)
        shard = Shard(number, self._outputs.next_generation(number))
        sockets = self._params.shard_sockets
        if sockets > 1:
            shard.arrival = FirstArrival(sockets)
        for socket in range(sockets):
            link = Link(len(self.links), socket, shard)
            self.links.append(link)
            shard.links.append(link)
        self.all.append(shard)
        return shard

    def place(self, state: MarketState) -> None:
        """Subscribe a market's tokens on its shard, at the next flush."""
        shard = state.shard
        shard.markets[state.row] = state
        for token in state.tokens:
            shard.additions[token] = None
        shard.row_due = True
        for link in shard.links:
            if link.connection is None:
                link.connection = self._dial(self._listener, link.number)

    def drop(self, state: MarketState, now_ns: int) -> None:
        """Unsubscribe a market; an empty shard closes its sockets."""
        shard = state.shard
        shard.markets.pop(state.row, None)
        self._resync.cancel(state)
        shard.row_due = True
        for token in state.tokens:
            shard.additions.pop(token, None)
        for link in shard.links:
            session, connection = link.session, link.connection
            link.dump_pending.difference_update(state.tokens)
            if session is None or connection is None:
                continue
            held = [token for token in state.tokens if token in session.assets]
            if held:
                connection.send_text(session.unsubscribe(held))
        if not shard.markets:
            for link in shard.links:
                self._hang_up(link, now_ns)

    def renew(self, state: MarketState) -> None:
        """Subscribe again a market that never got its book (naming it twice does nothing)."""
        for link in state.shard.links:
            session, connection = link.session, link.connection
            if session is None or connection is None or state.tokens[0] not in session.assets:
                continue
            connection.send_text(session.unsubscribe(state.tokens))
            connection.send_text(session.subscribe(state.tokens))
            link.dump_pending.update(state.tokens)

    def flush(self, now_ns: int) -> int:
        """Send the subscriptions that were added since the last turn."""
        sent = 0
        for shard in self.all:
            if not shard.additions:
                continue
            for link in shard.links:
                if link.session is not None:
                    self._subscribe(link, list(shard.additions), now_ns)
                    sent += 1
            shard.additions.clear()
        return sent

    # ------------------------------------------------------------------ sockets
    def opened(self, link: Link, now_ns: int) -> None:
        """Subscribe everything first: a PING before that closes the socket."""
        shard = link.shard
        link.session = MarketSession()
        link.opened_ns = link.data_ns = link.pong_ns = now_ns
        link.ping_due_ns = now_ns + self._params.ping_ns
        link.event_ns = shard.event_ns
        link.others_mark = self._others(link)
        link.dump_pending.clear()
        shard.alive += 1
        if shard.alive == 1:
            shard.connected_ns = shard.data_ns = shard.probe_ns = now_ns
        tokens = [token for state in shard.markets.values() for token in state.tokens]
        self._subscribe(link, tokens, now_ns)
        self._outputs.shard(shard)

    def closed(self, link: Link, now_ns: int) -> None:
        """Note the loss; with the last socket every book of the shard goes stale."""
        if link.session is None:
            return
        shard = link.shard
        link.session = None
        link.dump_pending.clear()
        shard.alive -= 1
        shard.reconnects += 1
        self._cells.reconnects.add(1)
        if shard.arrival is not None:
            shard.arrival.forget_socket(link.socket)
        if shard.alive == 0:
            # From here on no row carries the shard's generation until its next whole book.
            shard.generation = (shard.generation + 1) & 0xFFFF_FFFF
            if shard.arrival is not None:
                shard.arrival = FirstArrival(len(shard.links))
            for state in shard.markets.values():
                state.live = False
                state.event_ns = state.book_event_ns = 0
                state.book.clear()
                self._resync.cancel(state)
            self._outputs.shard(shard)
            self._outputs.lost(shard, now_ns)
        else:
            self._outputs.shard(shard)

    def close(self, now_ns: int) -> None:
        """Close every socket and say so in the shard rows."""
        for link in self.links:
            self._hang_up(link, now_ns)

    def _hang_up(self, link: Link, now_ns: int) -> None:
        connection, link.connection = link.connection, None
        if connection is not None:
            # Its own on_close may come after the next dial: from here on it is a stranger.
            connection.close()
            self.closed(link, now_ns)

    def _subscribe(self, link: Link, tokens: list[str], now_ns: int) -> None:
        session, connection = link.session, link.connection
        assert session is not None, "subscribed on a socket that is down"
        assert connection is not None, "subscribed on a socket that was never dialled"
        wanted = [token for token in tokens if token not in session.assets]
        if not wanted:
            return
        connection.send_text(session.subscribe(wanted))
        link.dump_pending.update(wanted)
        for state in link.shard.markets.values():
            if not state.live and state.tokens[0] in link.dump_pending:
                self._resync.schedule(state, now_ns + self._params.first_book_ns)

    def _others(self, link: Link) -> int:
        return sum(twin.frames for twin in link.shard.links if twin is not link)

    # ------------------------------------------------------------------ watching
    def check(self, now_ns: int) -> int:
        """Ping, watch and write shard rows; run every ``check_ns``."""
        work = 0
        for link in self.links:
            if link.session is not None:
                work += self._check_link(link, now_ns)
        newest_ns = max((shard.data_ns for shard in self.all), default=0)
        for shard in self.all:
            heard_ns = max((link.data_ns for link in shard.links), default=0)
            if shard.alive and heard_ns > shard.data_ns:
                shard.data_ns = heard_ns
                shard.row_due = True
            if shard.row_due:
                shard.row_due = False
                self._outputs.shard(shard)
                work += 1
            if shard.alive and shard.markets and not shard.probing:
                self._check_silence(shard, newest_ns, now_ns)
        return work

    def _check_link(self, link: Link, now_ns: int) -> int:
        params, session, connection = self._params, link.session, link.connection
        assert session is not None, "an open socket has a session"
        if connection is None:
            return 0
        if now_ns - link.pong_ns > params.pong_limit_ns:
            self._replace(link, "no PONG")
            return 1
        if link.shard.arrival is not None and self._is_behind(link, now_ns):
            self._replace(link, "frozen beside its twin")
            self._cells.frozen.add(1)
            return 1
        if now_ns >= link.ping_due_ns and session.assets:
            link.ping_due_ns = now_ns + params.ping_ns
            connection.send_text(session.ping())
            return 1
        return 0

    def _is_behind(self, link: Link, now_ns: int) -> bool:
        """Whether a redundant socket is silent while its twins hear, or delivers old news."""
        params = self._params
        others = self._others(link)
        if link.frames != link.frames_checked:
            link.frames_checked = link.frames
            link.others_mark = others
            return link.shard.event_ns - link.event_ns > params.lag_ns
        return (
            now_ns - link.data_ns > params.freeze_ns
            and others - link.others_mark >= params.freeze_frames
        )

    def _check_silence(self, shard: Shard, newest_ns: int, now_ns: int) -> None:
        params = self._params
        others_flow = now_ns - newest_ns < params.silence_ns
        limit_ns = params.silence_ns if others_flow else params.silence_alone_ns
        if now_ns - max(shard.data_ns, shard.probe_ns) > limit_ns:
            shard.probe_ns = now_ns
            self._resync.probe(shard)

    def freeze_found(self, shard: Shard) -> None:
        """Replace every socket of a shard: REST knows events that none of them delivered."""
        self._cells.frozen.add(1)
        for link in shard.links:
            if link.session is not None:
                self._replace(link, "frozen: REST is newer")

    def _replace(self, link: Link, reason: str) -> None:
        if link.connection is not None:
            link.connection.reconnect(reason)
