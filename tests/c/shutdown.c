/* Goal: a shutdown ends every wait and every request, whoever is in the midst of what, and deadlocks with nobody. Method:
 * threads that wait in each way while one, or two, shut down; a shutdown, a wait and a perform inside a callback; what
 * still works after. */
#include "support.h"

#define REQUESTS 8
#define AT_ONCE_US 5000000
#define SHORT_MS 20

static struct {
    valtron_client *client;
    const char *url;
    atomic_int inside;
} shared;

static void *waits_for_request(void *argument) {
    valtron_request_info info = VALTRON_REQUEST_INFO_INIT;
    valtron_request request = *(valtron_request *)argument;
    count_up(&shared.inside);
    CHECK_STATUS(valtron_request_wait(shared.client, request, VALTRON_UNTIL_DONE, -1, &info), VALTRON_OK);
    CHECK(info.terminal);
    CHECK_STATUS(info.status, VALTRON_E_SHUTDOWN);
    return NULL;
}

static void *performs(void *unused) {
    valtron_request_config config = request_config(shared.url);
    valtron_request_info info = VALTRON_REQUEST_INFO_INIT;
    valtron_request request = 0;
    count_up(&shared.inside);
    CHECK_STATUS(valtron_client_perform(shared.client, &config, VALTRON_UNTIL_DONE, -1, &request, &info), VALTRON_OK);
    CHECK_STATUS(info.status, VALTRON_E_SHUTDOWN);
    valtron_request_free(shared.client, request);
    return unused;
}

static void *waits_for_client(void *unused) {
    count_up(&shared.inside);
    for (;;) {
        valtron_poll_info info = VALTRON_POLL_INFO_INIT;
        valtron_status status = valtron_client_wait(shared.client, -1, &info);
        CHECK(status == VALTRON_OK || status == VALTRON_E_BUSY);
        if (status == VALTRON_OK && info.events_ready > 0) return unused;
        /* Busy, and answered at once: let the one that drives have the processor. */
        sched_yield();
    }
}

static void *shuts_down(void *unused) {
    OK(valtron_client_shutdown(shared.client, -1));
    return unused;
}

/* Every thread comes back, every request has its one event, and two shutdowns at once are as good as one. */
static void under_waits(int shutdowns) {
    server silent = {0};
    valtron_request requests[REQUESTS];
    pthread_t threads[REQUESTS], second;
    int64_t began;
    int terminal = 0;
    server_start(&silent);
    memset(&shared, 0, sizeof shared);
    shared.url = server_url(&silent);
    shared.client = client_new();
    for (int i = 0; i < REQUESTS; i++) requests[i] = request_new(shared.client, shared.url);
    for (int i = 0; i < REQUESTS; i++) {
        void *(*what)(void *) = i == 0 ? waits_for_client : i % 2 ? waits_for_request : performs;
        CHECK_INT(pthread_create(&threads[i], NULL, what, &requests[i]), 0);
    }
    await_count(&shared.inside, REQUESTS);
    await_count(&silent.requests, REQUESTS + REQUESTS / 2 - 1);
    began = now_us();
    if (shutdowns > 1) CHECK_INT(pthread_create(&second, NULL, shuts_down, NULL), 0);
    shuts_down(NULL);
    if (shutdowns > 1) CHECK_INT(pthread_join(second, NULL), 0);
    for (int i = 0; i < REQUESTS; i++) CHECK_INT(pthread_join(threads[i], NULL), 0);
    CHECK_OP(now_us() - began, <, AT_ONCE_US);
    for (;;) {
        valtron_event events[4];
        size_t count = 0;
        OK(valtron_client_next_events(shared.client, events, sizeof events[0], 4, &count));
        if (count == 0) break;
        for (size_t i = 0; i < count; i++) {
            CHECK(events[i].flags & VALTRON_EVENT_DONE);
            CHECK_STATUS(events[i].status, VALTRON_E_SHUTDOWN);
        }
        terminal += (int)count;
    }
    CHECK_INT(terminal, REQUESTS);
    valtron_client_free(shared.client);
    server_stop(&silent);
}

/* What came before the shutdown can still be fetched; new requests and waits do not hang. */
static void after(void) {
    server peer = {.answer = ANSWER_HELLO};
    valtron_client *client = client_new();
    valtron_request_config config;
    valtron_request_info info = VALTRON_REQUEST_INFO_INIT;
    valtron_head head = VALTRON_HEAD_INIT;
    valtron_request request, refused = 0;
    uint8_t body[64];
    server_start(&peer);
    config = request_config(server_url(&peer));
    request = request_from(client, &config);
    CHECK_STATUS(wait_done(client, request).status, VALTRON_OK);
    OK(valtron_client_shutdown(client, -1));
    CHECK_STATUS(wait_done(client, request).status, VALTRON_OK);
    OK(valtron_request_head(client, request, VALTRON_HEAD_FINAL, &head));
    CHECK_INT(head.http_status, 200);
    CHECK_BYTES(body, read_all(client, request, body, sizeof body), "hello\n");
    CHECK_STATUS(valtron_request_create(client, &config, &refused), VALTRON_E_SHUTDOWN);
    CHECK_STATUS(valtron_client_perform(client, &config, VALTRON_UNTIL_DONE, -1, &refused, &info), VALTRON_E_SHUTDOWN);
    CHECK_INT(refused, 0);
    (void)valtron_client_poll(client, 1000, NULL);
    (void)valtron_client_wait(client, SHORT_MS, NULL);
    OK(valtron_client_shutdown(client, 0));
    valtron_client_free(client);
    server_stop(&peer);
}

/* ---- inside a callback ---- */

enum { SHUTDOWN, WAIT_FOR_ITSELF, WAIT_FOR_CLIENT, PERFORM, ALL };

static int called, what_to_call;

static valtron_decision on_spawn(void *user, const valtron_spawn *spawn, valtron_job **job) {
    valtron_client *client = *(valtron_client **)user;
    valtron_request_info info = VALTRON_REQUEST_INFO_INIT;
    valtron_request_config config;
    valtron_request request = 0;
    valtron_status status;
    (void)job;
    if (called++ > 0) return VALTRON_DECISION_RUN;
    switch (what_to_call) {
    case SHUTDOWN:
        status = valtron_client_shutdown(client, -1);
        CHECK_STATUS(status, VALTRON_OK);
        break;
    case WAIT_FOR_ITSELF:
        status = valtron_request_wait(client, spawn->request, VALTRON_UNTIL_DONE, SHORT_MS, &info);
        CHECK_STATUS(status, VALTRON_E_WAIT_TIMEOUT);
        break;
    case WAIT_FOR_CLIENT:
        status = valtron_client_wait(client, SHORT_MS, NULL);
        CHECK(status == VALTRON_OK || status == VALTRON_E_BUSY);
        break;
    default:
        config = request_config(shared.url);
        OK(valtron_client_perform(client, &config, VALTRON_UNTIL_DONE, -1, &request, &info));
        CHECK_STATUS(info.status, VALTRON_OK);
        valtron_request_free(client, request);
    }
    return VALTRON_DECISION_RUN;
}

static void inside_a_callback(int what, int by_perform) {
    server peer = {.answer = ANSWER_HELLO};
    valtron_client_config config = client_config();
    valtron_client *client = NULL;
    valtron_request_config of;
    valtron_request_info info = VALTRON_REQUEST_INFO_INIT;
    valtron_request request = 0;
    server_start(&peer);
    shared.url = server_url(&peer);
    called = 0;
    what_to_call = what;
    config.spawn_ask = VALTRON_SPAWN_RESOLVE;
    config.spawn_callback = on_spawn;
    config.spawn_user = &client;
    client = client_from(&config);
    of = request_config(text("http://localhost:%d/", peer.port));
    if (by_perform) {
        OK(valtron_client_perform(client, &of, VALTRON_UNTIL_DONE, -1, &request, &info));
    } else {
        request = request_from(client, &of);
        while (called == 0) (void)valtron_client_wait(client, SHORT_MS, NULL);
        info = wait_done(client, request);
    }
    CHECK_OP(called, >=, 1);
    CHECK_STATUS(info.status, what == SHUTDOWN ? VALTRON_E_SHUTDOWN : VALTRON_OK);
    valtron_client_free(client);
    server_stop(&peer);
}

static void test(void) {
    under_waits(1);
    under_waits(2);
    after();
    for (int what = 0; what < ALL; what++) {
        fprintf(stderr, "  inside a callback: %d\n", what);
        inside_a_callback(what, 0);
        inside_a_callback(what, 1);
    }
}

int main(void) { return run_test(test); }
