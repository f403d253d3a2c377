/* Shared-memory algorithms: one writer, any number of readers, no lock, no compare-and-swap.
 *
 * Everything that needs memory ordering in lowlat is in this file and only here. It is plain C
 * over pointers, so the extension, the C floors, the thread-sanitizer harness and the test build
 * with the fault hook share it unchanged.
 *
 * Slot. Word 0 is the sequence: for message n (n >= 1) it is 2n+1 while written and 2n+2 when
 * complete; 0 means never used. Word 1 is epoch u32 | kind u16 | flags u16. The rest is payload.
 *
 *   writer                               reader of n
 *   seq = 2n+1            relaxed        s1 = seq                 acquire
 *   release fence                        s1 != 2n+2 -> not there or lapped
 *   words 1..             relaxed        words 1..                relaxed
 *   seq = 2n+2            release        acquire fence
 *                                        s2 = seq relaxed; s2 != s1 -> overwritten meanwhile
 *
 * Why fences and not a release store of the odd value: release orders what is before it, so the
 * payload stores after it could become visible first. Why an acquire fence before the second load
 * and not an acquire load: acquire orders what comes after it. (Boehm, HPL-2012-68.) Payload words
 * are relaxed atomics, because anything else is a data race by the language.
 *
 * A gate is a reader's cursor that the writer must not lap. It lives in the reader's own memory, a
 * block each: the cursor, and on the next line the sleep flag. A reader that wants to park stores
 * the flag, fences (seq_cst) and looks again; the writer fences (seq_cst) after publishing and looks
 * at the flag. One of the two always sees the other: this is the only place that needs seq_cst.
 */
#ifndef LOWLAT_RING_H
#define LOWLAT_RING_H

#include <stddef.h>
#include <stdint.h>

#define LL_LINE 64
#define LL_BLOCK 128 /* x86 prefetches lines in pairs: separate writers by two */
#define LL_GATES_MAX 8
#define LL_GATE_SLEEP 8 /* word of the sleep flag in a gate's block */
#define LL_TABLE_CELLS 4
#define LL_TABLE_RETRIES 8
#define LL_HDR_HALF_BITS 7 /* <= 0.8 % error */
#define LL_HDR_CELLS 3808  /* up to 60 s in nanoseconds */

/* The fault hook: in the test build every store counts down and may end or stop the process. */
#ifdef LL_FAULT_HOOK
extern void ll_stored(void);
extern int ll_skip_checks;
#define LL_STORED() ll_stored()
#define LL_SKIP_CHECKS ll_skip_checks
#else
#define LL_STORED() ((void)0)
#define LL_SKIP_CHECKS 0
#endif

#define LL_LOAD(p, order) __atomic_load_n((p), (order))
#define LL_STORE(p, v, order)                \
    do {                                     \
        __atomic_store_n((p), (v), (order)); \
        LL_STORED();                         \
    } while (0)

enum { LL_READ_OK = 1, LL_READ_EMPTY = 0, LL_READ_LAPPED = -1 };

/* ------------------------------------------------------------------------------------ slots */
static inline uint64_t ll_meta(uint32_t epoch, uint16_t kind, uint16_t flags) {
    return (uint64_t)epoch | (uint64_t)kind << 32 | (uint64_t)flags << 48;
}

static inline void ll_slot_write(uint64_t *slot, const uint64_t *record, size_t words, uint64_t n,
                                 uint64_t meta) {
    LL_STORE(&slot[0], 2 * n + 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    LL_STORE(&slot[1], meta, __ATOMIC_RELAXED);
    for (size_t i = 2; i < words; i++) LL_STORE(&slot[i], record[i], __ATOMIC_RELAXED);
    LL_STORE(&slot[0], 2 * n + 2, __ATOMIC_RELEASE);
}

/* Copy message n out of its slot. LAPPED also when it was overwritten during the copy. */
static inline int ll_slot_read(const uint64_t *slot, uint64_t *record, size_t words, uint64_t n) {
    uint64_t want = 2 * n + 2;
    uint64_t before = LL_LOAD(&slot[0], __ATOMIC_ACQUIRE);
    if (before != want) return before > want ? LL_READ_LAPPED : LL_READ_EMPTY;
    record[0] = before;
    for (size_t i = 1; i < words; i++) record[i] = LL_LOAD(&slot[i], __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (LL_LOAD(&slot[0], __ATOMIC_RELAXED) != before && !LL_SKIP_CHECKS) return LL_READ_LAPPED;
    return LL_READ_OK;
}

/* ----------------------------------------------------------------------------------- stream */
typedef struct {
    uint64_t *slots;
    uint64_t *cursor; /* position of the next message; written by the writer, read by anyone */
    uint64_t *gates[LL_GATES_MAX];
    uint64_t next;
    uint64_t passed; /* cached lowest gate */
    uint64_t mask;
    size_t words;
    uint32_t gate_count;
    uint32_t epoch;
} ll_stream_writer;

static inline uint64_t *ll_slot_at(uint64_t *slots, uint64_t mask, size_t words, uint64_t n) {
    return slots + (n & mask) * words;
}

/* Lowest gate. One ahead of the writer is corrupt and counts, like one that was never attached (0),
 * as a reader that still stands at the first message. */
static inline uint64_t ll_gates_low(ll_stream_writer *w) {
    uint64_t low = w->next;
    for (uint32_t i = 0; i < w->gate_count; i++) {
        uint64_t gate = LL_LOAD(w->gates[i], __ATOMIC_ACQUIRE);
        if (gate == 0 || gate > w->next) gate = 1;
        if (gate < low) low = gate;
    }
    return low;
}

static inline uint64_t ll_stream_free(ll_stream_writer *w) {
    uint64_t count = w->mask + 1;
    if (!w->gate_count) return count;
    w->passed = ll_gates_low(w);
    uint64_t used = w->next - w->passed;
    return used >= count ? 0 : count - used;
}

/* Publish; returns the position, or 0 when a gate has not passed the slot. */
static inline uint64_t ll_stream_publish(ll_stream_writer *w, const uint64_t *record, uint16_t kind,
                                         uint16_t flags) {
    uint64_t n = w->next;
    if (w->gate_count && n - w->passed > w->mask && !ll_stream_free(w)) return 0;
    ll_slot_write(ll_slot_at(w->slots, w->mask, w->words, n), record, w->words, n,
                  ll_meta(w->epoch, kind, flags));
    w->next = n + 1;
    LL_STORE(w->cursor, n + 1, __ATOMIC_RELEASE);
    return n;
}

/* Take over a stream, also from a writer that died at any store. A slot that is complete although
 * the cursor never moved is stepped over: writing it again with the same sequence numbers could
 * make a reader that was stopped inside it accept half of each. An odd slot heals by overwriting.
 * Returns 0, and touches nothing, when any slot is ahead of the cursor: the segment is corrupt. */
static inline int ll_stream_resume(ll_stream_writer *w) {
    uint64_t n = LL_LOAD(w->cursor, __ATOMIC_ACQUIRE);
    if (n == 0) n = 1;
    uint64_t *slot = ll_slot_at(w->slots, w->mask, w->words, n);
    for (uint64_t i = 0; i <= w->mask; i++)
        if (LL_LOAD(w->slots + i * w->words, __ATOMIC_ACQUIRE) > 2 * n + 2) return 0;
    if (LL_LOAD(&slot[0], __ATOMIC_ACQUIRE) == 2 * n + 2) n++;
    w->next = n;
    w->passed = 1;
    LL_STORE(w->cursor, n, __ATOMIC_RELEASE);
    return 1;
}

/* Which gates' readers sleep, one bit each. Call after publishing; costs a full fence. */
static inline uint32_t ll_stream_sleepers(ll_stream_writer *w) {
    uint32_t bits = 0;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    for (uint32_t i = 0; i < w->gate_count; i++)
        if (LL_LOAD(w->gates[i] + LL_GATE_SLEEP, __ATOMIC_RELAXED)) bits |= 1u << i;
    return bits;
}

/* Say that the reader owning this gate sleeps or wakes. Look once more after saying sleep. */
static inline void ll_gate_sleep(uint64_t *gate, uint64_t sleeping) {
    LL_STORE(gate + LL_GATE_SLEEP, sleeping, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

typedef struct {
    const uint64_t *slots;
    const uint64_t *cursor;
    uint64_t next;
    uint64_t lost;
    uint64_t overruns;
    uint64_t mask;
    size_t words;
} ll_stream_reader;

/* Whether a poll would return something, without copying it. */
static inline int ll_stream_ready(const ll_stream_reader *r) {
    const uint64_t *slot = r->slots + (r->next & r->mask) * r->words;
    return LL_LOAD(&slot[0], __ATOMIC_ACQUIRE) >= 2 * r->next + 2;
}

/* Poll the next message. After an overrun the reader stands at the newest message: the oldest
 * survivor is the next to be overwritten. Never spins: an odd slot is simply not there yet. */
static inline int ll_stream_poll(ll_stream_reader *r, uint64_t *record) {
    const uint64_t *slot = r->slots + (r->next & r->mask) * r->words;
    int status = ll_slot_read(slot, record, r->words, r->next);
    if (status == LL_READ_OK) {
        r->next++;
    } else if (status == LL_READ_LAPPED) {
        uint64_t cursor = LL_LOAD(r->cursor, __ATOMIC_ACQUIRE);
        /* Stores to slot and cursor are unordered for us: the cursor may look older than the lap. */
        uint64_t newest = cursor > r->next + 1 ? cursor - 1 : r->next + 1;
        r->lost += newest - r->next;
        r->overruns++;
        r->next = newest;
    }
    return status;
}

/* ------------------------------------------------------------------------------------ table
 * Row: a counter on its own line, then four cells. Version v lives in cell v & 3 as a slot with
 * n = v. A writer killed inside a cell leaves the counter at the version before: nobody waits. */
typedef struct {
    uint64_t *base;
    size_t row_words;
    size_t words;
    uint64_t rows;
} ll_table;

static inline uint64_t *ll_table_row(const ll_table *t, uint64_t row) {
    return t->base + row * t->row_words;
}

static inline uint64_t *ll_table_cell(const ll_table *t, uint64_t *row, uint64_t version) {
    return row + LL_LINE / 8 + (version & (LL_TABLE_CELLS - 1)) * t->words;
}

static inline uint64_t ll_table_version(const ll_table *t, uint64_t row) {
    return LL_LOAD(ll_table_row(t, row), __ATOMIC_ACQUIRE);
}

static inline uint64_t ll_table_write(const ll_table *t, uint64_t index, const uint64_t *record,
                                      uint64_t meta) {
    uint64_t *row = ll_table_row(t, index);
    uint64_t version = LL_LOAD(row, __ATOMIC_RELAXED) + 1;
    uint64_t *cell = ll_table_cell(t, row, version);
    /* A dead writer may have completed this very version without counting it: step over it. */
    if (LL_LOAD(&cell[0], __ATOMIC_RELAXED) == 2 * version + 2) {
        LL_STORE(row, version, __ATOMIC_RELEASE);
        version++;
        cell = ll_table_cell(t, row, version);
    }
    ll_slot_write(cell, record, t->words, version, meta);
    LL_STORE(row, version, __ATOMIC_RELEASE);
    return version;
}

/* The same, but of the record only the cache lines whose bit is set: for a writer who knows that the
 * rest is what this cell holds from four versions ago. It writes a row's first four versions whole,
 * so one that a dead writer left, which is met by a first write only, is written whole too. */
static inline uint64_t ll_table_write_lines(const ll_table *t, uint64_t index,
                                            const uint64_t *record, uint64_t meta,
                                            uint32_t lines) {
    uint64_t *row = ll_table_row(t, index);
    uint64_t version = LL_LOAD(row, __ATOMIC_RELAXED) + 1;
    uint64_t *cell = ll_table_cell(t, row, version);
    if (LL_LOAD(&cell[0], __ATOMIC_RELAXED) == 2 * version + 2)
        return ll_table_write(t, index, record, meta);
    LL_STORE(&cell[0], 2 * version + 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    LL_STORE(&cell[1], meta, __ATOMIC_RELAXED);
    for (size_t line = 0; line < t->words / 8; line++) {
        if (!(lines >> line & 1)) continue;
        for (size_t i = line ? 8 * line : 2; i < 8 * line + 8; i++)
            LL_STORE(&cell[i], record[i], __ATOMIC_RELAXED);
    }
    LL_STORE(&cell[0], 2 * version + 2, __ATOMIC_RELEASE);
    LL_STORE(row, version, __ATOMIC_RELEASE);
    return version;
}

/* Begin to load those lines of the cell that a version will go to, without a look at the counter: among thousands of rows they
 * are in no cache, and a writer that knows its row early need not wait for them. */
static inline void ll_table_warm(const ll_table *t, uint64_t index, uint64_t version,
                                 uint32_t lines) {
    uint64_t *row = ll_table_row(t, index);
    uint64_t *cell = ll_table_cell(t, row, version);
    __builtin_prefetch(row, 1, 3);
    for (size_t line = 0; line < t->words / 8; line++)
        if (lines >> line & 1) __builtin_prefetch(cell + 8 * line, 1, 3);
}

/* Newest version of a row: its number, 0 when never written, -1 when every retry was overrun. */
static inline int64_t ll_table_read(const ll_table *t, uint64_t index, uint64_t *record) {
    uint64_t *row = ll_table_row(t, index);
    for (int i = 0; i < LL_TABLE_RETRIES; i++) {
        uint64_t version = LL_LOAD(row, __ATOMIC_ACQUIRE);
        if (version == 0) return 0;
        if (ll_slot_read(ll_table_cell(t, row, version), record, t->words, version) == LL_READ_OK)
            return (int64_t)version;
    }
    return -1;
}

/* -------------------------------------------------------------------- histograms and counters
 * Cells only grow and have one writer, so a plain load and store is enough; readers subtract
 * copies. Cell of v: b = 64 - clz(v | (2^(h+1) - 1)) - (h + 1), index = ((b + 1) << h) + (v >> b)
 * - 2^h. */
static inline uint32_t ll_hdr_index(uint64_t v) {
    uint32_t b = 64 - (uint32_t)__builtin_clzll(v | ((2u << LL_HDR_HALF_BITS) - 1)) -
                 (LL_HDR_HALF_BITS + 1);
    return (uint32_t)(((b + 1) << LL_HDR_HALF_BITS) + (v >> b) - (1u << LL_HDR_HALF_BITS));
}

static inline uint64_t ll_hdr_low(uint32_t index) {
    uint32_t half = 1u << LL_HDR_HALF_BITS;
    if (index < 2 * half) return index;
    uint32_t b = (index >> LL_HDR_HALF_BITS) - 1;
    return (uint64_t)(index - (b << LL_HDR_HALF_BITS)) << b;
}

static inline void ll_cell_add(uint64_t *cell, uint64_t count) {
    LL_STORE(cell, LL_LOAD(cell, __ATOMIC_RELAXED) + count, __ATOMIC_RELAXED);
}

/* Word 0 counts values over the range, word 1 sums nanoseconds, cells follow. */
static inline void ll_hdr_record(uint64_t *histogram, int64_t value) {
    uint64_t v = value < 1 ? 1 : (uint64_t)value;
    uint32_t index = ll_hdr_index(v);
    if (index >= LL_HDR_CELLS) {
        index = LL_HDR_CELLS - 1;
        ll_cell_add(&histogram[0], 1);
    }
    ll_cell_add(&histogram[1], v);
    ll_cell_add(&histogram[2 + index], 1);
}

#endif
