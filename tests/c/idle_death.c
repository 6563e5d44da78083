/* Goal: a kept connection that died is noticed, and bytes after a response are never the next one. Method: a server that closes
 * what is idle; a server that sends too much. */
#include "support.h"

static void fetch(valtron_client *client, const char *url, const char *want, int reused) {
    uint8_t body[64];
    valtron_request request = request_new(client, url);
    valtron_request_info info = wait_done(client, request);
    CHECK_STATUS(info.status, VALTRON_OK);
    CHECK_INT(info.connection_reused, reused);
    CHECK_BYTES(body, read_all(client, request, body, sizeof body), want);
    valtron_request_free(client, request);
}

static void test(void) {
    server peer = {.answer = ANSWER_HELLO};
    server generous = {.answer = ANSWER_HELLO "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged"};
    valtron_client *client = client_new();
    server_start(&peer);
    server_start(&generous);
    for (int round = 0; round < 5; round++) {
        fetch(client, server_url(&peer), "hello\n", 0);
        fetch(client, server_url(&peer), "hello\n", 1);
        fetch(client, server_url(&peer), "hello\n", 1);
        CHECK_INT(atomic_load(&peer.accepted), round + 1);
        server_close_all(&peer);
    }
    for (int round = 0; round < 5; round++) fetch(client, server_url(&generous), "hello\n", 0);
    CHECK_INT(atomic_load(&generous.accepted), 5);
    valtron_client_free(client);
    server_stop(&generous);
    server_stop(&peer);
}

int main(void) { return run_test(test); }
