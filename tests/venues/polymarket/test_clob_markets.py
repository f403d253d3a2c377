"""Compact market object beside Gamma's: a market trades only when every fact is known."""

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowlat.core.errors import RemoteProtocolError
from lowlat.core.layout import Exchange, Known, MarketStatus
from lowlat.venues.polymarket.clob_markets import (
    ClobMarket,
    decode_clob_market,
    market_facts,
    taker_delay_ms,
)
from lowlat.venues.polymarket.gamma import decode_markets
from lowlat.venues.polymarket.market_info import FeeSchedule

DATA = Path(__file__).parents[2] / "data" / "polymarket"
BODY = (DATA / "clob_market.json").read_bytes()
(INFO,) = decode_markets((DATA / "gamma_updown.json").read_bytes()).markets
NOW = 1_795_348_800_000_000_000


def clob(**changes):
    """Decode the object with keys replaced, or dropped where the change is None."""
    row = json.loads(BODY) | changes
    row = {key: value for key, value in row.items() if value is not None}
    return decode_clob_market(json.dumps(row).encode())


def facts(info=INFO, now_ns=NOW, gamma=None, **changes):
    if gamma:
        info = msgspec.structs.replace(info, **gamma)
    return market_facts(clob(**changes), info, now_ns)


def test_agreeing_sources_make_a_tradeable_market():
    known = facts()
    assert known.tradeable
    assert known.conflicts == ()
    assert known.known == Known.TRADEABLE
    assert (known.tick_e4, known.min_size_e6) == (100, 5_000_000)
    assert (known.fee_rate_e6, known.fee_exponent, known.fee_taker_only) == (70_000, 1, True)
    assert known.taker_delay_ms == 150
    assert known.exchange is Exchange.STANDARD
    assert (known.yes_token_id, known.no_token_id) == INFO.token_ids


def test_absent_keys_with_a_documented_meaning_are_known():
    market = clob(fd=None, itode=None, nr=None)
    assert market.fee == FeeSchedule(0, 1, taker_only=True)
    known = market_facts(market, None, NOW)
    assert known.tradeable
    assert (known.fee_rate_e6, known.taker_delay_ms, known.neg_risk) == (0, 0, False)


@pytest.mark.parametrize(
    ("key", "bit"), [("mts", Known.TICK), ("mos", Known.MIN_SIZE), ("ao", Known.STATUS)]
)
def test_absent_keys_without_a_meaning_leave_the_fact_unknown(key, bit):
    known = facts(**{key: None})
    assert not known.tradeable
    assert known.known == Known.TRADEABLE & ~bit


@pytest.mark.parametrize("part", ["r", "e", "to"])
def test_part_of_a_fee_schedule_is_an_unknown_fee(part):
    schedule = {"r": 0.07, "e": 1, "to": True}
    del schedule[part]
    known = facts(fd=schedule)
    assert not known.known & Known.FEE
    assert known.fee_rate_e6 == 0
    assert not known.tradeable


@pytest.mark.parametrize(
    ("changes", "gamma"),
    [
        ({}, {"fee": FeeSchedule(50_000, 1, taker_only=True)}),
        ({"fd": None}, {}),
        ({"fd": None}, {"fee": None, "fees_enabled": True}),
    ],
)
def test_fee_the_sources_disagree_on_is_unknown(changes, gamma):
    known = facts(gamma=gamma, **changes)
    assert not known.known & Known.FEE
    assert known.conflicts[0].startswith("fee")


def test_exponent_of_a_zero_fee_does_not_matter():
    zero = FeeSchedule(0, 2, taker_only=True)
    assert facts(fd=None, gamma={"fee": zero}).tradeable


def test_neg_risk_the_sources_disagree_on_is_unknown():
    known = facts(nr=True)
    assert not known.known & Known.NEG_RISK
    assert known.exchange is Exchange.UNKNOWN
    assert known.conflicts[0].startswith("neg-risk")


def test_neg_risk_market_is_for_its_own_exchange():
    assert facts(nr=True, gamma={"neg_risk": True}).exchange is Exchange.NEG_RISK


def test_swapped_tokens_are_a_conflict_and_swapped_order_is_not():
    first, second = INFO.token_ids
    assert not facts(gamma={"token_ids": (second, first)}).tradeable
    turned = facts(gamma={"token_ids": (second, first), "outcomes": ("Down", "Up")})
    assert turned.tradeable
    assert turned.yes_token_id == first


def test_version_we_do_not_sign_for_is_not_tradeable():
    assert not facts(v="v2").tradeable
    assert facts(v=None).tradeable


@pytest.mark.parametrize(
    ("changes", "gamma", "delay_ms"),
    [
        ({"itode": None}, {}, 0),
        ({"itode": None, "sd": 3}, {}, 3000),
        ({"itode": None, "sd": 1}, {"seconds_delay": 3}, 3000),
        ({"itode": True, "sd": 1}, {}, 1000),
        ({"itode": True}, {}, 150),
    ],
)
def test_delay_is_the_longest_that_anybody_names(changes, gamma, delay_ms):
    known = facts(gamma=gamma, **changes)
    assert known.known & Known.DELAY
    assert known.taker_delay_ms == delay_ms


def test_delay_table_is_dated():
    changed_ns = 1_788_530_400_000_000_000
    assert taker_delay_ms(changed_ns) == 150
    assert taker_delay_ms(changed_ns - 1) == 50
    assert taker_delay_ms(0) is None
    assert not facts(now_ns=0).known & Known.DELAY


@pytest.mark.parametrize(
    ("changes", "gamma", "status"),
    [
        ({}, {}, MarketStatus.ACTIVE),
        ({"ao": False}, {}, MarketStatus.PAUSED),
        ({}, {"accepting_orders": False}, MarketStatus.PAUSED),
        ({}, {"active": False}, MarketStatus.PAUSED),
        ({}, {"order_book": False}, MarketStatus.PAUSED),
        ({}, {"closed": True}, MarketStatus.CLOSED),
        ({}, {"archived": True}, MarketStatus.CLOSED),
        ({"ao": None}, {}, MarketStatus.UNKNOWN),
    ],
)
def test_status_is_active_only_if_nobody_objects(changes, gamma, status):
    known = facts(gamma=gamma, **changes)
    assert known.status is status
    assert known.tradeable == (status is MarketStatus.ACTIVE)


def test_other_markets_metadata_is_refused():
    with pytest.raises(RemoteProtocolError, match="beside"):
        facts(gamma={"condition_id": "0x" + "1" * 64})


@pytest.mark.parametrize(
    "change",
    [{"c": "0x1"}, {"t": []}, {"t": [{"t": "1", "o": "Yes"}]}, {"mts": -0.01}, {"mts": 0},
     {"mts": 1}, {"mts": "NaN"}, {"mos": -1}, {"sd": -1}, {"sd": 10**9}, {"nr": "true"},
     {"fd": {"r": -1, "e": 1, "to": True}}, {"fd": {"r": 0.1, "e": 99, "to": True}},
     {"ao": 1}],
)  # fmt: skip
def test_unreadable_object_is_a_protocol_error(change):
    with pytest.raises(RemoteProtocolError):
        clob(**change)


@given(data=st.data())
def test_mutated_object_gives_a_market_or_protocol_error(mangle, keeps_promise, data):
    market = keeps_promise(decode_clob_market, mangle(data, BODY))
    assert market is None or isinstance(market, ClobMarket)
