//! Requests: made, waited for, read, freed.

use std::time::Duration;

use super::answers;
use super::convert::{self, OrRefuse};
use super::pointers::{array_out, buffer_out, out, out_struct};
use super::types::*;
use crate::client::Argument;

/// Creates a request and writes its handle to *request*; free it with valtron_request_free. Nothing is looked up or
/// connected here: driving the client does that.
///
/// Any thread. Blocks on nothing. If it refuses and config->error is set, that gets the particulars, but not with
/// _NULL_CLIENT, _NULL_CONFIG and _STRUCT_SIZE, where *config* is not read. Errors: VALTRON_E_NULL_CLIENT,
/// _NULL_CONFIG, _NULL_OUTPUT, _NULL_BUFFER, _STRUCT_SIZE, _ENUM_RANGE, _LIMIT_RANGE, _STRIDE, _URL_*, _METHOD*,
/// _HEADER_*, _UNSUPPORTED, _TLS_UNAVAILABLE, _TOO_MANY_REQUESTS, _NO_MEMORY, _SHUTDOWN, _FORKED, _POISONED, _INTERNAL.
#[no_mangle]
pub unsafe extern "C" fn valtron_request_create(
    client: *mut valtron_client,
    config: *const valtron_request_config,
    request: *mut valtron_request,
) -> valtron_status {
    ffi_fn!(client, |held| {
        // SAFETY: the caller promises that both are NULL or good for their types, and what config points to as its
        // fields say.
        let (config, request) = unsafe { (convert::request_config(config, &held.releases)?, out(request)) };
        config.submit(|config| {
            let request = request.or_refuse(Argument::Output)?;
            request.put(held.client.request_create(config)?);
            Ok(())
        })
    })
}

/// Drives this request for about *budget_us* microseconds without blocking, and writes how it stands to *info*; 0
/// only looks.
///
/// Blocks on nothing. Any thread; while another one drives it only looks. Callbacks run inside. Errors:
/// VALTRON_E_NULL_CLIENT, _NULL_OUTPUT, _STRUCT_SIZE, _HANDLE*, _FORKED, _POISONED, _INTERNAL. That the request
/// failed is no error of this call: see info->status.
#[no_mangle]
pub unsafe extern "C" fn valtron_request_poll(
    client: *mut valtron_client,
    request: valtron_request,
    budget_us: u64,
    info: *mut valtron_request_info,
) -> valtron_status {
    ffi_fn!(driving client, |held| {
        // SAFETY: the caller promises that it is NULL or good for its struct_size.
        let info = unsafe { out_struct(info)? };
        let now = held.client.request_poll(request, Duration::from_micros(budget_us))?;
        info.put(&answers::request_info(&now));
        Ok(())
    })
}

/// Waits, driving the client, until the request got as far as *until* (VALTRON_UNTIL_ values, or-ed) or ended, and
/// writes how it stands to *info*.
///
/// Any thread, several at once. Blocks on the request, a signal (VALTRON_E_INTERRUPTED) and *timeout_ms* milliseconds
/// (VALTRON_E_WAIT_TIMEOUT; -1: no limit); the request lives on, and the call can be made again. Callbacks run
/// inside. Further errors: VALTRON_E_NULL_CLIENT, _NULL_OUTPUT, _STRUCT_SIZE, _ENUM_RANGE, _LIMIT_RANGE, _HANDLE*,
/// _FORKED, _POISONED, _INTERNAL.
#[no_mangle]
pub unsafe extern "C" fn valtron_request_wait(
    client: *mut valtron_client,
    request: valtron_request,
    until: u32,
    timeout_ms: i32,
    info: *mut valtron_request_info,
) -> valtron_status {
    ffi_fn!(driving client, |held| {
        // SAFETY: the caller promises that it is NULL or good for its struct_size.
        let info = unsafe { out_struct(info)? };
        let (until, timeout) = (convert::until(until)?, convert::call_timeout(timeout_ms)?);
        let now = convert::waited(held.client.request_wait(request, until, timeout))?;
        info.put(&answers::request_info(&now));
        Ok(())
    })
}

/// valtron_request_create and valtron_request_wait in one, with all the work on the calling thread. The request has
/// no events. It still wants its valtron_request_free.
///
/// *request* and *info* are written when the call returns with VALTRON_OK, VALTRON_E_INTERRUPTED or
/// VALTRON_E_WAIT_TIMEOUT, and not before: a callback inside does not find the handle there. After the last two
/// valtron_request_wait and valtron_request_poll drive the request further, and only they: calls that drive the
/// client do not. With any other error there is no request, or no more, as with VALTRON_E_HANDLE_STALE if a callback
/// freed it; both are left as they were, and config->error is filled if none was made. VALTRON_OK says that *until*
/// was reached or the request ended, well or not: see info->status. Any thread, any number at once. Blocks and runs
/// callbacks as valtron_request_wait. Errors: those of both.
#[no_mangle]
pub unsafe extern "C" fn valtron_client_perform(
    client: *mut valtron_client,
    config: *const valtron_request_config,
    until: u32,
    timeout_ms: i32,
    request: *mut valtron_request,
    info: *mut valtron_request_info,
) -> valtron_status {
    ffi_fn!(driving client, |held| {
        // SAFETY: the caller promises that all are NULL or good for their types, and what config points to as its
        // fields say.
        let config = unsafe { convert::request_config(config, &held.releases)? };
        // SAFETY: as above.
        let places = unsafe { (out(request), out_struct(info)) };
        let status = config.submit(|config| {
            let (request, info) = (places.0.or_refuse(Argument::Output)?, places.1.or_refuse(Argument::Output)?);
            let (status, made) = convert::perform(&held.client, config, until, timeout_ms)?;
            if let Some((handle, now)) = made {
                request.put(handle);
                info.put(&answers::request_info(&now));
            }
            Ok(status)
        })?;
        convert::answer(status)
    })
}

/// Writes to *head* where one head of the request lies: *which* is VALTRON_HEAD_FINAL, VALTRON_HEAD_TRAILERS,
/// VALTRON_HEAD_INTERIM(n) or VALTRON_HEAD_HOP(n).
///
/// The library owns what it points to; it never changes, and lives until valtron_request_free. Any thread. Blocks on
/// nothing. Errors: VALTRON_E_NULL_CLIENT, _NULL_OUTPUT, _STRUCT_SIZE, _ENUM_RANGE, _NO_HEAD, _HANDLE*, _FORKED,
/// _POISONED.
#[no_mangle]
pub unsafe extern "C" fn valtron_request_head(
    client: *mut valtron_client,
    request: valtron_request,
    which: i32,
    head: *mut valtron_head,
) -> valtron_status {
    ffi_fn!(client, |held| {
        // SAFETY: the caller promises that it is NULL or good for its struct_size.
        let head = unsafe { out_struct(head)? };
        let record = held.client.request_head(request, convert::head_kind(which)?)?;
        head.put(&answers::head(&record));
        Ok(())
    })
}

/// Copies up to *cap* body bytes to *buffer* and takes them out; *read* gets how many. VALTRON_OK with 0 (and *cap*
/// not 0) is the body's end.
///
/// Any thread, but only one per request at a time, which is the caller's duty: two at once get the bytes in no order
/// that can be told. Blocks on nothing: VALTRON_E_WOULD_BLOCK if nothing is there yet. Once the request failed and
/// what came before is read: its own error. Further errors: VALTRON_E_NULL_CLIENT, _NULL_BUFFER, _NULL_OUTPUT,
/// _HANDLE*, _FORKED, _POISONED.
#[no_mangle]
pub unsafe extern "C" fn valtron_request_read(
    client: *mut valtron_client,
    request: valtron_request,
    buffer: *mut u8,
    cap: usize,
    read: *mut usize,
) -> valtron_status {
    ffi_fn!(client, |held| {
        // SAFETY: the caller promises that buffer is NULL or good for cap bytes that nobody else touches, and read for
        // a size_t.
        let (buffer, read) = unsafe { (buffer_out(buffer, cap)?, out(read)?) };
        read.put(held.client.request_read(request, buffer)?);
        Ok(())
    })
}

/// Writes to *bytes* and *len* where body bytes lie that can be read in place; take them out with
/// valtron_request_consume. VALTRON_OK with 0 is the body's end.
///
/// The library owns them; they live until consume, read or free of this request, so none of these may be called
/// elsewhere while they are used. Any thread, one per request at a time. Blocks on nothing. Errors: as
/// valtron_request_read.
#[no_mangle]
pub unsafe extern "C" fn valtron_request_peek(
    client: *mut valtron_client,
    request: valtron_request,
    bytes: *mut *const u8,
    len: *mut usize,
) -> valtron_status {
    ffi_fn!(client, |held| {
        // SAFETY: the caller promises that both are NULL or good for their types.
        let (bytes, len) = unsafe { (out(bytes)?, out(len)?) };
        let (start, available) = held.client.request_peek(request)?;
        bytes.put(start);
        len.put(available);
        Ok(())
    })
}

/// Takes the first *len* body bytes out, which valtron_request_peek showed.
///
/// Any thread, one per request at a time. Blocks on nothing. Errors: VALTRON_E_NULL_CLIENT, _NOT_CONSUMED if there
/// are fewer, _HANDLE*, _FORKED, _POISONED.
#[no_mangle]
pub unsafe extern "C" fn valtron_request_consume(
    client: *mut valtron_client,
    request: valtron_request,
    len: usize,
) -> valtron_status {
    ffi_fn!(client, |held| { held.client.request_consume(request, len) })
}

/// Writes to *detail* why the request failed; its status is VALTRON_OK if it did not.
///
/// Any thread. Blocks on nothing. Errors: VALTRON_E_NULL_CLIENT, _NULL_OUTPUT, _STRUCT_SIZE, _HANDLE*, _FORKED,
/// _POISONED.
#[no_mangle]
pub unsafe extern "C" fn valtron_request_error(
    client: *mut valtron_client,
    request: valtron_request,
    detail: *mut valtron_error_detail,
) -> valtron_status {
    ffi_fn!(client, |held| {
        // SAFETY: the caller promises that it is NULL or good for its struct_size.
        let detail = unsafe { out_struct(detail)? };
        detail.put(&answers::error_detail(&held.client.request_error(request)?));
        Ok(())
    })
}

/// Writes the states the request went through, oldest first, up to *cap* of them, to *entries*, an array with
/// *stride* bytes from one to the next (sizeof(valtron_trace_entry)); *count* gets how many were written.
///
/// Any thread. Blocks on nothing. Errors: VALTRON_E_NULL_CLIENT, _NULL_BUFFER, _NULL_OUTPUT, _STRIDE, _HANDLE*,
/// _FORKED, _POISONED.
#[no_mangle]
pub unsafe extern "C" fn valtron_request_trace(
    client: *mut valtron_client,
    request: valtron_request,
    entries: *mut valtron_trace_entry,
    stride: usize,
    cap: usize,
    count: *mut usize,
) -> valtron_status {
    ffi_fn!(client, |held| {
        // SAFETY: the caller promises that entries is NULL or good for cap elements of stride bytes, and count for a
        // size_t.
        let (entries, count) = unsafe { (array_out(entries, stride, cap)?, out(count)?) };
        let mut trace = held.client.request_trace(request)?.into_iter();
        count.put(entries.fill(|| trace.next().map(|entry| answers::trace_entry(&entry))));
        Ok(())
    })
}

/// Writes to *url* and *len* where the request's present URL lies: after redirects the last one. UTF-8, not
/// NUL-terminated.
///
/// The library owns it; it lives until valtron_request_free. Any thread. Blocks on nothing. Errors:
/// VALTRON_E_NULL_CLIENT, _NULL_OUTPUT, _HANDLE*, _FORKED, _POISONED.
#[no_mangle]
pub unsafe extern "C" fn valtron_request_url(
    client: *mut valtron_client,
    request: valtron_request,
    url: *mut *const std::ffi::c_char,
    len: *mut usize,
) -> valtron_status {
    ffi_fn!(client, |held| {
        // SAFETY: the caller promises that both are NULL or good for their types.
        let (url, len) = unsafe { (out(url)?, out(len)?) };
        let text = held.client.request_url(request)?;
        url.put(text.as_ptr().cast());
        len.put(text.len());
        Ok(())
    })
}

/// Ends the request with VALTRON_E_CANCELLED, as soon as it is driven. One that ended already stays as it is.
///
/// Any thread. Blocks on nothing. Errors: VALTRON_E_NULL_CLIENT, _HANDLE*, _FORKED, _POISONED.
#[no_mangle]
pub unsafe extern "C" fn valtron_request_cancel(
    client: *mut valtron_client,
    request: valtron_request,
) -> valtron_status {
    ffi_fn!(client, |held| { held.client.request_cancel(request) })
}

/// Frees the request: its handle, its head, its body and all pointers into them are dead, and no event of it comes
/// any more. One that runs is cancelled. A handle that is 0, freed already or another client's does nothing; so does
/// a NULL client.
///
/// Any thread, inside a callback too. Blocks on nothing.
#[no_mangle]
pub unsafe extern "C" fn valtron_request_free(client: *mut valtron_client, request: valtron_request) {
    ffi_fn!(value {
        // SAFETY: the caller promises that client is NULL or a client, and nothing of the host's is called.
        if let Ok(held) = unsafe { super::held::Held::checked(client) } {
            held.texts.forget_request(request);
            held.client.request_free(request);
        }
    })
}
