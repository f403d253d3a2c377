"""polymarket-client, sync and async, unmodified: a test for every method a trader would use."""

import time
from decimal import Decimal

import pytest

polymarket = pytest.importorskip("polymarket")

from polymarket import PriceRequest  # noqa: E402
from polymarket.errors import (  # noqa: E402
    OrderHeartbeatMismatchError,
    RateLimitError,
    RequestRejectedError,
    TransactionFailedError,
)

pytestmark = pytest.mark.oracle
covers = pytest.mark.covers
TODAY = time.strftime("%Y-%m-%d", time.gmtime())
D = Decimal


@pytest.fixture
def market(sim):
    return sim.market()


@pytest.fixture
def quoted(market, alice):
    """A market with a bid and an ask in it."""
    alice.place_limit_order(token_id=market.yes, price=0.40, size=100, side="BUY")
    alice.place_limit_order(token_id=market.no, price=0.40, size=50, side="BUY")
    return market


def limit(driver, token, side, price, size, **extra):
    return driver.place_limit_order(token_id=token, price=price, size=size, side=side, **extra)


# --------------------------------------------------------------------------------- keys
@covers("GET /auth/api-keys", "GET /auth/ban-status/closed-only")
def test_own_keys_are_listed(alice):
    assert alice.credentials.key in alice.fetch_api_keys()
    assert alice.get_closed_only_mode() is False


@covers("POST /auth/api-key", "GET /auth/derive-api-key", "DELETE /auth/api-key")
def test_a_key_is_made_derived_and_deleted(sim, keys, loop, alice, drivers):
    first = drivers(alice, alice.key, 0, nonce=31)
    again = drivers(alice, alice.key, 0, nonce=31)
    assert first.credentials == again.credentials
    again.delete_api_key()
    with pytest.raises(RequestRejectedError) as refused:
        first.fetch_api_keys()
    assert refused.value.status == 401


@covers("POST,GET /auth/builder-api-key", "DELETE /auth/builder-api-key")
def test_builder_keys_are_made_listed_and_revoked(alice, drivers):
    made = alice.create_builder_api_key()
    assert made.key in {row.key for row in alice.fetch_builder_api_keys()}
    holder = drivers(alice, alice.key, 0, api_key=made)
    holder.revoke_builder_api_key()
    assert made.key not in {row.key for row in alice.fetch_builder_api_keys()}


# --------------------------------------------------------------------------------- prices
@covers("GET /book", "POST /books")
def test_books(alice, quoted):
    book = alice.get_order_book(token_id=quoted.yes)
    assert (book.bids[-1].price, book.asks[-1].price) == (D("0.4"), D("0.6"))
    both = alice.get_order_books(token_ids=[quoted.yes, quoted.no])
    assert [each.asset_id for each in both] == [quoted.yes, quoted.no]


@covers("GET /midpoint", "POST /midpoints", "GET /spread", "POST /spreads")
def test_midpoints_and_spreads(alice, quoted):
    assert alice.get_midpoint(token_id=quoted.yes) == D("0.5")
    assert alice.get_midpoints(token_ids=[quoted.yes]) == {quoted.yes: D("0.5")}
    assert alice.get_spread(token_id=quoted.yes) == D("0.2")
    assert alice.get_spreads(token_ids=[quoted.yes]) == {quoted.yes: D("0.2")}


@covers("GET /price", "POST /prices")
def test_prices_by_side(alice, quoted):
    assert alice.get_price(token_id=quoted.yes, side="BUY") == D("0.4")
    rows = alice.get_prices(requests=[PriceRequest(quoted.yes, "SELL")])
    assert rows == {quoted.yes: {"SELL": D("0.6")}}


@covers("GET /last-trade-price", "POST /last-trades-prices")
def test_last_trades(alice, bob, quoted):
    assert alice.get_last_trade_price(token_id=quoted.yes) is None
    limit(bob, quoted.yes, "BUY", 0.6, 10)
    assert alice.get_last_trade_price(token_id=quoted.yes).price == D("0.6")
    (row,) = alice.get_last_trade_prices(token_ids=[quoted.yes])
    assert (row.asset_id, row.price, row.side) == (quoted.yes, D("0.6"), "BUY")


@covers("GET /book")
def test_market_price_walks_our_book(alice, quoted):
    price = alice.estimate_market_price(token_id=quoted.yes, side="BUY", amount=10)
    assert price == D("0.6")


# --------------------------------------------------------------------------------- orders
@pytest.mark.smoke
@covers("POST /order GTC", "GET /data/order/{id}", "GET /data/orders")
def test_a_limit_order_rests_and_is_read_back(alice, market):
    placed = limit(alice, market.yes, "BUY", 0.37, 20)
    assert placed.ok, placed
    order = alice.get_order(order_id=placed.order_id)
    assert (order.price, order.original_size, order.size_matched) == (D("0.37"), 20, 0)
    assert order.expires_at is None
    (row,) = alice.first("list_open_orders", market=market.condition)
    assert row == order


@covers("POST /order signature types 0-3")
@pytest.mark.parametrize("kind", [0, 1, 2, 3])
@pytest.mark.parametrize("neg_risk", [False, True])
def test_every_kind_of_wallet_trades(sim, alice, drivers, kind, neg_risk):
    trader = drivers(alice, alice.key, kind)
    market = sim.market(neg_risk=neg_risk)
    placed = limit(trader, market.yes, "BUY", 0.3, 10)
    assert placed.ok, placed
    order = trader.get_order(order_id=placed.order_id)
    assert order.maker_address.lower() == trader.wallet.lower()


@covers("POST /order on the V3 exchange")
def test_a_protocol_v2_market_trades_on_the_third_exchange(sim, alice, bob):
    market = sim.market(v2=True)
    assert limit(alice, market.yes, "BUY", 0.3, 10).status == "live"
    matched = limit(bob, market.no, "BUY", 0.7, 10)
    assert matched.status == "matched"


@covers("POST /order GTD")
def test_a_gtd_order_rests(alice, market):
    placed = limit(alice, market.yes, "BUY", 0.3, 10, expiration=int(time.time()) + 600)
    assert alice.get_order(order_id=placed.order_id).expires_at is not None


@covers("POST /order post-only")
def test_post_only_never_takes(bob, quoted):
    assert limit(bob, quoted.yes, "BUY", 0.59, 10, post_only=True).status == "live"
    with pytest.raises(RequestRejectedError, match="order crosses book"):
        limit(bob, quoted.yes, "BUY", 0.6, 10, post_only=True)


@pytest.mark.smoke
@covers("POST /order FOK", "GET /data/trades", "GET /data/trades?id=")
def test_fok_fills_whole_and_settles(alice, bob, quoted):
    placed = bob.place_market_order(
        token_id=quoted.yes, side="BUY", amount=12, order_type="FOK", max_price=0.6
    )
    assert (placed.making_amount, placed.taking_amount) == (12, 20)
    assert bob.wait_for_order_fill_settlement(placed)
    (trade,) = bob.first("list_account_trades", market=quoted.condition)
    assert (trade.trader_side, trade.size, trade.price) == ("TAKER", 20, D("0.6"))
    (seen,) = alice.first("list_account_trades", market=quoted.condition)
    assert (seen.trader_side, seen.maker_orders[0].price) == ("MAKER", D("0.4"))
    with pytest.raises(RequestRejectedError, match="FOK orders are fully filled or killed"):
        bob.place_market_order(
            token_id=quoted.yes, side="BUY", amount=1000, order_type="FOK", max_price=0.6
        )


@covers("POST /order FAK")
def test_fak_takes_what_is_there(bob, quoted):
    spend = {"token_id": quoted.yes, "side": "BUY", "amount": 60, "order_type": "FAK"}
    placed = bob.place_market_order(**spend, max_price=0.6)
    assert (placed.making_amount, placed.taking_amount) == (30, 50)
    with pytest.raises(RequestRejectedError, match="no orders found to match with FAK order"):
        bob.place_market_order(**spend, max_price=0.6)


@covers("POST /order FAK SELL")
def test_a_market_sell_gives_shares(sim, alice, bob):
    market = sim.market(fee=False)
    limit(alice, market.no, "BUY", 0.5, 40)
    bought = limit(bob, market.yes, "BUY", 0.5, 20)
    bob.wait_for_order_fill_settlement(bought)
    limit(alice, market.yes, "BUY", 0.45, 15)
    placed = bob.place_market_order(
        token_id=market.yes, side="SELL", shares=20, order_type="FAK", min_price=0.4
    )
    assert (placed.making_amount, placed.taking_amount) == (15, D("6.75"))


@pytest.mark.smoke
@covers("POST /orders")
def test_a_batch_answers_leg_by_leg(bob, quoted):
    legs = [
        bob.create_limit_order(token_id=quoted.yes, price=price, size=size, side=side)
        for side, price, size in (("BUY", 0.3, 10), ("SELL", 0.9, 10), ("BUY", 0.6, 10))
    ]
    first, second, third = bob.post_orders(legs)
    assert (first.status, third.status) == ("live", "matched")
    assert (second.ok, second.code) == (False, "not_enough_balance")
    (again, *_) = bob.post_orders(legs[:1])
    assert "Duplicated" in again.message


@covers("POST /order FAK, five taker decimals")
def test_a_market_buy_at_a_fine_tick_breaks_the_decimals_rule(sim, alice):
    """Its five taker decimals are what the venue was seen refusing. Source: polymarket.md 4.2."""
    with pytest.raises(RequestRejectedError, match="taker amount a max of 4 decimals"):
        alice.place_market_order(
            token_id=sim.market(tick=0.001).yes,
            side="BUY",
            amount=10,
            order_type="FAK",
            max_price=0.6,
        )


# --------------------------------------------------------------------------------- cancels
@pytest.mark.smoke
@covers("DELETE /order", "DELETE /orders")
def test_cancels_say_what_went_and_why_the_rest_did_not(alice, market):
    ids = [limit(alice, market.yes, "BUY", 0.2, 10 + i).order_id for i in range(3)]
    assert alice.cancel_order(order_id=ids[0]).canceled == (ids[0],)
    answer = alice.cancel_orders(order_ids=ids)
    assert answer.canceled == tuple(ids[1:])
    assert answer.not_canceled == {ids[0]: "already canceled or matched"}


@covers("DELETE /cancel-market-orders", "DELETE /cancel-all")
def test_cancels_by_market_token_and_all(sim, alice):
    one, other = sim.market(), sim.market()
    by_market = limit(alice, one.yes, "BUY", 0.2, 10).order_id
    by_token = limit(alice, other.no, "BUY", 0.2, 10).order_id
    stays = limit(alice, other.yes, "BUY", 0.2, 10).order_id
    assert alice.cancel_market_orders(market=one.condition).canceled == (by_market,)
    assert alice.cancel_market_orders(token_id=other.no).canceled == (by_token,)
    assert stays in alice.cancel_all().canceled
    assert alice.first("list_open_orders") == ()


@covers("POST /v1/heartbeats")
def test_heartbeats_chain_their_ids(bob):
    first = bob.send_order_heartbeat().heartbeat_id
    assert bob.send_order_heartbeat(heartbeat_id=first).heartbeat_id != first
    with pytest.raises(OrderHeartbeatMismatchError):
        bob.send_order_heartbeat(heartbeat_id="wrong")


# --------------------------------------------------------------------------------- account
@covers("GET /balance-allowance")
def test_balances_and_allowances(sim, bob):
    held = bob.get_balance_allowance(asset_type="COLLATERAL")
    assert held.balance == sim.state(bob.wallet)["cash_e6"]
    assert min(held.allowances.values()) == 2**256 - 1


@covers("GET,DELETE /notifications")
def test_notifications_are_read_and_dropped(alice, market):
    order = limit(alice, market.yes, "BUY", 0.2, 10).order_id
    alice.cancel_order(order_id=order)
    note = alice.get_notifications()[-1]
    assert note.payload.order_id == order
    alice.drop_notifications(ids=[note.id])
    assert note.id not in {each.id for each in alice.get_notifications()}


@covers("rate limit headers", "429")
def test_limits_are_told_in_headers_and_refused_with_429(sim, alice, market, drivers):
    updates = []
    caller = drivers(alice, alice.key, 0, on_rate_limit_update=updates.append)
    limit(caller, market.yes, "BUY", 0.2, 10)
    assert updates[-1].tier == "Standard"
    sim.control("mode", mode="rate_limited", duration_ms=60_000)
    with pytest.raises(RateLimitError) as refused:
        limit(caller, market.yes, "BUY", 0.2, 10)
    sim.control("mode", mode="normal")
    assert refused.value.retry_after


@covers("503 post-only mode", "425 restart")
def test_venue_modes_are_told_apart(sim, alice, market):
    sim.control("mode", mode="post_only", duration_ms=60_000)
    with pytest.raises(RequestRejectedError) as refused:
        limit(alice, market.yes, "BUY", 0.2, 10)
    assert limit(alice, market.yes, "BUY", 0.2, 10, post_only=True).ok
    sim.control("mode", mode="normal")
    assert refused.value.restriction == "post_only"
    sim.control("mode", mode="restart", duration_ms=60_000)
    with pytest.raises(RequestRejectedError) as refused:
        limit(alice, market.yes, "BUY", 0.2, 10)
    sim.control("mode", mode="normal")
    assert refused.value.restriction == "restarting"


# --------------------------------------------------------------------------------- builders
@covers("GET /fees/builder-fees/{code}", "GET /builder/trades")
def test_builder_fees_and_trades(bob, quoted, builder):
    rates = bob.get_builder_fee_rates(builder)
    assert (rates.maker, rates.taker) == (D("0.001"), D("0.002"))
    placed = limit(bob, quoted.yes, "BUY", 0.6, 10, builder_code=builder)
    rows = bob.first("list_builder_trades", builder_code=builder, market=quoted.condition)
    assert [row.id for row in rows] == list(placed.trade_ids)


# --------------------------------------------------------------------------------- rewards
@covers("GET /rewards/markets/current", "GET /rewards/markets/{cid}", "GET /rewards/markets/multi")
def test_reward_terms(sim, alice):
    market = sim.market(rewards=True)
    current = {row.condition_id: row for row in alice.first("list_current_rewards")}
    assert current[market.condition].rewards_config[0].rate_per_day == 50
    (row,) = alice.first("list_market_rewards", condition_id=market.condition)
    assert row.rewards_min_size == 20
    rows = {row.condition_id: row for row in alice.first("list_reward_markets", page_size=500)}
    assert rows[market.condition].rewards_max_spread == 3.5


@covers(
    "GET /rewards/user",
    "GET /rewards/user/total",
    "GET /rewards/user/markets",
    "GET /rewards/user/percentages",
    "GET /order-scoring",
    "POST /orders-scoring",
)
def test_rewards_of_a_day(sim, alice):
    market = sim.market(rewards=True)
    near = limit(alice, market.yes, "BUY", 0.49, 50).order_id
    limit(alice, market.no, "BUY", 0.49, 50)
    assert alice.get_order_scoring(order_id=near) is False, "younger than 3.5 s"
    assert alice.get_orders_scoring(order_ids=[near]) == {near: False}
    assert alice.get_reward_percentages()[market.condition] == 100.0
    sim.control("sample_rewards")
    rows = alice.first("list_user_earnings_for_day", date=TODAY)
    earned = {row.condition_id: row.earnings for row in rows}
    assert earned[market.condition] == pytest.approx(D(50) / 1440, abs=D("0.00001"))
    (total,) = alice.get_total_earnings_for_user_for_day(date=TODAY)
    assert total.earnings == pytest.approx(sum(earned.values()))
    table = alice.first("list_user_earnings_and_markets_config", date=TODAY)
    assert market.condition in {row.condition_id for row in table}


@covers("GET /rebates/current")
def test_makers_get_their_share_of_the_fees(sim, alice, bob):
    market = sim.market(fee=True)
    limit(alice, market.yes, "BUY", 0.5, 1000)
    limit(bob, market.no, "BUY", 0.5, 1000)
    wallet = alice.wallet
    rows = alice.get_current_rebates(date=TODAY, maker_address=wallet)
    (row,) = [each for each in rows if each.condition_id == market.condition]
    fee = sim.read("clob", f"/clob-markets/{market.condition}")["fd"]["r"] * 1000 * 0.25
    assert float(row.rebated_fees_usdc) == pytest.approx(fee * 0.25)
    before = sim.state(wallet)["cash_e6"]
    paid = [each for each in sim.control("payout") if each["wallet"] == wallet.lower()]
    assert sim.state(wallet)["cash_e6"] == before + sum(each["amount_e6"] for each in paid)
    assert alice.get_current_rebates(date=TODAY, maker_address=wallet) == rows


# --------------------------------------------------------------------------------- wallet
@covers("relayer split", "relayer merge", "rpc eth_call")
@pytest.mark.parametrize("neg_risk", [False, True])
@pytest.mark.parametrize("kind", [1, 2, 3])
def test_split_and_merge_are_exact(sim, alice, drivers, kind, neg_risk):
    holder = drivers(alice, alice.key, kind)
    market = sim.market(neg_risk=neg_risk)
    cash = sim.state(holder.wallet)["cash_e6"]
    holder.done("split_position", condition_id=market.condition, amount=7_000_000)
    state = sim.state(holder.wallet)
    assert state["cash_e6"] == cash - 7_000_000
    assert state["positions_e6"][market.yes] == state["positions_e6"][market.no] == 7_000_000
    holder.done("merge_positions", condition_id=market.condition, amount=2_000_000)
    holder.done("merge_positions", condition_id=market.condition, amount="max")
    state = sim.state(holder.wallet)
    assert state["cash_e6"] == cash
    assert market.yes not in state["positions_e6"]


@covers("relayer merge of many")
def test_many_merges_in_one_batch(sim, bob):
    markets = [sim.market(), sim.market()]
    for market in markets:
        bob.done("split_position", condition_id=market.condition, amount=3_000_000)
    bob.done(
        "merge_multiple_positions",
        positions=[{"condition_id": each.condition} for each in markets],
    )
    held = sim.state(bob.wallet)["positions_e6"]
    assert not {token for each in markets for token in (each.yes, each.no)} & set(held)


@covers("relayer redeem")
@pytest.mark.parametrize("neg_risk", [False, True])
def test_winnings_are_redeemed(sim, bob, neg_risk):
    market = sim.market(neg_risk=neg_risk)
    bob.done("split_position", condition_id=market.condition, amount=4_000_000)
    sim.control("resolve", market=market.condition, winner=1)
    before = sim.state(bob.wallet)
    assert before["positions_e6"][market.no] == 4_000_000
    bob.done("redeem_positions", condition_id=market.condition)
    after = sim.state(bob.wallet)
    assert after["cash_e6"] == before["cash_e6"] + 4_000_000
    assert not {market.yes, market.no} & set(after["positions_e6"])


@covers("relayer failed transaction")
def test_a_batch_that_reverts_changes_nothing(sim, bob):
    market = sim.market()
    before = sim.state(bob.wallet)
    with pytest.raises(TransactionFailedError, match="exceeds balance"):
        bob.done("split_position", condition_id=market.condition, amount=10**15)
    assert sim.state(bob.wallet) == before


@covers("rpc eth_sendRawTransaction")
def test_an_eoa_pays_its_own_way(sim, alice):
    market = sim.market()
    alice.done("split_position", condition_id=market.condition, amount=3_000_000)
    assert sim.state(alice.wallet)["positions_e6"][market.yes] == 3_000_000


@covers("relayer transfer")
def test_collateral_moves_between_wallets(sim, alice, bob):
    from polymarket.environments import PRODUCTION

    before = sim.state(alice.wallet)["cash_e6"]
    bob.done(
        "transfer_erc20",
        token_address=PRODUCTION._config.collateral_token,
        recipient_address=alice.wallet,
        amount=1_000_000,
    )
    assert sim.state(alice.wallet)["cash_e6"] == before + 1_000_000


@covers("session keys", "POST /order by a session key")
def test_a_session_key_trades_for_the_wallet(sim, alice, bob, drivers, market):
    from eth_account import Account

    session = Account.create("a session key of the conformance suite")
    owner = drivers(bob, bob.key, 3, api_key=alice.create_builder_api_key())
    result = owner.authorize_session_key(address=session.address, scopes=["CLOB"])
    assert result.session_key.address.lower() == session.address.lower()
    trader = drivers(bob, session.key.hex(), 3, wallet=bob.wallet)
    placed = limit(trader, market.yes, "BUY", 0.2, 10)
    assert placed.ok, placed
    order = trader.get_order(order_id=placed.order_id)
    assert order.maker_address.lower() == bob.wallet.lower()
    owner.revoke_session_key(address=session.address)
    with pytest.raises(RequestRejectedError):
        limit(trader, market.yes, "BUY", 0.2, 10)


@covers("relayer WALLET-CREATE", "approvals")
def test_a_new_wallet_is_deployed_and_approved(fresh_sim, drivers, alice):
    newcomer = drivers(alice, alice.key, 3, sim=fresh_sim, wallet=None)
    market = fresh_sim.market()
    assert newcomer.wallet_type == "DEPOSIT_WALLET"
    held = newcomer.get_balance_allowance(asset_type="COLLATERAL")
    assert set(held.allowances.values()) == {0}
    placed = limit(newcomer, market.yes, "BUY", 0.2, 10)
    assert placed.ok, "the client repairs a missing allowance and tries once more"
    newcomer.setup_trading_approvals()
    held = newcomer.get_balance_allowance(asset_type="COLLATERAL")
    assert min(held.allowances.values()) == 2**256 - 1
