"""Worst-case loss: of a market, of an exclusive event, of what is correlated, of everything.

Held positions by listing the states of the world (which outcome wins); cash in flight, resting and
reserved counts as lost in full until it fills. Locked-in profit never offsets another's loss.
Integers, 1e-6 dollar. Owned by risk. Source: feeds.md 6.9, design 8.
"""

from lowlat.risk.facts import UNKNOWN_GENERATION, MarketFacts

__all__ = ["Bucket", "Exposure", "Holding"]


class Holding:
    """What is held and in flight in one market."""

    __slots__ = (
        "bucket",
        "confirmed_e6",
        "cost_e6",
        "costs_e6",
        "generation",
        "held_loss_e6",
        "in_flight_e6",
        "market",
        "selling_e6",
        "shares_e6",
    )

    def __init__(self, market: int, generation: int, bucket: "Bucket") -> None:
        self.market = market
        self.generation = generation
        self.bucket = bucket
        self.shares_e6 = [0, 0]
        """YES, NO: matched."""
        self.confirmed_e6 = [0, 0]
        self.selling_e6 = [0, 0]
        self.costs_e6 = [0, 0]
        self.cost_e6 = 0
        self.held_loss_e6 = 0
        self.in_flight_e6 = 0

    @property
    def loss_e6(self) -> int:
        """Worst-case loss of the market by itself."""
        return self.held_loss_e6 + self.in_flight_e6

    def settle(self) -> None:
        """Work out the held loss: the cheaper state pays the smaller side."""
        self.cost_e6 = self.costs_e6[0] + self.costs_e6[1]
        self.held_loss_e6 = max(0, self.cost_e6 - min(self.shares_e6))


class Bucket:
    """Markets of which exactly one is YES (an event), or a market alone."""

    __slots__ = (
        "correlation",
        "event_markets",
        "exhaustive",
        "held_loss_e6",
        "holdings",
        "in_flight_e6",
        "key",
    )

    def __init__(self, facts: MarketFacts) -> None:
        self.key = facts.bucket
        self.correlation = facts.correlation
        self.event_markets = facts.event_markets
        self.exhaustive = facts.exhaustive
        self.holdings: list[Holding] = []
        self.held_loss_e6 = 0
        self.in_flight_e6 = 0

    @property
    def loss_e6(self) -> int:
        """Worst-case loss over the states."""
        return self.held_loss_e6 + self.in_flight_e6

    def floor_e6(self) -> int:
        """Return what the held shares pay in the worst state."""
        holdings = self.holdings
        if self.event_markets == 1:
            return min(holdings[0].shares_e6) if holdings else 0
        all_no_e6 = sum(holding.shares_e6[1] for holding in holdings)
        states = [all_no_e6 - holding.shares_e6[1] + holding.shares_e6[0] for holding in holdings]
        # An outcome that we hold nothing of, or that is not listed, may win: every NO pays then.
        if len(holdings) < self.event_markets or not self.exhaustive:
            states.append(all_no_e6)
        return min(states, default=0)

    def settle(self) -> None:
        """Work the held loss out again."""
        cost_e6 = sum(holding.cost_e6 for holding in self.holdings)
        self.held_loss_e6 = max(0, cost_e6 - self.floor_e6())


class Exposure:
    """All holdings and their sums, kept as they change."""

    def __init__(self) -> None:
        self.holdings: dict[int, Holding] = {}
        self.buckets: dict[bytes | int, Bucket] = {}
        self.correlated_e6: dict[int, int] = {}
        self.total_e6 = 0
        self.cost_e6 = 0
        self.in_flight_e6 = 0
        self.changed: dict[int, None] = {}
        """Markets whose published row is old."""

    def holding(self, facts: MarketFacts) -> Holding:
        """Return the market's holding, made when first asked for."""
        holding = self.holdings.get(facts.market)
        if holding is not None and holding.generation == facts.generation:
            return holding
        if holding is not None:
            self._forget(holding)
        bucket = self._bucket(facts)
        holding = Holding(facts.market, facts.generation, bucket)
        bucket.holdings.append(holding)
        self.holdings[facts.market] = holding
        return holding

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
        holding.shares_e6[outcome] = size_e6
        holding.confirmed_e6[outcome] = confirmed_e6
        holding.costs_e6[outcome] = cost_e6
        holding.settle()
        bucket.settle()
        self.cost_e6 += holding.cost_e6 - cost_before_e6
        self._add(bucket, bucket.held_loss_e6 - before_e6)
        self.changed[holding.market] = None

    def fly(self, holding: Holding, change_e6: int) -> None:
        """Count cash into (or out of) what is in flight or resting."""
        holding.in_flight_e6 += change_e6
        holding.bucket.in_flight_e6 += change_e6
        self.in_flight_e6 += change_e6
        self._add(holding.bucket, change_e6)
        self.changed[holding.market] = None

    def correlated_loss_e6(self, bucket: Bucket) -> int:
        """Return the loss of all that is one bet with this bucket."""
        if bucket.correlation:
            return self.correlated_e6.get(bucket.correlation, 0)
        return bucket.held_loss_e6 + bucket.in_flight_e6

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
            bucket = self._bucket(facts)
            before_e6 = bucket.loss_e6
            holding.bucket = bucket
            bucket.holdings.append(holding)
            bucket.in_flight_e6 += holding.in_flight_e6
            bucket.settle()
            self._add(bucket, bucket.loss_e6 - before_e6)
        if bucket.correlation != facts.correlation:
            loss_e6 = bucket.loss_e6
            self._add(bucket, -loss_e6)
            bucket.correlation = facts.correlation
            self._add(bucket, loss_e6)
        before_e6 = bucket.held_loss_e6
        bucket.event_markets = facts.event_markets
        bucket.exhaustive = facts.exhaustive
        bucket.settle()
        self._add(bucket, bucket.held_loss_e6 - before_e6)

    def _bucket(self, facts: MarketFacts) -> Bucket:
        bucket = self.buckets.get(facts.bucket)
        if bucket is None:
            bucket = self.buckets[facts.bucket] = Bucket(facts)
        return bucket

    def _take_out(self, holding: Holding) -> None:
        bucket = holding.bucket
        before_e6 = bucket.loss_e6
        bucket.holdings.remove(holding)
        bucket.in_flight_e6 -= holding.in_flight_e6
        bucket.settle()
        self._add(bucket, bucket.loss_e6 - before_e6)
        if not bucket.holdings:
            del self.buckets[bucket.key]

    def _add(self, bucket: Bucket, change_e6: int) -> None:
        self.total_e6 += change_e6
        if bucket.correlation:
            correlated = self.correlated_e6
            correlated[bucket.correlation] = correlated.get(bucket.correlation, 0) + change_e6

    def _forget(self, holding: Holding) -> None:
        """Drop a market whose row holds another one now (it was resolved and redeemed)."""
        assert not holding.in_flight_e6, f"market {holding.market} was recycled with open orders"
        self._take_out(holding)
        self.cost_e6 -= holding.cost_e6
        del self.holdings[holding.market]
