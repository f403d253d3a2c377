"""Fetch what the wallet did besides our orders, and tell the ledger.

Movements and income come from the venue's indexer, transactions of our own fills from the order
book's listing. Run by `lowlat ledger settle`; each round asks from a day before the newest that
the ledger holds, so what the indexer was late with is still found, and what is told twice changes
nothing.
"""

from collections import Counter
from collections.abc import Callable
from typing import Final, NamedTuple

from sqlalchemy import Engine, func, select
from sqlalchemy.exc import SQLAlchemyError

from lowlat.app.venue_calls import VenueCalls
from lowlat.core.errors import LedgerError, RemoteProtocolError
from lowlat.store.ledger.database import said
from lowlat.store.ledger.notes import IncomeNote, MovementNote, Note, TradeNote
from lowlat.store.ledger.schema import FILLS, INCOME, LIVES, MOVEMENTS
from lowlat.store.ledger.words import hex_id, trade_name
from lowlat.venues.polymarket.account import TradeUpdate
from lowlat.venues.polymarket.wallet import (
    ActivityRow,
    Condition,
    WalletRequests,
    decode_activity_page,
    decode_condition,
)

__all__ = [
    "History",
    "condition_reader",
    "fetch_history",
    "notes_of",
    "since_ms",
    "trade_notes",
]

_OVERLAP_MS: Final = 86_400_000
_PAGES_MAX: Final = 2_000
_INCOME: Final = {
    "MAKER_REBATE": "maker_rebate",
    "TAKER_REBATE": "taker_rebate",
    "REWARD": "reward",
    "YIELD": "yield",
    "REFERRAL_REWARD": "referral",
}
_BOTH_TOKENS: Final = {"SPLIT": "split", "MERGE": "merge", "REDEEM": "redeem"}
_CASH_ONLY: Final = {
    "DEPOSIT": ("deposit", 1),
    "WITHDRAWAL": ("withdrawal", -1),
    "CONVERSION": ("convert", 1),
    "MIGRATION": ("migration", 0),
}
ConditionOf = Callable[[str], Condition]


class History(NamedTuple):
    """What a look brought. ``unknown``: kinds that are new to us, with how often they came."""

    notes: list[Note]
    unknown: dict[str, int]


def since_ms(ledger: Engine) -> int:
    """Return from when on to ask: a day before the newest movement, or before the ledger began."""
    newest = (
        select(func.max(MOVEMENTS.c.wall_ms)),
        select(func.max(INCOME.c.wall_ms)),
        select(func.min(LIVES.c.first_wall_ms)),
    )
    try:
        with ledger.connect() as connection:
            found = [connection.execute(each).scalar() for each in newest]
    except SQLAlchemyError as error:
        raise LedgerError(f"the ledger could not be read: {said(error)}") from error
    known = [int(each) for each in found[:2] if each is not None]
    start = max(known) if known else int(found[2] or 0)
    return max(0, start - _OVERLAP_MS)


def fetch_history(
    calls: VenueCalls, requests: WalletRequests, condition_of: ConditionOf, start_ms: int
) -> History:
    """Read all activity from start_ms on. Raises OSError, HTTPException or RemoteProtocolError."""
    rows: list[ActivityRow] = []
    cursor = ""
    for _ in range(_PAGES_MAX):
        page = decode_activity_page(*calls.call(requests.activity(start_ms // 1_000, cursor)))
        rows += page.rows
        cursor = page.next_cursor
        if not cursor:
            return notes_of(rows, condition_of)
    raise RemoteProtocolError(f"activity has more than {_PAGES_MAX} pages")


def notes_of(rows: list[ActivityRow], condition_of: ConditionOf) -> History:
    """Turn the wallet's history into notes.

    The venue numbers nothing: equal rows of one transaction are told apart by their order, which
    does not change because a second is always read whole.
    """
    seen: Counter[tuple[str, str, str, str]] = Counter()
    unknown: Counter[str] = Counter()
    notes: list[Note] = []
    for row in rows:
        key = (row.transaction_hash, row.kind, row.condition_id, row.token_id)
        place, seen[key] = seen[key], seen[key] + 1
        about = row.token_id[-24:] or row.condition_id[-24:]
        reference = f"{row.transaction_hash}:{row.kind.lower()}:{about}:{place}"
        note = _note(row, reference, condition_of)
        if note is None:
            unknown[row.kind] += 1
        else:
            notes.append(note)
    return History(notes, dict(unknown))


def _note(row: ActivityRow, reference: str, condition_of: ConditionOf) -> Note | None:
    tip = "tip" if row.kind == "TIP" and row.side == "IN" else ""
    income = _INCOME.get(row.kind, tip)
    if income:
        # A reference of income is kept in fewer characters: transaction and market name it.
        place = reference.rpartition(":")[2]
        short = f"{row.transaction_hash[:42]}:{row.condition_id[-24:]}:{place}"
        return IncomeNote(
            short, income, row.condition_id, row.wall_ms, row.cash_e6, row.transaction_hash
        )
    if row.kind == "TRADE" and row.side in ("BUY", "SELL"):
        sign = 1 if row.side == "BUY" else -1
        return _movement(row, reference, "trade", (row.token_id, ""), sign, -sign)
    if row.kind in _BOTH_TOKENS:
        kind = _BOTH_TOKENS[row.kind]
        tokens = condition_of(row.condition_id).token_ids
        sign = 1 if kind == "split" else -1
        return _movement(row, reference, kind, tokens, sign, -sign)
    if row.kind == "TIP":
        return _movement(row, reference, "withdrawal", ("", ""), 0, -1)
    if row.kind in _CASH_ONLY:
        kind, cash_sign = _CASH_ONLY[row.kind]
        return _movement(row, reference, kind, ("", ""), 0, cash_sign)
    return None


def _movement(
    row: ActivityRow,
    reference: str,
    kind: str,
    tokens: tuple[str, str],
    size_sign: int,
    cash_sign: int,
) -> MovementNote:
    # A split or merge moves a dollar a set: where the indexer leaves the size out, it is the cash.
    size_e6 = row.size_e6 or (row.cash_e6 if kind in ("split", "merge") else 0)
    return MovementNote(
        reference,
        kind,
        row.wall_ms,
        row.condition_id,
        *tokens,
        size_sign * size_e6,
        cash_sign * row.cash_e6,
        row.transaction_hash,
    )


def trade_notes(ledger: Engine, trades: list[TradeUpdate]) -> list[TradeNote]:
    """Return the transactions of fills whose row has none, or another one, yet."""
    try:
        with ledger.connect() as connection:
            rows = connection.execute(
                select(FILLS.c.order_id, FILLS.c.trade_id, FILLS.c.transaction_hash)
            )
            known = {(row.order_id, row.trade_id): row.transaction_hash for row in rows}
    except SQLAlchemyError as error:
        raise LedgerError(f"the ledger could not be read: {said(error)}") from error
    found = []
    for trade in trades:
        for fill in trade.fills:
            key = (hex_id(fill.order_id), trade_name(trade.trade_id))
            have = known.get(key)
            if have is not None and trade.transaction_hash and have != trade.transaction_hash:
                found.append(TradeNote(*key, trade.transaction_hash[:66]))
    return found


def condition_reader(calls: VenueCalls) -> ConditionOf:
    """Return what asks the venue for a market's tokens, each market once."""
    known: dict[str, Condition] = {}

    def ask(condition_id: str) -> Condition:
        found = known.get(condition_id)
        if found is None or not found.winner:
            found = decode_condition(*calls.get(f"/markets/{condition_id}"))
            known[condition_id] = found
        return found

    return ask
