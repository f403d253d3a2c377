"""An orderly end: no new orders, open ones canceled, groups finished, fills settled, then stop.

Before the stop every balance is compared once more: what the venue paid out meanwhile is in the
books that are left behind.
"""

import logging
from collections.abc import Callable
from typing import Final

from lowlat.core.ports import Clock
from lowlat.wiring.trading import Trading

__all__ = ["Drain"]

_LOG: Final = logging.getLogger(__name__)
_DEADLINE_NS: Final = 40_000_000_000
"""Longer than an order without an answer is in doubt (execution.unknown_window_ns, 30 s)."""
_CANCEL_EVERY_NS: Final = 1_000_000_000
_BALANCES_NS: Final = 5_000_000_000
"""So long the balances are waited for: nothing is open, and the venue may be gone."""


class Drain:
    """Engine that waits for the executor to come to rest once ``begin`` was called."""

    name: Final = "drain"

    def __init__(self, trading: Trading, clock: Clock) -> None:
        self._trading = trading
        self._clock = clock
        self._deadline_ns = 0
        self._cancel_due_ns = 0
        self._rest_ns = 0
        """Since when nothing has been under way, 0 while something is."""
        self.late = False
        """The deadline passed with something open: the process must not end as if all was well."""
        self.done: Callable[[], None] = lambda: None
        """Called once everything is at rest, or the deadline passed."""

    def start(self) -> None:
        """Wait to be asked."""

    def begin(self, now_ns: int) -> None:
        """Stop new orders and begin to wait; a second call changes nothing."""
        if self._deadline_ns:
            return
        _LOG.info("drain begins open=%d", self._trading.open_orders())
        self._deadline_ns = now_ns + _DEADLINE_NS
        self._trading.drain()

    def turn(self, now_ns: int) -> int:
        """Cancel what rests, and end when nothing moves any more."""
        if not self._deadline_ns:
            return 0
        executor = self._trading.executor
        if now_ns >= self._cancel_due_ns:
            self._cancel_due_ns = now_ns + _CANCEL_EVERY_NS
            for order in executor.desk.by_id.values():
                if order.open:
                    self._trading.cancel(order.id)
        at_rest = self._trading.at_rest()
        if not at_rest:
            self._rest_ns = 0
        elif not self._rest_ns:
            self._rest_ns = now_ns
            self._trading.check_balances(now_ns)
        agreed = executor.reconciler.agreed_ns >= self._rest_ns
        if at_rest and (agreed or now_ns - self._rest_ns >= _BALANCES_NS):
            _LOG.log(logging.INFO if agreed else logging.WARNING, "drained balances=%s", agreed)
            self.done()
        elif now_ns >= self._deadline_ns:
            self.late = True
            _LOG.error(
                "drain deadline passed open=%d unsettled=%d groups=%d",
                self._trading.open_orders(),
                len(executor.desk.unsettled),
                len(executor.groups.active),
            )
            self.done()
        return 0

    def close(self) -> None:
        """Nothing is held."""
