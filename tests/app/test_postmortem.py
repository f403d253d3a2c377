"""The bundle of a crash: what it holds, what it survives, how many are kept."""

import json
import sys

import pytest

from lowlat.app import postmortem
from lowlat.app.child import ChildProcess, ChildSpec
from lowlat.app.postmortem import PostMortem, read_bundles
from lowlat.app.state import state_dir
from lowlat.core.layout import FRAME, INTENT, STREAMS, TABLES
from lowlat.shm.attachment import Attachment
from lowlat.shm.places import segment_file
from lowlat.shm.segments import create_segments


@pytest.fixture
def life(instance):
    """A process that ended with a word on its lips."""
    log = state_dir(instance) / "risk.log"
    code = "import sys; sys.stderr.write('last words\\n'); sys.exit(3)"
    spec = ChildSpec("risk", (sys.executable, "-S", "-c", code))
    child = ChildProcess.spawn(spec, log)
    child._process.wait()
    child.poll()
    yield child
    child.close()


@pytest.fixture
def memory(instance):
    made = create_segments(
        instance,
        streams={name: STREAMS[name] for name in ("intents", "frames_settle")},
        tables={"cash": TABLES["cash"]},
        stats=["risk", "supervisor"],
    )
    with Attachment(instance, "risk") as risk:
        stats = risk.open_stats()
        stats.counter("risk.intents").add(41)
        stats.gauge("halt").set(7)
        stats.histogram("risk.check_ns").record(1_000)
        stats.errors.record("module: something odd", 5)
        writer = risk.open_stream_writer("intents")
        for number in range(1, 101):
            values = dict.fromkeys(INTENT.row._fields, 0) | {"id": number, "module": b"latency"}
            INTENT.pack(writer.buffer, INTENT.row(**fill(values)))
            writer.publish(INTENT.kind)
        frames = risk.open_stream_writer("frames_settle")
        frames.publish(FRAME.kind)
    yield made
    made.unlink()


def fill(values):
    hints = INTENT.row.__annotations__
    for name, hint in hints.items():
        code = hint.__metadata__[0]
        if code.endswith("s") and values[name] == 0:
            values[name] = b""
    return values


def test_bundle_holds_what_the_process_left(memory, life, instance):
    path = PostMortem(instance, lambda: 1_700_000_000.25)(life, "ended with exit code 3")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.name == f"20231114T221320.250Z-risk-{life.pid}.json"
    found = json.loads(path.read_text())
    assert (found["process"], found["exit_code"]) == ("risk", 3)
    assert found["log"] == ["last words"]
    assert found["counters"]["risk.intents"] == 41
    assert found["gauges"]["halt"] == 7
    assert found["latency_ns"]["risk.check_ns"]["count"] == 1
    assert found["errors"][0]["text"] == "module: something odd"
    tail = found["streams"]["intents"]
    assert tail["cursor"] == 101
    assert [each["id"] for each in tail["records"]] == list(range(69, 101))
    assert tail["records"][0]["module"] == "latency"
    assert "frames_settle" not in found["streams"], "raw frames are not for bundles"
    assert {each["name"] for each in found["segments"]} >= {"stream.intents", "stats.risk"}
    assert read_bundles(instance) == [path]


def test_damaged_segment_is_named_and_the_rest_is_told(memory, life, instance):
    with open(segment_file(instance, "stream.intents"), "r+b") as file:
        file.seek(0)
        file.write(b"\xff" * 64)
    found = json.loads(PostMortem(instance)(life, "died").read_text())
    assert "unreadable" in found["streams"]["intents"] or "unreadable" in found["segments"]
    assert found["counters"]["risk.intents"] == 41


def test_instance_without_memory_still_gets_its_bundle(life, instance):
    found = json.loads(PostMortem(instance)(life, "was killed by SIGKILL").read_text())
    assert "no segments" in found["memory"]
    assert found["how"] == "was killed by SIGKILL"


def test_only_the_newest_are_kept(memory, life, instance, monkeypatch):
    monkeypatch.setattr(postmortem, "_KEPT", 3)
    for number in range(5):
        PostMortem(instance, lambda number=number: 1_700_000_000.0 + number)(life, "died")
    assert [path.name[:15] for path in read_bundles(instance)] == [
        "20231114T221322",
        "20231114T221323",
        "20231114T221324",
    ]


def test_disk_that_takes_nothing_costs_the_bundle_not_the_supervisor(memory, life, instance):
    (state_dir(instance) / postmortem.FOLDER).write_text("in the way")
    assert PostMortem(instance)(life, "died") is None
