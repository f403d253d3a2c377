"""Kill and stop every process of a topology in turn while it trades; print how long READY took.

``python tests/e2e/kill_table.py [--rounds 10] [--seed 1] [--topology spread] [--only supervisor]
[--keep FILE] [--docs docs/operate.md]``. The same rounds, a few of them, are a test
(test_spread.py). Afterwards the engine drains and both sides must agree: no order twice, no gated
record lost, exactly one decision a signal. Then the supervisor itself is struck, in a run of its
own: its children go on, new orders halt, the next one adopts them. ``--keep`` adds the times to
those of earlier calls, ``--docs`` puts the table of all of them where users look. Children keep
byte code in a folder of their own, as an installation does.

Each time is said as it is measured, and the table is printed however it ends: a slow one is named
beside what is asked and the rounds go on, one that never comes (PATIENCE_S) ends them. Exit 0: both
sides agree, and nothing took longer than is asked.
"""

import argparse
import json
import os
import random
import signal
import statistics
import sys
import tempfile
import uuid
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from rig import Rig, Run
from sqlalchemy import create_engine, func, select

from lowlat.app.control_client import NobodyAnswersError, ask
from lowlat.app.state import living_children, state_dir
from lowlat.app.topology import fit_cores, load_topology, process_of
from lowlat.core.clock import monotonic_ns
from lowlat.shm.attach import attach
from lowlat.store.ledger.schema import DECISIONS as LEDGER
from lowlat.store.ledger.schema import LIVES
from lowlat.store.record_log import DECISIONS, read_records

FAULTS = {"SIGKILL": signal.SIGKILL, "SIGSTOP": signal.SIGSTOP}
P50_S, MAX_S = 1.0, 2.0
"""What is asked of READY again, half of the times and always, on a machine of its own."""
PATIENCE_S = 60
BEGIN, END = "<!-- kill table -->", "<!-- end of the kill table -->"


def strike(rig, name, fault, *, seconds=PATIENCE_S):
    """Send a fault to a process; return the seconds until it is READY again."""
    pid = rig.pid(name)
    began_ns = monotonic_ns()
    os.kill(pid, FAULTS[fault])
    took_s = rig.await_ready(name, began_ns, seconds)
    assert rig.pid(name) != pid, "READY of the same life"
    # Our own doing is no crash loop.
    rig.supervisor.forgive(name)
    return took_s


def all_ready(rig):
    return all(rig.is_ready(name) for name in rig.topology)


def assert_every_signal_has_one_decision(rig, since_ns=0):
    """Hold the signals that were published against the decisions that the recorder wrote.

    Signals end first, so that there are no more; risk and the recorder go on. The ledger has one
    decision a signal; the decision log has none twice, in any life. ``since_ns``: of the last
    reboot, which began the names of signals anew.
    """
    assert rig.supervisor.stop([process_of(rig.topology, "signals")], PATIENCE_S)
    signals = attach(rig.instance).streams["signals"]
    published = signals.reader.cursor - 1

    def decided():
        return len(set(decisions_in_ledger(rig.instance)))

    rig.turn_until(
        lambda: decided() >= published, PATIENCE_S, f"{published} decisions, got {decided()}"
    )
    assert decided() == published
    found, since = defaultdict(list), defaultdict(list)
    for at, each in enumerate(read_records(str(state_dir(rig.instance)), DECISIONS)):
        found[each.id, each.checked_ns].append(f"record {at} of the log: {each}")
        if each.checked_ns >= since_ns:
            since[each.signal].append(found[each.id, each.checked_ns][-1])
    twice = ["\n".join(each) for each in (*found.values(), *since.values()) if len(each) > 1]
    assert not twice, "\n".join([f"decided twice, rebooted at {since_ns}:", *twice])


def decisions_in_ledger(instance):
    """Return the signals that the ledger has decisions on, of the newest shared memory."""
    engine = create_engine(f"sqlite:///{state_dir(instance)}/ledger.db")
    with engine.connect() as connection:
        newest = select(func.max(LIVES.c.life)).scalar_subquery()
        found = connection.scalars(select(LEDGER.c.signal).where(LEDGER.c.life == newest)).all()
    engine.dispose()
    return found


def assert_nothing_lost(rig, *, rebooted=False):
    """No gated record was overwritten, no order was ever unknown to us.

    After a reboot some were: what left before the journal had it is adopted from the venue, named
    and counted; that nothing of it stays unknown is for the comparison with the venue.
    """
    counters = rig.counters()
    assert rebooted or not counters.get("executor.foreign", 0), counters
    assert not counters.get("executor.ledger_gap", 0), counters
    assert not counters.get("journal.lost", 0), counters


def merits(reading):
    """Count what risk decided on the merits of a signal: not because of a halt or its age.

    Not orders: after minutes of a lively market most limits are used up.
    """
    return sum(
        count
        for name, count in reading.counters.items()
        if name.startswith(("risk.approved.", "risk.refused."))
        and name.rpartition(".")[2] not in {"halted", "dropped_epoch", "expired"}
    )


def decides_again(rig, seconds=PATIENCE_S):
    """Wait until everybody is READY and risk has decided on the merits of a signal once more."""
    rig.turn_until(lambda: all_ready(rig), seconds, "everybody READY")
    before = merits(rig.reading())
    rig.turn_until(lambda: merits(rig.reading()) > before, seconds, "a decision")


def run_table(rig, rounds, draw, say, table):
    """Strike every process with every fault; put seconds to READY by process and fault in table."""
    table |= {(name, fault): [] for name in rig.topology for fault in FAULTS}
    decides_again(rig)
    for number in range(1, rounds + 1):
        for name in rig.topology:
            for fault in FAULTS:
                rig.run(draw.uniform(0.0, 0.4))
                table[name, fault].append(strike(rig, name, fault))
                say(f"round {number} of {rounds}: {name} {fault} {table[name, fault][-1]:.2f} s")
        decides_again(rig)
        say(f"round {number} of {rounds}: decides again")


def verdict(table):
    """Return whether all of it is as quick as is asked, and in words what is not."""
    every = [each for took_s in table.values() for each in took_s]
    middle_s = statistics.median(every)
    slow = [
        f"{name} {fault} {max(took_s):.2f} s"
        for (name, fault), took_s in table.items()
        if took_s and max(took_s) > MAX_S
    ]
    found = ", ".join(slow) or "met"
    words = f"asked: p50 <= {P50_S:g} s, max <= {MAX_S:g} s; "
    return middle_s <= P50_S and not slow, words + (
        found if middle_s <= P50_S else f"p50 {middle_s:.2f} s, {found}"
    )


def as_text(table):
    """Return the table as people read it."""
    lines = [f"{'process':<12} {'fault':<8} {'times':>5} {'p50 s':>7} {'max s':>7}"]
    lines += [
        f"{name:<12} {fault:<8} {len(took_s):>5} {statistics.median(took_s):>7.2f} "
        f"{max(took_s):>7.2f}"
        for (name, fault), took_s in table.items()
        if took_s
    ]
    every = [each for took_s in table.values() for each in took_s]
    lines.append(
        f"{'all':<12} {'':<8} {len(every):>5} {statistics.median(every):>7.2f} {max(every):>7.2f}"
    )
    return "\n".join(lines)


def is_free(instance):
    """Whether a supervisor answers, everybody is READY and nothing keeps orders back."""
    try:
        status = ask(instance, {"op": "status"}, 5.0)
    except NobodyAnswersError:
        return False
    return not status["halts"] and all(each["state"] == "ready" for each in status["processes"])


def strike_supervisor(instance, folder, topology, rounds, draw, table):
    """Kill and stop `lowlat run`; put seconds until its orders flow again in the table, by fault.

    After SIGKILL the next one is started at once, as systemd does: it adopts every child. SIGSTOP
    is taken back after five seconds, when orders have halted; counted from there.
    """
    found = {("supervisor", fault): [] for fault in FAULTS}
    table |= found
    run = Run(instance, folder, topology)

    try:
        run.start()
        run.wait_for(lambda: run.orders() > 3 and is_free(instance), 60, "orders")
        for number in range(1, rounds + 1):
            adopted = {each.name: each.pid for each in living_children(instance)}
            for (_, fault), took_s in found.items():
                run.wait(draw.uniform(0.0, 0.4))
                began_ns = monotonic_ns()
                if fault == "SIGKILL":
                    run.kill()
                    run.start()
                else:
                    run.process.send_signal(signal.SIGSTOP)
                    # Two seconds until its heartbeat is too old, then what was under way unwinds.
                    run.wait(4.0)
                    before = run.orders()
                    run.wait(1.0)
                    assert run.orders() == before, "an order without a supervisor"
                    began_ns = monotonic_ns()
                    run.process.send_signal(signal.SIGCONT)
                run.wait_for(lambda: is_free(instance), PATIENCE_S, "everybody READY and no halt")
                took_s.append((monotonic_ns() - began_ns) / 1e9)
                say(f"round {number} of {rounds}: supervisor {fault} {took_s[-1]:.2f} s")
            children = {each.name: each.pid for each in living_children(instance)}
            assert children == adopted, "a child did not outlive its supervisor"
        run.process.send_signal(signal.SIGTERM)
        _, words = run.process.communicate(timeout=60)
        assert run.process.returncode == 0, words
    finally:
        run.close()


def keep(path, table):
    """Add times to those of earlier calls; return all of them."""
    file = Path(path)
    rows = json.loads(file.read_text()) if file.exists() else []
    kept = {(name, fault): took_s for name, fault, took_s in rows}
    for key, took_s in table.items():
        kept[key] = kept.get(key, []) + took_s
    file.write_text(json.dumps([[*key, took_s] for key, took_s in kept.items()]))
    return kept


def document(path, table):
    """Put the table between its marks."""
    head = ["| process | fault | times | READY again, p50 s | max s |", "|---|---|---|---|---|"]
    rows = [_row(name, fault, took_s) for (name, fault), took_s in table.items()]
    last = _row("all", "", [each for took_s in table.values() for each in took_s])
    text = Path(path).read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    body = "\n".join([BEGIN, *head, *rows, last, END])
    Path(path).write_text(before + body + after, encoding="utf-8")


def _row(name, fault, took_s):
    middle_s, most_s = statistics.median(took_s), max(took_s)
    return f"| {name} | {fault} | {len(took_s)} | {middle_s:.2f} | {most_s:.2f} |"


def say(words):
    """Tell whoever runs this as a command."""
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


def show(chosen, table):
    """Print the table of this call, and keep and publish it where that is asked."""
    table = {key: took_s for key, took_s in table.items() if took_s}
    if not table:
        return False
    met, words = verdict(table)
    say(as_text(table) + "\n" + words)
    if chosen.keep:
        table = keep(chosen.keep, table)
    if chosen.docs:
        document(chosen.docs, table)
    return met


def main() -> int:
    """Run it; 0 when both sides agree at the end and nothing was slow."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--topology", default="spread")
    parser.add_argument("--only", choices=("processes", "supervisor"), help="strike just these")
    parser.add_argument("--keep", default="", help="file that collects the times of many calls")
    parser.add_argument("--docs", default="", help="file that shows all that was kept")
    chosen = parser.parse_args()
    # Whoever ends this ends what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with tempfile.TemporaryDirectory(prefix="lowlat-kills-") as folder:
        os.environ["PYTHONPYCACHEPREFIX"] = f"{tempfile.gettempdir()}/lowlat-pyc-{os.getuid()}"
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        topology = fit_cores(load_topology(chosen.topology))
        table, holds, met = {}, True, False
        began_ns = monotonic_ns()
        try:
            if chosen.only != "supervisor":
                home = at_home(folder, "processes")
                holds = strike_processes(chosen, home, topology, table)
            if chosen.only != "processes":
                instance = f"k{uuid.uuid4().hex[:12]}"
                home, draw = at_home(folder, "supervisor"), random.Random(chosen.seed)
                strike_supervisor(instance, home, topology, chosen.rounds, draw, table)
        finally:
            met = show(chosen, table)
            say(f"took {(monotonic_ns() - began_ns) / 60e9:.1f} minutes")
    return 0 if holds and met else 1


def at_home(folder, name):
    """Return a folder of its own for a run, and make its places the ones in use."""
    home = Path(folder, name)
    home.mkdir(mode=0o700)
    (home / "run").mkdir(mode=0o700)
    os.environ["XDG_RUNTIME_DIR"] = f"{home}/run"
    os.environ["XDG_STATE_HOME"] = f"{home}/state"
    return home


def strike_processes(chosen, home, topology, table):
    """Strike every child, fill the table; return whether both sides agree afterwards."""
    with Rig(f"k{uuid.uuid4().hex[:12]}", home, seed=chosen.seed, topology=topology) as rig:
        run_table(rig, chosen.rounds, random.Random(chosen.seed), say, table)
        agreement = rig.drain()
        assert_every_signal_has_one_decision(rig)
        assert_nothing_lost(rig)
    say(f"agreement {agreement.holds} {agreement.differences()}")
    return agreement.holds


if __name__ == "__main__":
    sys.exit(main())
