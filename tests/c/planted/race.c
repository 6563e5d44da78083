/* Goal: ThreadSanitizer sees races, in the library's own code and in a host's: else the silence of the other tests would say
 * nothing. Method: two threads, one certainly after the other but not ordered by anything the tool knows, let the library
 * ("library") write to one place or write there themselves ("host"). This program must be reported. */
#include "support.h"

static valtron_client *client;
static const char *where;
static atomic_int turn;
static ptrdiff_t place;

static void *writes(void *argument) {
    int mine = (int)(intptr_t)argument;
    /* Relaxed: an order in time that is none in the memory model. */
    while (atomic_load_explicit(&turn, memory_order_relaxed) != mine) sched_yield();
    if (strcmp(where, "host") == 0) place = mine;
    else OK(valtron_client_wait_handle(client, &place));
    atomic_store_explicit(&turn, mine + 1, memory_order_relaxed);
    return NULL;
}

int main(int argc, char **argv) {
    pthread_t threads[2];
    CHECK_INT(argc, 2);
    where = argv[1];
    watch_over();
    client = client_new();
    for (int i = 0; i < 2; i++) CHECK_INT(pthread_create(&threads[i], NULL, writes, (void *)(intptr_t)i), 0);
    for (int i = 0; i < 2; i++) CHECK_INT(pthread_join(threads[i], NULL), 0);
    valtron_client_free(client);
    return 0;
}
