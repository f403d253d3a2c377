"""Which token is which row: the directory every process builds from the markets table."""

from typing import Final

import msgspec

from lowlat.core.layout import Exchange, Known, MarketRow, MarketStatus, Outcome
from lowlat.core.signal import Identity

__all__ = ["MARKETS_MAX", "Instrument", "Instruments", "token_text", "unlisted_markets"]

MARKETS_MAX: Final = 32_768
_UNLISTED_MAX: Final = 256


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
        row = _shared(row)
        before = self.markets.get(row.market)
        changed = before is None or before.generation != row.generation
        if changed:
            if before is not None:
                self._forget(before)
            for token in _tokens(row):
                self.by_token[token.token_id] = token
                self.by_index[token.index] = token
            self.by_condition[_tokens(row)[0].market_id] = row.market
        self.markets[row.market] = row
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

    def _forget(self, row: MarketRow) -> None:
        for outcome in (0, 1):
            old = self.by_index.pop(2 * row.market + outcome, None)
            if old is not None:
                self.by_token.pop(old.token_id, None)
        self.by_condition.pop("0x" + row.condition_id.hex(), None)


# Several engines of a process keep the same markets: equal values are kept once, by row of the
# table, so there are never more than it has rows. Nothing reads them but these two functions.
_ROWS: Final[dict[int, MarketRow]] = {}
_TOKENS: Final[dict[int, tuple[Instrument, Instrument]]] = {}


def _shared(row: MarketRow) -> MarketRow:
    """Return the equal row that another engine of this process keeps, else this one."""
    known = _ROWS.get(row.market)
    if known == row:
        return known
    _ROWS[row.market] = row
    return row


def _tokens(row: MarketRow) -> tuple[Instrument, Instrument]:
    """Return YES and NO of a market, the same objects for every engine of this process."""
    known = _TOKENS.get(row.market)
    if known is not None:
        yes, no = known[0].identity, known[1].identity
        if (yes.generation, yes.market_id) == (row.generation, row.condition_id) and (
            yes.token_id,
            no.token_id,
        ) == (row.yes_token_id, row.no_token_id):
            return known
    condition_id = "0x" + row.condition_id.hex()
    yes_no = tuple(
        Instrument(
            2 * row.market + outcome,
            row.generation,
            row.market,
            int(outcome),
            token_text(raw),
            condition_id,
            Identity(2 * row.market + outcome, row.generation, row.condition_id, raw),
        )
        for outcome, raw in ((Outcome.YES, row.yes_token_id), (Outcome.NO, row.no_token_id))
    )
    found = _TOKENS[row.market] = (yes_no[0], yes_no[1])
    return found


def unlisted_markets(rows: int) -> range:
    """Return the rows of the markets table that no market is given: the last ones.

    Tokens of ours whose market has no row keep their position there, each at the YES of a row of
    its own, so that no two of them look like the outcomes of one market.
    """
    return range(rows - min(_UNLISTED_MAX, rows // 8), rows)


def token_text(raw: bytes) -> str:
    """Write a 32-byte token id as the venue does: decimal text."""
    return str(int.from_bytes(raw, "big"))
