/* Goal: a signal ends a wait at once, with and without SA_RESTART, and the request can be waited for again; a peer that hangs up
 * while we send raises no SIGPIPE. Method: a thread signals the waiting one until it answers. */
#include "support.h"

static atomic_int returned;
static pthread_t waiting;

static void on_signal(int number) { (void)number; }

/* Again and again: a signal that comes before the wait began ends nothing. */
static void *tease(void *unused) {
    (void)unused;
    while (!atomic_load(&returned)) {
        struct timespec pause = {0, 2000000};
        pthread_kill(waiting, SIGUSR1);
        nanosleep(&pause, NULL);
    }
    return NULL;
}

static void one(const char *url, server *peer, int flags, int call) {
    struct sigaction action = {0};
    valtron_client *client = client_new();
    valtron_request_config config = request_config(url);
    valtron_request_info info = VALTRON_REQUEST_INFO_INIT;
    valtron_request request = 0;
    valtron_status status;
    pthread_t thread;
    (void)peer;
    action.sa_handler = on_signal;
    action.sa_flags = flags;
    sigaction(SIGUSR1, &action, NULL);
    if (call != 2) request = request_from(client, &config);
    waiting = pthread_self();
    atomic_store(&returned, 0);
    CHECK_INT(pthread_create(&thread, NULL, tease, NULL), 0);
    do {
        if (call == 0) status = valtron_client_wait(client, -1, NULL);
        else if (call == 1) status = valtron_request_wait(client, request, VALTRON_UNTIL_DONE, -1, &info);
        else status = valtron_client_perform(client, &config, VALTRON_UNTIL_DONE, -1, &request, &info);
    } while (call == 0 && status == VALTRON_OK);
    atomic_store(&returned, 1);
    CHECK_INT(pthread_join(thread, NULL), 0);
    CHECK_STATUS(status, VALTRON_E_INTERRUPTED);
    CHECK(request != 0);
    info = look(client, request);
    CHECK(!info.terminal);
    info = wait_done(client, request);
    CHECK_STATUS(info.status, VALTRON_OK);
    CHECK_INT(info.http_status, 200);
    valtron_client_free(client);
}

static void no_sigpipe(void) {
    static uint8_t body[8 << 20];
    server peer = {.reset_on_data = 1};
    valtron_client *client = client_new();
    valtron_request_config config;
    signal(SIGPIPE, SIG_DFL);
    server_start(&peer);
    config = request_config(server_url(&peer));
    config.method = "POST";
    config.method_len = 4;
    config.body = body;
    config.body_len = sizeof body;
    for (int i = 0; i < 5; i++) {
        valtron_request request = request_from(client, &config);
        CHECK_STATUS(wait_done(client, request).status, VALTRON_E_CONNECTION_LOST);
        valtron_request_free(client, request);
    }
    valtron_client_free(client);
    server_stop(&peer);
}

static void test(void) {
    server peer = {.answer = ANSWER_HELLO, .delay_ms = 500};
    server_start(&peer);
    for (int call = 0; call < 3; call++) {
        one(server_url(&peer), &peer, 0, call);
        one(server_url(&peer), &peer, SA_RESTART, call);
    }
    server_stop(&peer);
    no_sigpipe();
}

int main(void) { return run_test(test); }
