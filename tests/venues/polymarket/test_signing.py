"""Signatures against the venue's vectors, byte for byte, and secrets that stay secret."""

import copy
import pickle

import pytest

from lowlat.core.errors import ConfigError, LocalProtocolError
from lowlat.core.layout import Action, Exchange
from lowlat.venues.polymarket.eip712 import (
    SigningKey,
    address_text,
    domain_separator,
    keccak256,
    parse_address,
)
from lowlat.venues.polymarket.signing import (
    ORDER_TYPE,
    SALT_MAX,
    OrderFields,
    OrderSigner,
    SignatureType,
    contract_of,
    exchange_for,
    is_v3,
    wrap_session_signature,
)

TOKEN = 71321045679252212594626385532706912750332728571942532289631379312455583992563
V3_TOKEN = (7 << 104) | 3
ORDER = OrderFields(1, TOKEN, 5_000_000, 10_000_000, Action.BUY, 1_710_000_000_000)


def fields_of(message):
    return OrderFields(
        int(message["salt"]),
        int(message["tokenId"]),
        int(message["makerAmount"]),
        int(message["takerAmount"]),
        Action(message["side"]),
        int(message["timestamp"]),
        bytes.fromhex(message["metadata"][2:]),
        bytes.fromhex(message["builder"][2:]),
    )


def signer_of(case, private_key):
    message = case["message"]
    return OrderSigner(
        private_key, message["signatureType"], message["maker"], case["input"]["chain_id"]
    )


def exchange_of(case):
    if case["input"]["kind"] == "raw":
        return Exchange.STANDARD  # a vendor's test: its token 1234 exists nowhere
    return exchange_for(case["input"]["neg_risk"], int(case["message"]["tokenId"]))


def test_every_vector_is_signed_byte_for_byte(vectors, private_key):
    assert len(vectors["orders"]) == 18
    for case in vectors["orders"]:
        signer = signer_of(case, private_key)
        signature = signer.sign(exchange_of(case), fields_of(case["message"]))
        assert "0x" + signature.order_id.hex() == case["order_hash"], case["name"]
        assert signature.text == case["signature"], case["name"]


def test_vectors_cover_every_type_exchange_side_and_chain(vectors):
    seen = {(c["input"]["signature_type"], exchange_of(c)) for c in vectors["orders"]}
    assert {kind for kind, _ in seen} == set(SignatureType)
    assert {exchange for _, exchange in seen} == set(Exchange) - {Exchange.UNKNOWN}
    assert {c["input"]["chain_id"] for c in vectors["orders"]} == {137, 80002}
    assert {c["input"]["side"] for c in vectors["orders"]} == {"BUY", "SELL"}


def test_one_signer_alternating_orders_leaves_nothing_in_its_buffer(vectors, private_key):
    cases = [c for c in vectors["orders"] if c["input"]["signature_type"] == 3]
    cases = [c for c in cases if c["input"]["chain_id"] == 137]
    signer = signer_of(cases[0], private_key)
    for case in [*cases, *reversed(cases)]:
        assert signer.sign(exchange_of(case), fields_of(case["message"])).text == case["signature"]
    plain = SigningKey(private_key)
    eoa = OrderSigner(private_key, 0, plain.address_text)
    with_builder = ORDER._replace(builder=b"\x07" * 32, metadata=b"\x09" * 32)
    first = eoa.sign(Exchange.STANDARD, ORDER)
    assert eoa.sign(Exchange.STANDARD, with_builder) != first
    assert eoa.sign(Exchange.STANDARD, ORDER) == first


def test_domain_separators_are_the_published_ones(vectors):
    exchanges = {"standard": Exchange.STANDARD, "neg_risk": Exchange.NEG_RISK, "v3": Exchange.V3}
    for row in vectors["domain_separators"]:
        exchange = exchanges[row["exchange"]]
        contract = contract_of(exchange, row["chain_id"])
        assert contract == row["verifying_contract"]
        raw = domain_separator(
            "Polymarket CTF Exchange",
            row["version"],
            row["chain_id"],
            parse_address(contract, "contract"),
        )
        assert "0x" + raw.hex() == row["domain_separator"]
    assert len(vectors["domain_separators"]) == 6


def test_order_type_string_hashes_to_the_published_type_hash(vectors):
    assert len(ORDER_TYPE) == 186
    assert "0x" + keccak256(ORDER_TYPE).hex() == vectors["type_hashes"]["order_type_hash"]


def test_session_key_wraps_the_type_three_signature(vectors, private_key):
    case = vectors["session_key_wrap"]
    wrapped = wrap_session_signature(
        parse_address(case["session_signer"], "session"), bytes.fromhex(case["input_signature"][2:])
    )
    assert "0x" + wrapped.hex() == case["wrapped"]
    wallet = next(c for c in vectors["orders"] if c["input"]["signature_type"] == 3)["message"]
    owner = OrderSigner(private_key, 3, wallet["maker"])
    session = OrderSigner(private_key, 3, wallet["maker"], session=True)
    plain, full = owner.sign(Exchange.STANDARD, ORDER), session.sign(Exchange.STANDARD, ORDER)
    assert full.order_id == plain.order_id
    inner = bytes.fromhex(plain.text[2:])
    assert bytes.fromhex(full.text[2:]) == wrap_session_signature(
        SigningKey(private_key).address, inner
    )


def test_a_position_id_chooses_v3_whatever_the_neg_risk_flag():
    assert is_v3(V3_TOKEN)
    assert not is_v3(V3_TOKEN | 1 << 40)
    assert not is_v3(V3_TOKEN | 1 << 103)
    assert is_v3(V3_TOKEN | 1 << 39)
    assert exchange_for(neg_risk=True, token_id=V3_TOKEN) == Exchange.V3
    assert exchange_for(neg_risk=True, token_id=TOKEN) == Exchange.NEG_RISK
    assert exchange_for(neg_risk=False, token_id=TOKEN) == Exchange.STANDARD


@pytest.mark.parametrize(
    ("exchange", "change"),
    [
        (Exchange.STANDARD, {"salt": 0}),
        (Exchange.STANDARD, {"salt": SALT_MAX + 1}),
        (Exchange.STANDARD, {"maker_e6": 0}),
        (Exchange.STANDARD, {"taker_e6": -1}),
        (Exchange.STANDARD, {"taker_e6": 2**63}),
        (Exchange.STANDARD, {"token_id": 2**256 + TOKEN}),
        (Exchange.STANDARD, {"timestamp_ms": 0}),
        (Exchange.STANDARD, {"builder": b"short"}),
        (Exchange.STANDARD, {"action": 2}),
        (Exchange.UNKNOWN, {}),
    ],
)
def test_what_no_exchange_takes_is_not_signed(private_key, exchange, change):
    signer = OrderSigner(private_key, 0, SigningKey(private_key).address_text)
    with pytest.raises(LocalProtocolError):
        signer.sign(exchange, ORDER._replace(**change))


@pytest.mark.parametrize(
    ("kind", "funder", "chain_id", "session", "word"),
    [
        (4, "0x" + "11" * 20, 137, False, "signature_type"),
        (0, "0x" + "11" * 20, 137, False, "funder"),
        (1, "0x1234", 137, False, "funder"),
        (1, "0x" + "11" * 20, 1, False, "chain_id"),
        (1, "0x" + "11" * 20, 137, True, "session"),
        (1, "0xf39fd6e51aad88F6F4ce6aB8827279cffFb92266", 137, False, "checksum"),
    ],
)
def test_a_wrong_account_is_a_config_error_that_names_it(
    private_key, kind, funder, chain_id, session, word
):
    with pytest.raises(ConfigError, match=word):
        OrderSigner(private_key, kind, funder, chain_id, session=session)


@pytest.mark.parametrize("key", [b"", bytes(31), bytes(32), b"\xff" * 32, bytes(33)])
def test_a_bad_key_is_refused_without_being_quoted(key):
    with pytest.raises(ConfigError) as caught:
        SigningKey(key)
    assert caught.value.__context__ is None
    for form in (key.hex(), repr(key)):
        assert not key or form not in str(caught.value)


def test_a_signer_never_shows_its_key(private_key):
    address = SigningKey(private_key).address_text
    for holder in (SigningKey(private_key), OrderSigner(private_key, 0, address)):
        text = repr(holder) + str(holder) + f"{holder}" + f"{[holder]}"
        assert address in text
        assert private_key.hex() not in text.lower()
        assert repr(private_key) not in text
        assert not hasattr(holder, "__dict__")
        with pytest.raises(TypeError):
            pickle.dumps(holder)
        with pytest.raises(TypeError):
            copy.copy(holder)
        with pytest.raises(TypeError):
            copy.deepcopy(holder)


def test_a_signature_is_not_shown_and_the_key_names_its_address(private_key, vectors):
    signer = OrderSigner(private_key, 0, vectors["eoa"])
    signature = signer.sign(Exchange.STANDARD, ORDER)
    assert signature.text[2:] not in repr(signature)
    assert signature.order_id.hex() in repr(signature)
    assert signer.key_address == signer.maker == signer.signer == vectors["eoa"]


def test_keccak_is_ethereums_and_not_nists():
    empty = "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
    assert keccak256(b"").hex() == empty


def test_addresses_carry_their_checksum_and_refuse_a_wrong_one():
    right = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
    assert address_text(parse_address(right.lower(), "a")) == right
    assert address_text(parse_address(right, "a")) == right
    for wrong in (right.swapcase(), right[:-1] + "D", right[:-1], "0x" + "g" * 40, ""):
        with pytest.raises(ConfigError):
            parse_address(wrong, "a")
