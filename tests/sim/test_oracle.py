"""The vendor's own client, unmodified, against the simulator (extra: oracle)."""

import dataclasses
import json
import subprocess
import sys
import urllib.request

import pytest

pytestmark = pytest.mark.oracle

KEYS = (
    "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
    "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
)


@pytest.fixture(scope="module")
def urls():
    flow = json.dumps({"events_per_s": 0, "edges": []})
    arguments = ["--json", "--seconds", "60", "--tape", "none", "--flow", flow]
    process = subprocess.Popen(
        [sys.executable, "-m", "lowlat.sim", *arguments, "--coins", "[]"], stdout=subprocess.PIPE
    )
    try:
        yield json.loads(process.stdout.readline())["urls"]
    finally:
        process.terminate()
        process.communicate(timeout=10)
    assert process.returncode == 0, "the venue's audit failed"


def read(url, path):
    with urllib.request.urlopen(url + path, timeout=5) as answer:
        return json.loads(answer.read())


@pytest.fixture(scope="module")
def token_pairs(urls):
    rows = read(urls["gamma"], "/markets/keyset?limit=100")["markets"]
    kinds = {"plain": (False, 0.01), "neg_risk": (True, 0.01), "fine": (False, 0.001)}
    return {
        kind: [
            json.loads(row["clobTokenIds"])
            for row in rows
            if (row["negRisk"], row["orderPriceMinTickSize"]) == wanted
        ]
        for kind, wanted in kinds.items()
    }


@pytest.fixture(scope="module")
def clients(urls):
    polymarket = pytest.importorskip("polymarket")
    from eth_account import Account
    from polymarket.environments import PRODUCTION, _create_environment

    config = dataclasses.replace(
        PRODUCTION._config,
        clob_url=urls["clob"],
        gamma_url=urls["gamma"],
        data_url=urls["data"],
        relayer_url=urls["data"],
        clob_market_ws_url=urls["clob_ws"] + "/ws/market",
        clob_user_ws_url=urls["clob_ws"] + "/ws/user",
    )
    environment = _create_environment(name="sim", config=config)
    made = []
    for key, kind in zip(KEYS, (0, 3), strict=True):
        from lowlat.sim.verify import wallets_of

        wallet = wallets_of(Account.from_key(key).address.lower())[kind]
        made.append(
            polymarket.SecureClient.create(private_key=key, wallet=wallet, environment=environment)
        )
    yield made
    for client in made:
        client.close()


@pytest.mark.parametrize("kind", ["plain", "neg_risk"])
def test_official_client_trades_both_ways(clients, token_pairs, kind):
    alice, bob = clients
    yes, no = token_pairs[kind][0]
    resting = alice.place_limit_order(token_id=yes, price=0.46, size=120, side="BUY")
    assert resting.ok, resting
    assert resting.status == "live"
    matched = bob.place_limit_order(token_id=no, price=0.54, size=50, side="BUY")
    assert matched.ok, matched
    assert matched.status == "matched"
    assert matched.taking_amount == 50
    market = bob.place_market_order(
        token_id=no, side="BUY", amount=10, order_type="FAK", max_price=0.6
    )
    assert market.ok, market
    opened = next(iter(alice.list_open_orders())).items
    assert resting.order_id in {order.id for order in opened}
    trades = next(iter(bob.list_account_trades())).items
    assert set(matched.trade_ids) <= {trade.id for trade in trades}
    from polymarket.errors import RequestRejectedError

    with pytest.raises(RequestRejectedError, match="FOK orders are fully filled or killed"):
        bob.place_market_order(token_id=yes, side="BUY", amount=10, order_type="FOK", max_price=0.1)
    assert resting.order_id in alice.cancel_all().canceled


def test_older_official_client_trades(urls, token_pairs):
    pytest.importorskip("py_clob_client_v2")
    from py_clob_client_v2 import ApiCreds, ClobClient, OrderArgs, OrderType, Side

    client = ClobClient(host=urls["clob"], chain_id=137, key=KEYS[0])
    raw = client.create_or_derive_api_key()
    assert isinstance(raw, ApiCreds)
    client.set_api_creds(raw)
    arguments = OrderArgs(token_id=token_pairs["plain"][1][0], price=0.4, size=10, side=Side.BUY)
    answer = client.post_order(client.create_order(arguments), OrderType.GTC)
    assert answer["status"] == "live"
    assert client.get_order(answer["orderID"])["original_size"] == "10"


def test_official_market_buy_at_a_fine_tick_breaks_the_decimals_rule(clients, token_pairs):
    """Its five taker decimals are what the venue was seen refusing. Source: polymarket.md 4.2."""
    from polymarket.errors import RequestRejectedError

    alice, _ = clients
    with pytest.raises(RequestRejectedError, match="taker amount a max of 4 decimals"):
        alice.place_market_order(
            token_id=token_pairs["fine"][0][0],
            side="BUY",
            amount=10,
            order_type="FAK",
            max_price=0.6,
        )
