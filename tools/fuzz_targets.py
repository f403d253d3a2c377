"""What the fuzzer is aimed at: every decoder of outside bytes, samples to begin with, mutations.

Used by ``fuzz_decoders.py`` and by the test that replays what it kept. A decoder of JSON is
reached past its parser only by documents that are JSON, so most mutations change one value of a
document and leave the rest; the parser is compiled code that no coverage guides through.
"""

import ast
import contextlib
import hashlib
import importlib.util
import json
import pathlib
import random

from lowlat.core.errors import RemoteProtocolError

ROOT = pathlib.Path(__file__).resolve().parents[1]
DATA = ROOT / "tests" / "data"
VENUES = "lowlat.venues"

BINARY = frozenset({"binance-sbe", "rate-limit", "wording"})
"""Decoders of what is no JSON."""

_W, _H = "0x" + "ab" * 20, "0x" + "ab" * 32
_M, _US = "0x" + "0f" * 32, "00000000-0000-0000-0000-000000000001"
_PAGE = {"has_more": True, "next_cursor": "Mg=="}
_ORDER = {
    "id": _H, "status": "ORDER_STATUS_LIVE", "owner": _US, "maker_address": _W, "market": _M,
    "asset_id": "7", "side": "BUY", "original_size": "100", "size_matched": "25.5",
    "price": "0.57", "associate_trades": ["t-1"], "outcome": "Yes", "created_at": 1795305600,
    "expiration": "0", "order_type": "GTC",
}  # fmt: skip
_MAKER = {
    "order_id": _H, "owner": _US, "maker_address": "0x" + "11" * 20, "matched_amount": "10",
    "price": "0.57", "fee_rate_bps": "", "asset_id": "7", "outcome": "Yes", "side": "SELL",
}  # fmt: skip
_TRADE = {
    "id": "trade-1", "taker_order_id": _H, "market": _M, "asset_id": "7", "side": "BUY",
    "size": "10", "price": "0.57", "status": "TRADE_STATUS_MATCHED", "match_time": "1795305600",
    "owner": _US, "maker_address": _W, "bucket_index": 0, "transaction_hash": _H,
    "trader_side": "TAKER", "maker_orders": [_MAKER], "outcome": "Yes",
}  # fmt: skip
_POSTED = {
    "success": True, "errorMsg": "", "orderID": _H, "status": "matched", "makingAmount": "1.45",
    "takingAmount": "5", "transactionsHashes": [_H], "tradeIDs": ["t-1"],
}  # fmt: skip

SAMPLES = {
    "user": [
        {**_ORDER, "event_type": "order", "type": "PLACEMENT", "timestamp": "1795305600500"},
        [{**_TRADE, "event_type": "trade", "type": "TRADE", "timestamp": "1795305600500"}],
    ],
    "order": [_ORDER, {}, {"error": "order not found"}],
    "orders-page": [{"data": [_ORDER], "next_cursor": "LTE=", "limit": 100, "count": 1}],
    "trades-page": [
        {"data": [_TRADE, {**_TRADE, "trader_side": "MAKER"}], "next_cursor": "MTAw"},
    ],
    "order-reply": [_POSTED, {**_POSTED, "status": "delayed"}, {"success": False, "errorMsg": "x"}],
    "order-refusal": [
        {"error": "not enough balance / allowance: balance: 1, order amount: 2"},
        {"error": "rate limited", "code": "RATE_LIMIT", "retry_after_seconds": 1.5},
    ],
    "batch-reply": [[_POSTED, {"success": True, "errorMsg": "FOK orders are killed"}]],
    "cancel-reply": [
        {"canceled": [_H], "not_canceled": {_M: "order can't be found - already canceled"}},
    ],
    "fee-rate": [{"base_fee": 30}, {"base_fee": "0"}],
    "server-time": [1795305600],
    "condition": [
        {"condition_id": _M, "tokens": [{"token_id": "7", "winner": True}, {"token_id": "8"}]},
    ],
    "resolution": [
        {
            "condition_id": _M, "closed": True,
            "tokens": [{"token_id": "7", "winner": True}, {"token_id": "8", "winner": False}],
        },
    ],
    "tags": [[{"id": "21", "slug": "crypto", "label": "Crypto"}]],
    "balance": [{"balance": "1000000", "allowances": {_W: "115792089237316195423570985"}}],
    "heartbeat": [{"heartbeat_id": _US}, {"heartbeat_id": _US, "error": "Invalid Heartbeat ID"}],
    "relayer-nonce": [{"nonce": "12", "address": _W}],
    "relayer-submitted": [
        {"transactionID": _US, "transactionHash": _H, "state": "STATE_NEW"},
        {"error": "batch nonce 3 does not match on-chain nonce 4"},
    ],
    "relayer-transaction": [{"state": "STATE_CONFIRMED", "transaction_hash": _H}],
    "activity": [
        {
            "data": [
                {
                    "type": "TRADE", "timestamp": 1795305600, "transaction_hash": _H,
                    "condition_id": _M, "token_id": "7", "side": "BUY", "size": "1.5",
                    "usdc_size": "0.75",
                },
            ],
            "pagination": _PAGE,
        },
    ],
    "holdings": [
        {
            "data": [
                {"token_id": "7", "condition_id": _M, "current_size": "1.5", "status": "OPEN"},
            ],
            "pagination": _PAGE,
        },
        [{"asset": "7", "conditionId": _M, "size": 1.5, "oppositeAsset": "8"}],
    ],
    "wallet-trades": [
        {
            "data": [
                {
                    "proxy_wallet": _W, "token_id": "7", "condition_id": _M, "side": "SELL",
                    "size": 1.5, "price": "0.5", "timestamp": 1795305600,
                    "transaction_hash": _H, "outcome_index": 1,
                },
            ],
            "pagination": _PAGE,
        },
    ],
    "leaders": [
        {"data": [{"rank": "1", "user_id": _W, "pnl": -1.5, "volume": "2E3"}], "pagination": _PAGE},
    ],
    "holders": [
        {
            "data": [{"token_id": "7", "holders": [{"proxy_wallet": _W, "amount": "1E5"}]}],
            "pagination": _PAGE,
        },
    ],
    "binance-ticker": [
        {
            "symbol": "BTCUSDT", "bidPrice": "98123.45000000", "bidQty": "1.2",
            "askPrice": "98123.46000000", "askQty": "0.5",
        },
    ],
    "binance-trades": [
        [
            {
                "id": 28457, "price": "4.00000100", "qty": "12.00000000",
                "time": 1795352400123, "isBuyerMaker": True,
            },
        ],
    ],
    "binance-time": [{"serverTime": 1795352400123}],
}  # fmt: skip
"""A document or two of each decoder that no shipped recording covers."""

FILES = {
    "market": ["polymarket/market_frames.jsonl"],
    "market-scan": ["polymarket/market_frames.jsonl"],
    "book": ["polymarket/rest_books.json"],
    "books": ["polymarket/rest_books.json"],
    "rtds": ["polymarket/rtds_frames.jsonl"],
    "polybolt": ["polymarket/polybolt_frames.jsonl"],
    "gamma-events": ["polymarket/gamma_event.json", "polymarket/gamma_updown.json"],
    "gamma-markets": ["polymarket/gamma_event.json"],
    "clob-market": ["polymarket/clob_market.json"],
    "kalshi-stream": ["kalshi/stream_frames.jsonl"],
    "kalshi-public": ["kalshi/rest.json"],
    "kalshi-own": ["kalshi/portfolio.json"],
    "binance-stream": ["binance/stream_frames_us.jsonl"],
    "binance-depth": ["binance/rest.json"],
    "binance-klines": ["binance/rest.json"],
    "binance-info": ["binance/rest.json"],
}

_TEXTS = {
    "rate-limit": [b"Poly-RateLimit-Remaining: 59\npoly-ratelimit-tier: gold\nRetry-After: 2"],
    "wording": [b"If it is a tie this market will resolve 50-50, as told by the official source."],
}


def targets():
    """Return every decoder by a short name, with the module (or modules) it is in."""
    from lowlat.core.layout import Action, OrderType
    from lowlat.venues.binance import rest, sbe, stream
    from lowlat.venues.kalshi import catalogue, exchange, holdings, orders
    from lowlat.venues.kalshi import stream as kalshi_stream
    from lowlat.venues.polymarket import (
        account,
        books,
        clob_markets,
        gamma,
        lookups,
        market,
        prices,
        relayer,
        replies,
        resolution,
        tags,
        user,
        wallet,
        wallets,
        wording,
    )

    us = account.Account(_US, "0x" + "11" * 20)
    sent = replies.Sent(b"\xab" * 32, Action.BUY, 1_450_000, 5_000_000, OrderType.GTC)
    codec = stream.StreamCodec("us")
    at_ns = 1_795_305_600_000_000_000
    public = [
        *(catalogue.decode_market, catalogue.decode_markets, catalogue.decode_event),
        *(catalogue.decode_events, catalogue.decode_series, exchange.decode_fee_changes),
        *(exchange.decode_trades, exchange.decode_book, exchange.decode_status),
        *(exchange.decode_schedule, exchange.decode_incentives),
    ]
    own = [
        *(orders.decode_order, orders.decode_orders, orders.decode_fills),
        *(orders.decode_create_reply, orders.decode_cancel_reply, orders.decode_amend_reply),
        *(orders.decode_batch_create_reply, orders.decode_batch_cancel_reply),
        *(orders.decode_queue_position, lambda payload: orders.decode_refusal(400, payload)),
        *(holdings.decode_balance, holdings.decode_positions, holdings.decode_settlements),
    ]
    return {
        "market": (market, market.decode_any),
        "market-scan": (market, market.decode),
        "user": (user, user.UserCodec(us).decode),
        "book": (books, books.decode_book),
        "books": (
            books,
            lambda payload: [
                (books.name_book(raw), books.decode_book(raw)) for raw in books.split_books(payload)
            ],
        ),
        "rtds": (prices, prices.decode_rtds),
        "polybolt": (prices, prices.decode_polybolt),
        "gamma-events": (gamma, gamma.decode_events),
        "gamma-markets": (gamma, gamma.decode_markets),
        "clob-market": (clob_markets, clob_markets.decode_clob_market),
        "resolution": (resolution, resolution.decode_resolution),
        "orders-page": (lookups, lambda payload: lookups.decode_orders_page(200, payload)),
        "trades-page": (lookups, lambda payload: lookups.decode_trades_page(200, payload, us)),
        "order-reply": (replies, lambda payload: replies.decode_order_reply(200, payload, sent)),
        "order-refusal": (replies, lambda payload: replies.decode_order_reply(400, payload, sent)),
        "batch-reply": (
            replies,
            lambda payload: replies.decode_batch_reply(200, payload, [sent, sent]),
        ),
        "cancel-reply": (replies, lambda payload: replies.decode_cancel_reply(200, payload)),
        "rate-limit": (replies, lambda payload: replies.decode_rate_limit(_headers(payload))),
        "fee-rate": (lookups, lambda payload: lookups.decode_fee_rate(200, payload)),
        "server-time": (lookups, lambda payload: lookups.decode_server_time(200, payload)),
        "condition": (wallet, lambda payload: wallet.decode_condition(200, payload)),
        "tags": (tags, tags.decode_tags),
        "order": (lookups, lambda payload: lookups.decode_order(200, payload)),
        "balance": (lookups, lambda payload: lookups.decode_balance(200, payload)),
        "heartbeat": (lookups, lambda payload: lookups.decode_heartbeat_reply(200, payload)),
        "relayer-nonce": (relayer, lambda payload: relayer.decode_nonce(200, payload)),
        "relayer-submitted": (
            relayer,
            lambda payload: [relayer.decode_submitted(400, payload),
                             relayer.decode_submitted(200, payload)],
        ),
        "relayer-transaction": (relayer, lambda payload: relayer.decode_transaction(200, payload)),
        "wording": (
            wording,
            lambda payload: wording.read_wording(payload.decode("utf-8", "replace"), None),
        ),
        "activity": (wallet, lambda payload: wallet.decode_activity_page(200, payload)),
        "holdings": (wallet, lambda payload: wallet.decode_holdings_page(200, payload)),
        "wallet-trades": (wallets, wallets.decode_wallet_trades),
        "leaders": (wallets, wallets.decode_leaders),
        "holders": (wallets, wallets.decode_holders),
        "kalshi-stream": (kalshi_stream, kalshi_stream.decode),
        "kalshi-public": ((catalogue, exchange), lambda payload: _each(public, payload)),
        "kalshi-own": ((orders, holdings), lambda payload: _each(own, payload)),
        "binance-stream": (stream, codec.decode),
        "binance-sbe": (sbe, sbe.decode_sbe),
        "binance-depth": (rest, lambda payload: rest.decode_depth(payload, "BTCUSDT")),
        "binance-klines": (
            rest,
            lambda payload: rest.decode_klines(payload, "BTCUSDT", "1m", at_ns),
        ),
        "binance-info": (rest, rest.decode_exchange_info),
        "binance-ticker": (rest, rest.decode_book_ticker),
        "binance-trades": (rest, lambda payload: rest.decode_trades(payload, "BTCUSDT")),
        "binance-time": (rest, rest.decode_time),
    }  # fmt: skip


def _each(decoders, payload):
    """Give one payload to decoders that know each other's documents by their first key."""
    read = 0
    for decode in decoders:
        with contextlib.suppress(RemoteProtocolError):
            decode(payload)
            read += 1
    if not read:
        raise RemoteProtocolError("no decoder reads it")


def _headers(payload):
    """Return lines as pairs around their first colon, as an HTTP parser hands them over."""
    return [(name, value) for name, _, value in (row.partition(b":") for row in payload.split())]


def seeds(name):
    """Yield samples to begin with: whole files, single lines, and what they hold."""
    for file in FILES.get(name, []):
        raw = (DATA / file).read_bytes()
        if file.endswith(".jsonl"):
            for line in raw.splitlines():
                frame = json.loads(line)
                inner = frame.get("frame", frame) if isinstance(frame, dict) else frame
                yield inner.encode() if isinstance(inner, str) else json.dumps(inner).encode()
        else:
            yield raw
            value = json.loads(raw)
            parts = value.values() if isinstance(value, dict) else value
            yield from (json.dumps(part).encode() for part in parts)
    yield from (json.dumps(sample).encode() for sample in SAMPLES.get(name, []))
    yield from _TEXTS.get(name, [])
    if name == "binance-sbe":
        raw = (DATA / "binance/sbe_vectors.json").read_text()
        yield from (bytes.fromhex(text) for text in _hex_words(json.loads(raw)))


def _hex_words(value):
    """Yield every even run of hex digits in a document."""
    if isinstance(value, str):
        if len(value) >= 32 and len(value) % 2 == 0:
            with contextlib.suppress(ValueError):
                bytes.fromhex(value)
                yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _hex_words(each)


# ------------------------------------------------------------------------------- mutations
STRANGE = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, 10**400, 0.5, -0.0, 1e-7, 1e308, "", "0",
    "-1", "1e5", "0.00000000000000000001", "9" * 18, "9" * 19, "NaN", "∞", "١٢", "\x00", [], {},
    [[]], 1795305600123, "1795305600123", "2026-11-22T00:00:00Z", "0x" + "00" * 32, "x" * 300,
)  # fmt: skip


def mutate_json(data, seed, mutate_bytes):
    """Return the document with one value changed, or None when it is no JSON.

    ``mutate_bytes`` is libFuzzer's own mutation: it changes the text of a value.
    """
    chance = random.Random(seed)
    try:
        document = {"": json.loads(data)}
    except (ValueError, RecursionError):
        return None
    parent, key = chance.choice(_places(document))
    value = parent[key]
    how = chance.randrange(8)
    if how == 0 and key != "":
        del parent[key]
    elif how == 1:
        parent[key] = [value]
    elif how == 2 and isinstance(parent, list):
        parent.append(value)
    elif how == 3 and isinstance(parent, dict) and key != "":
        parent[_words(mutate_bytes, key)] = parent.pop(key)
    elif how <= 5:
        parent[key] = chance.choice(STRANGE)
    elif isinstance(value, str):
        parent[key] = _words(mutate_bytes, value)
    else:
        other, name = chance.choice(_places(document))
        parent[key] = json.loads(json.dumps(other[name]))
    return json.dumps(document[""], separators=(",", ":")).encode()


def _places(value):
    """Return every (container, key) of a document, the whole included."""
    found, left = [], [value]
    while left:
        container = left.pop()
        for key in list(container) if isinstance(container, dict) else range(len(container)):
            found.append((container, key))
            if isinstance(container[key], dict | list):
                left.append(container[key])
    return found


def _words(mutate_bytes, text):
    raw = text.encode("utf-8", "surrogatepass")
    return bytes(mutate_bytes(raw, len(raw) + 16)).decode("utf-8", "replace")


# ---------------------------------------------------------------------------------- sources
def source_hash(*modules):
    """Return a short hash over a decoder's modules and all of ``lowlat.venues`` they import."""
    found, left = {}, list(modules)
    while left:
        name = left.pop()
        path = _path_of(name)
        if name in found or path is None:
            continue
        raw = path.read_bytes()
        found[name] = raw
        if path.suffix == ".py":
            left += [each for each in _imports(raw) if each.startswith(VENUES)]
    digest = hashlib.sha256()
    for name in sorted(found):
        digest.update(name.encode() + b"\0" + found[name] + b"\0")
    return digest.hexdigest()[:16]


def _path_of(name):
    """Return the source of a module; None for a package or a name inside a module."""
    stem = ROOT / name.replace(".", "/")
    return next((p for p in (stem.with_suffix(s) for s in (".py", ".pyx")) if p.is_file()), None)


def _imports(raw):
    for node in ast.walk(ast.parse(raw)):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def has_fuzzer():
    """Say whether the fuzzer is installed."""
    return importlib.util.find_spec("atheris") is not None
