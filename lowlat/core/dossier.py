"""What a market is about in words: rules, tags, source, dates, dispute history.

Told by the metadata engine on the stream *dossiers*, in pieces, all of them again and again in
turn: whoever comes late knows every one after a round. What decisions compare is in MARKET_ROW;
this is for people and for modules that read. Pure.
"""

import hashlib
import zlib
from typing import Final

import msgspec

from lowlat.core.layout import DOSSIER, DOSSIER_DATA_BYTES, DossierPart
from lowlat.core.ports import EMPTY, OVERRUN, StreamReader

__all__ = ["DOSSIER_BYTES_MAX", "Dossier", "Dossiers", "dossier_parts", "pack_dossier"]

DOSSIER_BYTES_MAX: Final = 64 * 1024
"""Of one dossier, unpacked; the venue's longest rules are below 10 KB."""
_A_POLL: Final = 64
_encode: Final = msgspec.msgpack.Encoder().encode


class Dossier(msgspec.Struct, frozen=True, array_like=True):
    """One market in the venue's words. None is what the venue did not say."""

    condition_id: str
    slug: str | None
    question: str | None
    outcomes: tuple[str, str]
    rules_text: str | None
    resolution_source: str | None
    tags: tuple[str, ...] | None
    series: tuple[str, ...] | None
    event_slug: str | None
    group_item_title: str | None
    listed_ns: int | None
    opened_ns: int | None
    start_ns: int | None
    end_ns: int | None
    closed_ns: int | None
    disputes: tuple[str, ...] | None
    """Each step of the oracle so far, oldest first: proposed, disputed, resolved."""


_decode: Final = msgspec.msgpack.Decoder(Dossier).decode


def pack_dossier(dossier: Dossier) -> tuple[int, bytes] | None:
    """Return the dossier's hash and its packed bytes; rules that are too long lose their end.

    None when it is too long without its rules.
    """
    raw = _encode(dossier)
    if len(raw) > DOSSIER_BYTES_MAX:
        kept = (dossier.rules_text or "")[: DOSSIER_BYTES_MAX // 8]
        raw = _encode(msgspec.structs.replace(dossier, rules_text=kept))
    if len(raw) > DOSSIER_BYTES_MAX:
        return None
    digest = hashlib.blake2b(raw, digest_size=8).digest()
    return int.from_bytes(digest, "big") or 1, zlib.compress(raw, 6)


def dossier_parts(
    condition_id: bytes, market: int, generation: int, packed: tuple[int, bytes]
) -> list[DossierPart]:
    """Cut packed bytes into records."""
    digest, data = packed
    pieces = [data[at : at + DOSSIER_DATA_BYTES] for at in range(0, len(data), DOSSIER_DATA_BYTES)]
    return [
        DossierPart(
            condition_id,
            digest,
            market,
            generation,
            len(data),
            part,
            len(pieces),
            len(piece),
            0,
            piece,
        )
        for part, piece in enumerate(pieces)
    ]


class Dossiers:
    """Every dossier heard of, by row of the markets table; the newest generation only."""

    def __init__(self, stream: StreamReader) -> None:
        self.by_market: dict[int, Dossier] = {}
        self.bad = 0
        """Dossiers that did not unpack."""
        self._stream = stream
        self._known: dict[int, tuple[int, int]] = {}
        """(generation, hash) of what ``by_market`` holds."""
        self._pieces: list[bytes] = []
        self._joining: tuple[int, int, int] | None = None

    def poll(self) -> list[int]:
        """Return the markets whose dossier is new or changed."""
        stream, changed = self._stream, []
        for _ in range(_A_POLL):
            kind = stream.poll()
            if kind == EMPTY:
                break
            if kind == OVERRUN:
                # Nothing is lost for good: it is told again within a round.
                self._joining = None
            elif kind == DOSSIER.kind:
                part: DossierPart = DOSSIER.unpack(stream.buffer)
                if self._take(part):
                    changed.append(part.market)
        return changed

    def _take(self, part: DossierPart) -> bool:
        if self._known.get(part.market) == (part.generation, part.dossier_hash):
            return False
        name = (part.market, part.generation, part.dossier_hash)
        if part.part == 0:
            self._joining, self._pieces = name, []
        if name != self._joining or part.part != len(self._pieces):
            self._joining = None
            return False
        self._pieces.append(part.data[: part.data_bytes])
        if part.part + 1 < part.parts:
            return False
        self._joining = None
        dossier = self._unpack(part, b"".join(self._pieces))
        if dossier is None:
            self.bad += 1
            return False
        self._known[part.market] = name[1:]
        self.by_market[part.market] = dossier
        return True

    def _unpack(self, part: DossierPart, data: bytes) -> Dossier | None:
        if len(data) != part.dossier_bytes:
            return None
        try:
            dossier = _decode(zlib.decompressobj().decompress(data, DOSSIER_BYTES_MAX))
        except (zlib.error, msgspec.MsgspecError):
            return None
        return dossier if dossier.condition_id == "0x" + part.condition_id.hex() else None
