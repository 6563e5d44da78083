/* Goal: a poll uses its budget and one step, and what lies in a socket when it starts is delivered by it. Method: many
 * handshakes and downloads under several budgets, the CPU time of each poll measured and compared with the longest step that
 * the library itself tells; then answers that the kernel is known to hold, and exactly one poll. */
#include "support.h"

#include <sys/ioctl.h>

#define DOWNLOADS 32
#define DOWNLOAD_BYTES 400000

/* What surrounds the steps of a poll: the look at the poller, timers, new work, a cold cache. Under a sanitizer each access
 * costs a multiple. */
#define SURROUNDINGS_US (SANITIZED ? 40000 : 2000)

static int64_t cpu_ns(void) {
    struct timespec at;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &at);
    return (int64_t)at.tv_sec * 1000000000 + at.tv_nsec;
}

/* Sleeps until there is work: without driving the client, so that each step is one of a poll. */
static void await_work(valtron_client *client, const valtron_poll_info *info) {
    struct pollfd handle = {.events = POLLIN};
    ptrdiff_t fd = -1;
    OK(valtron_client_wait_handle(client, &fd));
    handle.fd = (int)fd;
    if (info->work_left || info->events_ready > 0) return;
    poll(&handle, 1, info->next_deadline_us >= 0 ? (int)(info->next_deadline_us / 1000) + 1 : 10000);
}

/* Reads what is there in place; how much. */
static uint64_t drain(valtron_client *client, valtron_request request) {
    uint64_t all = 0;
    for (;;) {
        const uint8_t *bytes;
        size_t len = 0;
        valtron_status status = valtron_request_peek(client, request, &bytes, &len);
        if (status != VALTRON_E_WOULD_BLOCK) OK(status);
        if (len == 0) return all;
        OK(valtron_request_consume(client, request, len));
        all += len;
    }
}

static void keeps_budget(uint64_t budget_us) {
    valtron_client *client = client_new();
    valtron_header close_it = {"Connection", 10, "close", 5};
    valtron_hitches hitches = VALTRON_HITCHES_INIT;
    const char *urls[2] = {text("%s/bytes/%d", site("VALTRON_SITE_HTTPS"), DOWNLOAD_BYTES),
                           text("%s/bytes/%d", site("VALTRON_SITE_HTTP"), DOWNLOAD_BYTES)};
    uint64_t polls = 0, cut = 0, over = 0, received = 0, counted = 0;
    int64_t longest_ns = 0;
    int done = 0;
    for (int i = 0; i < DOWNLOADS; i++) {
        valtron_request_config config = request_config(urls[i % 4 == 3]);
        config.headers = &close_it;
        config.headers_count = 1;
        request_from(client, &config);
    }
    while (done < DOWNLOADS) {
        valtron_poll_info info = VALTRON_POLL_INFO_INIT;
        valtron_event events[16];
        size_t count = 0;
        int64_t begun = cpu_ns(), took;
        OK(valtron_client_poll(client, budget_us, &info));
        took = cpu_ns() - begun;
        if (took > longest_ns) longest_ns = took;
        over += took / 1000 > (int64_t)budget_us + SURROUNDINGS_US;
        polls++;
        cut += info.work_left != 0;
        OK(valtron_client_next_events(client, events, sizeof events[0], 16, &count));
        for (size_t i = 0; i < count; i++) {
            received += drain(client, events[i].request);
            if ((events[i].flags & VALTRON_EVENT_DONE) == 0) continue;
            CHECK_STATUS(events[i].status, VALTRON_OK);
            valtron_request_free(client, events[i].request);
            done++;
        }
        await_work(client, &info);
    }
    CHECK_INT(received, (uint64_t)DOWNLOADS * DOWNLOAD_BYTES);
    OK(valtron_client_hitches(client, 0, &hitches));
    CHECK_INT(hitches.polls, polls);
    for (int i = 0; i < 16; i++) counted += hitches.poll_counts[i];
    CHECK_INT(counted, polls);
    fprintf(stderr, "budget %d us: %d polls, %d cut, %d over, CPU of the longest %d us, longest step %d us (kind %d)\n",
            (int)budget_us, (int)polls, (int)cut, (int)over, (int)(longest_ns / 1000), (int)(hitches.longest_step_ns / 1000),
            (int)hitches.longest_step_kind);
    CHECK(hitches.longest_step_ns > 0);
    CHECK(hitches.longest_step_kind > VALTRON_STEP_NONE && hitches.longest_step_kind <= VALTRON_STEP_IDLE);
    /* A budget that nothing runs into would prove nothing. Where workers drive, a poll only collects. */
    if (workers <= 0) CHECK(cut > 0);
    /* The longest step was measured on the wall, where another process may have been in its way; so this is generous. */
    CHECK_OP(longest_ns / 1000, <=, budget_us + hitches.longest_step_ns / 1000 + SURROUNDINGS_US);
#ifndef __SANITIZE_THREAD__ /* which makes a step of cryptography a hundred milliseconds long */
    /* No step here takes as long as the tolerance: nine polls of ten are without that excuse. */
    CHECK_OP(over * 10, <=, polls);
#endif
    valtron_client_free(client);
}

/* The client's connections to this port: their descriptors are this process's. */
static int sockets_to(int port, int *fds, int cap) {
    int found = 0;
    for (int fd = 3; fd < 1024 && found < cap; fd++) {
        struct sockaddr_in peer;
        socklen_t len = sizeof peer;
        if (getpeername(fd, (struct sockaddr *)&peer, &len) != 0 || peer.sin_family != AF_INET) continue;
        if (ntohs(peer.sin_port) == port) fds[found++] = fd;
    }
    return found;
}

/* Until so many bytes lie in the kernel for this socket. */
static void await_bytes(int fd, int bytes) {
    int there = 0;
    HERE();
    while (there < bytes) {
        CHECK_INT(ioctl(fd, FIONREAD, &there), 0);
        sched_yield();
    }
    CHECK_INT(there, bytes);
}

#define AT_ONCE 16

/* Answers of several sizes; the largest is within what a socket holds from its start. */
static void same_frame(size_t body_len) {
    static char answer[64 + 65536];
    static uint8_t body[65536];
    int head_len = snprintf(answer, 64, "HTTP/1.1 200 OK\r\ncontent-length: %zu\r\n\r\n", body_len);
    server s = {.answer = answer, .answer_len = (size_t)head_len + body_len, .held = 1};
    valtron_client *client = client_new();
    int fds[AT_ONCE];
    for (size_t i = 0; i < body_len; i++) answer[(size_t)head_len + i] = (char)(i % 251);
    server_start(&s);
    /* The second round is over kept connections. */
    for (int round = 1; round <= 2; round++) {
        valtron_poll_info info = VALTRON_POLL_INFO_INIT;
        valtron_event events[AT_ONCE];
        size_t count = 0;
        for (int i = 0; i < AT_ONCE; i++) request_new(client, server_url(&s));
        /* Until all have been sent, and nothing is left to do. */
        while (atomic_load(&s.requests) < round * AT_ONCE || info.work_left) {
            OK(valtron_client_poll(client, 1000, &info));
            sched_yield();
        }
        OK(valtron_client_next_events(client, events, sizeof events[0], AT_ONCE, &count));
        CHECK_INT(count, 0);
        CHECK_INT(sockets_to(s.port, fds, AT_ONCE), AT_ONCE);
        server_answer(&s);
        for (int i = 0; i < AT_ONCE; i++) await_bytes(fds[i], (int)s.answer_len);

        OK(valtron_client_poll(client, 60000000, &info)); /* one */
        OK(valtron_client_next_events(client, events, sizeof events[0], AT_ONCE, &count));
        CHECK_INT(count, AT_ONCE);
        for (size_t i = 0; i < count; i++) {
            CHECK(events[i].flags & VALTRON_EVENT_DONE);
            CHECK_STATUS(events[i].status, VALTRON_OK);
            CHECK_INT(read_all(client, events[i].request, body, sizeof body), body_len);
            CHECK_INT(memcmp(body, answer + head_len, body_len), 0);
            valtron_request_free(client, events[i].request);
        }
    }
    CHECK_INT(atomic_load(&s.accepted), AT_ONCE);
    valtron_client_free(client);
    server_stop(&s);
}

static int port_of(const char *url) { return atoi(strrchr(url, ':') + 1); }

/* Over TLS: a small answer is one write of the site's, so one record in one segment: all of it is there, or nothing. */
static void same_frame_tls(void) {
    valtron_client *client = client_new();
    const char *base = site("VALTRON_SITE_HTTPS");
    valtron_request first = request_new(client, text("%s/hello", base)), second;
    valtron_poll_info info = VALTRON_POLL_INFO_INIT;
    valtron_event events[4];
    size_t count = 0;
    struct pollfd socket = {.events = POLLIN};
    CHECK_STATUS(wait_done(client, first).status, VALTRON_OK);
    valtron_request_free(client, first);
    second = request_new(client, text("%s/slow?ms=300", base));
    while (look(client, second).state != VALTRON_STATE_RECEIVING_INTRO || info.work_left) {
        OK(valtron_client_poll(client, 1000, &info));
    }
    CHECK_INT(look(client, second).connection_reused, 1);
    CHECK_INT(sockets_to(port_of(base), &socket.fd, 1), 1);
    OK(valtron_client_next_events(client, events, sizeof events[0], 4, &count));
    CHECK_INT(poll(&socket, 1, 60000), 1);

    OK(valtron_client_poll(client, 60000000, &info)); /* one */
    OK(valtron_client_next_events(client, events, sizeof events[0], 4, &count));
    CHECK_INT(count, 1);
    CHECK(events[0].flags & VALTRON_EVENT_DONE);
    CHECK_STATUS(events[0].status, VALTRON_OK);
    valtron_client_free(client);
}

static void test(void) {
    const uint64_t budgets_us[] = {200, 500, 1000};
    for (int i = 0; i < 3; i++) keeps_budget(budgets_us[i]);
    /* What lies in a socket is a worker's to find, when it comes to it. */
    if (workers > 0) return;
    same_frame(6);
    same_frame(4000);
    same_frame(30000);
    same_frame_tls();
}

int main(void) { return run_test(test); }
