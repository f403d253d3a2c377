"""eggplant-sdk, unmodified: somebody else's client, with its own signer and its own sockets."""

import asyncio
import json
import time
from decimal import Decimal

import pytest

pytest.importorskip("eggplant_sdk")

from eggplant_sdk import ClobClient, LocalSigner
from eggplant_sdk.clob import OpenOrdersRequest
from eggplant_sdk.clob.poster import PostTimings, post_signed
from eggplant_sdk.clob.signing import (
    ExchangeDomain,
    build_signable_order_side,
    generate_salt,
    to_fixed_usdc,
)
from eggplant_sdk.clob.types import OrderType, Side, SignatureType
from eggplant_sdk.data import DataApiClient
from eggplant_sdk.errors import ApiError
from eggplant_sdk.gamma import GammaClient
from eggplant_sdk.ws.market import MarketStream, MarketStreamConfig
from eggplant_sdk.ws.user import UserStream, UserStreamConfig

pytestmark = pytest.mark.oracle
CLIENT = "eggplant-sdk"
covers = pytest.mark.covers
WITHIN_S = 20


class Trader:
    """A client, its write path and its signer, for one wallet."""

    def __init__(self, sim, key, kind):
        self.sim = sim
        self.signer = LocalSigner(key)
        self.wallet = sim.control("account", owner=self.signer.address)["wallets"][str(kind)]
        self._builder = ClobClient.builder().host(sim.urls["clob"])
        self._builder.signature_type(SignatureType(kind)).use_server_time(True)
        if kind:
            self._builder.funder(self.wallet)

    async def open(self):
        self.client = await self._builder.authenticate(self.signer)
        self.poster = self.client.poster()
        return self

    async def close(self):
        await self.poster.aclose()
        await self.client.aclose()

    def sign(self, token, side, price, size, kind=OrderType.GTC, *, post_only=False):
        price, size = Decimal(price), Decimal(size)
        cash, shares = to_fixed_usdc(size * price), to_fixed_usdc(size)
        maker, taker = (cash, shares) if side is Side.BUY else (shares, cash)
        signer = self.client.order_signer(ExchangeDomain.ctf_v2(neg_risk=False))
        signable = build_signable_order_side(
            int(token),
            maker,
            taker,
            signer.identity,
            time.time_ns() // 1_000_000,
            kind,
            generate_salt(),
            post_only,
            side,
        )
        return signer.sign_order(signable, self.signer)

    async def post(self, *orders):
        return await post_signed(list(orders), self.poster, PostTimings(), 15, int(time.time()))


@pytest.fixture
def traders(sim, keys, loop):
    """An EOA and a deposit wallet."""
    made = [Trader(sim, keys[4], 0), Trader(sim, keys[5], 3)]
    for each in made:
        loop.run_until_complete(each.open())
    yield made
    for each in made:
        loop.run_until_complete(each.close())


@pytest.fixture
def market(sim):
    return sim.market()


async def until(stream, wanted):
    """Read a socket until a message passes."""
    while True:
        message = await asyncio.wait_for(stream(), WITHIN_S)
        if wanted(message):
            return message


@covers("POST /auth/api-key", "GET /auth/derive-api-key", "GET /time")
def test_keys_are_made_and_derived(sim, keys, loop, traders):
    signer = LocalSigner(keys[4])
    derive = ClobClient.builder().host(sim.urls["clob"]).derive_api_key(signer)
    assert loop.run_until_complete(derive).key == traders[0].client.credentials.key
    assert abs(loop.run_until_complete(traders[0].client.server_time()) - time.time()) < 5


@covers("GET /tick-size", "GET /neg-risk", "GET /markets/{cid}", "POST /books")
def test_what_a_market_is(loop, traders, market):
    client = traders[0].client

    async def read():
        tick = await client.tick_size(market.yes)
        found = await client.market(market.condition)
        books = await client.order_book_map([market.yes, market.no])
        return tick, await client.neg_risk(market.yes), found, books

    tick, neg_risk, found, books = loop.run_until_complete(read())
    assert (tick, neg_risk, found.condition_id) == (Decimal("0.01"), False, market.condition)
    assert books.keys() == {int(market.yes), int(market.no)}


@covers("POST /orders", "GET /data/orders", "DELETE /orders", "DELETE /cancel-all")
def test_orders_rest_are_listed_and_go(loop, traders, market):
    maker = traders[0]

    async def trade():
        orders = [maker.sign(market.yes, Side.BUY, price, "20") for price in ("0.05", "0.06")]
        legs = await maker.post(*orders)
        request = OpenOrdersRequest(market=market.condition)
        resting = await maker.client.all_open_orders(request)
        first = await maker.poster.cancel_orders([legs[0].response.order_id])
        rest = await maker.client.cancel_all()
        return legs, resting, first, rest

    legs, resting, first, rest = loop.run_until_complete(trade())
    assert {row.id for row in resting} == {leg.response.order_id for leg in legs}
    assert first.canceled == [legs[0].response.order_id]
    assert legs[1].response.order_id in rest.canceled


@covers("POST /orders FAK", "GET /data/trades", "GET /positions", "user socket", "market socket")
def test_a_match_is_heard_on_both_sockets_and_read_back(sim, loop, traders, market):
    maker, taker = traders
    ws = sim.urls["clob_ws"]

    async def trade():
        config = MarketStreamConfig([market.yes, market.no], url=ws + "/ws/market")
        public = await MarketStream.connect(config)
        own = await UserStream.connect(
            UserStreamConfig(taker.client.credentials, url=ws + "/ws/user")
        )
        # The venue begins with an array; this client's parser knows single objects only.
        assert [book["event_type"] for book in json.loads(await public.next_text())] == ["book"] * 2
        await maker.post(maker.sign(market.no, Side.BUY, "0.40", "50"))
        [leg] = await taker.post(taker.sign(market.yes, Side.BUY, "0.60", "50", OrderType.FAK))
        print_ = await until(
            public.next_event, lambda event: type(event).__name__ == "MarketLastTradePrice"
        )
        fill = await until(
            own.next_message,
            lambda message: (
                type(message).__name__ == "TradeMessage" and message.status.name == "CONFIRMED"
            ),
        )
        await public.close()
        await own.close()
        trades = await taker.client.trades(OpenOrdersRequest(market=market.condition))
        async with DataApiClient(sim.urls["data"]) as data:
            deadline_s = time.monotonic() + WITHIN_S
            while not (held := await positions(data, taker.wallet, market)):
                assert time.monotonic() < deadline_s, "no position was found"
                await asyncio.sleep(0.02)
        return leg, print_, fill, trades, held

    leg, print_, fill, trades, held = loop.run_until_complete(trade())
    assert print_.size == 50
    assert (fill.size, fill.price) == (50, Decimal("0.6"))
    assert fill.taker_order_id == leg.response.order_id
    assert [row.id for row in trades.data] == [fill.id]
    assert [(row.asset, row.size) for row in held] == [(market.yes, 50)]


async def positions(data, wallet, market):
    found = await data.all_positions(wallet, 0.0)
    return [row for row in found if row.condition_id == market.condition]


@covers("POST /orders post-only", "refusal of a leg")
def test_a_refused_leg_says_why(loop, traders, market):
    maker, taker = traders

    async def trade():
        await maker.post(maker.sign(market.no, Side.BUY, "0.40", "20"))
        order = taker.sign(market.yes, Side.BUY, "0.60", "20", post_only=True)
        return await taker.post(order)

    [leg] = loop.run_until_complete(trade())
    assert not leg.response.order_id
    assert "crosses" in leg.response.error_msg


@covers("Gamma /events/keyset", "Gamma /events?slug=")
def test_events_by_page_and_by_slug(sim, loop):
    async def read():
        async with GammaClient(sim.urls["gamma"]) as gamma:
            first = await gamma.fetch_keyset_page(limit=20)
            second = await gamma.fetch_keyset_page(first.next_cursor, limit=20)
            [again] = await gamma.fetch_events_by_slug(first.events[0].slug)
            return first, second, again

    first, second, again = loop.run_until_complete(read())
    assert again.id == first.events[0].id
    assert not {event.id for event in first.events} & {event.id for event in second.events}
    assert all(market.yes_token_id() for event in first.events for market in event.markets)


@covers("401")
def test_keys_of_somebody_else_are_refused(loop, traders):
    mine, other = traders
    builder = ClobClient.builder().host(mine.client.host)

    async def read():
        async with builder.with_credentials(mine.signer.address, other.client.credentials) as wrong:
            await wrong.all_open_orders(OpenOrdersRequest())

    with pytest.raises(ApiError) as refused:
        loop.run_until_complete(read())
    assert refused.value.status == 401
