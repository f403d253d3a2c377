"""What a replay found, in words and numbers: counts, hashes, and the first difference. Pure."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec

from lowlat.core.layout import SLOT_HEAD_BYTES, RecordType
from lowlat.world.otherwise import OtherwiseVerdict

__all__ = ["Difference", "Moment", "Verdict", "describe_record", "unlike"]

_SHOWN_BYTES = 160


class Difference(msgspec.Struct, frozen=True):
    """The first thing that came out otherwise, both sides of it, and what led there."""

    stream: str
    """Of the record; ``request``, ``asked`` or ``raised`` when it was none."""
    text: str
    recorded: dict[str, Any]
    """Fields of the record; empty when nothing was recorded."""
    replayed: dict[str, Any]
    fields: list[str]
    """Names of those that differ."""
    event: int
    at_s: float
    chain: list[str]

    def lines(self) -> list[str]:
        """Tell it."""
        found = [f"first difference: {self.stream}, event {self.event}, at {self.at_s:.6f} s"]
        if self.text:
            found.append(f"  {self.text}")
        if self.recorded and self.replayed:
            found += [
                f"  {name}: recorded {self.recorded[name]!r}, now {self.replayed[name]!r}"
                for name in self.fields
            ]
        elif self.recorded:
            found.append(f"  recorded, and not there now: {_values(self.recorded)}")
        elif self.replayed:
            found.append(f"  there now, and not recorded: {_values(self.replayed)}")
        return found + [f"  after {each}" for each in self.chain]


class Verdict(msgspec.Struct, frozen=True):
    """What became of a replay."""

    process: str
    seconds: float
    """Of the recording, as far as it was replayed."""
    events: int
    turns: int
    frames: int
    signals: int
    decisions: int
    intents: int
    reports: int
    requests: int
    lapped: int
    """Records that the capture was too slow to read back."""
    earlier: int
    """Records and requests that differ before the time from which it was compared."""
    finished: bool
    """The capture goes on to an orderly end."""
    hash: str
    """Over every signal, decision, intent, report and request, as they came out now."""
    recorded_hash: str
    difference: Difference | None
    otherwise: OtherwiseVerdict | None = None
    """What other limits would have decided, when that was asked."""

    @property
    def equal(self) -> bool:
        """Whether everything that was compared came out as it did."""
        return self.difference is None and self.hash == self.recorded_hash


class Moment(NamedTuple):
    """One event of a capture."""

    number: int
    at_ns: int
    what: str | int
    """Words, or the number of the link that a frame came in on."""
    detail: bytes

    def text(self, name_of: Callable[[int], str], started_ns: int) -> str:
        """Tell it."""
        what = self.what if isinstance(self.what, str) else f"frame of {name_of(self.what)}"
        at_s = (self.at_ns - started_ns) / 1e9
        shown = f" {self.detail[:_SHOWN_BYTES]!r}" if self.detail else ""
        return f"event {self.number} at {at_s:.6f} s: {what}{shown}"


def describe_record(record: RecordType[Any], data: bytes) -> dict[str, Any]:
    """Return a record's fields, bytes as text or hex digits."""
    row = record.unpack(bytes(SLOT_HEAD_BYTES) + data)
    return {name: _plain(value) for name, value in row._asdict().items()}


def unlike(one: bytes, other: bytes) -> Iterator[int]:
    """Yield the places at which two texts differ, the end of the shorter one last."""
    for at, (mine, theirs) in enumerate(zip(one, other, strict=False)):
        if mine != theirs:
            yield at
    yield min(len(one), len(other))


def _plain(value: Any) -> Any:
    if not isinstance(value, bytes):
        return value
    text = value.rstrip(b"\0")
    return text.decode() if text.isascii() and text.decode().isprintable() else value.hex()


def _values(fields: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in fields.items() if value)
