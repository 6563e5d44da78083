/* Goal: a child process gets a code from the parent's client, can free it and go on with one of its own; the parent is not
 * disturbed. Method: fork with live requests; the child is checked by its exit code. */
#include "support.h"

#define REQUESTS 8

#if defined(__SANITIZE_ADDRESS__)
#include <malloc.h>

/* The allocator of gcc 12's AddressSanitizer takes no part in a fork, as malloc does: a lock of it that a worker holds at that
 * moment, in a free() that notes its stack, stays locked in the child, which then spins at it for ever. So here the library's
 * memory comes through a lock that takes part. */
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void gate_close(void) { pthread_mutex_lock(&gate); }
static void gate_open(void) { pthread_mutex_unlock(&gate); }

static void *allocate(void *user, size_t size, size_t alignment) {
    void *p;
    (void)user;
    gate_close();
    p = memalign(alignment, size);
    gate_open();
    return p;
}

static void deallocate(void *user, void *p, size_t size, size_t alignment) {
    (void)user;
    (void)size;
    (void)alignment;
    gate_close();
    free(p);
    gate_open();
}

static void *reallocate(void *user, void *p, size_t old_size, size_t alignment, size_t new_size) {
    void *moved = allocate(user, new_size, alignment);
    if (moved == NULL) return NULL;
    memcpy(moved, p, old_size < new_size ? old_size : new_size);
    deallocate(user, p, old_size, alignment);
    return moved;
}

/* The start of a thread takes memory from the C library itself, past the gate. It has its name after that. */
static void await_workers(void) {
    for (int named = 0; named < workers;) {
        DIR *dir = opendir("/proc/self/task");
        struct dirent *entry;
        CHECK(dir != NULL);
        named = 0;
        while ((entry = readdir(dir)) != NULL) {
            char name[32] = "";
            FILE *file = entry->d_name[0] == '.' ? NULL : fopen(text("/proc/self/task/%s/comm", entry->d_name), "r");
            if (file == NULL) continue;
            named += fgets(name, sizeof name, file) != NULL && strncmp(name, "valtron-", 8) == 0;
            fclose(file);
        }
        closedir(dir);
    }
}

static void allocate_through_gate(void) {
    valtron_allocator allocator = {sizeof allocator, NULL, allocate, reallocate, deallocate};
    CHECK_INT(pthread_atfork(gate_close, gate_open, gate_open), 0);
    OK(valtron_set_allocator(&allocator));
}
#else
static void await_workers(void) {}
static void allocate_through_gate(void) {}
#endif

static void child(valtron_client *client, valtron_request request, const char *url) {
    valtron_request_info info = VALTRON_REQUEST_INFO_INIT;
    valtron_request_config config = request_config(url);
    valtron_poll_info poll_info = VALTRON_POLL_INFO_INIT;
    valtron_request other = 0;
    size_t count = 0;
    valtron_event event;
    valtron_head head = VALTRON_HEAD_INIT;
    valtron_error_detail why = VALTRON_ERROR_DETAIL_INIT;
    valtron_stats stats = VALTRON_STATS_INIT;
    valtron_hitches hitches = VALTRON_HITCHES_INIT;
    const uint8_t *place;
    uint8_t bytes[16];
    /* A fork takes no alarm along. Half: the parent waits for this process. */
    alarm(WATCHDOG_S / 2);
    CHECK_STATUS(valtron_client_poll(client, 0, &poll_info), VALTRON_E_FORKED);
    CHECK_STATUS(valtron_client_wait(client, 0, &poll_info), VALTRON_E_FORKED);
    CHECK_STATUS(valtron_client_wakeup(client), VALTRON_E_FORKED);
    CHECK_STATUS(valtron_client_next_events(client, &event, sizeof event, 1, &count), VALTRON_E_FORKED);
    CHECK_STATUS(valtron_client_shutdown(client, 0), VALTRON_E_FORKED);
    CHECK_STATUS(valtron_request_poll(client, request, 0, &info), VALTRON_E_FORKED);
    CHECK_STATUS(valtron_request_cancel(client, request), VALTRON_E_FORKED);
    CHECK_STATUS(valtron_request_create(client, &config, &other), VALTRON_E_FORKED);
    CHECK_STATUS(valtron_request_wait(client, request, VALTRON_UNTIL_DONE, 0, &info), VALTRON_E_FORKED);
    CHECK_STATUS(valtron_client_perform(client, &config, VALTRON_UNTIL_DONE, 0, &other, &info), VALTRON_E_FORKED);
    CHECK_STATUS(valtron_request_read(client, request, bytes, sizeof bytes, &count), VALTRON_E_FORKED);
    CHECK_STATUS(valtron_request_peek(client, request, &place, &count), VALTRON_E_FORKED);
    CHECK_STATUS(valtron_request_consume(client, request, 0), VALTRON_E_FORKED);
    CHECK_STATUS(valtron_request_head(client, request, VALTRON_HEAD_FINAL, &head), VALTRON_E_FORKED);
    CHECK_STATUS(valtron_request_error(client, request, &why), VALTRON_E_FORKED);
    CHECK_STATUS(valtron_client_stats(client, &stats), VALTRON_E_FORKED);
    CHECK_STATUS(valtron_client_hitches(client, 0, &hitches), VALTRON_E_FORKED);
    CHECK_STATUS(valtron_action_decide(client, 1, VALTRON_DECISION_RUN, NULL), VALTRON_E_FORKED);
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
    await_workers();
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
    allocate_through_gate();
    return run_test(test);
}
