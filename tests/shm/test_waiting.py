import os
import threading
import time

import pytest
from shm_kit import Ring

from lowlat.core.errors import ConfigError, SegmentError
from lowlat.shm import places
from lowlat.shm.waiting import Bells, Park, Spin, Yield, choose_wait


@pytest.fixture
def parked(instance):
    ring = Ring(8, 64)
    writer, reader = ring.writer(gates=1), ring.reader(position=1, gate=0)
    park = Park(instance, "risk", [reader], timeout_ms=60_000)
    bells = Bells(instance, writer, ["risk"])
    yield writer, reader, park, bells
    park.close()
    bells.close()


@pytest.mark.parametrize("hot", [0, 2, 5])
def test_spin_is_refused_unless_the_core_has_one_hot_process(hot):
    with pytest.raises(ConfigError, match=f"core with {hot} hot processes"):
        choose_wait("spin", hot_processes=hot)
    assert isinstance(choose_wait("spin", hot_processes=1), Spin)
    choose_wait("spin", hot_processes=1).wait()


def test_yield_is_the_bare_system_call():
    assert isinstance(choose_wait("yield", hot_processes=2), Yield)
    assert Yield.wait is os.sched_yield


@pytest.mark.parametrize("name", ["sleep", "", "SPIN"])
def test_unknown_strategy_names_the_allowed_ones(name):
    with pytest.raises(ConfigError, match="allowed: 'spin', 'yield', 'park'"):
        choose_wait(name, hot_processes=1)


def test_park_needs_a_gated_stream(instance):
    with pytest.raises(ConfigError, match="without gated streams"):
        choose_wait("park", hot_processes=3, instance=instance, reader="x")


def test_nobody_is_rung_while_nobody_sleeps(parked):
    writer, _, _, bells = parked
    writer.publish(1)
    assert bells.ring() == 0


def test_record_published_before_parking_is_not_slept_over(parked):
    writer, reader, park, bells = parked
    writer.publish(1)
    begun = time.monotonic()
    park.wait()
    assert time.monotonic() - begun < 50
    assert reader.poll() == 1
    assert bells.ring() == 0, "the flag is down again"


def test_ring_between_flag_and_sleep_is_not_lost(parked):
    """The writer looks after our flag and before our poll: the FIFO keeps the ring."""
    writer, reader, park, bells = parked

    class Late:
        def sleep(self, sleeping):
            reader.sleep(sleeping)

        def ready(self):
            answer = reader.ready()
            writer.publish(1)
            assert bells.ring() == 1
            return answer

    late = Park(park_instance(park), "risk", [Late()], timeout_ms=60_000)
    begun = time.monotonic()
    late.wait()
    late.close()
    assert time.monotonic() - begun < 50
    assert reader.poll() == 1


def park_instance(park):
    path = os.readlink(f"/proc/self/fd/{park._fd}")
    return path.split("/")[-2]


def test_sleeper_is_woken_by_another_thread(parked):
    writer, reader, park, bells = parked
    rung = []

    def ring_when_asleep():
        writer.publish(1)
        deadline = time.monotonic() + 60
        while not rung and time.monotonic() < deadline:
            if bells.ring():
                rung.append(True)

    waker = threading.Thread(target=ring_when_asleep)
    begun = time.monotonic()
    waker.start()
    while reader.poll() != 1:
        park.wait()
    assert time.monotonic() - begun < 50
    rung.append(False)
    waker.join()


def test_park_ends_at_its_timeout(instance):
    reader = Ring(8, 64).reader(position=1, gate=0)
    park = Park(instance, "risk", [reader], timeout_ms=5)
    begun = time.monotonic()
    park.wait()
    assert 0.004 < time.monotonic() - begun < 50
    park.close()


def test_dead_sleeper_and_full_bell_do_not_stop_the_writer(parked):
    writer, reader, park, bells = parked
    reader.sleep(True)
    writer.publish(1)
    rings = sum(bells.ring() for _ in range(100_000))
    assert 0 < rings < 100_000, "a full FIFO is not an error"
    park.close()
    assert bells.ring() == 0, "nor is a reader that is gone"
    park.close()
    bells.close()
    assert bells.ring() == 0


def test_bell_that_is_no_fifo_is_refused(instance):
    path = f"{places.instance_dir(instance)}/risk.bell"
    with open(path, "w"):
        pass
    with pytest.raises(SegmentError, match="no FIFO of ours"):
        Bells(instance, Ring(8, 64).writer(gates=1), ["risk"])
