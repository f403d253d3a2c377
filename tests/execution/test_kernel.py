"""The compiled part of the executor against the Python checks and the codecs of core.layout."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lowlat.core import layout as lo
from lowlat.core.freshness import Shards
from lowlat.execution._order import Announcer, IntentView
from lowlat.execution.orders import Order
from lowlat.execution.params import ExecutorParams, HardLimits
from lowlat.execution.sender import Cleared

MILLION = 1_000_000
SIMPLE = {"B": 200, "H": 60_000, "I": 4_000_000_000, "Q": 2**63 + 5, "i": -7, "q": -(2**40)}


def slot(record, kind):
    buffer = memoryview(bytearray(kind.size_bytes))
    kind.pack(buffer, record)
    return buffer


def distinct(cls, **fixed):
    """Return a record in which no two fields hold the same."""
    values = {}
    for at, (name, hint) in enumerate(cls.__annotations__.items()):
        code = hint.__metadata__[0]
        values[name] = (
            SIMPLE[code] + at % 40 if code in SIMPLE else bytes([at + 1]) * int(code[:-1])
        )
    return cls(**values | fixed)


LIMITS = HardLimits(
    order_shares_max_e6=400 * MILLION,
    order_notional_max_e6=150 * MILLION,
    open_notional_max_e6=180 * MILLION,
    price_band_e4=300,
    price_min_e4=200,
    price_max_e4=9_800,
    book_age_max_ns=20_000_000_000,
)
HELD = 60 * MILLION


@pytest.fixture(scope="module")
def judged(make_desk):
    """Give an executor that holds shares, has resting orders and tight limits."""
    desk = make_desk(params=ExecutorParams(limits=LIMITS, orders_per_s=10**6, orders_burst=10**6))
    desk.engine.desk.accounts.position(0, 1, bytes(32)).bought_e6 = HELD
    resting = {"order_type": int(lo.OrderType.GTC), "size": 10}
    desk.wish(desk.intent(0, 4300, **resting))
    desk.wish(desk.intent(0, 4900, action=1, **resting))
    assert len(desk.posts()) == 2
    return desk


PRICES = st.sampled_from([100, 150, 200, 4299, 4300, 4350, 4400, 4500, 4600, 4700, 4890, 4900]) | (
    st.integers(1, 9_999)
)
SIZES = st.sampled_from([1, 4, 5, 10, 50, 51, 60, 300, 320, 400, 401, 0.5, 0.01, 2.25]).map(
    lambda shares: int(shares * MILLION)
) | st.integers(0, 500 * MILLION)


@settings(max_examples=600, suppress_health_check=list(HealthCheck))
@given(
    instrument=st.sampled_from([0, 0, 0, 1, 2, 6]),
    action=st.sampled_from([0, 1]),
    order_type=st.sampled_from([0, 1, 2, 3]),
    flags=st.sampled_from([0, 0, 0, 1, 2, 4]),
    price_e4=PRICES,
    size_e6=SIZES,
    spend_e6=st.sampled_from([0, 0, 0, 999_999, 1_000_000, 20_005_000, 150_000_000, 150_010_000]),
    generation=st.sampled_from([1, 1, 1, 1, 2]),
    expires=st.sampled_from([0, 0, -1, 0, 1]),
    tick_e4=st.sampled_from([100, 100, 10, 1_000, 7, 0]),
    fee_rate_e6=st.sampled_from([0, 70_000]),
    book=st.fixed_dictionaries(
        {
            "asks": st.sampled_from([[(4600, 120), (4700, 500)], [(4600, 120), (4700, 500)], []]),
            "flags": st.sampled_from([0, 0, 0, int(lo.BookFlag.STALE), int(lo.BookFlag.TRUNCATED)]),
            "generation": st.sampled_from([1, 1, 1, 2]),
        }
    ),
    alive=st.sampled_from([1, 1, 1, 0]),
    known=st.booleans(),
    open_ns=st.sampled_from([0, 0, 1]),
    same_id=st.sampled_from([False, False, False, True]),
    old=st.sampled_from([0, 0, 21_000_000_000]),
)
def test_compiled_checks_clear_exactly_what_the_checks_clear(
    judged,
    instrument,
    action,
    order_type,
    flags,
    price_e4,
    size_e6,
    spend_e6,
    generation,
    expires,
    tick_e4,
    fee_rate_e6,
    book,
    alive,
    known,
    open_ns,
    same_id,
    old,
):
    desk = judged
    desk.market(0, tick_e4=tick_e4, fee_rate_e6=fee_rate_e6, known=None if known else 1)
    desk.book(
        0,
        [(4500, 500), (4400, 500)],
        book["asks"],
        flags=book["flags"],
        generation=book["generation"],
    )
    desk.shard(alive=alive)
    sender, now_ns = desk.engine.sender, desk.clock.now_ns + old
    sender.breaker.open_until.clear()
    if open_ns:
        sender.breaker.open_for(0, now_ns + open_ns)
    intent = desk.intent(
        instrument,
        price_e4,
        action=action,
        order_type=order_type,
        intent_flags=flags,
        spend_e6=spend_e6,
        generation=generation,
        expires_ns=now_ns + expires if expires else 0,
        expiration_s=2**31 if order_type == lo.OrderType.GTD else 0,
    )._replace(size_e6=size_e6)
    if same_id:
        intent = intent._replace(id=next(iter(desk.engine.desk.by_id)))
    checked = sender.check(intent, now_ns)
    cleared = sender.fast.clear(IntentView(slot(intent, lo.INTENT)), now_ns)
    plain = order_type != lo.OrderType.GTD and flags != lo.IntentFlag.UNWIND
    assert cleared == (isinstance(checked, Cleared) and plain), checked
    if cleared:
        fast = sender.fast
        assert fast.facts is checked.facts
        assert (fast.maker_e6, fast.taker_e6) == checked.amounts
        assert fast.hold_e6 == checked.hold_e6
        assert fast.post == order_type + 4 * bool(flags & lo.IntentFlag.POST_ONLY)


def test_checks_that_changed_facts_are_judged_by_the_newest_row(desk):
    sender, intent = desk.engine.sender, desk.intent()
    view = IntentView(slot(intent, lo.INTENT))
    assert isinstance(sender.check(intent, desk.clock.now_ns), Cleared)
    assert sender.fast.clear(view, desk.clock.now_ns)
    desk.market(0, tick_e4=100)
    assert sender.fast.clear(view, desk.clock.now_ns)
    desk.market(0, status=0)
    assert not sender.fast.clear(view, desk.clock.now_ns)


def test_order_row_says_what_the_intent_said(desk):
    intent = desk.intent(
        cause=11,
        signal=12,
        group=13,
        target=14,
        event_ns=15,
        recv_ns=16,
        decoded_ns=17,
        published_ns=18,
        decided_ns=19,
        checked_ns=20,
        unwind_price_e4=21,
        config_generation=22,
        leg=23,
        legs=1,
        module=b"fair".ljust(16, b"\0"),
        spend_e6=100 * MILLION,
    )
    desk.wish(intent)
    row, order = desk.row(desk.order()), desk.order()
    same = set(lo.OrderRow._fields) & set(lo.IntentRecord._fields)
    assert len(same) == 21
    for name in same:
        assert getattr(row, name) == getattr(intent, name), name
    assert (row.price_e4, row.order_flags) == (intent.limit_price_e4, intent.intent_flags)
    assert row.maker_amount_e6 == row.reserved_e6 == 100 * MILLION
    assert row.token_id == desk.token(0).to_bytes(32, "big")
    assert row.salt == desk.salts.last
    assert row.created_wall_ms == desk.clock.wall_ns() // MILLION
    (said,) = [each for each in desk.reports() if each.kind == lo.ReportKind.SENDING]
    assert (said.intent, said.cause, said.group) == (intent.id, 11, 13)
    assert (said.order_id, said.order_row) == (order.order_id, order.row)
    assert (said.size_e6, said.cash_e6, said.reserved_e6) == (320 * MILLION, *[100 * MILLION] * 2)
    assert (said.price_e4, said.instrument, said.generation) == (4700, 0, 1)
    assert (said.module, said.leg, said.legs) == (intent.module, 23, 1)
    assert said.cash_after_e6 == 1_000 * MILLION
    assert (said.trade_id, said.trade_text) == (bytes(16), bytes(40))


def test_announcement_leaves_nothing_of_the_last_row(desk):
    order = memoryview(bytearray(b"\xff" * lo.ORDER_ROW.size_bytes))
    report = memoryview(bytearray(b"\xff" * lo.REPORT.size_bytes))
    view = IntentView(slot(desk.intent(), lo.INTENT))
    Announcer(order, report).fill(view, b"o" * 32, b"t" * 32, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)
    row, said = lo.ORDER_ROW.unpack(order), lo.REPORT.unpack(report)
    assert (row.sent_ns, row.filled_e6, row.claimed_e6, row.reason) == (0, 0, 0, 0)
    assert (said.trade_id, said.fee_e6, said.filled_e6, said.group_state) == (bytes(16), 0, 0, 0)
    assert (row.retries, said.order_row, said.id, said.at_ns) == (6, 7, 8, 9)
    assert (said.position_e6, said.cash_after_e6) == (10, 11)


def test_order_reads_and_writes_its_row_as_the_codec_does():
    record = distinct(lo.OrderRow)
    buffer = slot(record, lo.ORDER_ROW)
    order = Order.of_row(3, buffer)
    assert tuple(getattr(order, name) for name in record._fields) == record
    assert (order.row, order.market) == (3, record.instrument >> 1)
    again = memoryview(bytearray(len(buffer)))
    Order(3, record).pack(again)
    assert again == buffer


def test_intent_view_reads_what_it_loaded():
    record = distinct(lo.IntentRecord, intent_flags=0, group=9, legs=2)
    view = IntentView(memoryview(bytearray(lo.INTENT.size_bytes)))
    view.load(record)
    assert view.record() == record
    assert view.instrument == record.instrument


@pytest.mark.parametrize(
    ("fields", "plain"),
    [
        ({"group": 0, "legs": 2}, True),
        ({"group": 5, "legs": 1}, True),
        ({"group": 5, "legs": 2}, False),
        ({"intent_flags": int(lo.IntentFlag.CANCEL)}, False),
    ],
)
def test_legs_and_cancels_are_not_plain(desk, fields, plain):
    assert IntentView(slot(desk.intent(**fields), lo.INTENT)).plain is plain


def test_value_that_a_row_cannot_hold_is_refused():
    order = Order.__new__(Order)
    with pytest.raises(OverflowError):
        order.leg = 256
    with pytest.raises(TypeError, match="None"):
        order.pack(memoryview(bytearray(lo.ORDER_ROW.size_bytes)))


@pytest.mark.parametrize("kind", [IntentView, lambda slot: Announcer(slot, slot)])
def test_short_slot_is_refused(kind):
    with pytest.raises(ValueError, match="expected"):
        kind(memoryview(bytearray(64)))


def test_short_shard_row_is_refused(desk):
    shared = desk.shared
    shared.shards.buffer = memoryview(bytearray(8))
    with pytest.raises(ValueError, match="shard"):
        Shards(shared.shards, 1)


def test_plain_order_is_sent_without_the_python_checks(desk, monkeypatch):
    desk.wish(desk.intent(1, 5500, size=10))
    monkeypatch.setattr(type(desk.engine.sender), "check", None)
    desk.wish(desk.intent(1, 5600, size=20))
    assert len(desk.posts()) == 2
