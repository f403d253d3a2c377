"""Who tells whom: which role writes and reads each stream, and what a role is for, in words.

For drawings and messages; writers come from the layout, readers are listed here and held against
the wiring by a test.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from lowlat.app.topology import ProcessConfig, process_of
from lowlat.core.layout import FRAME, STREAMS, Writer

__all__ = ["DUTIES", "READERS", "Flow", "flows_of"]

DUTIES: Final[Mapping[str, str]] = {
    "recorder": "writes journal, decisions and raw frames to the disk",
    "metadata": "finds markets, learns their rules, notes who won",
    "binance": "reads spot prices",
    "prices": "reads the prices that markets settle on",
    "polymarket": "keeps the books of every market",
    "signals": "calls the modules that look for mispriced contracts",
    "risk": "ranks, checks and sizes what they find; decides",
    "executor": "signs and sends orders, keeps orders, positions and cash",
}
READERS: Final[Mapping[str, tuple[str, ...]]] = {
    "market": ("signals", "metadata"),
    "metadata": ("polymarket", "signals", "risk"),
    "spot": ("signals",),
    "settle": ("signals", "metadata"),
    "signals": ("risk",),
    "intents": ("executor",),
    "reports": ("signals", "risk", "recorder"),
    "decisions": ("recorder",),
    **{name: ("recorder",) for name in STREAMS if FRAME in STREAMS[name].records},
}
"""Roles by stream; observers (top, telemetry) may read along everywhere."""
_GATES: Final[Mapping[str, str]] = {"ledger": "recorder"}
"""Roles whose gate has another name than theirs."""


class Flow(NamedTuple):
    """One stream from a process to others."""

    stream: str
    source: str
    to: tuple[str, ...]
    waits_for: tuple[str, ...]
    """Those of them whose gate its writer never laps: it waits rather than overwrite."""


def flows_of(topology: Mapping[str, ProcessConfig]) -> list[Flow]:
    """Return the streams that leave a process, in the order of the layout."""
    found = []
    for name, roles in READERS.items():
        stream = STREAMS[name]
        source = process_of(topology, _role(stream.writer))
        readers = dict.fromkeys(process_of(topology, role) for role in roles)
        to = tuple(reader for reader in readers if reader != source)
        gated = {process_of(topology, _GATES.get(gate, gate)) for gate in stream.gates}
        if to:
            found.append(Flow(name, source, to, tuple(each for each in to if each in gated)))
    order = list(STREAMS)
    return sorted(found, key=lambda flow: order.index(flow.stream))


def _role(writer: Writer) -> str:
    return writer.name.lower()
