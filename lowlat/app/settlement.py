"""Free locked capital: merge or convert complete sets, redeem winnings, each proven by balances.

Run by `lowlat ledger settle` or as a child of the supervisor (settling.py), in a process of its
own, never by the engine: it alone opens the file with the wallet owner's key. One round tells the
ledger what the wallet did, plans from the ledger's owners and the venue's holdings, and carries out
one step a transaction::

    read balances → note "sent" → submit → poll → read balances again → note the verdict

``proven``: shares and cash moved by exactly what was expected. ``confirmed``: shares did, cash also
moved by fills meanwhile. ``differs``: neither; the round ends there, a person has to look. A death
anywhere in between leaves nothing to repeat blindly: the next round plans from the balances.
"""

import http.client
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import msgspec
from sqlalchemy import Engine, func, select
from sqlalchemy.exc import SQLAlchemyError

from lowlat.app.config import EngineConfig, read_secrets
from lowlat.app.conversions import Conversions, moved
from lowlat.app.hygiene import refuse_in_environment
from lowlat.app.ledger_check import VenueReader, reader_of
from lowlat.app.state import state_dir
from lowlat.app.venue_calls import VenueCalls
from lowlat.app.wallet_history import (
    condition_reader,
    fetch_history,
    since_ms,
    trade_notes,
)
from lowlat.core.errors import ConfigError, LedgerError, RemoteProtocolError
from lowlat.store.ledger.capital import CONVERT, Plan, Step, plan_settlement, read_owned
from lowlat.store.ledger.database import said
from lowlat.store.ledger.notes import SettlementNote, drop_notes
from lowlat.store.ledger.schema import FILLS, MOVEMENTS, SETTLEMENTS
from lowlat.venues.polymarket.eip712 import SigningKey
from lowlat.venues.polymarket.neg_risk import NegRiskEvent
from lowlat.venues.polymarket.relayer import (
    Call,
    RelayerRequests,
    Submitted,
    TransactionState,
    convert_call,
    decode_nonce,
    decode_submitted,
    decode_transaction,
    merge_call,
    redeem_call,
    router_merge_call,
    router_redeem_call,
    wanted_nonce,
)
from lowlat.venues.polymarket.signing import is_v3
from lowlat.venues.polymarket.wallet import (
    Condition,
    Holding,
    WalletRequests,
    decode_holdings_page,
)

__all__ = ["KEY", "Round", "Settler", "last_differs", "settler_of"]

KEY: Final = "account.settlement_credentials_file"
_DEPOSIT_WALLET: Final = 3
_POLL_S: Final = 2.0
_POLLS_MAX: Final = 100
"""Source: polymarket.md 13: every 2 s, 100 times."""
_SUBMITS_MAX: Final = 10
_PROOF_S: Final = 30.0
"""The venue caches balances; asked again for so long."""
_PAGES_MAX: Final = 500
_DONE: Final = (TransactionState.CONFIRMED, TransactionState.FAILED, TransactionState.INVALID)
Faults = (OSError, http.client.HTTPException, RemoteProtocolError)


class SettlementCredentials(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The wallet's owner and his relayer key. The repr shows no secret."""

    private_key: str
    address: str
    funder: str
    signature_type: Annotated[int, msgspec.Meta(ge=0, le=3)]
    relayer_api_key: str
    chain_id: int = 137

    def __repr__(self) -> str:
        return f"SettlementCredentials(address={self.address}, secrets=***)"


class Balances(NamedTuple):
    """Cash and the shares that a step is about, by token."""

    cash_e6: int
    tokens_e6: dict[str, int]


@dataclass(slots=True)
class Round:
    """What one round found and did."""

    plan: Plan = field(default_factory=Plan)
    planned: bool = False
    """False: the plan and its capital are not known."""
    held: bool = False
    """Whether steps of the plan were held back."""
    done: list[SettlementNote] = field(default_factory=list)
    movements: int = 0
    unknown: dict[str, int] = field(default_factory=dict)
    problem: str = ""
    """What ended it early, "" when nothing did."""


def settler_of(
    config: EngineConfig,
    ledger: Engine,
    pause: Callable[[float], None] = time.sleep,
    may_move: Callable[[], bool] = lambda: True,
) -> "Settler":
    """Make the service for a config. Raises ConfigError that says what is missing.

    ``pause`` waits so many seconds; ``may_move`` is asked before each step that moves money.
    """
    ends, path = config.endpoints, config.account.settlement_credentials_file
    for name, value in (
        ("endpoints.data_url", ends.data_url),
        ("endpoints.relayer_url", ends.relayer_url),
        (KEY, path),
    ):
        if not value:
            raise ConfigError(f"{name} was not set: lowlat ledger settle needs it")
    found = read_secrets(path, KEY, SettlementCredentials)
    if found.signature_type != _DEPOSIT_WALLET:
        raise ConfigError(
            f"{KEY} {path}: signature_type was {found.signature_type}, the relayer settles deposit "
            f"wallets ({_DEPOSIT_WALLET}) only: merge and redeem by hand on the venue's site"
        )
    digits = found.private_key.removeprefix("0x")
    try:
        key = SigningKey(bytes.fromhex(digits))
    except ValueError:
        raise ConfigError(f"{KEY} {path}: private_key was not 64 hex digits") from None
    if config.mode == "live":
        refuse_in_environment((found.private_key, found.relayer_api_key), os.environ)
    if key.address_text.lower() != found.address.lower():
        raise ConfigError(
            f"{KEY} {path}: address was {found.address}, private_key signs as {key.address_text}"
        )
    relayer = VenueCalls(ends.relayer_url, ends.certificate_file)
    return Settler(
        ledger,
        state_dir(config.instance),
        reader_of(config),
        VenueCalls(ends.clob_url, ends.certificate_file),
        VenueCalls(ends.data_url, ends.certificate_file),
        relayer,
        WalletRequests(VenueCalls(ends.data_url, ends.certificate_file).host, found.funder),
        RelayerRequests(relayer.host, key, found.funder, found.relayer_api_key, found.chain_id),
        pause,
        may_move,
    )


def last_differs(ledger: Engine) -> str:
    """Return what the newest settlement said, when its balances did not tell what was expected."""
    newest = select(SETTLEMENTS).order_by(SETTLEMENTS.c.wall_ms.desc()).limit(1)
    try:
        with ledger.connect() as connection:
            row = connection.execute(newest).first()
    except SQLAlchemyError as error:
        raise LedgerError(f"the ledger could not be read: {said(error)}") from error
    if row is None or row.state != "differs":
        return ""
    return f"{row.kind} of {row.condition_id}: {row.error}"


class Settler:
    """Rounds of one wallet. Blocking; ``pause`` waits, so that tests need not."""

    def __init__(
        self,
        ledger: Engine,
        folder: Path,
        venue: VenueReader,
        clob: VenueCalls,
        data: VenueCalls,
        relayer: VenueCalls,
        wallet: WalletRequests,
        requests: RelayerRequests,
        pause: Callable[[float], None] = time.sleep,
        may_move: Callable[[], bool] = lambda: True,
    ) -> None:
        self._ledger = ledger
        self._folder = folder
        self._venue = venue
        self._data = data
        self._relayer = relayer
        self._wallet = wallet
        self._requests = requests
        self._pause = pause
        self._may_move = may_move
        self._condition_of: Callable[[str], Condition] = condition_reader(clob)
        self._conversions = Conversions(ledger, folder, data, wallet)

    @property
    def wallet(self) -> str:
        """Whose capital it is."""
        return self._wallet.wallet

    def round(self, *, dry: bool) -> Round:
        """Tell the ledger, plan, and unless ``dry`` carry the plan out. Never raises for faults."""
        found = Round()
        try:
            self._tell(found)
            found.plan = self._plan()
            found.planned = True
            for step in () if dry else found.plan.steps:
                if not self._may_move():
                    found.held = True
                    break
                note = self._settle(step)
                found.done.append(note)
                if note.state in ("failed", "differs"):
                    found.problem = f"{step.kind} of {step.condition_id}: {note.error}"
                    break
        except (*Faults, SQLAlchemyError) as error:
            found.problem = f"{type(error).__name__}: {error}"
        return found

    def _tell(self, found: Round) -> None:
        start_ms = since_ms(self._ledger)
        history = fetch_history(self._data, self._wallet, self._condition_of, start_ms)
        trades = trade_notes(self._ledger, self._venue.trades(start_ms // 1_000))
        # Transactions first: they tell which trades of the history are our own.
        notes = self._conversions.without_own(history.notes)
        drop_notes(self._folder, [*trades, *notes, *self._unproven()])
        found.movements, found.unknown = len(history.notes), history.unknown

    def _unproven(self) -> list[SettlementNote]:
        """Return what an earlier life sent and did not see the end of, where the history has it."""
        with self._ledger.connect() as connection:
            rows = connection.execute(
                select(SETTLEMENTS)
                .where(
                    SETTLEMENTS.c.state == "sent",
                    SETTLEMENTS.c.transaction_hash != "",
                    SETTLEMENTS.c.transaction_hash.in_(select(MOVEMENTS.c.transaction_hash)),
                )
                .order_by(SETTLEMENTS.c.wall_ms)
            ).mappings()
            found = [SettlementNote(**row) for row in rows]
        text = "its process ended before the proof; the wallet's history has it"
        return [msgspec.structs.replace(note, state="confirmed", error=text) for note in found]

    def _plan(self) -> Plan:
        holdings = self._holdings()
        winners = {
            each.condition_id: self._condition_of(each.condition_id).winner
            for each in holdings
            if each.redeemable
        }
        events: list[NegRiskEvent] = []
        unread = ""
        try:
            events = self._conversions.events(holdings)
        except RemoteProtocolError as error:
            # What an event is made of is only needed to convert: the rest goes on, and it is said.
            unread = f"not converted, its events could not be read: {error}"
        plan = plan_settlement(read_owned(self._ledger), holdings, winners, events)
        if unread:
            plan.skipped.append(("sets of NO", unread))
        return plan

    def _holdings(self) -> list[Holding]:
        rows: list[Holding] = []
        cursor = ""
        for _ in range(_PAGES_MAX):
            page = decode_holdings_page(*self._data.call(self._wallet.holdings(cursor)))
            rows += page.rows
            cursor = page.next_cursor
            if not cursor:
                return rows
        raise RemoteProtocolError(f"positions have more than {_PAGES_MAX} pages")

    # --------------------------------------------------------------------------- one step
    def _settle(self, step: Step) -> SettlementNote:
        call = self._call(step)
        before, fills = self._balances(step), self._fills()
        note = SettlementNote(
            f"{step.kind}:{step.condition_id[:42]}:{_now_ms()}",
            step.kind,
            step.condition_id,
            "sent",
            step.size_e6,
            step.expected_e6,
            before.cash_e6,
            -1,
            _now_ms(),
            _now_ms(),
        )
        self._say(note)
        sent = self._submit([call])
        if not sent.transaction_id:
            return self._say(note, state="failed", error=sent.text)
        note = self._say(note, transaction_hash=sent.transaction_hash)
        state, transaction, error = self._await(sent)
        if state != TransactionState.CONFIRMED:
            return self._say(note, state="failed", error=error or f"state {state.name.lower()}")
        note = self._say(note, transaction_hash=transaction)
        if step.kind == CONVERT:
            drop_notes(self._folder, moved(step, transaction, _now_ms()))
        return self._prove(note, step, before, fills)

    def _call(self, step: Step) -> Call:
        condition = bytes.fromhex(step.condition_id.removeprefix("0x"))
        if step.kind == CONVERT:
            return convert_call(condition, range(len(step.tokens)), step.size_e6)
        if is_v3(int(step.tokens[0])):
            if step.kind == "merge":
                return router_merge_call(condition, step.size_e6)
            known = self._condition_of(step.condition_id)
            outcome = known.token_ids.index(known.winner)
            return router_redeem_call(condition, outcome, step.expected_e6)
        if step.kind == "merge":
            return merge_call(condition, step.size_e6, neg_risk=step.neg_risk)
        return redeem_call(condition, neg_risk=step.neg_risk)

    def _submit(self, calls: list[Call]) -> Submitted:
        """Submit until the relayer takes it or says no for good; what it refused did not happen."""
        nonce: int | None = None
        answer = Submitted("", "", True, "never asked")
        for attempt in range(_SUBMITS_MAX):
            if attempt:
                self._pause(_POLL_S)
            if nonce is None:
                nonce = decode_nonce(*self._relayer.call(self._requests.nonce()))
            request = self._requests.submit(calls, nonce, int(time.time()))
            answer = decode_submitted(*self._relayer.call(request))
            if answer.transaction_id or not answer.retry:
                break
            nonce = wanted_nonce(answer.text)
        return answer

    def _await(self, sent: Submitted) -> tuple[TransactionState, str, str]:
        request = self._requests.transaction(sent.transaction_id)
        found = None
        for _ in range(_POLLS_MAX):
            found = decode_transaction(*self._relayer.call(request))
            if found.state in _DONE:
                return found.state, found.transaction_hash or sent.transaction_hash, found.error
            self._pause(_POLL_S)
        state = found.state if found is not None else TransactionState.UNKNOWN
        return state, "", f"not final after {_POLLS_MAX * _POLL_S:.0f} s"

    # --------------------------------------------------------------------------- proof
    def _balances(self, step: Step) -> Balances:
        tokens = {token: self._venue.balance_e6(int(token)) for token in step.tokens}
        return Balances(self._venue.cash_e6(), tokens)

    def _fills(self) -> tuple[int, int]:
        """Return what says whether fills moved the account between two calls."""
        with self._ledger.connect() as connection:
            changed = select(func.count(), func.max(FILLS.c.changed_wall_ms))
            count, newest = connection.execute(changed).one()
        return int(count), int(newest or 0)

    def _prove(
        self, note: SettlementNote, step: Step, before: Balances, fills: tuple[int, int]
    ) -> SettlementNote:
        """Read balances until they show the step, or for _PROOF_S."""
        left = {
            token: size_e6 - self._gone_e6(step, token, size_e6)
            for token, size_e6 in before.tokens_e6.items()
        }
        waited_s = 0.0
        while True:
            after = self._balances(step)
            moved_e6 = after.cash_e6 - before.cash_e6
            shares = after.tokens_e6 == left
            if shares and moved_e6 == step.expected_e6:
                return self._say(note, state="proven", after_e6=after.cash_e6)
            if waited_s >= _PROOF_S:
                break
            self._pause(_POLL_S)
            waited_s += _POLL_S
        text = (
            f"cash moved by {moved_e6}, expected {step.expected_e6}; "
            f"shares are {after.tokens_e6}, expected {left}"
        )
        traded = self._fills() != fills
        state = "confirmed" if shares and traded else "differs"
        return self._say(note, state=state, after_e6=after.cash_e6, error=text)

    def _gone_e6(self, step: Step, token: str, size_e6: int) -> int:
        """Return how many shares of a token a step takes."""
        if step.kind in ("merge", CONVERT):
            return step.size_e6
        if is_v3(int(token)) and token != self._condition_of(step.condition_id).winner:
            # A router redeems one outcome: worthless shares stay where they are.
            return 0
        return size_e6

    def _say(self, note: SettlementNote, **changes: str | int) -> SettlementNote:
        told = msgspec.structs.replace(note, changed_wall_ms=_now_ms(), **changes)
        drop_notes(self._folder, [told])
        return told


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
