"""What trading real money stands on: checked before the start, and proven before the first order.

``lowlat run --live`` asks twice. Before anything starts: the config says live, the credentials are
ours alone, the ledger is on and does not contradict itself, the dead-man switch is armed by config,
and the venue answers with the credentials that cannot sign. After the start the gate before every
urgent write stays closed (halts.Puller.UNPROVEN) until every process works, the venue has accepted
a heartbeat, and the ledger agrees with the venue. What is not healthy is said by name.
"""

import http.client
import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from enum import Enum
from typing import Final, Self

import msgspec

from lowlat.app.config import EngineConfig
from lowlat.app.halts import Puller, lift_unproven, pull_halt
from lowlat.app.ledger_check import open_ledger_to_read, reader_of
from lowlat.app.ledger_url import ledger_url
from lowlat.core.errors import ConfigError, LedgerError, RemoteProtocolError
from lowlat.shm.stats import StatsWriter
from lowlat.store.ledger.audit import audit

__all__ = ["LiveProof", "NothingToProve", "Proof", "what_is_missing"]

_HEARTBEAT_NS_MAX: Final = 9_000_000_000
"""The venue cancels after 10 s of silence. Source: polymarket.md 5.7."""
_PATIENCE_NS: Final = 180_000_000_000
_EVERY_NS: Final = 200_000_000
_CHECK_WAIT_S: Final = 30
_CHECK: Final = "from lowlat.cli.main import main; main()"
_SHOWN: Final = 3


def what_is_missing(config: EngineConfig, *, flag: bool) -> list[str]:
    """Return what keeps real money from being traded, in words; empty when nothing does."""
    found = []
    if not flag:
        found.append("explicit consent: mode is live, the command says no --live")
    if config.mode != "live":
        found.append(f'config: mode was "{config.mode}", --live needs "live" in the file as well')
    found += _credentials(config)
    found += _heartbeat(config)
    ledger = _ledger(config)
    found += ledger
    if not ledger:
        found += _venue(config)
    return found


def _credentials(config: EngineConfig) -> list[str]:
    """Look at owner and mode only: nobody but the executor opens the file."""
    path = config.account.credentials_file
    try:
        status = os.stat(path)
    except OSError as error:
        return [f"credentials: account.credentials_file {path}: {error.strerror}"]
    if stat.S_IMODE(status.st_mode) & 0o077 or status.st_uid != os.geteuid():
        mode = stat.S_IMODE(status.st_mode)
        return [f"credentials: {path} has mode {mode:04o}, expected 0600 and yours: chmod 600"]
    return []


def _heartbeat(config: EngineConfig) -> list[str]:
    every_ns = config.execution.heartbeat_every_ns
    if 0 < every_ns <= _HEARTBEAT_NS_MAX:
        return []
    text = (
        f"heartbeat: execution.heartbeat_every_ns was {every_ns}, expected 1 to "
        f"{_HEARTBEAT_NS_MAX}: the venue cancels all after 10 s of silence"
    )
    return [text]


def _ledger(config: EngineConfig) -> list[str]:
    """Read the ledger; one that does not exist yet is made by the recorder."""
    if not config.ledger.enabled:
        return ["ledger: ledger.enabled was false, real money needs its evidence"]
    url = ledger_url(config)
    if url.startswith("sqlite:///") and not os.path.exists(url.removeprefix("sqlite:///")):
        return []
    try:
        engine = open_ledger_to_read(config)
    except (ConfigError, LedgerError) as error:
        return [f"ledger: {error}"]
    try:
        wrong = audit(engine)
    except LedgerError as error:
        return [f"ledger: {error}"]
    finally:
        engine.dispose()
    return [f"ledger: contradicts itself: {each}" for each in wrong[:_SHOWN]]


def _venue(config: EngineConfig) -> list[str]:
    """Ask the venue for open orders, trades and cash: what reconciliation stands on."""
    try:
        reader_of(config).picture((), time.time_ns() // 1_000_000)
    except ConfigError as error:
        return [f"reconciliation: {error}"]
    except (OSError, http.client.HTTPException, RemoteProtocolError) as error:
        return [f"reconciliation: the venue did not answer: {type(error).__name__}: {error}"]
    return []


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
