/* One large body within the frames of a game: so many microseconds a frame are the network's, the rest is the game's, which
 * this program sleeps through.
 *
 *   frames MODE URL BYTES FRAME_US BUDGET_US [BODY_BUFFER]
 *
 * floor       a bare recv loop until the budget is over; asks an empty socket again
 * floor-once  the same, but an empty socket ends the frame
 * read        poll and read in turns until the budget is over
 * peek        the same, with peek and consume
 * once        one poll a frame with the whole budget, then all that it brought is taken, by peek and consume
 * once-read   the same by read, which with a large buffer receives from the socket itself: it has no budget */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "bench.h"
#include "valtron_http.h"

#define FRAMES_MAX 65536

static struct {
    const char *mode, *url;
    long long wanted, got;
    int64_t frame_ns, budget_ns, body_buffer;
} job;

static uint8_t *buffer;
static size_t buffer_len;
static double wall_us[FRAMES_MAX], cpu_us[FRAMES_MAX];
static long frames, late_frames;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void check(const char *what, valtron_status status) {
    if (status == VALTRON_OK) return;
    fprintf(stderr, "%s: %s\n", what, valtron_status_name(status));
    exit(1);
}

static int64_t clock_ns(clockid_t clock) {
    struct timespec at;
    clock_gettime(clock, &at);
    return (int64_t)at.tv_sec * 1000000000 + at.tv_nsec;
}

/* ---- the bare loop ---- */

static int raw_fd;

static void raw_start(void) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    char host[64], request[1024];
    int port = 80, used = 0, len;
    if (sscanf(job.url, "http://%63[0-9.]%n", host, &used) != 1 || inet_pton(AF_INET, host, &address.sin_addr) != 1) {
        fprintf(stderr, "the floor wants http and an address for a host\n");
        exit(2);
    }
    if (job.url[used] == ':') port = atoi(job.url + used + 1);
    address.sin_port = htons((unsigned short)port);
    len = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: %s:%d\r\n\r\n", strchr(job.url + used, '/'), host, port);
    raw_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (raw_fd < 0 || connect(raw_fd, (struct sockaddr *)&address, sizeof address) != 0) die("connect");
    if (send(raw_fd, request, (size_t)len, MSG_NOSIGNAL) != len || fcntl(raw_fd, F_SETFL, O_NONBLOCK) != 0) die("send");
}

/* The head is in the first piece, whole: it is the server's first write. */
static long long body_of(const uint8_t *bytes, size_t len) {
    static int seen_head;
    const uint8_t *end;
    if (seen_head) return (long long)len;
    seen_head = 1;
    end = memmem(bytes, len, "\r\n\r\n", 4);
    if (end == NULL || memcmp(bytes, "HTTP/1.1 200", 12) != 0) {
        fprintf(stderr, "not status 200\n");
        exit(1);
    }
    return (long long)(bytes + len - end - 4);
}

static void raw_frame(int64_t until) {
    int once = strcmp(job.mode, "floor-once") == 0;
    while (job.got < job.wanted && clock_ns(CLOCK_MONOTONIC) < until) {
        ssize_t got = recv(raw_fd, buffer, buffer_len, 0);
        if (got < 0 && errno == EAGAIN) {
            if (once) return;
            continue;
        }
        if (got <= 0) die("recv");
        job.got += body_of(buffer, (size_t)got);
    }
}

/* ---- the library ---- */

static valtron_client *client;
static valtron_request request;

static void library_start(void) {
    valtron_request_config config = VALTRON_REQUEST_CONFIG_INIT;
    config.url = job.url;
    config.url_len = strlen(job.url);
    config.body_buffer_bytes = job.body_buffer;
    check("client", valtron_client_create(NULL, &client));
    check("create", valtron_request_create(client, &config, &request));
}

/* One piece of what is there; 0: nothing more. */
static size_t take(int by_peek) {
    size_t len = 0;
    valtron_status status;
    if (by_peek) {
        const uint8_t *bytes;
        status = valtron_request_peek(client, request, &bytes, &len);
        if (status == VALTRON_OK && len > 0) status = valtron_request_consume(client, request, len);
    } else {
        status = valtron_request_read(client, request, buffer, buffer_len, &len);
    }
    if (status == VALTRON_E_WOULD_BLOCK) return 0;
    check("read", status);
    job.got += (long long)len;
    return len;
}

static void loop_frame(int64_t until, int by_peek) {
    int64_t now;
    while (job.got < job.wanted && (now = clock_ns(CLOCK_MONOTONIC)) < until) {
        check("poll", valtron_client_poll(client, (uint64_t)(until - now) / 1000, NULL));
        while (clock_ns(CLOCK_MONOTONIC) < until && take(by_peek) > 0) {}
    }
}

static void once_frame(int by_peek) {
    check("poll", valtron_client_poll(client, (uint64_t)job.budget_ns / 1000, NULL));
    while (job.got < job.wanted && take(by_peek) > 0) {}
}

/* ---- frames ---- */

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    int raw, once, by_peek;
    int64_t began, next;
    double wall, cpu;
    if (argc < 6) {
        fprintf(stderr, "usage: frames floor|floor-once|read|peek|once|once-read URL BYTES FRAME_US BUDGET_US [BODY_BUFFER]\n");
        return 2;
    }
    job.mode = argv[1];
    job.url = argv[2];
    job.wanted = atoll(argv[3]);
    job.frame_ns = atoll(argv[4]) * 1000;
    job.budget_ns = atoll(argv[5]) * 1000;
    job.body_buffer = argc > 6 ? atoll(argv[6]) : 0;
    raw = strncmp(job.mode, "floor", 5) == 0;
    once = strncmp(job.mode, "once", 4) == 0;
    by_peek = strcmp(job.mode, "peek") == 0;
    buffer_len = bench_buffer();
    buffer = malloc(buffer_len);
    if (buffer == NULL) die("malloc");
    if (raw) {
        raw_start();
    } else {
        library_start();
    }
    began = next = clock_ns(CLOCK_MONOTONIC);
    for (;;) {
        int64_t cpu_before = clock_ns(CLOCK_THREAD_CPUTIME_ID), frame = clock_ns(CLOCK_MONOTONIC);
        struct timespec at;
        if (raw) {
            raw_frame(frame + job.budget_ns);
        } else if (once) {
            once_frame(strcmp(job.mode, "once-read") != 0);
        } else {
            loop_frame(frame + job.budget_ns, by_peek);
        }
        if (frames == FRAMES_MAX) {
            fprintf(stderr, "%lld of %lld bytes after %ld frames\n", job.got, job.wanted, frames);
            return 1;
        }
        wall_us[frames] = (double)(clock_ns(CLOCK_MONOTONIC) - frame) / 1e3;
        cpu_us[frames++] = (double)(clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu_before) / 1e3;
        if (job.got >= job.wanted) break;
        next += job.frame_ns;
        if (clock_ns(CLOCK_MONOTONIC) > next) {
            late_frames++;
            next = clock_ns(CLOCK_MONOTONIC);
        }
        at = (struct timespec){next / 1000000000, next % 1000000000};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
    }
    wall = (double)(clock_ns(CLOCK_MONOTONIC) - began) / 1e9;
    cpu = bench_cpu();
    qsort(wall_us, (size_t)frames, sizeof wall_us[0], ascending);
    qsort(cpu_us, (size_t)frames, sizeof cpu_us[0], ascending);
    printf("{\"bytes\": %lld, \"wall_s\": %.6f, \"cpu_s\": %.6f, \"frames\": %ld, \"late_frames\": %ld, "
           "\"wall_p50_us\": %.1f, \"wall_max_us\": %.1f, \"cpu_p50_us\": %.1f, \"cpu_max_us\": %.1f}\n",
           job.got, wall, cpu, frames, late_frames, wall_us[(frames - 1) / 2], wall_us[frames - 1], cpu_us[(frames - 1) / 2],
           cpu_us[frames - 1]);
    if (!raw) {
        valtron_request_free(client, request);
        valtron_client_free(client);
    }
    free(buffer);
    return job.got == job.wanted ? 0 : 1;
}
