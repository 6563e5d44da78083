/* Goal: a signal ends a wait at once, with and without SA_RESTART, and the request can be waited for again; a peer that hangs up
 * while we send raises no SIGPIPE. Method: waits of an hour for a peer that does not answer, so that nothing but the signal can
 * end them before the watchdog does. */
#include "support.h"

#define HOUR_MS 3600000

static atomic_int returned;
static sem_t caught;
static pthread_t waiting;
static pid_t waiting_id;

static void on_signal(int number) {
    (void)number;
    sem_post(&caught);
}

/* Mostly one signal. Another one only where the thread did not sleep in the wait yet but on its way: such a signal ends
 * nothing. */
static void *interrupts(void *unused) {
    for (;;) {
        await_asleep(waiting_id);
        if (atomic_load(&returned)) return unused;
        pthread_kill(waiting, SIGINT);
        while (sem_wait(&caught) != 0) CHECK_INT(errno, EINTR);
    }
}

static void one(server *peer, int flags, int call) {
    struct sigaction action = {0};
    valtron_client *client = client_new();
    valtron_request_config config = request_config(server_url(peer));
    valtron_request_info info = VALTRON_REQUEST_INFO_INIT;
    valtron_request request = 0;
    valtron_status status;
    pthread_t thread;
    int before = atomic_load(&peer->requests);
    action.sa_handler = on_signal;
    action.sa_flags = flags;
    sigaction(SIGINT, &action, NULL);
    if (call != 2) request = request_from(client, &config);
    waiting = pthread_self();
    waiting_id = gettid();
    atomic_store(&returned, 0);
    CHECK_INT(pthread_create(&thread, NULL, interrupts, NULL), 0);
    do {
        HERE();
        if (call == 0) status = valtron_client_wait(client, HOUR_MS, NULL);
        else if (call == 1) status = valtron_request_wait(client, request, VALTRON_UNTIL_DONE, HOUR_MS, &info);
        else status = valtron_client_perform(client, &config, VALTRON_UNTIL_DONE, HOUR_MS, &request, &info);
    } while (call == 0 && status == VALTRON_OK);
    atomic_store(&returned, 1);
    CHECK_INT(pthread_join(thread, NULL), 0);
    CHECK_STATUS(status, VALTRON_E_INTERRUPTED);
    CHECK(request != 0);
    info = look(client, request);
    CHECK(!info.terminal);
    /* Until the request is at the peer, which then may answer. */
    while (atomic_load(&peer->requests) == before) OK(valtron_client_wait(client, 1, NULL));
    server_answer(peer);
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
    server peer = {.answer = ANSWER_HELLO, .held = 1};
    server_start(&peer);
    CHECK_INT(sem_init(&caught, 0, 0), 0);
    for (int call = 0; call < 3; call++) {
        one(&peer, 0, call);
        one(&peer, SA_RESTART, call);
    }
    server_stop(&peer);
    no_sigpipe();
}

int main(void) { return run_test(test); }
