"""polymarket-client, sync and async, unmodified: what it reads of markets, wallets and history.

The client's own models are the judge of every shape; the tests hold the figures to a known trade:
50 shares of YES at 60 cents.
"""

import io
import time
import zipfile
from decimal import Decimal
from types import SimpleNamespace

import pytest

pytest.importorskip("polymarket")

pytestmark = pytest.mark.oracle
CLIENT = "polymarket-client, data"
covers = pytest.mark.covers
FOUND_WITHIN_S = 120


def rows(driver, name, **kwargs):
    """Return all items of a listing."""
    found = getattr(driver.client, name)(**kwargs)
    if hasattr(found, "__aiter__"):

        async def collect():
            return [item async for item in found.iter_items()]

        return driver.finish(collect())
    return list(found.iter_items())


def eventually(read):
    """Return what a read finds, once it finds something: the indexer tells of a trade later."""
    deadline_s = time.monotonic() + FOUND_WITHIN_S
    while not (found := read()):
        assert time.monotonic() < deadline_s, "nothing was found"
        time.sleep(0.02)
    return found


@pytest.fixture(scope="module")
def traded(sim, pair):
    """A market where bob bought 50 YES at 60 cents from alice's bid for NO."""
    alice, bob = pair
    market = sim.market(fee=True)
    alice.place_limit_order(asset_id=market.no, price="0.40", size=50, side="BUY")
    bob.place_limit_order(asset_id=market.yes, price="0.60", size=50, side="BUY")
    eventually(lambda: rows(bob, "list_positions", user=bob.wallet, condition_id=market.condition))
    info = sim.read("gamma", f"/markets?condition_ids={market.condition}")[0]
    return SimpleNamespace(
        alice=alice, bob=bob, market=market, info=info, event=int(info["events"][0]["id"])
    )


# --------------------------------------------------------------------------------- wallets
@covers("GET /v2/positions")
def test_a_position_is_what_was_bought(sim, traded):
    [row] = rows(
        traded.bob,
        "list_positions",
        user=traded.bob.wallet,
        condition_id=traded.market.condition,
        status="OPEN",
        sort_by="CURRENT_VALUE",
        sort_direction="DESC",
    )
    assert (row.asset_id, row.opposite_asset_id) == (traded.market.yes, traded.market.no)
    assert (row.current_size, row.avg_price, row.total_cost_usdc) == (50, Decimal("0.6"), 30)
    assert (row.status, row.redeemable, row.mergeable) == ("OPEN", False, False)
    everybody = sim.read("data", f"/v2/positions?condition_id={traded.market.condition}")["data"]
    assert [each["current_size"] for each in everybody] == ["50", "50"]


@covers("GET /v2/positions status CLOSED, MERGEABLE, REDEEMABLE")
def test_positions_are_listed_by_what_may_be_done_with_them(sim, traded):
    bob, market = traded.bob, sim.market()
    bob.done("split_position", condition_id=market.condition, amount=10_000_000)

    def by(status):
        kwargs = {"user": bob.wallet, "condition_id": market.condition, "status": status}
        return rows(bob, "list_positions", **kwargs)

    assert len(eventually(lambda: by("MERGEABLE"))) == 2
    assert {row.status for row in by("MERGEABLE")} == {"OPEN"}
    sim.control("resolve", market=market.condition, winner=1)
    [lost] = eventually(lambda: by("REDEEMABLE_LOST"))
    assert (lost.asset_id, lost.status) == (market.yes, "REDEEMABLE")
    assert len(by("REDEEMABLE")) == 2
    assert by("MERGEABLE") == by("CLOSED") == []


@covers("GET /v2/trades", "GET /v2/activity")
def test_a_trade_is_told_to_everybody_and_in_the_activity_of_both(traded):
    alice, bob, market = traded.alice, traded.bob, traded.market
    [trade] = rows(bob, "list_trades", condition_id=market.condition)
    assert (trade.wallet.lower(), trade.side) == (bob.wallet.lower(), "BUY")
    assert (trade.size, trade.price, trade.outcome_index) == (50, Decimal("0.6"), 0)
    assert rows(alice, "list_trades", condition_id=market.condition) == []
    [made] = rows(alice, "list_trades", event_id=traded.event, taker_only=False, full_history=True)
    assert (made.asset_id, made.price) == (market.no, Decimal("0.4"))
    assert rows(bob, "list_trades", user=bob.wallet, filter_type="CASH", filter_amount=30.5) == []
    [deed] = rows(
        alice, "list_activity", user=alice.wallet, condition_id=market.condition, side="BUY"
    )
    assert (deed.type, deed.shares, deed.amount) == ("TRADE", 50, 20)


@covers("GET /v2/value", "GET /v2/user-volume")
def test_value_and_volume_of_a_wallet(traded):
    bob = traded.bob
    held = bob.get_portfolio_value(user=bob.wallet, condition_ids=[traded.market.condition])
    assert held.value == 30
    volume = bob.get_user_volume(user=bob.wallet, full_history=True)
    assert volume.volume >= 50
    assert volume.volume_usdc >= 30
    assert volume.trade_count >= 1


@covers("GET /v2/user-stats", "GET /v2/user-pnl")
def test_profit_by_the_hour(traded):
    bob = traded.bob
    stats = bob.get_user_stats(user=bob.wallet)
    assert stats.traded_market_count >= 1
    series = bob.get_user_pnl(user=bob.wallet, interval="1d", fidelity="1h")
    assert series.points[-1].trade_count == stats.all_time_pnl.trade_count
    assert series.points[-1].unrealized_pnl is not None
    assert bob.get_user_stats(user="0x" + "11" * 20) is None


@covers("GET /v2/holders")
def test_holders_of_both_tokens_with_their_profit(traded):
    bob = traded.bob
    groups = rows(
        bob, "list_market_holders", condition_ids=traded.market.condition, include_pnl=True
    )
    held = {group.asset_id: group.holders for group in groups}
    [holder] = held[traded.market.yes]
    assert (holder.wallet.lower(), holder.amount) == (bob.wallet.lower(), 50)
    assert (holder.avg_price, holder.entry_cost_usdc) == (Decimal("0.6"), 30)
    assert len(held[traded.market.no]) == 1


@covers("GET /v2/leaderboard")
def test_ranks_and_the_standing_of_one(traded):
    bob = traded.bob
    leaders = rows(bob, "list_trader_leaderboard", window="day", sort_by="VOLUME")
    volumes = [row.volume for row in leaders]
    assert volumes == sorted(volumes, reverse=True)
    standing = bob.get_trader_leaderboard_standing(user=bob.wallet, window="day")
    mine = next(row for row in leaders if row.wallet.lower() == bob.wallet.lower())
    assert standing.volume == mine.volume
    assert standing.volume_rank <= mine.rank


@covers("GET /v2/biggest-winners", "GET /v2/resolutions", "GET /v2/positions status CLOSED")
def test_the_end_of_a_market_is_a_resolution_a_win_and_a_closed_position(sim, traded):
    alice, bob, market = traded.alice, traded.bob, sim.market()
    alice.place_limit_order(asset_id=market.no, price="0.70", size=20, side="BUY")
    bob.place_limit_order(asset_id=market.yes, price="0.30", size=20, side="BUY")
    eventually(lambda: rows(bob, "list_positions", user=bob.wallet, condition_id=market.condition))
    [before] = bob.get_resolutions(condition_ids=[market.condition])
    assert (before.status, before.payouts, before.price) == ("initialized", None, None)
    sim.control("resolve", market=market.condition, winner=0)
    bob.done("redeem_positions", condition_id=market.condition)
    [after] = bob.get_resolutions(condition_ids=[market.condition])
    assert (after.status, after.payouts) == ("resolved", (1, 0))
    wins = eventually(
        lambda: [
            win
            for win in rows(bob, "list_biggest_winners", window="day")
            if win.condition_id == market.condition
        ]
    )
    assert [(win.pnl, win.initial_value, win.final_value) for win in wins] == [(14, 6, 20)]
    [closed] = rows(
        bob, "list_positions", user=bob.wallet, condition_id=market.condition, status="CLOSED"
    )
    assert (closed.current_size, closed.realized_pnl, closed.avg_price) == (0, 14, Decimal("0.3"))


@covers("GET /v2/approvals")
def test_approvals_as_the_indexer_sees_them(traded):
    assert traded.bob.get_trading_approvals_state().is_fully_approved


@covers("GET /v1/accounting/snapshot")
def test_a_snapshot_holds_two_tables(traded):
    archive = traded.bob.download_accounting_snapshot(user=traded.bob.wallet)
    with zipfile.ZipFile(io.BytesIO(archive)) as files:
        assert traded.market.yes in files.read("positions.csv").decode()
        assert files.read("equity.csv").decode().count("\n") == 2


@covers("GET /v2/positions/combos", "GET /v2/activity/combos")
def test_nobody_has_combos(traded):
    bob = traded.bob
    assert rows(bob, "list_combo_positions", user=bob.wallet) == []
    assert rows(bob, "list_combo_activity", user=bob.wallet) == []


# --------------------------------------------------------------------------------- markets
@covers("GET /v2/tokens", "GET /v2/oi", "GET /v2/live-volume")
def test_tokens_interest_and_volume_of_a_market(traded):
    bob, market = traded.bob, traded.market
    references = bob.get_token_references(asset_ids=[market.yes, market.no])
    assert [each.outcome_index for each in references] == [0, 1]
    assert bob.get_token_references(condition_ids=[market.condition]) == references
    assert references[0].opposite_asset_id == market.no
    [interest] = bob.get_open_interests(condition_ids=[market.condition])
    assert interest.value == 50
    [everything] = bob.get_open_interests()
    assert everything.condition_id is None
    assert everything.value >= 50
    assert bob.get_event_live_volume(event_ids=traded.event).taker_volume_total >= 50


@covers("GET /v2/prices-history")
def test_price_history_of_both_tokens(traded):
    bob, market, now_s = traded.bob, traded.market, int(time.time())
    [point] = rows(bob, "list_price_history", asset_id=market.yes, interval="1h")
    assert (point.price, point.resolution_seconds) == (Decimal("0.6"), 60)
    [point] = rows(bob, "list_price_history", asset_id=market.no, start=now_s - 3600)
    assert point.price == Decimal("0.4")
    [tick] = rows(bob, "list_price_history", asset_id=market.yes, as_of=now_s + 5)
    assert (tick.price, tick.resolution_seconds) == (Decimal("0.6"), 0)


@covers("GET /v2/builders/leaderboard", "GET /v2/builders/volume")
def test_builders_are_ranked_by_what_they_brought(sim, traded, builder):
    bob, market = traded.bob, sim.market()
    traded.alice.place_limit_order(asset_id=market.no, price="0.40", size=30, side="BUY")
    bob.place_limit_order(
        asset_id=market.yes, price="0.60", size=30, side="BUY", builder_code=builder
    )
    [row] = rows(bob, "list_builder_leaderboard", window="day")
    assert (row.rank, row.builder_code) == (1, builder)
    assert row.volume >= 30
    assert bob.get_builder_volumes(interval="day")[0].volume == row.volume


# --------------------------------------------------------------------------------- metadata
@covers("Gamma /markets/{id}, /markets/slug/{slug}, tags")
def test_one_market_by_id_and_by_slug(traded):
    bob, info = traded.bob, traded.info
    assert bob.get_market(id=info["id"]) == bob.get_market(slug=info["slug"])
    assert bob.get_market(id=info["id"]).condition_id == traded.market.condition
    assert bob.get_market_tags(id=info["id"])


@covers("Gamma /events/{id}, /events/slug/{slug}, tags")
def test_one_event_by_id_and_by_slug(traded):
    bob, head = traded.bob, traded.info["events"][0]
    assert bob.get_event(id=head["id"]) == bob.get_event(slug=head["slug"])
    assert bob.get_event_tags(id=head["id"])


@covers("Gamma /markets/keyset", "Gamma /events/keyset")
def test_listings_hold_everything_once(sim, traded):
    bob = traded.bob
    [found] = rows(bob, "list_markets", condition_ids=[traded.market.condition])
    assert found.condition_id == traded.market.condition
    every = [row.id for row in rows(bob, "list_markets", page_size=100)]
    assert len(every) == len(set(every)) >= 490
    events = [row.id for row in rows(bob, "list_events", page_size=500)]
    assert len(events) == len(set(events)) > 300
    assert rows(bob, "list_events", live=True) == []


@covers("Gamma /tags", "Gamma related-tags")
def test_tags_and_what_they_are_related_to(traded):
    bob = traded.bob
    tags = rows(bob, "list_tags")
    assert bob.get_tag(slug=tags[0].slug) == bob.get_tag(id=tags[0].id)
    for tag in tags:
        links = bob.get_related_tags(slug=tag.slug)
        others = bob.get_related_tag_resources(slug=tag.slug)
        assert [link.related_tag_id for link in links] == [int(other.id) for other in others]


@covers("Gamma /public-search", "Gamma /public-profile")
def test_search_and_profile(traded):
    bob = traded.bob
    words = traded.info["question"].split()[:3]
    page = bob.first("search", q=" ".join(words))
    found = page[0] if isinstance(page, (tuple, list)) else page
    assert traded.info["events"][0]["id"] in {event.id for event in found.events}
    assert bob.get_public_profile(address=bob.wallet).wallet.lower() == bob.wallet.lower()
    assert bob.get_public_profile(address="0x" + "22" * 20) is None


@covers("Gamma /sports, /teams, /comments")
def test_nothing_is_played_or_said(traded):
    bob = traded.bob
    assert not bob.get_sports()
    assert not bob.get_sports_market_types().market_types
    assert rows(bob, "list_teams") == []
    event = str(traded.event)
    assert rows(bob, "list_comments", parent_entity_type="Event", parent_entity_id=event) == []
    assert rows(bob, "list_comments_by_user_address", address=bob.wallet) == []


@covers("Gamma /series")
def test_windows_belong_to_a_series(serving, sim_at, alice, drivers):
    serve, stop = serving
    process, urls = serve(coins=["BTC"], windows_s=[300], markets=8, neg_risk_events=1)
    try:
        other = drivers(alice, "0x" + "5a" * 32, 0, sim=sim_at(urls))
        [series] = [row for row in rows(other, "list_series") if row.slug.endswith("-5m")]
        assert (series.id, series.recurrence) == ("10684", "5m")
        event = sim_at(urls).read("gamma", "/events?series_id=10684")[0]
        assert event["series"][0]["slug"] == event["seriesSlug"] == series.slug
        assert other.get_series(id="10684").slug == series.slug
    finally:
        stop(process)
