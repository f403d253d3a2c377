import gc
import subprocess
import sys
import weakref

import numpy as np
import pytest

import lowlat
from lowlat.core import layout
from lowlat.core.errors import LayoutError, SegmentError
from lowlat.shm.attach import parse_abi
from lowlat.shm.attachment import Attachment
from lowlat.shm.segments import create_segments


@pytest.fixture
def running(instance):
    made = create_segments(instance, slots={"market": 16}, rows={"book": 4}, stats=["feed"])
    feed = Attachment(instance, "feed")
    yield feed
    feed.close()
    made.close()


def top(market, version):
    zeros = layout.BookTop._make(
        _zero(dtype) for dtype, _ in list(layout.BOOK_TOP.dtype.fields.values())[4:]
    )
    return zeros._replace(market=market, version=version, bid_price_e4=(5000, 4900, 0, 0, 0))


def _zero(dtype):
    return (0,) * dtype.shape[0] if dtype.shape else 0


@pytest.mark.parametrize("record", layout.RECORDS, ids=lambda record: record.name)
def test_record_types_come_back_from_the_text_in_the_segment(record):
    assert parse_abi(layout.abi_text(record)) == {record.kind: (record.name, record.dtype)}


def test_text_of_no_known_form_is_refused():
    with pytest.raises(LayoutError, match="no known form"):
        parse_abi("layout 1 little-endian\nwhat is this")


def test_memory_goes_with_the_last_reference_not_with_the_garbage(running):
    """An engine that starts anew needs the room that its last life's segments had."""
    gc.disable()
    try:
        attached = lowlat.attach(running.instance)
        attached.streams["market"].poll()
        attached.tables["book"].snapshot()
        assert attached.stats["feed"].snapshot()
        assert attached.status()
        mapped = weakref.ref(attached._segment("table.book"))
        assert mapped() is not None
        del attached
        assert mapped() is None
    finally:
        gc.enable()


def test_outsider_follows_a_stream_with_named_fields(running):
    writer = running.open_stream_writer("market")
    view = lowlat.attach(running.instance).streams["market"]
    assert view.poll() is None
    layout.BOOK_TOP.pack(writer.buffer, top(7, 3))
    writer.publish(layout.BOOK_TOP.kind)
    record = view.poll()
    assert (record["market"], record["version"], record["seq"]) == (7, 3, 4)
    assert record["bid_price_e4"].tolist() == [5000, 4900, 0, 0, 0]
    assert view.array(layout.BOOK_TOP.kind)["market"][0] == 7
    for n in range(40):
        layout.BOOK_TOP.pack(writer.buffer, top(n, n))
        writer.publish(layout.BOOK_TOP.kind)
    assert view.poll()["market"] == 39, "an overrun lands on the newest"
    assert view.reader.lost == 39


def test_batches_are_private_arrays_by_record_name(running):
    writer = running.open_stream_writer("market")
    view = lowlat.attach(running.instance).streams["market"]
    for n in range(1, 9):
        layout.BOOK_TOP.pack(writer.buffer, top(n, n))
        writer.publish(layout.RESET.kind if n % 4 == 0 else layout.BOOK_TOP.kind)
    batch = view.batch()
    assert set(batch) == {"BOOK_TOP", "MARKET_STATE", "RESET"}
    assert batch["BOOK_TOP"]["market"].tolist() == [1, 2, 3, 5, 6, 7]
    assert batch["RESET"]["seq"].tolist() == [10, 18]
    assert len(batch["MARKET_STATE"]) == 0
    held = batch["BOOK_TOP"].copy()
    for _ in range(20):
        writer.publish(layout.BOOK_TOP.kind)
    assert (batch["BOOK_TOP"] == held).all()
    assert view.rewind() == 12
    assert len(view.batch(5)["BOOK_TOP"]) == 5


def test_table_snapshot_has_every_row_and_its_version(running):
    table = running.open_table_writer("book")
    view = lowlat.attach(running.instance).tables["book"]
    assert view.read(2) is None
    table.buffer[48:52] = (9).to_bytes(4, "little")
    table.write(2)
    table.write(2)
    records, versions = view.snapshot()
    assert records.dtype == layout.BOOK_ROW.dtype
    assert versions.tolist() == [0, 0, 2, 0]
    assert view.read(2)["seq"] == 6
    assert np.shares_memory(view.array, np.frombuffer(view.reader.buffer, np.uint8))


def test_status_tells_a_crash_from_a_close(running):
    running.open_stream_writer("market")
    stats = running.open_stats()
    stats.counter("n").add(4)
    attached = lowlat.attach(running.instance)

    def states():
        return {s.name: (s.state.name, s.alive, s.epoch) for s in attached.status()}

    assert states()["stream.market"] == ("READY", True, 1)
    assert states()["table.book"] == ("INIT", False, 0)
    running.close()
    assert states()["stream.market"] == ("CLOSED", False, 1)
    assert attached.stats["feed"].snapshot().counters == {"n": 4}, "works post-mortem"


def test_names_are_those_of_the_topology(running):
    attached = lowlat.attach(running.instance)
    assert set(attached.streams) == set(layout.STREAMS)
    assert set(attached.tables) == set(layout.TABLES)
    assert len(attached.stats) == 1
    with pytest.raises(KeyError):
        attached.streams["nope"]


def test_missing_instance_lists_those_that_exist(running):
    with pytest.raises(SegmentError, match=running.instance):
        lowlat.attach("no-such-instance")


def test_importing_lowlat_imports_neither_numpy_nor_segments():
    code = "import sys, lowlat; sys.exit('numpy' in sys.modules or 'posix_ipc' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
