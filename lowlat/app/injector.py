"""Synthetic opportunities: from the stream *inject* into the path of every real one.

`lowlat inject` writes them; here they become signals of the module ``inject``, in paper mode, and
risk, executor and venue treat them like any other. Runs beside the signals engine, never in live.
"""

from typing import TYPE_CHECKING, Final

import msgspec

from lowlat.core.layout import SIGNAL, SignalRecord
from lowlat.core.ports import EMPTY, OVERRUN, StreamReader
from lowlat.core.signal import decode_signal
from lowlat.feeds.ports import Note
from lowlat.wiring.ports import Meters

if TYPE_CHECKING:
    from lowlat.signals.engine import SignalsEngine
    from lowlat.wiring.capture import CapturedInject

__all__ = ["INJECT", "Injector"]

INJECT: Final = "inject"
"""Name of the stream, and of the module that decisions, orders and reports carry."""
_RECORDS_A_TURN: Final = 4


class Injector:
    """Engine that hands injected signals on, each once."""

    name: Final = "injector"

    def __init__(
        self,
        reader: StreamReader,
        signals: "SignalsEngine | CapturedInject",
        meters: Meters,
        note: Note,
    ) -> None:
        self._reader = reader
        self._poll = reader.poll
        self._signals = signals
        self._note = note
        self._taken = meters.cell("inject.signals")
        self._refused = meters.cell("inject.refused")
        self._lost = meters.cell("inject.lost")

    def start(self) -> None:
        """Stand behind what was injected into an earlier life."""

    def turn(self, now_ns: int) -> int:
        """Emit what came in; return how much."""
        done = 0
        while done < _RECORDS_A_TURN:
            kind = self._poll()
            if kind == EMPTY:
                break
            done += 1
            if kind == OVERRUN:
                self._lost.add(1)
            elif kind == SIGNAL.kind:
                self._take(SIGNAL.unpack(self._reader.buffer), now_ns)
        return done

    def close(self) -> None:
        """Nothing is held."""

    def _take(self, record: SignalRecord, now_ns: int) -> None:
        """Emit one; what cannot be a signal is counted and noted."""
        # Its way here is not the market's: stages are timed from now on.
        source = record._replace(
            recv_ns=now_ns, decoded_ns=now_ns, published_ns=now_ns, module=INJECT.encode()
        )
        try:
            emitted = self._signals.inject(decode_signal(source), source)
        except (ValueError, msgspec.MsgspecError) as error:
            self._refused.add(1)
            self._note("inject refused", str(error))
            return
        # Not emitted: risk is behind, and the signals engine has counted it.
        (self._taken if emitted else self._refused).add(1)
