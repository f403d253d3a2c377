"""Write signals onto their stream: the Signal for people becomes the record, without loss.

Run by the signals engine. Same bytes as ``core.signal.encode_signal`` (a test compares them). What
``_emit.Outlet`` does not take as plain is checked and packed here, which names what is wrong.
"""

import math
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import msgspec

from lowlat.core.instruments import Instruments
from lowlat.core.layout import (
    SIGNAL,
    SIGNAL_METADATA_BYTES,
    SLOT_HEAD_BYTES,
    Urgency,
    Writer,
    record_id,
)
from lowlat.core.ports import Cell, Clock, Recorder, StreamWriter
from lowlat.core.signal import Signal
from lowlat.core.units import NO_PRICE_E4, ONE_E4
from lowlat.signals._emit import Outlet

__all__ = ["Emitter", "Source"]

_EMPTY: Final = b"{}"
_encode: Final = msgspec.json.Encoder().encode


class Source(Protocol):
    """The market record that a callback is about: names the cause and its stamps."""

    @property
    def id(self) -> int:
        """Name of the record."""
        ...

    @property
    def event_ns(self) -> int:
        """Venue's wall time."""
        ...

    @property
    def recv_ns(self) -> int:
        """When its bytes were read."""
        ...

    @property
    def decoded_ns(self) -> int:
        """When they were understood."""
        ...

    @property
    def published_ns(self) -> int:
        """When they were handed out."""
        ...


class Emitter:
    """Validate, encode and publish signals; never wait. One per engine."""

    def __init__(
        self,
        signals: StreamWriter,
        instruments: Instruments,
        clock: Clock,
        cell: Callable[[str], Cell],
        latency: Recorder,
    ) -> None:
        self._signals = signals
        self._by_token = instruments.by_token
        self._monotonic_ns = clock.monotonic_ns
        self._dropped = cell("signals.dropped_gate_full")
        self.outlet = Outlet(
            signals,
            instruments.by_token,
            clock,
            record_id(int(Writer.SIGNALS), signals.epoch, 0),
            cell("signals.emitted"),
            self._dropped,
            latency,
        )
        """What compiled looks send through, and what a callback under way is about."""
        self._pack = SIGNAL.codec.pack_into
        self._names: dict[str, bytes] = {}

    def next_id(self) -> int:
        """Return a name that no other record or group of this writer has."""
        return self.outlet.next_id()

    def emit(self, signal: Signal) -> bool:
        """Publish one signal; False (counted) when the gate is full."""
        if signal.legs != 1:
            raise ValueError(f"signal has {signal.legs} legs, expected emit_group for more than 1")
        metadata = _encode(signal.metadata) if signal.metadata else _EMPTY
        sent = self.outlet.emit(signal, metadata)
        if sent is None:
            return self._publish(signal, self._check(signal))
        return sent

    def emit_group(self, legs: Sequence[Signal]) -> bool:
        """Publish every leg or none; False (each counted) when they do not all fit."""
        count = len(legs)
        group = legs[0].group if legs else 0
        encoded: list[bytes] = []
        for at, leg in enumerate(legs):
            if leg.group != group or not group or (leg.leg, leg.legs) != (at, count):
                raise ValueError(
                    f"leg {at} was group {leg.group} leg {leg.leg} of {leg.legs}, expected group "
                    f"{group or 'of non-zero name'} leg {at} of {count}"
                )
            encoded.append(self._check(leg))
        if self._signals.free() < count:
            self._dropped.add(count)
            return False
        for leg, metadata in zip(legs, encoded, strict=True):
            self._publish(leg, metadata)
        return True

    def _check(self, signal: Signal) -> bytes:
        """Refuse what the record cannot hold; return the encoded metadata."""
        metadata = _encode(signal.metadata) if signal.metadata else _EMPTY
        if len(metadata) > SIGNAL_METADATA_BYTES:
            raise ValueError(
                f"metadata of module {signal.module} is {len(metadata)} bytes, "
                f"at most {SIGNAL_METADATA_BYTES} fit"
            )
        if not 0.0 <= signal.confidence <= 1.0:
            raise ValueError(f"confidence was {signal.confidence!r}, expected 0 to 1")
        if not math.isfinite(signal.expected_value):
            raise ValueError(f"expected_value was {signal.expected_value!r}, expected finite")
        if not 0 <= signal.action <= 1 or not 0 <= signal.urgency <= 2:
            raise ValueError(
                f"action, urgency were {signal.action!r}, {signal.urgency!r}, "
                f"expected an Action and an Urgency"
            )
        if signal.expires_ns <= 0:
            raise ValueError(f"expires_ns was {signal.expires_ns}, expected a monotonic deadline")
        if signal.size_suggestion < (signal.urgency != Urgency.LOW):
            raise ValueError(
                f"size_suggestion was {signal.size_suggestion!r}, expected above 0, or 0 with "
                f"urgency LOW to take back"
            )
        if not 0 < signal.limit_price_e4 < ONE_E4:
            was = "no price" if signal.limit_price_e4 == NO_PRICE_E4 else signal.limit_price_e4
            raise ValueError(f"limit_price_e4 was {was}, expected 1 to 9999")
        instrument = self._by_token.get(signal.token_id)
        if instrument is None or instrument.market_id != signal.market_id:
            raise ValueError(
                f"token_id was {signal.token_id!r} of market {signal.market_id!r}, expected a "
                f"token of a known market"
            )
        return metadata

    def _publish(self, signal: Signal, metadata: bytes) -> bool:
        cause, event_ns, recv_ns, decoded_ns, published_ns = self.outlet.cause
        identity = self._by_token[signal.token_id].identity
        decided_ns = self._monotonic_ns()
        self._pack(
            self._signals.buffer,
            SLOT_HEAD_BYTES,
            self.next_id(),
            signal.cause or cause,
            event_ns,
            recv_ns,
            decoded_ns,
            published_ns,
            decided_ns,
            signal.expires_ns,
            signal.confidence,
            signal.expected_value,
            signal.size_suggestion,
            signal.group,
            identity.market_id,
            identity.token_id,
            self._names.get(signal.module) or self._module_name(signal.module),
            identity.instrument,
            identity.generation,
            signal.limit_price_e4,
            signal.action,
            signal.urgency,
            signal.leg,
            signal.legs,
            len(metadata),
            self.outlet.mode,
            metadata,
        )
        return self.outlet.sent(decided_ns)

    def _module_name(self, module: str) -> bytes:
        raw = module.encode()
        if not 0 < len(raw) <= 16 or not raw.isascii():
            raise ValueError(f"module was {module!r}, expected 1-16 ASCII characters")
        self._names[module] = raw
        return raw
