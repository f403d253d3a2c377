# Types of the compiled send gate; behaviour is documented in _gate.pyx.

from collections.abc import Callable, Iterable
from typing import Any, final

__all__ = ["SendGate", "send_now"]

def send_now(fd: int, request: bytes | bytearray | memoryview) -> int: ...

@final
class SendGate:
    @property
    def error(self) -> int: ...
    def __init__(
        self,
        halt_words: Iterable[tuple[Any, int]],
        watch: Iterable[tuple[Any, int, int]],
    ) -> None: ...
    def blocked(self, now_ns: int) -> int: ...
    def send(self, fd: int, request: bytes | bytearray | memoryview, now_ns: int) -> int: ...
    def write(
        self,
        write: Callable[[bytes | bytearray | memoryview], int],
        request: bytes | bytearray | memoryview,
        now_ns: int,
    ) -> int: ...
