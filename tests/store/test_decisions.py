"""The decision log: killed at every write of it, the recorder keeps each decision exactly once."""

import importlib.util
import random
from pathlib import Path

import pytest

from lowlat.core.layout import DECISION, TURN, Rule
from lowlat.store.journal import JournalEngine, JournalMeters
from lowlat.store.journal_params import JournalParams
from lowlat.store.record_log import DECISIONS, RecordLog, read_records
from lowlat.world.disk import Shelf, WorldDisk
from lowlat.world.faults import Windows
from lowlat.world.fuse import Crash, Fuse

LIFE = "boot-1"
FULL_NS = 1_000


def executor_fakes():
    path = Path(__file__).parent.parent / "execution" / "conftest.py"
    spec = importlib.util.spec_from_file_location("executor_fakes", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FAKES = executor_fakes()


def decision(number):
    values = dict.fromkeys(DECISION.row._fields, 0)
    values |= {"id": number, "signal": number, "rule": Rule.NO_EDGE, "module": bytes(16)}
    return DECISION.row(**values)


class Desk:
    """Streams that outlive the recorder, its disk, and lives of it that end where a fuse says."""

    def __init__(self, directory, *, kept=True, bytes_max=64 << 20):
        self.directory = str(directory)
        self.reports = FAKES.Stream(512, 64)
        self.stream = FAKES.Stream(DECISION.size_bytes, 4096)
        self.tables = tuple(FAKES.Table(512, 4) for _ in range(3))
        self.clock = FAKES.Clock()
        self.clock.now_ns = 0
        self.fuse = Fuse()
        self.windows = Windows(random.Random(1))
        now_ns = self.clock.monotonic_ns
        self.shelf = Shelf(self.fuse, self.windows, now_ns, None) if kept else None
        self.disk = WorldDisk(self.fuse, self.windows, now_ns, random.Random(1))
        self.params = JournalParams(decisions_bytes_max=bytes_max, batch_decisions_max=7)
        self.gate = 0
        self.published = 0

    def publish(self, count):
        """Decide so often; a turn says so now and then, as risk does."""
        for _ in range(count):
            self.published += 1
            DECISION.pack(self.stream.buffer, decision(self.published))
            self.stream.publish(DECISION.kind)
            if self.published % 3 == 0:
                self.stream.publish(TURN.kind)

    def life(self, now_ns=0):
        """Run a recorder until nothing is left to do or it dies; return whether it lives on."""
        self.clock.now_ns = now_ns
        reader = FAKES.Reader(self.stream)
        reader.at = reader.released = self.gate
        journal = JournalEngine(
            self.directory,
            FAKES.Reader(self.reports),
            reader,
            self.tables,
            self.clock,
            JournalMeters(*(FAKES.Cell() for _ in JournalMeters.__struct_fields__)),
            self.params,
            self.shelf,
            LIFE,
            self.disk,
        )
        try:
            journal.start()
            while journal.turn(now_ns):
                pass
        except Crash:
            return False
        finally:
            self.gate = reader.released
            journal.drop()
        return True

    def kept(self):
        return [each.signal for each in read_records(self.directory, DECISIONS)]


@pytest.mark.parametrize("kept", [True, False], ids=["ledger", "no ledger"])
def test_recorder_killed_at_every_effect_keeps_each_decision_once(tmp_path, kept):
    for effects in range(1, 200):
        desk = Desk(tmp_path / str(effects), kept=kept)
        Path(desk.directory).mkdir()
        desk.publish(10)
        desk.fuse.light(effects)
        died = not desk.life()
        desk.fuse.light(0)
        desk.publish(10)
        assert desk.life()
        assert desk.kept() == list(range(1, 21)), f"killed behind {effects} effects"
        if not died:
            break
    assert not died, "a life has more effects than that"
    assert effects > 10


def test_recorder_killed_again_and_again_keeps_each_decision_once_over_two_files(tmp_path):
    # Both files together hold just what there is: the second begins in the middle.
    total = 40
    desk = Desk(tmp_path, bytes_max=total * DECISION.codec.size)
    draw = random.Random(7)
    while desk.published < total:
        desk.publish(5)
        for _ in range(4):
            desk.fuse.light(draw.randint(1, 12))
            desk.life()
        desk.fuse.light(0)
        assert desk.life()
    assert desk.kept() == list(range(1, total + 1))


def test_decisions_wait_for_a_ledger_that_takes_nothing_and_are_logged_once(tmp_path):
    desk = Desk(tmp_path)
    assert desk.life()
    desk.publish(20)
    desk.windows.open("disk_full", FULL_NS, 1.0)
    assert desk.life(1)
    assert (desk.gate, desk.kept()) == (0, [])
    assert desk.life(FULL_NS)
    assert desk.kept() == list(range(1, 21))


def test_tail_of_the_log_reaches_into_the_old_file(tmp_path):
    size = DECISION.codec.size
    log = RecordLog(str(tmp_path), DECISIONS, 8 * size)
    packed = [DECISION.codec.pack(*decision(number)) for number in range(1, 7)]
    assert log.tail(3) == []
    for data in packed:
        log.add(data)
        log.flush()
    assert log.tail(3) == packed[-3:]
    assert log.tail(100) == packed
    log.close()
    # A record that was cut short by a death is none.
    with open(tmp_path / "decisions.records", "ab") as file:
        file.write(b"torn")
    log = RecordLog(str(tmp_path), DECISIONS, 8 * size)
    assert log.tail(3) == packed[-3:]
    log.close()
