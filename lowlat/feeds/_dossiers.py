"""Tell what each followed market is about in words: news at once, all again in turn.

Used by the metadata engine only. One dossier is told each ``tell_ns``, so whoever attaches late
knows all of them after a round, and nobody needs to ask. Source: design 7.
"""

from collections import deque
from typing import Final

from lowlat.core.dossier import Dossier, dossier_parts, pack_dossier
from lowlat.core.layout import DOSSIER
from lowlat.core.ports import Cell, StreamWriter

__all__ = ["DossierNews"]

TELL_NS: Final = 50_000_000
"""2 000 markets are told in 100 s, at some 20 KB a second."""


class DossierNews:
    """What is known in words, by row of the markets table."""

    def __init__(self, stream: StreamWriter | None, failed: Cell) -> None:
        self._stream = stream
        self._failed = failed
        self._known: dict[int, tuple[int, bytes, tuple[int, bytes]]] = {}
        """(generation, condition id, packed) by market."""
        self._dossiers: dict[int, Dossier] = {}
        self._due: deque[int] = deque()
        self._round: deque[int] = deque()
        self._in_round: set[int] = set()
        self._due_ns = 0

    def put(self, market: int, generation: int, dossier: Dossier) -> None:
        """Take what a market's listing says; the same again costs a comparison."""
        if self._stream is None:
            return
        before = self._known.get(market)
        if before is not None and before[0] == generation and self._dossiers[market] == dossier:
            return
        packed = pack_dossier(dossier)
        if packed is None:
            self._failed.add(1)
            return
        raw = bytes.fromhex(dossier.condition_id.removeprefix("0x"))
        self._known[market] = (generation, raw, packed)
        self._dossiers[market] = dossier
        self._due.append(market)
        if market not in self._in_round:
            self._in_round.add(market)
            self._round.append(market)

    def forget(self, market: int) -> None:
        """Tell a market's dossier no more: its row is free."""
        self._known.pop(market, None)
        self._dossiers.pop(market, None)

    def turn(self, now_ns: int) -> int:
        """Tell the next dossier, if it is time; return how many records were published."""
        stream = self._stream
        if stream is None or now_ns < self._due_ns or not (self._due or self._round):
            return 0
        self._due_ns = now_ns + TELL_NS
        if self._due:
            market = self._due.popleft()
        else:
            market = self._round.popleft()
            if market in self._known:
                self._round.append(market)
            else:
                self._in_round.discard(market)
        known = self._known.get(market)
        if known is None:
            return 0
        generation, condition_id, packed = known
        parts = dossier_parts(condition_id, market, generation, packed)
        for part in parts:
            DOSSIER.pack(stream.buffer, part)
            stream.publish(DOSSIER.kind)
        return len(parts)
