/* What the C clients share: their arguments, `URL TOTAL CONCURRENCY [CA_FILE]`, and the one line of JSON at the end. */
#ifndef BENCH_H
#define BENCH_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

struct bench {
    const char *url;
    long total;
    long concurrency;
    const char *ca_file;
    /* Requests begun. */
    long begun;
    long ok;
    long failed;
    long long bytes;
    /* When so many have ended well, the connections are made: what comes after is the steady state. */
    long warm_at;
    double began_s;
    double warm_wall_s;
    double warm_cpu_s;
    long warm_ok;
};

static inline double bench_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* User and system time of all threads. */
static inline double bench_cpu(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* The number, or -1: digits and nothing else. */
static inline long bench_number(const char *text) {
    size_t digits = strspn(text, "0123456789");
    return digits > 0 && digits <= 9 && text[digits] == '\0' ? atol(text) : -1;
}

static inline void bench_begin(struct bench *bench, int argc, char **argv) {
    memset(bench, 0, sizeof *bench);
    if (argc >= 4) {
        bench->url = argv[1];
        bench->total = bench_number(argv[2]);
        bench->concurrency = bench_number(argv[3]);
        bench->ca_file = argc > 4 ? argv[4] : NULL;
    }
    if (bench->total < 1 || bench->concurrency < 1) {
        fprintf(stderr, "usage: %s URL TOTAL CONCURRENCY [CA_FILE]\n", argv[0]);
        exit(2);
    }
    if (bench->total >= 4 * bench->concurrency) bench->warm_at = 2 * bench->concurrency;
    bench->began_s = bench_now();
}

static inline void bench_ok(struct bench *bench) {
    bench->ok++;
    if (bench->ok == bench->warm_at) {
        bench->warm_ok = bench->ok;
        bench->warm_wall_s = bench_now() - bench->began_s;
        bench->warm_cpu_s = bench_cpu();
    }
}

static inline void bench_failed(struct bench *bench, const char *why) {
    if (bench->failed++ == 0) fprintf(stderr, "%s\n", why);
}

/* Whether all requests have ended. */
static inline int bench_over(const struct bench *bench) {
    return bench->ok + bench->failed >= bench->total;
}

/* The largest resident size of this program. Not ru_maxrss: that begins with the size of whoever started it. */
static inline long bench_rss_max_kib(void) {
    char line[256];
    long kib = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "VmHWM: %ld", &kib) == 1) break;
    }
    if (file != NULL) fclose(file);
    return kib;
}

/* Prints the line; then, if BENCH_HOLD is set, stays with all connections open until stdin closes. */
static inline void bench_end(const struct bench *bench) {
    double wall = bench_now() - bench->began_s, cpu = bench_cpu();
    printf("{\"ok\": %ld, \"failed\": %ld, \"bytes\": %lld, \"wall_s\": %.6f, \"cpu_s\": %.6f, \"max_rss_kib\": %ld, "
           "\"warm_cpu_s\": %.6f, \"warm_wall_s\": %.6f, \"warm_ok\": %ld}\n",
           bench->ok, bench->failed, bench->bytes, wall, cpu, bench_rss_max_kib(), bench->warm_cpu_s, bench->warm_wall_s,
           bench->warm_ok);
    fflush(stdout);
    if (getenv("BENCH_HOLD") != NULL) getchar();
}

/* BENCH_BUFFER: bytes per read. */
static inline size_t bench_buffer(void) {
    const char *text = getenv("BENCH_BUFFER");
    return text != NULL && atol(text) > 0 ? (size_t)atol(text) : 65536;
}

#endif
