// A first order with @polymarket/clob-client-v2 against `lowlat sim`: rest a bid, read it back,
// cancel it. Only the host differs from a program for the real venue.
//
// Run: npm install @polymarket/clob-client-v2 viem tsx && npx tsx firstOrder.ts READY.json
import { readFileSync } from "node:fs";
import { Chain, ClobClient, OrderType, Side } from "@polymarket/clob-client-v2";
import { createWalletClient, http } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { polygon } from "viem/chains";

// A key that everybody knows: worthless on purpose.
const KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

async function main(): Promise<void> {
  const host: string = JSON.parse(readFileSync(process.argv[2], "utf8")).urls.clob;
  const account = privateKeyToAccount(KEY);
  const signer = createWalletClient({ account, chain: polygon, transport: http() });
  const first = new ClobClient({ host, chain: Chain.POLYGON, signer });
  const creds = await first.createOrDeriveApiKey();
  const client = new ClobClient({ host, chain: Chain.POLYGON, signer, creds, throwOnError: true });

  const market = (await client.getSamplingMarkets()).data[0];
  const tokenID: string = market.tokens[0].token_id;
  const placed = await client.createAndPostOrder(
    { tokenID, price: 0.05, side: Side.BUY, size: 20 },
    { tickSize: "0.01" },
    OrderType.GTC,
  );
  console.log(`placed ${placed.orderID} in "${market.question}": ${placed.status}`);
  const shown = await client.getOrder(placed.orderID);
  console.log(`resting: ${shown.original_size} at ${shown.price}`);
  const gone = await client.cancelOrder({ orderID: placed.orderID });
  console.log("canceled:", gone.canceled);
}

main();
