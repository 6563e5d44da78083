/* Goal: what a request costs in system calls. Method: `keep_alive URL COUNT perform|events WORKERS CA_FILE` makes some
 * requests to warm up and then COUNT more, one after the other, over one connection, and says so if it was not one. The driver
 * (`cargo xtask test --only syscalls`) counts in a trace what all threads call between two marks: writes to descriptor -1. */
#include "traced.h"

/* Session tickets have come, buffers have grown. */
#define WARM_UP 100

static void read_body(valtron_client *client, valtron_request request) {
    uint8_t buffer[4096];
    size_t got = 1;
    while (got > 0) {
        valtron_status status = valtron_request_read(client, request, buffer, sizeof buffer, &got);
        if (status != VALTRON_OK) fail("read", status);
    }
    valtron_request_free(client, request);
}

static void by_perform(valtron_client *client, const valtron_request_config *config) {
    valtron_request_info info = VALTRON_REQUEST_INFO_INIT;
    valtron_request request = 0;
    valtron_status status = valtron_client_perform(client, config, VALTRON_UNTIL_DONE, 10000, &request, &info);
    if (status != VALTRON_OK) fail("perform", status);
    if (info.http_status != 200) fail("perform: the response", info.status);
    read_body(client, request);
}

static void by_events(valtron_client *client, const valtron_request_config *config) {
    valtron_request request = 0;
    valtron_status status = valtron_request_create(client, config, &request);
    int done = 0;
    if (status != VALTRON_OK) fail("create", status);
    while (!done) {
        valtron_event events[8];
        size_t count = 0, i;
        status = valtron_client_wait(client, 10000, NULL);
        if (status != VALTRON_OK) fail("wait", status);
        valtron_client_next_events(client, events, sizeof events[0], 8, &count);
        for (i = 0; i < count; i++) {
            if ((events[i].flags & VALTRON_EVENT_DONE) == 0) continue;
            if (events[i].status != VALTRON_OK) fail("request", events[i].status);
            done = 1;
        }
    }
    read_body(client, request);
}

int main(int argc, char **argv) {
    valtron_client_config client_config = VALTRON_CLIENT_CONFIG_INIT;
    valtron_request_config config = VALTRON_REQUEST_CONFIG_INIT;
    valtron_client *client = NULL;
    valtron_status status;
    valtron_stats stats = VALTRON_STATS_INIT;
    int i, count, events;
    if (argc != 6) return 2;
    count = atoi(argv[2]);
    events = strcmp(argv[3], "events") == 0;
    client_config.worker_threads = atoi(argv[4]);
    trust(&client_config, argv[5]);
    status = valtron_client_create(&client_config, &client);
    if (status != VALTRON_OK) fail("client", status);
    config.url = argv[1];
    config.url_len = strlen(argv[1]);
    for (i = 0; i < WARM_UP + count; i++) {
        if (i == WARM_UP) mark("begin");
        if (events) {
            by_events(client, &config);
        } else {
            by_perform(client, &config);
        }
    }
    mark("end");
    status = valtron_client_stats(client, &stats);
    if (status != VALTRON_OK) fail("stats", status);
    if (stats.connections_opened != 1) {
        fprintf(stderr, "%d connections\n", (int)stats.connections_opened);
        return 1;
    }
    valtron_client_free(client);
    return 0;
}
