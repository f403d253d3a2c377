/* Ring, gate and table under thread sanitizer: one writer, two readers, self-checking payloads.
 *
 * TSan does not model fences, but payload words are relaxed atomics, so it must stay silent. Built
 * with -DPLAIN_COPY the reader copies with plain loads: then TSan must report a race, which shows
 * that the harness can fail. argv[1]: number of messages.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ring.h"

#define SLOTS 4
#define WORDS 16

static uint64_t slots[SLOTS * WORDS] __attribute__((aligned(128)));
static uint64_t cursor_block[16] __attribute__((aligned(128)));
static uint64_t gate[16] __attribute__((aligned(128)));
static uint64_t table_words[LL_LINE / 8 + LL_TABLE_CELLS * WORDS] __attribute__((aligned(128)));
static uint64_t messages;
static ll_table table = {table_words, LL_LINE / 8 + LL_TABLE_CELLS * WORDS, WORDS, 1};
static int failures;

static void fill(uint64_t *record, uint64_t seed) {
    for (int i = 2; i < WORDS; i++) record[i] = seed * 0x9E3779B97F4A7C15u + i;
}

static void check(const uint64_t *record) {
    uint64_t base = record[2] - 2;
    for (int i = 3; i < WORDS; i++)
        if (record[i] != base + i) __atomic_fetch_add(&failures, 1, __ATOMIC_RELAXED);
}

static void *write_all(void *unused) {
    (void)unused;
    ll_stream_writer w = {.slots = slots, .cursor = cursor_block, .gates = {gate},
                          .mask = SLOTS - 1, .words = WORDS, .gate_count = 1, .epoch = 1};
    uint64_t record[WORDS] = {0};
    if (!ll_stream_resume(&w)) abort();
    for (uint64_t n = 1; n <= messages; n++) {
        fill(record, n);
        while (!ll_stream_publish(&w, record, 1, 0)) sched_yield();
        ll_table_write(&table, 0, record, 1);
        if (ll_stream_sleepers(&w) > 1) abort();
    }
    return NULL;
}

static int poll_one(ll_stream_reader *r, uint64_t *record) {
#ifdef PLAIN_COPY
    const volatile uint64_t *slot = r->slots + (r->next & r->mask) * r->words;
    uint64_t want = 2 * r->next + 2, before = LL_LOAD((uint64_t *)slot, __ATOMIC_ACQUIRE);
    if (before < want) return LL_READ_EMPTY;
    for (size_t i = 1; i < r->words; i++) record[i] = slot[i];
#endif
    return ll_stream_poll(r, record);
}

static void *read_all(void *gated) {
    ll_stream_reader r = {.slots = slots, .cursor = cursor_block, .next = 1, .mask = SLOTS - 1,
                          .words = WORDS};
    uint64_t record[WORDS], row[WORDS], got = 0;
    while (r.next <= messages) {
        int status = poll_one(&r, record);
        if (status == LL_READ_OK) {
            got++;
            check(record);
            if (gated) {
                LL_STORE(gate, r.next, __ATOMIC_RELEASE);
                ll_gate_sleep(gate, r.next & 1);
            }
        } else if (status == LL_READ_EMPTY) {
            sched_yield();
        }
        if (ll_table_read(&table, 0, row) > 0) check(row);
    }
    if (got + r.lost != messages || (gated && r.lost)) {
        fprintf(stderr, "got %lu lost %lu of %lu\n", got, r.lost, messages);
        __atomic_fetch_add(&failures, 1, __ATOMIC_RELAXED);
    }
    return NULL;
}

int main(int argc, char **argv) {
    pthread_t writer, gated, plain;
    messages = argc > 1 ? strtoull(argv[1], NULL, 10) : 20000;
    pthread_create(&gated, NULL, read_all, gate);
    pthread_create(&plain, NULL, read_all, NULL);
    pthread_create(&writer, NULL, write_all, NULL);
    pthread_join(writer, NULL);
    pthread_join(gated, NULL);
    pthread_join(plain, NULL);
    printf("failures %d\n", failures);
    return failures != 0;
}
