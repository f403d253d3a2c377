"""Who owns what: cash, tokens, reservations, collateral behind them. Money is never made or lost.

Debits happen at the match, credits when the trade is mined, as on chain: what was just bought
cannot be sold before. Whatever moves money goes through two functions that keep running totals, so
``audit_event`` proves conservation to the base unit after every event for the price of a few
additions; ``audit`` counts everything again, at intervals. Pure: no clock, no randomness.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from lowlat.sim.ladder import NO, YES

__all__ = ["UNLIMITED", "VAULT", "Account", "Accounts", "Transfer"]

UNLIMITED: Final = 2**256 - 1
FULL_AUDIT_EVERY: Final = 256
CASH: Final = -1
"""Stands for an instrument where cash is meant."""
VAULT: Final = "0x000000000000000000000000000000000000dead"
"""Where converted NO tokens wait for the resolution that pays their collateral back."""


class Account:
    """One wallet. Cash and tokens are settled amounts; ``*_pending`` arrive when mined."""

    __slots__ = (
        "approvals",
        "cash_e6",
        "cash_pending_e6",
        "cash_reserved_e6",
        "cash_unseen_e6",
        "deployed",
        "owner",
        "redeems_itself",
        "signature_type",
        "tokens_e6",
        "tokens_pending_e6",
        "tokens_reserved_e6",
        "tokens_unseen_e6",
        "usdce_e6",
        "wallet",
    )

    def __init__(self, wallet: str, owner: str, signature_type: int) -> None:
        self.wallet = wallet
        self.owner = owner
        self.signature_type = signature_type
        self.cash_e6 = 0
        self.usdce_e6 = 0
        """Of the token that becomes cash at the on-ramp; outside the venue, so not audited."""
        self.cash_reserved_e6 = 0
        self.cash_pending_e6 = 0
        self.cash_unseen_e6 = 0
        """Arrived on chain, not yet in the venue's cached view."""
        self.approvals: dict[tuple[str, str], int] | None = None
        """What (token contract, spender) may move, lower case; None: everything."""
        self.deployed = True
        self.redeems_itself = False
        """Winnings wait for a redeem call instead of the venue's auto-redeemer."""
        self.tokens_e6: dict[int, int] = {}
        self.tokens_reserved_e6: dict[int, int] = {}
        self.tokens_pending_e6: dict[int, int] = {}
        self.tokens_unseen_e6: dict[int, int] = {}

    @property
    def cash_seen_e6(self) -> int:
        """Cash in the venue's cached view."""
        return max(0, self.cash_e6 - self.cash_unseen_e6)

    @property
    def cash_free_e6(self) -> int:
        """Cash that the venue sees and no open order claims."""
        return self.cash_e6 - self.cash_unseen_e6 - self.cash_reserved_e6

    def tokens_seen_e6(self, instrument: int) -> int:
        """Return settled tokens in the venue's cached view."""
        unseen_e6 = self.tokens_unseen_e6.get(instrument, 0) if self.tokens_unseen_e6 else 0
        return max(0, self.tokens_e6.get(instrument, 0) - unseen_e6)

    def tokens_free_e6(self, instrument: int) -> int:
        """Return settled tokens that the venue sees and no open order claims."""
        return self.tokens_seen_e6(instrument) - self.tokens_reserved_e6.get(instrument, 0)

    def allowance_e6(self, token: str, spender: str) -> int:
        """Return how much of a token contract's holdings a spender may move."""
        if self.approvals is None:
            return UNLIMITED
        return self.approvals.get((token.lower(), spender.lower()), 0)

    def approve(self, token: str, spender: str, amount_e6: int) -> None:
        """Let a spender move up to an amount (for outcome tokens: everything or nothing)."""
        if self.approvals is not None:
            self.approvals[token.lower(), spender.lower()] = amount_e6

    def see(self) -> None:
        """Bring the venue's cached view up to date."""
        self.cash_unseen_e6 = 0
        self.tokens_unseen_e6.clear()

    def reserve_tokens(self, instrument: int, size_e6: int) -> None:
        """Claim (or with a negative size free) tokens for an open order."""
        _add(self.tokens_reserved_e6, instrument, size_e6)


class Transfer:
    """What one trade credits later: cash and tokens to one account."""

    __slots__ = (
        "account",
        "cash_in_e6",
        "cash_out_e6",
        "instrument",
        "tokens_in_e6",
        "tokens_out_e6",
    )

    def __init__(
        self,
        account: Account,
        instrument: int,
        *,
        cash_in_e6: int = 0,
        cash_out_e6: int = 0,
        tokens_in_e6: int = 0,
        tokens_out_e6: int = 0,
    ) -> None:
        self.account = account
        self.instrument = instrument
        self.cash_in_e6 = cash_in_e6
        self.cash_out_e6 = cash_out_e6
        self.tokens_in_e6 = tokens_in_e6
        self.tokens_out_e6 = tokens_out_e6


class Accounts:
    """All wallets and the collateral behind each pair. Instrument = 2 market + outcome."""

    def __init__(self) -> None:
        self.by_wallet: dict[str, Account] = {}
        self.collateral_e6: dict[int, int] = {}
        self.collateral_total_e6 = 0
        self.fees_e6 = 0
        self.deposits_e6 = 0
        self._cash_e6 = 0
        """Cash of all accounts, settled and pending."""
        self._tokens_e6: dict[int, int] = {}
        """Tokens of all accounts, settled and pending, by instrument."""
        self._touched: set[tuple[Account, int]] = set()
        """Whose money moved since the last audit, and which instrument (-1: cash)."""
        self._audits = 0
        self.winners: dict[int, int] = {}
        """Winning outcome by market, once resolved."""

    def open(self, wallet: str, owner: str, signature_type: int, cash_e6: int) -> Account:
        """Return the wallet's account, opened with cash when it is new."""
        account = self.by_wallet.get(wallet.lower())
        if account is None:
            account = Account(wallet, owner, signature_type)
            self.by_wallet[wallet.lower()] = account
            self.deposit(account, cash_e6)
        return account

    def deposit(self, account: Account, cash_e6: int) -> None:
        """Bring cash in from outside."""
        self._cash(account, cash_e6)
        self.deposits_e6 += cash_e6

    def wrap(self, account: Account, wallet: str, amount_e6: int) -> None:
        """Turn an account's USDC.e into a wallet's cash (with a negative amount: back)."""
        account.usdce_e6 -= amount_e6
        other = self.by_wallet.get(wallet.lower())
        if other is not None:
            self.deposit(other, amount_e6)

    def pay(self, account: Account, cash_e6: int, *, from_fees: bool) -> None:
        """Pay income: a rebate out of the collected fees, a reward out of the operator's pocket."""
        self._cash(account, cash_e6)
        if from_fees:
            self.fees_e6 -= cash_e6
        else:
            self.deposits_e6 += cash_e6

    def send(self, account: Account, wallet: str, cash_e6: int) -> None:
        """Send cash to another wallet, or out of the venue's sight."""
        self._cash(account, -cash_e6)
        other = self.by_wallet.get(wallet.lower())
        if other is None:
            self.deposits_e6 -= cash_e6
        else:
            self._cash(other, cash_e6)

    def split(self, account: Account, market: int, size_e6: int) -> None:
        """Turn cash into pairs of tokens."""
        assert account.cash_e6 >= size_e6, f"split of {size_e6} over {account.cash_e6}"
        self._cash(account, -size_e6)
        self._tokens(account, 2 * market + YES, size_e6)
        self._tokens(account, 2 * market + NO, size_e6)
        self._back(market, size_e6)

    def merge(self, account: Account, market: int, size_e6: int) -> None:
        """Turn pairs of tokens into cash."""
        for instrument in (2 * market + YES, 2 * market + NO):
            held_e6 = account.tokens_e6.get(instrument, 0)
            assert held_e6 >= size_e6, f"merge of {size_e6} over {held_e6}"
            self._tokens(account, instrument, -size_e6)
        self._cash(account, size_e6)
        self._back(market, -size_e6)

    def convert(
        self, account: Account, event: Sequence[int], chosen: Sequence[int], size_e6: int
    ) -> None:
        """Turn NO in the chosen markets of a neg-risk event into YES in its others and cash.

        The chosen NO go to a vault, beside a NO of each other market minted for it. It has paid
        a dollar less than it holds tokens, which is what they will be worth: one market says YES.
        """
        vault = self.open(VAULT, "vault", 0, 0)
        for market in chosen:
            self._tokens(account, 2 * market + NO, -size_e6)
            self._tokens(vault, 2 * market + NO, size_e6)
        for market in event:
            if market not in chosen:
                self._tokens(account, 2 * market + YES, size_e6)
                self._tokens(vault, 2 * market + NO, size_e6)
                self._back(market, size_e6)
        self._cash(account, (len(chosen) - 1) * size_e6)
        self._cash(vault, (1 - len(event)) * size_e6)

    def match(
        self, transfers: Sequence[Transfer], market: int, minted_e6: int, fee_e6: int
    ) -> None:
        """Take debits now, promise credits; minted pairs bring collateral (negative: merged)."""
        _assert_even(transfers, market, minted_e6, fee_e6)
        for transfer in transfers:
            account, instrument = transfer.account, transfer.instrument
            self._cash(account, -transfer.cash_out_e6, transfer.cash_in_e6)
            self._tokens(account, instrument, -transfer.tokens_out_e6, transfer.tokens_in_e6)
        self._back(market, minted_e6)
        self.fees_e6 += fee_e6

    def settle(self, transfers: Iterable[Transfer]) -> None:
        """Pay the promised credits: the trade is mined."""
        for transfer in transfers:
            account, instrument = transfer.account, transfer.instrument
            self._cash(account, transfer.cash_in_e6, -transfer.cash_in_e6)
            self._tokens(account, instrument, transfer.tokens_in_e6, -transfer.tokens_in_e6)

    def reverse(
        self, transfers: Iterable[Transfer], market: int, minted_e6: int, fee_e6: int
    ) -> None:
        """Give debits back and forget credits: settlement failed."""
        for transfer in transfers:
            account, instrument = transfer.account, transfer.instrument
            self._cash(account, transfer.cash_out_e6, -transfer.cash_in_e6)
            self._tokens(account, instrument, transfer.tokens_out_e6, -transfer.tokens_in_e6)
        self._back(market, -minted_e6)
        self.fees_e6 -= fee_e6

    def resolve(self, market: int, winner: int) -> None:
        """Fix the winning outcome: its tokens are worth a dollar each, the others nothing."""
        assert market not in self.winners, f"market {market} is resolved already"
        self.winners[market] = winner

    def redeem(self, market: int, account: Account) -> int:
        """Burn a wallet's tokens of a resolved market; return what the winning ones paid."""
        winner = self.winners[market]
        won_e6 = account.tokens_e6.get(2 * market + winner, 0)
        for instrument in (2 * market + YES, 2 * market + NO):
            self._tokens(account, instrument, -account.tokens_e6.get(instrument, 0))
        self._cash(account, won_e6)
        self._back(market, -won_e6)
        return won_e6

    def redeem_part(self, market: int, account: Account, outcome: int, size_e6: int) -> int:
        """Burn some tokens of one outcome of a resolved market; return what they paid."""
        won_e6 = size_e6 if self.winners[market] == outcome else 0
        self._tokens(account, 2 * market + outcome, -size_e6)
        self._cash(account, won_e6)
        self._back(market, -won_e6)
        return won_e6

    def unredeem(
        self, market: int, account: Account, tokens_e6: dict[int, int], won_e6: int
    ) -> None:
        """Give redeemed tokens back: the batch they were redeemed in failed."""
        for instrument, size_e6 in tokens_e6.items():
            self._tokens(account, instrument, size_e6)
        self._cash(account, -won_e6)
        self._back(market, won_e6)

    def audit_event(self, market: int) -> None:
        """Assert after an event that no base unit appeared or vanished, and that nobody owes.

        By the running totals, for all cash, for one market's tokens and for whoever was touched;
        at each 256th everything is counted again.
        """
        held = self._cash_e6 + self.fees_e6 + self.collateral_total_e6
        assert held == self.deposits_e6, f"{held} base units exist, {self.deposits_e6} came in"
        behind, winner = self.collateral_e6.get(market, 0), self.winners.get(market)
        for instrument in (2 * market + YES, 2 * market + NO):
            if winner is None or instrument == 2 * market + winner:
                total = self._tokens_e6.get(instrument, 0)
                assert total == behind, f"instrument {instrument}: {total} tokens on {behind}"
        for account, instrument in self._touched:
            _assert_solvent(account, instrument)
        self._touched.clear()
        self._audits += 1
        if self._audits % FULL_AUDIT_EVERY == 0:
            self.audit(market)

    def audit(self, market: int | None = None) -> None:
        """Assert that no base unit appeared or vanished, in one market or in all of them."""
        accounts = self.by_wallet.values()
        cash = sum(a.cash_e6 + a.cash_pending_e6 for a in accounts)
        held = cash + self.fees_e6 + self.collateral_total_e6
        assert held == self.deposits_e6, f"{held} base units exist, {self.deposits_e6} came in"
        assert cash == self._cash_e6, f"accounts hold {cash}, the running total is {self._cash_e6}"
        if market is None:
            assert sum(self.collateral_e6.values()) == self.collateral_total_e6
        totals: Counter[int] = Counter()
        for account in accounts:
            for amounts in (account.tokens_e6, account.tokens_pending_e6):
                for instrument, amount_e6 in amounts.items():
                    totals[instrument] += amount_e6
        markets = self.collateral_e6 if market is None else (market,)
        for each in markets:
            behind = self.collateral_e6.get(each, 0)
            winner = self.winners.get(each)
            outcomes = (YES, NO) if winner is None else (winner,)
            for instrument in (2 * each + outcome for outcome in outcomes):
                running = self._tokens_e6.get(instrument, 0)
                total = totals[instrument]
                assert total == running == behind, (
                    f"instrument {instrument}: {total} tokens ({running} counted) on {behind}"
                )
        for account in accounts:
            _assert_solvent(account, CASH)

    def audit_tokens(self) -> None:
        """Assert that no account owes tokens or has promised more than it holds."""
        for account in self.by_wallet.values():
            for instrument in account.tokens_e6:
                _assert_solvent(account, instrument)

    def _cash(self, account: Account, settled_e6: int, pending_e6: int = 0) -> None:
        """Move an account's cash; the only place where it changes."""
        account.cash_e6 += settled_e6
        account.cash_pending_e6 += pending_e6
        self._cash_e6 += settled_e6 + pending_e6
        self._touched.add((account, CASH))

    def _tokens(
        self, account: Account, instrument: int, settled_e6: int, pending_e6: int = 0
    ) -> None:
        """Move an account's tokens; the only place where they change."""
        if settled_e6:
            _add(account.tokens_e6, instrument, settled_e6)
        if pending_e6:
            _add(account.tokens_pending_e6, instrument, pending_e6)
        if settled_e6 + pending_e6:
            _add(self._tokens_e6, instrument, settled_e6 + pending_e6)
        self._touched.add((account, instrument))

    def _back(self, market: int, size_e6: int) -> None:
        _add(self.collateral_e6, market, size_e6)
        self.collateral_total_e6 += size_e6


def _assert_solvent(account: Account, instrument: int) -> None:
    """Assert that an account owes nothing and has promised no more than it holds."""
    if instrument == CASH:
        held_e6, reserved_e6 = account.cash_e6, account.cash_reserved_e6
        assert account.cash_pending_e6 >= 0, f"{account.wallet}: paid more than was promised"
        if account.wallet == VAULT:
            return
    else:
        held_e6 = account.tokens_e6.get(instrument, 0)
        reserved_e6 = account.tokens_reserved_e6.get(instrument, 0)
    assert 0 <= reserved_e6 <= held_e6, (
        f"{account.wallet} {instrument}: {reserved_e6} of {held_e6} promised"
    )


def _assert_even(transfers: Sequence[Transfer], market: int, minted_e6: int, fee_e6: int) -> None:
    """Assert that a match creates and destroys nothing: cash, and tokens of each outcome."""
    cash_e6, tokens = -fee_e6 - minted_e6, [-minted_e6, -minted_e6]
    for transfer in transfers:
        cash_e6 += transfer.cash_out_e6 - transfer.cash_in_e6
        tokens[transfer.instrument - 2 * market] += transfer.tokens_in_e6 - transfer.tokens_out_e6
    assert cash_e6 == 0, f"market {market}: {cash_e6} base units of cash out of nothing"
    assert tokens == [0, 0], f"market {market}: tokens {tokens} out of nothing"


def _add(amounts: dict[int, int], key: int, amount: int) -> None:
    total = amounts.get(key, 0) + amount
    if total:
        amounts[key] = total
    else:
        amounts.pop(key, None)
