# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: auto_pickle=False
"""How ``latency`` looks at books and exchange prices: fair value, two limits, size, signal.

Called by the engine for each book and each price; no I/O. A book tick while
prices stand still costs two comparisons. ``tests/signals/latency_reference.py`` says the same in
Python, and a test compares the records of both.
"""

cimport cython
from libc.math cimport fabs, fmax, sqrt
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from lowlat.book._slots cimport ll_row8
from lowlat.book._view cimport BookView, Walk
from lowlat.core.layout cimport LL_ACTION_BUY, ll_spot_top
from lowlat.signals._coin cimport CoinModel, locked_t, seconds_of
from lowlat.signals._emit cimport NOT_PLAIN, SENT, put_field, wish_t
from lowlat.signals._fair cimport (
    average_variance_s,
    fat_probability,
    limit_price_e4,
    normal_density,
)
from lowlat.signals._look cimport Look, SpotLook
from lowlat.signals._path cimport BookPath

from lowlat.core.layout import Urgency
from lowlat.venues.polymarket.amounts import MIN_NOTIONAL_E6, TICKS

__all__ = ["CoinQuotes", "Mids", "Quote", "Terms"]

cdef enum:
    S_NS = 1000000000
    MS_NS = 1000000
    US_NS = 1000
    E4 = 10000
    E6 = 1000000
    E8 = 100000000
    E9 = 1000000000
    ID_BYTES = 32
    METADATA_MAX = 224

cdef int64_t _NOTIONAL_E6_MIN = MIN_NOTIONAL_E6
cdef int64_t _IMMEDIATE = Urgency.IMMEDIATE
cdef double _SANE = 1e12

ctypedef struct fair_t:
    double probability
    double mean
    double deviation
    double z
    int64_t locked_s
    double left_s


@cython.final
cdef class Terms:
    """A LatencyParams as C numbers: one a module."""

    cdef bytes _module
    cdef double _learned_s
    cdef double _edge_min, _volatility_margin, _delay_weight, _fill_probability, _impact_share_max
    cdef int64_t _cash_e6, _impact_max_ppm, _average_lag_s, _missing_s_max, _print_age_ns
    cdef int64_t _spot_age_ns, _stop_ns, _cooldown_ns, _budget_ns, _delay_ms

    def __init__(self, str module not None, params):
        """Take the parameters of the module of that name."""
        self._module = module.encode("ascii")
        self._edge_min = params.edge_min
        self._volatility_margin = params.volatility_error_weight * params.volatility_error
        self._learned_s = params.coin.volatility_slow_half_life_s
        self._delay_weight = params.delay_weight
        self._fill_probability = params.fill_probability
        self._impact_share_max = params.impact_share_max
        self._cash_e6 = params.order_cash_e6_max
        self._impact_max_ppm = params.impact_max_ppm
        self._average_lag_s = params.average_lag_s
        self._missing_s_max = params.missing_s_max
        self._print_age_ns = <int64_t>params.print_age_s_max * S_NS
        self._spot_age_ns = <int64_t>params.spot_age_ms_max * MS_NS
        self._stop_ns = <int64_t>params.stop_before_end_ms * MS_NS
        self._cooldown_ns = <int64_t>params.cooldown_ms * MS_NS
        self._budget_ns = <int64_t>params.latency_budget_us * US_NS
        self._delay_ms = params.own_delay_ms


@cython.final
cdef class Quote(Look):
    """One market's rule, and its two limits while prices stand still."""

    cdef Terms _terms
    cdef CoinModel _coin
    cdef BookPath _path
    cdef readonly uint32_t market
    cdef bint _struck, _known
    cdef double _strike, _delay_s, _rate, _margin_delay
    cdef int _average_s, _exponent
    cdef int64_t _start_ns, _end_ns, _stop_ns, _last_s, _rate_e6, _tick_e4, _step_e6, _min_size_e6
    cdef int64_t _version, _priced_ns, _locked_version
    cdef locked_t _locked
    cdef fair_t _fair
    cdef int64_t _limit_e4[2]
    cdef int64_t _next_ns[2]
    cdef uint32_t _generation
    cdef uint8_t _market_id[ID_BYTES]
    cdef uint8_t _token_id[2][ID_BYTES]

    def __init__(
        self,
        row,
        strike,
        int64_t opens_ns,
        int average_s,
        Terms terms,
        CoinModel coin,
        BookPath path,
    ):
        """Take a MarketRow's rule; ``strike`` is None while what it compares with is unknown.

        From ``opens_ns`` on the market can be priced.
        """
        self._terms, self._coin, self._path = terms, coin, path
        self.market, self._generation = row.market, row.generation
        self._struck = strike is not None
        self._strike = strike if strike is not None else 0.0
        self._average_s = average_s
        self._start_ns, self._end_ns = opens_ns, row.end_ns
        self._stop_ns = self._end_ns - terms._stop_ns
        self._last_s = seconds_of(self._end_ns) - terms._average_lag_s
        self._delay_s = (<int64_t>row.taker_delay_ms + terms._delay_ms) / 1000.0
        self._rate_e6 = row.fee_rate_e6
        self._rate = self._rate_e6 / <double>E6
        self._exponent = row.fee_exponent
        self._tick_e4 = row.tick_e4
        self._step_e6 = TICKS[row.tick_e4].ladder_step_e6
        self._min_size_e6 = row.min_size_e6
        self._version = self._locked_version = -1
        _copy_id(self._market_id, row.condition_id)
        _copy_id(self._token_id[0], row.yes_token_id)
        _copy_id(self._token_id[1], row.no_token_id)

    def keep_pauses(self, Quote before not None):
        """Go on waiting as the market's quote before did."""
        self._next_ns[0], self._next_ns[1] = before._next_ns[0], before._next_ns[1]

    @property
    def limits_e4(self):
        """Highest YES and NO price that are worth it, 0 for none, as last worked out."""
        return self._limit_e4[0], self._limit_e4[1]

    @property
    def fair(self):
        """What the limits rest on, or None while it is unknown: the fields of FairValue."""
        cdef fair_t fair = self._fair
        if not self._known:
            return None
        return fair.probability, fair.mean, fair.deviation, fair.z, fair.locked_s, fair.left_s

    cdef int at(self, BookView book, int64_t now_ns) except -1:
        """Buy a token whose ask is at or under its limit."""
        cdef const ll_row8 *row = book.live()
        cdef int64_t wall_ns = now_ns + self._path.offset_ns
        if not self._struck:
            return 0
        # Limits are of one second: as unsigned, an earlier time is a late one, too.
        if (
            self._version != self._coin.version
            or <uint64_t>(wall_ns - self._priced_ns) >= <uint64_t>S_NS
        ):
            self._reprice(wall_ns)
        if row.ask_count and 0 < row.ask_price_e4[0] <= self._limit_e4[0]:
            self._buy(book, 0, now_ns)
        elif row.bid_count and 0 < E4 - row.bid_price_e4[0] <= self._limit_e4[1]:
            self._buy(book, 1, now_ns)
        return 0

    # ------------------------------------------------------------------------------- value
    cdef int _reprice(self, int64_t wall_ns) except -1:
        """Work out fair value and limits for this second and these prices."""
        cdef Terms terms = self._terms
        cdef CoinModel coin = self._coin
        cdef const fair_t *fair = &self._fair
        cdef double density, move, variance, margin, doubt
        self._version = coin.version
        self._priced_ns = seconds_of(wall_ns) * S_NS
        self._limit_e4[0] = self._limit_e4[1] = 0
        self._known = self._value(wall_ns)
        if not self._known:
            return 0
        density = normal_density(fair.z)
        move = coin._volatility * coin.mid
        variance = move * move * average_variance_s(fair.left_s, self._average_s)
        # What was learned in half an hour says ever less of a longer time.
        doubt = terms._volatility_margin * sqrt(1.0 + fmax(0.0, fair.left_s) / terms._learned_s)
        # dP/dlog(sigma) = -phi(z) z share: what a volatility that is wrong would cost.
        margin = terms._edge_min + doubt * density * fabs(fair.z) * (
            variance / (fair.deviation * fair.deviation)
        )
        self._margin_delay = (
            terms._delay_weight * density * move * sqrt(self._delay_s) / fair.deviation
        )
        margin += self._margin_delay
        self._limit_e4[0] = self._limit(fair.probability - margin)
        self._limit_e4[1] = self._limit(1.0 - fair.probability - margin)
        return 0

    cdef int64_t _limit(self, double budget) except -1:
        return limit_price_e4(budget, self._rate, self._exponent, self._tick_e4)

    cdef bint _value(self, int64_t wall_ns) noexcept:
        """Work out the probability of YES; False while anything it rests on is unknown."""
        cdef Terms terms = self._terms
        cdef CoinModel coin = self._coin
        cdef fair_t *fair = &self._fair
        cdef double spot = coin.ahead, noise = 0.0, move, variance
        fair.locked_s = 0
        if (
            coin._volatility < 0.0
            or not self._start_ns <= wall_ns < self._stop_ns
            or wall_ns - coin.mid_wall_ns > terms._spot_age_ns
        ):
            return False
        if not self._average_s:
            fair.left_s = (self._end_ns - wall_ns) / <double>S_NS
            fair.mean = spot
        else:
            if (
                not coin.knows_basis()
                or wall_ns - coin.last_print_s * S_NS > terms._print_age_ns
            ):
                return False
            spot *= coin._basis_factor
            noise = coin.basis_noise * spot
            fair.left_s = (self._last_s * S_NS - wall_ns) / <double>S_NS
            fair.mean = spot
            if fair.left_s < self._average_s and not self._window_mean(spot, wall_ns):
                return False
        move = coin._volatility * spot
        variance = move * move * average_variance_s(fair.left_s, self._average_s)
        fair.deviation = sqrt(variance + noise * noise)
        if not fair.deviation > 0.0:
            return False
        fair.z = (fair.mean - self._strike) / fair.deviation
        fair.probability = fat_probability(fair.z)
        # Prices that no coin has: a print and a mid that do not belong together.
        return fabs(fair.z) < _SANE and 0.0 < fair.mean < _SANE

    cdef bint _window_mean(self, double spot, int64_t wall_ns) noexcept:
        """Find the expected average and how many of its seconds have printed; False: too few."""
        cdef CoinModel coin = self._coin
        cdef int64_t first_s = self._last_s - self._average_s + 1
        cdef int64_t printed_to = min(self._last_s, coin.last_print_s)
        cdef int64_t known, second, passed = min(self._last_s, seconds_of(wall_ns))
        cdef double total, mid
        if self._locked_version != coin.prints_version:
            self._locked = coin.sum_prints(first_s, printed_to)
            self._locked_version = coin.prints_version
        known = self._locked.seconds
        if max(0, printed_to - first_s + 1) - known + self._locked.carried > (
            self._terms._missing_s_max
        ):
            return False
        total = self._locked.total
        # Seconds that passed but have not printed yet: the exchange saw them.
        for second in range(max(first_s, printed_to + 1), passed + 1):
            if coin.found_mid(second, &mid):
                total += mid * coin._basis_factor
                known += 1
        self._fair.mean = (total + (self._average_s - known) * spot) / self._average_s
        self._fair.locked_s = self._locked.seconds
        return True

    # ------------------------------------------------------------------------------- buying
    cdef int _buy(self, BookView book, int outcome, int64_t now_ns) except -1:
        """Send a BUY of the outcome for what its book offers under the limit."""
        cdef Terms terms = self._terms
        cdef const fair_t *fair = &self._fair
        cdef int64_t tick_e4 = book.live().tick_e4
        cdef double worth
        cdef Walk walk
        cdef wish_t wish
        cdef char metadata[METADATA_MAX]
        cdef int sent
        if now_ns < self._next_ns[outcome] or (tick_e4 and tick_e4 != self._tick_e4):
            return 0
        worth = fair.probability if outcome == 0 else 1.0 - fair.probability
        worth -= self._margin_delay
        walk = self._sized(book, outcome, worth)
        if walk is None:
            return 0
        wish.market_id = self._market_id
        wish.token_id = self._token_id[outcome]
        wish.instrument = 2 * self.market + outcome
        wish.generation = self._generation
        wish.module = terms._module
        wish.module_bytes = len(terms._module)
        wish.action = LL_ACTION_BUY
        wish.urgency = _IMMEDIATE
        wish.confidence = min(1.0, max(0.0, worth))
        wish.expected_value = terms._fill_probability * (
            walk.filled_e6 / <double>E6 * worth - (walk.cost_e6 + walk._fee_e6) / <double>E6
        )
        wish.size_e6 = walk.filled_e6
        wish.limit_price_e4 = self._limit_e4[outcome]
        wish.expires_ns = now_ns + terms._budget_ns
        wish.group = wish.cause = 0
        wish.leg, wish.legs = 0, 1
        wish.metadata = metadata
        wish.metadata_bytes = _write_metadata(metadata, fair, self._coin)
        sent = self._path.outlet.send(&wish)
        if sent == NOT_PLAIN:
            raise ValueError(
                f"a signal of market {self.market} was confidence {wish.confidence}, value "
                f"{wish.expected_value}, size {wish.size_e6}, expected what the record can hold"
            )
        if sent == SENT:
            self._next_ns[outcome] = now_ns + terms._cooldown_ns
        return 0

    cdef Walk _sized(self, BookView book, int outcome, double worth):
        """Walk this book up to the cap, on the ladder, within the impact rule; else the touch."""
        cdef int64_t limit_e4 = self._limit_e4[outcome]
        cdef int64_t cash_e6 = self._terms._cash_e6
        cdef Walk walk = book._walk(outcome, LL_ACTION_BUY, -1, cash_e6, limit_e4, -1, 1)
        cdef int64_t size_e6 = walk.filled_e6
        cdef int attempt
        for attempt in range(2):
            size_e6 -= size_e6 % self._step_e6
            if size_e6 < self._min_size_e6:
                return None
            walk = book._walk(
                outcome, LL_ACTION_BUY, size_e6, -1, limit_e4, self._rate_e6, self._exponent
            )
            if walk.cost_e6 < _NOTIONAL_E6_MIN:
                return None
            if walk.levels == 1 or self._impact_ok(walk, worth):
                return walk
            assert attempt == 0, "a walk of the touch alone has an impact"
            size_e6 = min(size_e6, book._touch_size(outcome, 1))
        return None

    cdef bint _impact_ok(self, Walk walk, double worth) except -1:
        cdef Terms terms = self._terms
        cdef int64_t one_tick_ppm = self._tick_e4 * E6 // walk.touch_price_e4
        cdef int64_t impact_ppm = walk.impact_ppm()
        cdef double filled = walk.filled_e6
        cdef double slip = walk.cost_e6 / filled - walk.touch_price_e4 / <double>E4
        cdef double edge = worth - (walk.cost_e6 + walk._fee_e6) / filled + slip
        return (
            impact_ppm <= max(terms._impact_max_ppm, one_tick_ppm)
            and slip <= edge * terms._impact_share_max
        )


@cython.final
cdef class CoinQuotes:
    """One coin: its estimates, and the quotes that rest on them."""

    cdef readonly CoinModel model
    cdef readonly dict quotes
    cdef BookPath _path
    cdef double _looked_mid

    def __init__(self, CoinModel model not None, BookPath path not None):
        """Start without quotes."""
        self.model = model
        self.quotes = {}
        self._path = path

    def look(self, int64_t now_ns):
        """Look at the newest book of each quote that is open now."""
        self._look(now_ns)

    cdef int _look(self, int64_t now_ns) except -1:
        cdef int64_t wall_ns = now_ns + self._path.offset_ns
        cdef Quote quote
        cdef BookView book
        for quote in self.quotes.values():
            if quote._struck and quote._start_ns <= wall_ns < quote._stop_ns:
                book = self._path.fresh_book(quote.market)
                if book is not None:
                    quote.at(book, now_ns)
        return 0


@cython.final
cdef class Mids(SpotLook):
    """Takes each mid; when it moved enough, looks at every open book of the coin."""

    cdef object _module
    cdef BookPath _path
    cdef double _move_ppm

    def __init__(self, module, BookPath path not None, double move_ppm):
        """Ask ``module.coin`` for a coin's quotes; moves below move_ppm wait for a book."""
        self._module = module
        self._path = path
        self._move_ppm = move_ppm

    cdef int at(self, const ll_spot_top *top, int64_t now_ns) except -1:
        """Take the mid of a touch."""
        cdef CoinQuotes coin
        cdef double mid, before
        if not 0 < top.bid_price_e8 <= top.ask_price_e8:
            self._module.ctx.count("spot_without_mid")
            return 0
        coin = self._module.coin(top.coin)
        mid = (<double>top.bid_price_e8 + <double>top.ask_price_e8) / (2.0 * E8)
        if coin.model.note_mid(
            mid,
            top.recv_ns + self._path.offset_ns,
            top.connection_generation,
            top.lead_ppb / <double>E9,
        ):
            before = coin._looked_mid
            if fabs(coin.model.ahead - before) * E6 >= before * self._move_ppm:
                coin._looked_mid = coin.model.ahead
                coin._look(now_ns)
        return 0


cdef int _copy_id(uint8_t *to, bytes raw) except -1:
    if len(raw) != ID_BYTES:
        raise ValueError(f"id was {len(raw)} bytes, expected {ID_BYTES}")
    memcpy(to, <const uint8_t *>raw, ID_BYTES)
    return 0


cdef Py_ssize_t _write_metadata(char *to, const fair_t *fair, CoinModel coin) noexcept:
    """Write the JSON of the fair value; six numbers of 20 digits and their names fit."""
    cdef char *at = to
    at = put_field(at, b'{"up_e4":', <int64_t>(fair.probability * E4))
    at = put_field(at, b',"z_e2":', <int64_t>(fair.z * 100.0))
    at = put_field(at, b',"mean_e2":', <int64_t>(fair.mean * 100.0))
    at = put_field(at, b',"locked_s":', fair.locked_s)
    at = put_field(at, b',"left_ms":', <int64_t>(fair.left_s * 1000.0))
    # Parts per 1e9 by which trades and resting sizes moved the price that was expected.
    at = put_field(at, b',"lead_ppb":', <int64_t>(coin.lead_weight * coin.lead * 1e9))
    at[0] = c'}'
    return at + 1 - to
