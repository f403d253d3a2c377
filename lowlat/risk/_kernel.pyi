# Types of the compiled part of risk; behaviour is documented in _kernel.pyx.

from collections.abc import Callable
from typing import Any, final

from lowlat.book._view import BookView, Walk
from lowlat.risk.exposure import Holding
from lowlat.risk.facts import MarketFacts
from lowlat.risk.limits import LimitsParams

__all__ = ["Case", "CaseReader", "DecisionSlot", "FastPath", "IntentSlot", "OwnOrder"]

@final
class Case:
    size_e6: int
    rule: int
    limit: int
    was: int
    cut_rule: int
    cut_limit: int
    cut_was: int
    unit_cost_e6: int
    unwind_price_e4: int
    unwind_unit_e6: int
    facts: MarketFacts
    holding: Holding
    view: BookView
    walk: Walk | None
    def __init__(self, buffer: Any, epoch: int) -> None: ...
    @property
    def id(self) -> int: ...
    @property
    def cause(self) -> int: ...
    @property
    def event_ns(self) -> int: ...
    @property
    def recv_ns(self) -> int: ...
    @property
    def decoded_ns(self) -> int: ...
    @property
    def published_ns(self) -> int: ...
    @property
    def decided_ns(self) -> int: ...
    @property
    def expires_ns(self) -> int: ...
    @property
    def confidence(self) -> float: ...
    @property
    def expected_value(self) -> float: ...
    @property
    def suggested_e6(self) -> int: ...
    @property
    def group(self) -> int: ...
    @property
    def instrument(self) -> int: ...
    @property
    def generation(self) -> int: ...
    @property
    def limit_price_e4(self) -> int: ...
    @property
    def action(self) -> int: ...
    @property
    def urgency(self) -> int: ...
    @property
    def leg(self) -> int: ...
    @property
    def legs(self) -> int: ...
    @property
    def mode(self) -> int: ...
    @property
    def epoch(self) -> int: ...
    @property
    def market(self) -> int: ...
    @property
    def outcome(self) -> int: ...
    @property
    def buys(self) -> bool: ...
    @property
    def immediate(self) -> bool: ...
    @property
    def module(self) -> bytes: ...
    @property
    def key(self) -> tuple[bytes, int, int]: ...
    @property
    def direction(self) -> int: ...
    def refuse(self, rule: int, limit: int, was: int) -> int: ...
    def cut(self, size_e6: int, rule: int, limit: int, was: int) -> None: ...

@final
class CaseReader:
    def __init__(self, buffer: Any) -> None: ...
    def case(self, epoch: int) -> Case: ...

@final
class OwnOrder:
    held_e6: int
    sent: bool
    filled: bool
    def __init__(
        self,
        intent: int,
        instrument: int,
        action: int,
        price_e4: int,
        size_e6: int,
        held_e6: int,
        group: int,
        expires_ns: int,
    ) -> None: ...
    @property
    def intent(self) -> int: ...
    @property
    def instrument(self) -> int: ...
    @property
    def market(self) -> int: ...
    @property
    def outcome(self) -> int: ...
    @property
    def action(self) -> int: ...
    @property
    def price_e4(self) -> int: ...
    @property
    def group(self) -> int: ...
    @property
    def expires_ns(self) -> int: ...
    @property
    def size_e6(self) -> int: ...

@final
class IntentSlot:
    def __init__(self, buffer: Any) -> None: ...
    def write(
        self,
        case: Case,
        intent: int,
        group: int,
        checked_ns: int,
        expires_ns: int,
        spend_e6: int,
        unwind_reserve_e6: int,
        price_e4: int,
        touch_price_e4: int,
        config_generation: int,
        order_type: int,
        flags: int,
    ) -> None: ...
    def write_alone(
        self,
        case: Case,
        intent: int,
        checked_ns: int,
        life_ns_max: int,
        config_generation: int,
        order_type: int,
    ) -> OwnOrder: ...

@final
class DecisionSlot:
    def __init__(self, buffer: Any) -> None: ...
    def write(
        self,
        case: Case,
        decision: int,
        intent: int,
        size_e6: int,
        checked_ns: int,
        config_generation: int,
        rule: int,
        limit: int,
        was: int,
        approved: int,
    ) -> None: ...

@final
class FastPath:
    def __init__(self, state: Any, read: Callable[[int], int], view: BookView) -> None: ...
    def set_limits(self, limits: LimitsParams) -> None: ...
    def take_tokens(self, count: int, now_ns: int) -> bool: ...
    def approve(self, case: Case, now_ns: int) -> bool: ...
