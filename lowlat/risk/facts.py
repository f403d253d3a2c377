"""What a check needs of a market, worked out once when its row changes.

Owned by risk; built from MARKET_ROW. Unknown is never zero: what is not known blocks trading.
"""

from lowlat.core.layout import Coin, Exchange, Known, MarketRow, MarketStatus, SettleRule
from lowlat.core.resolution import SCORE_MAX, assess
from lowlat.risk._cells import FactCells
from lowlat.venues.polymarket.amounts import TICKS

__all__ = ["END_UNKNOWN_NS", "UNKNOWN_GENERATION", "MarketFacts"]

UNKNOWN_GENERATION = -1
END_UNKNOWN_NS = 2**62
"""Later than any end: what nobody dates is locked for long."""

_NO_EVENT = bytes(32)
_WINDOWED = frozenset(
    {SettleRule.TWAP_60_UP, SettleRule.BINANCE_CANDLE_UP, SettleRule.BINANCE_NOON_UP}
)


class MarketFacts(FactCells):
    """One market's rules in the form that checks and the plain path compare with."""

    __slots__ = ()

    def __init__(self, row: MarketRow, wall_ns: int) -> None:
        self.market = row.market
        self.generation = row.generation
        rule = TICKS.get(row.tick_e4)
        self.tradeable = (
            row.known & Known.TRADEABLE == Known.TRADEABLE
            and row.status == MarketStatus.ACTIVE
            and row.exchange != Exchange.UNKNOWN
            and rule is not None
        )
        self.tick_e4 = row.tick_e4
        self.step_e6 = rule.ladder_step_e6 if rule is not None else 0
        self.min_size_e6 = row.min_size_e6
        self.rate_e6 = row.fee_rate_e6
        self.exponent = row.fee_exponent
        self.correlation = row.correlation_id
        self.series = row.series_hash
        self.source = row.source_hash
        self.end_ns = row.end_ns or END_UNKNOWN_NS
        # A price window is decided at its end; other questions are often answered later.
        self.winner = row.winner
        self.windowed = row.settle_rule in _WINDOWED
        self.risk_score = assess(row, wall_ns).score
        # Only a market that settles on the averages needs its start price to be known exactly
        # (issue, feeds); a crypto market whose rule is unknown could be one.
        self.start_known = bool(row.known & Known.START_PRICE) or not (
            row.settle_rule == SettleRule.TWAP_60_UP
            or (row.coin != Coin.NONE and row.settle_rule == SettleRule.UNKNOWN)
        )
        grouped = row.neg_risk == 1 and row.event_id != _NO_EVENT
        self.bucket = row.event_id if grouped else row.market
        """States of the world are listed per bucket: an exclusive event, or one market."""
        self.event_markets = row.event_market_count if grouped else 1
        self.exhaustive = not grouped or row.neg_risk_augmented == 0
        """Whether one of the listed outcomes must happen."""

    @classmethod
    def unknown(cls, market: int) -> "MarketFacts":
        """Return facts of a market whose row has not come: nothing may trade there."""
        facts = cls.__new__(cls)
        facts.market = facts.bucket = market
        facts.generation = UNKNOWN_GENERATION
        facts.tradeable = facts.start_known = False
        facts.tick_e4 = facts.step_e6 = facts.min_size_e6 = 0
        facts.rate_e6 = facts.exponent = facts.correlation = 0
        facts.series = facts.source = 0
        facts.end_ns = END_UNKNOWN_NS
        facts.windowed = False
        facts.winner = 0
        facts.risk_score = SCORE_MAX
        facts.event_markets = 1
        facts.exhaustive = False
        return facts
