"""Send again what the venue said did not happen: once or so, later, and within a budget.

Owned by the executor. A retry is a new order with a new id, checked anew. Orders of a group are
never retried here: their group decides.
"""

from typing import Final

from lowlat.core.layout import IntentRecord
from lowlat.core.ports import Salts
from lowlat.execution.orders import Order
from lowlat.execution.params import ExecutorParams

__all__ = ["Retries", "intent_of"]

_MINUTE_NS: Final = 60_000_000_000
_SALT_BITS: Final = 53


class Retries:
    """Orders waiting to be sent again, with jitter from the salts port."""

    def __init__(self, salts: Salts, params: ExecutorParams) -> None:
        self._salts = salts
        self._params = params
        self.waiting: list[tuple[int, IntentRecord, int]] = []
        self._spent: list[int] = []

    def reload(self, params: ExecutorParams) -> None:
        """Go on with these from here on; what is under way keeps its deadlines."""
        self._params = params

    def __len__(self) -> int:
        return len(self.waiting)

    def offer(self, order: Order, now_ns: int) -> bool:
        """Take an order for another try; False when it has had enough or the budget is spent."""
        self._spent = [at for at in self._spent if now_ns - at < _MINUTE_NS]
        if order.group or order.retries >= self._params.retry_count_max:
            return False
        if not order.expires_ns:
            return False
        if len(self._spent) >= self._params.retry_budget_per_min:
            return False
        self._spent.append(now_ns)
        # Uniform between half and one and a half of the mean, so that clients do not march.
        delay_ns = self._params.retry_delay_ns
        wait_ns = delay_ns // 2 + (delay_ns * self._salts.next_salt() >> _SALT_BITS)
        self.waiting.append((now_ns + wait_ns, intent_of(order), order.retries + 1))
        return True

    def due(self, now_ns: int) -> list[tuple[IntentRecord, int]]:
        """Return and forget what may go now: intent and the number of the try."""
        if not self.waiting:
            return []
        ready = [(intent, count) for at, intent, count in self.waiting if now_ns >= at]
        self.waiting = [each for each in self.waiting if now_ns < each[0]]
        return ready


def intent_of(order: Order) -> IntentRecord:
    """Return the wish behind an order, without an id."""
    spend_e6 = order.maker_amount_e6 if order.immediate and order.action == 0 else 0
    return IntentRecord(
        0,
        order.cause,
        order.signal,
        order.group,
        0,
        order.event_ns,
        order.recv_ns,
        order.decoded_ns,
        order.published_ns,
        order.decided_ns,
        order.checked_ns,
        order.expires_ns,
        order.size_e6,
        spend_e6,
        0,
        order.unwind_price_e4,
        order.price_e4,
        order.price_e4,
        order.instrument,
        order.generation,
        order.config_generation,
        order.expiration_s,
        order.action,
        order.order_type,
        0,
        order.order_flags,
        order.leg,
        order.legs,
        0,
        order.module,
    )
