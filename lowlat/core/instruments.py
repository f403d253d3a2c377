"""Which token is which row: the directory every process builds from the markets table."""

from typing import Final

import msgspec

from lowlat.core.layout import Exchange, Known, MarketRow, MarketStatus, Outcome
from lowlat.core.signal import Identity

__all__ = ["MARKETS_MAX", "Instrument", "Instruments", "token_text"]

MARKETS_MAX: Final = 32_768


class Instrument(msgspec.Struct, frozen=True, gc=False):
    """One outcome token. ``index = 2 * market + outcome``."""

    index: int
    generation: int
    market: int
    outcome: int
    token_id: str
    market_id: str
    identity: Identity


class Instruments:
    """Token and market directory. Single writer per process: whoever reads the markets table."""

    def __init__(self) -> None:
        self.by_token: dict[str, Instrument] = {}
        self.by_index: dict[int, Instrument] = {}
        self.markets: dict[int, MarketRow] = {}
        self.by_condition: dict[str, int] = {}

    def put(self, row: MarketRow) -> bool:
        """Take a market's newest row; True when the row holds another market than before."""
        before = self.markets.get(row.market)
        changed = before is None or before.generation != row.generation
        if changed:
            if before is not None:
                self._forget(before)
            for outcome, raw in ((Outcome.YES, row.yes_token_id), (Outcome.NO, row.no_token_id)):
                self._add(row, int(outcome), raw)
        self.markets[row.market] = row
        self.by_condition["0x" + row.condition_id.hex()] = row.market
        return changed

    def remove(self, market: int) -> None:
        """Forget a market: its row is free for another generation."""
        row = self.markets.pop(market, None)
        if row is not None:
            self._forget(row)

    def tradeable(self, market: int) -> bool:
        """Whether every fact that trading needs is known and the market takes orders."""
        row = self.markets.get(market)
        return (
            row is not None
            and row.known & Known.TRADEABLE == Known.TRADEABLE
            and row.status == MarketStatus.ACTIVE
            and row.exchange != Exchange.UNKNOWN
        )

    def _add(self, row: MarketRow, outcome: int, raw: bytes) -> None:
        index = 2 * row.market + outcome
        token_id = token_text(raw)
        identity = Identity(index, row.generation, row.condition_id, raw)
        instrument = Instrument(
            index,
            row.generation,
            row.market,
            outcome,
            token_id,
            "0x" + row.condition_id.hex(),
            identity,
        )
        self.by_token[token_id] = instrument
        self.by_index[index] = instrument

    def _forget(self, row: MarketRow) -> None:
        for outcome in (0, 1):
            old = self.by_index.pop(2 * row.market + outcome, None)
            if old is not None:
                self.by_token.pop(old.token_id, None)
        self.by_condition.pop("0x" + row.condition_id.hex(), None)


def token_text(raw: bytes) -> str:
    """Write a 32-byte token id as the venue does: decimal text."""
    return str(int.from_bytes(raw, "big"))
