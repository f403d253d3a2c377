"""Find complete sets of NO among what the wallet holds, and name what their conversion moved.

Part of settlement. The indexer says which markets are one neg-risk event. The wallet's history
tells a conversion as cash alone: our own are told by token instead, once they are confirmed.
"""

from collections.abc import Iterable
from pathlib import Path

from sqlalchemy import Engine, select

from lowlat.app.venue_calls import VenueCalls
from lowlat.store.ledger.capital import CONVERT, Step
from lowlat.store.ledger.notes import (
    MovementNote,
    Note,
    read_notes,
    waiting_notes,
)
from lowlat.store.ledger.schema import MOVEMENTS
from lowlat.venues.polymarket.neg_risk import (
    CONDITIONS_MAX,
    TOKENS_MAX,
    NegRiskEvent,
    NegRiskToken,
    conditions_query,
    decode_event_conditions,
    decode_tokens,
    event_of,
    event_query,
    tokens_query,
)
from lowlat.venues.polymarket.wallet import Holding, WalletRequests

__all__ = ["Conversions", "moved"]


class Conversions:
    """What settlement knows of neg-risk events. Blocking."""

    def __init__(
        self, ledger: Engine, folder: Path, data: VenueCalls, requests: WalletRequests
    ) -> None:
        self._ledger = ledger
        self._folder = folder
        self._data = data
        self._requests = requests

    def events(self, holdings: Iterable[Holding]) -> list[NegRiskEvent]:
        """Return the events of which NO of every market is held and none is resolved.

        Asked anew each round: an event may get one more market.
        """
        held = {each.token_id for each in holdings if each.neg_risk and not each.redeemable}
        conditions = {each.condition_id for each in holdings if each.token_id in held}
        if len(conditions) < 2:
            return []
        by_event: dict[str, set[str]] = {}
        for token in self._tokens(sorted(held)):
            if token.is_no:
                by_event.setdefault(token.event_id, set()).add(token.token_id)
        found = []
        for event_id, noes in sorted(by_event.items()):
            event = self._event(event_id) if len(noes) > 1 else None
            if event is not None and set(event.no_tokens) <= noes:
                found.append(event)
        return found

    def without_own(self, notes: list[Note]) -> list[Note]:
        """Return the history without conversions that are told by token already: our own."""
        told = self._told() if any(_is_conversion(each) for each in notes) else set()
        return [
            each
            for each in notes
            if not (isinstance(each, MovementNote) and _is_conversion(each))
            or each.transaction_hash not in told
        ]

    def _told(self) -> set[str]:
        """Return the transactions of own conversions that the ledger has, or has waiting."""
        wanted = (MOVEMENTS.c.kind == CONVERT, MOVEMENTS.c.token_id != "")
        with self._ledger.connect() as connection:
            told = set(
                connection.execute(select(MOVEMENTS.c.transaction_hash).where(*wanted)).scalars()
            )
        for path in waiting_notes(self._folder):
            told |= {
                each.transaction_hash
                for each in read_notes(path)
                if isinstance(each, MovementNote) and _is_conversion(each) and each.token_id
            }
        return told

    def _event(self, event_id: str) -> NegRiskEvent | None:
        path, query = event_query(event_id)
        conditions = decode_event_conditions(*self._data.call(self._requests.ask(path, query)))
        tokens: list[NegRiskToken] = []
        for at in range(0, len(conditions), CONDITIONS_MAX):
            path, query = conditions_query(conditions[at : at + CONDITIONS_MAX])
            tokens += decode_tokens(*self._data.call(self._requests.ask(path, query)))
        return event_of(conditions, tokens)

    def _tokens(self, held: list[str]) -> list[NegRiskToken]:
        found: list[NegRiskToken] = []
        for at in range(0, len(held), TOKENS_MAX):
            path, query = tokens_query(held[at : at + TOKENS_MAX])
            found += decode_tokens(*self._data.call(self._requests.ask(path, query)))
        return found


def moved(step: Step, transaction: str, wall_ms: int) -> list[Note]:
    """Tell a conversion of ours by token: each of them brought the same, to the last base unit."""
    found: list[Note] = []
    shared_e6, count = 0, len(step.tokens)
    for number, token in enumerate(step.tokens, 1):
        upto_e6 = step.expected_e6 * number // count
        reference = f"{transaction}:{CONVERT}:{token[-24:]}:{number}"
        cash_e6, shared_e6 = upto_e6 - shared_e6, upto_e6
        found.append(
            MovementNote(
                reference, CONVERT, wall_ms, "", token, "", -step.size_e6, cash_e6, transaction
            )
        )
    return found


def _is_conversion(note: Note) -> bool:
    return isinstance(note, MovementNote) and note.kind == CONVERT
