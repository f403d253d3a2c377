# Types of the compiled part of signals; behaviour is documented in _emit.pyx.

from typing import Any, final

from lowlat.book._view import BookView
from lowlat.core.instruments import Instrument
from lowlat.core.signal import Signal
from lowlat.signals.emit import Source

__all__ = ["RowCopier", "SignalSlot"]

@final
class SignalSlot:
    def __init__(self, buffer: Any, by_token: dict[str, Instrument]) -> None: ...
    def write(
        self,
        signal: Signal,
        metadata: bytes,
        source: Source,
        record: int,
        decided_ns: int,
        mode: int,
    ) -> bool: ...

@final
class RowCopier:
    def __init__(self, row: Any) -> None: ...
    def copy_to(self, view: BookView) -> None: ...
