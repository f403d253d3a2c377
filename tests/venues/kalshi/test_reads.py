"""Kalshi's REST answers: catalogue, exchange, our orders and money, in both forms of numbers."""

import json
import pathlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowlat.core.errors import LocalProtocolError, RemoteProtocolError
from lowlat.core.layout import Action, Outcome
from lowlat.core.units import NO_PRICE_E4
from lowlat.venues.kalshi import catalogue, exchange, holdings, orders
from lowlat.venues.kalshi.holdings import Balance, EventPosition, Position
from lowlat.venues.kalshi.numbers import Result
from lowlat.venues.kalshi.order_values import Amended, Canceled, OrderStatus, Placed, Refusal
from lowlat.venues.kalshi.values import (
    ExchangeStatus,
    FeeChange,
    Incentive,
    Leg,
    MarketStatus,
    PriceRange,
    Print,
    RestBook,
)

DATA = pathlib.Path(__file__).parents[2] / "data" / "kalshi"
REST = json.loads((DATA / "rest.json").read_text())
OWN = json.loads((DATA / "portfolio.json").read_text())
NOON_NS = 1_795_348_800_000_000_000
"""2026-11-22T12:00:00Z."""
S = 10**9

DECODERS = {
    "market": catalogue.decode_market,
    "markets": catalogue.decode_markets,
    "event": catalogue.decode_event,
    "events": catalogue.decode_events,
    "series": catalogue.decode_series,
    "fee_changes": exchange.decode_fee_changes,
    "trades": exchange.decode_trades,
    "book": exchange.decode_book,
    "old_book": exchange.decode_book,
    "status": exchange.decode_status,
    "schedule": exchange.decode_schedule,
    "incentives": exchange.decode_incentives,
    "order": orders.decode_order,
    "orders": orders.decode_orders,
    "fills": orders.decode_fills,
    "create_v2": orders.decode_create_reply,
    "cancel": orders.decode_cancel_reply,
    "amend": orders.decode_amend_reply,
    "batch": orders.decode_batch_cancel_reply,
    "queue": orders.decode_queue_position,
    "refusal": lambda payload: orders.decode_refusal(400, payload),
    "balance": holdings.decode_balance,
    "positions": holdings.decode_positions,
    "settlements": holdings.decode_settlements,
}


def raw(name):
    return json.dumps(REST.get(name) or OWN[name]).encode()


def read(name):
    return DECODERS[name](raw(name))


def with_market(**change):
    return json.dumps({"market": REST["market"]["market"] | change}).encode()


def test_market_is_read_to_integers():
    market = read("market")
    assert (market.status, market.result) == (MarketStatus.ACTIVE, Result.NONE)
    assert (market.yes_bid_e4, market.yes_ask_e4, market.last_e4) == (4_100, 4_400, 4_250)
    assert (market.volume_e6, market.open_interest_e6) == (1_543_210_000, 820_500_000)
    assert market.price_ranges[0] == PriceRange(0, 1_000, 10)
    assert (market.open_ns, market.close_ns) == (NOON_NS, NOON_NS + 900 * S)
    assert (market.floor_strike_e8, market.cap_strike_e8) == (9_812_345_000_000, None)
    assert (market.notional_e6, market.settlement_value_e6) == (1_000_000, None)


def test_market_without_quotes_or_times_says_so():
    market = read("markets").rows[0]
    assert (market.yes_bid_e4, market.yes_ask_e4, market.last_e4) == (NO_PRICE_E4,) * 3
    assert (market.close_ns, market.price_ranges) == (None, ())
    assert (market.status, market.status_text) == (MarketStatus.UNKNOWN, "paused")
    assert market.legs[1] == Leg("KXB", "KXB-2", Outcome.NO)


def test_event_brings_its_markets_from_inside_or_from_beside():
    inside = read("event")
    beside = REST["event"]["event"].copy()
    markets = beside.pop("markets")
    older = catalogue.decode_event(json.dumps({"event": beside, "markets": markets}).encode())
    assert inside == older
    assert inside.markets[0].result == Result.YES
    assert (inside.mutually_exclusive, inside.collateral_return) == (True, "MECNET")
    assert inside.strike_ns == NOON_NS + 36_000 * S


def test_series_and_fee_changes_have_exact_multipliers():
    assert read("series").fee_multiplier_e8 == 50_000_000
    assert read("fee_changes") == (
        FeeChange("KXINX", "quadratic", 100_000_000, NOON_NS + (9 * 86_400 + 5 * 3_600) * S),
    )


def test_prints_of_both_forms_are_the_same_values():
    page = read("trades")
    assert page.rows[0] == Print(
        "07257cc7-1ca1-a990-846a-5d3b7c016969", "KXBTC15M-26NOV221215-15", 4_200, 4_570_000,
        Outcome.YES, False, NOON_NS + 180 * S + 401_000_000,
    )  # fmt: skip
    older = page.rows[1]
    assert (older.yes_price_e4, older.size_e6, older.taker) == (600, 3_000_000, Outcome.NO)


def test_book_of_either_form_and_a_side_without_bids():
    assert read("book") == RestBook(
        ((4_100, 10_000_000), (4_200, 13_000_000)), ((5_500, 100_000_000), (5_600, 17_500_000))
    )
    assert read("old_book") == RestBook(((4_100, 10_000_000),), ())


def test_state_hours_and_rewards_of_the_exchange():
    assert read("status") == ExchangeStatus(True, False, NOON_NS + 3_600 * S)
    schedule = read("schedule")
    assert schedule.weeks[0][2] == ((0, 0, 0), (3, 0, 180), (3, 300, 1_440))
    assert schedule.maintenance[0][1] - schedule.maintenance[0][0] == 7_200 * S
    assert read("incentives").rows[0] == Incentive(
        "12fe", "KXLOWT-1", "liquidity", 1_768_485_747_709_007_000, 1_768_521_599_999_999_000,
        200_000, 5_000, 300_000_000, False,
    )  # fmt: skip


def test_order_of_today_and_of_before():
    order = read("order")
    assert (order.outcome, order.action, order.yes_price_e4) == (Outcome.YES, Action.BUY, 5_600)
    assert (order.initial_size_e6, order.filled_size_e6, order.remaining_size_e6) == (
        5_000_000, 1_500_000, 3_500_000,
    )  # fmt: skip
    assert (order.taker_fees_e6, order.expires_ns) == (25_872, None)
    older = read("orders").rows[0]
    assert (older.outcome, older.action, older.yes_price_e4) == (Outcome.NO, Action.SELL, 6_000)
    assert (older.status, older.taker_cost_e6) == (OrderStatus.EXECUTED, 13_870_000)


def test_fills_name_a_fee_or_say_that_it_is_unknown():
    first, older = read("fills").rows
    assert (first.outcome, first.action, first.fee_e6) == (Outcome.NO, Action.BUY, 77_926)
    assert (older.yes_price_e4, older.size_e6, older.fee_e6) == (6_000, 32_000_000, None)


def test_answers_to_requests_of_both_generations():
    assert read("create_v2") == Placed(
        "o-3", "c-3", 0, 10_000_000, 1_795_352_400_123_000_000, None
    )  # fmt: skip
    older = orders.decode_create_reply(raw("order"))
    assert (older.row, older.remaining_size_e6) == (read("order"), 3_500_000)
    gone = read("cancel")
    assert isinstance(gone, Canceled)
    assert (gone.row.status, gone.reduced_size_e6) == (OrderStatus.CANCELED, 1_000_000)
    amended = read("amend")
    assert isinstance(amended, Amended)
    assert (amended.before.order_id, amended.after.yes_price_e4) == ("o-1", 3_100)
    assert read("queue") == 103_000_000


def test_each_leg_of_a_batch_stands_for_itself():
    canceled, refused = read("batch")
    assert canceled.reduced_size_e6 == 1_000_000
    assert refused == Refusal(200, "not_found", "order not found")
    created = orders.decode_batch_create_reply(raw("batch"))
    assert (created[0].order_id, created[1]) == ("o-1", refused)


def test_refusal_is_read_whatever_its_shape():
    assert read("refusal") == Refusal(
        400, "insufficient_balance", "insufficient balance: needs 4.20"
    )
    plain = orders.decode_refusal(429, b'{"error":"too many requests"}')
    assert plain == Refusal(429, "", "too many requests")
    assert orders.decode_refusal(502, b"<html>bad gateway") == Refusal(502, "", "<html>bad gateway")


def test_money_and_positions_of_either_sign():
    assert read("balance") == Balance(100_000_000, 250_000_000, 1_795_352_400 * S)
    page = read("positions")
    assert page.markets[0] == Position(
        "KXB-1", -5_250_000, 2_940_000, -30_000, 100_000, 3_170_000, 0,
        NOON_NS + 180 * S + 500_000_000,
    )  # fmt: skip
    assert (page.markets[1].size_e6, page.markets[1].realized_e6) == (-32_000_000, -30_000)
    assert page.events[0] == EventPosition("KXB", 4_850_000, -30_000, 190_000, 50_840_000)
    settled = read("settlements").rows[0]
    assert (settled.result, settled.revenue_e6, settled.no_cost_e6, settled.fee_e6) == (
        Result.NO, 37_000_000, 11_950_000, 730_000,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"yes_bid_dollars": "0.41005"}, "more than 4 decimals"),
        ({"yes_ask_dollars": "1.0100"}, "over 1 dollar"),
        ({"volume_fp": None}, "count is missing"),
        ({"price_ranges": [{"start": "0.5", "end": "0.4", "step": "0.01"}]}, "no range"),
        ({"price_ranges": [{"start": "0", "end": "1", "step": "0"}]}, "no range"),
        ({"floor_strike": 1e300}, "out of bounds"),
        ({"close_time": "2300-01-01T00:00:00Z"}, "outside 1970 to 2262"),
        ({"close_time": "soon"}, "not ISO 8601"),
        ({"ticker": "x" * 129}, "no name"),
    ],
)
def test_market_that_cannot_be_true_is_refused_by_name(change, why):
    with pytest.raises(RemoteProtocolError, match=why):
        catalogue.decode_market(with_market(**change))


def test_strike_with_a_giant_exponent_costs_nothing_and_is_refused():
    body = raw("market").replace(b"98123.45", b"1e999999999")
    with pytest.raises(RemoteProtocolError, match="out of bounds"):
        catalogue.decode_market(body)


def test_prices_of_two_outcomes_must_add_up():
    for name, decode in (("trades", exchange.decode_trades), ("order", orders.decode_order)):
        body = raw(name).replace(b'"0.5800"', b'"0.5900"').replace(b'"0.4400"', b'"0.4500"')
        with pytest.raises(RemoteProtocolError, match=r"add up|complement"):
            decode(body)


def test_answer_that_lacks_a_count_or_a_side_is_no_order():
    order = OWN["order"]["order"]
    for key, why in (("fill_count_fp", "count is missing"), ("order_id", "order_id")):
        body = {name: value for name, value in order.items() if name != key}
        with pytest.raises(RemoteProtocolError, match=why):
            orders.decode_order(json.dumps({"order": body}).encode())
    with pytest.raises(RemoteProtocolError, match="neither order nor order_id"):
        orders.decode_create_reply(b"{}")
    with pytest.raises(RemoteProtocolError, match="neither orderbook_fp nor orderbook"):
        exchange.decode_book(b"{}")


def test_paths_quote_what_they_are_given_and_know_the_limits():
    assert catalogue.markets_path("KX&B", "a=/") == (
        "/trade-api/v2/markets?series_ticker=KX%26B&status=open&limit=1000&cursor=a%3D%2F"
    )
    assert exchange.orderbook_path("KXB-1", 10) == "/trade-api/v2/markets/KXB-1/orderbook?depth=10"
    assert exchange.trades_path("KXB-1") == "/trade-api/v2/markets/trades?ticker=KXB-1"
    with pytest.raises(LocalProtocolError, match="expected 0 to 100"):
        exchange.orderbook_path("KXB-1", 101)
    with pytest.raises(LocalProtocolError, match="expected 1 to 1000"):
        catalogue.markets_path("KXB", limit=1001)


@settings(max_examples=100)
@given(data=st.data())
def test_broken_answer_is_a_value_or_an_error(data, mangle, keeps_promise):
    name = data.draw(st.sampled_from(sorted(DECODERS)))
    keeps_promise(DECODERS[name], mangle(data, raw(name)))
