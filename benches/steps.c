/* How long the steps take that nothing can cut, through the C ABI: CPU time of one turn of a poll with one request, of one job
 * of a handshake, and of the calls that free or load much.
 *
 *   steps HTTP HTTPS FRESH CA_FILE BUNDLE|- [quick]
 *
 * HTTP, HTTPS and FRESH are the base URLs of `cargo xtask bench --serve`; FRESH resumes no session. Each line of the output is
 * a step with all its samples, in microseconds. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "bench.h"
#include "valtron_http.h"

#define SAMPLES_MAX 20000
#define KINDS 10
#define JOBS_MAX 64
#define BIG_BUFFER (16 << 20)

/* One step, and what it took each time. */
struct step {
    long count;
    float us[SAMPLES_MAX];
    /* Of a body's steps. */
    long bytes_count;
    float bytes[SAMPLES_MAX];
};

static const char *http, *https, *fresh;
static char *ca_pem, *bundle_pem;
static size_t ca_pem_len, bundle_pem_len;
static int quick;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void check(const char *what, valtron_status status) {
    if (status == VALTRON_OK) return;
    fprintf(stderr, "%s: %s\n", what, valtron_status_name(status));
    exit(1);
}

static double cpu_us(void) {
    struct timespec at;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &at);
    return (double)at.tv_sec * 1e6 + (double)at.tv_nsec / 1e3;
}

static void add(struct step *step, double us) {
    if (step->count < SAMPLES_MAX) step->us[step->count++] = (float)us;
}

static struct step *step_new(void) {
    struct step *step = calloc(1, sizeof *step);
    if (step == NULL) die("calloc");
    return step;
}

/* What was measured may be nothing: then there is no line. */
static void print_step(const char *group, const char *name, const struct step *step) {
    double bytes = 0;
    if (step->count == 0) return;
    printf("{\"group\": \"%s\", \"name\": \"%s\", \"us\": [", group, name);
    for (long i = 0; i < step->count; i++) printf("%s%.2f", i > 0 ? "," : "", (double)step->us[i]);
    for (long i = 0; i < step->bytes_count; i++) bytes += (double)step->bytes[i];
    printf("]%s", step->bytes_count > 0 ? ", " : "");
    if (step->bytes_count > 0) printf("\"bytes_each\": %.0f", bytes / (double)step->bytes_count);
    printf("}\n");
}

static char *read_file(const char *path, size_t *len) {
    FILE *file = fopen(path, "rb");
    char *text = NULL;
    long size;
    if (file == NULL || fseek(file, 0, SEEK_END) != 0 || (size = ftell(file)) <= 0 || fseek(file, 0, SEEK_SET) != 0 ||
        (text = malloc((size_t)size)) == NULL || fread(text, 1, (size_t)size, file) != (size_t)size) {
        die(path);
    }
    fclose(file);
    *len = (size_t)size;
    return text;
}

static valtron_client *client_new(valtron_client_config *config) {
    valtron_client *client = NULL;
    if (config->ca_pem == NULL) {
        config->ca_pem = ca_pem;
        config->ca_pem_len = ca_pem_len;
        config->trust = VALTRON_TRUST_PEM_ONLY;
    }
    /* Steps of worker threads are in no poll. */
    config->worker_threads = 0;
    check("client", valtron_client_create(config, &client));
    return client;
}

/* ---- turns of polls ---- */

static void await_work(valtron_client *client, const valtron_poll_info *info) {
    struct pollfd handle = {.events = POLLIN};
    ptrdiff_t fd = -1;
    if (info->work_left || info->events_ready > 0 || info->spawns_ready > 0) return;
    check("wait_handle", valtron_client_wait_handle(client, &fd));
    handle.fd = (int)fd;
    poll(&handle, 1, info->next_deadline_us >= 0 ? (int)(info->next_deadline_us / 1000) + 1 : 10000);
}

static uint64_t received(valtron_client *client, valtron_request request) {
    valtron_request_info info = VALTRON_REQUEST_INFO_INIT;
    check("look", valtron_request_poll(client, request, 0, &info));
    return info.body_received;
}

static void drain(valtron_client *client, valtron_request request) {
    for (;;) {
        const uint8_t *bytes;
        size_t len = 0;
        valtron_status status = valtron_request_peek(client, request, &bytes, &len);
        if (status == VALTRON_E_WOULD_BLOCK || (status == VALTRON_OK && len == 0)) return;
        check("peek", status);
        check("consume", valtron_request_consume(client, request, len));
    }
}

/* One request from its start to its end, turn by turn; each turn's CPU time goes to the kind of its longest step. The longest
 * of all turns is returned. */
static double drive(valtron_client *client, const valtron_request_config *config, struct step **kinds) {
    valtron_request request = 0;
    valtron_hitches hitches = VALTRON_HITCHES_INIT;
    double longest = 0;
    uint64_t before = 0;
    check("create", valtron_request_create(client, config, &request));
    check("hitches", valtron_client_hitches(client, 1, &hitches));
    for (;;) {
        valtron_poll_info info = VALTRON_POLL_INFO_INIT;
        valtron_event event;
        size_t count = 0;
        uint64_t now;
        double took = cpu_us();
        check("poll", valtron_client_poll(client, 0, &info));
        took = cpu_us() - took;
        check("hitches", valtron_client_hitches(client, 1, &hitches));
        if (took > longest) longest = took;
        now = received(client, request);
        if (kinds != NULL && hitches.longest_step_kind >= 0 && hitches.longest_step_kind < KINDS) {
            struct step *step = kinds[hitches.longest_step_kind];
            add(step, took);
            if (hitches.longest_step_kind == VALTRON_STEP_BODY && now > before && step->bytes_count < SAMPLES_MAX) {
                step->bytes[step->bytes_count++] = (float)(now - before);
            }
        }
        before = now;
        drain(client, request);
        check("next_events", valtron_client_next_events(client, &event, sizeof event, 1, &count));
        if (count == 1 && event.flags & VALTRON_EVENT_DONE) {
            if (event.status != VALTRON_OK || event.http_status != 200) {
                fprintf(stderr, "%s: %s, status %d\n", config->url, valtron_status_name(event.status), (int)event.http_status);
                exit(1);
            }
            break;
        }
        await_work(client, &info);
    }
    valtron_request_free(client, request);
    return longest;
}

/* The kinds' names in the output: what a step of this kind does. */
static const char *const kind_names[KINDS] = {"none", "start", "address", "TLS start", "TLS handshake record",
                                              "send",          "head",  "body",    "redirect",  "idle connections"};

static int nothing_printed;

static void turns(const char *scenario, const char *base, const char *path, int close_it, size_t upload, long runs) {
    static const valtron_header closing = {"Connection", 10, "close", 5};
    valtron_client_config client_config = VALTRON_CLIENT_CONFIG_INIT;
    valtron_request_config config = VALTRON_REQUEST_CONFIG_INIT;
    valtron_client *client = client_new(&client_config);
    struct step *kinds[KINDS];
    char url[256], name[256];
    uint8_t *body = NULL;
    for (int i = 0; i < KINDS; i++) kinds[i] = step_new();
    config.url_len = (size_t)snprintf(url, sizeof url, "%s%s", base, path);
    config.url = url;
    if (close_it) {
        config.headers = &closing;
        config.headers_count = 1;
    }
    if (upload > 0) {
        body = calloc(1, upload);
        if (body == NULL) die("calloc");
        config.method = "POST";
        config.method_len = 4;
        config.body = body;
        config.body_len = upload;
    }
    /* The first one has cold caches, and the connection that the others are to find. */
    drive(client, &config, NULL);
    if (quick) runs = runs / 5 > 0 ? runs / 5 : 1;
    for (long i = 0; i < runs; i++) drive(client, &config, kinds);
    for (int i = 0; i < KINDS; i++) {
        snprintf(name, sizeof name, "%s: %s", scenario, kind_names[i]);
        /* What happened a few times besides what is measured here is measured elsewhere. A turn without a step is the same
         * everywhere. */
        if (kinds[i]->count >= 10 && i != VALTRON_STEP_NONE) print_step("turn", name, kinds[i]);
        if (i == VALTRON_STEP_NONE && nothing_printed++ == 0) print_step("turn", "a turn that finds nothing to do", kinds[i]);
        free(kinds[i]);
    }
    valtron_client_free(client);
    free(body);
}

/* ---- jobs of handshakes ---- */

static valtron_job *taken;
static uint32_t taken_step;

static valtron_decision on_spawn(void *user, const valtron_spawn *spawn, valtron_job **job) {
    (void)user;
    taken = *job;
    taken_step = spawn->step;
    return VALTRON_DECISION_TAKE;
}

static void handshake_jobs(int verify_off, const char *group, long runs) {
    valtron_client_config client_config = VALTRON_CLIENT_CONFIG_INIT;
    valtron_request_config config = VALTRON_REQUEST_CONFIG_INIT;
    static const valtron_header closing = {"Connection", 10, "close", 5};
    valtron_client *client;
    struct step *jobs[JOBS_MAX], *whole = step_new();
    char url[256], name[64];
    client_config.spawn_ask = VALTRON_SPAWN_TLS_UPGRADE;
    client_config.spawn_callback = on_spawn;
    client_config.job_timeout_ms = 60000;
    client_config.tls_verify_off = verify_off;
    client = client_new(&client_config);
    for (int i = 0; i < JOBS_MAX; i++) jobs[i] = step_new();
    config.url_len = (size_t)snprintf(url, sizeof url, "%s/small", fresh);
    config.url = url;
    config.headers = &closing;
    config.headers_count = 1;
    if (quick) runs /= 5;
    for (long run = 0; run < runs; run++) {
        valtron_request request = 0;
        double all = 0;
        check("create", valtron_request_create(client, &config, &request));
        for (;;) {
            valtron_poll_info info = VALTRON_POLL_INFO_INIT;
            valtron_event event;
            size_t count = 0;
            check("poll", valtron_client_poll(client, 1000, &info));
            if (taken != NULL) {
                double took = cpu_us();
                check("job", valtron_job_run(taken));
                took = cpu_us() - took;
                if (taken_step < JOBS_MAX) add(jobs[taken_step], took);
                all += took;
                valtron_job_free(taken);
                taken = NULL;
                continue;
            }
            drain(client, request);
            check("next_events", valtron_client_next_events(client, &event, sizeof event, 1, &count));
            if (count == 1 && event.flags & VALTRON_EVENT_DONE) {
                check("request", event.status);
                break;
            }
            await_work(client, &info);
        }
        add(whole, all);
        valtron_request_free(client, request);
    }
    for (int i = 0; i < JOBS_MAX; i++) {
        snprintf(name, sizeof name, "step %d", i);
        print_step(group, name, jobs[i]);
        free(jobs[i]);
    }
    print_step(group, "all steps of a handshake", whole);
    free(whole);
    valtron_client_free(client);
}

/* ---- calls ---- */

/* Of the turns that do what a call left to be done. */
static double longest_turn(valtron_client *client) {
    valtron_poll_info info = VALTRON_POLL_INFO_INIT;
    double longest = 0;
    for (int turn = 0; turn < 3 || info.work_left; turn++) {
        double took = cpu_us();
        check("poll", valtron_client_poll(client, 0, &info));
        took = cpu_us() - took;
        if (took > longest) longest = took;
    }
    return longest;
}

/* A request with a full buffer of 16 MiB is freed, or its client is. */
static void frees(long runs) {
    struct step *request_step = step_new(), *turn_step = step_new(), *client_step = step_new();
    char url[256];
    if (quick) runs /= 5;
    for (long run = 0; run < 2 * runs; run++) {
        valtron_client_config client_config = VALTRON_CLIENT_CONFIG_INIT;
        valtron_request_config config = VALTRON_REQUEST_CONFIG_INIT;
        valtron_client *client = client_new(&client_config);
        valtron_request request = 0;
        double took;
        config.url_len = (size_t)snprintf(url, sizeof url, "%s/large", http);
        config.url = url;
        config.body_buffer_bytes = BIG_BUFFER;
        check("create", valtron_request_create(client, &config, &request));
        for (;;) {
            valtron_request_info info = VALTRON_REQUEST_INFO_INIT;
            valtron_poll_info poll_info = VALTRON_POLL_INFO_INIT;
            check("poll", valtron_client_poll(client, 1000, &poll_info));
            check("look", valtron_request_poll(client, request, 0, &info));
            if (info.body_received >= BIG_BUFFER) break;
            await_work(client, &poll_info);
        }
        if (run % 2 == 0) {
            took = cpu_us();
            valtron_request_free(client, request);
            add(request_step, cpu_us() - took);
            add(turn_step, longest_turn(client));
        }
        took = cpu_us();
        valtron_client_free(client);
        if (run % 2 == 1) add(client_step, cpu_us() - took);
    }
    print_step("call", "valtron_request_free, 16 MiB unread", request_step);
    print_step("call", "the longest turn after it", turn_step);
    print_step("call", "valtron_client_free, a request with 16 MiB unread in it", client_step);
    free(request_step);
    free(turn_step);
    free(client_step);
}

/* What loads certificates, and that no poll of a first request does. */
static void trust(const char *what, int32_t kind, const char *pem, size_t pem_len, long runs) {
    struct step *create = step_new(), *longest = step_new();
    char name[128], url[256];
    if (quick) runs /= 5;
    for (long run = 0; run < runs; run++) {
        valtron_client_config client_config = VALTRON_CLIENT_CONFIG_INIT;
        valtron_request_config config = VALTRON_REQUEST_CONFIG_INIT;
        valtron_client *client;
        double took;
        client_config.trust = kind;
        client_config.ca_pem = pem;
        client_config.ca_pem_len = pem_len;
        took = cpu_us();
        client = client_new(&client_config);
        add(create, cpu_us() - took);
        config.url_len = (size_t)snprintf(url, sizeof url, "%s/small", fresh);
        config.url = url;
        add(longest, drive(client, &config, NULL));
        valtron_client_free(client);
    }
    snprintf(name, sizeof name, "valtron_client_create, trusting %s", what);
    print_step("call", name, create);
    snprintf(name, sizeof name, "longest turn of its first HTTPS request, trusting %s", what);
    print_step("call", name, longest);
    free(create);
    free(longest);
}

/* ---- the kernel's part ---- */

/* One recv of 64 KiB that are there: the least that a step takes which brings as much. */
static void bare_recv(void) {
    static uint8_t buffer[65536];
    struct sockaddr_in address = {.sin_family = AF_INET};
    char host[64], request[256];
    int port = 80, fd, len, room = 1 << 20;
    struct step *step = step_new();
    if (sscanf(http, "http://%63[0-9.]:%d", host, &port) < 2 || inet_pton(AF_INET, host, &address.sin_addr) != 1) {
        fprintf(stderr, "%s: not an address and a port\n", http);
        exit(2);
    }
    address.sin_port = htons((unsigned short)port);
    len = snprintf(request, sizeof request, "GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    /* The window that a connection begins with may be smaller than what is waited for below. */
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room) != 0) die("socket");
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0 || send(fd, request, (size_t)len, 0) != len) {
        die("connect");
    }
    for (int i = 0; i < 2000; i++) {
        int there = 0;
        double took;
        while (there < (int)sizeof buffer) {
            struct pollfd readable = {fd, POLLIN, 0};
            if (poll(&readable, 1, 10000) != 1 || ioctl(fd, FIONREAD, &there) != 0) die("poll");
        }
        took = cpu_us();
        if (recv(fd, buffer, sizeof buffer, 0) != (ssize_t)sizeof buffer) die("recv");
        add(step, cpu_us() - took);
    }
    close(fd);
    print_step("part", "one recv of 64 KiB that are there", step);
    free(step);
}

int main(int argc, char **argv) {
    if (argc < 6) {
        fprintf(stderr, "usage: steps HTTP HTTPS FRESH CA_FILE BUNDLE|- [quick]\n");
        return 2;
    }
    http = argv[1];
    https = argv[2];
    fresh = argv[3];
    ca_pem = read_file(argv[4], &ca_pem_len);
    if (strcmp(argv[5], "-") != 0) bundle_pem = read_file(argv[5], &bundle_pem_len);
    quick = argc > 6;

    turns("HTTP, kept connection", http, "/small", 0, 0, 4000);
    turns("HTTP, new connection", http, "/small", 1, 0, 2000);
    turns("HTTP, redirect", http, "/redirect", 0, 0, 2000);
    turns("HTTP, large body", http, "/large", 0, 0, 5);
    turns("HTTPS, kept connection", https, "/small", 0, 0, 4000);
    turns("HTTPS, new connection", fresh, "/small", 1, 0, 1000);
    turns("HTTPS, large body", https, "/medium", 0, 0, 20);
    turns("HTTPS, upload", https, "/sink", 0, 1 << 20, 100);
    handshake_jobs(0, "job", 1000);
    handshake_jobs(1, "job, any certificate", 1000);
    frees(50);
    trust("one authority", VALTRON_TRUST_PEM_ONLY, ca_pem, ca_pem_len, 100);
    trust("the roots compiled in", VALTRON_TRUST_BUNDLED, ca_pem, ca_pem_len, 100);
    trust("the system's roots", VALTRON_TRUST_SYSTEM, ca_pem, ca_pem_len, 50);
    if (bundle_pem != NULL) trust("a bundle given as PEM", VALTRON_TRUST_PEM_ONLY, bundle_pem, bundle_pem_len, 50);
    bare_recv();
    free(ca_pem);
    free(bundle_pem);
    return 0;
}
