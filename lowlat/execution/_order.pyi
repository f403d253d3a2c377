# Types of the executor's compiled records; behaviour is documented in _order.pyx.

from collections.abc import Iterable
from typing import Any, Final, final

from lowlat.book.fees import FeeSchedule
from lowlat.core.layout import IntentRecord, OrderState
from lowlat.execution.orders import Fill

__all__ = ["REST_DUST_E6", "TERMINAL", "Announcer", "IntentView", "Order"]

REST_DUST_E6: Final[int]
TERMINAL: Final[frozenset[OrderState]]

@final
class IntentView:
    def __init__(self, buffer: Any) -> None: ...
    def load(self, record: IntentRecord) -> None: ...
    def record(self) -> IntentRecord: ...
    @property
    def plain(self) -> bool: ...
    @property
    def instrument(self) -> int: ...

@final
class Order:
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
    row: int
    matched_e6: int
    """Shares of every fill ever heard of, failed ones too."""
    expires_ns: int
    """The intent's deadline; 0 after a restart: nothing of it may be sent again."""
    lookup_ns: int
    """When to ask the venue about it; 0 = not at all."""
    unknown_ns: int
    """When the venue first said, after a cancel, that it knows no such order; 0 = never."""
    asking: bool
    """A look-up is in flight."""
    sealed: bool
    """Restored with all its fills final: nothing about them can be news."""
    fees: FeeSchedule | None
    def __init__(self, row: int, fields: Iterable[Any]) -> None: ...
    @staticmethod
    def of_row(row: int, buffer: Any) -> Order: ...
    def pack(self, buffer: Any) -> None: ...
    @property
    def market(self) -> int: ...
    @property
    def fills(self) -> dict[str, Fill]: ...
    @property
    def immediate(self) -> bool: ...
    @property
    def open(self) -> bool: ...
    @property
    def rest_e6(self) -> int: ...
    @property
    def awaited_e6(self) -> int: ...
    @property
    def settling(self) -> bool: ...
    @property
    def done(self) -> bool: ...
    def hold_e6(self) -> int: ...

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
