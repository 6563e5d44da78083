/* Goal: a question is answered once, by whom and when the host likes, and one that is not answered delays nothing for ever. Method:
 * questions about look-ups, handshakes and redirects, pulled or left for later; answers right, wrong, late and double. */
#include "support.h"

#define SHORT_MS 50
#define LONG_MS 20000
#define ALL (VALTRON_SPAWN_REDIRECT | VALTRON_SPAWN_TLS_UPGRADE | VALTRON_SPAWN_RESOLVE)

static valtron_client *asking(uint32_t kinds, int64_t spawn_timeout_ms, valtron_spawn_callback callback, void *user) {
    valtron_client_config config = client_config();
    config.spawn_ask = kinds;
    config.spawn_callback = callback;
    config.spawn_user = user;
    config.spawn_timeout_ms = spawn_timeout_ms;
    config.job_timeout_ms = SHORT_MS;
    return client_from(&config);
}

static const char *https_hello(void) { return text("%s/hello", site("VALTRON_SITE_HTTPS")); }

/* Waits for the next question of the request; 0: the request ended first. */
static int next_question(valtron_client *client, valtron_request request, valtron_spawn *spawn) {
    for (;;) {
        valtron_request_info info = VALTRON_REQUEST_INFO_INIT;
        size_t count = 0;
        OK(valtron_client_next_spawns(client, spawn, sizeof *spawn, 1, &count));
        if (count == 1) {
            CHECK(spawn->request == request);
            return 1;
        }
        OK(valtron_request_wait(client, request, VALTRON_UNTIL_SPAWN, LONG_MS, &info));
        if (info.terminal) return 0;
    }
}

static void ends_well(valtron_client *client, valtron_request request, int32_t http_status) {
    valtron_request_info info = wait_done(client, request);
    CHECK_STATUS(info.status, VALTRON_OK);
    CHECK_INT(info.http_status, http_status);
    valtron_client_free(client);
}

/* Nobody answers: the library does it, and then it is too late. */
static void unanswered(uint32_t kind) {
    valtron_client *client = asking(kind, SHORT_MS, NULL, NULL);
    valtron_request request = request_new(client, https_hello());
    valtron_spawn spawn;
    int64_t began = now_us();
    CHECK(next_question(client, request, &spawn));
    CHECK_INT(spawn.kind, kind);
    CHECK_STATUS(wait_done(client, request).status, VALTRON_OK);
    CHECK_OP(now_us() - began, >=, SHORT_MS * 1000);
    CHECK_STATUS(valtron_action_decide(client, spawn.spawn_id, VALTRON_DECISION_RUN, NULL), VALTRON_E_NO_SPAWN);
    ends_well(client, request, 200);
}

/* What is no answer leaves the question open; an answer closes it. */
static void wrong_answers(void) {
    valtron_client *client = asking(VALTRON_SPAWN_RESOLVE, LONG_MS, NULL, NULL);
    valtron_request request = request_new(client, https_hello());
    valtron_job *job = NULL;
    valtron_spawn spawn;
    CHECK(next_question(client, request, &spawn));
    CHECK_STATUS(valtron_action_decide(client, spawn.spawn_id, VALTRON_DECISION_TAKE, NULL), VALTRON_E_DECISION);
    CHECK_STATUS(valtron_action_decide(client, spawn.spawn_id, VALTRON_DECISION_LATER, &job), VALTRON_E_DECISION);
    CHECK_STATUS(valtron_action_decide(client, spawn.spawn_id, 77, &job), VALTRON_E_ENUM_RANGE);
    CHECK_STATUS(valtron_action_decide(client, spawn.spawn_id + 1000, VALTRON_DECISION_RUN, &job), VALTRON_E_NO_SPAWN);
    CHECK(job == NULL);
    OK(valtron_action_decide(client, spawn.spawn_id, VALTRON_DECISION_RUN, NULL));
    CHECK_STATUS(valtron_action_decide(client, spawn.spawn_id, VALTRON_DECISION_RUN, NULL), VALTRON_E_NO_SPAWN);
    ends_well(client, request, 200);
}

/* A job that is given back without being run expires as one that is kept. */
static void freed_unrun(uint32_t kind) {
    valtron_client *client = asking(kind, LONG_MS, NULL, NULL);
    valtron_request request = request_new(client, https_hello());
    valtron_stats stats = VALTRON_STATS_INIT;
    valtron_spawn spawn;
    int taken = 0;
    while (next_question(client, request, &spawn)) {
        valtron_job *job = NULL;
        OK(valtron_action_decide(client, spawn.spawn_id, VALTRON_DECISION_TAKE, &job));
        CHECK(job != NULL);
        valtron_job_free(job);
        taken++;
    }
    CHECK_OP(taken, >=, 1);
    OK(valtron_client_stats(client, &stats));
    CHECK_INT(stats.jobs_taken, taken);
    CHECK_INT(stats.jobs_expired, taken);
    ends_well(client, request, 200);
}

static void pulled_denial(uint32_t kind) {
    valtron_client *client = asking(kind, LONG_MS, NULL, NULL);
    valtron_request request = request_new(client, https_hello());
    valtron_spawn spawn;
    CHECK(next_question(client, request, &spawn));
    OK(valtron_action_decide(client, spawn.spawn_id, VALTRON_DECISION_DENY, NULL));
    CHECK_STATUS(wait_done(client, request).status, VALTRON_E_DENIED);
    valtron_client_free(client);
}

/* All questions on the way through a chain that ends at https; each kind answered RUN or TAKE. */
static void chain(valtron_decision answer) {
    const char *http = site("VALTRON_SITE_HTTP"), *https = site("VALTRON_SITE_HTTPS");
    const char *targets[] = {text("%s/chain/2", http), text("%s/chain/3", http), text("%s/hello", https)};
    const int32_t statuses[] = {302, 301, 307};
    valtron_client *client = asking(ALL, LONG_MS, NULL, NULL);
    valtron_request request = request_new(client, text("%s/chain", http));
    valtron_spawn spawn;
    int redirects = 0, lookups = 0, steps = 0;
    while (next_question(client, request, &spawn)) {
        valtron_job *job = NULL;
        if (spawn.kind == VALTRON_SPAWN_REDIRECT) {
            CHECK(redirects < 3);
            CHECK_INT(spawn.http_status, statuses[redirects]);
            CHECK_BYTES(spawn.text, spawn.text_len, targets[redirects]);
            redirects++;
        } else {
            CHECK_INT(spawn.http_status, 0);
            CHECK_BYTES(spawn.text, spawn.text_len, "localhost");
            CHECK_INT(spawn.port, atoi(strrchr(https, ':') + 1));
            if (spawn.kind == VALTRON_SPAWN_RESOLVE) lookups++;
            else CHECK_INT(spawn.step, steps++);
        }
        OK(valtron_action_decide(client, spawn.spawn_id, answer, &job));
        CHECK_INT(job != NULL, answer == VALTRON_DECISION_TAKE);
        if (job != NULL) {
            valtron_status status = valtron_job_run(job);
            CHECK(status == VALTRON_OK || spawn.kind == VALTRON_SPAWN_REDIRECT);
        }
        valtron_job_free(job);
    }
    CHECK_INT(redirects, 3);
    CHECK_INT(lookups, 1);
    CHECK_OP(steps, >=, 1);
    ends_well(client, request, 200);
}

static valtron_decision later(void *user, const valtron_spawn *spawn, valtron_job **job) {
    (void)job;
    *(uint64_t *)user = spawn->spawn_id;
    return VALTRON_DECISION_LATER;
}

static void left_for_later(valtron_decision answer) {
    uint64_t spawn_id = 0;
    valtron_client *client = asking(VALTRON_SPAWN_RESOLVE, LONG_MS, later, &spawn_id);
    valtron_request request = request_new(client, https_hello());
    valtron_job *job = NULL;
    while (spawn_id == 0) OK(valtron_client_wait(client, 10, NULL));
    for (int i = 0; i < 20; i++) OK(valtron_client_wait(client, 1, NULL));
    CHECK_INT(look(client, request).state, VALTRON_STATE_CONNECTING);
    OK(valtron_action_decide(client, spawn_id, answer, &job));
    if (answer == VALTRON_DECISION_DENY) {
        CHECK_STATUS(wait_done(client, request).status, VALTRON_E_DENIED);
        valtron_client_free(client);
        return;
    }
    if (answer == VALTRON_DECISION_TAKE) OK(valtron_job_run(job));
    valtron_job_free(job);
    ends_well(client, request, 200);
}

/* The question is an event, and its request's end takes it back. */
static void ended_meanwhile(void) {
    valtron_client *client = asking(VALTRON_SPAWN_RESOLVE, LONG_MS, NULL, NULL);
    valtron_request request = request_new(client, https_hello());
    valtron_poll_info info = VALTRON_POLL_INFO_INIT;
    valtron_spawn spawns[2];
    valtron_event event;
    size_t count = 0;
    while (info.spawns_ready == 0) OK(valtron_client_wait(client, 1000, &info));
    OK(valtron_client_next_events(client, &event, sizeof event, 1, &count));
    CHECK_INT(count, 1);
    CHECK_INT(event.flags, VALTRON_EVENT_SPAWN);
    OK(valtron_client_next_spawns(client, spawns, sizeof spawns[0], 2, &count));
    CHECK_INT(count, 1);
    OK(valtron_request_cancel(client, request));
    CHECK_STATUS(wait_done(client, request).status, VALTRON_E_CANCELLED);
    CHECK_STATUS(valtron_action_decide(client, spawns[0].spawn_id, VALTRON_DECISION_RUN, NULL), VALTRON_E_NO_SPAWN);
    valtron_request_free(client, request);
    request = request_new(client, https_hello());
    info.spawns_ready = 0;
    while (info.spawns_ready == 0) OK(valtron_client_wait(client, 1000, &info));
    /* Its user data may be gone now: it is not asked about any more, driven or not. */
    valtron_request_free(client, request);
    OK(valtron_client_next_spawns(client, spawns, sizeof spawns[0], 2, &count));
    CHECK_INT(count, 0);
    OK(valtron_client_poll(client, 1000, &info));
    OK(valtron_client_next_spawns(client, spawns, sizeof spawns[0], 2, &count));
    CHECK_INT(count, 0);
    valtron_client_free(client);
}

/* A wait ends for a question, also when its event was taken before. */
static void waited_for(void) {
    valtron_client *client = asking(VALTRON_SPAWN_RESOLVE, LONG_MS, NULL, NULL);
    valtron_poll_info info = VALTRON_POLL_INFO_INIT;
    valtron_event event;
    size_t count = 0;
    request_new(client, https_hello());
    OK(valtron_client_wait(client, LONG_MS, &info));
    CHECK_INT(info.spawns_ready, 1);
    OK(valtron_client_next_events(client, &event, sizeof event, 1, &count));
    CHECK_INT(count, 1);
    int64_t began = now_us();
    OK(valtron_client_wait(client, LONG_MS / 2, &info));
    CHECK_OP(now_us() - began, <, (int64_t)LONG_MS / 2 * 1000);
    CHECK_INT(info.spawns_ready, 1);
    valtron_client_free(client);
}

static void test(void) {
    unanswered(VALTRON_SPAWN_RESOLVE);
    unanswered(VALTRON_SPAWN_TLS_UPGRADE);
    wrong_answers();
    freed_unrun(VALTRON_SPAWN_RESOLVE);
    freed_unrun(VALTRON_SPAWN_TLS_UPGRADE);
    pulled_denial(VALTRON_SPAWN_RESOLVE);
    pulled_denial(VALTRON_SPAWN_TLS_UPGRADE);
    chain(VALTRON_DECISION_RUN);
    chain(VALTRON_DECISION_TAKE);
    left_for_later(VALTRON_DECISION_RUN);
    left_for_later(VALTRON_DECISION_DENY);
    left_for_later(VALTRON_DECISION_TAKE);
    ended_meanwhile();
    waited_for();
}

int main(void) { return run_test(test); }
