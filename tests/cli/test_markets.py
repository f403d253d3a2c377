"""Which markets are in, half in and out, with the engine's own reasons."""

import json
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))

from instance_kit import SLUGS, Instance

from lowlat.core.clock import monotonic_ns
from lowlat.core.layout import LISTING, ListingReason


@pytest.fixture
def made(instance):
    with Instance(instance) as found:
        found.fill()
        found.market(4, "just-listed")
        yield found


def say(made, number, reason, slug=b"left-out"):
    made.publish(
        "listings", LISTING, at_ns=monotonic_ns(), condition_id=bytes([number]) * 32,
        reason=reason, slug=slug,
    )  # fmt: skip


def read(lowlat, made, *arguments):
    done = lowlat("markets", "-i", made.name, "--json", *arguments)
    assert done.returncode == 0, done.stderr
    return {each["name"]: (each["is"], each["why"]) for each in json.loads(done.stdout)}


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
    assert text.splitlines()[-1] == "1 traded, 4 followed, 1 out"
