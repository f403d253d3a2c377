"""What contract calls do to wallets: approvals, transfers, split, merge, redeem, convert. Pure.

A batch of calls happens whole or not at all. Source: polymarket.md 2.3, 12.5, 13.
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from lowlat.sim.abi import Words, bool_word, selector, uint_array, uint_word
from lowlat.sim.accounts import Account
from lowlat.sim.catalog import Market
from lowlat.sim.contracts import (
    ADAPTER,
    CTF,
    NEG_RISK_ADAPTER,
    NEG_RISK_ADAPTER_V1,
    ONRAMP,
    POSITION_MANAGER,
    PUSD,
    ROUTER,
    USDC_E,
)
from lowlat.sim.credentials import Credentials
from lowlat.sim.exchange import Exchange
from lowlat.sim.ladder import NO
from lowlat.sim.timers import Timers

__all__ = ["Call", "Chain", "Reverted"]

MS: Final = 1_000_000
Undo = Callable[[], None]


class Reverted(Exception):
    """A call that the contracts refuse."""


class Call(NamedTuple):
    """One call of a wallet."""

    target: str
    value: int
    data: bytes


class Chain:
    """The contracts of one venue. The accounts are changed here and by matches only."""

    def __init__(self, exchange: Exchange, credentials: Credentials, timers: Timers) -> None:
        self._exchange = exchange
        self._accounts = exchange.accounts
        self._credentials = credentials
        self._timers = timers
        self._calls = _table(
            {
                (PUSD,): {
                    "approve(address,uint256)": self._approve,
                    "transfer(address,uint256)": self._transfer,
                },
                (USDC_E,): {"approve(address,uint256)": self._approve},
                (ONRAMP,): {"wrap(address,address,uint256)": self._wrap},
                (CTF, POSITION_MANAGER): {"setApprovalForAll(address,bool)": self._approve_all},
                (ADAPTER, NEG_RISK_ADAPTER): {
                    "splitPosition(address,bytes32,bytes32,uint256[],uint256)": self._ctf_split,
                    "mergePositions(address,bytes32,bytes32,uint256[],uint256)": self._ctf_merge,
                    "redeemPositions(address,bytes32,bytes32,uint256[])": self._ctf_redeem,
                },
                (NEG_RISK_ADAPTER,): {
                    "convertPositions(bytes32,uint256,uint256)": self._convert,
                },
                (ROUTER,): {
                    "split(bytes31,uint256)": self._router_split,
                    "merge(bytes31,uint256)": self._router_merge,
                    "redeem(bytes31,uint256,uint256)": self._router_redeem,
                },
            }
        )
        self._moves: list[tuple[str, int, int, int]] = []
        """(kind, market, size, cash) of the batch under way, told when all of it went well."""
        self._wallet_calls = {
            selector("authorizeSessionSigner(address,uint256)"): self._authorize,
            selector("revokeSessionSigner(address)"): self._revoke,
        }
        self._reads = {
            selector("balanceOf(address)"): self._read_cash,
            selector("allowance(address,address)"): self._read_allowance,
            selector("isApprovedForAll(address,address)"): self._read_operator,
            selector("balanceOf(address,uint256)"): self._read_balance,
            selector("balanceOfBatch(address[],uint256[])"): self._read_balances,
        }

    # ----------------------------------------------------------------------------- whole batches
    def execute(
        self, account: Account, calls: Sequence[Call], now_ns: int, transaction: str = ""
    ) -> None:
        """Carry out a wallet's calls in order; raises Reverted with nothing changed.

        ``transaction`` is what the wallet's history names, "" for one of the indexer's own.
        """
        cash_e6, tokens = account.cash_e6, dict(account.tokens_e6)
        undo: list[Undo] = []
        self._moves.clear()
        try:
            for call in calls:
                undo.append(self._call(account, call))  # noqa: PERF401 - kept when one raises
        except (Reverted, ValueError) as error:
            for step in reversed(undo):
                step()
            raise Reverted(f"execution reverted: {error}") from error
        for kind, index, size_e6, moved_e6 in self._moves:
            market = self._exchange.markets[index]
            self._exchange.tell_move(
                kind, account.wallet, market, size_e6, moved_e6, now_ns, transaction
            )
        gained = {i: e6 - tokens.get(i, 0) for i, e6 in account.tokens_e6.items()}
        self.hide(account, account.cash_e6 - cash_e6, now_ns, gained)
        self._exchange.recheck_funds(account, now_ns)
        self._accounts.audit()

    def read(self, target: str, data: bytes) -> bytes:
        """Answer a call that changes nothing; raises Reverted."""
        action = self._reads.get(data[:4])
        if action is None:
            raise Reverted("execution reverted")
        try:
            return action(target.lower(), Words(data[4:]))
        except ValueError as error:
            raise Reverted(f"execution reverted: {error}") from error

    def _call(self, account: Account, call: Call) -> Undo:
        target, name = call.target.lower(), call.data[:4]
        if call.value:
            raise Reverted("the wallet has no native coin")
        action = self._calls.get((target, name))
        if action is None and target == account.wallet.lower():
            action = self._wallet_calls.get(name)
        if action is None:
            raise Reverted(f"{call.target} has no function 0x{name.hex()}")
        return action(account, target, Words(call.data[4:]))

    def hide(
        self,
        account: Account,
        cash_e6: int,
        now_ns: int,
        tokens_e6: dict[int, int] | None = None,
    ) -> None:
        """Keep what a wallet gained out of the venue's cached view, when a fault says so."""
        stale_ms = self._exchange.faults.config.balance_stale_ms
        if not stale_ms:
            return
        account.cash_unseen_e6 += max(0, cash_e6)
        unseen = account.tokens_unseen_e6
        for instrument, gained_e6 in (tokens_e6 or {}).items():
            if gained_e6 > 0:
                unseen[instrument] = unseen.get(instrument, 0) + gained_e6
        self._timers.at(now_ns + stale_ms * MS, lambda _: account.see())

    # ----------------------------------------------------------------------------- collateral
    def _approve(self, account: Account, target: str, words: Words) -> Undo:
        spender = words.address(0)
        before = account.allowance_e6(target, spender)
        account.approve(target, spender, words.uint(1))
        return lambda: account.approve(target, spender, before)

    def _approve_all(self, account: Account, target: str, words: Words) -> Undo:
        operator = words.address(0)
        before = account.allowance_e6(target, operator)
        account.approve(target, operator, min(1, words.uint(1)))
        return lambda: account.approve(target, operator, before)

    def _transfer(self, account: Account, target: str, words: Words) -> Undo:
        del target
        to, amount_e6 = words.address(0), words.uint(1)
        _need(account.cash_e6, amount_e6, "transfer amount exceeds balance")
        self._accounts.send(account, to, amount_e6)
        return lambda: self._accounts.send(account, to, -amount_e6)

    def _wrap(self, account: Account, target: str, words: Words) -> Undo:
        asset, to, amount_e6 = words.address(0), words.address(1), words.uint(2)
        if asset != USDC_E.lower():
            raise Reverted("asset is not supported")
        _need(account.allowance_e6(USDC_E, target), amount_e6, "insufficient allowance")
        _need(account.usdce_e6, amount_e6, "transfer amount exceeds balance")
        self._accounts.wrap(account, to, amount_e6)
        return lambda: self._accounts.wrap(account, to, -amount_e6)

    # ----------------------------------------------------------------------------- positions
    def _ctf_split(self, account: Account, target: str, words: Words) -> Undo:
        return self._split(account, self._ctf(target, words), target, words.uint(4))

    def _ctf_merge(self, account: Account, target: str, words: Words) -> Undo:
        return self._merge(account, self._ctf(target, words), target, CTF, words.uint(4))

    def _ctf_redeem(self, account: Account, target: str, words: Words) -> Undo:
        market = self._ctf(target, words)
        _need_operator(account, CTF, target)
        if market.index not in self._accounts.winners:
            raise Reverted("result for condition not received yet")
        tokens = {
            instrument: account.tokens_e6.get(instrument, 0)
            for instrument in (2 * market.index, 2 * market.index + 1)
        }
        won_e6 = self._accounts.redeem(market.index, account)
        self._moves.append(("REDEEM", market.index, won_e6, won_e6))
        return lambda: self._accounts.unredeem(market.index, account, tokens, won_e6)

    def _router_split(self, account: Account, target: str, words: Words) -> Undo:
        return self._split(account, self._v2(words), target, words.uint(1))

    def _router_merge(self, account: Account, target: str, words: Words) -> Undo:
        return self._merge(account, self._v2(words), target, POSITION_MANAGER, words.uint(1))

    def _router_redeem(self, account: Account, target: str, words: Words) -> Undo:
        market, outcome, amount_e6 = self._v2(words), words.uint(1), words.uint(2)
        _need_operator(account, POSITION_MANAGER, target)
        if outcome > 1 or market.index not in self._accounts.winners:
            raise Reverted("condition is not resolved")
        instrument = 2 * market.index + outcome
        _need(account.tokens_e6.get(instrument, 0), amount_e6, "burn amount exceeds balance")
        won_e6 = self._accounts.redeem_part(market.index, account, outcome, amount_e6)
        self._moves.append(("REDEEM", market.index, amount_e6, won_e6))
        tokens = {instrument: amount_e6}
        return lambda: self._accounts.unredeem(market.index, account, tokens, won_e6)

    def _convert(self, account: Account, target: str, words: Words) -> Undo:
        """Turn NO of the markets in an index set into YES of the others and cash."""
        event = self._exchange.neg_risk_events.get("0x" + words.word(0).hex())
        if event is None:
            raise Reverted("market is not prepared")
        _need_operator(account, CTF, target)
        index_set, amount_e6 = words.uint(1), words.uint(2)
        markets = [market.index for market in event.markets]
        chosen = [market for i, market in enumerate(markets) if index_set >> i & 1]
        if not chosen or index_set >> len(markets):
            raise Reverted("index set is out of range")
        if any(market in self._accounts.winners for market in markets):
            raise Reverted("market is resolved")
        for market in chosen:
            held_e6 = account.tokens_e6.get(2 * market + NO, 0)
            _need(held_e6, amount_e6, "burn amount exceeds balance")
        self._accounts.convert(account, markets, chosen, amount_e6)
        cash_e6 = (len(chosen) - 1) * amount_e6
        self._moves.append(("CONVERSION", markets[0], amount_e6, cash_e6))
        return lambda: self._accounts.convert(account, markets, chosen, -amount_e6)

    def _split(self, account: Account, market: Market, spender: str, amount_e6: int) -> Undo:
        if market.index in self._accounts.winners:
            raise Reverted("condition is resolved")
        _need(account.allowance_e6(PUSD, spender), amount_e6, "insufficient allowance")
        _need(account.cash_e6, amount_e6, "transfer amount exceeds balance")
        self._accounts.split(account, market.index, amount_e6)
        self._moves.append(("SPLIT", market.index, amount_e6, amount_e6))
        return lambda: self._accounts.merge(account, market.index, amount_e6)

    def _merge(
        self, account: Account, market: Market, operator: str, token: str, amount_e6: int
    ) -> Undo:
        if market.index in self._accounts.winners:
            raise Reverted("condition is resolved")
        _need_operator(account, token, operator)
        for instrument in (2 * market.index, 2 * market.index + 1):
            held_e6 = account.tokens_e6.get(instrument, 0)
            _need(held_e6, amount_e6, "burn amount exceeds balance")
        self._accounts.merge(account, market.index, amount_e6)
        self._moves.append(("MERGE", market.index, amount_e6, amount_e6))
        return lambda: self._accounts.split(account, market.index, amount_e6)

    def _ctf(self, target: str, words: Words) -> Market:
        """Return the market of a classic call: collateral, no parent, both outcomes."""
        market = self._exchange.conditions.get("0x" + words.word(2).hex())
        if market is None or market.version != "v1":
            raise Reverted("condition is not prepared")
        neg_risk = target == NEG_RISK_ADAPTER.lower()
        if market.rules.neg_risk != neg_risk:
            raise Reverted("condition belongs to the other adapter")
        if words.address(0) != PUSD.lower() or sorted(words.uints(3)) != [1, 2]:
            raise Reverted("invalid collateral or partition")
        return market

    def _v2(self, words: Words) -> Market:
        market = self._exchange.conditions.get("0x" + words.word(0)[:31].hex())
        if market is None or market.version != "v2":
            raise Reverted("condition is not prepared")
        return market

    # ----------------------------------------------------------------------------- session keys
    def _authorize(self, account: Account, target: str, words: Words) -> Undo:
        del target
        signer, end_s = words.address(0), words.uint(1)
        before = self._credentials.sessions_of(account.wallet).get(signer)
        scopes = before[0] if before else ("ALL",)
        self._credentials.authorize(account.wallet, signer, scopes, end_s)
        if before is None:
            return lambda: self._credentials.revoke(account.wallet, signer)
        return lambda: self._credentials.authorize(account.wallet, signer, *before)

    def _revoke(self, account: Account, target: str, words: Words) -> Undo:
        del target
        signer = words.address(0)
        before = self._credentials.sessions_of(account.wallet).get(signer)
        if before is None:
            raise Reverted("session signer is not authorized")
        self._credentials.revoke(account.wallet, signer)
        return lambda: self._credentials.authorize(account.wallet, signer, *before)

    # ----------------------------------------------------------------------------- reads
    def _read_cash(self, target: str, words: Words) -> bytes:
        account = self._accounts.by_wallet.get(words.address(0))
        held_e6 = 0
        if account is not None:
            held = {PUSD.lower(): account.cash_e6, USDC_E.lower(): account.usdce_e6}
            held_e6 = held.get(target, 0)
        return uint_word(held_e6)

    def _read_allowance(self, target: str, words: Words) -> bytes:
        account = self._accounts.by_wallet.get(words.address(0))
        return uint_word(0 if account is None else account.allowance_e6(target, words.address(1)))

    def _read_operator(self, target: str, words: Words) -> bytes:
        account = self._accounts.by_wallet.get(words.address(0))
        allowed = account is not None and account.allowance_e6(target, words.address(1)) > 0
        return bool_word(allowed)

    def _read_balance(self, target: str, words: Words) -> bytes:
        return uint_word(self._balance(target, words.address(0), words.uint(1)))

    def _read_balances(self, target: str, words: Words) -> bytes:
        owners, count = words.array(0)
        ids = words.uints(1)
        if count != len(ids):
            raise ValueError("owners and ids differ in length")
        return uint_array([self._balance(target, owners.address(i), ids[i]) for i in range(count)])

    def _balance(self, target: str, wallet: str, token: int) -> int:
        """Return settled tokens; classic neg-risk ones are also read from the old adapter."""
        account = self._accounts.by_wallet.get(wallet)
        found = self._exchange.tokens.get(str(token))
        if account is None or found is None:
            return 0
        market, outcome = found
        holders = (POSITION_MANAGER,) if market.version == "v2" else (CTF, NEG_RISK_ADAPTER_V1)
        if target not in {holder.lower() for holder in holders}:
            return 0
        return account.tokens_e6.get(2 * market.index + outcome, 0)


Action = Callable[[Account, str, Words], Undo]


def _table(functions: dict[tuple[str, ...], dict[str, Action]]) -> dict[tuple[str, bytes], Action]:
    return {
        (target.lower(), selector(signature)): action
        for targets, by_signature in functions.items()
        for target in targets
        for signature, action in by_signature.items()
    }


def _need(have_e6: int, want_e6: int, text: str) -> None:
    if have_e6 < want_e6:
        raise Reverted(f"{text}: {have_e6} of {want_e6}")


def _need_operator(account: Account, token: str, operator: str) -> None:
    if not account.allowance_e6(token, operator):
        raise Reverted("need operator approval for 3rd party transfers")
