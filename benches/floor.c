/* The least an HTTP client can do: sends fixed bytes, counts the answer's bytes, and does no more with them. HTTP only,
 * an address for a host; every answer must be as long as the first, which is read once beforehand to learn its length. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "bench.h"

#define EVENTS_MAX 256

struct connection {
    int fd;
    int started;
    size_t got;
};

static struct sockaddr_in address;
static char request[1024];
static size_t request_len;
static size_t answer_len, body_len;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static void parse(const char *url) {
    char host[64];
    int port = 80, used = 0;
    const char *path;
    if (strncmp(url, "http://", 7) != 0) {
        fprintf(stderr, "the floor speaks http only\n");
        exit(2);
    }
    path = strchr(url + 7, '/');
    if (sscanf(url + 7, "%63[0-9.]%n", host, &used) != 1) {
        fprintf(stderr, "the floor wants an address for a host\n");
        exit(2);
    }
    if (url[7 + used] == ':') port = atoi(url + 8 + used);
    address.sin_family = AF_INET;
    address.sin_port = htons((unsigned short)port);
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1) die("inet_pton");
    request_len = (size_t)snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: %s:%d\r\nUser-Agent: bench\r\n\r\n",
                                   path != NULL ? path : "/", host, port);
}

/* Sends one request on a connection of its own, for the head of the answer. */
static void learn(void) {
    char head[8192];
    size_t got = 0;
    const char *end = NULL, *length;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0) die("connect");
    if (send(fd, request, request_len, MSG_NOSIGNAL) != (ssize_t)request_len) die("send");
    while (end == NULL && got < sizeof head - 1) {
        ssize_t count = recv(fd, head + got, sizeof head - 1 - got, 0);
        if (count <= 0) die("recv");
        got += (size_t)count;
        head[got] = '\0';
        end = strstr(head, "\r\n\r\n");
    }
    length = strcasestr(head, "\r\nContent-Length:");
    if (end == NULL || length == NULL || length > end || strncmp(head, "HTTP/1.1 200", 12) != 0) {
        fprintf(stderr, "not a response with a length: %.200s\n", head);
        exit(1);
    }
    body_len = (size_t)atoll(length + 17);
    answer_len = (size_t)(end + 4 - head) + body_len;
    close(fd);
}

static int begin(struct bench *bench, struct connection *connection) {
    if (bench->begun >= bench->total) return 0;
    bench->begun++;
    connection->got = 0;
    if (send(connection->fd, request, request_len, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)request_len) die("send");
    return 1;
}

int main(int argc, char **argv) {
    struct bench bench;
    struct connection *connections;
    struct epoll_event events[EVENTS_MAX];
    size_t buffer_len = bench_buffer();
    char *buffer = malloc(buffer_len);
    int epoll = epoll_create1(EPOLL_CLOEXEC), one = 1;
    long i;
    bench_begin(&bench, argc, argv);
    parse(bench.url);
    learn();
    connections = calloc((size_t)bench.concurrency, sizeof *connections);
    if (buffer == NULL || connections == NULL || epoll < 0) die("start");
    for (i = 0; i < bench.concurrency; i++) {
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.ptr = &connections[i]};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0) die("socket");
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0 && errno != EINPROGRESS) die("connect");
        connections[i].fd = fd;
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) die("epoll_ctl");
    }
    while (!bench_over(&bench)) {
        int count = epoll_wait(epoll, events, EVENTS_MAX, 30000), k;
        if (count == 0) {
            fprintf(stderr, "nothing comes any more\n");
            return 1;
        }
        if (count < 0) die("epoll_wait");
        for (k = 0; k < count; k++) {
            struct connection *connection = events[k].data.ptr;
            ssize_t got;
            if (!connection->started) {
                struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
                connection->started = 1;
                if (epoll_ctl(epoll, EPOLL_CTL_MOD, connection->fd, &event) != 0) die("epoll_ctl");
                begin(&bench, connection);
                continue;
            }
            got = recv(connection->fd, buffer, buffer_len, 0);
            if (got < 0 && errno == EAGAIN) continue;
            if (got <= 0) die("recv");
            if (connection->got == 0 && (got < 12 || memcmp(buffer, "HTTP/1.1 200", 12) != 0)) {
                fprintf(stderr, "not status 200\n");
                return 1;
            }
            connection->got += (size_t)got;
            if (connection->got > answer_len) {
                fprintf(stderr, "the answers differ in length\n");
                return 1;
            }
            if (connection->got == answer_len) {
                bench.bytes += (long long)body_len;
                bench_ok(&bench);
                begin(&bench, connection);
            }
        }
    }
    bench_end(&bench);
    free(connections);
    free(buffer);
    return 0;
}
