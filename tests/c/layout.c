/* Goal: an accidental change of the interface's layout or of a number turns red. Method: every struct, field and constant
 * of the header against the table in layout.h; in C99, C11 and C++17. Standard C only, so without support.h. */
#include <stddef.h>
#include <stdio.h>

#include "valtron_http.h"

static int wrong = 0;

static void check(const char *what, long long got, long long want) {
    if (got == want) return;
    fprintf(stderr, "%s is %lld, not %lld\n", what, got, want);
    wrong = 1;
}

static void rows(void) {
#define STRUCT(name, size, first) check("sizeof " #name, (long long)sizeof(name), size);
#define FIELD(name, field, offset, size)                                               \
    check("offsetof " #name "." #field, (long long)offsetof(name, field), offset);     \
    check("sizeof " #name "." #field, (long long)sizeof(((name *)0)->field), size);
#define VALUE(name, value) check(#name, (long long)(name), value);
#include "layout.h"
    check("sizeof valtron_status", (long long)sizeof(valtron_status), 4);
    check("sizeof valtron_decision", (long long)sizeof(valtron_decision), 4);
    check("sizeof valtron_request", (long long)sizeof(valtron_request), 8);
    check("VALTRON_HEAD_INTERIM(3)", VALTRON_HEAD_INTERIM(3), 0x10003);
    check("VALTRON_HEAD_HOP(3)", VALTRON_HEAD_HOP(3), 0x20003);
    check("the library's VALTRON_ABI_VERSION", valtron_abi_version(), VALTRON_ABI_VERSION);
}

/* Each INIT macro gives every field a value, the size first. */
static void initial(void) {
    valtron_client_config client = VALTRON_CLIENT_CONFIG_INIT;
    valtron_request_config request = VALTRON_REQUEST_CONFIG_INIT;
    valtron_error_detail detail = VALTRON_ERROR_DETAIL_INIT;
    valtron_poll_info poll = VALTRON_POLL_INFO_INIT;
    valtron_request_info info = VALTRON_REQUEST_INFO_INIT;
    valtron_head head = VALTRON_HEAD_INIT;
    valtron_stats stats = VALTRON_STATS_INIT;
    valtron_allocator allocator = VALTRON_ALLOCATOR_INIT;
#define INITIAL(name) check(#name ".struct_size", (long long)name.struct_size, (long long)sizeof name)
    INITIAL(client);
    INITIAL(request);
    INITIAL(detail);
    INITIAL(poll);
    INITIAL(info);
    INITIAL(head);
    INITIAL(stats);
    INITIAL(allocator);
    check("worker_threads", client.worker_threads, -1);
    check("error", request.error == NULL, 1);
}

int main(void) {
#ifndef __x86_64__
    printf("SKIPPED: the table is that of x86_64\n");
    return 77;
#endif
    rows();
    initial();
    return wrong;
}
