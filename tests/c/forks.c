/* Goal: a child process gets a code from the parent's client, can free it and go on with one of its own; the parent is not
 * disturbed. Method: fork with live requests; the child is checked by its exit code. */
#include "support.h"

#define REQUESTS 8

static void child(valtron_client *client, valtron_request request, const char *url) {
    valtron_request_info info = VALTRON_REQUEST_INFO_INIT;
    valtron_request_config config = request_config(url);
    valtron_poll_info poll_info = VALTRON_POLL_INFO_INIT;
    valtron_request other = 0;
    size_t count = 0;
    valtron_event event;
    CHECK_STATUS(valtron_client_poll(client, 0, &poll_info), VALTRON_E_FORKED);
    CHECK_STATUS(valtron_client_wait(client, 0, &poll_info), VALTRON_E_FORKED);
    CHECK_STATUS(valtron_client_wakeup(client), VALTRON_E_FORKED);
    CHECK_STATUS(valtron_client_next_events(client, &event, sizeof event, 1, &count), VALTRON_E_FORKED);
    CHECK_STATUS(valtron_client_shutdown(client, 0), VALTRON_E_FORKED);
    CHECK_STATUS(valtron_request_poll(client, request, 0, &info), VALTRON_E_FORKED);
    CHECK_STATUS(valtron_request_cancel(client, request), VALTRON_E_FORKED);
    CHECK_STATUS(valtron_request_create(client, &config, &other), VALTRON_E_FORKED);
    valtron_request_free(client, request);
    valtron_client_free(client);
    client = client_new();
    request = request_new(client, url);
    info = wait_done(client, request);
    CHECK_STATUS(info.status, VALTRON_OK);
    valtron_client_free(client);
    _exit(0);
}

static void test(void) {
    server peer = {.answer = ANSWER_HELLO, .delay_ms = 100};
    valtron_client *client;
    valtron_request requests[REQUESTS];
    int status = -1;
    pid_t pid;
    server_start(&peer);
    client = client_new();
    for (int i = 0; i < REQUESTS; i++) requests[i] = request_new(client, server_url(&peer));
    while (atomic_load(&peer.accepted) == 0) OK(valtron_client_wait(client, 1, NULL));
    fflush(NULL);
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) child(client, requests[0], server_url(&peer));
    for (int i = 0; i < REQUESTS; i++) {
        uint8_t body[64];
        CHECK_STATUS(wait_done(client, requests[i]).status, VALTRON_OK);
        CHECK_BYTES(body, read_all(client, requests[i], body, sizeof body), "hello\n");
        valtron_request_free(client, requests[i]);
    }
    CHECK_INT(waitpid(pid, &status, 0), pid);
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 0);
    valtron_client_free(client);
    server_stop(&peer);
}

int main(void) {
#if defined(__SANITIZE_THREAD__)
    /* The tool does not follow a child of a process with threads that starts threads itself. */
    return NOT_APPLICABLE_CODE;
#endif
    return run_test(test);
}
