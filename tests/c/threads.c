/* Goal: any thread may call anything at any time. Method: eight threads create, poll, wait, perform, read, cancel and free on
 * one client; every request gets exactly one terminal event, or was freed before it. Then shutdown, and all events are in. */
#include "support.h"

#define THREADS 8
#define ROUNDS (SANITIZED ? 12 : 60)
#define SLOTS (THREADS * 64)

typedef struct ticket {
    pthread_mutex_t lock;
    valtron_request request;
    int terminal, freed;
    long freed_at; /* by `moment`: when its free had returned; 0: it was not freed */
    long seen_at;  /* when the last call that brought an event of it began */
} ticket;

static valtron_client *client;
static const char *url;
static ticket tickets[SLOTS];
static atomic_long moment;

static void drain(void) {
    valtron_event events[16];
    size_t count = 0;
    long began = atomic_fetch_add(&moment, 1) + 1;
    OK(valtron_client_next_events(client, events, sizeof events[0], 16, &count));
    for (size_t i = 0; i < count; i++) {
        ticket *of = events[i].user_data;
        pthread_mutex_lock(&of->lock);
        if (of->seen_at < began) of->seen_at = began;
        pthread_mutex_unlock(&of->lock);
        if ((events[i].flags & VALTRON_EVENT_DONE) == 0) continue;
        pthread_mutex_lock(&of->lock);
        of->terminal++;
        pthread_mutex_unlock(&of->lock);
        CHECK(events[i].status == VALTRON_OK || events[i].status == VALTRON_E_CANCELLED || events[i].status == VALTRON_E_SHUTDOWN);
    }
}

static void drive(int how) {
    valtron_status status = how % 2 ? valtron_client_poll(client, 500, NULL) : valtron_client_wait(client, 5, NULL);
    CHECK(status == VALTRON_OK || status == VALTRON_E_BUSY);
}

static void perform(void) {
    valtron_request_config config = request_config(url);
    valtron_request_info info = VALTRON_REQUEST_INFO_INIT;
    valtron_request request = 0;
    uint8_t body[256];
    OK(valtron_client_perform(client, &config, VALTRON_UNTIL_DONE, 30000, &request, &info));
    CHECK_STATUS(info.status, VALTRON_OK);
    CHECK_INT(read_all(client, request, body, sizeof body), 13);
    valtron_request_free(client, request);
}

static void *worker(void *argument) {
    int number = (int)(intptr_t)argument;
    for (int round = 0; round < ROUNDS; round++) {
        ticket *mine = &tickets[number * 64 + round];
        valtron_request_config config = request_config(url);
        valtron_request_info info = VALTRON_REQUEST_INFO_INIT;
        valtron_request request = 0;
        size_t count = 0;
        uint8_t byte[1];
        config.user_data = mine;
        OK(valtron_request_create(client, &config, &request));
        drive(number + round);
        drain();
        switch ((number + round) % 5) {
            case 0: OK(valtron_request_cancel(client, request)); break;
            case 1: perform(); break;
            case 2: (void)valtron_request_read(client, request, byte, 1, &count); break;
            case 3: {
                valtron_status status = valtron_request_wait(client, request, VALTRON_UNTIL_HEAD, 20, &info);
                CHECK(status == VALTRON_OK || status == VALTRON_E_BUSY || status == VALTRON_E_WAIT_TIMEOUT);
                break;
            }
            default: OK(valtron_client_wakeup(client)); break;
        }
        pthread_mutex_lock(&mine->lock);
        mine->request = request;
        pthread_mutex_unlock(&mine->lock);
        /* Freed at once, or later when its end was seen, or at the end of all. */
        if (round % 3 == 0) {
            valtron_request_free(client, request);
            long now = atomic_fetch_add(&moment, 1) + 1;
            pthread_mutex_lock(&mine->lock);
            mine->freed = 1;
            mine->freed_at = now;
            pthread_mutex_unlock(&mine->lock);
        } else {
            for (;;) {
                int over;
                pthread_mutex_lock(&mine->lock);
                over = mine->terminal;
                pthread_mutex_unlock(&mine->lock);
                if (over) break;
                drive(0);
                drain();
            }
            valtron_request_free(client, request);
            long now = atomic_fetch_add(&moment, 1) + 1;
            drain();
            pthread_mutex_lock(&mine->lock);
            mine->freed_at = now;
            CHECK_INT(mine->terminal, 1);
            pthread_mutex_unlock(&mine->lock);
        }
        pthread_mutex_lock(&mine->lock);
        CHECK(mine->terminal <= 1);
        pthread_mutex_unlock(&mine->lock);
    }
    return NULL;
}

static void stress(void) {
    pthread_t threads[THREADS];
    client = client_new();
    url = strdup(text("%s/hello", site("VALTRON_SITE_HTTP")));
    memset(tickets, 0, sizeof tickets);
    for (int i = 0; i < SLOTS; i++) pthread_mutex_init(&tickets[i].lock, NULL);
    for (int i = 0; i < THREADS; i++) CHECK_INT(pthread_create(&threads[i], NULL, worker, (void *)(intptr_t)i), 0);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    OK(valtron_client_shutdown(client, 20000));
    drain();
    for (int i = 0; i < THREADS; i++)
        for (int round = 0; round < ROUNDS; round++) {
            ticket *of = &tickets[i * 64 + round];
            /* No event comes from a call that began after the free had returned. */
            if (of->freed_at != 0) CHECK_OP(of->seen_at, <, of->freed_at);
            if (of->freed) CHECK_OP(of->terminal, <=, 1);
            else CHECK_INT(of->terminal, 1);
        }
    valtron_client_free(client);
    free((void *)(uintptr_t)url);
}

int main(void) { return run_test(stress); }
