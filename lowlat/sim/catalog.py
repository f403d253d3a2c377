"""Markets and events of the simulated venue: real-shaped ids, rules, life. Pure and seeded."""

import hashlib
from datetime import UTC, datetime
from typing import Final

from lowlat.core.units import E8
from lowlat.sim.ladder import Ladder, Order

__all__ = [
    "COINS",
    "CoinFacts",
    "Event",
    "Market",
    "Rules",
    "iso",
    "make_event",
    "make_market",
    "span_text",
]

NS: Final = 1_000_000_000


class CoinFacts:
    """Names of one underlying and where its simulated price starts."""

    __slots__ = ("name", "spot_e8", "step_e8", "symbol")

    def __init__(self, symbol: str, name: str, spot: int, step: int) -> None:
        self.symbol = symbol
        self.name = name
        self.spot_e8 = spot * E8
        self.step_e8 = step * E8
        """Distance between the strikes of "above" markets."""


COINS: Final = {
    "BTC": CoinFacts("BTC", "Bitcoin", 98_000, 500),
    "ETH": CoinFacts("ETH", "Ethereum", 3_400, 20),
    "SOL": CoinFacts("SOL", "Solana", 190, 1),
}


class Rules:
    """What a family of markets has in common."""

    __slots__ = (
        "category",
        "fee_rate_e4",
        "itode",
        "min_size_e6",
        "neg_risk",
        "rebate",
        "reward_age_ms",
        "reward_daily_e6",
        "reward_min_size_e6",
        "reward_spread_e4",
        "sd_s",
        "tick_e4",
    )

    def __init__(
        self,
        category: str,
        *,
        fee_rate_e4: int,
        rebate: float,
        tick_e4: int = 100,
        neg_risk: bool = False,
        itode: bool = False,
        sd_s: int = 0,
        min_size_e6: int = 5_000_000,
        reward_daily_e6: int = 0,
    ) -> None:
        self.category = category
        self.fee_rate_e4 = fee_rate_e4
        self.rebate = rebate
        self.tick_e4 = tick_e4
        self.neg_risk = neg_risk
        self.itode = itode
        self.sd_s = sd_s
        self.min_size_e6 = min_size_e6
        self.reward_daily_e6 = reward_daily_e6
        """Paid a day to resting orders near the middle; 0: no rewards. Source: 7.4."""
        self.reward_min_size_e6 = 20_000_000
        self.reward_spread_e4 = 350
        self.reward_age_ms = 3500


class Event:
    """A group of markets; exclusive when neg-risk."""

    __slots__ = (
        "end_ns",
        "id",
        "markets",
        "neg_risk_id",
        "rules",
        "series",
        "slug",
        "start_ns",
        "title",
    )

    def __init__(self, event_id: str, slug: str, title: str, rules: Rules) -> None:
        self.id = event_id
        self.slug = slug
        self.title = title
        self.rules = rules
        self.series = ""
        self.neg_risk_id = ""
        self.start_ns = 0
        self.end_ns = 0
        self.markets: list[Market] = []


class Market:
    """One question with two outcomes and its ladder. Changed by the exchange only."""

    __slots__ = (
        "accepting",
        "closed",
        "coin",
        "condition_id",
        "end_ns",
        "event",
        "final_price_e8",
        "group_item",
        "id",
        "index",
        "kind",
        "ladder",
        "last_trade_e4",
        "last_trade_side",
        "outcomes",
        "quantum_e6",
        "question",
        "question_id",
        "rules",
        "slug",
        "start_ns",
        "start_price_e8",
        "strike_e8",
        "tick_e4",
        "tokens",
        "version",
        "volume_e6",
        "winner",
    )

    def __init__(self, index: int, event: Event, question: str, slug: str, kind: str) -> None:
        self.index = index
        self.event = event
        self.rules = event.rules
        self.kind = kind
        """binary, leg, twap (60 s average up or down), candle (exchange candle up or down),
        strike (exchange close above), quiet (nobody quotes it)."""
        self.question = question
        self.slug = slug
        self.group_item = ""
        self.id = str(1_500_000 + index)
        self.condition_id = ""
        self.question_id = ""
        self.tokens = ("", "")
        self.version = "v1"
        """v2: tokens are protocol-v2 position ids, traded on the V3 exchange. Source: 3.1."""
        self.outcomes = ("Up", "Down") if kind in {"twap", "candle"} else ("Yes", "No")
        self.tick_e4 = event.rules.tick_e4
        self.quantum_e6 = 10_000 // self.tick_e4
        """Fills are multiples of this, so that cash is whole base units at every grid price."""
        self.ladder = Ladder()
        self.accepting = True
        self.closed = False
        self.winner: int | None = None
        self.start_ns = 0
        self.end_ns = 0
        self.coin = ""
        self.strike_e8 = 0
        self.start_price_e8 = 0
        self.final_price_e8 = 0
        self.last_trade_e4: int | None = None
        self.last_trade_side = ""
        self.volume_e6 = 0

    @property
    def exchange(self) -> str:
        """Name of the exchange contract its orders are signed for."""
        if self.version == "v2":
            return "v3"
        return "neg_risk" if self.rules.neg_risk else "standard"

    def met_by(self, order: Order) -> bool:
        """Say whether an order would match at once."""
        return self.ladder.crosses(is_bid=order.is_bid, yes_price_e4=order.yes_price_e4)

    def set_tick(self, tick_e4: int) -> None:
        """Change the grid; the fill quantum only ever grows."""
        self.tick_e4 = tick_e4
        self.quantum_e6 = max(self.quantum_e6, 10_000 // tick_e4)


def make_event(seed: int, number: int, slug: str, title: str, rules: Rules) -> Event:
    """Make an event; a neg-risk one gets its market id."""
    event = Event(str(300_000 + number), slug, title, rules)
    if rules.neg_risk:
        event.neg_risk_id = "0x" + _hash(seed, "neg-risk", slug).hex()[:62] + "00"
    return event


def make_market(
    seed: int,
    index: int,
    event: Event,
    question: str,
    slug: str,
    kind: str = "binary",
    version: str = "v1",
) -> Market:
    """Make a market with ids of the real shape and put it into its event."""
    market = Market(index, event, question, slug, kind)
    key = f"{index}|{slug}"
    market.version = version
    market.question_id = "0x" + _hash(seed, "question", key).hex()
    if version == "v2":
        # Module, half a hash, zeros; the outcome is the last byte of a position id.
        module = 2 if event.rules.neg_risk else 1
        condition = bytes((module,)) + _hash(seed, "condition", key)[:16] + bytes(14)
        market.condition_id = "0x" + condition.hex()
        yes = int.from_bytes(condition, "big") << 8
        market.tokens = (str(yes), str(yes + 1))
    else:
        market.condition_id = "0x" + _hash(seed, "condition", key).hex()
        market.tokens = (_token_id(seed, key, 0), _token_id(seed, key, 1))
    event.markets.append(market)
    return market


def iso(time_ns: int) -> str:
    """Write a wall time the way Gamma does."""
    moment = datetime.fromtimestamp(time_ns // NS, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def span_text(seconds: int) -> str:
    """Write the length of a window the way slugs do."""
    if seconds % 3600 == 0:
        return f"{seconds // 3600}h"
    return f"{seconds // 60}m" if seconds % 60 == 0 else f"{seconds}s"


def _hash(seed: int, kind: str, key: str) -> bytes:
    return hashlib.sha256(f"{seed}|{kind}|{key}".encode()).digest()


def _token_id(seed: int, key: str, outcome: int) -> str:
    """Return a 77-digit id that is no protocol-v2 position id (their middle bits are zero)."""
    number = int.from_bytes(_hash(seed, f"token{outcome}", key), "big")
    token = 10**76 + number % (9 * 10**76)
    assert token & (((1 << 64) - 1) << 40), f"{token} would select the V3 exchange"
    return str(token)
