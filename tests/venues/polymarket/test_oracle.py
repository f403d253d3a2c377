"""Random orders against both official clients, byte for byte. Extra: oracle (`make setup`).

The V2 client computes amounts in floats and signs some one tick or a hundredth of a share short
(polymarket.md 4.3). There integers win: the test says where, and that the other client agrees.
"""

import json
from decimal import Decimal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lowlat.core.layout import Action, Exchange, OrderType
from lowlat.venues.polymarket.amounts import (
    TICKS,
    limit_amounts,
    market_buy_amounts,
    odd_lot_amounts,
)
from lowlat.venues.polymarket.auth import ApiCredentials, L2Auth, l1_headers
from lowlat.venues.polymarket.eip712 import AMOY, POLYGON, SigningKey
from lowlat.venues.polymarket.orders import PostParams, order_body, sign_template
from lowlat.venues.polymarket.signing import (
    OrderFields,
    OrderSigner,
    contract_of,
    exchange_for,
    is_v3,
    wrap_session_signature,
)

pytestmark = [
    pytest.mark.oracle,
    # The clients' own imports warn; this file is about their bytes.
    pytest.mark.filterwarnings("ignore"),
]

WALLET = "0xBc0fF067b7740Eff76C1ca93c875Ba6B890d6B50"
UUID = "00000000-0000-0000-0000-000000000001"
TICK_TEXTS = {1_000: "0.1", 100: "0.01", 50: "0.005", 25: "0.0025", 10: "0.001", 1: "0.0001"}
CENT_SHARE_E6 = 10_000

keys = st.integers(1, 2**255).map(lambda n: n.to_bytes(32, "big"))
words = st.binary(min_size=32, max_size=32)
tokens = st.one_of(
    st.integers(1, 2**256 - 1), st.integers(1, 2**152 - 1).map(lambda n: n << 104 | n % 2)
)
order_fields = st.builds(
    OrderFields,
    st.integers(1, 2**53 - 1),
    tokens,
    st.integers(1, 10**15),
    st.integers(1, 10**15),
    st.sampled_from(Action),
    st.integers(1_700_000_000_000, 1_900_000_000_000),
    words,
    words,
)
posts = st.one_of(
    st.builds(PostParams, st.just(OrderType.GTC), st.just(0), st.booleans()),
    st.builds(
        PostParams, st.just(OrderType.GTD), st.integers(1_800_000_000, 1_900_000_000), st.booleans()
    ),
    st.sampled_from([PostParams(OrderType.FOK), PostParams(OrderType.FAK)]),
)
grid = st.sampled_from(sorted(TICKS)).flatmap(
    lambda tick: st.tuples(
        st.just(tick), st.integers(1, 10_000 // tick - 1).map(lambda n: n * tick)
    )
)
sizes = st.integers(1, 10**8).map(lambda n: n * CENT_SHARE_E6)


@settings(max_examples=40)
@given(
    keys, order_fields, st.integers(0, 3), st.booleans(), st.sampled_from([POLYGON, AMOY]), posts
)
def test_v2_client_signs_and_posts_the_same_bytes(key, order, kind, neg_risk, chain_id, params):
    from py_clob_client_v2.order_utils.exchange_order_builder_v2 import ExchangeOrderBuilderV2
    from py_clob_client_v2.order_utils.model.order_data_v2 import OrderDataV2, order_to_json_v2
    from py_clob_client_v2.order_utils.model.side import Side
    from py_clob_client_v2.order_utils.model.signature_type_v2 import SignatureTypeV2
    from py_clob_client_v2.signer import Signer

    official = Signer("0x" + key.hex(), chain_id)
    funder = official.address() if kind == 0 else WALLET
    ours = OrderSigner(key, kind, funder, chain_id)
    exchange = exchange_for(neg_risk, order.token_id)
    template = sign_template(ours, exchange, order)

    builder = ExchangeOrderBuilderV2(
        contract_of(exchange, chain_id),
        chain_id,
        official,
        generate_salt=lambda: str(order.salt),
        domain_version="3" if exchange == Exchange.V3 else "2",
    )
    signed = builder.build_signed_order(
        OrderDataV2(
            maker=funder,
            tokenId=str(order.token_id),
            makerAmount=str(order.maker_e6),
            takerAmount=str(order.taker_e6),
            side=Side(int(order.action)),
            signer=funder if kind == 3 else official.address(),
            signatureType=SignatureTypeV2(kind),
            timestamp=str(order.timestamp_ms),
            metadata="0x" + order.metadata.hex(),
            builder="0x" + order.builder.hex(),
            expiration=str(params.expiration_s),
        )
    )
    typed = builder.build_order_typed_data(signed)
    assert builder.build_order_hash(typed) == "0x" + template.order_id.hex()
    payload = order_to_json_v2(signed, UUID, params.order_type.name, params.post_only)
    expected = json.dumps(payload, separators=(",", ":"), ensure_ascii=False)
    assert order_body(template, UUID, params).decode() == expected


@settings(max_examples=40)
@given(keys, order_fields, st.integers(0, 3), st.booleans(), posts, st.booleans())
def test_unified_client_signs_the_same_and_posts_the_same_fields(
    key, order, kind, neg_risk, params, session
):
    from eth_account import Account
    from polymarket._internal.actions.orders.orders import create_signed_order
    from polymarket._internal.actions.orders.post import build_post_order_request
    from polymarket._internal.actions.orders.typed_data import (
        build_order_signature,
        build_order_typed_data,
    )
    from polymarket._internal.actions.orders.types import UnsignedOrder
    from polymarket._internal.wallet import wrap_deposit_wallet_signature

    account = Account.from_key(key)
    funder = account.address if kind == 0 else WALLET
    session = session and kind == 3
    ours = OrderSigner(key, kind, funder, session=session)
    exchange = exchange_for(neg_risk, order.token_id)
    template = sign_template(ours, exchange, order)

    unsigned = UnsignedOrder(
        chain_id=POLYGON,
        builder="0x" + order.builder.hex(),
        exchange_address=contract_of(exchange),
        expiration=params.expiration_s,
        maker=funder,
        maker_amount=order.maker_e6,
        metadata="0x" + order.metadata.hex(),
        order_type=params.order_type.name,
        salt=order.salt,
        side=order.action.name,
        signature_type=kind,
        signer=funder if kind == 3 else account.address,
        taker_amount=order.taker_e6,
        timestamp=order.timestamp_ms,
        token_id=str(order.token_id),
        protocol_version="3" if exchange == Exchange.V3 else "2",
    )
    inner = account.sign_typed_data(full_message=build_order_typed_data(unsigned)).signature
    signature = build_order_signature(unsigned, "0x" + inner.hex())
    if kind == 3:
        signature = wrap_deposit_wallet_signature(
            signer=account.address,
            signer_type="SESSION" if session else "OWNER",
            signature=signature,
        )
    signed = create_signed_order(unsigned, signature, post_only=params.post_only)
    path, payload = build_post_order_request(signed, owner_api_key=UUID)
    assert path == "/order"
    # It leaves postOnly out unless true; the venue reads the keys in any order.
    assert json.loads(order_body(template, UUID, params)) == {"postOnly": False} | payload


@given(tokens)
def test_unified_client_chooses_the_same_exchange(token_id):
    from polymarket._internal.protocol import is_v2_position_id

    assert is_v3(token_id) == is_v2_position_id(str(token_id))


@given(st.binary(min_size=20, max_size=20), st.binary(max_size=400))
def test_unified_client_wraps_session_signatures_the_same(signer, signature):
    from polymarket._internal.wallet import wrap_deposit_wallet_session_signer_signature

    theirs = wrap_deposit_wallet_session_signer_signature(
        "0x" + signer.hex(), "0x" + signature.hex()
    )
    assert "0x" + wrap_session_signature(signer, signature).hex() == theirs


def float_amounts(action, price_e4, amount_e6, tick_e4, *, market):
    from py_clob_client_v2.order_builder.builder import ROUNDING_CONFIG, OrderBuilder

    builder = OrderBuilder(None)
    call = builder.get_market_order_amounts if market else builder.get_order_amounts
    rules = ROUNDING_CONFIG[TICK_TEXTS[tick_e4]]
    _, maker, taker = call(action.name, amount_e6 / 1e6, price_e4 / 1e4, rules)
    return maker, taker


def decimal_amounts(action, price_e4, amount_e6, tick_e4, *, market):
    from polymarket._internal.actions.orders.limit import _compute_limit_order_amounts
    from polymarket._internal.actions.orders.market import _compute_market_order_amounts

    common = {
        "price": Decimal(price_e4) / 10_000,
        "side": action.name,
        "tick_size": Decimal(TICK_TEXTS[tick_e4]),
    }
    amount = Decimal(amount_e6) / 1_000_000
    if market:
        return _compute_market_order_amounts(amount=amount, **common)
    return _compute_limit_order_amounts(size=amount, **common)


@settings(max_examples=120)
@given(grid, sizes, st.sampled_from(Action))
@example((25, 7675), 999_999_940_000, Action.BUY)
def test_limit_amounts_are_the_unified_clients_and_never_under_the_floats(grid_, size, action):
    tick, price = grid_
    ours = odd_lot_amounts(action, price, size, tick)
    assert ours == decimal_amounts(action, price, size, tick, market=False)
    floats = float_amounts(action, price, size, tick, market=False)
    if floats != ours:
        # The floats lost the last hundredth of a share or, from some 100 000 shares on, the last
        # base unit of cash; never more.
        shares = 1 if action == Action.BUY else 0
        lost = ours[shares] - floats[shares], ours[1 - shares] - floats[1 - shares]
        assert lost[0] == CENT_SHARE_E6 or lost == (0, 1)


@settings(max_examples=120)
@given(grid, st.integers(1, 10**6), st.sampled_from(Action))
def test_ladder_amounts_are_the_unified_clients(grid_, rungs, action):
    tick, price = grid_
    size = rungs * TICKS[tick].ladder_step_e6
    if size * price < 10**10 or size < 5_000_000:
        return
    ours = limit_amounts(action, price, size, tick)
    assert ours == decimal_amounts(action, price, size, tick, market=False)
    # On the ladder a SELL is the same whichever way it is sent.
    if action == Action.SELL:
        assert ours == decimal_amounts(action, price, size, tick, market=True)


@settings(max_examples=120)
@given(grid, st.integers(1_000, 10**7))
def test_market_buys_are_the_unified_clients_cut_to_four_decimals(grid_, cents):
    tick, price = grid_
    maker, taker = decimal_amounts(Action.BUY, price, cents * 10_000, tick, market=True)
    assert market_buy_amounts(cents * 10_000, price, tick) == (maker, taker - taker % 100)


def test_floats_lose_a_tick_at_known_prices_and_integers_do_not():
    wrong = []
    for price in range(100, 10_000, 100):
        ours = odd_lot_amounts(Action.SELL, price, 100_000_000, 100)
        assert ours == decimal_amounts(Action.SELL, price, 100_000_000, 100, market=True)
        floats = float_amounts(Action.SELL, price, 100_000_000, 100, market=True)
        if floats != ours:
            wrong.append(price)
            assert ours.taker_e6 - floats[1] == 1_000_000
    assert wrong == [2_900, 5_700, 5_800]


def test_floats_lose_a_hundredth_of_a_share_at_573_of_the_first_10000_sizes():
    wrong = [
        size
        for size in range(1, 10_001)
        if float_amounts(Action.SELL, 5_000, size * 10_000, 100, market=False)[0] != size * 10_000
    ]
    assert len(wrong) == 573
    assert {113, 115, 201, 435, 1_999} <= set(wrong)


@settings(max_examples=40)
@given(
    keys,
    st.integers(1_000_000_000, 9_999_999_999),
    st.integers(0, 2**64),
    st.sampled_from([POLYGON, AMOY]),
)
def test_both_clients_sign_the_same_l1_headers(key, timestamp_s, nonce, chain_id):
    from eth_account import Account
    from polymarket._internal.l1_auth import sign_api_key_auth
    from py_clob_client_v2.headers.headers import create_level_1_headers
    from py_clob_client_v2.signer import Signer

    ours = l1_headers(SigningKey(key), timestamp_s, nonce, chain_id)
    assert ours == create_level_1_headers(Signer("0x" + key.hex(), chain_id), nonce, timestamp_s)
    unified = sign_api_key_auth(
        Account.from_key(key), chain_id=chain_id, timestamp=timestamp_s, nonce=nonce
    )
    assert (unified.address, unified.signature) == (ours["POLY_ADDRESS"], ours["POLY_SIGNATURE"])


@given(
    st.binary(min_size=32, max_size=32),
    st.integers(1_000_000_000, 9_999_999_999),
    st.sampled_from(["GET", "POST", "DELETE"]),
    st.text("abcdefghijklmnopqrstuvwxyz/-", max_size=30),
    st.text(st.characters(codec="utf-8", exclude_characters="'"), max_size=200),
)
def test_both_clients_sign_the_same_l2_headers(secret, timestamp_s, method, path, body):
    import base64

    from polymarket._internal.hmac import build_hmac_signature as unified
    from py_clob_client_v2.signing.hmac import build_hmac_signature as v2

    text = base64.urlsafe_b64encode(secret).decode()
    auth = L2Auth(WALLET, ApiCredentials(UUID, text, "p"))
    ours = auth.sign(f"{timestamp_s}{method}{path}{body}".encode()).decode()
    assert ours == v2(text, timestamp_s, method, path, body)
    assert ours == unified(
        secret=text, timestamp=timestamp_s, method=method, path=path, body=body or None
    )


def test_the_unified_client_accepts_exactly_what_we_accept():
    from polymarket._internal.actions.orders.post import parse_order_response

    from lowlat.venues.polymarket.rejects import Policy
    from lowlat.venues.polymarket.replies import Sent, decode_order_reply

    sent = Sent(b"\xab" * 32, Action.BUY, 1_450_000, 5_000_000, OrderType.GTC)
    for success in (True, False):
        for error in ("", "not enough balance / allowance", "invalid expiration"):
            for order_id in ("", "0x" + "ab" * 32):
                for status in ("live", "matched", "delayed", "unmatched", "new"):
                    answer = {
                        "success": success,
                        "errorMsg": error,
                        "orderID": order_id,
                        "status": status,
                        "makingAmount": "",
                        "takingAmount": "",
                    }
                    ours = decode_order_reply(200, json.dumps(answer).encode(), sent)
                    theirs = parse_order_response(answer)
                    assert (ours.policy == Policy.ACCEPTED) == theirs.ok, answer
