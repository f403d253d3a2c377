/* One hop through the very rings the engine uses, driven from C: the floor of `bench hop`. */
#include <stdint.h>
#include <time.h>

#include "ring.h"

static int64_t now_ns(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static ll_stream_writer writer_of(uint64_t *segment, uint64_t slot_bytes, uint64_t slots) {
    ll_stream_writer w = {.slots = segment + 16, .cursor = segment, .mask = slots - 1,
                          .words = slot_bytes / 8, .epoch = 1};
    ll_stream_resume(&w);
    return w;
}

static ll_stream_reader reader_of(uint64_t *segment, uint64_t slot_bytes, uint64_t slots) {
    ll_stream_reader r = {.slots = segment + 16, .cursor = segment, .next = 1, .mask = slots - 1,
                          .words = slot_bytes / 8};
    return r;
}

/* Send count records and wait for each echo; rtt_ns[i] is the round trip. */
void hop_ping(uint64_t *out, uint64_t *in, uint64_t slot_bytes, uint64_t slots, int64_t count,
              int64_t *rtt_ns) {
    ll_stream_writer w = writer_of(out, slot_bytes, slots);
    ll_stream_reader r = reader_of(in, slot_bytes, slots);
    uint64_t record[256] = {0};
    for (int64_t i = 0; i < count; i++) {
        int64_t start = now_ns();
        ll_stream_publish(&w, record, 1, 0);
        while (ll_stream_poll(&r, record) != LL_READ_OK) {
        }
        rtt_ns[i] = now_ns() - start;
    }
}

void hop_echo(uint64_t *in, uint64_t *out, uint64_t slot_bytes, uint64_t slots, int64_t count) {
    ll_stream_writer w = writer_of(out, slot_bytes, slots);
    ll_stream_reader r = reader_of(in, slot_bytes, slots);
    uint64_t record[256];
    for (int64_t i = 0; i < count; i++) {
        while (ll_stream_poll(&r, record) != LL_READ_OK) {
        }
        ll_stream_publish(&w, record, 1, 0);
    }
}
