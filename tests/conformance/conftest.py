"""A simulated venue in its own process, and the vendors' clients pointed at it.

Nothing of a client is changed but the addresses it is given. ``covers`` names the venue's calls a
test exercises; ``tools/conformance.py`` turns that into the table of ``make conformance``.
"""

import asyncio
import dataclasses
import inspect
import json
import logging
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import pytest

KEYS = (
    "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
    "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
    "0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
    "0x7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6",
    "0x47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a",
    "0x8b3a350cf5c34c9194ca85829a2df0ec3153be0318b5e2d3348e872092edffba",
)
BUILDER = "0x" + "b1" * 32
SYNC, ASYNC = "polymarket-client", "polymarket-client async"
QUIET = {
    "tape": "none",
    "coins": [],
    "markets": 500,
    "neg_risk_events": 24,
    "v2_markets": 12,
    "flow": {"events_per_s": 0, "edges": []},
    "index_lag_ms": [0, 0],
    "mined_ms": [20, 40],
    "confirmed_ms": [20, 40],
    "relayer_ms": [0, 0],
    "relayer_submits_per_minute": 1000,
    "order_rate": 1000,
    "order_burst": 1000,
    "cancel_rate": 1000,
    "cancel_burst": 1000,
    "ip_limits": False,
    "auto_redeem": False,
    "builders": {BUILDER: [10, 20]},
}


def pytest_collection_modifyitems(items):
    """Leave the long tail to ``make conformance`` and the stress runs."""
    for item in items:
        if "tests/conformance" in item.nodeid and not item.get_closest_marker("smoke"):
            item.add_marker(pytest.mark.stress)


class Sim:
    """A running venue: addresses, its control door, markets nobody used yet."""

    def __init__(self, urls):
        self.urls = urls
        rows = []
        cursor = "MA=="
        while cursor != "LTE=":
            page = self.read("clob", f"/markets?next_cursor={cursor}")
            rows += page["data"]
            cursor = page["next_cursor"]
        self._free = rows

    def read(self, service, path):
        with urllib.request.urlopen(self.urls[service] + path, timeout=5) as answer:
            return json.loads(answer.read())

    def control(self, op, **values):
        body = json.dumps({"op": op, **values}).encode()
        request = urllib.request.Request(self.urls["control"] + "/sim/control", body)
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.loads(answer.read())["result"]

    def state(self, wallet):
        accounts = self.read("control", "/sim/state")["accounts"]
        return next(each for each in accounts if each["wallet"].lower() == wallet.lower())

    def market(self, *, neg_risk=False, tick=0.01, v2=False, fee=None, rewards=False):
        """Return a market of a kind that no other test has touched."""
        for row in self._free:
            has_fee = "fd" in self.read("clob", f"/clob-markets/{row['condition_id']}")
            if (
                row["neg_risk"] == neg_risk
                and row["minimum_tick_size"] == tick
                and (len(row["condition_id"]) == 64) == v2
                and (fee is None or has_fee == fee)
                and bool(row["rewards"]["rates"]) >= rewards
            ):
                self._free.remove(row)
                tokens = [token["token_id"] for token in row["tokens"]]
                return SimpleNamespace(
                    condition=row["condition_id"], yes=tokens[0], no=tokens[1], row=row
                )
        raise LookupError("no free market of this kind is left")


def serve(**changes):
    """Start a venue; return its process and addresses."""
    arguments = ["--json"]
    for key, value in {**QUIET, **changes}.items():
        arguments += [f"--{key}", json.dumps(value) if not isinstance(value, str) else value]
    # Only the test of the tests sets this: a venue that is wrong on purpose.
    mistake = os.environ.get("LOWLAT_SIM_MISTAKE")
    wrong = [str(Path(__file__).with_name("mistaken.py")), mistake]
    start = wrong if mistake else ["-m", "lowlat.sim"]
    process = subprocess.Popen([sys.executable, *start, *arguments], stdout=subprocess.PIPE)
    return process, json.loads(process.stdout.readline())["urls"]


def stop(process):
    process.terminate()
    process.communicate(timeout=10)
    assert process.returncode == 0, "the venue's audit failed"


@pytest.fixture(scope="session")
def sim():
    process, urls = serve()
    try:
        yield Sim(urls)
    finally:
        stop(process)


@pytest.fixture(scope="session")
def serving():
    """The way to start a venue of one's own, and the way to stop it."""
    return serve, stop


@pytest.fixture(scope="session")
def sim_at():
    """Make a door to a venue from its addresses."""
    return Sim


@pytest.fixture(scope="session")
def fresh_sim():
    """A venue where new wallets have no approvals and deposit wallets wait to be deployed."""
    process, urls = serve(fresh_wallets=True, markets=20, neg_risk_events=1)
    try:
        yield Sim(urls)
    finally:
        stop(process)


@pytest.fixture(scope="session")
def priced_sim():
    """A venue with a spot exchange; its addresses."""
    process, urls = serve(coins=["BTC", "ETH"], windows_s=[], markets=8, neg_risk_events=1)
    try:
        yield urls
    finally:
        stop(process)


class Driver:
    """Calls a polymarket-client, sync or async, as one."""

    def __init__(self, client, loop, key, kind):
        self.client = client
        self.loop = loop
        self.key = key
        self.kind = kind

    def __getattr__(self, name):
        found = getattr(self.client, name)
        if not callable(found):
            return found
        return lambda *args, **kwargs: self.finish(found(*args, **kwargs))

    def finish(self, value):
        return self.loop.run_until_complete(value) if inspect.isawaitable(value) else value

    def first(self, name, **kwargs):
        """Return the items of a listing's first page."""
        return self.finish(getattr(self.client, name)(**kwargs).first_page()).items

    def done(self, name, **kwargs):
        """Submit a wallet transaction and wait for it."""
        return self.finish(self.finish(getattr(self.client, name)(**kwargs)).wait())


def environment(urls):
    """Return the vendor's environment with our addresses in it."""
    from polymarket.environments import PRODUCTION, _create_environment

    config = dataclasses.replace(
        PRODUCTION._config,
        clob_url=urls["clob"],
        gamma_url=urls["gamma"],
        data_url=urls["data"],
        relayer_url=urls["relayer"],
        rpc_url=urls["relayer"] + "/rpc",
        clob_market_ws_url=urls["clob_ws"] + "/ws/market",
        clob_user_ws_url=urls["clob_ws"] + "/ws/user",
        rtds_ws_url=urls["rtds_ws"],
        realtime_ws_url=urls["polybolt_ws"] + "/ws",
    )
    return _create_environment(name="sim", config=config)


def make_driver(sim, kind, key, wallet_kind, *, loop, **extra):
    """Create a secure client for a key's wallet of a signature type."""
    polymarket = pytest.importorskip("polymarket")
    from eth_account import Account

    address = Account.from_key(key).address
    account = sim.control("account", owner=address)
    api_key = polymarket.RelayerApiKey(key=account["relayerApiKey"], address=address)
    arguments = {
        "private_key": key,
        "wallet": account["wallets"][str(wallet_kind)],
        "environment": environment(sim.urls),
        "api_key": api_key,
    } | extra
    if kind == SYNC:
        return Driver(polymarket.SecureClient.create(**arguments), loop, key, kind)
    client = loop.run_until_complete(polymarket.AsyncSecureClient.create(**arguments))
    return Driver(client, loop, key, kind)


@pytest.fixture(scope="session")
def keys():
    return KEYS


@pytest.fixture(scope="session")
def builder():
    return BUILDER


@pytest.fixture(scope="session")
def quiet_logs():
    """Client libraries log what the venue refuses; here refusals are expected."""
    logging.getLogger("py_clob_client_v2").setLevel(logging.CRITICAL)


@pytest.fixture(scope="session")
def loop():
    made = asyncio.new_event_loop()
    yield made
    made.close()


@pytest.fixture(scope="session", params=[SYNC, ASYNC])
def pair(request, sim, loop):
    """Two traders of one flavour of client: an EOA and a deposit wallet."""
    shift = 0 if request.param == SYNC else 2
    made = [
        make_driver(sim, request.param, KEYS[shift], 0, loop=loop),
        make_driver(sim, request.param, KEYS[shift + 1], 3, loop=loop),
    ]
    yield made
    for driver in made:
        driver.close()


@pytest.fixture
def drivers(sim, loop):
    """Make another client of the same flavour as a given one."""

    made = []

    def make(like, key, wallet_kind, *, sim=sim, **extra):
        made.append(make_driver(sim, like.kind, key, wallet_kind, loop=loop, **extra))
        return made[-1]

    yield make
    for driver in made:
        driver.close()


@pytest.fixture
def alice(pair):
    return pair[0]


@pytest.fixture
def bob(pair):
    return pair[1]
