"""The little market of the rehearsal: its row, its frames, and the price that it hangs on.

Used by rehearsal.py alone, over private memory. The price stands so far over the strike that the
cheap ask is worth an order and the dear one is not; each frame changes the cheap ask's size, so
that every one of them triggers.
"""

from typing import Any, Final

import msgspec

from lowlat.core.clock import RealClock
from lowlat.core.layout import (
    MARKET_ROW,
    MARKET_STATE,
    SPOT_TOP,
    Coin,
    Exchange,
    Known,
    MarketRow,
    MarketStateChange,
    MarketStateReason,
    MarketStatus,
    SettleRule,
    SpotTop,
    Venue,
    Writer,
    record_id,
)
from lowlat.shm.private import PrivateMemory

__all__ = ["RehearsalMarket"]

_SECOND_NS: Final = 1_000_000_000
_HOUR_NS: Final = 3600 * _SECOND_NS
_SPOT_NS: Final = 100_000_000
_CONDITION: Final = f"0x{1:064x}"
_YES, _NO = str(1 << 255 | 1), str(1 << 255 | 3)
_STRIKE_E8: Final = 100_000 * 10**8
_SPOT_E8: Final = 100_018 * 10**8
"""So far over the strike that the cheap ask is worth an order and the dear one is not."""
_BID_E4, _DEAR_E4, _CHEAP_E4 = 3000, 5600, 5400


class RehearsalMarket:
    """One market on the spot price, its frames, and the price: far enough over the strike."""

    def __init__(self, memory: PrivateMemory, clock: RealClock) -> None:
        """Write into ``memory``, the rehearsal's own."""
        self._clock = clock
        self._rows = memory.open_table_writer("markets")
        self._metadata = memory.open_stream_writer("metadata")
        self._spot_row = memory.open_table_writer("spot_top")
        self._spots = memory.open_stream_writer("spot")
        # A reader begins at the next record: the writers come first.
        memory.open_stream_writer("settle")
        self._listed_ns = 0
        self._spot_ns = 0
        self._seq = 0
        at_ms = clock.wall_ns() // 1_000_000
        asks = [(price, "100") for price in range(9900, _DEAR_E4 - 100, -100)]
        bids = [(price, "100") for price in range(100, _BID_E4 + 100, 100)]
        self.book: Final = _book_frame(bids, asks, at_ms)
        self._frames: Final = [_change_frame(size, at_ms) for size in ("73.31", "74.42")]

    def turn(self, now_ns: int) -> None:
        """Tell the price, and put the end of the market off, when due."""
        if now_ns - self._spot_ns >= _SPOT_NS:
            self.spot(now_ns)
        if now_ns - self._listed_ns >= _HOUR_NS // 4:
            self.list()

    def next_frame(self) -> bytes:
        """Return a frame that changes the cheap ask's size."""
        self._frames.reverse()
        return self._frames[0]

    def spot(self, now_ns: int) -> None:
        """Tell the price as of now."""
        self._spot_ns = now_ns
        self._seq += 1
        # A cent up and down: volatility stays at its floor, the price stays where it is.
        price_e8 = _SPOT_E8 + 10**6 * (self._seq & 1)
        top = SpotTop(
            record_id(Writer.BINANCE, self._spots.epoch, self._seq),
            self._seq,
            self._clock.wall_ns(),
            now_ns,
            now_ns,
            now_ns,
            price_e8 - 10**6,
            10**8,
            price_e8 + 10**6,
            10**8,
            Coin.BTC,
            Venue.BINANCE,
            1,
            0,
        )
        SPOT_TOP.pack(self._spot_row.buffer, top)
        self._spot_row.write(Coin.BTC)
        SPOT_TOP.pack(self._spots.buffer, top)
        self._spots.publish(SPOT_TOP.kind)

    def list(self) -> None:
        """Write the market's row: it ends in an hour."""
        wall_ns = self._clock.wall_ns()
        self._listed_ns = self._clock.monotonic_ns()
        values: dict[str, Any] = dict.fromkeys(MarketRow._fields, 0)
        row = MarketRow(
            **values
            | {
                "id": record_id(Writer.METADATA, 1, 1),
                "condition_id": bytes.fromhex(_CONDITION[2:]),
                "yes_token_id": int(_YES).to_bytes(32, "big"),
                "no_token_id": int(_NO).to_bytes(32, "big"),
                "event_id": bytes(32),
                "start_ns": wall_ns - _HOUR_NS,
                "end_ns": wall_ns + _HOUR_NS,
                "min_size_e6": 5_000_000,
                "fee_rate_e6": 70_000,
                "generation": 1,
                "known": int(Known.TRADEABLE | Known.SETTLE_RULE | Known.START_PRICE),
                "tick_e4": 100,
                "event_market_count": 1,
                "fee_exponent": 1,
                "fee_taker_only": 1,
                "status": MarketStatus.ACTIVE,
                "exchange": Exchange.STANDARD,
                "settle_rule": SettleRule.BINANCE_ABOVE,
                "coin": Coin.BTC,
                "strike_e8": _STRIKE_E8,
                "start_price_e8": _STRIKE_E8,
                "slug": b"rehearsal".ljust(64, b"\0"),
                "question": bytes(96),
            }
        )
        MARKET_ROW.pack(self._rows.buffer, row)
        version = self._rows.write(0)
        state = MarketStateChange(
            row.id, version, 0, 0, 0, 1, MarketStateReason.METADATA, row.status, row.tick_e4
        )
        MARKET_STATE.pack(self._metadata.buffer, state)
        self._metadata.publish(MARKET_STATE.kind)


def _text(price_e4: int) -> str:
    return f"{price_e4 / 10_000:.2f}"


def _book_frame(bids: list[tuple[int, str]], asks: list[tuple[int, str]], at_ms: int) -> bytes:
    levels = [
        [{"price": _text(price_e4), "size": size} for price_e4, size in side]
        for side in (bids, asks)
    ]
    return msgspec.json.encode(
        [
            {
                "market": _CONDITION,
                "asset_id": _YES,
                "timestamp": str(at_ms),
                "hash": "ab" * 20,
                "bids": levels[0],
                "asks": levels[1],
                "tick_size": "0.01",
                "event_type": "book",
                "last_trade_price": "0.5",
            }
        ]
    )


def _change_frame(size: str, at_ms: int) -> bytes:
    """Set the size of the ask that is cheap."""
    changes = [
        {
            "asset_id": token,
            "price": _text(price_e4),
            "size": size,
            "side": side,
            "hash": "ab" * 20,
            "best_bid": _text(bid_e4),
            "best_ask": _text(best_e4),
        }
        for token, price_e4, side, bid_e4, best_e4 in (
            (_YES, _CHEAP_E4, "SELL", _BID_E4, _CHEAP_E4),
            (_NO, 10_000 - _CHEAP_E4, "BUY", 10_000 - _CHEAP_E4, 10_000 - _BID_E4),
        )
    ]
    return msgspec.json.encode(
        {
            "market": _CONDITION,
            "price_changes": changes,
            "timestamp": str(at_ms),
            "event_type": "price_change",
        }
    )
