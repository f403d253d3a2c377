"""Exact shapes of the venue's messages and REST rows. Numbers are strings, times as the venue's.

Source: polymarket.md 1.4, 5.4, 5.5, 8, 9. Levels: bids ascending, asks descending, best last.
"""

import hashlib
from functools import lru_cache
from typing import Any, Final

import orjson

from lowlat.core.units import ONE_E4, format_fixed, parse_fixed
from lowlat.sim.catalog import Market
from lowlat.sim.ladder import BUY, YES, Order
from lowlat.sim.trades import MakerFill, Trade
from lowlat.sim.verify import checksum_address

__all__ = [
    "best_bid_ask",
    "best_event",
    "book",
    "book_event",
    "last_trade_event",
    "new_market_event",
    "open_order",
    "order_event",
    "price_change_event",
    "resolved_event",
    "tick_event",
    "trade_event",
    "trade_row",
    "trade_status",
]

MS: Final = 1_000_000
NS: Final = 1_000_000_000
NO_BID: Final = "0"
NO_ASK: Final = "1"


@lru_cache(maxsize=1 << 14)
def price_text(price_e4: int) -> str:
    """Write a contract price."""
    return format_fixed(price_e4, 4)


@lru_cache(maxsize=1 << 14)
def size_text(size_e6: int) -> str:
    """Write a size or an amount of cash."""
    return format_fixed(size_e6, 6)


def side_text(side: int) -> str:
    """Write a side."""
    return "BUY" if side == BUY else "SELL"


def levels(market: Market, outcome: int) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Return a token's bids (ascending) and asks (descending) as served."""
    ladder = market.ladder
    if outcome == YES:
        bids = ladder.bid_levels()
        asks = ladder.ask_levels()[::-1]
    else:
        bids = [(ONE_E4 - p, size) for p, size in reversed(ladder.ask_levels())]
        asks = [(ONE_E4 - p, size) for p, size in ladder.bid_levels()]
    return [_level(*each) for each in bids], [_level(*each) for each in asks]


def book(market: Market, outcome: int, now_ns: int) -> dict[str, Any]:
    """Return the REST book object, its hash computed as the venue does. Source: 1.4, 8.3."""
    bids, asks = levels(market, outcome)
    last = market.last_trade_e4
    if last is not None and outcome != YES:
        last = ONE_E4 - last
    value: dict[str, Any] = {
        "market": market.condition_id,
        "asset_id": market.tokens[outcome],
        "timestamp": str(now_ns // MS),
        "hash": "",
        "bids": bids,
        "asks": asks,
        "min_order_size": size_text(market.rules.min_size_e6),
        "tick_size": price_text(market.tick_e4),
        "neg_risk": market.rules.neg_risk,
        "last_trade_price": "" if last is None else price_text(last),
    }
    value["hash"] = hashlib.sha1(orjson.dumps(value), usedforsecurity=False).hexdigest()
    return value


def book_event(market: Market, outcome: int, now_ns: int, *, dump: bool) -> dict[str, Any]:
    """Return a socket's book event; the initial dump carries two keys more."""
    value = book(market, outcome, now_ns)
    event = {
        "market": value["market"],
        "asset_id": value["asset_id"],
        "timestamp": value["timestamp"],
        "hash": value["hash"],
        "bids": value["bids"],
        "asks": value["asks"],
        "event_type": "book",
    }
    if dump:
        event["tick_size"] = value["tick_size"]
        event["last_trade_price"] = value["last_trade_price"]
    return event


def best_bid_ask(market: Market, outcome: int) -> tuple[str, str]:
    """Return a token's best prices; "0" and "1" stand for an empty side."""
    bid, ask = market.ladder.best_bid_e4(), market.ladder.best_ask_e4()
    if outcome != YES:
        bid, ask = (
            None if ask is None else ONE_E4 - ask,
            None if bid is None else ONE_E4 - bid,
        )
    return (
        NO_BID if bid is None else price_text(bid),
        NO_ASK if ask is None else price_text(ask),
    )


def best_event(market: Market, outcome: int, now_ns: int) -> dict[str, Any]:
    """Return a best_bid_ask event (custom feature)."""
    bid, ask = best_bid_ask(market, outcome)
    spread_e4 = parse_fixed(ask, 4) - parse_fixed(bid, 4)
    return {
        "market": market.condition_id,
        "asset_id": market.tokens[outcome],
        "best_bid": bid,
        "best_ask": ask,
        "spread": price_text(spread_e4),
        "timestamp": str(now_ns // MS),
        "event_type": "best_bid_ask",
    }


def price_change_event(
    market: Market, changes: list[tuple[bool, int]], now_ns: int
) -> dict[str, Any]:
    """Return a price_change for both tokens; ``changes`` are (is_bid, YES price)."""
    yes_bid, yes_ask = best_bid_ask(market, YES)
    no_bid, no_ask = best_bid_ask(market, 1)
    stamp = str(now_ns // MS)
    rows = []
    for is_bid, yes_e4 in dict.fromkeys(changes):
        size = size_text(market.ladder.size_at_e6(is_bid=is_bid, yes_price_e4=yes_e4))
        mark = f"{market.condition_id}{stamp}{yes_e4}{size}{is_bid}".encode()
        opaque = hashlib.sha1(mark, usedforsecurity=False).hexdigest()
        rows.append(
            {
                "asset_id": market.tokens[0],
                "price": price_text(yes_e4),
                "size": size,
                "side": "BUY" if is_bid else "SELL",
                "hash": opaque,
                "best_bid": yes_bid,
                "best_ask": yes_ask,
            }
        )
        rows.append(
            {
                "asset_id": market.tokens[1],
                "price": price_text(ONE_E4 - yes_e4),
                "size": size,
                "side": "SELL" if is_bid else "BUY",
                "hash": opaque[::-1],
                "best_bid": no_bid,
                "best_ask": no_ask,
            }
        )
    return {
        "market": market.condition_id,
        "price_changes": rows,
        "timestamp": stamp,
        "event_type": "price_change",
    }


def last_trade_event(trade: Trade, now_ns: int) -> dict[str, Any]:
    """Return the print of a trade, under the taker's token."""
    return {
        "market": trade.market.condition_id,
        "asset_id": trade.market.tokens[trade.taker.outcome],
        "price": price_text(trade.price_e4),
        "size": size_text(trade.size_e6),
        "fee_rate_bps": "0",
        "side": side_text(trade.taker.side),
        "timestamp": str(now_ns // MS),
        "event_type": "last_trade_price",
        "transaction_hash": trade.transaction_hash,
    }


def tick_event(market: Market, outcome: int, old_tick_e4: int, now_ns: int) -> dict[str, Any]:
    """Return a tick size change of one token."""
    return {
        "market": market.condition_id,
        "asset_id": market.tokens[outcome],
        "old_tick_size": price_text(old_tick_e4),
        "new_tick_size": price_text(market.tick_e4),
        "timestamp": str(now_ns // MS),
        "event_type": "tick_size_change",
    }


def new_market_event(market: Market, now_ns: int) -> dict[str, Any]:
    """Return the listing of a market; goes to every socket with the custom flag."""
    rules = market.rules
    return {
        "id": market.id,
        "question": market.question,
        "market": market.condition_id,
        "slug": market.slug,
        "description": market.question,
        "assets_ids": list(market.tokens),
        "outcomes": list(market.outcomes),
        "event_message": _event_message(market),
        "timestamp": str(now_ns // MS),
        "tags": [rules.category],
        "condition_id": market.condition_id,
        "active": True,
        "clob_token_ids": list(market.tokens),
        "order_price_min_tick_size": price_text(market.tick_e4),
        "group_item_title": market.group_item,
        "taker_base_fee": "0",
        "fees_enabled": rules.fee_rate_e4 > 0,
        "fee_schedule": {
            "exponent": "1",
            "rate": price_text(rules.fee_rate_e4),
            "taker_only": True,
            "rebate_rate": str(rules.rebate),
        },
        "event_type": "new_market",
    }


def resolved_event(market: Market, now_ns: int) -> dict[str, Any]:
    """Return the end of a market."""
    assert market.winner is not None, f"market {market.slug} has no winner"
    return {
        "id": market.id,
        "market": market.condition_id,
        "assets_ids": list(market.tokens),
        "winning_asset_id": market.tokens[market.winner],
        "winning_outcome": market.outcomes[market.winner],
        "event_message": _event_message(market),
        "timestamp": str(now_ns // MS),
        "tags": [market.rules.category],
        "event_type": "market_resolved",
    }


def order_event(
    order: Order, market: Market, kind: str, status: str, now_ns: int
) -> dict[str, Any]:
    """Return a user order event. Source: 9."""
    # A killed FOK or FAK comes with two fields empty, as seen live.
    killed = kind == "CANCELLATION" and order.is_market
    return {
        "id": order.id,
        "owner": order.owner,
        "market": market.condition_id,
        "asset_id": market.tokens[order.outcome],
        "side": side_text(order.side),
        "order_owner": order.owner,
        "original_size": size_text(order.size_e6),
        "size_matched": "" if killed else size_text(order.matched_e6),
        "price": price_text(order.price_e4),
        "associate_trades": list(order.trades) or None,
        "outcome": market.outcomes[order.outcome],
        "type": kind,
        "created_at": "" if killed else str(order.created_ns // NS),
        "expiration": str(order.expiration_s),
        "order_type": order.order_type,
        "status": status,
        "maker_address": checksum_address(order.account),
        "timestamp": str(now_ns // MS),
        "event_type": "order",
    }


def trade_event(trade: Trade, owner: str, now_ns: int) -> dict[str, Any]:
    """Return a user trade event as one party sees it. Source: 9.

    The match time comes under both names: the specification has one, recordings the other, and
    clients insist on either.
    """
    match_text = str(trade.match_ns // NS)
    return {
        **_trade(trade, owner),
        "type": "TRADE",
        "status": trade.status,
        "matchtime": match_text,
        "match_time": match_text,
        "trade_owner": trade.taker.owner,
        "timestamp": str(now_ns // MS),
        "event_type": "trade",
    }


def trade_row(trade: Trade, owner: str, *, prefixed: bool) -> dict[str, Any]:
    """Return a row of GET /data/trades; ``prefixed`` as SimConfig.status_prefix. Source: 5.5."""
    return {
        **_trade(trade, owner),
        "type": "TRADE",
        # "" on the socket; the official client wants a number here.
        "fee_rate_bps": "0",
        "status": trade_status(trade, prefixed=prefixed),
        "match_time": str(trade.match_ns // NS),
        "match_time_nano": str(trade.match_ns),
        "err_msg": "",
    }


def trade_status(trade: Trade, *, prefixed: bool) -> str:
    """Return a trade's status as REST says it."""
    return f"TRADE_STATUS_{trade.status}" if prefixed else trade.status


def open_order(order: Order, market: Market, *, prefixed: bool) -> dict[str, Any]:
    """Return a row of GET /data/orders; ``prefixed`` as SimConfig.status_prefix. Source: 5.4."""
    known = {"LIVE": "LIVE", "MATCHED": "MATCHED", "DELAYED": "LIVE", "INVALID": "INVALID"}
    status = known.get(order.state, "CANCELED")
    if order.canceled == "CANCELED_MARKET_RESOLVED":
        status = order.canceled
    return {
        "id": order.id,
        "status": f"ORDER_STATUS_{status}" if prefixed else status,
        "owner": order.owner,
        "maker_address": checksum_address(order.account),
        "market": market.condition_id,
        "asset_id": market.tokens[order.outcome],
        "side": side_text(order.side),
        "original_size": size_text(order.size_e6),
        "size_matched": size_text(order.matched_e6),
        "price": price_text(order.price_e4),
        "outcome": market.outcomes[order.outcome],
        "expiration": str(order.expiration_s),
        "order_type": order.order_type,
        "associate_trades": list(order.trades),
        "created_at": order.created_ns // NS,
    }


def _trade(trade: Trade, owner: str) -> dict[str, Any]:
    market, taker = trade.market, trade.taker
    return {
        "id": trade.id,
        "taker_order_id": taker.id,
        "market": market.condition_id,
        "asset_id": market.tokens[taker.outcome],
        "side": side_text(taker.side),
        "size": size_text(trade.size_e6),
        "fee_rate_bps": "",
        "price": price_text(trade.price_e4),
        "last_update": str(trade.updated_ns // NS),
        "outcome": market.outcomes[taker.outcome],
        "bucket_index": trade.bucket_index,
        "owner": taker.owner,
        "maker_address": checksum_address(taker.account),
        "transaction_hash": trade.transaction_hash,
        "trader_side": "TAKER" if taker.owner == owner else "MAKER",
        "maker_orders": [_maker_row(fill, market) for fill in trade.fills],
    }


def _maker_row(fill: MakerFill, market: Market) -> dict[str, Any]:
    order = fill.order
    return {
        "order_id": order.id,
        "owner": order.owner,
        "maker_address": checksum_address(order.account),
        "matched_amount": size_text(fill.size_e6),
        "price": price_text(order.price_e4),
        "fee_rate_bps": "",
        "asset_id": market.tokens[order.outcome],
        "outcome": market.outcomes[order.outcome],
        "side": side_text(order.side),
    }


def _event_message(market: Market) -> dict[str, str]:
    event = market.event
    return {
        "id": event.id,
        "ticker": event.slug,
        "slug": event.slug,
        "title": event.title,
        "description": event.title,
    }


def _level(price_e4: int, size_e6: int) -> dict[str, str]:
    return {"price": price_text(price_e4), "size": size_text(size_e6)}
