"""What the engines of a replay stand on: recorded ends, private memory, cells that nobody reads."""

from collections.abc import Callable
from functools import partial
from typing import Final

from lowlat.core._ends import HaltEnd
from lowlat.core.layout import STREAMS
from lowlat.core.ports import StreamReader
from lowlat.execution.meters import CELL_NAMES, RECORDER_NAMES, ExecutorMeters
from lowlat.feeds.params import POLYBOLT
from lowlat.feeds.ports import Connection, Dial, Fetch, FetchDone, Listener
from lowlat.shm import _core
from lowlat.shm.private import PrivateMemory
from lowlat.venues.polymarket.eip712 import parse_address
from lowlat.wiring.capture import NO_API_KEY, CaptureHeader
from lowlat.wiring.ports import Ends, Settings
from lowlat.world._playback import Playback, PlayedClock, PlayedHalt, PlayedLink, PlayedSend

__all__ = ["PlayedEnds", "PlayedKey", "PlayedKeys", "PlayedMeters", "ledger_gates"]

_SIGNATURE_BYTES: Final = 65
_LEDGER_GATE: Final = "ledger"


class PlayedEnds:
    """Connections whose every event and answer is in the recording."""

    def __init__(self, playback: Playback) -> None:
        self._playback = playback
        self.links: list[PlayedLink] = []
        """In the order in which they were dialled."""
        self.asked: list[tuple[str, FetchDone]] = []
        """REST requests: path and who waits."""
        self.halted: HaltEnd = PlayedHalt(playback)
        self._names: list[str] = []

    def asked_for(self, settings: Settings) -> Ends:
        """Return the ends as wiring wants them."""
        return Ends(
            clock=PlayedClock(self._playback),
            salts=_Salts(self._playback),
            orders=PlayedSend(self._playback),
            gamma=self._fetch,
            clob=self._fetch,
            binance_rest=self._fetch,
            market_ws=self._dialer("market"),
            user_ws=self._dialer("user"),
            binance_ws=self._dialer("binance"),
            prices_ws=self._dialer("prices"),
            note=_forget,
            # What it returns goes out; a replay sends nothing.
            prices_auth=bytes if POLYBOLT in settings.prices.sources else None,
        )

    def name_of(self, link: int) -> str:
        """Return what a link was dialled for."""
        return self._names[link]

    def _dialer(self, kind: str) -> Dial:
        return partial(self._dial, kind)

    def _dial(self, kind: str, listener: Listener, number: int) -> Connection:
        self._playback.dialled(number)
        link = PlayedLink(self._playback, listener, number)
        self.links.append(link)
        self._names.append(f"{kind} socket {number}")
        return link

    @property
    def _fetch(self) -> Fetch:
        return self._ask

    def _ask(self, path: str, done: FetchDone, body: bytes | None = None) -> bool:
        self.asked.append((path, done))
        return self._playback.asked(path.encode() + (body or b""))


class _Salts:
    def __init__(self, playback: Playback) -> None:
        self._playback = playback

    def next_salt(self) -> int:
        return self._playback.salt()


def _forget(kind: str, sample: str) -> None:
    del kind, sample


class PlayedKeys:
    """The account without its secrets: it says who it is, and signs with nothing.

    An order's id covers everything but the signature itself, so it comes out as it did.
    """

    private_key: Final = ""
    api_key: Final = NO_API_KEY
    api_secret: Final = "bm9uZQ=="  # noqa: S105 - none
    api_passphrase: Final = "none"  # noqa: S105 - none

    session: Final = False
    """Only signatures say whose key it was, and they are not compared."""

    def __init__(self, header: CaptureHeader) -> None:
        self.address = header.address
        self.funder = header.funder
        self.signature_type = header.signature_type
        self.chain_id = header.chain_id


class PlayedKey:
    """Stands for the private key."""

    def __init__(self, address: str) -> None:
        self.address = parse_address(address, "address")
        self.address_text = address

    def sign(self, digest: bytes) -> bytes:
        """Return as many zeros as a signature has bytes."""
        del digest
        return bytes(_SIGNATURE_BYTES)


def ledger_gates(memory: PrivateMemory) -> list[StreamReader]:
    """Open the recorder's gates: somebody has to move them."""
    return [
        memory.open_stream_reader(name, gate=_LEDGER_GATE)
        for name, stream in STREAMS.items()
        if _LEDGER_GATE in stream.gates
    ]


class PlayedMeters:
    """Counters, gauges and histograms in private memory, compiled as the real ones."""

    def __init__(self) -> None:
        self._cells: dict[str, _core.Cell] = {}
        self._recorders: dict[str, _core.Histogram] = {}

    def cell(self, name: str) -> _core.Cell:
        """Return the counter of that name."""
        found = self._cells.get(name)
        if found is None:
            found = self._cells[name] = _core.Cell(bytearray(_core.CELL_BYTES), 0)
        return found

    gauge = cell

    def recorder(self, name: str) -> _core.Histogram:
        """Return the latency histogram of that name."""
        found = self._recorders.get(name)
        if found is None:
            room = bytearray(_core.HISTOGRAM_BYTES)
            found = self._recorders[name] = _core.Histogram(room, 0)
        return found

    def scope(self, prefix: str) -> Callable[[str], _core.Cell]:
        """Return a cell maker whose names begin with prefix."""
        return lambda name: self.cell(f"{prefix}.{name}")

    def executor(self) -> ExecutorMeters:
        """Return the executor's meters."""
        recorders = {name: self.recorder(f"latency.{name}") for name in RECORDER_NAMES}
        cells = {name: self.cell(f"executor.{name}") for name in CELL_NAMES}
        return ExecutorMeters(**recorders, **cells)  # type: ignore[arg-type]
