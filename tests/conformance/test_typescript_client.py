"""@polymarket/clob-client-v2 for Node, unmodified: every method of it, and the worked example.

One program drives the client (typescript/everyMethod.mjs) and says a line a method; it says too
when the client has a method that it does not call. Runs where Node 20 is, and the client: `npm ci`
in tests/conformance/typescript, or any folder that LOWLAT_NODE_MODULES names.
"""

import json
import os
import pathlib
import shutil
import subprocess

import pytest

HERE = pathlib.Path(__file__).with_name("typescript")
MODULES = pathlib.Path(os.environ.get("LOWLAT_NODE_MODULES", HERE / "node_modules"))
EXAMPLE = pathlib.Path(__file__).parents[2] / "docs/examples/bot/firstOrder.ts"
PACKAGE = "@polymarket/clob-client-v2"
CLIENT = "clob-client-v2 (Node)"

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.skipif(
        shutil.which("node") is None or not (MODULES / PACKAGE).is_dir(),
        reason=f"needs node and {PACKAGE}: npm ci in tests/conformance/typescript",
    ),
]
covers = pytest.mark.covers

METHODS = {
    "createApiKey": "POST /auth/api-key",
    "deriveApiKey": "GET /auth/derive-api-key",
    "createOrDeriveApiKey": "POST /auth/api-key",
    "getApiKeys": "GET /auth/api-keys",
    "deleteApiKey": "DELETE /auth/api-key",
    "createReadonlyApiKey": "readonly-api-key",
    "getReadonlyApiKeys": "readonly-api-key",
    "deleteReadonlyApiKey": "readonly-api-key",
    "createBuilderApiKey": "POST,GET /auth/builder-api-key",
    "getBuilderApiKeys": "POST,GET /auth/builder-api-key",
    "revokeBuilderApiKey": "DELETE /auth/builder-api-key",
    "getClosedOnlyMode": "GET /auth/ban-status/closed-only",
    "getOk": "GET /ok",
    "getVersion": "GET /version",
    "getServerTime": "GET /time",
    "getMarkets": "GET /markets",
    "getSimplifiedMarkets": "GET /simplified-markets",
    "getSamplingMarkets": "GET /sampling-markets",
    "getSamplingSimplifiedMarkets": "GET /sampling-simplified-markets",
    "getMarket": "GET /markets/{cid}",
    "getClobMarketInfo": "GET /clob-markets/{cid}",
    "getTickSize": "GET /tick-size",
    "getNegRisk": "GET /neg-risk",
    "getFeeRateBps": "GET /fee-rate",
    "getFeeExponent": "GET /markets-by-token/{token}",
    "getOrderBook": "GET /book",
    "getOrderBookHash": "GET /book",
    "getOrderBooks": "POST /books",
    "getMidpoint": "GET /midpoint",
    "getMidpoints": "POST /midpoints",
    "getPrice": "GET /price",
    "getPrices": "POST /prices",
    "getSpread": "GET /spread",
    "getSpreads": "POST /spreads",
    "getLastTradePrice": "GET /last-trade-price",
    "getLastTradesPrices": "POST /last-trades-prices",
    "getPricesHistory": "GET /prices-history",
    "getMarketTradesEvents": "GET /markets/live-activity/{cid}",
    "calculateMarketPrice": "GET /book",
    "createOrder": "POST /order GTC",
    "postOrder": "POST /order GTC",
    "createAndPostOrder": "POST /order GTD",
    "createMarketOrder": "POST /order FOK",
    "createAndPostMarketOrder": "POST /order FOK",
    "createExchangeV3OrderFromAmounts": "POST /order on the V3 exchange",
    "postOrders": "POST /orders",
    "getOrder": "GET /data/order/{id}",
    "getOpenOrders": "GET /data/orders",
    "getTrades": "GET /data/trades",
    "getTradesPaginated": "GET /data/trades",
    "getBuilderTrades": "GET /builder/trades",
    "getPreMigrationOrders": "GET /data/pre-migration-orders",
    "cancelOrder": "DELETE /order",
    "cancelOrders": "DELETE /orders",
    "cancelMarketOrders": "DELETE /cancel-market-orders",
    "cancelAll": "DELETE /cancel-all",
    "postHeartbeat": "POST /v1/heartbeats",
    "isOrderScoring": "GET /order-scoring",
    "areOrdersScoring": "POST /orders-scoring",
    "getBalanceAllowance": "GET /balance-allowance",
    "updateBalanceAllowance": "GET /balance-allowance/update",
    "getNotifications": "GET,DELETE /notifications",
    "dropNotifications": "GET,DELETE /notifications",
    "getEarningsForUserForDay": "GET /rewards/user",
    "getTotalEarningsForUserForDay": "GET /rewards/user/total",
    "getUserEarningsAndMarketsConfig": "GET /rewards/user/markets",
    "getRewardPercentages": "GET /rewards/user/percentages",
    "getCurrentRewards": "GET /rewards/markets/current",
    "getRawRewardsForMarket": "GET /rewards/markets/{cid}",
    "no method is left out": "every method",
}


def run(arguments, tmp_path):
    """Run a program beside the installed packages, as Node finds them only there."""
    folder = tmp_path / "program"
    folder.mkdir()
    (folder / "node_modules").symlink_to(MODULES.resolve())
    program = folder / arguments[-2].name
    program.write_bytes(arguments[-2].read_bytes())
    command = ["node", *arguments[:-2], str(program), str(arguments[-1])]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=180, check=False, cwd=folder
    )


@pytest.fixture(scope="module")
def answers(sim, builder, tmp_path_factory):
    """What the program said of each method."""
    folder = tmp_path_factory.mktemp("typescript")
    market = sim.market()
    names = {"condition": market.condition, "yes": market.yes, "no": market.no}
    ready = folder / "ready.json"
    ready.write_text(json.dumps({"urls": sim.urls, "market": names, "builder": builder}))
    ended = run([HERE / "everyMethod.mjs", ready], folder)
    assert ended.returncode == 0, ended.stderr
    return {row["method"]: row for row in map(json.loads, ended.stdout.splitlines())}


@pytest.mark.parametrize(
    "method", [pytest.param(name, marks=covers(call)) for name, call in METHODS.items()]
)
def test_method_works(answers, method):
    assert answers[method]["passed"], answers[method]["text"]


def test_program_says_nothing_that_no_test_asks_for(answers):
    assert answers.keys() == METHODS.keys()


@covers("order create-and-post")
def test_first_order_of_the_documentation(sim, tmp_path):
    ready = tmp_path / "ready.json"
    ready.write_text(json.dumps({"urls": sim.urls}))
    # The loader of TypeScript as `npx tsx` runs it.
    ended = run([str(MODULES.resolve() / ".bin" / "tsx"), EXAMPLE, ready], tmp_path)
    assert ended.returncode == 0, ended.stderr
    placed, resting, *canceled = ended.stdout.splitlines()
    assert placed.endswith(": live")
    assert resting == "resting: 20 at 0.05"
    assert placed.split()[1] in "".join(canceled)
