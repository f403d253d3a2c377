"""A signal's story: words, the book it saw level by level, risk's cut; found as trace finds it."""

import json
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))

from instance_kit import Instance

from lowlat.cli import _evidence
from lowlat.cli._rules import MEANINGS
from lowlat.core.layout import (
    BOOK_ROW,
    DECISION,
    MARKET_ROW,
    ORDER_ROW,
    SIGNAL,
    Action,
    OrderState,
    OrderType,
    Rule,
    SettleRule,
)
from lowlat.core.units import E6
from lowlat.store.journal_file import Batch, Entry, EntryKind, JournalFile
from lowlat.store.record_log import BOOKS, DECISIONS, MARKETS, SIGNALS, RecordLog

STORY = {"up_e4": 4100, "z_e2": -23, "mean_e2": 9_800_000, "locked_s": 0, "left_ms": 60_000}
WISH = {
    "id": 0x3FA9C,
    "decided_ns": 1_000,
    "instrument": 1,
    "generation": 1,
    "module": b"latency",
    "size_suggestion_e6": 150 * 10**6,
    "limit_price_e4": 4_200,
    "legs": 1,
    "urgency": 2,
    "mode": 2,
    "expected_value": 9.0,
    "confidence": 0.58,
}


def make(record, **fields):
    row = record.unpack(bytearray(record.size_bytes))._replace(**fields)
    buffer = memoryview(bytearray(record.size_bytes))
    record.pack(buffer, row)
    return bytes(buffer[16 : 16 + record.codec.size])


def book(published_ns=900, **more):
    pad = (0,) * 29
    fields = {
        "market": 0, "generation": 1, "id": WISH["id"], "decoded_ns": 1_000,
        "published_ns": published_ns, "bid_count": 3, "ask_count": 1,
        "bid_price_e4": (6_000, 5_900, 5_700, *pad),
        "bid_size_e6": (100 * 10**6, 30 * 10**6, 500 * 10**6, *pad),
        "ask_price_e4": (6_200, 0, 0, *pad), "ask_size_e6": (7 * 10**6, 0, 0, *pad),
    }  # fmt: skip
    return make(BOOK_ROW, **fields | more)


@pytest.fixture
def told(home, instance):
    """Two signals of a NO token, the first of another life; an order; a cut by risk."""
    folder = home / "state" / "lowlat" / instance
    folder.mkdir(parents=True, mode=0o700)

    def keep(name, *records):
        log = RecordLog(str(folder), name, 1 << 20)
        for each in records:
            log.add(each)
        log.close()

    raw = json.dumps(STORY).encode()
    wish = WISH | {"metadata": raw, "metadata_bytes": len(raw)}
    keep(SIGNALS, make(SIGNAL, **wish | {"id": 0x77, "decided_ns": 900}), make(SIGNAL, **wish))
    keep(
        MARKETS,
        make(
            MARKET_ROW, market=0, slug=b"btc-day", question=b"Up?", fee_rate_e6=70_000,
            fee_exponent=1, settle_rule=SettleRule.BINANCE_ABOVE, strike_e8=99_000 * 10**8,
        ),
    )  # fmt: skip
    keep(
        DECISIONS,
        make(
            DECISION, id=1, signal=WISH["id"], decided_ns=1_000, approved=1, module=b"latency",
            rule=Rule.MARKET_LIMIT, size_suggestion_e6=150 * 10**6, size_e6=120 * 10**6,
            limit=50 * 10**6, was=61 * 10**6,
        ),
    )  # fmt: skip
    order = make(
        ORDER_ROW, id=5, signal=WISH["id"], decided_ns=1_000, order_id=bytes.fromhex("ab" * 32),
        module=b"latency", state=OrderState.MATCHED, size_e6=120 * 10**6, price_e4=4_200,
    )  # fmt: skip
    file = JournalFile(str(folder))
    file.rotate(Batch(1, 0, 1, (Entry(EntryKind.ORDER, order),)))
    file.close()
    return keep


def test_what_became_of_the_newest_signal_is_read_behind_it(home, instance, monkeypatch):
    """It is decided while the journal is read; the one after it is not there yet, not undecided."""
    real = _evidence._from_disk

    def meanwhile(found, folder):
        made.decide(7, Rule.APPROVED, approved=1)
        made.publish("signals", SIGNAL, id=1008, module=b"latency", generation=1, legs=1)
        return real(found, folder)

    monkeypatch.setattr(_evidence, "_from_disk", meanwhile)
    with Instance(instance) as made:
        made.publish("signals", SIGNAL, id=1007, module=b"latency", generation=1, legs=1)
        found = _evidence.gather(instance)
    assert {id_ for id_, _ in found.signals} == {1007} == {each.signal for each in found.decisions}


@pytest.mark.parametrize("subject", ["last", "latency", "0x3fa9c", "abab"])
def test_one_finder_knows_signals_orders_modules_and_last(lowlat, instance, told, subject):
    story = json.loads(lowlat("explain", subject, "-i", instance, "--json").stdout)
    assert story["signal"] == "0x3fa9c"
    trace = json.loads(lowlat("trace", subject, "-i", instance, "--json").stdout)
    assert trace["order_id"] == "0x" + "ab" * 32


def test_a_reboot_gives_ids_numbers_and_times_anew_and_nothing_is_mixed(lowlat, instance, told):
    """The same signal id, market number and generation, an earlier time: another market."""
    raw = json.dumps(STORY).encode()
    lives = (("first", 0xA1, 5_000), ("second", 0xB1, 4_000))
    for name, digits, at_ns in lives:
        condition, token = bytes([digits]) * 32, bytes([digits + 1]) * 32
        about = {"decided_ns": at_ns, "module": b"latency", "instrument": 15, "generation": 1}
        told(
            MARKETS,
            make(
                MARKET_ROW, market=7, generation=1, slug=name.encode(), condition_id=condition,
                no_token_id=token, settle_rule=SettleRule.BINANCE_ABOVE,
            ),
        )  # fmt: skip
        told(
            SIGNALS,
            make(
                SIGNAL, **WISH | about | {"id": 0x5150, "market_id": condition, "token_id": token},
                metadata=raw, metadata_bytes=len(raw),
            ),
        )  # fmt: skip
        told(
            DECISIONS,
            make(
                DECISION, id=3, signal=0x5150, rule=Rule.STALE_BOOK, limit=at_ns, was=at_ns, **about
            ),
        )
    newest = json.loads(lowlat("explain", "last", "-i", instance, "--json").stdout)
    assert (newest["market"], newest["signal"]) == ("second", "0x5150")
    found = _evidence.gather(instance)
    named = {each.decided_ns: found.market_name(each) for each in found.decisions}
    assert (named[5_000], named[4_000]) == ("first", "second")
    named = {at_ns: found.market_name(each) for (_, at_ns), each in found.signals.items()}
    assert (named[5_000], named[4_000]) == ("first", "second")
    # Of a decision whose signal was not kept only the number is known: nobody guesses.
    alone = found.decisions[-1]._replace(signal=1)
    assert found.market_name(alone) == "market 7"


@pytest.mark.parametrize("command", ["explain", "trace"])
def test_what_is_not_there_is_said_by_both_alike(lowlat, instance, told, command):
    for subject, words in (
        ("bonds", "expected last, one of latency, or at least 4 hex digits"),
        ("ab", "at least 4 hex digits"),
        ("0xffff", "nothing begins with '0xffff' among 1 orders and 2 signals"),
    ):
        done = lowlat(command, subject, "-i", instance)
        assert done.returncode == 2
        assert f"{command}: " in done.stderr
        assert words in done.stderr


def test_the_book_can_be_worked_out_by_hand(lowlat, instance, told):
    told(BOOKS, book(), book(id=0x77, decoded_ns=900, bid_count=0))
    found = json.loads(lowlat("explain", "0x3fa9c", "-i", instance, "--json").stdout)["book"]
    # NO is asked where YES is bid: 0.40 x 100, 0.41 x 30, 0.43 x 500. 150 at 0.42 or better:
    # 100 at 0.40 and 30 at 0.41 are 40 + 12.30; the fee is 0.07 x (24 + 7.257) = 2.188.
    assert [(each["price_e4"], each["takes_e6"]) for each in found["levels"]] == [
        (4_000, 100 * 10**6), (4_100, 30 * 10**6), (4_300, 0),
    ]  # fmt: skip
    assert (found["takes_e6"], found["cost_e6"]) == (130 * 10**6, 52_300_000)
    assert found["fee_e6"] == pytest.approx(2_187_990, abs=1)
    assert found["later_ns"] == 0
    text = lowlat("explain", "0x3fa9c", "-i", instance).stdout
    for line in (
        "book     asks of the token, as it stood; best bid 0.38",
        "0.4 x 100  takes 100: $40.00",
        "together 130 for $52.30, 0.4023 a share",
        "fee 0.07 x (p x (1 - p)) a share",
        "risk     approved 120 of 150, cut by market_limit: limit $50.00, was $61.00",
    ):
        assert line in text, text


def test_a_sale_walks_the_bids_of_its_token(lowlat, instance, told):
    raw = json.dumps(STORY).encode()
    sale = WISH | {"metadata": raw, "metadata_bytes": len(raw), "decided_ns": 2_000, "id": 0x88888}
    sale |= {"action": int(Action.SELL), "limit_price_e4": 3_700}
    told(SIGNALS, make(SIGNAL, **sale))
    told(BOOKS, book(id=0x88888, decoded_ns=2_000))
    found = json.loads(lowlat("explain", "0x88888", "-i", instance, "--json").stdout)["book"]
    # NO is bid where YES is asked: 0.62 is 0.38.
    assert (found["side"], found["takes_e6"]) == ("bids", 7 * 10**6)
    assert [each["price_e4"] for each in found["levels"]] == [3_800]


def test_what_is_left_for_a_lone_buyer_is_worked_out_from_the_book(lowlat, instance, told):
    told(BOOKS, book(published_ns=5_001_000))
    assert "less price and fee" not in lowlat("explain", "last", "-i", instance).stdout
    told(BOOKS, book())
    # 130 x 0.58 - 52.30 - 2.187990 = 20.912; of that the wish says 9.
    assert (
        "130 x 0.5800 less price and fee: $20.9120; worth $9.0000, 43% of it: the part of its "
        "orders that is filled"
    ) in lowlat("explain", "last", "-i", instance).stdout


def test_what_rests_is_shown_among_its_like(lowlat, instance, told):
    raw = b'{"why":"requote"}'
    quote = WISH | {"metadata": raw, "metadata_bytes": len(raw), "decided_ns": 3_000, "urgency": 0}
    told(SIGNALS, make(SIGNAL, **quote | {"id": 0x99999, "limit_price_e4": 3_900}))
    told(BOOKS, book(id=0x99999, decoded_ns=3_000))
    text = lowlat("explain", "0x99999", "-i", instance).stdout
    # A bid for NO stands where YES is offered: 0.62 is 0.38. It takes nothing.
    assert "book     bids of the token, as it stood; best ask 0.4\n           0.38 x 7\n" in text
    assert "takes" not in text
    assert "nothing within its price" not in text


def test_each_leg_of_a_group_is_told_with_its_own_book(lowlat, instance, told):
    for leg, token in enumerate((0, 1)):
        name = {"id": 0x50000 + leg, "decided_ns": 4_000 + leg, "instrument": token, "leg": leg}
        wish = WISH | name | {"group": 8, "legs": 2, "metadata": b"{}", "metadata_bytes": 2}
        told(SIGNALS, make(SIGNAL, **wish | {"size_suggestion_e6": 5 * E6}))
        if not leg:
            told(BOOKS, book(id=0x50000, decoded_ns=4_000, published_ns=3_900))
    # Another life's group of that number is not of this one.
    far = WISH | {"id": 0x60000, "decided_ns": 9 * 10**9, "group": 8, "legs": 2, "metadata": b"{}"}
    told(SIGNALS, make(SIGNAL, **far | {"metadata_bytes": 2}))
    text = lowlat("explain", "0x50000", "-i", instance).stdout
    assert "legs     1  0x50000  5 YES of btc-day up to 0.42: $0.00, fee $0.0000\n" in text
    assert "         2  0x50001  5 NO of btc-day up to 0.42: its book was not kept\n" in text
    assert "together $" not in text.split("book     ")[0], "a sum without a leg would lie"
    told(BOOKS, book(id=0x50001, decoded_ns=4_001, published_ns=3_900))
    legs = json.loads(lowlat("explain", "0x50000", "-i", instance, "--json").stdout)["group_legs"]
    # NO at 0.40: 5 cost 2.00, the fee is 5 x 0.07 x 0.24.
    assert [(each["cost_e6"], each["fee_e6"]) for each in legs] == [(0, 0), (2_000_000, 84_000)]
    text = lowlat("explain", "0x50000", "-i", instance).stdout
    assert "together $2.00, fees $0.0840" in text


def test_a_cut_onto_signed_sizes_is_said_in_words(lowlat, instance, told):
    decided = {"id": 2, "signal": WISH["id"], "decided_ns": 1_000, "approved": 1}
    sizes = {"size_suggestion_e6": 150 * E6, "size_e6": 100 * E6, "limit": 100, "was": 150}
    told(DECISIONS, make(DECISION, **decided, **sizes, module=b"latency", rule=Rule.CUT))
    text = lowlat("explain", "0x3fa9c", "-i", instance).stdout
    assert "risk     approved 100 of 150: the next smaller size whose orders are signed" in text


def test_a_later_book_and_a_missing_one_are_said(lowlat, instance, told):
    assert "not kept" in lowlat("explain", "last", "-i", instance).stdout
    told(BOOKS, book(published_ns=5_001_000))
    text = lowlat("explain", "last", "-i", instance).stdout
    assert "after the decision: it may have been another" in text


def test_why_shows_fills_by_the_age_of_what_was_answered(lowlat, home, instance, told):
    kinds = (
        # FAK orders that left 40 us, 45 us and 3 ms after their message; the rest do not count:
        # one that rests, one under way, one without times.
        (1, 41_000, 10, 10, OrderState.MATCHED, OrderType.FAK),
        (1, 46_000, 30, 5, OrderState.MATCHED, OrderType.FOK),
        (1, 3_000_001, 10, 1, OrderState.UNMATCHED, OrderType.FAK),
        (1, 41_000, 10, 0, OrderState.LIVE, OrderType.GTC),
        (1, 41_000, 10, 0, OrderState.UNKNOWN, OrderType.FAK),
        (0, 0, 10, 0, OrderState.REJECTED, OrderType.FAK),
    )
    entries = tuple(
        Entry(
            EntryKind.ORDER,
            make(
                ORDER_ROW, id=at, order_id=bytes([at + 1]) * 32, module=b"latency", recv_ns=recv,
                sent_ns=sent, size_e6=size * E6, filled_e6=filled * E6, state=state,
                order_type=kind,
            ),
        )
        for at, (recv, sent, size, filled, state, kind) in enumerate(kinds)
    )  # fmt: skip
    file = JournalFile(str(home / "state" / "lowlat" / instance))
    file.rotate(Batch(2, 0, 1, entries))
    file.close()
    for subject in ((), ("latency",), ("btc-day",)):
        takes = json.loads(lowlat("why", *subject, "-i", instance, "--json").stdout)["takes"]
        assert [(each["orders"], each["share_filled"]) for each in takes] == [(2, 0.375), (1, 0.1)]
    assert json.loads(lowlat("why", "bonds", "-i", instance, "--json").stdout)["takes"] == []
    assert "37.5% of their shares filled" in lowlat("why", "-i", instance).stdout


def test_every_rule_is_said_in_words():
    assert set(MEANINGS) == set(Rule)
