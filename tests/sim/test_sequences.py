"""Any sequence of requests, good and bad, leaves a venue whose parts agree with each other.

Checked on the way: books are uncrossed, makers were hit best price first and oldest first, no base
unit was made or lost, every order is in exactly one state, and what the sockets told adds up to
what REST answers.
"""

import copy
import json
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowlat.sim.abi import selector, uint_word
from lowlat.sim.chain import Call, Reverted
from lowlat.sim.contracts import ADAPTER, NEG_RISK_ADAPTER, PUSD
from lowlat.sim.feed_session import Session
from lowlat.sim.listener import Listener
from lowlat.sim.wire import Request

TERMINAL = {"MATCHED", "CANCELED", "INVALID"}
NS = 10**9


class Watch(Listener):
    """Checks each match as it happens against the queue it remembers."""

    def __init__(self, exchange):
        self.exchange = exchange
        self.queue = {}
        self.arrivals = 0
        self.matches = 0
        exchange.listeners.insert(0, self)

    def on_levels(self, market, changes, now_ns):
        self._remember(market)

    def on_trades(self, market, trades, now_ns):
        """Makers of a taker come best price first, then in order of arrival."""
        self.matches += len(trades)
        taker = trades[0].taker
        hit = [fill.order for trade in trades for fill in trade.fills]
        sign = 1 if taker.is_bid else -1
        ranks = [(sign * order.yes_price_e4, self.queue[order.id]) for order in hit]
        assert ranks == sorted(ranks), "a maker was hit before its turn"
        waiting = [o for o in market.ladder.orders() if o.is_bid != taker.is_bid]
        for order in waiting:
            if order not in hit:
                rank = (sign * order.yes_price_e4, self.queue[order.id])
                assert rank > ranks[-1], "a maker was passed over"
        for order in hit[:-1]:
            assert not order.remaining_e6, "a maker was left before it was filled"
        for trade in trades:
            for fill in trade.fills:
                yes_e4 = trade.price_e4 if not taker.outcome else 10_000 - trade.price_e4
                assert fill.order.yes_price_e4 == yes_e4, "not at the maker's price"
        self._remember(market)

    def _remember(self, market):
        for order in market.ladder.orders():
            if order.id not in self.queue:
                self.arrivals += 1
                self.queue[order.id] = self.arrivals


class Book:
    """A market socket's book of one token, built from frames alone."""

    def __init__(self, venue, token):
        self.levels = {"BUY": {}, "SELL": {}}
        self.token = token
        session = Session(self.on_frame, lambda code, text: None)
        venue.market_feed.connect(session)
        first = json.dumps({"type": "market", "assets_ids": [token]}).encode()
        venue.market_feed.on_text(session, first, venue.now_ns)

    def on_frame(self, raw):
        frame = json.loads(raw)
        for event in frame if isinstance(frame, list) else [frame]:
            if event["event_type"] == "book" and event["asset_id"] == self.token:
                for side, rows in (("BUY", "bids"), ("SELL", "asks")):
                    self.levels[side] = {row["price"]: row["size"] for row in event[rows]}
            if event["event_type"] == "price_change":
                for change in event["price_changes"]:
                    if change["asset_id"] == self.token:
                        self._change(self.levels[change["side"]], change)

    @staticmethod
    def _change(levels, change):
        if change["size"] == "0":
            levels.pop(change["price"], None)
        else:
            levels[change["price"]] = change["size"]


class Told:
    """What a user socket said last about each order and trade."""

    def __init__(self, trader):
        self.frames = trader.listen()
        self.orders = {}
        self.trades = {}

    def read(self):
        for event in self.frames:
            if event["event_type"] == "order":
                self.orders[event["id"]] = event
            else:
                self.trades[event["id"]] = event
        self.frames.clear()


class Play:
    """A venue, two traders and a source of chance."""

    def __init__(self, venue, traders, seed):
        self.venue = venue
        self.traders = traders
        self.rng = Random(seed)
        markets = venue.exchange.markets
        for market, terms in ((markets[0], {"itode": True}), (markets[1], {"sd_s": 1})):
            market.rules = copy.copy(market.rules)
            for name, value in terms.items():
                setattr(market.rules, name, value)
        self.markets = markets[:6]
        for trader in traders:
            account = venue.exchange.accounts.by_wallet[trader.address.lower()]
            for market in self.markets:
                venue.exchange.accounts.split(account, market.index, 200 * 10**6)
        self.watch = Watch(venue.exchange)
        self.books = [(m, o, Book(venue, m.tokens[o])) for m in self.markets for o in (0, 1)]
        self.told = [Told(trader) for trader in traders]
        self.sent = []
        self.waiting = []
        self.statuses = {}

    # ------------------------------------------------------------------------- requests
    def step(self):
        kinds = (
            (self.limit, 30),
            (self.market_order, 14),
            (self.batch, 5),
            (self.cancel, 14),
            (self.cancel_many, 5),
            (self.bad_order, 14),
            (self.bad_request, 6),
            (self.chain_call, 8),
            (self.pass_time, 14),
            (self.rare, 1),
        )
        actions, weights = zip(*kinds, strict=True)
        answer = self.rng.choices(actions, weights)[0](self.rng.choice(self.traders))
        if answer is not None:
            self.waiting.append(answer)
        for each in [w for w in self.waiting if w.status is not None]:
            self.waiting.remove(each)
            self.statuses[each.status] = self.statuses.get(each.status, 0) + 1
            assert each.status < 500, each.json

    def order(self, trader, **changes):
        rng = self.rng
        market = rng.choice(self.markets)
        token = rng.choice(market.tokens)
        side = rng.choice(("BUY", "SELL"))
        price_e4 = rng.randrange(40, 61) * 100
        shares = rng.randrange(5, 60)
        cash, size = price_e4 * shares * 100, shares * 1_000_000
        maker, taker = (cash, size) if side == "BUY" else (size, cash)
        values = {"token": token, "side": side, "maker": maker, "taker": taker} | changes
        return trader.sign(**values, neg_risk=market.rules.neg_risk), market

    def limit(self, trader):
        kind = self.rng.choice(("GTC", "GTC", "GTC", "GTD"))
        expiration = self.venue.now_ns // NS + self.rng.randrange(100, 400)
        changes = {"expiration": str(expiration)} if kind == "GTD" else {}
        signed, _ = self.order(trader, **changes)
        body = trader.body(signed, kind, postOnly=self.rng.random() < 0.3)
        self.sent.append((trader, body))
        return trader.post(body)

    def market_order(self, trader):
        rng = self.rng
        market = rng.choice(self.markets)
        token, price_e4 = rng.choice(market.tokens), rng.randrange(30, 71) * 100
        kind = rng.choice(("FOK", "FAK"))
        if rng.random() < 0.5:
            dollars = rng.randrange(1, 30) * 1_000_000
            return trader.market_buy(token, dollars, price_e4, kind, market.rules.neg_risk)
        shares = rng.randrange(1, 40)
        signed = trader.sign(
            token, "SELL", shares * 10**6, shares * price_e4 * 100, market.rules.neg_risk
        )
        return trader.post(trader.body(signed, kind))

    def batch(self, trader):
        legs = [trader.body(self.order(trader)[0]) for _ in range(self.rng.randrange(1, 6))]
        legs += [{"order": 1}] * self.rng.randrange(2)
        return trader.call("POST", "/orders", legs)

    def cancel(self, trader):
        known = [*list(self.venue.exchange.orders)[-40:], "0x" + "00" * 32]
        return trader.call("DELETE", "/order", {"orderID": self.rng.choice(known)})

    def cancel_many(self, trader):
        rng = self.rng
        known = list(self.venue.exchange.orders)[-40:]
        market = rng.choice(self.markets)
        method, path, body = rng.choice(
            (
                ("DELETE", "/orders", rng.sample(known, min(len(known), 4))),
                ("DELETE", "/cancel-market-orders", {"market": market.condition_id}),
                ("DELETE", "/cancel-market-orders", {"asset_id": market.tokens[0]}),
                ("DELETE", "/cancel-all", None),
            )
        )
        return trader.call(method, path, body)

    def bad_order(self, trader):
        rng = self.rng
        signed, _ = self.order(trader)
        other = self.traders[self.traders[0] is trader]
        choice = rng.randrange(9)
        if choice == 0 and self.sent:
            trader, body = rng.choice(self.sent)
            return trader.post(body)
        spoiled = {
            1: {"signature": "0x" + "11" * 65},
            2: {"makerAmount": str(int(signed["makerAmount"]) + 1)},
            3: {"salt": signed["salt"] + 1},
            4: {"tokenId": "12345"},
            5: {"signatureType": 1},
            6: {"makerAmount": "0"},
        }.get(choice)
        if spoiled:
            return trader.post(trader.body(signed | spoiled))
        if choice == 7:
            return trader.post(trader.body(signed, owner=other.api.apiKey))
        huge = self.order(trader, side="BUY", maker=10**14, taker=2 * 10**14)[0]
        return trader.post(trader.body(huge))

    def bad_request(self, trader):
        rng = self.rng
        method, path = rng.choice(
            (("POST", "/order"), ("POST", "/orders"), ("DELETE", "/order"), ("GET", "/data/orders"))
        )
        raw = rng.choice((b"", b"{", b"[]", b"null", b'{"order":{}}', b"[[[[", b"\xff\xfe"))
        headers = trader.headers(method, path, raw)
        if rng.random() < 0.5:
            headers["poly_signature"] = rng.choice(("", "AAAA", "\xe9"))
        return trader.venue_call(Request(method, path, {}, headers, raw))

    def chain_call(self, trader):
        """Split or merge on chain, behind the order book's back."""
        rng = self.rng
        market = rng.choice(self.markets)
        name = rng.choice(("splitPosition", "mergePositions"))
        target = NEG_RISK_ADAPTER if market.rules.neg_risk else ADAPTER
        amount = rng.randrange(1, 80) * 1_000_000
        data = (
            selector(f"{name}(address,bytes32,bytes32,uint256[],uint256)")
            + bytes(12)
            + bytes.fromhex(PUSD[2:])
            + bytes(32)
            + bytes.fromhex(market.condition_id[2:])
            + uint_word(160)
            + uint_word(amount)
            + b"".join(map(uint_word, (2, 1, 2)))
        )
        account = self.venue.exchange.accounts.by_wallet[trader.address.lower()]
        try:
            self.venue.chain.execute(account, [Call(target, 0, data)], self.venue.now_ns)
        except Reverted as error:
            self.statuses[str(error)[:30]] = 1

    def pass_time(self, trader):
        nanos = self.rng.choice((10**7, 10**8, 2 * 10**8, NS, 5 * NS, 60 * NS))
        self.venue.step(self.venue.now_ns + nanos)

    def rare(self, trader):
        exchange = self.venue.exchange
        open_ones = [m for m in self.markets[2:] if not m.closed]
        if len(open_ones) > 2 and self.rng.random() < 0.2:
            exchange.resolve(open_ones[-1], self.rng.randrange(2), self.venue.now_ns)
        else:
            market = self.rng.choice(open_ones)
            exchange.change_tick(market, self.rng.choice((100, 10)), self.venue.now_ns)

    # ------------------------------------------------------------------------- checks
    def check(self):
        exchange = self.venue.exchange
        exchange.accounts.audit()
        exchange.accounts.audit_tokens()
        self._check_books()
        resting = {id(order) for market in exchange.markets for order in market.ladder.orders()}
        opened = {id(order) for orders in exchange.open_of.values() for order in orders.values()}
        live = {id(order) for order in exchange.orders.values() if order.state == "LIVE"}
        assert resting == opened == live
        held = {id(order) for order in exchange._held.values()}
        assert held == {id(o) for o in exchange.orders.values() if o.state == "DELAYED"}
        others = {o.state for o in exchange.orders.values() if id(o) not in resting | held}
        assert others <= TERMINAL
        for trader, told in zip(self.traders, self.told, strict=True):
            self._check_told(trader, told)

    def _check_books(self):
        for market in self.markets:
            bid, ask = market.ladder.best_bid_e4(), market.ladder.best_ask_e4()
            assert bid is None or ask is None or bid < ask, f"{market.slug} is crossed"
        for market, outcome, book in self.books:
            if market.closed:
                continue
            raw = Request("GET", "/book", {"token_id": [market.tokens[outcome]]}, {}, b"")
            served = self.traders[0].venue_call(raw).json
            for side, rows in (("BUY", "bids"), ("SELL", "asks")):
                rest = {row["price"]: row["size"] for row in served[rows]}
                assert book.levels[side] == rest, f"{market.slug} {outcome} {side}"

    def _check_told(self, trader, told):
        told.read()
        rest = {row["id"]: row for row in trader.call("GET", "/data/orders").json["data"]}
        said = {i for i, event in told.orders.items() if event["status"] == "LIVE"}
        assert said == set(rest)
        for order_id, row in rest.items():
            assert told.orders[order_id]["size_matched"] == row["size_matched"]
        for order_id, event in list(told.orders.items())[-20:]:
            row = trader.call("GET", f"/data/order/{order_id}").json
            assert row["status"].startswith("ORDER_STATUS_" + plain(event["status"])), event
        listed = self.pages(trader)
        assert set(listed) == set(told.trades)
        for trade_id, event in told.trades.items():
            row = listed[trade_id]
            assert row["status"] == "TRADE_STATUS_" + event["status"]
            assert (row["size"], row["price"]) == (event["size"], event["price"])

    @staticmethod
    def pages(trader):
        rows, cursor = {}, "MA=="
        while cursor != "LTE=":
            page = trader.call("GET", "/data/trades", query={"next_cursor": [cursor]}).json
            rows |= {row["id"]: row for row in page["data"]}
            cursor = page["next_cursor"]
        return rows


def plain(status):
    """Return the REST word for a socket's status."""
    if status.startswith("CANCELED") or status == "UNMATCHED":
        return "CANCELED"
    return "LIVE" if status == "DELAYED" else status


def play(venue_of, trader_of, seed, steps, every=1):
    terms = {"order_rate": 10**6, "order_burst": 10**6, "cancel_rate": 10**6, "ip_limits": False}
    venue = venue_of(cancel_burst=10**6, mined_ms=[200, 4000], seed=seed % 1000, **terms)
    traders = [trader_of(venue, 0), trader_of(venue, 1)]
    for fault in ("settlement_failed_e4", "settlement_retry_e4"):
        venue.faults.change({fault: 500})
    game = Play(venue, traders, seed)
    for number in range(steps):
        game.step()
        if number % every == 0:
            game.check()
    game.pass_time(None)
    game.check()
    return game


@settings(max_examples=3)
@given(seed=st.integers(0, 2**32))
def test_any_sequence_leaves_the_venue_consistent(venue_of, trader_of, seed):
    game = play(venue_of, trader_of, seed, 120, every=2)
    assert game.statuses.get(200, 0) > 20
    assert game.statuses.get(400, 0) > 5


@pytest.mark.marathon
@pytest.mark.stress
def test_ten_thousand_requests_leave_the_venue_consistent(venue_of, trader_of):
    game = play(venue_of, trader_of, 20_261_123, 10_000, every=25)
    assert game.watch.matches > 500
    assert game.statuses[200] > 3_000
    assert game.statuses[400] > 1_000
    assert game.venue.exchange.settlement.failed > 10
