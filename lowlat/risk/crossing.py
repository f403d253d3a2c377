"""Hand shares from a module that sells to one that buys, inside: nothing goes to the venue.

Run by the Aggregator when one module wants to sell what another wants to buy in the same turn. The
shares change owner at the mid of the book, between the two limits; both signals end as CROSSED
with the shares that moved (``size_e6``), their price (``limit``) and count (``was``), first the
seller's decision, then the buyer's. The account does not move, so no limit on exposure is asked:
every one counts those shares already, whoever owns them. Asked is what the venue's way would ask
of each module: halts, its losses, its budget, its damping, a market that trades and a fresh book.

Only settled shares that are the seller's own and that no order of its sells are handed over. What
one of both wanted beyond that is asked for again with its next signal.

Worked example. a owns 100 YES that cost 40.00; it sells 100 at .44 or better, b buys 60 at .47 or
better, the book says .45/.46. 60 change hands at .455: a realizes 27.30 - 24.00 = 3.30 and keeps 40
that cost 16.00; b owns 60 that cost 27.30. Neither pays a fee or the spread.
"""

from collections.abc import Callable
from typing import Final

from lowlat.core.layout import Action, Rule
from lowlat.core.units import E4
from lowlat.risk._case import Case
from lowlat.risk._records import DecisionWriter
from lowlat.risk.checks.gate import check_halted, check_owner
from lowlat.risk.checks.kelly import edge_e6
from lowlat.risk.checks.market import check_book, check_market, check_share
from lowlat.risk.stakes import StakeBook
from lowlat.risk.state import RiskState

__all__ = ["Crossing"]

_CHECKS: Final = (check_halted, check_owner, check_market, check_book, check_share)
_BUY: Final = int(Action.BUY)
_CROSSED: Final = int(Rule.CROSSED)
_PPM: Final = 1_000_000


class Crossing:
    """What moves shares between modules. Owned by the risk engine."""

    def __init__(
        self,
        state: RiskState,
        stakes: StakeBook,
        decisions: DecisionWriter,
        monotonic_ns: Callable[[], int],
        halted: Callable[[], int],
        publish: Callable[[], None],
        config_generation: int,
    ) -> None:
        """``publish`` writes what each module realized: it must not die with us."""
        self._state = state
        self._stakes = stakes
        self._decisions = decisions
        self._monotonic_ns = monotonic_ns
        self._halted = halted
        self._publish = publish
        self.config_generation = config_generation

    def hand_over(self, one: Case, two: Case) -> bool:
        """Move what two opposite wishes for one token share, and end both; False: nothing moved."""
        if one.instrument != two.instrument or one.generation != two.generation:
            return False
        buyer, seller = (one, two) if one.buys else (two, one)
        if buyer.limit_price_e4 < seller.limit_price_e4:
            return False
        kept = [(case, case.size_e6, case.cut_rule) for case in (buyer, seller)]
        size_e6, price_e4 = self._terms(buyer, seller)
        for case, own_e6, cut_rule in kept:
            # Whoever goes on to the checks is judged there, once.
            case.size_e6, case.cut_rule, case.rule = own_e6, cut_rule, 0
        if size_e6 <= 0:
            return False
        stake = self._state.scores.stakes[seller.module, seller.instrument]
        self._state.scores.cross(
            stake,
            buyer.module,
            size_e6,
            price_e4 * size_e6 // E4,
            edge_e6(buyer),
            self._state.wall_ns,
        )
        self._stakes.write_changed()
        self._publish()
        checked_ns = self._monotonic_ns()
        for case in (seller, buyer):
            case.refuse(_CROSSED, price_e4, size_e6)
            case.size_e6 = size_e6
            self._decisions.crossed(case, checked_ns, self.config_generation)
        return True

    def _terms(self, buyer: Case, seller: Case) -> tuple[int, int]:
        """Return how many shares change hands, 0 for none, and at what price."""
        state = self._state
        state.halt_code = self._halted()
        for case in (buyer, seller):
            if any(check(case, state) for check in _CHECKS):
                return 0, 0
        bid_e4 = buyer.view.best_bid_e4(buyer.outcome)
        ask_e4 = buyer.view.best_ask_e4(buyer.outcome)
        if bid_e4 <= 0 or ask_e4 <= 0:
            bid_e4, ask_e4 = seller.limit_price_e4, buyer.limit_price_e4
        mid_e4 = (bid_e4 + ask_e4) // 2
        price_e4 = min(max(mid_e4, seller.limit_price_e4), buyer.limit_price_e4)
        size_e6 = min(
            buyer.size_e6, seller.size_e6, self._free_e6(seller), self._room_e6(buyer, price_e4)
        )
        return size_e6, price_e4

    def _free_e6(self, seller: Case) -> int:
        """Return the seller's own shares that are settled and that nobody sells already."""
        state = self._state
        holding = state.exposure.holdings.get(seller.market)
        if holding is None:
            return 0
        selling_e6 = sum(
            order.size_e6
            for order in state.own
            if order.score is seller.score
            and order.instrument == seller.instrument
            and order.action != _BUY
        )
        owned_e6 = state.scores.owned_e6(seller.module, seller.instrument)
        settled_e6: int = holding.confirmed_e6[seller.outcome]
        return min(owned_e6 - selling_e6, settled_e6 - holding.selling_e6[seller.outcome])

    def _room_e6(self, buyer: Case, price_e4: int) -> int:
        """Return the shares that the buyer's budget still pays for."""
        most_e6 = self._state.bankroll_e6 * buyer.score.budget_ppm // _PPM
        room_e6: int = max(0, most_e6 - buyer.score.used_e6) * E4 // price_e4
        return room_e6
