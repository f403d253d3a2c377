"""Polymarket: bytes of its servers to values, and values to the bytes it takes.

What is known of a market, and of its books::

    markets    gamma and clob_markets fill market_info; tags, windows, rules, wording, resolution
    books      market (the socket; _frames is compiled), books (by REST), prices (what settles)
    orders     amounts, signing (eip712, _sign compiled), orders (bodies, templates), requests, auth
    answers    replies, rejects (what to do about one), lookups; user (the socket) and account
    wallet     wallet (ours), wallets (others'), relayer, scoring (rewards); bounds (of settings)

Facts of the venue name their source where they stand.
"""
