"""What can be chosen about a world, and the engine's settings in it."""

from collections.abc import Mapping
from random import Random
from typing import Any, Final

import msgspec

from lowlat.core.layout import Coin
from lowlat.execution.params import ExecutorParams
from lowlat.feeds.params import (
    BinanceFeedParams,
    MetadataParams,
    PolymarketFeedParams,
    PricesFeedParams,
    UniverseParams,
)
from lowlat.risk.limits import LimitsParams
from lowlat.signals.params import EngineParams
from lowlat.sim.config import EdgeConfig, FlowConfig, SimConfig, load_config
from lowlat.sim.scenarios import read_scenario
from lowlat.sim.venue import Venue
from lowlat.store.journal_params import JournalParams
from lowlat.venues.polymarket.eip712 import SigningKey
from lowlat.world.faults import KINDS

__all__ = [
    "HOST",
    "Account",
    "WorldParams",
    "WorldSettings",
    "open_account",
    "sim_config",
    "world_settings",
]

HOST: Final = "127.0.0.1:1"
_LATENCY: Final = {"coin": {"warmup_s": 3, "volatility_floor": 5e-4}}
"""A world is over before volatility is learned: it is told what its exchange does a second."""
_FOREVER_NS: Final = 1 << 60
_COINS: Final = {"BTC": Coin.BTC, "ETH": Coin.ETH, "SOL": Coin.SOL}


class WorldParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How lively a world is and what goes wrong in it."""

    scenario: str = ""
    """Of the simulator; it then decides the flow, not the events and edges below."""
    modules: dict[str, dict[str, Any]] | None = None
    """Modules at work and their parameters; None: the two takers, told what a world does."""
    markets: int = 20
    neg_risk_events: int = 3
    coins: tuple[str, ...] = ("BTC",)
    windows_s: tuple[int, ...] = (300,)
    makers: int = 2
    levels: int = 3
    spot_hz: int = 2
    events_per_s: float = 6.0
    """Quotes that move and noise takers: what costs most and breaks least."""
    edges_per_minute: float = 90.0
    fault_every_ns: int = 2_200_000_000
    kinds: tuple[str, ...] = KINDS
    """Kinds of faults that happen; none: a fair-weather world."""
    only: tuple[int, ...] | None = None
    """Numbers of the plan's faults that happen; None: all of them."""
    mined_ms: tuple[int, int] = (1000, 3000)
    confirmed_ms: tuple[int, int] = (500, 2000)
    quiet_ns: int = 3_000_000_000
    """No fault begins so soon after the start."""
    bankroll_e6: int = 5_000_000_000
    """Limits are shares of it: a small one is always near them."""
    settle_ns_max: int = 240_000_000_000
    """How long an orderly end may take."""
    ledger_every: int = 5
    """Each seed that is a multiple of this keeps a real ledger beside the journal; 0: none."""
    tick_ns: int = 60_000_000
    """Between two turns of an engine process that has nothing to do and hears nothing."""


class ModuleSettings(msgspec.Struct, frozen=True):
    """One module's mode and parameters."""

    mode: str = "paper"
    params: dict[str, Any] = {}


class WorldSettings(msgspec.Struct, frozen=True):
    """Parameters of every engine, as small as keeps all of their code at work."""

    universe: UniverseParams = UniverseParams()
    metadata: MetadataParams = MetadataParams()
    binance: BinanceFeedParams = BinanceFeedParams()
    prices: PricesFeedParams = PricesFeedParams()
    feed: PolymarketFeedParams = PolymarketFeedParams(shard_assets_max=24)
    signals: EngineParams = EngineParams()
    modules: Mapping[str, ModuleSettings] = {}
    limits: LimitsParams = LimitsParams(bankroll_cap_e6=5_000_000_000)
    execution: ExecutorParams = ExecutorParams(
        templates_max=128,
        template_rungs_e6=(50_000_000,),
        template_reach_ticks=1,
        hot_max=4,
        trades_overlap_s=15,
        lookup_every_ns=4_500_000_000,
        # What is sent arrives within 15 s here, whatever happens to it.
        unknown_window_ns=18_000_000_000,
        settle_timeout_ns=15_000_000_000,
    )
    journal: JournalParams = JournalParams(rotate_bytes=1 << 20)
    rows: dict[str, int] = {}
    connections: int = 12
    records_frames: bool = False
    tick_ns: int = 5_000_000


class Account(msgspec.Struct, frozen=True):
    """A throwaway account of the simulated venue."""

    private_key: str
    api_key: str
    api_secret: str
    api_passphrase: str
    funder: str
    address: str
    signature_type: int
    chain_id: int = 137
    session: bool = False


def sim_config(seed: int, params: WorldParams) -> SimConfig:
    """Return the venue of a world."""
    if params.scenario:
        values = read_scenario(params.scenario)
        names = ("markets", "neg_risk_events", "coins", "windows_s")
        fixed = {"seed": seed, "tape": "none", "wallet_types": (0,)}
        return load_config({name: getattr(params, name) for name in names} | values | fixed)
    config = SimConfig(
        seed=seed,
        markets=params.markets,
        neg_risk_events=params.neg_risk_events,
        coins=params.coins,
        windows_s=params.windows_s,
        tape="none",
        wallet_types=(0,),
        # What a redemption pays is the business of who redeems, and nobody does in a minute.
        auto_redeem=False,
        mined_ms=params.mined_ms,
        confirmed_ms=params.confirmed_ms,
        flow=FlowConfig(
            makers=params.makers,
            levels=params.levels,
            events_per_s=params.events_per_s,
            spot_hz=params.spot_hz,
            edges=(EdgeConfig("neg_risk", per_minute=params.edges_per_minute, vanish_e4=3000),),
        ),
    )
    config.validate()
    return config


def world_settings(params: WorldParams) -> WorldSettings:
    """Return the engine's settings for a world."""
    coins = tuple(_COINS[name] for name in params.coins)
    binance, prices = BinanceFeedParams(coins=coins), PricesFeedParams(coins=coins)
    if not coins:
        # Days without an exchange: its sockets are open, nothing comes and nobody waits for it.
        binance = BinanceFeedParams(
            coins=(Coin.BTC,), depth=False, silence_ns=_FOREVER_NS, age_ns_max=_FOREVER_NS
        )
        prices = PricesFeedParams(coins=(Coin.BTC,), silence_ns=_FOREVER_NS, seconds_back=0)
    modules = {"arbitrage": {}, "latency": _LATENCY} if params.modules is None else params.modules
    execution = WorldSettings().execution
    # All markets but the windows end late: with the usual share a minute would be over early.
    limits = LimitsParams(bankroll_cap_e6=params.bankroll_e6, long_locked_max_ppm=700_000)
    metadata = MetadataParams(newest_ns=3_000_000_000)
    if params.modules is not None:
        # What is measured is what is shipped, sizes and limits included.
        rungs = ExecutorParams().template_rungs_e6
        execution = msgspec.structs.replace(execution, template_rungs_e6=rungs, hot_max=8)
        limits, metadata = LimitsParams(bankroll_cap_e6=params.bankroll_e6), MetadataParams()
    return WorldSettings(
        execution=execution,
        metadata=metadata,
        binance=binance,
        prices=prices,
        limits=limits,
        modules={name: ModuleSettings(params=given) for name, given in modules.items()},
        rows={"book": 256, "markets": 256, "positions": 512, "orders": 512, "groups": 128},
        tick_ns=params.tick_ns,
    )


def open_account(venue: Venue, seed: int) -> Account:
    """Let the venue open an account for a key that follows from the seed."""
    secret = Random(f"{seed}|key").randbytes(32)  # noqa: S311 - simulation, not secrets
    address = SigningKey(secret).address_text
    key = venue.credentials.create(address)
    return Account(secret.hex(), key.key, key.secret, key.passphrase, address, address, 0)
