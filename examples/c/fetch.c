/* Fetches a URL from a main loop of its own: poll with a budget, look, draw, sleep until something happens.
 *
 *   fetch URL [--ca-file FILE] [--quiet] [--help]
 *
 * Prints the states as they pass, a progress bar, the status, the headers, size, speed and the time each phase took. Ends with 0
 * if the response came whole and its status is below 400, with 1 if not, with 2 if it was called wrongly. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "valtron_http.h"

/* What one frame may cost. */
#define BUDGET_US 1000
/* How long a frame sleeps at most. */
#define FRAME_MS 50

static int quiet;

static int wrong(const char *what, valtron_status status) {
    fprintf(stderr, "%s: %s: %s\n", what, valtron_status_name(status), valtron_status_message(status));
    return 1;
}

/* The whole file, or NULL. The caller frees it. */
static char *read_file(const char *path, size_t *len) {
    FILE *file = fopen(path, "rb");
    char *text = NULL;
    long size;
    if (file == NULL) return NULL;
    if (fseek(file, 0, SEEK_END) == 0 && (size = ftell(file)) > 0 && fseek(file, 0, SEEK_SET) == 0) {
        text = malloc((size_t)size);
        if (text != NULL && fread(text, 1, (size_t)size, file) != (size_t)size) {
            free(text);
            text = NULL;
        }
        *len = (size_t)size;
    }
    fclose(file);
    return text;
}

/* The states entered since the last look, one line each. */
static void print_states(valtron_client *client, valtron_request request, size_t *seen) {
    valtron_trace_entry trace[128];
    size_t count = 0;
    if (valtron_request_trace(client, request, trace, sizeof trace[0], 128, &count) != VALTRON_OK) return;
    for (; *seen < count; ++*seen) {
        const valtron_trace_entry *entry = &trace[*seen];
        printf("%9.3f ms  hop %" PRIu32 "  %s\n", (double)entry->at_us / 1000.0, entry->hop, valtron_state_name(entry->state));
    }
}

static void print_progress(uint64_t received, int64_t total) {
    char bar[41];
    double part = total > 0 ? (double)received / (double)total : 0.0;
    int full = (int)(part * 40.0);
    memset(bar, '.', 40);
    memset(bar, '#', (size_t)(full > 40 ? 40 : full));
    bar[40] = '\0';
    if (total > 0) {
        printf("\r[%s] %3d%%  %" PRIu64 " bytes", bar, (int)(part * 100.0), received);
    } else {
        printf("\r%" PRIu64 " bytes", received);
    }
    fflush(stdout);
}

static void print_head(valtron_client *client, valtron_request request, int32_t which) {
    valtron_head head = VALTRON_HEAD_INIT;
    size_t i;
    if (valtron_request_head(client, request, which, &head) != VALTRON_OK) return;
    printf("\nHTTP/1.%" PRId32 " %" PRId32 " %.*s   (%.*s)\n", head.http_minor, head.http_status, (int)head.reason_len,
           (const char *)head.bytes + head.reason_offset, (int)head.url_len, head.url);
    for (i = 0; i < head.fields_count; i++) {
        const valtron_field *field = (const valtron_field *)((const char *)head.fields + i * head.field_stride);
        printf("  %.*s: %.*s\n", (int)field->name_len, (const char *)head.bytes + field->name_offset, (int)field->value_len,
               (const char *)head.bytes + field->value_offset);
    }
}

/* The time between two points of a request's life; -1 is a point that was not reached, and takes no time. */
static void print_phase(const char *name, int64_t *from, int64_t to) {
    if (to < 0) return;
    printf("  %-12s %9.3f ms\n", name, (double)(to - *from) / 1000.0);
    *from = to;
}

static void print_summary(const valtron_request_info *info, uint64_t bytes) {
    int64_t at = 0;
    double seconds = (double)info->time_done_us / 1e6;
    printf("\nstatus %" PRId32 ", %" PRIu64 " bytes, %.3f s, %.2f MiB/s, %" PRIu32 " redirects%s%s\n", info->http_status, bytes,
           seconds, seconds > 0 ? (double)bytes / seconds / 1048576.0 : 0.0, info->hops,
           info->connection_reused ? ", connection reused" : "", info->tls_resumed ? ", TLS session resumed" : "");
    /* Of several hops the last one's points count, so that the first phase holds all earlier hops. */
    print_phase("queue", &at, info->time_queued_us);
    if (info->time_resolved_us >= at) print_phase("resolve", &at, info->time_resolved_us);
    if (info->time_connected_us >= at) print_phase("connect", &at, info->time_connected_us);
    if (info->time_tls_us >= at) print_phase("tls", &at, info->time_tls_us);
    print_phase("send", &at, info->time_sent_us);
    print_phase("first byte", &at, info->time_first_byte_us);
    print_phase("head", &at, info->time_head_us);
    print_phase("body", &at, info->time_done_us);
}

/* Takes what has come of the body. The bytes are looked at in place; a real program would put them somewhere. */
static valtron_status take_body(valtron_client *client, valtron_request request, uint64_t *bytes, int *ended) {
    for (;;) {
        const uint8_t *data = NULL;
        size_t len = 0;
        valtron_status status = valtron_request_peek(client, request, &data, &len);
        if (status == VALTRON_E_WOULD_BLOCK) return VALTRON_OK;
        if (status != VALTRON_OK) return status;
        if (len == 0) {
            *ended = 1;
            return VALTRON_OK;
        }
        *bytes += len;
        status = valtron_request_consume(client, request, len);
        if (status != VALTRON_OK) return status;
    }
}

static int fetch(valtron_client *client, const char *url) {
    valtron_request_config config = VALTRON_REQUEST_CONFIG_INIT;
    valtron_error_detail detail = VALTRON_ERROR_DETAIL_INIT;
    valtron_request_info info = VALTRON_REQUEST_INFO_INIT;
    valtron_request request = 0;
    valtron_status status;
    uint64_t bytes = 0;
    size_t states = 0;
    int ended = 0, bar = 0;

    config.url = url;
    config.url_len = strlen(url);
    config.error = &detail;
    status = valtron_request_create(client, &config, &request);
    if (status != VALTRON_OK) {
        fprintf(stderr, "%s\n", detail.text);
        return wrong("create", status);
    }

    /* The main loop. A game would do its frame here, too. */
    while (!ended) {
        status = valtron_request_poll(client, request, BUDGET_US, &info);
        if (status != VALTRON_OK) break;
        if (!quiet) print_states(client, request, &states);
        status = take_body(client, request, &bytes, &ended);
        if (status != VALTRON_OK) break;
        if (!quiet && info.state == VALTRON_STATE_RECEIVING_BODY && bytes > 0) {
            print_progress(bytes, info.body_total);
            bar = 1;
        }
        if (!ended && !info.terminal && info.body_buffered == 0) {
            valtron_event events[8];
            size_t count = 0;
            status = valtron_client_wait(client, FRAME_MS, NULL);
            if (status != VALTRON_OK) break;
            /* One request needs no dispatch; taking its events lets the next wait sleep. */
            valtron_client_next_events(client, events, sizeof events[0], 8, &count);
        }
    }
    if (status == VALTRON_OK) status = valtron_request_poll(client, request, 0, &info);
    if (!quiet) {
        print_states(client, request, &states);
        if (bar) {
            print_progress(bytes, info.body_total);
            printf("\n");
        }
    }

    if (status != VALTRON_OK || info.status != VALTRON_OK) {
        if (valtron_request_error(client, request, &detail) == VALTRON_OK && detail.text_len > 0) {
            fprintf(stderr, "%s\n", detail.text);
        }
        wrong("fetch", info.status != VALTRON_OK ? info.status : status);
        valtron_request_free(client, request);
        return 1;
    }
    if (!quiet) {
        uint32_t hop;
        for (hop = 0; hop < info.hops; hop++) print_head(client, request, VALTRON_HEAD_HOP(hop));
        print_head(client, request, VALTRON_HEAD_FINAL);
        print_summary(&info, bytes);
    }
    valtron_request_free(client, request);
    /* To the library such a response is a success: it came whole. To the user it seldom is. */
    if (info.http_status >= 400) {
        fprintf(stderr, "fetch: the server answered with status %" PRId32 "\n", info.http_status);
        return 1;
    }
    return 0;
}

#define USAGE "usage: fetch URL [--ca-file FILE] [--quiet] [--help]\n"

static int called_wrongly(const char *what, const char *which) {
    fprintf(stderr, USAGE "fetch: error: %s%s\n", what, which);
    return 2;
}

static int help(void) {
    printf(USAGE "\n"
           "Fetches URL and shows how.\n"
           "\n"
           "  --ca-file FILE  a PEM file whose certificates are trusted besides the bundled ones\n"
           "  --quiet         say nothing unless the fetch fails\n"
           "  -h, --help      this text\n");
    return 0;
}

int main(int argc, char **argv) {
    valtron_client_config config = VALTRON_CLIENT_CONFIG_INIT;
    valtron_error_detail detail = VALTRON_ERROR_DETAIL_INIT;
    valtron_client *client = NULL;
    valtron_status status;
    const char *url = NULL, *ca_file = NULL;
    char *pem = NULL;
    int i, result;

    for (i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) return help();
        if (strcmp(argv[i], "--quiet") == 0) {
            quiet = 1;
        } else if (strcmp(argv[i], "--ca-file") == 0) {
            if (++i == argc) return called_wrongly("a file is missing after --ca-file", "");
            ca_file = argv[i];
        } else if (argv[i][0] == '-') {
            return called_wrongly("no such option: ", argv[i]);
        } else if (url != NULL) {
            return called_wrongly("one URL at a time, not also ", argv[i]);
        } else {
            url = argv[i];
        }
    }
    if (url == NULL) return called_wrongly("the URL is missing", "");
    if (ca_file != NULL) {
        pem = read_file(ca_file, &config.ca_pem_len);
        if (pem == NULL) return called_wrongly("cannot be read: ", ca_file);
    }
    config.ca_pem = pem;
    config.error = &detail;
    status = valtron_client_create(&config, &client);
    free(pem);
    if (status != VALTRON_OK) {
        fprintf(stderr, "%s\n", detail.text);
        return wrong("client", status);
    }
    result = fetch(client, url);
    valtron_client_free(client);
    return result;
}
