"""User channel: every status word, whose fill it is, times in three forms, and broken frames."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowlat.core.errors import LocalProtocolError, RemoteProtocolError
from lowlat.core.layout import Action, OrderType
from lowlat.venues.polymarket.account import (
    NO_SIZE_E6,
    NO_TIME_NS,
    Account,
    OrderChange,
    OrderStatus,
    OrderUpdate,
    TradeStatus,
    TradeUpdate,
    order_status,
    trade_status,
)
from lowlat.venues.polymarket.rejects import RejectCode
from lowlat.venues.polymarket.user import UserCodec, subscribe_frame, update_frame
from lowlat.venues.wire import Ignored

US = "00000000-0000-0000-0000-000000000001"
THEM = "00000000-0000-0000-0000-000000000002"
WALLET = "0xBc0fF067b7740Eff76C1ca93c875Ba6B890d6B50"
MARKET = "0x" + "0f" * 32
YES, NO = "256000000000000000000000000000000000000000000000000000000000000000001", "777"
ORDER, OTHER = "0x" + "ab" * 32, "0x" + "cd" * 32
CODEC = UserCodec(Account(US, WALLET))


def order_event(**change):
    event = {
        "event_type": "order",
        "type": "PLACEMENT",
        "id": ORDER,
        "owner": US,
        "order_owner": US,
        "market": MARKET,
        "asset_id": YES,
        "side": "BUY",
        "original_size": "100",
        "size_matched": "25.5",
        "price": "0.57",
        "associate_trades": ["t-1"],
        "outcome": "Yes",
        "created_at": "1795305600",
        "expiration": "0",
        "order_type": "GTC",
        "status": "LIVE",
        "maker_address": WALLET,
        "timestamp": "1795305600500",
    }
    return event | change


def maker(**change):
    entry = {
        "order_id": OTHER,
        "owner": THEM,
        "maker_address": "0x" + "22" * 20,
        "matched_amount": "10",
        "price": "0.57",
        "fee_rate_bps": "",
        "asset_id": YES,
        "outcome": "Yes",
        "side": "SELL",
    }
    return entry | change


def trade_event(**change):
    event = {
        "event_type": "trade",
        "type": "TRADE",
        "id": "trade-1",
        "taker_order_id": ORDER,
        "market": MARKET,
        "asset_id": YES,
        "side": "BUY",
        "size": "10",
        "price": "0.57",
        "fee_rate_bps": "",
        "status": "MATCHED",
        "matchtime": "1795305600",
        "last_update": "1795305600",
        "outcome": "Yes",
        "owner": US,
        "trade_owner": US,
        "maker_address": WALLET,
        "transaction_hash": "",
        "bucket_index": 3,
        "trader_side": "TAKER",
        "timestamp": "1795305600123",
        "maker_orders": [maker()],
    }
    return event | change


def one(event):
    (value,) = CODEC.decode(json.dumps(event).encode())
    return value


def test_an_order_event_becomes_integers():
    assert one(order_event()) == OrderUpdate(
        order_id=b"\xab" * 32,
        status=OrderStatus.LIVE,
        status_text="LIVE",
        change=OrderChange.PLACEMENT,
        reason=RejectCode.NONE,
        market_id=b"\x0f" * 32,
        token_id=int(YES),
        action=Action.BUY,
        order_type=OrderType.GTC,
        price_e4=5_700,
        size_e6=100_000_000,
        matched_size_e6=25_500_000,
        expiration_s=0,
        created_ns=1_795_305_600_000_000_000,
        event_ns=1_795_305_600_500_000_000,
        trade_ids=("t-1",),
    )


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("LIVE", OrderStatus.LIVE),
        ("ORDER_STATUS_LIVE", OrderStatus.LIVE),
        ("live", OrderStatus.LIVE),
        ("MATCHED", OrderStatus.MATCHED),
        ("ORDER_STATUS_MATCHED", OrderStatus.MATCHED),
        ("DELAYED", OrderStatus.DELAYED),
        ("UNMATCHED", OrderStatus.UNMATCHED),
        ("CANCELED", OrderStatus.CANCELED),
        ("ORDER_STATUS_CANCELED", OrderStatus.CANCELED),
        ("CANCELED_MARKET_RESOLVED", OrderStatus.CANCELED),
        ("ORDER_STATUS_CANCELED_MARKET_RESOLVED", OrderStatus.CANCELED),
        ("CANCELED_NOT_ENOUGH_BALANCE", OrderStatus.CANCELED),
        ("CANCELED_EXPIRED_ORDER", OrderStatus.EXPIRED),
        ("CANCELED_anything the venue writes", OrderStatus.CANCELED),
        ("INVALID", OrderStatus.INVALID),
        ("CANCELEDISH", OrderStatus.UNKNOWN),
        ("BRAND_NEW", OrderStatus.UNKNOWN),
        ("", OrderStatus.UNKNOWN),
    ],
)
def test_order_status_words_of_both_apis(text, status):
    assert order_status(text) == status
    update = one(order_event(status=text))
    assert (update.status, update.status_text) == (status, text)


@pytest.mark.parametrize("status", list(TradeStatus))
def test_trade_status_words_of_both_apis(status):
    if status == TradeStatus.UNKNOWN:
        assert trade_status("NEVER_SEEN") == status
        return
    assert trade_status(status.name) == status
    assert trade_status("TRADE_STATUS_" + status.name) == status
    assert one(trade_event(status=status.name)).status == status


def test_a_killed_fok_is_a_cancellation_with_its_reason_and_no_size():
    update = one(
        order_event(
            type="CANCELLATION",
            status="CANCELED_order couldn't be fully filled. FOK orders are filled or killed.",
            size_matched="",
            created_at="",
            associate_trades=[],
            order_type="FOK",
        )
    )
    assert update.status == OrderStatus.CANCELED
    assert update.change == OrderChange.CANCELLATION
    assert update.reason == RejectCode.FOK_KILLED
    assert update.matched_size_e6 == NO_SIZE_E6
    assert update.created_ns == NO_TIME_NS
    assert update.order_type == OrderType.FOK


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("CANCELED", RejectCode.NONE),
        ("LIVE", RejectCode.NONE),
        ("CANCELED_NOT_ENOUGH_BALANCE", RejectCode.BALANCE),
        ("CANCELED_ORDER_TIMED_OUT", RejectCode.TIMED_OUT),
        ("CANCELED_MARKET_NOT_FOUND", RejectCode.NO_BOOK),
        ("CANCELED_no orders found to match with FAK order.", RejectCode.FAK_NO_MATCH),
        ("CANCELED_something new", RejectCode.OTHER),
    ],
)
def test_a_cancellation_says_why_where_the_venue_does(status, reason):
    assert one(order_event(status=status)).reason == reason


def test_what_is_new_in_an_order_is_a_value_and_not_an_error():
    update = one(order_event(type="RENAMED", order_type="GTX", brand_new={"a": 1}))
    assert (update.change, update.order_type) == (OrderChange.UNKNOWN, None)
    update = one(order_event(associate_trades=None, expiration=None))
    assert (update.trade_ids, update.expiration_s) == ((), 0)
    assert one(order_event(expiration="1800000000")).expiration_s == 1_800_000_000


@pytest.mark.parametrize(
    ("value", "expected_ns"),
    [
        ("1795305600", 1_795_305_600_000_000_000),
        (1795305600, 1_795_305_600_000_000_000),
        ("1795305600500", 1_795_305_600_500_000_000),
        ("2026-11-22T00:00:00Z", 1_795_305_600_000_000_000),
        ("", NO_TIME_NS),
        (None, NO_TIME_NS),
    ],
)
def test_times_come_in_seconds_milliseconds_and_iso(value, expected_ns):
    assert one(order_event(created_at=value)).created_ns == expected_ns
    event = trade_event(match_time=value)
    del event["matchtime"]
    assert one(event).match_ns == expected_ns
    assert one(trade_event(matchtime=value)).match_ns == expected_ns


def test_a_taker_fill_is_the_top_level_and_its_cash_the_makers():
    update = one(
        trade_event(
            size="30",
            price="0.57",
            maker_orders=[
                maker(matched_amount="10", price="0.56"),
                maker(matched_amount="5", price="0.57"),
                # A buyer of NO: the match mints a pair, and we pay the complement.
                maker(matched_amount="15", price="0.45", asset_id=NO, side="BUY"),
            ],
        )
    )
    (fill,) = update.fills
    assert (update.trade_id, update.bucket_index, fill.maker) == ("trade-1", 3, False)
    assert (fill.order_id, fill.token_id) == (b"\xab" * 32, int(YES))
    assert (fill.action, fill.price_e4, fill.size_e6) == (Action.BUY, 5_700, 30_000_000)
    assert fill.cash_e6 == 5_600_000 + 2_850_000 + 15 * 550_000


def test_a_taker_pays_the_fraction_of_a_base_unit_of_each_maker_and_never_gets_one():
    # World seed 207: 52.4344 shares of a pair minted against 0.733 cost 13.9999848 dollars.
    makers = [
        maker(matched_amount="52.4344", price="0.733", asset_id=NO, side="BUY"),
        maker(matched_amount="0.0003", price="0.2671"),
    ]
    (fill,) = one(trade_event(size="52.4347", price="0.268", maker_orders=makers)).fills
    assert fill.cash_e6 == 13_999_985 + 81
    (fill,) = one(trade_event(size="52.4344", price="0.267", maker_orders=[])).fills
    assert fill.cash_e6 == 13_999_985
    makers = [maker(matched_amount="52.4344", price="0.267", side="BUY")]
    sold = trade_event(size="52.4344", price="0.267", side="SELL", maker_orders=makers)
    assert one(sold).fills[0].cash_e6 == 13_999_984


def test_a_taker_fill_without_all_makers_costs_its_own_price():
    for makers in ([], None, [maker(matched_amount="3", price="0.1")]):
        (fill,) = one(trade_event(maker_orders=makers)).fills
        assert (fill.size_e6, fill.cash_e6) == (10_000_000, 5_700_000)


def test_as_maker_only_our_entries_count_whatever_the_top_level_says():
    update = one(
        trade_event(
            trader_side="MAKER",
            owner=US,
            trade_owner=US,
            side="SELL",
            maker_orders=[
                maker(owner=US, order_id=ORDER, matched_amount="1.219511", side="BUY"),
                maker(owner=THEM, matched_amount="4", side="BUY"),
                maker(owner=US, order_id=OTHER, asset_id=NO, price="0.43", side="SELL"),
            ],
        )
    )
    first, second = update.fills
    assert (first.order_id, first.action, first.maker) == (b"\xab" * 32, Action.BUY, True)
    assert (first.size_e6, first.price_e4, first.cash_e6) == (1_219_511, 5_700, 695_121)
    # Two tokens: both sold (a merge), although the taker sold as well.
    assert (second.order_id, second.action, second.token_id) == (b"\xcd" * 32, Action.SELL, 777)
    assert (second.size_e6, second.cash_e6) == (10_000_000, 4_300_000)


@pytest.mark.parametrize(
    ("taker", "asset", "ours"),
    [("BUY", YES, "SELL"), ("SELL", YES, "BUY"), ("BUY", NO, "BUY"), ("SELL", NO, "SELL")],
)
def test_a_makers_side_follows_from_the_tokens_where_it_is_not_named(taker, asset, ours):
    entry = maker(owner=US, asset_id=asset, side=ours)
    named = one(trade_event(trader_side="MAKER", side=taker, maker_orders=[entry])).fills
    del entry["side"]
    derived = one(trade_event(trader_side="MAKER", side=taker, maker_orders=[entry])).fills
    assert named == derived
    assert named[0].action == Action[ours]
    entry["side"] = "SELL" if ours == "BUY" else "BUY"
    with pytest.raises(RemoteProtocolError, match="maker side"):
        one(trade_event(trader_side="MAKER", side=taker, maker_orders=[entry]))


def test_ours_is_by_key_or_by_wallet_in_any_case():
    entry = maker(owner=THEM, maker_address=WALLET.lower())
    assert len(one(trade_event(trader_side="MAKER", maker_orders=[entry])).fills) == 1
    taker = trade_event(owner=US.upper(), maker_address="0x" + "33" * 20)
    assert len(one(taker).fills) == 1
    strangers = trade_event(owner=THEM, trade_owner=THEM, maker_address="0x" + "33" * 20)
    assert one(strangers).fills == ()
    assert one(strangers | {"trader_side": "MAKER"}).fills == ()


def test_a_maker_message_that_names_us_above_only_is_not_our_fill():
    assert one(trade_event(trader_side="MAKER", maker_orders=[maker()])).fills == ()


def test_without_a_trader_side_our_maker_entry_wins_over_the_receivers_name():
    event = trade_event(maker_orders=[maker(owner=US)])
    del event["trader_side"]
    (fill,) = one(event).fills
    assert fill.maker
    event["maker_orders"] = [maker()]
    (fill,) = one(event).fills
    assert not fill.maker


def test_trading_with_ourselves_gives_both_fills():
    fills = one(trade_event(maker_orders=[maker(owner=US)])).fills
    assert [(fill.order_id, fill.maker) for fill in fills] == [
        (b"\xab" * 32, False),
        (b"\xcd" * 32, True),
    ]


def test_frames_are_single_or_arrays_and_unknown_kinds_are_ignored():
    frame = json.dumps([order_event(), {"event_type": "brand_new", "x": 1}, trade_event()])
    first, second, third = CODEC.decode(frame.encode())
    assert isinstance(first, OrderUpdate)
    assert second == Ignored("brand_new")
    assert isinstance(third, TradeUpdate)
    assert CODEC.decode(b"PONG") == []
    assert CODEC.decode(b"[]") == []
    assert CODEC.decode(memoryview(frame.encode()))[0] == first


@pytest.mark.parametrize(
    "change",
    [
        {"id": "0x12"},
        {"id": ORDER.upper()},
        {"market": ""},
        {"asset_id": "0"},
        {"asset_id": "-5"},
        {"asset_id": str(2**256)},
        {"side": "HOLD"},
        {"price": "NaN"},
        {"price": "1.5"},
        {"price": "-0.5"},
        {"price": 0.5},
        {"original_size": "1e3"},
        {"original_size": "-1"},
        {"size_matched": "0.1234567"},
        {"size_matched": None},
        {"timestamp": "yesterday"},
        {"timestamp": "17953056005001"},
        {"timestamp": 10**400},
        {"created_at": "3"},
        {"expiration": "soon"},
        {"status": 5},
        {"associate_trades": [1]},
    ],
)
def test_a_broken_order_is_refused(change):
    with pytest.raises(RemoteProtocolError):
        one(order_event(**change))


@pytest.mark.parametrize(
    "change",
    [
        {"id": ""},
        {"id": "x" * 201},
        {"taker_order_id": "0xzz"},
        {"size": "0"},
        {"size": ""},
        {"price": "0"},
        {"price": "1"},
        {"side": ""},
        {"asset_id": "abc"},
        {"maker_orders": [maker(owner=US, matched_amount="0")]},
        {"maker_orders": [maker(owner=US, order_id="0x1")]},
        {"maker_orders": [{}]},
        {"maker_orders": {}},
        {"bucket_index": "x"},
    ],
)
def test_a_broken_trade_is_refused(change):
    with pytest.raises(RemoteProtocolError):
        one(trade_event(**change))


@pytest.mark.parametrize("key", ["id", "market", "asset_id", "side", "price", "status"])
def test_a_missing_field_is_never_replaced(key):
    for event in (order_event(), trade_event()):
        del event[key]
        with pytest.raises(RemoteProtocolError):
            one(event)


def test_an_error_never_quotes_the_frame():
    with pytest.raises(RemoteProtocolError) as caught:
        one(order_event(price="bad"))
    assert US not in str(caught.value)


@given(data=st.data())
def test_any_damage_gives_events_or_one_error(data, mangle, keeps_promise):
    event = data.draw(st.sampled_from([order_event(), trade_event(), [order_event()]]))
    values = keeps_promise(CODEC.decode, mangle(data, json.dumps(event).encode()))
    for value in values or []:
        assert isinstance(value, OrderUpdate | TradeUpdate | Ignored)
        if isinstance(value, TradeUpdate):
            assert all(fill.size_e6 > 0 and 0 < fill.price_e4 < 10_000 for fill in value.fills)


@given(st.binary(max_size=200))
def test_any_bytes_give_events_or_one_error(keeps_promise, payload):
    keeps_promise(CODEC.decode, payload)


@pytest.mark.parametrize("payload", [b"[" * 5_000, b"9" * 5_000, b'{"event_type":' * 3_000])
def test_depth_and_length_are_no_crash(keeps_promise, payload):
    assert keeps_promise(CODEC.decode, payload) is None


def test_the_first_frame_carries_the_credentials_and_the_markets(credentials):
    auth = {
        "apiKey": credentials.api_key,
        "secret": credentials.secret,
        "passphrase": credentials.passphrase,
    }
    assert json.loads(subscribe_frame(credentials)) == {"type": "user", "auth": auth}
    assert json.loads(subscribe_frame(credentials, [MARKET])) == {
        "type": "user",
        "auth": auth,
        "markets": [MARKET],
    }


def test_updates_name_markets():
    for operation in ("subscribe", "unsubscribe"):
        frame = json.loads(update_frame(operation, [MARKET]))
        assert frame == {"operation": operation, "markets": [MARKET]}
    for bad in (("drop", [MARKET]), ("subscribe", []), ("subscribe", ["0x1"])):
        with pytest.raises(LocalProtocolError):
            update_frame(*bad)
