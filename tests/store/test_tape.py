"""Tapes: what goes in comes out; rotation, cap, torn and damaged files, a full disk.

Method: a list of prepared FRAME records stands for the stream.
"""

import os
import random

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowlat.core.layout import FRAME, FRAME_DATA_BYTES, Frame
from lowlat.core.ports import EMPTY, OVERRUN
from lowlat.store.tape import TapeCells, TapeParams, TapeReader, TapeWriter

SECOND = 1_000_000_000


class Reader:
    """A stream reader over a list; None is an overrun."""

    def __init__(self):
        self.records = []
        self.lost = 0
        self.buffer = bytearray(FRAME.size_bytes)

    def release(self):
        """A plain reader: nobody waits for it."""

    def poll(self):
        if not self.records:
            return EMPTY
        record = self.records.pop(0)
        if record is None:
            self.lost += 5
            return OVERRUN
        FRAME.pack(self.buffer, record)
        return FRAME.kind


class Cell:
    value = 0

    def add(self, count):
        self.value += count


def parts(data, recv_ns=1, connection=0, wall_ns=None):
    pieces = [data[at : at + FRAME_DATA_BYTES] for at in range(0, len(data), FRAME_DATA_BYTES)]
    pieces = pieces or [b""]
    return [
        Frame(0, recv_ns, wall_ns or recv_ns, connection, len(data), at, len(pieces), len(piece),
              1, 0, piece)
        for at, piece in enumerate(pieces)
    ]  # fmt: skip


class Rig:
    def __init__(self, folder, **params):
        self.reader = Reader()
        self.cells = TapeCells(*(Cell() for _ in TapeCells._fields))
        self.folder = folder
        self.params = TapeParams(**params)
        self.now_ns = SECOND
        self.new_writer()

    def new_writer(self):
        self.writer = TapeWriter([self.reader], self.folder, self.cells, self.params)
        self.writer.start()

    def put(self, *frames, after_ns=2 * SECOND):
        for frame in frames:
            self.reader.records += frame
        self.writer.turn(self.now_ns)
        self.now_ns += after_ns
        self.writer.turn(self.now_ns)

    def read(self):
        reader = TapeReader(self.folder)
        return list(reader), reader.torn


@pytest.fixture
def make(tmp_path):
    return lambda **params: Rig(tmp_path / "tapes", **params)


def test_frames_come_out_as_they_went_in(make):
    rig = make()
    payloads = [b"", b"x", os.urandom(968), os.urandom(5_000)]
    rig.put(*(parts(data, at + 1, at) for at, data in enumerate(payloads)))
    rig.writer.close()
    frames, torn = rig.read()
    assert torn == []
    assert [frame.data for frame in frames] == payloads
    assert [(frame.recv_ns, frame.connection, frame.venue) for frame in frames] == [
        (at + 1, at, 1) for at in range(4)
    ]
    assert rig.cells.frames.value == 4
    path = TapeReader(rig.folder).paths[0]
    assert rig.cells.bytes.value <= path.stat().st_size
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_was_missed_is_written_down(make):
    rig = make()
    rig.put(parts(b"a"), [None], parts(b"b"), parts(b"c"))
    rig.writer.close()
    frames, _ = rig.read()
    assert [(frame.data, frame.lost) for frame in frames] == [(b"a", 0), (b"b", 5), (b"c", 0)]
    assert rig.cells.lost.value == 5


def test_frame_whose_parts_do_not_fit_is_left_out_alone(make):
    big = parts(bytes(3_000), 5)
    rig = make()
    rig.put(big[:2], parts(b"after", 6), big[1:], parts(b"end", 7), [None], big[2:])
    rig.writer.close()
    assert [frame.data for frame in rig.read()[0]] == [b"after", b"end"]
    assert rig.cells.broken.value >= 2


def test_files_rotate_by_size_and_by_age(make):
    rig = make(file_bytes=20_000, batch_frames=4, file_ns=1000 * SECOND)
    for at in range(20):
        rig.put(parts(os.urandom(3_000), at + 1))
    by_size = len(TapeReader(rig.folder).paths)
    assert by_size >= 3
    rig.put(parts(b"old", 100), after_ns=1001 * SECOND)
    rig.put(parts(b"new", 101), after_ns=1001 * SECOND)
    rig.writer.close()
    assert len(TapeReader(rig.folder).paths) > by_size
    frames, torn = rig.read()
    assert [frame.recv_ns for frame in frames] == [*range(1, 21), 100, 101]
    assert torn == []


def test_cap_deletes_the_oldest_files_only(make):
    rig = make(file_bytes=10_000, folder_bytes=60_000)
    for at in range(60):
        rig.put(parts(os.urandom(3_000), at + 1))
    rig.writer.close()
    sizes = [path.stat().st_size for path in TapeReader(rig.folder).paths]
    assert sum(sizes) <= 60_000
    frames, torn = rig.read()
    assert torn == []
    assert [frame.recv_ns for frame in frames] == list(range(61 - len(frames), 61))
    assert len(frames) >= 12


def test_restart_goes_on_in_another_file(make):
    rig = make()
    rig.put(parts(b"one"))
    rig.new_writer()
    rig.put(parts(b"two"))
    rig.writer.close()
    frames, torn = rig.read()
    assert [frame.data for frame in frames] == [b"one", b"two"]
    assert [reason for _, reason in torn] == ["no end mark"]


def whole_tape(make, batches=5):
    rig = make(batch_frames=2)
    for at in range(batches):
        rig.put(parts(os.urandom(700), 2 * at + 1), parts(os.urandom(700), 2 * at + 2))
    rig.writer.close()
    return rig, TapeReader(rig.folder).paths[0]


@pytest.fixture(scope="module")
def tape_to_cut(tmp_path_factory):
    rig, path = whole_tape(lambda **more: Rig(tmp_path_factory.mktemp("cut") / "tapes", **more))
    return rig, path, path.read_bytes(), [frame.data for frame in rig.read()[0]]


@settings(max_examples=60)
@given(cut=st.floats(0, 1, exclude_max=True))
def test_file_cut_anywhere_gives_whole_batches_and_says_so(tape_to_cut, cut):
    rig, path, content, good = tape_to_cut
    path.write_bytes(content[: int(len(content) * cut)])
    frames, torn = rig.read()
    assert len(frames) % 2 == 0
    assert [frame.data for frame in frames] == good[: len(frames)]
    assert len(torn) == 1


def test_damaged_bytes_are_never_returned_as_frames(make):
    """Flip one byte at many places: frames before it are right, later ones are right or absent."""
    rig, path = whole_tape(make)
    good = [frame.data for frame in rig.read()[0]]
    content = path.read_bytes()
    draw = random.Random(7)
    for _ in range(150):
        at = draw.randrange(len(content))
        damaged = bytearray(content)
        damaged[at] ^= 1 << draw.randrange(8)
        path.write_bytes(damaged)
        frames, _ = rig.read()
        assert [frame.data for frame in frames] == good[: len(frames)]


def test_file_without_a_batch_or_of_another_kind_is_named(make):
    rig, path = whole_tape(make)
    for name, content in (("0-a", b""), ("0-b", b"not arrow"), ("0-c", path.read_bytes()[:100])):
        (rig.folder / f"{name}.tape.arrow").write_bytes(content)
    other = pa.record_batch([pa.array([1])], names=["x"])
    with pa.ipc.new_stream(str(rig.folder / "0-d.tape.arrow"), other.schema) as sink:
        sink.write_batch(other)
    frames, torn = rig.read()
    assert len(frames) == 10
    assert [path.name[:3] for path, _ in torn] == ["0-a", "0-b", "0-c", "0-d"]


def test_refusing_disk_costs_frames_and_never_the_process(make, tmp_path):
    rig = make()
    rig.put(parts(b"one"))
    rig.folder.rename(tmp_path / "moved")
    rig.folder.write_bytes(b"a file where the folder was")
    rig.writer.close()
    rig.put(parts(b"two"))
    assert rig.cells.failures.value >= 1
    rig.put(parts(b"three"))
    rig.folder.unlink()
    (tmp_path / "moved").rename(rig.folder)
    rig.put(parts(b"four"), after_ns=20 * SECOND)
    rig.writer.close()
    assert [frame.data for frame in rig.read()[0]] == [b"one", b"four"]
    assert rig.cells.lost.value == 2


def test_missing_tape_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="no tape"):
        TapeReader(tmp_path / "nothing")
