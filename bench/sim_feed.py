"""What a market-data message costs the simulated venue on its way out, on one core.

The generated market trades by itself; a number of sockets follow all of it over loopback, read by a
process on another core that counts. Generating and matching are in the figure: it is what a fleet
of bots gets out of one venue. A regression means that a test with many listeners measures the
simulator. Floor: one write of a frame of that size to nowhere, as often as there are messages.
"""

import base64
import json
import os
import select
import socket
import subprocess
import sys
import time
import urllib.request

import numpy as np

from bench.cores import pin, unpin
from bench.harness import Row, progress, single, timed_ns

ROWS = ("sim-feed",)
MESSAGES_PER_S_MIN = 50_000
SOCKETS, EVENTS_PER_S, ROUNDS, ROUND_S = 40, 1_000, 8, 1.0
"""About 57 000 messages a second are offered: 1.4 an event and socket."""
SETTINGS = {
    "tape": "none",
    "coins": [],
    "flow": {"events_per_s": EVENTS_PER_S, "edges": []},
    "seconds": 120,
}
MARK = b'"event_type":'
FRAME_BYTES = 850


def run(names: tuple[str, ...] = ROWS) -> list[Row]:
    """Measure the rows named."""
    return [_feed() for _ in names]


def _feed() -> Row:
    venue = _Venue()
    try:
        pin(0)
        venue.round()
        rounds = []
        for number in range(ROUNDS):
            progress(f"sim-feed: round {number + 1} of {ROUNDS}")
            rounds.append(venue.round())
    finally:
        unpin()
        venue.close()
    counts, wall_s, cpu_s = (np.array(column) for column in zip(*rounds, strict=True))
    row = single(
        "sim-feed",
        cpu_s / counts * 1e9,
        target=f">= {MESSAGES_PER_S_MIN} messages a core second",
    )
    floor_ns = float(np.median(timed_ns(_floor, 2_000)))
    row.floor, row.floor_p50_ns = "one write each", round(floor_ns)
    row.ratio = round(row.p50_ns / floor_ns, 2)
    # Of processor time: on a shared machine the wall clock counts the neighbours too.
    rate = counts.sum() / cpu_s.sum()
    row.met = bool(rate >= MESSAGES_PER_S_MIN)
    row.notes |= {
        "messages/s, wall": round(counts.sum() / wall_s.sum()),
        "messages/s of processor time": round(rate),
        "sockets": SOCKETS,
    }
    return row


def _floor(loops: int) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    frame, write = bytes(FRAME_BYTES), os.write
    for _ in range(loops):
        write(nowhere, frame)
    os.close(nowhere)


class _Venue:
    """A simulator on a core of its own, and sockets that follow every token."""

    def __init__(self) -> None:
        arguments = ["--json"]
        for name, value in SETTINGS.items():
            arguments += [f"--{name}", value if isinstance(value, str) else json.dumps(value)]
        pin(1)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "lowlat.sim", *arguments], stdout=subprocess.PIPE
        )
        unpin()
        assert self._process.stdout is not None, "started with a pipe"
        urls = json.loads(self._process.stdout.readline())["urls"]
        with urllib.request.urlopen(urls["clob"] + "/markets") as answer:
            rows = json.loads(answer.read())["data"]
        tokens = [token["token_id"] for row in rows for token in row["tokens"]]
        wish = {"type": "market", "assets_ids": tokens, "initial_dump": False}
        self._sockets = {}
        self._poll = select.epoll()
        for _ in range(SOCKETS):
            made = _subscribed(urls["clob_ws"].removeprefix("ws://"), json.dumps(wish).encode())
            self._sockets[made.fileno()] = made
            self._poll.register(made, select.EPOLLIN)

    def round(self) -> tuple[int, float, float]:
        """Read for a while; return messages, seconds by the wall, seconds of its processor."""
        count, begin_s, before_s = 0, time.monotonic(), self._processor_s()
        while time.monotonic() < begin_s + ROUND_S:
            for number, _ in self._poll.poll(0.1):
                piece = self._sockets[number].recv(1 << 20)
                assert piece, "the venue hung up"
                count += piece.count(MARK)
        assert count, "nothing came"
        return count, time.monotonic() - begin_s, self._processor_s() - before_s

    def close(self) -> None:
        """Stop the venue; its audit must hold."""
        for each in self._sockets.values():
            each.close()
        self._process.terminate()
        out, _ = self._process.communicate(timeout=20)
        state = json.loads(out.splitlines()[-1])
        assert state["audit"] == "ok", state["audit"]

    def _processor_s(self) -> float:
        with open(f"/proc/{self._process.pid}/schedstat", encoding="ascii") as file:
            return int(file.read().split()[0]) / 1e9


def _subscribed(place: str, wish: bytes) -> socket.socket:
    """Open a market socket that wants what the frame says."""
    host, port = place.split(":")
    made = socket.create_connection((host, int(port)))
    key = base64.b64encode(os.urandom(16)).decode()
    made.sendall(
        f"GET /ws/market HTTP/1.1\r\nHost: {place}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
    )
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += made.recv(1 << 12)
    # Masked with zeros, as a client's frame has to be masked.
    assert 126 <= len(wish) < 1 << 16, "one length form is enough here"
    made.sendall(bytes((0x81, 0x80 | 126)) + len(wish).to_bytes(2, "big") + bytes(4) + wish)
    return made
