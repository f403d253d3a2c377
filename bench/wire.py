"""Tick to wire: from the last byte of a market frame due on the wire to the last byte of the order.

The engine runs the shipped wiring on 1 040 live tokens with both modules on and 200 positions; one
frame in many makes a market cheap, and the order it draws takes its size from that very book. The
floor is a C loop that receives the same frames, looks for the trigger and sends as many bytes. Both
stand against one generator that keeps its schedule whatever comes back (open loop). A regression
means that work or waiting got between the two sockets.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import IO

import numpy as np

from bench import harness
from bench.cores import pin, unpin
from bench.harness import Row, paired
from bench.markets import KILLED, book_frame, change_frame, market_ids
from bench.wire_engine import CRYPTO, MARKETS
from bench.wire_venue import FrameScript, VenueEnd, certificate, http_answer

SPACINGS_US = {"50us": 50, "200us": 200, "1ms": 1000, "3ms": 3000}
ROWS = (
    "tick-to-wire",
    "tick-to-wire-50us",
    "tick-to-wire-1ms",
    "tick-to-wire-3ms",
    "tick-to-wire-tls",
)
TRIGGER_SIZE = "73.31"
"""Marks a trigger frame; also what that tick's book offers at the trigger price."""
TRIGGER_EVERY_US = 26_000
"""Just under 40 triggers a second."""
SEGMENT_S = 2.6
WARMUP_S = 5.0
RATIO_MAX, TAIL_RATIO_MAX, TLS_EXTRA_NS_MAX = 2.2, 4.0, 8_000
BID_E4, ASK_E4, CHEAP_E4 = 3000, 5600, 5400
TOKENS = [market_ids(market)[1] for market in range(CRYPTO)]
"""What an order names: each trigger makes the YES token of its market cheap."""
_LISTED = b'{"limit":100,"count":0,"next_cursor":"LTE=","data":[]}'
ANSWERS = {
    "/data/orders": _LISTED,
    "/data/trades": _LISTED,
    "/balance-allowance?asset_type=COLLATERAL": b'{"balance":"1000000000000","allowances":{}}',
    "/balance-allowance": b'{"balance":"100000000","allowances":{}}',
}


def run(names: tuple[str, ...] = ROWS) -> list[Row]:
    """Measure the rows named."""
    rows: list[Row] = []
    plain_p50_ns = 0
    for tls in (False, True):
        wanted = [name for name in names if name.endswith("-tls") is tls]
        if not wanted:
            continue
        with Duel(certificate() if tls else None) as duel:
            for name in wanted:
                label = name.removeprefix("tick-to-wire").removeprefix("-")
                spacing_us = SPACINGS_US.get(label, 200)
                row = duel.row(name, spacing_us)
                if name == "tick-to-wire":
                    plain_p50_ns = row.p50_ns
                    row.met = bool(
                        row.ratio is not None
                        and row.ratio <= RATIO_MAX
                        and row.floor_p99_ns
                        and row.p99_ns <= TAIL_RATIO_MAX * row.floor_p99_ns
                    )
                    row.target = f"<= {RATIO_MAX} x C, p99 <= {TAIL_RATIO_MAX:g} x"
                if tls and plain_p50_ns:
                    row.target = "<= plain + 8 us"
                    row.notes["over plain, ns"] = row.p50_ns - plain_p50_ns
                    row.met = row.p50_ns - plain_p50_ns <= TLS_EXTRA_NS_MAX
                rows.append(row)
    return rows


class Duel:
    """Engine and floor as processes, both connected; the one not measured is stopped."""

    def __init__(self, tls: tuple[str, str] | None) -> None:
        self.engine_venue, self.floor_venue = VenueEnd(tls), VenueEnd(tls)
        self.engine_venue.answers = ANSWERS
        self.instance = f"bench-{os.getpid()}"
        self.tls = tls
        self.feed_of = [0] * MARKETS
        self.at_ms = time.time_ns() // 1_000_000
        self.turn = 0
        self.processes: list[subprocess.Popen[str]] = []

    def __enter__(self) -> "Duel":
        unpin()
        feed, orders = self.engine_venue.ports
        settings = {
            "feed_port": feed,
            "order_port": orders,
            "instance": self.instance,
            "tls": self.tls[0] if self.tls else "",
            # As shipped; LOWLAT_BENCH_CAPTURE=0 shows what it costs.
            "capture": os.environ.get("LOWLAT_BENCH_CAPTURE", "1") != "0",
        }
        self.engine = self._spawn("bench.wire_engine", json.dumps(settings))
        harness.progress("tick-to-wire: engine signs in")
        self.engine_venue.serve_until(lambda: _has_line(self.engine.stdout), 60)
        assert self.engine.stdout is not None
        said = self.engine.stdout.readline()
        assert said == "ready\n", f"engine said {said!r}"
        feed, orders = self.floor_venue.ports
        marker = f'"{TRIGGER_SIZE}"'
        self.floor = self._spawn(
            "bench.wire_floor", str(feed), str(orders), "tls" if self.tls else "plain", marker
        )
        self.floor_venue.serve_until(
            lambda: len(self.floor_venue.feeds) == 1 and len(self.floor_venue.orders) == 1
        )
        pin(0)
        self.floor.send_signal(signal.SIGSTOP)
        self._books()
        harness.progress("tick-to-wire: volatility warms up")
        self.engine_venue.generate(self._script(1000, WARMUP_S), 1_000_000, KILL)
        self.engine.send_signal(signal.SIGSTOP)
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait(10)
        self.engine_venue.close()
        self.floor_venue.close()
        unpin()
        from lowlat.shm.segments import clean

        clean(self.instance)

    def row(self, name: str, spacing_us: int) -> Row:
        """Measure one spacing: floor and engine in turn."""
        seen = dict.fromkeys(("requests", "missed", "overtaken", "unexpected", "left_out"), 0)
        floor_seen = dict(seen)
        late_ns = {"engine": 0, "floor": 0}

        def engine() -> np.ndarray:
            with _running(self.engine):
                self.engine_venue.generate(self._script(spacing_us, 0.15), spacing_us * 1000, KILL)
                self._pong()
                script = self._script(spacing_us, SEGMENT_S)
                samples = self.engine_venue.generate(script, spacing_us * 1000, KILL)
            result = self.engine_venue.result
            assert not result.closed, "the engine closed a connection"
            for key in seen:
                seen[key] += getattr(result, key)
            late_ns["engine"] = max(late_ns["engine"], result.late_ns_max)
            self.script = script
            return samples

        def floor() -> np.ndarray:
            with _running(self.floor):
                script = self._script(spacing_us, SEGMENT_S, advance=False)
                script.feeds[:] = 0
                samples = self.floor_venue.generate(script, spacing_us * 1000, KILL)
            result = self.floor_venue.result
            for key in floor_seen:
                floor_seen[key] += getattr(result, key)
            late_ns["floor"] = max(late_ns["floor"], result.late_ns_max)
            return samples

        row = paired(name, engine, floor)
        row.notes["triggers answered"] = seen["requests"]
        row.notes["triggers missed"] = f"{seen['missed']} engine, {floor_seen['missed']} floor"
        row.notes["answered after the next trigger"] = seen["overtaken"]
        row.notes["orders without a trigger"] = seen["unexpected"]
        row.notes["left out, generator late"] = (
            f"{seen['left_out']} engine, {floor_seen['left_out']} floor"
        )
        row.notes["generator late at most, us"] = "{engine:.0f} engine, {floor:.0f} floor".format(
            **{name: value / 1_000 for name, value in late_ns.items()}
        )
        row.notes["request bytes"] = self.engine_venue.result.request_bytes
        row.notes["frame bytes"] = len(self.script.data) // len(self.script)
        return row

    def _spawn(self, module: str, *arguments: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments], stdout=subprocess.PIPE, text=True
        )
        self.processes.append(process)
        return process

    def _pong(self) -> None:
        """Answer the engine's pings: a feed that never does is hung up on after 30 s."""
        for feed, said in self.engine_venue.read_feeds():
            if said == b"PING":
                self.engine_venue.send_feed(b"PONG", feed)

    def _books(self) -> None:
        """Give every market its book, on the connection that asked for it."""
        tokens = {market_ids(market)[1]: market for market in range(MARKETS)}
        self.engine_venue.serve(0.2)
        for feed, said in self.engine_venue.read_feeds():
            for token in re.findall(r'"(\d{60,80})"', said.decode(errors="replace")):
                if token in tokens:
                    self.feed_of[tokens[token]] = feed
        bids = [(f"{BID_E4 / 1e4 - 0.01 * i:.2f}", "100") for i in range(28, -1, -1)]
        asks = [(f"{ASK_E4 / 1e4 + 0.01 * i:.2f}", "100") for i in range(31, -1, -1)]
        for market in range(MARKETS):
            self.engine_venue.send_feed(
                book_frame(market, bids, asks, self.at_ms), self.feed_of[market]
            )

    def _script(self, spacing_us: int, seconds: float, *, advance: bool = True) -> FrameScript:
        """Frames that move sizes all over the universe; every so often a market gets cheap."""
        count = int(seconds * 1e6 / spacing_us)
        every = max(2, TRIGGER_EVERY_US // spacing_us + 1)
        payloads, triggers, feeds = [], [], []
        at_ms = max(self.at_ms, time.time_ns() // 1_000_000)
        for i in range(count):
            step = i % every
            crypto = (self.turn + i // every) % CRYPTO
            if step in {every // 2, every // 2 + 1}:
                cheap = step == every // 2
                size = TRIGGER_SIZE if cheap else "0"
                best = (BID_E4, CHEAP_E4 if cheap else ASK_E4)
                payloads.append(change_frame(crypto, "SELL", CHEAP_E4, size, best, at_ms))
                triggers.append(crypto if cheap else -1)
                feeds.append(self.feed_of[crypto])
                continue
            market = CRYPTO + (i * 7919) % (MARKETS - CRYPTO)
            price_e4 = BID_E4 - 100 * (i % 5)
            payloads.append(
                change_frame(market, "BUY", price_e4, str(100 + i % 800), (BID_E4, ASK_E4), at_ms)
            )
            triggers.append(-1)
            feeds.append(self.feed_of[market])
        if advance:
            self.at_ms = at_ms
            # The next script goes on with the next market: after a signal one rests for a while.
            self.turn += -(-count // every)
        return FrameScript(payloads, triggers, TOKENS, feeds)


KILL = http_answer(KILLED).replace(b"200 OK", b"400 Bad Request", 1)


@contextlib.contextmanager
def _running(process: "subprocess.Popen[str]") -> Iterator[None]:
    """Let one process run for the length of a measurement."""
    process.send_signal(signal.SIGCONT)
    time.sleep(0.05)
    try:
        yield
    finally:
        process.send_signal(signal.SIGSTOP)


def _has_line(stream: IO[str] | None) -> bool:
    import select

    return bool(stream) and bool(select.select([stream], [], [], 0)[0])
