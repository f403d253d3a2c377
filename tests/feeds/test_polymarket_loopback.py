"""The Polymarket feed on real sockets: a loopback server in the venue's words."""

import asyncio
import json

import uvloop
from picows import WSListener, WSMsgType, ws_create_server

from lowlat.core.clock import RealClock
from lowlat.net.ws import WsConnection, WsOptions

OPTIONS = WsOptions(backoff_ns_min=1_000_000, backoff_ns_max=4_000_000)


class Peer(WSListener):
    """Dumps books on subscribe, answers PING, refuses a PING that comes first."""

    def __init__(self, server):
        self.server = server
        self.subscribed = False

    def on_ws_connected(self, transport):
        self.transport = transport
        self.server.peers.append(self)

    def on_ws_frame(self, transport, frame):
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()
            return
        payload = frame.get_payload_as_bytes()
        if payload == b"PING":
            if not self.subscribed:
                transport.send_close(1008, b"invalid subscription payload")
            transport.send(WSMsgType.TEXT, b"PONG")
            return
        assert json.loads(payload)["type"] == "market"
        self.subscribed = True
        transport.send(WSMsgType.TEXT, json.dumps(self.server.books).encode())


class Server:
    def __init__(self, books):
        self.books = books
        self.peers = []

    async def start(self):
        self.server = await ws_create_server(lambda _request: Peer(self), "127.0.0.1", 0)
        self.url = f"ws://127.0.0.1:{self.server.sockets[0].getsockname()[1]}/ws/market"


def test_books_flow_survive_a_lost_link_and_follow_changes(make_rig):
    async def scenario():
        rig = make_rig(markets=2, shard_sockets=2, check_ns=1_000_000, ping_ns=1_000_000)
        wire = rig.wire
        bids, asks = (("0.47", "50"),), (("0.49", "20"),)
        server = Server([wire.book(market, 0, bids, asks) for market in (0, 1)])
        await server.start()
        rig.clock = RealClock()
        connections = []

        def dial(listener, number):
            connection = WsConnection(
                server.url, listener, number=number, options=OPTIONS, draw=lambda: 0.5
            )
            connection.start()
            connections.append(connection)
            return connection

        rig.dial = dial
        feed = rig.new_feed()
        feed.start()

        async def until(condition):
            async with asyncio.timeout(60):
                while not condition():
                    feed.turn(rig.clock.monotonic_ns())
                    await asyncio.sleep(0.001)

        def fresh(count):
            alive = rig.shards.row(0)
            return (
                alive is not None
                and alive.connections_alive == count
                and all(rig.books.row(one) is not None and rig.fresh(one) for one in (0, 1))
            )

        await until(lambda: fresh(2))
        change = wire.price_change(wire.change("0.48", "7", "BUY", "0.48", "0.49"), at_ms=5)
        for peer in server.peers:
            peer.transport.send(WSMsgType.TEXT, json.dumps(change).encode())
        await until(lambda: rig.books.row(0).bid_price_e4[0] == 4800)
        await until(lambda: rig.counts["polymarket.copies"] >= 1)
        generation = rig.shards.row(0).connection_generation
        for peer in list(server.peers):
            peer.transport.disconnect(graceful=False)
        await until(lambda: rig.shards.row(0).connection_generation > generation and fresh(2))
        assert rig.books.row(0).bid_price_e4[0] == 4700
        assert rig.counts["polymarket.malformed"] == 0
        feed.close()
        for connection in connections:
            await connection.closed()
        server.server.close()
        await server.server.wait_closed()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scenario())
