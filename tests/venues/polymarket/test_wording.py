"""What rules texts say: the phrases of each family, the oracle's steps, tags to categories."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowlat.core.layout import Category, Dispute, Wording
from lowlat.venues.polymarket.wording import category_of, dispute_of, read_wording

TWAP = (
    'This market will resolve to "Up" if the Bitcoin price at the end of the time range specified'
    " in the title is greater than or equal to the price at the beginning of that range. The"
    " resolution source for this market is information from Chainlink, specifically the BTC/USD"
    " TWAP data stream."
)
LEADER = (
    'This market will resolve to "Yes" if it is officially announced that the leader has resigned'
    " by December 31, 2026, 11:59 PM ET. An announcement of resignation before this date counts."
    " The resolution source will be official information from the government; however, a consensus"
    " of credible reporting may also be used."
)
MATCH = (
    "If the match is postponed, this market stays open. If the game is canceled entirely, with no"
    " make-up game, this market will resolve 50-50."
)


def test_a_feed_is_no_matter_of_opinion():
    found = read_wording(TWAP, "https://data.chain.link/streams/btc-usd-twap-60s-streams")
    assert found & Wording.FEED
    assert not found & (Wording.CONSENSUS | Wording.SUBJECTIVE | Wording.ANNOUNCED | Wording.SPLIT)


def test_announcements_deadlines_and_consensus_are_seen():
    found = read_wording(LEADER, None)
    for flag in (
        Wording.TEXT,
        Wording.ANNOUNCED,
        Wording.TIME_LIMIT,
        Wording.CONSENSUS,
        Wording.OFFICIAL,
    ):
        assert found & flag, flag
    assert not found & Wording.FEED


def test_half_payouts_and_cancellations_are_seen():
    found = read_wording(MATCH, "https://www.nba.com")
    assert found & Wording.SPLIT
    assert found & Wording.VOIDABLE
    assert found & Wording.OFFICIAL, "an address is one named source"


@pytest.mark.parametrize(
    ("text", "flag"),
    [
        ("Additional context (June 3): only signed bills count.", Wording.CLARIFIED),
        ("It resolves at the sole discretion of the committee.", Wording.SUBJECTIVE),
        ("in the spirit of the market", Wording.SUBJECTIVE),
        ("The source will be any other credible sources.", Wording.MANY_SOURCES),
    ],
)
def test_phrases(text, flag):
    assert read_wording(text, None) & flag
    assert not read_wording("Will resolve to Yes if team A wins.", None) & flag


def test_a_question_that_only_names_an_exchange_is_no_feed():
    assert not read_wording("Yes if Binance lists the token.", None) & Wording.FEED


@given(st.none() | st.text(), st.none() | st.text())
def test_any_text_is_read_and_none_means_nothing(text, source):
    found = read_wording(text, source)
    assert bool(found & Wording.TEXT) is bool(text)
    assert text or found == 0


@pytest.mark.parametrize(
    ("status", "history", "expected"),
    [
        (None, None, (Dispute.UNKNOWN, 0)),
        ("", None, (Dispute.NONE, 0)),
        (None, [], (Dispute.NONE, 0)),
        ("proposed", ["proposed"], (Dispute.PROPOSED, 0)),
        (None, ["proposed", "disputed"], (Dispute.DISPUTED, 1)),
        ("proposed", ["proposed", "disputed"], (Dispute.DISPUTED, 1)),
        ("disputed", ["proposed"], (Dispute.DISPUTED, 1)),
        ("proposed", ["proposed", "disputed", "proposed"], (Dispute.PROPOSED, 1)),
        ("resolved", ["proposed", "disputed", "proposed", "disputed"], (Dispute.RESOLVED, 2)),
        ("resolved", ["proposed"], (Dispute.RESOLVED, 0)),
        ("something new", None, (Dispute.UNKNOWN, 0)),
    ],
)
def test_the_oracles_state_is_the_worse_of_status_and_history(status, history, expected):
    assert dispute_of(status, history) == expected


def test_tags_name_a_category_and_the_doubtful_one_wins():
    assert category_of(None) is Category.UNKNOWN
    assert category_of(["crypto-prices", "up-or-down"]) is Category.CRYPTO
    assert category_of(["Politics", "ukraine"]) is Category.WAR
    assert category_of(["knitting"]) is Category.OTHER
