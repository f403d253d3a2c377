# Types of the compiled part of the executor; behaviour is documented in _kernel.pyx.

from typing import Any, final

from typing_extensions import disjoint_base

from lowlat.book._view import BookView
from lowlat.core.layout import IntentRecord
from lowlat.core.ports import TableReader
from lowlat.execution.limits import Breaker, HardLimits

__all__ = ["Announcer", "FactCells", "FastCheck", "IntentView", "MarketGate", "OrderCells"]

@final
class IntentView:
    def __init__(self, buffer: Any) -> None: ...
    def load(self, record: IntentRecord) -> None: ...
    def record(self) -> IntentRecord: ...
    @property
    def plain(self) -> bool: ...
    @property
    def instrument(self) -> int: ...
    @property
    def action(self) -> int: ...
    @property
    def checked_ns(self) -> int: ...
    @property
    def expires_ns(self) -> int: ...

@disjoint_base
class FactCells:
    version: int
    generation: int
    tick_e4: int
    tradeable: bool
    min_size_e6: int
    rate_e6: int
    ladder_e6: int
    cut_e6: int
    exchange: int
    token_id: bytes

@final
class MarketGate:
    def __init__(
        self,
        facts: dict[int, Any],
        markets: TableReader,
        book: TableReader,
        view: BookView,
        shards: TableReader,
    ) -> None: ...

@final
class FastCheck:
    def __init__(
        self, desk: Any, gate: MarketGate, breaker: Breaker, limits: HardLimits
    ) -> None: ...
    def clear(self, intent: IntentView, now_ns: int) -> bool: ...
    @property
    def facts(self) -> Any: ...
    @property
    def maker_e6(self) -> int: ...
    @property
    def taker_e6(self) -> int: ...
    @property
    def hold_e6(self) -> int: ...
    @property
    def key(self) -> tuple[int, int, int, int]: ...
    @property
    def post(self) -> int: ...

@final
class Announcer:
    def __init__(self, order_buffer: Any, report_buffer: Any) -> None: ...
    def fill(
        self,
        intent: IntentView,
        order_id: bytes,
        token_id: bytes,
        maker_e6: int,
        taker_e6: int,
        hold_e6: int,
        timestamp_ms: int,
        salt: int,
        retries: int,
        row: int,
        report: int,
        now_ns: int,
        position_e6: int,
        cash_e6: int,
    ) -> None: ...

@disjoint_base
class OrderCells:
    id: int
    cause: int
    signal: int
    group: int
    order_id: bytes
    token_id: bytes
    event_ns: int
    recv_ns: int
    decoded_ns: int
    published_ns: int
    decided_ns: int
    checked_ns: int
    sent_ns: int
    acked_ns: int
    filled_ns: int
    size_e6: int
    maker_amount_e6: int
    taker_amount_e6: int
    filled_e6: int
    cash_e6: int
    fee_e6: int
    reserved_e6: int
    price_e4: int
    instrument: int
    generation: int
    config_generation: int
    reason: int
    state: int
    action: int
    order_type: int
    order_flags: int
    leg: int
    legs: int
    module: bytes
    confirmed_e6: int
    expiration_s: int
    lookups: int
    created_wall_ms: int
    salt: int
    unwind_price_e4: int
    retries: int
    claimed_e6: int
    def put(self, fields: tuple[Any, ...]) -> None: ...
    def load(self, buffer: Any) -> None: ...
    def pack(self, buffer: Any) -> None: ...
