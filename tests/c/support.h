/* What the C tests share: checks that say where and what, clocks, configurations, and a small scripted server.
 *
 * A test ends with 0 (passed), 77 (skipped, with the reason) or 78 (makes no sense under this sanitizer). */
#ifndef SUPPORT_H
#define SUPPORT_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "valtron_http.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

#define SKIPPED_CODE 77
#define NOT_APPLICABLE_CODE 78
/* A test that hangs is ended by this, and says so. */
#define WATCHDOG_S 120

/* ---- checks ---- */

/* Where the process was last, for the watchdog. Relaxed: it must not order what a test leaves unordered. */
static const char *_Atomic last_check;
#define TEXT_OF_(token) #token
#define TEXT_OF(token) TEXT_OF_(token)
#define HERE() atomic_store_explicit(&last_check, __FILE__ ":" TEXT_OF(__LINE__), memory_order_relaxed)

static inline void check_failed(const char *file, int line, const char *format, ...) {
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s:%d: ", file, line);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    fflush(NULL);
    /* Other threads run on; exit would take the library from under them. */
    _exit(1);
}

#define CHECK(condition)                                                                      \
    do {                                                                                      \
        HERE();                                                                               \
        if (!(condition)) check_failed(__FILE__, __LINE__, "not true: %s", #condition);       \
    } while (0)

/* Two integers of any width. */
#define CHECK_OP(got, op, want)                                                               \
    do {                                                                                      \
        HERE();                                                                               \
        long long got_ = (long long)(got), want_ = (long long)(want);                         \
        if (!(got_ op want_))                                                                 \
            check_failed(__FILE__, __LINE__, "%s is %lld, not %s %lld", #got, got_, #op, want_); \
    } while (0)
#define CHECK_INT(got, want) CHECK_OP(got, ==, want)

#define CHECK_STATUS(got, want)                                                               \
    do {                                                                                      \
        HERE();                                                                               \
        valtron_status got_ = (got), want_ = (want);                                          \
        if (got_ != want_)                                                                    \
            check_failed(__FILE__, __LINE__, "%s is %s (%d), not %s (%d)", #got, valtron_status_name(got_), (int)got_, \
                         valtron_status_name(want_), (int)want_);                             \
    } while (0)
#define OK(call) CHECK_STATUS(call, VALTRON_OK)

#define CHECK_BYTES(got, got_len, want)                                                       \
    do {                                                                                      \
        HERE();                                                                               \
        size_t len_ = (got_len);                                                              \
        if (len_ != strlen(want) || memcmp(got, want, len_) != 0)                             \
            check_failed(__FILE__, __LINE__, "%s is '%.*s', not '%s'", #got, (int)len_, (const char *)(got), want); \
    } while (0)

/* ---- clocks ---- */

static inline int64_t clock_us(clockid_t clock) {
    struct timespec at;
    clock_gettime(clock, &at);
    return (int64_t)at.tv_sec * 1000000 + at.tv_nsec / 1000;
}
static inline int64_t now_us(void) { return clock_us(CLOCK_MONOTONIC); }
/* The calling thread's CPU time. */
static inline int64_t cpu_us(void) { return clock_us(CLOCK_THREAD_CPUTIME_ID); }

/* ---- CPU time of who should sleep ---- */

/* Of all threads of the process. */
static inline int64_t process_cpu_us(void) { return clock_us(CLOCK_PROCESS_CPUTIME_ID); }

/* A machine that others share takes some of a measurement, and it counts as CPU time of whoever ran: so the least of a few. What
 * spins does so every time. How often `calls` ran, in `times`. */
#define CHECK_SLEEPS(cpu_us_now, max_us, times, calls)                                        \
    do {                                                                                      \
        int64_t least_ = INT64_MAX;                                                           \
        for (times = 0; times < 5 && least_ >= (max_us); times++) {                           \
            int64_t cpu_ = cpu_us_now();                                                      \
            calls;                                                                            \
            cpu_ = cpu_us_now() - cpu_;                                                       \
            if (cpu_ < least_) least_ = cpu_;                                                 \
        }                                                                                     \
        CHECK_OP(least_, <, max_us);                                                          \
    } while (0)

/* ---- a test's frame ---- */

/* -1 in a build without threads, else how many threads the clients of this run have. */
static int workers = -1;

static inline void say(const char *text) {
    ssize_t ignored = write(2, text, strlen(text));
    (void)ignored;
}

static inline void watchdog(int signal) {
    const char *at = atomic_load_explicit(&last_check, memory_order_relaxed);
    (void)signal;
    say("watchdog: the test hangs; the check begun last is ");
    say(at != NULL ? at : "none");
    say("\n");
    _exit(3);
}

static inline void skip(const char *reason) {
    printf("SKIPPED: %s\n", reason);
    fflush(NULL);
    exit(SKIPPED_CODE);
}

static inline int is_multi(void) { return (valtron_features() & VALTRON_FEATURE_MULTI) != 0; }

static inline void watch_over(void) {
    signal(SIGALRM, watchdog);
    alarm(WATCHDOG_S);
}

/* Runs the test once in a build without threads; with 0 and with 2 threads in the other. */
static inline int run_test(void (*test)(void)) {
    watch_over();
    if (!is_multi()) {
        test();
        return 0;
    }
    for (workers = 0; workers <= 2; workers += 2) {
        fprintf(stderr, "worker_threads = %d\n", workers);
        test();
    }
    return 0;
}

static inline const char *site(const char *name) {
    const char *value = getenv(name);
    if (value == NULL) {
        printf("SKIPPED: %s is not set\n", name);
        fflush(NULL);
        exit(SKIPPED_CODE);
    }
    return value;
}

/* A short text in one of a few buffers of this thread, which are used in turn. */
static inline const char *text(const char *format, ...) __attribute__((format(printf, 1, 2)));
static inline const char *text(const char *format, ...) {
    static _Thread_local char buffers[8][512];
    static _Thread_local unsigned next;
    char *buffer = buffers[next++ % 8];
    va_list args;
    va_start(args, format);
    vsnprintf(buffer, sizeof buffers[0], format, args);
    va_end(args);
    return buffer;
}

static inline const char *ca_pem(size_t *len) {
    static char pem[65536];
    static size_t pem_len;
    if (pem_len == 0) {
        FILE *file = fopen(site("VALTRON_SITE_CA"), "rb");
        CHECK(file != NULL);
        pem_len = fread(pem, 1, sizeof pem, file);
        fclose(file);
    }
    *len = pem_len;
    return pem;
}

static inline valtron_client_config client_config(void) {
    valtron_client_config config = VALTRON_CLIENT_CONFIG_INIT;
    if (workers >= 0) config.worker_threads = workers;
    if (getenv("VALTRON_SITE_CA") != NULL) {
        config.trust = VALTRON_TRUST_PEM_ONLY;
        config.ca_pem = ca_pem(&config.ca_pem_len);
    }
    return config;
}

static inline valtron_client *client_from(const valtron_client_config *config) {
    valtron_client *client = NULL;
    OK(valtron_client_create(config, &client));
    CHECK(client != NULL);
    return client;
}

static inline valtron_client *client_new(void) {
    valtron_client_config config = client_config();
    return client_from(&config);
}

/* The url must live until the configuration was used. */
static inline valtron_request_config request_config(const char *url) {
    valtron_request_config config = VALTRON_REQUEST_CONFIG_INIT;
    config.url = url;
    config.url_len = strlen(url);
    return config;
}

static inline valtron_request request_from(valtron_client *client, const valtron_request_config *config) {
    valtron_request request = 0;
    OK(valtron_request_create(client, config, &request));
    CHECK(request != 0);
    return request;
}

static inline valtron_request request_new(valtron_client *client, const char *url) {
    valtron_request_config config = request_config(url);
    return request_from(client, &config);
}

static inline valtron_request_info wait_done(valtron_client *client, valtron_request request) {
    valtron_request_info info = VALTRON_REQUEST_INFO_INIT;
    OK(valtron_request_wait(client, request, VALTRON_UNTIL_DONE, -1, &info));
    CHECK(info.terminal);
    return info;
}

static inline valtron_request_info look(valtron_client *client, valtron_request request) {
    valtron_request_info info = VALTRON_REQUEST_INFO_INIT;
    OK(valtron_request_poll(client, request, 0, &info));
    return info;
}

/* A whole small body of a request that ended. */
static inline size_t read_all(valtron_client *client, valtron_request request, uint8_t *buffer, size_t cap) {
    size_t len = 0, count = 0;
    do {
        OK(valtron_request_read(client, request, buffer + len, cap - len, &count));
        len += count;
    } while (count > 0 && len < cap);
    return len;
}

/* ---- counts that threads wait for ---- */

static pthread_mutex_t counting = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t counted = PTHREAD_COND_INITIALIZER;

static inline void count_up(atomic_int *count) {
    pthread_mutex_lock(&counting);
    atomic_fetch_add(count, 1);
    pthread_cond_broadcast(&counted);
    pthread_mutex_unlock(&counting);
}

static inline void await_count(atomic_int *count, int want) {
    HERE();
    pthread_mutex_lock(&counting);
    while (atomic_load(count) < want) pthread_cond_wait(&counted, &counting);
    pthread_mutex_unlock(&counting);
}

/* ---- the process as the system sees it ---- */

static inline int count_entries(const char *path) {
    DIR *dir = opendir(path);
    int count = 0;
    CHECK(dir != NULL);
    while (readdir(dir) != NULL) count++;
    closedir(dir);
    return count;
}
/* Both count the entries . and .. too: only differences matter. */
static inline int count_descriptors(void) { return count_entries("/proc/self/fd"); }
static inline int count_threads(void) { return count_entries("/proc/self/task"); }

/* Until a thread sleeps in the system. One that was about to call something that waits is then inside it; in rare cases it
 * sleeps at a lock on its way, so a test may not rely on this for its result. */
static inline void await_asleep(pid_t thread) {
    char path[64], line[512];
    HERE();
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)thread);
    for (;;) {
        FILE *file = fopen(path, "r");
        const char *name_end;
        if (file == NULL) return; /* It has ended. */
        if (fgets(line, sizeof line, file) == NULL) line[0] = 0;
        fclose(file);
        if (line[0] == 0) return;
        name_end = strrchr(line, ')');
        CHECK(name_end != NULL);
        if (name_end[2] == 'S') return;
        sched_yield();
    }
}

/* ---- a server with a script ---- */

#define SERVER_CONNECTIONS 256

typedef struct server {
    /* The script, set before server_start. */
    const char *answer;  /* sent for each request head; NULL: never answers */
    size_t answer_len;   /* 0: strlen(answer) */
    int delay_ms;        /* before each answer */
    int held;            /* answers at server_answer only */
    int close_after;     /* closes after the answer */
    int reset_on_data;   /* resets the connection at the first byte received */
    int deaf;            /* accepts and reads nothing */
    /* What happened. */
    atomic_int accepted, requests;
    /* Its own. */
    int listener, port, command[2], reply[2];
    pthread_t thread;
    struct {
        int fd;
        int matched;     /* how much of the blank line was seen */
        int64_t due_us;  /* when to answer; 0 nothing due */
    } connections[SERVER_CONNECTIONS];
    int count;
} server;

static inline int listen_local(int backlog, int *port) {
    struct sockaddr_in address = {0};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_INT(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    CHECK_INT(listen(fd, backlog), 0);
    CHECK_INT(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static inline void server_drop(server *s, int i) {
    close(s->connections[i].fd);
    s->connections[i] = s->connections[--s->count];
}

/* Due at some time. */
#define HELD INT64_MAX

static inline int server_receive(server *s, int i) {
    char buffer[4096];
    ssize_t got = recv(s->connections[i].fd, buffer, sizeof buffer, MSG_DONTWAIT);
    if (got <= 0) return got < 0 && (errno == EAGAIN || errno == EINTR);
    if (s->reset_on_data) {
        struct linger linger = {1, 0};
        setsockopt(s->connections[i].fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
        return 0;
    }
    for (ssize_t at = 0; at < got; at++) {
        int *matched = &s->connections[i].matched;
        *matched = buffer[at] == "\r\n\r\n"[*matched] ? *matched + 1 : buffer[at] == '\r';
        if (*matched < 4) continue;
        *matched = 0;
        if (s->answer != NULL) s->connections[i].due_us = s->held ? HELD : now_us() + (int64_t)s->delay_ms * 1000;
        count_up(&s->requests);
    }
    return 1;
}

static inline void *server_main(void *argument) {
    server *s = argument;
    for (;;) {
        struct pollfd fds[SERVER_CONNECTIONS + 2];
        int64_t next = -1, now = now_us();
        int timeout, known = s->count;
        fds[0] = (struct pollfd){s->command[0], POLLIN, 0};
        fds[1] = (struct pollfd){s->count < SERVER_CONNECTIONS ? s->listener : -1, POLLIN, 0};
        for (int i = 0; i < known; i++) {
            int64_t due = s->connections[i].due_us;
            fds[i + 2] = (struct pollfd){s->deaf ? -1 : s->connections[i].fd, POLLIN, 0};
            if (due != 0 && due != HELD && (next < 0 || due < next)) next = due;
        }
        timeout = next < 0 ? -1 : next <= now ? 0 : (int)((next - now + 999) / 1000);
        if (poll(fds, (nfds_t)known + 2, timeout) < 0 && errno != EINTR) check_failed(__FILE__, __LINE__, "poll");
        now = now_us();
        for (int i = known - 1; i >= 0; i--) {
            if (fds[i + 2].revents != 0 && !server_receive(s, i)) {
                server_drop(s, i);
                continue;
            }
            if (s->connections[i].due_us != 0 && s->connections[i].due_us <= now) {
                size_t len = s->answer_len != 0 ? s->answer_len : strlen(s->answer);
                s->connections[i].due_us = 0;
                if (send(s->connections[i].fd, s->answer, len, MSG_NOSIGNAL) < 0 || s->close_after) server_drop(s, i);
            }
        }
        if (fds[1].revents != 0) {
            int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
            if (fd >= 0) {
                s->connections[s->count].fd = fd;
                s->connections[s->count].matched = 0;
                s->connections[s->count++].due_us = 0;
                count_up(&s->accepted);
            }
        }
        if (fds[0].revents != 0) {
            char command = 'q';
            if (read(s->command[0], &command, 1) != 1 || command == 'q') return NULL;
            if (command == 'c') {
                while (s->count > 0) server_drop(s, s->count - 1);
            }
            for (int i = 0; i < s->count; i++) {
                if (s->connections[i].due_us == HELD) s->connections[i].due_us = now;
            }
            CHECK_INT(write(s->reply[1], &command, 1), 1);
        }
    }
}

static inline void server_start(server *s) {
    sigset_t all, before;
    s->listener = listen_local(SERVER_CONNECTIONS, &s->port);
    CHECK_INT(pipe2(s->command, O_CLOEXEC), 0);
    CHECK_INT(pipe2(s->reply, O_CLOEXEC), 0);
    /* The test's signals are for the test's threads. */
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    CHECK_INT(pthread_create(&s->thread, NULL, server_main, s), 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static inline void server_command(server *s, char command) {
    char reply;
    CHECK_INT(write(s->command[1], &command, 1), 1);
    CHECK_INT(read(s->reply[0], &reply, 1), 1);
}

/* Closes all its connections; they are closed when this returns. */
static inline void server_close_all(server *s) { server_command(s, 'c'); }

/* Answers the requests it holds. */
static inline void server_answer(server *s) { server_command(s, 'a'); }

static inline void server_stop(server *s) {
    CHECK_INT(write(s->command[1], "q", 1), 1);
    CHECK_INT(pthread_join(s->thread, NULL), 0);
    while (s->count > 0) server_drop(s, s->count - 1);
    close(s->listener);
    for (int i = 0; i < 2; i++) {
        close(s->command[i]);
        close(s->reply[i]);
    }
}

static inline const char *server_url(const server *s) { return text("http://127.0.0.1:%d/", s->port); }

/* A port that neither accepts nor refuses: a listener whose queue is full. */
typedef struct black_hole {
    int listener, port, fds[8];
} black_hole;

static inline void black_hole_open(black_hole *hole) {
    struct sockaddr_in address = {0};
    hole->listener = listen_local(0, &hole->port);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)hole->port);
    for (int i = 0; i < 8; i++) {
        hole->fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        CHECK(hole->fds[i] >= 0);
        (void)!connect(hole->fds[i], (struct sockaddr *)&address, sizeof address);
    }
}

static inline void black_hole_close(black_hole *hole) {
    for (int i = 0; i < 8; i++) close(hole->fds[i]);
    close(hole->listener);
}

#define ANSWER_HELLO "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nhello\n"

#endif
