"""A capture around an engine that a bench wires by hand: its few connections and its header."""

from typing import Any

from lowlat.core.clock import monotonic_ns, wall_ns
from lowlat.core.ports import Clock, Salts, Transport
from lowlat.feeds.ports import Dial, Note
from lowlat.wiring.capture import CaptureHeader, header_of
from lowlat.wiring.ports import Keys

__all__ = ["BareEnds", "bare_header"]


class BareEnds:
    """The connections that a bench has."""

    def __init__(
        self, orders: Transport, market_ws: Dial, clock: Clock, salts: Salts, note: Note
    ) -> None:
        self.orders, self.market_ws = orders, market_ws
        self.clock, self.salts, self.note = clock, salts, note


def bare_header(keys: Keys, **more: Any) -> CaptureHeader:
    """Return a header that says who trades; nobody replays it."""
    return header_of(
        {},
        recovered=None,
        keys=keys,
        process="engine",
        instance="bench",
        mode="sim",
        host="127.0.0.1",
        started_ns=monotonic_ns(),
        wall_ns=wall_ns(),
        config={},
        **more,
    )
