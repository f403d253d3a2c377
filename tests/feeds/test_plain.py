"""The compiled frame path against the Python way: same frames, same bytes, same state."""

import gc
import json
import sys
import weakref

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lowlat.book._book import MarketBook
from lowlat.core.layout import BOOK_LEVELS
from lowlat.core.units import NO_PRICE_E4
from lowlat.feeds._state import MarketState, TokenIndex
from lowlat.shm import _core

MARKETS = 3
GRID = ("0.44", "0.45", "0.46", "0.47", "0.48", "0.49", "0.50", "0.51", "0.52")


class Twin:
    """A rig whose frames take one of the two ways, and all that can be seen of it."""

    def __init__(self, rig, way):
        self.rig = rig
        self.way = way

    def send(self, payload, is_text=True):
        rig = self.rig
        rig.clock.advance(1_000)
        deliver = rig.feed.on_frame if self.way == "compiled" else rig.feed.on_other_frame
        deliver(rig.connections[0], payload, is_text, rig.clock.monotonic_ns())

    def seen(self):
        rig = self.rig
        states = rig.feed._books.markets
        link = rig.feed._links[0]
        return (
            [(type(one).__name__, one) for one in rig.market.take()],
            [
                (rig.books.reader.read(row), bytes(rig.books.reader.buffer))
                for row in range(MARKETS)
            ],
            dict(rig.counts),
            rig.notes,
            [path for path, _ in rig.fetch.asked],
            rig.pumps,
            (link.data_ns, link.frames),
            [
                (
                    one.event_ns,
                    one.book_event_ns,
                    one.asked,
                    one.live,
                    one.crossed,
                    one.doubted,
                    one.due_ns,
                    one.step_ns,
                    one.held,
                    one.book.flags,
                    one.book.changes,
                    one.book.version,
                    [one.book.levels(0, side) for side in (0, 1)],
                )
                for one in states.values()
            ],
        )


@pytest.fixture
def twins(make_rig):
    def make():
        pair = [Twin(make_rig(markets=MARKETS).start(), way) for way in ("compiled", "python")]
        for twin in pair:
            for market in range(MARKETS):
                twin.rig.dump(market)
        return pair

    return make


def touch_after(twin, market, outcome, changes):
    """The touch that the venue would state after these changes of a market."""
    book = twin.rig.feed._books.markets[market].book
    bids, asks = (dict(book.levels(0, side)) for side in (0, 1))
    for at, side, price_e4, size in changes:
        yes_e4 = 10_000 - price_e4 if at else price_e4
        levels = asks if (side == "SELL") is not bool(at) else bids
        levels[yes_e4] = size
    bid = max((price for price, size in bids.items() if size), default=0)
    ask = min((price for price, size in asks.items() if size), default=10_000)
    if outcome:
        bid, ask = 10_000 - ask, 10_000 - bid
    return f"{bid / 1e4:g}", f"{ask / 1e4:g}"


SIZES = st.sampled_from(
    ["0", "1", "25", "100", "0.000001", "999999999", "10000000000", "7.5000000"]
)
BAD = st.sampled_from(
    ["", "-1", "1e3", "0.455", "0", "1", "NaN", "99999999999999999999", ".5", " 1"]
)


@st.composite
def plain_frames(draw):
    """What the venue sends: a level of one token and its mirror, with the right touch."""
    market, outcome = draw(st.integers(0, MARKETS - 1)), draw(st.integers(0, 1))
    changes = []
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 4]))):
        price_e4 = round(float(draw(st.sampled_from(GRID))) * 10_000)
        side, size = draw(st.sampled_from(["BUY", "SELL"])), draw(SIZES)
        other = "SELL" if side == "BUY" else "BUY"
        changes.append((outcome, side, price_e4, size))
        if draw(st.booleans()):
            changes.append((1 - outcome, other, 10_000 - price_e4, size))
    return ("plain", market, changes, draw(st.integers(-2, 3)))


@st.composite
def odd_frames(draw):
    """A plain frame with one thing wrong or unusual."""
    return ("odd", draw(plain_frames()), draw(st.integers(0, 13)), draw(BAD))


def build(twin, frame, at_ms):
    """Make the bytes of a frame for the book as it stands now."""
    wire = twin.rig.wire
    if frame[0] == "odd":
        return spoil(twin, frame, at_ms)
    _, market, changes, late_ms = frame
    rows = []
    for i, (outcome, side, price_e4, size) in enumerate(changes):
        seen = [(at, of, e4, float(much)) for at, of, e4, much in changes[: i + 1]]
        bid, ask = touch_after(twin, market, outcome, seen)
        rows.append(wire.change(f"{price_e4 / 1e4:g}", size, side, bid, ask, market, outcome))
    return wire.price_change(*rows, market=market, at_ms=at_ms - late_ms)


def spoil(twin, frame, at_ms):
    _, inner, how, bad = frame
    event = build(twin, inner, at_ms)
    rows = event["price_changes"]
    match how:
        case 0 | 1 | 2 | 3 | 4 | 5:
            key = ("price", "size", "side", "best_bid", "best_ask", "asset_id")[how]
            rows[-1][key] = bad
        case 6:
            rows[0]["asset_id"] = "123456789"
        case 7:
            event["price_changes"] = []
        case 8:
            rows.append(
                dict(rows[0], asset_id=twin.rig.wire.change("", "", "", "", "", 1)["asset_id"])
            )
        case 9:
            event["timestamp"] = bad
        case 10:
            rows[-1]["best_bid"] = "0.01"
        case 11:
            return [event, event]
        case 12:
            event["more"] = {"x": bad}
        case 13:
            rows[0]["hash"] = "\\u0041" + bad
    return event


OTHER = st.sampled_from(["dump", "turn", "answer", "pong", "garbage", "binary", "long turn"])


def step(twins, frame, at_ms):
    """Let both twins meet the same thing."""
    payload = None
    if isinstance(frame, tuple):
        payload = json.dumps(build(twins[1], frame, at_ms)).encode()
    for twin in twins:
        if payload is not None:
            twin.send(payload)
        else:
            happen(twin, frame, at_ms)


def happen(twin, what, at_ms):
    rig = twin.rig
    match what:
        case "dump":
            book = rig.wire.book(0, 0, (("0.45", "5"),), (("0.5", "6"),), at_ms)
            twin.send(json.dumps(book).encode())
        case "turn":
            rig.turn()
        case "long turn":
            rig.turn(700_000_000)
        case "answer" if rig.fetch.asked:
            market = int(rig.fetch.asked[0][0][-1]) // 2
            rig.fetch.answer(200, rig.wire.rest_book(market, at_ms=at_ms))
        case "pong":
            twin.send(b"PONG")
        case "garbage":
            twin.send(b'{"market":"0x')
        case "binary":
            twin.send(b"{}", is_text=False)


@settings(max_examples=120)
@given(frames=st.lists(st.one_of(plain_frames(), plain_frames(), odd_frames(), OTHER), max_size=14))
@example([("plain", 0, [(0, "BUY", 4800, "5"), (1, "SELL", 5200, "5")], 0)])
@example([("plain", 0, [(0, "BUY", 4900, "5")], 0), ("plain", 0, [(0, "BUY", 4900, "0")], 0)])
@example([("odd", ("plain", 1, [(0, "BUY", 4800, "5")], 0), 10, ""), "long turn", "answer"])
def test_compiled_path_does_what_the_python_way_does(twins, frames):
    pair = twins()
    for at, frame in enumerate(frames):
        step(pair, frame, 10 * (at + 1))
        assert pair[0].seen() == pair[1].seen(), frame
        check_rows(pair[0])
    for twin in pair:
        twin.rig.turn()
    assert pair[0].seen() == pair[1].seen()


def check_rows(twin):
    """The row that readers get is the ladder, though only some of its lines were written."""
    for market, state in twin.rig.feed._books.markets.items():
        row = twin.rig.books.row(market)
        assert row.changes == state.book.changes
        for side, prices, sizes in (
            (0, row.bid_price_e4, row.bid_size_e6),
            (1, row.ask_price_e4, row.ask_size_e6),
        ):
            levels = state.book.levels(0, side)
            shown = [one for one in zip(prices, sizes, strict=True) if one[1]]
            assert shown == levels[:BOOK_LEVELS]


def test_row_version_that_a_dead_writer_left_is_stepped_over_and_followed(make_rig):
    rig = make_rig().start()
    rig.dump()
    table = rig.books
    counter = next(
        at
        for at in range(0, 256, 8)
        if _core.load_acquire(table.memory, at) == rig.books.reader.version(0)
    )
    # As if it had died between the cell and the count.
    _core.store_release(table.memory, counter, rig.books.reader.version(0) - 1)
    rig.feed = rig.new_feed()
    rig.connections.clear()
    rig.market.take()
    rig.start()
    rig.dump()
    for i in range(9):
        rig.send(rig.wire.price_change(rig.wire.change("0.47", str(60 + i), "BUY", "0.47", "0.49")))
        [top] = rig.tops()[-1:]
        assert top.version == rig.books.reader.version(0)
        row = rig.books.row(0)
        assert row.bid_price_e4[:3] == (4700, 4600, NO_PRICE_E4)
        assert row.bid_size_e6[:3] == ((60 + i) * 10**6, 100 * 10**6, 0)
        assert row.ask_price_e4[:2] == (4900, 5000)


def test_plain_frame_never_takes_the_python_way(rig):
    taken = []
    event = rig.wire.price_change(
        rig.wire.change("0.48", "30", "BUY", "0.48", "0.49"),
        rig.wire.change("0.52", "30", "SELL", "0.51", "0.52", outcome=1),
    )
    link, payload, now_ns = rig.connections[0], json.dumps(event).encode(), rig.clock.monotonic_ns()

    def note(frame, kind, _):
        if kind == "call":
            taken.append(frame.f_code.co_name)

    sys.setprofile(note)
    try:
        rig.feed.on_frame(link, payload, True, now_ns)
    finally:
        sys.setprofile(None)
    # What is left in Python is the test's own clock and pump.
    assert set(taken) <= {"monotonic_ns", "pump"}, taken
    assert [top.bid_price_e4[0] for top in rig.tops()][-1] == 4800


def test_index_finds_what_a_dict_finds():
    tokens = [str(7**i) for i in range(1, 92)] + [str(10**i) for i in range(78)]
    index, states, model = TokenIndex(), [], {}
    for row, pair in enumerate(zip(tokens[::2], tokens[1::2], strict=False)):
        states.append(MarketState(row, MarketBook(row, 1), Alone(), "0x", pair))
        index.add(states[-1])
        model |= {pair[0]: (states[-1], 0), pair[1]: (states[-1], 1)}
    for dropped in states[::3]:
        index.remove(dropped)
        for token in dropped.tokens:
            del model[token]
    for token in tokens:
        assert index.get(token) == model.get(token)
    assert len(index) == len(model)
    for strange in ("", "0", "07", "7a", "7" * 79, "-7", "7 ", "\u0667", "7" * 15 + "\u00b2"):
        assert index.get(strange) is None


def test_index_takes_over_a_token_from_its_earlier_market():
    index = TokenIndex()
    old = MarketState(0, MarketBook(0, 1), Alone(), "0x", ("11", "12"))
    new = MarketState(1, MarketBook(1, 1), Alone(), "0x", ("12", "13"))
    index.add(old)
    index.add(new)
    assert index.get("12") == (new, 0)
    index.remove(old)
    assert (index.get("11"), index.get("12"), index.get("13")) == (None, (new, 0), (new, 1))
    assert len(index) == 2


def test_index_keeps_its_markets_alive_and_lets_go_of_them():
    index = TokenIndex()
    state = MarketState(0, MarketBook(0, 1), Alone(), "0x", ("11", "12"))
    before = sys.getrefcount(state)
    index.add(state)
    index.add(state)
    assert sys.getrefcount(state) == before + 1
    index.remove(state)
    index.remove(state)
    assert sys.getrefcount(state) == before
    index.add(state)
    del index
    assert sys.getrefcount(state) == before


def test_index_that_its_markets_know_is_collected_with_them():
    index, shard = TokenIndex(), Alone()
    shard.index, gone = index, weakref.ref(shard)
    index.add(MarketState(0, MarketBook(0, 1), shard, "0x", ("11", "12")))
    del index, shard
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("tokens", [("", "1"), ("1", "x"), ("01", "2"), ("1", "9" * 79), ("1",)])
def test_market_with_an_impossible_token_is_refused(tokens):
    with pytest.raises(ValueError, match="token"):
        MarketState(0, MarketBook(0, 1), Alone(), "0x", tokens)


class Alone:
    """A shard as far as a market looks at it."""

    arrival = None


def test_ten_thousand_frames_leave_no_object_behind(rig):
    """Net allocated blocks over 10 000 plain frames: what a frame takes it gives back."""
    frames = []
    for i in range(40):
        size = str(100 + i)
        changes = (
            rig.wire.change("0.47", size, "BUY", "0.47", "0.49"),
            rig.wire.change("0.53", size, "SELL", "0.51", "0.53", outcome=1),
        )
        frames.append(json.dumps(rig.wire.price_change(*changes)).encode())
    rig.pump = None
    rig.feed = rig.new_feed()
    rig.connections.clear()
    rig.start()
    rig.dump()
    link, deliver = rig.connections[0], rig.feed.on_frame
    now_ns = rig.clock.monotonic_ns()

    def play(rounds):
        for _ in range(rounds):
            for frame in frames:
                deliver(link, frame, True, now_ns)

    play(10)
    gc.collect()
    gc.disable()
    try:
        before = sys.getallocatedblocks()
        play(250)
        grown = sys.getallocatedblocks() - before
    finally:
        gc.enable()
    assert rig.feed._plain.published > 10_000
    # The counters themselves are larger numbers than before: a handful of blocks, not one a frame.
    assert grown <= 4, f"{grown} blocks after 10 000 frames"
