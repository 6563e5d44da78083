/* Goal: each way through the interface gives the right bytes, and the trace is exactly the documented one. Method: the
 * test site, http and https; a redirect chain from http to https; read and peek; HEAD and POST; perform. */
#include "support.h"

enum { I, C, T, S, N, H, B, A, D };
static const int32_t STATES[] = {
    VALTRON_STATE_INIT, VALTRON_STATE_CONNECTING, VALTRON_STATE_TLS_HANDSHAKE, VALTRON_STATE_SENDING_REQUEST,
    VALTRON_STATE_RECEIVING_INTRO, VALTRON_STATE_RECEIVING_HEADERS, VALTRON_STATE_RECEIVING_BODY,
    VALTRON_STATE_AWAITING_REDIRECT, VALTRON_STATE_DONE};

/* A letter a state: see the enum above. E stands for ERROR. */
static void check_trace(valtron_client *client, valtron_request request, const char *want) {
    static const char letters[] = "ICTSNHBADE";
    valtron_trace_entry trace[64];
    char got[65] = "";
    size_t count = 0;
    uint32_t hop = 0;
    OK(valtron_request_trace(client, request, trace, sizeof trace[0], 64, &count));
    for (size_t i = 0; i < count; i++) {
        got[i] = '?';
        for (int k = I; k <= D; k++)
            if (trace[i].state == STATES[k]) got[i] = letters[k];
        if (trace[i].state == VALTRON_STATE_ERROR) got[i] = 'E';
        if (i > 0) {
            CHECK(trace[i].at_us >= trace[i - 1].at_us);
            CHECK(trace[i].hop == hop || (trace[i].hop == hop + 1 && trace[i - 1].state == VALTRON_STATE_AWAITING_REDIRECT));
        }
        hop = trace[i].hop;
    }
    if (strcmp(got, want) != 0) check_failed(__FILE__, __LINE__, "trace is %s, not %s", got, want);
}

static const char *field(const valtron_head *head, const char *name) {
    for (size_t i = 0; i < head->fields_count; i++) {
        const valtron_field *f = (const valtron_field *)((const char *)head->fields + i * head->field_stride);
        if (f->name_len == strlen(name) && strncasecmp((const char *)head->bytes + f->name_offset, name, f->name_len) == 0)
            return text("%.*s", (int)f->value_len, (const char *)head->bytes + f->value_offset);
    }
    return "(none)";
}

static void check_hello(valtron_client *client, valtron_request request) {
    uint8_t body[256];
    CHECK_BYTES(body, read_all(client, request, body, sizeof body), "hello, world\n");
}

static void by_events(valtron_client *client) {
    int cookie = 7;
    valtron_request_config config = request_config(text("%s/hello", site("VALTRON_SITE_HTTP")));
    valtron_request request;
    uint32_t flags = 0;
    config.user_data = &cookie;
    request = request_from(client, &config);
    while ((flags & VALTRON_EVENT_DONE) == 0) {
        valtron_poll_info info = VALTRON_POLL_INFO_INIT;
        valtron_event events[4];
        size_t count = 0;
        OK(valtron_client_wait(client, -1, &info));
        OK(valtron_client_next_events(client, events, sizeof events[0], 4, &count));
        for (size_t i = 0; i < count; i++) {
            CHECK(events[i].request == request && events[i].user_data == &cookie);
            CHECK((flags & VALTRON_EVENT_DONE) == 0);
            flags |= events[i].flags;
            CHECK_STATUS(events[i].status, VALTRON_OK);
            if (flags & VALTRON_EVENT_HEAD) CHECK_INT(events[i].http_status, 200);
        }
    }
    CHECK(flags & VALTRON_EVENT_HEAD);
    CHECK(flags & VALTRON_EVENT_BODY);
    valtron_request_info info = look(client, request);
    CHECK_INT(info.state, VALTRON_STATE_DONE);
    CHECK_INT(info.http_status, 200);
    CHECK_INT(info.body_received, 13);
    CHECK_INT(info.body_total, 13);
    CHECK_INT(info.hops, 0);
    CHECK_INT(info.http_minor, 1);
    CHECK(info.user_data == &cookie);
    CHECK(info.time_done_us >= info.time_head_us && info.time_head_us >= info.time_first_byte_us);
    CHECK(info.time_connected_us >= 0);
    CHECK_INT(info.time_tls_us, -1);
    check_trace(client, request, "ICSNHBD");

    valtron_head head = VALTRON_HEAD_INIT;
    OK(valtron_request_head(client, request, VALTRON_HEAD_FINAL, &head));
    CHECK_INT(head.http_status, 200);
    CHECK_BYTES(head.bytes + head.reason_offset, head.reason_len, "OK");
    CHECK(strcmp(field(&head, "Content-Length"), "13") == 0);
    CHECK(strcmp(field(&head, "content-type"), "text/plain") == 0);
    CHECK_BYTES(head.url, head.url_len, text("%s/hello", site("VALTRON_SITE_HTTP")));
    CHECK_STATUS(valtron_request_head(client, request, VALTRON_HEAD_HOP(0), &head), VALTRON_E_NO_HEAD);
    CHECK_STATUS(valtron_request_head(client, request, VALTRON_HEAD_TRAILERS, &head), VALTRON_E_NO_HEAD);
    check_hello(client, request);
    valtron_request_free(client, request);
}

static void by_perform(valtron_client *client, const char *url, const char *want_trace, uint32_t hops) {
    valtron_request_config config = request_config(url);
    valtron_request_info info = VALTRON_REQUEST_INFO_INIT;
    valtron_request request = 0;
    size_t count = 9;
    valtron_event event;
    OK(valtron_client_perform(client, &config, VALTRON_UNTIL_DONE, -1, &request, &info));
    CHECK_STATUS(info.status, VALTRON_OK);
    CHECK(info.terminal);
    CHECK_INT(info.hops, hops);
    CHECK_INT(info.http_status, 200);
    check_trace(client, request, want_trace);
    OK(valtron_client_next_events(client, &event, sizeof event, 1, &count));
    CHECK_INT(count, 0);
    check_hello(client, request);
    valtron_request_free(client, request);
}

static void the_chain(valtron_client *client) {
    const char *url = text("%s/chain", site("VALTRON_SITE_HTTP")), *final_url = NULL;
    valtron_request request = request_new(client, url);
    valtron_request_info info = wait_done(client, request);
    valtron_head head = VALTRON_HEAD_INIT;
    size_t len = 0;
    CHECK_STATUS(info.status, VALTRON_OK);
    CHECK_INT(info.hops, 3);
    CHECK((info.flags & (VALTRON_EVENT_HOP | VALTRON_EVENT_DONE)) == (VALTRON_EVENT_HOP | VALTRON_EVENT_DONE));
    check_trace(client, request, "ICSNHAICSNHAICSNHAICTSNHBD");
    OK(valtron_request_url(client, request, &final_url, &len));
    CHECK_BYTES(final_url, len, text("%s/hello", site("VALTRON_SITE_HTTPS")));
    OK(valtron_request_head(client, request, VALTRON_HEAD_HOP(0), &head));
    CHECK_INT(head.http_status, 302);
    CHECK_BYTES(head.url, head.url_len, url);
    CHECK(strcmp(field(&head, "location"), "/chain/2") == 0);
    OK(valtron_request_head(client, request, VALTRON_HEAD_HOP(2), &head));
    CHECK_INT(head.http_status, 307);
    OK(valtron_request_head(client, request, VALTRON_HEAD_FINAL, &head));
    CHECK_INT(head.http_status, 200);
    check_hello(client, request);
    valtron_request_free(client, request);
}

static void a_large_body(valtron_client *client, const char *url, size_t size, int in_place) {
    valtron_request request = request_new(client, url);
    uint8_t buffer[5000];
    uint64_t at = 0;
    for (;;) {
        const uint8_t *bytes = buffer;
        valtron_request_info info = VALTRON_REQUEST_INFO_INIT;
        size_t len = 0;
        valtron_status status = in_place ? valtron_request_peek(client, request, &bytes, &len)
                                         : valtron_request_read(client, request, buffer, sizeof buffer, &len);
        if (status == VALTRON_E_WOULD_BLOCK) {
            OK(valtron_request_wait(client, request, VALTRON_UNTIL_BODY, -1, &info));
            continue;
        }
        CHECK_STATUS(status, VALTRON_OK);
        if (len == 0) break;
        for (size_t i = 0; i < len; i++)
            if (bytes[i] != (at + i) % 251) check_failed(__FILE__, __LINE__, "byte %llu differs", (unsigned long long)(at + i));
        at += len;
        if (in_place) {
            CHECK_STATUS(valtron_request_consume(client, request, len + (1u << 30)), VALTRON_E_NOT_CONSUMED);
            OK(valtron_request_consume(client, request, len));
        }
    }
    CHECK_INT(at, size);
    valtron_request_info info = wait_done(client, request);
    CHECK_INT(info.body_received, size);
    CHECK_STATUS(info.status, VALTRON_OK);
    valtron_request_free(client, request);
}

static void methods(valtron_client *client) {
    static const char payload[] = "some payload";
    uint8_t body[4096];
    valtron_request_config config = request_config(text("%s/head", site("VALTRON_SITE_HTTP")));
    valtron_header headers[2] = {{"X-One", 5, "1", 1}, {"X-Two", 5, "two words", 9}};
    config.method = "HEAD";
    config.method_len = 4;
    valtron_request request = request_from(client, &config);
    valtron_request_info info = wait_done(client, request);
    CHECK_STATUS(info.status, VALTRON_OK);
    CHECK_INT(info.http_status, 200);
    CHECK_INT(info.body_received, 0);
    CHECK_INT(read_all(client, request, body, sizeof body), 0);
    valtron_request_free(client, request);

    config = request_config(text("%s/echo", site("VALTRON_SITE_HTTP")));
    config.method = "POST";
    config.method_len = 4;
    config.body = (const uint8_t *)payload;
    config.body_len = sizeof payload - 1;
    config.headers = headers;
    config.headers_count = 2;
    request = request_from(client, &config);
    info = wait_done(client, request);
    CHECK_STATUS(info.status, VALTRON_OK);
    CHECK_INT(info.body_sent, sizeof payload - 1);
    body[read_all(client, request, body, sizeof body - 1)] = 0;
    CHECK(strncmp((char *)body, "POST /echo\r\n", 12) == 0);
    CHECK(strcasestr((char *)body, "\r\nx-one: 1\r\nx-two: two words\r\n") != NULL);
    CHECK(strcasestr((char *)body, "\r\ncontent-length: 12\r\n") != NULL);
    CHECK(strcasestr((char *)body, "\r\nuser-agent: valtron_http/" VALTRON_VERSION "\r\n") != NULL);
    CHECK(strstr((char *)body, "\r\n\r\nsome payload") != NULL);
    valtron_request_free(client, request);
}

static void heads(valtron_client *client) {
    valtron_head head = VALTRON_HEAD_INIT;
    valtron_request request = request_new(client, text("%s/trailers", site("VALTRON_SITE_HTTP")));
    valtron_request_info info = wait_done(client, request);
    CHECK_STATUS(info.status, VALTRON_OK);
    CHECK(info.flags & VALTRON_EVENT_TRAILERS);
    OK(valtron_request_head(client, request, VALTRON_HEAD_TRAILERS, &head));
    CHECK(strcmp(field(&head, "x-checksum"), "abc") == 0);
    CHECK(strcmp(field(&head, "x-last"), "yes") == 0);
    valtron_request_free(client, request);

    request = request_new(client, text("%s/interim", site("VALTRON_SITE_HTTP")));
    info = wait_done(client, request);
    CHECK_STATUS(info.status, VALTRON_OK);
    CHECK_INT(info.interim_count, 1);
    CHECK(info.flags & VALTRON_EVENT_INTERIM);
    OK(valtron_request_head(client, request, VALTRON_HEAD_INTERIM(0), &head));
    CHECK_INT(head.http_status, 103);
    CHECK(strcmp(field(&head, "link"), "</style.css>; rel=preload") == 0);
    CHECK_STATUS(valtron_request_head(client, request, VALTRON_HEAD_INTERIM(1), &head), VALTRON_E_NO_HEAD);
    valtron_request_free(client, request);
}

static void fails(valtron_client *client, const char *url, valtron_status want, const char *trace) {
    valtron_request request = request_new(client, url);
    valtron_request_info info = wait_done(client, request);
    valtron_error_detail detail = VALTRON_ERROR_DETAIL_INIT;
    if (info.status != want) fprintf(stderr, "%s\n", url);
    CHECK_STATUS(info.status, want);
    CHECK_INT(info.state, VALTRON_STATE_ERROR);
    OK(valtron_request_error(client, request, &detail));
    CHECK_STATUS(detail.status, want);
    CHECK(detail.phase != VALTRON_PHASE_NONE);
    CHECK(detail.text_len > 0 && strlen(detail.text) == detail.text_len);
    if (want == VALTRON_E_BODY_TRUNCATED && strstr(url, "/length") != NULL) {
        CHECK_INT(detail.received, 500);
        CHECK_INT(detail.expected, 1000);
    }
    if (trace != NULL) check_trace(client, request, trace);
    valtron_request_free(client, request);
}

/* Every way a TLS server can be wrong: a status of its own, and one sentence that names what is wrong, so that a log tells
 * them apart. The statuses must differ, and the sentences, whatever port or name they tell. */
static void bad_tls(valtron_client *client) {
    static const struct {
        const char *site;
        valtron_status status;
        const char *word;
    } kinds[] = {
        {"VALTRON_SITE_EXPIRED", VALTRON_E_TLS_EXPIRED, "has expired"},
        {"VALTRON_SITE_NOT_YET_VALID", VALTRON_E_TLS_NOT_YET_VALID, "not valid yet"},
        {"VALTRON_SITE_WRONG_HOST", VALTRON_E_TLS_WRONG_HOST, "not for localhost but for elsewhere.invalid"},
        {"VALTRON_SITE_UNKNOWN_CA", VALTRON_E_TLS_UNKNOWN_CA, "signed by nobody we trust"},
        {"VALTRON_SITE_SELF_SIGNED", VALTRON_E_TLS_SELF_SIGNED, "self-signed"},
        {"VALTRON_SITE_PLAIN_ON_TLS", VALTRON_E_TLS_NOT_TLS, "does not speak TLS"},
        {"VALTRON_SITE_STALL_TLS", VALTRON_E_TIMEOUT_TLS, "handshake"},
    };
    enum { KINDS = sizeof kinds / sizeof kinds[0] };
    valtron_request requests[KINDS];
    valtron_error_detail details[KINDS];
    for (int i = 0; i < KINDS; i++) {
        const char *url = text("%s/x", site(kinds[i].site));
        valtron_request_config config = request_config(url);
        /* The stalled one must end; the others may take as long as a loaded machine needs. */
        if (kinds[i].status == VALTRON_E_TIMEOUT_TLS) config.tls_timeout_ms = 100;
        requests[i] = request_from(client, &config);
    }
    for (int i = 0; i < KINDS; i++) {
        valtron_request_info info = wait_done(client, requests[i]);
        details[i] = (valtron_error_detail)VALTRON_ERROR_DETAIL_INIT;
        if (info.status != kinds[i].status) fprintf(stderr, "%s\n", kinds[i].site);
        CHECK_STATUS(info.status, kinds[i].status);
        CHECK_INT(info.state, VALTRON_STATE_ERROR);
        CHECK_INT(info.http_status, 0);
        check_trace(client, requests[i], "ICTE");
        OK(valtron_request_error(client, requests[i], &details[i]));
        CHECK_STATUS(details[i].status, kinds[i].status);
        CHECK_INT(details[i].phase, VALTRON_PHASE_TLS);
        CHECK(details[i].text_len > 0 && strlen(details[i].text) == details[i].text_len);
        if (strstr(details[i].text, kinds[i].word) == NULL)
            check_failed(__FILE__, __LINE__, "'%s' does not say '%s'", details[i].text, kinds[i].word);
        for (int k = 0; k < i; k++) {
            CHECK(details[k].status != details[i].status);
            CHECK(strcmp(details[k].text, details[i].text) != 0);
            /* Nor does it name what is wrong with another. */
            CHECK(strstr(details[k].text, kinds[i].word) == NULL && strstr(details[i].text, kinds[k].word) == NULL);
        }
        valtron_request_free(client, requests[i]);
    }
}

static void failures(valtron_client *client) {
    const char *http = site("VALTRON_SITE_HTTP");
    int port, listener = listen_local(1, &port);
    close(listener);
    fails(client, text("http://127.0.0.1:%d/", port), VALTRON_E_CONNECT_REFUSED, "ICE");
    fails(client, text("%s/truncated/length", http), VALTRON_E_BODY_TRUNCATED, NULL);
    fails(client, text("%s/truncated/chunked", http), VALTRON_E_BODY_TRUNCATED, NULL);
    fails(client, text("%s/huge-head", http), VALTRON_E_HEAD_TOO_LARGE, NULL);
    fails(client, text("%s/many-headers", http), VALTRON_E_TOO_MANY_HEADERS, NULL);
    fails(client, text("%s/interim-forever", http), VALTRON_E_TOO_MANY_INTERIM, NULL);
    fails(client, text("%s/loop", http), VALTRON_E_TOO_MANY_REDIRECTS, NULL);
    bad_tls(client);
    for (int i = 0; i < 3; i++) {
        static const char *const kinds[] = {"length", "chunked", "close"};
        fails(client, text("%s/%s", site("VALTRON_SITE_TRUNCATED_TLS"), kinds[i]), VALTRON_E_BODY_TRUNCATED, NULL);
    }
    CHECK(strncmp(site("VALTRON_SITE_HTTPS"), "https://", 8) == 0);
    fails(client, text("http%s/hello", site("VALTRON_SITE_HTTPS") + 5), VALTRON_E_TLS_ON_PLAIN_PORT, NULL);
    fails(client, text("%s/redirect/302?to=%s/hello", site("VALTRON_SITE_HTTPS"), http), VALTRON_E_INSECURE_REDIRECT, NULL);
}

static void test(void) {
    valtron_client *client = client_new();
    const char *http = site("VALTRON_SITE_HTTP"), *https = site("VALTRON_SITE_HTTPS");
    by_events(client);
    valtron_client_free(client);
    client = client_new();
    by_perform(client, text("%s/hello", https), "ICTSNHBD", 0);
    by_perform(client, text("%s/hello", http), "ICSNHBD", 0);
    valtron_client_free(client);
    client = client_new();
    the_chain(client);
    for (int in_place = 0; in_place < 2; in_place++) {
        a_large_body(client, text("%s/bytes/1000003", http), 1000003, in_place);
        a_large_body(client, text("%s/chunked/1000003", https), 1000003, in_place);
        a_large_body(client, text("%s/close/300007", http), 300007, in_place);
    }
    methods(client);
    heads(client);
    failures(client);
    valtron_client_free(client);
}

int main(void) { return run_test(test); }
