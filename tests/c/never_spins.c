/* Goal: waiting costs nothing. Method: requests whose server takes 300 ms are counted in task polls and processor time; an idle
 * client in none. */
#include "support.h"

#define REQUESTS_MAX 100
#define TASK_POLLS_MAX 10
#define CPU_US_MAX (SANITIZED ? 200000 : 10000)

/* Of all threads: the workers', too. */
static int64_t process_cpu_us(void) { return clock_us(CLOCK_PROCESS_CPUTIME_ID); }

static void requests(int count, const char *url) {
    valtron_client *client = client_new();
    valtron_request handles[REQUESTS_MAX];
    valtron_stats stats = VALTRON_STATS_INIT;
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
    for (int i = 0; i < count; i++) {
        valtron_request_info info = look(client, handles[i]);
        CHECK_STATUS(info.status, VALTRON_OK);
        CHECK_OP(info.task_polls, <=, TASK_POLLS_MAX);
    }
    /* The server's thread is in this process, too: it accepts, reads and writes once. */
    if (count == 1) CHECK_OP(cpu, <, CPU_US_MAX);
    /* Whoever ran the tasks, worker threads included, is in the sum. */
    OK(valtron_client_stats(client, &stats));
    CHECK_OP(stats.task_polls, >=, (uint64_t)count);
    CHECK_OP(stats.task_polls, <=, (uint64_t)(count * TASK_POLLS_MAX + 20));
    CHECK_INT(stats.empty_waits, 0);
    valtron_client_free(client);
}

static void idle(void) {
    valtron_client *client = client_new();
    valtron_stats before = VALTRON_STATS_INIT, after = VALTRON_STATS_INIT;
    int64_t cpu;
    OK(valtron_client_wait(client, 0, NULL));
    OK(valtron_client_stats(client, &before));
    cpu = process_cpu_us();
    OK(valtron_client_wait(client, 200, NULL));
    CHECK_OP(process_cpu_us() - cpu, <, CPU_US_MAX);
    OK(valtron_client_stats(client, &after));
    CHECK_INT(after.task_polls, before.task_polls);
    valtron_client_free(client);
}

/* An idle connection is watched, and costs nothing either while nothing happens to it. */
static void idle_connection(server *peer) {
    valtron_client *client = client_new();
    valtron_stats before = VALTRON_STATS_INIT, after = VALTRON_STATS_INIT;
    valtron_request request = request_new(client, server_url(peer));
    int64_t cpu;
    CHECK_STATUS(wait_done(client, request).status, VALTRON_OK);
    valtron_request_free(client, request);
    /* A worker may not have put the connection away yet. */
    OK(valtron_client_wait(client, 50, NULL));
    OK(valtron_client_stats(client, &before));
    cpu = process_cpu_us();
    OK(valtron_client_wait(client, 200, NULL));
    CHECK_OP(process_cpu_us() - cpu, <, CPU_US_MAX);
    OK(valtron_client_stats(client, &after));
    CHECK_INT(after.task_polls, before.task_polls);
    CHECK_INT(after.turns - before.turns <= 2, 1);
    valtron_client_free(client);
}

static void test(void) {
    server peer = {.answer = ANSWER_HELLO, .delay_ms = 300};
    server_start(&peer);
    requests(1, server_url(&peer));
    requests(REQUESTS_MAX, server_url(&peer));
    idle_connection(&peer);
    server_stop(&peer);
    idle();
}

int main(void) { return run_test(test); }
