"""A metadata engine beside a little venue that answers Gamma and CLOB paths; time is virtual."""

import json
from urllib.parse import parse_qs, urlsplit

from lowlat.core.clock import VirtualClock
from lowlat.core.instruments import Instruments
from lowlat.core.interest import row_of_interest
from lowlat.core.layout import (
    MARKET_ROW,
    MARKET_STATE,
    SETTLE,
    WANT_ROW,
    Coin,
    MarketStateChange,
    Settle,
    SettleSeries,
    Watch,
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
