"""The metadata engine tells: what a row says of a market, from its listing to its end."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st
from metadata_kit import SECOND, START_S, Rig

from lowlat.core.dossier import Dossiers
from lowlat.core.layout import (
    MARKET_STATE,
    NO_AMOUNT,
    Category,
    Coin,
    Dispute,
    Exchange,
    Known,
    MarketStateReason,
    MarketStatus,
    SettleRule,
    SettleSeries,
    Wording,
)


def test_listing_becomes_a_tradeable_row_and_is_announced(make):
    rig = make()
    rig.venue.add(1)
    rig.start()
    row = rig.row()
    assert row.known & Known.TRADEABLE == Known.TRADEABLE
    assert (row.status, row.exchange, row.tick_e4) == (1, Exchange.STANDARD, 100)
    assert (row.min_size_e6, row.generation) == (5_000_000, 1)
    assert row.slug.rstrip(b"\0") == b"market-1"
    [state] = rig.stream.take(MARKET_STATE)
    assert (state.market, state.reason) == (0, MarketStateReason.METADATA)
    assert state.version == 1
    assert rig.instruments.tradeable(0)
    assert rig.counts["metadata.tradeable"] == 1


def test_sources_that_differ_leave_the_fact_unknown(make):
    rig = make()
    rig.venue.add(1, negRisk=True)
    rig.start()
    row = rig.row()
    assert row.exchange == Exchange.UNKNOWN
    assert not row.known & Known.NEG_RISK
    assert not rig.instruments.tradeable(0)
    assert rig.counts["metadata.conflicts"] >= 1


def test_unchanged_market_is_not_written_again(make):
    rig = make(refresh_ns=2 * SECOND)
    rig.venue.add(1)
    rig.start()
    version = rig.table.reader.version(0)
    rig.venue.events[1]["markets"][0]["liquidityNum"] = 1001.5
    rig.run(10 * SECOND)
    assert sum("clob-markets" in path for path in rig.venue.asked) >= 4
    assert rig.table.reader.version(0) == version, "a little more liquidity says nothing new"
    rig.venue.events[1]["markets"][0]["liquidityNum"] = 2001.5
    rig.run(10 * SECOND)
    assert rig.table.reader.version(0) == version + 1
    assert 1_750_000_000 <= rig.row().liquidity_e6 <= 2_001_500_000


def test_rules_source_oracle_and_dates_are_kept_with_the_row(make):
    rig = make(refresh_ns=5 * SECOND)
    rig.venue.add(
        1,
        tags=("politics", "congress"),
        description="Yes if the bill is officially signed by December 31, 2026.",
        resolutionSource="https://www.congress.gov",
        createdAt="2026-11-01T00:00:00Z",
        umaResolutionStatuses='["proposed","disputed"]',
        volumeNum=1234.5,
        rewardsMinSize=50,
        rewardsMaxSpread=4.5,
        clobRewards=[{"rewardsDailyRate": 20}, {"rewardsDailyRate": 2.5}],
    )
    heard = Dossiers(rig.dossiers.new_reader())
    rig.start()
    row = rig.row()
    assert row.wording & Wording.ANNOUNCED
    assert row.wording & Wording.TIME_LIMIT
    assert (row.category, row.dispute, row.dispute_count) == (
        Category.POLITICS, Dispute.DISPUTED, 1,
    )  # fmt: skip
    assert row.listed_ns == 1_793_491_200 * SECOND
    assert 1_100_000_000 <= row.volume_e6 <= 1_234_500_000
    assert (row.reward_size_e6, row.reward_spread_e4, row.reward_day_e6) == (
        50_000_000, 450, 22_500_000,
    )  # fmt: skip
    assert row.source_hash
    assert (row.series_hash, row.rules_changes) == (0, 0)
    assert heard.poll() == [0]
    assert heard.by_market[0].rules_text.startswith("Yes if the bill")
    assert heard.by_market[0].disputes == ("proposed", "disputed")

    rig.venue.events[1]["markets"][0]["description"] += " Clarification: a signature counts."
    rig.run(5 * SECOND)
    assert rig.row().rules_changes == 1
    assert rig.row().wording & Wording.CLARIFIED
    assert heard.poll() == [0]
    late = Dossiers(rig.dossiers.new_reader())
    rig.run(5 * SECOND)
    late.poll()
    assert late.by_market == heard.by_market, "whoever comes late hears all within a round"


def test_what_the_venue_does_not_say_is_unknown_and_no_zero(make):
    rig = make()
    rig.venue.add(1, liquidityNum=None, volumeNum=None)
    rig.start()
    row = rig.row()
    assert (row.volume_e6, row.liquidity_e6) == (NO_AMOUNT, NO_AMOUNT)
    assert (row.wording, row.dispute, row.rules_hash) == (0, Dispute.UNKNOWN, 0)


def test_pushed_tick_is_taken_at_once_for_that_generation_only(make):
    rig = make()
    rig.venue.add(1)
    rig.start()
    rig.push(MarketStateReason.TICK, 10, generation=9)
    rig.run(SECOND)
    assert rig.row().tick_e4 == 100
    rig.venue.clob[rig.venue.cid(1)]["mts"] = 0.001
    rig.push(MarketStateReason.TICK, 10)
    rig.engine.turn(rig.clock.monotonic_ns())
    assert rig.row().tick_e4 == 10
    assert rig.stream.take(MARKET_STATE)[-1].reason == MarketStateReason.TICK


def test_pushed_resolution_stops_trading_and_finds_the_winner(make):
    rig = make()
    rig.venue.add(1)
    rig.start()
    rig.venue.close(1)
    rig.push(MarketStateReason.RESOLVED)
    rig.run(SECOND)
    assert rig.row().status == MarketStatus.CLOSED
    assert not rig.instruments.tradeable(0)
    rig.venue.close(1, winner=1)
    rig.run(25 * SECOND)
    assert (rig.row().status, rig.row().winner) == (MarketStatus.RESOLVED, 2)


def test_market_that_the_sweep_no_longer_lists_is_resolved_without_a_push(make):
    rig = make(sweep_ns=5 * SECOND)
    rig.venue.add(1)
    rig.venue.add(2)
    rig.start()
    gone = next(one for one in (0, 1) if rig.row(one).condition_id == rig.tools.condition(1))
    rig.venue.close(1)
    rig.run(60 * SECOND)
    assert rig.row(gone).status == MarketStatus.CLOSED
    rig.venue.close(1, winner=0)
    rig.run(200 * SECOND)
    assert (rig.row(gone).status, rig.row(gone).winner) == (MarketStatus.RESOLVED, 1)
    assert rig.row(1 - gone).status == MarketStatus.ACTIVE


def test_window_is_asked_about_when_it_ends(make):
    rig = make(refresh_ns=100_000 * SECOND, sweep_ns=100_000 * SECOND)
    rig.venue.add(1, crypto=True)
    rig.start()
    rig.venue.asked.clear()
    rig.run(800 * SECOND, SECOND)
    assert not any("/markets/0x" in path for path in rig.venue.asked)
    rig.run(200 * SECOND, SECOND)
    assert any("/markets/0x" in path for path in rig.venue.asked)
    rig.venue.close(1, winner=1)
    rig.run(200 * SECOND, SECOND)
    assert rig.row().winner == 2


def test_restart_keeps_rows_and_asks_everything_again(make):
    rig = make()
    rig.venue.add(1)
    rig.venue.add(2)
    rig.start()
    before = {market: rig.row(market).condition_id for market in (0, 1)}
    rig.venue.asked.clear()
    rig.new_engine()
    rig.venue.add(3)
    rig.start()
    assert {market: rig.row(market).condition_id for market in (0, 1)} == before
    assert sum("clob-markets" in path for path in rig.venue.asked) >= 3
    assert rig.row(2).condition_id == rig.tools.condition(3)


def test_unknown_completeness_of_a_neg_risk_set_is_guarded(make):
    rig = make()
    rig.venue.add(1, neg_risk=True)
    rig.venue.events[1]["negRiskMarketID"] = "0x" + "ab" * 32
    del rig.venue.events[1]["negRiskAugmented"]
    rig.start()
    row = rig.row()
    assert (row.neg_risk, row.neg_risk_augmented, row.event_market_count) == (1, 1, 1)
    assert row.event_id == b"\xab" * 32


def test_window_learns_its_exact_start_price(make):
    rig = make()
    rig.venue.add(1, crypto=True)
    rig.start()
    row = rig.row()
    assert (row.settle_rule, row.coin) == (SettleRule.TWAP_60_UP, Coin.BTC)
    assert not row.known & Known.START_PRICE
    for second in (-1, 1):
        rig.price((START_S + second) * SECOND, 5)
    rig.price(START_S * SECOND, 6, SettleSeries.CHAINLINK_SPOT)
    rig.run(SECOND)
    assert not rig.row().known & Known.START_PRICE
    rig.price(START_S * SECOND, 9_812_345_678_123)
    rig.run(SECOND)
    row = rig.row()
    assert row.known & Known.START_PRICE
    assert (row.start_price_e8, row.start_price_rest_e18) == (9_812_345_678_123, 7)
    assert rig.stream.take(MARKET_STATE)[-1].reason == MarketStateReason.START_PRICE


def test_print_that_came_before_the_listing_counts(make):
    rig = make()
    rig.start()
    rig.price(START_S * SECOND, 123)
    rig.run(SECOND)
    rig.venue.add(1, crypto=True)
    rig.run(3 * SECOND)
    assert rig.row().start_price_e8 == 123


def test_contradicted_start_price_is_unknown_for_good(make):
    rig = make()
    rig.venue.add(1, crypto=True)
    rig.start()
    for price in (5, 6, 5):
        rig.price(START_S * SECOND, price)
        rig.run(SECOND)
    row = rig.row()
    assert not row.known & Known.START_PRICE
    assert row.start_price_e8 == 0


def test_refresh_keeps_the_start_price(make):
    rig = make(refresh_ns=2 * SECOND)
    rig.venue.add(1, crypto=True)
    rig.start()
    rig.price(START_S * SECOND, 123)
    rig.run(SECOND)
    rig.venue.clob[rig.venue.cid(1)]["mos"] = 7
    rig.run(5 * SECOND)
    assert (rig.row().min_size_e6, rig.row().start_price_e8) == (7_000_000, 123)
    assert rig.row().known & Known.START_PRICE


@settings(max_examples=60)
@given(data=st.data())
def test_mutated_clob_answers_never_make_a_market_tradeable_by_default(tools, data):
    rig = Rig(tools)
    rig.venue.add(1)
    body = rig.venue.clob[rig.venue.cid(1)]
    key = data.draw(st.sampled_from(sorted(body)))
    if data.draw(st.booleans()):
        del body[key]
    else:
        body[key] = data.draw(
            st.one_of(st.none(), st.integers(-5, 5), st.text(max_size=3), st.lists(st.none()))
        )
    changed = json.dumps(body).encode()
    rig.venue.clob[rig.venue.cid(1)] = changed
    rig.start()
    row = rig.row()
    if row is not None and rig.instruments.tradeable(0):
        assert row.tick_e4 > 0
        assert row.min_size_e6 > 0 or key == "mos"
        assert row.status == MarketStatus.ACTIVE
