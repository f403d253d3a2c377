# Types of the compiled send gate; behaviour is documented in _gate.pyx.

import asyncio
import socket
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeAlias, final

from typing_extensions import disjoint_base

from lowlat.core._ends import HaltEnd, SendEnd
from lowlat.net._answers import AnswerReader
from lowlat.net.backoff import Backoff

__all__ = ["HotConnection", "HotSender", "SendGate", "send_now"]

_Request: TypeAlias = bytes | bytearray | memoryview

def send_now(fd: int, request: _Request) -> int: ...

@final
class SendGate(HaltEnd):
    @property
    def error(self) -> int: ...
    def __init__(
        self,
        halt_words: Iterable[tuple[Any, int]],
        watch: Iterable[tuple[Any, int, int]],
    ) -> None: ...
    def blocked(self, now_ns: int) -> int: ...
    def send(self, fd: int, request: _Request, now_ns: int) -> int: ...
    def write(
        self,
        write: Callable[[_Request], int],
        request: _Request,
        now_ns: int,
    ) -> int: ...

@final
class HotConnection:
    DOWN: Final = 0
    IDLE: Final = 1
    BUSY: Final = 2
    sock: socket.socket | None
    reader: AnswerReader
    backoff: Backoff
    task: asyncio.Task[None] | None
    fd: int
    state: int
    key: int
    requests: int
    sent_ns: int
    ping_due_ns: int
    dial_due_ns: int
    def __init__(self, reader: AnswerReader, backoff: Backoff) -> None: ...

@disjoint_base
class HotSender(SendEnd):
    @property
    def _idle(self) -> list[HotConnection]: ...
    @property
    def _busy(self) -> dict[int, HotConnection]: ...
    @property
    def _lost(self) -> deque[int]: ...
    @property
    def _gate(self) -> SendGate | None: ...
    def bind(
        self,
        gate: SendGate | None,
        write_tls: Callable[[HotConnection, _Request, SendGate | None, int], int] | None,
        retire: Callable[[HotConnection], None],
    ) -> None: ...
    def idle(self) -> int: ...
    def send(self, request: _Request, key: int, *, urgent: bool) -> int: ...
    def write(self, connection: HotConnection, request: _Request, *, urgent: bool) -> int: ...
