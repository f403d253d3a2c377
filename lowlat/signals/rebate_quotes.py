"""Where a maker's quote stands and what is kept of it: for ``rebates``. Pure, no I/O.

Source: feeds.md 6.8; polymarket.md 7.2-7.4.
"""

from math import exp, log
from typing import Final

import msgspec

from lowlat.book._view import BookView
from lowlat.core.errors import ConfigError
from lowlat.core.layout import Known, MarketRow, Outcome
from lowlat.core.units import E4, E6, ONE_E4
from lowlat.signals._watch import Watch
from lowlat.venues.polymarket.scoring import maker_score, order_score, side_score

__all__ = [
    "MARKS_S",
    "OUTCOMES",
    "Budget",
    "Losses",
    "Mark",
    "Quote",
    "Quoted",
    "RebatesParams",
    "logit_skew",
    "others_bids_e4",
    "pay_of",
    "rebate_of",
    "reward_day",
    "target_e4",
]

_S_NS: Final = 1_000_000_000
MARKS_S: Final = (5, 30)
"""Seconds after a fill; what it cost is judged by the last."""
OUTCOMES: Final = (int(Outcome.YES), int(Outcome.NO))


class RebatesParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where to stand, how far away, for how much, and when to leave."""

    priority: int = 10
    """For places among what is followed."""
    volume_24h_e6_min: int = 10_000 * E6
    mid_min_e4: int = 1_000
    mid_max_e4: int = 9_000
    """Outside nobody is paid for one side alone. Source: polymarket.md 7.4."""
    crypto_markets: bool = False
    """Also where an exchange leads: its pulls have to be faster than the takers."""
    markets_max: int = 20
    quote_cash_e6: int = 25 * E6
    inventory_e6_max: int = 200 * E6
    """Net shares of a market at which the side that adds is no longer quoted."""
    gamma: float = 0.0005
    """Risk aversion by dollar, 0.002 for a thousand of them, times the share of the variance until
    the end that passes before the other side is filled: a quarter. Source: feeds.md 6.8."""
    margin: float = 0.002
    """Dollars a share beyond what fills are known to lose."""
    edge_min: float = 0.001
    adverse_prior: float = 0.008
    adverse_prior_fills: float = 10.0
    fills_judged: int = 8
    pause_s: int = 600
    fill_probability: float = 0.3
    """Of a quote within its life; it scales expected value only."""
    requote_e4: int = 25
    """Hysteresis beyond half a tick."""
    requotes_per_minute: int = 12
    """Quotes of a market that are taken back to stand elsewhere: each costs its place."""
    quotes_per_s: int = 10
    """Quotes sent or moved, of all markets together: a third of what risk lets pass."""
    look_ms: int = 200
    jump_e4: int = 200
    spot_jump_ppm: int = 400
    depth_gone_share: float = 0.7
    calm_s: int = 10
    warmup_s: int = 10
    stop_before_end_s: int = 3_600
    stop_around_start_s: int = 300
    quiet_unix_s: tuple[tuple[int, int], ...] = ()
    """Windows of scheduled events, [from, to) in unix seconds: nothing rests in them."""
    answer_ms: int = 2_000
    """A wish that nobody mentioned for so long was not granted."""
    quote_life_ms: int = 500
    """How long risk and executor may take with a wish."""

    def validate(self) -> None:
        """Raise ConfigError for values that make no sense."""
        if not 0 < self.mid_min_e4 < self.mid_max_e4 < ONE_E4:
            raise ConfigError(
                f"mid_min_e4, mid_max_e4 were {self.mid_min_e4}, {self.mid_max_e4}, expected "
                "above 0, the smaller first, below 10000"
            )
        for key in (
            "gamma",
            "edge_min",
            "margin",
            "adverse_prior",
            "adverse_prior_fills",
            "fill_probability",
            "depth_gone_share",
        ):
            value = getattr(self, key)
            if not 0.0 <= value < 1_000.0:
                raise ConfigError(f"{key} was {value}, expected 0 to 1000")
        if not self.gamma > 0.0 or not 0.0 < self.fill_probability <= 1.0:
            raise ConfigError(
                f"gamma, fill_probability were {self.gamma}, {self.fill_probability}, expected "
                "above 0, the second at most 1"
            )
        for key in ("requotes_per_minute", "quotes_per_s", "look_ms", "markets_max"):
            if getattr(self, key) < 1:
                raise ConfigError(f"{key} was {getattr(self, key)}, expected 1 or more")
        for window in self.quiet_unix_s:
            if window[0] >= window[1]:
                raise ConfigError(f"quiet_unix_s was {list(window)}, expected [from, to)")


def logit_skew(chance: float, inventory: float, gamma: float) -> float:
    """Return what a share is worth to somebody who holds so many already."""
    return 1.0 / (1.0 + exp(-(log(chance / (1.0 - chance)) - gamma * inventory)))


class Budget:
    """A budget that refills with time."""

    def __init__(self, rate_s: float, most: float) -> None:
        """Refill at ``rate_s`` a second up to ``most``."""
        self._rate_s, self._most, self._left, self._at_ns = rate_s, most, most, 0

    def has(self, now_ns: int) -> bool:
        """Return whether one more is left."""
        passed_s = max(0, now_ns - self._at_ns) / _S_NS
        self._left = min(self._most, self._left + passed_s * self._rate_s)
        self._at_ns = now_ns
        return self._left >= 1.0

    def take(self) -> None:
        """Spend one that it has."""
        self._left -= 1.0


class Losses:
    """Mean loss of the mid after our fills, a share, over a prior."""

    def __init__(self, prior: float, weight: float) -> None:
        self._sum, self._weight = prior * weight, weight
        self.fills = 0
        self.earned = 0.0

    def add(self, loss: float, earned: float) -> None:
        """Count a fill: how far the mid went against it, and what it earned before that."""
        self._sum += loss
        self._weight += 1.0
        self.fills += 1
        self.earned += earned - loss

    @property
    def mean(self) -> float:
        """Dollars a share, the prior included."""
        return self._sum / self._weight


class Quote:
    """One side: nothing, wished, resting, or being taken back."""

    __slots__ = ("ahead_e6", "due_ns", "intents", "level_e6", "price_e4", "size_e6", "taken_back")

    def __init__(self) -> None:
        self.intents: dict[int, int] = {}
        """Open orders: intent -> shares left. More than one only when something went wrong."""
        self.price_e4 = 0
        """Of the token that is bought; 0 when nothing is wished or rests."""
        self.size_e6 = 0
        self.due_ns = 0
        """When a wish or a taking back that nobody answered is forgotten."""
        self.taken_back = False
        self.ahead_e6 = self.level_e6 = 0

    @property
    def left_e6(self) -> int:
        """Shares that may still be filled."""
        return sum(self.intents.values())


class Mark:
    """A fill whose price is compared with the mid later."""

    __slots__ = ("at_ns", "mid", "outcome", "price", "rebate", "step")

    def __init__(self, outcome: int, price: float, mid: float, rebate: float, at_ns: int) -> None:
        self.outcome, self.price, self.mid = outcome, price, mid
        self.rebate, self.at_ns, self.step = rebate, at_ns, 0


class Quoted:
    """One market: its facts, its two quotes, what its fills taught."""

    def __init__(self, row: MarketRow, watch: Watch, params: RebatesParams) -> None:
        self.row = row
        self.watch = watch
        self.params = params
        self.quotes = (Quote(), Quote())
        self.requotes = Budget(params.requotes_per_minute / 60.0, params.requotes_per_minute)
        self.losses = Losses(params.adverse_prior, params.adverse_prior_fills)
        self.marks: list[Mark] = []
        self.quiet_until_ns = 0
        self.mid_e4 = 0.0
        self.depth_e6 = (0, 0)
        self.chosen = False

    @property
    def rests(self) -> bool:
        """Whether anything of ours is in its book or on its way there."""
        return any(quote.intents or quote.price_e4 for quote in self.quotes)

    def worth_of(self, outcome: int) -> float:
        """Return the newest mid of a token."""
        mid = self.mid_e4 / E4
        return mid if outcome == Outcome.YES else 1.0 - mid

    def marks_due(self, now_ns: int) -> list[tuple[int, float, float]]:
        """Take the marks whose time came: seconds, loss of the mid, what the fill earned at it."""
        due, kept = [], []
        for mark in self.marks:
            while mark.step < len(MARKS_S) and now_ns >= mark.at_ns + MARKS_S[mark.step] * _S_NS:
                loss = mark.mid - self.worth_of(mark.outcome)
                due.append((MARKS_S[mark.step], loss, mark.rebate + mark.mid - mark.price))
                mark.step += 1
            if mark.step < len(MARKS_S):
                kept.append(mark)
        self.marks = kept
        return due

    def count_queue(self, book: BookView) -> None:
        """Let what left our levels since shorten what stands in front of us."""
        for outcome in OUTCOMES:
            quote = self.quotes[outcome]
            if not quote.intents:
                continue
            level_e6 = dict(book.levels(outcome, 0)).get(quote.price_e4, 0)
            quote.ahead_e6 = min(quote.ahead_e6, max(0, level_e6 - quote.left_e6))


def target_e4(
    quoted: Quoted,
    book: BookView,
    outcome: int,
    worth: float,
    others_e4: tuple[int, int],
    adverse: float,
) -> int:
    """Return the best price to bid for a token, 0 when none is worth it.

    At most what earns the margin; one tick better than everybody else is enough, except where
    rewards grow with the square of nearness, and where the others are too far away to tell.
    """
    row, params = quoted.row, quoted.params
    tick = row.tick_e4
    half = max(tick / 2.0 / E4, adverse + params.margin - rebate_of(row, worth))
    most_e4 = int((worth - half) * E4 + 1e-9)
    own_mid_e4 = quoted.mid_e4 if outcome == Outcome.YES else ONE_E4 - quoted.mid_e4
    reach_e4 = 2 * params.jump_e4
    if row.reward_day_e6 <= 0:
        # What a tick too near gives away is lost with every fill.
        most_e4 = min(most_e4, max(others_e4[outcome] + tick, int(own_mid_e4) - reach_e4 + tick))
    ask_e4 = book.best_ask_e4(outcome)
    # Post-only: one tick away from what would take.
    most_e4 = min(most_e4, ask_e4 - tick if ask_e4 > 0 else ONE_E4 - tick)
    price_e4 = most_e4 - most_e4 % tick
    # So far from the mid nobody comes but with news.
    return 0 if price_e4 < tick or abs(own_mid_e4 - price_e4) > reach_e4 else price_e4


def others_bids_e4(book: BookView, quoted: Quoted) -> tuple[int, int]:
    """Return the best bids for YES and for NO that are not ours alone."""
    best = []
    for outcome in OUTCOMES:
        quote = quoted.quotes[outcome]
        ours_e4, left_e6 = (quote.price_e4, quote.left_e6) if quote.intents else (0, 0)
        price_e4 = book.best_bid_e4(outcome)
        for level_e4, size_e6 in book.levels(outcome, 0)[:3]:
            price_e4 = level_e4
            if level_e4 != ours_e4 or size_e6 > left_e6:
                break
        best.append(price_e4)
    return best[0], best[1]


def reward_day(quoted: Quoted, book: BookView, outcome: int, price_e4: int, size_e6: int) -> float:
    """Return the dollars a day that one more quote adds to our part of the pool."""
    row = quoted.row
    spread_e4, least_e6 = row.reward_spread_e4, row.reward_size_e6
    if row.reward_day_e6 <= 0 or not spread_e4 or size_e6 < least_e6:
        return 0.0
    mid_e4 = quoted.mid_e4
    bids = book.levels(Outcome.YES, 0), book.levels(Outcome.NO, 0)
    mids = mid_e4, ONE_E4 - mid_e4
    all_of = [side_score(bids[at], mids[at], spread_e4, least_e6) for at in OUTCOMES]
    ours = [0.0, 0.0]
    for at in OUTCOMES:
        quote = quoted.quotes[at]
        if quote.intents:
            distance_e4 = abs(mids[at] - quote.price_e4)
            ours[at] = order_score(distance_e4, quote.left_e6 / E6, spread_e4)
    before = maker_score(ours[0], ours[1], mid_e4)
    added = order_score(abs(mids[outcome] - price_e4), size_e6 / E6, spread_e4)
    ours[outcome] += added
    after = maker_score(ours[0], ours[1], mid_e4)
    others = maker_score(all_of[0], all_of[1], mid_e4)
    total = others + after
    return (after - before) / total * row.reward_day_e6 / E6 if total > 0.0 else 0.0


def pay_of(row: MarketRow) -> float:
    """Return dollars a day that a market pays its makers, as far as its row says."""
    volume = max(0, row.volume_e6) / E6 / 30.0
    return row.reward_day_e6 / E6 + volume * rebate_of(row, 0.5)


def rebate_of(row: MarketRow, price: float) -> float:
    """Return the rebate of one filled share at a price; 0 while a part of it is unknown."""
    if not row.known & Known.FEE:
        return 0.0
    spread = (price * (1.0 - price)) ** row.fee_exponent
    return row.rebate_rate_e6 / E6 * row.fee_rate_e6 / E6 * spread
