"""Settlement price feed: RTDS, PolyBolt and Binance candles to the settle stream.

Run by the prices process; sockets and time are ports. Each print is published once, whichever
source brings it first; another value for the same stamp is published too and counted, so that
whoever settles on it sees the contradiction. Repeated old values (carried forward) are no prints.

====  ========================  =======================================================
0     RTDS (public, legacy)     subscribe a topic a frame, PING each 5 s, no PONG
1     PolyBolt (credentials)    auth, then subscribe; ping each 30 s; seq a channel
2     Binance kline_1m, 1h      streams named in the address; opens, and closes when final
====  ========================  =======================================================

Source: polymarket.md 10.1, 10.2; feeds.md 3.
"""

from collections.abc import Callable
from typing import Final

from lowlat.core.errors import RemoteProtocolError
from lowlat.core.layout import SETTLE, Coin, Settle, SettleSeries, Writer, record_id
from lowlat.core.ports import Clock, StreamWriter
from lowlat.feeds._counters import FaultNotes, PricesCells
from lowlat.feeds._seconds import SecondCloses
from lowlat.feeds.params import CANDLES, POLYBOLT, RTDS, PricesFeedParams
from lowlat.feeds.ports import Connection, Counters, Dial, Fetch, FrameTape, Note
from lowlat.venues.binance.events import COIN_BY_SYMBOL, Kline
from lowlat.venues.binance.stream import StreamCodec
from lowlat.venues.polymarket.prices import (
    POLYBOLT_PING,
    RTDS_PING,
    Ack,
    EquityPrices,
    FeedError,
    PricePoint,
    Prices,
    decode_polybolt,
    decode_rtds,
    polybolt_subscribe,
    rtds_subscribe,
)

__all__ = ["PricesFeed"]

KEYS_MAX: Final = 8192
"""Prints remembered to know copies: 15 minutes of nine series at one a second."""


class _Source:
    """One socket; ``ready`` once it is subscribed."""

    __slots__ = ("connection", "data_ns", "is_open", "ping_due_ns", "ready", "seqs")

    def __init__(self) -> None:
        self.connection: Connection | None = None
        self.is_open = False
        self.ready = False
        self.data_ns = 0
        self.ping_due_ns = 0
        self.seqs: dict[str, int] = {}


class PricesFeed:
    """Engine of the feed. ``auth`` makes PolyBolt's first frame; it is never logged or taped."""

    name: Final = "prices"

    def __init__(
        self,
        params: PricesFeedParams,
        settle: StreamWriter,
        dial: Dial,
        clock: Clock,
        counters: Counters,
        note: Note,
        *,
        exchange: Fetch | None = None,
        auth: Callable[[], bytes] | None = None,
        tape: FrameTape | None = None,
    ) -> None:
        """``exchange`` asks the spot exchange for its last seconds; None: nobody is told them."""
        if POLYBOLT in params.sources and auth is None:
            raise ValueError("the PolyBolt source needs credentials")
        self._params = params
        self._settle = settle
        self._dial = dial
        self._now_ns = clock.monotonic_ns
        self._cells = PricesCells(counters)
        self._notes = FaultNotes(note)
        self._auth = auth
        self._tape = tape
        self._codec = StreamCodec(params.time_unit)
        self._sources = {number: _Source() for number in params.sources}
        self._known: dict[tuple[int, int, int], tuple[int, int]] = {}
        self._ids = record_id(Writer.PRICES, settle.epoch, 0)
        self._check_due_ns = 0
        self._seconds: SecondCloses | None = None
        if exchange is not None and params.seconds_back:
            self._seconds = SecondCloses(
                exchange,
                params.coins,
                params.seconds_back,
                params.seconds_ns,
                self._write,
                clock,
                self._cells.seconds_failed,
                self._notes,
            )
        self._takes: dict[int, Callable[[_Source, bytes, int], None]] = {
            RTDS: self._on_rtds,
            POLYBOLT: self._on_polybolt,
            CANDLES: self._on_candle,
        }

    @property
    def ready(self) -> bool:
        """Whether every source is subscribed."""
        return all(source.ready for source in self._sources.values())

    # ------------------------------------------------------------------ engine
    def start(self) -> None:
        """Dial every source; its number names it."""
        for number, source in self._sources.items():
            source.connection = self._dial(self, number)

    def turn(self, now_ns: int) -> int:
        """Ping, and replace sockets that went silent."""
        if now_ns < self._check_due_ns:
            return 0
        self._check_due_ns = now_ns + self._params.check_ns
        work = self._seconds.turn(now_ns) if self._seconds is not None else 0
        for number, source in self._sources.items():
            if not source.is_open or source.connection is None:
                continue
            if now_ns - source.data_ns > self._params.silence_ns:
                self._cells.frozen.add(1)
                source.connection.reconnect("silent")
                work += 1
            elif source.ready and now_ns >= source.ping_due_ns:
                work += self._ping(number, source, now_ns)
        return work

    def close(self) -> None:
        """Close every socket."""
        for source in self._sources.values():
            if source.connection is not None:
                source.connection.close()

    def _ping(self, number: int, source: _Source, now_ns: int) -> int:
        assert source.connection is not None, "pinged a source that was never dialled"
        if number == RTDS:
            source.ping_due_ns = now_ns + self._params.rtds_ping_ns
            source.connection.send_text(RTDS_PING)
        elif number == POLYBOLT:
            source.ping_due_ns = now_ns + self._params.polybolt_ping_ns
            source.connection.send_text(POLYBOLT_PING)
        else:
            source.ping_due_ns = 2**63
        return 1

    # ------------------------------------------------------------------ listener
    def on_open(self, connection: Connection) -> None:
        """Subscribe; on PolyBolt only after its word on the credentials."""
        source = self._sources[connection.number]
        now_ns = self._now_ns()
        source.is_open = True
        source.data_ns = now_ns
        source.ping_due_ns = now_ns + self._params.rtds_ping_ns
        source.seqs.clear()
        if connection.number == RTDS:
            for topic in self._params.rtds_topics:
                connection.send_text(rtds_subscribe(topic))
        elif connection.number == POLYBOLT:
            assert self._auth is not None, "checked at construction"
            connection.send_text(self._auth())
            return
        source.ready = True

    def on_close(self, connection: Connection, reason: str) -> None:
        """Take note; prints keep their stamps, so nothing published becomes wrong."""
        source = self._sources[connection.number]
        source.is_open = source.ready = False
        self._cells.reconnects.add(1)
        self._notes.add("socket closed", f"source {connection.number} {reason}", self._now_ns())

    def on_frame(self, connection: Connection, payload: bytes, is_text: bool, recv_ns: int) -> None:
        """Decode and publish. Bad frames are counted and sampled, never raised."""
        del is_text
        source = self._sources[connection.number]
        if self._tape is not None:
            self._tape.put(payload, recv_ns, connection.number, 0)
        self._cells.frames.add(1)
        try:
            self._takes[connection.number](source, payload, recv_ns)
        except RemoteProtocolError as error:
            self._cells.malformed.add(1)
            self._notes.add("malformed frame", error, recv_ns)

    # ------------------------------------------------------------------ sources
    def _on_rtds(self, source: _Source, payload: bytes, recv_ns: int) -> None:
        if not payload:
            return  # The relay sends empty frames; they carry no data and prove no life.
        self._take(source, decode_rtds(payload), recv_ns)

    def _on_polybolt(self, source: _Source, payload: bytes, recv_ns: int) -> None:
        event = decode_polybolt(payload)
        if isinstance(event, Ack) and event.op == "authed" and source.connection is not None:
            wanted = [
                (coin, series)
                for coin in self._params.coins
                for series in self._params.polybolt_series
            ]
            source.connection.send_text(polybolt_subscribe("2", wanted))
            source.ready = True
            source.data_ns = recv_ns
        if isinstance(event, Prices) and event.seq is not None:
            before = source.seqs.get(event.channel)
            source.seqs[event.channel] = event.seq
            missed = 0 if before is None else max(event.seq - before - 1, 0)
            self._cells.gaps.add(missed + event.dropped)
        self._take(source, event, recv_ns)

    def _take(self, source: _Source, event: object, recv_ns: int) -> None:
        if isinstance(event, Prices):
            source.data_ns = recv_ns
            for point in event.points:
                self._publish(point, recv_ns)
        elif isinstance(event, FeedError):
            self._cells.refused.add(1)
            self._notes.add("refused", f"{event.code} {event.message}", recv_ns)
        elif not isinstance(event, Ack | EquityPrices):
            self._cells.ignored.add(1)

    def _on_candle(self, source: _Source, payload: bytes, recv_ns: int) -> None:
        event = self._codec.decode(payload)
        if not isinstance(event, Kline):
            self._cells.ignored.add(1)
            return
        source.data_ns = recv_ns
        coin = COIN_BY_SYMBOL.get(event.symbol)
        if coin is None or coin not in self._params.coins:
            self._cells.ignored.add(1)
            return
        series = SettleSeries.BINANCE_KLINE_OPEN
        self._publish(_candle_point(coin, series, event.start_ns, event.open_e8, event), recv_ns)
        if event.final:
            # The end of a candle is the start of the next: the venue writes one unit less.
            end_ns = event.close_ns + (1_000 if self._params.time_unit == "us" else 1_000_000)
            series = SettleSeries.BINANCE_KLINE_CLOSE
            self._publish(_candle_point(coin, series, end_ns, event.close_e8, event), recv_ns)

    # ------------------------------------------------------------------ publishing
    def _publish(self, point: PricePoint, recv_ns: int) -> None:
        if point.coin not in self._params.coins:
            self._cells.ignored.add(1)
            return
        if point.carried_forward:
            self._cells.carried.add(1)
            return
        key, price = point.key, (point.price_e8, point.price_rest_e18)
        before = self._known.get(key)
        if before == price:
            self._cells.copies.add(1)
            return
        if before is not None:
            self._cells.conflicts.add(1)
            self._notes.add("two prices for one stamp", f"{key} {before} {price}", recv_ns)
        elif len(self._known) >= KEYS_MAX:
            del self._known[next(iter(self._known))]
        self._known[key] = price
        self._write(point, recv_ns)

    def _write(self, point: PricePoint, recv_ns: int) -> None:
        record = Settle(
            self._ids | self._settle.cursor,
            point.stamp_ns,
            point.event_ns,
            recv_ns,
            self._now_ns(),
            point.price_e8,
            point.price_rest_e18,
            point.coin,
            point.series,
            int(point.history),
        )
        SETTLE.pack(self._settle.buffer, record)
        self._settle.publish(SETTLE.kind)
        self._cells.points.add(1)


def _candle_point(
    coin: Coin, series: SettleSeries, stamp_ns: int, price_e8: int, event: Kline
) -> PricePoint:
    return PricePoint(
        coin, series, stamp_ns, event.event_ns, price_e8, 0, history=False, carried_forward=False
    )
