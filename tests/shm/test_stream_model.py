"""State machine: one stream against a plain list, with late readers, restarts and kills.

One process, so failures shrink; only the kill runs in a forked child.
"""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule
from shm_kit import CURSOR_AT, Ring, dies, fill, seed_of

from lowlat.core.ports import EMPTY, OVERRUN

WORDS = 8


class StreamMachine(RuleBasedStateMachine):
    readers = Bundle("readers")

    @initialize(slots=st.sampled_from([2, 4, 8]), gated=st.booleans())
    def start(self, slots, gated):
        self.ring = Ring(slots, WORDS * 8)
        self.slots, self.gated, self.epoch = slots, gated, 1
        self.writer = self.ring.writer(1, gates=int(gated))
        self.seeds = [None]  # position -> seed
        self.half_written = 0  # a dead writer began this position: what it held is gone
        self.gate = self.ring.reader(position=1, gate=0) if gated else None
        self.gate_next = self.gate_released = 1
        self.expected = {}  # id of reader -> [next, lost, overruns]

    @property
    def full(self):
        return self.gated and len(self.seeds) - self.gate_released >= self.slots

    @rule(seed=st.integers(1, 2**32))
    def publish(self, seed):
        fill(self.writer.buffer, seed)
        position = self.writer.publish(1)
        assert position == (0 if self.full else len(self.seeds))
        if position:
            self.seeds.append(seed)

    @rule(target=readers)
    def attach_late(self):
        reader = self.ring.reader()
        cursor = max(1, self.ring.word(CURSOR_AT))
        assert reader.position == cursor
        self.expected[id(reader)] = [cursor, 0, 0]
        return reader

    @rule(reader=readers)
    def poll(self, reader):
        expected = self.expected[id(reader)]
        n, newest = expected[0], len(self.seeds) - 1
        kind = reader.poll()
        if n > newest:
            assert kind == EMPTY
        elif newest - n >= self.slots or self.half_written == n + self.slots:
            assert kind == OVERRUN
            # The cursor trails a record that its dead writer completed but did not count.
            landed = max(n + 1, max(1, self.ring.word(CURSOR_AT)) - 1)
            expected[:] = [landed, expected[1] + landed - n, expected[2] + 1]
        else:
            assert kind == 1
            assert seed_of(reader.buffer) == self.seeds[n]
            expected[0] += 1
        assert [reader.position, reader.lost, reader.overruns] == expected

    @rule()
    def poll_gate(self):
        if self.gated and self.gate_next < len(self.seeds):
            assert self.gate.poll() == 1
            assert seed_of(self.gate.buffer) == self.seeds[self.gate_next]
            self.gate_next += 1
        elif self.gated:
            assert self.gate.poll() == EMPTY

    @rule()
    def release_gate(self):
        if self.gated:
            self.gate.release()
            self.gate_released = self.gate_next

    @rule()
    def restart_gate(self):
        """A killed reader starts again behind what it released."""
        if self.gated:
            self.gate = self.ring.reader(position=self.gate_released, gate=0)
            self.gate_next = self.gate_released

    @rule()
    def restart_writer(self):
        self.epoch += 1
        self.writer = self.ring.writer(self.epoch, gates=int(self.gated))

    @rule(store=st.integers(1, WORDS + 2), seed=st.integers(1, 2**32))
    def kill_mid_write(self, store, seed):
        """Die after a store of publish: odd, head, payload; even (complete); cursor."""
        full = self.full

        def job():
            fill(self.writer.buffer, seed)
            self.writer.publish(1)

        died = dies(job, store)
        assert died == (not full)
        position = len(self.seeds)
        if died and store > WORDS:
            assert self.ring.slot_seq(position) == 2 * position + 2
            self.seeds.append(seed)
        elif died:
            assert self.ring.slot_seq(position) == 2 * position + 1
            self.half_written = position
        self.restart_writer()

    @invariant()
    def sequences_never_go_back(self):
        if hasattr(self, "ring"):
            assert self.writer.cursor == len(self.seeds)
            assert self.gated is False or self.gate.lost == 0


TestStream = StreamMachine.TestCase
TestStream.settings = settings(max_examples=40, stateful_step_count=30)
