"""Tiers by volume, windows by address, trades of an owner with itself."""

import pytest

from lowlat.sim.control import Control
from lowlat.sim.limits import TIERS, IpLimits, tier_of
from lowlat.sim.wire import Request

NS = 10**9


def test_an_owner_that_meets_itself_trades_and_is_flagged(quiet_venue, pair, plain):
    alice, bob = pair
    alice.limit(plain.tokens[0], "BUY", 5_000, 20)
    other = bob.limit(plain.tokens[1], "BUY", 5_000, 10).json["tradeIDs"]
    itself = alice.limit(plain.tokens[1], "BUY", 5_000, 10).json["tradeIDs"]
    flagged = Control(quiet_venue).state()["self_trades"]
    assert flagged == itself
    assert not set(other) & set(flagged)


@pytest.mark.parametrize("tier", TIERS)
def test_a_tier_begins_at_its_volume(tier):
    assert tier_of(tier.volume_e6) == tier
    if tier.volume_e6:
        assert tier_of(tier.volume_e6 - 1) != tier


def test_volume_lifts_the_tier_for_thirty_days(venue_of, trader_of):
    venue = venue_of()
    alice, bob = trader_of(venue, 0), trader_of(venue, 1)
    accounts = venue.exchange.accounts
    for trader in (alice, bob):
        accounts.deposit(accounts.by_wallet[trader.address.lower()], 10**12)
    market = venue.exchange.markets[0]
    neg_risk = market.rules.neg_risk

    def tier():
        answer = alice.limit(market.tokens[0], "BUY", 1_000, 5, neg_risk=neg_risk)
        return answer.headers["Poly-RateLimit-Tier"]

    assert tier() == "Standard"
    alice.limit(market.tokens[0], "BUY", 5_000, 61_000, neg_risk=neg_risk)
    bob.limit(market.tokens[1], "BUY", 5_000, 61_000, neg_risk=neg_risk)
    assert tier() == "Copper"
    venue.step(venue.now_ns + 31 * 86_400 * NS)
    assert tier() == "Standard"


def test_an_address_that_asks_too_often_waits(venue_of):
    limits = IpLimits()
    ok = Request("GET", "/ok", {}, {}, b"", "10.0.0.1")
    other = ok._replace(address="10.0.0.2")
    now_ns = 1_000 * NS
    assert [limits.take(ok, now_ns) for _ in range(101)] == [True] * 100 + [False]
    assert limits.take(other, now_ns)
    assert not limits.take(ok, now_ns + 9 * NS)
    assert limits.take(ok, now_ns + 20 * NS)


def test_reads_of_ones_own_have_a_total_too():
    limits = IpLimits()
    orders, trades, one = (
        Request("GET", f"/data/{name}", {}, {}, b"", "10.0.0.1")
        for name in ("orders", "trades", "order/0x1")
    )
    assert [limits.take(orders, NS) for _ in range(501)] == [True] * 500 + [False]
    # What was refused counted towards the total of 900 as well.
    assert [limits.take(trades, NS) for _ in range(400)] == [True] * 399 + [False]
    assert not limits.take(one, NS)


def test_a_signer_who_asks_too_much_is_refused_or_only_warned(venue_of, trader_of):
    for warns in (False, True):
        venue = venue_of(order_rate=1, order_burst=2, rate_warnings=warns)
        alice = trader_of(venue, 0)
        market = venue.exchange.markets[0]
        answers = [
            alice.limit(market.tokens[0], "BUY", 1_000, 50, neg_risk=market.rules.neg_risk)
            for _ in range(3)
        ]
        assert [each.status for each in answers] == [200, 200, 200 if warns else 429]
        told = [each.headers.get("Poly-RateLimit-Warning") for each in answers]
        assert told == [None, None, "true" if warns else None]


def test_a_full_window_is_told_429_with_retry_after(quiet_venue, pair):
    alice, _ = pair
    answers = [alice.venue_call(Request("GET", "/ok", {}, {}, b"")) for _ in range(101)]
    assert [each.status for each in answers] == [200] * 100 + [429]
    assert answers[-1].headers["Retry-After"]
