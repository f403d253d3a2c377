"""The Polymarket feed: books, publishing, divergence, ticks, prints, garbage."""

import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowlat.core.layout import (
    MARKET_STATE,
    RESET,
    TRADE,
    BookFlag,
    MarketStateReason,
    MarketStatus,
)
from lowlat.core.units import NO_PRICE_E4

SECOND = 1_000_000_000
BASE_NS = 1_795_305_600_000 * 1_000_000


def both(rig, price, size, side, best_bid, best_ask, at_ms=1):
    """A change as the venue sends it: the token's own level and its mirror."""
    mirror = {"BUY": "SELL", "SELL": "BUY"}[side]

    def other(text):
        return f"{(10_000 - round(float(text) * 10_000)) / 10_000:g}"

    return rig.wire.price_change(
        rig.wire.change(price, size, side, best_bid, best_ask),
        rig.wire.change(other(price), size, mirror, other(best_ask), other(best_bid), outcome=1),
        at_ms=at_ms,
    )


def test_start_declares_everything_stale_first(make_rig):
    rig = make_rig().start()
    first = rig.market.take()[0]
    assert first._fields == RESET.row._fields
    assert first.shard == 0xFFFF_FFFF


def test_subscribes_before_the_first_ping(make_rig):
    rig = make_rig(markets=2).start()
    connection = rig.connections[0]
    [subscription] = connection.frames()
    assert subscription["type"] == "market"
    assert len(subscription["assets_ids"]) == 4
    for _ in range(5):
        rig.turn(2 * SECOND + 1)
        rig.raw(b"PONG")
    assert connection.sent[0] != b"PING"
    assert connection.sent.count(b"PING") == 1


def test_snapshot_fills_row_then_top(rig, make_rig):
    rig = make_rig().start()
    rig.market.take()
    rig.dump(at_ms=5)
    [top] = rig.tops()
    row = rig.books.row(0)
    assert top.bid_price_e4[:2] == (4700, 4600)
    assert top.ask_price_e4[:2] == (4900, 5000)
    assert top.ask_size_e6[0] == 20_500_000
    assert top.version == rig.books.reader.version(0)
    assert (row.id, row.event_ns) == (top.id, BASE_NS + 5_000_000)
    assert row.book_flags == 0
    assert row.tick_e4 == 100
    assert top.recv_ns <= top.decoded_ns <= top.published_ns
    assert rig.fresh()


def test_two_token_change_publishes_once_with_final_state(rig):
    rig.send(both(rig, "0.48", "30", "BUY", "0.48", "0.49"))
    [top] = rig.tops()
    assert top.bid_price_e4[0] == 4800
    assert top.changed_sides == 1
    assert top.book_flags == 0
    assert rig.pumps == 2
    assert rig.counts["polymarket.diverged"] == 0


def test_change_without_effect_publishes_nothing(rig):
    rig.send(both(rig, "0.48", "30", "BUY", "0.48", "0.49"))
    rig.tops()
    rig.send(both(rig, "0.48", "30", "BUY", "0.48", "0.49", at_ms=2))
    assert rig.tops() == []


def test_one_message_over_two_markets_publishes_each_once(make_rig):
    rig = make_rig(markets=2).start()
    rig.dump(0)
    rig.dump(1)
    rig.market.take()
    change = rig.wire.change
    rig.send(
        rig.wire.price_change(
            change("0.48", "1", "BUY", "0.48", "0.49", market=0),
            change("0.52", "1", "SELL", "0.51", "0.52", market=0, outcome=1),
            change("0.48", "2", "BUY", "0.48", "0.49", market=1),
            change("0.52", "2", "SELL", "0.51", "0.52", market=1, outcome=1),
        )
    )
    assert [(top.market, top.bid_size_e6[0]) for top in rig.tops()] == [
        (0, 1_000_000),
        (1, 2_000_000),
    ]


def test_removed_side_shows_no_price(rig):
    change = rig.wire.change
    rig.send(
        rig.wire.price_change(
            change("0.47", "0", "BUY", "0.46", "0.49"), change("0.46", "0", "BUY", "0", "0.49")
        )
    )
    [top] = rig.tops()
    assert top.bid_count == 0
    assert top.bid_price_e4[0] == NO_PRICE_E4


def test_message_older_than_the_book_is_dropped(rig):
    rig.dump(at_ms=10, bids=(("0.40", "5"),))
    rig.tops()
    rig.send(both(rig, "0.48", "30", "BUY", "0.48", "0.49", at_ms=9))
    assert rig.tops() == []
    assert rig.counts["polymarket.outdated"] == 2
    assert rig.books.row(0).bid_price_e4[0] == 4000


def test_change_before_any_book_is_counted_not_applied(make_rig):
    rig = make_rig().start()
    rig.market.take()
    rig.send(both(rig, "0.48", "30", "BUY", "0.48", "0.49"))
    assert rig.tops() == []
    assert rig.counts["polymarket.early"] == 2


def test_burst_that_states_its_final_touch_is_not_traded_and_heals_without_rest(rig):
    # Two frames with one stamp; each says what the touch is after both.
    rig.send(both(rig, "0.46", "30", "BUY", "0.48", "0.49"))
    assert rig.tops()[-1].book_flags & BookFlag.DIVERGED
    rig.send(both(rig, "0.48", "5", "BUY", "0.48", "0.49"))
    assert rig.books.row(0).book_flags == 0
    assert rig.counts["polymarket.bursts"] == 1
    rig.turn(SECOND)
    assert rig.fetch.asked == []


def test_lost_change_is_no_burst_though_the_touch_agrees_again(rig):
    rig.send(both(rig, "0.46", "30", "BUY", "0.48", "0.49"))
    rig.send(both(rig, "0.4801", "30", "BUY", "0.48", "0.49"))
    rig.send(both(rig, "0.48", "5", "BUY", "0.48", "0.49"))
    assert rig.books.row(0).book_flags & BookFlag.DIVERGED
    rig.turn(SECOND)
    assert rig.fetch.asked


def test_divergence_flags_the_row_and_rest_heals_it(rig):
    rig.send(both(rig, "0.48", "30", "BUY", "0.485", "0.49"))
    [top] = rig.tops()
    assert top.book_flags & BookFlag.DIVERGED
    assert rig.counts["polymarket.diverged"] == 1
    rig.turn(200_000_000)
    [(path, _)] = rig.fetch.asked
    assert path.startswith("/book?token_id=1000")
    # Arrives while the question is under way and is newer than the answer.
    rig.send(rig.wire.price_change(rig.wire.change("0.44", "7", "BUY", "0.45", "0.49"), at_ms=20))
    rig.fetch.answer(200, rig.wire.rest_book(bids=[("0.45", "9")], asks=[("0.49", "1")], at_ms=15))
    row = rig.books.row(0)
    assert row.book_flags == 0
    assert row.bid_price_e4[:2] == (4500, 4400)
    assert row.bid_size_e6[:2] == (9_000_000, 7_000_000)
    rig.turn(60 * SECOND)
    assert rig.fetch.asked == []


def test_divergence_is_asked_again_with_growing_delay_until_answered(rig):
    rig.send(both(rig, "0.48", "30", "BUY", "0.485", "0.49"))
    asked_ns = []
    for _ in range(400):
        rig.turn(50_000_000)
        rig.raw(b"PONG")
        if rig.fetch.asked:
            asked_ns.append(rig.clock.monotonic_ns())
            rig.fetch.answer(503, b"", rig.clock.monotonic_ns())
    gaps = [later - earlier for earlier, later in itertools.pairwise(asked_ns)]
    assert len(gaps) >= 4
    assert all(later > 1.5 * earlier for earlier, later in itertools.pairwise(gaps))
    assert rig.counts["polymarket.resyncs_failed"] == len(asked_ns)
    assert rig.books.row(0).book_flags & BookFlag.DIVERGED


def test_rest_answer_older_than_the_book_changes_nothing(rig):
    rig.send(both(rig, "0.48", "30", "BUY", "0.485", "0.49"))
    rig.turn(200_000_000)
    rig.dump(at_ms=30)
    before = rig.books.row(0)
    rig.fetch.answer(200, rig.wire.rest_book(bids=[("0.11", "9")], asks=[], at_ms=15))
    assert rig.books.row(0) == before


def test_book_stamped_in_the_future_does_not_freeze_the_market(rig):
    rig.dump(at_ms=3_600_000)
    rig.send(both(rig, "0.48", "30", "BUY", "0.48", "0.49", at_ms=5))
    assert rig.books.row(0).book_flags & BookFlag.DIVERGED
    rig.turn()
    rig.fetch.answer(200, rig.wire.rest_book(bids=[("0.45", "9")], asks=[("0.49", "1")], at_ms=6))
    assert rig.books.row(0).book_flags == 0
    rig.send(both(rig, "0.46", "30", "BUY", "0.46", "0.49", at_ms=7))
    assert rig.tops()[-1].bid_price_e4[0] == 4600


def test_off_grid_price_marks_divergence_and_trades_nothing_on_it(rig):
    rig.send(both(rig, "0.4801", "30", "BUY", "0.48", "0.49"))
    assert rig.counts["polymarket.malformed"] >= 1
    assert rig.books.row(0).book_flags & BookFlag.DIVERGED


def test_tick_change_clears_announces_and_waits_for_a_book(rig):
    rig.send(
        {
            "event_type": "tick_size_change",
            "asset_id": rig.wire.book()["asset_id"],
            "market": "0x00",
            "old_tick_size": "0.01",
            "new_tick_size": "0.001",
            "timestamp": "1795305600007",
        }
    )
    records = rig.market.take()
    [state] = [one for one in records if one._fields == MARKET_STATE.row._fields]
    assert (state.reason, state.tick_e4) == (MarketStateReason.TICK, 10)
    row = rig.books.row(0)
    assert row.book_flags & BookFlag.STALE
    assert (row.bid_count, row.tick_e4) == (0, 10)
    rig.send(both(rig, "0.485", "30", "BUY", "0.485", "0.49", at_ms=8))
    assert rig.tops() == []
    rig.dump(at_ms=9)
    assert rig.fresh()


def test_equal_tick_change_means_nothing(rig):
    rig.send(
        {
            "event_type": "tick_size_change",
            "asset_id": rig.wire.book()["asset_id"],
            "market": "0x00",
            "old_tick_size": "0.01",
            "new_tick_size": "0.01",
            "timestamp": "1795305600007",
        }
    )
    assert rig.market.take() == []
    assert rig.fresh()


def test_trade_is_published_with_a_stable_name(rig):
    trade = {
        "event_type": "last_trade_price",
        "asset_id": rig.wire.book(outcome=1)["asset_id"],
        "market": "0x00",
        "price": "0.53",
        "size": "12.5",
        "side": "BUY",
        "fee_rate_bps": "0",
        "timestamp": "1795305600009",
    }
    rig.send(trade)
    rig.send(trade)
    first, second = rig.trades.take(TRADE)
    assert (first.price, first.size, first.instrument) == (5300, 12_500_000, 1)
    assert first.trade_id == second.trade_id
    rig.send(both(rig, "0.48", "30", "BUY", "0.48", "0.49", at_ms=10))
    assert rig.books.row(0).last_trade_price_e4 == 4700


def test_resolution_retires_the_market_and_tells_metadata(rig):
    rig.send(
        {
            "event_type": "market_resolved",
            "market": "0xfeed",
            "assets_ids": [rig.wire.book()["asset_id"]],
            "winning_asset_id": rig.wire.book()["asset_id"],
            "winning_outcome": "Yes",
            "timestamp": "1795305600009",
        }
    )
    records = rig.market.take()
    assert records[-1].reason == MarketStateReason.RESOLVED
    assert rig.books.row(0).book_flags & BookFlag.STALE
    assert rig.listed == ["0xfeed"]
    assert rig.connections[0].closed
    rig.send(both(rig, "0.48", "30", "BUY", "0.48", "0.49", at_ms=10))
    assert rig.tops() == []


def test_new_market_is_a_hint_only(rig):
    rig.send(
        {
            "event_type": "new_market",
            "market": "0xbeef",
            "slug": "a",
            "question": "?",
            "assets_ids": ["1", "2"],
            "outcomes": ["Up", "Down"],
            "timestamp": "1795305600009",
        }
    )
    assert rig.listed == ["0xbeef"]
    assert rig.market.take() == []


def test_crossed_book_is_counted_once_while_it_lasts(rig):
    rig.send(rig.wire.price_change(rig.wire.change("0.49", "5", "BUY", "0.49", "0.49")))
    assert rig.counts["polymarket.crossed"] == 0
    for at_ms in (2, 3):
        rig.send(
            rig.wire.price_change(
                rig.wire.change("0.50", str(at_ms), "BUY", "0.50", "0.49"), at_ms=at_ms
            )
        )
    assert rig.counts["polymarket.crossed"] == 1
    assert rig.tops()[-1].book_flags & BookFlag.CROSSED


BIDS = (("0.46", "100"), ("0.47", "50"))
ASKS = (("0.50", "80"), ("0.49", "20.5"))
CROSSED_BIDS = (("0.46", "100"), ("0.50", "3"))


def cross(rig, at_ms=2, size="3"):
    change = rig.wire.change("0.50", size, "BUY", "0.50", "0.49")
    rig.send(rig.wire.price_change(change, at_ms=at_ms))


def answer_book(rig, bids, at_ms):
    """Answer the one question that is under way."""
    [(path, done)] = rig.fetch.asked
    rig.fetch.asked.clear()
    assert path.startswith("/book?token_id=")
    done(200, json.dumps(rig.wire.rest_book(bids=bids, asks=ASKS, at_ms=at_ms)).encode(), 1)


def test_a_cross_is_confirmed_only_by_a_rest_book_that_shows_it_too(rig):
    cross(rig)
    assert not rig.tops()[-1].book_flags & BookFlag.CONFIRMED
    rig.turn(200_000_000)
    answer_book(rig, CROSSED_BIDS, at_ms=5)
    row = rig.books.row(0)
    assert row.book_flags == BookFlag.CROSSED | BookFlag.CONFIRMED
    assert rig.tops()[-1].book_flags & BookFlag.CONFIRMED
    assert rig.counts["polymarket.crossed_confirmed"] == 1
    # What was confirmed is asked about again, and is over when REST shows no cross.
    rig.turn(1_100_000_000)
    answer_book(rig, BIDS, at_ms=9)
    assert rig.books.row(0).book_flags == 0


def test_a_cross_that_rest_does_not_show_is_corrected(rig):
    cross(rig)
    rig.turn(200_000_000)
    answer_book(rig, BIDS, at_ms=5)
    assert rig.books.row(0).book_flags == 0
    assert rig.counts["polymarket.crossed_confirmed"] == 0


def test_an_answer_asked_for_before_the_cross_confirms_nothing(rig):
    rig.send(rig.wire.price_change(rig.wire.change("0.44", "5", "BUY", "0.48", "0.49")))
    rig.turn(700_000_000)
    [(_, early)] = rig.fetch.asked
    rig.fetch.asked.clear()
    cross(rig)
    body = json.dumps(rig.wire.rest_book(bids=CROSSED_BIDS, asks=ASKS, at_ms=5)).encode()
    early(200, body, 1)
    assert not rig.books.row(0).book_flags & BookFlag.CONFIRMED
    rig.turn(200_000_000)
    answer_book(rig, CROSSED_BIDS, at_ms=6)
    assert rig.books.row(0).book_flags & BookFlag.CONFIRMED


def test_confirmation_ends_with_the_cross_and_does_not_outlive_it(rig):
    cross(rig)
    rig.turn(200_000_000)
    answer_book(rig, CROSSED_BIDS, at_ms=5)
    gone = rig.wire.change("0.50", "0", "BUY", "0.46", "0.49")
    rig.send(rig.wire.price_change(gone, at_ms=6))
    assert rig.books.row(0).book_flags == 0
    cross(rig, at_ms=7)
    assert rig.books.row(0).book_flags == BookFlag.CROSSED, "another cross, another question"


def test_paused_market_stays_and_closed_market_goes(rig, make_row):
    rig.announce(make_row(0, status=MarketStatus.PAUSED))
    rig.turn()
    assert rig.fresh()
    rig.announce(make_row(0, status=MarketStatus.CLOSED))
    rig.turn()
    assert rig.books.row(0).book_flags & BookFlag.STALE
    assert rig.connections[0].closed


def test_recycled_row_follows_the_new_market_only(rig, make_row):
    """A row that gets another market must not be fed by the old market's tokens."""
    rig.announce(make_row(0, generation=2, tokens_of=5))
    rig.turn()
    rig.connections[0].open()
    rig.dump(market=0, at_ms=50)
    assert rig.counts["polymarket.unknown_tokens"] == 1
    assert rig.books.row(0).book_flags & BookFlag.STALE
    rig.dump(market=5, at_ms=60)
    row = rig.books.row(0)
    assert (row.generation, row.book_flags) == (2, 0)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"null",
        b"[[]]",
        b"\xff\xfe",
        b'{"event_type":"book"}',
        b'{"event_type":5}',
        b'{"event_type":"price_change","market":"0x","timestamp":"nan","price_changes":[]}',
        b"[" * 5000,
    ],
)
def test_garbage_is_counted_and_sampled(rig, payload):
    before = rig.books.row(0)
    rig.raw(payload)
    assert rig.counts["polymarket.malformed"] == 1
    assert len(rig.notes) == 1
    assert rig.books.row(0) == before


def test_unknown_event_kind_is_ignored_and_counted(rig):
    rig.send({"event_type": "brand_new", "x": 1})
    assert rig.counts["polymarket.ignored"] == 1
    assert rig.counts["polymarket.malformed"] == 0


def test_binary_frame_is_refused(rig):
    rig.raw(b"{}", is_text=False)
    assert rig.counts["polymarket.malformed"] == 1


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(allow_nan=True),
    st.sampled_from(["", "NaN", "-0.1", "0.5", "0.555555", "1e3", "1", "0", "999999999999999999"]),
    st.text(max_size=5),
    st.lists(st.none(), max_size=2),
)


@settings(max_examples=150)
@given(data=st.data())
def test_mutated_events_only_move_counters_and_a_good_book_heals(make_rig, data):
    """Replace random fields of good messages, or cut them off: nothing raises or stays wrong."""
    rig = make_rig().start()
    rig.dump()
    event = both(rig, "0.48", "30", "BUY", "0.48", "0.49", at_ms=data.draw(st.integers(0, 3)))
    target = data.draw(st.sampled_from([event, *event["price_changes"]]))
    target[data.draw(st.sampled_from(sorted(target)))] = data.draw(VALUES)
    raw = json.dumps(event).encode()
    rig.raw(raw[: data.draw(st.integers(0, len(raw)))] if data.draw(st.booleans()) else raw)
    for top in rig.tops():
        assert top.bid_count == 0 or 0 < top.bid_price_e4[0] < 10_000
    rig.dump(at_ms=4)
    assert rig.books.row(0).bid_price_e4[:2] == (4700, 4600)
    assert rig.fresh()
