"""A made-up universe for benches: market rows, real-shaped ids and frames, one feed to eat them."""

import hashlib
import json

from lowlat.core.clock import RealClock
from lowlat.core.layout import (
    MARKET_ROW,
    MARKET_STATE,
    Coin,
    Exchange,
    Known,
    MarketRow,
    MarketStateChange,
    MarketStateReason,
    MarketStatus,
    SettleRule,
    Writer,
    record_id,
)
from lowlat.core.ports import StreamWriter, TableWriter

__all__ = [
    "KILLED",
    "NullCell",
    "book_frame",
    "change_frame",
    "market_ids",
    "market_row",
    "put_market",
]

HOUR_NS = 3_600_000_000_000
KILLED = (
    b'{"error":"no orders found to match with FAK order. FAK orders are partially filled or '
    b'killed if no match is found."}'
)
"""What the venue says, with status 400, of an order that met nothing."""


class NullCell:
    """A counter that nobody reads."""

    def add(self, count: int) -> None:
        """Forget count."""

    def set(self, value: int) -> None:
        """Forget value."""

    def max(self, value: int) -> None:
        """Forget value."""


def market_ids(market: int) -> tuple[str, str, str]:
    """Condition id, YES token, NO token of a made-up market."""
    digests = [hashlib.sha256(f"{market}/{part}".encode()).digest() for part in range(3)]
    condition, yes, no = (int.from_bytes(digest, "big") | 1 << 255 for digest in digests)
    return f"0x{condition:064x}", str(yes), str(no)


def market_row(market: int, *, crypto: bool = False) -> MarketRow:
    """Everything known, tradeable; a crypto market settles on Binance above a strike."""
    condition, yes, no = market_ids(market)
    now_ns = RealClock().wall_ns()
    known = Known.TRADEABLE | Known.SETTLE_RULE | Known.START_PRICE
    values = dict.fromkeys(MarketRow._fields, 0) | {
        "id": record_id(Writer.METADATA, 1, market + 1),
        "condition_id": bytes.fromhex(condition[2:]),
        "yes_token_id": int(yes).to_bytes(32, "big"),
        "no_token_id": int(no).to_bytes(32, "big"),
        "event_id": bytes(32),
        "start_ns": now_ns - HOUR_NS,
        "end_ns": now_ns + HOUR_NS,
        "min_size_e6": 5_000_000,
        "fee_rate_e6": 70_000 if crypto else 40_000,
        "market": market,
        "generation": 1,
        "known": int(known),
        "tick_e4": 100,
        "event_market_count": 1,
        "fee_exponent": 1,
        "fee_taker_only": 1,
        "status": MarketStatus.ACTIVE,
        "exchange": Exchange.STANDARD,
        "settle_rule": SettleRule.BINANCE_ABOVE if crypto else SettleRule.NOT_CRYPTO,
        "coin": Coin.BTC if crypto else Coin.NONE,
        "slug": f"bench-{market}".encode().ljust(64, b"\0"),
        "question": b"".ljust(96, b"\0"),
    }
    if "start_price_e8" in values and crypto:
        values["start_price_e8"] = values["strike_e8"] = 100_000 * 10**8
    return MarketRow(**values)


def put_market(table: TableWriter, stream: StreamWriter, row: MarketRow) -> None:
    """Write a market row and say so."""
    MARKET_ROW.pack(table.buffer, row)
    version = table.write(row.market)
    state = MarketStateChange(
        row.id,
        version,
        0,
        0,
        row.market,
        row.generation,
        MarketStateReason.METADATA,
        row.status,
        row.tick_e4,
    )
    MARKET_STATE.pack(stream.buffer, state)
    stream.publish(MARKET_STATE.kind)


def book_frame(
    market: int, bids: list[tuple[str, str]], asks: list[tuple[str, str]], at_ms: int
) -> bytes:
    """Whole-book frame of a market's YES token; levels as the venue sends them, best last."""
    condition, yes, _ = market_ids(market)
    return _dump(
        [
            {
                "market": condition,
                "asset_id": yes,
                "timestamp": str(at_ms),
                "hash": "ab" * 20,
                "bids": [{"price": price, "size": size} for price, size in bids],
                "asks": [{"price": price, "size": size} for price, size in asks],
                "tick_size": "0.01",
                "event_type": "book",
                "last_trade_price": "0.5",
            }
        ]
    )


def change_frame(
    market: int, side: str, price_e4: int, size: str, best: tuple[int, int], at_ms: int
) -> bytes:
    """One price_change with both tokens, as the venue sends it. ``best`` is YES (bid, ask) e4."""
    condition, yes, no = market_ids(market)
    bid, ask = best
    other = "SELL" if side == "BUY" else "BUY"
    rows = [
        (yes, price_e4, side, bid, ask),
        (no, 10_000 - price_e4, other, 10_000 - ask, 10_000 - bid),
    ]
    return _dump(
        {
            "market": condition,
            "price_changes": [
                {
                    "asset_id": token,
                    "price": _price(price),
                    "size": size,
                    "side": of,
                    "hash": hashlib.sha1(f"{price}{size}".encode()).hexdigest(),
                    "best_bid": _price(low),
                    "best_ask": _price(high),
                }
                for token, price, of, low, high in rows
            ],
            "timestamp": str(at_ms),
            "event_type": "price_change",
        }
    )


def _price(price_e4: int) -> str:
    return f"{price_e4 / 10_000:.4f}".rstrip("0")


def _dump(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
