"""What others tell the ledger: the wallet's movements and income, settlements, configs.

The recorder alone writes the ledger. Whoever learns something of the kinds below drops a note into
the instance's ``inbox`` folder: one JSON file, whole or not there, deleted once its rows are
committed. A note read twice changes nothing.
"""

import os
from pathlib import Path
from typing import Final

import msgspec

from lowlat.core.errors import LedgerError

__all__ = [
    "INCOME_KINDS",
    "MOVEMENT_KINDS",
    "ConfigNote",
    "IncomeNote",
    "MovementNote",
    "Note",
    "SettlementNote",
    "TradeNote",
    "drop_notes",
    "read_notes",
    "waiting_notes",
]

_FOLDER: Final = "inbox"
_NAME: Final = "{:020d}.json"
INCOME_KINDS: Final = ("maker_rebate", "taker_rebate", "reward", "yield", "referral", "tip")
MOVEMENT_KINDS: Final = (
    "trade",
    "split",
    "merge",
    "redeem",
    "convert",
    "migration",
    "deposit",
    "withdrawal",
)


class MovementNote(msgspec.Struct, frozen=True, tag="movement", forbid_unknown_fields=True):
    """Shares or cash that moved without an order of ours. Signs are the wallet's: + came in.

    ``token_id`` and ``other_token_id`` are the tokens that moved, "" where there is none; a split,
    merge or redeem moves both. ``size_e6`` is of each.
    """

    reference: str
    kind: str
    wall_ms: int
    condition_id: str
    token_id: str
    other_token_id: str
    size_e6: int
    cash_e6: int
    transaction_hash: str


class IncomeNote(msgspec.Struct, frozen=True, tag="income", forbid_unknown_fields=True):
    """What the venue paid for liquidity, volume or holding."""

    reference: str
    kind: str
    market: str
    wall_ms: int
    amount_e6: int
    transaction_hash: str


class TradeNote(msgspec.Struct, frozen=True, tag="trade", forbid_unknown_fields=True):
    """On which transaction a fill of ours was settled."""

    order_id: str
    trade_id: str
    transaction_hash: str


class SettlementNote(msgspec.Struct, frozen=True, tag="settlement", forbid_unknown_fields=True):
    """A merge or redemption of ours, and the cash before and behind it. ``-1``: not read yet."""

    reference: str
    kind: str
    condition_id: str
    state: str
    """sent, confirmed, proven, failed or differs."""
    size_e6: int
    expected_e6: int
    before_e6: int
    after_e6: int
    wall_ms: int
    changed_wall_ms: int
    transaction_hash: str = ""
    error: str = ""


class ConfigNote(msgspec.Struct, frozen=True, tag="config", forbid_unknown_fields=True):
    """A config generation, who asked for it and what it changed."""

    generation: int
    wall_ms: int
    text: str
    who: str
    changes: str


Note = MovementNote | IncomeNote | TradeNote | SettlementNote | ConfigNote


def drop_notes(state_dir: Path, notes: list[Note]) -> Path | None:
    """Write notes as one file, on disk when this returns; None when there are none."""
    if not notes:
        return None
    folder = state_dir / _FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    draft = folder / f".{os.getpid()}"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(msgspec.json.encode(notes))
        file.flush()
        os.fsync(file.fileno())
    number = max((int(path.stem) for path in waiting_notes(state_dir)), default=0) + 1
    while True:
        path = folder / _NAME.format(number)
        try:
            os.link(draft, path)
            break
        except FileExistsError:
            number += 1
    draft.unlink()
    _sync(folder)
    return path


def waiting_notes(state_dir: Path) -> list[Path]:
    """Return the files that wait, oldest first."""
    folder = state_dir / _FOLDER
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.glob("*.json") if path.stem.isdigit())


def read_notes(path: Path) -> list[Note]:
    """Read a file of notes. Raises LedgerError that names it when it is damaged."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[Note])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise LedgerError(f"{path} is no list of notes for the ledger: {error}") from error


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
