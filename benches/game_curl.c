/* The downloads of the game loop by libcurl's multi interface, for comparison: the same loop (examples/c/game_loop.c), the same
 * number of downloads, each over a new connection with a full handshake. curl_multi_perform knows no budget. */
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

#include "game_downloads.h"

static struct game_options options;
static CURLM *multi;
static CURL *easies[DOWNLOADS_MAX];
static struct curl_slist *headers;
static struct game_counts counts;

static size_t on_body(char *bytes, size_t size, size_t count, void *user) {
    (void)bytes;
    (void)user;
    counts.bytes += size * count;
    return size * count;
}

const char *downloads_library(void) {
    static char name[64];
    const curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);
    snprintf(name, sizeof name, "libcurl %s, %s", info->version, info->ssl_version);
    return name;
}

const char *downloads_build(void) { return "multi interface"; }

int downloads_has_mode(enum game_mode mode) { return mode == GAME_INLINE; }

int downloads_start(const struct game_options *wanted) {
    options = *wanted;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    multi = curl_multi_init();
    headers = curl_slist_append(NULL, "Connection: close");
    for (int i = 0; i < options.downloads; i++) {
        CURL *easy = easies[i] = curl_easy_init();
        curl_easy_setopt(easy, CURLOPT_URL, options.url);
        curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
        curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(easy, CURLOPT_PROXY, "");
        curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
        curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
        curl_easy_setopt(easy, CURLOPT_CAINFO, options.ca_file);
        curl_easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L);
        curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
        curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
        curl_multi_add_handle(multi, easy);
    }
    return 0;
}

int downloads_set_mode(enum game_mode mode) { return mode == GAME_INLINE ? 0 : -1; }

void downloads_poll(uint64_t budget_us) {
    int running;
    (void)budget_us;
    curl_multi_perform(multi, &running);
}

/* All that it calls back for is to count bytes. */
int64_t downloads_callbacks_ns(void) { return 0; }

void downloads_collect(void) {
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(multi, &left)) != NULL) {
        CURL *easy = message->easy_handle;
        CURLcode result = message->data.result;
        long status = 0;
        if (message->msg != CURLMSG_DONE) continue;
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        if (result == CURLE_OK && status == 200) {
            counts.done++;
        } else if (counts.failed++ == 0) {
            fprintf(stderr, "a download failed: %s\n", curl_easy_strerror(result));
        }
        curl_multi_remove_handle(multi, easy);
        curl_multi_add_handle(multi, easy);
    }
}

struct game_tile downloads_tile(int index) {
    struct game_tile tile = {TILE_CONNECTING, 0};
    curl_off_t got = 0, total = 0;
    curl_easy_getinfo(easies[index], CURLINFO_SIZE_DOWNLOAD_T, &got);
    curl_easy_getinfo(easies[index], CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &total);
    if (got > 0 && total > 0) {
        tile.state = TILE_RECEIVING;
        tile.part = (float)got / (float)total;
    }
    return tile;
}

struct game_counts downloads_counts(void) { return counts; }

int downloads_hitches(struct game_hitches *hitches) {
    (void)hitches;
    return 0;
}

void downloads_stop(void) {
    for (int i = 0; i < options.downloads; i++) {
        curl_multi_remove_handle(multi, easies[i]);
        curl_easy_cleanup(easies[i]);
    }
    curl_multi_cleanup(multi);
    curl_slist_free_all(headers);
}
