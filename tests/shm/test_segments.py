"""Making, keeping, replacing, refusing and cleaning segments."""

import dataclasses
import errno
import mmap
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import posix_ipc
import pytest

from lowlat.core import layout
from lowlat.core.errors import LayoutError, SegmentError
from lowlat.core.ports import EMPTY
from lowlat.shm import header, layouts, locks, memory, places
from lowlat.shm.attachment import Attachment
from lowlat.shm.segments import clean, create_segments

CHILD = Path(__file__).parent / "shm_child.py"
SMALL = {
    "streams": {name: layout.STREAMS[name] for name in ("market", "signals")},
    "tables": {"cash": layout.TABLES["cash"]},
    "slots": {"market": 8},
}


def child(*arguments, **options):
    return subprocess.Popen(
        [sys.executable, str(CHILD), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **options,
    )


def poke(instance, name, at, raw):
    """Damage a segment as a stray writer or another version would."""
    shm = posix_ipc.SharedMemory(places.shm_name(instance, name))
    with mmap.mmap(shm.fd, 0) as mapped:
        mapped[at : at + len(raw)] = raw
    shm.close_fd()


@pytest.fixture
def small(instance):
    made = create_segments(instance, **SMALL)
    yield instance
    made.close()


def test_whole_instance_fits_its_budget_and_is_private(instance):
    made = create_segments(instance, stats=["feed", "risk", "executor"])
    names = places.segment_names(instance)
    assert sorted(made.made) == names
    assert set(made.made.values()) == {"created"}
    assert {name.split(".")[0] for name in names} == {"stream", "table", "gates", "stats"}
    for name in names:
        found = os.stat(places.segment_file(instance, name))
        assert found.st_mode & 0o777 == 0o600
        assert found.st_blocks * 512 >= found.st_size, "really allocated, not sparse"
    assert made.shared_bytes <= 64 * 2**20
    assert made.unlink().left == {}
    assert places.segment_names(instance) == []


def test_every_declared_gate_has_a_block_in_its_readers_segment(instance):
    create_segments(instance).close()
    with Attachment(instance, "writer") as mine:
        for name, stream in layout.STREAMS.items():
            assert len(mine.open_stream_writer(name).gates) == len(stream.gates)


def test_same_segments_are_kept_with_their_content(instance):
    create_segments(instance, **SMALL).close()
    with Attachment(instance, "feed") as mine:
        writer = mine.open_stream_writer("market")
        writer.publish(1)
    again = create_segments(instance, **SMALL)
    assert set(again.made.values()) == {"kept"}
    with Attachment(instance, "feed") as mine:
        writer = mine.open_stream_writer("market")
        assert (writer.cursor, writer.epoch) == (2, 2)
    again.close()


def test_other_size_is_replaced_unless_its_writer_lives(instance):
    create_segments(instance, **SMALL).close()
    bigger = {**SMALL, "slots": {"market": 16}}
    with Attachment(instance, "feed") as mine:
        mine.open_stream_writer("market")
        with pytest.raises(SegmentError, match=r"stream.market is owned by feed \(pid"):
            create_segments(instance, **bigger)
    reader = Attachment(instance, "old").segment("stream.market")
    made = create_segments(instance, **bigger)
    assert made.made["stream.market"] == "replaced"
    assert made.made["table.cash"] == "kept"
    assert reader.state == header.State.CLOSED, "who still maps the old one can see it"
    made.close()


def test_segments_from_another_boot_are_replaced_and_refused(instance, monkeypatch):
    monkeypatch.setattr(layouts, "boot_id", lambda: "00000000-0000-4000-8000-000000000000")
    create_segments(instance, **SMALL).close()
    monkeypatch.undo()
    monkeypatch.setenv("XDG_RUNTIME_DIR", _run_dir_of(instance))
    with pytest.raises(SegmentError, match="from before a reboot"):
        Attachment(instance, "feed").open_stream_writer("market")
    made = create_segments(instance, **SMALL)
    assert set(made.made.values()) == {"replaced"}
    made.close()


def _run_dir_of(instance):
    found = memory.open_segment(instance, "table.cash").header.run_dir
    return str(Path(found).parents[1])


def test_second_supervisor_is_refused(small):
    with pytest.raises(SegmentError, match="supervisor is owned by supervisor"):
        create_segments(small, **SMALL)


def test_second_writer_is_refused_with_the_holders_name(small):
    holder = child("hold", small)
    assert holder.stdout.readline() == "ready\n"
    mine = Attachment(small, "feed")
    with pytest.raises(SegmentError, match=rf"owned by holder \(pid {holder.pid}\); feed must"):
        mine.open_stream_writer("market")
    assert mine.holder("stream.market").pid == holder.pid
    assert mine.holder("stream.signals") is None
    holder.kill()
    # The lock is free although nobody has reaped the corpse yet.
    os.waitid(os.P_PID, holder.pid, os.WEXITED | os.WNOWAIT)
    assert mine.holder("stream.market") is None
    assert mine.segment("stream.market").state == header.State.READY, "it did not close: crashed"
    assert not mine.segment("stream.market").writer.alive
    assert mine.open_stream_writer("market").epoch == 2
    holder.communicate()
    mine.close()


def test_second_writer_in_the_same_process_is_refused(small):
    with Attachment(small, "a") as mine:
        mine.open_table_writer("cash")
        for other in (mine, Attachment(small, "b")):
            with pytest.raises(SegmentError, match="owned by a"):
                other.open_table_writer("cash")


def test_readers_exit_unlinks_nothing(small):
    before = places.segment_names(small)
    reader = child("read_and_exit", small)
    assert reader.communicate()[0] == f"{len(before)}\n"
    assert reader.returncode == 0
    assert places.segment_names(small) == before
    with Attachment(small, "feed") as mine:
        assert mine.open_stream_writer("market").publish(1) == 1


def test_reader_cannot_write(small):
    mapped = Attachment(small, "reader").segment("stream.market")
    with pytest.raises(TypeError):
        mapped.memory[9000] = 1
    with pytest.raises(BufferError):
        mapped.set_state(header.State.CLOSED)


def test_other_layout_prints_both_sides(small):
    stream = layout.STREAMS["market"]
    other = dataclasses.replace(stream, records=(layout.SPOT_TOP, layout.SETTLE))
    with pytest.raises(LayoutError) as caught:
        Attachment(small, "reader").open_stream_reader("market", other)
    text = str(caught.value)
    assert "\n-BOOK_TOP kind=1 state 256" in text
    assert "\n+SPOT_TOP kind=4 state 128" in text
    assert "run lowlat clean" in text
    mine = Attachment(small, "feed")
    with pytest.raises(LayoutError):
        mine.open_stream_writer("market", other)
    assert mine.holder("stream.market") is None, "the lock does not stay behind"


def test_kind_of_segment_is_checked(small):
    mine = Attachment(small, "reader")
    with pytest.raises(SegmentError, match="no gate for stream market"):
        mine.open_stream_writer("market", gates=("risk",))
    with pytest.raises(LayoutError, match="is a STREAM, expected a TABLE"):
        header.require(mine.segment("stream.market").header, header.Kind.TABLE, "", 64, "it")


def open_both_ways(instance):
    memory.open_segment(instance, "stream.market", wait_ns=0)
    Attachment(instance, "reader").open_stream_reader("market")


def test_damaged_row_count_is_refused(small):
    poke(small, "table.cash", 36, struct.pack("<I", 7))
    with pytest.raises(LayoutError, match="rows do not fill it"):
        Attachment(small, "reader").open_table_reader("cash")


@pytest.mark.parametrize(
    ("at", "raw", "message"),
    [
        (0, bytes(8), "never finished"),
        (0, b"GARBAGE!", "no lowlat segment"),
        (0, header.MAGIC.to_bytes(8, "big"), "big-endian"),
        (8, struct.pack("<I", 99), "has layout 99, this build"),
        (12, struct.pack("<I", 2**31), "its header says"),
        (16, bytes(8), "abi text and hash differ"),
        (24, struct.pack("<H", 9), "damaged header: kind 9"),
        (28, struct.pack("<I", 2**31), "damaged header"),
        (40, struct.pack("<Q", 4096), "its header says 4096"),
        (2048, b"\xff\xff", "damaged header"),
        (36, struct.pack("<I", 2**30), "slots do not fill it"),
    ],
)
def test_damaged_header_is_refused_by_name(small, at, raw, message):
    poke(small, "stream.market", at, raw)
    with pytest.raises(LayoutError, match=message) as caught:
        open_both_ways(small)
    assert f"lowlat.{small}.stream.market" in str(caught.value)


def test_damaged_segments_are_replaced_by_the_next_supervisor(instance):
    create_segments(instance, **SMALL).close()
    poke(instance, "stream.market", 0, bytes(8))
    poke(instance, "table.cash", 16, bytes(8))
    made = create_segments(instance, **SMALL)
    assert made.made["stream.market"] == made.made["table.cash"] == "replaced"
    assert made.made["stream.signals"] == "kept"
    assert Attachment(instance, "r").open_stream_reader("market").poll() == EMPTY
    made.close()


def test_corrupt_cursor_is_refused_and_the_lock_let_go(small):
    with Attachment(small, "feed") as mine:
        writer = mine.open_stream_writer("market")
        for _ in range(9):
            writer.publish(1)
    poke(small, "stream.market", header.CURSOR_AT, struct.pack("<Q", 2))
    mine = Attachment(small, "feed")
    with pytest.raises(SegmentError, match="cannot be continued"):
        mine.open_stream_writer("market")
    assert mine.holder("stream.market") is None


def test_full_shm_names_size_free_space_and_the_fix(instance, monkeypatch):
    def full(fd, offset, size):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(SegmentError, match=r"needs \d+ bytes, /dev/shm has \d+ free.*--shm-size"):
        create_segments(instance, **SMALL)
    assert places.segment_names(instance) == [], "nothing half-made stays"
    monkeypatch.undo()


def test_really_full_shm(instance):
    """In a mount namespace of its own with 1 MiB of /dev/shm, the kernel itself says no.

    Never ask the machine's real /dev/shm for more than it has free: the kernel allocates page by
    page and may kill other processes before it says no.
    """
    private = ["unshare", "--mount", "--propagation", "private"]
    if not shutil.which("unshare"):
        pytest.skip("unshare is not installed")
    if subprocess.run([*private, "true"], capture_output=True, check=False).returncode:
        pytest.skip("making a mount namespace is not permitted here")
    mount = 'mount -t tmpfs -o size=1m tmpfs /dev/shm && exec "$0" "$@"'
    command = [*private, "sh", "-c", mount, sys.executable, str(CHILD), "overfill", instance]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, done.stderr
    message, names = done.stdout.splitlines()
    assert "table.positions needs" in message
    assert "enlarge it" in message
    assert names == "['gates.risk', 'stream.market', 'stream.signals', 'table.cash']"


def test_low_memlock_limit_is_a_warning_with_the_fix(instance, monkeypatch):
    class NoRoom:
        @staticmethod
        def mlock(address, size):
            return -1

    monkeypatch.setattr(memory, "_libc", NoRoom)
    made = create_segments(instance, **SMALL)
    assert "LimitMEMLOCK=" in made.warning
    assert "ulimit -l" in made.warning
    made.close()


@pytest.mark.parametrize("slots", [0, 1, 3, 12])
def test_slot_counts_are_powers_of_two(instance, slots):
    with pytest.raises(SegmentError, match="power of two"):
        create_segments(instance, **{**SMALL, "slots": {"market": slots}})


def test_unknown_names_are_refused(instance):
    with pytest.raises(SegmentError, match="no stream or table"):
        create_segments(instance, **{**SMALL, "slots": {"markt": 8}})
    with pytest.raises(SegmentError, match="none of"):
        Attachment(instance, "feed").open_stream_writer("markt")
    with pytest.raises(SegmentError, match="does not exist"):
        Attachment(instance, "feed").open_stream_writer("market")
    for bad in ("../x", "", "A", "a/b", "a" * 33):
        with pytest.raises(SegmentError, match="instance"):
            create_segments(bad)


def test_clean_removes_the_dead_and_leaves_the_living(instance):
    create_segments(instance, **SMALL).close()
    with Attachment(instance, "feed") as mine:
        mine.open_stream_writer("market")
        done = clean(instance)
        assert list(done.left) == ["stream.market"]
        assert "owned by feed" in done.left["stream.market"]
        assert "table.cash" in done.removed
        assert places.segment_names(instance) == ["stream.market"]
    assert clean(instance).removed == ["stream.market"]
    assert clean(instance).removed == []


def test_clean_is_refused_while_the_supervisor_runs(small):
    with pytest.raises(SegmentError, match="owned by supervisor"):
        clean(small)


def test_clean_never_touches_other_instances(small, instance):
    other = instance + "-b"
    create_segments(other, **SMALL).close()
    assert len(clean(other).removed) == 4
    assert len(places.segment_names(small)) == 4


def test_lock_files_survive_everything(instance):
    create_segments(instance, **SMALL).unlink()
    assert "supervisor.lock" in os.listdir(places.instance_dir(instance))


def test_two_run_directories_are_noticed(small, tmp_path, monkeypatch):
    (tmp_path / "other").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "other"))
    with pytest.raises(SegmentError, match="set XDG_RUNTIME_DIR to the same value"):
        Attachment(small, "feed").open_stream_writer("market")
    with pytest.raises(SegmentError, match="set XDG_RUNTIME_DIR to the same value"):
        create_segments(small, **SMALL)


def test_clean_from_another_run_directory_spares_a_living_writer(small, tmp_path, monkeypatch):
    with Attachment(small, "feed") as mine:
        mine.open_stream_writer("market")
        (tmp_path / "other").mkdir()
        with monkeypatch.context() as patch:
            patch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "other"))
            assert "is written by feed" in clean(small).left["stream.market"]


def test_run_directory_of_others_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert places.run_dir() == str(tmp_path / "lowlat")
    assert os.stat(tmp_path / "lowlat").st_mode & 0o777 == 0o700
    os.chmod(tmp_path / "lowlat", 0o750)
    with pytest.raises(SegmentError, match="mode 0750: run chmod 700"):
        places.run_dir()
    os.rmdir(tmp_path / "lowlat")
    os.symlink(tmp_path, tmp_path / "lowlat")
    with pytest.raises(SegmentError, match="not a directory"):
        places.run_dir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "missing"))
    with pytest.raises(SegmentError, match="cannot be made"):
        places.run_dir()
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    os.unlink(tmp_path / "lowlat")
    with pytest.raises(SegmentError, match="belongs to uid"):
        places.run_dir()


def test_run_directory_without_xdg_is_the_users_own(monkeypatch):
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    # Named, not made: it is the machine's.
    monkeypatch.setattr(places, "private_dir", lambda path, what: f"{what} {path}")
    assert places.run_dir() == f"run directory /tmp/lowlat-{os.getuid()}"


def test_identity_of_a_dead_or_recycled_pid_is_not_alive():
    me = locks.own_identity("me")
    assert me.alive
    assert not dataclasses.replace(me, start_ticks=me.start_ticks - 1).alive
    assert not dataclasses.replace(me, boot_id="00000000-0000-4000-8000-000000000000").alive
    gone = subprocess.Popen([sys.executable, "-c", ""], stdin=subprocess.DEVNULL)
    ticks = locks.start_ticks(gone.pid)
    os.waitid(os.P_PID, gone.pid, os.WEXITED | os.WNOWAIT)
    assert not locks.Identity("x", gone.pid, ticks, me.boot_id).alive, "a zombie is dead"
    gone.wait()
    assert locks.start_ticks(gone.pid) == 0


def test_late_joiner_reads_the_table_then_follows_from_its_cursor(instance):
    """Note the cursor, read the table, go on from the cursor, ignore versions already held."""
    create_segments(instance, slots={"market": 8}, rows={"book": 2}).close()
    feed, late = Attachment(instance, "feed"), Attachment(instance, "late")
    stream, table = feed.open_stream_writer("market"), feed.open_table_writer("book")

    def change(price):
        struct.pack_into("<q", table.buffer, 16, price)
        struct.pack_into("<q", stream.buffer, 16, price)
        struct.pack_into("<Q", stream.buffer, 24, table.write(0))
        stream.publish(1)

    for price in range(20):
        change(price)
    reader = late.open_stream_reader("market")
    change(20)  # between the cursor and the table
    rows = late.open_table_reader("book")
    held = rows.read(0)
    state = struct.unpack_from("<q", rows.buffer, 16)[0]
    assert state == 20
    change(21)
    applied = []
    while reader.poll() != EMPTY:
        price, version = struct.unpack_from("<qQ", reader.buffer, 16)
        if version > held:
            applied.append(price)
    assert applied == [21]
    feed.close()


def test_gated_reader_goes_on_behind_what_it_released(small):
    feed = Attachment(small, "signals")
    writer = feed.open_stream_writer("signals")
    for _ in range(5):
        writer.publish(8)
    with Attachment(small, "risk") as risk:
        reader = risk.open_stream_reader("signals", gate="risk")
        assert reader.position == 1, "the first ever starts at the oldest record"
        for _ in range(3):
            assert reader.poll() == 8
        reader.release()
        assert reader.poll() == 8
    with Attachment(small, "risk") as risk:
        assert risk.open_stream_reader("signals", gate="risk").position == 4
        with pytest.raises(SegmentError, match="owned by risk"):
            Attachment(small, "impostor").open_stream_reader("signals", gate="risk")
    assert writer.gates == [4]
    feed.close()


@pytest.mark.parametrize("bad", [7, 2**63])
def test_gated_reader_with_a_damaged_gate_starts_at_the_oldest(small, bad):
    feed = Attachment(small, "signals")
    writer = feed.open_stream_writer("signals")
    for _ in range(5):
        writer.publish(8)
    gate = layouts.gate_offset(memory.open_segment(small, "gates.risk").header, "signals")
    poke(small, "gates.risk", gate, struct.pack("<Q", bad + (0 if bad > 7 else 1)))
    with Attachment(small, "risk") as risk:
        assert risk.open_stream_reader("signals", gate="risk").position == 1
    feed.close()


def test_heartbeat_and_state_are_seen_by_others(small):
    with Attachment(small, "feed") as feed:
        feed.open_stream_writer("market")
        watcher = Attachment(small, "watcher")
        word = watcher.heartbeat_word("stream.market")
        feed.heartbeat("stream.market").set(12345)
        assert int.from_bytes(word, "little") == 12345
        assert word.readonly
        assert watcher.segment("stream.market").heartbeat_ns == 12345
        feed.set_state(header.State.DRAINING)
        assert watcher.segment("stream.market").state == header.State.DRAINING
    assert watcher.segment("stream.market").state == header.State.CLOSED
