"""Prove that live trading is healthy before the first order: what ``lowlat run --live`` waits for.

After the start the gate before every urgent write stays closed (halts.Puller.UNPROVEN) until every
process works, the venue has accepted a heartbeat, and the ledger agrees with the venue. What is not
healthy is said by name. The comparison runs in a process of its own, and nothing that the ledger
needs is loaded here: a supervisor that comes back must not wait for it.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from enum import Enum
from typing import Final, Self

import msgspec

from lowlat.app.halts import Puller, lift_unproven, pull_halt
from lowlat.shm.stats import StatsWriter

__all__ = ["LiveProof", "NothingToProve", "Proof"]

_PATIENCE_NS: Final = 180_000_000_000
_EVERY_NS: Final = 200_000_000
_CHECK_WAIT_S: Final = 30
_CHECK: Final = "from lowlat.cli.main import main; main()"
_SHOWN: Final = 3


class Proof(Enum):
    """How far the proof is."""

    WAITING = "waiting"
    COMPARING = "comparing the ledger with the venue"
    PROVEN = "proven"
    FAILED = "failed"


class LiveProof:
    """Service of the supervisor: keeps the gate closed until live trading is proven healthy."""

    def __init__(
        self,
        instance: str,
        config_path: str,
        unready: Callable[[], list[str]],
        heartbeats: Callable[[], int],
    ) -> None:
        """``unready`` names processes that do not work yet, ``heartbeats`` counts accepted ones."""
        self.state = Proof.WAITING
        self.problem = ""
        self._instance = instance
        self._config_path = config_path
        self._unready = unready
        self._heartbeats = heartbeats
        self._start_ns = 0
        self._due_ns = 0
        self._beats_before: int | None = None
        """Beats accepted in earlier lives: their count outlives its process."""
        self._check: subprocess.Popen[bytes] | None = None
        pull_halt(instance, Puller.UNPROVEN, "live trading is not proven yet", time.time_ns())

    def opened(self, stats: StatsWriter) -> None:
        """Need no cell."""

    def descriptors(self) -> list[int]:
        """Return nothing: it is polled."""
        return []

    def turn(self, now_ns: int) -> None:
        """Take the next step; never blocks."""
        self._start_ns = self._start_ns or now_ns
        if now_ns < self._due_ns:
            return
        self._due_ns = now_ns + _EVERY_NS
        if self.state is Proof.WAITING:
            missing = self.missing()
            if not missing:
                self._compare()
            elif now_ns - self._start_ns > _PATIENCE_NS:
                self._fail("; ".join(missing))
        check = self._check
        if self.state is Proof.COMPARING and check is not None and check.poll() is not None:
            self._take(check)

    def missing(self) -> list[str]:
        """Return what is not healthy yet."""
        found = [f"reconciliation: {name} is not ready" for name in self._unready()]
        beats = self._heartbeats()
        if self._beats_before is None:
            self._beats_before = beats
        if beats <= self._beats_before:
            found.append("heartbeat: the venue has not accepted one yet")
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the gate again: the next start proves anew."""
        if self._check is not None and self._check.poll() is None:
            self._check.kill()
            self._check.wait()
        pull_halt(self._instance, Puller.UNPROVEN, "live trading ended", time.time_ns())

    def _compare(self) -> None:
        self.state = Proof.COMPARING
        command = [sys.executable, "-c", _CHECK, "ledger", "check", "--json"]
        command += ["--config", self._config_path, "--wait", str(_CHECK_WAIT_S)]
        # Of its own: the venue may take seconds, the supervisor's beat must not.
        self._check = subprocess.Popen(  # noqa: S603 - our own program and paths
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def _take(self, check: "subprocess.Popen[bytes]") -> None:
        out, problems = check.communicate()
        try:
            found = msgspec.json.decode(out, type=_Checked)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            words = problems.decode("utf-8", "replace").strip()[-300:]
            self._fail(f"ledger: could not be compared with the venue: {words}")
            return
        if found.ok:
            self.state = Proof.PROVEN
            lift_unproven(self._instance)
            return
        shown = "; ".join(
            f"{each.kind} {each.name} {each.field}: ledger {each.ledger}, {each.against} "
            f"{each.other}"
            for each in found.differences[:_SHOWN]
        )
        self._fail(f"reconciliation: {len(found.differences)} differences, first: {shown}")

    def _fail(self, problem: str) -> None:
        self.state = Proof.FAILED
        self.problem = problem


class NothingToProve:
    """Stands where a proof would: no real money, the gate is open."""

    problem: Final = ""

    def __init__(self, instance: str) -> None:
        lift_unproven(instance)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held."""


class _Differs(msgspec.Struct):
    kind: str
    name: str
    field: str
    ledger: int | str
    other: int | str
    against: str


class _Checked(msgspec.Struct):
    ok: bool
    differences: list[_Differs]
