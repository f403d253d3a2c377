"""The engine of tick-to-wire as a process: feed, modules, risk, executor, real sockets, busy.

``python -m bench.wire_engine '{"feed_port": .., "order_port": .., "tls": "cert or empty"}'``

It is the shipped wiring (lowlat.wiring.trading) over real segments, captured as shipped (without:
``"capture": false``). Only what the frames do not measure is made up: market rows, the spot price
(ten times a second) and 200 old positions; and nobody reads reports, decisions and the capture.
"""

import asyncio
import json
import random
import sys
from typing import Any

from bench.captured import BareEnds, bare_header
from bench.cores import pin
from bench.markets import market_ids, market_row, put_market
from lowlat.app.config import (
    AccountConfig,
    Credentials,
    EndpointConfig,
    EngineConfig,
    ModuleConfig,
)
from lowlat.app.dialer import Dialer
from lowlat.app.loop import BUSY, LoopCells
from lowlat.app.machine import Metrics, RandomSalts, address_of, tls_context
from lowlat.app.rehearsal import Rehearsal
from lowlat.app.runtime import Runtime, run_process
from lowlat.core.clock import RealClock, monotonic_ns
from lowlat.core.directory import MarketDirectory
from lowlat.core.layout import POSITION_ROW, SPOT_TOP, Coin, SpotTop, Venue, Writer, record_id
from lowlat.core.ports import Engine, StreamWriter, TableWriter
from lowlat.execution.params import ExecutorParams, HardLimits
from lowlat.feeds.polymarket import FeedOutputs, PolymarketFeed
from lowlat.net._gate import SendGate
from lowlat.net.http import AnswerSink, HotConnections, HotParams
from lowlat.net.options import PollWatch
from lowlat.net.warm import WarmLine
from lowlat.risk.limits import LimitsParams
from lowlat.shm.attachment import Attachment
from lowlat.shm.segments import create_segments
from lowlat.wiring.blocks import BlockStream
from lowlat.wiring.capture import Capture
from lowlat.wiring.trading import Trading

MARKETS = 520
CRYPTO = 20
"""The first markets settle on the spot price: triggers come from them."""
POSITIONS = 200
SPACED_NS = 50_000
"""Turns between frames come this far apart, as in the shipped fused process."""
SPOT_E8 = 100_018 * 10**8
"""So far over the strike that the cheap ask is worth an order and the dear one is not."""
KEY = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
ADDRESS = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
ACCOUNT = Credentials(
    private_key=KEY,
    api_key="00000000-0000-0000-0000-000000000001",
    api_secret="c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0",
    api_passphrase="passphrase",
    funder=ADDRESS,
    address=ADDRESS,
    signature_type=0,
)


class Spot:
    """Engine that publishes a still spot price ten times a second."""

    name = "spot"

    def __init__(self, table: TableWriter, stream: StreamWriter) -> None:
        self._table, self._stream = table, stream
        self._due_ns = 0
        self._seq = 0

    def start(self) -> None:
        """Publish nothing yet."""

    def turn(self, now_ns: int) -> int:
        """Publish when due."""
        if now_ns < self._due_ns:
            return 0
        self._due_ns = now_ns + 100_000_000
        self._seq += 1
        # A cent up and down: volatility stays at its floor, the price stays where it is.
        price = SPOT_E8 + 10**6 * (self._seq & 1)
        top = SpotTop(
            record_id(Writer.BINANCE, self._stream.epoch, self._seq),
            self._seq,
            RealClock().wall_ns(),
            now_ns,
            now_ns,
            now_ns,
            price - 10**6,
            10**8,
            price + 10**6,
            10**8,
            Coin.BTC,
            Venue.BINANCE,
            1,
            0,
        )
        SPOT_TOP.pack(self._table.buffer, top)
        self._table.write(Coin.BTC)
        SPOT_TOP.pack(self._stream.buffer, top)
        self._stream.publish(SPOT_TOP.kind)
        return 1

    def close(self) -> None:
        """Keep the last price."""


def config(feed_port: int, order_port: int, certificate: str, instance: str) -> EngineConfig:
    """The shipped configuration with limits that let 40 orders a second through."""
    ws, http = ("wss", "https") if certificate else ("ws", "http")
    url = f"{http}://127.0.0.1:{order_port}"
    return EngineConfig(
        instance=instance,
        mode="sim",
        endpoints=EndpointConfig(
            clob_url=url,
            market_ws_url=f"{ws}://127.0.0.1:{feed_port}/ws/market",
            user_ws_url=f"{ws}://127.0.0.1:{feed_port}/ws/user",
            gamma_url=url,
            prices_ws_url=f"{ws}://127.0.0.1:{feed_port}",
            binance_ws_url=f"{ws}://127.0.0.1:{feed_port}",
            binance_rest_url=url,
            certificate_file=certificate,
        ),
        account=AccountConfig("unused"),
        modules={
            "arbitrage": ModuleConfig("live"),
            # Two seconds of a still price are all the volatility there is to learn here.
            "latency": ModuleConfig("live", {"coin": {"warmup_s": 2}}),
        },
        limits=LimitsParams(
            bankroll_cap_e6=1_000_000 * 10**6,
            orders_per_s=60,
            orders_burst=120,
            notional_window_e6_max=10**13,
            size_rungs_e6=ExecutorParams().template_rungs_e6,
        ),
        execution=ExecutorParams(
            limits=HardLimits(),
            orders_per_s=60,
            orders_burst=120,
            heartbeat_every_ns=10**15,
            balance_check_every_ns=10**15,
        ),
    )


class Relay:
    """Hands answers to the executor, which is made after its transport."""

    inbox: AnswerSink

    def on_answer(self, *answer) -> None:
        """Take an answer."""
        self.inbox.on_answer(*answer)

    def on_lost(self, *lost) -> None:
        """Take a loss."""
        self.inbox.on_lost(*lost)


async def main() -> int:
    """Wire, connect, say so, run until killed."""
    settings = json.loads(sys.argv[1])
    instance = settings["instance"]
    cfg = config(settings["feed_port"], settings["order_port"], settings["tls"], instance)
    segments = create_segments(instance, stats=["engine"])
    attachment = Attachment(instance, "engine")
    stats = attachment.open_stats()
    metrics = Metrics(stats)
    _positions(instance)
    tls = tls_context(settings["tls"]) if settings["tls"] else None
    watch = PollWatch(metrics.gauge("recv_wait_ns_max"))
    address = address_of(cfg.endpoints.clob_url)
    relay = Relay()
    gate = SendGate([], [])
    pool = HotConnections(
        address.host,
        address.port,
        relay,
        ping=b"GET /ok HTTP/1.1\r\nHost: x\r\n\r\n",
        draw=random.random,
        params=HotParams(),
        tls=tls,
        gate=gate,
    )
    dialer = Dialer(cfg.endpoints.market_ws_url, tls, random.random, watch)

    def note(kind: str, sample: str) -> None:
        stats.errors.record(f"{kind}: {sample}", monotonic_ns())

    ends: Any = BareEnds(pool, dialer, RealClock(), RandomSalts(), note)
    capture = Capture(attachment, bare_header(ACCOUNT), ACCOUNT) if settings["capture"] else None
    if capture is not None:
        ends = capture.ends(ends)
    markets, metadata = (
        attachment.open_table_writer("markets"),
        attachment.open_stream_writer("metadata"),
    )
    for market in range(MARKETS):
        put_market(markets, metadata, market_row(market, crypto=market < CRYPTO))
    spot = Spot(attachment.open_table_writer("spot_top"), attachment.open_stream_writer("spot"))
    outputs = FeedOutputs(
        attachment.open_table_writer("book"),
        attachment.open_table_writer("shard"),
        attachment.open_stream_writer("market"),
        attachment.open_stream_writer("trades"),
        ends.clock,
    )
    # Readers stand at the next record, so the writers above come first.
    attachment.open_stream_writer("settle")
    trading = Trading(
        cfg,
        attachment,
        metrics,
        ACCOUNT,
        address.name,
        ends.orders,
        None,
        clock=ends.clock,
        salts=ends.salts,
    )
    inbox = trading.executor.inbox
    relay.inbox = inbox if capture is None else capture.sink(inbox)
    directory = MarketDirectory(
        attachment.open_table_reader("markets"), attachment.open_stream_reader("metadata")
    )
    feed = PolymarketFeed(
        cfg.feed,
        directory,
        outputs,
        ends.market_ws,
        lambda *_: False,
        ends.clock,
        metrics.scope("feed"),
        note,
        pump=trading.pump,
    )
    pool.start()
    cells = LoopCells(
        stats.heartbeat,
        metrics.gauge("turns"),
        metrics.recorder("turn_ns"),
        metrics.recorder("gc_ns"),
    )
    rehearsal = Rehearsal(
        cfg,
        WarmLine(),
        metrics,
        lambda: pool.busy > 0,
        note,
    )
    engines: list[Engine] = [feed, trading.signals, trading.risk, trading.executor]
    if capture is not None:
        lag = [metrics.gauge(f"capture.{name}") for name in ("waiting_bytes", "lost")]
        writer = attachment.open_stream_writer("capture")
        blocks = BlockStream(capture.log, writer, RealClock(), *lag)
        engines = [blocks, capture.engines(engines)]
    runtime = Runtime(
        [spot, _PoolEngine(pool), *engines, rehearsal],
        cells,
        waiting=BUSY,
        tick_ms=1,
        spaced_ns=SPACED_NS,
        watch=watch,
    )
    pin(1)
    asyncio.get_running_loop().call_later(0.2, _watch_ready, trading, stats)
    try:
        await runtime.run()
    finally:
        segments.unlink()
    return 0


class _PoolEngine:
    name = "pool"

    def __init__(self, pool: HotConnections) -> None:
        self._pool = pool
        self.turn = pool.turn

    def start(self) -> None:
        """Started by its owner."""

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()


def _watch_ready(trading: Trading, stats) -> None:
    if trading.executor.ready:
        print("ready", flush=True)
    else:
        asyncio.get_running_loop().call_later(0.05, _watch_ready, trading, stats)


def _positions(instance: str) -> None:
    with Attachment(instance, "before") as before:
        put_positions(before.open_table_writer("positions"))


def put_positions(table: TableWriter) -> None:
    """Give the account 200 old positions, as an engine that has run for a while has."""
    for i in range(POSITIONS):
        index = 2 * (CRYPTO + i)
        values = dict.fromkeys(POSITION_ROW.row._fields, 0) | {
            "size_e6": 100_000_000,
            "confirmed_e6": 100_000_000,
            "cost_e6": 50_000_000,
            "token_id": int(market_ids(CRYPTO + i)[1]).to_bytes(32, "big"),
            "instrument": index,
            "generation": 1,
        }
        POSITION_ROW.pack(table.buffer, POSITION_ROW.row(**values))
        table.write(index)


if __name__ == "__main__":
    sys.exit(run_process(main))
