"""What every venue codec shares: bad input as one error with a short sample, and wire times.

Used by the codecs only. Never logs, never reads a clock.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from lowlat.core.errors import RemoteProtocolError

__all__ = [
    "BAD_JSON",
    "SAMPLE_BYTES_MAX",
    "Ignored",
    "Payload",
    "iso_ns",
    "malformed",
    "ms_ns",
    "ms_text_ns",
    "us_ns",
]

Payload = bytes | bytearray | memoryview
"""One message as received."""

SAMPLE_BYTES_MAX: Final = 200
BAD_JSON: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""All that msgspec raises on outside bytes (the last for arrays nested a thousand deep)."""

_TEXT_MAX: Final = 120
_MS_MIN: Final = 1_577_836_800_000
"""2020-01-01: no venue here has older times."""
_MS_MAX: Final = 4_102_444_800_000
"""2100-01-01."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class Ignored(msgspec.Struct, frozen=True, gc=False):
    """A well-formed message of a kind we do not use; count it by ``kind``."""

    kind: str


def malformed(what: str, payload: object, error: object) -> RemoteProtocolError:
    """Return the error for a message that breaks the protocol, with at most 200 of its bytes."""
    if isinstance(payload, str):
        sample = payload[:SAMPLE_BYTES_MAX].encode("utf-8", "replace")[:SAMPLE_BYTES_MAX]
    elif isinstance(payload, bytes | bytearray | memoryview):
        sample = bytes(payload[:SAMPLE_BYTES_MAX])
    else:
        sample = b""
    return RemoteProtocolError(f"{what}: {str(error)[:_TEXT_MAX]}; got {sample!r}")


def ms_text_ns(text: str) -> int:
    """Turn decimal text of unix milliseconds into nanoseconds."""
    if len(text) != 13 or not text.isascii() or not text.isdigit():
        raise RemoteProtocolError(f"timestamp {text[:40]!r} is not 13 digits of milliseconds")
    return ms_ns(int(text))


def ms_ns(value_ms: int) -> int:
    """Turn unix milliseconds into nanoseconds; refuse what lies outside 2020 to 2100."""
    if not _MS_MIN <= value_ms < _MS_MAX:
        raise RemoteProtocolError(f"timestamp {value_ms} ms is outside 2020 to 2100")
    return value_ms * 1_000_000


def us_ns(value_us: int) -> int:
    """Turn unix microseconds into nanoseconds; refuse what lies outside 2020 to 2100."""
    if not _MS_MIN * 1_000 <= value_us < _MS_MAX * 1_000:
        raise RemoteProtocolError(f"timestamp {value_us} us is outside 2020 to 2100")
    return value_us * 1_000


def iso_ns(text: str) -> int:
    """Turn ISO 8601 text with a zone into unix nanoseconds (digits beyond 1 us are cut off)."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise RemoteProtocolError(f"time {text[:40]!r} is not ISO 8601") from error
    if moment.tzinfo is None:
        raise RemoteProtocolError(f"time {text[:40]!r} names no zone")
    try:
        return (moment - _EPOCH) // _MICROSECOND * 1_000
    except OverflowError as error:
        raise RemoteProtocolError(f"time {text[:40]!r} is outside the calendar") from error
