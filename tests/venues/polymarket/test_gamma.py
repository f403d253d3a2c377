"""Gamma pages: recorded shapes, unknown stays unknown, mutations."""

import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowlat.core.errors import LocalProtocolError, RemoteProtocolError
from lowlat.venues.polymarket import gamma
from lowlat.venues.polymarket.gamma import Page
from lowlat.venues.polymarket.market_info import (
    CryptoConfig,
    FeeSchedule,
    MarketInfo,
    decimal_units,
    yes_index,
)

DATA = Path(__file__).parents[2] / "data" / "polymarket"
EVENTS = (DATA / "gamma_event.json").read_bytes()
UPDOWN = (DATA / "gamma_updown.json").read_bytes()


def market(**changes):
    """Decode the up/down market with fields replaced, or dropped where the change is None."""
    row = json.loads(UPDOWN)["markets"][0] | changes
    row = {key: value for key, value in row.items() if value is not None}
    page = gamma.decode_markets(json.dumps([row]).encode())
    return page.markets[0] if page.markets else page.rejected[0]


def test_market_page_reads_every_fact():
    page = gamma.decode_markets(UPDOWN)
    (info,) = page.markets
    assert page.next_cursor is None
    assert info.condition_id.startswith("0x4d5c"), "ids compare in lower case"
    assert info.outcomes == ("Up", "Down")
    assert info.tokens_yes_no() == info.token_ids
    assert info.start_ns == 1_795_348_800_000_000_000
    assert info.end_ns == info.start_ns + 300_000_000_000
    assert (info.tick_e4, info.min_size_e6) == (100, 5_000_000)
    assert info.fee == FeeSchedule(70_000, 1, taker_only=True, rebate_e6=200_000)
    assert info.crypto == CryptoConfig("btc", "5m", twap_enabled=True, lookback_s=60)
    assert (info.event_id, info.series) == ("70002", ("btc-up-or-down-5m",))
    assert info.event_market_count is None, "a market page does not list the event's markets"
    assert info.seconds_delay is None


def test_event_page_spreads_the_event_over_its_markets():
    page = gamma.decode_events(EVENTS)
    first, second = page.markets
    assert page.next_cursor == "Y3Vyc29yLTI="
    assert {first.event_market_count, second.event_market_count} == {2}
    assert {first.neg_risk_market_id, second.neg_risk_market_id} == {
        "0x3c5c6a1e0e6b4c5d0b7f6f0f2d9a8e7c6b5a49382716050f4e3d2c1b0a998800"
    }
    assert first.neg_risk_augmented is False
    assert (first.tags, first.series) == (("sailing",), ("regatta",))
    assert first.volume_e6 == 1_200_123_456
    assert first.seconds_delay == 3
    assert first.resolution_source is None, "empty text is no source"


def test_what_the_venue_left_out_is_unknown():
    second = gamma.decode_events(EVENTS).markets[1]
    assert second.token_ids is None
    assert second.tokens_yes_no() is None
    for name in ("tick_e4", "min_size_e6", "accepting_orders", "order_book", "crypto",
                 "rules_text", "volume_e6", "start_ns"):  # fmt: skip
        assert getattr(second, name) is None, name


@pytest.mark.parametrize(
    ("enabled", "schedule", "fee"),
    [
        (None, None, None),
        (True, None, None),
        (False, None, FeeSchedule(0, 1, taker_only=True)),
        (None, {"rate": 0.07, "exponent": 1, "takerOnly": True}, FeeSchedule(70_000, 1, True)),
        (True, {"rate": "0.04", "exponent": "1", "takerOnly": True}, FeeSchedule(40_000, 1, True)),
        (True, {"rate": 0.07, "exponent": 1}, None),
        (True, {"rate": 0.07, "takerOnly": True}, None),
        (True, {"exponent": 1, "takerOnly": True}, None),
        (False, {"rate": 0.07, "exponent": 1, "takerOnly": True}, None),
    ],
)
def test_fee_is_whole_and_consistent_or_unknown(enabled, schedule, fee):
    assert market(feesEnabled=enabled, feeSchedule=schedule).fee == fee


@pytest.mark.parametrize("tokens", [None, "", "[]", '["",""]'])
def test_tokens_not_made_yet_are_unknown(tokens):
    assert market(clobTokenIds=tokens).token_ids is None


@pytest.mark.parametrize(
    "change",
    [
        {"outcomes": '["A","B","C"]', "clobTokenIds": '["1","2","3"]'},
        {"clobTokenIds": '["1"]'},
        {"clobTokenIds": '["1","1"]'},
        {"clobTokenIds": '["1","0x2"]'},
        {"clobTokenIds": '["1","01"]'},
        {"clobTokenIds": f'["1","{2**256}"]'},
        {"clobTokenIds": '["1",2]'},
        {"clobTokenIds": "{"},
        {"outcomes": ""},
        {"outcomes": "Up,Down"},
        {"conditionId": "0x12"},
        {"orderMinSize": -5},
        {"orderMinSize": "NaN"},
        {"orderMinSize": "Infinity"},
        {"orderMinSize": 0.0000001},
        {"orderPriceMinTickSize": 0.00001},
        {"orderPriceMinTickSize": 1},
        {"feeSchedule": {"rate": -0.07, "exponent": 1, "takerOnly": True}},
        {"feeSchedule": {"rate": 1e300, "exponent": 1, "takerOnly": True}},
        {"secondsDelay": -1},
        {"endDate": "tomorrow"},
        {"endDate": "2026-11-22T12:05:00"},
        {"negRisk": "false"},
        {"closed": 0},
    ],
)
def test_unreadable_market_is_rejected_by_name_and_hides_no_other(change):
    good = json.loads(UPDOWN)["markets"][0]
    page = gamma.decode_markets(json.dumps([good | change, good]).encode())
    assert len(page.markets) == 1
    assert len(page.rejected) == 1
    assert len(page.rejected[0]) < 1200


def test_missing_condition_id_is_rejected():
    assert "condition_id" in market(conditionId=None) or "conditionId" in market(conditionId=None)


def test_differing_neg_risk_ids_are_rejected():
    page = json.loads(EVENTS)
    page["events"][0]["markets"][0]["negRiskMarketID"] = "0x" + "9" * 64
    decoded = gamma.decode_events(json.dumps(page).encode())
    assert len(decoded.markets) == 1
    assert "negRiskMarketID" in decoded.rejected[0]


@pytest.mark.parametrize(
    ("outcomes", "index"),
    [(("Yes", "No"), 0), (("No", "Yes"), 1), (("Down", "Up"), 1), (("Up", "Down"), 0),
     (("Herons", "Gulls"), 0), (("Over", "Under"), 0), (("Maybe", "Yes"), 0)],
)  # fmt: skip
def test_yes_is_found_by_label(outcomes, index):
    assert yes_index(outcomes) == index


def test_swapped_labels_swap_tokens():
    info = market(outcomes='["Down", "Up"]')
    assert info.tokens_yes_no() == info.token_ids[::-1]


def test_single_objects_and_bare_arrays_read_like_pages():
    row = json.loads(UPDOWN)["markets"][0]
    event = json.loads(EVENTS)["events"][0]
    whole = gamma.decode_markets(UPDOWN).markets
    assert gamma.decode_markets(json.dumps(row).encode()).markets == whole
    assert gamma.decode_markets(json.dumps([row]).encode()).markets == whole
    assert gamma.decode_events(json.dumps(event).encode()).markets == (
        gamma.decode_events(EVENTS).markets
    )


@pytest.mark.parametrize("cursor", ["", "LTE=", None])
def test_last_page_has_no_cursor(cursor):
    page = json.loads(EVENTS) | {"next_cursor": cursor}
    assert gamma.decode_events(json.dumps(page).encode()).next_cursor is None


def test_cursor_that_leads_to_itself_is_an_error():
    with pytest.raises(RemoteProtocolError, match="itself"):
        gamma.decode_events(EVENTS, sent_cursor="Y3Vyc29yLTI=")


@pytest.mark.parametrize("body", [b"", b"null", b"{}", b'{"error":"x"}', b"[", b"7", b"[" * 5000])
def test_answer_of_another_shape_is_an_error(body):
    for codec in (gamma.decode_markets, gamma.decode_events):
        with pytest.raises(RemoteProtocolError):
            codec(body)


@pytest.mark.parametrize(
    ("text", "decimals", "units"),
    [("0.07", 6, 70_000), ("5", 6, 5_000_000), ("1E-4", 4, 1), ("1E+2", 6, 100_000_000),
     ("0", 6, 0), ("-0", 6, 0)],
)  # fmt: skip
def test_numbers_become_exact_units(text, decimals, units):
    assert decimal_units(Decimal(text), decimals) == units


def test_paths():
    assert gamma.markets_path("abc=", closed="false", condition_ids=["0x1", "0x2"]) == (
        "/markets/keyset?closed=false&condition_ids=0x1&condition_ids=0x2&limit=100"
        "&after_cursor=abc%3D"
    )
    assert gamma.events_path() == "/events/keyset?limit=500"
    with pytest.raises(LocalProtocolError):
        gamma.markets_path(limit=101)


@given(data=st.data(), which=st.sampled_from(["markets", "events"]))
def test_mutated_page_gives_a_page_or_protocol_error(mangle, keeps_promise, data, which):
    codec, body = (
        (gamma.decode_markets, UPDOWN) if which == "markets" else (gamma.decode_events, EVENTS)
    )
    page = keeps_promise(codec, mangle(data, body))
    assert page is None or isinstance(page, Page)
    assert page is None or all(isinstance(info, MarketInfo) for info in page.markets)
