/* The library through its C ABI. BENCH_DRIVE: `wait` (valtron_client_wait) or `poll` (epoll on the wait handle, then
 * valtron_client_poll). BENCH_READ: `read` (copies to a buffer) or `peek` (looks at the bytes in place). */
#include <errno.h>
#include <sys/epoll.h>

#include "bench.h"
#include "valtron_http.h"

#define EVENTS_MAX 256

static struct bench bench;
static valtron_client *client;
static valtron_request_config config = VALTRON_REQUEST_CONFIG_INIT;
static uint8_t *buffer;
static size_t buffer_len;
static int by_peek;

static void check(const char *what, valtron_status status) {
    if (status == VALTRON_OK) return;
    fprintf(stderr, "%s: %s\n", what, valtron_status_name(status));
    exit(1);
}

static void begin(void) {
    valtron_request request = 0;
    if (bench.begun >= bench.total) return;
    bench.begun++;
    check("create", valtron_request_create(client, &config, &request));
}

/* Takes what is there of the body. */
static void take(valtron_request request) {
    for (;;) {
        size_t len = 0;
        valtron_status status;
        if (by_peek) {
            const uint8_t *bytes;
            status = valtron_request_peek(client, request, &bytes, &len);
            if (status == VALTRON_OK && len > 0) status = valtron_request_consume(client, request, len);
        } else {
            status = valtron_request_read(client, request, buffer, buffer_len, &len);
        }
        if (status != VALTRON_OK || len == 0) return;
        bench.bytes += (long long)len;
    }
}

static void handle(const valtron_event *event) {
    if (event->flags & (VALTRON_EVENT_BODY | VALTRON_EVENT_DONE)) take(event->request);
    if (!(event->flags & VALTRON_EVENT_DONE)) return;
    if (event->status == VALTRON_OK && event->http_status == 200) {
        bench_ok(&bench);
    } else {
        bench_failed(&bench, event->status == VALTRON_OK ? "not status 200" : valtron_status_name(event->status));
    }
    valtron_request_free(client, event->request);
    begin();
}

static void collect(void) {
    valtron_event events[EVENTS_MAX];
    size_t count = EVENTS_MAX, i;
    while (count == EVENTS_MAX) {
        check("next_events", valtron_client_next_events(client, events, sizeof events[0], EVENTS_MAX, &count));
        for (i = 0; i < count; i++) handle(&events[i]);
    }
}

static void drive_by_wait(void) {
    while (!bench_over(&bench)) {
        check("wait", valtron_client_wait(client, 30000, NULL));
        collect();
    }
}

static void drive_by_poll(void) {
    struct epoll_event event = {.events = EPOLLIN};
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    ptrdiff_t handle = -1;
    check("wait_handle", valtron_client_wait_handle(client, &handle));
    if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, (int)handle, &event) != 0) {
        perror("epoll");
        exit(1);
    }
    for (;;) {
        valtron_poll_info info = VALTRON_POLL_INFO_INIT;
        int timeout = 30000;
        check("poll", valtron_client_poll(client, 1000, &info));
        collect();
        if (bench_over(&bench)) return;
        if (info.work_left) continue;
        if (info.next_deadline_us >= 0 && info.next_deadline_us < 30000000) timeout = (int)(info.next_deadline_us / 1000 + 1);
        epoll_wait(epoll, &event, 1, timeout);
    }
}

static char *read_file(const char *path, size_t *len) {
    FILE *file = fopen(path, "rb");
    char *text = NULL;
    long size;
    errno = 0;
    if (file == NULL || fseek(file, 0, SEEK_END) != 0 || (size = ftell(file)) <= 0 || fseek(file, 0, SEEK_SET) != 0 ||
        (text = malloc((size_t)size)) == NULL || fread(text, 1, (size_t)size, file) != (size_t)size) {
        fprintf(stderr, "%s: %s\n", path, errno != 0 ? strerror(errno) : "it is empty");
        exit(1);
    }
    fclose(file);
    *len = (size_t)size;
    return text;
}

int main(int argc, char **argv) {
    valtron_client_config client_config = VALTRON_CLIENT_CONFIG_INIT;
    const char *drive = getenv("BENCH_DRIVE"), *how = getenv("BENCH_READ"), *workers = getenv("BENCH_WORKERS");
    char *pem = NULL;
    long i;
    bench_begin(&bench, argc, argv);
    by_peek = how != NULL && strcmp(how, "peek") == 0;
    buffer_len = bench_buffer();
    buffer = malloc(buffer_len);
    client_config.idle_connections_max = (int32_t)bench.concurrency;
    if (workers != NULL) client_config.worker_threads = atoi(workers);
    if (bench.ca_file != NULL) {
        pem = read_file(bench.ca_file, &client_config.ca_pem_len);
        client_config.ca_pem = pem;
        client_config.trust = VALTRON_TRUST_PEM_ONLY;
    }
    check("client", valtron_client_create(&client_config, &client));
    free(pem);
    config.url = bench.url;
    config.url_len = strlen(bench.url);
    for (i = 0; i < bench.concurrency; i++) begin();
    if (drive != NULL && strcmp(drive, "poll") == 0) {
        drive_by_poll();
    } else {
        drive_by_wait();
    }
    bench_end(&bench);
    valtron_client_free(client);
    free(buffer);
    return bench.failed != 0;
}
