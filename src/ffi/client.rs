//! Clients: made, driven, asked, freed.

use std::time::Duration;

use super::answers;
use super::convert::{self, OrRefuse};
use super::held::Held;
use super::pointers::{array_out, optional_out_struct, out, out_struct};
use super::types::*;
use crate::client::Argument;

/// Makes a client and writes it to *client*; the caller owns it and frees it with valtron_client_free.
///
/// *config* may be NULL for the defaults; what it points to is copied. Any thread. Blocks on nothing, except that
/// VALTRON_TRUST_SYSTEM reads the system's certificates from files. Starts the worker threads of a build that has
/// them. If it refuses and config->error is set, that gets the particulars, but not with _STRUCT_SIZE, where *config*
/// is not read. Errors: VALTRON_E_NULL_OUTPUT, _NULL_BUFFER, _NULL_CALLBACK, _STRUCT_SIZE, _ENUM_RANGE, _LIMIT_RANGE,
/// _CA_PEM, _TLS_UNAVAILABLE, _HEADER_VALUE (user_agent), _NO_MEMORY, _NO_DESCRIPTORS, _NO_THREAD, _SYSTEM.
#[no_mangle]
pub unsafe extern "C" fn valtron_client_create(
    config: *const valtron_client_config,
    client: *mut *mut valtron_client,
) -> valtron_status {
    ffi_fn!(status {
        // SAFETY: the caller promises that both are NULL or good for their types, and what config points to as its
        // fields say.
        let (client, config) = unsafe { (out(client), convert::client_config(config)?) };
        config.create(|config| {
            client.or_refuse(Argument::Output)?.put(Held::create(config)?);
            Ok(())
        })
    })
}

/// Drives the client without ever blocking, for about *budget_us* microseconds: never longer than the budget and one
/// step of one request. 0 is one turn: each request that is ready gets one step, and a few hundred new ones are begun.
///
/// *info* may be NULL. It says whether there is work left, and until when nothing needs to be done. Blocks on
/// nothing. Any thread; while another one drives: VALTRON_E_BUSY. Callbacks run inside. Errors:
/// VALTRON_E_NULL_CLIENT, _STRUCT_SIZE, _BUSY, _FORKED, _POISONED, _INTERNAL.
#[no_mangle]
pub unsafe extern "C" fn valtron_client_poll(
    client: *mut valtron_client,
    budget_us: u64,
    info: *mut valtron_poll_info,
) -> valtron_status {
    ffi_fn!(driving client, |held| {
        // SAFETY: the caller promises that info is NULL or good for its struct_size.
        let info = unsafe { optional_out_struct(info)? };
        let now = held.client.poll(Duration::from_micros(budget_us))?;
        info.put(&answers::poll_info(&now));
        Ok(())
    })
}

/// Drives the client until there is an event or a question to fetch, valtron_client_wakeup was called, a signal came,
/// or *timeout_ms* milliseconds are over; -1: no limit, 0 as valtron_client_poll with 0.
///
/// *info* may be NULL. Any thread; while another one drives: VALTRON_E_BUSY. Blocks on what it says above. Callbacks
/// run inside. The time's end is no error. Errors: VALTRON_E_NULL_CLIENT, _STRUCT_SIZE, _LIMIT_RANGE, _BUSY,
/// _INTERRUPTED, _FORKED, _POISONED, _SYSTEM, _INTERNAL.
#[no_mangle]
pub unsafe extern "C" fn valtron_client_wait(
    client: *mut valtron_client,
    timeout_ms: i32,
    info: *mut valtron_poll_info,
) -> valtron_status {
    ffi_fn!(driving client, |held| {
        // SAFETY: the caller promises that info is NULL or good for its struct_size.
        let info = unsafe { optional_out_struct(info)? };
        let now = held.client.wait(convert::call_timeout(timeout_ms)?)?;
        info.put(&answers::poll_info(&now));
        Ok(())
    })
}

/// Ends the present valtron_client_wait, or the next one if there is none; several calls before it count as one.
///
/// Any thread, but no signal handler. Blocks on nothing. Errors: VALTRON_E_NULL_CLIENT, _FORKED, _POISONED.
#[no_mangle]
pub unsafe extern "C" fn valtron_client_wakeup(client: *mut valtron_client) -> valtron_status {
    ffi_fn!(client, |held| {
        held.client.wakeup();
        Ok(())
    })
}

/// Writes to *handle* what to watch in a loop of one's own: a descriptor that is readable while valtron_client_poll
/// has work. It may be readable without: at first, until the first poll, and now and then when a thread of the
/// library was late to tell.
///
/// The library owns it: watch it for reading, nothing else, and no longer than the client lives. Deadlines do not
/// make it readable: use next_deadline_us of valtron_poll_info as the loop's timeout. Any thread. Blocks on nothing.
/// Errors: VALTRON_E_NULL_CLIENT, _NULL_OUTPUT, _UNSUPPORTED where there is none, _FORKED, _POISONED.
#[no_mangle]
pub unsafe extern "C" fn valtron_client_wait_handle(client: *mut valtron_client, handle: *mut isize) -> valtron_status {
    ffi_fn!(client, |held| {
        // SAFETY: the caller promises that it is NULL or good for its type.
        let handle = unsafe { out(handle)? };
        handle.put(held.client.wait_handle()? as isize);
        Ok(())
    })
}

/// Takes up to *cap* events out and writes them to *events*, an array with *event_size* bytes from one to the next
/// (sizeof(valtron_event)); *count* gets how many. A request has at most one event waiting: what happens meanwhile
/// joins it.
///
/// Fewer than *cap*: none are left. Requests of valtron_client_perform have no events. Any thread; an event goes to
/// one caller. Blocks on nothing, and works on a poisoned client. Errors: VALTRON_E_NULL_CLIENT, _NULL_BUFFER,
/// _NULL_OUTPUT, _STRIDE, _FORKED.
#[no_mangle]
pub unsafe extern "C" fn valtron_client_next_events(
    client: *mut valtron_client,
    events: *mut valtron_event,
    event_size: usize,
    cap: usize,
    count: *mut usize,
) -> valtron_status {
    ffi_fn!(client, |held| {
        // SAFETY: the caller promises that events is NULL or good for cap elements of event_size bytes, and count for a
        // size_t.
        let (events, count) = unsafe { (array_out(events, event_size, cap)?, out(count)?) };
        let mut next = held.client.events(events.cap());
        count.put(events.fill(|| next().map(|event| answers::event(&event))));
        Ok(())
    })
}

/// Hands out up to *cap* questions that no callback answers, each once per step, to *spawns*, an array with
/// *spawn_size* bytes from one to the next (sizeof(valtron_spawn)); *count* gets how many. Answer with
/// valtron_action_decide.
///
/// The text of a question lives until the question is decided, or its request or the client freed. Any thread; a
/// question goes to one caller. Blocks on nothing. Errors: VALTRON_E_NULL_CLIENT, _NULL_BUFFER, _NULL_OUTPUT,
/// _STRIDE, _FORKED, _POISONED.
#[no_mangle]
pub unsafe extern "C" fn valtron_client_next_spawns(
    client: *mut valtron_client,
    spawns: *mut valtron_spawn,
    spawn_size: usize,
    cap: usize,
    count: *mut usize,
) -> valtron_status {
    ffi_fn!(client, |held| {
        // SAFETY: the caller promises that spawns is NULL or good for cap elements of spawn_size bytes, and count for a
        // size_t.
        let (spawns, count) = unsafe { (array_out(spawns, spawn_size, cap)?, out(count)?) };
        count.put(spawns.fill(|| held.client.next_spawn().map(|spawn| answers::spawn(&held.texts.keep(spawn)))));
        Ok(())
    })
}

/// Writes the client's counters to *stats*.
///
/// Any thread. Blocks on nothing. Errors: VALTRON_E_NULL_CLIENT, _NULL_OUTPUT, _STRUCT_SIZE, _FORKED.
#[no_mangle]
pub unsafe extern "C" fn valtron_client_stats(
    client: *mut valtron_client,
    stats: *mut valtron_stats,
) -> valtron_status {
    ffi_fn!(client, |held| {
        // SAFETY: the caller promises that it is NULL or good for its struct_size.
        let stats = unsafe { out_struct(stats)? };
        stats.put(&answers::stats(&held.client.stats()));
        Ok(())
    })
}

/// Writes to *hitches* how long polls took and what took longest; *reset* other than 0: and counts anew from here on.
///
/// Any thread. Blocks on nothing, and costs no system call. Errors: VALTRON_E_NULL_CLIENT, _NULL_OUTPUT, _STRUCT_SIZE,
/// _FORKED.
#[no_mangle]
pub unsafe extern "C" fn valtron_client_hitches(
    client: *mut valtron_client,
    reset: i32,
    hitches: *mut valtron_hitches,
) -> valtron_status {
    ffi_fn!(client, |held| {
        // SAFETY: the caller promises that it is NULL or good for its struct_size.
        let hitches = unsafe { out_struct(hitches)? };
        hitches.put(&answers::hitches(&held.client.hitches(reset != 0)));
        Ok(())
    })
}

/// Ends every request with VALTRON_E_SHUTDOWN, refuses new ones, and joins the client's threads. Events and bodies
/// already there can still be fetched. A second call is harmless.
///
/// Any thread. Blocks until that is done, at most *timeout_ms* milliseconds; -1: no limit. Only a look-up that the
/// name service holds up can take long. Releases of borrowed bodies run inside. Errors: VALTRON_E_NULL_CLIENT,
/// _LIMIT_RANGE, _WAIT_TIMEOUT (call again), _INTERRUPTED, _FORKED, _INTERNAL.
#[no_mangle]
pub unsafe extern "C" fn valtron_client_shutdown(client: *mut valtron_client, timeout_ms: i32) -> valtron_status {
    ffi_fn!(driving client, |held| {
        held.client.shutdown(convert::call_timeout(timeout_ms)?)
    })
}

/// Frees the client and all its requests. NULL does nothing. Handles and pointers got from them are dead afterwards;
/// jobs are not: run, they answer VALTRON_E_JOB_CANCELLED, and want their valtron_job_free.
///
/// Any one thread, inside a callback of this client too; no other thread may be inside a call with it or make one
/// later. Blocks on nothing: threads still busy end by themselves; one that is just sending from a borrowed body is
/// waited for until that call of the system returns, microseconds later. Releases of borrowed bodies run inside. In a
/// child process it closes the child's copies of the descriptors and nothing else.
#[no_mangle]
pub unsafe extern "C" fn valtron_client_free(client: *mut valtron_client) {
    ffi_fn!(value {
        // SAFETY: the caller promises that it is NULL or came from valtron_client_create and is not used any more.
        unsafe { Held::free(client) }
    })
}
