# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: auto_pickle=False
"""Holdings, buckets and sums: the words that every order changes, counted without a Python call.

Owned by risk; no I/O. What changes them rarely (fills, other events, recycled rows) is in
lowlat.risk.exposure. Integers, 1e-6 dollar.
"""

cimport cython
from libc.stdint cimport int64_t, uint32_t, uint64_t

from lowlat.risk._cells cimport ByMarket, FactCells

from lowlat.core.layout import ExposureScope

__all__ = ["Bet", "Bucket", "ExposureCells", "Holding"]

cdef int CORRELATED = ExposureScope.CORRELATED
cdef int SERIES = ExposureScope.SERIES
cdef int SOURCE = ExposureScope.SOURCE


@cython.final
cdef class Bet:
    """Markets that are one bet in some respect (scope), and what they may lose together."""

    def __cinit__(self, int scope, uint64_t key):
        self.scope = scope
        self.key = key


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
    def keys(self):
        """Ids that other buckets may share, 0 for none: correlation, series, source."""
        return tuple([0 if bet is None else bet.key for bet in self.bets()])

    def bets(self):
        """Return what this is part of: by correlation, series, source; None where by nothing."""
        return (self.bet, self.series, self.source)

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
        self.changed_bets = []
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
            bucket = Bucket(facts.bucket, None, facts.event_markets, facts.exhaustive)
            self.join(bucket, facts)
            self.buckets[facts.bucket] = bucket
        return bucket

    def join(self, Bucket bucket not None, FactCells facts not None):
        """Make a bucket without losses part of the bets that its market's facts name."""
        bucket.bet = self.bet_of(CORRELATED, facts.correlation)
        bucket.series = self.bet_of(SERIES, facts.series)
        bucket.source = self.bet_of(SOURCE, facts.source)

    def bet_of(self, int scope, uint64_t key):
        """Return the bet of an id, None of 0."""
        if not key:
            return None
        bet = self.bets.get((scope, key))
        if bet is None:
            bet = self.bets[scope, key] = Bet(scope, key)
        return bet

    cdef Holding new_holding(self, FactCells facts):
        cdef Bucket bucket = self.bucket_of(facts)
        cdef Holding holding = Holding(facts.market, facts.generation, bucket)
        holding.end_ns = facts.end_ns
        holding.is_long = facts.end_ns > self.long_from_ns
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

    def take_changed_bets(self, int most):
        """Return up to so many bets whose rows are old; they count as published."""
        cdef Bet bet
        taken = self.changed_bets[:most]
        for bet in taken:
            bet._listed = False
        del self.changed_bets[:most]
        return taken

    cdef int add_cash(self, Holding holding, int64_t change_e6) except -1:
        holding.in_flight_e6 += change_e6
        holding.bucket.in_flight_e6 += change_e6
        self.in_flight_e6 += change_e6
        if holding.is_long:
            self.long_e6 += change_e6
        self.add_loss(holding.bucket, change_e6)
        return self.list_changed(holding)

    cdef int add_loss(self, Bucket bucket, int64_t change_e6) except -1:
        self.total_e6 += change_e6
        if bucket.bet is not None:
            self.add_to_bet(bucket.bet, change_e6)
        if bucket.series is not None:
            self.add_to_bet(bucket.series, change_e6)
        if bucket.source is not None:
            self.add_to_bet(bucket.source, change_e6)
        return 0

    cdef int add_to_bet(self, Bet bet, int64_t change_e6) except -1:
        bet.loss_e6 += change_e6
        if not bet._listed:
            bet._listed = True
            self.changed_bets.append(bet)
        return 0

    cdef int list_changed(self, Holding holding) except -1:
        if not holding._listed:
            holding._listed = True
            self.changed.append(holding)
        return 0
