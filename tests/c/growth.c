/* Goal: a program compiled against an older, shorter struct keeps working, nothing beyond its size is read or written,
 * and what is shorter than the first version is refused. Method: every struct that carries a size, and every element of
 * an array, at each field's boundary and somewhat beyond the end, in a stained buffer. The sizes are those of layout.h,
 * so that a field added there is tested from then on. */
#include "support.h"

#define STAIN 0xA5
#define BEYOND 64

typedef struct shape {
    const char *name;
    size_t size, first;
} shape;

static const shape SHAPES[] = {
#define STRUCT(name, size, first) {#name, size, first},
#define FIELD(name, field, offset, size)
#define VALUE(name, value)
#include "layout.h"
#undef STRUCT
#undef FIELD
#undef VALUE
};

typedef struct boundary {
    const char *name;
    size_t at;
} boundary;

/* Each field's begin, each struct's end, and two places beyond it. */
static const boundary BOUNDARIES[] = {
#define STRUCT(name, size, first) {#name, size}, {#name, (size) + 8}, {#name, (size) + BEYOND},
#define FIELD(name, field, offset, size) {#name, offset},
#define VALUE(name, value)
#include "layout.h"
};
#define BOUNDARY_COUNT (sizeof BOUNDARIES / sizeof BOUNDARIES[0])

static valtron_client *client;
/* One that ended with a response, and one that failed. */
static valtron_request ended, broken;
static const char *url;

static const shape *shape_of(const char *name) {
    for (size_t i = 0; i < sizeof SHAPES / sizeof SHAPES[0]; i++)
        if (strcmp(SHAPES[i].name, name) == 0) return &SHAPES[i];
    check_failed(__FILE__, __LINE__, "no struct %s in layout.h", name);
    return NULL;
}

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

static void check_stained(const char *name, size_t size, const unsigned char *from, const unsigned char *to) {
    for (; from < to; from++)
        if (*from != STAIN) check_failed(__FILE__, __LINE__, "%s of %zu bytes: written beyond", name, size);
}

/* ---- structs that are written ---- */

typedef valtron_status (*writer)(void *place);

static valtron_status poll_client(void *place) { return valtron_client_poll(client, 0, place); }
static valtron_status wait_client(void *place) { return valtron_client_wait(client, 0, place); }
static valtron_status stats(void *place) { return valtron_client_stats(client, place); }
static valtron_status hitches(void *place) { return valtron_client_hitches(client, 0, place); }
static valtron_status poll_request(void *place) { return valtron_request_poll(client, ended, 0, place); }
static valtron_status wait_request(void *place) { return valtron_request_wait(client, ended, 0, 0, place); }
static valtron_status head(void *place) { return valtron_request_head(client, ended, VALTRON_HEAD_FINAL, place); }
static valtron_status error(void *place) { return valtron_request_error(client, broken, place); }

static valtron_status perform(void *place) {
    valtron_request_config config = request_config(url);
    valtron_request request = 0;
    valtron_status status = valtron_client_perform(client, &config, VALTRON_UNTIL_DONE, -1, &request, place);
    CHECK((request != 0) == (status == VALTRON_OK));
    valtron_request_free(client, request);
    return status;
}

/* The particulars of a refusal; a detail of a wrong size is what is refused first. */
static valtron_status refusal(void *place) {
    valtron_request_config config = request_config("ftp://host/");
    valtron_request request = 77;
    config.error = place;
    valtron_status status = valtron_request_create(client, &config, &request);
    CHECK(status != VALTRON_OK && request == 77);
    return status == VALTRON_E_URL_SCHEME ? VALTRON_OK : status;
}

/* `same`: two calls in a row write the same. */
static void written(const char *name, writer write, int same) {
    const shape *shape = shape_of(name);
    unsigned char whole[1024], place[1024];
    CHECK(shape->size + BEYOND <= sizeof place);
    memset(whole, STAIN, sizeof whole);
    memcpy(whole, &shape->size, sizeof shape->size);
    OK(write(whole));
    for (size_t i = 0; i < BOUNDARY_COUNT; i++) {
        size_t size = BOUNDARIES[i].at, said = 0;
        if (strcmp(BOUNDARIES[i].name, name) != 0) continue;
        memset(place, STAIN, sizeof place);
        memcpy(place, &size, sizeof size);
        valtron_status status = write(place);
        CHECK_STATUS(status, size < shape->first ? VALTRON_E_STRUCT_SIZE : VALTRON_OK);
        size_t end = status == VALTRON_OK ? least(size, shape->size) : sizeof size;
        check_stained(name, size, place + end, place + sizeof place);
        memcpy(&said, place, sizeof said);
        CHECK(said == size);
        if (status == VALTRON_OK && same) CHECK(memcmp(place + sizeof size, whole + sizeof size, end - sizeof size) == 0);
    }
}

/* ---- structs that are read ---- */

typedef valtron_status (*reader)(const void *place);

static valtron_status create_client(const void *place) {
    valtron_client *made = NULL;
    valtron_status status = valtron_client_create(place, &made);
    CHECK((made != NULL) == (status == VALTRON_OK));
    valtron_client_free(made);
    return status;
}

static valtron_status create_request(const void *place) {
    valtron_request made = 0;
    valtron_status status = valtron_request_create(client, place, &made);
    CHECK((made != 0) == (status == VALTRON_OK));
    valtron_request_free(client, made);
    return status;
}

/* Never with functions: it would count for the whole process. NULL ones are refused after the size was. */
static valtron_status allocator(const void *place) {
    valtron_status status = valtron_set_allocator(place);
    return status == VALTRON_E_NULL_CALLBACK ? VALTRON_OK : status;
}

/* What lies beyond the size would be refused, or crash, if it were read. */
static void taken(const char *name, reader read, const void *good) {
    const shape *shape = shape_of(name);
    for (size_t i = 0; i < BOUNDARY_COUNT; i++) {
        size_t size = BOUNDARIES[i].at;
        if (strcmp(BOUNDARIES[i].name, name) != 0) continue;
        /* Exactly as long as it says, so that a sanitizer sees a read beyond. */
        unsigned char *place = malloc(size < sizeof size ? sizeof size : size);
        CHECK(place != NULL);
        memset(place, STAIN, size < sizeof size ? sizeof size : size);
        memcpy(place, good, least(size, shape->size));
        memcpy(place, &size, sizeof size);
        CHECK_STATUS(read(place), size < shape->first ? VALTRON_E_STRUCT_SIZE : VALTRON_OK);
        free(place);
    }
}

/* ---- arrays ---- */

typedef valtron_status (*filler)(void *first, size_t stride, size_t cap, size_t *count);

static valtron_status trace(void *first, size_t stride, size_t cap, size_t *count) {
    return valtron_request_trace(client, ended, first, stride, cap, count);
}

/* Two events, made anew for each call. */
static valtron_status events(void *first, size_t stride, size_t cap, size_t *count) {
    valtron_request a = request_new(client, url), b = request_new(client, url);
    valtron_event rest[8];
    size_t more = 0;
    wait_done(client, a);
    wait_done(client, b);
    valtron_status status = valtron_client_next_events(client, first, stride, cap, count);
    OK(valtron_client_next_events(client, rest, sizeof rest[0], 8, &more));
    valtron_request_free(client, a);
    valtron_request_free(client, b);
    return status;
}

/* Two questions, made anew for each call. */
static valtron_status spawns(void *first, size_t stride, size_t cap, size_t *count) {
    valtron_client_config config = client_config();
    config.spawn_ask = VALTRON_SPAWN_RESOLVE;
    config.spawn_timeout_ms = -1;
    valtron_client *asking = client_from(&config);
    valtron_request a = request_new(asking, "http://localhost:1/"), b = request_new(asking, "http://localhost:2/");
    valtron_request_info info = VALTRON_REQUEST_INFO_INIT;
    valtron_poll_info now = VALTRON_POLL_INFO_INIT;
    while (now.spawns_ready < 2) {
        OK(valtron_request_wait(asking, a, VALTRON_UNTIL_SPAWN, -1, &info));
        OK(valtron_request_wait(asking, b, VALTRON_UNTIL_SPAWN, -1, &info));
        OK(valtron_client_poll(asking, 0, &now));
    }
    valtron_status status = valtron_client_next_spawns(asking, first, stride, cap, count);
    valtron_client_free(asking);
    return status;
}

/* `says_size`: the elements begin with how much of them was filled. */
static void filled(const char *name, filler fill, int says_size) {
    const shape *shape = shape_of(name);
    for (size_t i = 0; i < BOUNDARY_COUNT; i++) {
        unsigned char place[1024];
        size_t stride = BOUNDARIES[i].at, count = 77;
        if (strcmp(BOUNDARIES[i].name, name) != 0) continue;
        memset(place, STAIN, sizeof place);
        valtron_status status = fill(place, stride, 2, &count);
        if (stride < shape->first) {
            CHECK_STATUS(status, VALTRON_E_STRIDE);
            CHECK_INT(count, 77);
            check_stained(name, stride, place, place + sizeof place);
            continue;
        }
        CHECK_STATUS(status, VALTRON_OK);
        CHECK_INT(count, 2);
        size_t end = least(stride, shape->size);
        check_stained(name, stride, place + end, place + stride);
        check_stained(name, stride, place + stride + end, place + sizeof place);
        for (size_t element = 0; says_size && element < 2; element++) {
            size_t said;
            memcpy(&said, place + element * stride, sizeof said);
            CHECK(said == end);
        }
    }
}

/* Header lines of a caller with another size; 0 means the first version's. */
static void header_lines(void) {
    const shape *shape = shape_of("valtron_header");
    for (size_t i = 0; i <= BOUNDARY_COUNT; i++) {
        size_t stride = i == BOUNDARY_COUNT ? 0 : BOUNDARIES[i].at;
        if (i < BOUNDARY_COUNT && (strcmp(BOUNDARIES[i].name, "valtron_header") != 0 || stride == 0)) continue;
        size_t step = stride == 0 ? shape->first : stride, room = 2 * (step < shape->size ? shape->size : step);
        valtron_header line = {"X-A", 3, "1", 1};
        valtron_request_config config = request_config(url);
        valtron_request made = 0;
        unsigned char *place = malloc(room);
        CHECK(place != NULL);
        memset(place, STAIN, room);
        for (size_t at = 0; at < 2; at++) memcpy(place + at * step, &line, least(step, shape->size));
        config.headers = (const valtron_header *)(const void *)place;
        config.headers_count = 2;
        config.headers_stride = stride;
        CHECK_STATUS(valtron_request_create(client, &config, &made), step < shape->first ? VALTRON_E_STRIDE : VALTRON_OK);
        valtron_request_free(client, made);
        free(place);
    }
}

static void test(void) {
    valtron_client_config own = client_config();
    valtron_request_config request;
    valtron_head whole = VALTRON_HEAD_INIT;
    url = text("%s/hello", site("VALTRON_SITE_HTTP"));
    request = request_config(url);
    client = client_from(&own);
    ended = request_new(client, url);
    CHECK_STATUS(wait_done(client, ended).status, VALTRON_OK);
    broken = request_new(client, "http://127.0.0.1:1/");
    CHECK(wait_done(client, broken).status != VALTRON_OK);
    valtron_event told[4];
    size_t count = 0;
    OK(valtron_client_next_events(client, told, sizeof told[0], 4, &count));
    CHECK_INT(count, 2);

    written("valtron_poll_info", poll_client, 0);
    written("valtron_poll_info", wait_client, 0);
    written("valtron_request_info", poll_request, 1);
    written("valtron_request_info", wait_request, 1);
    written("valtron_request_info", perform, 0);
    written("valtron_head", head, 1);
    written("valtron_stats", stats, workers <= 0);
    written("valtron_hitches", hitches, workers <= 0);
    written("valtron_error_detail", error, 1);
    written("valtron_error_detail", refusal, 1);
    taken("valtron_client_config", create_client, &own);
    taken("valtron_request_config", create_request, &request);
    header_lines();
    filled("valtron_event", events, 1);
    filled("valtron_spawn", spawns, 1);
    filled("valtron_trace_entry", trace, 0);
    /* The library's own array is read with the stride it says. */
    OK(valtron_request_head(client, ended, VALTRON_HEAD_FINAL, &whole));
    CHECK(whole.field_stride >= shape_of("valtron_field")->first && whole.fields_count > 0);
    valtron_client_free(client);
}

int main(void) {
    valtron_allocator none = VALTRON_ALLOCATOR_INIT;
    watch_over();
    /* Before any other call. */
    taken("valtron_allocator", allocator, &none);
    return run_test(test);
}
