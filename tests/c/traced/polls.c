/* Goal: no poll makes a call that can block. Method: `polls URL...` starts all URLs at once and polls with a budget
 * of one millisecond, from one thread that does nothing else, until all have ended or `POLLS_MAX` polls were made;
 * two writes to no descriptor mark the stretch for the driver (`cargo xtask test --only syscalls`), which looks at
 * every call in between. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "valtron_http.h"

#define POLLS_MAX 30000

static void mark(const char *word) {
    if (write(-1, word, strlen(word)) == 0) exit(3);
}

int main(int argc, char **argv) {
    valtron_client_config client_config = VALTRON_CLIENT_CONFIG_INIT;
    valtron_client *client = NULL;
    valtron_request requests[64];
    int i, polls, done = 0;
    if (argc < 2 || argc > 65) return 2;
    client_config.worker_threads = 0;
    client_config.tls_verify_off = 1;
    if (valtron_client_create(&client_config, &client) != VALTRON_OK) return 1;
    mark("begin");
    for (i = 1; i < argc; i++) {
        valtron_request_config config = VALTRON_REQUEST_CONFIG_INIT;
        config.url = argv[i];
        config.url_len = strlen(argv[i]);
        config.first_byte_timeout_ms = 300;
        config.idle_timeout_ms = 300;
        config.tls_timeout_ms = 300;
        config.connect_timeout_ms = 300;
        if (valtron_request_create(client, &config, &requests[i - 1]) != VALTRON_OK) return 1;
    }
    for (polls = 0; polls < POLLS_MAX && done < argc - 1; polls++) {
        valtron_event events[8];
        size_t count = 0, at;
        if (valtron_client_poll(client, 1000, NULL) != VALTRON_OK) return 1;
        if (valtron_client_next_events(client, events, sizeof events[0], 8, &count) != VALTRON_OK) return 1;
        for (at = 0; at < count; at++) done += (events[at].flags & VALTRON_EVENT_DONE) != 0;
    }
    for (i = 0; i < argc - 1; i++) valtron_request_free(client, requests[i]);
    mark("end");
    valtron_client_free(client);
    return 0;
}
