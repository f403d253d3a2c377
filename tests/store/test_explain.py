"""What explains an order later: signals and their markets, bounded, torn ends cut."""

import pytest

from lowlat.core.layout import BOOK_ROW, MARKET_ROW, SIGNAL
from lowlat.shm.private import PrivateStream, PrivateTable
from lowlat.store.explain import ExplainEngine, ExplainMeters
from lowlat.store.record_log import BOOKS, MARKETS, SIGNALS, read_records


class Cell:
    def __init__(self):
        self.value = 0

    def add(self, count):
        self.value += count

    def set(self, value):
        self.value = value


def blank(record):
    return record.unpack(bytes(record.size_bytes))


@pytest.fixture
def rig(tmp_path):
    class Rig:
        def __init__(self):
            self.directory = str(tmp_path)
            self.stream = PrivateStream("signals")
            self.table = PrivateTable("markets", rows=8)
            self.books = PrivateTable("book", rows=8)
            self.meters = ExplainMeters(Cell(), Cell(), Cell(), Cell())

        def open(self, bytes_max=1 << 20):
            self.engine = ExplainEngine(
                self.directory,
                self.stream.reader(),
                self.table.reader(),
                self.meters,
                bytes_max,
                self.books.reader(),
            )
            return self

        def market(self, market, slug):
            writer = self.table.writer
            MARKET_ROW.pack(writer.buffer, blank(MARKET_ROW)._replace(market=market, slug=slug))
            writer.write(market)

        def signal(self, number, market, metadata=b""):
            writer = self.stream.writer
            record = blank(SIGNAL)._replace(id=number, instrument=2 * market + 1)
            record = record._replace(metadata=metadata, metadata_bytes=len(metadata))
            SIGNAL.pack(writer.buffer, record)
            assert writer.publish(SIGNAL.kind)

        def kept(self, name):
            return list(read_records(self.directory, name))

    return Rig()


def test_each_signal_and_its_market_once(rig):
    rig.open()
    rig.market(3, b"a-market")
    for number in (1, 2, 3):
        rig.signal(number, 3)
    assert rig.engine.turn(0) == 3
    assert rig.engine.turn(0) == 0
    assert [each.id for each in rig.kept(SIGNALS)] == [1, 2, 3]
    assert [each.slug.rstrip(b"\0") for each in rig.kept(MARKETS)] == [b"a-market"]
    assert rig.meters.signals.value == 3


def test_the_book_of_a_signal_is_kept_under_its_name(rig):
    rig.open()
    rig.signal(1, 3)
    rig.engine.turn(0)
    assert rig.kept(BOOKS) == []
    writer = rig.books.writer
    row = blank(BOOK_ROW)._replace(id=99, market=3, published_ns=40, bid_count=1)
    row = row._replace(bid_price_e4=(4_600, *(0,) * 31))
    BOOK_ROW.pack(writer.buffer, row)
    writer.write(3)
    rig.signal(2, 3)
    rig.signal(3, 4_000_000)
    rig.engine.turn(0)
    [kept] = rig.kept(BOOKS)
    assert (kept.id, kept.published_ns, kept.bid_price_e4[0]) == (2, 40, 4_600)
    # A row that holds another market by now is none of its books.
    BOOK_ROW.pack(writer.buffer, row._replace(generation=5))
    writer.write(3)
    rig.signal(4, 3)
    rig.engine.turn(0)
    assert len(rig.kept(BOOKS)) == 1


def test_a_market_that_changed_is_kept_again(rig):
    rig.open()
    for slug in (b"one", b"two"):
        rig.market(3, slug)
        rig.signal(1, 3)
        rig.engine.turn(0)
    assert [each.slug.rstrip(b"\0") for each in rig.kept(MARKETS)] == [b"one", b"two"]


def test_markets_that_are_not_known_or_out_of_the_table_harm_nothing(rig):
    rig.open()
    rig.signal(1, 5)
    rig.signal(2, 4_000_000)
    assert rig.engine.turn(0) == 2
    assert rig.kept(MARKETS) == []
    assert len(rig.kept(SIGNALS)) == 2


def test_what_the_ring_overwrote_is_counted(rig):
    rig.open()
    for number in range(300):
        rig.signal(number, 3)
    while rig.engine.turn(0):
        pass
    kept = rig.kept(SIGNALS)
    assert len(kept) + rig.meters.signals_lost.value == 300
    assert rig.meters.signals_lost.value >= 300 - 256


def test_the_log_is_bounded_and_another_life_goes_on_with_it(rig, tmp_path):
    rig.open(bytes_max=20_000)
    for number in range(200):
        rig.signal(number, 3)
        rig.engine.turn(0)
    rig.engine.close()
    assert sum(each.stat().st_size for each in tmp_path.iterdir()) <= 20_500
    with open(tmp_path / "signals.records", "ab") as file:
        file.write(b"torn")
    rig.open(bytes_max=20_000)
    rig.signal(200, 3)
    rig.engine.turn(0)
    ids = [each.id for each in rig.kept(SIGNALS)]
    assert ids == list(range(ids[0], 201)), "a torn end is cut, the rest stays in order"


def test_a_full_disk_costs_explanations_and_nothing_else(rig, monkeypatch):
    rig.open()
    rig.signal(1, 3)

    def write(descriptor, data):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.write", write)
        assert rig.engine.turn(0) == 1
    assert rig.meters.disk_errors.value == 1
    rig.signal(2, 3)
    rig.engine.turn(0)
    assert [each.id for each in rig.kept(SIGNALS)] == [2]


@pytest.mark.parametrize(
    ("metadata", "plan", "unknown"),
    [
        (b"", "resolution", 0),
        (b'{"edge":0.1}', "resolution", 0),
        (b'{"exit":"stop","edge":0.1}', "stop", 0),
        (b'{"exit":"someday"}', "resolution", 1),
        (b'{"exit":7}', "resolution", 1),
        (b'{"exit"', "resolution", 1),
    ],
)
def test_the_exit_plan_of_a_signal_is_known_to_whoever_books_its_fills(
    rig, metadata, plan, unknown
):
    rig.open()
    rig.signal(7, 3, metadata)
    rig.engine.turn(0)
    assert rig.engine.plan_of(7) == plan
    assert rig.engine.plan_of(8) == "resolution"
    assert rig.meters.plans_unknown.value == unknown
