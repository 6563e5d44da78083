/* Goal: what a MiB of a body costs. Method: `download URL read|peek FROM TO CA_FILE` receives the body of URL, and marks where
 * FROM and TO bytes of it have come (writes to descriptor -1), for whoever counts system calls between the marks (`cargo xtask
 * test --only syscalls`) or instructions of runs of different length (`--only instructions`). */
#include "traced.h"

/* The next piece of the body, of whatever size; 0: none now. */
static size_t take(valtron_client *client, valtron_request request, int by_peek) {
    static uint8_t buffer[65536];
    const uint8_t *bytes = NULL;
    size_t len = 0;
    valtron_status status;
    if (!by_peek) {
        status = valtron_request_read(client, request, buffer, sizeof buffer, &len);
    } else {
        status = valtron_request_peek(client, request, &bytes, &len);
        if (status == VALTRON_OK && len > 0) status = valtron_request_consume(client, request, len);
    }
    if (status == VALTRON_E_WOULD_BLOCK) return 0;
    if (status != VALTRON_OK) fail("take", status);
    return len;
}

int main(int argc, char **argv) {
    valtron_client_config client_config = VALTRON_CLIENT_CONFIG_INIT;
    valtron_request_config config = VALTRON_REQUEST_CONFIG_INIT;
    valtron_client *client = NULL;
    valtron_request request = 0;
    valtron_status status;
    unsigned long long received = 0, from, to;
    int by_peek, over = 0, marks = 0;
    if (argc != 6) return 2;
    by_peek = strcmp(argv[2], "peek") == 0;
    from = strtoull(argv[3], NULL, 10);
    to = strtoull(argv[4], NULL, 10);
    trust(&client_config, argv[5]);
    client_config.worker_threads = 0;
    status = valtron_client_create(&client_config, &client);
    if (status != VALTRON_OK) fail("client", status);
    config.url = argv[1];
    config.url_len = strlen(argv[1]);
    status = valtron_request_create(client, &config, &request);
    if (status != VALTRON_OK) fail("create", status);
    while (!over || received < to) {
        valtron_event events[8];
        size_t count = 0, i, len;
        if (!over && (status = valtron_client_wait(client, 10000, NULL)) != VALTRON_OK) fail("wait", status);
        valtron_client_next_events(client, events, sizeof events[0], 8, &count);
        for (i = 0; i < count; i++) {
            if ((events[i].flags & VALTRON_EVENT_DONE) == 0) continue;
            if (events[i].status != VALTRON_OK) fail("request", events[i].status);
            over = 1;
        }
        while ((len = take(client, request, by_peek)) > 0) {
            received += len;
            if (marks == 0 && received >= from) {
                mark("begin");
                marks = 1;
            }
            if (marks == 1 && received >= to) {
                mark("end");
                marks = 2;
            }
        }
        if (over && received < to) {
            fprintf(stderr, "%llu bytes came, not %llu\n", received, to);
            return 1;
        }
    }
    valtron_request_free(client, request);
    valtron_client_free(client);
    return 0;
}
