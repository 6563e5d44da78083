/* Goal: whatever a caller gets wrong, the answer is a code, a message that names the argument, untouched outputs, no crash.
 * Method: tables. Meant to run under a sanitizer and under valgrind, too. Needs no server. */
#include "support.h"

#define PATTERN 0xA5
static unsigned char out[1024];

static void stain(void) { memset(out, PATTERN, sizeof out); }

static void check_stained(const char *file, int line, size_t from) {
    for (size_t i = from; i < sizeof out; i++)
        if (out[i] != PATTERN) check_failed(file, line, "byte %zu of the output was written", i);
}

/* The call fails so, and writes nothing to `out`. */
#define REFUSED(call, want)                                                      \
    do {                                                                         \
        stain();                                                                 \
        CHECK_STATUS(call, want);                                                \
        check_stained(__FILE__, __LINE__, 0);                                    \
        CHECK(strlen(valtron_status_message(want)) > 0);                         \
    } while (0)

static void nulls(valtron_client *c, valtron_request r) {
    valtron_request_config config = request_config("http://127.0.0.1:1/");
    valtron_request_info info = VALTRON_REQUEST_INFO_INIT;
    void *o = out;
    size_t count;
    REFUSED(valtron_client_create(NULL, NULL), VALTRON_E_NULL_OUTPUT);
    REFUSED(valtron_client_poll(NULL, 0, o), VALTRON_E_NULL_CLIENT);
    REFUSED(valtron_client_wait(NULL, 0, o), VALTRON_E_NULL_CLIENT);
    REFUSED(valtron_client_wakeup(NULL), VALTRON_E_NULL_CLIENT);
    REFUSED(valtron_client_wait_handle(NULL, o), VALTRON_E_NULL_CLIENT);
    REFUSED(valtron_client_wait_handle(c, NULL), VALTRON_E_NULL_OUTPUT);
    REFUSED(valtron_client_next_events(NULL, o, sizeof(valtron_event), 1, &count), VALTRON_E_NULL_CLIENT);
    REFUSED(valtron_client_next_events(c, NULL, sizeof(valtron_event), 1, &count), VALTRON_E_NULL_BUFFER);
    REFUSED(valtron_client_next_events(c, o, sizeof(valtron_event), 1, NULL), VALTRON_E_NULL_OUTPUT);
    REFUSED(valtron_client_next_events(c, o, 3, 1, &count), VALTRON_E_STRIDE);
    REFUSED(valtron_client_next_spawns(NULL, o, sizeof(valtron_spawn), 1, &count), VALTRON_E_NULL_CLIENT);
    REFUSED(valtron_client_next_spawns(c, NULL, sizeof(valtron_spawn), 1, &count), VALTRON_E_NULL_BUFFER);
    REFUSED(valtron_client_next_spawns(c, o, sizeof(valtron_spawn), 1, NULL), VALTRON_E_NULL_OUTPUT);
    REFUSED(valtron_client_next_spawns(c, o, 3, 1, &count), VALTRON_E_STRIDE);
    REFUSED(valtron_client_stats(NULL, o), VALTRON_E_NULL_CLIENT);
    REFUSED(valtron_client_stats(c, NULL), VALTRON_E_NULL_OUTPUT);
    REFUSED(valtron_client_shutdown(NULL, 0), VALTRON_E_NULL_CLIENT);
    REFUSED(valtron_request_create(NULL, &config, o), VALTRON_E_NULL_CLIENT);
    REFUSED(valtron_request_create(c, NULL, o), VALTRON_E_NULL_CONFIG);
    REFUSED(valtron_request_create(c, &config, NULL), VALTRON_E_NULL_OUTPUT);
    REFUSED(valtron_client_perform(NULL, &config, 0, 0, o, &info), VALTRON_E_NULL_CLIENT);
    REFUSED(valtron_client_perform(c, NULL, 0, 0, o, &info), VALTRON_E_NULL_CONFIG);
    REFUSED(valtron_client_perform(c, &config, 0, 0, NULL, &info), VALTRON_E_NULL_OUTPUT);
    REFUSED(valtron_request_poll(NULL, r, 0, o), VALTRON_E_NULL_CLIENT);
    REFUSED(valtron_request_poll(c, r, 0, NULL), VALTRON_E_NULL_OUTPUT);
    REFUSED(valtron_request_wait(NULL, r, 0, 0, o), VALTRON_E_NULL_CLIENT);
    REFUSED(valtron_request_wait(c, r, 0, 0, NULL), VALTRON_E_NULL_OUTPUT);
    REFUSED(valtron_request_head(NULL, r, 0, o), VALTRON_E_NULL_CLIENT);
    REFUSED(valtron_request_head(c, r, 0, NULL), VALTRON_E_NULL_OUTPUT);
    REFUSED(valtron_request_read(NULL, r, out, 8, &count), VALTRON_E_NULL_CLIENT);
    REFUSED(valtron_request_read(c, r, NULL, 8, &count), VALTRON_E_NULL_BUFFER);
    REFUSED(valtron_request_read(c, r, out, 8, NULL), VALTRON_E_NULL_OUTPUT);
    REFUSED(valtron_request_peek(NULL, r, o, &count), VALTRON_E_NULL_CLIENT);
    REFUSED(valtron_request_peek(c, r, NULL, &count), VALTRON_E_NULL_OUTPUT);
    REFUSED(valtron_request_peek(c, r, o, NULL), VALTRON_E_NULL_OUTPUT);
    REFUSED(valtron_request_consume(NULL, r, 0), VALTRON_E_NULL_CLIENT);
    REFUSED(valtron_request_error(NULL, r, o), VALTRON_E_NULL_CLIENT);
    REFUSED(valtron_request_error(c, r, NULL), VALTRON_E_NULL_OUTPUT);
    REFUSED(valtron_request_trace(NULL, r, o, sizeof(valtron_trace_entry), 1, &count), VALTRON_E_NULL_CLIENT);
    REFUSED(valtron_request_trace(c, r, NULL, sizeof(valtron_trace_entry), 1, &count), VALTRON_E_NULL_BUFFER);
    REFUSED(valtron_request_trace(c, r, o, sizeof(valtron_trace_entry), 1, NULL), VALTRON_E_NULL_OUTPUT);
    REFUSED(valtron_request_trace(c, r, o, 3, 1, &count), VALTRON_E_STRIDE);
    REFUSED(valtron_request_url(NULL, r, o, &count), VALTRON_E_NULL_CLIENT);
    REFUSED(valtron_request_url(c, r, NULL, &count), VALTRON_E_NULL_OUTPUT);
    REFUSED(valtron_request_url(c, r, o, NULL), VALTRON_E_NULL_OUTPUT);
    REFUSED(valtron_request_cancel(NULL, r), VALTRON_E_NULL_CLIENT);
    REFUSED(valtron_action_decide(NULL, 1, VALTRON_DECISION_RUN, o), VALTRON_E_NULL_CLIENT);
    REFUSED(valtron_action_decide(c, 12345, VALTRON_DECISION_RUN, o), VALTRON_E_NO_SPAWN);
    REFUSED(valtron_action_decide(c, 1, 77, o), VALTRON_E_ENUM_RANGE);
    REFUSED(valtron_action_decide(c, 1, VALTRON_DECISION_TAKE, NULL), VALTRON_E_DECISION);
    REFUSED(valtron_job_run(NULL), VALTRON_E_NULL_JOB);
    CHECK_STATUS(valtron_set_allocator(NULL), VALTRON_E_NULL_CONFIG);
    valtron_job_free(NULL);
    valtron_client_free(NULL);
    valtron_request_free(NULL, r);
    valtron_request_free(c, 0);
}

static void handles(valtron_client *c, valtron_request h, valtron_status want) {
    void *o = out;
    size_t count;
    valtron_request_info info = VALTRON_REQUEST_INFO_INIT;
    valtron_head head = VALTRON_HEAD_INIT;
    valtron_error_detail detail = VALTRON_ERROR_DETAIL_INIT;
    CHECK_STATUS(valtron_request_poll(c, h, 0, &info), want);
    CHECK_STATUS(valtron_request_wait(c, h, 0, 0, &info), want);
    CHECK_STATUS(valtron_request_head(c, h, 0, &head), want);
    REFUSED(valtron_request_read(c, h, out, 8, &count), want);
    REFUSED(valtron_request_peek(c, h, o, &count), want);
    REFUSED(valtron_request_consume(c, h, 0), want);
    CHECK_STATUS(valtron_request_error(c, h, &detail), want);
    REFUSED(valtron_request_trace(c, h, o, sizeof(valtron_trace_entry), 1, &count), want);
    REFUSED(valtron_request_url(c, h, o, &count), want);
    REFUSED(valtron_request_cancel(c, h), want);
    valtron_request_free(c, h);
}

/* Sizes no first version had are refused; a smaller one that is known bounds what is written. */
static void sizes(valtron_client *c, valtron_request r) {
    static const size_t bad[] = {0, 1, sizeof(size_t), (size_t)-1, (size_t)1 << 40};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        valtron_poll_info poll_info = VALTRON_POLL_INFO_INIT;
        valtron_request_info info = VALTRON_REQUEST_INFO_INIT;
        valtron_head head = VALTRON_HEAD_INIT;
        valtron_stats stats = VALTRON_STATS_INIT;
        valtron_error_detail detail = VALTRON_ERROR_DETAIL_INIT;
        valtron_client_config config = client_config();
        valtron_request_config request = request_config("http://127.0.0.1:1/");
        void *o = out;
        poll_info.struct_size = info.struct_size = head.struct_size = stats.struct_size = detail.struct_size = bad[i];
        config.struct_size = request.struct_size = bad[i];
        CHECK_STATUS(valtron_client_poll(c, 0, &poll_info), VALTRON_E_STRUCT_SIZE);
        CHECK_STATUS(valtron_client_wait(c, 0, &poll_info), VALTRON_E_STRUCT_SIZE);
        CHECK_STATUS(valtron_request_poll(c, r, 0, &info), VALTRON_E_STRUCT_SIZE);
        CHECK_STATUS(valtron_request_wait(c, r, 0, 0, &info), VALTRON_E_STRUCT_SIZE);
        CHECK_STATUS(valtron_request_head(c, r, 0, &head), VALTRON_E_STRUCT_SIZE);
        CHECK_STATUS(valtron_client_stats(c, &stats), VALTRON_E_STRUCT_SIZE);
        CHECK_STATUS(valtron_request_error(c, r, &detail), VALTRON_E_STRUCT_SIZE);
        REFUSED(valtron_client_create(&config, o), VALTRON_E_STRUCT_SIZE);
        REFUSED(valtron_request_create(c, &request, o), VALTRON_E_STRUCT_SIZE);
    }
    /* A newer program: larger than the library's. The bytes beyond are not touched. */
    size_t larger = sizeof(valtron_request_info) + 64;
    stain();
    memcpy(out, &larger, sizeof larger);
    OK(valtron_request_poll(c, r, 0, (valtron_request_info *)(void *)out));
    check_stained(__FILE__, __LINE__, sizeof(valtron_request_info));
}

static void urls(valtron_client *c) {
    static char long_url[70000];
    static const struct {
        const char *url;
        valtron_status want;
    } table[] = {
        {"", VALTRON_E_URL_EMPTY},
        {"http://\xff\xfe/", VALTRON_E_URL_NOT_UTF8},
        {"/hello", VALTRON_E_URL_RELATIVE},
        {"//host/hello", VALTRON_E_URL_RELATIVE},
        {"hello", VALTRON_E_URL_RELATIVE},
        {"ftp://host/", VALTRON_E_URL_SCHEME},
        {"file:///etc/passwd", VALTRON_E_URL_SCHEME},
        {"http://", VALTRON_E_URL_HOST},
        {"http://ho st/", VALTRON_E_URL_SYNTAX},
        {"http://host:99999/", VALTRON_E_URL_PORT},
        {"http://host:port/", VALTRON_E_URL_PORT},
        {"http://[::1/", VALTRON_E_URL_HOST},
        {long_url, VALTRON_E_URL_TOO_LONG},
    };
    memset(long_url, 'a', sizeof long_url - 1);
    memcpy(long_url, "http://host/", 12);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        valtron_request_config config = request_config(table[i].url);
        valtron_error_detail detail = VALTRON_ERROR_DETAIL_INIT;
        config.error = &detail;
        fprintf(stderr, "url %.40s\n", table[i].url);
        REFUSED(valtron_request_create(c, &config, (void *)out), table[i].want);
        CHECK_STATUS(detail.status, table[i].want);
        CHECK_INT(detail.argument, VALTRON_ARGUMENT_URL);
        CHECK(detail.text_len == strlen(detail.text) && strcasestr(detail.text, "url") != NULL);
    }
}

static void requests(valtron_client *c) {
    static const struct {
        const char *method;
        size_t len;
        valtron_status want;
    } methods[] = {{"", 0, VALTRON_E_METHOD},      {"GE T", 4, VALTRON_E_METHOD},    {"GET\r\n", 5, VALTRON_E_METHOD},
                   {"G\0T", 3, VALTRON_E_METHOD},  {"\xc3\xa9", 2, VALTRON_E_METHOD}, {"GET/", 4, VALTRON_E_METHOD},
                   {"CONNECT", 7, VALTRON_E_METHOD_UNSUPPORTED}};
    static const struct {
        valtron_header header;
        valtron_status want;
    } headers[] = {
        {{"", 0, "a", 1}, VALTRON_E_HEADER_NAME},           {{"a b", 3, "a", 1}, VALTRON_E_HEADER_NAME},
        {{"a\r\nb", 4, "a", 1}, VALTRON_E_HEADER_NAME},     {{"a\0b", 3, "a", 1}, VALTRON_E_HEADER_NAME},
        {{"a:", 2, "a", 1}, VALTRON_E_HEADER_NAME},         {{"a", 1, "b\rc", 3}, VALTRON_E_HEADER_VALUE},
        {{"a", 1, "b\nc", 3}, VALTRON_E_HEADER_VALUE},      {{"a", 1, "b\0c", 3}, VALTRON_E_HEADER_VALUE},
        {{"a", 1, "b\r\nc: d", 7}, VALTRON_E_HEADER_VALUE}, {{"Content-Length", 14, "5", 1}, VALTRON_E_HEADER_FORBIDDEN},
        {{"Transfer-Encoding", 17, "chunked", 7}, VALTRON_E_HEADER_FORBIDDEN},
    };
    valtron_error_detail detail = VALTRON_ERROR_DETAIL_INIT;
    valtron_request_config config;
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        config = request_config("http://127.0.0.1:1/");
        config.method = methods[i].method;
        config.method_len = methods[i].len;
        config.error = &detail;
        fprintf(stderr, "method %zu\n", i);
        REFUSED(valtron_request_create(c, &config, (void *)out), methods[i].want);
        CHECK_INT(detail.argument, VALTRON_ARGUMENT_METHOD);
    }
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        valtron_header pair[2] = {{"good", 4, "", 0}, headers[i].header};
        config = request_config("http://127.0.0.1:1/");
        config.headers = pair;
        config.headers_count = 2;
        config.error = &detail;
        fprintf(stderr, "header %zu\n", i);
        REFUSED(valtron_request_create(c, &config, (void *)out), headers[i].want);
        CHECK_INT(detail.argument, VALTRON_ARGUMENT_HEADERS);
        CHECK_INT(detail.argument_index, 1);
    }
#define WITH(field, value, want)                                                  \
    do {                                                                          \
        config = request_config("http://127.0.0.1:1/");                           \
        config.field = value;                                                     \
        fprintf(stderr, "%s\n", #field);                                          \
        REFUSED(valtron_request_create(c, &config, (void *)out), want);           \
    } while (0)
    WITH(queue_timeout_ms, -2, VALTRON_E_LIMIT_RANGE);
    WITH(resolve_timeout_ms, -2, VALTRON_E_LIMIT_RANGE);
    WITH(connect_timeout_ms, INT64_MIN, VALTRON_E_LIMIT_RANGE);
    WITH(tls_timeout_ms, -2, VALTRON_E_LIMIT_RANGE);
    WITH(send_timeout_ms, -2, VALTRON_E_LIMIT_RANGE);
    WITH(first_byte_timeout_ms, -2, VALTRON_E_LIMIT_RANGE);
    WITH(idle_timeout_ms, -2, VALTRON_E_LIMIT_RANGE);
    WITH(total_timeout_ms, -2, VALTRON_E_LIMIT_RANGE);
    WITH(redirects_max, -2, VALTRON_E_LIMIT_RANGE);
    WITH(head_bytes_max, -2, VALTRON_E_LIMIT_RANGE);
    WITH(headers_max, -2, VALTRON_E_LIMIT_RANGE);
    WITH(interim_max, -2, VALTRON_E_LIMIT_RANGE);
    WITH(body_buffer_bytes, -2, VALTRON_E_LIMIT_RANGE);
    WITH(idempotent, 2, VALTRON_E_ENUM_RANGE);
    WITH(upgrade, "websocket", VALTRON_E_UNSUPPORTED);
    WITH(headers_count, 1, VALTRON_E_NULL_BUFFER);
    WITH(body_len, 1, VALTRON_E_NULL_BUFFER);
#undef WITH
}

static void clients(void) {
    valtron_client_config config;
#define WITH(field, value, want)                                                  \
    do {                                                                          \
        config = client_config();                                                 \
        config.field = value;                                                     \
        fprintf(stderr, "%s\n", #field);                                          \
        REFUSED(valtron_client_create(&config, (void *)out), want);               \
    } while (0)
    WITH(trust, 3, VALTRON_E_ENUM_RANGE);
    WITH(trust, -1, VALTRON_E_ENUM_RANGE);
    WITH(spawn_ask, 8, VALTRON_E_ENUM_RANGE);
    WITH(spawn_timeout_ms, -2, VALTRON_E_LIMIT_RANGE);
    WITH(job_timeout_ms, -2, VALTRON_E_LIMIT_RANGE);
    WITH(resolver_threads, -2, VALTRON_E_LIMIT_RANGE);
    WITH(requests_max, -2, VALTRON_E_LIMIT_RANGE);
    WITH(connections_max, -2, VALTRON_E_LIMIT_RANGE);
    WITH(connections_per_origin_max, -2, VALTRON_E_LIMIT_RANGE);
    WITH(idle_connections_max, -2, VALTRON_E_LIMIT_RANGE);
    WITH(idle_timeout_ms, -2, VALTRON_E_LIMIT_RANGE);
#undef WITH
    config = client_config();
    config.ca_pem = "no certificate";
    config.ca_pem_len = 14;
    REFUSED(valtron_client_create(&config, (void *)out), VALTRON_E_CA_PEM);
    config = client_config();
    config.user_agent = "a\r\nb";
    config.user_agent_len = 4;
    REFUSED(valtron_client_create(&config, (void *)out), VALTRON_E_HEADER_VALUE);
}

static void test(void) {
    valtron_client *client = client_new(), *other = client_new();
    valtron_request live = request_new(client, "http://127.0.0.1:1/"), stale = request_new(client, "http://127.0.0.1:1/");
    valtron_request foreign = request_new(other, "http://127.0.0.1:1/");
    valtron_request_info info = VALTRON_REQUEST_INFO_INIT;
    valtron_head head = VALTRON_HEAD_INIT;
    valtron_request_free(client, stale);
    nulls(client, live);
    handles(client, 0, VALTRON_E_HANDLE);
    handles(client, stale, VALTRON_E_HANDLE_STALE);
    handles(client, foreign, VALTRON_E_HANDLE_FOREIGN);
    OK(valtron_request_poll(other, foreign, 0, &info));
    sizes(client, live);
    CHECK_STATUS(valtron_request_wait(client, live, 0x80, 0, &info), VALTRON_E_ENUM_RANGE);
    CHECK_STATUS(valtron_request_wait(client, live, 0, -2, &info), VALTRON_E_LIMIT_RANGE);
    CHECK_STATUS(valtron_client_wait(client, -2, NULL), VALTRON_E_LIMIT_RANGE);
    CHECK_STATUS(valtron_client_shutdown(client, -2), VALTRON_E_LIMIT_RANGE);
    CHECK_STATUS(valtron_request_head(client, live, -1, &head), VALTRON_E_ENUM_RANGE);
    CHECK_STATUS(valtron_request_head(client, live, 2, &head), VALTRON_E_ENUM_RANGE);
    urls(client);
    requests(client);
    clients();
    CHECK(strcmp(valtron_status_name(12345), "VALTRON_E_UNKNOWN") == 0);
    CHECK(strcmp(valtron_state_name(12345), "UNKNOWN") == 0);
    valtron_client_free(client);
    valtron_client_free(other);
}

int main(void) { return run_test(test); }
