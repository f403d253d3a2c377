"""Two weeks of births and deaths under a cap: nothing grows, nothing of an old life is used.

Method: a venue of thousands of lasting markets, beside which windows of five minutes are listed,
close and resolve all day, on a virtual clock. The engine asks it over its ports; every answer comes
a step later. A reader follows the table as every process does. Time goes in half seconds after
each birth, where delays are measured, and in thirty in between, with as many answers as a paced
client gets in such a while.
"""

import gc
import json
import sys
from urllib.parse import parse_qs, urlsplit

import pytest

from lowlat.core.clock import VirtualClock
from lowlat.core.directory import MarketDirectory
from lowlat.core.instruments import Instruments
from lowlat.core.interest import Interest, row_of_interest
from lowlat.core.layout import MARKET_ROW, WANT_ROW, MarketStatus, Watch
from lowlat.feeds._rows import MarketRows
from lowlat.feeds.metadata import MetadataEngine
from lowlat.feeds.params import MetadataParams, UniverseParams

SECOND = 1_000_000_000
DAY_S = 86_400
START_S = 1_795_305_600
WINDOW_S = 300
COINS = ("btc", "eth", "sol", "xrp", "doge", "ada", "bnb", "ltc", "link", "avax")
AHEAD = 3
"""Windows listed before they begin."""
EVENT_MARKETS = 10
ASKED_MAX = MetadataParams().asked_max


class Days:
    """The venue: lasting events of ten markets, and windows that come and go."""

    def __init__(self, clock, markets):
        self.clock = clock
        self.lasting = markets // EVENT_MARKETS
        self.listed_at = {}
        self.windows = {}
        self.closed = {}
        self.born = 0
        self._pages = {}
        self._stepped_s = 0

    def now_s(self):
        return self.clock.wall_ns() // SECOND

    def step(self):
        """List the windows that are due and close those that ended."""
        now_s = self.now_s()
        at_s = now_s // WINDOW_S * WINDOW_S
        if at_s == self._stepped_s:
            return
        self._stepped_s = at_s
        for ahead in range(AHEAD + 1):
            start_s = at_s + ahead * WINDOW_S
            for coin in range(len(COINS)):
                number = 10**6 + start_s // WINDOW_S * 16 + coin
                if number not in self.windows:
                    self.windows[number] = (coin, start_s)
                    self.listed_at[cid(number)] = now_s
                    self.born += 1
        for number, (_, start_s) in list(self.windows.items()):
            if start_s + WINDOW_S <= now_s:
                del self.windows[number]
                self.closed[number] = now_s
        for number, closed_s in list(self.closed.items()):
            if closed_s + 3_600 < now_s:
                del self.closed[number]

    def answer(self, path):
        parts = urlsplit(path)
        query = parse_qs(parts.query)
        if parts.path == "/events/keyset":
            return 200, self.page(query)
        if parts.path == "/markets/keyset":
            found = [self.market(number_of(one)) for one in query["condition_ids"]]
            return 200, json.dumps({"markets": [one for one in found if one]}).encode()
        condition_id = parts.path.rsplit("/", 1)[1]
        number = number_of(condition_id)
        if parts.path.startswith("/clob-markets/"):
            return 200, json.dumps(
                {
                    "c": condition_id,
                    "t": [{"t": token(number, at), "o": label} for at, label in enumerate(LABELS)],
                    "mts": 0.01,
                    "mos": 5,
                    "ao": number not in self.closed,
                }
            ).encode()
        resolved = number in self.closed and self.closed[number] + 60 < self.now_s()
        return 200, json.dumps(
            {
                "condition_id": condition_id,
                "closed": number in self.closed,
                "tokens": [
                    {"token_id": token(number, at), "winner": resolved and at == 0} for at in (0, 1)
                ],
            }
        ).encode()

    def page(self, query):
        """Newest first: windows, then lasting events; the sweep goes the other way round."""
        limit, at = int(query["limit"][0]), int(query.get("after_cursor", ["0"])[0])
        windows = sorted(self.windows)
        total = self.lasting + len(windows)
        newest = "order" in query
        numbers = [
            total - 1 - each if newest else each for each in range(at, min(at + limit, total))
        ]
        events = [
            self.event(each) if each < self.lasting else self.window(windows[each - self.lasting])
            for each in numbers
        ]
        after = f',"next_cursor":"{at + limit}"' if at + limit < total else ""
        return f'{{"events":[{",".join(events)}]{after}}}'.encode()

    def event(self, number):
        text = self._pages.get(number)
        if text is None:
            members = range(number * EVENT_MARKETS, (number + 1) * EVENT_MARKETS)
            markets = [self.market(member) for member in members]
            text = self._pages[number] = json.dumps({"id": str(number), "markets": markets})
        return text

    def window(self, number):
        return json.dumps({"id": str(number), "markets": [self.market(number)]})

    def market(self, number):
        if number >= 10**6:
            if number not in self.windows:
                return None
            coin, start_s = self.windows[number]
            slug, end_s = f"{COINS[coin]}-updown-5m-{start_s}", start_s + WINDOW_S
        else:
            slug, end_s = f"lasting-{number}", START_S + 300 * DAY_S
        return {
            "id": str(number),
            "conditionId": cid(number),
            "slug": slug,
            "question": slug,
            "outcomes": '["Yes","No"]',
            "clobTokenIds": json.dumps([token(number, 0), token(number, 1)]),
            "active": True,
            "closed": False,
            "acceptingOrders": True,
            "enableOrderBook": True,
            "negRisk": False,
            "feesEnabled": False,
            "endDate": iso(end_s),
            "liquidityNum": 100 + number % 977,
            "description": f"Rules of {slug}.",
        }


LABELS = ("Yes", "No")


def cid(number):
    return f"0x{number:064x}"


def number_of(condition_id):
    return int(condition_id, 16)


def token(number, outcome):
    return str(10**70 + 2 * number + outcome)


def iso(at_s):
    days, rest = divmod(at_s - START_S, DAY_S)
    month, day = divmod(days, 28)
    year, month = divmod(11 + month, 12)
    clock = f"{rest // 3600:02}:{rest % 3600 // 60:02}:{rest % 60:02}"
    # Lasting ends need no true calendar; windows end within days of the start.
    if days < 9:
        return f"2026-11-{22 + days:02}T{clock}Z"
    if days < 40:
        return f"2026-12-{days - 8:02}T{clock}Z"
    return f"{2026 + year}-{month + 1:02}-{day + 1:02}T{clock}Z"


class Rig:
    def __init__(self, tools, markets, places, rows, sweep_s, refresh_s=600):
        self.clock = VirtualClock(1_000 * SECOND, START_S * SECOND)
        self.venue = Days(self.clock, markets)
        self.table = tools.MemoryTable(MARKET_ROW, rows)
        self.stream = tools.MemoryStream("metadata", 1024)
        self.wants = tools.MemoryTable(WANT_ROW, 4)
        wish = Interest(100, slug_prefixes=tuple(f"{one}-updown" for one in COINS[:8]))
        wishes = [wish, Interest(100, slug_prefixes=tuple(f"{one}-updown" for one in COINS[8:]))]
        for row, each in enumerate(wishes):
            WANT_ROW.pack(self.wants.writer.buffer, row_of_interest("latency", each, 0))
            self.wants.writer.write(row)
        self.counts = tools.Counts()
        self.pending = []
        self.notes = []
        self.engine = MetadataEngine(
            MetadataParams(sweep_ns=sweep_s * SECOND, refresh_ns=refresh_s * SECOND),
            UniverseParams(markets_max=places, socket_tokens_max=2 * places),
            MarketRows(self.table.writer, self.stream.writer, Instruments()),
            self.fetch,
            self.fetch,
            self.clock,
            self.counts.cell,
            lambda kind, sample: self.notes.append((kind, sample)),
            listings=tools.MemoryStream("listings", 256).writer,
            dossiers=tools.MemoryStream("dossiers", 64).writer,
            wants=self.wants.reader,
        )
        self.reader = MarketDirectory(self.table.reader, self.stream.new_reader())
        self.lives = {}
        """Newest generation by row, and the condition id it belongs to."""
        self.delays_s = []
        self.sweep_age_s_max = 0
        self.engine.start()
        self.reader.start()

    def fetch(self, path, done, body=None):
        assert body is None, path
        self.pending.append((path, done))
        return True

    def run(self, for_s):
        end_ns = self.clock.monotonic_ns() + for_s * SECOND
        while self.clock.monotonic_ns() < end_ns:
            since_birth_s = self.venue.now_s() % WINDOW_S
            step_ns = SECOND // 2
            if since_birth_s >= 6:
                step_ns = min(30, WINDOW_S - since_birth_s) * SECOND
            self.clock.advance(step_ns)
            self.venue.step()
            # What a client paced at 40 a second gets answered meanwhile; at least one round.
            for _ in range(max(step_ns * 40 // SECOND // ASKED_MAX, 1)):
                pending, self.pending = self.pending, []
                for path, done in pending:
                    done(*self.venue.answer(path), self.clock.monotonic_ns())
                self.engine.turn(self.clock.monotonic_ns())
                if not self.pending:
                    break
            self.look()

    def look(self):
        """Follow the table as a process does; hold every row against what it said before."""
        for row in self.reader.poll():
            condition_id = "0x" + row.condition_id.hex()
            generation, owner = self.lives.get(row.market, (0, None))
            if owner == condition_id:
                assert row.generation == generation
            else:
                assert row.generation == generation + 1, "a new life is one generation higher"
                self.lives[row.market] = (row.generation, condition_id)
                if condition_id in self.venue.listed_at:
                    listed_s = self.venue.listed_at.pop(condition_id)
                    self.delays_s.append(self.venue.now_s() - listed_s)
        age_s = self.counts["metadata.sweep_age_ns"] // SECOND
        self.sweep_age_s_max = max(self.sweep_age_s_max, age_s)

    def no_row_lies(self):
        """Every token the reader knows is of the market that has the row now."""
        for index, instrument in self.reader.instruments.by_index.items():
            generation, condition_id = self.lives[index // 2]
            assert (instrument.generation, instrument.market_id) == (generation, condition_id)


def live(
    tools,
    *,
    markets,
    places,
    rows,
    warm_s,
    days_s,
    chunks,
    sweep_s=300,
    refresh_s=600,
    say=lambda rig, sizes: None,
):
    rig = Rig(tools, markets, places, rows, sweep_s, refresh_s)
    rig.run(warm_s)
    rig.delays_s.clear()
    gc.collect()
    sizes = []
    for _ in range(chunks):
        rig.run(days_s // chunks)
        rig.no_row_lies()
        # The test's own notes are not what is measured.
        rig.venue.listed_at.clear()
        gc.collect()
        sizes.append(sys.getallocatedblocks())
        say(rig, sizes)
    return rig, sizes


def judge(rig, sizes, places):
    assert rig.notes == []
    assert max(rig.delays_s) <= 2, "a listing has its row within two seconds"
    assert rig.counts["metadata.no_row_free"] == 0
    assert rig.counts["metadata.places_taken"] <= places
    assert rig.counts["metadata.resolved"] > 0
    # The reader's notes on rows stop growing once every row was used: flat from half way on. Of
    # several looks the least counts: some fall into a page that is being taken apart.
    looks = max(1, len(sizes) // 4)
    half = len(sizes) // 2 + 1
    middle, last = min(sizes[half - looks : half]), min(sizes[-looks:])
    assert last - middle < middle // 50 + 500, sizes


def test_hours_of_windows_under_a_cap(tools):
    rig, sizes = live(
        tools, markets=200, places=150, rows=360, warm_s=600, days_s=2 * 3600, chunks=4
    )
    judge(rig, sizes, 150)
    assert len(rig.delays_s) > 200
    followed = [row for row in rig.reader.instruments.markets.values() if row.watch == Watch.SOCKET]
    windows = [row for row in followed if row.slug.startswith(tuple(c.encode() for c in COINS))]
    active = [row for row in windows if row.status == MarketStatus.ACTIVE]
    assert len(active) >= (AHEAD + 1) * len(COINS), "every window that a module wants has a place"
    assert max(row.generation for row in followed) > 1, "rows were given away"


@pytest.mark.marathon
@pytest.mark.stress
def test_fourteen_days_beside_thirty_thousand_markets(tools, capsys):
    def say(rig, sizes):
        with capsys.disabled():
            sys.stdout.write(
                f"\n  day {len(sizes)}: {2 * rig.venue.born} tokens born, "
                f"{len(rig.delays_s)} windows given a row, slowest after {max(rig.delays_s)} s; "
                f"{rig.counts['metadata.in_the_running']} in the running, "
                f"{rig.counts['metadata.places_taken']} places taken, sweep at most "
                f"{rig.sweep_age_s_max} s old, {sizes[-1]} allocated blocks"
            )
            sys.stdout.flush()

    rig, sizes = live(
        tools,
        markets=30_000,
        places=2_000,
        rows=5_120,
        warm_s=3_600,
        days_s=14 * DAY_S,
        chunks=14,
        sweep_s=7_200,
        # Known markets are asked about six times rarer than by default: that is most of the cost.
        refresh_s=3_600,
        say=say,
    )
    judge(rig, sizes, 2_000)
    assert 2 * rig.venue.born >= 80_000
    assert rig.counts["metadata.in_the_running"] >= 30_000
