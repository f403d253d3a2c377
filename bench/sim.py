"""What an order costs the simulated venue over HTTP, on one core, with full verification.

Real HTTP over loopback: HMAC, EIP-712 hash and key recovery, checks, matching (every second order
meets the one before it), money audited after each match. A regression means that load tests against
the simulator measure the simulator. Floor: key recovery and the HMAC alone, the libraries called in
a loop. Orders are signed and written down before the clock starts.
"""

import hmac
import json
import re
import socket
import subprocess
import sys
import urllib.request

import coincurve
import numpy as np

from bench.cores import pin, unpin
from bench.harness import Row, progress, single, timed_ns
from bench.wire_engine import ACCOUNT, KEY
from lowlat.core.clock import monotonic_ns, wall_ns
from lowlat.core.layout import Action, Exchange, OrderType
from lowlat.venues.polymarket.auth import ApiCredentials, L2Auth
from lowlat.venues.polymarket.orders import PostParams, ready_order, sign_template
from lowlat.venues.polymarket.requests import ClobRequests
from lowlat.venues.polymarket.signing import OrderFields, OrderSigner

ROWS = ("sim-order",)
ORDERS_PER_S_MIN = 3_000
ROUNDS, BATCH, CONNECTIONS = 12, 250, 5
SETTINGS = {
    "tape": "none",
    "coins": [],
    "flow": {"events_per_s": 0, "edges": []},
    "ip_limits": False,
    "order_rate": 1_000_000,
    "order_burst": 1_000_000,
    "account_cash_e6": 10**15,
}
SECOND_NS = 1_000_000_000
OWN = re.compile(rb"own;dur=([0-9.]+)")


def run(names: tuple[str, ...] = ROWS) -> list[Row]:
    """Measure the rows named."""
    return [_orders() for _ in names]


def _orders() -> Row:
    venue = _Venue()
    try:
        rounds, own = [], []
        for number in range(ROUNDS):
            progress(f"sim-order: round {number + 1} of {ROUNDS}")
            took_ns, own_ns = venue.round()
            rounds.append(took_ns / BATCH)
            own += own_ns
        cpu_s = venue.cpu_s / (ROUNDS * BATCH)
    finally:
        venue.close()
    row = single(
        "sim-order", np.array(rounds), target=f">= {ORDERS_PER_S_MIN} orders a core second"
    )
    floor_ns = float(np.median(timed_ns(_floor(), 200)))
    row.floor, row.floor_p50_ns = "key recovery and HMAC", round(floor_ns)
    row.ratio = round(row.p50_ns / floor_ns, 2)
    row.ratio_low = round(min(rounds) / floor_ns, 2)
    row.ratio_high = round(max(rounds) / floor_ns, 2)
    rate = SECOND_NS / row.p50_ns
    # Of processor time: on a shared machine the wall clock counts the neighbours too.
    row.met = 1 / cpu_s >= ORDERS_PER_S_MIN
    row.notes |= {
        "orders/s, wall": round(rate),
        "orders/s of processor time": round(1 / cpu_s),
        "own answer time p50 (Server-Timing)": f"{np.median(own) / 1000:.0f} us",
        "own answer time p99": f"{np.percentile(own, 99) / 1000:.0f} us",
    }
    return row


def _floor():
    key = coincurve.PrivateKey(bytes.fromhex(KEY))
    digest = bytes(range(32))
    signature = key.sign_recoverable(digest, hasher=None)
    secret, message = bytes(32), bytes(900)

    def floor(loops: int) -> None:
        recover, mac = coincurve.PublicKey.from_signature_and_message, hmac.digest
        for _ in range(loops):
            recover(signature, digest, hasher=None)
            mac(secret, message, "sha256")

    return floor


class _Venue:
    """A simulator on a core of its own, and a client that signs first and then sends."""

    def __init__(self) -> None:
        arguments = ["--json"]
        for name, value in SETTINGS.items():
            text = value if isinstance(value, str) else json.dumps(value)
            arguments += [f"--{name}", text]
        pin(1)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "lowlat.sim", *arguments], stdout=subprocess.PIPE
        )
        unpin()
        assert self._process.stdout is not None, "started with a pipe"
        urls = json.loads(self._process.stdout.readline())["urls"]
        host, port = urls["clob"].removeprefix("http://").split(":")
        body = json.dumps({"op": "account", "owner": ACCOUNT.address}).encode()
        with urllib.request.urlopen(urls["control"] + "/sim/control", body) as answer:
            given = json.loads(answer.read())["result"]
        credentials = ApiCredentials(given["apiKey"], given["secret"], given["passphrase"])
        self._requests = ClobRequests(f"{host}:{port}", L2Auth(ACCOUNT.address, credentials))
        self._signer = OrderSigner(bytes.fromhex(KEY), 0, ACCOUNT.address)
        with urllib.request.urlopen(urls["clob"] + "/markets") as answer:
            rows = json.loads(answer.read())["data"]
        market = next(row for row in rows if not row["neg_risk"])
        self._tokens = [int(token["token_id"]) for token in market["tokens"]]
        self._sockets = [socket.create_connection((host, int(port))) for _ in range(CONNECTIONS)]
        self._salt = 0
        self.cpu_s = 0.0

    def close(self) -> None:
        """Stop the venue; its audit must hold."""
        for each in self._sockets:
            each.close()
        self._process.terminate()
        out, _ = self._process.communicate(timeout=20)
        state = json.loads(out.splitlines()[-1])
        assert state["audit"] == "ok", state["audit"]

    def round(self) -> tuple[int, list[float]]:
        """Send a batch, its share pipelined on each connection; return nanoseconds, own times."""
        second = wall_ns() // SECOND_NS
        share = BATCH // CONNECTIONS
        wires = [b"".join(self._order(second) for _ in range(share)) for _ in self._sockets]
        pin(0)
        before_s = self._processor_s()
        begin = monotonic_ns()
        for each, wire in zip(self._sockets, wires, strict=True):
            each.sendall(wire)
        answers = [_read(each, share) for each in self._sockets]
        took_ns = monotonic_ns() - begin
        self.cpu_s += self._processor_s() - before_s
        unpin()
        text = b"".join(answers)
        accepted = text.count(b'"success":true')
        assert accepted == BATCH, text[:400]
        return took_ns, [float(own) * 1e6 for own in OWN.findall(text)]

    def _order(self, second: int) -> bytes:
        """Sign a bid for YES at 0.50, then one for NO: they mint a pair."""
        self._salt += 1
        token = self._tokens[self._salt % 2]
        fields = OrderFields(
            self._salt, token, 5_000_000, 10_000_000, Action.BUY, wall_ns() // 1_000_000
        )
        template = sign_template(self._signer, Exchange.STANDARD, fields)
        return bytes(ready_order(self._requests, template, PostParams(OrderType.GTC), second).wire)

    def _processor_s(self) -> float:
        with open(f"/proc/{self._process.pid}/schedstat", encoding="ascii") as file:
            return int(file.read().split()[0]) / SECOND_NS


def _read(connection: socket.socket, count: int) -> bytes:
    """Read until so many answers are in."""
    text = b""
    while text.count(b'"transactionsHashes"') + text.count(b'"error"') < count:
        piece = connection.recv(1 << 18)
        assert piece, "the venue hung up"
        text += piece
    return text
