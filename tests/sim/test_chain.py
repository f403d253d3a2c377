"""Contract calls: whole or not at all, and every base unit stays where somebody can find it."""

import pytest

from lowlat.sim.abi import selector, uint_word
from lowlat.sim.chain import Call, Reverted
from lowlat.sim.contracts import (
    ADAPTER,
    CTF,
    NEG_RISK_ADAPTER,
    ONRAMP,
    PUSD,
    ROUTER,
    USDC_E,
)

E6 = 10**6
S = 10**9
CLASSIC = "(address,bytes32,bytes32,uint256[],uint256)"


def address_word(address):
    return bytes(12) + bytes.fromhex(address[2:])


def classic(name, market, amount):
    target = NEG_RISK_ADAPTER if market.rules.neg_risk else ADAPTER
    data = (
        selector(name + CLASSIC)
        + address_word(PUSD)
        + bytes(32)
        + bytes.fromhex(market.condition_id[2:])
        + uint_word(160)
        + uint_word(amount)
        + b"".join(map(uint_word, (2, 1, 2)))
    )
    return Call(target, 0, data)


def convert(event, index_set, amount):
    words = bytes.fromhex(event.neg_risk_id[2:]) + uint_word(index_set) + uint_word(amount)
    return Call(NEG_RISK_ADAPTER, 0, selector("convertPositions(bytes32,uint256,uint256)") + words)


@pytest.fixture
def owner(pair):
    return pair[0]


@pytest.fixture
def account(quiet_venue, owner):
    return quiet_venue.exchange.accounts.by_wallet[owner.address.lower()]


@pytest.fixture
def run(quiet_venue, account):
    return lambda *calls: quiet_venue.chain.execute(account, calls, quiet_venue.now_ns)


@pytest.fixture
def event(quiet_venue):
    return next(m.event for m in quiet_venue.exchange.markets if m.rules.neg_risk)


@pytest.mark.parametrize("winner", [0, 1, 2])
def test_converted_positions_are_worth_what_they_were(quiet_venue, account, run, event, winner):
    """NO in two of three or more markets is YES in the rest and a dollar: whoever wins."""
    cash = account.cash_e6
    for market in event.markets[:2]:
        run(classic("splitPosition", market, 10 * E6))
    before = account.cash_e6
    run(convert(event, 0b011, 10 * E6))
    assert account.cash_e6 == before + 10 * E6
    for index, market in enumerate(event.markets):
        held = [account.tokens_e6.get(2 * market.index + outcome, 0) for outcome in (0, 1)]
        assert held == [10 * E6, 0], (index, held)
    for index, market in enumerate(event.markets):
        quiet_venue.exchange.resolve(market, 0 if index == winner else 1, quiet_venue.now_ns)
    quiet_venue.exchange.accounts.audit()
    # Two pairs cost 20; converting gave 10 back; exactly one YES of each market pays 10 more.
    assert account.cash_e6 == cash
    assert not account.tokens_e6


def test_a_batch_that_fails_late_is_undone_whole(quiet_venue, account, run, event, plain):
    run(classic("splitPosition", event.markets[0], 10 * E6))
    before = (account.cash_e6, dict(account.tokens_e6))
    nobody = address_word("0x" + "01" * 20)
    with pytest.raises(Reverted, match="burn amount exceeds balance"):
        run(
            classic("splitPosition", plain, 5 * E6),
            classic("mergePositions", plain, 2 * E6),
            convert(event, 0b001, 10 * E6),
            Call(PUSD, 0, selector("transfer(address,uint256)") + nobody + uint_word(7)),
            classic("mergePositions", plain, 10**15),
        )
    assert (account.cash_e6, account.tokens_e6) == before
    quiet_venue.exchange.accounts.audit()


def test_money_that_leaves_by_chain_cancels_the_newest_orders(quiet_venue, owner, account, plain):
    frames = owner.listen()
    half = account.cash_e6 // 2 // E6
    old = owner.limit(plain.tokens[0], "BUY", 5_000, half).json["orderID"]
    quiet_venue.step(quiet_venue.now_ns + S)
    new = owner.limit(plain.tokens[0], "BUY", 4_000, half).json["orderID"]
    frames.clear()
    spend = account.cash_free_e6 + E6
    quiet_venue.chain.execute(account, [classic("splitPosition", plain, spend)], quiet_venue.now_ns)
    assert [(f["id"], f["status"]) for f in frames] == [(new, "CANCELED_NOT_ENOUGH_BALANCE")]
    assert [row["id"] for row in owner.call("GET", "/data/orders").json["data"]] == [old]


def test_calls_need_the_approvals_they_need_on_chain(venue_of, trader_of):
    venue = venue_of(fresh_wallets=True)
    owner = trader_of(venue)
    account = venue.exchange.accounts.by_wallet[owner.address.lower()]
    market = next(m for m in venue.exchange.markets if not m.rules.neg_risk)

    def run(*calls):
        venue.chain.execute(account, calls, venue.now_ns)

    split, merge = classic("splitPosition", market, E6), classic("mergePositions", market, E6)
    approve = selector("approve(address,uint256)") + address_word(ADAPTER) + uint_word(E6)
    operate = selector("setApprovalForAll(address,bool)") + address_word(ADAPTER) + uint_word(1)
    with pytest.raises(Reverted, match="insufficient allowance"):
        run(split)
    run(Call(PUSD, 0, approve), split)
    with pytest.raises(Reverted, match="need operator approval"):
        run(merge)
    run(Call(CTF, 0, operate), merge)


def test_what_waits_for_its_redeem_call_stays_backed(venue_of, trader_of):
    venue = venue_of(auto_redeem=False, v2_markets=1)
    owner = trader_of(venue)
    account = venue.exchange.accounts.by_wallet[owner.address.lower()]
    market = venue.exchange.markets[-1]
    condition = bytes.fromhex(market.condition_id[2:]) + b"\0"

    def run(name, *words):
        data = selector(name) + condition + b"".join(map(uint_word, words))
        venue.chain.execute(account, [Call(ROUTER, 0, data)], venue.now_ns)

    cash = account.cash_e6
    run("split(bytes31,uint256)", 9 * E6)
    venue.exchange.resolve(market, 1, venue.now_ns)
    venue.exchange.accounts.audit()
    assert account.cash_e6 == cash - 9 * E6
    run("redeem(bytes31,uint256,uint256)", 1, 4 * E6)
    assert account.cash_e6 == cash - 5 * E6
    run("redeem(bytes31,uint256,uint256)", 0, 9 * E6)
    run("redeem(bytes31,uint256,uint256)", 1, 5 * E6)
    assert (account.cash_e6, account.tokens_e6) == (cash, {})
    venue.exchange.accounts.audit()
    with pytest.raises(Reverted, match="resolved"):
        run("split(bytes31,uint256)", E6)


def wrap(to, amount, asset=USDC_E):
    words = address_word(asset) + address_word(to) + uint_word(amount)
    return Call(ONRAMP, 0, selector("wrap(address,address,uint256)") + words)


def test_usdce_becomes_cash_one_to_one_and_a_failed_batch_leaves_it(quiet_venue, account, run):
    account.usdce_e6, account.approvals, cash = 5 * E6, {}, account.cash_e6
    approve = Call(
        USDC_E, 0, selector("approve(address,uint256)") + address_word(ONRAMP) + uint_word(3 * E6)
    )
    with pytest.raises(Reverted, match="insufficient allowance"):
        run(wrap(account.wallet, E6))
    with pytest.raises(Reverted, match="exceeds balance"):
        run(approve, wrap(account.wallet, 3 * E6), wrap(account.wallet, 3 * E6))
    assert (account.usdce_e6, account.cash_e6) == (5 * E6, cash)
    run(approve, wrap(account.wallet, 3 * E6))
    assert (account.usdce_e6, account.cash_e6) == (2 * E6, cash + 3 * E6)
    with pytest.raises(Reverted, match="not supported"):
        run(wrap(account.wallet, E6, PUSD))
    balance = selector("balanceOf(address)") + address_word(account.wallet)
    assert quiet_venue.chain.read(USDC_E, balance) == uint_word(2 * E6)
