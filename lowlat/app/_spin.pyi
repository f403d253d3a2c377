"""Types of the compiled loop turn; behaviour is documented in _spin.pyx."""

from collections.abc import Callable
from typing import final

from lowlat.app.loop import LoopCells
from lowlat.net._link import PollWatch

__all__ = ["Spin"]

@final
class Spin:
    """Call every engine's turn, each time or at most once in ``spaced_ns``."""

    stopping: bool
    def __init__(
        self,
        turns: tuple[Callable[[int], int], ...],
        cells: LoopCells,
        schedule: Callable[[Callable[[], None]], object],
        fail: Callable[[BaseException], None],
        stopped: Callable[[], None],
        watch: PollWatch | None,
        spaced_ns: int,
    ) -> None: ...
    def __call__(self) -> None: ...
