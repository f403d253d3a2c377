"""Convert recorded venue messages into the simulator's own tape: prices, sizes and times as facts.

    python tools/convert_tape.py MARKET.jsonl BINANCE_FOLDER OUT.json

MARKET.jsonl holds rows of ``{"receivedAtMs": .., "raw": "<market channel frame>"}`` beginning with
a book of each token; BINANCE_FOLDER a capture of one combined stream (``*.ws.*.txt``, rows
``seconds: frame``) with its REST snapshots (``*.http.*.txt``). Identifiers, hashes and everything
else the messages carry stay behind.
"""

import glob
import json
import os
import sys

from lowlat.core.units import parse_fixed

SYMBOL = "NKNUSDT"
LEVELS_MAX = 200
NOTE = (
    "Facts (prices, sizes, times) of public market data, converted; no message is reproduced. "
    "market: one binary market of Polymarket's market channel, recorded 2026-09-11 by a third "
    "party. spot: Binance NKNUSDT bookTicker and depth of 2021-10-12, from the sample data of "
    "bmoscon/cryptofeed (XFree86-style licence), commit ce58c2a0015040aa2271e80bac783d74fa2cdcff."
)


def convert_market(path):
    with open(path) as file:
        rows = [json.loads(line) for line in file]
    start_ms = rows[0]["receivedAtMs"]
    book = json.loads(rows[0]["raw"])
    token = book["asset_id"]
    levels = {
        side: [[parse_fixed(r["price"], 4), parse_fixed(r["size"], 6)] for r in book[side]]
        for side in ("bids", "asks")
    }
    changes = []
    for row in rows[1:]:
        message = json.loads(row["raw"])
        changes += [
            [
                row["receivedAtMs"] - start_ms,
                change["side"] == "BUY",
                parse_fixed(change["price"], 4),
                parse_fixed(change["size"], 6),
            ]
            for change in message.get("price_changes", [])
            if change["asset_id"] == token
        ]
    prices = [price for side in levels.values() for price, _ in side]
    tick_e4 = 10 if any(price % 100 for price in prices) else 100
    return {"tick_e4": tick_e4, **levels, "changes": changes}


def convert_spot(folder):
    (http_path,) = glob.glob(os.path.join(folder, "BINANCE.http.*.txt"))
    (ws_path,) = glob.glob(os.path.join(folder, "BINANCE.ws.*.txt"))
    with open(http_path) as file:
        line = next(each for each in file if f"symbol={SYMBOL}" in each)
    snapshot = json.loads(line[line.index('{"lastUpdateId"') :])
    tops, diffs, start_ms = [], [], None
    with open(ws_path) as file:
        for line in file:
            stamp, _, text = line.partition(": ")
            if not text.startswith("{"):
                continue
            at_ms = round(float(stamp) * 1000)
            start_ms = at_ms if start_ms is None else start_ms
            frame = json.loads(text)
            data = frame["data"]
            if frame["stream"] == f"{SYMBOL.lower()}@bookTicker":
                values = [parse_fixed(data[key], 8) for key in "bBaA"]
                tops.append([at_ms - start_ms, data["u"], *values])
            elif frame["stream"] == f"{SYMBOL.lower()}@depth@100ms":
                sides = [pairs(data[side]) for side in "ba"]
                diffs.append([at_ms - start_ms, data["U"], data["u"], *sides])
    return {
        "symbol": SYMBOL,
        "last_update_id": snapshot["lastUpdateId"],
        "bids": pairs(snapshot["bids"][:LEVELS_MAX]),
        "asks": pairs(snapshot["asks"][:LEVELS_MAX]),
        "tops": tops,
        "diffs": diffs,
    }


def pairs(rows):
    return [[parse_fixed(price, 8), parse_fixed(size, 8)] for price, size in rows]


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    market_path, spot_folder, out_path = sys.argv[1:]
    tape = {
        "format": 1,
        "provenance": NOTE,
        "market": convert_market(market_path),
        "spot": convert_spot(spot_folder),
    }
    with open(out_path, "w") as file:
        json.dump(tape, file, separators=(",", ":"))
        file.write("\n")
    print(f"{out_path}: {os.path.getsize(out_path)} bytes")


if __name__ == "__main__":
    main()
