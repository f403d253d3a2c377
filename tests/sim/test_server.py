"""The venue on loopback: keep-alive HTTP and WebSockets through picows, one process, no flow."""

import asyncio
import json

import httptools
import pytest
from picows import WSListener, WSMsgType, ws_connect

from lowlat.core.clock import RealClock
from lowlat.core.errors import ConfigError
from lowlat.sim.config import PORT_NAMES, load_config
from lowlat.sim.server import CALLBACKS_MAX, PIECE, SimServer, main, parse_arguments

QUIET = {
    "coins": [],
    "markets": 8,
    "neg_risk_events": 1,
    "tape": "none",
    "flow": {"events_per_s": 0, "edges": []},
}
DEADLINE_S = 60.0


class Frames(WSListener):
    """Collects frames; ``get`` waits for the next."""

    def __init__(self):
        super().__init__()
        self.queue = asyncio.Queue()

    def on_ws_frame(self, transport, frame):
        if frame.msg_type == WSMsgType.TEXT:
            self.queue.put_nowait(frame.get_payload_as_utf8_text())
        elif frame.msg_type == WSMsgType.CLOSE:
            self.queue.put_nowait(("closed", int(frame.get_close_code())))
            transport.disconnect()

    def on_ws_disconnected(self, transport):
        self.queue.put_nowait(("gone", 0))

    async def get(self):
        return await asyncio.wait_for(self.queue.get(), DEADLINE_S)


class Http:
    """A keep-alive connection that may pipeline."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.done = []
        self.parser = httptools.HttpResponseParser(self)

    def on_message_begin(self):
        self.body = b""

    def on_body(self, body):
        self.body += body

    def on_message_complete(self):
        self.done.append((self.parser.get_status_code(), json.loads(self.body)))

    def send(self, method, target, headers=(), body=b""):
        head = f"{method} {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
        head += "".join(f"{k}: {v}\r\n" for k, v in dict(headers).items())
        self.writer.write(head.encode() + b"\r\n" + body)

    async def answers(self, count):
        while len(self.done) < count:
            data = await asyncio.wait_for(self.reader.read(65536), DEADLINE_S)
            assert data, "closed early"
            self.parser.feed_data(data)
        return self.done


async def connect(url):
    host, _, port = url.partition("://")[2].rpartition(":")
    return Http(*await asyncio.open_connection(host, int(port)))


def serve(scenario, **changes):
    async def body():
        server = SimServer(load_config(QUIET | changes), RealClock())
        await server.start()
        try:
            await scenario(server)
        finally:
            await server.close()

    asyncio.run(body())


def test_pipelined_requests_are_answered_in_order():
    async def scenario(server):
        http = await connect(server.addresses["clob"])
        for target in ("/version", "/nowhere", "/ok"):
            http.send("GET", target)
        answers = await http.answers(3)
        assert answers == [(200, {"version": 2}), (404, {"error": "not found"}), (200, "OK")]
        http.writer.close()

    serve(scenario)


def test_trade_reaches_market_and_user_sockets(trader_of):
    async def scenario(server):
        venue = server.venue
        alice, bob = trader_of(venue, 0), trader_of(venue, 1)
        market = next(m for m in venue.exchange.markets if m.kind == "binary")
        base = server.addresses["clob_ws"]
        public, watcher = await ws_connect(Frames, base + "/ws/market")
        first = {"type": "market", "assets_ids": list(market.tokens)}
        public.send(WSMsgType.TEXT, json.dumps(first))
        dump = json.loads(await watcher.get())
        assert [row["event_type"] for row in dump] == ["book", "book"]
        private, own = await ws_connect(Frames, base + "/ws/user")
        private.send(WSMsgType.TEXT, json.dumps({"type": "user", "auth": vars(bob.api)}))
        private.send(WSMsgType.TEXT, "PING")
        assert await own.get() == "PONG"

        http = await connect(server.addresses["clob"])
        cash, size = 6_000_000, 10_000_000
        for trader, token, maker in (
            (alice, market.tokens[0], cash),
            (bob, market.tokens[1], size - cash),
        ):
            signed = trader.sign(token, "BUY", maker, size)
            body = json.dumps(trader.body(signed)).encode()
            now_ns = server.now_ns()
            http.send("POST", "/order", trader.headers("POST", "/order", body, now_ns), body)
        answers = await http.answers(2)
        assert [answer["status"] for _, answer in answers] == ["live", "matched"]

        change = json.loads(await watcher.get())
        assert change["event_type"] == "price_change"
        assert [(r["price"], r["side"]) for r in change["price_changes"]] == [
            ("0.6", "BUY"),
            ("0.4", "SELL"),
        ]
        kinds = [json.loads(await watcher.get())["event_type"] for _ in range(3)]
        assert kinds == ["last_trade_price", "book", "book"]
        kinds = [json.loads(await own.get())["event_type"] for _ in range(2)]
        assert kinds == ["trade", "order"]
        for transport in (public, private):
            transport.disconnect()
        http.writer.close()

    serve(scenario)


def test_ping_before_subscribing_closes_with_1008():
    async def scenario(server):
        transport, frames = await ws_connect(Frames, server.addresses["clob_ws"] + "/ws/market")
        transport.send(WSMsgType.TEXT, "PING")
        assert await frames.get() == ("closed", 1008)

    serve(scenario)


def test_garbage_ends_the_connection_with_400():
    async def scenario(server):
        http = await connect(server.addresses["clob"])
        http.writer.write(b"\x00\x01nonsense\r\n\r\n")
        assert (await http.answers(1))[0][0] == 400
        assert await http.reader.read() == b""
        http.writer.close()

    serve(scenario)


def test_tls_serves_with_its_own_certificate():
    async def scenario(server):
        import ssl

        context = ssl.create_default_context(cafile=server.certificate)
        port = int(server.addresses["clob"].rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        http = Http(reader, writer)
        http.send("GET", "/ok")
        assert await http.answers(1) == [(200, "OK")]
        writer.close()
        await writer.wait_closed()

    serve(scenario, tls=True)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--host", "0.0.0.0"], "sim.host was '0.0.0.0', allowed: 127.0.0.1, ::1, localhost"),
        (["--sed", "1"], "`sed`"),
        (["--seed"], "argument '--seed' has no value"),
        (["--config", "/nonexistent.json"], "--config /nonexistent.json: [Errno 2] No such file"),
        (["--windows-s", "[1]"], "sim.windows_s was 1, expected at least 5"),
        (["--ports", '{"clob":70000}'], "sim.ports.clob was 70000"),
    ],
)
def test_bad_config_names_the_key(arguments, text):
    with pytest.raises(ConfigError) as error:
        parse_arguments(arguments)
    assert text in str(error.value)


def test_nothing_follows_a_lost_answer_on_its_connection(trader_of):
    async def scenario(server):
        venue = server.venue
        alice = trader_of(venue, 0)
        market = next(m for m in venue.exchange.markets if m.kind == "binary")
        venue.faults.arm("answer_lost_e4", 1)
        http = await connect(server.addresses["clob"])
        other = await connect(server.addresses["clob"])
        body = json.dumps(alice.body(alice.sign(market.tokens[0], "BUY", 2_500_000, 5_000_000)))
        headers = alice.headers("POST", "/order", body.encode(), server.now_ns())
        http.send("POST", "/order", headers, body.encode())
        http.send("GET", "/ok")
        read = alice.headers("GET", "/data/orders", b"", server.now_ns())
        while True:
            other.done.clear()
            other.send("GET", "/data/orders", read)
            ((_, page),) = await other.answers(1)
            if page["data"]:
                break
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(http.reader.read(1), 0.05)
        http.writer.close()
        other.writer.close()

    serve(scenario)


def test_process_prints_addresses_stops_by_itself_and_reports_its_audit(capsys):
    arguments = ["--json", "--seconds", "0.2", "--markets", "8", "--neg-risk-events", "1"]
    assert main([*arguments, "--coins", '["BTC"]']) == 0
    ready, done = map(json.loads, capsys.readouterr().out.splitlines())
    assert set(ready["urls"]) == set(PORT_NAMES)
    assert all("127.0.0.1" in url for url in ready["urls"].values())
    assert (done["audit"], done["seed"]) == ("ok", 1)


def test_process_refuses_any_address_but_loopback(capsys):
    assert main(["--host", "0.0.0.0"]) == 2
    assert "sim.host was '0.0.0.0'" in capsys.readouterr().err


class Clock:
    """Time that passes only where a test lets it."""

    now_ns = 1_700_000_000_000_000_000

    def monotonic_ns(self):
        return self.now_ns

    wall_ns = monotonic_ns


@pytest.mark.parametrize(("cost_ns", "at_once"), [(1_000_000, PIECE), (0, CALLBACKS_MAX)])
def test_a_venue_behind_its_clock_goes_back_to_its_clients_soon(cost_ns, at_once):
    clock, ran = Clock(), []

    def callback(due_ns):
        clock.now_ns += cost_ns
        ran.append(due_ns)

    server = SimServer(load_config(QUIET), clock)
    asyncio.run(server.close())
    for _ in range(3 * CALLBACKS_MAX):
        server.venue.timers.at(server.venue.now_ns, callback)
    server.advance()
    # The venue's own count too: never more, and not many fewer of ours.
    assert at_once - PIECE < len(ran) <= at_once
    while len(ran) < 3 * CALLBACKS_MAX:
        before = len(ran)
        server.advance()
        assert len(ran) > before
