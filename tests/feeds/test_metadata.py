"""The metadata engine: listing to row, filters, resolution, recycling, start prices.

Method: a little venue answers Gamma and CLOB paths from dictionaries; time is virtual.
"""

import json
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowlat.core.clock import VirtualClock
from lowlat.core.dossier import Dossiers
from lowlat.core.instruments import Instruments
from lowlat.core.interest import Interest, row_of_interest
from lowlat.core.layout import (
    MARKET_ROW,
    MARKET_STATE,
    NO_AMOUNT,
    NO_MARKET,
    SETTLE,
    WANT_ROW,
    Category,
    Coin,
    Dispute,
    Exchange,
    Known,
    ListingReason,
    MarketStateChange,
    MarketStateReason,
    MarketStatus,
    Settle,
    SettleRule,
    SettleSeries,
    Watch,
    Wording,
)
from lowlat.feeds.metadata import MarketRows, MetadataEngine
from lowlat.feeds.params import MetadataParams, UniverseParams

SECOND = 1_000_000_000
START_S = 1_795_305_600
"""2026-11-22 00:00 UTC, a multiple of 300."""


class Venue:
    """What Gamma and the CLOB would answer."""

    def __init__(self, tools):
        self.tools = tools
        self.events = {}
        self.ended = {}
        self.clob = {}
        self.long = {}
        self.asked = []
        self.down = False

    def cid(self, market):
        return "0x" + self.tools.condition(market).hex()

    def add(self, market, slug=None, tags=("politics",), crypto=False, neg_risk=False, **changes):
        tokens = [self.tools.token(market, 0), self.tools.token(market, 1)]
        labels = ["Up", "Down"] if crypto else ["Yes", "No"]
        gamma = {
            "id": str(market),
            "conditionId": self.cid(market),
            "slug": slug or f"market-{market}",
            "question": f"Question {market}?",
            "outcomes": json.dumps(labels),
            "clobTokenIds": json.dumps(tokens),
            "active": True,
            "closed": False,
            "archived": False,
            "acceptingOrders": True,
            "enableOrderBook": True,
            "negRisk": neg_risk,
            "feesEnabled": False,
            "endDate": "2026-12-31T00:00:00Z",
            "liquidityNum": 1000.5,
            "volume24hr": 10,
        } | changes
        if crypto:
            gamma |= {
                "slug": f"btc-updown-5m-{START_S}",
                "eventStartTime": "2026-11-22T00:00:00Z",
                "endDate": "2026-11-22T00:05:00Z",
                "resolutionSource": "https://data.chain.link/streams/btc-usd-twap-60s-streams",
                "description": (
                    'This market will resolve to "Up" if the Bitcoin price at the end is greater'
                    " than or equal to the price at the beginning, by Chainlink BTC/USD."
                ),
                "cryptoMarketConfig": {
                    "id": "btc-5m-twap-60",
                    "asset": "btc",
                    "duration": "5m",
                    "twapEnabled": True,
                    "twapLookbackSeconds": 60,
                },
            }
        self.events[market] = {
            "id": str(100 + market),
            "slug": "event",
            "tags": [{"slug": tag} for tag in tags],
            "negRiskAugmented": False,
            "markets": [gamma],
        }
        self.clob[self.cid(market)] = {
            "c": self.cid(market),
            "t": [{"t": tokens[at], "o": labels[at]} for at in (0, 1)],
            "mts": 0.01,
            "mos": 5,
            "ao": True,
            **({"nr": True} if neg_risk else {}),
        }
        self.long[self.cid(market)] = {
            "condition_id": self.cid(market),
            "closed": False,
            "tokens": [{"token_id": one, "winner": False} for one in tokens],
        }

    def close(self, market, winner=None):
        event = self.events.pop(market, None)
        if event is not None:
            self.ended[market] = event
            event["markets"][0]["closed"] = True
        self.clob[self.cid(market)]["ao"] = False
        self.long[self.cid(market)]["closed"] = True
        if winner is not None:
            self.long[self.cid(market)]["tokens"][winner]["winner"] = True

    def answer(self, path):
        parts = urlsplit(path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        if self.down:
            return 503, b""
        if parts.path == "/events/keyset":
            return 200, self.page(query)
        if parts.path == "/markets/keyset":
            return 200, self.by_name(path)
        for prefix, store in (("/clob-markets/", self.clob), ("/markets/", self.long)):
            if parts.path.startswith(prefix):
                body = store.get(parts.path.removeprefix(prefix))
                if isinstance(body, bytes):
                    return 200, body
                return (404, b"") if body is None else (200, json.dumps(body).encode())
        raise AssertionError(path)

    def by_name(self, path):
        query = parse_qs(urlsplit(path).query)
        wanted, tokens = query.get("condition_ids", []), query.get("clob_token_ids", [])
        events = self.ended if query["closed"] == ["true"] else self.events
        markets = [
            {**market, "events": [{key: event[key] for key in event if key != "markets"}]}
            for event in events.values()
            for market in event["markets"]
            if market["conditionId"] in wanted
            or not set(tokens).isdisjoint(json.loads(market["clobTokenIds"]))
        ]
        return json.dumps({"markets": markets}).encode()

    def page(self, query):
        events = [
            event
            for _, event in sorted(self.events.items())
            if query.get("tag_slug") in {None, *(tag["slug"] for tag in event["tags"])}
        ]
        if query.get("order"):
            events.reverse()
        at, limit = int(query.get("after_cursor", 0)), int(query["limit"])
        page = {"events": events[at : at + limit]}
        if at + limit < len(events):
            page["next_cursor"] = str(at + limit)
        return json.dumps(page).encode()


class Rig:
    def __init__(self, tools, rows=4, universe=None, held=lambda _market: False, **params):
        self.tools = tools
        self.venue = Venue(tools)
        self.clock = VirtualClock(1_000 * SECOND, (START_S - 600) * SECOND)
        self.table = tools.MemoryTable(MARKET_ROW, rows)
        self.stream = tools.MemoryStream("metadata", 1024)
        self.settle = tools.MemoryStream("settle", 1024)
        self.market = tools.MemoryStream("market", 1024)
        self.listings = tools.MemoryStream("listings", 1024)
        self.dossiers = tools.MemoryStream("dossiers", 256)
        self.universe = universe or UniverseParams()
        self.held = held
        self.params = MetadataParams(page_events=2, **params)
        self.wants = tools.MemoryTable(WANT_ROW, 4)
        self.ours = set()
        self.slow = lambda _path: False
        """Which questions are not answered for now."""
        self.unlisted = set()
        self.new_engine()

    def new_engine(self):
        self.counts = self.tools.Counts()
        self.notes = []
        self.pending = []
        self.instruments = Instruments()
        self.engine = MetadataEngine(
            self.params,
            self.universe,
            MarketRows(self.table.writer, self.stream.writer, self.instruments, self.held),
            self.fetch,
            self.fetch,
            self.clock,
            self.counts.cell,
            lambda kind, sample: self.notes.append((kind, sample)),
            settle=self.settle.new_reader(),
            market=self.market.new_reader(),
            listings=self.listings.writer,
            dossiers=self.dossiers.writer,
            wants=self.wants.reader,
            ours=lambda: self.ours,
            unlisted=lambda: self.unlisted,
        )

    def fetch(self, path, done, body=None):
        assert body is None, path
        self.venue.asked.append(path)
        self.pending.append((path, done))
        return True

    def run(self, for_ns, step_ns=100_000_000):
        """Let time pass; every question is answered a step later."""
        for _ in range(max(for_ns // step_ns, 1)):
            self.clock.advance(step_ns)
            pending, self.pending = self.pending, []
            for path, done in pending:
                if self.slow(path):
                    self.pending.append((path, done))
                else:
                    done(*self.venue.answer(path), self.clock.monotonic_ns())
            self.engine.turn(self.clock.monotonic_ns())

    def start(self, for_ns=2 * SECOND):
        self.engine.start()
        self.run(for_ns)
        return self

    def told(self):
        """The newest published word on each market."""
        return {"0x" + each.condition_id.hex(): each.reason for each in self.listings.take()}

    def want(self, *interests):
        for row, interest in enumerate(interests):
            WANT_ROW.pack(self.wants.writer.buffer, row_of_interest("tester", interest, 0))
            self.wants.writer.write(row)

    def watched(self):
        """Slug to how it is followed."""
        rows = [self.row(market) for market in range(self.table.reader.rows)]
        return {
            row.slug.rstrip(b"\0").decode(): Watch(row.watch) for row in rows if row is not None
        }

    def row(self, market=0):
        return self.table.row(market)

    def push(self, reason, tick_e4=0, generation=1, market=0):
        change = MarketStateChange(0, 0, 0, 0, market, generation, reason, 0, tick_e4)
        MARKET_STATE.pack(self.market.writer.buffer, change)
        self.market.writer.publish(MARKET_STATE.kind)

    def price(self, stamp_ns, price_e8, series=SettleSeries.CHAINLINK_TWAP_60, rest=7):
        record = Settle(0, stamp_ns, 0, 0, 0, price_e8, rest, Coin.BTC, series, 0)
        SETTLE.pack(self.settle.writer.buffer, record)
        self.settle.writer.publish(SETTLE.kind)


@pytest.fixture
def make(tools):
    return lambda **more: Rig(tools, **more)


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


def test_sweep_follows_every_page(make):
    rig = make(rows=8)
    for market in range(7):
        rig.venue.add(market)
    rig.start(4 * SECOND)
    assert rig.counts["metadata.markets"] == 7
    assert rig.counts["metadata.sweeps"] == 1


def test_new_listing_is_found_within_two_seconds_of_polls(make):
    rig = make()
    rig.start(4 * SECOND)
    rig.venue.add(3)
    rig.run(3 * SECOND)
    assert rig.row() is not None


def test_announced_market_without_a_row_asks_for_the_newest_at_once(make):
    rig = make(newest_ns=3600 * SECOND)
    rig.start(2 * SECOND)
    rig.venue.add(3)
    rig.push(MarketStateReason.LISTED, market=NO_MARKET)
    rig.run(SECOND)
    assert rig.row() is not None


def test_market_the_clob_does_not_know_yet_is_retried_until_it_does(make):
    rig = make()
    rig.venue.add(1)
    clob = rig.venue.clob.pop(rig.venue.cid(1))
    rig.start(30 * SECOND)
    assert rig.row() is None
    asked = sum("clob-markets" in path for path in rig.venue.asked)
    assert 2 <= asked <= 5
    assert rig.counts["metadata.not_yet_on_clob"] == asked
    rig.venue.clob[rig.venue.cid(1)] = clob
    rig.run(61 * SECOND)
    assert rig.row() is not None


def test_filters_keep_markets_out_and_say_why(make):
    universe = UniverseParams(
        tags=("crypto",), slug_prefixes=("a", "b"), slug_prefixes_excluded=("b",),
        liquidity_e6_min=500_000_000,
    )  # fmt: skip
    rig = make(universe=universe)
    rig.venue.add(1, slug="a-1", tags=("crypto",))
    rig.venue.add(2, slug="a-2", tags=("sport",))
    rig.venue.add(3, slug="b-3", tags=("crypto",))
    rig.venue.add(4, slug="c-4", tags=("crypto",))
    rig.venue.add(5, slug="a-5", tags=("crypto",), liquidityNum=499.99)
    rig.start(4 * SECOND)
    assert rig.counts["metadata.markets"] == 1
    expected = {
        rig.venue.cid(2): ListingReason.NO_WANTED_TAG,
        rig.venue.cid(3): ListingReason.SLUG_EXCLUDED,
        rig.venue.cid(4): ListingReason.NO_WANTED_SLUG,
        rig.venue.cid(5): ListingReason.LIQUIDITY,
    }
    # The sweep asks for the wanted tag only; without it the newest listings show the others.
    expected = {one: why for one, why in expected.items() if one in rig.engine.news.refused}
    assert len(expected) >= 3
    assert expected == rig.engine.news.refused
    assert rig.told() == expected


def test_cap_on_markets_holds(make):
    rig = make(universe=UniverseParams(markets_max=2), rows=8)
    for market in range(5):
        rig.venue.add(market)
    rig.start(4 * SECOND)
    assert rig.counts["metadata.markets"] == 2
    assert ListingReason.OUTRANKED in rig.engine.news.refused.values()


def test_what_a_module_wants_takes_the_places_of_what_nobody_wants(make):
    rig = make(universe=UniverseParams(markets_max=2, stay_ns=5 * SECOND), rows=8)
    for market in range(3):
        rig.venue.add(market, liquidityNum=1000 * (3 - market))
    rig.start(4 * SECOND)
    assert rig.watched() == {"market-0": Watch.SOCKET, "market-1": Watch.SOCKET}
    rig.want(Interest(100, slug_prefixes=("market-2",)))
    rig.run(10 * SECOND)
    assert rig.watched() == {
        "market-0": Watch.SOCKET, "market-1": Watch.NONE, "market-2": Watch.SOCKET,
    }  # fmt: skip
    row = rig.row(2)
    assert (row.priority, row.score_usd) == (100, 960)
    assert row.end_ns, "a market is only followed with its listing, also when it gets in late"


def test_what_becomes_ours_gets_its_place_back_and_keeps_it(make):
    held = set()
    rig = make(
        universe=UniverseParams(markets_max=1, stay_ns=0), rows=8, held=lambda row: row in held
    )
    rig.venue.add(0)
    rig.start(4 * SECOND)
    rig.want(Interest(5, slug_prefixes=("market-1",)))
    rig.venue.add(1)
    rig.run(4 * SECOND)
    assert rig.watched() == {"market-0": Watch.NONE, "market-1": Watch.SOCKET}
    held.add(0)
    rig.ours = {0}
    rig.run(7 * SECOND)
    assert rig.watched() == {"market-0": Watch.SOCKET, "market-1": Watch.NONE}
    rig.want(Interest(900, slug_prefixes=("market-1",)))
    rig.run(20 * SECOND)
    assert rig.watched()["market-0"] is Watch.SOCKET


def test_an_ended_market_of_which_we_hold_shares_gets_a_row_whatever_the_filters_say(make):
    rig = make(universe=UniverseParams(tags=("sports",), fee_rate_e6_max=0), rows=8)
    rig.venue.add(0)
    rig.venue.close(0, winner=1)
    rig.start(4 * SECOND)
    assert rig.row() is None
    rig.unlisted = {rig.tools.token(0, 1)}
    rig.run(SECOND)
    row = rig.row()
    assert "0x" + row.condition_id.hex() == rig.venue.cid(0)
    assert row.status != MarketStatus.ACTIVE
    rig.unlisted = set()
    rig.run(30 * SECOND)
    assert (rig.row().status, rig.row().winner) == (MarketStatus.RESOLVED, 2)


def test_a_running_market_that_no_filter_wants_gets_a_row_for_what_is_held(make):
    rig = make(universe=UniverseParams(tags=("sports",)), rows=8)
    rig.venue.add(0)
    rig.unlisted = {rig.tools.token(0, 0)}
    rig.start(SECOND)
    assert rig.row().status == MarketStatus.ACTIVE
    assert rig.engine.instruments.by_token[rig.tools.token(0, 0)].index == 0


def test_a_token_that_the_venue_does_not_know_is_asked_for_now_and_then(make):
    rig = make(rows=8)
    rig.unlisted = {"12345"}
    rig.start(21 * SECOND)
    asked = [path for path in rig.venue.asked if "clob_token_ids=12345" in path]
    assert 8 <= len(asked) <= 12
    assert rig.row() is None


def test_the_last_rows_are_no_markets(make):
    rig = make(rows=8)
    for market in range(9):
        rig.venue.add(market)
    rig.start(20 * SECOND)
    assert rig.row(6) is not None
    assert rig.row(7) is None


def test_beyond_the_sockets_markets_are_read_by_rest(make):
    rig = make(universe=UniverseParams(markets_max=3, socket_tokens_max=4), rows=8)
    for market in range(4):
        rig.venue.add(market, liquidityNum=1000 * (4 - market))
    rig.start(6 * SECOND)
    assert rig.watched() == {
        "market-0": Watch.SOCKET, "market-1": Watch.SOCKET, "market-2": Watch.POLL,
    }  # fmt: skip


def test_a_window_gets_its_place_when_it_comes_near(make):
    rig = make(universe=UniverseParams(markets_max=1, stay_ns=0), rows=8)
    rig.want(Interest(100, slug_prefixes=("btc-updown",), ends_within_ns=600 * SECOND))
    rig.venue.add(0)
    rig.venue.add(1, crypto=True)
    rig.start(10 * SECOND)
    assert rig.watched() == {"market-0": Watch.SOCKET}, "it ends in 900 s"
    rig.run(300 * SECOND, step_ns=SECOND)
    assert rig.watched()[f"btc-updown-5m-{START_S}"] is Watch.SOCKET
    assert rig.watched()["market-0"] is Watch.NONE


@pytest.mark.parametrize(
    ("filters", "changes", "reason"),
    [
        ({"fee_rate_e6_max": 0}, {"feesEnabled": True}, ListingReason.FEE),
        ({"delay_ms_max": 999}, {"secondsDelay": 1}, ListingReason.DELAY),
        ({"rules_words": ("Signed",)}, {"description": "if passed"}, ListingReason.RULES_TEXT),
        ({"rules_words": ("signed",)}, {}, ListingReason.RULES_TEXT),
        (
            {"rules_words_excluded": ("consensus of",)},
            {"description": "by a Consensus  of reporting"},
            ListingReason.RULES_TEXT,
        ),
        ({"series": ("nba",)}, {}, ListingReason.NO_WANTED_SERIES),
        ({"wanted_only": True}, {}, ListingReason.NO_MODULE),
    ],
)
def test_each_filter_keeps_out_what_it_says(make, filters, changes, reason):
    rig = make(universe=UniverseParams(**filters))
    rig.venue.add(1, **changes)
    if "feesEnabled" in changes:
        rig.venue.clob[rig.venue.cid(1)]["fd"] = {"r": 0.05, "e": 1, "to": True}
    rig.start(3 * SECOND)
    assert rig.row() is None
    assert rig.told() == {rig.venue.cid(1): reason}


def test_a_market_refused_for_its_facts_is_not_asked_about_all_the_time(make):
    rig = make(universe=UniverseParams(fee_rate_e6_max=0))
    rig.venue.add(1, feesEnabled=True)
    rig.venue.clob[rig.venue.cid(1)]["fd"] = {"r": 0.05, "e": 1, "to": True}
    rig.start(60 * SECOND)
    assert sum("clob-markets" in path for path in rig.venue.asked) == 1


def test_many_listings_at_once_are_found_without_waiting_for_the_sweep(make):
    rig = make(rows=64, newest_count=3)
    rig.start(4 * SECOND)
    for market in range(20):
        rig.venue.add(market)
    rig.run(int(1.9 * SECOND))
    assert len(rig.watched()) == 20


def test_the_age_of_the_sweep_is_a_metric(make):
    rig = make(sweep_ns=10 * SECOND)
    rig.venue.add(1)
    rig.start(5 * SECOND)
    assert 3 * SECOND <= rig.counts["metadata.sweep_age_ns"] <= 5 * SECOND
    rig.venue.down = True
    rig.run(50 * SECOND)
    assert rig.counts["metadata.sweep_age_ns"] > 40 * SECOND, "a sweep that fails grows old"


def test_a_reason_is_published_once_and_again_after_each_sweep(make):
    universe = UniverseParams(slug_prefixes=("a",))
    rig = make(universe=universe, sweep_ns=10 * SECOND)
    rig.venue.add(1, slug="b-1")
    rig.start(5 * SECOND)
    told = rig.listings.take()
    assert {each.condition_id.hex() for each in told} == {rig.venue.cid(1)[2:]}
    assert [each.reason for each in told[-1:]] == [ListingReason.NO_WANTED_SLUG]
    assert told[-1].slug.rstrip(b"\0") == b"b-1"
    rig.run(2 * SECOND)
    assert rig.listings.take() == [], "polls of the newest listings repeat nothing"
    rig.run(10 * SECOND)
    assert [each.reason for each in rig.listings.take()] == [ListingReason.NO_WANTED_SLUG]


def test_a_market_that_waits_for_its_trading_facts_is_out_until_they_come(make):
    rig = make()
    rig.venue.add(1)
    facts = rig.venue.clob.pop(rig.venue.cid(1))
    rig.start(3 * SECOND)
    assert rig.told() == {rig.venue.cid(1): ListingReason.NOT_ON_CLOB}
    rig.venue.clob[rig.venue.cid(1)] = facts
    rig.run(60 * SECOND)
    assert rig.told() == {rig.venue.cid(1): ListingReason.FOLLOWED}
    assert rig.engine.news.refused == {}


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


def test_trading_volume_alone_asks_the_clob_nothing(make):
    rig = make()
    rig.venue.add(1)
    rig.start()
    for step in range(5):
        rig.venue.events[1]["markets"][0]["volume24hr"] = step + 20
        rig.run(3 * SECOND)
    assert sum("clob-markets" in path for path in rig.venue.asked) == 1


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


def test_row_is_given_away_only_after_an_hour_and_with_nothing_held(make):
    held = [True]
    rig = make(rows=1, held=lambda _market: held[0], retry_ns_max=60 * SECOND)
    rig.venue.add(1)
    rig.start()
    rig.venue.close(1, winner=0)
    rig.push(MarketStateReason.RESOLVED)
    rig.run(2 * SECOND)
    assert rig.row().winner == 1
    rig.venue.add(2)
    rig.run(3_000 * SECOND, SECOND)
    assert rig.row().generation == 1
    rig.run(1_000 * SECOND, SECOND)
    assert rig.row().generation == 1
    held[0] = False
    rig.run(120 * SECOND, SECOND)
    row = rig.row()
    assert (row.generation, row.winner, row.status) == (2, 0, MarketStatus.ACTIVE)
    assert row.condition_id == rig.tools.condition(2)
    assert rig.tools.token(1) not in rig.instruments.by_token
    assert rig.tools.token(2) in rig.instruments.by_token


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


# ------------------------------------------------------------------ start prices
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


# ------------------------------------------------------------------ bad answers
def test_outage_is_counted_and_survived(make):
    rig = make()
    rig.venue.add(1)
    rig.venue.down = True
    rig.start(10 * SECOND)
    assert rig.counts["metadata.requests_failed"] > 0
    rig.venue.down = False
    rig.run(10 * SECOND)
    assert rig.row() is not None


def test_dead_cursor_begins_the_sweep_again(make):
    rig = make(rows=8, newest_ns=3600 * SECOND, newest_count=1)
    for market in range(5):
        rig.venue.add(market)
    page = rig.venue.page
    rig.venue.page = lambda query: b"{" if "after_cursor" in query else page(query)
    rig.start(20 * SECOND)
    assert rig.counts["metadata.malformed"] >= 3
    rig.venue.page = page
    rig.run(60 * SECOND)
    assert rig.counts["metadata.markets"] == 5
    first_pages = [path for path in rig.venue.asked if "after_cursor" not in path]
    assert len(first_pages) >= 2


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


def test_new_listing_is_asked_about_before_an_overdue_host_of_known_markets(make):
    rig = make(rows=64, asked_max=4, refresh_ns=2 * SECOND)
    for market in range(40):
        rig.venue.add(market)
    rig.start(30 * SECOND)
    assert rig.counts["metadata.markets"] == 40
    # Two hours without one answer: everything is overdue, and its questions fill their places.
    rig.slow = lambda _path: True
    rig.run(2 * 3600 * SECOND, 60 * SECOND)
    waiting = [path for path, _ in rig.pending if "/clob-markets/" in path]
    assert len(waiting) == 3, "one place of four stays free for new markets"
    rig.venue.add(50)
    rig.slow = lambda path: "/clob-markets/" in path and rig.venue.cid(50) not in path
    rig.run(2 * SECOND)
    assert b"market-50" in {rig.row(at).slug.rstrip(b"\0") for at in range(41) if rig.row(at)}


def test_new_markets_are_asked_about_by_the_priority_that_wants_them(make):
    rig = make(rows=64, asked_max=1)
    rig.want(Interest(100, slug_prefixes=("wanted",)))
    for market in range(20):
        rig.venue.add(market)
    rig.venue.add(30, slug="wanted-30")
    rig.start(4 * SECOND)
    asked = [path for path in rig.venue.asked if "/clob-markets/" in path]
    place = next(at for at, path in enumerate(asked) if rig.venue.cid(30) in path)
    assert place <= 3, "it overtakes what was listed a little before"


def test_question_that_failed_late_is_asked_again(make):
    rig = make()
    rig.venue.add(1)
    rig.slow = lambda path: "/clob-markets/" in path
    rig.start(20 * SECOND)
    [(path, done)] = [one for one in rig.pending if "/clob-markets/" in one[0]]
    rig.pending = [one for one in rig.pending if one[0] != path]
    rig.slow = lambda _path: False
    done(0, b"", rig.clock.monotonic_ns())
    rig.run(10 * SECOND)
    assert rig.row() is not None
