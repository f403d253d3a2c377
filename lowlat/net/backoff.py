"""Jittered, bounded waiting times between attempts. Pure: randomness comes in as a function."""

from collections.abc import Callable

__all__ = ["Backoff"]


class Backoff:
    """Doubling delays with equal jitter: half of each step is certain, half is drawn.

    ``draw`` returns a float in [0, 1). The delay never exceeds ``delay_ns_max``.
    """

    def __init__(self, delay_ns_min: int, delay_ns_max: int, draw: Callable[[], float]) -> None:
        if not 0 < delay_ns_min <= delay_ns_max:
            raise ValueError(
                f"delay_ns_min was {delay_ns_min}, expected 1 to delay_ns_max {delay_ns_max}"
            )
        self._delay_ns_min = delay_ns_min
        self._delay_ns_max = delay_ns_max
        self._step_ns = delay_ns_min
        self._draw = draw

    def next_ns(self) -> int:
        """Return the next delay and double the step."""
        step_ns = self._step_ns
        self._step_ns = min(step_ns * 2, self._delay_ns_max)
        half_ns = step_ns // 2
        return step_ns - half_ns + int(half_ns * self._draw())

    def reset(self) -> None:
        """Begin again with the shortest step: the last attempt held."""
        self._step_ns = self._delay_ns_min
