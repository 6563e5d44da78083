/* What the game loop asks of a network library, so that another one can be driven in the very same loop (benches/game_curl.c):
 * a number of downloads that are always under way, each over a connection of its own. */
#ifndef GAME_DOWNLOADS_H
#define GAME_DOWNLOADS_H

#include <stdint.h>

#define DOWNLOADS_MAX 256

enum game_mode {
    GAME_INLINE, /* handshakes are computed inside the poll */
    GAME_TAKEN,  /* by the game's own job threads */
    GAME_WORKERS /* by threads of the library, which drive the downloads; a poll only collects */
};

enum tile_state { TILE_EMPTY, TILE_CONNECTING, TILE_HANDSHAKE, TILE_SENT, TILE_RECEIVING, TILE_STATES };

/* One download, to draw it. */
struct game_tile {
    enum tile_state state;
    float part; /* of the body */
};

struct game_counts {
    uint64_t done, failed, resumed, bytes;
};

struct game_hitches {
    double longest_poll_us, longest_step_us;
    const char *longest_step;
    uint64_t late_jobs; /* handshake steps that were done in a poll after all */
};

struct game_options {
    const char *url;
    const char *ca_file;
    int downloads;
    enum game_mode mode;
    int may_switch; /* the mode may change later */
};

/* Its name and version, and which build of it. */
const char *downloads_library(void);
const char *downloads_build(void);
/* Whether this build knows the mode. */
int downloads_has_mode(enum game_mode mode);

/* 0, or -1 after a line on stderr. */
int downloads_start(const struct game_options *options);
/* From and to GAME_WORKERS, all downloads begin anew. 0, or -1 after a line on stderr. */
int downloads_set_mode(enum game_mode mode);
/* The library's share of a frame: this is what is measured. */
void downloads_poll(uint64_t budget_us);
/* CPU time of this thread that the game's own callbacks took inside polls so far, in nanoseconds. */
int64_t downloads_callbacks_ns(void);
/* The game's share: takes what came, begins new downloads. */
void downloads_collect(void);
struct game_tile downloads_tile(int index);
struct game_counts downloads_counts(void);
/* 0 if the library does not tell. */
int downloads_hitches(struct game_hitches *hitches);
void downloads_stop(void);

#endif
