/* The venue's side of tick-to-wire, and the floor it is compared with.
 *
 * The generator sends WebSocket frames by schedule (frame i is due at t0 + i * spacing, whatever
 * came back) and times the order requests that answer the trigger frames: from due to the last
 * byte received. The floor is the least a program can do with the same bytes: busy recv, find the
 * trigger, one send. Both run against the very same generator, so its own cost cancels.
 *
 * OpenSSL is loaded at run time (no headers needed) and only for the TLS rows. The generator's own
 * TLS is no part of any time: a frame is sealed before it is due, and a request's time is taken
 * before it is opened.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BUFFER_BYTES (1 << 16)
#define CONNECTIONS_MAX 64

typedef struct conn {
    int fd;
    void *ssl;
    void *in, *out; /* memory BIOs of a generator's end, NULL where SSL has the socket */
    int64_t at;     /* when the bytes of the last wire_recv came */
    uint32_t used;
    char buffer[BUFFER_BYTES];
} conn;

static struct {
    void *(*ctx_new)(const void *);
    const void *(*server_method)(void);
    const void *(*client_method)(void);
    int (*use_cert)(void *, const char *);
    int (*use_key)(void *, const char *, int);
    void *(*ssl_new)(void *);
    int (*set_fd)(void *, int);
    int (*accept)(void *);
    int (*connect)(void *);
    int (*read)(void *, void *, int);
    int (*write)(void *, const void *, int);
    const void *(*bio_kind)(void);
    void *(*bio_new)(const void *);
    void (*set_bio)(void *, void *, void *);
    int (*bio_read)(void *, void *, int);
    int (*bio_write)(void *, const void *, int);
} tls;

static int64_t now_ns(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int64_t wire_now_ns(void) { return now_ns(); }

static int tls_load(void) {
    if (tls.read) return 0;
    void *lib = dlopen("libssl.so.3", RTLD_NOW);
    if (!lib) lib = dlopen("libssl.so.1.1", RTLD_NOW);
    if (!lib) return -1;
#define SYMBOL(field, name) *(void **)&tls.field = dlsym(lib, name)
    SYMBOL(ctx_new, "SSL_CTX_new");
    SYMBOL(server_method, "TLS_server_method");
    SYMBOL(client_method, "TLS_client_method");
    SYMBOL(use_cert, "SSL_CTX_use_certificate_chain_file");
    SYMBOL(use_key, "SSL_CTX_use_PrivateKey_file");
    SYMBOL(ssl_new, "SSL_new");
    SYMBOL(set_fd, "SSL_set_fd");
    SYMBOL(accept, "SSL_accept");
    SYMBOL(connect, "SSL_connect");
    SYMBOL(read, "SSL_read");
    SYMBOL(write, "SSL_write");
    SYMBOL(bio_kind, "BIO_s_mem");
    SYMBOL(bio_new, "BIO_new");
    SYMBOL(set_bio, "SSL_set_bio");
    SYMBOL(bio_read, "BIO_read");
    SYMBOL(bio_write, "BIO_write");
    return tls.read && tls.write && tls.bio_read && tls.bio_write ? 0 : -1;
}

/* A blocking TLS handshake when cert is given (server) or client is set; NULL on failure. */
conn *wire_open(int fd, int client_tls, const char *cert, const char *key) {
    conn *c = calloc(1, sizeof(conn));
    c->fd = fd;
    if (!cert && !client_tls) return c;
    if (tls_load()) return NULL;
    void *ctx = tls.ctx_new(cert ? tls.server_method() : tls.client_method());
    if (cert && (tls.use_cert(ctx, cert) != 1 || tls.use_key(ctx, key, 1) != 1)) return NULL;
    c->ssl = tls.ssl_new(ctx);
    tls.set_fd(c->ssl, fd);
    if ((cert ? tls.accept(c->ssl) : tls.connect(c->ssl)) != 1) return NULL;
    if (cert) {
        c->in = tls.bio_new(tls.bio_kind());
        c->out = tls.bio_new(tls.bio_kind());
        if (!c->in || !c->out) return NULL;
        tls.set_bio(c->ssl, c->in, c->out);
    }
    return c;
}

/* Bytes read, 0 = nothing now, -1 = closed. */
int wire_recv(conn *c, char *to, int bytes) {
    static char raw[BUFFER_BYTES];
    int got;
    if (c->ssl && !c->in) {
        errno = 0;
        got = tls.read(c->ssl, to, bytes);
        return got > 0 ? got : (errno == EAGAIN || errno == EWOULDBLOCK || got < 0) ? 0 : -1;
    }
    got = (int)recv(c->fd, c->in ? raw : to, c->in ? sizeof raw : (size_t)bytes, MSG_DONTWAIT);
    if (got <= 0) return got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? 0 : -1;
    c->at = now_ns();
    if (!c->in) return got;
    if (tls.bio_write(c->in, raw, got) != got) return -1;
    int opened = 0;
    while (opened < bytes && (got = tls.read(c->ssl, to + opened, bytes - opened)) > 0)
        opened += got;
    return opened;
}

static int send_all(conn *c, const char *from, int bytes) {
    int sent = 0;
    while (sent < bytes) {
        int n = c->ssl && !c->in
                    ? tls.write(c->ssl, from + sent, bytes - sent)
                    : (int)send(c->fd, from + sent, (size_t)(bytes - sent), MSG_NOSIGNAL);
        if (n <= 0) {
            if (errno == EAGAIN || errno == EWOULDBLOCK) continue;
            return -1;
        }
        sent += n;
    }
    return sent;
}

/* What goes over the wire for these bytes; its length, -1 when it has no room. */
static int seal(conn *c, const char *from, int bytes, char *to, int room) {
    if (tls.write(c->ssl, from, bytes) != bytes) return -1;
    int sealed = tls.bio_read(c->out, to, room);
    return sealed < room ? sealed : -1;
}

int wire_send(conn *c, const char *from, int bytes) {
    static char sealed[2 * BUFFER_BYTES];
    if (!c->in) return send_all(c, from, bytes);
    int size = seal(c, from, bytes, sealed, sizeof sealed);
    return size > 0 && send_all(c, sealed, size) == size ? bytes : -1;
}

/* Length of the whole HTTP request at the start of the buffer, 0 while incomplete. */
static uint32_t request_length(conn *c) {
    c->buffer[c->used < BUFFER_BYTES ? c->used : BUFFER_BYTES - 1] = 0;
    char *end = memmem(c->buffer, c->used, "\r\n\r\n", 4);
    if (!end) return 0;
    uint32_t head = (uint32_t)(end - c->buffer) + 4;
    char *length = memmem(c->buffer, head, "Content-Length: ", 16);
    uint32_t body = length ? (uint32_t)strtoul(length + 16, NULL, 10) : 0;
    return c->used >= head + body ? head + body : 0;
}

typedef struct {
    int64_t sent_frames;
    int64_t late_ns_max; /* how far the generator itself fell behind its schedule */
    int64_t left_out;    /* triggers that it sent too late to be a measurement */
    int64_t requests;
    int64_t unexpected; /* orders for a market that drew none */
    int64_t overtaken;  /* orders that came after the next trigger; their times count */
    int64_t missed;
    int64_t request_bytes;
    int64_t closed;
} wire_result;

typedef struct {
    int64_t since; /* when its trigger was due; 0: nothing is waited for */
    int at;        /* number of that trigger */
} wire_wait;

#define KEYS_MAX 256
#define KEY_BYTES 80
static const char TOKEN[] = "\"tokenId\":\"";
static const char ASSET[] = "\"asset_id\":\"";

/* Which market an order is for: its number among keys, -1 for none of them. */
static int key_of(const char *request, uint32_t length, const char *keys, int key_count) {
    const char *token = memmem(request, length, TOKEN, sizeof TOKEN - 1);
    if (!token) return -1;
    token += sizeof TOKEN - 1;
    for (int i = 0; i < key_count; i++) {
        const char *key = keys + i * KEY_BYTES;
        size_t size = strlen(key);
        if (token + size < request + length && !memcmp(token, key, size) && token[size] == '"')
            return i;
    }
    return -1;
}

/* Send frames by schedule; latency_ns gets one value for each trigger, in order. trigger[i] is the
 * number of the market that frame i makes cheap, -1 for none; an order counts for its own market's
 * trigger, however late. What is not answered until the market's next trigger or the end is missed:
 * its value is how long it had waited by then. A trigger that left the generator more than
 * late_ns_limit behind its time measures the generator: its value is -1. */
int wire_generate(conn **feeds, const uint8_t *feed_of, conn **orders, int order_count,
                  const char *frames, const uint32_t *offsets, const int32_t *trigger, int count,
                  const char *keys, int key_count, int64_t spacing_ns, int64_t late_ns_limit,
                  const char *answer, int answer_bytes, const char *pong, int pong_bytes,
                  int64_t *latency_ns, char *sample, int sample_bytes, wire_result *result) {
    static char sealed[2 * BUFFER_BYTES];
    int poller = epoll_create1(0), triggered = 0, waiting = 0;
    int ready_frame = -1, frame_bytes = 0;
    const char *frame = NULL;
    struct epoll_event events[CONNECTIONS_MAX];
    wire_wait waits[KEYS_MAX] = {{0, 0}};
    memset(result, 0, sizeof *result);
    if (key_count > KEYS_MAX) return -1;
    for (int i = 0; i < order_count; i++) {
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = orders[i]};
        epoll_ctl(poller, EPOLL_CTL_ADD, orders[i]->fd, &e);
    }
    int64_t t0 = now_ns() + 1000000;
    int next = 0;
    int64_t end = t0 + (int64_t)count * spacing_ns + 50000000;
    for (;;) {
        if (next < count && ready_frame != next) {
            conn *c = feeds[feed_of[next]];
            frame = frames + offsets[next];
            frame_bytes = (int)(offsets[next + 1] - offsets[next]);
            if (c->in) {
                frame_bytes = seal(c, frame, frame_bytes, sealed, sizeof sealed);
                frame = sealed;
            }
            ready_frame = next;
        }
        int64_t now = now_ns();
        if (next < count && now >= t0 + next * spacing_ns) {
            int64_t due = t0 + next * spacing_ns;
            if (now - due > result->late_ns_max) result->late_ns_max = now - due;
            if (trigger[next] >= 0) {
                wire_wait *wait = &waits[trigger[next]];
                if (wait->since) {
                    result->missed++;
                    waiting--;
                    latency_ns[wait->at] = now - wait->since;
                }
                wait->since = due;
                wait->at = triggered++;
                waiting++;
                latency_ns[wait->at] = 0;
                if (now - due > late_ns_limit) {
                    result->left_out++;
                    latency_ns[wait->at] = -1;
                }
            }
            if (frame_bytes < 0 || send_all(feeds[feed_of[next]], frame, frame_bytes) < 0) {
                result->closed = 1;
                break;
            }
            next++;
            result->sent_frames++;
        }
        if (now > end || (next == count && !waiting && now > end - 40000000)) break;
        int ready = epoll_wait(poller, events, CONNECTIONS_MAX, 0);
        for (int i = 0; i < ready; i++) {
            conn *c = events[i].data.ptr;
            int got = wire_recv(c, c->buffer + c->used, (int)(BUFFER_BYTES - 1 - c->used));
            if (got < 0) {
                result->closed++;
                epoll_ctl(poller, EPOLL_CTL_DEL, c->fd, NULL);
                continue;
            }
            c->used += (uint32_t)got;
            for (uint32_t length; (length = request_length(c)) > 0;) {
                int is_order = !memcmp(c->buffer, "POST /order", 11);
                if (is_order) {
                    int key = key_of(c->buffer, length, keys, key_count);
                    result->requests++;
                    result->request_bytes = length;
                    if ((int)length < sample_bytes) {
                        memcpy(sample, c->buffer, length);
                        sample[length] = 0;
                    }
                    if (key >= 0 && waits[key].since) {
                        if (latency_ns[waits[key].at] >= 0)
                            latency_ns[waits[key].at] = c->at - waits[key].since;
                        result->overtaken += waits[key].at != triggered - 1;
                        waits[key].since = 0;
                        waiting--;
                    } else {
                        result->unexpected++;
                    }
                }
                memmove(c->buffer, c->buffer + length, c->used - length);
                c->used -= length;
                wire_send(c, is_order ? answer : pong, is_order ? answer_bytes : pong_bytes);
            }
        }
    }
    for (int i = 0; i < key_count; i++) {
        if (!waits[i].since) continue;
        result->missed++;
        if (latency_ns[waits[i].at] >= 0) latency_ns[waits[i].at] = now_ns() - waits[i].since;
    }
    close(poller);
    return triggered;
}

/* The floor: answer every frame that contains marker with request, whose token is overwritten by
 * the frame's, busy. Ends on a close frame or a closed socket; returns the number of requests. */
int64_t wire_floor(conn *feed, conn *orders, char *request, int request_bytes, const char *marker,
                   int marker_bytes) {
    int64_t sent = 0;
    int waiting = 0;
    char *slot = memmem(request, (size_t)request_bytes, TOKEN, sizeof TOKEN - 1);
    if (!slot) return -1;
    slot += sizeof TOKEN - 1;
    for (;;) {
        int got = wire_recv(feed, feed->buffer + feed->used, (int)(BUFFER_BYTES - feed->used));
        if (got < 0) return sent;
        feed->used += (uint32_t)got;
        uint32_t at = 0;
        while (feed->used - at >= 2) {
            const uint8_t *head = (const uint8_t *)feed->buffer + at;
            uint32_t size = head[1] & 127, skip = 2;
            if (size == 126) {
                if (feed->used - at < 4) break;
                size = (uint32_t)head[2] << 8 | head[3];
                skip = 4;
            }
            if (feed->used - at < skip + size) break;
            if ((head[0] & 15) == 8) return sent;
            if (memmem(head + skip, size, marker, (size_t)marker_bytes)) {
                const char *token = memmem(head + skip, size, ASSET, sizeof ASSET - 1);
                const char *close = token ? strchr(token + sizeof ASSET - 1, '"') : NULL;
                if (!close) return -1;
                token += sizeof ASSET - 1;
                memcpy(slot, token, (size_t)(close + 1 - token));
                if (wire_send(orders, request, request_bytes) < 0) return sent;
                sent++;
                waiting = 1;
            }
            at += skip + size;
        }
        if (at) {
            memmove(feed->buffer, feed->buffer + at, feed->used - at);
            feed->used -= at;
        }
        if (waiting && wire_recv(orders, orders->buffer, BUFFER_BYTES) > 0) waiting = 0;
    }
}
