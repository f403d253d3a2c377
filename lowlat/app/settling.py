"""Settlement as a process: rounds of merging and redeeming, steered and watched as everybody is.

``python -m lowlat.app.settling --config FILE``; run by the supervisor when ``settlement.enabled``.
It alone opens the file with the wallet owner's key, holds no key that orders are signed with by
the executor's file, and starts no step that moves money while any halt is set, the supervisor's
heartbeat is late or ``settlement.dry_run`` is true. Calls to the venue block, so rounds run in a
thread of their own; the heartbeat goes on only while that thread gets on.

After a step whose balances do not tell what was expected (``differs``, see settlement.py) nothing
more is moved, over restarts too, until a person resumes.
"""

import argparse
import logging
import signal
import sys
import threading
from collections.abc import Callable
from typing import Final

from lowlat.app.config import EngineConfig, SettlementConfig, load_config
from lowlat.app.entry import pin, run_child
from lowlat.app.generations import Generation, config_in_force
from lowlat.app.ledger_check import open_ledger_to_read
from lowlat.app.locked_capital import RoundMeters
from lowlat.app.log import say_ready
from lowlat.app.machine import Metrics
from lowlat.app.nameplate import hang_nameplate
from lowlat.app.names import SETTLEMENT
from lowlat.app.settlement import Round, Settler, last_differs, settler_of
from lowlat.app.steering import Steering, order_gate
from lowlat.app.topology import RECORDER
from lowlat.app.wallet_lock import lock_settlement
from lowlat.core.clock import monotonic_ns
from lowlat.shm.attachment import Attachment
from lowlat.shm.stats import StatsWriter

__all__ = ["Rounds", "main"]

_LOG: Final = logging.getLogger(__name__)
_TURN_S: Final = 0.05
_GATE_S: Final = 0.25
"""How often a round that waits for halts to go looks again."""
_STUCK_NS: Final = 300_000_000_000
"""A round that did not get on for so long hangs: histories are long, one page is not."""
_JOIN_S: Final = 10.0
_WAITS_MAX: Final = 16
"""After rounds that failed the pause doubles up to so many ``every_s``."""
_NS: Final = 1_000_000_000


class _StoppedError(Exception):
    """Ends a round at its next pause: the process is asked to end."""


class Rounds:
    """One round after another in a thread; what others may know of it is read from attributes."""

    def __init__(self, params: SettlementConfig, blocked: Callable[[int], int]) -> None:
        """``blocked(now_ns)``: the word of a halt that is set, 0 while money may be moved."""
        self.params = params
        """Replaced whole by whoever steers."""
        self.latest: Round | None = None
        """What the last round found and did; None before the first."""
        self.count = 0
        self.stopped = ""
        """Why nothing is moved until a person resumes; "" while things are in order."""
        self.error: BaseException | None = None
        self.progress_ns = monotonic_ns()
        self._blocked = blocked
        self._stop = threading.Event()
        self._failures = 0

    # -------------------------------------------------------------- called in the round's thread
    def run(self, settler: Settler) -> None:
        """Go on until stopped; a programming fault is kept for the process to end with."""
        try:
            while not self._stop.is_set():
                self._round(settler)
        except _StoppedError:
            _LOG.info("stopped rounds=%d", self.count)
        except BaseException as error:  # noqa: BLE001 - the main thread raises it again
            self.error = error

    def pause(self, seconds: float) -> None:
        """Wait, and say that the round gets on. Raises to end the round when asked to stop."""
        self.progress_ns = monotonic_ns()
        if self._stop.wait(seconds):
            raise _StoppedError

    def may_move(self) -> bool:
        """Whether the next step may be sent."""
        self.progress_ns = monotonic_ns()
        return not (self.params.dry_run or self.stopped or self._blocked(self.progress_ns))

    def _round(self, settler: Settler) -> None:
        self.progress_ns = monotonic_ns()
        found = settler.round(dry=self.params.dry_run or bool(self.stopped))
        for note in found.done:
            _LOG.info(
                "%s %s condition=%s size_e6=%d expected_e6=%d transaction=%s",
                note.kind, note.state, note.condition_id, note.size_e6, note.expected_e6,
                note.transaction_hash,
            )  # fmt: skip
            if note.state == "differs":
                self.stopped = found.problem
                _LOG.error("nothing more is moved until a resume: %s", found.problem)
        if found.problem:
            _LOG.warning("round ended early: %s", found.problem)
        self._failures = self._failures + 1 if found.problem else 0
        self.latest = found
        self.count += 1
        self._wait(held=found.held)

    def _wait(self, *, held: bool) -> None:
        """Wait until the next round: what a halt held back goes on as soon as it is lifted."""
        factor = min(_WAITS_MAX, 1 << min(self._failures, 10))
        due_ns = monotonic_ns() + self.params.every_s * _NS * factor
        while monotonic_ns() < due_ns:
            self.pause(_GATE_S)
            if held and self.may_move():
                return

    # -------------------------------------------------------------- called in the main thread
    def lives(self, now_ns: int) -> bool:
        """Whether the round gets on."""
        return now_ns - self.progress_ns < _STUCK_NS

    def stop(self) -> None:
        """End at the next pause."""
        self._stop.set()


class _Steered:
    """What the process can be made to do."""

    def __init__(self, rounds: Rounds, stop: threading.Event) -> None:
        self._rounds = rounds
        self._stop = stop

    def apply(self, generation: Generation) -> None:
        """Go on with other parameters from the next step on."""
        self._rounds.params = generation.config.settlement

    def halt(self, reason: str = "") -> None:
        """Nothing to do: each step looks at the halt's own word."""

    def resume(self) -> None:
        """Move money again: a person has looked."""
        self._rounds.stopped = ""

    def drain(self) -> None:
        """End at the next pause; the next life plans from the balances."""
        self._stop.set()
        self._rounds.stop()

    def dump(self) -> None:
        """There are no histograms."""


def main(arguments: list[str] | None = None) -> int:
    """Run the settlement process; return its exit code."""
    parser = argparse.ArgumentParser(prog="lowlat.app.settling", description=__doc__)
    parser.add_argument("--config", required=True, help="TOML file")
    path = parser.parse_args(arguments).config
    return run_child(SETTLEMENT, lambda: _run(config_in_force(load_config(path), SETTLEMENT)))


def _run(generation: Generation) -> int:
    config = generation.config
    # Beside the recorder: whoever spins has a core that neither of them may use.
    pin(SETTLEMENT, config.topology[RECORDER])
    ledger = open_ledger_to_read(config)
    try:
        with Attachment(config.instance, SETTLEMENT) as attachment:
            stats = attachment.open_stats()
            rounds = Rounds(config.settlement, order_gate(attachment, ()).blocked)
            settler = settler_of(config, ledger, rounds.pause, rounds.may_move)
            _lock = lock_settlement(settler.wallet, config.instance)
            rounds.stopped = last_differs(ledger)
            _serve(config, generation.number, attachment, stats, rounds, settler)
    finally:
        ledger.dispose()
    return 0


def _serve(
    config: EngineConfig,
    number: int,
    attachment: Attachment,
    stats: StatsWriter,
    rounds: Rounds,
    settler: Settler,
) -> None:
    """Beat, obey and show what the rounds found, until told to end."""
    metrics = Metrics(stats)
    hang_nameplate(metrics, config.mode, "poll")
    metrics.gauge("process.core").set(config.topology[RECORDER].core + 1)
    meters = RoundMeters(metrics, stats.errors)
    stop = threading.Event()
    steered = _Steered(rounds, stop)
    steering = Steering(attachment, stats, steered, number)
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: steered.drain())
    for each in (signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(each, lambda *_: steered.dump())
    thread = threading.Thread(target=rounds.run, args=(settler,), daemon=True, name="rounds")
    thread.start()
    say_ready(SETTLEMENT)
    while thread.is_alive() and not stop.is_set():
        now_ns = monotonic_ns()
        if rounds.lives(now_ns):
            stats.heartbeat.set(now_ns)
        steering.turn(now_ns)
        meters.show(rounds.count, rounds.latest, rounds.stopped, now_ns)
        stop.wait(_TURN_S)
    rounds.stop()
    # A call to the venue ends within seconds; what it began is proven by the next life.
    thread.join(_JOIN_S)
    if rounds.error is not None:
        raise rounds.error


if __name__ == "__main__":
    sys.exit(main())
