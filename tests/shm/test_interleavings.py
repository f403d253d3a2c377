"""Every interleaving of one writer and one reader, store by store, on a model of ring.h.

Sequentially consistent only: it finds faults of logic (a missing check, a reused sequence number),
not of fences. ``test_model_and_core_store_the_same`` ties the model to the compiled code.
"""

from functools import lru_cache

import pytest
from shm_kit import SLOTS_AT, Ring, dies

CURSOR = "cursor"
WORDS = 2
SLOTS = 2


def publish(n, value):
    """Stores of one publish, in order."""
    slot = n % SLOTS
    return [
        ((slot, 0), 2 * n + 1),
        *(((slot, 1 + i), value) for i in range(WORDS)),
        ((slot, 0), 2 * n + 2),
        (CURSOR, n + 1),
    ]


def resume(memory, *, step_over=True):
    """Return the position at which an heir goes on, as ll_stream_resume does."""
    n = max(1, memory.get(CURSOR, 0))
    return n + 1 if step_over and memory.get((n % SLOTS, 0), 0) == 2 * n + 2 else n


def read_outcomes(stores, n, *, check=True):
    """Return everything that a poll for n can accept against these stores, all interleavings."""
    states = [{}]
    for key, value in stores:
        states.append({**states[-1], key: value})
    accepted = set()

    @lru_cache(None)
    def walk(at, step, seen):
        """``at``: stores made so far; ``step``: reader's next load; ``seen``: payload so far."""
        for now in range(at, len(states)):
            memory = states[now]
            if step == 0:
                if memory.get((n % SLOTS, 0), 0) == 2 * n + 2:
                    walk(now, 1, ())
            elif step <= WORDS:
                walk(now, step + 1, (*seen, memory.get((n % SLOTS, step), 0)))
            elif not check or memory.get((n % SLOTS, 0), 0) == 2 * n + 2:
                accepted.add(seen)

    walk(0, 0, ())
    return accepted


def history(*, messages, deaths, step_over=True):
    """Stores of several writers; ``deaths``: after how many stores each but the last one died."""
    memory, stores, value = {}, [], 0
    for death in (*deaths, None):
        n, mine = resume(memory, step_over=step_over), []
        for _ in range(messages):
            value += 1
            mine += publish(n, value)
            n += 1
        for key, stored in mine[:death]:
            memory[key] = stored
            stores.append((key, stored))
    return stores


@pytest.mark.parametrize("n", range(1, 6))
def test_poll_never_accepts_a_torn_record(n):
    outcomes = read_outcomes(history(messages=5, deaths=()), n)
    assert outcomes == {(n,) * WORDS}


@pytest.mark.parametrize("death", range(16))
@pytest.mark.parametrize("second", [None, 1, 3, 5])
def test_no_death_makes_a_torn_record_acceptable(death, second):
    deaths = (death,) if second is None else (death, second)
    stores = history(messages=3, deaths=deaths)
    for n in range(1, 7):
        for seen in read_outcomes(stores, n):
            assert len(set(seen)) == 1, (deaths, n, seen)
        assert len(read_outcomes(stores, n)) <= 1, "one position, one record, whoever wrote it"


def test_without_the_second_look_torn_records_are_accepted():
    outcomes = read_outcomes(history(messages=5, deaths=()), 1, check=False)
    assert any(len(set(seen)) > 1 for seen in outcomes)


def test_without_the_step_over_two_writers_mix_in_one_record():
    death = len(publish(1, 1)) - 1  # complete, not counted
    outcomes = read_outcomes(history(messages=1, deaths=(death,), step_over=False), 1)
    assert any(len(set(seen)) > 1 for seen in outcomes)


def test_model_and_core_store_the_same():
    """After each single store of a publish, shared memory holds what the model says."""
    words = 8
    for n in (1, 2, 5):
        for store in range(1, words + 2):
            ring = Ring(4, 8 * words)
            writer = ring.writer(epoch=9)
            for _ in range(n - 1):
                writer.publish(1)
            for i in range(2, words):
                writer.buffer[8 * i : 8 * i + 8] = (1000 + i).to_bytes(8, "little")
            start = SLOTS_AT + n % 4 * 8 * words
            before = [ring.word(start + 8 * i) for i in range(words)]
            cursor = ring.word(0)
            assert dies(lambda writer=writer: writer.publish(3), store)
            new = [2 * n + 1, 9 | 3 << 32, *range(1002, 1000 + words)]
            want = new[:store] + before[store:]
            if store > words:
                want[0] = 2 * n + 2
            assert [ring.word(start + 8 * i) for i in range(words)] == want
            assert ring.word(0) == cursor
