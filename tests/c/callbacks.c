/* Goal: a callback may call anything, also free what it was called for. Method: the question about a look-up, asked in each call
 * that drives; the callback frees its request, its client, or uses the whole interface; a borrowed body is released once. */
#include "support.h"

enum { FREE_REQUEST, FREE_CLIENT, USE_ALL, CANCEL };
enum { BY_POLL, BY_WAIT, BY_REQUEST_POLL, BY_REQUEST_WAIT, BY_PERFORM, DRIVERS };

static struct {
    valtron_client *client;
    int what, called;
    atomic_int released; /* after a free without a shutdown a worker may be the one that calls */
    pthread_t thread;
} now_;

static valtron_decision on_spawn(void *user, const valtron_spawn *spawn, valtron_job **job) {
    valtron_request request = spawn->request, second = 0;
    valtron_request_info info = VALTRON_REQUEST_INFO_INIT;
    valtron_stats stats = VALTRON_STATS_INIT;
    valtron_event events[4];
    intptr_t handle;
    size_t count;
    CHECK(user == &now_);
    CHECK(pthread_equal(now_.thread, pthread_self()));
    (void)job;
    if (now_.called++ > 0) return VALTRON_DECISION_RUN;
    switch (now_.what) {
    case FREE_REQUEST: valtron_request_free(now_.client, request); break;
    case FREE_CLIENT: valtron_client_free(now_.client); break;
    case CANCEL: OK(valtron_request_cancel(now_.client, request)); break;
    default:
        OK(valtron_request_poll(now_.client, request, 0, &info));
        CHECK_INT(info.state, VALTRON_STATE_CONNECTING);
        OK(valtron_client_stats(now_.client, &stats));
        OK(valtron_client_next_events(now_.client, events, sizeof events[0], 4, &count));
        OK(valtron_client_wait_handle(now_.client, &handle));
        OK(valtron_client_wakeup(now_.client));
        /* The client is being driven: by the caller of this callback. */
        valtron_status status = valtron_client_poll(now_.client, 100, NULL);
        CHECK(status == VALTRON_OK || status == VALTRON_E_BUSY);
        second = request_new(now_.client, "http://localhost:1/");
        valtron_request_free(now_.client, second);
    }
    return VALTRON_DECISION_RUN;
}

static void on_release(void *user, const uint8_t *body, size_t len) {
    CHECK(user == &now_);
    CHECK_BYTES(body, len, "lent");
    count_up(&now_.released);
}

static void one(const char *url, int what, int driver) {
    valtron_client_config config = client_config();
    valtron_request_config request = request_config(url);
    valtron_request_info info = VALTRON_REQUEST_INFO_INIT;
    valtron_request handle = 0;
    config.spawn_ask = VALTRON_SPAWN_RESOLVE;
    config.spawn_callback = on_spawn;
    config.spawn_user = &now_;
    memset(&now_, 0, sizeof now_);
    now_.what = what;
    now_.thread = pthread_self();
    now_.client = client_from(&config);
    request.method = "POST";
    request.method_len = 4;
    request.body = (const uint8_t *)"lent";
    request.body_len = 4;
    request.body_release = on_release;
    request.body_release_user = &now_;
    if (driver == BY_PERFORM) {
        valtron_status status = valtron_client_perform(now_.client, &request, VALTRON_UNTIL_DONE, -1, &handle, &info);
        if (what == USE_ALL || what == CANCEL) CHECK_STATUS(status, VALTRON_OK);
    } else {
        handle = request_from(now_.client, &request);
        while (now_.called == 0) {
            valtron_status status = VALTRON_OK;
            switch (driver) {
            case BY_POLL: status = valtron_client_poll(now_.client, 1000, NULL); break;
            case BY_WAIT: status = valtron_client_wait(now_.client, 1000, NULL); break;
            case BY_REQUEST_POLL: status = valtron_request_poll(now_.client, handle, 1000, &info); break;
            default: status = valtron_request_wait(now_.client, handle, VALTRON_UNTIL_DONE, -1, &info);
            }
            /* What a driver answers whose client or request went away under it: no crash is what counts. */
            if (now_.called == 0) CHECK_STATUS(status, VALTRON_OK);
        }
    }
    if (what == FREE_CLIENT) {
        /* A worker that still holds the body lets it go soon. */
        if (workers > 0) await_count(&now_.released, 1);
        CHECK_INT(atomic_load(&now_.released), 1);
        return;
    }
    if (what == FREE_REQUEST) {
        CHECK_STATUS(valtron_request_poll(now_.client, handle, 0, &info), VALTRON_E_HANDLE_STALE);
    } else {
        info = wait_done(now_.client, handle);
        CHECK_STATUS(info.status, what == CANCEL ? VALTRON_E_CANCELLED : VALTRON_OK);
        valtron_request_free(now_.client, handle);
    }
    OK(valtron_client_shutdown(now_.client, -1));
    CHECK_INT(atomic_load(&now_.released), 1);
    valtron_client_free(now_.client);
}

static void test(void) {
    server peer = {.answer = ANSWER_HELLO};
    server_start(&peer);
    for (int what = FREE_REQUEST; what <= CANCEL; what++)
        for (int driver = 0; driver < DRIVERS; driver++) one(text("http://localhost:%d/", peer.port), what, driver);
    server_stop(&peer);
}

int main(void) { return run_test(test); }
