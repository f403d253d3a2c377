"""Where a maker's quote stands and what is kept of it: for ``rebates``. Pure, no I/O.

Source: feeds.md 6.8; polymarket.md 7.2-7.4.
"""

from typing import Final

from lowlat.book._view import BookView
from lowlat.core.layout import MarketRow, Outcome, ReportKind
from lowlat.core.units import E4, E6, ONE_E4
from lowlat.signals._watch import Watch
from lowlat.signals.own import OwnOrder
from lowlat.signals.rebate_value import RebatesParams, rebate_of
from lowlat.venues.polymarket.scoring import maker_score, order_score, side_score

__all__ = [
    "MARKS_S",
    "OUTCOMES",
    "Budget",
    "Losses",
    "Mark",
    "Quote",
    "Quoted",
    "others_bids_e4",
    "reward_day",
    "target_e4",
]

_MS_NS: Final = 1_000_000
_S_NS: Final = 1_000_000_000
_UNCHOSEN_NS: Final = 60 * _S_NS
MARKS_S: Final = (5, 30)
"""Seconds after a fill; what it cost is judged by the last."""
OUTCOMES: Final = (int(Outcome.YES), int(Outcome.NO))
_GONE: Final = frozenset({ReportKind.REJECT, ReportKind.DROPPED})


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

    def follow(self, order: OwnOrder) -> None:
        """Keep what rests and what is gone of the orders of this side."""
        if order.open:
            if order.intent not in self.intents:
                # A fill's price and size are its own, not the order's.
                if order.kind != ReportKind.FILL:
                    self.price_e4, self.size_e6 = order.price_e4, order.size_e6
                self.due_ns = 0
            if order.kind == ReportKind.ACK:
                self.ahead_e6 = max(0, self.level_e6)
            self.intents[order.intent] = max(0, self.size_e6 - order.filled_e6)
        elif order.intent in self.intents or order.kind in _GONE:
            self.intents.pop(order.intent, None)
            if not self.intents:
                self.price_e4 = self.due_ns = 0
                self.taken_back = False


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

    def closed(self, wall_ns: int) -> bool:
        """Whether nothing may rest now: near the start or the end, in a quiet window."""
        params, row = self.params, self.row
        if wall_ns >= row.end_ns - params.stop_before_end_s * _S_NS:
            return True
        if row.start_ns and abs(wall_ns - row.start_ns) < params.stop_around_start_s * _S_NS:
            return True
        second = wall_ns // _S_NS
        return any(first <= second < last for first, last in params.quiet_unix_s)

    def worth_of(self, outcome: int) -> float:
        """Return the newest mid of a token."""
        mid = self.mid_e4 / E4
        return mid if outcome == Outcome.YES else 1.0 - mid

    def wait(self, bid_e4: int, ask_e4: int, now_ns: int) -> None:
        """Set what wakes us: a touch that jumps at once, any other move or time a little later."""
        watch, params = self.watch, self.params
        watch.rest()
        if not self.chosen:
            watch.due_ns = now_ns + _UNCHOSEN_NS
            return
        jump_e4 = params.jump_e4 // 2
        watch.bid_low_e4, watch.bid_high_e4 = bid_e4 - jump_e4, bid_e4 + jump_e4
        watch.ask_low_e4, watch.ask_high_e4 = ask_e4 - jump_e4, ask_e4 + jump_e4
        watch.due_ns = now_ns + params.look_ms * _MS_NS

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
