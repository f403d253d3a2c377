"""Who gets one of few places: by priority, then by score; a place is not lost for a trifle. Pure.

Used by the universe, once for rows and once for sockets. Units are single markets, or exclusive
events as a whole: a set with a member missing is worth nothing. Everything is incremental: a
change costs a few heap steps, a review some microseconds, however many thousands wait.

An outsider takes the place of the lowest insider if its priority is higher, or if it is equal, its
score larger by ``gain_ppm`` and the insider there for ``stay_ns``; never from one that is held.
Source: design 7 (hysteresis; what is held or ordered is never evicted).
"""

import heapq
from collections.abc import Callable
from typing import Final

__all__ = ["Choice", "Steps"]

Steps = tuple[tuple[int, int], ...]
"""(from wall ns, priority), ascending in time: what a market is worth from when on."""

_Entry = tuple[int, int, str, int]
"""Two numbers to sort by, the unit, and its version when it was put there."""

_PPM: Final = 1_000_000
_ADMITTED_A_REVIEW: Final = 64
_EVICTED_A_REVIEW: Final = 16
_HELD_AGAIN_NS: Final = 10_000_000_000
"""One that could not be evicted is asked about again after so long."""
_HEAP_SLACK: Final = 1_024


class _Unit:
    __slots__ = ("key", "members", "priority", "since_ns", "spared_ns", "steps", "version")

    def __init__(self, key: str) -> None:
        self.key = key
        self.members: dict[str, int] = {}
        """Score by condition id."""
        self.priority = 0
        self.steps: Steps = ()
        self.since_ns = -1
        """When it got its place, -1 while it has none."""
        self.spared_ns = 0
        """Not evicted before."""
        self.version = 0

    @property
    def score(self) -> int:
        return sum(self.members.values())


class Choice:
    """Places for ``places`` markets. ``held(condition_id)``: it may not lose its place now."""

    def __init__(
        self,
        places: int,
        stay_ns: int,
        gain_ppm: int,
        held: Callable[[str], bool],
        *,
        priority_min: int = 0,
    ) -> None:
        self.inside: dict[str, int] = {}
        """Condition ids that have a place, with the priority by which they hold it."""
        self._places = places
        self._stay_ns = stay_ns
        self._gain_ppm = gain_ppm
        self._held = held
        self._priority_min = priority_min
        self._units: dict[str, _Unit] = {}
        self._key_of: dict[str, str] = {}
        """Unit of each market that is not one by itself."""
        self._waiting: list[_Entry] = []
        self._seated: list[_Entry] = []
        self._alarms: list[_Entry] = []
        self._waiting_most = self._seated_most = self._alarms_most = _HEAP_SLACK
        self._versions = 0
        self._busy = False

    def __len__(self) -> int:
        return len(self._units)

    @property
    def is_busy(self) -> bool:
        """Whether the last review ended with more to do."""
        return self._busy

    def priority(self, condition_id: str) -> int:
        """Return what a market is worth now; 0 of one that is not known."""
        unit = self._units.get(self._key_of.get(condition_id, condition_id))
        return unit.priority if unit is not None else 0

    def offer(self, condition_id: str, key: str, score: int, steps: Steps, wall_ns: int) -> None:
        """Take a market into the running, or what changed about one."""
        before = self.standing(condition_id)
        if before == (key, score, steps):
            return
        if before is not None and before[0] != key:
            self.withdraw(condition_id, wall_ns)
        unit = self._units.get(key)
        if unit is None:
            unit = self._units[key] = _Unit(key)
        if key != condition_id:
            self._key_of[condition_id] = key
        joins = unit.since_ns >= 0 and condition_id not in unit.members
        unit.members[condition_id] = score
        unit.steps = steps
        if joins:
            # Its event has a place, of which it is a part: there it waits for nobody.
            self.inside[condition_id] = unit.priority
        self._rank(unit, wall_ns)

    def standing(self, condition_id: str) -> tuple[str, int, Steps] | None:
        """Return what was offered of a market: unit, score, steps."""
        unit = self._units.get(self._key_of.get(condition_id, condition_id))
        if unit is None or condition_id not in unit.members:
            return None
        return unit.key, unit.members[condition_id], unit.steps

    def names(self) -> list[str]:
        """Return every market in the running."""
        return [one for unit in self._units.values() for one in unit.members]

    def withdraw(self, condition_id: str, wall_ns: int) -> bool:
        """Take a market out of the running; True when it had a place."""
        key = self._key_of.pop(condition_id, condition_id)
        unit = self._units.get(key)
        if unit is None or unit.members.pop(condition_id, None) is None:
            return False
        if unit.members:
            self._rank(unit, wall_ns)
        else:
            del self._units[key]
        return self.inside.pop(condition_id, None) is not None

    def _rank(self, unit: _Unit, wall_ns: int) -> None:
        """Put a unit where its worth now belongs; its older entries are void."""
        self._versions += 1
        unit.version = self._versions
        unit.priority = max((worth for at, worth in unit.steps if at <= wall_ns), default=0)
        score = unit.score
        if unit.since_ns >= 0:
            heapq.heappush(self._seated, (unit.priority, score, unit.key, unit.version))
            for member in unit.members:
                self.inside[member] = unit.priority
        else:
            heapq.heappush(self._waiting, (-unit.priority, -score, unit.key, unit.version))
        later = min((at for at, _ in unit.steps if at > wall_ns), default=None)
        if later is not None:
            heapq.heappush(self._alarms, (later, 0, unit.key, unit.version))
        self._tidy()

    def _tidy(self) -> None:
        """Drop void entries, of each heap by its own size.

        Many that wait are no reason to keep what is left of all those that had a place.
        """
        self._waiting_most = self._sift(self._waiting, self._waiting_most)
        self._seated_most = self._sift(self._seated, self._seated_most)
        self._alarms_most = self._sift(self._alarms, self._alarms_most)

    def _sift(self, heap: list[_Entry], most: int) -> int:
        """Go through a heap that reached a length; return the one at which to do so again."""
        if len(heap) <= most:
            return most
        heap[:] = [each for each in heap if self._is_valid(each[2], each[3])]
        heapq.heapify(heap)
        return len(heap) + len(heap) // 8 + _HEAP_SLACK

    def _is_valid(self, key: str, version: int) -> bool:
        unit = self._units.get(key)
        return unit is not None and unit.version == version

    # ------------------------------------------------------------------ review
    def review(self, now_ns: int, wall_ns: int) -> tuple[list[str], list[str]]:
        """Return the markets that get a place now, and those that lose theirs."""
        self._ring(wall_ns)
        admitted: list[str] = []
        evicted: list[str] = []
        aside: list[_Entry] = []
        while len(admitted) < _ADMITTED_A_REVIEW and len(evicted) < _EVICTED_A_REVIEW:
            best = self._first(self._waiting)
            if best is None or best.priority < self._priority_min:
                break
            need = len(best.members)
            if need > self._places or not self._make_room(best, need, now_ns, evicted):
                if need == 1:
                    break
                # An event that finds no room shall not bar the way for the rest.
                aside.append(heapq.heappop(self._waiting))
                if len(aside) == _EVICTED_A_REVIEW:
                    break
                continue
            heapq.heappop(self._waiting)
            best.since_ns = now_ns
            admitted += best.members
            self._rank(best, wall_ns)
        for entry in aside:
            heapq.heappush(self._waiting, entry)
        self._busy = len(admitted) >= _ADMITTED_A_REVIEW
        return admitted, evicted

    def _ring(self, wall_ns: int) -> None:
        """Rank anew what is worth something else from now on."""
        alarms = self._alarms
        while alarms and alarms[0][0] <= wall_ns:
            _, _, key, version = heapq.heappop(alarms)
            if self._is_valid(key, version):
                self._rank(self._units[key], wall_ns)

    def _first(self, heap: list[_Entry]) -> _Unit | None:
        while heap:
            if self._is_valid(heap[0][2], heap[0][3]):
                return self._units[heap[0][2]]
            heapq.heappop(heap)
        return None

    def _make_room(self, best: _Unit, need: int, now_ns: int, evicted: list[str]) -> bool:
        """Free as many places as are needed, all or none."""
        missing = len(self.inside) + need - self._places
        if missing <= 0:
            return True
        popped: list[_Entry] = []
        victims: list[_Unit] = []
        while missing > 0 and len(popped) < need + _EVICTED_A_REVIEW:
            worst = self._first(self._seated)
            if worst is None or not self._beats(best, worst):
                break
            popped.append(heapq.heappop(self._seated))
            if self._may_go(worst, best, now_ns):
                victims.append(worst)
                missing -= len(worst.members)
        for unit in victims if missing <= 0 else ():
            self._unseat(unit, evicted)
        for entry in popped:
            if self._units[entry[2]].since_ns >= 0:
                heapq.heappush(self._seated, entry)
        return missing <= 0

    def _unseat(self, unit: _Unit, evicted: list[str]) -> None:
        unit.since_ns = -1
        for member in unit.members:
            del self.inside[member]
            evicted.append(member)
        heapq.heappush(self._waiting, (-unit.priority, -unit.score, unit.key, unit.version))

    def _beats(self, best: _Unit, worst: _Unit) -> bool:
        if best.priority != worst.priority:
            return best.priority > worst.priority
        return best.score * _PPM > worst.score * (_PPM + self._gain_ppm)

    def _may_go(self, unit: _Unit, best: _Unit, now_ns: int) -> bool:
        if best.priority == unit.priority and now_ns - unit.since_ns < self._stay_ns:
            return False
        if now_ns < unit.spared_ns:
            return False
        if any(self._held(member) for member in unit.members):
            unit.spared_ns = now_ns + _HELD_AGAIN_NS
            return False
        return True
