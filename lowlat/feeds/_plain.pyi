"""Types of the compiled frame path; behaviour is documented in _plain.pyx."""

from collections.abc import Callable
from typing import TypeAlias, final

from lowlat.core.ports import Clock, Recorder, StreamWriter, TableWriter
from lowlat.feeds._state import Link, MarketState, TokenIndex
from lowlat.feeds.ports import Connection

__all__ = ["BookOutput", "PlainFrames"]

_Take: TypeAlias = Callable[[MarketState, int, int, int, int], None]

@final
class BookOutput:
    """Row, then top, of one feed's books."""

    def __init__(
        self,
        books: TableWriter,
        market: StreamWriter,
        clock: Clock,
        latency: Recorder | None,
        kind: int,
        ids: int,
    ) -> None: ...
    @property
    def next(self) -> int: ...
    @property
    def next_id(self) -> int: ...
    def publish(self, kind: int) -> None: ...
    def book(
        self, state: MarketState, sides: int, event_ns: int, recv_ns: int, decoded_ns: int
    ) -> None: ...

@final
class PlainFrames:
    """The listener's on_frame."""

    frames: int
    published: int
    def __init__(
        self,
        links: list[Link],
        tokens: TokenIndex,
        output: BookOutput,
        clock: Clock,
        put_tape: Callable[[bytes, int, int, int], None] | None,
        pump: Callable[[], None] | None,
        other: Callable[[Connection, bytes, bool, int], None],
        disagreed: _Take,
        published: _Take,
    ) -> None: ...
    def on_frame(
        self, connection: Connection, payload: bytes, is_text: bool, recv_ns: int
    ) -> None: ...
