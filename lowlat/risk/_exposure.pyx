# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: auto_pickle=False
"""Holdings, buckets and sums: the words that every order changes, counted without a Python call.

Owned by risk; no I/O. What changes them rarely (fills, other events, recycled rows) is in
lowlat.risk.exposure. Integers, 1e-6 dollar.
"""

cimport cython
from libc.stdint cimport int64_t, uint32_t, uint64_t

from lowlat.risk._cells cimport ByMarket, FactCells

__all__ = ["Bet", "Bucket", "ExposureCells", "Holding"]


@cython.final
cdef class Bet:
    """Markets that share a correlation id, and what all of them together may lose."""

    def __cinit__(self, uint64_t correlation):
        self.correlation = correlation


@cython.final
cdef class Bucket:
    """Markets of which exactly one is YES (an event), or a market alone."""

    def __cinit__(self, key, Bet bet, int64_t event_markets, bint exhaustive):
        self.key = key
        self.bet = bet
        self.event_markets = event_markets
        self.exhaustive = exhaustive
        self.holdings = []

    @property
    def correlation(self):
        """Id that other buckets may share, 0 for none."""
        return 0 if self.bet is None else self.bet.correlation

    @property
    def loss_e6(self):
        """Worst-case loss over the states."""
        return self.held_loss_e6 + self.in_flight_e6

    @property
    def correlated_loss_e6(self):
        """Worst-case loss of all that is one bet with this."""
        return self.held_loss_e6 + self.in_flight_e6 if self.bet is None else self.bet.loss_e6

    def floor_e6(self):
        """Return what the held shares pay in the worst state."""
        cdef list holdings = self.holdings
        if self.event_markets == 1:
            return min(holdings[0].shares_e6) if holdings else 0
        all_no_e6 = sum([holding.shares_e6[1] for holding in holdings])
        states = [all_no_e6 - holding.shares_e6[1] + holding.shares_e6[0] for holding in holdings]
        # An outcome that we hold nothing of, or that is not listed, may win: every NO pays then.
        if len(holdings) < self.event_markets or not self.exhaustive:
            states.append(all_no_e6)
        return min(states, default=0)

    def settle(self):
        """Work the held loss out again."""
        cost_e6 = sum([holding.cost_e6 for holding in self.holdings])
        self.held_loss_e6 = max(0, cost_e6 - self.floor_e6())


@cython.final
cdef class Holding:
    """What is held and in flight in one market; lists are YES, NO."""

    def __cinit__(self, uint32_t market, int64_t generation, Bucket bucket not None):
        self.market = market
        self.generation = generation
        self.bucket = bucket
        self.shares_e6 = [0, 0]
        self.confirmed_e6 = [0, 0]
        self.selling_e6 = [0, 0]
        self.costs_e6 = [0, 0]

    @property
    def loss_e6(self):
        """Worst-case loss of the market by itself."""
        return self.held_loss_e6 + self.in_flight_e6

    def settle(self):
        """Work out the held loss: the cheaper state pays the smaller side."""
        self.cost_e6 = self.costs_e6[0] + self.costs_e6[1]
        self.held_loss_e6 = max(0, self.cost_e6 - min(self.shares_e6))


cdef class ExposureCells:
    """Holdings by market, buckets by key, bets by correlation id, and their sums."""

    def __cinit__(self):
        self.changed = []
        self.holdings = ByMarket()
        self.buckets = {}
        self.bets = {}
        self.total_due = True

    def open(self, FactCells facts not None):
        """Make the holding of a market that has none."""
        return self.new_holding(facts)

    def bucket_of(self, FactCells facts not None):
        """Return the bucket that a market belongs to, made when first asked for."""
        bucket = self.buckets.get(facts.bucket)
        if bucket is None:
            bet = self.bet_of(facts.correlation)
            bucket = Bucket(facts.bucket, bet, facts.event_markets, facts.exhaustive)
            self.buckets[facts.bucket] = bucket
        return bucket

    def bet_of(self, uint64_t correlation):
        """Return the bet of a correlation id, None of 0."""
        if not correlation:
            return None
        bet = self.bets.get(correlation)
        if bet is None:
            bet = self.bets[correlation] = Bet(correlation)
        return bet

    cdef Holding new_holding(self, FactCells facts):
        cdef Bucket bucket = self.bucket_of(facts)
        cdef Holding holding = Holding(facts.market, facts.generation, bucket)
        bucket.holdings.append(holding)
        self.holdings[facts.market] = holding
        return holding

    def fly(self, Holding holding not None, int64_t change_e6):
        """Count cash into (or out of) what is in flight or resting."""
        self.add_cash(holding, change_e6)

    def add(self, Bucket bucket not None, int64_t change_e6):
        """Count a change of a bucket's loss into the sums that it is part of."""
        self.add_loss(bucket, change_e6)

    def note(self, Holding holding not None):
        """Have the market's row published again."""
        self.list_changed(holding)

    def take_changed(self, int most):
        """Return up to so many holdings whose rows are old; they count as published."""
        cdef Holding holding
        taken = self.changed[:most]
        for holding in taken:
            holding._listed = False
        del self.changed[:most]
        return taken

    cdef int add_cash(self, Holding holding, int64_t change_e6) except -1:
        holding.in_flight_e6 += change_e6
        holding.bucket.in_flight_e6 += change_e6
        self.in_flight_e6 += change_e6
        self.add_loss(holding.bucket, change_e6)
        return self.list_changed(holding)

    cdef void add_loss(self, Bucket bucket, int64_t change_e6) noexcept:
        self.total_e6 += change_e6
        if bucket.bet is not None:
            bucket.bet.loss_e6 += change_e6

    cdef int list_changed(self, Holding holding) except -1:
        if not holding._listed:
            holding._listed = True
            self.changed.append(holding)
        return 0
