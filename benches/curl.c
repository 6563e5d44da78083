/* libcurl's multi interface, driven in the way BENCH_DRIVE says: `socket` (curl_multi_socket_action with epoll) or `poll`
 * (curl_multi_perform with curl_multi_poll). One easy handle for each request in flight, used again and again. */
#include <curl/curl.h>
#include <sys/epoll.h>

#include "bench.h"

#define EVENTS_MAX 256

static struct bench bench;
static int epoll_fd;
/* When curl wants to be called even if nothing happens, by bench_now(); negative: never. */
static double deadline_s = -1;

static size_t on_body(char *bytes, size_t size, size_t count, void *user) {
    (void)bytes;
    (void)user;
    bench.bytes += (long long)(size * count);
    return size * count;
}

static int on_timer(CURLM *multi, long ms, void *user) {
    (void)multi;
    (void)user;
    deadline_s = ms < 0 ? -1 : bench_now() + (double)ms / 1e3;
    return 0;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *user, void *known) {
    struct epoll_event event = {0};
    CURLM *multi = user;
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, NULL);
        return 0;
    }
    event.data.fd = fd;
    if (what & CURL_POLL_IN) event.events |= EPOLLIN;
    if (what & CURL_POLL_OUT) event.events |= EPOLLOUT;
    if (known == NULL) {
        /* Any pointer that is not NULL marks a socket that epoll knows. */
        curl_multi_assign(multi, fd, &epoll_fd);
        return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
    }
    return epoll_ctl(epoll_fd, EPOLL_CTL_MOD, fd, &event);
}

static void begin(CURLM *multi, CURL *easy) {
    if (bench.begun >= bench.total) return;
    bench.begun++;
    curl_multi_add_handle(multi, easy);
}

/* Takes note of what ended, and begins as many new requests. */
static void collect(CURLM *multi) {
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(multi, &left)) != NULL) {
        CURL *easy = message->easy_handle;
        CURLcode result = message->data.result;
        long status = 0;
        if (message->msg != CURLMSG_DONE) continue;
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        if (result == CURLE_OK && status == 200) {
            bench_ok(&bench);
        } else {
            bench_failed(&bench, result == CURLE_OK ? "not status 200" : curl_easy_strerror(result));
        }
        curl_multi_remove_handle(multi, easy);
        begin(multi, easy);
    }
}

/* New transfers begin when their timeout, which is 0, is over: all of a batch in one call. */
static void run_timers(CURLM *multi) {
    int running;
    while (deadline_s >= 0 && bench_now() >= deadline_s) {
        deadline_s = -1;
        curl_multi_socket_action(multi, CURL_SOCKET_TIMEOUT, 0, &running);
        collect(multi);
    }
}

static void drive_by_socket(CURLM *multi) {
    struct epoll_event events[EVENTS_MAX];
    int running;
    run_timers(multi);
    while (!bench_over(&bench)) {
        double wait_s = deadline_s < 0 ? 30 : deadline_s - bench_now();
        int count = epoll_wait(epoll_fd, events, EVENTS_MAX, (int)(wait_s * 1e3) + 1), k;
        for (k = 0; k < count; k++) {
            int mask = 0;
            if (events[k].events & EPOLLIN) mask |= CURL_CSELECT_IN;
            if (events[k].events & EPOLLOUT) mask |= CURL_CSELECT_OUT;
            if (events[k].events & (EPOLLERR | EPOLLHUP)) mask |= CURL_CSELECT_ERR;
            curl_multi_socket_action(multi, events[k].data.fd, mask, &running);
        }
        collect(multi);
        run_timers(multi);
    }
}

static void drive_by_poll(CURLM *multi) {
    int running;
    while (!bench_over(&bench)) {
        curl_multi_perform(multi, &running);
        collect(multi);
        if (!bench_over(&bench)) curl_multi_poll(multi, NULL, 0, 30000, NULL);
    }
}

int main(int argc, char **argv) {
    const char *drive = getenv("BENCH_DRIVE");
    int by_poll = drive != NULL && strcmp(drive, "poll") == 0;
    CURLM *multi;
    CURL **easies;
    long i;
    bench_begin(&bench, argc, argv);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    multi = curl_multi_init();
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, bench.concurrency);
    if (!by_poll) {
        curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
        curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, multi);
        curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer);
    }
    easies = calloc((size_t)bench.concurrency, sizeof *easies);
    for (i = 0; i < bench.concurrency; i++) {
        CURL *easy = curl_easy_init();
        easies[i] = easy;
        curl_easy_setopt(easy, CURLOPT_URL, bench.url);
        curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
        curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(easy, CURLOPT_PROXY, "");
        curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
        curl_easy_setopt(easy, CURLOPT_USERAGENT, "bench");
        if (getenv("BENCH_BUFFER") != NULL) curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)bench_buffer());
        if (bench.ca_file != NULL) curl_easy_setopt(easy, CURLOPT_CAINFO, bench.ca_file);
        begin(multi, easy);
    }
    if (by_poll) {
        drive_by_poll(multi);
    } else {
        drive_by_socket(multi);
    }
    bench_end(&bench);
    for (i = 0; i < bench.concurrency; i++) curl_easy_cleanup(easies[i]);
    curl_multi_cleanup(multi);
    free(easies);
    return bench.failed != 0;
}
