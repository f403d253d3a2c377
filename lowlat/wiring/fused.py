"""Every engine of the fused topology over one memory, in the order of their turns.

Used by the fused process (real ends) and by the world (simulated ends): what is tested is what
runs. Writers are opened before readers, so that a reader stands behind what a dead writer left.
"""

from typing import Final

from lowlat.core.directory import MarketDirectory
from lowlat.core.instruments import Instruments
from lowlat.core.layout import Venue, Writer
from lowlat.core.ports import Engine
from lowlat.execution.recovered import Recovered
from lowlat.feeds._rows import MarketRows
from lowlat.feeds.binance import BinanceFeed
from lowlat.feeds.metadata import MetadataEngine
from lowlat.feeds.polymarket import FeedOutputs, PolymarketFeed
from lowlat.feeds.prices import PricesFeed
from lowlat.feeds.tape import StreamTape
from lowlat.wiring.ports import Ends, Keys, Memory, Meters, Settings
from lowlat.wiring.trading import Trading
from lowlat.wiring.user_channel import UserChannel

__all__ = ["Fused", "Nominator"]

_NOMINATE_NS: Final = 2_000_000_000


class Nominator:
    """Engine that names the hot set of the template pool as markets come and go."""

    name: Final = "nominator"

    def __init__(self, trading: Trading) -> None:
        self._trading = trading
        self._due_ns = 0

    def start(self) -> None:
        """Nothing is known yet."""

    def turn(self, now_ns: int) -> int:
        """Name what the modules look at, every _NOMINATE_NS."""
        if now_ns >= self._due_ns:
            self._due_ns = now_ns + _NOMINATE_NS
            self._trading.nominate()
        return 0

    def close(self) -> None:
        """Nothing is held."""


class Fused:
    """The engines, made but not started."""

    def __init__(
        self,
        config: Settings,
        memory: Memory,
        meters: Meters,
        keys: Keys,
        host: str,
        ends: Ends,
        recovered: Recovered | None,
    ) -> None:
        markets = memory.open_table_writer("markets")
        metadata = memory.open_stream_writer("metadata")
        spot_table = memory.open_table_writer("spot_top")
        spot = memory.open_stream_writer("spot")
        spot_trades = memory.open_stream_writer("spot_trades")
        settle = memory.open_stream_writer("settle")
        outputs = FeedOutputs(
            memory.open_table_writer("book"),
            memory.open_table_writer("shard"),
            memory.open_stream_writer("market"),
            memory.open_stream_writer("trades"),
            ends.clock,
        )
        self.trading = Trading(
            config,
            memory,
            meters,
            keys,
            host,
            ends.orders,
            recovered,
            clock=ends.clock,
            salts=ends.salts,
            note=ends.note,
        )
        cells = meters.scope("feed")
        frames = memory.open_stream_writer("frames") if config.records_frames else None

        def tape(venue: Venue, writer: Writer) -> StreamTape | None:
            if frames is None:
                return None
            return StreamTape(frames, venue, writer, ends.clock, cells)

        self.metadata = MetadataEngine(
            config.metadata,
            config.universe,
            MarketRows(markets, metadata, Instruments(), self.trading.holds),
            ends.gamma,
            ends.clob,
            ends.clock,
            cells,
            ends.note,
            settle=memory.open_stream_reader("settle"),
            market=memory.open_stream_reader("market"),
        )
        self.market = PolymarketFeed(
            config.feed,
            MarketDirectory(
                memory.open_table_reader("markets"), memory.open_stream_reader("metadata")
            ),
            outputs,
            ends.market_ws,
            ends.clob,
            ends.clock,
            cells,
            ends.note,
            pump=self.trading.pump,
            listed=self.metadata.hint,
            tape=tape(Venue.POLYMARKET, Writer.POLYMARKET),
        )
        self.binance = BinanceFeed(
            config.binance,
            spot_table,
            spot,
            spot_trades,
            ends.binance_ws,
            ends.binance_rest,
            ends.clock,
            cells,
            ends.note,
            tape=tape(Venue.BINANCE, Writer.BINANCE),
        )
        self.prices = PricesFeed(
            config.prices,
            settle,
            ends.prices_ws,
            ends.clock,
            cells,
            ends.note,
            tape=tape(Venue.CHAINLINK, Writer.PRICES),
        )
        self.user = UserChannel(ends.user_ws, self.trading.executor, self.trading.api, ends.clock)
        self.nominator = Nominator(self.trading)

    @property
    def engines(self) -> list[Engine]:
        """All engines in the order in which they start and turn."""
        return [
            self.metadata,
            self.binance,
            self.prices,
            self.market,
            self.trading.signals,
            self.trading.risk,
            self.trading.executor,
            self.user,
            self.nominator,
        ]
