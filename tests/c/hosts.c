/* Goal: hosts with other habits get on, too. Method: one that never pulls an event, one that never looks at a single request,
 * one that sleeps in its own poll(2) on the wait handle; a shutdown with live requests. */
#include "support.h"

#define REQUESTS 40
#define SOON_MS 10000

static void never_pulls_events(const char *url) {
    valtron_client *client = client_new();
    for (int round = 0; round < 3; round++) {
        valtron_request requests[REQUESTS];
        for (int i = 0; i < REQUESTS; i++) requests[i] = request_new(client, url);
        for (int i = 0; i < REQUESTS; i++) {
            CHECK_STATUS(wait_done(client, requests[i]).status, VALTRON_OK);
            valtron_request_free(client, requests[i]);
        }
    }
    valtron_client_free(client);
}

static void never_looks_at_requests(const char *url, int own_loop) {
    valtron_client *client = client_new();
    int done = 0, cookies[REQUESTS] = {0};
    intptr_t handle = -1;
    OK(valtron_client_wait_handle(client, &handle));
    for (int i = 0; i < REQUESTS; i++) {
        valtron_request_config config = request_config(url);
        config.user_data = &cookies[i];
        request_from(client, &config);
    }
    while (done < REQUESTS) {
        valtron_poll_info info = VALTRON_POLL_INFO_INIT;
        valtron_event events[8];
        size_t count = 0;
        if (own_loop) {
            OK(valtron_client_poll(client, 1000, &info));
            if (!info.work_left && info.events_ready == 0) {
                struct pollfd fd = {(int)handle, POLLIN, 0};
                int timeout = info.next_deadline_us < 0 ? -1 : (int)(info.next_deadline_us / 1000) + 1;
                CHECK_OP(poll(&fd, 1, timeout), >=, 0);
            }
        } else {
            OK(valtron_client_wait(client, -1, &info));
        }
        do {
            OK(valtron_client_next_events(client, events, sizeof events[0], 8, &count));
            for (size_t i = 0; i < count; i++) {
                if ((events[i].flags & VALTRON_EVENT_DONE) == 0) continue;
                uint8_t body[64];
                CHECK_INT((*(int *)events[i].user_data)++, 0);
                CHECK_STATUS(events[i].status, VALTRON_OK);
                CHECK_BYTES(body, read_all(client, events[i].request, body, sizeof body), "hello\n");
                valtron_request_free(client, events[i].request);
                done++;
            }
        } while (count > 0);
    }
    valtron_client_free(client);
}

static void shutdown_with_live_requests(int threads) {
    server silent = {0};
    valtron_client *client;
    int terminal = 0;
    server_start(&silent);
    threads += 1;
    /* Those of clients that were freed without a shutdown end by themselves. */
    for (int i = 0; i < SOON_MS && count_threads() != threads; i++) usleep(1000);
    CHECK_INT(count_threads(), threads);
    client = client_new();
    for (int i = 0; i < REQUESTS; i++) request_new(client, server_url(&silent));
    while (atomic_load(&silent.requests) < REQUESTS / 2) OK(valtron_client_wait(client, 5, NULL));
    OK(valtron_client_shutdown(client, -1));
    /* A joined thread's entry goes a moment after the join. */
    for (int i = 0; i < SOON_MS && count_threads() != threads; i++) usleep(1000);
    CHECK_INT(count_threads(), threads);
    for (int i = 0; i < REQUESTS; i++) {
        valtron_event events[4];
        size_t count = 0;
        OK(valtron_client_next_events(client, events, sizeof events[0], 4, &count));
        for (size_t k = 0; k < count; k++) {
            CHECK(events[k].flags & VALTRON_EVENT_DONE);
            CHECK_STATUS(events[k].status, VALTRON_E_SHUTDOWN);
            terminal++;
        }
    }
    CHECK_INT(terminal, REQUESTS);
    OK(valtron_client_shutdown(client, -1));
    valtron_request request = 0;
    valtron_request_config config = request_config("http://127.0.0.1:1/");
    CHECK_STATUS(valtron_request_create(client, &config, &request), VALTRON_E_SHUTDOWN);
    valtron_client_free(client);
    server_stop(&silent);
}

static void test(void) {
    server peer = {.answer = ANSWER_HELLO};
    int threads;
    server_start(&peer);
    threads = count_threads() - 1;
    never_pulls_events(server_url(&peer));
    never_looks_at_requests(server_url(&peer), 0);
    never_looks_at_requests(server_url(&peer), 1);
    server_stop(&peer);
    shutdown_with_live_requests(threads);
}

int main(void) { return run_test(test); }
