"""The relayer: gasless wallet transactions, wallet deployment, session keys. Pure.

A transaction goes NEW, EXECUTED, MINED, CONFIRMED, or FAILED with nothing changed; a wallet has one
in flight. Source: polymarket.md 2.3, 12.4, 13.
"""

from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any, Final

import msgspec

from lowlat.sim.accounts import Account
from lowlat.sim.chain import Chain, Reverted
from lowlat.sim.config import SimConfig
from lowlat.sim.credentials import Credentials
from lowlat.sim.exchange import Exchange
from lowlat.sim.relayer_forms import Authorization, Form, Pending, read_authorization, read_form
from lowlat.sim.timers import Timers
from lowlat.sim.verify import checksum_address, wallets_of
from lowlat.sim.wire import UNREADABLE, Request, Response, failure, success

__all__ = ["Relayer"]

NS: Final = 1_000_000_000
MS: Final = 1_000_000
MINUTE_NS: Final = 60 * NS
RELAY: Final = "0x7db63fe6d62eb73fb01f8009416f4c2bb4fbda6a"
UNAUTHORIZED: Final = failure(401, "invalid authorization")
NOT_FOUND: Final = failure(404, "not found")
KINDS: Final = {"PROXY": 1, "SAFE": 2, "WALLET": 3}


class Relayer:
    """Takes signed batches, checks who signed, carries them out on the chain."""

    def __init__(
        self,
        exchange: Exchange,
        chain: Chain,
        credentials: Credentials,
        timers: Timers,
        rng: Random,
    ) -> None:
        self._exchange = exchange
        self._config: SimConfig = exchange.config
        self._chain = chain
        self._credentials = credentials
        self._timers = timers
        self._rng = rng
        self._nonces: dict[str, int] = {}
        self._transactions: dict[str, Pending] = {}
        self._in_flight: set[str] = set()
        self._submits: deque[int] = deque()
        self._idempotent: dict[str, Response] = {}
        self._routes: dict[tuple[str, str], Callable[[Request, int], Response]] = {
            ("GET", "/deployed"): lambda request, _: self._deployed(request),
            ("GET", "/v1/account/transactions/params"): lambda request, _: self._params(request),
            ("GET", "/nonce"): lambda request, _: self._params(request),
            ("GET", "/relay-payload"): lambda request, _: self._params(request),
            ("POST", "/submit"): self._submit,
            ("POST", "/v1/session-signers/authorizations"): self._authorize,
            ("POST", "/v1/session-signers/revocations"): self._revoke,
        }

    def answer(self, request: Request, now_ns: int) -> Response:
        """Answer one request."""
        route = self._routes.get((request.method, request.path))
        if route is not None:
            return route(request, now_ns)
        head, _, name = request.path.rpartition("/")
        if request.method == "GET" and head == "/v1/account/transactions":
            pending = self._transactions.get(name)
            return (
                failure(404, "transaction not found") if pending is None else success(pending.row())
            )
        if request.method == "GET" and request.path == "/transaction":
            pending = self._transactions.get(request.arg("id"))
            return success([] if pending is None else [pending.row()])
        return NOT_FOUND

    # ----------------------------------------------------------------------------- reads
    def _deployed(self, request: Request) -> Response:
        account = self._exchange.accounts.by_wallet.get(request.arg("address").lower())
        return success({"deployed": account is not None and account.deployed})

    def _params(self, request: Request) -> Response:
        """Return the nonce of an owner's wallet of a kind; for a proxy also who relays."""
        address, kind = request.arg("address"), request.arg("type", "WALLET")
        if kind not in KINDS or not _is_address(address):
            return failure(400, "invalid address or type")
        wallet = wallets_of(address.lower())[KINDS[kind]]
        if kind == "WALLET":
            wallet = self._credentials.session_wallet(address.lower()) or wallet
        whose = RELAY if request.path == "/relay-payload" else address
        nonce = self._nonces.get(wallet.lower(), 0)
        return success({"address": checksum_address(whose), "nonce": str(nonce)})

    # ----------------------------------------------------------------------------- submits
    def _submit(self, request: Request, now_ns: int) -> Response:
        refusal = self._refusal(request, now_ns)
        if refusal is not None:
            return refusal
        try:
            values = msgspec.json.decode(request.body, type=dict[str, Any])
            if values.get("type") == "WALLET-CREATE":
                return self._create(values, now_ns)
            form = read_form(values, self._config.chain_id, RELAY)
        except (*UNREADABLE, ValueError) as error:
            return failure(400, f"invalid transaction: {error}")
        return self._take(form, now_ns)

    def _refusal(self, request: Request, now_ns: int) -> Response | None:
        """Refuse strangers, and more than 25 submits a minute."""
        if not self._credentials.may_relay(request, now_ns):
            return UNAUTHORIZED
        while self._submits and self._submits[0] <= now_ns - MINUTE_NS:
            self._submits.popleft()
        if len(self._submits) >= self._config.relayer_submits_per_minute:
            return failure(429, "too many requests", (("Retry-After", "10"),))
        self._submits.append(now_ns)
        return None

    def _create(self, values: dict[str, Any], now_ns: int) -> Response:
        """Deploy the deposit wallet of an EOA; nobody has to sign for that."""
        owner = values.get("from")
        if not isinstance(owner, str) or not _is_address(owner):
            return failure(400, "invalid transaction: from is not an address")
        account = self._credentials.open_deposit_wallet(owner.lower())
        if account.deployed:
            return failure(400, "wallet already deployed")
        if account.wallet.lower() in self._in_flight:
            return failure(400, "wallet busy: wallet has an active action")

        def deploy(_at_ns: int, _transaction: str) -> None:
            account.deployed = True

        return self._start("WALLET-CREATE", owner, account, deploy, now_ns)

    def _take(self, form: Form, now_ns: int) -> Response:
        account = self._exchange.accounts.by_wallet.get(form.wallet)
        refusal = self._form_refusal(form, account, now_ns)
        if refusal is not None or account is None:
            return failure(400, refusal or "wallet is not deployed")
        calls = form.calls

        def execute(at_ns: int, transaction: str) -> None:
            self._chain.execute(account, calls, at_ns, transaction)
            self._nonces[form.wallet] = form.nonce + 1

        return self._start(form.kind, form.sender, account, execute, now_ns, form.metadata)

    def _form_refusal(self, form: Form, account: Account | None, now_ns: int) -> str | None:
        if account is None or not account.deployed:
            return "wallet is not deployed"
        nonce = self._nonces.get(form.wallet, 0)
        if form.nonce != nonce:
            return f"batch nonce {form.nonce} does not match on-chain nonce {nonce}"
        if form.wallet in self._in_flight:
            return "wallet busy: wallet has an active action"
        if form.deadline_s and form.deadline_s * NS < now_ns:
            return "batch deadline has passed"
        return self._signer_refusal(form, account, now_ns)

    def _signer_refusal(self, form: Form, account: Account, now_ns: int) -> str | None:
        owned = account.owner.lower() == form.sender
        session = form.kind == "WALLET" and self._credentials.signs_for(
            form.sender, form.wallet, now_ns
        )
        if account.signature_type != KINDS[form.kind] or not (owned or session):
            return "wallet does not belong to the sender"
        return None if form.signer == form.sender else "invalid signature"

    def _start(
        self,
        kind: str,
        sender: str,
        account: Account,
        action: Callable[[int, str], None],
        now_ns: int,
        metadata: str = "",
    ) -> Response:
        raw = f"{self._rng.getrandbits(128):032x}"
        pending = Pending(
            f"{raw[:8]}-{raw[8:12]}-4{raw[13:16]}-8{raw[17:20]}-{raw[20:]}",
            f"0x{self._rng.getrandbits(256):064x}",
            kind,
            checksum_address(sender),
            account.wallet,
            metadata,
            now_ns,
        )
        self._transactions[pending.id] = pending
        wallet = account.wallet.lower()
        self._in_flight.add(wallet)
        mined_ms, confirmed_ms = self._config.relayer_ms

        def execute(at_ns: int) -> None:
            self._in_flight.discard(wallet)
            try:
                action(at_ns, pending.transaction_hash)
            except Reverted as error:
                pending.move("STATE_FAILED", at_ns, str(error))
                return
            pending.move("STATE_MINED", at_ns)
            due_ns = at_ns + confirmed_ms * MS
            self._timers.at(due_ns, lambda then_ns: pending.move("STATE_CONFIRMED", then_ns))

        self._timers.at(now_ns + mined_ms * MS, execute)
        pending.move("STATE_EXECUTED", now_ns)
        return success(
            {
                "transactionID": pending.id,
                "transactionHash": pending.transaction_hash,
                "state": "STATE_NEW",
            }
        )

    # ----------------------------------------------------------------------------- session keys
    def _authorize(self, request: Request, now_ns: int) -> Response:
        return self._session(request, now_ns, revoke=False)

    def _revoke(self, request: Request, now_ns: int) -> Response:
        return self._session(request, now_ns, revoke=True)

    def _session(self, request: Request, now_ns: int, *, revoke: bool) -> Response:
        """Take an owner's batch with the one call, and the scopes that go with it."""
        repeated = self._idempotent.get(request.headers.get("idempotency-key", ""))
        if repeated is not None:
            return repeated
        refusal = self._refusal(request, now_ns)
        if refusal is not None:
            return refusal
        try:
            given = read_authorization(request.body, self._config.chain_id, revoke=revoke)
        except (*UNREADABLE, ValueError) as error:
            return failure(400, f"invalid request: {error}")
        account = self._exchange.accounts.by_wallet.get(given.form.wallet)
        if account is None:
            return failure(400, "wallet is not deployed")
        # The batch does not name its sender: only the owner may manage session keys.
        form = given.form._replace(sender=account.owner.lower())
        answer = self._take(form, now_ns)
        if answer.status == 200:
            answer = self._session_answer(answer, given, now_ns, revoke=revoke)
            self._idempotent[request.headers.get("idempotency-key", "")] = answer
        return answer

    def _session_answer(
        self, answer: Response, given: Authorization, now_ns: int, *, revoke: bool
    ) -> Response:
        """Register the scopes at once; the chain confirms a little later."""
        values = msgspec.json.decode(answer.body, type=dict[str, Any])
        wallet, signer = given.form.wallet, given.session_signer
        if revoke:
            self._credentials.revoke(wallet, signer)
            # The chain call would find nothing left to revoke.
            self._credentials.authorize(wallet, signer, given.scopes, now_ns // NS)
            return success(
                {"transactionId": values["transactionID"], "status": "FENCED", "fenced": True}
            )
        self._credentials.authorize(wallet, signer, given.scopes, given.end_s)
        return success(
            {
                "transactionId": values["transactionID"],
                "transactionHash": values["transactionHash"],
                "status": "REGISTERED",
            }
        )


def _is_address(text: str) -> bool:
    try:
        return len(text) == 42 and text.startswith("0x") and len(bytes.fromhex(text[2:])) == 20
    except ValueError:
        return False
