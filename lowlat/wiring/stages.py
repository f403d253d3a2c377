"""One function a stage: the engine of a role over the memory, meters and connections it is given.

Every topology is put together from these, whole or a few at a time. A stage meets the others only
in streams and tables: which of them runs in the same process does not show here. A stage imports
its own engine when it is made: a process that dies is back as soon as what it needs is loaded.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from lowlat.core.layout import STREAMS, Venue
from lowlat.core.ports import Clock, Salts, StreamReader, StreamWriter, Transport
from lowlat.feeds.ports import Dial, Fetch, Note
from lowlat.wiring.ports import Keys, Memory, Meters, Settings
from lowlat.wiring.reload import limits_on_rungs, modules_at_work

if TYPE_CHECKING:
    from lowlat.core.recovered import Recovered
    from lowlat.execution.engine import ExecutorEngine
    from lowlat.feeds.binance import BinanceFeed
    from lowlat.feeds.metadata import MetadataEngine
    from lowlat.feeds.polymarket import PolymarketFeed
    from lowlat.feeds.prices import PricesFeed
    from lowlat.feeds.tape import StreamTape
    from lowlat.risk.engine import RiskEngine
    from lowlat.signals.engine import SignalsEngine
    from lowlat.signals.module import Mode, Module
    from lowlat.venues.polymarket.eip712 import Signs
    from lowlat.venues.polymarket.requests import ClobRequests
    from lowlat.wiring.interest import InterestBoard

__all__ = [
    "Site",
    "binance_stage",
    "executor_stage",
    "look_back",
    "metadata_stage",
    "polymarket_stage",
    "prices_stage",
    "risk_stage",
    "signals_stage",
]

_RISK_GATE: Final = "risk"
_EXECUTOR_GATE: Final = "executor"
_DECISIONS_BACK: Final = 4 * STREAMS["signals"].slots
"""A signal still in its ring was decided at most so many records ago, turns included."""


class Site(NamedTuple):
    """What every stage of one process stands on."""

    config: Settings
    memory: Memory
    meters: Meters
    clock: Clock
    note: Note


def metadata_stage(site: Site, gamma: Fetch, clob: Fetch, exchange: Fetch) -> "MetadataEngine":
    """Make the writer of the markets table."""
    from lowlat.core.instruments import Instruments
    from lowlat.feeds._rows import MarketRows
    from lowlat.feeds.metadata import MetadataEngine
    from lowlat.wiring.held import Held

    memory, config = site.memory, site.config
    markets = memory.open_table_writer("markets")
    metadata = memory.open_stream_writer("metadata")
    held = Held(memory.open_table_reader("positions"), memory.open_table_reader("orders"))
    return MetadataEngine(
        config.metadata,
        config.universe,
        MarketRows(markets, metadata, Instruments(), held.holds),
        gamma,
        clob,
        site.clock,
        site.meters.scope("feed"),
        site.note,
        settle=memory.open_stream_reader("settle"),
        market=memory.open_stream_reader("market"),
        listings=memory.open_stream_writer("listings"),
        dossiers=memory.open_stream_writer("dossiers"),
        wants=memory.open_table_reader("wants"),
        ours=held.markets,
        unlisted=held.unlisted,
        gauges=lambda name: site.meters.gauge(f"feed.{name}"),
        exchange=exchange,
    )


def polymarket_stage(
    site: Site, dial: Dial, clob: Fetch, pump: Callable[[], None] | None
) -> "PolymarketFeed":
    """Make the feed of the market channel; ``pump`` runs what shares its process."""
    from lowlat.core.directory import MarketDirectory
    from lowlat.feeds.polymarket import FeedOutputs, PolymarketFeed

    memory = site.memory
    outputs = FeedOutputs(
        memory.open_table_writer("book"),
        memory.open_table_writer("shard"),
        memory.open_stream_writer("market"),
        memory.open_stream_writer("trades"),
        site.clock,
    )
    return PolymarketFeed(
        site.config.feed,
        MarketDirectory(memory.open_table_reader("markets"), memory.open_stream_reader("metadata")),
        outputs,
        dial,
        clob,
        site.clock,
        site.meters.scope("feed"),
        site.note,
        pump=pump,
        listed=outputs.announce,
        tape=_tape(site, "frames", Venue.POLYMARKET),
    )


def binance_stage(
    site: Site, dial: Dial, rest: Fetch, pump: Callable[[], None] | None
) -> "BinanceFeed":
    """Make the feed of spot prices; ``pump`` runs what shares its process."""
    from lowlat.feeds.binance import BinanceFeed

    memory = site.memory
    return BinanceFeed(
        site.config.binance,
        memory.open_table_writer("spot_top"),
        memory.open_stream_writer("spot"),
        memory.open_stream_writer("spot_trades"),
        dial,
        rest,
        site.clock,
        site.meters.scope("feed"),
        site.note,
        tape=_tape(site, "frames_spot", Venue.BINANCE),
        pump=pump,
    )


def prices_stage(
    site: Site, dial: Dial, exchange: Fetch, auth: Callable[[], bytes] | None
) -> "PricesFeed":
    """Make the feed of the prices that markets settle on; ``auth``: of the newer price socket."""
    from lowlat.feeds.prices import PricesFeed

    return PricesFeed(
        site.config.prices,
        site.memory.open_stream_writer("settle"),
        dial,
        site.clock,
        site.meters.scope("feed"),
        site.note,
        exchange=exchange,
        auth=auth,
        tape=_tape(site, "frames_settle", Venue.CHAINLINK),
    )


def look_back(
    memory: Memory, name: str, writer: StreamWriter, records_max: int | None = None
) -> StreamReader:
    """Open a reader over the last records of a stream whose writer begins a new life.

    All that the ring holds but the oldest: the life before may have died while it wrote over that
    one, and a reader that begins at a torn record goes on at the newest.
    """
    whole = writer.slot_count - 1
    back = whole if records_max is None else min(records_max, whole)
    return memory.open_stream_reader(name, position=max(1, writer.cursor - back))


def signals_stage(
    site: Site, modules: "Sequence[tuple[Module, Mode]]"
) -> "tuple[SignalsEngine, InterestBoard]":
    """Make the caller of the signal modules, and the board that tells what they look at."""
    from lowlat.signals.engine import SignalsEngine, SignalsPorts
    from lowlat.wiring.interest import InterestBoard

    memory, meters = site.memory, site.meters
    signals = memory.open_stream_writer("signals")
    turns = memory.open_stream_writer("turns")
    # What settles, and the exchange's last seconds, go on counting when signals start anew.
    settle = memory.open_stream_reader("settle")
    back = max(1, settle.position - STREAMS["settle"].slots // 2)
    settle = memory.open_stream_reader("settle", position=back)
    engine = SignalsEngine(
        modules,
        SignalsPorts(
            market=memory.open_stream_reader("market"),
            metadata=memory.open_stream_reader("metadata"),
            spot=memory.open_stream_reader("spot"),
            settle=settle,
            books=memory.open_table_reader("book"),
            shards=memory.open_table_reader("shard"),
            markets=memory.open_table_reader("markets"),
            spots=memory.open_table_reader("spot_top"),
            reports=memory.open_stream_reader("reports"),
            orders=memory.open_table_reader("orders"),
            positions=memory.open_table_reader("positions"),
            signals=signals,
            turns=turns,
            clock=site.clock,
            cell=meters.cell,
            recorder=meters.recorder,
        ),
        site.config.signals,
    )
    board = InterestBoard(
        engine,
        memory.open_table_writer("interest"),
        memory.open_table_writer("wants"),
        meters.cell("signals.wishes_left_out"),
    )
    return engine, board


def risk_stage(
    site: Site,
    halted: Callable[[], int],
    pull_halt: Callable[[int, bytes], None],
    recovered: "Recovered | None" = None,
) -> "RiskEngine":
    """Make what turns signals into intents; ``halted`` reads halt cells, ``pull_halt`` sets ours.

    Writers are opened first: a reader's position then lies behind what a dead writer left.
    """
    from lowlat.risk.engine import RiskEngine
    from lowlat.risk.ports import RiskPorts

    memory, meters = site.memory, site.meters
    intents = memory.open_stream_writer("intents")
    decisions = memory.open_stream_writer("decisions")
    return RiskEngine(
        RiskPorts(
            signals=memory.open_stream_reader("signals", gate=_RISK_GATE),
            reports=memory.open_stream_reader("reports", gate=_RISK_GATE),
            metadata=memory.open_stream_reader("metadata"),
            books=memory.open_table_reader("book"),
            shards=memory.open_table_reader("shard"),
            markets=memory.open_table_reader("markets"),
            positions=memory.open_table_reader("positions"),
            cash=memory.open_table_reader("cash"),
            orders=memory.open_table_reader("orders"),
            groups=memory.open_table_reader("groups"),
            intents=intents,
            decisions=decisions,
            exposure=memory.open_table_writer("exposure"),
            scores=memory.open_table_writer("scores"),
            stakes=memory.open_table_writer("stakes"),
            clock=site.clock,
            halted=halted,
            pull_halt=pull_halt,
            cell=meters.cell,
            recorder=meters.recorder,
            decisions_reserve=decisions.slot_count // 2,
            decided=look_back(memory, "decisions", decisions, _DECISIONS_BACK),
            intended=look_back(memory, "intents", intents),
        ),
        limits_on_rungs(site.config),
        modules=modules_at_work(site.config),
        recovered=recovered,
    )


def executor_stage(
    site: Site,
    keys: Keys,
    requests: "ClobRequests",
    transport: Transport,
    salts: Salts,
    recovered: "Recovered | None",
    signs: "Signs | None" = None,
) -> "ExecutorEngine":
    """Make what signs, sends and books; the only stage that is given keys.

    ``signs`` stands for the private key where there is none.
    """
    from lowlat.core.instruments import Instruments
    from lowlat.execution.books import MarketReader
    from lowlat.execution.engine import ExecutorEngine
    from lowlat.execution.ports import ExecutorPorts
    from lowlat.venues.polymarket.account import Account
    from lowlat.venues.polymarket.signing import OrderSigner

    memory = site.memory
    reports = memory.open_stream_writer("reports")
    markets = MarketReader(
        memory.open_table_reader("markets"),
        memory.open_table_reader("book"),
        memory.open_table_reader("shard"),
        Instruments(),
        site.config.execution.shard_silent_ns_max,
    )
    ports = ExecutorPorts(
        intents=memory.open_stream_reader("intents", gate=_EXECUTOR_GATE),
        reports=reports,
        orders=memory.open_table_writer("orders"),
        groups=memory.open_table_writer("groups"),
        positions=memory.open_table_writer("positions"),
        cash=memory.open_table_writer("cash"),
        markets=markets,
        transport=transport,
        clock=site.clock,
        salts=salts,
        meters=site.meters.executor(),
        note=site.note,
        told=look_back(memory, "reports", reports),
    )
    signer = OrderSigner(
        signs or bytes.fromhex(keys.private_key.removeprefix("0x")),
        keys.signature_type,
        keys.funder,
        keys.chain_id,
        session=keys.session,
    )
    account = Account(keys.api_key, keys.funder)
    return ExecutorEngine(ports, signer, requests, account, site.config.execution, recovered)


def _tape(site: Site, stream: str, venue: Venue) -> "StreamTape | None":
    """Open the feed's end of the tape, if frames are kept."""
    from lowlat.feeds.tape import StreamTape

    if not site.config.records_frames:
        return None
    return StreamTape(
        site.memory.open_stream_writer(stream),
        venue,
        STREAMS[stream].writer,
        site.clock,
        site.meters.scope("feed"),
        parts_max=STREAMS[stream].slots // 2,
    )
