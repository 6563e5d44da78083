/* A game's main loop with downloads in it: sixty frames a second, sixty-four HTTPS downloads under way, each with a handshake
 * of its own, and a graph of what each poll cost against its budget.
 *
 *   game_loop URL CA_FILE [--frames N] [--mode inline|taken|workers] [--budget MICROSECONDS] [--downloads N]
 *             [--keys KEYS] [--json] [--samples] [--screenshot FILE.bmp]
 *
 * Keys: I handshakes inside the poll, T taken by the game's job threads, M by the worker threads of the library's `multi` build,
 * + and - the budget, Esc ends. With --frames it ends by itself; --json then prints what the polls took, --samples with each of
 * them. --keys presses one of those keys every half second, to show them. */
#include <SDL.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "game_downloads.h"
#include "game_font.h"

#define FRAME_NS 16666667
/* Between two keys of --keys. */
#define KEY_FRAMES 30
#define WIDTH 960
#define HEIGHT 600
/* The samples kept; a longer game forgets its beginning. */
#define SAMPLES_MAX 65536
#define GRAPH_FRAMES 292
/* Class i holds polls shorter than 16 << i microseconds, as in valtron_hitches. */
#define CLASSES 16

/* What one frame cost: the poll by both clocks, and poll and collect together. In nanoseconds. */
struct sample {
    int64_t poll_cpu, poll_wall, net_cpu;
};

static struct sample samples[SAMPLES_MAX];
static long frames, late_frames;
static uint64_t budget_us = 2000;
static struct game_options options = {.downloads = 64, .mode = GAME_INLINE};
static const char *const mode_names[] = {"inline", "taken", "workers"};
static int show_hint;
static const char *keys = "";

/* ---- clocks and numbers ---- */

static int64_t clock_ns(clockid_t clock) {
    struct timespec at;
    clock_gettime(clock, &at);
    return (int64_t)at.tv_sec * 1000000000 + at.tv_nsec;
}

static void sleep_until(int64_t at) {
    struct timespec until = {at / 1000000000, at % 1000000000};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

static long kept(void) { return frames < SAMPLES_MAX ? frames : SAMPLES_MAX; }

struct spread {
    double p50, p99, p999, max;
};

static int ascending(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* In microseconds; `offset` says which number of the samples. */
static struct spread spread_of(size_t offset) {
    static int64_t sorted[SAMPLES_MAX];
    struct spread spread = {0, 0, 0, 0};
    long count = kept();
    if (count == 0) return spread;
    for (long i = 0; i < count; i++) memcpy(&sorted[i], (const char *)&samples[i] + offset, sizeof sorted[i]);
    qsort(sorted, (size_t)count, sizeof sorted[0], ascending);
    /* The smallest value that so many parts of all do not exceed. */
    spread.p50 = (double)sorted[(count * 500 + 999) / 1000 - 1] / 1e3;
    spread.p99 = (double)sorted[(count * 990 + 999) / 1000 - 1] / 1e3;
    spread.p999 = (double)sorted[(count * 999 + 999) / 1000 - 1] / 1e3;
    spread.max = (double)sorted[count - 1] / 1e3;
    return spread;
}

/* ---- drawing ---- */

static SDL_Renderer *renderer;

static void colour(unsigned rgb, unsigned alpha) {
    SDL_SetRenderDrawColor(renderer, (rgb >> 16) & 255, (rgb >> 8) & 255, rgb & 255, (Uint8)alpha);
}

static void box(float x, float y, float w, float h) {
    SDL_FRect rect = {x, y, w, h};
    SDL_RenderFillRectF(renderer, &rect);
}

static void write_text(int x, int y, int scale, unsigned rgb, const char *text) {
    SDL_Rect dots[512];
    int count = 0;
    colour(rgb, 255);
    for (; *text != '\0'; text++, x += 6 * scale) {
        const unsigned char *columns = game_font[*text >= 32 && *text < 127 ? *text - 32 : '?' - 32];
        for (int column = 0; column < 5; column++) {
            for (int row = 0; row < 8; row++) {
                if (!(columns[column] >> row & 1)) continue;
                if (count == 512) {
                    SDL_RenderFillRects(renderer, dots, count);
                    count = 0;
                }
                dots[count++] = (SDL_Rect){x + column * scale, y + row * scale, scale, scale};
            }
        }
    }
    SDL_RenderFillRects(renderer, dots, count);
}

static void panel(int x, int y, int w, int h, const char *title) {
    colour(0x0B1020, 205);
    box((float)x, (float)y, (float)w, (float)h);
    colour(0x3A4A70, 255);
    SDL_RenderDrawRect(renderer, &(SDL_Rect){x, y, w, h});
    write_text(x + 10, y + 8, 1, 0x9FB3D9, title);
}

/* Something that stutters visibly if a frame is late. */
static void draw_scene(double t) {
    for (int band = 0; band < 48; band++) {
        unsigned part = (unsigned)band * 255 / 48;
        colour((14 + part * 96 / 255) << 16 | (18 + part * 52 / 255) << 8 | (52 + part * 70 / 255), 255);
        box(0, (float)band * HEIGHT / 48, WIDTH, HEIGHT / 48 + 1);
    }
    for (unsigned star = 0; star < 140; star++) {
        unsigned seed = star * 2654435761u;
        double depth = 1 + star % 3, x = fmod((seed % 9973) / 9973.0 * WIDTH + WIDTH * 64.0 - t * 14 * depth, WIDTH);
        colour(0xFFFFFF, 60 + star % 3 * 80);
        box((float)x, (float)(seed / 9973 % 300), (float)depth, (float)depth);
    }
    for (int row = -46; row < 46; row++) {
        float half = sqrtf(46.0f * 46.0f - (float)(row * row));
        colour(0xFFD9A0, 235);
        box(470 - half, (float)(212 + row), 2 * half, 1);
    }
    for (int layer = 0; layer < 3; layer++) {
        static const unsigned shades[3] = {0x3B2F63, 0x2A2350, 0x191838};
        double speed = 22.0 * (1 << layer);
        colour(shades[layer], 255);
        for (int x = 0; x < WIDTH; x += 3) {
            double at = (x + t * speed) / (210.0 - layer * 45);
            double top = 238 + layer * 34 - 22 * sin(at) - 11 * sin(at * 2.3 + layer) - 5 * sin(at * 5.1);
            box((float)x, (float)top, 3, (float)(HEIGHT - top));
        }
    }
}

static unsigned tile_colour(enum tile_state state) {
    static const unsigned colours[TILE_STATES] = {0x222B45, 0x6C7A9C, 0xE8A33D, 0x5AA9E6, 0x4FC38A};
    return colours[state];
}

static void draw_tiles(int left, int top) {
    panel(left, top, 312, 138, "downloads, each with a handshake of its own");
    for (int i = 0; i < options.downloads && i < 64; i++) {
        struct game_tile tile = downloads_tile(i);
        float x = (float)(left + 10 + i % 16 * 18), y = (float)(top + 26 + i / 16 * 20);
        colour(0x222B45, 255);
        box(x, y, 16, 16);
        colour(tile_colour(tile.state), tile.state == TILE_RECEIVING ? 110 : 255);
        box(x, y, 16, 16);
        colour(tile_colour(tile.state), 255);
        if (tile.state == TILE_RECEIVING) box(x, y + 16 - 16 * tile.part, 16, 16 * tile.part);
    }
    static const char *const names[TILE_STATES] = {"", "connect", "handshake", "sent", "body"};
    int x = left + 10;
    for (int state = TILE_CONNECTING; state < TILE_STATES; state++) {
        colour(tile_colour((enum tile_state)state), 255);
        box((float)x, (float)(top + 114), 8, 8);
        write_text(x + 12, top + 115, 1, 0xC9D5EE, names[state]);
        x += 24 + 6 * (int)strlen(names[state]);
    }
}

/* The scale's end: 1, 2 or 5 times a power of ten milliseconds. */
static double round_up(double ms) {
    static const double steps[] = {1, 2, 5, 10};
    double power = pow(10, floor(log10(ms)));
    for (int i = 0; i < 4; i++) {
        if (ms <= steps[i] * power) return steps[i] * power;
    }
    return 10 * power;
}

static void draw_graph(int left, int top) {
    const int height = 160, base = top + 30 + height;
    double most = (double)budget_us / 1e3 * 1.6;
    long from = frames > GRAPH_FRAMES ? frames - GRAPH_FRAMES : 0;
    char text[64];
    panel(left, top, 604, 204, "poll per frame: CPU time, and what else passed on the wall");
    for (long i = from; i < frames; i++) most = fmax(most, (double)samples[i % SAMPLES_MAX].poll_cpu / 1e6 * 1.1);
    most = round_up(most);
    for (long i = from; i < frames; i++) {
        const struct sample *sample = &samples[i % SAMPLES_MAX];
        float x = (float)(left + 10 + (i - from) * 2);
        float cpu = (float)fmin(1, (double)sample->poll_cpu / 1e6 / most) * height;
        float wall = (float)fmin(1, (double)sample->poll_wall / 1e6 / most) * height;
        colour(0x4A5878, 255);
        box(x, (float)base - wall, 2, wall);
        /* A step may run over; half a millisecond more is no step any more. */
        colour(sample->poll_cpu > (int64_t)budget_us * 1000 + 500000 ? 0xE5564B : 0x5AA9E6, 255);
        box(x, (float)base - cpu, 2, cpu);
    }
    float line = (float)base - (float)((double)budget_us / 1e3 / most) * height;
    colour(0xF2D06B, 255);
    box((float)left + 10, line, 584, 1);
    snprintf(text, sizeof text, "budget %.1f ms", (double)budget_us / 1e3);
    write_text(left + 14, (int)line - 10, 1, 0xF2D06B, text);
    snprintf(text, sizeof text, "%g ms", most);
    write_text(left + 594 - 6 * (int)strlen(text), top + 8, 1, 0x9FB3D9, text);
}

static void draw_histogram(int left, int top) {
    long counts[CLASSES] = {0}, most = 1;
    const int height = 140, base = top + 30 + height;
    panel(left, top, 312, 204, "polls by CPU time (logarithmic)");
    for (long i = 0; i < kept(); i++) {
        int class = 0;
        while (class < CLASSES - 1 && samples[i].poll_cpu >= (int64_t)16000 << class) class++;
        if (++counts[class] > most) most = counts[class];
    }
    for (int class = 0; class < CLASSES; class++) {
        float x = (float)(left + 12 + class * 18);
        float h = (float)(log(1 + (double)counts[class]) / log(1 + (double)most)) * height;
        /* Red: classes that begin above budget and step. */
        colour(class > 0 && (16 << (class - 1)) > (int)budget_us + 500 ? 0xE5564B : 0x4FC38A, 255);
        box(x, (float)base - h, 15, h);
        if (class % 3 == 0) {
            static const char *const ends[] = {"16us", "128us", "1ms", "8ms", "65ms", ""};
            write_text((int)x - 2, base + 8, 1, 0xC9D5EE, ends[class / 3]);
        }
    }
}

static void draw_text(double seconds) {
    static struct spread cpu, wall;
    struct game_counts counts = downloads_counts();
    struct game_hitches hitches;
    char line[256];
    if (frames % 30 == 1) {
        cpu = spread_of(offsetof(struct sample, poll_cpu));
        wall = spread_of(offsetof(struct sample, poll_wall));
    }
    panel(16, 16, 604, 138, "");
    snprintf(line, sizeof line, "%s", downloads_library());
    write_text(28, 28, 2, 0xFFFFFF, line);
    snprintf(line, sizeof line, "%s build, handshakes %s", downloads_build(),
             options.mode == GAME_TAKEN     ? "taken by job threads"
             : options.mode == GAME_WORKERS ? "by its worker threads"
                                            : "inside the poll");
    write_text(28, 50, 2, 0xF2D06B, line);
    snprintf(line, sizeof line, "%d downloads under way, %llu done (%.0f a second), %llu failed, %.0f MB", options.downloads,
             (unsigned long long)counts.done, (double)counts.done / fmax(seconds, 0.001), (unsigned long long)counts.failed,
             (double)counts.bytes / 1e6);
    write_text(28, 76, 1, 0xC9D5EE, line);
    if (downloads_hitches(&hitches)) {
        snprintf(line, sizeof line, "told by the library: longest poll %.0f us, longest step %.0f us (%s), late jobs %llu",
                 hitches.longest_poll_us, hitches.longest_step_us, hitches.longest_step, (unsigned long long)hitches.late_jobs);
        write_text(28, 92, 1, 0xC9D5EE, line);
    }
    snprintf(line, sizeof line, "frame %ld, %ld late", frames, late_frames);
    write_text(28, 108, 1, 0xC9D5EE, line);
    write_text(28, 132, 1, 0x9FB3D9,
               show_hint ? "not with this library: it takes a libvaltron_http.so that was built with the feature `multi`"
                         : "I inline   T taken   M multi   + - budget   Esc end");
    panel(16, 548, 928, 40, "");
    snprintf(line, sizeof line, "CPU  us   p50 %6.0f   p99 %6.0f   p99.9 %6.0f   max %6.0f", cpu.p50, cpu.p99, cpu.p999, cpu.max);
    write_text(28, 564, 1, 0x5AA9E6, line);
    snprintf(line, sizeof line, "wall us   p50 %6.0f   p99 %6.0f   p99.9 %6.0f   max %6.0f", wall.p50, wall.p99, wall.p999,
             wall.max);
    write_text(500, 564, 1, 0xC9D5EE, line);
}

static void draw(double seconds) {
    draw_scene(seconds);
    draw_text(seconds);
    draw_tiles(632, 16);
    draw_graph(16, 332);
    draw_histogram(632, 332);
}

/* ---- the loop ---- */

/* 1: the game ends, since it cannot go on. */
static int set_mode(enum game_mode mode) {
    show_hint = !downloads_has_mode(mode);
    if (show_hint) return 0;
    options.mode = mode;
    return downloads_set_mode(mode) != 0;
}

/* What --keys asks for goes the way of a key that somebody presses: its code is its letter. */
static void press_next_key(void) {
    SDL_Event event = {.type = SDL_KEYDOWN};
    if (*keys == '\0' || frames % KEY_FRAMES != KEY_FRAMES - 1) return;
    event.key.keysym.sym = SDL_tolower(*keys++);
    SDL_PushEvent(&event);
}

/* 1: the game ends. */
static int handle_keys(void) {
    SDL_Event event;
    press_next_key();
    while (SDL_PollEvent(&event)) {
        if (event.type == SDL_QUIT) return 1;
        if (event.type != SDL_KEYDOWN) continue;
        switch (event.key.keysym.sym) {
        case SDLK_ESCAPE: return 1;
        case SDLK_i:
            if (set_mode(GAME_INLINE)) return 1;
            break;
        case SDLK_t:
            if (set_mode(GAME_TAKEN)) return 1;
            break;
        case SDLK_m:
            if (set_mode(GAME_WORKERS)) return 1;
            break;
        case SDLK_PLUS:
        case SDLK_EQUALS: /* Plus is the same key with shift on many keyboards. */
        case SDLK_KP_PLUS: budget_us += 250; break;
        case SDLK_MINUS:
        case SDLK_KP_MINUS: budget_us -= budget_us > 250 ? 250 : 0; break;
        default: break;
        }
    }
    return 0;
}

static void drive_network(void) {
    int64_t wall = clock_ns(CLOCK_MONOTONIC), cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    struct sample *sample = &samples[frames % SAMPLES_MAX];
    int64_t callbacks = downloads_callbacks_ns();
    downloads_poll(budget_us);
    /* What the library asked the game to do is the game's. */
    sample->poll_cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu - (downloads_callbacks_ns() - callbacks);
    sample->poll_wall = clock_ns(CLOCK_MONOTONIC) - wall;
    downloads_collect();
    sample->net_cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu;
    frames++;
}

static void print_spread(const char *name, struct spread spread) {
    printf("\"%s\": {\"p50\": %.1f, \"p99\": %.1f, \"p999\": %.1f, \"max\": %.1f}, ", name, spread.p50, spread.p99, spread.p999,
           spread.max);
}

/* Of every frame, in no order that is told: a longer game has written over its beginning. */
static void print_samples(const char *name, size_t offset) {
    printf("\"%s\": [", name);
    for (long i = 0; i < kept(); i++) {
        int64_t ns;
        memcpy(&ns, (const char *)&samples[i] + offset, sizeof ns);
        printf("%s%.1f", i > 0 ? "," : "", (double)ns / 1e3);
    }
    printf("], ");
}

static void print_json(double seconds, int with_samples) {
    struct game_counts counts = downloads_counts();
    struct game_hitches hitches;
    printf("{\"library\": \"%s\", \"build\": \"%s\", \"mode\": \"%s\", \"budget_us\": %llu, \"downloads\": %d, ",
           downloads_library(), downloads_build(), mode_names[options.mode],
           (unsigned long long)budget_us, options.downloads);
    print_spread("poll_cpu_us", spread_of(offsetof(struct sample, poll_cpu)));
    print_spread("poll_wall_us", spread_of(offsetof(struct sample, poll_wall)));
    print_spread("net_cpu_us", spread_of(offsetof(struct sample, net_cpu)));
    if (downloads_hitches(&hitches)) {
        printf("\"longest_poll_us\": %.1f, \"longest_step_us\": %.1f, \"longest_step\": \"%s\", \"late_jobs\": %llu, ",
               hitches.longest_poll_us, hitches.longest_step_us, hitches.longest_step, (unsigned long long)hitches.late_jobs);
    }
    if (with_samples) {
        print_samples("poll_cpu_samples_us", offsetof(struct sample, poll_cpu));
        print_samples("poll_wall_samples_us", offsetof(struct sample, poll_wall));
        print_samples("net_cpu_samples_us", offsetof(struct sample, net_cpu));
    }
    printf("\"frames\": %ld, \"late_frames\": %ld, \"wall_s\": %.3f, \"done\": %llu, \"failed\": %llu, \"resumed\": %llu, "
           "\"bytes\": %llu}\n",
           frames, late_frames, seconds, (unsigned long long)counts.done, (unsigned long long)counts.failed,
           (unsigned long long)counts.resumed, (unsigned long long)counts.bytes);
}

static int save_screenshot(const char *path) {
    SDL_Surface *surface = SDL_CreateRGBSurfaceWithFormat(0, WIDTH, HEIGHT, 32, SDL_PIXELFORMAT_ARGB8888);
    int result = surface == NULL ||
                 SDL_RenderReadPixels(renderer, NULL, surface->format->format, surface->pixels, surface->pitch) != 0 ||
                 SDL_SaveBMP(surface, path) != 0;
    if (result) fprintf(stderr, "%s: %s\n", path, SDL_GetError());
    SDL_FreeSurface(surface);
    return result;
}

static int usage(void) {
    fprintf(stderr, "usage: game_loop URL CA_FILE [--frames N] [--mode inline|taken|workers] [--budget MICROSECONDS]\n"
                    "                 [--downloads N] [--keys KEYS] [--json] [--samples] [--screenshot FILE.bmp]\n");
    return 2;
}

/* Digits, and no more of them than any option needs. */
static int is_number(const char *text) {
    size_t digits = strspn(text, "0123456789");
    return digits > 0 && digits <= 9 && text[digits] == '\0';
}

static int read_mode(const char *name) {
    for (int i = GAME_INLINE; i <= GAME_WORKERS; i++) {
        if (strcmp(name, mode_names[i]) != 0) continue;
        options.mode = (enum game_mode)i;
        return downloads_has_mode(options.mode);
    }
    return 0;
}

int main(int argc, char **argv) {
    const char *screenshot = NULL;
    long frames_max = 0;
    int json = 0, with_samples = 0, result = 0;
    SDL_Window *window;
    int64_t began, next;
    if (argc < 3) return usage();
    options.url = argv[1];
    options.ca_file = argv[2];
    if (downloads_has_mode(GAME_WORKERS)) options.mode = GAME_WORKERS;
    for (int i = 3; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--json") == 0) {
            json = 1;
            continue;
        }
        if (strcmp(argv[i], "--samples") == 0) {
            with_samples = 1;
            continue;
        }
        int known = 1;
        if (strcmp(argv[i], "--frames") == 0 && is_number(value)) frames_max = atol(value);
        else if (strcmp(argv[i], "--budget") == 0 && is_number(value)) budget_us = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--downloads") == 0 && is_number(value)) options.downloads = atoi(value);
        else if (strcmp(argv[i], "--screenshot") == 0 && *value != '\0') screenshot = value;
        else if (strcmp(argv[i], "--keys") == 0 && *value != '\0') keys = value;
        else if (strcmp(argv[i], "--mode") == 0) known = read_mode(value);
        else known = 0;
        if (!known) return usage();
        i++;
    }
    if (options.downloads < 1 || options.downloads > DOWNLOADS_MAX) return usage();
    options.may_switch = frames_max == 0 || *keys != '\0';

    if (SDL_Init(SDL_INIT_VIDEO) != 0 ||
        (window = SDL_CreateWindow("valtron_http: downloads in a game loop", SDL_WINDOWPOS_CENTERED, SDL_WINDOWPOS_CENTERED, WIDTH,
                                   HEIGHT, 0)) == NULL ||
        ((renderer = SDL_CreateRenderer(window, -1, 0)) == NULL &&
         (renderer = SDL_CreateRenderer(window, -1, SDL_RENDERER_SOFTWARE)) == NULL)) {
        fprintf(stderr, "SDL: %s\n", SDL_GetError());
        return 1;
    }
    SDL_SetRenderDrawBlendMode(renderer, SDL_BLENDMODE_BLEND);
    if (downloads_start(&options) != 0) return 1;

    began = next = clock_ns(CLOCK_MONOTONIC);
    while (!handle_keys() && (frames_max == 0 || frames < frames_max)) {
        drive_network();
        draw((double)(clock_ns(CLOCK_MONOTONIC) - began) / 1e9);
        SDL_RenderPresent(renderer);
        next += FRAME_NS;
        if (clock_ns(CLOCK_MONOTONIC) > next) {
            /* A late frame is not made up for: the next one begins now. */
            late_frames++;
            next = clock_ns(CLOCK_MONOTONIC);
        }
        sleep_until(next);
    }

    if (json) print_json((double)(clock_ns(CLOCK_MONOTONIC) - began) / 1e9, with_samples);
    if (screenshot != NULL) {
        /* What was presented may be gone. */
        draw((double)(clock_ns(CLOCK_MONOTONIC) - began) / 1e9);
        result = save_screenshot(screenshot);
    }
    if (downloads_counts().done == 0 || downloads_counts().failed > 0) result = 1;
    downloads_stop();
    SDL_DestroyRenderer(renderer);
    SDL_DestroyWindow(window);
    SDL_Quit();
    return result;
}
