"""Which request an answer belongs to: keys handed to the transport and what they asked."""

from enum import IntEnum
from typing import Any, NamedTuple

from lowlat.execution.orders import Order

__all__ = ["Asked", "InFlight", "Question"]


class Asked(IntEnum):
    """What kind of request a key stands for."""

    ORDER = 1
    BATCH = 2
    CANCEL = 3
    LOOKUP_ORDER = 4
    LOOKUP_TRADES = 5
    HEARTBEAT = 6
    RECONCILE = 7


class Question(NamedTuple):
    """A request in flight."""

    asked: Asked
    orders: tuple[Order, ...]
    at_ns: int
    detail: Any = None


class InFlight:
    """Requests by key. The transport answers every one of them exactly once."""

    def __init__(self) -> None:
        self._next_key = 0
        self._questions: dict[int, Question] = {}

    def __len__(self) -> int:
        return len(self._questions)

    def add(self, asked: Asked, orders: tuple[Order, ...], at_ns: int, detail: Any = None) -> int:
        """Note a request that is about to leave; return its key."""
        key = self.new_key()
        self.put(key, Question(asked, orders, at_ns, detail))
        return key

    def new_key(self) -> int:
        """Return a key that was never used."""
        self._next_key += 1
        return self._next_key

    def put(self, key: int, question: Question) -> None:
        """Note what a key asked; before the transport's next callback."""
        self._questions[key] = question

    def take(self, key: int) -> Question | None:
        """Return and forget what a key asked; None for a key that is not in flight."""
        return self._questions.pop(key, None)

    discard = take
