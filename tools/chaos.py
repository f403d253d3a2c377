"""Run the topology spread against the simulator over real sockets while everything goes wrong.

``python tools/chaos.py --minutes 15 [--seed 1] [--topology spread] [--only WORD,WORD] [--json]``

Faults, in random order and at random moments: SIGKILL and SIGSTOP of every process, all processes
at once, a reboot (all shared memory gone), every connection reset, slow links, a full /dev/shm, a
full disk. After each one everybody must be READY again, and now and then risk must have decided on
the merits once more. At the end the engine drains, and then: both sides agree to the base unit, no
order was sent twice or is unknown, no gated record was lost, every signal has exactly one
decision, the venue's own audit holds. Prints the table fault x survived; exit 0 when all held.

The full file systems are small ones of this run's own, in a mount name space of its own: that
takes root, or a kernel that lets users have them; without, these faults are left out and named.
"""

import argparse
import errno
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "e2e"))

from kill_table import (
    assert_every_signal_has_one_decision,
    assert_nothing_lost,
    decides_again,
    strike,
)
from relay import Relay
from rig import Rig
from test_kill import assert_nothing_was_sent_twice

from lowlat.app.topology import fit_cores, load_topology
from lowlat.core.clock import monotonic_ns
from lowlat.core.layout import OrderState

INSIDE = "LOWLAT_CHAOS_INSIDE"
SHM_BYTES = 256 << 20
DISK_BYTES = 96 << 20
MERITS_EVERY = 8
"""Faults between two looks for a decision on the merits: that may take seconds."""


def main() -> int:
    """Run it; 0 when everything held."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--topology", default="spread")
    parser.add_argument("--only", metavar="WORDS", help="faults whose name holds one of these: a,b")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    if INSIDE not in os.environ and can_unshare():
        # The same process goes on in there: whoever ends this one ends what it started.
        os.environ[INSIDE] = "1"
        os.execvp("unshare", ["unshare", "--mount", "--", sys.executable, *sys.argv])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    own_mounts = INSIDE in os.environ
    with tempfile.TemporaryDirectory(prefix="lowlat-chaos-") as folder:
        disk = Path(folder, "disk")
        disk.mkdir(mode=0o700)
        if own_mounts:
            mount("/dev/shm", SHM_BYTES)
            mount(disk, DISK_BYTES)
        try:
            return run(chosen, disk, own_mounts=own_mounts)
        finally:
            if own_mounts:
                subprocess.run(["umount", "--lazy", str(disk)], check=True)


def can_unshare():
    """Return whether this user may have a mount name space of its own."""
    done = subprocess.run(
        ["unshare", "--mount", "--", "mount", "-t", "tmpfs", "none", "/dev/shm"],
        capture_output=True, check=False,
    )  # fmt: skip
    return done.returncode == 0


def run(chosen, folder, *, own_mounts):
    """Make the places, run the faults, check, print."""
    environment = {
        "XDG_RUNTIME_DIR": f"{folder}/run",
        "XDG_STATE_HOME": f"{folder}/state",
        "PYTHONPYCACHEPREFIX": f"{tempfile.gettempdir()}/lowlat-pyc-{os.getuid()}",
    }
    os.environ.update(environment)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    (folder / "run").mkdir(mode=0o700)
    topology = fit_cores(load_topology(chosen.topology))
    with Rig(f"c{uuid.uuid4().hex[:12]}", folder, seed=chosen.seed, topology=topology,
             proxy=Relay) as rig:  # fmt: skip
        chaos = Chaos(rig, random.Random(chosen.seed), folder, own_mounts=own_mounts)
        chaos.keep_only(chosen.only)
        try:
            chaos.run(chosen.minutes * 60)
        finally:
            report(chaos, as_json=chosen.json)
            for each in rig.reading().errors.get("executor", ()):
                print(f"executor: {each.count} x {each.text[:160]}", file=sys.stderr)
        await_fates(rig, 60)
        agreement = rig.drain(60)
        theirs = assert_nothing_was_sent_twice(rig, rebooted=bool(chaos.rebooted_ns))
        assert_every_signal_has_one_decision(rig, chaos.rebooted_ns)
        assert_nothing_lost(rig, rebooted=bool(chaos.rebooted_ns))
        adopted = rig.reading().counter("executor.foreign")
        audit = rig.door.call("GET", "/sim/state")["audit"]
    held = agreement.holds and audit == "ok"
    print(f"{len(theirs)} orders at the venue, none twice, none filled that we do not know")
    print(f"{adopted} orders that only the venue knew after a reboot")
    print(f"agreement {agreement.holds} {agreement.differences()}, the venue's audit: {audit}")
    return 0 if held else 1


def await_fates(rig, seconds):
    """Wait until the venue has said of every order what became of it.

    An order that got no answer is believed gone after half a minute, later than a drain waits.
    """
    doubted = ()
    for _ in range(seconds):
        doubted = [row for row in rig.orders().values()
                   if row.state in (OrderState.SENDING, OrderState.UNKNOWN)]  # fmt: skip
        if not doubted:
            return
        rig.run(1.0)
    raise AssertionError(f"nobody knows what became of {doubted}")


def mount(place, size_bytes):
    """Put a small file system of our own there, private to this name space."""
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size_bytes},mode=1777", "none", str(place)],
        check=True,
    )


class Chaos:
    """Faults by name, each a method that returns seconds until everybody was READY again."""

    def __init__(self, rig, draw, folder, *, own_mounts):
        self.rig = rig
        self.draw = draw
        self.folder = folder
        self.took_s = {}
        self.kills = 0
        self.rebooted_ns = 0
        names = list(rig.topology)
        self.faults = [
            *((f"{signal} {name}", lambda n=name, s=signal: self.signal(n, s))
              for name in names for signal in ("SIGKILL", "SIGSTOP")),
            ("SIGKILL of all", self.kill_all),
            ("reboot", self.reboot),
            ("connections reset", self.reset),
            ("slow links", self.slow),
        ]  # fmt: skip
        self.left_out = {}
        full = [("full /dev/shm", self.full_shm), ("full disk", self.full_disk)]
        if own_mounts:
            self.faults += full
        else:
            self.left_out = {name: "no mount name space of its own" for name, _ in full}

    def keep_only(self, words):
        """Forget the faults that hold none of these words; SystemExit when none is left."""
        if words is None:
            return
        wanted = words.split(",")
        kept = [each for each in self.faults if any(word in each[0] for word in wanted)]
        if not kept:
            raise SystemExit(f"--only {words!r}: none of {[name for name, _ in self.faults]}")
        self.left_out |= {
            name: "not asked for" for name, _ in self.faults if name not in dict(kept)
        }
        self.faults = kept

    def run(self, seconds):
        """Go through all faults again and again, each time in another order."""
        end_ns = monotonic_ns() + int(seconds * 1e9)
        decides_again(self.rig, 60)
        count = 0
        while monotonic_ns() < end_ns:
            deck = list(self.faults)
            self.draw.shuffle(deck)
            for name, fault in deck:
                self.rig.run(self.draw.uniform(0.0, 0.5))
                print(f"  {name}", file=sys.stderr, flush=True)
                self.took_s.setdefault(name, []).append(fault())
                count += 1
                if count % MERITS_EVERY == 0:
                    decides_again(self.rig, 30)
                if monotonic_ns() >= end_ns:
                    break
        decides_again(self.rig, 60)

    def signal(self, name, signal):
        """One process."""
        self.kills += 1
        return strike(self.rig, name, signal, seconds=30)

    def kill_all(self):
        """Every process of ours at the same time."""
        began_ns = monotonic_ns()
        names = list(self.rig.topology)
        self.kills += len(names)
        for name in names:
            self.rig.supervisor.forgive(name)
        self.rig.supervisor.kill(names)
        return max(self.rig.await_ready(name, began_ns, 40) for name in names)

    def reboot(self):
        """Every process and all shared memory."""
        began_ns = monotonic_ns()
        self.kills += len(self.rig.topology)
        self.rig.supervisor.reboot(self.forget)
        return (monotonic_ns() - began_ns) / 1e9

    def forget(self):
        """Everybody is dead: names begin anew from here."""
        self.rig.observer.forget_memory()
        self.rebooted_ns = monotonic_ns()

    def reset(self):
        """Every connection, a few times in a row."""
        began_ns = monotonic_ns()
        for _ in range(3):
            self.rig.proxy.reset()
            self.rig.run(self.draw.uniform(0.05, 0.4))
        return self.quiet(began_ns)

    def slow(self):
        """Every byte late by up to 0.3 s for some seconds."""
        began_ns = monotonic_ns()
        self.rig.proxy.delay_s = self.draw.uniform(0.05, 0.3)
        self.rig.run(3.0)
        self.rig.proxy.delay_s = 0.0
        return self.quiet(began_ns)

    def full_shm(self):
        """No page of shared memory is left while a process dies and comes back."""
        with Ballast(Path("/dev/shm")):
            return self.signal(self.draw.choice(list(self.rig.topology)), "SIGKILL")

    def full_disk(self):
        """No byte of disk is left for journal, ledger, tape and logs; a process dies meanwhile."""
        with Ballast(self.folder):
            self.rig.run(2.0)
            others = [name for name in self.rig.topology if name != "recorder"]
            return self.signal(self.draw.choice(others), "SIGKILL")

    def quiet(self, began_ns):
        """Wait until everybody is READY."""
        rig = self.rig
        rig.turn_until(lambda: all(rig.is_ready(name) for name in rig.topology), 30, "READY")
        return (monotonic_ns() - began_ns) / 1e9


class Ballast:
    """A file that takes all the room of a file system while it is there."""

    def __init__(self, place):
        self.path = place / "ballast"

    def __enter__(self):
        piece_bytes = 1 << 20
        with open(self.path, "wb") as file:
            at = 0
            # Others write meanwhile: smaller and smaller pieces, until not one page is left.
            while piece_bytes >= 4096:
                try:
                    os.posix_fallocate(file.fileno(), at, piece_bytes)
                    at += piece_bytes
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    piece_bytes //= 2
        return self

    def __exit__(self, *_):
        self.path.unlink()


def report(chaos, *, as_json):
    """Print the table fault x survived."""
    rows = {name: (len(took), statistics.median(took), max(took))
            for name, took in sorted(chaos.took_s.items()) if took}  # fmt: skip
    if as_json:
        print(json.dumps({"kills": chaos.kills, "left_out": list(chaos.left_out), "faults": rows}))
        return
    print(f"{'fault':<24} {'survived':>8} {'p50 s':>7} {'max s':>7}")
    for name, (count, middle_s, most_s) in rows.items():
        print(f"{name:<24} {count:>8} {middle_s:>7.2f} {most_s:>7.2f}")
    print(f"{chaos.kills} kills and stops")
    for name, why in chaos.left_out.items():
        print(f"left out: {name}: {why}")


if __name__ == "__main__":
    sys.exit(main())
