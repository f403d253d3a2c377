"""The venue's dead-man switch: a beat every five seconds, from the order loop and nowhere else.

When the loop stops, the venue cancels every open order of the key 10 to 15 s later. The first beat
carries an empty id and arms it, each answer names the id of the next. Source: polymarket.md 5.7.
"""

from typing import Final

__all__ = ["Heartbeat"]

_SECOND_NS: Final = 1_000_000_000
_DEAD_NS: Final = 10 * _SECOND_NS


class Heartbeat:
    """Says when to beat and with which id; sans-IO, driven by ExecutorEngine."""

    def __init__(self, every_ns: int = 5 * _SECOND_NS, answer_ns: int = 2 * _SECOND_NS) -> None:
        self._every_ns = every_ns
        self._answer_ns = answer_ns
        self._due_ns = 0
        self._in_flight_ns = 0
        self._accepted_ns = 0
        self._corrected_ns = 0
        self.heartbeat_id = ""
        self.corrected = 0
        """Beats the venue refused for their id."""
        self.failed = 0

    def due(self, now_ns: int) -> bool:
        """Whether to beat now: one at a time, the answer is waited for a little."""
        if self._in_flight_ns and now_ns - self._in_flight_ns < self._answer_ns:
            return False
        return now_ns >= self._due_ns

    def sent(self, now_ns: int) -> None:
        """Note that a beat left."""
        self._in_flight_ns = now_ns
        self._due_ns = now_ns + self._every_ns

    def accepted(self, heartbeat_id: str, sent_ns: int) -> None:
        """Take the id for the next beat. Life counts from when the beat was sent."""
        self.heartbeat_id = heartbeat_id
        self._in_flight_ns = 0
        self._accepted_ns = max(self._accepted_ns, sent_ns)

    def corrected_to(self, heartbeat_id: str, now_ns: int) -> None:
        """Take the id the venue expected; the beat did not count, so beat again.

        At once the first time, then each second: a venue that names a new id every time must not
        be met with a flood.
        """
        self.heartbeat_id = heartbeat_id
        self._in_flight_ns = 0
        again_ns = self._corrected_ns + _SECOND_NS
        self._due_ns = now_ns if not self._corrected_ns or now_ns >= again_ns else again_ns
        self._corrected_ns = now_ns
        self.corrected += 1

    def lost(self, now_ns: int) -> None:
        """No usable answer: beat again within a second; the id is corrected if it moved on."""
        self._in_flight_ns = 0
        self._due_ns = min(self._due_ns, now_ns + _SECOND_NS)
        self.failed += 1

    @property
    def sent_ns(self) -> int:
        """When the beat in flight left; 0 = none is."""
        return self._in_flight_ns

    def may_have_fired(self, now_ns: int) -> bool:
        """Whether the venue may have canceled everything: resting orders need a look."""
        return bool(self._accepted_ns) and now_ns - self._accepted_ns > _DEAD_NS
