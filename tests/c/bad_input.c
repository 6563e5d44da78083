/* Goal: bad input gets a code and a message that names the argument, and never a crash. Method: tables: NULL in every
 * pointer, handles that are zero, stale, foreign or invented, wrong struct sizes, values out of range, URLs, methods and
 * headers that are none; outputs keep their pattern. Needs no server. */
#include "support.h"

static valtron_client *client;

#define IS(call, want) \
    do { \
        valtron_status is_ = (call), want_ = (want); \
        if (is_ != want_) \
            check_failed(__FILE__, __LINE__, "%s is %s, not %s", #call, valtron_status_name(is_), valtron_status_name(want_)); \
    } while (0)

static void nulls(void) {
    valtron_poll_info info = VALTRON_POLL_INFO_INIT;
    valtron_stats stats = VALTRON_STATS_INIT;
    valtron_request_config config = VALTRON_REQUEST_CONFIG_INIT;
    valtron_event events[1];
    valtron_spawn spawns[1];
    valtron_request request = 77;
    intptr_t handle = 0;
    size_t count = 77;
    config.url = "http://127.0.0.1:1/";
    config.url_len = strlen(config.url);
    IS(valtron_client_create(NULL, NULL), VALTRON_E_NULL_OUTPUT);
    IS(valtron_client_poll(NULL, 0, &info), VALTRON_E_NULL_CLIENT);
    IS(valtron_client_wait(NULL, 0, &info), VALTRON_E_NULL_CLIENT);
    IS(valtron_client_wakeup(NULL), VALTRON_E_NULL_CLIENT);
    IS(valtron_client_wait_handle(NULL, &handle), VALTRON_E_NULL_CLIENT);
    IS(valtron_client_wait_handle(client, NULL), VALTRON_E_NULL_OUTPUT);
    IS(valtron_client_next_events(NULL, events, sizeof events[0], 1, &count), VALTRON_E_NULL_CLIENT);
    IS(valtron_client_next_events(client, events, sizeof events[0], 1, NULL), VALTRON_E_NULL_OUTPUT);
    CHECK(valtron_client_next_events(client, NULL, sizeof events[0], 1, &count) != VALTRON_OK);
    CHECK(valtron_client_next_events(client, events, 1, 1, &count) != VALTRON_OK);
    CHECK(valtron_client_next_spawns(client, NULL, sizeof spawns[0], 1, &count) != VALTRON_OK);
    IS(valtron_client_stats(NULL, &stats), VALTRON_E_NULL_CLIENT);
    IS(valtron_client_stats(client, NULL), VALTRON_E_NULL_OUTPUT);
    IS(valtron_client_shutdown(NULL, 0), VALTRON_E_NULL_CLIENT);
    IS(valtron_request_create(NULL, &config, &request), VALTRON_E_NULL_CLIENT);
    IS(valtron_request_create(client, NULL, &request), VALTRON_E_NULL_CONFIG);
    IS(valtron_request_create(client, &config, NULL), VALTRON_E_NULL_OUTPUT);
    IS(valtron_job_run(NULL), VALTRON_E_NULL_JOB);
    CHECK(valtron_action_decide(NULL, 1, VALTRON_DECISION_RUN, NULL) == VALTRON_E_NULL_CLIENT);
    CHECK(valtron_action_decide(client, 1, VALTRON_DECISION_RUN, NULL) == VALTRON_E_NO_SPAWN);
    CHECK(valtron_action_decide(client, 1, 99, NULL) == VALTRON_E_ENUM_RANGE);
    CHECK(request == 77 && count == 77);
    valtron_client_free(NULL);
    valtron_job_free(NULL);
    valtron_request_free(client, 0);
    valtron_request_free(NULL, 0);
}

static void handle_is(valtron_request request, valtron_status want) {
    valtron_request_info info = VALTRON_REQUEST_INFO_INIT;
    valtron_error_detail detail = VALTRON_ERROR_DETAIL_INIT;
    valtron_head head = VALTRON_HEAD_INIT;
    valtron_trace_entry trace[1];
    const uint8_t *bytes = NULL;
    const char *url = NULL;
    uint8_t buffer[8];
    size_t len = 77;
    info.terminal = 77;
    IS(valtron_request_poll(client, request, 0, &info), want);
    IS(valtron_request_wait(client, request, VALTRON_UNTIL_DONE, 0, &info), want);
    IS(valtron_request_head(client, request, VALTRON_HEAD_FINAL, &head), want);
    IS(valtron_request_read(client, request, buffer, sizeof buffer, &len), want);
    IS(valtron_request_peek(client, request, &bytes, &len), want);
    IS(valtron_request_consume(client, request, 1), want);
    IS(valtron_request_error(client, request, &detail), want);
    IS(valtron_request_trace(client, request, trace, sizeof trace[0], 1, &len), want);
    IS(valtron_request_url(client, request, &url, &len), want);
    IS(valtron_request_cancel(client, request), want);
    valtron_request_free(client, request);
    CHECK(len == 77 && info.terminal == 77 && bytes == NULL && url == NULL);
}

static valtron_request make(valtron_client *of) {
    valtron_request_config config = VALTRON_REQUEST_CONFIG_INIT;
    valtron_request request = 0;
    config.url = "http://127.0.0.1:1/";
    config.url_len = strlen(config.url);
    IS(valtron_request_create(of, &config, &request), VALTRON_OK);
    return request;
}

static void handles(void) {
    valtron_client *other = NULL;
    valtron_request mine = make(client), foreign;
    IS(valtron_client_create(NULL, &other), VALTRON_OK);
    foreign = make(other);
    handle_is(0, VALTRON_E_HANDLE);
    handle_is(foreign, VALTRON_E_HANDLE_FOREIGN);
    handle_is(mine + 1, VALTRON_E_HANDLE);
    valtron_request_free(client, mine);
    handle_is(mine, VALTRON_E_HANDLE_STALE);
    mine = make(client);
    IS(valtron_request_read(client, mine, NULL, 1, &(size_t){0}), VALTRON_E_NULL_BUFFER);
    IS(valtron_request_consume(client, mine, 1), VALTRON_E_NOT_CONSUMED);
    IS(valtron_request_head(client, mine, VALTRON_HEAD_FINAL, &(valtron_head)VALTRON_HEAD_INIT), VALTRON_E_NO_HEAD);
    IS(valtron_request_head(client, mine, 99, &(valtron_head)VALTRON_HEAD_INIT), VALTRON_E_ENUM_RANGE);
    valtron_request_free(client, mine);
    valtron_client_free(other);
}

static void refused(valtron_request_config config, valtron_status want, int32_t argument, const char *named) {
    valtron_error_detail detail = VALTRON_ERROR_DETAIL_INIT;
    valtron_request request = 77;
    config.error = &detail;
    IS(valtron_request_create(client, &config, &request), want);
    CHECK(request == 77);
    CHECK(detail.status == want);
    CHECK(detail.argument == argument);
    if (strstr(detail.text, named) == NULL) check_failed(__FILE__, __LINE__, "\"%s\" does not name %s", detail.text, named);
    CHECK(strlen(valtron_status_message(want)) > 0);
}

/* A client that is refused: like a request, it says why to whom asks. */
static void client_refused(valtron_client_config config, valtron_status want, int32_t argument, const char *begins) {
    valtron_error_detail detail = VALTRON_ERROR_DETAIL_INIT;
    valtron_client *none = NULL;
    IS(valtron_client_create(&config, &none), want);
    config.error = &detail;
    IS(valtron_client_create(&config, &none), want);
    CHECK(none == NULL);
    CHECK(detail.status == want);
    if (detail.argument != argument)
        check_failed(__FILE__, __LINE__, "\"%s\" is of argument %d", detail.text, (int)detail.argument);
    if (strncmp(detail.text, begins, strlen(begins)) != 0)
        check_failed(__FILE__, __LINE__, "\"%s\" does not begin with \"%s\"", detail.text, begins);
}

static void clients(void) {
    valtron_error_detail detail = VALTRON_ERROR_DETAIL_INIT;
    valtron_client_config config = VALTRON_CLIENT_CONFIG_INIT;
    valtron_client *fine = NULL;
#define REFUSED(field, value, want, argument, why) \
    do { \
        valtron_client_config bad = VALTRON_CLIENT_CONFIG_INIT; \
        bad.field = value; \
        client_refused(bad, want, argument, #field ": " why); \
    } while (0)
    REFUSED(worker_threads, 5000, VALTRON_E_LIMIT_RANGE, VALTRON_ARGUMENT_LIMIT, "5000 is not within -1 to 1024");
    REFUSED(spawn_ask, 0x80, VALTRON_E_ENUM_RANGE, VALTRON_ARGUMENT_ENUM, "0x80 has unknown bits");
    REFUSED(spawn_timeout_ms, -2, VALTRON_E_LIMIT_RANGE, VALTRON_ARGUMENT_TIMEOUT, "-2 is not within -1 to ");
    REFUSED(job_timeout_ms, INT64_MAX, VALTRON_E_LIMIT_RANGE, VALTRON_ARGUMENT_TIMEOUT, "9223372036854775807 is not");
    REFUSED(trust, 9, VALTRON_E_ENUM_RANGE, VALTRON_ARGUMENT_ENUM, "9 is none of the VALTRON_TRUST_ values");
    REFUSED(tls_verify_off, 2, VALTRON_E_ENUM_RANGE, VALTRON_ARGUMENT_ENUM, "2 is neither 0 nor 1");
    REFUSED(resolver_threads, -2, VALTRON_E_LIMIT_RANGE, VALTRON_ARGUMENT_LIMIT, "-2 is not within -1 to ");
    REFUSED(requests_max, -2, VALTRON_E_LIMIT_RANGE, VALTRON_ARGUMENT_LIMIT, "-2 is not within -1 to ");
    REFUSED(connections_max, -2, VALTRON_E_LIMIT_RANGE, VALTRON_ARGUMENT_LIMIT, "-2 is not within -1 to ");
    REFUSED(connections_per_origin_max, -2, VALTRON_E_LIMIT_RANGE, VALTRON_ARGUMENT_LIMIT, "-2 is not within");
    REFUSED(idle_connections_max, -2, VALTRON_E_LIMIT_RANGE, VALTRON_ARGUMENT_LIMIT, "-2 is not within -1 to ");
    REFUSED(idle_timeout_ms, -2, VALTRON_E_LIMIT_RANGE, VALTRON_ARGUMENT_TIMEOUT, "-2 is not within -1 to ");
#undef REFUSED
    config.user_agent_len = 1;
    client_refused(config, VALTRON_E_NULL_BUFFER, VALTRON_ARGUMENT_USER_AGENT, "user_agent: the pointer is NULL");
    config.user_agent = "a\r\nb: c";
    config.user_agent_len = 7;
    client_refused(config, VALTRON_E_HEADER_VALUE, VALTRON_ARGUMENT_USER_AGENT, "user_agent: a value holds CR, LF");
    config.user_agent = NULL;
    config.user_agent_len = 0;
    config.ca_pem_len = 14;
    client_refused(config, VALTRON_E_NULL_BUFFER, VALTRON_ARGUMENT_CA_PEM, "ca_pem: the pointer is NULL");
    config.ca_pem = "no certificate";
    client_refused(config, VALTRON_E_CA_PEM, VALTRON_ARGUMENT_CA_PEM, "ca_pem: ");
    config.trust = VALTRON_TRUST_PEM_ONLY;
    config.ca_pem = NULL;
    config.ca_pem_len = 0;
    client_refused(config, VALTRON_E_CA_PEM, VALTRON_ARGUMENT_CA_PEM, "ca_pem: ");
    config.trust = VALTRON_TRUST_BUNDLED;
    config.error = &detail;
    IS(valtron_client_create(&config, NULL), VALTRON_E_NULL_OUTPUT);
    CHECK(detail.status == VALTRON_E_NULL_OUTPUT && detail.argument == VALTRON_ARGUMENT_OUTPUT);
    detail.status = 77;
    IS(valtron_client_create(&config, &fine), VALTRON_OK);
    CHECK(detail.status == 77);
    valtron_client_free(fine);
    /* A struct that ends in the middle of a pointer holds none. */
    config.struct_size = offsetof(valtron_client_config, error) + sizeof config.error / 2;
    config.trust = 9;
    IS(valtron_client_create(&config, &fine), VALTRON_E_ENUM_RANGE);
    CHECK(detail.status == 77);
    /* Nor does that of a program from before there was one, whatever lies behind it. */
    config.struct_size = offsetof(valtron_client_config, error);
    config.error = (valtron_error_detail *)1;
    IS(valtron_client_create(&config, &fine), VALTRON_E_ENUM_RANGE);
    config.error = &detail;
    config.struct_size = sizeof config;
    detail.struct_size = 8;
    IS(valtron_client_create(&config, &fine), VALTRON_E_STRUCT_SIZE);
}

static void urls(void) {
    static const struct { const char *url; valtron_status want; } table[] = {
        {"", VALTRON_E_URL_EMPTY}, {"/path", VALTRON_E_URL_RELATIVE}, {"example.com", VALTRON_E_URL_RELATIVE},
        {"//example.com/", VALTRON_E_URL_RELATIVE}, {"ftp://example.com/", VALTRON_E_URL_SCHEME},
        {"file:///etc/passwd", VALTRON_E_URL_SCHEME}, {"http:example.com", VALTRON_E_URL_SYNTAX},
        {"http://", VALTRON_E_URL_HOST}, {"http:///x", VALTRON_E_URL_HOST}, {"http://[::1/", VALTRON_E_URL_HOST},
        {"http://a:99999/", VALTRON_E_URL_PORT}, {"http://a:0/", VALTRON_E_URL_PORT},
        {"http://a/\r\nX: y", VALTRON_E_URL_SYNTAX}, {"http://a b/", VALTRON_E_URL_SYNTAX},
        {"http://a/%zz", VALTRON_E_URL_SYNTAX}, {"http://\xff/", VALTRON_E_URL_NOT_UTF8},
        {"http://a%3Ab:c@h/", VALTRON_E_URL_CREDENTIALS},
    };
    valtron_request_config config = VALTRON_REQUEST_CONFIG_INIT;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        config.url = table[i].url;
        config.url_len = strlen(table[i].url);
        refused(config, table[i].want, VALTRON_ARGUMENT_URL, "url");
    }
    /* Which byte it was, and where. */
    config.url = "http://a/b c";
    config.url_len = strlen(config.url);
    refused(config, VALTRON_E_URL_SYNTAX, VALTRON_ARGUMENT_URL, "url: the character ' ' at byte 10 ");
    config.url = "http://a/\xff";
    config.url_len = strlen(config.url);
    refused(config, VALTRON_E_URL_NOT_UTF8, VALTRON_ARGUMENT_URL, "url: the byte 0xff at byte 9 is not UTF-8");
    config.url = NULL;
    config.url_len = 3;
    refused(config, VALTRON_E_NULL_BUFFER, VALTRON_ARGUMENT_URL, "url: ");
}

static void heads(void) {
    static const struct { const char *name, *value; size_t value_len; valtron_status want; } table[] = {
        {"", "v", 1, VALTRON_E_HEADER_NAME}, {"a b", "v", 1, VALTRON_E_HEADER_NAME}, {"a:", "v", 1, VALTRON_E_HEADER_NAME},
        {"a\r\n", "v", 1, VALTRON_E_HEADER_NAME}, {"a", "v\r\nb: c", 7, VALTRON_E_HEADER_VALUE},
        {"a", "v\n", 2, VALTRON_E_HEADER_VALUE}, {"a", "v\0w", 3, VALTRON_E_HEADER_VALUE},
        {"a", "v\rw", 3, VALTRON_E_HEADER_VALUE}, {"Transfer-Encoding", "chunked", 7, VALTRON_E_HEADER_FORBIDDEN},
        {"Content-Length", "5", 1, VALTRON_E_HEADER_FORBIDDEN},
    };
    static const char *const methods[] = {"G T", "GET\r\n", "G:", "\x80", "G\tT"};
    valtron_request_config config = VALTRON_REQUEST_CONFIG_INIT;
    config.url = "http://127.0.0.1:1/";
    config.url_len = strlen(config.url);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        valtron_header header = {table[i].name, strlen(table[i].name), table[i].value, table[i].value_len};
        config.headers = &header;
        config.headers_count = 1;
        refused(config, table[i].want, VALTRON_ARGUMENT_HEADERS, "header");
        config.headers_stride = 3;
        IS(valtron_request_create(client, &config, &(valtron_request){0}), VALTRON_E_STRIDE);
        config.headers_stride = 0;
    }
    config.headers = NULL;
    refused(config, VALTRON_E_NULL_BUFFER, VALTRON_ARGUMENT_HEADERS, "headers: ");
    valtron_header holed[2] = {{"a", 1, "b", 1}, {NULL, 1, "b", 1}};
    config.headers = holed;
    config.headers_count = 2;
    refused(config, VALTRON_E_NULL_BUFFER, VALTRON_ARGUMENT_HEADERS, "headers: header 1: ");
    config.headers_stride = 3;
    refused(config, VALTRON_E_STRIDE, VALTRON_ARGUMENT_HEADERS, "headers_stride: ");
    config.headers_stride = 0;
    config.headers = NULL;
    config.headers_count = 0;
    config.body_len = 1;
    refused(config, VALTRON_E_NULL_BUFFER, VALTRON_ARGUMENT_BODY, "body: ");
    config.body_len = 0;
    config.method_len = 1;
    refused(config, VALTRON_E_NULL_BUFFER, VALTRON_ARGUMENT_METHOD, "method: ");
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        config.method = methods[i];
        config.method_len = strlen(methods[i]);
        valtron_status status = valtron_request_create(client, &config, &(valtron_request){0});
        CHECK(status == VALTRON_E_METHOD);
    }
    config.method = "CONNECT";
    config.method_len = 7;
    refused(config, VALTRON_E_METHOD_UNSUPPORTED, VALTRON_ARGUMENT_METHOD, "method");
}

static void ranges(void) {
    valtron_request_config config = VALTRON_REQUEST_CONFIG_INIT;
    valtron_client_config made = VALTRON_CLIENT_CONFIG_INIT;
    valtron_request_info info = VALTRON_REQUEST_INFO_INIT;
    valtron_client *none = NULL;
    valtron_request request = make(client);
    config.url = "http://127.0.0.1:1/";
    config.url_len = strlen(config.url);
    config.total_timeout_ms = -2;
    refused(config, VALTRON_E_LIMIT_RANGE, VALTRON_ARGUMENT_TIMEOUT, "total_timeout_ms");
    config.total_timeout_ms = 0;
    config.head_bytes_max = -2;
    refused(config, VALTRON_E_LIMIT_RANGE, VALTRON_ARGUMENT_LIMIT, "head_bytes_max");
    config.head_bytes_max = 0;
    config.upgrade = "websocket";
    config.upgrade_len = 9;
    refused(config, VALTRON_E_UNSUPPORTED, VALTRON_ARGUMENT_RESERVED, "upgrade");
    config.upgrade = NULL;
    config.upgrade_len = 0;
    config.struct_size = 8;
    IS(valtron_request_create(client, &config, &(valtron_request){0}), VALTRON_E_STRUCT_SIZE);
    config.struct_size = 1u << 30;
    IS(valtron_request_create(client, &config, &(valtron_request){0}), VALTRON_E_STRUCT_SIZE);
    made.trust = 9;
    IS(valtron_client_create(&made, &none), VALTRON_E_ENUM_RANGE);
    made.trust = VALTRON_TRUST_BUNDLED;
    made.ca_pem = "no certificate";
    made.ca_pem_len = 14;
    IS(valtron_client_create(&made, &none), VALTRON_E_CA_PEM);
    made.ca_pem_len = 0;
    made.struct_size = 4;
    IS(valtron_client_create(&made, &none), VALTRON_E_STRUCT_SIZE);
    CHECK(none == NULL);
    info.struct_size = 0;
    IS(valtron_request_poll(client, request, 0, &info), VALTRON_E_STRUCT_SIZE);
    IS(valtron_request_wait(client, request, 1u << 20, 0, &(valtron_request_info)VALTRON_REQUEST_INFO_INIT), VALTRON_E_ENUM_RANGE);
    valtron_request_free(client, request);
}

int main(void) {
    IS(valtron_client_create(NULL, &client), VALTRON_OK);
    nulls();
    handles();
    urls();
    heads();
    ranges();
    clients();
    IS(valtron_client_shutdown(client, 10000), VALTRON_OK);
    valtron_client_free(client);
    return 0;
}
