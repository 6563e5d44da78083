/* Goal: a kept connection that died is closed at once, not when somebody wants it again, and bytes after a response are never
 * the next one. Method: peers that close what is idle, plain and TLS, with and without close_notify; the descriptors that lead
 * to them are counted after one poll, where a host drives, and with no call at all, where workers do; a peer that sends too
 * much. */
#include "support.h"

#define ROUNDS (SANITIZED ? 2 : 5)
#define CONNECTIONS 4

/* This process's own connections to a port, by their descriptors. */
static int connections_to(int port) {
    DIR *dir = opendir("/proc/self/fd");
    struct dirent *entry;
    int count = 0;
    CHECK(dir != NULL);
    while ((entry = readdir(dir)) != NULL) {
        struct sockaddr_in address = {0};
        socklen_t len = sizeof address;
        /* Still has its name after the peer's orderly end; no peer here resets. */
        if (getpeername(atoi(entry->d_name), (struct sockaddr *)&address, &len) != 0) continue;
        count += address.sin_family == AF_INET && ntohs(address.sin_port) == port;
    }
    closedir(dir);
    return count;
}

static int port_of(const char *url) { return atoi(strrchr(url, ':') + 1); }

static long connection_number(valtron_client *client, valtron_request request) {
    valtron_head head = VALTRON_HEAD_INIT;
    const char *field;
    OK(valtron_request_head(client, request, VALTRON_HEAD_FINAL, &head));
    field = memmem(head.bytes, head.bytes_len, "x-connection: ", 14);
    CHECK(field != NULL);
    return atol(field + 14);
}

static int workers_drive(void) { return workers > 0; }

/* Until the handle tells of nothing: a host's own wakeups, too, make it readable. */
static void quiet(valtron_client *client) {
    struct pollfd ready = {-1, POLLIN, 0};
    ptrdiff_t handle = -1;
    if (workers_drive()) return;
    OK(valtron_client_wait_handle(client, &handle));
    ready.fd = (int)handle;
    do OK(valtron_client_poll(client, 1000, NULL));
    while (poll(&ready, 1, 0) > 0);
}

/* The peer has closed all connections to its port, and this client must, too. */
static void closed_at_once(valtron_client *client, int port, int connections) {
    if (workers_drive()) {
        /* Nobody calls: the workers see to it. */
        while (connections_to(port) > 0) sched_yield();
    } else {
        /* The end of a connection makes the handle readable. One poll for each of the ends, since they may come one by one;
         * and one more for a late wake of the thread that looked the name up, which makes it readable, too. */
        struct pollfd ready = {-1, POLLIN, 0};
        ptrdiff_t handle = -1;
        OK(valtron_client_wait_handle(client, &handle));
        ready.fd = (int)handle;
        for (int left = connections, polls = 0; left > 0; polls++) {
            int now;
            CHECK(polls <= connections);
            CHECK_INT(poll(&ready, 1, -1), 1);
            OK(valtron_client_poll(client, 1000000, NULL));
            now = connections_to(port);
            CHECK_OP(now, <=, left);
            left = now;
        }
    }
}

static void fetch(valtron_client *client, const char *url, const char *want, int reused) {
    uint8_t body[64];
    valtron_request request = request_new(client, url);
    valtron_request_info info = wait_done(client, request);
    CHECK_STATUS(info.status, VALTRON_OK);
    CHECK_INT(info.connection_reused, reused);
    CHECK_BYTES(body, read_all(client, request, body, sizeof body), want);
    valtron_request_free(client, request);
}

static void own_peer(void) {
    server peer = {.answer = ANSWER_HELLO};
    valtron_client *client = client_new();
    server_start(&peer);
    for (int round = 0; round < ROUNDS; round++) {
        fetch(client, server_url(&peer), "hello\n", 0);
        fetch(client, server_url(&peer), "hello\n", 1);
        fetch(client, server_url(&peer), "hello\n", 1);
        CHECK_INT(atomic_load(&peer.accepted), round + 1);
        CHECK_INT(connections_to(peer.port), 1);
        quiet(client);
        server_close_all(&peer);
        closed_at_once(client, peer.port, 1);
    }
    /* Not seen at a poll: at the next request, which must not go to a dead connection. */
    for (int round = 0; round < ROUNDS; round++) {
        fetch(client, server_url(&peer), "hello\n", 0);
        server_close_all(&peer);
    }
    valtron_client_free(client);
    server_stop(&peer);
}

/* Several idle connections at once. */
static void several(void) {
    server peer = {.answer = ANSWER_HELLO, .held = 1};
    valtron_client *client = client_new();
    server_start(&peer);
    for (int round = 0; round < ROUNDS; round++) {
        valtron_request requests[CONNECTIONS];
        for (int i = 0; i < CONNECTIONS; i++) requests[i] = request_new(client, server_url(&peer));
        while (atomic_load(&peer.requests) < CONNECTIONS * (round + 1)) OK(valtron_client_wait(client, 1, NULL));
        server_answer(&peer);
        for (int i = 0; i < CONNECTIONS; i++) {
            CHECK_STATUS(wait_done(client, requests[i]).status, VALTRON_OK);
            valtron_request_free(client, requests[i]);
        }
        CHECK_INT(atomic_load(&peer.accepted), CONNECTIONS * (round + 1));
        CHECK_INT(connections_to(peer.port), CONNECTIONS);
        quiet(client);
        server_close_all(&peer);
        closed_at_once(client, peer.port, CONNECTIONS);
    }
    valtron_client_free(client);
    server_stop(&peer);
}

/* The site ends a connection when it is told so by another client, over its plain port. */
static void hang_up(const char *how, long connection) {
    valtron_client *other = client_new();
    fetch(other, text("%s/%s/%ld", site("VALTRON_SITE_HTTP"), how, connection), "gone\n", 0);
    valtron_client_free(other);
}

static void tls_peer(const char *how) {
    const char *base = site("VALTRON_SITE_HTTPS"), *url = text("%s/hello", base);
    int port = port_of(base);
    valtron_client *client = client_new();
    for (int round = 0; round < ROUNDS; round++) {
        long connection = 0;
        for (int i = 0; i < 2; i++) {
            valtron_request request = request_new(client, url);
            valtron_request_info info = wait_done(client, request);
            CHECK_STATUS(info.status, VALTRON_OK);
            CHECK_INT(info.connection_reused, i);
            connection = connection_number(client, request);
            valtron_request_free(client, request);
        }
        CHECK_INT(connections_to(port), 1);
        quiet(client);
        hang_up(how, connection);
        closed_at_once(client, port, 1);
    }
    valtron_client_free(client);
}

/* A connection of valtron_client_perform belongs to a lane that nobody drives; every driving call looks after those, a second
 * later at the latest. */
static void performed(void) {
    server peer = {.answer = ANSWER_HELLO};
    valtron_client *client = client_new();
    valtron_request_config config;
    valtron_request_info info = VALTRON_REQUEST_INFO_INIT;
    valtron_request request = 0;
    server_start(&peer);
    config = request_config(server_url(&peer));
    OK(valtron_client_perform(client, &config, VALTRON_UNTIL_DONE, -1, &request, &info));
    CHECK_STATUS(info.status, VALTRON_OK);
    valtron_request_free(client, request);
    CHECK_INT(connections_to(peer.port), 1);
    server_close_all(&peer);
    while (connections_to(peer.port) > 0) {
        OK(valtron_client_poll(client, 0, NULL));
        sched_yield();
    }
    valtron_client_free(client);
    server_stop(&peer);
}

static void too_much(void) {
    server generous = {.answer = ANSWER_HELLO "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged"};
    valtron_client *client = client_new();
    server_start(&generous);
    for (int round = 0; round < ROUNDS; round++) fetch(client, server_url(&generous), "hello\n", 0);
    CHECK_INT(atomic_load(&generous.accepted), ROUNDS);
    valtron_client_free(client);
    server_stop(&generous);
}

static void test(void) {
    own_peer();
    several();
    tls_peer("hangup");
    tls_peer("cut");
    performed();
    too_much();
}

int main(void) { return run_test(test); }
