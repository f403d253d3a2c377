"""When a process says READY: once every role of it works, or only a venue is to blame."""

import logging
from collections.abc import Callable
from typing import Final

from lowlat.core.clock import monotonic_ns

__all__ = ["Readiness"]

_LOG: Final = logging.getLogger(__name__)
_PATIENCE_NS: Final = 5_000_000_000
"""So long a feed may wait for its venue: one that is down must not keep the others from working,
and nothing trades on it before its books are fresh."""
_MAY_BE_LATE: Final = frozenset({"metadata", "binance", "prices", "polymarket"})


class Readiness:
    """Engine that looks whether the process works, until it does."""

    name: Final = "readiness"

    def __init__(self, unready: Callable[[], list[str]], say: Callable[[], None]) -> None:
        """``unready`` names the roles that do not work yet, ``say`` tells that all do."""
        self._unready = unready
        self._say = say
        self._said = False
        self._complained = False
        self._start_ns = 0

    def start(self) -> None:
        """Begin to be patient."""
        self._start_ns = monotonic_ns()

    def turn(self, now_ns: int) -> int:
        """Say it once."""
        if self._said:
            return 0
        missing = self._unready()
        late = now_ns - self._start_ns > _PATIENCE_NS
        if missing and not (late and _MAY_BE_LATE.issuperset(missing)):
            if late and not self._complained:
                # Whoever waits for READY kills us some day: the log says then why.
                self._complained = True
                _LOG.warning("not ready yet waits_for=%s", ",".join(missing))
            return 0
        self._said = True
        for role in missing:
            _LOG.warning("ready without its venue role=%s", role)
        self._say()
        return 0

    def close(self) -> None:
        """Nothing is held."""
