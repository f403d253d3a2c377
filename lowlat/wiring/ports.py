"""What the wiring is given: memory, meters, settings, keys and the ends of every connection.

``app`` passes an Attachment, shared statistics, its config and real sockets; ``world`` private
memory, plain counters and simulated ones.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from lowlat.core.ports import (
    Cell,
    Clock,
    Recorder,
    Salts,
    StreamReader,
    StreamWriter,
    TableReader,
    TableWriter,
    Transport,
)
from lowlat.execution.meters import ExecutorMeters
from lowlat.execution.params import ExecutorParams
from lowlat.feeds.params import (
    BinanceFeedParams,
    MetadataParams,
    PolymarketFeedParams,
    PricesFeedParams,
    UniverseParams,
)
from lowlat.feeds.ports import Dial, Fetch, Note
from lowlat.risk.limits import LimitsParams
from lowlat.signals.params import EngineParams

__all__ = ["Connections", "Ends", "Gauge", "Keys", "Memory", "Meters", "ModuleSettings", "Settings"]


class Memory(Protocol):
    """Opens streams and tables of one instance for one process."""

    def open_stream_writer(self, name: str) -> StreamWriter:
        """Own a stream and go on where the last writer stopped; its epoch is one higher."""
        ...

    def open_stream_reader(
        self, name: str, *, position: int | None = None, gate: str | None = None
    ) -> StreamReader:
        """Read from position or the next record on; a gate goes on behind what it released."""
        ...

    def open_table_writer(self, name: str) -> TableWriter:
        """Own a table; its rows stay as the last writer left them."""
        ...

    def open_table_reader(self, name: str) -> TableReader:
        """Read a table."""
        ...


class Gauge(Cell, Protocol):
    """A cell that is also read."""

    @property
    def value(self) -> int:
        """Current value."""
        ...


class Meters(Protocol):
    """Names to cells."""

    def cell(self, name: str) -> Cell:
        """Return the counter of that name."""
        ...

    def gauge(self, name: str) -> Gauge:
        """Return the gauge of that name."""
        ...

    def recorder(self, name: str) -> Recorder:
        """Return the latency histogram of that name."""
        ...

    def scope(self, prefix: str) -> Callable[[str], Cell]:
        """Return a cell maker whose names begin with prefix."""
        ...

    def executor(self) -> ExecutorMeters:
        """Return the executor's meters."""
        ...


class ModuleSettings(Protocol):
    """One signal module's part of the config."""

    @property
    def mode(self) -> str:
        """One of off, shadow, paper, live."""
        ...

    @property
    def params(self) -> dict[str, Any]:
        """The module's own parameters, unchecked."""
        ...


class Settings(Protocol):
    """The parameters of every engine."""

    @property
    def records_frames(self) -> bool:
        """Whether feeds copy raw frames for the tape."""
        ...

    @property
    def universe(self) -> UniverseParams:
        """Which markets are followed."""
        ...

    @property
    def metadata(self) -> MetadataParams:
        """The metadata engine's."""
        ...

    @property
    def binance(self) -> BinanceFeedParams:
        """The spot feed's."""
        ...

    @property
    def prices(self) -> PricesFeedParams:
        """The settlement price feed's."""
        ...

    @property
    def feed(self) -> PolymarketFeedParams:
        """The market channel's."""
        ...

    @property
    def signals(self) -> EngineParams:
        """The signals engine's."""
        ...

    @property
    def modules(self) -> Mapping[str, ModuleSettings]:
        """Signal modules by name."""
        ...

    @property
    def limits(self) -> LimitsParams:
        """Risk's."""
        ...

    @property
    def execution(self) -> ExecutorParams:
        """The executor's."""
        ...


class Keys(Protocol):
    """Secrets of one account."""

    @property
    def private_key(self) -> str:
        """64 hex digits, with or without 0x."""
        ...

    @property
    def api_key(self) -> str:
        """Owner of every order."""
        ...

    @property
    def api_secret(self) -> str:
        """Key of the HMAC."""
        ...

    @property
    def api_passphrase(self) -> str:
        """Third part of the credentials."""
        ...

    @property
    def funder(self) -> str:
        """Wallet that pays."""
        ...

    @property
    def address(self) -> str:
        """Signer."""
        ...

    @property
    def signature_type(self) -> int:
        """0 to 3."""
        ...

    @property
    def chain_id(self) -> int:
        """Part of every signature."""
        ...

    @property
    def session(self) -> bool:
        """Whether the key is a session key of the deposit wallet that pays."""
        ...


class Connections(Protocol):
    """Where bytes, time and chance come from. Asked only for what a role needs."""

    @property
    def clock(self) -> Clock:
        """Time."""
        ...

    @property
    def salts(self) -> Salts:
        """Chance for orders."""
        ...

    @property
    def note(self) -> Note:
        """Takes samples of faults."""
        ...

    @property
    def orders(self) -> Transport:
        """Order entry."""
        ...

    @property
    def gamma(self) -> Fetch:
        """Listings."""
        ...

    @property
    def clob(self) -> Fetch:
        """Market facts and books by REST."""
        ...

    @property
    def binance_rest(self) -> Fetch:
        """Depth snapshots and old candles."""
        ...

    @property
    def market_ws(self) -> Dial:
        """The market channel."""
        ...

    @property
    def user_ws(self) -> Dial:
        """The user channel."""
        ...

    @property
    def binance_ws(self) -> Dial:
        """Spot prices."""
        ...

    @property
    def prices_ws(self) -> Dial:
        """Settlement prices."""
        ...

    @property
    def prices_auth(self) -> Callable[[], bytes] | None:
        """Make the first frame of the newer price socket; None where that is no source."""
        ...


class Ends(NamedTuple):
    """Connections that are all there from the start."""

    clock: Clock
    salts: Salts
    orders: Transport
    gamma: Fetch
    clob: Fetch
    binance_rest: Fetch
    market_ws: Dial
    user_ws: Dial
    binance_ws: Dial
    prices_ws: Dial
    note: Note
    prices_auth: Callable[[], bytes] | None = None
