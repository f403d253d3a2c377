"""Where the capital is locked, and which of it could be freed now: complete sets and winnings.

A set is complete with both sides of a market, or with NO of every market of a neg-risk event.

A plan touches only what modules own. A person's shares on the same wallet are his: a merge leaves
them out, and a redemption, which the contract does for all shares of a condition at once, is left
to him. Tokens that an open order or a fill in settlement is about are left alone until it ended.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.exc import SQLAlchemyError

from lowlat.core.errors import LedgerError
from lowlat.core.layout import OrderState
from lowlat.store.ledger.database import said
from lowlat.store.ledger.lots import HUMAN, UNKNOWN
from lowlat.store.ledger.schema import FILLS, LOTS, ORDERS
from lowlat.venues.polymarket.neg_risk import NegRiskEvent
from lowlat.venues.polymarket.wallet import Holding

__all__ = [
    "CONVERT",
    "Capital",
    "Owned",
    "Ownership",
    "Plan",
    "Step",
    "plan_settlement",
    "read_owned",
]

_OPEN: Final = tuple(
    state.name
    for state in (OrderState.SENDING, OrderState.LIVE, OrderState.DELAYED, OrderState.UNKNOWN)
)
CONVERT: Final = "convert"
MERGE_MIN_E6: Final = 1_000_000
"""Sets below a share are left for later: each costs one of 25 submits a minute."""


class Owned(NamedTuple):
    """Shares of one token by owner."""

    modules_e6: int = 0
    others_e6: int = 0
    """A person's, or from before the ledger."""
    cost_e6: int = 0


@dataclass(slots=True)
class Ownership:
    """Who owns what, and which tokens are not at rest."""

    tokens: dict[str, Owned]
    busy: set[str]


class Step(NamedTuple):
    """One merge, redemption or conversion."""

    kind: str
    condition_id: str
    """Of a conversion: the event's neg-risk market id, and its tokens by question."""
    tokens: tuple[str, ...]
    size_e6: int
    """Of each token; for a redemption, of all of them together."""
    expected_e6: int
    neg_risk: bool


@dataclass(slots=True)
class Capital:
    """Money that is not free, in base units."""

    held_cost_e6: int = 0
    """What modules paid for everything they hold."""
    mergeable_e6: int = 0
    """Complete sets: a dollar for both sides of a market, n - 1 for NO of all n of an event."""
    redeemable_e6: int = 0
    """Winnings of resolved markets."""


@dataclass(slots=True)
class Plan:
    """What to do, and what not and why."""

    steps: list[Step] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    """Condition and reason."""
    capital: Capital = field(default_factory=Capital)


def read_owned(engine: Engine) -> Ownership:
    """Read owners and unrest from the ledger. Raises LedgerError."""
    try:
        with engine.connect() as connection:
            return _read(connection)
    except SQLAlchemyError as error:
        raise LedgerError(f"the ledger could not be read: {said(error)}") from error


def _read(connection: Connection) -> Ownership:
    rows = connection.execute(
        select(
            LOTS.c.token_id, LOTS.c.owner, func.sum(LOTS.c.left_e6), func.sum(LOTS.c.left_cost_e6)
        )
        .where(LOTS.c.left_e6 > 0)
        .group_by(LOTS.c.token_id, LOTS.c.owner)
    )
    tokens: dict[str, Owned] = {}
    for token, owner, size, cost in rows:
        known = tokens.get(token, Owned())
        if owner in (HUMAN, UNKNOWN):
            tokens[token] = known._replace(others_e6=known.others_e6 + int(size))
        else:
            tokens[token] = known._replace(
                modules_e6=known.modules_e6 + int(size), cost_e6=known.cost_e6 + int(cost)
            )
    opened = connection.execute(select(ORDERS.c.token_id).where(ORDERS.c.state.in_(_OPEN)))
    settling = connection.execute(select(FILLS.c.token_id).where(FILLS.c.state == "MATCHED"))
    return Ownership(tokens, {*opened.scalars(), *settling.scalars()})


def plan_settlement(
    owned: Ownership,
    holdings: Iterable[Holding],
    winners: Mapping[str, str],
    events: Iterable[NegRiskEvent] = (),
) -> Plan:
    """Decide what can be freed. ``winners``: condition to winning token, where it is known.

    ``events``: those of which the wallet holds NO of every market.
    """
    plan = Plan()
    plan.capital.held_cost_e6 = sum(each.cost_e6 for each in owned.tokens.values())
    conditions: dict[str, list[Holding]] = defaultdict(list)
    for holding in holdings:
        conditions[holding.condition_id].append(holding)
    for condition, sides in sorted(conditions.items()):
        if any(side.redeemable for side in sides):
            _redeem(plan, owned, condition, sides, winners.get(condition, ""))
        elif len(sides) == 2:
            _merge(plan, owned, condition, sides)
    sizes = {side.token_id: side.size_e6 for sides in conditions.values() for side in sides}
    for event in events:
        _convert(plan, owned, event, sizes)
    return plan


def _redeem(
    plan: Plan, owned: Ownership, condition: str, sides: list[Holding], winner: str
) -> None:
    size_e6 = sum(side.size_e6 for side in sides)
    expected_e6 = sum(side.size_e6 for side in sides if side.token_id == winner)
    plan.capital.redeemable_e6 += expected_e6
    others_e6 = sum(owned.tokens.get(side.token_id, Owned()).others_e6 for side in sides)
    ours_e6 = sum(owned.tokens.get(side.token_id, Owned()).modules_e6 for side in sides)
    tokens = tuple(side.token_id for side in sides)
    if not winner:
        plan.skipped.append((condition, "the venue does not name the winner yet"))
    elif others_e6 or size_e6 > ours_e6:
        plan.skipped.append((condition, "a person owns some of these shares: redeem them by hand"))
    elif busy := owned.busy & set(tokens):
        plan.skipped.append((condition, _unrest(busy)))
    elif expected_e6:
        neg_risk = any(side.neg_risk for side in sides)
        plan.steps.append(Step("redeem", condition, tokens, size_e6, expected_e6, neg_risk))


def _merge(plan: Plan, owned: Ownership, condition: str, sides: list[Holding]) -> None:
    size_e6 = min(
        min(side.size_e6, owned.tokens.get(side.token_id, Owned()).modules_e6) for side in sides
    )
    plan.capital.mergeable_e6 += size_e6
    tokens = tuple(side.token_id for side in sides)
    if size_e6 < MERGE_MIN_E6:
        return
    if busy := owned.busy & set(tokens):
        plan.skipped.append((condition, _unrest(busy)))
        return
    neg_risk = any(side.neg_risk for side in sides)
    plan.steps.append(Step("merge", condition, tokens, size_e6, size_e6, neg_risk))


def _convert(plan: Plan, owned: Ownership, event: NegRiskEvent, sizes: Mapping[str, int]) -> None:
    merged = {token: step.size_e6 for step in plan.steps for token in step.tokens}
    size_e6 = min(
        min(sizes.get(token, 0), owned.tokens.get(token, Owned()).modules_e6) - merged.get(token, 0)
        for token in event.no_tokens
    )
    expected_e6 = (len(event.no_tokens) - 1) * max(0, size_e6)
    plan.capital.mergeable_e6 += expected_e6
    if size_e6 < MERGE_MIN_E6:
        return
    if busy := owned.busy & set(event.no_tokens):
        plan.skipped.append((event.market_id, _unrest(busy)))
        return
    plan.steps.append(
        Step(CONVERT, event.market_id, event.no_tokens, size_e6, expected_e6, neg_risk=True)
    )


def _unrest(tokens: set[str]) -> str:
    return f"an order or fill is under way in {', '.join(sorted(tokens))[:90]}"
