/* Goal: the host takes the CPU work of handshakes and the look-ups to its own threads, while its main thread does nothing but
 * poll with a budget of a millisecond. Method: a hundred HTTPS requests, each with a new connection to a name: the CPU time of
 * the polls and of the jobs is shown, and no step of the polls is one of a handshake, by callback and by pull; then,
 * both ways and for both kinds, jobs that are never run, run twice, and run after the request or the client has gone; and
 * denied actions. */
#include "support.h"

#define REQUESTS 100
#define THREADS 4
#define BUDGET_US 1000
#define QUEUE_MAX 4096
/* A job that lies expires then: never, in this test. */
#define JOB_MS 20000

/* Jobs for the test's own threads. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    valtron_job *jobs[QUEUE_MAX];
    size_t first, last;
    int stop;
} queue = {.lock = PTHREAD_MUTEX_INITIALIZER, .filled = PTHREAD_COND_INITIALIZER};

/* What they computed. */
static _Atomic int64_t jobs_cpu_us;

static void put(valtron_job *job) {
    pthread_mutex_lock(&queue.lock);
    CHECK(queue.last - queue.first < QUEUE_MAX);
    queue.jobs[queue.last++ % QUEUE_MAX] = job;
    pthread_cond_signal(&queue.filled);
    pthread_mutex_unlock(&queue.lock);
}

static void *work(void *unused) {
    (void)unused;
    for (;;) {
        valtron_job *job;
        int64_t cpu;
        pthread_mutex_lock(&queue.lock);
        while (queue.first == queue.last && !queue.stop) pthread_cond_wait(&queue.filled, &queue.lock);
        if (queue.first == queue.last) {
            pthread_mutex_unlock(&queue.lock);
            return NULL;
        }
        job = queue.jobs[queue.first++ % QUEUE_MAX];
        pthread_mutex_unlock(&queue.lock);
        cpu = cpu_us();
        OK(valtron_job_run(job));
        atomic_fetch_add(&jobs_cpu_us, cpu_us() - cpu);
        valtron_job_free(job);
    }
}

/* The host drives, but where a test is about workers. */
static int worker_threads;

static valtron_decision take_it(void *user, const valtron_spawn *spawn, valtron_job **job) {
    (void)user;
    CHECK(spawn->kind == VALTRON_SPAWN_RESOLVE || spawn->kind == VALTRON_SPAWN_TLS_UPGRADE);
    put(*job);
    return VALTRON_DECISION_TAKE;
}

static void pull(valtron_client *client) {
    valtron_spawn spawns[16];
    size_t count = 0, i;
    OK(valtron_client_next_spawns(client, spawns, sizeof spawns[0], 16, &count));
    for (i = 0; i < count; i++) {
        valtron_job *job = NULL;
        valtron_status status = valtron_action_decide(client, spawns[i].spawn_id, VALTRON_DECISION_TAKE, &job);
        if (status == VALTRON_E_NO_SPAWN) continue; /* ended meanwhile */
        OK(status);
        put(job);
    }
}

static valtron_client *asking(valtron_spawn_callback callback, void *user, uint32_t kinds, int64_t job_timeout_ms) {
    valtron_client_config config = client_config();
    config.worker_threads = worker_threads;
    config.spawn_ask = kinds;
    config.spawn_callback = callback;
    config.spawn_user = user;
    config.spawn_timeout_ms = 20000;
    config.job_timeout_ms = job_timeout_ms;
    config.ca_pem = ca_pem(&config.ca_pem_len);
    return client_from(&config);
}

/* How the host is asked. */
enum { BY_CALLBACK, BY_PULL, FORMS };

/* Shows the CPU time of the polls and of the jobs. A callback is the host's own: it only puts the job into the queue. */
static void hundred(uint32_t kinds, valtron_spawn_callback callback) {
    valtron_client *client = asking(callback, NULL, kinds, JOB_MS);
    valtron_header close_it = {"Connection", 10, "close", 5};
    valtron_request requests[REQUESTS];
    valtron_stats stats = VALTRON_STATS_INIT;
    valtron_hitches hitches = VALTRON_HITCHES_INIT;
    const char *url = text("%s/hello", site("VALTRON_SITE_HTTPS"));
    int64_t polls_cpu_us = 0;
    uint64_t polls = 0;
    ptrdiff_t handle = -1;
    int done = 0;
    OK(valtron_client_wait_handle(client, &handle));
    atomic_store(&jobs_cpu_us, 0);
    for (int i = 0; i < REQUESTS; i++) {
        valtron_request_config config = request_config(url);
        config.headers = &close_it;
        config.headers_count = 1;
        requests[i] = request_from(client, &config);
    }
    while (done < REQUESTS) {
        struct pollfd pause = {(int)handle, POLLIN, 0};
        valtron_event events[16];
        size_t count = 0;
        int64_t cpu = cpu_us();
        OK(valtron_client_poll(client, BUDGET_US, NULL));
        polls_cpu_us += cpu_us() - cpu;
        polls++;
        if (callback == NULL) pull(client);
        OK(valtron_client_next_events(client, events, sizeof events[0], 16, &count));
        for (size_t i = 0; i < count; i++) {
            if ((events[i].flags & VALTRON_EVENT_DONE) == 0) continue;
            CHECK_STATUS(events[i].status, VALTRON_OK);
            CHECK_INT(events[i].http_status, 200);
            done++;
        }
        /* A frame's pause, outside the library: nothing but the polls drives. */
        CHECK_OP(poll(&pause, 1, 1), >=, 0);
    }
    OK(valtron_client_stats(client, &stats));
    OK(valtron_client_hitches(client, 0, &hitches));
    fprintf(stderr, "%s: %" PRIu64 " polls took %" PRId64 " us, jobs %" PRId64 " us; longest step: kind %d, %" PRIu64 " us\n",
            kinds == 0 ? "nothing taken" : callback == NULL ? "by pull" : "by callback", polls, polls_cpu_us,
            atomic_load(&jobs_cpu_us), hitches.longest_step_kind, hitches.longest_step_ns / 1000);
    CHECK_INT(hitches.polls, polls);
    CHECK_INT(stats.hitches, 0);
    CHECK_INT(stats.jobs_expired, 0);
    if (kinds == 0) {
        CHECK_INT(stats.jobs_taken, 0);
    } else {
        /* A look-up, and the steps of a handshake: the first one and one a record at least. */
        CHECK_OP(stats.jobs_taken, >=, 3 * REQUESTS);
        CHECK_OP(hitches.longest_step_kind, !=, VALTRON_STEP_TLS_START);
        CHECK_OP(hitches.longest_step_kind, !=, VALTRON_STEP_TLS_HANDSHAKE);
    }
    for (int i = 0; i < REQUESTS; i++) valtron_request_free(client, requests[i]);
    valtron_client_free(client);
}

/* Takes the first job and lets it lie. */
static valtron_decision keep_it(void *user, const valtron_spawn *spawn, valtron_job **job) {
    valtron_job **kept = user;
    (void)spawn;
    if (*kept != NULL) return VALTRON_DECISION_RUN;
    *kept = *job;
    return VALTRON_DECISION_TAKE;
}

/* The same. */
static void pull_and_keep(valtron_client *client, valtron_job **kept) {
    valtron_spawn spawns[4];
    size_t count = 0;
    OK(valtron_client_next_spawns(client, spawns, sizeof spawns[0], 4, &count));
    for (size_t i = 0; i < count; i++) {
        if (*kept == NULL) OK(valtron_action_decide(client, spawns[i].spawn_id, VALTRON_DECISION_TAKE, kept));
        else OK(valtron_action_decide(client, spawns[i].spawn_id, VALTRON_DECISION_RUN, NULL));
    }
}

/* A request whose job of this kind is taken, and lies. */
static void job_of(int form, uint32_t kind, int64_t job_timeout_ms, valtron_client **client, valtron_request *request,
                   valtron_job **job) {
    *job = NULL;
    *client = asking(form == BY_CALLBACK ? keep_it : NULL, job, kind, job_timeout_ms);
    *request = request_new(*client, text("%s/hello", site("VALTRON_SITE_HTTPS")));
    while (*job == NULL) {
        /* A question to fetch ends a wait, one to the callback need not. */
        OK(valtron_client_wait(*client, form == BY_PULL ? -1 : 1, NULL));
        if (form == BY_PULL) pull_and_keep(*client, job);
    }
}

/* To the request's end; further questions are answered. */
static valtron_request_info finish(int form, valtron_client *client, valtron_request request, valtron_job *job) {
    while (form == BY_PULL && !look(client, request).terminal) {
        valtron_event event;
        size_t count = 0;
        OK(valtron_client_wait(client, -1, NULL));
        OK(valtron_client_next_events(client, &event, sizeof event, 1, &count));
        pull_and_keep(client, &job);
    }
    return wait_done(client, request);
}

/* The library does the work itself when the time for the job is over. */
static void never_run(int form, uint32_t kind) {
    valtron_client *client;
    valtron_request request;
    valtron_job *job;
    valtron_request_info info;
    valtron_stats stats = VALTRON_STATS_INIT;
    job_of(form, kind, 50, &client, &request, &job);
    info = finish(form, client, request, job);
    CHECK_STATUS(info.status, VALTRON_OK);
    CHECK_INT(info.http_status, 200);
    OK(valtron_client_stats(client, &stats));
    CHECK_INT(stats.jobs_taken, 1);
    CHECK_INT(stats.jobs_expired, 1);
    CHECK_INT(stats.hitches, kind == VALTRON_SPAWN_TLS_UPGRADE ? 1 : 0);
    CHECK_STATUS(valtron_job_run(job), VALTRON_E_JOB_EXPIRED);
    valtron_job_free(job);
    valtron_request_free(client, request);
    valtron_client_free(client);
}

static void twice_late_gone(int form, uint32_t kind) {
    valtron_client *client;
    valtron_request request;
    valtron_job *job;
    /* Twice. */
    job_of(form, kind, JOB_MS, &client, &request, &job);
    OK(valtron_job_run(job));
    CHECK_STATUS(valtron_job_run(job), VALTRON_E_JOB_ALREADY_RUN);
    CHECK_STATUS(finish(form, client, request, job).status, VALTRON_OK);
    CHECK_STATUS(valtron_job_run(job), VALTRON_E_JOB_ALREADY_RUN);
    valtron_job_free(job);
    valtron_client_free(client);
    /* After the cancel, seen or not. */
    for (int seen = 0; seen < 2; seen++) {
        job_of(form, kind, JOB_MS, &client, &request, &job);
        OK(valtron_request_cancel(client, request));
        if (seen) CHECK_STATUS(wait_done(client, request).status, VALTRON_E_CANCELLED);
        CHECK_STATUS(valtron_job_run(job), VALTRON_E_JOB_CANCELLED);
        valtron_job_free(job);
        CHECK_STATUS(wait_done(client, request).status, VALTRON_E_CANCELLED);
        valtron_client_free(client);
    }
    /* After the request's free. */
    job_of(form, kind, JOB_MS, &client, &request, &job);
    valtron_request_free(client, request);
    CHECK_STATUS(valtron_job_run(job), VALTRON_E_JOB_CANCELLED);
    valtron_job_free(job);
    valtron_client_free(client);
    /* After the client's free. */
    job_of(form, kind, JOB_MS, &client, &request, &job);
    valtron_client_free(client);
    CHECK_STATUS(valtron_job_run(job), VALTRON_E_JOB_CANCELLED);
    valtron_job_free(job);
}

static valtron_decision deny_it(void *user, const valtron_spawn *spawn, valtron_job **job) {
    (void)user;
    (void)spawn;
    (void)job;
    return VALTRON_DECISION_DENY;
}

static void denied(uint32_t kind) {
    valtron_client *client = asking(deny_it, NULL, kind, 0);
    valtron_request request = request_new(client, text("%s/hello", site("VALTRON_SITE_HTTPS")));
    valtron_request_info info = wait_done(client, request);
    CHECK_STATUS(info.status, VALTRON_E_DENIED);
    valtron_client_free(client);
}

/* A denied redirect is the answer itself, body and all, and the trace says so. */
static void denied_redirect(void) {
    static const int32_t want[] = {
        VALTRON_STATE_INIT, VALTRON_STATE_CONNECTING, VALTRON_STATE_SENDING_REQUEST, VALTRON_STATE_RECEIVING_INTRO,
        VALTRON_STATE_RECEIVING_HEADERS, VALTRON_STATE_AWAITING_REDIRECT, VALTRON_STATE_RECEIVING_BODY, VALTRON_STATE_DONE};
    valtron_client *client = asking(deny_it, NULL, VALTRON_SPAWN_REDIRECT, 0);
    valtron_request request = request_new(client, text("%s/redirect/302?to=/hello", site("VALTRON_SITE_HTTP")));
    valtron_request_info info = wait_done(client, request);
    valtron_trace_entry trace[16];
    uint8_t body[256];
    size_t count = 0;
    CHECK_STATUS(info.status, VALTRON_OK);
    CHECK_INT(info.http_status, 302);
    CHECK_INT(info.hops, 0);
    CHECK(read_all(client, request, body, sizeof body) > 0);
    OK(valtron_request_trace(client, request, trace, sizeof trace[0], 16, &count));
    CHECK_INT(count, sizeof want / sizeof want[0]);
    for (size_t i = 0; i < count; i++) CHECK_INT(trace[i].state, want[i]);
    valtron_client_free(client);
}

/* The frame thread is spared the cryptography, which is most of what it computes otherwise. */
static void hundreds(void) {
    const uint32_t all = VALTRON_SPAWN_RESOLVE | VALTRON_SPAWN_TLS_UPGRADE;
    hundred(0, NULL);
    for (int form = 0; form < FORMS; form++) hundred(all, form == BY_CALLBACK ? take_it : NULL);
}

int main(void) {
    static const uint32_t kinds[] = {VALTRON_SPAWN_TLS_UPGRADE, VALTRON_SPAWN_RESOLVE};
    pthread_t threads[THREADS];
    watch_over();
    for (int i = 0; i < THREADS; i++) CHECK_INT(pthread_create(&threads[i], NULL, work, NULL), 0);
    hundreds();
    pthread_mutex_lock(&queue.lock);
    queue.stop = 1;
    pthread_cond_broadcast(&queue.filled);
    pthread_mutex_unlock(&queue.lock);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    for (int form = 0; form < FORMS; form++) {
        for (int kind = 0; kind < 2; kind++) {
            never_run(form, kinds[kind]);
            twice_late_gone(form, kinds[kind]);
            worker_threads = 2;
            for (int i = 0; is_multi() && i < 10; i++) twice_late_gone(form, kinds[kind]);
            worker_threads = 0;
        }
    }
    denied(VALTRON_SPAWN_TLS_UPGRADE);
    denied(VALTRON_SPAWN_RESOLVE);
    denied_redirect();
    return 0;
}
