/* Goal: what a request costs in system calls. Method: `keep_alive URL COUNT perform|events` makes COUNT requests one
 * after the other over one connection; the driver (`cargo xtask test --only syscalls`) runs it twice under strace
 * and takes the difference. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "valtron_http.h"

static void fail(const char *what, valtron_status status) {
    fprintf(stderr, "%s: %s\n", what, valtron_status_name(status));
    exit(1);
}

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
    int i, count, events;
    if (argc != 4) return 2;
    count = atoi(argv[2]);
    events = strcmp(argv[3], "events") == 0;
    client_config.worker_threads = 0;
    status = valtron_client_create(&client_config, &client);
    if (status != VALTRON_OK) fail("client", status);
    config.url = argv[1];
    config.url_len = strlen(argv[1]);
    for (i = 0; i < count; i++) {
        if (events) {
            by_events(client, &config);
        } else {
            by_perform(client, &config);
        }
    }
    valtron_client_free(client);
    return 0;
}
