/* The downloads of the game loop, by valtron_http: one client, polled once a frame; in the mode `taken` the CPU work of TLS
 * handshakes goes to a few job threads, as an engine has them; in the mode `workers` the library drives on threads of its own. */
#include "game_downloads.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "valtron_http.h"

#define JOB_THREADS 2
#define JOBS_MAX 1024
#define EVENTS_MAX 64

static struct game_options options;
static enum game_mode mode;
static valtron_client *client;
static valtron_request requests[DOWNLOADS_MAX];
static struct game_counts counts;
static int64_t callbacks_ns;

/* ---- the engine's job threads ---- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    valtron_job *jobs[JOBS_MAX];
    size_t first, last;
    int stop;
    pthread_t threads[JOB_THREADS];
    int running;
} engine = {.lock = PTHREAD_MUTEX_INITIALIZER, .filled = PTHREAD_COND_INITIALIZER};

static void *job_thread(void *unused) {
    (void)unused;
    for (;;) {
        valtron_job *job;
        pthread_mutex_lock(&engine.lock);
        while (engine.first == engine.last && !engine.stop) pthread_cond_wait(&engine.filled, &engine.lock);
        if (engine.first == engine.last) {
            pthread_mutex_unlock(&engine.lock);
            return NULL;
        }
        job = engine.jobs[engine.first++ % JOBS_MAX];
        pthread_mutex_unlock(&engine.lock);
        /* It may have come too late, or its request may be gone: both are told, and both are fine. */
        valtron_job_run(job);
        valtron_job_free(job);
    }
}

static int64_t cpu_ns(void) {
    struct timespec at;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &at);
    return (int64_t)at.tv_sec * 1000000000 + at.tv_nsec;
}

/* Asked inside valtron_client_poll, once for each step of a handshake. */
static valtron_decision on_spawn(void *user, const valtron_spawn *spawn, valtron_job **job) {
    valtron_decision decision = VALTRON_DECISION_RUN;
    int64_t began = cpu_ns();
    (void)user;
    if (mode != GAME_TAKEN || spawn->kind != VALTRON_SPAWN_TLS_UPGRADE) return decision;
    pthread_mutex_lock(&engine.lock);
    if (engine.last - engine.first < JOBS_MAX) {
        engine.jobs[engine.last++ % JOBS_MAX] = *job;
        decision = VALTRON_DECISION_TAKE;
        pthread_cond_signal(&engine.filled);
    }
    pthread_mutex_unlock(&engine.lock);
    callbacks_ns += cpu_ns() - began;
    return decision;
}

/* ---- downloads ---- */

static int wrong(const char *what, valtron_status status) {
    fprintf(stderr, "%s: %s\n", what, valtron_status_message(status));
    return -1;
}

static int begin(int index) {
    /* A new connection, and so a new handshake, for each. */
    static const valtron_header close_it = {"Connection", 10, "close", 5};
    valtron_request_config config = VALTRON_REQUEST_CONFIG_INIT;
    valtron_status status;
    config.url = options.url;
    config.url_len = strlen(options.url);
    config.headers = &close_it;
    config.headers_count = 1;
    config.user_data = (void *)(intptr_t)index;
    requests[index] = 0;
    status = valtron_request_create(client, &config, &requests[index]);
    return status == VALTRON_OK ? 0 : wrong(options.url, status);
}

static char *read_file(const char *path, size_t *len) {
    FILE *file = fopen(path, "rb");
    char *text = NULL;
    long size;
    if (file == NULL) return NULL;
    if (fseek(file, 0, SEEK_END) == 0 && (size = ftell(file)) > 0 && fseek(file, 0, SEEK_SET) == 0) {
        text = malloc((size_t)size);
        *len = text != NULL ? fread(text, 1, (size_t)size, file) : 0;
    }
    fclose(file);
    return text;
}

const char *downloads_library(void) {
    static char name[64];
    snprintf(name, sizeof name, "valtron_http %s", valtron_version());
    return name;
}

const char *downloads_build(void) { return valtron_features() & VALTRON_FEATURE_MULTI ? "multi" : "single"; }

int downloads_has_mode(enum game_mode wanted) {
    return wanted == GAME_INLINE || wanted == GAME_TAKEN || (valtron_features() & VALTRON_FEATURE_MULTI) != 0;
}

static int start_engine(void) {
    for (; engine.running < JOB_THREADS; engine.running++) {
        if (pthread_create(&engine.threads[engine.running], NULL, job_thread, NULL) != 0) {
            fprintf(stderr, "no thread for jobs\n");
            return -1;
        }
    }
    return 0;
}

static int start_client(void) {
    valtron_client_config config = VALTRON_CLIENT_CONFIG_INIT;
    valtron_status status;
    char *pem;
    if (mode == GAME_TAKEN || (mode == GAME_INLINE && options.may_switch)) {
        if (start_engine() != 0) return -1;
        config.spawn_ask = VALTRON_SPAWN_TLS_UPGRADE;
        config.spawn_callback = on_spawn;
    }
    /* With none, polls drive the downloads, in that build, too. */
    config.worker_threads = mode == GAME_WORKERS ? -1 : 0;
    pem = read_file(options.ca_file, &config.ca_pem_len);
    if (pem == NULL) {
        perror(options.ca_file);
        return -1;
    }
    config.ca_pem = pem;
    config.trust = VALTRON_TRUST_PEM_ONLY;
    status = valtron_client_create(&config, &client);
    free(pem);
    if (status != VALTRON_OK) return wrong("client", status);
    for (int i = 0; i < options.downloads; i++) {
        if (begin(i) != 0) return -1;
    }
    return 0;
}

int downloads_start(const struct game_options *wanted) {
    options = *wanted;
    mode = options.mode;
    return start_client();
}

int downloads_set_mode(enum game_mode wanted) {
    int other_threads = (wanted == GAME_WORKERS) != (mode == GAME_WORKERS);
    mode = wanted;
    if (!other_threads) return 0;
    valtron_client_free(client);
    client = NULL;
    return start_client();
}

void downloads_poll(uint64_t budget_us) { valtron_client_poll(client, budget_us, NULL); }

int64_t downloads_callbacks_ns(void) { return callbacks_ns; }

/* Takes what is there of a body; a game would keep it. */
static void read_body(valtron_request request) {
    static uint8_t buffer[65536];
    size_t len = 0;
    while (valtron_request_read(client, request, buffer, sizeof buffer, &len) == VALTRON_OK && len > 0) counts.bytes += len;
}

void downloads_collect(void) {
    valtron_event events[EVENTS_MAX];
    size_t count = EVENTS_MAX;
    while (count == EVENTS_MAX && valtron_client_next_events(client, events, sizeof events[0], EVENTS_MAX, &count) == VALTRON_OK) {
        for (size_t i = 0; i < count; i++) {
            const valtron_event *event = &events[i];
            valtron_request_info info = VALTRON_REQUEST_INFO_INIT;
            if (event->flags & (VALTRON_EVENT_BODY | VALTRON_EVENT_DONE)) read_body(event->request);
            if (!(event->flags & VALTRON_EVENT_DONE)) continue;
            if (event->status == VALTRON_OK && event->http_status == 200) {
                counts.done++;
                valtron_request_poll(client, event->request, 0, &info);
                counts.resumed += info.tls_resumed != 0;
            } else {
                valtron_error_detail why = VALTRON_ERROR_DETAIL_INIT;
                if (counts.failed++ == 0 && event->status == VALTRON_OK) {
                    fprintf(stderr, "a download failed: HTTP status %d\n", (int)event->http_status);
                } else if (counts.failed == 1 && valtron_request_error(client, event->request, &why) == VALTRON_OK) {
                    fprintf(stderr, "a download failed: %s\n", why.text);
                }
            }
            valtron_request_free(client, event->request);
            begin((int)(intptr_t)event->user_data);
        }
    }
}

struct game_tile downloads_tile(int index) {
    static const enum tile_state tiles[] = {TILE_EMPTY, TILE_CONNECTING, TILE_HANDSHAKE, TILE_SENT, TILE_SENT, TILE_SENT,
                                            TILE_RECEIVING};
    struct game_tile tile = {TILE_EMPTY, 0};
    valtron_request_info info = VALTRON_REQUEST_INFO_INIT;
    if (valtron_request_poll(client, requests[index], 0, &info) != VALTRON_OK) return tile;
    if (info.state >= 0 && info.state < (int)(sizeof tiles / sizeof tiles[0])) tile.state = tiles[info.state];
    if (info.body_total > 0) tile.part = (float)info.body_received / (float)info.body_total;
    return tile;
}

struct game_counts downloads_counts(void) { return counts; }

int downloads_hitches(struct game_hitches *hitches) {
    static const char *const steps[] = {"none", "start", "resolve", "TLS start", "TLS handshake",
                                        "send", "head",  "body",    "redirect",  "idle"};
    valtron_hitches told = VALTRON_HITCHES_INIT;
    valtron_stats stats = VALTRON_STATS_INIT;
    if (valtron_client_hitches(client, 0, &told) != VALTRON_OK || valtron_client_stats(client, &stats) != VALTRON_OK) return 0;
    hitches->longest_poll_us = (double)told.longest_poll_ns / 1e3;
    hitches->longest_step_us = (double)told.longest_step_ns / 1e3;
    hitches->longest_step = told.longest_step_kind >= 0 && told.longest_step_kind <= VALTRON_STEP_IDLE
                                ? steps[told.longest_step_kind]
                                : "other";
    hitches->late_jobs = stats.hitches;
    return 1;
}

void downloads_stop(void) {
    valtron_client_free(client);
    pthread_mutex_lock(&engine.lock);
    engine.stop = 1;
    pthread_cond_broadcast(&engine.filled);
    pthread_mutex_unlock(&engine.lock);
    while (engine.running > 0) pthread_join(engine.threads[--engine.running], NULL);
}
