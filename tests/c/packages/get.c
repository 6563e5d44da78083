/* Goal: a C program builds against the installed library. Method: fetch /hello, whose URL is the argument. */
#include <stdio.h>
#include <string.h>

#include <valtron_http.h>

int main(int argc, char **argv) {
    valtron_client *client = NULL;
    valtron_request request = 0;
    valtron_request_config config = VALTRON_REQUEST_CONFIG_INIT;
    valtron_request_info info = VALTRON_REQUEST_INFO_INIT;
    uint8_t body[64];
    size_t len = 0;
    int good;
    if (argc < 2 || valtron_client_create(NULL, &client) != VALTRON_OK) return 2;
    config.url = argv[1];
    config.url_len = strlen(argv[1]);
    good = valtron_client_perform(client, &config, VALTRON_UNTIL_DONE, 10000, &request, &info) == VALTRON_OK &&
           info.http_status == 200 &&
           valtron_request_read(client, request, body, sizeof body, &len) == VALTRON_OK && len == 13 &&
           memcmp(body, "hello, world\n", 13) == 0;
    if (!good) fprintf(stderr, "%s: HTTP status %d\n", valtron_status_name(info.status), (int)info.http_status);
    valtron_request_free(client, request);
    valtron_client_free(client);
    return good ? 0 : 1;
}
