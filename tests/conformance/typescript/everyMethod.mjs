// Every method of @polymarket/clob-client-v2 against a running simulator: one line of JSON each.
//
// Run: npm ci && node everyMethod.mjs READY.json
// READY.json: {"urls": {...}, "market": {"condition", "yes", "no"}, "builder": "0x..."}
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { AssetType, Chain, ClobClient, OrderType, Side } from "@polymarket/clob-client-v2";
import { createWalletClient, http } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { polygon } from "viem/chains";

// Keys that everybody knows: worthless on purpose.
const KEYS = [
  "0x92db14e403b83dfe3df233f83dfa3a0d7096f21ca9b0d6d6b8d88b2b4ec1564e",
  "0x4bbbf85ce3377467afe5d46f804f221813b2bb87f24d81f60f1fcdbf7cbfb356",
];
const { urls, market, builder } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const tested = new Set();

async function check(name, run) {
  tested.add(name);
  try {
    await run();
    console.log(JSON.stringify({ method: name, passed: true }));
  } catch (error) {
    const text = String(error?.message ?? error).slice(0, 600);
    console.log(JSON.stringify({ method: name, passed: false, text }));
  }
}

function withKey(key, creds) {
  const account = privateKeyToAccount(key);
  const signer = createWalletClient({ account, chain: polygon, transport: http() });
  const options = { host: urls.clob, chain: Chain.POLYGON, signer, creds, throwOnError: true };
  return new ClobClient(options);
}

async function keys(bare) {
  let made;
  await check("createApiKey", async () => {
    made = await bare.createApiKey();
    assert.match(made.key, /^[0-9a-f-]{36}$/);
  });
  await check("deriveApiKey", async () => assert.deepEqual(await bare.deriveApiKey(), made));
  await check("createOrDeriveApiKey", async () => {
    assert.equal((await bare.createOrDeriveApiKey(7)).key.length, 36);
  });
  return made;
}

async function reads(client) {
  const { condition, yes } = market;
  await check("getOk", async () => assert.equal(await client.getOk(), "OK"));
  await check("getVersion", async () => assert.equal(await client.getVersion(), 2));
  await check("getServerTime", async () => {
    assert.ok(Math.abs((await client.getServerTime()) - Date.now() / 1000) < 5);
  });
  for (const name of ["getMarkets", "getSimplifiedMarkets", "getSamplingMarkets"]) {
    await check(name, async () => {
      const page = await client[name]();
      assert.ok(page.data.length > 0 && page.next_cursor);
    });
  }
  await check("getSamplingSimplifiedMarkets", async () => {
    assert.ok((await client.getSamplingSimplifiedMarkets()).data.length > 0);
  });
  await check("getMarket", async () => {
    assert.equal((await client.getMarket(condition)).tokens[0].token_id, yes);
  });
  await check("getClobMarketInfo", async () => {
    assert.equal((await client.getClobMarketInfo(condition)).t[0].t, yes);
  });
  await check("getTickSize", async () => assert.equal(await client.getTickSize(yes), "0.01"));
  await check("getNegRisk", async () => assert.equal(await client.getNegRisk(yes), false));
  await check("getFeeRateBps", async () => assert.ok((await client.getFeeRateBps(yes)) >= 0));
  await check("getFeeExponent", async () => assert.ok((await client.getFeeExponent(yes)) >= 0));
}

async function resting(client) {
  const { yes } = market;
  let order;
  await check("createOrder", async () => {
    order = await client.createOrder({ tokenID: yes, price: 0.4, side: Side.BUY, size: 50 });
    assert.equal(order.makerAmount, "20000000");
  });
  let id;
  await check("postOrder", async () => {
    const placed = await client.postOrder(order, OrderType.GTC);
    assert.equal(placed.status, "live");
    id = placed.orderID;
  });
  await check("getOrder", async () => {
    const shown = await client.getOrder(id);
    assert.deepEqual([shown.original_size, shown.price, shown.side], ["50", "0.4", "BUY"]);
  });
  await check("getOpenOrders", async () => {
    assert.deepEqual((await client.getOpenOrders({ asset_id: yes })).map((row) => row.id), [id]);
  });
  await check("isOrderScoring", async () => {
    assert.equal(typeof (await client.isOrderScoring({ order_id: id })).scoring, "boolean");
  });
  await check("areOrdersScoring", async () => {
    const said = await client.areOrdersScoring({ orderIds: [id] });
    assert.equal(typeof said[id], "boolean");
  });
  await check("cancelOrder", async () => {
    assert.deepEqual((await client.cancelOrder({ orderID: id })).canceled, [id]);
  });
  await check("createAndPostOrder", async () => {
    const soon = Math.floor(Date.now() / 1000) + 600;
    const wish = { tokenID: yes, price: 0.4, side: Side.BUY, size: 50, expiration: soon };
    const placed = await client.createAndPostOrder(wish, { tickSize: "0.01" }, OrderType.GTD);
    assert.equal(placed.status, "live");
  });
  await check("postOrders", async () => {
    const legs = [0.3, 0.31].map(async (price) => ({
      order: await client.createOrder({ tokenID: yes, price, side: Side.BUY, size: 10 }),
      orderType: OrderType.GTC,
    }));
    const placed = await client.postOrders(await Promise.all(legs));
    assert.deepEqual(placed.map((leg) => leg.status), ["live", "live"]);
    await check("cancelOrders", async () => {
      const said = await client.cancelOrders(placed.map((leg) => leg.orderID));
      assert.equal(said.canceled.length, 2);
    });
  });
}

async function books(client) {
  const { yes } = market;
  const params = [{ token_id: yes, side: Side.BUY }];
  await client.createAndPostOrder({
    tokenID: market.no, price: 0.5, side: Side.BUY, size: 200, builderCode: builder,
  });
  let book;
  await check("getOrderBook", async () => {
    book = await client.getOrderBook(yes);
    assert.deepEqual([book.bids.at(-1).price, book.asks.at(-1).price], ["0.4", "0.5"]);
  });
  await check("getOrderBookHash", async () => {
    const said = book.hash;
    assert.equal(await client.getOrderBookHash({ ...book, hash: "" }), said);
  });
  await check("getOrderBooks", async () => {
    assert.equal((await client.getOrderBooks(params))[0].asset_id, yes);
  });
  await check("getMidpoint", async () => {
    assert.equal((await client.getMidpoint(yes)).mid, "0.45");
  });
  await check("getMidpoints", async () => {
    assert.equal((await client.getMidpoints(params))[yes], "0.45");
  });
  await check("getPrice", async () => {
    assert.equal((await client.getPrice(yes, Side.BUY)).price, "0.4");
  });
  await check("getPrices", async () => {
    assert.equal((await client.getPrices(params))[yes].BUY, "0.4");
  });
  await check("getSpread", async () => {
    assert.equal((await client.getSpread(yes)).spread, "0.1");
  });
  await check("getSpreads", async () => {
    assert.equal((await client.getSpreads(params))[yes], "0.1");
  });
  await check("calculateMarketPrice", async () => {
    assert.equal(await client.calculateMarketPrice(yes, Side.BUY, 10), 0.5);
  });
}

async function trading(client, maker) {
  const { condition, yes } = market;
  await check("createMarketOrder", async () => {
    const order = await client.createMarketOrder({ tokenID: yes, amount: 10, side: Side.BUY });
    assert.equal(order.makerAmount, "10000000");
  });
  await check("createAndPostMarketOrder", async () => {
    const wish = { tokenID: yes, amount: 10, side: Side.BUY, builderCode: builder };
    const placed = await client.createAndPostMarketOrder(wish, undefined, OrderType.FOK);
    assert.equal(placed.status, "matched");
    assert.ok(placed.transactionsHashes.length > 0);
  });
  await check("getTrades", async () => {
    assert.equal((await client.getTrades({ asset_id: yes }))[0].trader_side, "TAKER");
  });
  await check("getTradesPaginated", async () => {
    const page = await maker.getTradesPaginated({ market: condition });
    assert.ok(page.trades.length > 0);
  });
  await check("getBuilderTrades", async () => {
    assert.ok((await client.getBuilderTrades({ builder_code: builder })).trades.length > 0);
  });
  await check("getLastTradePrice", async () => {
    assert.equal((await client.getLastTradePrice(yes)).price, "0.5");
  });
  await check("getLastTradesPrices", async () => {
    assert.equal((await client.getLastTradesPrices([{ token_id: yes }]))[0].price, "0.5");
  });
  await check("getPricesHistory", async () => {
    const said = await client.getPricesHistory({ market: yes, interval: "1d", fidelity: 1 });
    assert.ok(Array.isArray(said.history));
  });
  await check("getMarketTradesEvents", async () => {
    assert.ok((await client.getMarketTradesEvents(condition)).length > 0);
  });
}

async function account(client) {
  const asset = { asset_type: AssetType.CONDITIONAL, token_id: market.yes };
  await check("updateBalanceAllowance", async () => client.updateBalanceAllowance(asset));
  await check("getBalanceAllowance", async () => {
    const cash = await client.getBalanceAllowance({ asset_type: AssetType.COLLATERAL });
    assert.ok(BigInt(cash.balance) > 0n && Object.keys(cash.allowances).length > 0);
  });
  await check("getNotifications", async () => {
    assert.ok(Array.isArray(await client.getNotifications()));
  });
  await check("dropNotifications", async () => client.dropNotifications({ ids: ["1"] }));
  await check("postHeartbeat", async () => {
    const first = await client.postHeartbeat("");
    const next = await client.postHeartbeat(first.heartbeat_id);
    assert.notEqual(next.heartbeat_id, "");
  });
  await check("getClosedOnlyMode", async () => {
    assert.equal((await client.getClosedOnlyMode()).closed_only, false);
  });
  await check("getPreMigrationOrders", async () => {
    assert.deepEqual(await client.getPreMigrationOrders(), []);
  });
  await check("createExchangeV3OrderFromAmounts", async () => {
    const order = await client.createExchangeV3OrderFromAmounts({
      tokenID: market.yes, side: Side.BUY, makerAmount: "1000000", takerAmount: "2000000",
    });
    assert.equal(order.makerAmount, "1000000");
  });
}

async function rewards(client) {
  const day = new Date().toISOString().slice(0, 10);
  for (const name of ["getEarningsForUserForDay", "getTotalEarningsForUserForDay"]) {
    await check(name, async () => assert.ok(Array.isArray(await client[name](day))));
  }
  await check("getUserEarningsAndMarketsConfig", async () => {
    assert.ok(Array.isArray(await client.getUserEarningsAndMarketsConfig(day)));
  });
  await check("getRewardPercentages", async () => {
    assert.equal(typeof (await client.getRewardPercentages()), "object");
  });
  await check("getCurrentRewards", async () => {
    const rows = await client.getCurrentRewards();
    assert.ok(rows.length > 0);
    await check("getRawRewardsForMarket", async () => {
      assert.ok((await client.getRawRewardsForMarket(rows[0].condition_id)).length > 0);
    });
  });
}

async function ends(client) {
  await check("cancelMarketOrders", async () => {
    assert.equal((await client.cancelMarketOrders({ asset_id: market.yes })).canceled.length, 1);
  });
  await check("cancelAll", async () => {
    assert.equal((await client.cancelAll()).canceled.length, 1);
  });
  let readonly;
  await check("createReadonlyApiKey", async () => {
    readonly = (await client.createReadonlyApiKey()).apiKey;
    assert.equal(readonly.length, 36);
  });
  await check("getReadonlyApiKeys", async () => {
    assert.ok(JSON.stringify(await client.getReadonlyApiKeys()).includes(readonly));
  });
  await check("deleteReadonlyApiKey", async () => {
    assert.ok(await client.deleteReadonlyApiKey(readonly));
  });
  let builderKey;
  await check("createBuilderApiKey", async () => {
    builderKey = await client.createBuilderApiKey();
    assert.ok(builderKey.key && builderKey.secret && builderKey.passphrase);
  });
  await check("getBuilderApiKeys", async () => {
    assert.ok(JSON.stringify(await client.getBuilderApiKeys()).includes(builderKey.key));
  });
  // The client signs this with the trading key; the venue asks for the builder's own.
  await check("revokeBuilderApiKey", async () => {
    await assert.rejects(client.revokeBuilderApiKey(), /Unauthorized/);
  });
  await check("getApiKeys", async () => {
    assert.ok((await client.getApiKeys()).apiKeys.length > 0);
  });
  await check("deleteApiKey", async () => {
    await client.deleteApiKey();
    await assert.rejects(client.getApiKeys(), /401|Unauthorized/);
  });
}

const maker = withKey(KEYS[0], await keys(withKey(KEYS[0])));
const taker = withKey(KEYS[1], await withKey(KEYS[1]).createOrDeriveApiKey());
for (const part of [reads, resting, books]) await part(maker);
await trading(taker, maker);
for (const part of [account, rewards, ends]) await part(maker);

// What the client keeps to itself; TypeScript's private leaves no trace at run time.
const inner = new Set([
  "constructor", "waitForResolvedTrades", "resolveTransactionsHashes", "canL1Auth", "canL2Auth",
  "isBuilderOrder", "getBuilderTakerFeeRate", "adjustBuyAmountForBalance",
  "ensureBuilderFeeRateCached", "resolveVersion", "throwIfError", "get", "post", "del",
]);
const names = Object.getOwnPropertyNames(ClobClient.prototype).filter((name) => !inner.has(name));
const left = names.filter((name) => !name.startsWith("_") && !tested.has(name));
const text = left.join();
console.log(JSON.stringify({ method: "no method is left out", passed: text === "", text }));
