/* Goal: a child process gets a code from the parent's client and jobs, can free them and go on with a client of its own; the
 * parent is not disturbed. Method: fork while requests wait for an answer, while handshakes wait for the server's flight, and
 * while look-ups and handshake steps are taken, some of them held and one in the middle of its work; the child is checked by
 * its exit code, the parent completes all. */
#include "support.h"

#include <malloc.h>

#define REQUESTS 8
#define HOLDERS 3

/* A thread that sets this stops inside the library, at the next memory it asks for, until it may go on. */
static _Thread_local int stop_here;
static sem_t stopped, go_on;

static void stop_if_told(void) {
    if (!stop_here) return;
    stop_here = 0;
    sem_post(&stopped);
    while (sem_wait(&go_on) != 0) CHECK_INT(errno, EINTR);
}

#if defined(__SANITIZE_ADDRESS__)
/* The allocator of gcc 12's AddressSanitizer takes no part in a fork, as malloc does: a lock of it that a worker holds at that
 * moment, in a free() that notes its stack, stays locked in the child, which then spins at it for ever. So here the library's
 * memory comes through a lock that takes part. */
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void gate_close(void) { pthread_mutex_lock(&gate); }
static void gate_open(void) { pthread_mutex_unlock(&gate); }

static void join_forks(void) { CHECK_INT(pthread_atfork(gate_close, gate_open, gate_open), 0); }

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
#else
static void gate_close(void) {}
static void gate_open(void) {}
static void join_forks(void) {}
static void await_workers(void) {}
#endif

static void *allocate(void *user, size_t size, size_t alignment) {
    void *p;
    (void)user;
    stop_if_told();
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

static void use_allocator(void) {
    valtron_allocator allocator = {sizeof allocator, NULL, allocate, reallocate, deallocate};
    join_forks();
    OK(valtron_set_allocator(&allocator));
}

/* ---- jobs, and who has them ---- */

#define JOBS_MAX 256

static valtron_job *jobs[JOBS_MAX];
static int jobs_count;

static valtron_decision take_it(void *user, const valtron_spawn *spawn, valtron_job **job) {
    (void)user;
    (void)spawn;
    CHECK(jobs_count < JOBS_MAX);
    jobs[jobs_count++] = *job;
    return VALTRON_DECISION_TAKE;
}

static valtron_client *taking(uint32_t kinds) {
    valtron_client_config config = client_config();
    config.spawn_ask = kinds;
    config.spawn_callback = take_it;
    config.spawn_timeout_ms = -1;
    config.job_timeout_ms = -1;
    jobs_count = 0;
    return client_from(&config);
}

static void run_job(valtron_job *job) {
    OK(valtron_job_run(job));
    valtron_job_free(job);
}

/* Drives, and does the jobs that come, from number `first` on, on this thread. */
static void complete(valtron_client *client, valtron_request request, int *first, const char *want) {
    uint8_t body[64];
    valtron_request_info info = VALTRON_REQUEST_INFO_INIT;
    for (;;) {
        valtron_status status = valtron_request_wait(client, request, VALTRON_UNTIL_DONE, *first < jobs_count ? 0 : 5, &info);
        if (status == VALTRON_OK) break;
        CHECK_STATUS(status, VALTRON_E_WAIT_TIMEOUT);
        while (*first < jobs_count) run_job(jobs[(*first)++]);
    }
    CHECK_STATUS(info.status, VALTRON_OK);
    CHECK_BYTES(body, read_all(client, request, body, sizeof body), want);
    valtron_request_free(client, request);
}

/* ---- the child ---- */

static void answers_forked(valtron_client *client, valtron_request request, const char *url) {
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
}

/* A client of its own does what the parent's did: with jobs of its own, if kinds says so. */
static void new_client(uint32_t kinds) {
    valtron_client *client = taking(kinds);
    int first = 0;
    complete(client, request_new(client, text("%s/hello", site("VALTRON_SITE_HTTP"))), &first, "hello, world\n");
    complete(client, request_new(client, text("%s/hello", site("VALTRON_SITE_HTTPS"))), &first, "hello, world\n");
    CHECK_OP(jobs_count, >=, kinds != 0);
    valtron_client_free(client);
}

/* Of the jobs the first is in the middle of its work, on a thread that this process does not have. */
static pid_t fork_child(valtron_client *client, valtron_request request, const char *url, uint32_t kinds) {
    pid_t pid;
    int64_t held = jobs_count;
    fflush(NULL);
    pid = fork();
    CHECK(pid >= 0);
    if (pid > 0) return pid;
    /* A fork takes no alarm along. Half: the parent waits for this process. */
    alarm(WATCHDOG_S / 2);
    answers_forked(client, request, url);
    for (int i = 0; i < held; i++) CHECK_STATUS(valtron_job_run(jobs[i]), VALTRON_E_FORKED);
    for (int i = 1; i < held; i += 2) valtron_job_free(jobs[i]);
    valtron_request_free(client, request);
    valtron_client_free(client);
    for (int i = 1; i < held; i += 2) CHECK_STATUS(valtron_job_run(jobs[i - 1]), VALTRON_E_FORKED);
    for (int i = 2; i < held; i += 2) valtron_job_free(jobs[i]);
    new_client(kinds);
    _exit(0);
}

static void await_child(pid_t pid) {
    int status = -1;
    CHECK_INT(waitpid(pid, &status, 0), pid);
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 0);
}

/* ---- requests that wait for an answer ---- */

static void live_requests(void) {
    server peer = {.answer = ANSWER_HELLO, .held = 1};
    valtron_client *client;
    valtron_request requests[REQUESTS];
    int first = 0;
    pid_t pid;
    server_start(&peer);
    client = taking(0);
    await_workers();
    for (int i = 0; i < REQUESTS; i++) requests[i] = request_new(client, server_url(&peer));
    while (atomic_load(&peer.requests) < REQUESTS) OK(valtron_client_wait(client, 1, NULL));
    pid = fork_child(client, requests[0], server_url(&peer), 0);
    /* What the child does to its copies must be over before the answers come. */
    await_child(pid);
    server_answer(&peer);
    for (int i = 0; i < REQUESTS; i++) complete(client, requests[i], &first, "hello\n");
    CHECK_INT(atomic_load(&peer.accepted), REQUESTS);
    CHECK_INT(atomic_load(&peer.requests), REQUESTS);
    valtron_client_free(client);
    server_stop(&peer);
}

/* ---- handshakes that wait for the server's flight ---- */

/* Hands bytes on between clients and the site; what the site says waits until it is released. */
typedef struct relay {
    int listener, port, release[2];
    atomic_int waiting; /* connections whose client has spoken and whose server has answered */
    pthread_t thread;
} relay;

static int connect_local(int port) {
    struct sockaddr_in address = {0};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)port);
    CHECK_INT(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* 0: that side has ended. */
static int hand_on(int from, int to) {
    char buffer[16384];
    ssize_t got = read(from, buffer, sizeof buffer);
    for (ssize_t at = 0, put; at < got; at += put)
        if ((put = send(to, buffer + at, (size_t)(got - at), MSG_NOSIGNAL)) <= 0) return 0;
    return got > 0;
}

static void *relay_main(void *argument) {
    relay *r = argument;
    int fds[REQUESTS][2], spoke[REQUESTS] = {0}, count = 0, held = 1, open = 0;
    while (held || open > 0) {
        struct pollfd polled[2 + 2 * REQUESTS];
        int known = count;
        polled[0] = (struct pollfd){held ? r->release[0] : -1, POLLIN, 0};
        polled[1] = (struct pollfd){count < REQUESTS ? r->listener : -1, POLLIN, 0};
        for (int i = 0; i < known; i++)
            for (int side = 0; side < 2; side++)
                polled[2 + 2 * i + side] = (struct pollfd){side == 1 && held && spoke[i] ? -1 : fds[i][side], POLLIN, 0};
        if (poll(polled, (nfds_t)(2 + 2 * known), -1) < 0) {
            CHECK_INT(errno, EINTR);
            continue;
        }
        for (int i = 0; i < known; i++)
            for (int side = 0; side < 2; side++) {
                if (fds[i][0] < 0 || polled[2 + 2 * i + side].revents == 0) continue;
                if (side == 1 && held) {
                    /* There is an answer. It waits. */
                    spoke[i] = 1;
                    count_up(&r->waiting);
                } else if (!hand_on(fds[i][side], fds[i][1 - side])) {
                    close(fds[i][0]);
                    close(fds[i][1]);
                    fds[i][0] = fds[i][1] = -1;
                    open--;
                }
            }
        if (polled[1].revents != 0) {
            fds[count][0] = accept4(r->listener, NULL, NULL, SOCK_CLOEXEC);
            CHECK(fds[count][0] >= 0);
            fds[count++][1] = connect_local(atoi(strrchr(site("VALTRON_SITE_HTTPS"), ':') + 1));
            open++;
        }
        if (polled[0].revents != 0) held = 0;
    }
    return NULL;
}

static void handshakes(void) {
    relay r = {.listener = -1};
    valtron_client *client;
    valtron_request requests[REQUESTS];
    const char *url;
    int first = 0;
    pid_t pid;
    r.listener = listen_local(REQUESTS, &r.port);
    CHECK_INT(pipe2(r.release, O_CLOEXEC), 0);
    CHECK_INT(pthread_create(&r.thread, NULL, relay_main, &r), 0);
    url = strdup(text("https://localhost:%d/hello", r.port));
    client = taking(0);
    await_workers();
    for (int i = 0; i < REQUESTS; i++) requests[i] = request_new(client, url);
    while (atomic_load(&r.waiting) < REQUESTS) OK(valtron_client_wait(client, 1, NULL));
    for (int i = 0; i < REQUESTS; i++) CHECK_INT(look(client, requests[i]).state, VALTRON_STATE_TLS_HANDSHAKE);
    pid = fork_child(client, requests[0], url, 0);
    await_child(pid);
    CHECK_INT(write(r.release[1], "r", 1), 1);
    for (int i = 0; i < REQUESTS; i++) complete(client, requests[i], &first, "hello, world\n");
    valtron_client_free(client);
    CHECK_INT(pthread_join(r.thread, NULL), 0);
    close(r.listener);
    close(r.release[0]);
    close(r.release[1]);
    free((void *)(uintptr_t)url);
}

/* ---- jobs that the host took ---- */

static void *run_and_stop(void *job) {
    stop_here = 1;
    run_job(job);
    CHECK_INT(stop_here, 0);
    return NULL;
}

static void *hold_and_run(void *job) {
    sem_post(&stopped);
    while (sem_wait(&go_on) != 0) CHECK_INT(errno, EINTR);
    run_job(job);
    return NULL;
}

static void taken(uint32_t kind) {
    valtron_client *client = taking(kind);
    valtron_request requests[REQUESTS];
    const char *url = strdup(text("%s/hello", site("VALTRON_SITE_HTTPS")));
    pthread_t threads[1 + HOLDERS];
    int first = 1 + HOLDERS;
    pid_t pid;
    await_workers();
    for (int i = 0; i < REQUESTS; i++) requests[i] = request_new(client, url);
    while (jobs_count < REQUESTS) OK(valtron_client_wait(client, 1, NULL));
    CHECK_INT(pthread_create(&threads[0], NULL, run_and_stop, jobs[0]), 0);
    for (int i = 1; i <= HOLDERS; i++) CHECK_INT(pthread_create(&threads[i], NULL, hold_and_run, jobs[i]), 0);
    for (int i = 0; i <= HOLDERS; i++)
        while (sem_wait(&stopped) != 0) CHECK_INT(errno, EINTR);
    pid = fork_child(client, requests[0], url, kind);
    await_child(pid);
    for (int i = 0; i <= HOLDERS; i++) sem_post(&go_on);
    for (int i = 0; i <= HOLDERS; i++) CHECK_INT(pthread_join(threads[i], NULL), 0);
    for (int i = 0; i < REQUESTS; i++) complete(client, requests[i], &first, "hello, world\n");
    CHECK_INT(first, jobs_count);
    valtron_client_free(client);
    free((void *)(uintptr_t)url);
}

static void test(void) {
    live_requests();
    handshakes();
    taken(VALTRON_SPAWN_RESOLVE);
    taken(VALTRON_SPAWN_TLS_UPGRADE);
}

int main(void) {
#if defined(__SANITIZE_THREAD__)
    /* The tool does not follow a child of a process with threads that starts threads itself. */
    return NOT_APPLICABLE_CODE;
#endif
    use_allocator();
    CHECK_INT(sem_init(&stopped, 0, 0), 0);
    CHECK_INT(sem_init(&go_on, 0, 0), 0);
    return run_test(test);
}
