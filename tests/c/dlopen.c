/* Goal: a program may open the library, use it and close it, again and again, and nothing stays but the mapping. Method: this
 * program does not link the library; each round fetches over http and https, ends in one of three ways, and counts the
 * process's descriptors and threads. */
#include "support.h"

#include <dlfcn.h>

#define ROUNDS 21
#define ENDING_MS 10000

enum { SHUTDOWN_AND_FREE, FREE_WITH_LIVE_REQUESTS, SHUTDOWN_WITH_LIVE_REQUESTS, ENDINGS };

/* The address of a function of the library, as a function of its type. */
#define FUNCTION(name)                                                                        \
    __typeof__(name) *name##_ = (__typeof__(name) *)(uintptr_t)dlsym(library, #name);         \
    CHECK(name##_ != NULL)

static void use(void *library, const char *silent, int ending) {
    FUNCTION(valtron_client_create);
    FUNCTION(valtron_client_perform);
    FUNCTION(valtron_client_wait);
    FUNCTION(valtron_client_shutdown);
    FUNCTION(valtron_client_free);
    FUNCTION(valtron_request_create);
    FUNCTION(valtron_request_free);
    FUNCTION(valtron_request_read);
    FUNCTION(valtron_abi_version);
    const char *urls[] = {text("%s/hello", site("VALTRON_SITE_HTTP")), text("%s/hello", site("VALTRON_SITE_HTTPS"))};
    valtron_client_config config = VALTRON_CLIENT_CONFIG_INIT;
    valtron_client *client = NULL;
    CHECK_INT(valtron_abi_version_(), VALTRON_ABI_VERSION);
    config.trust = VALTRON_TRUST_PEM_ONLY;
    config.ca_pem = ca_pem(&config.ca_pem_len);
    CHECK_INT(valtron_client_create_(&config, &client), VALTRON_OK);
    for (int i = 0; i < 2; i++) {
        valtron_request_config of = request_config(urls[i]);
        valtron_request_info info = VALTRON_REQUEST_INFO_INIT;
        valtron_request request = 0;
        uint8_t body[64];
        size_t count = 0;
        CHECK_INT(valtron_client_perform_(client, &of, VALTRON_UNTIL_DONE, -1, &request, &info), VALTRON_OK);
        CHECK_INT(info.status, VALTRON_OK);
        CHECK_INT(valtron_request_read_(client, request, body, sizeof body, &count), VALTRON_OK);
        CHECK_BYTES(body, count, "hello, world\n");
        valtron_request_free_(client, request);
    }
    for (int i = 0; i < 4 && ending != SHUTDOWN_AND_FREE; i++) {
        valtron_request_config of = request_config(silent);
        valtron_request request = 0;
        CHECK_INT(valtron_request_create_(client, &of, &request), VALTRON_OK);
        CHECK_INT(valtron_client_wait_(client, 2, NULL), VALTRON_OK);
    }
    if (ending != FREE_WITH_LIVE_REQUESTS) CHECK_INT(valtron_client_shutdown_(client, -1), VALTRON_OK);
    valtron_client_free_(client);
}

/* Threads of a client that was freed without a shutdown end by themselves, and a joined one's entry goes a moment later. */
static void settles(const char *what, int (*count)(void), int want) {
    for (int i = 0; i < ENDING_MS && count() != want; i++) usleep(1000);
    if (count() != want) check_failed(__FILE__, __LINE__, "%s: %d, not %d", what, count(), want);
}

int main(void) {
    const char *path = site("VALTRON_HTTP_LIB");
    server peer = {0};
    int descriptors, threads;
    watch_over();
    CHECK(dlopen(path, RTLD_NOW | RTLD_NOLOAD) == NULL);
    server_start(&peer);
    const char *silent = strdup(server_url(&peer));
    CHECK(silent != NULL);
    threads = count_threads();
    for (int round = 0; round < ROUNDS; round++) {
        void *library;
        descriptors = count_descriptors();
        library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (library == NULL) check_failed(__FILE__, __LINE__, "%s", dlerror());
        use(library, silent, round % ENDINGS);
        CHECK_INT(dlclose(library), 0);
        settles("threads", count_threads, threads);
        /* The server of this very process has descriptors, too. */
        server_close_all(&peer);
        settles("descriptors", count_descriptors, descriptors);
    }
    /* What the library promises: its code stays, for threads that are about to end. */
    CHECK(dlopen(path, RTLD_NOW | RTLD_NOLOAD) != NULL);
    server_stop(&peer);
    free((void *)(uintptr_t)silent);
    return 0;
}
