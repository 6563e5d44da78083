/* Goal: no poll makes a call that can block. Method: `polls [--beside URL] STATUS=URL...` starts all URLs at once and polls
 * with a budget of one millisecond, from one thread that does nothing else, until all have ended as they must; STATUS is the
 * name of a status without its prefix, or several with `|` between. With --beside another thread is in the client meanwhile,
 * without pause: it reads that URL's body with a buffer that holds all of it, and between two reads looks at one of the
 * requests in every way there is, cancels one that is over, answers questions that nobody asked, and makes and frees a
 * request. Writes to no descriptor mark the stretch, and each poll in it, for the driver
 * (`cargo xtask test --only syscalls`), which looks at every call in between. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "valtron_http.h"

#define POLLS_MAX 200000
#define BUFFER_BYTES ((size_t)64 << 20)

static valtron_client *client;
static atomic_int reading;
static valtron_request requests[64];
static atomic_int started;

/* The C library's allocator has locks of its own, and a thread that frees what another one allocated can be waited for. This
 * one has none, so that every wait in the trace is the library's. Memory is handed out once. */
#define ARENA_BYTES ((size_t)16 << 30)
static unsigned char *arena;
static _Atomic size_t arena_used;

static void *take(void *user, size_t size, size_t alignment) {
    size_t at = atomic_fetch_add(&arena_used, size + alignment);
    (void)user;
    at = (at + alignment - 1) & ~(alignment - 1);
    return at + size <= ARENA_BYTES ? arena + at : NULL;
}

static void *grow(void *user, void *p, size_t old_size, size_t alignment, size_t new_size) {
    void *moved = new_size <= old_size ? p : take(user, new_size, alignment);
    if (moved != NULL && moved != p) memcpy(moved, p, old_size);
    return moved;
}

static void forget(void *user, void *p, size_t size, size_t alignment) {
    (void)user, (void)p, (void)size, (void)alignment;
}

static void set_allocator(void) {
    valtron_allocator allocator = VALTRON_ALLOCATOR_INIT;
    arena = mmap(NULL, ARENA_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (arena == MAP_FAILED) exit(7);
    allocator.allocate = take;
    allocator.reallocate = grow;
    allocator.deallocate = forget;
    if (valtron_set_allocator(&allocator) != VALTRON_OK) exit(7);
}

static void mark(const char *word) {
    if (write(-1, word, strlen(word)) == 0) exit(3);
}

static valtron_request start(const char *url, void *user) {
    valtron_request_config config = VALTRON_REQUEST_CONFIG_INIT;
    valtron_request request = 0;
    config.url = url;
    config.url_len = strlen(url);
    config.user_data = user;
    config.first_byte_timeout_ms = 500;
    config.idle_timeout_ms = 500;
    config.tls_timeout_ms = 500;
    config.connect_timeout_ms = 500;
    if (valtron_request_create(client, &config, &request) != VALTRON_OK) exit(1);
    return request;
}

/* Whether `name` is among the names before the `=`. */
static int expected(const char *argument, const char *name) {
    size_t len = strlen(name);
    const char *at = argument, *end = strchr(argument, '=');
    while (at < end) {
        size_t part = strcspn(at, "|=");
        if (part == len && strncmp(at, name, len) == 0) return 1;
        at += part + 1;
    }
    return 0;
}

/* All that a thread may do with a client that another one polls. */
static void look_around(int turn) {
    int count = atomic_load(&started);
    valtron_request request = count > 0 ? requests[turn % count] : 0;
    valtron_request_info info = VALTRON_REQUEST_INFO_INIT;
    valtron_stats stats = VALTRON_STATS_INIT;
    valtron_request made;
    valtron_job *job = NULL;
    const uint8_t *bytes = NULL;
    size_t len = 0;
    (void)valtron_client_stats(client, &stats);
    (void)valtron_action_decide(client, 1u << 30, VALTRON_DECISION_RUN, &job);
    if (count > 0) {
        (void)valtron_request_poll(client, request, 0, &info);
        (void)valtron_request_peek(client, request, &bytes, &len);
        if (info.state == VALTRON_STATE_DONE) (void)valtron_request_cancel(client, request);
    }
    made = start("http://127.0.0.1:1/", NULL);
    valtron_request_free(client, made);
}

static void *beside(void *request) {
    unsigned char *buffer = malloc(BUFFER_BYTES);
    for (int turn = 0;; turn++) {
        size_t len = 0;
        valtron_status status = valtron_request_read(client, *(valtron_request *)request, buffer, BUFFER_BYTES, &len);
        look_around(turn);
        if (status == VALTRON_E_WOULD_BLOCK) continue;
        if (status != VALTRON_OK) exit(6);
        if (len == 0) break;
    }
    free(buffer);
    atomic_store(&reading, 0);
    return NULL;
}

int main(int argc, char **argv) {
    valtron_client_config client_config = VALTRON_CLIENT_CONFIG_INIT;
    valtron_request read_from = 0;
    pthread_t reader;
    int i, first = 1, polls, done = 0;
    if (argc > 2 && strcmp(argv[1], "--beside") == 0) first = 3;
    if (argc <= first || argc > 64) return 2;
    set_allocator();
    client_config.worker_threads = 0;
    client_config.tls_verify_off = 1;
    if (valtron_client_create(&client_config, &client) != VALTRON_OK) return 1;
    if (first == 3) {
        read_from = start(argv[2], NULL);
        atomic_store(&reading, 1);
        if (pthread_create(&reader, NULL, beside, &read_from) != 0) return 1;
    }
    mark("begin");
    for (i = first; i < argc; i++) {
        requests[i - first] = start(strchr(argv[i], '=') + 1, argv[i]);
        atomic_store(&started, i - first + 1);
    }
    for (polls = 0; polls < POLLS_MAX && (done < argc - first || atomic_load(&reading)); polls++) {
        valtron_event events[8];
        size_t count = 0, at;
        mark("poll");
        if (valtron_client_poll(client, 1000, NULL) != VALTRON_OK) return 1;
        mark("polled");
        if (valtron_client_next_events(client, events, sizeof events[0], 8, &count) != VALTRON_OK) return 1;
        for (at = 0; at < count; at++) {
            const char *name = valtron_status_name(events[at].status) + strlen("VALTRON_");
            static unsigned char bytes[32768];
            size_t len = 1;
            while (events[at].user_data != NULL && len > 0 &&
                   valtron_request_read(client, events[at].request, bytes, sizeof bytes, &len) == VALTRON_OK) continue;
            if (!(events[at].flags & VALTRON_EVENT_DONE) || events[at].user_data == NULL) continue;
            if (strncmp(name, "E_", 2) == 0) name += 2;
            if (!expected(events[at].user_data, name)) {
                fprintf(stderr, "%s ended with %s\n", (const char *)events[at].user_data, name);
                return 4;
            }
            done++;
        }
    }
    for (i = first; i < argc; i++) valtron_request_free(client, requests[i - first]);
    mark("end");
    if (done < argc - first || atomic_load(&reading)) {
        fprintf(stderr, "%d of %d ended after %d polls\n", done, argc - first, polls);
        return 5;
    }
    if (first == 3) pthread_join(reader, NULL);
    valtron_client_free(client);
    return 0;
}
