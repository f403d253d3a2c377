"""Activity over real segments: what is counted, what is lost, what a reboot leaves."""

import pytest

from lowlat.app.activity import Activity
from lowlat.core.layout import (
    DECISION,
    GROUP_ROW,
    ORDER_ROW,
    REPORT,
    SIGNAL,
    STREAMS,
    TABLES,
    GroupState,
    OrderState,
    ReportKind,
    Rule,
)
from lowlat.shm.attachment import Attachment
from lowlat.shm.segments import create_segments

NAMES = ("signals", "decisions", "reports")


class Engine:
    """Writes records as the engine does; nobody gates it."""

    def __init__(self, instance):
        self.made = create_segments(
            instance,
            streams={name: STREAMS[name] for name in NAMES},
            tables={name: TABLES[name] for name in ("orders", "groups")},
            slots={"decisions": 64},
        )
        self.attachment = Attachment(instance, "engine")
        self.streams = {name: self.attachment.open_stream_writer(name, gates=()) for name in NAMES}
        self.tables = {
            name: self.attachment.open_table_writer(name) for name in ("orders", "groups")
        }

    def publish(self, name, record, **fields):
        writer = self.streams[name]
        record.pack(writer.buffer, blank(record)._replace(**fields))
        assert writer.publish(record.kind)

    def write(self, name, record, row, **fields):
        writer = self.tables[name]
        record.pack(writer.buffer, blank(record)._replace(**fields))
        writer.write(row)

    def close(self):
        self.attachment.close()
        self.made.unlink()


def blank(record):
    return record.row._make(
        0.0 if format_.kind == "f" else b"" if format_.kind == "V" else 0
        for name, (format_, *_) in record.dtype.fields.items()
        if name not in {"seq", "epoch", "slot_kind", "slot_flags"}
    )


@pytest.fixture
def engine(instance):
    made = Engine(instance)
    yield made
    made.close()


def test_signals_by_module_decisions_by_rule_fills_by_report(instance, engine):
    activity = Activity(instance, from_start=True)
    for module in (b"arbitrage", b"latency", b"latency"):
        engine.publish("signals", SIGNAL, module=module)
    latency = {"module": b"latency"}
    engine.publish("decisions", DECISION, rule=Rule.APPROVED, approved=1, **latency)
    engine.publish("decisions", DECISION, rule=Rule.MARKET_LIMIT, approved=1, **latency)
    engine.publish("decisions", DECISION, rule=Rule.MARKET_LIMIT, approved=0, **latency)
    engine.publish("reports", REPORT, kind=ReportKind.SENDING, **latency)
    engine.publish("reports", REPORT, kind=ReportKind.FILL, **latency)
    assert activity.poll() == 8
    assert activity.signals == {"arbitrage": 1, "latency": 2}
    assert activity.by_rule() == {"approved": 1, "cut": 1, "market_limit": 1}
    assert activity.fills == 1
    assert activity.by_module() == {
        "arbitrage": {"signals": 1, "approved": 0, "fills": 0},
        "latency": {"signals": 2, "approved": 2, "fills": 1},
    }
    assert activity.poll() == 0


def test_what_was_there_before_counts_only_from_the_start(instance, engine):
    engine.publish("signals", SIGNAL, module=b"arbitrage")
    late, whole = Activity(instance), Activity(instance, from_start=True)
    late.poll()
    whole.poll()
    assert (late.signals.total(), whole.signals.total()) == (0, 1)


def test_a_lapped_reader_counts_what_it_lost(instance, engine):
    activity = Activity(instance)
    activity.poll()
    for _ in range(200):
        engine.publish("decisions", DECISION, rule=Rule.NO_EDGE)
    activity.poll()
    seen = activity.decisions[Rule.NO_EDGE]
    assert 0 < seen < 200
    assert seen + activity.lost["decisions"] == 200


def test_orders_and_groups_are_counted_once_by_their_own_id(instance, engine):
    activity = Activity(instance)
    engine.write("orders", ORDER_ROW, 0, id=11, state=OrderState.SENDING)
    activity.sweep()
    engine.write("orders", ORDER_ROW, 0, id=12, state=OrderState.LIVE)
    engine.write("groups", GROUP_ROW, 0, id=1, state=GroupState.OPEN)
    engine.write("groups", GROUP_ROW, 1, id=2, state=GroupState.COMPLETE)
    engine.write("groups", GROUP_ROW, 2, id=3, state=GroupState.UNWOUND)
    engine.write("groups", GROUP_ROW, 3, id=4, state=GroupState.FLAT)
    engine.write("groups", GROUP_ROW, 4, id=5, state=GroupState.NAKED)
    activity.sweep()
    assert activity.orders == {11: OrderState.SENDING, 12: OrderState.LIVE}
    assert activity.pairs() == (1, 1, 1, 2, 0)
    engine.write("groups", GROUP_ROW, 0, id=1, state=GroupState.COMPLETE)
    activity.sweep()
    assert activity.pairs() == (2, 1, 1, 1, 0)


def test_counts_go_on_over_a_reboot_and_open_groups_become_interrupted(instance):
    before = Engine(instance)
    activity = Activity(instance)
    activity.poll()
    before.publish("signals", SIGNAL, module=b"latency")
    before.write("groups", GROUP_ROW, 0, id=1, state=GroupState.OPEN)
    before.write("groups", GROUP_ROW, 1, id=2, state=GroupState.COMPLETE)
    activity.forget_memory()
    before.close()
    assert activity.poll() == 0
    after = Engine(instance)
    after.publish("signals", SIGNAL, module=b"latency")
    activity.poll()
    activity.sweep()
    assert activity.signals == {"latency": 2}
    assert activity.pairs() == (1, 0, 0, 0, 1)
    after.close()


def test_without_segments_there_is_nothing_and_no_error(home):
    activity = Activity("nobody")
    assert activity.poll() == 0
    activity.sweep()
    assert activity.pairs() == (0, 0, 0, 0, 0)
