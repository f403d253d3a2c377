"""The control plane over real processes: a supervisor, two children that obey, a real socket."""

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

import msgspec
import pytest
from config_text import GOOD

from lowlat.app.audit import read_audit
from lowlat.app.child import ChildSpec
from lowlat.app.control import Controller
from lowlat.app.generations import newest_number, read_generation
from lowlat.app.halts import HALTS_FILE, HaltCells, Puller, lift_halts, pull_halt, read_halts
from lowlat.app.state import state_dir
from lowlat.app.supervisor import ChildState, Supervisor
from lowlat.core.clock import monotonic_ns
from lowlat.core.errors import ConfigError
from lowlat.core.layout import STREAMS, TABLES
from lowlat.shm import places
from lowlat.shm.places import instance_dir

SMALL = {"streams": {"intents": STREAMS["intents"]}, "tables": {"cash": TABLES["cash"]}}
ROLES = {"obeyer": ("signals",), "refuser": ("risk", "executor")}
CHILD = str(Path(__file__).with_name("steered_child.py"))


class Rig:
    """An instance that runs."""

    def __init__(self, instance, home):
        self.instance = instance
        self.config = home / "engine.toml"
        self.write()
        self.logs = {name: home / f"{name}.txt" for name in ROLES}
        specs = [
            ChildSpec(name, (sys.executable, CHILD, instance, name, str(self.logs[name])))
            for name in ROLES
        ]
        self.sup = Supervisor(instance, specs, segments=SMALL, seed=1)
        self.control = Controller(self.sup, str(self.config), ROLES)
        self.sup.services.append(self.control)
        self.sup.open()
        self.control.begin(monotonic_ns())

    def write(self, *lines, text=None):
        """Write the config file: the good one, and lines of [limits]."""
        text = GOOD.replace('"t1"', f'"{self.instance}"') if text is None else text
        self.config.write_text(text + "\n[limits]\n" + "\n".join(lines))

    def call(self, seconds=60.0, **request):
        """Ask over the socket while the supervisor turns."""
        with self.connect() as connection:
            connection.sendall(json.dumps(request).encode() + b"\n")
            return self.answer(connection, seconds)

    def connect(self):
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        folder = os.open(instance_dir(self.instance), os.O_RDONLY)
        connection.connect(f"/proc/self/fd/{folder}/control.sock")
        os.close(folder)
        connection.setblocking(False)
        return connection

    def answer(self, connection, seconds=60.0):
        received = b""
        end = monotonic_ns() + int(seconds * 1e9)
        while not received.endswith(b"\n"):
            assert monotonic_ns() < end, "no answer"
            self.sup.turn(0.005)
            try:
                piece = connection.recv(65_536)
            except BlockingIOError:
                continue
            if not piece:
                return None
            received += piece
        return json.loads(received)

    def until(self, condition, seconds=180.0):
        end = monotonic_ns() + int(seconds * 1e9)
        while not condition():
            assert monotonic_ns() < end, self.sup.status()
            self.sup.turn(0.005)

    def said(self, name):
        return [line.split() for line in self.logs[name].read_text().splitlines()]

    def forget(self):
        """Begin the notes anew."""
        for log in self.logs.values():
            log.write_text("")
        (state_dir(self.instance) / "audit.jsonl").unlink(missing_ok=True)

    def generation(self):
        """The one that all of them are on."""
        found = {each["generation"] for each in self.call(op="status")["processes"]}
        assert len(found) == 1, found
        return found.pop()

    def seat(self, name):
        return next(each for each in self.sup.status() if each.name == name)

    def close(self):
        self.control.close()
        self.sup.close(deadline_s=5.0)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One instance for all tests that leave it as they found it: starting costs seconds."""
    home = tmp_path_factory.mktemp("control")
    (home / "run").mkdir(mode=0o700)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(home / "run"))
        patch.setenv("XDG_STATE_HOME", str(home / "state"))
        yield from _running(f"t{uuid.uuid4().hex[:12]}", home)


def _running(instance, home):
    found = Rig(instance, home)
    try:
        found.sup.start()
        yield found
    finally:
        found.close()
        for segment in places.segment_names(instance):
            os.unlink(places.segment_file(instance, segment))


@pytest.fixture
def rig(shared):
    """The shared instance, on the file's config, with empty notes."""
    shared.write()
    assert shared.call(op="reload")["ok"]
    shared.forget()
    return shared


@pytest.fixture
def own_rig(instance, home):
    """An instance that a test may break."""
    yield from _running(instance, home)


def test_a_key_is_set_everywhere_acknowledged_and_audited(rig):
    number = rig.generation() + 1
    answer = rig.call(op="set", key="limits.orders_burst", value="44")
    assert answer["ok"]
    assert answer["changes"] == [["limits.orders_burst", 45, 44]]
    assert (answer["generation"], answer["course"]) == (number, "tightening")
    assert rig.generation() == number
    assert read_generation(rig.instance, number).config.limits.orders_burst == 44
    for name in ROLES:
        assert rig.said(name)[-1] == ["applied", str(number), "44"]
    (line,), _ = read_audit(rig.instance)
    assert (line.uid, line.pid) == (os.getuid(), os.getpid())
    assert (line.op, line.result, line.generation) == ("set", "done", number)
    assert line.changes == [("limits.orders_burst", 45, 44)]


@pytest.mark.parametrize(
    ("key", "value", "code", "words"),
    [
        ("limits.orders_burts", "4", "config", "did you mean orders_burst"),
        ("limits.orders_burst", "many", "config", "limits.orders_burst was 'many'"),
        ("limits.orders_burst", "0", "config", "orders_burst"),
        ("limits.total_loss_max_ppm", "1", "config", "market <= correlated <= total"),
        ("modules.arbitrage.mode", "on", "config", "modules.arbitrage.mode"),
        ("modules.nobody.mode", "paper", "config", "'nobody' is provided 0 times"),
        ("modules.arbitrage.params.no_such", "1", "config", "modules.arbitrage"),
        ("modules.latency.params.no_such", "1", "config", "modules.latency"),
        ("instance", "other", "refused", "instance"),
        ("execution.hot_max", "3", "refused", "execution.hot_max"),
        ("limits.shard_silent_ns_max", "3", "refused", "limits.shard_silent_ns_max"),
        ("", "3", "usage", "expected section.key"),
    ],
)
def test_a_bad_change_is_one_message_and_changes_nothing(rig, key, value, code, words):
    number = rig.generation()
    answer = rig.call(op="set", key=key, value=value)
    assert (answer["ok"], answer["code"]) == (False, code)
    assert words in answer["text"]
    assert rig.generation() == number
    assert newest_number(rig.instance) == number
    for name in ROLES:
        assert rig.said(name) == []


def test_every_key_that_needs_a_restart_is_named(rig):
    text = GOOD.replace('"t1"', f'"{rig.instance}"').replace('"credentials.json"', '"other.json"')
    rig.write("orders_burst = 44", text=text + "\n[execution]\nhot_max = 3\n[journal]\n")
    answer = rig.call(op="reload")
    assert answer["code"] == "refused"
    assert "account.credentials_file, execution.hot_max" in answer["text"]
    assert rig.said("obeyer") == []


def test_a_refusal_of_one_process_sends_the_others_back(rig):
    rig.call(op="set", key="limits.orders_burst", value="10")
    number = rig.generation()
    # Loosening: the obeyer takes it first and has to go back.
    answer = rig.call(op="set", key="limits.orders_burst", value="13")
    assert (answer["ok"], answer["code"]) == (False, "failed")
    assert f"refuser refused generation {number + 1}" in answer["text"]
    rig.until(lambda: not rig.control.configs.busy)
    assert rig.generation() == number
    assert [each[1:] for each in rig.said("obeyer")[-2:]] == [
        [str(number + 1), "13"],
        [str(number), "10"],
    ]
    assert rig.call(op="set", key="limits.orders_burst", value="46")["generation"] == number + 2


def test_a_set_lasts_until_the_file_is_read_again(rig):
    rig.call(op="set", key="limits.orders_burst", value="44")
    rig.write("orders_per_s = 29")
    answer = rig.call(op="reload")
    assert sorted(answer["changes"]) == [
        ["limits.orders_burst", 44, 45],
        ["limits.orders_per_s", 30, 29],
    ]
    assert answer["course"] == "mixed"
    number = answer["generation"]
    assert rig.call(op="reload")["text"] == f"nothing changes, generation {number} stays"


def test_what_allows_more_waits_for_a_confirmation_and_what_is_tighter_does_not(rig):
    number = rig.generation()
    tight = rig.call(op="set", key="limits.orders_burst", value="44", confirm=False)
    assert (tight["ok"], tight["generation"]) == (True, number + 1)
    loose = rig.call(op="set", key="limits.orders_burst", value="45", confirm=False)
    assert (loose["ok"], loose["code"]) == (False, "refused")
    assert "limits.orders_burst: 44 -> 45" in loose["text"]
    assert "--confirm" in loose["text"]
    assert rig.generation() == number + 1
    again = rig.call(op="set", key="limits.orders_burst", value="45", confirm=True)
    assert (again["ok"], again["generation"]) == (True, number + 2)


def test_changes_wait_in_line_and_each_gets_its_answer(rig):
    first = rig.generation() + 1
    connections = [rig.connect() for _ in range(4)]
    for burst, connection in enumerate(connections, 30):
        request = {"op": "set", "key": "limits.orders_burst", "value": str(burst)}
        connection.sendall(json.dumps(request).encode() + b"\n")
    numbers = [rig.answer(connection)["generation"] for connection in connections]
    assert numbers == [first, first + 1, first + 2, first + 3]
    for connection in connections:
        connection.close()
    assert rig.generation() == first + 3


def test_a_halt_reaches_every_process_and_only_resume_lifts_it(rig):
    pull_halt(rig.instance, Puller.OPERATOR, "look", 1)
    rig.until(lambda: all(["halt", "operator:", "look"] in rig.said(name) for name in ROLES))
    status = rig.call(op="status")
    assert status["halts"] == ["operator: look", "obeyer, refuser: halted"]
    answer = rig.call(op="resume", reason="fine")
    assert answer["ok"]
    assert answer["halts"] == []
    for name in ROLES:
        assert rig.said(name)[-1] == ["resume"]
    lines, _ = read_audit(rig.instance)
    assert [(each.op, each.detail) for each in lines] == [("resume", "fine lifted: operator: look")]


def test_a_halt_over_the_socket_is_on_disk(rig):
    assert rig.call(op="halt", reason="from a program")["ok"]
    assert [str(each) for each in read_halts(rig.instance)] == ["operator: from a program"]
    assert rig.call(op="resume")["ok"]


@pytest.mark.kill
@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGSTOP])
def test_halting_needs_no_process_alive(rig, stop):
    """Whoever is dead or stopped, the word stands in the memory that the gate reads."""
    cells = HaltCells(rig.instance)
    for name in ROLES:
        restarts = rig.seat(name).restarts
        os.kill(rig.seat(name).pid, stop)
        pull_halt(rig.instance, Puller.OPERATOR, "x", 1)
        assert cells.pulled()
        lift_halts(rig.instance)
        if stop == signal.SIGSTOP:
            os.kill(rig.seat(name).pid, signal.SIGCONT)
        else:
            rig.until(lambda name=name, was=restarts: rig.seat(name).restarts > was)
        rig.until(lambda name=name: rig.seat(name).state is ChildState.READY)


def test_signals_to_the_supervisor_reload_dump_and_halt(rig):
    rig.write("orders_burst = 44")
    number = rig.generation()
    rig.control.on_signal(signal.SIGHUP)
    rig.until(lambda: rig.control.configs.in_force.number == number + 1)
    rig.control.on_signal(signal.SIGUSR1)
    rig.until(lambda: all(["dump"] in rig.said(name) for name in ROLES))
    rig.control.on_signal(signal.SIGUSR2)
    rig.until(lambda: read_halts(rig.instance))
    assert read_halts(rig.instance)[0].puller is Puller.SIGNAL
    assert rig.call(op="resume")["ok"]


@pytest.mark.kill
def test_a_process_that_comes_back_starts_on_the_generation_in_force(rig):
    rig.call(op="set", key="limits.orders_burst", value="44")
    number = str(rig.generation())
    restarts = rig.seat("obeyer").restarts
    os.kill(rig.seat("obeyer").pid, signal.SIGKILL)
    rig.until(lambda: rig.seat("obeyer").restarts == restarts + 1)
    rig.until(lambda: rig.seat("obeyer").state is ChildState.READY)
    assert rig.said("obeyer")[-1] == ["started", number]
    answer = rig.call(op="restart", process="obeyer")
    assert answer["ok"]
    assert rig.said("obeyer")[-1] == ["started", number]
    assert rig.call(op="restart", process="nobody")["code"] == "usage"


def test_drain_is_asked_for_once(rig):
    assert rig.control.stopping == ""
    assert rig.call(op="drain")["ok"]
    assert f"pid {os.getpid()}" in rig.control.stopping
    rig.control.stopping = ""


BAD_LINES = [
    (b"nonsense", "not a request"),
    (b"[]", "not a request"),
    (b'{"op": "set", "sudo": true}', "sudo"),
    (b'{"op": "format"}', "op was 'format'"),
    (b'{"op": "set", "key": 5}', "not a request"),
    (b'{"op": "\xff"}', "not a request"),
]


def test_a_bad_line_is_answered_and_the_caller_stays(rig):
    with rig.connect() as connection:
        for line, words in BAD_LINES:
            connection.sendall(line + b"\n")
            answer = rig.answer(connection)
            assert not answer["ok"]
            assert words in answer["text"]
        connection.sendall(b'{"op": "status"}\n')
        assert rig.answer(connection)["ok"]


def test_an_endless_line_is_hung_up_on(rig):
    with rig.connect() as connection:
        for _ in range(40):
            with contextlib.suppress(BlockingIOError, BrokenPipeError):
                connection.send(b"x" * 4_096)
            rig.sup.turn(0.001)
        assert "at most" in rig.answer(connection)["text"]


def test_the_socket_is_private(rig):
    path = Path(instance_dir(rig.instance)) / "control.sock"
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
def test_another_user_is_refused_whatever_the_files_mode(rig):
    """The mode of the socket is opened on purpose: the kernel's word is what counts."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        path = f"{folder}/s"
        os.link(Path(instance_dir(rig.instance)) / "control.sock", path)
        os.chmod(path, 0o666)
        code = f"""
import socket
with socket.socket(socket.AF_UNIX) as s:
    s.connect({path!r})
    print(s.recv(4096).decode())
"""
        asker = subprocess.Popen(
            ["/usr/bin/env", "python3", "-c", code], user=65_534, stdout=subprocess.PIPE, cwd="/"
        )
        rig.until(lambda: asker.poll() is not None)
        answer = json.loads(asker.communicate()[0])
    assert answer == {
        "ok": False,
        "code": "refused",
        "text": "uid 65534 may not steer this instance",
    }


def test_a_replaced_halt_file_ends_the_run(rig):
    path = state_dir(rig.instance) / HALTS_FILE
    path.rename(path.with_name("aside"))
    rig.until(lambda: rig.sup.failure)
    assert "was replaced under running processes" in rig.sup.failure
    path.with_name("aside").rename(path)
    rig.sup.failure = ""


@contextlib.contextmanager
def childless(instance, path):
    """A supervisor that steers nobody."""
    sup = Supervisor(instance, [], segments=SMALL)
    control = Controller(sup, str(path), {})
    sup.services.append(control)
    with sup, contextlib.closing(control):
        sup.open()
        yield control


def test_an_invalid_file_stops_the_start(instance, home):
    path = home / "engine.toml"
    for text, words in (
        (GOOD + "[limits]\norders_burst = 0", "orders_burst"),
        (GOOD, f"instance was 't1', expected '{instance}'"),
    ):
        path.write_text(text)
        with childless(instance, path) as control, pytest.raises(ConfigError, match=words):
            control.begin(monotonic_ns())
    assert newest_number(instance) == 0


def test_the_same_file_is_the_same_generation_over_restarts(instance, home):
    path = home / "engine.toml"
    text = GOOD.replace('"t1"', f'"{instance}"')
    for number, extra in ((1, ""), (1, ""), (2, "[limits]\norders_burst = 44"), (3, "")):
        path.write_text(text + extra)
        with childless(instance, path) as control:
            control.begin(monotonic_ns())
            assert control.configs.in_force.number == number


def reloads(rig, count, seed):
    """Random changes, good and bad; every process is always on a config that validated whole."""
    draw = random.Random(seed)
    accepted = {rig.generation(): rig.control.configs.in_force.config}
    tally = {}
    for _ in range(count):
        key, value = draw.choice(
            [
                ("limits.orders_burst", str(draw.randrange(0, 60))),
                ("limits.orders_per_s", str(draw.randrange(-1, 60))),
                ("limits.order_notional_e6_max", str(draw.randrange(0, 500_000_000))),
                ("limits.order_notional_e6_min", str(draw.randrange(0, 500_000_000))),
                ("modules.arbitrage.mode", draw.choice(["off", "shadow", "paper", "on"])),
                ("modules.latency.mode", draw.choice(["off", "paper", "1"])),
                ("limits.orders_burst", "13"),
                ("execution.hot_max", "3"),
                ("execution.limits.price_band_e4", str(draw.randrange(-5, 600))),
                ("limits.nothing", "1"),
            ]
        )
        answer = rig.call(op="set", key=key, value=value)
        tally[answer["code"]] = tally.get(answer["code"], 0) + 1
        rig.until(lambda: not rig.control.configs.busy)
        if answer["ok"]:
            number = answer["generation"]
            accepted[number] = read_generation(rig.instance, number).config
        force = rig.control.configs.in_force
        assert accepted[force.number] == force.config
        assert rig.generation() == force.number
    bursts = {number: config.limits.orders_burst for number, config in accepted.items()}
    for name in ROLES:
        applied = [(int(each[1]), int(each[2])) for each in rig.said(name) if each[0] == "applied"]
        for number, burst in applied:
            # What was taken back had validated whole as well; what is in force is as written.
            whole = read_generation(rig.instance, number).config
            assert burst == bursts.get(number, whole.limits.orders_burst)
            assert msgspec.to_builtins(whole)
    return tally


def test_random_reloads_never_leave_a_validated_generation(rig):
    tally = reloads(rig, 50, seed=1)
    assert {"done", "config", "refused", "failed"} <= tally.keys()


@pytest.mark.stress
def test_a_thousand_random_reloads(rig):
    tally = reloads(rig, 1_000, seed=2)
    assert tally["done"] > 200
    assert tally["config"] > 200
