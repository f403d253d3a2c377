"""A config that is right in every key; tests make one of them wrong."""

GOOD = """
instance = "t1"
mode = "sim"

[endpoints]
clob_url = "http://127.0.0.1:1"
market_ws_url = "ws://127.0.0.1:1/ws/market"
user_ws_url = "ws://127.0.0.1:1/ws/user"
gamma_url = "http://127.0.0.1:1"
prices_ws_url = "ws://127.0.0.1:1"
binance_ws_url = "ws://127.0.0.1:1"
binance_rest_url = "http://127.0.0.1:1"

[account]
credentials_file = "credentials.json"

[modules.arbitrage]
mode = "paper"
"""
