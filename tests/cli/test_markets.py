"""Which markets are in, half in and out, with the engine's own reasons."""

import json
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))

from instance_kit import SLUGS, Instance

from lowlat.app.machine import Metrics
from lowlat.core.clock import monotonic_ns
from lowlat.core.interest import Interest, row_of_interest
from lowlat.core.layout import (
    LISTING,
    WANT_ROW,
    Known,
    ListingReason,
    RuleDoubt,
    SettleRule,
    Watch,
)  # fmt: skip


@pytest.fixture
def made(instance):
    with Instance(instance) as found:
        found.fill()
        found.market(4, "just-listed")
        yield found


def say(made, number, reason, slug=b"left-out", score_usd=0):
    made.publish(
        "listings", LISTING, at_ns=monotonic_ns(), condition_id=bytes([number]) * 32,
        reason=reason, slug=slug, score_usd=score_usd,
    )  # fmt: skip


def read(lowlat, made, *arguments):
    done = lowlat("markets", "-i", made.name, "--json", *arguments)
    assert done.returncode == 0, done.stderr
    return {each["name"]: (each["is"], each["why"]) for each in json.loads(done.stdout)["markets"]}


def test_every_market_is_in_half_in_or_out_with_its_reason(lowlat, made):
    say(made, 77, ListingReason.LIQUIDITY)
    assert read(lowlat, made) == {
        SLUGS[0]: ("traded", []),
        SLUGS[1]: ("followed", ["book crossed"]),
        "no-fee-known": ("followed", ["fee unknown"]),
        SLUGS[2]: ("followed", ["resolved"]),
        "just-listed": ("followed", ["no book yet"]),
        "left-out": ("out", ["liquidity"]),
    }


def test_the_newest_word_on_a_market_counts(lowlat, made):
    say(made, 77, ListingReason.LIQUIDITY)
    say(made, 77, ListingReason.ENDS_TOO_SOON)
    say(made, 78, ListingReason.NO_ROOM, b"came-in")
    say(made, 78, ListingReason.FOLLOWED, b"came-in")
    say(made, 0, ListingReason.NOT_ON_CLOB, b"has a row by now")
    found = read(lowlat, made)
    assert found["left-out"] == ("out", ["ends too soon"])
    assert "came-in" not in found
    assert "has a row by now" not in found


def test_a_reason_of_a_newer_build_stays_a_number(lowlat, made):
    say(made, 77, 999)
    assert read(lowlat, made)["left-out"] == ("out", ["999"])


def test_a_name_and_out_choose(lowlat, made):
    say(made, 77, ListingReason.VOLUME)
    assert set(read(lowlat, made, "AVERY")) == {SLUGS[1]}
    assert SLUGS[0] not in read(lowlat, made, "--out")
    assert set(read(lowlat, made, "0x" + "4d" * 32)) == {"left-out"}
    text = lowlat("markets", "-i", made.name).stdout
    assert text.splitlines()[-2] == "1 traded, 4 followed, 1 out"


def test_rank_priority_and_module_are_said_of_each(lowlat, made):
    wish = Interest(100, slug_prefixes=("wanted-",))
    made.write("wants", WANT_ROW, 0, **row_of_interest("latency", wish, 1)._asdict())
    made.market(5, "wanted-window", priority=100, score_usd=5)
    made.market(6, "rich", score_usd=9_000, watch=Watch.POLL)
    made.market(7, "poorer", score_usd=30, watch=Watch.NONE)
    say(made, 77, ListingReason.OUTRANKED, b"waiting", score_usd=8_000)
    say(made, 78, ListingReason.LIQUIDITY, b"refused", score_usd=9_999)
    done = lowlat("markets", "-i", made.name, "--json")
    found = {each["name"]: each for each in json.loads(done.stdout)["markets"]}
    order = sorted((each["rank"], name) for name, each in found.items() if each["rank"])
    assert [name for _, name in order[:4]] == ["wanted-window", "rich", "waiting", "poorer"]
    assert found["refused"]["rank"] is None
    assert found["wanted-window"]["wanted_by"] == ["latency"]
    assert found["rich"]["wanted_by"] == []
    assert "read by rest only" in found["rich"]["why"]
    assert "outranked" in found["poorer"]["why"]


def test_the_age_of_the_scan_is_shown_and_unknown_before_there_is_one(lowlat, made):
    assert "no metadata engine" in lowlat("markets", "-i", made.name).stdout.splitlines()[-1]
    cells = Metrics(made.stats["engine"])
    for name, value in (
        ("in_the_running", 30_000), ("places_taken", 2_000), ("sweep_age_ns", 70 * 10**9),
    ):  # fmt: skip
        cells.gauge(f"feed.metadata.{name}").set(value)
    last = lowlat("markets", "-i", made.name).stdout.splitlines()[-1]
    assert last == "scan: 30000 in the running, 2000 places taken; sweep 70.0 s old"
    scan = json.loads(lowlat("markets", "-i", made.name, "--json").stdout)["scan"]
    assert scan["sweep_age_ns"] == 70 * 10**9
    assert scan["sweep_ns"] is None
    feeds = json.loads(lowlat("status", "-i", made.name, "--json", "--over", "0").stdout)["feeds"]
    assert 69_000 <= feeds["metadata"]["age_ms"] <= 80_000


def test_a_rule_that_was_not_read_says_what_does_not_fit(lowlat, made):
    made.market(5, "bitcoin-day", rule_doubt=RuleDoubt.WORDS)
    noon = {"settle_rule": SettleRule.BINANCE_NOON_UP, "known": Known.TRADEABLE}
    made.market(6, "bitcoin-later", coin=1, **noon)
    told = {
        "bitcoin-day": "rule not read: the rules text is missing or does not say what decides",
        "bitcoin-later": "start price not known",
    }
    found = read(lowlat, made)
    assert all(words in found[name][1] for name, words in told.items())
    done = lowlat("why", "bitcoin", "-i", made.name, "--json")
    assert json.loads(done.stdout)["unpriced"] == told
    assert told["bitcoin-day"] in lowlat("why", "bitcoin-day", "-i", made.name).stdout
    assert json.loads(lowlat("why", "-i", made.name, "--json").stdout)["unpriced"] == {}
