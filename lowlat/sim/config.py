"""What can be chosen about a simulated venue. Units in the keys; unknown keys are refused."""

from typing import Any, Final

import msgspec

from lowlat.core.errors import ConfigError

__all__ = [
    "EDGE_KINDS",
    "FEEDS",
    "LOOPBACK_HOSTS",
    "PORT_NAMES",
    "EdgeConfig",
    "FaultConfig",
    "FlowConfig",
    "FrameRule",
    "RequestRule",
    "SimConfig",
    "load_config",
]

LOOPBACK_HOSTS: Final = ("127.0.0.1", "::1", "localhost")
PORT_NAMES: Final = (
    "clob",
    "clob_ws",
    "gamma",
    "data",
    "relayer",
    "rtds_ws",
    "polybolt_ws",
    "binance",
    "binance_ws",
    "binance_sbe_ws",
    "control",
)


SHARE_ALL: Final = 10_000
FEEDS: Final = ("market", "user", "binance", "rtds", "polybolt")
REQUEST_SERVICES: Final = ("clob", "gamma", "data", "binance", "*")
REFUSALS: Final = (400, 401, 403, 404, 418, 425, 429, 500, 502, 503, 504)
EDGE_KINDS: Final = (
    "neg_risk",
    "neg_risk_sell",
    "strikes",
    "latency",
    "news",
    "bond",
    "whale",
    "passive_set",
)


class RequestRule(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What happens to requests of one kind. Every rule that fits a request applies, in order."""

    service: str = "*"
    """clob, gamma, data, binance or *."""
    method: str = "*"
    path: str = "/"
    """The beginning of the path."""
    latency_ms: tuple[int, int] = (0, 0)
    latency_tail_e4: int = 0
    latency_tail_ms: int = 0
    reset_e4: int = 0
    """The connection is reset, nothing is carried out."""
    refuse_e4: int = 0
    refuse_status: int = 503
    """Answered instead of being carried out."""
    lost_e4: int = 0
    """Carried out, the answer never leaves."""
    cut_e4: int = 0
    """Carried out, half of the answer leaves, then the connection is reset."""
    bytes_per_s: int = 0
    """How fast the answer leaves; 0: at once."""

    def validate(self) -> None:
        """Raise ConfigError for values that make no sense."""
        if self.service not in REQUEST_SERVICES:
            allowed = ", ".join(REQUEST_SERVICES)
            raise ConfigError(f"faults.requests.service was {self.service!r}, allowed: {allowed}")
        if self.refuse_status not in REFUSALS:
            allowed = ", ".join(map(str, REFUSALS))
            raise ConfigError(
                f"faults.requests.refuse_status was {self.refuse_status}, allowed: {allowed}"
            )
        if not 0 <= self.latency_ms[0] <= self.latency_ms[1] or self.bytes_per_s < 0:
            raise ConfigError(
                f"faults.requests {self.path}: latency_ms was {list(self.latency_ms)}, bytes_per_s "
                f"{self.bytes_per_s}, expected 0 or more, the smaller first"
            )


class FrameRule(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What happens to frames that a feed sends; PONG always passes."""

    feed: str
    lost_e4: int = 0
    duplicate_e4: int = 0
    reorder_e4: int = 0
    """Overtaken by what follows within 20 ms."""
    delay_ms: tuple[int, int] = (0, 0)
    """Frames keep their order."""

    def validate(self) -> None:
        """Raise ConfigError for values that make no sense."""
        if self.feed not in FEEDS:
            allowed = ", ".join(FEEDS)
            raise ConfigError(f"faults.frames.feed was {self.feed!r}, allowed: {allowed}")
        if not 0 <= self.delay_ms[0] <= self.delay_ms[1]:
            raise ConfigError(
                f"faults.frames.delay_ms was {list(self.delay_ms)}, "
                "expected 0 or more, the smaller first"
            )


class FaultConfig(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Faults that hold from the start; ``POST /sim/control`` changes them while running.

    Shares are per ten thousand. A latency is drawn between its two ends, the long tail with
    ``latency_tail_e4`` up to ``latency_tail_ms``.
    """

    answer_lost_e4: int = 0
    reset_mid_request_e4: int = 0
    settlement_failed_e4: int = 0
    settlement_retry_e4: int = 0
    user_duplicate_e4: int = 0
    user_reorder_e4: int = 0
    market_stale_cross_e4: int = 0
    latency_ms: tuple[int, int] = (0, 0)
    latency_tail_e4: int = 0
    latency_tail_ms: int = 0
    order_age_max_ms: int = 0
    balance_stale_ms: int = 0
    """What a wallet gains on chain stays out of the venue's view for so long, or until its
    ``/balance-allowance/update``."""
    binance_gap_e4: int = 0
    binance_cull_e4: int = 0
    """An SBE top is left out for a newer one, as a loaded server does; JSON tops never are."""
    binance_snapshot_old_e4: int = 0
    """Depth by REST is of five seconds ago: older than the diffs heard so far, ask again."""
    price_drop_e4: int = 300
    clock_skew_ms: int = 0
    """How far the venue's clock is ahead: /time, and which timestamps it accepts."""
    requests_per_connection: int = 0
    """So many answers end a connection, as the edge's GOAWAY does after 10 000; 0: never."""
    slow_read_ms: int = 0
    """How long what a client sent lies there before it is read."""
    requests: tuple[RequestRule, ...] = ()
    frames: tuple[FrameRule, ...] = ()

    def validate(self) -> None:
        """Raise ConfigError for values that make no sense."""
        _check_shares("faults", self)
        for request in self.requests:
            _check_shares(f"faults.requests {request.path}", request)
            request.validate()
        for frame in self.frames:
            _check_shares(f"faults.frames {frame.feed}", frame)
            frame.validate()


def _check_shares(where: str, knobs: msgspec.Struct) -> None:
    for name in knobs.__struct_fields__:
        value = getattr(knobs, name)
        if name.endswith("_e4") and not 0 <= value <= SHARE_ALL:
            raise ConfigError(f"{where}.{name} was {value}, allowed: 0 to {SHARE_ALL}")


class EdgeConfig(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Edges of one kind: how often, how good, how deep, how long. See ``lowlat.sim.edges``."""

    kind: str
    per_minute: float = 0.0
    """0: only on demand."""
    gain_e4: tuple[int, int] = (150, 400)
    """What a share (a set) brings net of fees; of latency and news: how far the truth moves."""
    depth_shares: tuple[int, int] = (60, 300)
    life_ms: tuple[int, int] = (250, 900)
    vanish_e4: int = 0
    """Share of edges of several legs where one leg is gone when another is hit."""
    market_cash: int = 0
    """Of latency: dollars that a trader may have in one market until it ends; 0: no bound. What
    nobody with that bankroll could take is no part of its known value."""
    coin_cash: int = 0
    """The same for all markets of one coin: they are one bet."""

    def validate(self) -> None:
        """Raise ConfigError for values that make no sense together."""
        if self.kind not in EDGE_KINDS:
            raise ConfigError(f"edge kind was {self.kind!r}, allowed: {', '.join(EDGE_KINDS)}")
        for name, (low, high) in (
            ("gain_e4", self.gain_e4),
            ("depth_shares", self.depth_shares),
            ("life_ms", self.life_ms),
        ):
            if not 0 < low <= high:
                raise ConfigError(
                    f"edges.{self.kind}.{name} was [{low}, {high}], "
                    "expected two numbers above 0, the smaller first"
                )
        if self.market_cash < 0 or self.coin_cash < 0:
            raise ConfigError(
                f"edges.{self.kind}.market_cash and coin_cash were {self.market_cash} and "
                f"{self.coin_cash}, expected 0 or more dollars"
            )
        if self.per_minute < 0.0:
            raise ConfigError(
                f"edges.{self.kind}.per_minute was {self.per_minute}, expected 0 or more"
            )


class FlowConfig(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """How lively the market is and what is planted in it."""

    makers: int = 4
    levels: int = 6
    events_per_s: float = 150.0
    """Maker re-quotes and noise takers together, over all markets."""
    taker_e4: int = 1500
    informed_e4: int = 0
    """Share of takers who know the fair value and take only what is wrong, net of fees; with
    ``adverse_e4`` those who know what comes next."""
    adverse_e4: int = 0
    """Share of what fills earn makers (spread and rebate) that the informed take back on average,
    in markets that no price decides; 10 000: nobody earns by resting. See ``lowlat.sim.knowledge``.
    0: takers know nothing of what comes next."""
    maker_delay_ms: tuple[int, int] = (250, 600)
    """How long after a spot move the makers' quotes follow it. (0, 0): they see it first."""
    half_spread_e4: int = 40
    """The nearest quotes stand so far from the fair value, a tick at least."""
    requote_e4: int = 60
    """A fair value this far from the quoted one makes makers quote again."""
    spot_hz: int = 20
    volatility_bps_per_sqrt_s: float = 0.8
    jumps_per_minute: float = 2.0
    jump_bps: float = 25.0
    jumps_spread: bool = True
    """Jumps come evenly, so that short runs see their share; False: at random (Poisson)."""
    basis_e4_max: int = 8
    """The settlement source is up to so far from the exchange."""
    basis_drift_bps_per_hour: float = 0.0
    news_per_minute: float = 0.0
    """Jumps of a hidden chance in a market no price decides, told at ``/sim/news``."""
    news_move_e4: tuple[int, int] = (300, 1500)
    news_delay_ms: tuple[int, int] = (0, 0)
    """How long after the news the makers' quotes follow it."""
    whales: int = 3
    whale_per_minute: float = 0.0
    """Large market orders of wallets with a history, uninformed unless planted."""
    whale_shares: tuple[int, int] = (500, 4000)
    edges: tuple[EdgeConfig, ...] = (EdgeConfig("neg_risk", per_minute=60.0, vanish_e4=3000),)


class SimConfig(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One simulated venue."""

    seed: int = 1
    seconds: float = 0.0
    """Stop by itself after so long; 0 runs until told."""
    host: str = "127.0.0.1"
    ports: dict[str, int] = msgspec.field(default_factory=dict)
    """Fixed port by name; 0 or missing is ephemeral."""
    tls: bool = False
    chain_id: int = 137
    markets: int = 40
    """Generated markets, legs of neg-risk events included, crypto windows not."""
    neg_risk_events: int = 5
    v2_markets: int = 0
    """Generated markets on top whose tokens trade on the V3 exchange."""
    coins: tuple[str, ...] = ("BTC", "ETH", "SOL")
    windows_s: tuple[int, ...] = (300,)
    """Lengths of up/down windows; 300, 900 and 14400 have the real slugs, others are extra."""
    windows_ahead: int = 1
    resolve_delay_ms: int = 1500
    twap_lag_s: int = 2
    """The average stamped at T ends this long before T."""
    event_life_s: int = 0
    """Neg-risk events resolve after so long; 0 never."""
    catalogue: int = 0
    """Listed markets that nobody quotes: they fill the metadata service."""
    listings_per_minute: float = 0.0
    """New events of that kind."""
    listing_delay_s: tuple[int, int] = (60, 240)
    """How long the order-book service answers 404 for a market just listed."""
    rewards: bool = True
    """Markets have daily pools for resting near the middle."""
    bonds: int = 0
    """Nearly certain markets that exist at any time; each is followed by another."""
    bond_life_s: tuple[int, int] = (60, 600)
    account_cash_e6: int = 10_000_000_000
    account_usdce_e6: int = 0
    """What a new wallet holds of the token that the on-ramp turns into collateral."""
    country: str = "IE"
    geoblocked: bool = False
    """Everybody's region is restricted: no new orders, ``/api/geoblock`` says so."""
    wallet_types: tuple[int, ...] = (0, 1, 2, 3)
    fresh_wallets: bool = False
    """Wallets of new owners have no approvals, deposit wallets wait for their deployment."""
    auto_redeem: bool = True
    """False: winnings of API users wait for their redeem call."""
    index_lag_ms: tuple[int, int] = (1_000, 4_000)
    """How long after the match the indexer tells of a trade."""
    binance_life_s: int = 86_400
    """A socket of the spot exchange ends after so long."""
    taker_delay_ms: int = 150
    market_taker_decimals: int = 4
    status_prefix: bool = True
    """REST says ORDER_STATUS_LIVE, as the present specification; False: LIVE, as it did before and
    as NautilusTrader still wants it. Source: polymarket.md 5.4."""
    gtd_min_s: int = 180
    gtd_early_s: int = 60
    clock_window_s: int = 60
    mined_ms: tuple[int, int] = (2000, 5000)
    confirmed_ms: tuple[int, int] = (1000, 3000)
    order_rate: int = 0
    order_burst: int = 60
    """Orders a second and signer; 0: what the signer's tier gives."""
    cancel_rate: int = 0
    cancel_burst: int = 120
    rate_warnings: bool = False
    """True: a signer who asks too much is warned by a header and let through."""
    ip_limits: bool = True
    """The windows by address: order entry 5 000 in ten seconds, and so on."""
    builders: dict[str, tuple[int, int]] = msgspec.field(default_factory=dict)
    """Fees in bps (maker, taker) by builder code; codes not named here are unknown."""
    relayer_ms: tuple[int, int] = (2000, 2000)
    """How long a relayed transaction waits for its block, and then for its confirmation."""
    relayer_submits_per_minute: int = 25
    heartbeat_ms: int = 10_000
    heartbeat_check_ms: int = 5_000
    tape: str = "shipped"
    """``shipped``, ``none`` or the path of a converted tape."""
    tape_speed: float = 1.0
    flow: FlowConfig = FlowConfig()
    faults: FaultConfig = FaultConfig()

    def validate(self) -> None:
        """Check what types cannot say; raises ConfigError."""
        if self.host not in LOOPBACK_HOSTS:
            raise ConfigError(f"sim.host was {self.host!r}, allowed: {', '.join(LOOPBACK_HOSTS)}")
        for name, port in self.ports.items():
            if name not in PORT_NAMES:
                raise ConfigError(f"sim.ports.{name} is unknown, allowed: {', '.join(PORT_NAMES)}")
            if not 0 <= port <= 65535:
                raise ConfigError(f"sim.ports.{name} was {port}, allowed: 0 to 65535")
        self._validate_names()
        for key, value, low in (
            ("windows_s", min(self.windows_s, default=5), 5),
            ("windows_ahead", self.windows_ahead, 0),
            ("account_cash_e6", self.account_cash_e6, 0),
            ("order_rate", self.order_rate, 0),
            ("cancel_rate", self.cancel_rate, 0),
            ("flow.spot_hz", self.flow.spot_hz, 1),
            ("flow.makers", self.flow.makers, 1),
            ("flow.events_per_s", self.flow.events_per_s, 0),
            ("flow.requote_e4", self.flow.requote_e4, 1),
            ("flow.half_spread_e4", self.flow.half_spread_e4, 1),
            ("catalogue", self.catalogue, 0),
            ("listing_delay_s", min(self.listing_delay_s), 0),
            ("flow.whales", self.flow.whales, 0),
            ("binance_life_s", self.binance_life_s, 1),
            ("bonds", self.bonds, 0),
            ("bond_life_s", min(self.bond_life_s), 1),
        ):
            if value < low:
                raise ConfigError(f"sim.{key} was {value}, expected at least {low}")

        self._validate_flow()
        self.faults.validate()

    def _validate_flow(self) -> None:
        flow = self.flow
        for key in ("taker_e4", "informed_e4", "adverse_e4"):
            if not 0 <= getattr(flow, key) <= SHARE_ALL:
                raise ConfigError(
                    f"sim.flow.{key} was {getattr(flow, key)}, allowed: 0 to {SHARE_ALL}"
                )
        if flow.adverse_e4 and not flow.informed_e4:
            raise ConfigError(
                f"sim.flow.adverse_e4 was {flow.adverse_e4} and informed_e4 0: somebody has to "
                "know it, expected informed_e4 above 0"
            )
        for edge in flow.edges:
            edge.validate()

    def _validate_names(self) -> None:
        if not self.tape_speed > 0.0:
            raise ConfigError(f"sim.tape_speed was {self.tape_speed}, expected above 0")
        if not set(self.wallet_types) <= {0, 1, 2, 3}:
            raise ConfigError(f"sim.wallet_types was {self.wallet_types}, allowed: 0 to 3")
        if not set(self.coins) <= {"BTC", "ETH", "SOL"}:
            raise ConfigError(f"sim.coins was {self.coins}, allowed: BTC, ETH, SOL")
        if self.markets < 5 * self.neg_risk_events:
            raise ConfigError(
                f"sim.markets was {self.markets}, expected at least 5 for each of "
                f"{self.neg_risk_events} neg-risk events"
            )


def load_config(values: dict[str, Any]) -> SimConfig:
    """Turn plain values (TOML table, JSON object) into a checked config; raises ConfigError."""
    try:
        config = msgspec.convert(values, SimConfig)
    except msgspec.ValidationError as error:
        raise ConfigError(f"sim config: {error}") from error
    config.validate()
    return config
