"""Signatures and addresses against a public library and known anchors of the vendor's tests."""

from eth_account import Account
from hypothesis import given, settings
from hypothesis import strategies as st

from lowlat.sim.verify import (
    OrderVerifier,
    SignedOrder,
    checksum_address,
    hmac_signature,
    recover,
    recover_l1,
    wallets_of,
)

ANVIL = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"


def test_wallets_of_the_anvil_key():
    # Source: the vendor's own derivation, order_vectors.json wallets_derived_polygon.
    assert wallets_of(ANVIL.lower()) == {
        0: ANVIL,
        1: "0x365f0CA36Ae1f641E02fE3B7743673da42A13A70",
        2: "0xd93B25cb943D14d0d34FBaF01Fc93a0f8b5F6E47",
        3: "0xBc0fF067b7740Eff76C1ca93c875Ba6B890d6B50",
    }
    assert checksum_address(ANVIL.lower()) == ANVIL


def test_hmac_of_the_vendors_own_test():
    # Source: polymarket.md 16, reproduced from the vendor's client tests.
    signature = hmac_signature(
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "1000000",
        "test-sign",
        "/orders",
        b'{"hash": "0x123"}',
    )
    assert signature == "ZwAdJKvoYRlEKDkNMwd5BuwNNtg93kNaR_oU2HrfVvc="


def test_order_hash_of_the_anvil_vector():
    # Source: order_vectors.json limit_buy_0.1_std_eoa.
    order = SignedOrder(
        479249096354, ANVIL, ANVIL,
        "71321045679252212594626385532706912750332728571942532289631379312455583992563",
        "50000000", "100000000", "BUY", "0", 0, "1710000000000", "0x" + "00" * 32,
        "0x" + "00" * 32,
        "0x6a8e620dbb4ff8cdbd56814b311169093e14dacbb9b7fdf0d559ed7dad3fd18a"
        "7101d0aa37f87e57584f65f318a58b507af1eefb2678a591a09340e8571ac2211b",
    )  # fmt: skip
    order_hash, signer = OrderVerifier(137).check(order, "standard")
    assert order_hash.hex() == "9f1d429298f285dd6b710f9837739d8e1231531711a8e0f832d238537feb0868"
    assert signer == ANVIL.lower()
    other_hash, other_signer = OrderVerifier(137).check(order, "neg_risk")
    assert other_hash != order_hash
    assert other_signer != ANVIL.lower()


@settings(max_examples=20)
@given(st.integers(1, 2**255), st.binary(min_size=32, max_size=32))
def test_recover_finds_whoever_signed(key, digest):
    account = Account.from_key(key.to_bytes(32, "big"))
    signed = account.unsafe_sign_hash(digest)
    assert recover(digest, bytes(signed.signature)) == account.address.lower()


@settings(max_examples=50)
@given(st.binary(max_size=70))
def test_recover_of_rubbish_is_none_or_an_address(signature):
    found = recover(b"\x01" * 32, signature)
    assert found is None or len(found) == 42


def test_l1_rejects_rubbish_without_raising():
    assert recover_l1(137, "0x12", "1", "0", "0x00") is None
    assert recover_l1(137, ANVIL, "x", "0", "0x" + "00" * 65) is None
    assert recover_l1(137, ANVIL, "1", "0", "nonsense") is None
