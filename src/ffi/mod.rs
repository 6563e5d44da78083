//! The C interface: the only `extern "C"` functions of the crate, each a few lines over [`client`](crate::client).
//!
//! - `types`, `codes`: what the header declares. `preamble.h`: what no Rust item can say.
//! - `client`, `request`, `action`, `version`, `allocator`: the functions.
//! - `pointers`: the only place that follows a pointer of the caller's. `convert`: C values from and to Rust ones,
//!   with all checks.
//! - `held`, `callbacks`: what a `valtron_client` and a `valtron_job` are. `process`: what is process-wide.
//!
//! Every function goes through `ffi_fn!`: no panic crosses, nothing is printed, and a client of the parent process is
//! refused.
#![allow(clippy::missing_safety_doc)] // the header is where the callers of these functions read, and says it once

use std::panic::{catch_unwind, AssertUnwindSafe};

use crate::client::Status;
use held::{Held, Inner};

/// The way into every function: `ffi_fn!(value {..})` for one that cannot fail, `ffi_fn!(status {..})` for one that
/// can, `ffi_fn!(client, |held| {..})` for one with a client, `ffi_fn!(driving client, |held| {..})` if callbacks may
/// run inside.
macro_rules! ffi_fn {
    (value $body:block) => {
        $crate::ffi::value_entry(|| $body)
    };
    (status $body:block) => {
        $crate::ffi::status_entry(|| $body)
    };
    (driving $client:ident, |$held:ident| $body:block) => {{
        let body = |$held: &$crate::ffi::held::Inner| $body;
        // SAFETY: the caller promises that it is NULL or a client that is not freed.
        unsafe { $crate::ffi::driving_entry($client, body) }
    }};
    ($client:ident, |$held:ident| $body:block) => {{
        let body = |$held: &$crate::ffi::held::Inner| $body;
        // SAFETY: the caller promises that it is NULL or a client that is not freed.
        unsafe { $crate::ffi::client_entry($client, body) }
    }};
}

// In this order they stand in the header.
mod codes;
mod types;

mod version;

mod allocator;

mod client;

mod request;

mod action;

mod answers;
mod callbacks;
mod convert;
#[cfg(feature = "faults")]
mod faults;
mod held;
mod names;
mod pointers;
mod process;
#[cfg(test)]
mod tests;

pub(crate) use process::quiet_panics;

pub use action::*;
pub use allocator::*;
pub use client::*;
pub use codes::*;
#[cfg(feature = "faults")]
pub use faults::*;
pub use request::*;
pub use types::*;
pub use version::*;

/// What a function answers when it panicked.
trait Answer {
    const PANICKED: Self;
}

impl Answer for () {
    const PANICKED: Self = ();
}

impl Answer for u32 {
    const PANICKED: Self = 0;
}

impl Answer for u64 {
    const PANICKED: Self = 0;
}

impl Answer for *const std::ffi::c_char {
    const PANICKED: Self = c"".as_ptr();
}

fn value_entry<T: Answer>(body: impl FnOnce() -> T) -> T {
    process::note_call();
    caught(body).unwrap_or(T::PANICKED)
}

fn status_entry(body: impl FnOnce() -> Result<(), Status>) -> valtron_status {
    process::note_call();
    code(caught(body).unwrap_or(Err(Status::Internal)))
}

/// # Safety
/// `client` is NULL or a client that is not freed yet; `body` calls nothing of the host's, which could free it.
unsafe fn client_entry(client: *mut valtron_client, body: impl FnOnce(&Inner) -> Result<(), Status>) -> valtron_status {
    process::note_call();
    // SAFETY: as promised to us: whoever frees it does so before or after this call.
    let held = match unsafe { Held::checked(client) } {
        Ok(held) => held,
        Err(status) => return status as valtron_status,
    };
    code(inside(held, body))
}

/// # Safety
/// `client` is NULL or a client that is not freed yet; `body` may free it.
unsafe fn driving_entry(
    client: *mut valtron_client,
    body: impl FnOnce(&Inner) -> Result<(), Status>,
) -> valtron_status {
    process::note_call();
    // SAFETY: as promised to us.
    let held = match unsafe { Held::shared(client) } {
        Ok(held) => held,
        Err(status) => return status as valtron_status,
    };
    let releases = held.releases.clone();
    let result = inside(&held, body);
    // If a callback freed the client, this is the last reference, and bodies go with it.
    let _ = caught(move || drop(held));
    releases.drain();
    code(result)
}

fn inside(held: &Inner, body: impl FnOnce(&Inner) -> Result<(), Status>) -> Result<(), Status> {
    let answer = caught(|| {
        #[cfg(feature = "faults")]
        faults::strike();
        body(held)
    });
    answer.unwrap_or_else(|| {
        // What the panic left half done is unknown: nothing but the way out works from now on.
        let _ = caught(|| held.client.poison());
        Err(Status::Internal)
    })
}

fn caught<T>(body: impl FnOnce() -> T) -> Option<T> {
    let _quiet = quiet_panics();
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(value) => Some(value),
        Err(payload) => {
            // Its destructor could panic in turn.
            std::mem::forget(payload);
            None
        }
    }
}

fn code(result: Result<(), Status>) -> valtron_status {
    match result {
        Ok(()) => codes::VALTRON_OK,
        Err(status) => status as valtron_status,
    }
}
