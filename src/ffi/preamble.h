
/* ==== What to know before the first call ==========================================================================

   Shape      Make a client. Create requests in it: that only enqueues. Drive it from your own loop with
              valtron_client_poll, which never blocks, or sleep in valtron_client_wait. Read events, heads and bodies.
              Free the requests and the client. valtron_client_perform does all of one request in one call instead.

   Results    Every call that can fail answers a valtron_status: 0 is good, negative is not. Outputs are written only
              when the call answers VALTRON_OK; the one exception is at valtron_client_perform. No "last error": a
              configuration has a field error, where a refusal says which field was wrong and why.

   Structs    Each that may grow begins with struct_size. Start from its INIT macro. A program compiled against a
              shorter struct keeps working with a newer library. Of an output struct only struct_size is read, and
              no byte beyond it is written.

   Values     Text is pointer and length, UTF-8; a NUL at its end is not needed. In limits and times 0 is the default
              and -1 is none. Flags are 0 or 1.

   Ownership  What you pass in is read during the call only, a body with body_release excepted. What the library points
              you to says how long it lives. Freeing NULL or the handle 0 does nothing.

   Callbacks  Run only inside the calls that drive (D in the table), on the thread that made the call, no lock held.
              They may call anything, also free their own request and their own client. They must not throw or longjmp.
              The allocator is no such callback: it must not call this library.

   Threads    "any": from any thread, several at once, also from callbacks. A client must not be freed while another
              thread is inside a call with it, or calls later.

              function                        threads                          blocks on
              valtron_version, _abi_version,  any                              nothing
                _features, _status_name,
                _status_message, _state_name
              valtron_set_allocator           before all others                nothing
              valtron_client_create           any                              nothing (reads the system's roots from
                                                                               files if VALTRON_TRUST_SYSTEM)
              valtron_client_poll           D any; while another thread        nothing; uses its budget plus one step
                                              drives: VALTRON_E_BUSY
              valtron_client_wait           D as poll                          events, wakeup, signals, its timeout
              valtron_client_wakeup           any; not in a signal handler     nothing
              valtron_client_wait_handle,     any                              nothing
                _next_events, _next_spawns,
                _stats
              valtron_client_shutdown       D any                              requests, threads, its timeout
              valtron_client_free             any one, last, also a callback   nothing
              valtron_request_create,         any                              nothing
                _cancel, _free, _error,
                _head, _trace, _url
              valtron_request_read, _peek,    any, one thread per request      nothing
                _consume                      at a time: the caller's duty
              valtron_request_poll          D any; while another thread        nothing; uses its budget plus one step
                                              drives it only looks
              valtron_request_wait          D any, several at once             the request, signals, its timeout
              valtron_client_perform        D any, several at once             the request, signals, its timeout
              valtron_action_decide           any                              nothing
              valtron_job_run                 any, not twice at once           a look-up's job: the name service
              valtron_job_free                any                              nothing

   Fork       In a child process every call with a client or job of the parent answers VALTRON_E_FORKED.
              valtron_client_free then closes its descriptors and leaves the parent undisturbed; new clients work.

   Guest      No signal handlers, no SIGPIPE, no output, no environment writes, no exit. Process-wide are only: a
              pthread_atfork handler, the allocator if you set one, and the promise to stay mapped after dlclose.
   ================================================================================================================== */

/* This header's version; valtron_version() tells the library's. */
#define VALTRON_VERSION_MAJOR 0
#define VALTRON_VERSION_MINOR 1
#define VALTRON_VERSION_PATCH 0
#define VALTRON_VERSION "0.1.0"
/* Changes only when programs must be compiled anew; valtron_abi_version() tells the library's. */
#define VALTRON_ABI_VERSION 1

/* Head: interim (1xx) response n, from 0. */
#define VALTRON_HEAD_INTERIM(n) (0x10000 + (int32_t)(n))
/* Head: the response that led to redirect n, from 0. */
#define VALTRON_HEAD_HOP(n) (0x20000 + (int32_t)(n))

/* Initial values: valtron_client_config config = VALTRON_CLIENT_CONFIG_INIT; */
#define VALTRON_CLIENT_CONFIG_INIT                                                                                     \
    { sizeof(valtron_client_config), -1, 0, NULL, NULL, 0, 0, 0, 0, NULL, 0, 0, 0, 0, 0, 0, 0, NULL, 0, NULL }
#define VALTRON_REQUEST_CONFIG_INIT                                                                                    \
    { sizeof(valtron_request_config), NULL, NULL, 0, NULL, 0, NULL, 0, 0, NULL, 0, NULL, NULL, 0, 0, 0, 0,             \
      0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, NULL, 0, NULL }
#define VALTRON_ERROR_DETAIL_INIT { sizeof(valtron_error_detail), 0, 0, 0, 0, 0, 0, 0, 0, 0, "" }
#define VALTRON_POLL_INFO_INIT { sizeof(valtron_poll_info), 0, 0, 0, 0, 0, 0, 0 }
#define VALTRON_REQUEST_INFO_INIT                                                                                      \
    { sizeof(valtron_request_info), NULL, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }
#define VALTRON_HEAD_INIT { sizeof(valtron_head), 0, 0, NULL, 0, NULL, 0, 0, NULL, 0, 0, 0 }
#define VALTRON_STATS_INIT { sizeof(valtron_stats), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }
#define VALTRON_HITCHES_INIT { sizeof(valtron_hitches), 0, 0, { 0 }, 0, 0, 0 }
#define VALTRON_ALLOCATOR_INIT { sizeof(valtron_allocator), NULL, NULL, NULL, NULL }
