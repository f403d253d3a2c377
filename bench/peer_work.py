"""The same work through other people's code: signing one order, reading one price change.

Each peer runs where it is installed, interleaved with ours as the floor: ``ratio`` is how many
times longer the peer takes. Nobody's regression but a claim's: README quotes these.
"""

import importlib.util
import sys
from collections.abc import Callable
from functools import partial
from itertools import cycle
from typing import Any

import msgspec

from bench.harness import Row, paired, timed_ns
from bench.markets import change_frame, market_ids
from bench.signing import FOK, fresh_order, new_signer
from bench.wire_engine import ACCOUNT, KEY
from lowlat.book._book import MarketBook
from lowlat.core.clock import wall_ns
from lowlat.core.layout import Exchange
from lowlat.venues.polymarket.market import decode
from lowlat.venues.polymarket.orders import order_body
from lowlat.venues.polymarket.signing import contract_of

__all__ = ["ROWS", "run"]

PACKAGES = {
    "peer-sdk-sign": "py_clob_client_v2",
    "peer-unified-sign": "polymarket",
    "peer-nautilus-parse": "nautilus_trader",
    "peer-msgspec-decode": "msgspec",
    "peer-orjson-decode": "orjson",
}
ROWS = tuple(PACKAGES)
SIGN_LOOPS, DECODE_LOOPS, REPEATS = 10, 500, 10
MAKER_E6, TAKER_E6 = 27_000_000, 50_000_000


def run(names: tuple[str, ...]) -> list[Row]:
    """Measure what is installed."""
    makers: dict[str, Callable[[str], Row]] = {
        "peer-sdk-sign": _sdk_sign,
        "peer-unified-sign": _unified_sign,
        "peer-nautilus-parse": _nautilus_parse,
        "peer-msgspec-decode": _msgspec_decode,
        "peer-orjson-decode": _orjson_decode,
    }
    rows = []
    for name, make in makers.items():
        if name not in names or not importlib.util.find_spec(PACKAGES[name]):
            continue
        try:
            rows.append(make(name))
        except ImportError as error:
            print(f"{name}: not measured, {PACKAGES[name]} lacks: {error}", file=sys.stderr)
    return rows


def _against(
    name: str,
    theirs: Callable[[], object],
    ours: Callable[[], object],
    loops: int,
    floor_name: str,
) -> Row:
    def repeat(call: Callable[[], object], count: int) -> None:
        for _ in range(count):
            call()

    return paired(
        name,
        lambda: timed_ns(partial(repeat, theirs), loops, REPEATS),
        lambda: timed_ns(partial(repeat, ours), loops, REPEATS),
        floor_name=floor_name,
    )


# ------------------------------------------------------------------------------------ signing
def _our_sign() -> Callable[[], object]:
    signer = new_signer()
    salts = iter(range(1, 1 << 40))
    return lambda: order_body(fresh_order(signer, next(salts)), ACCOUNT.api_key, FOK)


def _sdk_sign(name: str) -> Row:
    """Time py-clob-client-v2: build, sign and render one order of known amounts."""
    from py_clob_client_v2.order_utils.exchange_order_builder_v2 import ExchangeOrderBuilderV2
    from py_clob_client_v2.order_utils.model.order_data_v2 import OrderDataV2, order_to_json_v2
    from py_clob_client_v2.order_utils.model.side import Side
    from py_clob_client_v2.order_utils.model.signature_type_v2 import SignatureTypeV2
    from py_clob_client_v2.signer import Signer

    signer = Signer("0x" + KEY, 137)
    builder = ExchangeOrderBuilderV2(contract_of(Exchange.STANDARD), 137, signer)

    def theirs() -> object:
        data = OrderDataV2(
            maker=signer.address(),
            tokenId=market_ids(0)[1],
            makerAmount=str(MAKER_E6),
            takerAmount=str(TAKER_E6),
            side=Side.BUY,
            signer=signer.address(),
            signatureType=SignatureTypeV2.EOA,
            timestamp=str(wall_ns() // 1_000_000),
            metadata="0x" + bytes(32).hex(),
            builder="0x" + bytes(32).hex(),
            expiration="0",
        )
        signed = builder.build_signed_order(data)
        return msgspec.json.encode(order_to_json_v2(signed, ACCOUNT.api_key, "FOK", False))

    return _against(name, theirs, _our_sign(), SIGN_LOOPS, "our sign")


def _unified_sign(name: str) -> Row:
    """Time polymarket-client: sign and render one order of known amounts."""
    from eth_account import Account
    from polymarket._internal.actions.orders.orders import create_signed_order
    from polymarket._internal.actions.orders.post import build_post_order_request
    from polymarket._internal.actions.orders.typed_data import (
        build_order_signature,
        build_order_typed_data,
    )
    from polymarket._internal.actions.orders.types import UnsignedOrder

    account = Account.from_key("0x" + KEY)
    salts = iter(range(1, 1 << 40))

    def theirs() -> object:
        unsigned = UnsignedOrder(
            chain_id=137,
            builder="0x" + bytes(32).hex(),
            exchange_address=contract_of(Exchange.STANDARD),
            expiration=0,
            maker=account.address,
            maker_amount=MAKER_E6,
            metadata="0x" + bytes(32).hex(),
            order_type="FOK",
            salt=next(salts),
            side="BUY",
            signature_type=0,
            signer=account.address,
            taker_amount=TAKER_E6,
            timestamp=wall_ns() // 1_000_000,
            token_id=market_ids(0)[1],
            protocol_version="2",
        )
        raw = account.sign_typed_data(full_message=build_order_typed_data(unsigned)).signature
        signature = build_order_signature(unsigned, "0x" + raw.hex())
        signed = create_signed_order(unsigned, signature, post_only=False)
        _, payload = build_post_order_request(signed, owner_api_key=ACCOUNT.api_key)
        return msgspec.json.encode(payload)

    return _against(name, theirs, _our_sign(), SIGN_LOOPS, "our sign")


# ------------------------------------------------------------------------------------ reading
def _frame(size: str = "120.5") -> bytes:
    return change_frame(0, "BUY", 4100, size, (4100, 5900), 1_795_305_600_000)


def _nautilus_parse(name: str) -> Row:
    """Time NautilusTrader's adapter from bytes to its deltas; ours also applies both levels."""
    from nautilus_trader.adapters.polymarket.schemas.book import PolymarketQuotes
    from nautilus_trader.test_kit.providers import TestInstrumentProvider

    # Two sizes in turn: a level that stays as it is would be less work.
    frames, instrument = cycle((_frame(), _frame("99"))), TestInstrumentProvider.binary_option()
    read = msgspec.json.Decoder(PolymarketQuotes).decode

    def theirs() -> Any:
        return read(next(frames)).parse_to_deltas(instrument, ts_init=0)

    deltas = theirs().deltas
    assert len(deltas) == 2, f"{len(deltas)} deltas of a frame with 2 changes"
    book = MarketBook(0, 1)
    book.load(0, [], [])
    tokens = {token: outcome for outcome, token in enumerate(market_ids(0)[1:])}

    def ours() -> None:
        for event in decode(next(frames)):
            for change in event.price_changes:
                side = 0 if change.side == "BUY" else 1
                book.change(tokens[change.asset_id], side, change.price, change.size)

    ours()
    return _against(name, theirs, ours, DECODE_LOOPS, "our decode, applied to the book")


class _Change(msgspec.Struct):
    asset_id: str
    price: str
    size: str
    side: str
    hash: str
    best_bid: str
    best_ask: str


class _PriceChange(msgspec.Struct, tag="price_change", tag_field="event_type"):
    market: str
    price_changes: list[_Change]
    timestamp: str


def _msgspec_decode(name: str) -> Row:
    frame = _frame()
    read = msgspec.json.Decoder(_PriceChange).decode
    return _against(name, lambda: read(frame), lambda: decode(frame), DECODE_LOOPS, "our decode")


def _orjson_decode(name: str) -> Row:
    """Time orjson into dicts, and the numbers out of them, as most bots do it."""
    import orjson

    frame = _frame()

    def theirs() -> list[tuple[str, str, float, float]]:
        return [
            (each["asset_id"], each["side"], float(each["price"]), float(each["size"]))
            for each in orjson.loads(frame)["price_changes"]
        ]

    return _against(name, theirs, lambda: decode(frame), DECODE_LOOPS, "our decode")
