"""The settlement service against the simulator's relayer, chain and indexer, without sockets.

Signatures are recovered, calls decoded and histories told by the simulator with other code than
made them; where a test needs another history, it tells one.
"""

import json
import time
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import select

from lowlat.app.ledger_check import VenueReader
from lowlat.app.panic import CancelCredentials
from lowlat.app.settlement import Settler
from lowlat.app.wallet_history import fetch_history, notes_of
from lowlat.core.layout import Action
from lowlat.sim.config import load_config
from lowlat.sim.venue import Venue
from lowlat.sim.wire import Request
from lowlat.store.ledger import schema
from lowlat.store.ledger.booking import FillChange
from lowlat.store.ledger.database import open_database
from lowlat.store.ledger.inbox import InboxEngine, InboxMeters
from lowlat.store.ledger.writer import Ledger
from lowlat.venues.polymarket.eip712 import SigningKey
from lowlat.venues.polymarket.relayer import RelayerRequests
from lowlat.venues.polymarket.wallet import ActivityRow, Condition, WalletRequests

KEY = SigningKey(bytes.fromhex("59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"))
SHARE = 1_000_000
QUIET = {
    "coins": [],
    "markets": 8,
    "neg_risk_events": 1,
    "tape": "none",
    "auto_redeem": False,
    "flow": {"events_per_s": 0, "edges": []},
}
HASH = "0x" + "ab" * 32


class Cell:
    def __init__(self):
        self.value = 0

    def add(self, count):
        self.value += count


class Host:
    """One service of the simulated venue behind the calls that a socket would carry."""

    host = "venue.test"

    def __init__(self, world, service):
        self._world = world
        self._service = service

    def get(self, path):
        return self.call(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())

    def call(self, raw):
        head, _, body = raw.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        method, target, _ = first.split(" ")
        parts = urlsplit(target)
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        request = Request(method, parts.path, parse_qs(parts.query), headers, body)
        self._world.asked.append(f"{method} {parts.path}")
        if parts.path == "/v2/activity" and self._world.activity:
            page = {"data": self._world.activity, "pagination": {"has_more": False}}
            return 200, json.dumps(page).encode()
        answers = []
        getattr(self._world.venue, f"{self._service}_request")(request, answers.append)
        self._world.advance(0.01)
        (answer,) = answers
        return answer.status, answer.body


class World:
    """A venue, one deposit wallet with shares, a ledger that knows whose they are."""

    def __init__(self, folder, **config):
        self.venue = Venue(load_config(QUIET | config), time.time_ns())
        self.folder = folder
        self.asked = []
        self.activity = []
        api = self.venue.credentials.create(KEY.address_text)
        self.account = self.venue.credentials.open_deposit_wallet(KEY.address_text.lower())
        self.account.redeems_itself = True
        self.database = open_database(f"sqlite:///{folder}/ledger.db")
        self.ledger = Ledger(self.database)
        meters = InboxMeters(*(Cell() for _ in InboxMeters.__struct_fields__))
        self.inbox = InboxEngine(folder, self.ledger, meters)
        self._turn_ns = 0
        self._held = {}
        credentials = CancelCredentials(
            api.key, api.secret, api.passphrase, KEY.address_text, self.account.wallet, 3
        )
        reader = VenueReader("http://venue.test", "", credentials)
        reader._calls = Host(self, "clob")
        relayer_key = self.venue.credentials.relayer_key(KEY.address_text)
        self.settler = Settler(
            self.database,
            folder,
            reader,
            Host(self, "clob"),
            Host(self, "data"),
            Host(self, "relayer"),
            WalletRequests("venue.test", self.account.wallet),
            RelayerRequests("venue.test", KEY, self.account.wallet, relayer_key),
            self.advance,
        )

    def advance(self, seconds):
        self.venue.step(self.venue.now_ns + int(seconds * 1e9))

    def market(self, *, neg_risk=False, version="v1"):
        return next(
            m for m in self.venue.exchange.markets
            if m.rules.neg_risk == neg_risk and m.version == version
        )  # fmt: skip

    def hold(self, market, shares, owner="arbitrage", ledger=True):
        """Split sets at the venue and book both sides for an owner in the ledger."""
        self.venue.exchange.accounts.split(self.account, market.index, shares * SHARE)
        for token in market.tokens if ledger else ():
            number = len(self._held)
            human = owner == "human"
            state = "RECONCILED" if human else "MATCHED"
            held = self._held.get(token, 0) + shares * SHARE
            self._held[token] = held
            self._held[number] = 0
            fill = ("", "") if human else (f"0x{number:064x}", f"t{number}")
            change = FillChange(
                *fill, token, owner if not human else "", state, Action.BUY, 0, 5_000,
                shares * SHARE, 0 if human else shares * SHARE // 2, 0, held,
            )  # fmt: skip
            with self.database.begin() as connection:
                self.ledger._booking.take(connection, [change], 1)
                if not human:
                    row = schema.FILLS
                    connection.execute(row.update().values(state="CONFIRMED"))

    def round(self, *, dry=False):
        found = self.settler.round(dry=dry)
        self.told()
        return found

    def history(self):
        """Return what the venue's indexer says that the wallet did."""
        settler = self.settler
        return fetch_history(settler._data, settler._wallet, settler._condition_of, 1_000).notes

    def told(self):
        self._turn_ns += 10**10
        return self.inbox.turn(self._turn_ns)

    def rows(self, table):
        with self.database.connect() as connection:
            return connection.execute(select(table)).all()


@pytest.fixture
def world_of(tmp_path):
    made = []

    def make(**config):
        made.append(World(tmp_path, **config))
        return made[-1]

    yield make
    for each in made:
        each.database.dispose()


@pytest.mark.parametrize("neg_risk", [False, True])
def test_complete_sets_are_merged_and_proven_by_both_balances(world_of, neg_risk):
    world = world_of()
    world.hold(world.market(neg_risk=neg_risk), 12)
    before = world.account.cash_e6
    found = world.round()
    assert found.problem == ""
    assert [(step.kind, step.size_e6) for step in found.plan.steps] == [("merge", 12 * SHARE)]
    assert found.plan.capital.mergeable_e6 == 12 * SHARE
    assert found.plan.capital.held_cost_e6 == 12 * SHARE
    (note,) = found.done
    assert note.state == "proven", note.error
    assert (note.before_e6, note.after_e6) == (before, before + 12 * SHARE)
    assert world.account.cash_e6 == before + 12 * SHARE
    assert world.account.tokens_e6 == {}
    (row,) = world.rows(schema.SETTLEMENTS)
    assert (row.state, row.after_e6, len(row.transaction_hash)) == ("proven", note.after_e6, 66)
    assert world.round().plan.steps == []


def test_winnings_are_redeemed_and_proven(world_of):
    world = world_of()
    market = world.market()
    world.hold(market, 9)
    world.venue.exchange.resolve(market, 1, world.venue.now_ns)
    before = world.account.cash_e6
    found = world.round()
    (note,) = found.done
    assert (note.kind, note.state, note.expected_e6) == ("redeem", "proven", 9 * SHARE), note
    assert found.plan.capital.redeemable_e6 == 9 * SHARE
    assert world.account.cash_e6 == before + 9 * SHARE


def test_sets_of_the_newer_protocol_are_merged_through_its_router(world_of):
    world = world_of(v2_markets=1)
    world.hold(world.market(version="v2"), 7)
    before = world.account.cash_e6
    (note,) = world.round().done
    assert (note.kind, note.state, len(note.condition_id)) == ("merge", "proven", 64), note
    assert world.account.cash_e6 == before + 7 * SHARE
    assert world.account.tokens_e6 == {}


@pytest.mark.parametrize("winner", [0, 1])
def test_winnings_of_the_newer_protocol_are_redeemed_and_losing_shares_stay(world_of, winner):
    """Its router redeems one outcome: what lost is worth nothing and stays in the wallet."""
    world = world_of(v2_markets=1)
    market = world.market(version="v2")
    world.hold(market, 9)
    world.venue.exchange.resolve(market, winner, world.venue.now_ns)
    before = world.account.cash_e6
    (note,) = world.round().done
    assert (note.kind, note.state, note.expected_e6) == ("redeem", "proven", 9 * SHARE), note
    assert world.account.cash_e6 == before + 9 * SHARE
    assert world.account.tokens_e6 == {2 * market.index + 1 - winner: 9 * SHARE}
    again = world.round()
    assert (again.problem, again.plan.steps) == ("", [])


def test_what_was_merged_is_a_movement_that_closes_its_lots(world_of):
    """The venue's history closes the lots that the executor only saw go."""
    world = world_of(index_lag_ms=[0, 0])
    market = world.market()
    world.hold(market, 12)
    (note,) = world.round().done
    assert world.round().problem == ""
    movements = [row for row in world.rows(schema.MOVEMENTS) if row.kind == "merge"]
    assert [(row.size_e6, row.cash_e6, row.booked) for row in movements] == [
        (-12 * SHARE, 12 * SHARE, 0)
    ]
    assert note.state == "proven"
    assert {movements[0].token_id, movements[0].other_token_id} == set(market.tokens)
    for token in market.tokens:
        gone = FillChange("", "", token, "", "RECONCILED", Action.BUY, 0, 0, -12 * SHARE, 0, 0, 0)
        with world.database.begin() as connection:
            world.ledger._booking.take(connection, [gone], 9)
    world.round()
    closings = world.rows(schema.CLOSINGS)
    assert {(row.why, row.proceeds_e6 - row.cost_e6) for row in closings} == {("merge", 0)}


def noes_of(world, shares, *, event_markets=None, **hold):
    """Split sets in markets of an event and leave only NO: of all of them, or of the first few."""
    event = next(iter(world.venue.exchange.neg_risk_events.values()))
    markets = event.markets[:event_markets]
    accounts = world.venue.exchange.accounts
    other = accounts.open("0x" + "0e" * 20, "other", 0, 0)
    for market in markets:
        world.hold(market, shares, **hold)
        # YES goes to somebody else, in the ledger as at the venue.
        accounts._tokens(world.account, 2 * market.index, -shares * SHARE)
        accounts._tokens(other, 2 * market.index, shares * SHARE)
        gone(world, market.tokens[0], shares)
    return markets


def gone(world, token, shares):
    """Let the executor see shares go without an order."""
    size_e6 = -shares * SHARE
    change = FillChange("", "", token, "", "RECONCILED", Action.BUY, 0, 0, size_e6, 0, 0, 0)
    with world.database.begin() as connection:
        world.ledger._booking.take(connection, [change], 9)
    # As the writer does behind each difference.
    world.ledger.note([])


def test_no_of_every_market_of_an_event_is_converted_and_proven(world_of):
    """NO of all n markets is n - 1 dollars: exactly one of them says YES."""
    world = world_of(index_lag_ms=[0, 0])
    markets = noes_of(world, 8)
    before, freed = world.account.cash_e6, (len(markets) - 1) * 8 * SHARE
    found = world.round()
    assert found.problem == ""
    (step,) = found.plan.steps
    assert (step.kind, step.size_e6, step.expected_e6) == ("convert", 8 * SHARE, freed)
    assert step.tokens == tuple(market.tokens[1] for market in markets)
    assert found.plan.capital.mergeable_e6 == freed
    (note,) = found.done
    assert (note.state, note.before_e6, note.after_e6) == ("proven", before, before + freed), note
    assert not any(world.account.tokens_e6.values())
    # The wallet's history tells it, too: by token it is told once, and closes the lots.
    for market in markets:
        gone(world, market.tokens[1], 8)
    assert [world.round().plan.steps for _ in range(2)] == [[], []]
    moved = [row for row in world.rows(schema.MOVEMENTS) if row.kind == "convert"]
    assert {row.token_id for row in moved} == set(step.tokens)
    assert {row.transaction_hash for row in moved} == {note.transaction_hash}
    assert sum(row.cash_e6 for row in moved) == freed
    closings = [row for row in world.rows(schema.CLOSINGS) if row.why == "convert"]
    assert len(closings) == len(markets)
    assert sum(row.proceeds_e6 for row in closings) == freed


def test_a_history_that_tells_a_conversion_of_ours_is_not_told_twice(world_of):
    world = world_of(index_lag_ms=[0, 0])
    noes_of(world, 8)
    (note,) = world.settler.round(dry=False).done
    conversions = world.settler._conversions
    told = [row for row in world.history() if row.kind == "convert"]
    assert [each.transaction_hash for each in told] == [note.transaction_hash]
    # While its notes still wait for the recorder, and once the ledger has them.
    assert conversions.without_own(told) == []
    world.told()
    assert conversions.without_own(told) == []
    assert world.rows(schema.MOVEMENTS)


def test_sets_of_no_are_converted_only_where_every_market_is_held(world_of):
    world = world_of()
    noes_of(world, 8, event_markets=-1)
    assert world.round().plan.steps == []


def test_both_sides_are_merged_before_what_is_left_of_no_is_converted(world_of):
    world = world_of()
    markets = noes_of(world, 8)
    world.hold(markets[0], 3)
    found = world.round()
    assert [(step.kind, step.size_e6) for step in found.plan.steps] == [
        ("merge", 3 * SHARE),
        ("convert", 8 * SHARE),
    ]
    assert [note.state for note in found.done] == ["proven", "proven"], found.problem
    assert not any(world.account.tokens_e6.values())


def test_events_that_cannot_be_read_stop_conversions_alone(world_of):
    world = world_of()
    noes_of(world, 8)
    world.hold(world.market(), 4)
    real = world.settler._data.call

    def call(raw):
        return (200, b'{"data":[{"token_id":7}]}') if b"/v2/tokens" in raw else real(raw)

    world.settler._conversions._data.call = call
    found = world.round()
    assert [(note.kind, note.state) for note in found.done] == [("merge", "proven")]
    ((what, why),) = found.plan.skipped
    assert what == "sets of NO"
    assert "/v2/tokens" in why


def test_a_persons_no_is_never_converted(world_of):
    world = world_of()
    noes_of(world, 5)
    noes_of(world, 2, owner="human")
    (step,) = world.round().plan.steps
    assert (step.kind, step.size_e6) == ("convert", 5 * SHARE)


def test_an_event_of_which_a_market_is_resolved_waits_for_redemption(world_of):
    world = world_of()
    markets = noes_of(world, 8)
    world.venue.exchange.resolve(markets[1], 1, world.venue.now_ns)
    assert {step.kind for step in world.round().plan.steps} == {"redeem"}


def test_a_conversion_that_a_person_made_is_cash_alone(world_of):
    world = world_of()
    world.activity = [
        {"type": "CONVERSION", "timestamp": 1_795_305_600, "transaction_hash": HASH,
         "size": 5, "usdc_size": 10},
    ]  # fmt: skip
    for _ in range(2):
        assert world.round().problem == ""
    (movement,) = world.rows(schema.MOVEMENTS)
    assert (movement.kind, movement.cash_e6, movement.booked) == ("convert", 10 * SHARE, 2)


def test_a_dry_run_moves_nothing(world_of):
    world = world_of()
    world.hold(world.market(), 5)
    found = world.round(dry=True)
    assert len(found.plan.steps) == 1
    assert found.done == []
    assert not [each for each in world.asked if each == "POST /submit"]


def test_a_persons_shares_are_never_merged(world_of):
    world = world_of()
    market = world.market()
    world.hold(market, 4)
    world.hold(market, 6, owner="human")
    (note,) = world.round().done
    assert (note.size_e6, note.state) == (4 * SHARE, "proven")
    assert set(world.account.tokens_e6.values()) == {6 * SHARE}


def test_a_persons_shares_are_never_redeemed_with_ours(world_of):
    world = world_of()
    market = world.market()
    world.hold(market, 4)
    world.hold(market, 6, owner="human")
    world.venue.exchange.resolve(market, 0, world.venue.now_ns)
    found = world.round()
    assert found.done == []
    assert found.plan.skipped == [
        (market.condition_id, "a person owns some of these shares: redeem them by hand")
    ]


def test_shares_that_the_ledger_does_not_know_are_left_alone(world_of):
    world = world_of()
    world.hold(world.market(), 4, ledger=False)
    assert world.round().plan.steps == []


def test_tokens_of_open_orders_and_unsettled_fills_wait(world_of):
    world = world_of()
    world.hold(world.market(), 4)
    with world.database.begin() as connection:
        connection.execute(schema.FILLS.update().values(state="MATCHED"))
    found = world.round()
    assert found.plan.steps == []
    assert "under way" in found.plan.skipped[0][1]


def test_what_the_chain_refuses_ends_the_round_and_is_kept(world_of):
    world = world_of()
    world.hold(world.market(), 4)
    world.account.approvals = {}
    found = world.round()
    (note,) = found.done
    assert note.state == "failed"
    assert "approval" in found.problem
    assert [row.state for row in world.rows(schema.SETTLEMENTS)] == ["failed"]
    assert set(world.account.tokens_e6.values()) == {4 * SHARE}


def test_a_balance_that_moves_otherwise_is_told_with_both_numbers(world_of):
    world = world_of()
    world.hold(world.market(), 4)
    real, calls = world.settler._balances, []

    def shifted(step):
        calls.append(step)
        found = real(step)
        return found if len(calls) == 1 else found._replace(cash_e6=found.cash_e6 + 1)

    world.settler._balances = shifted
    found = world.round()
    (note,) = found.done
    assert note.state == "differs"
    assert f"cash moved by {4 * SHARE + 1}, expected {4 * SHARE}" in found.problem


def test_a_busy_wallet_and_an_old_nonce_are_tried_again_and_nothing_is_done_twice(world_of):
    world = world_of(relayer_ms=[500, 500])
    market = world.market()
    world.hold(market, 3)
    relayer = world.venue.relayer
    first = []

    def nonce_of(_):
        first.append(1)
        return 200, b'{"address":"0x","nonce":"0"}'

    relayer._nonces[world.account.wallet.lower()] = 2
    world.settler._relayer.call_real = world.settler._relayer.call
    world.settler._relayer.call = lambda raw: (
        nonce_of(raw) if raw.startswith(b"GET /v1/account/transactions/params") and not first
        else world.settler._relayer.call_real(raw)
    )  # fmt: skip
    (note,) = world.round().done
    assert note.state == "proven", note.error
    assert world.asked.count("POST /submit") == 2


def test_a_relayer_that_is_away_is_a_problem_and_no_crash(world_of):
    world = world_of()
    world.hold(world.market(), 3)

    def away(_):
        raise ConnectionRefusedError("nobody there")

    world.settler._relayer.call = away
    found = world.round()
    assert "nobody there" in found.problem
    assert [row.state for row in world.rows(schema.SETTLEMENTS)] == ["sent"]
    assert set(world.account.tokens_e6.values()) == {3 * SHARE}


def test_the_wallets_history_reaches_the_ledger(world_of):
    world = world_of()
    market = world.market()
    world.activity = [
        {"type": "MAKER_REBATE", "timestamp": 1_795_305_600, "transaction_hash": HASH,
         "condition_id": market.condition_id, "usdc_size": 1.25},
        {"type": "DEPOSIT", "timestamp": 1_795_305_601, "transaction_hash": HASH,
         "usdc_size": "50.5"},
        {"type": "SOMETHING_NEW", "timestamp": 1_795_305_602, "transaction_hash": HASH},
    ]  # fmt: skip
    for _ in range(2):
        found = world.round()
        assert (found.movements, found.unknown) == (2, {"SOMETHING_NEW": 1})
    (income,) = world.rows(schema.INCOME)
    assert (income.kind, income.amount_e6, income.market) == (
        "maker_rebate", 1_250_000, market.condition_id,
    )  # fmt: skip
    (deposit,) = world.rows(schema.MOVEMENTS)
    assert (deposit.kind, deposit.cash_e6, deposit.booked) == ("deposit", 50_500_000, 2)


def row(kind, **changes):
    blank = ActivityRow(kind, 1_000, "0x" + "11" * 32, "", "", 0, 0, HASH)
    return blank._replace(**changes)


def test_each_kind_of_history_is_a_note_with_the_wallets_signs():
    both = Condition("0x" + "11" * 32, ("7", "8"), "")
    rows = [
        row("TRADE", side="BUY", token_id="7", size_e6=5, cash_e6=2),
        row("TRADE", side="SELL", token_id="7", size_e6=5, cash_e6=3),
        row("SPLIT", cash_e6=9),
        row("MERGE", size_e6=9, cash_e6=9),
        row("REDEEM", size_e6=4, cash_e6=4),
        row("WITHDRAWAL", cash_e6=6),
        row("CONVERSION", cash_e6=1),
        row("TIP", side="OUT", cash_e6=1),
        row("TIP", side="IN", cash_e6=2),
        row("YIELD", cash_e6=3),
    ]
    notes = notes_of(rows, lambda _: both).notes
    told = [
        (n.kind, getattr(n, "size_e6", None), getattr(n, "cash_e6", getattr(n, "amount_e6", None)))
        for n in notes
    ]
    assert told == [
        ("trade", 5, -2),
        ("trade", -5, 3),
        ("split", 9, -9),
        ("merge", -9, 9),
        ("redeem", -4, 4),
        ("withdrawal", 0, -6),
        ("convert", 0, 1),
        ("withdrawal", 0, -1),
        ("tip", None, 2),
        ("yield", None, 3),
    ]
    assert len({n.reference for n in notes}) == len(notes), "two trades of one transaction are two"
    assert all(len(n.reference) <= 200 for n in notes)
    assert (notes[2].token_id, notes[2].other_token_id) == ("7", "8")
