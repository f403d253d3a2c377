"""Rules for requests and frames: each fault does what it says, on its endpoint only, seeded."""

import asyncio
import json

import pytest

from lowlat.core.clock import RealClock
from lowlat.core.errors import ConfigError
from lowlat.sim.config import FrameRule, RequestRule, load_config
from lowlat.sim.control import Control
from lowlat.sim.door import FaultyFeed
from lowlat.sim.feed_session import Session
from lowlat.sim.server import SimServer
from lowlat.sim.wire import LOST, RESET, Request

MS = 1_000_000
S = 1_000 * MS
TIME = Request("GET", "/time", {}, {}, b"")
OK = Request("GET", "/ok", {}, {}, b"")


def control(venue, **values):
    answers = []
    body = json.dumps(values).encode()
    Control(venue).handle(Request("POST", "/sim/control", {}, {}, body), answers.append)
    assert answers[0].status == 200, answers[0].body
    return json.loads(answers[0].body)["result"]


def ask(venue, request=TIME, service="clob"):
    answers = []
    getattr(venue, f"{service}_request")(request, answers.append)
    return answers


def with_rule(venue_of, **rule):
    return venue_of(faults={"requests": [rule]})


def test_rule_of_one_path_leaves_others_and_other_services_alone(venue_of):
    venue = with_rule(venue_of, service="clob", path="/time", refuse_e4=10_000, refuse_status=500)
    assert ask(venue)[0].status == 500
    assert ask(venue, OK)[0].status == 200
    assert ask(venue, Request("GET", "/events", {}, {}, b""), "gamma")[0].status == 200
    assert venue.faults.hits == {"refused 500": 1}


@pytest.mark.parametrize("status", [425, 429, 500, 503])
def test_refusal_has_the_venues_shape(venue_of, status):
    venue = with_rule(venue_of, refuse_e4=10_000, refuse_status=status)
    [answer] = ask(venue)
    assert answer.status == status
    assert json.loads(answer.body)["error"]
    assert ("Retry-After" in dict(answer.headers)) == (status in {429, 503})


def test_latency_is_drawn_between_its_ends_and_the_answer_is_of_the_later_time(venue_of):
    venue = with_rule(venue_of, path="/time", latency_ms=[1500, 2500])
    start_s = venue.now_ns // S
    answers = ask(venue)
    venue.step(venue.now_ns + 1499 * MS)
    assert not answers
    venue.step(venue.now_ns + 1001 * MS)
    assert int(answers[0].body) in {start_s + 1, start_s + 2}


def test_lost_answer_was_carried_out_and_a_reset_request_was_not(venue_of, trader_of):
    venue = venue_of()
    trader = trader_of(venue)
    market = next(m for m in venue.exchange.markets if m.kind == "binary" and m.tick_e4 == 100)

    def post():
        order = trader.sign(market.tokens[0], "BUY", 5 * 10**6, 10 * 10**6)
        body = json.dumps(trader.body(order)).encode()
        answers = []
        headers = trader.headers("POST", "/order", body)
        venue.clob_request(Request("POST", "/order", {}, headers, body), answers.append)
        return answers

    control(venue, op="faults", requests=[{"path": "/order", "lost_e4": 10_000}])
    assert [each.status for each in post()] == [LOST]
    assert len(venue.exchange.open_of[trader.api.apiKey]) == 1
    control(venue, op="faults", requests=[{"path": "/order", "reset_e4": 10_000}])
    assert [each.status for each in post()] == [RESET]
    assert len(venue.exchange.open_of[trader.api.apiKey]) == 1


def test_knobs_for_a_while_go_back_by_themselves(venue_of):
    venue = venue_of()
    rule = {"refuse_e4": 10_000}
    control(venue, op="faults", for_ms=2_000, requests=[rule], answer_lost_e4=7)
    assert ask(venue)[0].status == 503
    assert venue.faults.config.answer_lost_e4 == 7
    venue.step(venue.now_ns + 2 * S)
    assert ask(venue)[0].status == 200
    assert venue.faults.config.answer_lost_e4 == 0


def test_clock_skew_shows_in_time_and_in_which_stamps_are_accepted(venue_of, trader_of):
    venue = venue_of()
    trader = trader_of(venue)
    assert trader.call("GET", "/data/orders").status == 200
    control(venue, op="faults", clock_skew_ms=90_000)
    assert int(ask(venue)[0].body) == venue.now_ns // S + 90
    assert trader.call("GET", "/data/orders").status == 401
    headers = trader.headers("GET", "/data/orders", now_ns=venue.now_ns + 90 * S)
    assert trader.venue_call(Request("GET", "/data/orders", {}, headers, b"")).status == 200


def test_same_seed_same_faults(venue_of):
    def fates(seed):
        rules = [{"refuse_e4": 3_000, "reset_e4": 2_000, "lost_e4": 2_000}]
        venue = venue_of(seed=seed, faults={"requests": rules})
        return [ask(venue)[0].status for _ in range(60)]

    assert fates(1) == fates(1) != fates(2)
    assert set(fates(1)) == {200, 503, RESET, LOST}


# ----------------------------------------------------------------------------- frames
class Echo:
    """A feed that sends what it is told."""

    def connect(self, session):
        self.session = session

    def disconnect(self, session):
        pass

    def on_text(self, session, text, now_ns):
        session.send(b"PONG")


def faulty(venue_of, **rule):
    venue = venue_of(faults={"frames": [{"feed": "market"} | rule]})
    feed = Echo()
    frames = []
    session = Session(frames.append, lambda *_: None)
    door = FaultyFeed("market", feed, venue.faults, venue.timers, lambda: venue.now_ns)
    door.connect(session)
    return venue, door, session, frames


def numbered(venue, session, count=200):
    for number in range(count):
        session.send(str(number).encode())
        venue.step(venue.now_ns + 5 * MS)
    venue.step(venue.now_ns + S)


def test_frames_are_lost_by_their_share(venue_of):
    venue, _, session, frames = faulty(venue_of, lost_e4=2_500)
    numbered(venue, session)
    assert 20 < 200 - len(frames) < 80
    assert [*map(int, frames)] == sorted(map(int, frames))


def test_frames_are_doubled_and_nothing_is_missing(venue_of):
    venue, _, session, frames = faulty(venue_of, duplicate_e4=2_500)
    numbered(venue, session)
    assert set(map(int, frames)) == set(range(200))
    assert 220 < len(frames) < 280


def test_frames_are_overtaken_and_nothing_is_missing(venue_of):
    venue, _, session, frames = faulty(venue_of, reorder_e4=2_500)
    numbered(venue, session)
    assert sorted(map(int, frames)) == list(range(200))
    assert [*map(int, frames)] != list(range(200))


def test_delayed_frames_keep_their_order_and_pong_overtakes_them(venue_of):
    venue, door, session, frames = faulty(venue_of, delay_ms=[50, 500])
    session.send(b"first")
    door.on_text(session, b"PING", venue.now_ns)
    assert frames == [b"PONG"]
    numbered(venue, session)
    assert frames[1] == b"first"
    assert [*map(int, frames[2:])] == list(range(200))


def test_frames_on_their_way_to_a_closed_socket_are_gone(venue_of):
    venue, door, session, frames = faulty(venue_of, delay_ms=[50, 50])
    session.send(b"late")
    door.disconnect(session)
    venue.step(venue.now_ns + S)
    assert not frames


def test_one_feed_freezes_and_its_pong_lives(venue_of):
    venue, door, session, frames = faulty(venue_of)
    control(venue, op="freeze", feed="market", duration_ms=1_000)
    session.send(b"data")
    door.on_text(session, b"PING", venue.now_ns)
    assert frames == [b"PONG"]
    venue.step(venue.now_ns + S)
    session.send(b"data")
    assert frames == [b"PONG", b"data"]


# ----------------------------------------------------------------------------- real sockets
def served(faults, talk):
    """Run a server with faults and talk to its order-book port as bytes."""

    async def run():
        config = load_config(
            {
                "coins": [],
                "markets": 8,
                "neg_risk_events": 1,
                "tape": "none",
                "flow": {"events_per_s": 0, "edges": []},
                "faults": faults,
            }
        )
        server = SimServer(config, RealClock())
        await server.start()
        try:
            port = int(server.addresses["clob"].rsplit(":", 1)[1])
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                return await talk(reader, writer)
            finally:
                writer.close()
                await writer.wait_closed()
        finally:
            await server.close()

    return asyncio.run(run())


GET = b"GET /time HTTP/1.1\r\nHost: x\r\n\r\n"


def test_connection_ends_after_its_requests():
    async def talk(reader, writer):
        writer.write(GET * 3)
        return await reader.read()

    raw = served({"requests_per_connection": 2}, talk)
    assert raw.count(b"HTTP/1.1 200") == 2
    assert raw.count(b"Connection: close") == 1


def test_cut_answer_is_shorter_than_it_says():
    async def talk(reader, writer):
        writer.write(GET)
        return await reader.read()

    whole = served({}, _one)
    raw = served({"requests": [{"cut_e4": 10_000}]}, talk)
    assert 0 < len(raw) < len(whole)


async def _one(reader, writer):
    writer.write(GET)
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    return head + await reader.readexactly(length)


def test_slow_answer_comes_whole_and_others_wait_behind_it():
    async def talk(reader, writer):
        writer.write(GET * 2)
        loop = asyncio.get_running_loop()
        start_s = loop.time()
        await _one_answer(reader)
        await _one_answer(reader)
        return loop.time() - start_s

    assert served({"requests": [{"bytes_per_s": 400}]}, talk) > 0.3


async def _one_answer(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    return await reader.readexactly(length)


def test_slow_reader_answers_late():
    async def talk(reader, writer):
        loop = asyncio.get_running_loop()
        start_s = loop.time()
        writer.write(GET)
        await _one_answer(reader)
        return loop.time() - start_s

    assert served({"slow_read_ms": 100}, talk) >= 0.1


# ----------------------------------------------------------------------------- words
@pytest.mark.parametrize(
    ("faults", "message"),
    [
        ({"answer_lost_e4": 10_001}, "faults.answer_lost_e4 was 10001, allowed: 0 to 10000"),
        ({"requests": [{"service": "kalshi"}]}, "service was 'kalshi', allowed: clob"),
        ({"requests": [{"refuse_status": 200}]}, "refuse_status was 200, allowed: 400"),
        ({"requests": [{"latency_ms": [9, 3]}]}, r"latency_ms was \[9, 3\]"),
        ({"requests": [{"lost_e4": -1}]}, "lost_e4 was -1"),
        ({"frames": [{"feed": "news"}]}, "feed was 'news', allowed: market"),
        ({"frames": [{"feed": "user", "delay_ms": [5, 1]}]}, r"delay_ms was \[5, 1\]"),
        ({"requests": [{"speed": 3}]}, "unknown field `speed`"),
    ],
)
def test_wrong_faults_are_refused_by_name(venue_of, faults, message):
    with pytest.raises(ConfigError, match=message):
        load_config({"faults": faults})
    with pytest.raises(ConfigError, match=message):
        venue_of().faults.change(faults)


def test_rules_default_to_doing_nothing():
    RequestRule().validate()
    FrameRule("user").validate()
