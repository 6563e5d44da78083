/* Goal: any thread may call anything at any time. Method: eight threads create, poll, wait, perform, read, peek, consume, cancel
 * and free on one client, over HTTP and HTTPS; every request gets exactly one terminal event, or was freed before it, and every
 * byte of every body is the one that was sent. Then shutdown, and all events are in. */
#include "support.h"

#define THREADS 8
#define ROUNDS (SANITIZED ? 7 : 56)
#define SLOTS (THREADS * 64)
/* More than the buffers of a request, of a session and of the system together hold. */
#define BODY_BYTES 1000003
#define BUFFER_BYTES (96 * 1024)

typedef struct ticket {
    pthread_mutex_t lock;
    int made, terminal, freed;
    long freed_at; /* by `moment`: when its free had returned; 0: it was not freed */
    long seen_at;  /* when the last call that brought an event of it began */
} ticket;

static valtron_client *client;
static const char *bases[2];
static ticket tickets[SLOTS];
static atomic_long moment;
/* Whole bodies by what took them, and cancelled ones: none may be missing in the end. */
static atomic_int whole_reads, whole_peeks, whole_performs, cancels;

static void drain(void) {
    valtron_event events[16];
    size_t count = 0;
    long began = atomic_fetch_add(&moment, 1) + 1;
    OK(valtron_client_next_events(client, events, sizeof events[0], 16, &count));
    for (size_t i = 0; i < count; i++) {
        ticket *of = events[i].user_data;
        pthread_mutex_lock(&of->lock);
        if (of->seen_at < began) of->seen_at = began;
        /* None after the last one, whichever thread it went to. */
        CHECK_OP(of->terminal + ((events[i].flags & VALTRON_EVENT_DONE) != 0), <=, 1);
        if (events[i].flags & VALTRON_EVENT_DONE) of->terminal++;
        pthread_mutex_unlock(&of->lock);
        if ((events[i].flags & VALTRON_EVENT_DONE) == 0) continue;
        CHECK(events[i].status == VALTRON_OK || events[i].status == VALTRON_E_CANCELLED || events[i].status == VALTRON_E_SHUTDOWN);
    }
}

static void drive(int how) {
    valtron_status status = how % 2 ? valtron_client_poll(client, 500, NULL) : valtron_client_wait(client, 5, NULL);
    CHECK(status == VALTRON_OK || status == VALTRON_E_BUSY);
}

static void check_pattern(const uint8_t *bytes, size_t len, uint64_t at) {
    for (size_t i = 0; i < len; i++)
        if (bytes[i] != (at + i) % 251) check_failed(__FILE__, __LINE__, "byte %llu differs", (unsigned long long)(at + i));
}

/* A whole body, as it comes, while other threads drive too. */
static void take_body(valtron_request request, int in_place, uint8_t *buffer) {
    uint64_t at = 0;
    for (int turn = 0;; turn++) {
        const uint8_t *bytes = buffer;
        size_t len = 0;
        valtron_status status = in_place ? valtron_request_peek(client, request, &bytes, &len)
                                         : valtron_request_read(client, request, buffer, BUFFER_BYTES, &len);
        if (status == VALTRON_E_WOULD_BLOCK) {
            valtron_request_info info = VALTRON_REQUEST_INFO_INIT;
            if (turn % 2) {
                status = valtron_request_wait(client, request, VALTRON_UNTIL_BODY, 20, &info);
                CHECK(status == VALTRON_OK || status == VALTRON_E_WAIT_TIMEOUT);
            } else {
                OK(valtron_request_poll(client, request, 200, &info));
            }
            continue;
        }
        CHECK_STATUS(status, VALTRON_OK);
        if (len == 0) break;
        CHECK_OP(at + len, <=, BODY_BYTES);
        check_pattern(bytes, len, at);
        if (in_place) {
            /* Not all of it: what stays must come again, at the front. */
            if (len > 1 && turn % 3 == 0) len /= 2;
            OK(valtron_request_consume(client, request, len));
        }
        at += len;
    }
    CHECK_INT(at, BODY_BYTES);
}

static void perform(const char *base, int number, uint8_t *buffer) {
    const char *url = text("%s/%s/%d", base, number % 2 ? "bytes" : "chunked", BODY_BYTES);
    valtron_request_config config = request_config(url);
    valtron_request_info info = VALTRON_REQUEST_INFO_INIT;
    valtron_request request = 0;
    OK(valtron_client_perform(client, &config, VALTRON_UNTIL_HEAD, 60000, &request, &info));
    CHECK_STATUS(info.status, VALTRON_OK);
    CHECK_INT(info.http_status, 200);
    take_body(request, number / 2 % 2, buffer);
    atomic_fetch_add(&whole_performs, 1);
    valtron_request_free(client, request);
}

static void free_it(ticket *mine, valtron_request request) {
    long now;
    valtron_request_free(client, request);
    now = atomic_fetch_add(&moment, 1) + 1;
    pthread_mutex_lock(&mine->lock);
    mine->freed_at = now;
    pthread_mutex_unlock(&mine->lock);
}

static void await_terminal(ticket *mine) {
    for (;;) {
        int over;
        pthread_mutex_lock(&mine->lock);
        over = mine->terminal;
        pthread_mutex_unlock(&mine->lock);
        if (over) break;
        drive(0);
        drain();
    }
}

enum { CANCEL, PERFORM, READ_SOME, WAIT, WAKE, READ_ALL, PEEK_ALL, WAYS };

static void *worker(void *argument) {
    int number = (int)(intptr_t)argument;
    uint8_t *buffer = malloc(BUFFER_BYTES);
    CHECK(buffer != NULL);
    for (int round = 0; round < ROUNDS; round++) {
        ticket *mine = &tickets[number * 64 + round];
        const char *base = bases[(number + round / WAYS) % 2];
        int way = (number + round) % WAYS, large = way == READ_SOME || way == READ_ALL || way == PEEK_ALL;
        const char *url = large ? text("%s/%s/%d", base, round % 2 ? "bytes" : "chunked", BODY_BYTES) : text("%s/hello", base);
        valtron_request_config config = request_config(url);
        valtron_request_info info = VALTRON_REQUEST_INFO_INIT;
        valtron_request request = 0;
        size_t count = 0;
        int free_early;
        config.user_data = mine;
        mine->made = 1;
        OK(valtron_request_create(client, &config, &request));
        drive(number + round);
        drain();
        switch (way) {
            case CANCEL:
                OK(valtron_request_cancel(client, request));
                atomic_fetch_add(&cancels, 1);
                break;
            case PERFORM: perform(base, number + round, buffer); break;
            case READ_SOME: {
                valtron_status status = valtron_request_read(client, request, buffer, BUFFER_BYTES, &count);
                CHECK(status == VALTRON_OK || status == VALTRON_E_WOULD_BLOCK);
                check_pattern(buffer, status == VALTRON_OK ? count : 0, 0);
                break;
            }
            case WAIT: {
                valtron_status status = valtron_request_wait(client, request, VALTRON_UNTIL_HEAD, 20, &info);
                CHECK(status == VALTRON_OK || status == VALTRON_E_WAIT_TIMEOUT);
                break;
            }
            case WAKE: OK(valtron_client_wakeup(client)); break;
            case READ_ALL:
            case PEEK_ALL:
                take_body(request, way == PEEK_ALL, buffer);
                atomic_fetch_add(way == PEEK_ALL ? &whole_peeks : &whole_reads, 1);
                break;
        }
        /* Freed at once, or when its end was seen. One with an unread body has no end before that. */
        free_early = round % 3 == 0 || way == READ_SOME;
        if (!free_early) await_terminal(mine);
        free_it(mine, request);
        if (free_early) {
            pthread_mutex_lock(&mine->lock);
            mine->freed = 1;
            pthread_mutex_unlock(&mine->lock);
        } else {
            drain();
            pthread_mutex_lock(&mine->lock);
            CHECK_INT(mine->terminal, 1);
            pthread_mutex_unlock(&mine->lock);
        }
    }
    free(buffer);
    return NULL;
}

static void stress(void) {
    pthread_t threads[THREADS];
    valtron_stats stats = VALTRON_STATS_INIT;
    client = client_new();
    bases[0] = site("VALTRON_SITE_HTTP");
    bases[1] = site("VALTRON_SITE_HTTPS");
    memset(tickets, 0, sizeof tickets);
    atomic_store(&whole_reads, 0);
    atomic_store(&whole_peeks, 0);
    atomic_store(&whole_performs, 0);
    atomic_store(&cancels, 0);
    for (int i = 0; i < SLOTS; i++) pthread_mutex_init(&tickets[i].lock, NULL);
    for (int i = 0; i < THREADS; i++) CHECK_INT(pthread_create(&threads[i], NULL, worker, (void *)(intptr_t)i), 0);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    OK(valtron_client_shutdown(client, 20000));
    drain();
    for (int i = 0; i < SLOTS; i++) {
        ticket *of = &tickets[i];
        if (!of->made) continue;
        /* No event comes from a call that began after the free had returned. */
        CHECK_OP(of->freed_at, >, 0);
        CHECK_OP(of->seen_at, <, of->freed_at);
        if (of->freed) CHECK_OP(of->terminal, <=, 1);
        else CHECK_INT(of->terminal, 1);
    }
    /* Each way came as often as the rounds say. */
    CHECK_INT(atomic_load(&whole_reads), THREADS * ROUNDS / WAYS);
    CHECK_INT(atomic_load(&whole_peeks), THREADS * ROUNDS / WAYS);
    CHECK_INT(atomic_load(&whole_performs), THREADS * ROUNDS / WAYS);
    CHECK_INT(atomic_load(&cancels), THREADS * ROUNDS / WAYS);
    OK(valtron_client_stats(client, &stats));
    CHECK_INT(stats.requests_live, 0);
    CHECK_INT(stats.events_lost, 0);
    CHECK_INT(stats.requests_created, THREADS * (ROUNDS + ROUNDS / WAYS));
    valtron_client_free(client);
}

int main(void) { return run_test(stress); }
