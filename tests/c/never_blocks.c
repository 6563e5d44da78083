/* Goal: no poll blocks or works for long, whatever stalls; a free returns at once; each phase has its own limit, and its code.
 * Method: a peer that stalls in each phase, a connect into a full queue, a look-up that hangs, in the host's hands and in the
 * library's: this program brings its own getaddrinfo. CPU time of each poll; sleeps of the thread inside polls. */
#include "support.h"

#include <dlfcn.h>
#include <netdb.h>
#include <sys/resource.h>

#define BUDGET_US 1000
/* One step of one request, at most: by far more than any takes here. */
#define STEP_US_MAX (SANITIZED ? 400000 : 20000)
/* Free, even when the machine has other things to do. */
#define FREE_US_MAX (SANITIZED ? 2000000 : 250000)
/* How often a thread may sleep in all polls of one request: for a lock that another thread holds. */
#define SLEEPS_MAX 3
#define LIMIT_MS 120
#define UPLOAD_BYTES (24 << 20)
#define HANGING_NAME "hangs.invalid"

/* ---- a name service that hangs ---- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int hanging, open;
} names = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **result) {
    typedef int (*function)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    function real = (function)(uintptr_t)dlsym(RTLD_NEXT, "getaddrinfo");
    if (name == NULL || strcmp(name, HANGING_NAME) != 0) return real(name, service, hints, result);
    pthread_mutex_lock(&names.lock);
    names.hanging++;
    pthread_cond_broadcast(&names.changed);
    while (!names.open) pthread_cond_wait(&names.changed, &names.lock);
    names.hanging--;
    pthread_cond_broadcast(&names.changed);
    pthread_mutex_unlock(&names.lock);
    return EAI_AGAIN;
}

static void let_names_go(int open) {
    pthread_mutex_lock(&names.lock);
    names.open = open;
    pthread_cond_broadcast(&names.changed);
    while (open && names.hanging > 0) pthread_cond_wait(&names.changed, &names.lock);
    pthread_mutex_unlock(&names.lock);
}

static int names_hanging(void) {
    pthread_mutex_lock(&names.lock);
    int hanging = names.hanging;
    pthread_mutex_unlock(&names.lock);
    return hanging;
}

/* ---- measured calls ---- */

static long sleeps;
static int long_polls;

static long thread_sleeps(void) {
    struct rusage usage;
    CHECK_INT(getrusage(RUSAGE_THREAD, &usage), 0);
    return usage.ru_nvcsw;
}

static void poll_once(valtron_client *client) {
    struct timespec pause = {0, 500000};
    long before = thread_sleeps();
    int64_t cpu = cpu_us();
    OK(valtron_client_poll(client, BUDGET_US, NULL));
    cpu = cpu_us() - cpu;
    sleeps += thread_sleeps() - before;
    long_polls += cpu > BUDGET_US + STEP_US_MAX;
    nanosleep(&pause, NULL);
}

#define AT_ONCE(call)                                                                         \
    do {                                                                                      \
        int64_t began_ = now_us();                                                            \
        call;                                                                                 \
        CHECK_OP(now_us() - began_, <=, FREE_US_MAX);                                         \
    } while (0)

/* ---- one stall ---- */

typedef struct stall {
    const char *what;
    const char *url;
    size_t limit; /* offset of the limit in valtron_request_config */
    valtron_status want;
    int32_t phase;
    const char *trace; /* letters as in LETTERS */
    size_t upload;
    valtron_spawn_callback spawn; /* asked about look-ups */
} stall;

#define LETTERS "ICTSNHBADE"
static const int32_t STATES[] = {
    VALTRON_STATE_INIT, VALTRON_STATE_CONNECTING, VALTRON_STATE_TLS_HANDSHAKE, VALTRON_STATE_SENDING_REQUEST,
    VALTRON_STATE_RECEIVING_INTRO, VALTRON_STATE_RECEIVING_HEADERS, VALTRON_STATE_RECEIVING_BODY,
    VALTRON_STATE_AWAITING_REDIRECT, VALTRON_STATE_DONE, VALTRON_STATE_ERROR};

static void check_trace(valtron_client *client, valtron_request request, const stall *s) {
    valtron_trace_entry trace[32];
    char got[33] = "";
    size_t count = 0;
    OK(valtron_request_trace(client, request, trace, sizeof trace[0], 32, &count));
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < sizeof STATES / sizeof STATES[0]; k++)
            if (trace[i].state == STATES[k]) got[i] = LETTERS[k];
    CHECK_BYTES(got, strlen(got), s->trace);
}

static valtron_request begin(valtron_client *client, const stall *s, int limited) {
    static uint8_t body[UPLOAD_BYTES];
    valtron_request_config config = request_config(s->url);
    if (limited) *(int64_t *)((char *)&config + s->limit) = LIMIT_MS;
    if (s->upload > 0) {
        config.method = "POST";
        config.method_len = 4;
        config.body = body;
        config.body_len = s->upload;
    }
    return request_from(client, &config);
}

static valtron_client *client_for(const stall *s, valtron_job **job) {
    valtron_client_config config = client_config();
    config.tls_verify_off = 1;
    if (s->spawn != NULL) {
        config.spawn_ask = VALTRON_SPAWN_RESOLVE;
        config.spawn_callback = s->spawn;
        config.spawn_user = job;
        config.job_timeout_ms = -1;
    }
    return client_from(&config);
}

static void one(const stall *s) {
    valtron_job *jobs[2] = {NULL, NULL};
    valtron_client *client = client_for(s, jobs);
    valtron_request_info info;
    valtron_error_detail detail = VALTRON_ERROR_DETAIL_INIT;
    valtron_request request, first, second;
    int64_t began = now_us();

    /* Its limit ends it, with the phase's code. */
    sleeps = 0;
    request = begin(client, s, 1);
    do {
        poll_once(client);
        info = look(client, request);
    } while (!info.terminal);
    fprintf(stderr, "  %s: %s\n", s->what, valtron_status_name(info.status));
    CHECK_STATUS(info.status, s->want);
    CHECK_OP(now_us() - began, >=, LIMIT_MS * 1000);
    OK(valtron_request_error(client, request, &detail));
    CHECK_INT(detail.phase, s->phase);
    check_trace(client, request, s);
    if (workers <= 0 && !SANITIZED) CHECK_OP(sleeps, <=, SLEEPS_MAX);
    if (jobs[0] != NULL) {
        CHECK_STATUS(valtron_job_run(jobs[0]), VALTRON_E_JOB_CANCELLED);
        valtron_job_free(jobs[0]);
        jobs[0] = NULL;
    }
    AT_ONCE(valtron_request_free(client, request));

    /* Freed in the midst of it: first the request, then with two more the client. */
    for (int round = 0; round < 2; round++) {
        first = begin(client, s, 0);
        second = begin(client, s, 0);
        for (int i = 0; i < 40; i++) poll_once(client);
        CHECK(!look(client, first).terminal);
        CHECK(!look(client, second).terminal);
        if (round == 0) {
            AT_ONCE(valtron_request_free(client, first));
            AT_ONCE(valtron_request_free(client, second));
            for (int i = 0; i < 4; i++) poll_once(client);
        }
        for (int i = 0; i < 2 && round == 0; i++) {
            valtron_job_free(jobs[i]);
            jobs[i] = NULL;
        }
    }
    AT_ONCE(valtron_client_free(client));
    for (int i = 0; i < 2; i++) valtron_job_free(jobs[i]);
}

static valtron_decision keep(void *user, const valtron_spawn *spawn, valtron_job **job) {
    valtron_job **kept = user;
    CHECK_INT(spawn->kind, VALTRON_SPAWN_RESOLVE);
    CHECK(kept[0] == NULL || kept[1] == NULL);
    kept[kept[0] != NULL] = *job;
    return VALTRON_DECISION_TAKE;
}

#define LIMIT_OF(field) .limit = offsetof(valtron_request_config, field)

static void stalls(void) {
    server silent = {0}, deaf = {.deaf = 1}, half_head = {.answer = "HTTP/1.1 200 OK\r\ncontent-le"};
    server half_body = {.answer = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf"};
    black_hole hole;
    server *peers[] = {&silent, &deaf, &half_head, &half_body};
    for (int i = 0; i < 4; i++) server_start(peers[i]);
    black_hole_open(&hole);
    let_names_go(0);
    const char *to_silent = text("http://127.0.0.1:%d/", silent.port), *to_deaf = text("http://127.0.0.1:%d/", deaf.port);
    const stall list[] = {
        {.what = "look-up by the host", .url = "http://localhost:1/", LIMIT_OF(resolve_timeout_ms), .spawn = keep,
         .want = VALTRON_E_TIMEOUT_RESOLVE, .phase = VALTRON_PHASE_RESOLVE, .trace = "ICE"},
        {.what = "look-up", .url = "http://" HANGING_NAME "/", LIMIT_OF(resolve_timeout_ms),
         .want = VALTRON_E_TIMEOUT_RESOLVE, .phase = VALTRON_PHASE_RESOLVE, .trace = "ICE"},
        {.what = "connect", .url = text("http://127.0.0.1:%d/", hole.port), LIMIT_OF(connect_timeout_ms),
         .want = VALTRON_E_TIMEOUT_CONNECT, .phase = VALTRON_PHASE_CONNECT, .trace = "ICE"},
        {.what = "handshake", .url = text("https://127.0.0.1:%d/", deaf.port), LIMIT_OF(tls_timeout_ms),
         .want = VALTRON_E_TIMEOUT_TLS, .phase = VALTRON_PHASE_TLS, .trace = "ICTE"},
        {.what = "upload", .url = to_deaf, LIMIT_OF(send_timeout_ms), .upload = UPLOAD_BYTES,
         .want = VALTRON_E_TIMEOUT_SEND, .phase = VALTRON_PHASE_SEND, .trace = "ICSE"},
        {.what = "no head", .url = to_silent, LIMIT_OF(first_byte_timeout_ms),
         .want = VALTRON_E_TIMEOUT_FIRST_BYTE, .phase = VALTRON_PHASE_FIRST_BYTE, .trace = "ICSNE"},
        {.what = "half a head", .url = text("http://127.0.0.1:%d/", half_head.port), LIMIT_OF(first_byte_timeout_ms),
         .want = VALTRON_E_TIMEOUT_FIRST_BYTE, .phase = VALTRON_PHASE_FIRST_BYTE, .trace = "ICSNHE"},
        {.what = "half a body", .url = text("http://127.0.0.1:%d/", half_body.port), LIMIT_OF(idle_timeout_ms),
         .want = VALTRON_E_TIMEOUT_IDLE, .phase = VALTRON_PHASE_BODY, .trace = "ICSNHBE"},
        {.what = "in total", .url = to_silent, LIMIT_OF(total_timeout_ms),
         .want = VALTRON_E_TIMEOUT_TOTAL, .phase = VALTRON_PHASE_FIRST_BYTE, .trace = "ICSNE"},
    };
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        /* The machine may lengthen a poll once; what the library does for this stall, it does each time. */
        int tries = 0;
        do {
            long_polls = 0;
            one(&list[i]);
        } while (long_polls > 0 && ++tries < 5);
        CHECK_INT(long_polls, 0);
    }
    let_names_go(1);
    black_hole_close(&hole);
    for (int i = 0; i < 4; i++) server_stop(peers[i]);
}

/* A shutdown waits for the thread that the name service holds up, as long as it is told to, and can be called again. */
static void shutdown_of_a_look_up(void) {
    valtron_client *client = client_new();
    valtron_event event;
    size_t count = 0;
    let_names_go(0);
    request_new(client, "http://" HANGING_NAME "/");
    long_polls = 0;
    while (names_hanging() == 0) poll_once(client);
    /* The machine may lengthen one. */
    CHECK_OP(long_polls, <=, 1);
    CHECK_STATUS(valtron_client_shutdown(client, 20), VALTRON_E_WAIT_TIMEOUT);
    OK(valtron_client_next_events(client, &event, sizeof event, 1, &count));
    CHECK_INT(count, 1);
    CHECK_STATUS(event.status, VALTRON_E_SHUTDOWN);
    let_names_go(1);
    OK(valtron_client_shutdown(client, -1));
    valtron_client_free(client);
}

static void *nothing(void *unused) { return unused; }

static void test(void) {
    pthread_t first;
    int threads;
    /* A sanitizer starts a thread of its own with the first one. */
    CHECK_INT(pthread_create(&first, NULL, nothing, NULL), 0);
    CHECK_INT(pthread_join(first, NULL), 0);
    threads = count_threads();
    stalls();
    shutdown_of_a_look_up();
    /* Threads of freed clients end by themselves, soon. */
    for (int i = 0; i < 5000 && count_threads() > threads; i++) usleep(1000);
    CHECK_INT(count_threads(), threads);
}

int main(void) { return run_test(test); }
