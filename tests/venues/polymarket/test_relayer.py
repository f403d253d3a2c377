"""Wallet batches: bytes as the public signing library hashes them, answers read or refused."""

import json

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from hypothesis import given
from hypothesis import strategies as st

from lowlat.core.errors import ConfigError, LocalProtocolError, RemoteProtocolError
from lowlat.venues.polymarket.eip712 import SigningKey, address_text
from lowlat.venues.polymarket.relayer import (
    BATCH_CALLS_MAX,
    RelayerRequests,
    TransactionState,
    batch_digest,
    decode_nonce,
    decode_submitted,
    decode_transaction,
    merge_call,
    redeem_call,
    router_merge_call,
    router_redeem_call,
    wanted_nonce,
)

RAW = bytes.fromhex("59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d")
KEY = SigningKey(RAW)
WALLET = address_text(bytes(range(20)))
CONDITION = bytes(range(32))
FIELDS = {
    "EIP712Domain": [
        {"name": "name", "type": "string"},
        {"name": "version", "type": "string"},
        {"name": "chainId", "type": "uint256"},
        {"name": "verifyingContract", "type": "address"},
    ],
    "Batch": [
        {"name": "wallet", "type": "address"},
        {"name": "nonce", "type": "uint256"},
        {"name": "deadline", "type": "uint256"},
        {"name": "calls", "type": "Call[]"},
    ],
    "Call": [
        {"name": "target", "type": "address"},
        {"name": "value", "type": "uint256"},
        {"name": "data", "type": "bytes"},
    ],
}


@given(
    nonce=st.integers(0, 2**64),
    deadline_s=st.integers(0, 2**40),
    sizes=st.lists(st.integers(1, 2**80), min_size=1, max_size=4),
    neg_risk=st.booleans(),
)
def test_a_batch_is_signed_as_the_public_library_signs_it(nonce, deadline_s, sizes, neg_risk):
    calls = [merge_call(CONDITION, size, neg_risk=neg_risk) for size in sizes]
    calls.append(redeem_call(CONDITION, neg_risk=neg_risk))
    domain = {"name": "DepositWallet", "version": "1", "chainId": 137, "verifyingContract": WALLET}
    message = {
        "wallet": WALLET,
        "nonce": nonce,
        "deadline": deadline_s,
        "calls": [
            {"target": address_text(call.target), "value": 0, "data": call.data} for call in calls
        ],
    }
    typed = {"types": FIELDS, "primaryType": "Batch", "domain": domain, "message": message}
    theirs = Account.from_key(RAW).sign_message(encode_typed_data(full_message=typed))
    assert KEY.sign(batch_digest(bytes(range(20)), nonce, deadline_s, calls)) == theirs.signature


def test_calls_are_the_abi_of_the_collateral_adapters():
    merge = merge_call(CONDITION, 7, neg_risk=False)
    assert address_text(merge.target) == "0xAdA100Db00Ca00073811820692005400218FcE1f"
    words = [merge.data[4 + at : 36 + at] for at in range(0, len(merge.data) - 4, 32)]
    assert words[0][12:].hex() == "c011a7e12a19f7b1f670d46f03b03f3342e82dfb"
    assert words[1] == bytes(32)
    assert words[2] == CONDITION
    assert [int.from_bytes(each, "big") for each in words[3:]] == [160, 7, 2, 1, 2]
    redeem = redeem_call(CONDITION, neg_risk=True)
    assert address_text(redeem.target) == "0xadA2005600Dec949baf300f4C6120000bDB6eAab"
    assert int.from_bytes(redeem.data[4 + 96 : 4 + 128], "big") == 128
    with pytest.raises(LocalProtocolError, match="more than 0"):
        merge_call(CONDITION, 0, neg_risk=False)
    with pytest.raises(LocalProtocolError, match="31 bytes"):
        redeem_call(CONDITION[:31], neg_risk=False)


def test_calls_are_the_abi_of_the_newer_protocols_router():
    """bytes31 stands at the left of its word. Source: polymarket.md 13."""
    merge = router_merge_call(CONDITION[:31], 7)
    assert address_text(merge.target) == "0x12121212006e4CD160D18e3f00711DA5c3372600"
    assert merge.data[4:] == CONDITION[:31] + bytes(1) + (7).to_bytes(32, "big")
    redeem = router_redeem_call(CONDITION[:31], 1, 9)
    words = [redeem.data[4 + at : 36 + at] for at in range(0, len(redeem.data) - 4, 32)]
    assert words[0] == CONDITION[:31] + bytes(1)
    assert [int.from_bytes(each, "big") for each in words[1:]] == [1, 9]
    for wrong in (
        lambda: router_merge_call(CONDITION[:31], 0),
        lambda: router_merge_call(CONDITION, 1),
        lambda: router_redeem_call(CONDITION[:31], 2, 1),
        lambda: router_redeem_call(CONDITION[:31], 0, 0),
    ):
        with pytest.raises(LocalProtocolError, match="expected"):
            wrong()


def test_requests_carry_the_key_in_headers_and_show_it_nowhere():
    requests = RelayerRequests("relayer.test", KEY, WALLET, "secret-key")
    assert "secret-key" not in repr(requests)
    raw = requests.submit([redeem_call(CONDITION, neg_risk=False)], 5, 1_000)
    head, body = raw.split(b"\r\n\r\n", 1)
    assert head.startswith(b"POST /submit HTTP/1.1\r\nHost: relayer.test\r\n")
    assert b"RELAYER_API_KEY: secret-key\r\n" in head
    assert f"Content-Length: {len(body)}".encode() in head
    told = json.loads(body)
    assert told["from"] == KEY.address_text
    assert told["nonce"] == "5"
    assert told["depositWalletParams"]["deadline"] == "1600"
    with pytest.raises(LocalProtocolError, match="expected 1-"):
        requests.submit([redeem_call(CONDITION, neg_risk=False)] * (BATCH_CALLS_MAX + 1), 5, 1)
    with pytest.raises(LocalProtocolError, match="transaction id"):
        requests.transaction("a/b")
    with pytest.raises(ConfigError, match="relayer_api_key"):
        RelayerRequests("relayer.test", KEY, WALLET, "two words")


@pytest.mark.parametrize(
    ("status", "body", "retry", "nonce"),
    [
        (400, {"error": "wallet busy: wallet has an active action"}, True, None),
        (400, {"error": "wallet has in-flight action"}, True, None),
        (400, {"error": "batch nonce 3 does not match on-chain nonce 4"}, True, 4),
        (429, {"error": "too many requests"}, True, None),
        (400, {"error": "invalid signature"}, False, None),
        (401, {"error": "invalid authorization"}, False, None),
    ],
)
def test_what_was_refused_is_a_value_that_says_whether_to_try_again(status, body, retry, nonce):
    found = decode_submitted(status, json.dumps(body).encode())
    assert (found.transaction_id, found.retry) == ("", retry)
    assert body["error"] in found.text
    assert wanted_nonce(found.text) == nonce


def test_answers_of_the_documented_shape():
    taken = {"transactionID": "a-1", "transactionHash": "0x" + "a" * 64, "state": "STATE_NEW"}
    assert decode_submitted(200, json.dumps(taken).encode())[:2] == ("a-1", "0x" + "a" * 64)
    no_hash = taken | {"transactionHash": ""}
    assert decode_submitted(200, json.dumps(no_hash).encode()).transaction_hash == ""
    assert decode_nonce(200, b'{"address":"0x","nonce":"12"}') == 12
    final = {"state": "STATE_CONFIRMED", "transaction_hash": "0x" + "b" * 64, "error_msg": None}
    found = decode_transaction(200, json.dumps(final).encode())
    assert found == (TransactionState.CONFIRMED, "0x" + "b" * 64, "")
    strange = decode_transaction(200, b'{"state":"STATE_SLEEPING","transaction_hash":""}')
    assert strange.state is TransactionState.UNKNOWN


@pytest.mark.parametrize("decode", [decode_nonce, decode_submitted, decode_transaction])
@given(status=st.sampled_from([200, 400, 404, 500]), body=st.binary(max_size=60))
def test_whatever_comes_is_a_value_or_an_error_of_ours(decode, status, body):
    try:
        decode(status, body)
    except RemoteProtocolError:
        return


@pytest.mark.parametrize("status", [404, 500, 502])
def test_an_answer_that_says_nothing_about_the_batch_is_never_a_refusal(status):
    with pytest.raises(RemoteProtocolError):
        decode_submitted(status, b"<html>")
