/* Goal: polls that find nothing to do, polls while requests wait, and a body that flows take no memory; a request takes no more
 * than so many blocks; and no poll gives a large block back, which takes its time. Method: the library's allocator is one that
 * counts, and everything is driven by this thread. */
#include "support.h"

/* Blocks asked for, by all threads and by this one; a block that moves counts, too. */
static atomic_long taken_by_all;
static _Thread_local long taken_here;

/* The largest block that a poll of this thread gave back. */
static _Thread_local int in_poll;
static _Thread_local size_t given_back_max;

/* Workers take their time, also to begin: where there are any, what counts is what the calls of this thread take. */
static long taken(void) { return workers > 0 ? taken_here : atomic_load(&taken_by_all); }

static void *count_allocate(void *user, size_t size, size_t alignment) {
    void *block = NULL;
    (void)user;
    atomic_fetch_add(&taken_by_all, 1);
    taken_here++;
    if (posix_memalign(&block, alignment < sizeof(void *) ? sizeof(void *) : alignment, size) != 0) return NULL;
    return block;
}

static void count_deallocate(void *user, void *block, size_t size, size_t alignment) {
    (void)user;
    (void)alignment;
    if (in_poll && size > given_back_max) given_back_max = size;
    free(block);
}

static void *count_reallocate(void *user, void *block, size_t old_size, size_t alignment, size_t new_size) {
    void *moved = count_allocate(user, new_size, alignment);
    if (moved == NULL) return NULL;
    memcpy(moved, block, old_size < new_size ? old_size : new_size);
    free(block);
    return moved;
}

/* As a host's frame does it. */
static size_t frame(valtron_client *client, valtron_event *events, size_t cap) {
    valtron_poll_info info = VALTRON_POLL_INFO_INIT;
    size_t count = 0;
    in_poll = 1;
    OK(valtron_client_poll(client, 2000, &info));
    in_poll = 0;
    OK(valtron_client_next_events(client, events, sizeof events[0], cap, &count));
    return count;
}

#define FRAMES 1000
#define WAITING 32

static long of_frames(valtron_client *client) {
    valtron_event event;
    long before = taken();
    for (int i = 0; i < FRAMES; i++) CHECK_INT(frame(client, &event, 1), 0);
    return taken() - before;
}

static void idle(void) {
    valtron_client *client = client_new();
    valtron_request request;
    CHECK_INT(of_frames(client), 0); /* nothing ever asked */
    request = request_new(client, text("%s/hello", site("VALTRON_SITE_HTTP")));
    CHECK_STATUS(wait_done(client, request).status, VALTRON_OK);
    valtron_request_free(client, request);
    {
        valtron_event event;
        while (frame(client, &event, 1) != 0) continue;
    }
    CHECK_INT(of_frames(client), 0); /* one idle connection */
    valtron_client_free(client);
}

static void waiting(void) {
    server s = {.answer = NULL};
    valtron_client *client = client_new();
    valtron_event event;
    server_start(&s);
    for (int i = 0; i < WAITING; i++) request_new(client, server_url(&s));
    while (atomic_load(&s.requests) < WAITING) CHECK_INT(frame(client, &event, 1), 0);
    for (int i = 0; i < 8; i++) frame(client, &event, 1);
    CHECK_INT(of_frames(client), 0);
    valtron_client_free(client);
    server_stop(&s);
}

enum { BY_PEEK, BY_SMALL_READ, BY_DIRECT_READ, WAYS };
static const char *const way_names[WAYS] = {"peek and consume", "small reads", "direct reads"};

/* As large as the library's own choice at first, but said, so that it does not grow while this program is held up. A reader
 * that is slower than the peer finds it full. */
#define BUFFER_BYTES (256 * 1024)
#define BODY_BYTES (16 << 20)
/* What is looked at: buffers have grown by then, and the end does not count. */
#define STEADY_FROM (4 << 20)
#define STEADY_TO (14 << 20)

static size_t take(valtron_client *client, valtron_request request, int way) {
    static uint8_t buffer[65536];
    size_t len = 0;
    valtron_status status;
    if (way == BY_PEEK) {
        const uint8_t *bytes;
        status = valtron_request_peek(client, request, &bytes, &len);
        if (status == VALTRON_OK && len > 0) OK(valtron_request_consume(client, request, len));
    } else {
        status = valtron_request_read(client, request, buffer, way == BY_SMALL_READ ? 4096 : sizeof buffer, &len);
    }
    if (status != VALTRON_E_WOULD_BLOCK) OK(status);
    return len;
}

/* Lets the buffer run full and drains half of it, until it has all the pieces that it can need. */
static uint64_t warm_up(valtron_client *client, valtron_request request) {
    uint64_t received = 0;
    while (received < STEADY_FROM / 2) {
        valtron_event event;
        frame(client, &event, 1);
        if (look(client, request).body_buffered < BUFFER_BYTES - 32768) continue;
        for (uint64_t until = received + BUFFER_BYTES * 9 / 16; received < until;) {
            received += take(client, request, BY_SMALL_READ);
        }
    }
    return received;
}

/* Blocks taken while 10 MiB in the middle of a body pass. */
static long flowing(const char *base, int way) {
    valtron_client *client = client_new();
    valtron_request_config config = request_config(text("%s/bytes/%d", base, BODY_BYTES));
    config.body_buffer_bytes = BUFFER_BYTES;
    valtron_request request = request_from(client, &config);
    uint64_t received = warm_up(client, request);
    long before = -1, after = -1;
    for (int over = 0; !over;) {
        valtron_event event = {0};
        size_t len;
        size_t count = frame(client, &event, 1);
        do {
            received += len = take(client, request, way);
            if (before < 0 && received >= STEADY_FROM) before = taken();
            if (after < 0 && received >= STEADY_TO) after = taken();
        } while (len > 0);
        over = count > 0 && (event.flags & VALTRON_EVENT_DONE);
        if (over) CHECK_STATUS(event.status, VALTRON_OK);
    }
    while (received < BODY_BYTES) {
        size_t len = take(client, request, way);
        CHECK(len > 0);
        received += len;
    }
    CHECK_INT(received, BODY_BYTES);
    valtron_client_free(client);
    return after - before;
}

#define UPLOAD_BYTES (8 << 20)
/* What a poll may give back: as long as what one step sends. */
#define GIVEN_BACK_MAX (256 * 1024)

/* A copied body goes with its request, whenever that is freed: in the end, on its way, and before it began. */
static void uploading(void) {
    enum { IN_THE_END, ON_ITS_WAY, AT_ONCE, CASES };
    static uint8_t body[UPLOAD_BYTES];
    valtron_client *client = client_new();
    valtron_event event;
    given_back_max = 0;
    for (int at = IN_THE_END; at < CASES; at++) {
        valtron_request_config config = request_config(text("%s/hello", site("VALTRON_SITE_HTTP")));
        valtron_request request;
        config.method = "POST";
        config.method_len = 4;
        config.body = body;
        config.body_len = sizeof body;
        request = request_from(client, &config);
        while (at != AT_ONCE && !(at == ON_ITS_WAY ? look(client, request).body_sent > 0 : look(client, request).terminal)) {
            frame(client, &event, 1);
        }
        if (at == IN_THE_END) {
            CHECK_STATUS(look(client, request).status, VALTRON_OK);
            CHECK_INT(look(client, request).body_sent, sizeof body);
        }
        valtron_request_free(client, request);
        for (int i = 0; i < 8; i++) frame(client, &event, 1);
    }
    CHECK_OP(given_back_max, <=, GIVEN_BACK_MAX);
    valtron_client_free(client);
}

#define REQUESTS 200

/* Blocks per request over one kept connection: creation, driving, events, body, free. */
static double of_requests(const char *base, const char *path) {
    valtron_client *client = client_new();
    const char *url = text("%s/%s", base, path);
    long before = 0;
    for (int i = 0; i < 2 * REQUESTS; i++) {
        valtron_event event = {0};
        valtron_request request;
        uint8_t body[64];
        if (i == REQUESTS) before = taken();
        request = request_new(client, url);
        while (!(event.flags & VALTRON_EVENT_DONE)) {
            if (frame(client, &event, 1) == 0) sched_yield();
        }
        CHECK_STATUS(event.status, VALTRON_OK);
        CHECK_INT(read_all(client, request, body, sizeof body), 13);
        valtron_request_free(client, request);
    }
    valtron_client_free(client);
    return (double)(taken() - before) / REQUESTS;
}

/* Measured. Of the 6 over HTTP 2 go for the task and what it shares with the host, 3 for the answer's head, 1 for its body; the
 * URL, the head that is sent and the task's waker are those of an earlier request, and so is the answer's head where it is the
 * same, byte for byte. Over HTTPS rustls adds one block for each record, sent or received. */
static const struct {
    const char *path;
    int blocks, blocks_tls;
} REQUESTS_OF[] = {{"hello", 6, 8}, {"same", 3, 5}};
/* A table that doubles now and then. */
#define GROWTH_MAX 0.1

/* rustls takes one for each record of 16 KiB: it decrypts in our buffer, but hands the plaintext out in a block of its own. What
 * has been decrypted is ahead of what the host has read by a full buffer at most, and a read may go past the mark. */
#define BLOCKS_PER_RECORD 1
#define RECORDS_AHEAD ((BUFFER_BYTES + 65536) / 16384)
#define RECORDS ((STEADY_TO - STEADY_FROM) / 16384)

static void test(void) {
    const char *http = site("VALTRON_SITE_HTTP"), *https = site("VALTRON_SITE_HTTPS");
    idle();
    waiting();
    uploading();
    if (workers > 0) return;
    for (int way = 0; way < WAYS; way++) {
        long plain = flowing(http, way), tls = flowing(https, way);
        fprintf(stderr, "10 MiB by %s: %ld blocks over HTTP, %ld over HTTPS\n", way_names[way], plain, tls);
        CHECK_INT(plain, 0);
        CHECK_OP(tls, <=, (RECORDS + RECORDS_AHEAD) * BLOCKS_PER_RECORD);
    }
    for (size_t i = 0; i < sizeof REQUESTS_OF / sizeof REQUESTS_OF[0]; i++) {
        double each = of_requests(http, REQUESTS_OF[i].path), each_tls = of_requests(https, REQUESTS_OF[i].path);
        fprintf(stderr, "blocks per request on a kept connection, %s: %.2f over HTTP, %.2f over HTTPS\n", REQUESTS_OF[i].path,
                each, each_tls);
        CHECK(each <= REQUESTS_OF[i].blocks + GROWTH_MAX);
        CHECK(each_tls <= REQUESTS_OF[i].blocks_tls + GROWTH_MAX);
    }
}

int main(void) {
    valtron_allocator allocator = VALTRON_ALLOCATOR_INIT;
    allocator.allocate = count_allocate;
    allocator.reallocate = count_reallocate;
    allocator.deallocate = count_deallocate;
    OK(valtron_set_allocator(&allocator));
    return run_test(test);
}
