"""The executor's histograms and counters, as ports; ``NullMeters`` for rehearsal and tests."""

from typing import Final, NamedTuple

from lowlat.core.ports import Cell, Recorder

__all__ = ["CELL_NAMES", "RECORDER_NAMES", "ExecutorMeters", "null_meters"]


class ExecutorMeters(NamedTuple):
    """One field a metric. The first seven are latencies in nanoseconds."""

    intent_wait: Recorder
    """checked by risk → picked up."""
    template: Recorder
    """taking or making the signed bytes."""
    intent_to_sent: Recorder
    """picked up → handed to the kernel."""
    tick_to_sent: Recorder
    """market frame received → handed to the kernel."""
    decided_to_sent: Recorder
    sent_to_acked: Recorder
    sent_to_filled: Recorder
    orders: Cell
    dropped: Cell
    fills: Cell
    rejects: Cell
    unknown: Cell
    illegal: Cell
    """Transitions that the state table calls illegal."""
    remote_errors: Cell
    """Answers and frames that break the venue's protocol."""
    foreign: Cell
    """Orders of our key at the venue that neither rows nor journal ever had; each once a life."""
    template_hits: Cell
    template_misses: Cell
    retries: Cell
    breaker_trips: Cell
    ledger_gap: Cell
    """Reports that found no room: the ledger refills from the venue."""
    heartbeats: Cell
    """Beats that the venue accepted: its dead-man switch is armed."""


RECORDER_NAMES: Final = ExecutorMeters._fields[:7]
CELL_NAMES: Final = ExecutorMeters._fields[7:]


class _NullRecorder:
    def record(self, value_ns: int) -> None:
        """Forget it."""


class _NullCell:
    def add(self, count: int) -> None:
        """Forget it."""

    def set(self, value: int) -> None:
        """Forget it."""

    def max(self, value: int) -> None:
        """Forget it."""


def null_meters() -> ExecutorMeters:
    """Return meters that keep nothing."""
    recorder, cell = _NullRecorder(), _NullCell()
    fields: list[Recorder | Cell] = [recorder] * len(RECORDER_NAMES)
    fields += [cell] * len(CELL_NAMES)
    return ExecutorMeters._make(fields)
