"""Money: what is booked wrong is found by the audit of that very event, by running totals alone."""

import pytest

from lowlat.sim.accounts import Accounts, Transfer

E6 = 10**6
MARKET = 3
YES, NO = 2 * MARKET, 2 * MARKET + 1


@pytest.fixture
def accounts():
    made = Accounts()
    for name in ("0xalice", "0xbob"):
        made.open(name, name, 0, 100 * E6)
    return made


def minted(accounts, fee_e6=0):
    """Return the transfers of a mint: alice buys ten YES at 0.40, bob ten NO at 0.60."""
    alice, bob = accounts.by_wallet.values()
    return [
        Transfer(alice, YES, cash_out_e6=4 * E6 + fee_e6, tokens_in_e6=10 * E6),
        Transfer(bob, NO, cash_out_e6=6 * E6, tokens_in_e6=10 * E6),
    ]


def test_a_match_and_its_settlement_pass(accounts):
    transfers = minted(accounts, fee_e6=7)
    accounts.match(transfers, MARKET, 10 * E6, 7)
    accounts.audit_event(MARKET)
    accounts.settle(transfers)
    accounts.audit_event(MARKET)
    accounts.audit()


def test_a_reversal_with_another_fee_is_found_at_once(accounts):
    transfers = minted(accounts, fee_e6=7)
    accounts.match(transfers, MARKET, 10 * E6, 7)
    accounts.audit_event(MARKET)
    accounts.reverse(transfers, MARKET, 10 * E6, 8)
    with pytest.raises(AssertionError, match="base units exist"):
        accounts.audit_event(MARKET)


def test_a_reversal_of_too_few_tokens_is_found_at_once(accounts):
    transfers = minted(accounts)
    accounts.match(transfers, MARKET, 10 * E6, 0)
    transfers[0].tokens_in_e6 -= 1
    accounts.reverse(transfers, MARKET, 10 * E6, 0)
    with pytest.raises(AssertionError, match=f"instrument {YES}: 1 tokens on 0"):
        accounts.audit_event(MARKET)


def test_paying_more_than_was_promised_is_found_at_once(accounts):
    alice, _ = accounts.by_wallet.values()
    accounts.split(alice, MARKET, 10 * E6)
    sale = [
        Transfer(alice, YES, cash_in_e6=4 * E6, tokens_out_e6=10 * E6),
        Transfer(alice, NO, cash_in_e6=6 * E6, tokens_out_e6=10 * E6),
    ]
    accounts.match(sale, MARKET, -10 * E6, 0)
    accounts.audit_event(MARKET)
    sale[0].cash_in_e6 += 1
    accounts.settle(sale)
    with pytest.raises(AssertionError, match="more than was promised"):
        accounts.audit_event(MARKET)


def test_spending_what_an_open_order_claims_is_found_at_once(accounts):
    alice, _ = accounts.by_wallet.values()
    alice.cash_reserved_e6 = 99 * E6
    accounts.match(minted(accounts), MARKET, 10 * E6, 0)
    with pytest.raises(AssertionError, match="promised"):
        accounts.audit_event(MARKET)


def test_money_moved_past_the_books_is_found_when_everything_is_counted(accounts):
    alice, bob = accounts.by_wallet.values()
    alice.cash_e6 += 1
    bob.cash_e6 -= 1
    accounts.audit()
    alice.cash_e6 += 1
    with pytest.raises(AssertionError, match="base units exist"):
        accounts.audit()
