"""A first order with py-clob-client-v2 against `lowlat sim`: rest a bid, read it back, cancel it.

Run: python docs/examples/bot/first_order.py READY.json, where READY.json holds the line that
`lowlat sim` printed. Only the host differs from a program for the real venue.
"""

import json
import sys

from py_clob_client_v2 import ClobClient, OrderArgs, OrderPayload, OrderType, Side

# A key that everybody knows: worthless on purpose.
KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"


def main() -> None:
    """Place, read back, cancel."""
    with open(sys.argv[1]) as file:
        urls = json.load(file)["urls"]
    client = ClobClient(host=urls["clob"], chain_id=137, key=KEY)
    client.set_api_creds(client.create_or_derive_api_key())
    market = client.get_sampling_markets()["data"][0]
    token = market["tokens"][0]["token_id"]
    order = client.create_order(OrderArgs(token_id=token, price=0.05, size=20, side=Side.BUY))
    placed = client.post_order(order, OrderType.GTC)
    print(f"placed {placed['orderID']} in {market['question']!r}: {placed['status']}")
    shown = client.get_order(placed["orderID"])
    print(f"resting: {shown['original_size']} at {shown['price']}")
    print("canceled:", client.cancel_order(OrderPayload(orderID=placed["orderID"]))["canceled"])


main()
