"""Plays a converted recording: one market's book as it was, one spot symbol as it was. Pure.

The recorded market stands among the generated ones under an id of its own. When its changes are
over, the generated makers take it up around the book that is left. Made by tools/convert_tape.py.
"""

import importlib.resources
from random import Random
from typing import Final

import msgspec

from lowlat.core.errors import ConfigError
from lowlat.core.units import ONE_E4
from lowlat.sim.accounts import Account
from lowlat.sim.binance import Binance
from lowlat.sim.catalog import Market, Rules
from lowlat.sim.config import SimConfig
from lowlat.sim.exchange import Exchange
from lowlat.sim.flow import MAKER_CASH_E6, Flow
from lowlat.sim.ladder import BUY, NO, YES, Order
from lowlat.sim.quotes import quote
from lowlat.sim.timers import Timers
from lowlat.sim.universe import Universe

__all__ = ["RecordedMarket", "Tape", "TapePlayer", "load_tape"]

MS: Final = 1_000_000
YEAR_NS: Final = 365 * 86_400 * 1_000_000_000
FORMAT: Final = 1
SHIPPED: Final = "recorded.json"


class RecordedMarket(msgspec.Struct, frozen=True):
    """A book in YES terms and the absolute level changes that follow it."""

    tick_e4: int
    bids: list[tuple[int, int]]
    asks: list[tuple[int, int]]
    changes: list[tuple[int, bool, int, int]]
    """(ms since the start, is_bid, price, new size)."""


class RecordedSpot(msgspec.Struct, frozen=True):
    """A spot book, its tops and its diffs, all in 1e-8."""

    symbol: str
    last_update_id: int
    bids: list[tuple[int, int]]
    asks: list[tuple[int, int]]
    tops: list[tuple[int, int, int, int, int, int]]
    diffs: list[tuple[int, int, int, list[tuple[int, int]], list[tuple[int, int]]]]


class Tape(msgspec.Struct, frozen=True):
    """One recording."""

    format: int
    provenance: str
    market: RecordedMarket
    spot: RecordedSpot


def load_tape(name: str) -> Tape | None:
    """Read a tape: ``shipped``, a path, or ``none``. Raises ConfigError."""
    if name == "none":
        return None
    try:
        if name == "shipped":
            source = importlib.resources.files("lowlat.sim").joinpath("data", SHIPPED)
            raw = source.read_bytes()
        else:
            with open(name, "rb") as file:
                raw = file.read()
        tape = msgspec.json.decode(raw, type=Tape)
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigError(f"sim.tape was {name!r}: {error}") from error
    if tape.format != FORMAT:
        raise ConfigError(f"sim.tape {name!r} has format {tape.format}, expected {FORMAT}")
    return tape


class TapePlayer:
    """Plays one tape at a speed, beginning with the venue."""

    def __init__(
        self,
        tape: Tape,
        config: SimConfig,
        exchange: Exchange,
        universe: Universe,
        flow: Flow,
        binance: Binance,
        timers: Timers,
        rng: Random,
    ) -> None:
        self._tape = tape
        self._speed = config.tape_speed
        self._exchange = exchange
        self._universe = universe
        self._flow = flow
        self._binance = binance
        self._timers = timers
        self._rng = rng
        self._levels: dict[tuple[bool, int], Order] = {}
        wallet = f"0x{rng.getrandbits(160):040x}"
        self._account: Account = exchange.accounts.open(wallet, "recording", 0, MAKER_CASH_E6)
        self.market: Market | None = None
        self.played = 0

    def open(self, now_ns: int) -> None:
        """List the recorded market with its first book and plan everything that follows."""
        recorded = self._tape.market
        rules = Rules("Politics", fee_rate_e4=400, rebate=0.25, tick_e4=recorded.tick_e4)
        event = self._universe.new_event(
            "recorded-book", "Will the recorded market say yes?", rules
        )
        market = self._universe.new_market(
            event, event.title, event.slug, "binary", now_ns, now_ns + YEAR_NS
        )
        self.market = market
        self._flow.held.add(market.index)
        best_bid, best_ask = recorded.bids[-1][0], recorded.asks[-1][0]
        self._universe.fair[market.index] = (best_bid + best_ask) / 2 / ONE_E4
        self._exchange.list_market(market, now_ns)
        levels = [(True, *each) for each in recorded.bids]
        levels += [(False, *each) for each in recorded.asks]
        for level in levels:
            self._set(market, level, now_ns)
        last_ns = now_ns
        for at_ms, is_bid, price_e4, size_e6 in recorded.changes:
            last_ns = self._due_ns(now_ns, at_ms)
            self._timers.at(last_ns, _Change(self, market, (is_bid, price_e4, size_e6)))
        self._timers.at(last_ns, lambda at_ns: self._release(market, at_ns))
        self._open_spot(now_ns)

    def apply(self, market: Market, level: tuple[bool, int, int], now_ns: int) -> None:
        """Set one level of the recorded market to its new total."""
        if not market.closed:
            self._set(market, level, now_ns)
            self.played += 1

    def _open_spot(self, now_ns: int) -> None:
        spot = self._tape.spot
        self._binance.open_recorded(spot.symbol, spot.last_update_id, spot.bids, spot.asks)
        for at_ms, update_id, bid, bid_size, ask, ask_size in spot.tops:
            top = (update_id, bid, bid_size, ask, ask_size)
            self._timers.at(self._due_ns(now_ns, at_ms), _Top(self._binance, spot.symbol, top))
        for at_ms, first, last, bids, asks in spot.diffs:
            diff = _Diff(self._binance, spot.symbol, first, last, (bids, asks))
            self._timers.at(self._due_ns(now_ns, at_ms), diff)

    def _due_ns(self, start_ns: int, at_ms: int) -> int:
        return start_ns + round(at_ms / self._speed) * MS

    def _set(self, market: Market, level: tuple[bool, int, int], now_ns: int) -> None:
        is_bid, price_e4, size_e6 = level
        old = self._levels.pop((is_bid, price_e4), None)
        fresh = []
        if size_e6:
            outcome = YES if is_bid else NO
            own_e4 = price_e4 if is_bid else ONE_E4 - price_e4
            wallet = self._account.wallet
            fresh = [quote(market, wallet, outcome, BUY, own_e4, size_e6, self._rng)]
        gone = [] if old is None else [old]
        for order in self._exchange.requote(market, gone, fresh, now_ns):
            self._levels[is_bid, price_e4] = order

    def _release(self, market: Market, now_ns: int) -> None:
        """Hand the market to the generated makers, around the book as it stands."""
        self._flow.held.discard(market.index)
        bid, ask = market.ladder.best_bid_e4(), market.ladder.best_ask_e4()
        if bid is not None and ask is not None:
            self._universe.fair[market.index] = (bid + ask) / 2 / ONE_E4
        self._flow.take_over(market, now_ns)


class _Change:
    """A level change on its way."""

    __slots__ = ("_level", "_market", "_player")

    def __init__(self, player: TapePlayer, market: Market, level: tuple[bool, int, int]) -> None:
        self._player = player
        self._market = market
        self._level = level

    def __call__(self, now_ns: int) -> None:
        """Happen."""
        self._player.apply(self._market, self._level, now_ns)


class _Top:
    """A recorded bookTicker on its way."""

    __slots__ = ("_binance", "_symbol", "_top")

    def __init__(self, binance: Binance, symbol: str, top: tuple[int, int, int, int, int]) -> None:
        self._binance = binance
        self._symbol = symbol
        self._top = top

    def __call__(self, now_ns: int) -> None:
        """Happen."""
        self._binance.publish_top(self._symbol, self._top, now_ns)


class _Diff:
    """A recorded depth diff on its way."""

    __slots__ = ("_binance", "_first", "_last", "_sides", "_symbol")

    def __init__(
        self,
        binance: Binance,
        symbol: str,
        first: int,
        last: int,
        sides: tuple[list[tuple[int, int]], list[tuple[int, int]]],
    ) -> None:
        self._binance = binance
        self._symbol = symbol
        self._first = first
        self._last = last
        self._sides = sides

    def __call__(self, now_ns: int) -> None:
        """Happen."""
        self._binance.publish_diff(self._symbol, self._first, self._last, self._sides, now_ns)
