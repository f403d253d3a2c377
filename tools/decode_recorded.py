"""Decode a folder of recorded payloads with the engine's codecs; say what is unknown or refused.

    python tools/decode_recorded.py FOLDER

The folder has the layout that samples were collected in: ``polymarket/``, ``binance/``,
``kalshi/``; wrappers around frames are taken off by the shape of the file. Three tables say what
is no message as a venue sends it, each file with the reason: ``NO_MESSAGE`` is left out,
``UNTAGGED`` gets its tag back, ``BY_HAND`` has ids and times of somebody's invention replaced
before decoding.
Exit 1 when anything else was refused or unknown.
"""

import hashlib
import json
import pathlib
import re
import sys

from lowlat.core.errors import RemoteProtocolError
from lowlat.core.layout import Action, OrderType
from lowlat.venues.binance import rest
from lowlat.venues.binance.sbe import decode_sbe
from lowlat.venues.binance.stream import StreamCodec
from lowlat.venues.kalshi import catalogue, exchange, holdings, orders
from lowlat.venues.kalshi import stream as kalshi_stream
from lowlat.venues.polymarket import (
    books,
    gamma,
    lookups,
    market,
    prices,
    replies,
    resolution,
    tags,
    wallet,
    wallets,
)
from lowlat.venues.polymarket.account import Account
from lowlat.venues.polymarket.rejects import Policy, RejectCode
from lowlat.venues.polymarket.user import UserCodec
from lowlat.venues.wire import Ignored

NO_MESSAGE = {
    "it_price_change.json": "the flat price_change that ended on 2025-09-15; without best bid and "
    "ask, which a book is held against, the engine refuses it",
    "http_signed_order.json": "a request that a client sends, not an answer",
    "btcusdt-depth-snap.csv": "a history file of the futures exchange for download",
    "btcusdt-depth-update.csv": "a history file of the futures exchange for download",
}

UNTAGGED = {
    "ws_book_snapshot": "book",
    "ws_last_trade": "last_trade_price",
    "ws_quotes": "price_change",
    "ws_tick_size_change": "tick_size_change",
    "ws_user_order_": "order",
    "ws_user_trade": "trade",
}
"""Fixtures of the structure inside a tagged message, by the start of their names."""

BY_HAND = {
    "clob_book_response.json": "hash 0xabc123, asset of 20 digits; fields that /book always has "
    "are left out",
    "http_server_time_response.json": "the documentation's example, of 2017",
    "http_klines_response.json": "the documentation's example, of 2017",
    "http_trades_response.json": "the documentation's example, of 2017",
    "ws_spot_ticker_24hr.json": "the documentation's example, E is 123456789",
    "http_open_order.json": "order id of 33 bytes",
    "http_open_orders_page.json": "order ids of 33 bytes",
    "http_order_response_ok.json": "order id of 33 bytes, no status",
    "http_order_response_failed.json": "made up",
    "http_cancel_response_ok.json": "made up",
    "http_cancel_response_failed.json": "made up",
    "http_trade_report.json": "ids of words, makers' amounts beyond the trade's",
    "http_trades_page.json": "ids of words",
    "ws_user_": "ids of words or of 33 bytes",
    "data_api_": "ids with letters that are no hex digits, hashes of 31 bytes",
}

ID_KEYS = frozenset(
    ("id", "taker_order_id", "order_id", "orderID", "market", "conditionId", "transactionHash")
)
MS_2000, MS_2020, TEN_YEARS_MS = 946_684_800_000, 1_577_836_800_000, 315_360_000_000
ACCOUNT = Account("3e2c94ca-8124-c4c1-c7ea-be1ea21b71fe", "0x" + "11" * 20)
ANSWER_NOW_NS = 1_795_305_600_000_000_000

# What of a file's name says how its payloads are read; the first that fits.
ROUTES = (
    ("ws_user_", "user"),
    ("it_order_", "user"),
    ("it_user_trade", "user"),
    ("it_trades", "trade"),
    ("http_trade_report", "trade"),
    ("http_trades_page", "trades"),
    ("http_open_orders_page", "orders"),
    ("http_open_order", "order"),
    ("http_order_response", "reply"),
    ("http_cancel_response", "cancel"),
    ("http_batch_cancel_response", "cancel"),
    ("clob_fee_rate", "fee"),
    ("clob_market", "resolution"),
    ("clob_book", "book"),
    ("data_api_positions", "positions"),
    ("data_api_trades", "wallet trades"),
    ("gamma_tags", "tags"),
    ("gamma_event", "events"),
    ("gamma_market", "markets"),
    ("rtds_", "rtds"),
    ("ws_", "market"),
    ("it_", "market"),
)


def page_of(page):
    """Return the markets of a metadata page, whole or refused."""
    if page.rejected:
        raise RemoteProtocolError(page.rejected[0])
    return page.markets if hasattr(page, "markets") else page.rows


def answer_of(reply):
    """Return an answer to an order or a cancel, unless it could not be read."""
    if reply.policy == Policy.AMBIGUOUS and reply.code == RejectCode.UNPARSEABLE:
        raise RemoteProtocolError(reply.text)
    return [reply]


def sent_for(payload):
    """Return an order that the answer could belong to."""
    named = json.loads(payload).get("orderID") or "0x" + "00" * 32
    return replies.Sent(bytes.fromhex(named[2:]), Action.BUY, 10**6, 2 * 10**6, OrderType.GTC)


POLYMARKET = {
    "user": lambda raw, _: UserCodec(ACCOUNT).decode(raw),
    "trade": lambda raw, _: lookups.decode_trades_page(200, page_around(raw), ACCOUNT).rows,
    "trades": lambda raw, _: lookups.decode_trades_page(200, raw, ACCOUNT).rows,
    "orders": lambda raw, _: lookups.decode_orders_page(200, raw).rows,
    "order": lambda raw, _: [lookups.decode_order(200, raw)],
    "reply": lambda raw, status: answer_of(replies.decode_order_reply(status, raw, sent_for(raw))),
    "cancel": lambda raw, _: answer_of(replies.decode_cancel_reply(200, raw)),
    "fee": lambda raw, _: [lookups.decode_fee_rate(200, raw)],
    "resolution": lambda raw, _: [resolution.decode_resolution(raw)],
    "book": lambda raw, _: [books.decode_book(raw)],
    "positions": lambda raw, _: [wallet.decode_holdings_page(200, raw)],
    "wallet trades": lambda raw, _: page_of(wallets.decode_wallet_trades(raw)),
    "tags": lambda raw, _: tags.decode_tags(raw),
    "events": lambda raw, _: page_of(gamma.decode_events(raw)),
    "markets": lambda raw, _: page_of(gamma.decode_markets(raw)),
    "rtds": lambda raw, _: events_of(prices.decode_rtds(raw)),
    "market": lambda raw, _: market.decode_any(raw),
}

BINANCE = {
    "ws_spot": lambda raw: events_of(StreamCodec("ms").decode(raw)),
    "http_depth": lambda raw: [rest.decode_depth(raw, "BTCUSDT")],
    "http_server_time": lambda raw: [rest.decode_time(raw)],
    "http_exchange_info": lambda raw: [rest.decode_exchange_info(raw)],
    "http_book_ticker": lambda raw: [rest.decode_book_ticker(raw)],
    "http_trades": lambda raw: rest.decode_trades(raw, "BTCUSDT"),
    "http_klines": lambda raw: rest.decode_klines(raw, "BTCUSDT", "1m", ANSWER_NOW_NS),
}


KALSHI = {
    "market_single": lambda raw: [catalogue.decode_market(raw)],
    "markets_list": lambda raw: catalogue.decode_markets(raw).rows,
    "event_single": lambda raw: [catalogue.decode_event(raw)],
    "events_list": lambda raw: catalogue.decode_events(raw).rows,
    "series_single": lambda raw: [catalogue.decode_series(raw)],
    "series_fee_changes": lambda raw: [exchange.decode_fee_changes(raw)],
    "trades_list": lambda raw: exchange.decode_trades(raw).rows,
    "orderbook": lambda raw: [exchange.decode_book(raw)],
    "exchange_status": lambda raw: [exchange.decode_status(raw)],
    "exchange_schedule": lambda raw: [exchange.decode_schedule(raw)],
    "incentive_programs": lambda raw: exchange.decode_incentives(raw).rows,
    "create_order": lambda raw: [orders.decode_create_reply(raw)],
    "cancel_order": lambda raw: [orders.decode_cancel_reply(raw)],
    "decrease_order": lambda raw: [orders.decode_order(raw)],
    "amend_order": lambda raw: [orders.decode_amend_reply(raw)],
    "batch_create": orders.decode_batch_create_reply,
    "batch_cancel": orders.decode_batch_cancel_reply,
    "order_queue": lambda raw: [orders.decode_queue_position(raw)],
    "portfolio_order_single": lambda raw: [orders.decode_order(raw)],
    "portfolio_orders": lambda raw: orders.decode_orders(raw).rows,
    "portfolio_fills": lambda raw: orders.decode_fills(raw).rows,
    "portfolio_balance": lambda raw: [holdings.decode_balance(raw)],
    "portfolio_positions": lambda raw: holdings.decode_positions(raw).markets,
    "portfolio_settlements": lambda raw: holdings.decode_settlements(raw).rows,
    "ws_": lambda raw: [kalshi_stream.decode(raw)],
}
"""By the start of a file's name."""


def page_around(row):
    """Return a page that holds one row."""
    return b'{"data":[' + row + b'],"next_cursor":"LTE="}'


def events_of(value):
    """Return a decoder's value as a list."""
    return list(value) if isinstance(value, list | tuple) else [value]


def started(table, name):
    """Return the entry of a table whose key the name starts with."""
    return next((value for start, value in table.items() if name.startswith(start)), None)


def frames_of(path):
    """Yield the payloads of a file: lines or a document, without the collector's wrapper."""
    text = path.read_text()
    rows = [text] if path.suffix == ".json" else text.splitlines()
    for row in rows:
        if not row.strip():
            continue
        value = json.loads(row)
        wrapped = value if isinstance(value, list) else [value]
        if all(isinstance(each, dict) and "frame" in each for each in wrapped):
            for each in wrapped:
                inner = each.get("raw") or each["frame"]
                yield inner.encode() if isinstance(inner, str) else json.dumps(inner).encode()
        else:
            yield as_sent(path.name, value, row.encode())


def as_sent(name, value, raw):
    """Return a fixture as a venue would have sent it; others come back as they are."""
    tag = started(UNTAGGED, name)
    if tag is not None and "event_type" not in value:
        value = {"event_type": tag, **value}
    elif started(BY_HAND, name) is None:
        return raw
    if started(BY_HAND, name) is not None:
        value = mended(value, "")
    if name == "clob_book_response.json":
        always = {"min_order_size": "5", "tick_size": "0.01", "neg_risk": False}
        value = {**value, **always, "last_trade_price": ""}
    if name == "http_trade_report.json":
        value["maker_orders"] = value["maker_orders"][:1]
    return json.dumps(value).encode()


def mended(value, key):
    """Replace ids that are none and times before the venue was by some that are well-formed."""
    if isinstance(value, dict):
        return {name: mended(each, name) for name, each in value.items()}
    if isinstance(value, list):
        return [mended(each, key) for each in value]
    if isinstance(value, str) and key in ID_KEYS and value.startswith("0x"):
        well = re.fullmatch(r"0x([0-9a-fA-F]{64}|[0-9a-fA-F]{40})", value)
        return value if well else "0x" + hashlib.sha256(value.encode()).hexdigest()
    if isinstance(value, int) and MS_2000 <= value < MS_2020:
        return value + TEN_YEARS_MS
    if key in {"E", "O", "C"} and isinstance(value, int):
        return MS_2020 + value
    return value


def recorded_stream(path):
    """Yield the frames of a cryptofeed recording: ``time: frame`` after a line with the address."""
    for line in path.read_text().splitlines()[1:]:
        _, _, frame = line.partition(": ")
        if frame:
            yield frame.encode()


def recorded_answers(path):
    """Yield (symbol, answer) of a cryptofeed recording: ``address -> time: answer``."""
    for line in path.read_text().splitlines():
        found = re.match(r"\S+symbol=(\w+)\S* -> [0-9.]+: (\{.*)", line)
        if found:
            yield found[1], found[2].encode()


def look(folder, report):
    """Decode everything below a folder; report(file, decode or None) for each payload."""
    for path in sorted((folder / "polymarket").rglob("*.json*")):
        kind = started(dict(ROUTES), path.name)
        if path.name in NO_MESSAGE or kind is None:
            report(path, None)
            continue
        status = 500 if path.name.endswith("_500.json") else 200
        for raw in frames_of(path):
            report(path, lambda raw=raw, kind=kind, status=status: POLYMARKET[kind](raw, status))
    for path in sorted((folder / "binance").rglob("*.*")):
        look_binance(path, report)
    for path in sorted((folder / "kalshi").rglob("*.json*")):
        look_kalshi(path, report)


def look_binance(path, report):
    """The same for a file of the spot exchange."""
    decode = started(BINANCE, path.name)
    if "synthetic" in path.name:
        for each in json.loads(path.read_text()).get("messages", []):
            raw = bytes.fromhex(each["hex"])
            report(path, lambda raw=raw: events_of(decode_sbe(raw)))
    elif ".ws." in path.name:
        codec = StreamCodec("ms")
        for raw in recorded_stream(path):
            report(path, lambda raw=raw: events_of(codec.decode(raw)))
    elif ".http." in path.name:
        for symbol, raw in recorded_answers(path):
            report(path, lambda raw=raw, symbol=symbol: [rest.decode_depth(raw, symbol)])
    elif decode is None:
        report(path, None)
    else:
        for raw in frames_of(path):
            report(path, lambda raw=raw: decode(raw))


def look_kalshi(path, report):
    """The same for a file of Kalshi: an answer beside its metadata, or lines with raw frames."""
    decode = started(KALSHI, path.name)
    if decode is None:
        report(path, None)
    elif path.suffix == ".jsonl":
        for line in path.read_text().splitlines():
            raw = json.loads(line)["msg"].encode()
            report(path, lambda raw=raw: decode(raw))
    else:
        raw = json.dumps(json.loads(path.read_text())["response"]).encode()
        report(path, lambda: decode(raw))


def main():
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    names = ("decoded", "mended first", "left out", "unknown", "refused")
    counts = dict.fromkeys(names, 0)

    def report(path, decode):
        if decode is None:
            why = NO_MESSAGE.get(path.name)
            counts["unknown" if why is None else "left out"] += 1
            print(f"{'no codec' if why is None else 'left out'} {path.name}: {why or ''}")
            return
        try:
            events = decode()
        except RemoteProtocolError as error:
            counts["refused"] += 1
            print(f"refused  {path.name}: {str(error)[:160]}")
            return
        for event in events:
            if type(event).__name__ == Ignored.__name__ or event is None:
                counts["unknown"] += 1
                print(f"unknown  {path.name}: {event}")
            else:
                counts["decoded"] += 1
        counts["mended first"] += started({**UNTAGGED, **BY_HAND}, path.name) is not None

    look(pathlib.Path(sys.argv[1]), report)
    print(", ".join(f"{count} {name}" for name, count in counts.items()))
    return 1 if counts["unknown"] or counts["refused"] else 0


if __name__ == "__main__":
    sys.exit(main())
