/* Goal: several threads wait for their requests at once: one drives, the others sleep, and whoever goes leaves nobody behind.
 * Method: waits that end by their request, their time and a signal, while another thread drives, polls, or stops driving. */
#include "support.h"

#define WAITERS 8
#define ROUNDS (SANITIZED ? 5 : 25)
#define DELAY_MS 300
#define CPU_US_MAX (SANITIZED ? 200000 : 20000)
#define SHORT_MS 30

static struct {
    valtron_client *client;
    const char *url;
    atomic_int inside, stop;
    atomic_int passenger; /* the system's number of its thread */
    _Atomic int64_t most_cpu_us;
} shared;

static pthread_t start(void *(*what)(void *), void *argument) {
    pthread_t thread;
    CHECK_INT(pthread_create(&thread, NULL, what, argument), 0);
    return thread;
}

static void *fetches(void *unused) {
    for (int i = 0; i < ROUNDS; i++) {
        valtron_request request = request_new(shared.client, shared.url);
        uint8_t body[64];
        CHECK_STATUS(wait_done(shared.client, request).status, VALTRON_OK);
        CHECK_BYTES(body, read_all(shared.client, request, body, sizeof body), "hello\n");
        valtron_request_free(shared.client, request);
    }
    return unused;
}

/* Takes the driving from the others, and looks at counters, again and again. */
static void *disturbs(void *unused) {
    valtron_stats stats = VALTRON_STATS_INIT;
    while (!atomic_load(&shared.stop)) {
        valtron_status status = valtron_client_poll(shared.client, 100, NULL);
        CHECK(status == VALTRON_OK || status == VALTRON_E_BUSY);
        status = valtron_client_wait(shared.client, 1, NULL);
        CHECK(status == VALTRON_OK || status == VALTRON_E_BUSY);
        OK(valtron_client_stats(shared.client, &stats));
        usleep(200);
    }
    return unused;
}

static void many(int disturbed) {
    server peer = {.answer = ANSWER_HELLO};
    pthread_t threads[WAITERS], disturber = 0;
    server_start(&peer);
    memset(&shared, 0, sizeof shared);
    shared.url = server_url(&peer);
    shared.client = client_new();
    for (int i = 0; i < WAITERS; i++) threads[i] = start(fetches, NULL);
    if (disturbed) disturber = start(disturbs, NULL);
    for (int i = 0; i < WAITERS; i++) CHECK_INT(pthread_join(threads[i], NULL), 0);
    atomic_store(&shared.stop, 1);
    if (disturbed) CHECK_INT(pthread_join(disturber, NULL), 0);
    valtron_client_free(shared.client);
    server_stop(&peer);
}

/* All wait for a slow server: nobody spins meanwhile. */
static void *waits_slowly(void *argument) {
    int64_t cpu = cpu_us(), most;
    CHECK_STATUS(wait_done(shared.client, *(valtron_request *)argument).status, VALTRON_OK);
    cpu = cpu_us() - cpu;
    most = atomic_load(&shared.most_cpu_us);
    while (cpu > most && !atomic_compare_exchange_weak(&shared.most_cpu_us, &most, cpu)) {
    }
    return NULL;
}

static int64_t most_cpu_of_waiters(void) {
    server peer = {.answer = ANSWER_HELLO, .delay_ms = DELAY_MS};
    valtron_request requests[WAITERS];
    pthread_t threads[WAITERS];
    server_start(&peer);
    shared.client = client_new();
    for (int i = 0; i < WAITERS; i++) requests[i] = request_new(shared.client, server_url(&peer));
    for (int i = 0; i < WAITERS; i++) threads[i] = start(waits_slowly, &requests[i]);
    for (int i = 0; i < WAITERS; i++) CHECK_INT(pthread_join(threads[i], NULL), 0);
    for (int i = 0; i < WAITERS; i++) CHECK_OP(look(shared.client, requests[i]).task_polls, <=, 10);
    valtron_client_free(shared.client);
    server_stop(&peer);
    return atomic_exchange(&shared.most_cpu_us, 0);
}

/* The machine may take some of one try, but not of all. */
static void sleeping(void) {
    int64_t least = INT64_MAX;
    for (int i = 0; i < 5 && least >= CPU_US_MAX; i++) {
        int64_t most = most_cpu_of_waiters();
        if (most < least) least = most;
    }
    CHECK_OP(least, <, CPU_US_MAX);
}

/* ---- while one drives for a request that never ends ---- */

static void *drives(void *argument) {
    valtron_request_info info = VALTRON_REQUEST_INFO_INIT;
    atomic_store(&shared.passenger, gettid());
    count_up(&shared.inside);
    OK(valtron_request_wait(shared.client, *(valtron_request *)argument, VALTRON_UNTIL_DONE, -1, &info));
    CHECK_STATUS(info.status, VALTRON_E_CANCELLED);
    return NULL;
}

static sem_t caught, seen;

static void on_signal(int number) {
    (void)number;
    sem_post(&caught);
}

static void *interrupted(void *argument) {
    valtron_request_info info = VALTRON_REQUEST_INFO_INIT;
    atomic_store(&shared.passenger, gettid());
    count_up(&shared.inside);
    CHECK_STATUS(valtron_request_wait(shared.client, *(valtron_request *)argument, VALTRON_UNTIL_DONE, -1, &info),
                 VALTRON_E_INTERRUPTED);
    atomic_store(&shared.stop, 1);
    /* It sleeps once more, for whoever waits for that. */
    while (sem_wait(&seen) != 0) CHECK_INT(errno, EINTR);
    return NULL;
}

static void beside_a_driver(void) {
    server silent = {0}, peer = {.answer = ANSWER_HELLO};
    struct sigaction action = {0};
    valtron_request_info info = VALTRON_REQUEST_INFO_INIT;
    valtron_request endless[2], quick;
    pthread_t driver, passenger;
    int64_t began;
    server_start(&silent);
    server_start(&peer);
    memset(&shared, 0, sizeof shared);
    shared.client = client_new();
    for (int i = 0; i < 2; i++) endless[i] = request_new(shared.client, server_url(&silent));
    driver = start(drives, &endless[0]);
    await_count(&silent.requests, 2);

    /* Time. */
    began = now_us();
    CHECK_STATUS(valtron_request_wait(shared.client, endless[1], VALTRON_UNTIL_DONE, SHORT_MS, &info), VALTRON_E_WAIT_TIMEOUT);
    CHECK_OP(now_us() - began, >=, SHORT_MS * 1000);
    /* A look. */
    OK(valtron_request_poll(shared.client, endless[1], 1000, &info));
    CHECK_INT(info.state, VALTRON_STATE_RECEIVING_INTRO);
    /* A request of its own, which the other one drives. */
    quick = request_new(shared.client, server_url(&peer));
    CHECK_STATUS(wait_done(shared.client, quick).status, VALTRON_OK);
    /* A signal; again if it found the thread on its way to the wait. */
    action.sa_handler = on_signal;
    sigaction(SIGUSR1, &action, NULL);
    CHECK_INT(sem_init(&caught, 0, 0), 0);
    CHECK_INT(sem_init(&seen, 0, 0), 0);
    passenger = start(interrupted, &endless[1]);
    await_count(&shared.inside, 2);
    for (;;) {
        await_asleep(atomic_load(&shared.passenger));
        if (atomic_load(&shared.stop)) break;
        CHECK_INT(pthread_kill(passenger, SIGUSR1), 0);
        while (sem_wait(&caught) != 0) CHECK_INT(errno, EINTR);
    }
    sem_post(&seen);
    CHECK_INT(pthread_join(passenger, NULL), 0);

    /* The driver goes: the one that waits beside it goes on, and drives for others. */
    passenger = start(drives, &endless[1]);
    await_count(&shared.inside, 3);
    await_asleep(atomic_load(&shared.passenger));
    OK(valtron_request_cancel(shared.client, endless[0]));
    CHECK_INT(pthread_join(driver, NULL), 0);
    quick = request_new(shared.client, server_url(&peer));
    await_count(&peer.requests, 2);
    OK(valtron_request_cancel(shared.client, endless[1]));
    CHECK_INT(pthread_join(passenger, NULL), 0);
    CHECK_STATUS(wait_done(shared.client, quick).status, VALTRON_OK);
    valtron_client_free(shared.client);
    server_stop(&peer);
    server_stop(&silent);
}

/* Two threads wait for one request of a perform that was interrupted by its time. */
static void one_performed_request(void) {
    server peer = {.answer = ANSWER_HELLO, .delay_ms = DELAY_MS};
    valtron_request_config config;
    valtron_request_info info = VALTRON_REQUEST_INFO_INIT;
    valtron_request request = 0;
    pthread_t threads[2];
    server_start(&peer);
    shared.client = client_new();
    config = request_config(server_url(&peer));
    CHECK_STATUS(valtron_client_perform(shared.client, &config, VALTRON_UNTIL_DONE, SHORT_MS, &request, &info),
                 VALTRON_E_WAIT_TIMEOUT);
    for (int i = 0; i < 2; i++) threads[i] = start(waits_slowly, &request);
    for (int i = 0; i < 2; i++) CHECK_INT(pthread_join(threads[i], NULL), 0);
    valtron_client_free(shared.client);
    server_stop(&peer);
}

static void test(void) {
    many(0);
    many(1);
    sleeping();
    beside_a_driver();
    one_performed_request();
}

int main(void) { return run_test(test); }
