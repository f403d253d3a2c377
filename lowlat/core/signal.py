"""The standard Signal: one class for people, one record for the stream, no loss between them."""

import math
from typing import Final

import msgspec

from lowlat.core.layout import (
    SIGNAL_METADATA_BYTES,
    Action,
    SignalRecord,
    Urgency,
)
from lowlat.core.units import NO_PRICE_E4, ONE_E4

__all__ = [
    "Identity",
    "MetadataValue",
    "Signal",
    "Stamps",
    "decode_signal",
    "encode_signal",
    "identity_of",
]

MetadataValue = str | int | float | bool | None
MODULE_NAME_BYTES: Final = 16

_encode_metadata: Final = msgspec.json.Encoder().encode
_decode_metadata: Final = msgspec.json.Decoder(dict[str, MetadataValue]).decode


class Signal(msgspec.Struct, frozen=True, gc=False):
    """A module's wish. Net of fees, slippage, fill probability and delay.

    ``market_id`` is the condition id (0x + 64 hex), ``token_id`` the outcome token (decimal text),
    ``size_suggestion`` shares in 1e-6. ``expected_value`` is dollars for the whole size. Legs of a
    ``group`` (non-zero) share it and number ``leg`` from 0 to ``legs - 1``. ``expires_ns`` is
    monotonic; whoever finds it spent drops the signal and counts it. ``cause`` names the market
    record that began it. Size 0 with urgency LOW takes back what the module rests on that side of
    the token.
    """

    module: str
    market_id: str
    token_id: str
    action: Action
    confidence: float
    expected_value: float
    size_suggestion: int
    urgency: Urgency
    metadata: dict[str, MetadataValue]
    limit_price_e4: int = NO_PRICE_E4
    expires_ns: int = 0
    group: int = 0
    leg: int = 0
    legs: int = 1
    cause: int = 0


class Identity(msgspec.Struct, frozen=True, gc=False):
    """Where a token lives: its row and its ids as the stream carries them."""

    instrument: int
    generation: int
    market_id: bytes
    token_id: bytes


class Stamps(msgspec.Struct, frozen=True, gc=False):
    """Times of the market record that caused a signal (``event_ns`` wall, the rest monotonic)."""

    event_ns: int = 0
    recv_ns: int = 0
    decoded_ns: int = 0
    published_ns: int = 0


def identity_of(instrument: int, generation: int, market_id: str, token_id: str) -> Identity:
    """Convert venue ids once; raises ValueError for ids that are not what they should be."""
    raw = bytes.fromhex(market_id.removeprefix("0x"))
    if len(raw) != 32 or not market_id.startswith("0x"):
        raise ValueError(f"market_id was {market_id!r}, expected 0x and 64 hex digits")
    return Identity(instrument, generation, raw, int(token_id).to_bytes(32, "big"))


def encode_signal(
    signal: Signal, record_id: int, identity: Identity, stamps: Stamps, decided_ns: int, mode: int
) -> SignalRecord:
    """Turn a signal into its record.

    Raises ValueError, naming the field, for what the record cannot hold without loss.
    """
    metadata = _encode_metadata(signal.metadata)
    module = signal.module.encode()
    if len(metadata) > SIGNAL_METADATA_BYTES:
        raise ValueError(
            f"metadata of module {signal.module} is {len(metadata)} bytes, "
            f"at most {SIGNAL_METADATA_BYTES} fit"
        )
    if not 0 < len(module) <= MODULE_NAME_BYTES or not module.isascii():
        raise ValueError(f"module was {signal.module!r}, expected 1-16 ASCII characters")
    if not 0.0 <= signal.confidence <= 1.0:
        raise ValueError(f"confidence was {signal.confidence!r}, expected 0 to 1")
    if not math.isfinite(signal.expected_value):
        raise ValueError(f"expected_value was {signal.expected_value!r}, expected a finite number")
    if signal.size_suggestion < (signal.urgency != Urgency.LOW):
        raise ValueError(
            f"size_suggestion was {signal.size_suggestion!r}, expected above 0, or 0 with "
            f"urgency LOW to take back"
        )
    if not 0 < signal.limit_price_e4 < ONE_E4:
        raise ValueError(f"limit_price_e4 was {signal.limit_price_e4!r}, expected 1 to 9999")
    return SignalRecord(
        record_id,
        signal.cause,
        stamps.event_ns,
        stamps.recv_ns,
        stamps.decoded_ns,
        stamps.published_ns,
        decided_ns,
        signal.expires_ns,
        signal.confidence,
        signal.expected_value,
        signal.size_suggestion,
        signal.group,
        identity.market_id,
        identity.token_id,
        module,
        identity.instrument,
        identity.generation,
        signal.limit_price_e4,
        signal.action,
        signal.urgency,
        signal.leg,
        signal.legs,
        len(metadata),
        mode,
        metadata,
    )


def decode_signal(record: SignalRecord) -> Signal:
    """Turn a record back into the very signal it was made from."""
    return Signal(
        record.module.rstrip(b"\0").decode(),
        "0x" + record.market_id.hex(),
        str(int.from_bytes(record.token_id, "big")),
        Action(record.action),
        record.confidence,
        record.expected_value,
        record.size_suggestion_e6,
        Urgency(record.urgency),
        _decode_metadata(record.metadata[: record.metadata_bytes]),
        record.limit_price_e4,
        record.expires_ns,
        record.group,
        record.leg,
        record.legs,
        record.cause,
    )
