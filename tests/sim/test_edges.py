"""Planted edges: what each is worth is known, can be taken, and is gone afterwards; and the market
in which nothing is planted gives nothing away, not even to somebody who knows every fair value."""

import math

import pytest

from lowlat.core.errors import ConfigError
from lowlat.sim.config import EDGE_KINDS, EdgeConfig, load_config
from lowlat.sim.edge_kinds import given_away
from lowlat.sim.quotes import fair_chance
from lowlat.sim.scenarios import read_scenario, scenario_names
from lowlat.sim.server import parse_arguments
from lowlat.sim.venue import Venue

MS = 1_000_000
S = 1_000 * MS
E6 = 1_000_000
START_NS = 1_795_305_600_000_000_000 + 280 * S
SMALL = {"markets": 12, "neg_risk_events": 2, "coins": ["BTC"], "bonds": 3}


def venue_of(scenario, seed=1, start_ns=START_NS, **changes):
    return Venue(load_config(read_scenario(scenario) | SMALL | {"seed": seed} | changes), start_ns)


def truth(venue, market):
    if market.coin:
        return fair_chance(market, venue.spots[market.coin], venue.now_ns)
    return venue.universe.fair[market.index]


def given(venue):
    """What all books together give to somebody who knows every chance."""
    return {
        market.slug: legs
        for market in venue.exchange.markets
        if market.accepting
        for value_e6, legs in [given_away(market, truth(venue, market))]
        if value_e6
    }


def run(venue, seconds, step_ms=50, look=lambda: None):
    for _ in range(seconds * 1000 // step_ms):
        venue.step(venue.now_ns + step_ms * MS)
        look()


@pytest.mark.parametrize("seed", range(3))
def test_null_market_gives_nothing_away_to_somebody_who_knows_every_chance(seed):
    venue = venue_of("null", seed, START_NS - 5 * S)
    looks = []

    def look():
        assert not (found := given(venue)), found
        looks.append(venue.now_ns)

    run(venue, 30, 100, look)
    assert len(looks) == 300
    assert venue.exchange.settlement.matched > 50
    assert any(market.closed for market in venue.exchange.markets)


def test_makers_who_look_late_are_found_by_the_same_test():
    """The test above can fail: it does on the demo's market."""
    venue = venue_of("demo", flow={"jumps_per_minute": 0.0, "edges": []})
    run(venue, 1)
    venue.spots["BTC"].move(0.005)
    venue.step(venue.now_ns + 50 * MS)
    assert given(venue)


@pytest.mark.parametrize("kind", sorted(set(EDGE_KINDS) - {"passive_set"}))
def test_edge_is_worth_what_it_says_to_who_takes_all_of_it_and_ends(kind, trader_of):
    venue = venue_of("null", flow=read_scenario("null")["flow"] | {"news_per_minute": 0})
    run(venue, 1)
    trader = trader_of(venue)
    plan = venue.plant_edge(kind)
    assert plan is not None
    assert plan["value_e6"] > 0
    accounts = venue.exchange.accounts
    accounts.deposit(accounts.by_wallet[trader.address.lower()], 10**12)
    for leg in plan["legs"]:
        take(venue, trader, leg)
    [record] = venue.edges.records
    assert record.hit
    assert record.captured_e6 == pytest.approx(plan["value_e6"], rel=0.02, abs=20_000)
    assert venue.edges.totals[kind]["captured_e6"] == record.captured_e6
    venue.step(record.ends_ns)
    assert not venue.edges.active()
    assert not given(venue)
    venue.exchange.accounts.audit()
    venue.exchange.accounts.audit_tokens()


def test_a_wide_leg_is_worth_what_it_says_to_who_bids_for_it_and_takes_the_others(trader_of):
    venue = venue_of("null", flow=read_scenario("null")["flow"] | {"news_per_minute": 0})
    run(venue, 1)
    trader = trader_of(venue)
    plan = venue.plant_edge("passive_set")
    accounts = venue.exchange.accounts
    accounts.deposit(accounts.by_wallet[trader.address.lower()], 10**12)
    rests, *others = plan["legs"]
    market, outcome = venue.exchange.tokens[rests["token"]]
    assert market.ladder.best_bid_e4() == rests["price_e4"] - market.tick_e4
    # Taken at once, the set costs more than the dollar it pays.
    asks = [market.ladder.best_ask_e4(), *(leg["price_e4"] for leg in others)]
    assert sum(asks) > 10_000
    shares, price_e4 = rests["size_e6"] // E6, rests["price_e4"]
    answer = trader.limit(market.tokens[outcome], "BUY", price_e4, shares, neg_risk=True)
    assert answer.json["status"] == "live", answer.json
    venue.step(venue.now_ns + plan["life_ms"] * MS // 2)
    [record] = venue.edges.records
    assert record.hit
    for leg in others:
        take(venue, trader, leg)
    assert record.captured_e6 == pytest.approx(plan["value_e6"], rel=0.02, abs=20_000)
    venue.step(record.ends_ns)
    assert not venue.edges.active()
    assert not given(venue)
    venue.exchange.accounts.audit()


def take(venue, trader, leg):
    """Buy or sell one leg as planted; what is sold is split first."""
    market, outcome = venue.exchange.tokens[leg["token"]]
    market.rules.itode = False
    if leg["side"] == "SELL":
        # The same at the same price: the other outcome is bought.
        outcome, price_e4 = 1 - outcome, 10_000 - leg["price_e4"]
    else:
        price_e4 = leg["price_e4"]
    shares = leg["size_e6"] // E6
    neg_risk = market.rules.neg_risk
    answer = trader.limit(market.tokens[outcome], "BUY", price_e4, shares, neg_risk=neg_risk)
    assert answer.status == 200, answer.json
    assert answer.json["status"] == "matched", answer.json


def test_latency_edge_blinds_the_makers_of_one_coin_only_while_it_lives():
    venue = venue_of("null", flow=read_scenario("null")["flow"] | {"jumps_per_minute": 0})
    run(venue, 1)
    plan = venue.plant_edge("latency")
    assert plan["name"] == "BTC jump"
    assert set(venue.flow.blind_until_ns) == {"BTC"}
    venue.step(venue.now_ns + (plan["life_ms"] - 1) * MS)
    assert given(venue)
    venue.step(venue.edges.records[0].ends_ns)
    assert not venue.flow.blind_until_ns
    assert not given(venue)


def test_known_value_of_a_jump_is_what_a_bankroll_could_take():
    flow = read_scenario("null")["flow"] | {"jumps_per_minute": 0}
    edge = {"kind": "latency", "gain_e4": [30, 30], "life_ms": [600, 600]}
    plans = []
    for bounds in ({}, {"market_cash": 50, "coin_cash": 150}):
        venue = venue_of("null", flow=flow | {"edges": [edge | bounds]})
        run(venue, 1)
        plans.append((venue, venue.plant_edge("latency")))
    (_, whole), (venue, bounded) = plans
    assert 0 < bounded["value_e6"] < whole["value_e6"]
    spent = {}
    for leg in bounded["legs"]:
        cost_e6 = leg["price_e4"] * leg["size_e6"] // 10_000
        spent[leg["market"]] = spent.get(leg["market"], 0) + cost_e6
    assert max(spent.values()) <= 50 * E6
    assert 100 * E6 < sum(spent.values()) <= 150 * E6
    # The money is in those markets until they end: the next jump of the coin finds less.
    for _ in range(10):
        venue.step(venue.edges.records[-1].ends_ns)
        again = venue.plant_edge("latency")
        if again["name"] == bounded["name"]:
            break
    assert again["name"] == bounded["name"]
    assert again["value_e6"] < bounded["value_e6"] // 4


def test_same_seed_plants_the_same_edges():
    def records(seed):
        venue = venue_of("neg-risk", seed)
        run(venue, 20)
        return [each.as_json() for each in venue.edges.records]

    assert records(3) == records(3) != records(4)
    assert records(3)


def test_every_shipped_scenario_is_valid_and_says_what_it_is():
    names = scenario_names()
    assert {"demo", "null", "neg-risk", "latency", "bonds", "makers", "storm"} <= set(names)
    for name, about in names.items():
        assert len(about) > 20
        parse_arguments(["--scenario", name])


def test_later_arguments_win_over_a_scenario_key_by_key(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('about = "mine"\nmarkets = 30\n[flow]\nmakers = 2\nlevels = 3\n')
    config = parse_arguments(["--scenario", str(path), "--flow", '{"levels": 5}', "--seed", "9"])
    assert (config.markets, config.flow.makers, config.flow.levels, config.seed) == (30, 2, 5, 9)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("nil", None, "scenario was 'nil', allowed: "),
        ("missing.toml", None, "cannot be read"),
        ("bad.toml", "x =", "is no TOML"),
        ("bad.toml", "[flow]\nmaker = 1\n", "unknown field `maker`"),
        ("bad.toml", '[[flow.edges]]\nkind = "gold"\n', "allowed: neg_risk, "),
        ("bad.toml", '[[flow.edges]]\nkind = "bond"\ngain_e4 = [5, 1]\n', "flow|edges.bond.gain"),
    ],
)
def test_bad_scenario_is_refused_by_name(tmp_path, monkeypatch, name, text, message):
    monkeypatch.chdir(tmp_path)
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=message.replace("|", ".*|")):
        parse_arguments(["--scenario", name])


def test_unknown_edge_kind_is_refused():
    with pytest.raises(ConfigError, match="allowed: neg_risk"):
        EdgeConfig("gold").validate()


@pytest.mark.stress
def test_makers_chances_are_calibrated():
    """What happens with a stated chance of p happens in p of the cases: z below 4 in each bin."""
    bins = {}
    for seed in range(8):
        venue = Venue(
            load_config(
                {
                    "seed": seed,
                    "coins": ["BTC", "ETH", "SOL"],
                    "windows_s": [60],
                    "markets": 0,
                    "neg_risk_events": 0,
                    "tape": "none",
                    "flow": read_scenario("null")["flow"] | {"events_per_s": 0, "spot_hz": 4},
                }
            ),
            START_NS,
        )
        said = {}

        def look(venue=venue, said=said):
            for market in venue.exchange.markets:
                left_s = (market.end_ns - venue.now_ns) / S
                if market.kind == "twap" and market.accepting and 1 < left_s <= 45:
                    said.setdefault(market, []).append(truth(venue, market))

        run(venue, 300, 5_000, look)
        for market, chances in said.items():
            if market.winner is not None:
                for chance in chances[::4]:
                    cell = bins.setdefault(min(9, int(chance * 10)), [0, 0.0, 0.0, 0])
                    cell[0] += 1
                    cell[1] += chance
                    cell[2] += chance * (1.0 - chance)
                    cell[3] += market.winner == 0
    assert sum(cell[0] for cell in bins.values()) > 200
    for cell in bins.values():
        assert abs(cell[3] - cell[1]) < 4.0 * math.sqrt(cell[2] + 1.0), bins
