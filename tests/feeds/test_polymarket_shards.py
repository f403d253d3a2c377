"""Shards of the Polymarket feed: generations, freshness, watchdogs, redundant sockets.

Method: a virtual clock and recorded connections; what a reader may conclude is asked of the rows.
"""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowlat.core.layout import RESET, BookFlag
from lowlat.feeds._arrival import DIGESTS_MAX, FirstArrival

SECOND = 1_000_000_000


def change(rig, price, size, best_bid, best_ask="0.49", at_ms=1, market=0):
    return rig.wire.price_change(
        rig.wire.change(price, size, "BUY", best_bid, best_ask, market=market), at_ms=at_ms
    )


def test_quiet_market_stays_fresh(rig):
    for _ in range(20):
        rig.turn(9 * SECOND)
        rig.raw(b"PONG")
    assert rig.fresh()


def test_loss_of_the_last_socket_makes_every_row_stale_at_once(rig):
    generation = rig.shards.row(0).connection_generation
    rig.connections[0].drop()
    assert not rig.fresh()
    row = rig.shards.row(0)
    assert (row.alive, row.connection_generation) == (0, generation + 1)
    [reset] = rig.market.take(RESET)
    assert reset.shard == 0


def test_rows_are_fresh_again_only_after_their_own_new_book(make_rig):
    rig = make_rig(markets=2).start()
    rig.dump(0)
    rig.dump(1)
    rig.connections[0].drop()
    rig.connections[0].open()
    assert not rig.fresh(0)
    assert not rig.fresh(1)
    rig.dump(0)
    assert rig.fresh(0)
    assert not rig.fresh(1)


def test_same_book_again_after_reconnect_is_published(rig):
    """The quiet market: the dump after a reconnect is byte for byte the one before."""
    rig.connections[0].drop()
    rig.connections[0].open()
    rig.dump()
    assert len(rig.tops()) == 1
    assert rig.fresh()


def test_changes_between_reconnect_and_book_are_not_applied(rig):
    rig.connections[0].drop()
    rig.connections[0].open()
    rig.send(change(rig, "0.48", "5", "0.48", at_ms=9))
    assert not rig.fresh()
    assert rig.counts["polymarket.early"] == 1


def test_restarted_feed_never_reuses_a_generation(rig):
    old = rig.books.row(0)
    rig.feed = rig.new_feed()
    rig.connections.clear()
    rig.start()
    assert rig.shards.row(0).connection_generation > old.connection_generation
    assert not rig.fresh()
    rig.dump()
    assert rig.fresh()
    assert rig.tops()[-1].version == rig.books.reader.version(0)


def test_missing_pong_replaces_the_socket(rig):
    for _ in range(4):
        rig.turn(9 * SECOND)
    assert rig.connections[0].reconnects == ["no PONG"]


def test_silent_shard_is_probed_and_kept_when_rest_agrees(rig):
    for _ in range(4):
        rig.turn(10 * SECOND)
        rig.raw(b"PONG")
    assert rig.counts["polymarket.probes"] == 1
    rig.fetch.answer(200, rig.wire.rest_book(at_ms=0))
    rig.turn(SECOND)
    assert rig.connections[0].reconnects == []


def test_freeze_that_rest_proves_replaces_the_socket(rig):
    """PONGs still come, data does not, and REST has a later book."""
    for _ in range(4):
        rig.turn(10 * SECOND)
        rig.raw(b"PONG")
    rig.fetch.answer(200, rig.wire.rest_book(at_ms=5_000))
    assert rig.connections[0].reconnects == ["frozen: REST is newer"]
    assert not rig.fresh()
    assert rig.counts["polymarket.frozen"] == 1


def test_silent_shard_is_probed_sooner_while_another_flows(make_rig):
    rig = make_rig(markets=2, shard_assets_max=2).start()
    assert len(rig.connections) == 2
    rig.dump(0, socket=0)
    rig.dump(1, socket=1)
    for step in range(12):
        rig.turn(SECOND)
        rig.send(change(rig, "0.48", str(step + 1), "0.48", at_ms=step + 1), socket=0)
    assert [path for path, _ in rig.fetch.asked] == [
        f"/book?token_id={rig.wire.book(1)['asset_id']}"
    ]


def test_subscription_without_a_book_is_fetched_and_renewed(make_rig):
    rig = make_rig().start()
    rig.turn(6 * SECOND)
    assert [frame.get("operation") for frame in rig.connections[0].frames()] == [
        None,
        "unsubscribe",
        "subscribe",
    ]
    rig.fetch.answer(200, rig.wire.rest_book(bids=[("0.3", "1")], asks=[("0.4", "1")]))
    assert rig.fresh()


def test_refused_question_is_repeated(make_rig):
    rig = make_rig().start()
    rig.fetch.refuse = True
    rig.turn(6 * SECOND)
    rig.fetch.refuse = False
    rig.turn(2 * SECOND)
    assert len(rig.fetch.asked) == 1


def test_shards_hold_at_most_their_assets_and_reuse_room(make_rig, make_row):
    rig = make_rig(markets=5, shard_assets_max=4).start()
    assert len(rig.connections) == 3
    assert [len(one.frames()[0]["assets_ids"]) for one in rig.connections] == [4, 4, 2]
    rig.announce(make_row(0, status=3))
    rig.announce(make_row(6))
    rig.turn()
    assert rig.connections[0].frames()[-1]["operation"] == "subscribe"
    assert len(rig.connections) == 3


def test_market_without_room_waits_for_it(make_rig, make_row):
    rig = make_rig(markets=2, shard_assets_max=2, shards_max=1).start()
    assert len(rig.connections) == 1
    assert rig.counts["polymarket.unplaced"] >= 1
    rig.announce(make_row(0, status=3))
    rig.turn()
    rig.connections[0].open()
    assert rig.connections[0].frames()[0]["assets_ids"] == [
        rig.wire.book(1, outcome)["asset_id"] for outcome in (0, 1)
    ]


# ------------------------------------------------------------------ redundant sockets
@pytest.fixture
def twins(make_rig):
    rig = make_rig(shard_sockets=2).start()
    rig.dump(socket=0)
    rig.dump(socket=1)
    rig.market.take()
    return rig


def test_first_arrival_wins_and_the_copy_is_counted(twins):
    event = change(twins, "0.48", "5", "0.48")
    twins.send(event, socket=1)
    twins.send(event, socket=0)
    assert len(twins.tops()) == 1
    assert twins.counts["polymarket.copies"] == 2


def test_late_copy_does_not_take_the_book_back(twins):
    older, newer = change(twins, "0.48", "5", "0.48"), change(twins, "0.48", "9", "0.48", at_ms=1)
    for event in (older, newer):
        twins.send(event, socket=0)
    for event in (older, newer):
        twins.send(event, socket=1)
    assert twins.books.row(0).bid_size_e6[0] == 9_000_000


def test_identical_event_twice_on_one_socket_is_news(twins):
    there, back = change(twins, "0.48", "5", "0.48"), change(twins, "0.48", "9", "0.48")
    for event in (there, back, there):
        twins.send(event, socket=0)
    assert twins.books.row(0).bid_size_e6[0] == 5_000_000
    for event in (there, back, there):
        twins.send(event, socket=1)
    assert twins.books.row(0).bid_size_e6[0] == 5_000_000
    assert len(twins.tops()) == 3


def test_one_lost_socket_keeps_the_shard_alive_and_the_rows_fresh(twins):
    generation = twins.shards.row(0).connection_generation
    twins.connections[0].drop()
    row = twins.shards.row(0)
    assert (row.alive, row.connections_alive, row.connection_generation) == (1, 1, generation)
    twins.send(change(twins, "0.48", "5", "0.48"), socket=1)
    assert twins.fresh()
    twins.connections[1].drop()
    assert not twins.fresh()


def test_old_dump_of_a_returning_socket_does_not_take_the_book_back(twins):
    twins.connections[0].drop()
    twins.send(change(twins, "0.48", "5", "0.48", at_ms=7), socket=1)
    twins.connections[0].open()
    twins.dump(at_ms=6, bids=(("0.40", "1"),), socket=0)
    assert twins.books.row(0).bid_price_e4[0] == 4800


def test_frozen_twin_is_replaced(twins):
    for step in range(12):
        twins.turn(SECOND)
        twins.send(change(twins, "0.48", str(step + 1), "0.48", at_ms=step + 1), socket=1)
        for socket in (0, 1):
            twins.raw(b"PONG", socket=socket)
    assert twins.connections[0].reconnects == ["frozen beside its twin"]
    assert twins.connections[1].reconnects == []
    assert twins.fresh()


def test_lagging_twin_is_replaced(twins):
    for step in range(12):
        twins.turn(SECOND)
        at_ms = (step + 1) * 1000
        twins.send(change(twins, "0.48", str(step + 1), "0.48", at_ms=at_ms), socket=1)
        twins.send(change(twins, "0.48", "1", "0.48", at_ms=100 + step), socket=0)
    assert "frozen beside its twin" in twins.connections[0].reconnects


def test_quiet_shard_with_twins_replaces_nobody(twins):
    for _ in range(30):
        twins.turn(SECOND)
        for socket in (0, 1):
            twins.raw(b"PONG", socket=socket)
    assert [one.reconnects for one in twins.connections] == [[], []]


def test_both_lost_then_identical_dump_goes_live(twins):
    for connection in twins.connections:
        connection.drop()
    for connection in twins.connections:
        connection.open()
    twins.dump(socket=1)
    assert twins.fresh()


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(40, 48), st.integers(0, 3)), min_size=1, max_size=12),
    st.data(),
)
def test_any_interleaving_of_two_sockets_ends_in_the_same_book(make_rig, levels, data):
    """Both sockets deliver one sequence in order, at any relative speed."""
    rig = make_rig(shard_sockets=2).start()
    rig.dump(socket=0)
    rig.dump(socket=1)
    events = [
        rig.wire.price_change(rig.wire.change(f"0.{price}", str(size), "BUY", "0", "0.49"))
        for price, size in levels
    ]
    # The touch is left wrong on purpose; only the ladder is looked at here.
    ahead = [0, 0]
    while min(ahead) < len(events):
        socket = data.draw(st.integers(0, 1))
        if ahead[socket] == len(events):
            socket = 1 - socket
        rig.send(events[ahead[socket]], socket=socket)
        ahead[socket] += 1
    final = {4700: 50, 4600: 100}
    for price, size in levels:
        final[price * 100] = size
    row = rig.books.row(0)
    shown = dict(zip(row.bid_price_e4, row.bid_size_e6, strict=True))
    assert {price: size // 1_000_000 for price, size in shown.items() if size} == {
        price: size for price, size in final.items() if size
    }


def test_memory_of_digests_is_bounded():
    arrival = FirstArrival(2)
    for digest in range(3 * DIGESTS_MAX):
        assert arrival.is_first(0, digest)
        assert not arrival.is_first(1, digest)
    assert len(arrival._applied) == DIGESTS_MAX
    assert max(map(len, arrival._seen)) <= DIGESTS_MAX


def test_close_says_that_nothing_is_alive(rig):
    rig.feed.close()
    assert rig.connections[0].closed
    assert rig.shards.row(0).alive == 0
    assert not rig.fresh()
    assert json.loads(rig.connections[0].sent[0])["type"] == "market"
    assert BookFlag.STALE == 1


def test_late_close_of_an_old_socket_does_not_take_the_new_one_down(rig, make_row):
    old = rig.connections[0]
    rig.announce(make_row(0, status=3))
    rig.turn()
    rig.announce(make_row(0))
    rig.turn()
    rig.connections[0].open()
    rig.dump(at_ms=3)
    assert rig.connections[0] is not old
    rig.feed.on_close(old, "late")
    assert rig.fresh()
