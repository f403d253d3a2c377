"""polymarket-client's sockets, unmodified: market, user, both price feeds.

The client parses every frame with its own models and drops what it cannot read, so each test waits
for the event it caused. Only the async client has sockets.
"""

import asyncio
from decimal import Decimal
from types import SimpleNamespace

import pytest

pytest.importorskip("polymarket")

from polymarket.streams import (
    CryptoPriceSpec,
    CryptoPricesSpec,
    CryptoTwapPriceSpec,
    MarketSpec,
    UserSpec,
)

pytestmark = pytest.mark.oracle
CLIENT = "polymarket-client async"
covers = pytest.mark.covers
WITHIN_S = 30


async def first(handle, wanted):
    """Return the first event that passes."""

    async def read():
        async for event in handle:
            if wanted(event):
                return event
        raise AssertionError("the stream ended")

    return await asyncio.wait_for(read(), WITHIN_S)


def of(kind):
    return lambda event: event.type == kind


@pytest.fixture
def traders(sim, keys, drivers):
    """An EOA and a deposit wallet, each with the async client."""
    like = SimpleNamespace(kind=CLIENT)
    return drivers(like, keys[2], 0, sim=sim), drivers(like, keys[3], 3, sim=sim)


@covers("market socket")
def test_a_market_is_heard_from_its_book_to_its_end(sim, loop, traders):
    alice, bob = traders
    market = sim.market()

    async def listen():
        spec = MarketSpec(asset_ids=[market.yes, market.no], custom_feature_enabled=True)
        handle = await alice.client.subscribe(spec)
        heard = [await first(handle, of("book"))]
        await alice.client.place_limit_order(asset_id=market.no, price="0.40", size=50, side="BUY")
        heard.append(await first(handle, of("price_change")))
        heard.append(await first(handle, of("best_bid_ask")))
        await bob.client.place_limit_order(asset_id=market.yes, price="0.60", size=20, side="BUY")
        heard.append(await first(handle, of("last_trade_price")))
        heard.append(await first(handle, of("book")))
        sim.control("tick", market=market.condition, tick_e4=10)
        heard.append(await first(handle, of("tick_size_change")))
        sim.control("resolve", market=market.condition, winner=0)
        heard.append(await first(handle, of("market_resolved")))
        await handle.close()
        return [event.payload for event in heard]

    empty, change, _, print_, book, tick, end = loop.run_until_complete(listen())
    assert (list(empty.bids), list(empty.asks)) == ([], [])
    rows = {row.asset_id: row for row in change.price_changes}
    assert (rows[market.no].price, rows[market.yes].price) == (Decimal("0.4"), Decimal("0.6"))
    assert (print_.price, print_.size, print_.side) == (Decimal("0.6"), 20, "BUY")
    assert sum(level.size for level in (*book.bids, *book.asks)) == 30
    assert tick.new_tick_size == Decimal("0.001")
    assert end.winning_asset_id == market.yes


@covers("user socket")
def test_a_maker_hears_of_his_order_and_of_each_step_of_its_trade(sim, loop, traders):
    alice, bob = traders
    market = sim.market()

    async def listen():
        handle = await alice.client.subscribe(UserSpec(markets=[market.condition]))
        placed = await alice.client.place_limit_order(
            asset_id=market.no, price="0.40", size=50, side="BUY"
        )
        heard = [await first(handle, of("order"))]
        await bob.client.place_limit_order(asset_id=market.yes, price="0.60", size=20, side="BUY")
        heard += [
            await first(handle, lambda e, s=status: e.type == "trade" and e.payload.status == s)
            for status in ("MATCHED", "MINED", "CONFIRMED")
        ]
        await alice.client.cancel_order(order_id=placed.order_id)
        heard.append(
            await first(
                handle, lambda e: e.type == "order" and e.payload.order_event_type == "CANCELLATION"
            )
        )
        await handle.close()
        return placed.order_id, [event.payload for event in heard]

    order_id, (placed, matched, _, confirmed, gone) = loop.run_until_complete(listen())
    assert (placed.id, placed.order_event_type, placed.original_size) == (order_id, "PLACEMENT", 50)
    assert matched.id == confirmed.id
    [part] = matched.maker_orders
    assert (part.order_id, part.matched_amount) == (order_id, 20)
    assert (gone.id, gone.size_matched) == (order_id, 20)


@covers("price socket (PolyBolt): spot and 60-second average")
def test_prices_come_with_their_past(priced_sim, sim_at, keys, loop, drivers):
    client = drivers(SimpleNamespace(kind=CLIENT), keys[2], 0, sim=sim_at(priced_sim)).client

    async def listen():
        found = []
        for spec in (CryptoPriceSpec(symbols=["btcusd"]), CryptoTwapPriceSpec(symbols=["btcusd"])):
            handle = await client.subscribe(spec)
            past = await first(handle, of("subscribe"))
            now = await first(handle, of("update"))
            await handle.close()
            found.append((past.payload, now.payload))
        return found

    for past, now in loop.run_until_complete(listen()):
        assert past.symbol == now.symbol == "btcusd"
        assert len(past.data) > 50
        assert abs(now.value / past.data[-1].value - 1) < Decimal("0.05")


@covers("RTDS: exchange and settlement prices")
def test_the_legacy_price_socket_speaks_of_both_sources(priced_sim, sim_at, keys, loop, drivers):
    client = drivers(SimpleNamespace(kind=CLIENT), keys[2], 0, sim=sim_at(priced_sim)).client

    async def listen():
        found = []
        for topic, symbol in (
            ("prices.crypto.binance", "btcusdt"),
            ("prices.crypto.chainlink", "btc/usd"),
        ):
            handle = await client.subscribe(CryptoPricesSpec(topic=topic, symbols=[symbol]))
            event = await first(handle, of("update"))
            await handle.close()
            found.append((symbol, event.payload))
        return found

    for symbol, payload in loop.run_until_complete(listen()):
        assert payload.symbol == symbol
        assert payload.value > 1_000
