/* Goal: a host that sleeps on the wait handle in its own loop is woken for what happens, and not otherwise. Method: a server
 * that thinks for 300 ms; the rounds of a poll(2) loop are counted, with and without worker threads. */
#include "support.h"

#include <poll.h>

#define ROUNDS_MAX 50

static void sleeps(void) {
    valtron_client *client = client_new();
    valtron_request request;
    intptr_t handle = -1;
    int rounds = 0, done = 0;
    OK(valtron_client_wait_handle(client, &handle));
    request = request_new(client, text("%s/slow?ms=300", site("VALTRON_SITE_HTTP")));
    while (!done) {
        struct pollfd watched = {(int)handle, POLLIN, 0};
        valtron_event events[8];
        size_t count = 0;
        CHECK(poll(&watched, 1, 30000) == 1);
        CHECK(++rounds <= ROUNDS_MAX);
        OK(valtron_client_poll(client, 1000, NULL));
        OK(valtron_client_next_events(client, events, sizeof events[0], 8, &count));
        for (size_t i = 0; i < count; i++) done |= (events[i].flags & VALTRON_EVENT_DONE) != 0;
    }
    CHECK_STATUS(look(client, request).status, VALTRON_OK);
    valtron_client_free(client);
}

int main(void) { return run_test(sleeps); }
