/* Goal: waiting costs nothing. Method: requests whose server takes 300 ms are counted in task polls and processor time, of all
 * threads of the process; while all that can wait does wait, no task runs at all; an idle client in none. */
#include "support.h"

#define REQUESTS_MAX 100
#define TASK_POLLS_MAX 10
/* A handshake is work, not waiting: a look-up, and a step for each record. 14 to 16 were seen, the request's own 3 among them. */
#define HANDSHAKE_POLLS_MAX 20
#define WAIT_MS 300
#define CPU_US_MAX (SANITIZED ? 200000 : 10000)
#define POLLS 1000

static valtron_stats stats_of(valtron_client *client) {
    valtron_stats stats = VALTRON_STATS_INIT;
    OK(valtron_client_stats(client, &stats));
    return stats;
}

/* What a host's own loop watches. The first to ask for it is told to look once: what came before told nobody. */
static struct pollfd watched(valtron_client *client) {
    struct pollfd ready = {-1, POLLIN, 0};
    ptrdiff_t handle = -1;
    OK(valtron_client_wait_handle(client, &handle));
    OK(valtron_client_poll(client, 1000, NULL));
    ready.fd = (int)handle;
    return ready;
}

static void await_workers_asleep(void) {
    DIR *dir = opendir("/proc/self/task");
    struct dirent *entry;
    CHECK(dir != NULL);
    while ((entry = readdir(dir)) != NULL) {
        char name[32] = "";
        FILE *file = entry->d_name[0] == '.' ? NULL : fopen(text("/proc/self/task/%s/comm", entry->d_name), "r");
        if (file == NULL) continue;
        if (fgets(name, sizeof name, file) != NULL && strncmp(name, "valtron-", 8) == 0) await_asleep(atoi(entry->d_name));
        fclose(file);
    }
    closedir(dir);
}

/* Until the workers have done what there is to do, and the host in its calls, too. */
static void settle(valtron_client *client) {
    valtron_stats before, after;
    do {
        before = stats_of(client);
        OK(valtron_client_wait(client, 20, NULL));
        await_workers_asleep();
        after = stats_of(client);
    } while (after.task_polls != before.task_polls || after.turns - before.turns > 2);
}

static void check_request(valtron_client *client, valtron_request request, int polls_max) {
    valtron_request_info info = look(client, request);
    CHECK_STATUS(info.status, VALTRON_OK);
    CHECK(info.terminal);
    CHECK_OP(info.task_polls, >, 0);
    CHECK_OP(info.task_polls, <=, polls_max);
    /* It did wait. */
    CHECK_OP(info.time_first_byte_us, >=, WAIT_MS * 1000);
}

/* Driven to their end by valtron_client_wait. The CPU time of all threads. */
static int64_t requests(int count, const char *url, int polls_max) {
    valtron_client *client = client_new();
    valtron_request handles[REQUESTS_MAX];
    valtron_stats stats;
    int done = 0;
    int64_t cpu;
    for (int i = 0; i < count; i++) handles[i] = request_new(client, url);
    cpu = process_cpu_us();
    while (done < count) {
        valtron_event events[16];
        size_t got = 0;
        OK(valtron_client_wait(client, -1, NULL));
        OK(valtron_client_next_events(client, events, sizeof events[0], 16, &got));
        for (size_t i = 0; i < got; i++) done += (events[i].flags & VALTRON_EVENT_DONE) != 0;
    }
    cpu = process_cpu_us() - cpu;
    for (int i = 0; i < count; i++) check_request(client, handles[i], polls_max);
    /* Whoever ran the tasks, worker threads included, is in the sum. */
    stats = stats_of(client);
    CHECK_OP(stats.task_polls, >=, (uint64_t)count);
    CHECK_OP(stats.task_polls, <=, (uint64_t)(count * polls_max + 20));
    CHECK_INT(stats.empty_waits, 0);
    valtron_client_free(client);
    return cpu;
}

/* The server's thread is in this process, too: it accepts, reads and writes once. */
static void first_request(const char *url) {
    int64_t least = INT64_MAX;
    for (int i = 0; i < 5 && least >= CPU_US_MAX; i++) {
        int64_t cpu = requests(1, url, TASK_POLLS_MAX);
        if (cpu < least) least = cpu;
    }
    CHECK_OP(least, <, CPU_US_MAX);
}

static valtron_request driven(valtron_client *client, const char *url, int by_perform) {
    valtron_request_config config = request_config(url);
    valtron_request_info info = VALTRON_REQUEST_INFO_INIT;
    valtron_request request = 0;
    if (by_perform) {
        OK(valtron_client_perform(client, &config, VALTRON_UNTIL_DONE, -1, &request, &info));
    } else {
        request = request_from(client, &config);
        (void)wait_done(client, request);
    }
    return request;
}

/* The same for the two calls that drive one request, over a connection that is kept. */
static void one_request(const char *url, int by_perform) {
    valtron_client *client = client_new();
    valtron_request request = driven(client, url, by_perform);
    int times;
    CHECK_SLEEPS(process_cpu_us, CPU_US_MAX, times, {
        valtron_request_free(client, request);
        request = driven(client, url, by_perform);
    });
    CHECK_INT(look(client, request).connection_reused, 1);
    check_request(client, request, TASK_POLLS_MAX);
    valtron_client_free(client);
}

/* All have been sent and none is answered: from here on nothing runs, however the host goes on. */
static void while_waiting(int count) {
    server peer = {.answer = ANSWER_HELLO, .held = 1};
    valtron_client *client = client_new();
    valtron_request handles[REQUESTS_MAX];
    valtron_stats before, after;
    struct pollfd ready;
    int times;
    server_start(&peer);
    for (int i = 0; i < count; i++) handles[i] = request_new(client, server_url(&peer));
    while (atomic_load(&peer.requests) < count) OK(valtron_client_wait(client, 1, NULL));
    /* A worker may not have noted yet that what it sent is out. */
    for (int i = 0; i < count; i++) {
        while (look(client, handles[i]).state != VALTRON_STATE_RECEIVING_INTRO) OK(valtron_client_wait(client, 1, NULL));
    }
    settle(client);
    before = stats_of(client);

    CHECK_SLEEPS(process_cpu_us, CPU_US_MAX, times, OK(valtron_client_wait(client, WAIT_MS, NULL)));
    after = stats_of(client);
    CHECK_INT(after.task_polls, before.task_polls);
    CHECK_OP(after.turns - before.turns, <=, 2 * times);

    /* Nor is there anything to poll for, and polling for it runs nothing. */
    ready = watched(client);
    CHECK_SLEEPS(process_cpu_us, CPU_US_MAX, times, CHECK_INT(poll(&ready, 1, WAIT_MS), 0));
    for (int i = 0; i < POLLS; i++) {
        valtron_poll_info info = VALTRON_POLL_INFO_INIT;
        OK(valtron_client_poll(client, 1000, &info));
        CHECK_INT(info.work_left, 0);
        CHECK_INT(info.requests_live, count);
    }
    after = stats_of(client);
    CHECK_INT(after.task_polls, before.task_polls);

    server_answer(&peer);
    for (int i = 0; i < count; i++) {
        valtron_request_info info = wait_done(client, handles[i]);
        CHECK_STATUS(info.status, VALTRON_OK);
        CHECK_OP(info.task_polls, <=, TASK_POLLS_MAX);
    }
    CHECK_INT(stats_of(client).empty_waits, 0);
    valtron_client_free(client);
    server_stop(&peer);
}

/* Nothing to do: in a call that waits, and outside of any. */
static void idle_costs_nothing(valtron_client *client) {
    valtron_stats before = stats_of(client), after;
    struct pollfd ready;
    int times;
    CHECK_SLEEPS(process_cpu_us, CPU_US_MAX, times, OK(valtron_client_wait(client, WAIT_MS, NULL)));
    after = stats_of(client);
    CHECK_INT(after.task_polls, before.task_polls);
    CHECK_OP(after.turns - before.turns, <=, 2 * times);

    ready = watched(client);
    before = stats_of(client);
    CHECK_SLEEPS(process_cpu_us, CPU_US_MAX, times, CHECK_INT(poll(&ready, 1, WAIT_MS), 0));
    after = stats_of(client);
    CHECK_INT(after.task_polls, before.task_polls);
    CHECK_INT(after.turns, before.turns);
}

static void idle(void) {
    valtron_client *client = client_new();
    settle(client);
    idle_costs_nothing(client);
    valtron_client_free(client);
}

/* An idle connection is watched, and costs nothing either while nothing happens to it. */
static void idle_connection(const char *url) {
    valtron_client *client = client_new();
    valtron_request request = request_new(client, url);
    CHECK_STATUS(wait_done(client, request).status, VALTRON_OK);
    valtron_request_free(client, request);
    settle(client);
    idle_costs_nothing(client);
    valtron_client_free(client);
}

static void test(void) {
    server peer = {.answer = ANSWER_HELLO, .delay_ms = WAIT_MS};
    char *slow_tls = strdup(text("%s/slow?ms=%d", site("VALTRON_SITE_HTTPS"), WAIT_MS));
    const char *slow;
    server_start(&peer);
    slow = server_url(&peer);
    first_request(slow);
    requests(REQUESTS_MAX, slow, TASK_POLLS_MAX);
    for (int by_perform = 0; by_perform < 2; by_perform++) {
        one_request(slow, by_perform);
        one_request(slow_tls, by_perform);
    }
    idle_connection(slow);
    server_stop(&peer);
    while_waiting(1);
    while_waiting(REQUESTS_MAX);
    requests(1, slow_tls, HANDSHAKE_POLLS_MAX);
    requests(REQUESTS_MAX, slow_tls, HANDSHAKE_POLLS_MAX);
    idle_connection(slow_tls);
    idle();
    free(slow_tls);
}

int main(void) { return run_test(test); }
