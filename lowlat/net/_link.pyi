"""Types of the compiled frame delivery; behaviour is documented in _link.pyx."""

from collections.abc import Callable
from typing import Any, final

from picows import WSListener, WSTransport

from lowlat.core.ports import Cell

__all__ = ["FrameLink", "PollWatch"]

@final
class PollWatch:
    """Bound how long bytes waited before their first stamp."""

    def __init__(self, wait_ns_max: Cell) -> None: ...
    @property
    def empty_ns(self) -> int: ...
    def received(self, recv_ns: int) -> None: ...
    def turned(self, now_ns: int) -> None: ...

@final
class FrameLink(WSListener):
    """One life of the socket."""

    def __init__(
        self,
        connection: Any,
        deliver: Callable[[Any, bytes, bool, int], None],
        opened: Callable[[WSTransport], None],
        lost: Callable[[WSTransport], None],
        failed: Callable[[Exception], None],
        watch: PollWatch | None,
        bytes_max: int,
    ) -> None: ...
