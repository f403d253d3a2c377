"""py-clob-client-v2, unmodified: a test for every method a trader would use."""

import time

import pytest

py_clob = pytest.importorskip("py_clob_client_v2")

from py_clob_client_v2 import (  # noqa: E402
    ApiCreds,
    AssetType,
    BalanceAllowanceParams,
    BookParams,
    BuilderTradeParams,
    ClobClient,
    DropNotificationParams,
    MarketOrderArgs,
    OpenOrderParams,
    OrderArgs,
    OrderMarketCancelParams,
    OrderPayload,
    OrderScoringParams,
    OrdersScoringParams,
    OrderType,
    PartialCreateOrderOptions,
    PostOrdersV2Args,
    PricesHistoryParams,
    Side,
    TradeParams,
)
from py_clob_client_v2.exceptions import PolyApiException  # noqa: E402

pytestmark = pytest.mark.oracle
CLIENT = "py-clob-client-v2"
covers = pytest.mark.covers
TODAY = time.strftime("%Y-%m-%d", time.gmtime())


class Trader:
    """A client with its credentials, and short hands for what tests do all the time."""

    def __init__(self, sim, key, signature_type):
        from eth_account import Account

        self.address = Account.from_key(key).address
        self.wallet = sim.control("account", owner=self.address)["wallets"][str(signature_type)]
        self.client = ClobClient(
            host=sim.urls["clob"],
            chain_id=137,
            key=key,
            signature_type=signature_type,
            funder=self.wallet,
        )
        self.client.set_api_creds(self.client.create_or_derive_api_key())

    def sign(self, token, side, price, size, **extra):
        arguments = OrderArgs(token_id=token, price=price, size=size, side=side, **extra)
        return self.client.create_order(arguments)

    def limit(self, token, side, price, size, kind=OrderType.GTC, **extra):
        return self.client.post_order(self.sign(token, side, price, size), kind, **extra)

    def take(self, token, side, amount, price, kind):
        arguments = MarketOrderArgs(token_id=token, amount=amount, side=side, price=price)
        return self.client.post_order(self.client.create_market_order(arguments), kind)


@pytest.fixture(scope="module")
def maker(sim, keys, quiet_logs):
    return Trader(sim, keys[4], 0)


@pytest.fixture(scope="module")
def taker(sim, keys, quiet_logs):
    return Trader(sim, keys[5], 3)


@pytest.fixture
def market(sim):
    return sim.market()


@pytest.fixture
def quoted(market, maker):
    """A market with a bid and an ask in it."""
    maker.limit(market.yes, Side.BUY, 0.40, 100)
    maker.limit(market.no, Side.BUY, 0.40, 50)
    return market


# --------------------------------------------------------------------------------- service
@covers("GET /ok")
def test_ok(maker):
    assert maker.client.get_ok() == "OK"


@covers("GET /time")
def test_time_is_whole_seconds(maker):
    assert abs(maker.client.get_server_time() - time.time()) < 5


@covers("GET /version")
def test_version(maker):
    assert maker.client.get_version() == 2


# --------------------------------------------------------------------------------- keys
@covers("POST /auth/api-key", "GET /auth/derive-api-key")
def test_a_key_is_made_once_and_derived_for_ever(sim, keys):
    client = ClobClient(host=sim.urls["clob"], chain_id=137, key=keys[5])
    made = client.create_api_key(nonce=7)
    assert isinstance(made, ApiCreds)
    assert client.derive_api_key(nonce=7) == made
    with pytest.raises(PolyApiException) as refused:
        client.create_api_key(nonce=7)
    assert refused.value.status_code == 400


@covers("GET /auth/api-keys", "DELETE /auth/api-key")
def test_a_deleted_key_is_worth_nothing(sim, keys):
    client = ClobClient(host=sim.urls["clob"], chain_id=137, key=keys[5])
    client.set_api_creds(client.create_or_derive_api_key(nonce=9))
    assert client.creds.api_key in client.get_api_keys()["apiKeys"]
    assert client.delete_api_key() == "OK"
    with pytest.raises(PolyApiException) as refused:
        client.get_api_keys()
    assert refused.value.status_code == 401


@covers("readonly-api-key")
def test_read_only_keys_come_and_go(maker):
    made = maker.client.create_readonly_api_key()["apiKey"]
    assert made in maker.client.get_readonly_api_keys()["readonlyApiKeys"]
    assert maker.client.delete_readonly_api_key(made) == "OK"
    assert made not in maker.client.get_readonly_api_keys()["readonlyApiKeys"]


@covers("POST,GET /auth/builder-api-key")
def test_builder_keys_are_made_and_listed(maker):
    made = maker.client.create_builder_api_key()
    assert made["key"] in {row["key"] for row in maker.client.get_builder_api_keys()}


@covers("GET /auth/ban-status/closed-only")
def test_closed_only(maker):
    assert maker.client.get_closed_only_mode() == {"closed_only": False}


# --------------------------------------------------------------------------------- markets
@covers("GET /markets", "GET /simplified-markets")
def test_markets_come_in_pages(maker):
    first = maker.client.get_markets()
    assert first["count"] == len(first["data"]) == first["limit"] == 500
    second = maker.client.get_markets(next_cursor=first["next_cursor"])
    assert second["next_cursor"] == "LTE="
    known = {row["condition_id"] for page in (first, second) for row in page["data"]}
    assert len(known) == 512
    short = maker.client.get_simplified_markets()["data"]
    assert {row["condition_id"] for row in short} <= known
    with pytest.raises(PolyApiException) as refused:
        maker.client.get_markets(next_cursor="LTE=")
    assert refused.value.status_code == 400


@covers("GET /sampling-markets", "GET /sampling-simplified-markets")
def test_sampling_markets_pay_rewards(maker):
    rows = maker.client.get_sampling_markets()["data"]
    assert rows
    assert all(row["rewards"]["rates"] for row in rows)
    assert len(maker.client.get_sampling_simplified_markets()["data"]) == len(rows)


@covers("GET /markets/{cid}", "GET /clob-markets/{cid}")
def test_one_market_in_both_shapes(maker, market):
    long = maker.client.get_market(market.condition)
    compact = maker.client.get_clob_market_info(market.condition)
    assert [token["t"] for token in compact["t"]] == [t["token_id"] for t in long["tokens"]]
    assert compact["mts"] == long["minimum_tick_size"] == 0.01
    with pytest.raises(PolyApiException) as refused:
        maker.client.get_market("0x" + "12" * 32)
    assert refused.value.status_code == 404


@covers("GET /tick-size", "GET /neg-risk", "GET /fee-rate")
def test_market_terms_by_token(sim, market):
    client = ClobClient(host=sim.urls["clob"], chain_id=137)
    neg_risk = sim.market(neg_risk=True)
    assert client.get_tick_size(market.yes) == "0.01"
    assert client.get_neg_risk(market.yes) is False
    assert client.get_neg_risk(neg_risk.no) is True
    assert client.get_fee_rate_bps(market.yes) == 0


@covers("GET /markets-by-token/{token}")
def test_fee_exponent_is_found_by_token(sim):
    client = ClobClient(host=sim.urls["clob"], chain_id=137)
    assert client.get_fee_exponent(sim.market(fee=True).no) == 1


# --------------------------------------------------------------------------------- prices
@pytest.mark.smoke
@covers("GET /book", "POST /books")
def test_books_hash_as_the_client_computes_it(maker, quoted):
    book = maker.client.get_order_book(quoted.yes)
    assert book["bids"][-1] == {"price": "0.4", "size": "100"}
    assert book["asks"][-1] == {"price": "0.6", "size": "50"}
    assert maker.client.get_order_book_hash(dict(book)) == book["hash"]
    both = maker.client.get_order_books(
        [BookParams(token_id=quoted.yes), BookParams(token_id=quoted.no)]
    )
    assert [each["asset_id"] for each in both] == [quoted.yes, quoted.no]


@covers("GET /midpoint", "POST /midpoints", "GET /spread", "POST /spreads")
def test_midpoints_and_spreads(maker, quoted):
    ask = [BookParams(token_id=quoted.yes), BookParams(token_id="1")]
    assert maker.client.get_midpoint(quoted.yes) == {"mid": "0.5"}
    assert maker.client.get_midpoints(ask) == {quoted.yes: "0.5"}
    assert maker.client.get_spread(quoted.yes) == {"spread": "0.2"}
    assert maker.client.get_spreads(ask) == {quoted.yes: "0.2"}


@covers("GET /price", "POST /prices")
def test_prices_by_side(maker, quoted):
    assert maker.client.get_price(quoted.yes, "BUY") == {"price": "0.4"}
    assert maker.client.get_price(quoted.no, "SELL") == {"price": "0.6"}
    rows = maker.client.get_prices(
        [
            BookParams(quoted.yes, "BUY"),
            BookParams(quoted.yes, "SELL"),
            BookParams(quoted.no, "BUY"),
        ]
    )
    assert rows == {quoted.yes: {"BUY": "0.4", "SELL": "0.6"}, quoted.no: {"BUY": "0.4"}}


@covers("GET /last-trade-price", "POST /last-trades-prices", "GET /prices-history")
def test_last_trades_and_history(maker, taker, quoted):
    assert maker.client.get_last_trade_price(quoted.yes)["side"] == ""
    taker.take(quoted.yes, Side.BUY, 6, 0.6, OrderType.FOK)
    assert maker.client.get_last_trade_price(quoted.yes) == {"price": "0.6", "side": "BUY"}
    ask = [BookParams(token_id=quoted.yes)]
    row = {"token_id": quoted.yes, "price": "0.6", "side": "BUY"}
    assert maker.client.get_last_trades_prices(ask) == [row]
    params = PricesHistoryParams(market=quoted.no, interval="1h", fidelity=1)
    (point,) = maker.client.get_prices_history(params)["history"]
    assert point["p"] == 0.4
    assert abs(point["t"] - time.time()) < 120


@covers("GET /markets/live-activity/{cid}")
def test_live_activity_names_the_taker(maker, taker, quoted):
    taker.take(quoted.yes, Side.BUY, 6, 0.6, OrderType.FOK)
    (row,) = maker.client.get_market_trades_events(quoted.condition)
    assert (row["size"], row["price"], row["side"]) == ("10", "0.6", "BUY")


@covers("GET /book")
def test_market_price_walks_our_book(maker, quoted):
    assert maker.client.calculate_market_price(quoted.yes, "BUY", 10) == 0.6


# --------------------------------------------------------------------------------- orders
@pytest.mark.smoke
@covers("POST /order GTC", "GET /data/order/{id}", "GET /data/orders")
def test_a_limit_order_rests_and_is_read_back(maker, market):
    answer = maker.limit(market.yes, Side.BUY, 0.37, 20)
    assert (answer["success"], answer["errorMsg"], answer["status"]) == (True, "", "live")
    row = maker.client.get_order(answer["orderID"])
    assert (row["price"], row["original_size"], row["size_matched"]) == ("0.37", "20", "0")
    listed = maker.client.get_open_orders(OpenOrderParams(market=market.condition))
    assert [each["id"] for each in listed] == [answer["orderID"]]
    by_id = maker.client.get_open_orders(OpenOrderParams(id=answer["orderID"]))
    assert by_id == listed


@covers("POST /order signature types 0-3")
@pytest.mark.parametrize("kind", [0, 1, 2, 3])
@pytest.mark.parametrize("neg_risk", [False, True])
def test_every_kind_of_wallet_trades(sim, keys, kind, neg_risk):
    trader = Trader(sim, keys[4], kind)
    market = sim.market(neg_risk=neg_risk)
    answer = trader.limit(market.yes, Side.BUY, 0.3, 10)
    assert answer["status"] == "live"
    assert trader.client.get_order(answer["orderID"])["maker_address"].lower() == trader.wallet


@covers("POST /order on the V3 exchange")
def test_a_protocol_v2_market_trades_on_the_third_exchange(sim, maker, taker):
    market = sim.market(v2=True)
    options = PartialCreateOrderOptions(version=3)
    arguments = OrderArgs(token_id=market.yes, price=0.3, size=10, side=Side.BUY)
    answer = maker.client.post_order(maker.client.create_order(arguments, options))
    assert answer["status"] == "live"


@covers("POST /order GTD")
def test_a_gtd_order_must_live_long_enough(maker, market):
    def place(seconds):
        expiration = int(time.time()) + seconds
        order = maker.sign(market.yes, Side.BUY, 0.3, 10, expiration=expiration)
        return maker.client.post_order(order, OrderType.GTD)

    assert place(600)["status"] == "live"
    with pytest.raises(PolyApiException, match="invalid expiration"):
        place(30)


@covers("POST /order post-only")
def test_post_only_never_takes(maker, taker, quoted):
    answer = taker.limit(quoted.yes, Side.BUY, 0.59, 10, post_only=True)
    assert answer["status"] == "live"
    with pytest.raises(PolyApiException, match="invalid post-only order: order crosses book"):
        taker.limit(quoted.yes, Side.BUY, 0.6, 10, post_only=True)


@pytest.mark.smoke
@covers("POST /order FOK", "GET /data/trades")
def test_fok_fills_whole_and_waits_for_its_transaction(taker, quoted):
    answer = taker.take(quoted.yes, Side.BUY, 12, 0.6, OrderType.FOK)
    assert (answer["status"], answer["makingAmount"], answer["takingAmount"]) == (
        "matched",
        "12",
        "20",
    )
    assert len(answer["transactionsHashes"]) == len(answer["tradeIDs"]) == 1
    (trade,) = taker.client.get_trades(TradeParams(market=quoted.condition))
    assert trade["id"] == answer["tradeIDs"][0]
    assert trade["trader_side"] == "TAKER"
    page = taker.client.get_trades_paginated(TradeParams(id=trade["id"]))
    assert page["trades"] == [trade]
    with pytest.raises(PolyApiException, match="FOK orders are fully filled or killed"):
        taker.take(quoted.yes, Side.BUY, 1000, 0.6, OrderType.FOK)


@covers("POST /order FAK")
def test_fak_takes_what_is_there(taker, quoted):
    answer = taker.take(quoted.yes, Side.BUY, 60, 0.6, OrderType.FAK)
    assert (answer["makingAmount"], answer["takingAmount"]) == ("30", "50")
    with pytest.raises(PolyApiException, match="no orders found to match with FAK order"):
        taker.take(quoted.yes, Side.BUY, 60, 0.6, OrderType.FAK)


@covers("POST /order FAK SELL")
def test_a_market_sell_gives_shares(sim, maker, taker):
    market = sim.market(fee=False)
    maker.limit(market.no, Side.BUY, 0.5, 40)
    taker.take(market.yes, Side.BUY, 10, 0.5, OrderType.FAK)
    maker.limit(market.yes, Side.BUY, 0.45, 15)
    answer = taker.take(market.yes, Side.SELL, 20, 0.4, OrderType.FAK)
    assert (answer["makingAmount"], answer["takingAmount"]) == ("15", "6.75")


@covers("POST /orders")
def test_a_batch_answers_leg_by_leg(maker, taker, quoted):
    legs = [
        PostOrdersV2Args(order=taker.sign(quoted.yes, Side.BUY, 0.3, 10)),
        PostOrdersV2Args(order=taker.sign(quoted.yes, Side.BUY, 0.6, 20), orderType=OrderType.FAK),
        PostOrdersV2Args(order=taker.sign(quoted.yes, Side.SELL, 0.9, 10)),
        PostOrdersV2Args(order=maker.sign(quoted.yes, Side.BUY, 0.3, 10)),
    ]
    first, second, third, fourth = taker.client.post_orders(legs)
    assert (first["status"], second["status"]) == ("live", "matched")
    assert (third["success"], third["orderID"]) == (True, "")
    assert third["errorMsg"].startswith("not enough balance / allowance")
    assert fourth["errorMsg"] == ("the order signer address has to be the address of the API KEY")


@covers("order create-and-post")
def test_create_and_post_in_one_call(taker, quoted):
    arguments = OrderArgs(token_id=quoted.yes, price=0.2, size=10, side=Side.BUY)
    assert taker.client.create_and_post_order(arguments)["status"] == "live"
    spend = MarketOrderArgs(token_id=quoted.yes, amount=6, side=Side.BUY)
    assert taker.client.create_and_post_market_order(spend)["status"] == "matched"


# --------------------------------------------------------------------------------- cancels
@covers("DELETE /order", "DELETE /orders")
def test_cancels_say_what_went_and_why_the_rest_did_not(maker, market):
    ids = [maker.limit(market.yes, Side.BUY, 0.2, 10 + i)["orderID"] for i in range(3)]
    assert maker.client.cancel_order(OrderPayload(orderID=ids[0])) == {
        "canceled": [ids[0]],
        "not_canceled": {},
    }
    unknown = "0x" + "ab" * 32
    answer = maker.client.cancel_orders([*ids, unknown])
    assert answer["canceled"] == ids[1:]
    assert answer["not_canceled"] == {
        ids[0]: "already canceled or matched",
        unknown: "order not found",
    }


@covers("DELETE /cancel-market-orders", "DELETE /cancel-all")
def test_cancels_by_market_token_and_all(sim, maker):
    one, other = sim.market(), sim.market()
    by_market = maker.limit(one.yes, Side.BUY, 0.2, 10)["orderID"]
    by_token = maker.limit(other.no, Side.BUY, 0.2, 10)["orderID"]
    stays = maker.limit(other.yes, Side.BUY, 0.2, 10)["orderID"]
    cancel = maker.client.cancel_market_orders
    assert cancel(OrderMarketCancelParams(market=one.condition))["canceled"] == [by_market]
    assert cancel(OrderMarketCancelParams(asset_id=other.no))["canceled"] == [by_token]
    assert stays in maker.client.cancel_all()["canceled"]
    assert maker.client.get_open_orders() == []


@covers("POST /v1/heartbeats")
def test_heartbeats_chain_their_ids(taker):
    first = taker.client.post_heartbeat()["heartbeat_id"]
    second = taker.client.post_heartbeat(first)["heartbeat_id"]
    assert second not in {"", first}
    with pytest.raises(PolyApiException, match="Invalid Heartbeat ID"):
        taker.client.post_heartbeat("wrong")


# --------------------------------------------------------------------------------- account
@covers("GET /balance-allowance", "GET /balance-allowance/update")
def test_balances_are_cached_until_an_update(sim, taker, market):
    collateral = BalanceAllowanceParams(asset_type=AssetType.COLLATERAL)
    before = int(taker.client.get_balance_allowance(collateral)["balance"])
    assert before == sim.state(taker.wallet)["cash_e6"]
    sim.control("faults", balance_stale_ms=3_600_000)
    sim.control("deposit", wallet=taker.wallet, cash_e6=5)
    assert int(taker.client.get_balance_allowance(collateral)["balance"]) == before
    taker.client.update_balance_allowance(collateral)
    assert int(taker.client.get_balance_allowance(collateral)["balance"]) == before + 5
    sim.control("faults", balance_stale_ms=0)
    token = BalanceAllowanceParams(asset_type=AssetType.CONDITIONAL, token_id=market.yes)
    assert taker.client.get_balance_allowance(token)["balance"] == "0"


@covers("GET,DELETE /notifications")
def test_notifications_are_read_and_dropped(maker, market):
    order = maker.limit(market.yes, Side.BUY, 0.2, 10)["orderID"]
    maker.client.cancel_order(OrderPayload(orderID=order))
    note = maker.client.get_notifications()[-1]
    assert (note["type"], note["payload"]["order_id"]) == (1, order)
    maker.client.drop_notifications(DropNotificationParams(ids=[str(note["id"])]))
    assert note["id"] not in {each["id"] for each in maker.client.get_notifications()}


@covers("GET /data/pre-migration-orders")
def test_nothing_predates_the_migration(maker):
    assert maker.client.get_pre_migration_orders() == []


@covers("GET /builder/trades")
def test_builder_codes_collect_their_trades(maker, taker, quoted, builder):
    order = taker.sign(quoted.yes, Side.BUY, 0.6, 10, builder_code=builder)
    answer = taker.client.post_order(order, OrderType.FAK)
    params = BuilderTradeParams(builder_code=builder, market=quoted.condition)
    (row,) = taker.client.get_builder_trades(params)["trades"]
    assert row["id"] == answer["tradeIDs"][0]


# --------------------------------------------------------------------------------- rewards
@covers("GET /rewards/markets/current", "GET /rewards/markets/{cid}")
def test_reward_terms(sim, maker):
    market = sim.market(rewards=True)
    current = {row["condition_id"]: row for row in maker.client.get_current_rewards()}
    assert current[market.condition]["rewards_config"][0]["rate_per_day"] == 50
    (row,) = maker.client.get_raw_rewards_for_market(market.condition)
    assert row["rewards_min_size"] == 20


@covers("GET /order-scoring", "POST /orders-scoring", "GET /rewards/user/percentages")
def test_orders_score_when_near_the_middle_and_old_enough(sim, maker):
    market = sim.market(rewards=True)
    near = maker.limit(market.yes, Side.BUY, 0.49, 50)["orderID"]
    maker.limit(market.no, Side.BUY, 0.49, 50)
    far = maker.limit(market.yes, Side.BUY, 0.3, 50)["orderID"]
    share = maker.client.get_reward_percentages()
    assert share[market.condition] == 100
    flags = maker.client.are_orders_scoring(OrdersScoringParams(orderIds=[near, far]))
    assert flags == {near: False, far: False}, "younger than 3.5 s"
    deadline = time.monotonic() + 20
    while not maker.client.is_order_scoring(OrderScoringParams(orderId=near))["scoring"]:
        assert time.monotonic() < deadline, "the order never scored"
        time.sleep(0.5)
    assert maker.client.are_orders_scoring(OrdersScoringParams(orderIds=[far])) == {far: False}


@covers("GET /rewards/user", "GET /rewards/user/total", "GET /rewards/user/markets")
def test_earnings_of_a_day(sim, maker):
    market = sim.market(rewards=True)
    maker.limit(market.yes, Side.BUY, 0.49, 50)
    maker.limit(market.no, Side.BUY, 0.49, 50)
    sim.control("sample_rewards")
    rows = maker.client.get_earnings_for_user_for_day(TODAY)
    earned = {row["condition_id"]: row["earnings"] for row in rows}
    assert earned[market.condition] == pytest.approx(50 / 1440, abs=1e-5)
    (total,) = maker.client.get_total_earnings_for_user_for_day(TODAY)
    assert total["earnings"] == pytest.approx(sum(earned.values()))
    table = maker.client.get_user_earnings_and_markets_config(TODAY)
    by_market = {row["condition_id"]: row for row in table}
    assert by_market[market.condition]["earnings"][0]["earnings"] == earned[market.condition]
