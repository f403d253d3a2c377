"""Telemetry over real segments: two processes' worth of counters, restarts, a reboot."""

import os

import pytest

from lowlat.app.telemetry import Telemetry
from lowlat.shm.attachment import Attachment
from lowlat.shm.layouts import StatsShape
from lowlat.shm.places import segment_file

SHAPE = StatsShape(counters=8, histograms=2, errors=2)


@pytest.fixture
def open_stats(instance):
    attachments = []

    def make(process):
        attachment = Attachment(instance, process)
        attachments.append(attachment)
        return attachment.open_stats(SHAPE)

    yield make
    for attachment in attachments:
        attachment.close()


def test_counters_add_up_over_processes_and_gauges_do_not(instance, open_stats):
    one, two = open_stats("one"), open_stats("two")
    one.counter("polymarket.frames").add(3)
    two.counter("polymarket.frames").add(4)
    two.counter("binance.frames").add(5)
    two.counter("frames_dropped").add(100)
    one.gauge("halt").set(2)
    two.gauge("halt").set(7)
    reading = Telemetry(instance).read()
    assert reading.counter("polymarket.frames") == 7
    assert reading.total("frames") == 12
    assert reading.gauges["one"] == {"halt": 2}
    assert reading.gauges["two"] == {"halt": 7}
    assert "halt" not in reading.counters


def test_latencies_of_one_stage_are_merged_before_percentiles_are_taken(instance, open_stats):
    one, two = open_stats("one").histogram("latency.send"), open_stats("two")
    for _ in range(99):
        one.record(1_000)
    two.histogram("latency.send").record(1_000_000)
    open_stats("three").histogram("risk.check_ns")
    table = Telemetry(instance).read().latency_ns()
    assert list(table) == ["send"], "a histogram without values says nothing"
    send = table["send"]
    assert send["count"] == 100
    assert 1_000 <= send["p50"] <= 1_010
    assert 1_000 <= send["p99"] <= 1_010
    assert 1_000_000 <= send["max"] <= 1_010_000


def test_rates_are_growth_over_time_between_two_readings(instance, open_stats):
    cell = open_stats("one").counter("frames")
    telemetry = Telemetry(instance)
    cell.add(5)
    before = telemetry.read()
    cell.add(10)
    after = telemetry.read()
    after.at_ns = before.at_ns + 2_000_000_000
    assert after.rates(before) == {"frames": 5.0}
    assert before.rates(before) == {}


def test_interval_histograms_hold_only_what_came_after(instance, open_stats):
    histogram = open_stats("one").histogram("latency.ack")
    telemetry = Telemetry(instance)
    histogram.record(10)
    before = telemetry.read()
    histogram.record(20)
    assert telemetry.read().since(before)["latency.ack"].count == 1


def test_totals_survive_a_reboot_that_makes_the_segments_anew(instance, open_stats):
    """The old segment is read once more after its name is gone: nothing counted is lost."""
    telemetry = Telemetry(instance)
    old = open_stats("engine")
    old.counter("frames").add(1)
    old.histogram("latency.send").record(5)
    assert telemetry.read().counter("frames") == 1
    old.counter("frames").add(10)
    os.unlink(segment_file(instance, "stats.engine"))
    assert telemetry.read().counter("frames") == 11
    other = Attachment(instance, "engine2")
    other.process = "engine"
    os.unlink(f"{os.environ['XDG_RUNTIME_DIR']}/lowlat/{instance}/stats.engine.lock")
    fresh = other.open_stats(SHAPE)
    fresh.counter("frames").add(100)
    fresh.histogram("latency.send").record(6)
    reading = telemetry.read()
    assert reading.counter("frames") == 111
    assert reading.histograms["latency.send"].count == 2
    other.close()


def test_distinct_errors_are_listed_by_process_with_their_counts(instance, open_stats):
    stats = open_stats("engine")
    stats.errors.record("bad frame", 5)
    stats.errors.record("bad frame", 9)
    stats.errors.record("gap", 7)
    stats.errors.record("one too many", 8)
    reading = Telemetry(instance).read()
    assert [(e.text, e.count, e.last_ns) for e in reading.errors["engine"]] == [
        ("bad frame", 2, 9),
        ("gap", 1, 7),
    ]
    assert reading.errors_dropped == 1


def test_hit_rate_is_unknown_before_the_first_order(instance, open_stats):
    stats = open_stats("engine")
    telemetry = Telemetry(instance)
    assert telemetry.read().hit_rate() is None
    stats.counter("executor.template_hits").add(3)
    stats.counter("executor.template_misses").add(1)
    assert telemetry.read().hit_rate() == 0.75


def test_an_instance_without_segments_reads_as_nothing(home):
    assert Telemetry("nobody").read().counters == {}
