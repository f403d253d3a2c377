"""`lowlat ctl halt` and `lowlat panic` with any one process, or any two, dead or stopped.

`lowlat run` in a process of its own trades on topology spread; one or two of its processes, the
supervisor included, get SIGKILL or SIGSTOP, and at once the command is given: run in here, so that
nobody is back before the halt word is set. Every order row, of memory and of the journal, is held
against the moment of that word: behind it only unwinding may be sent, also by whoever comes back.
"""

import itertools
import os
import random
import signal
import statistics
import sys
import time

import pytest
from kill_table import is_free
from rig import Run, order_rows

from lowlat.app.control_client import NobodyAnswersError, ask
from lowlat.app.halts import Puller, read_halts
from lowlat.app.state import living_children
from lowlat.app.topology import fit_cores, load_topology
from lowlat.cli.main import main
from lowlat.core.clock import monotonic_ns
from lowlat.core.layout import IntentFlag

pytestmark = [pytest.mark.e2e, pytest.mark.kill, pytest.mark.stress]
SUPERVISOR = "supervisor"
NAMES = (*load_topology("spread"), SUPERVISOR)
SINGLES = [(name,) for name in NAMES]
PAIRS = [
    (NAMES[(turn + away) % len(NAMES)], NAMES[(turn - away) % len(NAMES)])
    for turn in range(len(NAMES))
    for away in range(1, (len(NAMES) + 1) // 2)
]
"""All, in rounds in which nobody comes up twice: a sixth death in a minute is a crash loop."""
WAIT_S = 240
WATCHED_S = 0.5
"""So long orders are watched while the others are dead, and again when everybody is back."""
GRACE_NS = 5_000_000
"""An order whose stamp was taken before the halt may be written this long behind it."""
LIMITS = """\
bankroll_cap_e6 = 10_000_000_000
long_locked_max_ppm = 1_000_000
order_notional_e6_max = 3_000_000
"""
"""Small orders and much room: there is something to halt until the last trial."""
COMMANDS = {Puller.OPERATOR: ("ctl", "halt"), Puller.PANIC: ("panic",)}


def pairs_of(seed):
    """Draw pairs in which every process comes up."""
    draw = random.Random(seed)
    names = list(NAMES)
    draw.shuffle(names)
    chain = itertools.pairwise([*names, names[0]])
    return list(itertools.islice(chain, 0, None, 2))


def lowlat(*arguments, capsys):
    """Give a command in this very process, which has loaded everything; return what it said."""
    sys.argv = ["lowlat", *arguments]
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    assert ended.value.code in (0, None), said
    return said.out


def status(instance):
    try:
        return ask(instance, {"op": "status"}, 5.0)
    except NobodyAnswersError:
        return None


def everybody_ready(instance):
    found = status(instance)
    return found is not None and all(each["state"] == "ready" for each in found["processes"])


def orders_sent(instance):
    return sum(not row.order_flags & IntentFlag.UNWIND for row in order_rows(instance).values())


def trades(run, instance):
    """Wait until nothing keeps orders back and one more is sent."""
    run.wait_for(lambda: is_free(instance), WAIT_S, "everybody READY and no halt")
    before = orders_sent(instance)
    run.wait_for(lambda: orders_sent(instance) > before, WAIT_S, "an order")


def pulled_ns(instance, puller):
    """Return when the word was set, by the clock of orders."""
    [halt] = [each for each in read_halts(instance) if each.puller is puller]
    return monotonic_ns() - (time.time_ns() - halt.wall_ns)


def late(instance, since_ns):
    """Return the orders that should not have been sent."""
    return [
        row
        for row in order_rows(instance).values()
        if row.sent_ns > since_ns + GRACE_NS and not row.order_flags & IntentFlag.UNWIND
    ]


class Trial:
    """One run under which processes die, and a person halts."""

    def __init__(self, run, instance, capsys):
        self.run = run
        self.instance = instance
        self.capsys = capsys
        self.took_s = []
        """From the blow to the halt word."""

    def strike(self, names, number):
        """Kill or stop them, all before anybody is back; return their process ids."""
        pids = {each.name: each.pid for each in living_children(self.instance)}
        pids[SUPERVISOR] = self.run.process.pid
        if SUPERVISOR in names:
            # First: it would see the other's death.
            names = sorted(names, key=lambda name: name != SUPERVISOR)
        for name in names:
            os.kill(pids[name], number)
        return [pids[name] for name in names]

    def halt(self, names, number, puller):
        """Strike, halt at once, watch; let everybody come back, watch again; resume."""
        trades(self.run, self.instance)
        struck_ns = monotonic_ns()
        self.strike(names, number)
        self.capsys.readouterr()
        lowlat(*COMMANDS[puller], "a test", "-i", self.instance, capsys=self.capsys)
        since_ns = pulled_ns(self.instance, puller)
        self.took_s.append((since_ns - struck_ns) / 1e9)
        self.watch(since_ns, names)
        self.bring_back(names, number)
        self.run.wait_for(lambda: everybody_ready(self.instance), WAIT_S, f"READY after {names}")
        # Whoever came back, or read what had queued up, finds the halt as well.
        self.watch(since_ns, names)
        lowlat("ctl", "resume", "seen", "-i", self.instance, capsys=self.capsys)

    def watch(self, since_ns, names):
        """Let time pass, whoever is dead; no order may have left behind the word."""
        end_ns = monotonic_ns() + int(WATCHED_S * 1e9)
        while monotonic_ns() < end_ns:
            time.sleep(0.02)
        found = late(self.instance, since_ns)
        assert not found, (names, [(row.sent_ns - since_ns) / 1e6 for row in found], found)

    def bring_back(self, names, number):
        """Do for the supervisor what a service manager does; it does it for the others."""
        if SUPERVISOR not in names:
            return
        if number == signal.SIGKILL:
            self.run.kill()
            self.run.start()
        else:
            os.kill(self.run.process.pid, signal.SIGCONT)


def halts_through(instance, home, capsys, trials):
    """Run the trials, an order before each; the end is orderly and nothing is left open."""
    run = Run(instance, home, fit_cores(load_topology("spread")))
    text = run.config.read_text()
    assert "[limits]\nbankroll_cap_e6 = 5_000_000_000\n" in text
    run.config.write_text(text.replace("bankroll_cap_e6 = 5_000_000_000\n", LIMITS))
    try:
        run.start()
        run.wait_for(lambda: is_free(instance), WAIT_S, "the start")
        # Loads what the commands need.
        lowlat("ctl", "status", "-i", instance, capsys=capsys)
        trial = Trial(run, instance, capsys)
        for names, number, puller in trials:
            trial.halt(names, number, puller)
        trades(run, instance)
        run.process.send_signal(signal.SIGTERM)
        _, words = run.process.communicate(timeout=90)
        assert run.process.returncode == 0, words
    finally:
        run.close()
    with capsys.disabled():
        sys.stdout.write(
            f"\n  {len(trials)} times halted, no order behind it; blow to halt word p50 "
            f"{statistics.median(trial.took_s) * 1e3:.1f} ms, max {max(trial.took_s) * 1e3:.1f}\n"
        )


@pytest.fixture(autouse=True)
def command_line(monkeypatch):
    """Commands are given in here: what they change of the process is taken back."""
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("spread needs two cores")
    monkeypatch.setattr(sys, "argv", ["lowlat"])


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
@pytest.mark.parametrize("puller", COMMANDS)
def test_halting_works_with_any_one_process_gone(instance, home, capsys, number, puller):
    halts_through(instance, home, capsys, [(names, number, puller) for names in SINGLES])


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_halting_works_with_any_two_of_a_draw_gone(instance, home, capsys, number):
    pullers = itertools.cycle(COMMANDS)
    trials = [(names, number, next(pullers)) for names in pairs_of(number)]
    halts_through(instance, home, capsys, trials)


@pytest.mark.marathon
@pytest.mark.parametrize("puller", COMMANDS)
def test_halting_works_with_any_two_processes_dead(instance, home, capsys, puller):
    halts_through(instance, home, capsys, [(names, signal.SIGKILL, puller) for names in PAIRS])
