"""The supervisor over real, tiny child processes: Python programs of a few lines."""

import errno
import os
import random
import select
import signal
import subprocess
import sys
import textwrap

import pytest

from lowlat.app import office as office_module
from lowlat.app import supervisor as supervisor_module
from lowlat.app.child import ChildProcess, ChildSpec, SpawnError
from lowlat.app.postmortem import read_bundles
from lowlat.app.seat import RESTARTS_MAX, Seat
from lowlat.app.state import living_children, state_dir
from lowlat.app.supervisor import (
    HALT_GAUGE,
    NAME,
    ChildState,
    HaltCode,
    Supervisor,
)
from lowlat.core.clock import monotonic_ns
from lowlat.core.errors import SegmentError
from lowlat.core.layout import STREAMS, TABLES
from lowlat.shm.attachment import Attachment
from lowlat.shm.layouts import StatsShape
from lowlat.shm.locks import start_ticks
from lowlat.shm.places import segment_names

SMALL = {
    "streams": {"intents": STREAMS["intents"]},
    "tables": {"cash": TABLES["cash"]},
}
READY = 'print(\'{"ready": true, "process": "x"}\', flush=True)\n'
LIVE = READY + "import signal\nsignal.pause()\n"
POLITE = "import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n" + LIVE
STUBBORN = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + LIVE


def spec(name, code, **options):
    options = {"segments": False, "ready_s": 60.0} | options
    return ChildSpec(name, (sys.executable, "-S", "-c", textwrap.dedent(code)), **options)


def supervisor(instance, *specs):
    found = Supervisor(instance, specs, segments=SMALL, seed=1)
    found.open()
    return found


def turn_until(sup, condition, seconds=60.0):
    end = monotonic_ns() + int(seconds * 1e9)
    while not condition():
        assert monotonic_ns() < end, f"never came: {sup.status()}"
        sup.turn(0.02)


def state_of(sup, name):
    return next(each for each in sup.status() if each.name == name)


def is_gone(pid):
    return start_ticks(pid) == 0


def halt_cell(instance):
    return Attachment(instance, "test").open_stats_reader(NAME).snapshot().counters[HALT_GAUGE]


def test_children_start_in_order_each_after_the_one_before_is_ready(instance):
    steps = []
    with supervisor(instance, spec("first", POLITE), spec("second", POLITE)) as sup:
        sup.start(steps.append, lambda name, ready: steps.append((name, ready["ready"])))
        assert steps == [
            "starting first",
            ("first", True),
            "starting second",
            ("second", True),
        ]
        assert halt_cell(instance) == HaltCode.NONE


def test_stop_reaps_every_child_and_unlinks_every_segment(instance):
    with supervisor(instance, spec("a", POLITE), spec("b", LIVE)) as sup:
        sup.start()
        pids = [each.pid for each in sup.status()]
        assert {record.pid for record in living_children(instance)} == set(pids)
    assert all(is_gone(pid) for pid in pids)
    assert segment_names(instance) == []
    assert living_children(instance) == []
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_a_child_that_ignores_sigterm_is_killed_at_the_deadline(instance):
    with supervisor(instance, spec("stubborn", STUBBORN)) as sup:
        sup.start()
        pid = state_of(sup, "stubborn").pid
        assert not sup.stop(["stubborn"], 0.2)
        assert is_gone(pid)
        assert state_of(sup, "stubborn").exit_code == -signal.SIGKILL


def test_draining_sets_the_halt_cell_before_the_trader_is_told(instance):
    with supervisor(instance, spec("engine", STUBBORN, trades=True)) as sup:
        sup.start()
        seen = []
        sup.stop(["engine"], 0.2, lambda _: seen.append(halt_cell(instance)))
        assert seen
        assert set(seen) == {HaltCode.DRAINING}


@pytest.mark.kill
def test_a_killed_child_is_restarted_at_once_and_new_orders_halt_meanwhile(instance):
    with supervisor(instance, spec("engine", POLITE, trades=True)) as sup:
        halts = []
        sup.start(on_ready=lambda *_: halts.append(halt_cell(instance)))
        first = state_of(sup, "engine").pid
        os.kill(first, signal.SIGKILL)
        turn_until(sup, lambda: state_of(sup, "engine").restarts == 1)
        turn_until(sup, lambda: state_of(sup, "engine").state is ChildState.READY)
        assert halts == [HaltCode.STARTING, HaltCode.CHILD_LOST]
        assert state_of(sup, "engine").pid != first
        assert halt_cell(instance) == HaltCode.NONE


def test_a_full_disk_neither_ends_the_supervisor_nor_the_restart_of_a_child(instance, monkeypatch):
    """The note of who runs and the log of a new life are both refused for a while."""
    with supervisor(instance, spec("a", POLITE, trades=True)) as sup:
        sup.start()
        save, spawn, full = office_module.save_children, ChildProcess.spawn, [True]

        def refuse_note(*arguments):
            if full[0]:
                raise OSError(errno.ENOSPC, "No space left on device")
            save(*arguments)

        def refuse_log(spec, log):
            if full[0]:
                raise SpawnError("a: log: No space left on device")
            return spawn(spec, log)

        monkeypatch.setattr(supervisor_module, "_AGAIN_NS", 50_000_000)
        monkeypatch.setattr(office_module, "_AGAIN_NS", 50_000_000)
        monkeypatch.setattr(office_module, "save_children", refuse_note)
        monkeypatch.setattr(ChildProcess, "spawn", refuse_log)
        first = state_of(sup, "a").pid
        sup.kill(["a"])
        turn_until(sup, lambda: is_gone(first))
        for _ in range(10):
            sup.turn(0.02)
        assert state_of(sup, "a").state is ChildState.BACKOFF
        assert halt_cell(instance) == HaltCode.CHILD_LOST
        monkeypatch.setattr(ChildProcess, "spawn", spawn)
        turn_until(sup, lambda: state_of(sup, "a").state is ChildState.READY)
        assert [each.pid for each in living_children(instance)] == [], "the note is still refused"
        full[0] = False
        turn_until(sup, lambda: len(living_children(instance)) == 1)
        assert living_children(instance)[0].pid == state_of(sup, "a").pid
        assert halt_cell(instance) == HaltCode.NONE


@pytest.mark.parametrize(("code", "deadline_s"), [(POLITE, 20.0), (STUBBORN, 0.1)])
def test_restart_ends_one_child_in_order_and_starts_it_anew(instance, code, deadline_s):
    with supervisor(instance, spec("engine", code, trades=True), spec("other", POLITE)) as sup:
        sup.start()
        first, other = state_of(sup, "engine").pid, state_of(sup, "other").pid
        sup.restart("engine", deadline_s)
        assert halt_cell(instance) == HaltCode.CHILD_LOST
        with pytest.raises(SpawnError, match="engine is stopping, only a ready one can restart"):
            sup.restart("engine", deadline_s)
        turn_until(sup, lambda: state_of(sup, "engine").state is ChildState.READY)
        assert state_of(sup, "engine").pid not in {0, first}
        assert is_gone(first)
        assert state_of(sup, "other").pid == other
        assert sup.failure == ""
        assert halt_cell(instance) == HaltCode.NONE
        # The stubborn one would be waited for.
        sup.stop(["engine"], deadline_s)


def test_stop_ends_a_child_that_was_about_to_restart(instance):
    with supervisor(instance, spec("engine", STUBBORN)) as sup:
        sup.start()
        sup.restart("engine", 20.0)
        assert not sup.stop(["engine"], 0.1)
        assert state_of(sup, "engine").state is ChildState.STOPPED


def test_services_get_cells_before_a_child_starts_and_are_served_every_turn(instance):
    class Service:
        def __init__(self):
            self.seen = []
            self.pipe = os.pipe()

        def opened(self, stats):
            stats.gauge("generation.a").set(7)

        def descriptors(self):
            return [self.pipe[0]]

        def turn(self, now_ns):
            self.seen.append(now_ns)

    service = Service()
    sup = Supervisor(instance, [spec("a", POLITE, segments=True)], segments=SMALL, seed=1)
    sup.services.append(service)
    with sup:
        sup.open()
        reader = Attachment(instance, "test").open_stats_reader(NAME).snapshot()
        assert reader.counters["generation.a"] == 7
        assert {"hold", "resumes"} <= reader.counters.keys()
        os.write(service.pipe[1], b"x")
        before = monotonic_ns()
        sup.turn(60.0)
        assert monotonic_ns() - before < 50e9, "a readable service wakes the loop"
        assert service.seen
    for descriptor in service.pipe:
        os.close(descriptor)


def test_a_crash_loop_ends_and_leaves_the_halt_set(instance, monkeypatch):
    monkeypatch.setattr("lowlat.app.seat.BACKOFF_FIRST_S", 0.01)
    code = READY + "raise SystemExit(3)\n"
    with supervisor(instance, spec("engine", code, trades=True)) as sup:
        sup.start()
        turn_until(sup, lambda: sup.failure)
        assert state_of(sup, "engine").state is ChildState.FAILED
        assert state_of(sup, "engine").restarts == 5
        assert sup.failure == "engine ended with exit code 3, 6 times in a minute"
        assert halt_cell(instance) == HaltCode.CRASH_LOOP


def test_one_that_is_not_vital_is_tried_for_ever_and_the_run_goes_on(instance, monkeypatch):
    monkeypatch.setattr("lowlat.app.seat.BACKOFF_FIRST_S", 0.001)
    code = READY + "raise SystemExit(3)\n"
    children = spec("engine", POLITE, trades=True), spec("settlement", code, vital=False)
    with supervisor(instance, *children) as sup:
        sup.start()
        turn_until(sup, lambda: state_of(sup, "settlement").restarts > RESTARTS_MAX + 1)
        assert not sup.failure
        assert halt_cell(instance) == HaltCode.NONE
        assert "settlement" in sup.summary()
        assert state_of(sup, "engine").state is ChildState.READY


def test_one_that_waits_to_be_started_again_is_not_started_while_everybody_ends(
    instance, monkeypatch
):
    """Its pause ends while a stubborn one is waited for."""
    monkeypatch.setattr("lowlat.app.seat.BACKOFF_FIRST_S", 0.4)
    code = READY + "raise SystemExit(3)\n"
    sup = supervisor(instance, spec("stubborn", STUBBORN), spec("again", code))
    sup.start()
    turn_until(sup, lambda: state_of(sup, "again").state is ChildState.BACKOFF)
    restarts = state_of(sup, "again").restarts
    sup.close(deadline_s=1.0)
    assert state_of(sup, "again").restarts == restarts
    assert not state_of(sup, "again").pid


def test_backoff_is_nothing_then_grows_to_its_bound():
    draw, waits = random.Random(1), []
    seat = Seat(spec("x", POLITE))
    for death in range(11):
        assert seat.died(death) is (death >= RESTARTS_MAX)
        waits.append(seat.backoff_ns(draw) / 1e9)
    assert waits[0] == 0
    for wait, most in zip(waits[1:], (0.25, 0.5, 1, 2, 4, 8, 8, 8, 8, 8), strict=True):
        assert most / 2 <= wait <= most


def test_a_child_that_is_never_ready_is_killed_and_its_last_words_are_shown(instance, caplog):
    # Already in its log: on a busy machine a program says nothing within its first 0.4 s.
    with open(state_dir(instance) / "mute.log", "w", encoding="utf-8") as log:
        log.write("cannot reach it\n")
    with supervisor(instance, spec("mute", "import signal; signal.pause()", ready_s=0.4)) as sup:
        with pytest.raises(SpawnError, match=r"not ready within 0.4 s[^$]*cannot reach it"):
            sup.start()
        turn_until(sup, lambda: not state_of(sup, "mute").pid)
    assert [each for each in caplog.messages if "not ready" in each] == [
        "not ready child=mute after_s=0.4"
    ]


def test_a_child_that_dies_before_it_is_ready_ends_the_start(instance):
    with supervisor(instance, spec("engine", "raise SystemExit(2)")) as sup:
        with pytest.raises(SpawnError, match="engine ended with exit code 2"):
            sup.start()
        assert halt_cell(instance) == HaltCode.CRASH_LOOP


def test_a_program_that_does_not_exist_is_an_error(instance):
    missing = ChildSpec("none", ("/nonexistent",), segments=False)
    problem = pytest.raises(SpawnError, match="/nonexistent: No such file")
    with supervisor(instance, missing) as sup, problem:
        sup.start()


def test_a_child_whose_loop_hangs_is_killed_and_restarted(instance):
    """It has statistics, but its loop never writes the heartbeat."""
    hung = spec("engine", POLITE, segments=True, hang_s=0.3)
    with supervisor(instance, hung) as sup:
        sup.start()
        first = state_of(sup, "engine").pid
        turn_until(sup, lambda: state_of(sup, "engine").restarts == 1)
        assert is_gone(first)


def test_lines_that_are_no_json_do_not_count_as_ready(instance):
    code = "print('hello', flush=True)\nprint('[1]', flush=True)\n" + LIVE
    with supervisor(instance, spec("chatty", code)) as sup:
        sup.start()
        assert list(sup.child("chatty").lines) == [{"ready": True, "process": "x"}]


def test_heartbeat_is_written_by_every_turn(instance):
    with supervisor(instance) as sup:
        word = Attachment(instance, "test").heartbeat_word("stats.supervisor")
        before = int.from_bytes(word, "little")
        assert 0 < before <= monotonic_ns()
        sup.turn()
        assert int.from_bytes(word, "little") > before


def test_a_second_supervisor_is_refused(instance):
    with supervisor(instance), pytest.raises(SegmentError, match="owned by supervisor"):
        supervisor(instance)


def abandoned_child(instance):
    """Run a supervisor in a process of its own and SIGKILL it; its child lives on."""
    code = f"""
        import sys, signal
        sys.path.insert(0, {os.path.dirname(__file__)!r})
        import test_supervisor as t
        sup = t.supervisor({instance!r}, t.spec("engine", t.POLITE, trades=True))
        sup.start()
        print(sup.status()[0].pid, flush=True)
        while True:
            sup.turn(0.1)
        """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE
    ) as process:
        pid = int(process.stdout.readline())
        process.kill()
    return pid


@pytest.mark.kill
def test_children_outlive_their_supervisor_and_the_next_one_adopts_them(instance):
    pid = abandoned_child(instance)
    assert not is_gone(pid)
    with supervisor(instance, spec("engine", POLITE, trades=True)) as sup:
        sup.start()
        assert state_of(sup, "engine").pid == pid
        assert state_of(sup, "engine").restarts == 0
    assert is_gone(pid)


@pytest.mark.kill
def test_a_left_over_child_of_another_command_is_named_not_doubled(instance):
    pid = abandoned_child(instance)
    try:
        with pytest.raises(SegmentError, match=rf"engine \(pid {pid}\).*lowlat clean"):
            supervisor(instance, spec("engine", LIVE))
    finally:
        os.kill(pid, signal.SIGKILL)


def test_reboot_makes_new_segments_and_new_lives_but_spares_the_outside_world(instance):
    sim = spec("sim", POLITE, restart=False)
    engine = spec("engine", POLITE, segments=True, trades=True)
    with supervisor(instance, sim, engine) as sup:
        sup.start()
        outside, inside = state_of(sup, "sim").pid, state_of(sup, "engine").pid
        old = os.stat(f"/dev/shm/lowlat.{instance}.table.cash").st_ino
        sup.reboot()
        assert state_of(sup, "sim").pid == outside
        assert state_of(sup, "engine").pid != inside
        assert is_gone(inside)
        assert os.stat(f"/dev/shm/lowlat.{instance}.table.cash").st_ino != old
        assert halt_cell(instance) == HaltCode.NONE


def test_reboot_starts_each_child_once_though_one_waits_for_another(instance):
    """Those that wait for their turn are not taken for children that died meanwhile."""
    slow = "import time\ntime.sleep(0.4)\n" + POLITE
    first = spec("first", slow, segments=True)
    second = spec("second", "import os\nprint(os.getpid(), file=open({0!r}, 'a'))\n" + POLITE)
    lives = state_dir(instance) / "lives"
    second = ChildSpec(
        "second", tuple(each.replace("{0!r}", repr(str(lives))) for each in second.argv),
        segments=True, trades=True, ready_s=60.0,
    )  # fmt: skip
    with supervisor(instance, first, second) as sup:
        sup.start()
        sup.reboot()
        sup.turn(0.1)
        pids = [int(line) for line in lives.read_text().split()]
        assert len(pids) == 2
        assert pids[-1] == state_of(sup, "second").pid
        assert sup.failure == ""


def test_state_directory_is_private(instance):
    path = state_dir(instance)
    assert path.stat().st_mode & 0o777 == 0o700
    path.chmod(0o755)
    with pytest.raises(SegmentError, match="chmod 700"):
        state_dir(instance)


def test_children_start_as_soon_as_those_they_need_are_ready(instance):
    steps = []
    slow = POLITE.replace(
        "print(", "import time\nwhile not os.path.exists(path): time.sleep(0.01)\nprint("
    )
    gate = state_dir(instance) / "go"
    slow = f"import os\npath = {str(gate)!r}\n" + slow
    specs = [
        spec("slow", slow, after=()),
        spec("free", POLITE, after=()),
        spec("behind", POLITE, after=("slow", "free")),
    ]
    with supervisor(instance, *specs) as sup:

        def ready(name, _):
            steps.append(name)
            if name == "free":
                gate.touch()

        sup.start(steps.append, ready)
    assert steps == ["starting slow", "starting free", "free", "slow", "starting behind", "behind"]


def test_crash_leaves_a_bundle_and_an_orderly_end_does_not(instance):
    with supervisor(instance, spec("x", POLITE)) as sup:
        sup.start()
        sup.kill(["x"])
        turn_until(sup, lambda: state_of(sup, "x").restarts == 1)
        turn_until(sup, lambda: state_of(sup, "x").state is ChildState.READY)
        [bundle] = read_bundles(instance)
        assert "SIGKILL" in bundle.read_text()
    assert len(read_bundles(instance)) == 1


BEATING = """
import os, signal, sys, time
sys.path[:0] = {path!r}
from lowlat.core.clock import monotonic_ns
from lowlat.shm.attachment import Attachment
stats = Attachment({instance!r}, "x").open_stats()
stats.heartbeat.set(monotonic_ns())
print('{{"ready": true}}', flush=True)
while not os.path.exists({stop!r}):
    stats.heartbeat.set(monotonic_ns())
    time.sleep(0.005)
signal.pause()
"""


def beating(instance, tmp_path, **options):
    code = BEATING.format(path=sys.path, instance=instance, stop=str(tmp_path / "stop"))
    options = {"segments": True, "stats": StatsShape(8, 1, 1)} | options
    return ChildSpec("x", (sys.executable, "-c", code), ready_s=60.0, **options)


def test_stopped_child_is_replaced_long_before_it_counts_as_hung(instance, tmp_path):
    with supervisor(instance, beating(instance, tmp_path, hang_s=60.0, stopped_s=0.2)) as sup:
        sup.start()
        pid = state_of(sup, "x").pid
        began_ns = monotonic_ns()
        os.kill(pid, signal.SIGSTOP)
        turn_until(sup, lambda: state_of(sup, "x").pid not in {0, pid})
        assert monotonic_ns() - began_ns < 60e9


def test_loop_that_hangs_is_replaced_only_when_it_was_seen_to_stand(instance, tmp_path):
    """A supervisor that slept sees an old heartbeat: it looks again before it kills."""
    with supervisor(instance, beating(instance, tmp_path, hang_s=0.3, stopped_s=60.0)) as sup:
        sup.start()
        pid = state_of(sup, "x").pid
        (tmp_path / "stop").touch()
        # The heartbeat grows old while we do not look.
        select.poll().poll(500)
        sup.turn(0.0)
        assert state_of(sup, "x").pid == pid, "one look is not enough"
        (tmp_path / "stop").unlink()
        turn_until(sup, lambda: state_of(sup, "x").pid not in {0, pid})


def test_forgiven_deaths_are_no_crash_loop(instance):
    with supervisor(instance, spec("x", POLITE)) as sup:
        sup.start()
        for count in range(1, RESTARTS_MAX + 3):
            sup.kill(["x"])
            turn_until(sup, lambda count=count: state_of(sup, "x").restarts == count)
            turn_until(sup, lambda: state_of(sup, "x").state is ChildState.READY)
            sup.forgive("x")
        assert not sup.failure


def test_child_stopped_on_its_way_to_ready_is_replaced(instance):
    once = state_dir(instance) / "once"
    stop = f"import os, signal\nif os.path.exists({str(once)!r}):\n"
    stop += f"    os.unlink({str(once)!r})\n    os.kill(os.getpid(), signal.SIGSTOP)\n"
    with supervisor(instance, spec("x", stop + POLITE, stopped_s=0.2)) as sup:
        sup.start()
        once.touch()
        sup.kill(["x"])
        turn_until(sup, lambda: state_of(sup, "x").restarts == 2)
        turn_until(sup, lambda: state_of(sup, "x").state is ChildState.READY)


def test_children_that_wait_for_each_other_are_named_not_waited_for(instance):
    specs = [
        spec("free", POLITE, after=()),
        spec("hen", POLITE, after=("egg",)),
        spec("egg", POLITE, after=("hen",)),
    ]
    with supervisor(instance, *specs) as sup, pytest.raises(SpawnError, match=r"hen, egg: .*never"):
        sup.start()
