"""Who owns what: cash, tokens, reservations, collateral behind them. Money is never made or lost.

Debits happen at the match, credits when the trade is mined, as on chain: what was just bought
cannot be sold before. ``audit`` proves conservation to the base unit and is asserted after every
event. Pure: no clock, no randomness.
"""

from collections.abc import Iterable

from lowlat.sim.ladder import NO, YES

__all__ = ["Account", "Accounts", "Transfer"]


class Account:
    """One wallet. Cash and tokens are settled amounts; ``*_pending`` arrive when mined."""

    __slots__ = (
        "allowance_e6",
        "cash_e6",
        "cash_pending_e6",
        "cash_reserved_e6",
        "owner",
        "signature_type",
        "tokens_e6",
        "tokens_pending_e6",
        "tokens_reserved_e6",
        "wallet",
    )

    def __init__(self, wallet: str, owner: str, signature_type: int) -> None:
        self.wallet = wallet
        self.owner = owner
        self.signature_type = signature_type
        self.cash_e6 = 0
        self.cash_reserved_e6 = 0
        self.cash_pending_e6 = 0
        self.allowance_e6 = 2**255
        self.tokens_e6: dict[int, int] = {}
        self.tokens_reserved_e6: dict[int, int] = {}
        self.tokens_pending_e6: dict[int, int] = {}

    @property
    def cash_free_e6(self) -> int:
        """Cash that no open order claims."""
        return self.cash_e6 - self.cash_reserved_e6

    def tokens_free_e6(self, instrument: int) -> int:
        """Return settled tokens that no open order claims."""
        return self.tokens_e6.get(instrument, 0) - self.tokens_reserved_e6.get(instrument, 0)

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
        account.cash_e6 += cash_e6
        self.deposits_e6 += cash_e6

    def split(self, account: Account, market: int, size_e6: int) -> None:
        """Turn cash into pairs of tokens."""
        assert account.cash_free_e6 >= size_e6, f"split of {size_e6} over {account.cash_free_e6}"
        account.cash_e6 -= size_e6
        _add(account.tokens_e6, 2 * market + YES, size_e6)
        _add(account.tokens_e6, 2 * market + NO, size_e6)
        self._back(market, size_e6)

    def match(
        self, transfers: Iterable[Transfer], market: int, minted_e6: int, fee_e6: int
    ) -> None:
        """Take debits now, promise credits; minted pairs bring collateral (negative: merged)."""
        for transfer in transfers:
            account, instrument = transfer.account, transfer.instrument
            account.cash_e6 -= transfer.cash_out_e6
            account.cash_pending_e6 += transfer.cash_in_e6
            _add(account.tokens_e6, instrument, -transfer.tokens_out_e6)
            _add(account.tokens_pending_e6, instrument, transfer.tokens_in_e6)
        self._back(market, minted_e6)
        self.fees_e6 += fee_e6

    def settle(self, transfers: Iterable[Transfer]) -> None:
        """Pay the promised credits: the trade is mined."""
        for transfer in transfers:
            account, instrument = transfer.account, transfer.instrument
            account.cash_pending_e6 -= transfer.cash_in_e6
            account.cash_e6 += transfer.cash_in_e6
            _add(account.tokens_pending_e6, instrument, -transfer.tokens_in_e6)
            _add(account.tokens_e6, instrument, transfer.tokens_in_e6)

    def reverse(
        self, transfers: Iterable[Transfer], market: int, minted_e6: int, fee_e6: int
    ) -> None:
        """Give debits back and forget credits: settlement failed."""
        for transfer in transfers:
            account, instrument = transfer.account, transfer.instrument
            account.cash_pending_e6 -= transfer.cash_in_e6
            account.cash_e6 += transfer.cash_out_e6
            _add(account.tokens_pending_e6, instrument, -transfer.tokens_in_e6)
            _add(account.tokens_e6, instrument, transfer.tokens_out_e6)
        self._back(market, -minted_e6)
        self.fees_e6 -= fee_e6

    def redeem(self, market: int, winner: int) -> dict[str, int]:
        """Pay a dollar for each winning token and burn both kinds; return payout by wallet."""
        paid: dict[str, int] = {}
        for account in self.by_wallet.values():
            won = account.tokens_e6.pop(2 * market + winner, 0)
            lost = account.tokens_e6.pop(2 * market + 1 - winner, 0)
            account.cash_e6 += won
            if won or lost:
                paid[account.wallet] = won
        collateral = self.collateral_e6.get(market, 0)
        self._back(market, -collateral)
        assert collateral == sum(paid.values()), f"market {market}: {collateral} behind {paid}"
        return paid

    def audit(self, market: int | None = None) -> None:
        """Assert that no base unit appeared or vanished, in one market or in all of them."""
        accounts = self.by_wallet.values()
        cash = sum(a.cash_e6 + a.cash_pending_e6 for a in accounts)
        held = cash + self.fees_e6 + self.collateral_total_e6
        assert held == self.deposits_e6, f"{held} base units exist, {self.deposits_e6} came in"
        if market is None:
            assert sum(self.collateral_e6.values()) == self.collateral_total_e6
        markets = self.collateral_e6 if market is None else (market,)
        for each in markets:
            behind = self.collateral_e6.get(each, 0)
            for instrument in (2 * each, 2 * each + 1):
                total = sum(
                    a.tokens_e6.get(instrument, 0) + a.tokens_pending_e6.get(instrument, 0)
                    for a in accounts
                )
                assert total == behind, f"instrument {instrument}: {total} tokens on {behind}"
        for account in accounts:
            assert 0 <= account.cash_reserved_e6 <= account.cash_e6, (
                f"{account.wallet}: cash {account.cash_e6}, reserved {account.cash_reserved_e6}"
            )

    def audit_tokens(self) -> None:
        """Assert that no account owes tokens or has promised more than it holds."""
        for account in self.by_wallet.values():
            for instrument, size in account.tokens_e6.items():
                reserved = account.tokens_reserved_e6.get(instrument, 0)
                assert 0 <= reserved <= size, f"{account.wallet} {instrument}: {reserved} of {size}"

    def _back(self, market: int, size_e6: int) -> None:
        _add(self.collateral_e6, market, size_e6)
        self.collateral_total_e6 += size_e6


def _add(amounts: dict[int, int], key: int, amount: int) -> None:
    total = amounts.get(key, 0) + amount
    if total:
        amounts[key] = total
    else:
        amounts.pop(key, None)
