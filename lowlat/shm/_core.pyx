# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: auto_pickle=False, autotestdict=False, freethreading_compatible=False
"""Python-facing ends of streams, tables, histograms and counters over ring.h.

Every object pins the buffers it was given (Py_buffer) for its life and is told sizes and offsets:
it knows no record. Python sees private copies only; live slots are touched in ring.h alone.
Nothing here reads a clock, allocates after construction, or raises on the normal path.
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytearray cimport PyByteArray_AS_STRING
from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.string cimport memset

from lowlat.core._ends cimport CountEnd, PollEnd, PublishEnd, RecordEnd, RowWriteEnd

cdef extern from "Python.h":
    Py_ssize_t PY_SSIZE_T_MAX

cdef extern from "ring.h" nogil:
    int LL_LINE
    int LL_GATES_MAX
    int LL_GATE_SLEEP
    int LL_BLOCK
    int LL_TABLE_CELLS
    int LL_HDR_CELLS
    int LL_READ_OK
    int LL_READ_LAPPED
    int __ATOMIC_RELAXED
    int __ATOMIC_ACQUIRE
    int __ATOMIC_RELEASE
    uint64_t LL_LOAD(uint64_t *p, int order)
    void LL_STORE(uint64_t *p, uint64_t value, int order)
    uint64_t ll_meta(uint32_t epoch, uint16_t kind, uint16_t flags)

    ctypedef struct ll_stream_writer:
        uint64_t *slots
        uint64_t *cursor
        uint64_t *gates[8]
        uint64_t next
        uint64_t passed
        uint64_t mask
        size_t words
        uint32_t gate_count
        uint32_t epoch
    uint64_t ll_stream_free(ll_stream_writer *w)
    uint64_t ll_stream_publish(ll_stream_writer *w, const uint64_t *record, uint16_t kind,
                               uint16_t flags)
    int ll_stream_resume(ll_stream_writer *w)
    uint32_t ll_stream_sleepers(ll_stream_writer *w)
    void ll_gate_sleep(uint64_t *gate, uint64_t sleeping)

    ctypedef struct ll_stream_reader:
        const uint64_t *slots
        const uint64_t *cursor
        uint64_t next
        uint64_t lost
        uint64_t overruns
        uint64_t mask
        size_t words
    int ll_stream_ready(const ll_stream_reader *r)
    int ll_stream_poll(ll_stream_reader *r, uint64_t *record)

    ctypedef struct ll_table:
        uint64_t *base
        size_t row_words
        size_t words
        uint64_t rows
    uint64_t ll_table_version(const ll_table *t, uint64_t row)
    uint64_t ll_table_write(const ll_table *t, uint64_t index, const uint64_t *record,
                            uint64_t meta)
    uint64_t ll_table_write_lines(const ll_table *t, uint64_t index, const uint64_t *record,
                                  uint64_t meta, uint32_t lines)
    void ll_table_warm(const ll_table *t, uint64_t index, uint64_t version, uint32_t lines)
    int64_t ll_table_read(const ll_table *t, uint64_t index, uint64_t *record)

    void ll_hdr_record(uint64_t *histogram, int64_t value)
    uint64_t ll_hdr_low(uint32_t index)
    uint32_t ll_hdr_index(uint64_t v)
    void ll_cell_add(uint64_t *cell, uint64_t count)

HISTOGRAM_CELLS = LL_HDR_CELLS
HISTOGRAM_BYTES = (LL_HDR_CELLS + 2) * 8 + 48
"""Overflow count, sum of nanoseconds, cells; padded to whole lines."""
CELL_BYTES = LL_LINE
GATES_MAX = LL_GATES_MAX
GATE_BYTES = LL_BLOCK
"""A gate: cursor, and on the next line the sleep flag."""
TABLE_ROW_HEAD_BYTES = LL_LINE
TABLE_CELLS = LL_TABLE_CELLS


@cython.final
cdef class _Pin:
    """Holds a buffer export and hands out checked, 8-byte aligned pointers into it."""

    cdef Py_buffer view
    cdef bint held

    def __cinit__(self, buffer, bint writable):
        PyObject_GetBuffer(buffer, &self.view, PyBUF_WRITABLE if writable else PyBUF_SIMPLE)
        self.held = True

    def __dealloc__(self):
        if self.held:
            PyBuffer_Release(&self.view)

    cdef uint64_t *at(self, Py_ssize_t offset, Py_ssize_t size_bytes) except NULL:
        if offset < 0 or size_bytes < 0 or size_bytes > self.view.len - offset:
            raise ValueError(
                f"{size_bytes} bytes at {offset} do not lie in a segment of {self.view.len}")
        if (<uintptr_t>self.view.buf + <size_t>offset) % 8:
            raise ValueError(f"offset {offset} is not aligned to 8 bytes")
        return <uint64_t *>(<char *>self.view.buf + offset)


@cython.final
cdef class _Staging:
    """One private, line-aligned record buffer."""

    cdef uint64_t *words
    cdef bytearray backing
    cdef object view

    def __cinit__(self, Py_ssize_t size_bytes):
        self.backing = bytearray(size_bytes + LL_LINE)
        cdef uintptr_t start = <uintptr_t>PyByteArray_AS_STRING(self.backing)
        cdef Py_ssize_t offset = <Py_ssize_t>(-start % LL_LINE)
        # The exported view also pins the bytearray: it can never be resized under our pointer.
        self.view = memoryview(self.backing)[offset:offset + size_bytes]
        self.words = <uint64_t *>(start + <uintptr_t>offset)


cdef _check_stream(Py_ssize_t slot_bytes, Py_ssize_t slot_count):
    if slot_bytes < 64 or slot_bytes % 64:
        raise ValueError(f"slot_bytes was {slot_bytes}, expected a multiple of 64")
    if slot_count < 2 or slot_count & (slot_count - 1):
        raise ValueError(f"slot_count was {slot_count}, expected a power of two from 2")
    if slot_count > PY_SSIZE_T_MAX // slot_bytes:
        raise ValueError(f"{slot_count} slots of {slot_bytes} bytes do not fit in memory")


@cython.final
cdef class StreamWriter(PublishEnd):
    """Writing end of a stream (see lowlat.core.ports.StreamWriter). One per stream, ever."""

    cdef ll_stream_writer writer
    cdef list pins
    cdef _Staging staging

    def __init__(self, segment, Py_ssize_t slots_offset, Py_ssize_t slot_bytes,
                 Py_ssize_t slot_count, Py_ssize_t cursor_offset, uint32_t epoch, gates=()):
        """gates: (buffer, offset) of each reader's gate block. Steps over a dead writer's work.

        Raises ValueError when a slot is ahead of the cursor: the segment is corrupt.
        """
        _check_stream(slot_bytes, slot_count)
        if len(gates) > LL_GATES_MAX:
            raise ValueError(f"{len(gates)} gates, at most {LL_GATES_MAX} fit")
        memset(&self.writer, 0, sizeof(self.writer))
        cdef _Pin pin = _Pin(segment, True)
        self.pins = [pin]
        self.writer.slots = pin.at(slots_offset, slot_bytes * slot_count)
        self.writer.cursor = pin.at(cursor_offset, 8)
        self.writer.mask = <uint64_t>slot_count - 1
        self.writer.words = <size_t>slot_bytes // 8
        self.writer.epoch = epoch
        for buffer, offset in gates:
            pin = _Pin(buffer, False)
            self.pins.append(pin)
            self.writer.gates[self.writer.gate_count] = pin.at(offset, LL_BLOCK)
            self.writer.gate_count += 1
        self.staging = _Staging(slot_bytes)
        if not ll_stream_resume(&self.writer):
            raise ValueError("a slot is ahead of the cursor: the stream is corrupt")

    @property
    def buffer(self):
        """One private slot; fields start behind the 16-byte head."""
        return self.staging.view

    @property
    def epoch(self):
        """This writer's epoch, as in every slot it writes."""
        return self.writer.epoch

    @property
    def cursor(self):
        """Position of the next record, from 1."""
        return self.writer.next

    @property
    def slot_count(self):
        """Number of slots."""
        return self.writer.mask + 1

    def publish(self, uint16_t kind, uint16_t flags=0):
        """Publish the buffer; return its position, or 0 when a gate has not passed the slot."""
        if kind == 0:
            raise ValueError("kind was 0, which a reader takes for an empty stream")
        return ll_stream_publish(&self.writer, self.staging.words, kind, flags)

    def free(self):
        """Slots that can be published before a gate stops us."""
        return ll_stream_free(&self.writer)

    cdef uint64_t c_publish(self, int kind) except? 0:
        return ll_stream_publish(&self.writer, self.staging.words, <uint16_t>kind, 0)

    cdef int64_t c_free(self) except -1:
        return <int64_t>ll_stream_free(&self.writer)

    cdef uint64_t c_cursor(self) except? 0:
        return self.writer.next

    def sleepers(self):
        """Return one bit a gate whose reader sleeps. Call after publishing (a full fence, 6 ns)."""
        return ll_stream_sleepers(&self.writer)

    @property
    def gates(self):
        """Each gate's cursor as its reader left it (0 = never attached)."""
        cdef uint32_t i
        return [LL_LOAD(self.writer.gates[i], __ATOMIC_ACQUIRE)
                for i in range(self.writer.gate_count)]


@cython.final
cdef class StreamReader(PollEnd):
    """Reading end of a stream (see lowlat.core.ports.StreamReader), optionally a gate."""

    cdef ll_stream_reader reader
    cdef uint64_t *gate
    cdef list pins
    cdef _Staging staging

    def __init__(self, segment, Py_ssize_t slots_offset, Py_ssize_t slot_bytes,
                 Py_ssize_t slot_count, Py_ssize_t cursor_offset, position=None, gate=None):
        """Start at position (default: the next record). gate: (writable buffer, offset)."""
        _check_stream(slot_bytes, slot_count)
        memset(&self.reader, 0, sizeof(self.reader))
        cdef _Pin pin = _Pin(segment, False)
        self.pins = [pin]
        self.reader.slots = pin.at(slots_offset, slot_bytes * slot_count)
        self.reader.cursor = pin.at(cursor_offset, 8)
        self.reader.mask = <uint64_t>slot_count - 1
        self.reader.words = <size_t>slot_bytes // 8
        self.staging = _Staging(slot_bytes)
        self.gate = NULL
        if gate is not None:
            pin = _Pin(gate[0], True)
            self.pins.append(pin)
            self.gate = pin.at(gate[1], LL_BLOCK)
        self.seek(self.cursor if position is None else position)

    def seek(self, uint64_t position):
        """Stand at position (from 1), and let the gate say so."""
        self.reader.next = position if position else 1
        self.release()

    @property
    def buffer(self):
        """Copy of the last record polled."""
        return self.staging.view

    @property
    def position(self):
        """Position of the record that the next poll looks at."""
        return self.reader.next

    @property
    def cursor(self):
        """Position of the writer's next record (at least 1)."""
        cdef uint64_t cursor = LL_LOAD(<uint64_t *>self.reader.cursor, __ATOMIC_ACQUIRE)
        return cursor if cursor else 1

    @property
    def epoch(self):
        """Writer's epoch of the last record polled."""
        return <uint32_t>self.staging.words[1]

    @property
    def lost(self):
        """Records overwritten before they were read."""
        return self.reader.lost

    @property
    def overruns(self):
        """How often the writer lapped us."""
        return self.reader.overruns

    def poll(self):
        """Return the next record's kind (record in buffer), 0 when empty, -1 after an overrun."""
        return self.c_poll()

    cdef int c_poll(self) except? -1:
        cdef int status = ll_stream_poll(&self.reader, self.staging.words)
        if status == LL_READ_OK:
            return <uint16_t>(self.staging.words[1] >> 32)
        return status

    cdef int c_release(self) except -1:
        if self.gate != NULL:
            LL_STORE(self.gate, self.reader.next, __ATOMIC_RELEASE)
        return 0

    cdef uint64_t c_position(self) except? 0:
        return self.reader.next

    cdef uint32_t c_epoch(self) except? 0:
        return <uint32_t>self.staging.words[1]

    def poll_into(self, uint64_t[:, ::1] slots):
        """Poll into rows of whole slots; return how many came before empty, an overrun or the end.

        An overrun costs no row: look at lost and overruns, and call again.
        """
        cdef Py_ssize_t count = 0
        if slots.shape[1] != <Py_ssize_t>self.reader.words:
            raise ValueError(f"rows of {slots.shape[1]} words, slots have {self.reader.words}")
        while (count < slots.shape[0]
               and ll_stream_poll(&self.reader, &slots[count, 0]) == LL_READ_OK):
            count += 1
        return count

    def ready(self):
        """Return whether a poll would return something."""
        return ll_stream_ready(&self.reader) != 0

    def sleep(self, bint sleeping):
        """Tell the writer that we are about to park, or woke. Look at ready() before parking."""
        if self.gate == NULL:
            raise ValueError("only a gated reader can ask to be woken")
        ll_gate_sleep(self.gate, sleeping)

    def release(self):
        """Let the writer reuse every slot polled so far. Does nothing without a gate."""
        self.c_release()


cdef class _Table(RowWriteEnd):
    cdef ll_table table
    cdef _Pin pin
    cdef _Staging staging

    def __init__(self, segment, Py_ssize_t offset, Py_ssize_t record_bytes, Py_ssize_t rows):
        if (record_bytes < 64 or record_bytes % 64 or rows < 1
                or rows > PY_SSIZE_T_MAX // (LL_LINE + LL_TABLE_CELLS * record_bytes)):
            raise ValueError(f"table of {rows} rows of {record_bytes} bytes")
        self.pin = _Pin(segment, self._writable())
        cdef Py_ssize_t row_bytes = LL_LINE + TABLE_CELLS * record_bytes
        self.table.base = self.pin.at(offset, row_bytes * rows)
        self.table.row_words = <size_t>row_bytes // 8
        self.table.words = <size_t>record_bytes // 8
        self.table.rows = <uint64_t>rows
        self.staging = _Staging(record_bytes)

    cdef bint _writable(self):
        return False

    @property
    def buffer(self):
        """One private row; fields start behind the 16-byte head."""
        return self.staging.view

    @property
    def rows(self):
        """Number of rows."""
        return self.table.rows

    def version(self, uint64_t row):
        """Return the row's version without copying it (0 = never written)."""
        return self.c_version(row)

    def read(self, uint64_t row):
        """Copy the row into buffer; return its version, 0 = never written, -1 = busy."""
        return self.c_read(row)

    cdef int64_t c_version(self, uint64_t row) except? -1:
        if row >= self.table.rows:
            raise IndexError(f"row {row} of {self.table.rows}")
        return <int64_t>ll_table_version(&self.table, row)

    cdef int64_t c_read(self, uint64_t row) except? -1:
        if row >= self.table.rows:
            raise IndexError(f"row {row} of {self.table.rows}")
        return ll_table_read(&self.table, row, self.staging.words)


@cython.final
cdef class TableReader(_Table):
    """Reading end of a latest-value table (see lowlat.core.ports.TableReader)."""

    def read_into(self, uint64_t[:, ::1] records, int64_t[::1] versions):
        """Copy every row and its version (0 = never written, -1 = busy, row untouched)."""
        cdef Py_ssize_t row
        if (records.shape[0] != <Py_ssize_t>self.table.rows
                or versions.shape[0] != records.shape[0]
                or records.shape[1] != <Py_ssize_t>self.table.words):
            raise ValueError(
                f"{records.shape[0]} rows of {records.shape[1]} words and {versions.shape[0]} "
                f"versions, the table has {self.table.rows} rows of {self.table.words} words")
        for row in range(records.shape[0]):
            versions[row] = ll_table_read(&self.table, row, &records[row, 0])

    @property
    def epoch(self):
        """Writer's epoch of the last row read."""
        return <uint32_t>self.staging.words[1]


@cython.final
cdef class TableWriter(_Table):
    """Writing end of a latest-value table; one per table. Reads back its own rows too."""

    cdef uint64_t meta

    def __init__(self, segment, Py_ssize_t offset, Py_ssize_t record_bytes, Py_ssize_t rows,
                 uint32_t epoch, uint16_t kind):
        _Table.__init__(self, segment, offset, record_bytes, rows)
        self.meta = ll_meta(epoch, kind, 0)

    cdef bint _writable(self):
        return True

    def warm(self, uint64_t row, uint64_t version, uint32_t lines):
        """Begin to load what write_lines will touch as that version; changes nothing."""
        self.c_warm(row, version, lines)

    cdef int c_warm(self, uint64_t row, uint64_t version, uint32_t lines) except -1:
        if row < self.table.rows:
            ll_table_warm(&self.table, row, version, lines)
        return 0

    def write_lines(self, uint64_t row, uint32_t lines):
        """Write as ``write``, but of the buffer only the 64-byte lines whose bit is set.

        For a writer who knows what the rest of the cell holds: the row of four versions ago.
        """
        return self.c_write_lines(row, lines)

    cdef int64_t c_write_lines(self, uint64_t row, uint32_t lines) except -1:
        if row >= self.table.rows:
            raise IndexError(f"row {row} of {self.table.rows}")
        return <int64_t>ll_table_write_lines(
            &self.table, row, self.staging.words, self.meta, lines)

    def write(self, uint64_t row):
        """Write the buffer as the row's next version; return the version (from 1)."""
        return self.c_write(row)

    cdef int64_t c_write(self, uint64_t row) except -1:
        if row >= self.table.rows:
            raise IndexError(f"row {row} of {self.table.rows}")
        return <int64_t>ll_table_write(&self.table, row, self.staging.words, self.meta)


@cython.final
cdef class Cell(CountEnd):
    """A counter or gauge on its own cache line. One writer; anyone may read."""

    cdef uint64_t *word
    cdef _Pin pin

    def __init__(self, segment, Py_ssize_t offset, bint writable=True):
        self.pin = _Pin(segment, writable)
        self.word = self.pin.at(offset, 8)

    def add(self, uint64_t count):
        """Add count."""
        ll_cell_add(self.word, count)

    cdef int c_add(self, uint64_t count) except -1:
        ll_cell_add(self.word, count)
        return 0

    cdef uint64_t c_value(self) except? 0:
        return LL_LOAD(self.word, __ATOMIC_ACQUIRE)

    def set(self, uint64_t value):
        """Overwrite."""
        LL_STORE(self.word, value, __ATOMIC_RELEASE)

    def max(self, uint64_t value):
        """Keep the larger."""
        if value > LL_LOAD(self.word, __ATOMIC_RELAXED):
            LL_STORE(self.word, value, __ATOMIC_RELAXED)

    @property
    def value(self):
        """Current value."""
        return LL_LOAD(self.word, __ATOMIC_ACQUIRE)


@cython.final
cdef class Histogram(RecordEnd):
    """HDR cells in shared memory: 1 ns to 60 s within 0.8 %, larger values clamped and counted."""

    cdef uint64_t *words
    cdef _Pin pin

    def __init__(self, segment, Py_ssize_t offset, bint writable=True):
        self.pin = _Pin(segment, writable)
        self.words = self.pin.at(offset, HISTOGRAM_BYTES)

    def record(self, int64_t value_ns):
        """Count one value."""
        ll_hdr_record(self.words, value_ns)

    cdef int c_record(self, int64_t value_ns) except -1:
        ll_hdr_record(self.words, value_ns)
        return 0

    def copy_into(self, uint64_t[::1] cells):
        """Copy overflow count, sum and cells (``uint64[HISTOGRAM_CELLS + 2]``)."""
        cdef Py_ssize_t i
        if cells.shape[0] != LL_HDR_CELLS + 2:
            raise ValueError(f"cells has {cells.shape[0]} words, expected {LL_HDR_CELLS + 2}")
        for i in range(LL_HDR_CELLS + 2):
            cells[i] = LL_LOAD(&self.words[i], __ATOMIC_RELAXED)


def histogram_low_ns(uint32_t index):
    """Return the smallest value of a cell."""
    return ll_hdr_low(index)


def histogram_index(uint64_t value_ns):
    """Return the cell of a value (may lie over the last cell)."""
    return ll_hdr_index(value_ns)


def store_release(segment, Py_ssize_t offset, uint64_t value):
    """Store one header word after everything before it (the magic, the epoch)."""
    cdef _Pin pin = _Pin(segment, True)
    LL_STORE(pin.at(offset, 8), value, __ATOMIC_RELEASE)


def load_acquire(segment, Py_ssize_t offset):
    """Load one header word before everything after it."""
    cdef _Pin pin = _Pin(segment, False)
    return LL_LOAD(pin.at(offset, 8), __ATOMIC_ACQUIRE)
