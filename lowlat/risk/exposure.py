"""Worst-case loss: of a market, of an exclusive event, of what is correlated, of everything.

Held positions by listing the states of the world (which outcome wins); cash in flight, resting and
reserved counts as lost in full until it fills. Locked-in profit never offsets another's loss.
Integers, 1e-6 dollar. Owned by risk. Source: feeds.md 6.9, design 8.
"""

from lowlat.risk._exposure import Bet, Bucket, ExposureCells, Holding
from lowlat.risk.facts import UNKNOWN_GENERATION, MarketFacts

__all__ = ["Bet", "Bucket", "Exposure", "Holding"]


class Exposure(ExposureCells):
    """All holdings and their sums, kept as they change."""

    __slots__ = ()

    def holding(self, facts: MarketFacts) -> Holding:
        """Return the market's holding, made when first asked for."""
        holding = self.holdings.get(facts.market)
        if holding is not None and holding.generation == facts.generation:
            return holding
        if holding is not None:
            self._forget(holding)
        return self.open(facts)

    def occupied(self, facts: MarketFacts) -> bool:
        """Whether the row still counts for another market: it was recycled too early."""
        holding = self.holdings.get(facts.market)
        return (
            holding is not None
            and holding.generation != facts.generation
            and (holding.in_flight_e6 != 0 or holding.cost_e6 != 0 or any(holding.shares_e6))
        )

    def hold(
        self, holding: Holding, outcome: int, size_e6: int, confirmed_e6: int, cost_e6: int
    ) -> None:
        """Take a token's position as the executor's table has it."""
        bucket = holding.bucket
        before_e6 = bucket.held_loss_e6
        cost_before_e6 = holding.cost_e6
        stuck_before_e6 = holding.held_loss_e6
        holding.shares_e6[outcome] = size_e6
        holding.confirmed_e6[outcome] = confirmed_e6
        holding.costs_e6[outcome] = cost_e6
        holding.settle()
        bucket.settle()
        self.cost_e6 += holding.cost_e6 - cost_before_e6
        if holding.is_long:
            # YES and NO together are cash whenever somebody merges them: an unwound leg is free.
            self.long_e6 += holding.held_loss_e6 - stuck_before_e6
        self.add(bucket, bucket.held_loss_e6 - before_e6)
        self.note(holding)

    def rebase(self, facts: MarketFacts) -> None:
        """Follow a changed row: another event or correlation moves what is held with it."""
        holding = self.holdings.get(facts.market)
        if holding is not None and holding.generation == UNKNOWN_GENERATION:
            holding.generation = facts.generation
        if holding is None or holding.generation != facts.generation:
            return
        bucket = holding.bucket
        if bucket.key != facts.bucket:
            self._take_out(holding)
            bucket = self.bucket_of(facts)
            before_e6 = bucket.loss_e6
            holding.bucket = bucket
            bucket.holdings.append(holding)
            bucket.in_flight_e6 += holding.in_flight_e6
            bucket.settle()
            self.add(bucket, bucket.loss_e6 - before_e6)
        if bucket.keys != (facts.correlation, facts.series, facts.source):
            loss_e6 = bucket.loss_e6
            self.add(bucket, -loss_e6)
            self.join(bucket, facts)
            self.add(bucket, loss_e6)
        holding.end_ns = facts.end_ns
        self._place(holding)
        before_e6 = bucket.held_loss_e6
        bucket.event_markets = facts.event_markets
        bucket.exhaustive = facts.exhaustive
        bucket.settle()
        self.add(bucket, bucket.held_loss_e6 - before_e6)

    def set_horizon(self, long_from_ns: int) -> None:
        """Count what ends later than this wall time as locked for long, the rest no more."""
        self.long_from_ns = long_from_ns
        for market in self.holdings:
            self._place(self.holdings[market])

    def _place(self, holding: Holding) -> None:
        is_long = holding.end_ns > self.long_from_ns
        if is_long != holding.is_long:
            locked_e6 = holding.held_loss_e6 + holding.in_flight_e6
            self.long_e6 += locked_e6 if is_long else -locked_e6
            holding.is_long = is_long

    def _take_out(self, holding: Holding) -> None:
        bucket = holding.bucket
        before_e6 = bucket.loss_e6
        bucket.holdings.remove(holding)
        bucket.in_flight_e6 -= holding.in_flight_e6
        bucket.settle()
        self.add(bucket, bucket.loss_e6 - before_e6)
        if not bucket.holdings:
            del self.buckets[bucket.key]

    def _forget(self, holding: Holding) -> None:
        """Drop a market whose row holds another one now (it was resolved and redeemed)."""
        assert not holding.in_flight_e6, f"market {holding.market} was recycled with open orders"
        self._take_out(holding)
        self.cost_e6 -= holding.cost_e6
        if holding.is_long:
            self.long_e6 -= holding.held_loss_e6
        del self.holdings[holding.market]
