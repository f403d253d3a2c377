"""Trades, leaders and holders of the indexer: real rows of the simulator, and everything broken."""

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowlat.core.errors import LocalProtocolError, RemoteProtocolError
from lowlat.core.layout import Action
from lowlat.venues.polymarket.wallet import Holding, HoldingsPage, decode_holdings_page
from lowlat.venues.polymarket.wallets import (
    decode_holders,
    decode_leaders,
    decode_wallet_trades,
    holders_path,
    leaders_path,
    wallet_trades_path,
)

WALLET = "0x" + "Ab" * 20
TRADE = {
    "proxy_wallet": WALLET,
    "token_id": "123",
    "condition_id": "0x" + "11" * 32,
    "side": "BUY",
    "size": "12.345678",
    "price": "0.4300",
    "timestamp": 1_795_305_600,
    "transaction_hash": "0x" + "22" * 32,
    "outcome_index": 1,
    "title": "unknown fields are fine",
}


def page(*rows, **pagination):
    return json.dumps({"data": rows, "pagination": {"has_more": False, **pagination}}).encode()


def test_trade_is_read_in_integers():
    [trade] = decode_wallet_trades(page(TRADE)).rows
    assert trade.wallet == WALLET.lower()
    assert (trade.side, trade.size_e6, trade.price_e6) == (Action.BUY, 12_345_678, 430_000)
    assert (trade.trade_ns, trade.outcome_index) == (1_795_305_600 * 10**9, 1)


def test_fills_of_one_transaction_are_told_apart_across_pages():
    seen = Counter()
    first = decode_wallet_trades(page(TRADE, TRADE), seen).rows
    second = decode_wallet_trades(page(TRADE, TRADE | {"token_id": "9"}), seen).rows
    assert [row.key[2] for row in first + second] == [0, 1, 2, 0]


@pytest.mark.parametrize(
    "change",
    [
        {"side": "HOLD"},
        {"price": "1.01"},
        {"price": 0},
        {"size": "-1"},
        {"size": "NaN"},
        {"size": "1e400"},
        {"size": "1E999999999999999999"},
        {"price": "-1E-999999999999999999"},
        {"timestamp": 5},
        {"timestamp": "x"},
        {"proxy_wallet": "me"},
        {"token_id": "0x1"},
        {"transaction_hash": None},
    ],
)
def test_bad_row_is_named_and_the_others_are_kept(change):
    answer = decode_wallet_trades(page(TRADE, TRADE | change))
    assert len(answer.rows) == len(answer.rejected) == 1
    assert "/v2/trades row" in answer.rejected[0]


def test_numbers_come_as_text_or_numbers_and_no_outcome_is_minus_one():
    row = TRADE | {"size": 3, "price": 0.5, "timestamp": "1795305600", "outcome_index": 999}
    [trade] = decode_wallet_trades(page(row)).rows
    assert (trade.size_e6, trade.price_e6, trade.outcome_index) == (3_000_000, 500_000, -1)


def test_cursor_is_followed_only_while_there_is_more():
    assert decode_wallet_trades(page(TRADE, has_more=True, next_cursor="c")).next_cursor == "c"
    assert decode_wallet_trades(page(TRADE, has_more=False, next_cursor="c")).next_cursor == ""
    with pytest.raises(RemoteProtocolError, match="no cursor"):
        decode_wallet_trades(page(TRADE, has_more=True))


def test_leaders_and_holders_are_read():
    rows = [
        {"rank": "1", "user_id": WALLET, "pnl": -12.5, "volume": "100"},
        {"rank": 2, "user_id": WALLET, "pnl": "", "volume": None},
        {"rank": "first", "user_id": WALLET},
    ]
    answer = decode_leaders(page(*rows))
    assert [(row.rank, row.profit_e6, row.volume_e6) for row in answer.rows] == [
        (1, -12_500_000, 100_000_000),
        (2, None, None),
    ]
    assert len(answer.rejected) == 1
    held = {"token_id": "7", "holders": [{"proxy_wallet": WALLET, "amount": "2.5"}]}
    [holder] = decode_holders(page(held)).rows
    assert (holder.token_id, holder.size_e6) == ("7", 2_500_000)


@pytest.mark.parametrize(
    "ask",
    [
        lambda: wallet_trades_path("0x12"),
        lambda: wallet_trades_path(limit=1001),
        lambda: wallet_trades_path(condition_ids=["0x"] * 21),
        lambda: leaders_path(period="decade"),
        lambda: holders_path([]),
    ],
)
def test_impossible_question_is_refused_before_it_is_asked(ask):
    with pytest.raises(LocalProtocolError):
        ask()


@given(
    st.binary(max_size=300)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda each: (
            st.lists(each, max_size=4)
            | st.dictionaries(
                st.sampled_from([*TRADE, "data", "pagination", "holders", "rank"]), each
            )
        ),
        max_leaves=20,
    ).map(lambda value: json.dumps({"data": [value]}).encode())
)
def test_any_bytes_are_rows_rejects_or_one_error(payload):
    for decode in (decode_wallet_trades, decode_leaders, decode_holders):
        try:
            decode(payload)
        except RemoteProtocolError:
            continue


def test_first_version_of_the_indexer_is_read_into_the_same_values():
    wallet, condition, hash_ = "0x" + "ab" * 20, "0x" + "22" * 32, "0x" + "33" * 32
    trades = decode_wallet_trades(
        f'[{{"proxyWallet":"{wallet}","asset":"7","conditionId":"{condition}","side":"SELL",'
        f'"size":1.5,"price":0.5,"timestamp":1795305600,"transactionHash":"{hash_}"}}]'.encode()
    )
    (row,) = trades.rows
    assert (row.wallet, row.token_id, row.size_e6, row.price_e6) == (wallet, "7", 1500000, 500000)
    held = decode_holdings_page(
        200,
        f'[{{"asset":"7","conditionId":"{condition}","size":150.5,"oppositeAsset":"8",'
        f'"redeemable":true,"negativeRisk":true}},'
        f'{{"asset":"9","conditionId":"{condition}","size":0}}]'.encode(),
    )
    assert held == HoldingsPage((Holding("7", "8", condition, 150500000, True, True, ""),), "")
