//! What the layers below the C ABI keep for the whole process: one counter. The rest of what is process-wide stands
//! in `ffi/process.rs`, whose list is complete.

use std::sync::atomic::{AtomicU16, Ordering};

static CLIENTS: AtomicU16 = AtomicU16::new(0);

/// A number for a new client; it tells the handles of one client from another's, and repeats after 65,536.
pub(crate) fn next_client_number() -> u16 {
    CLIENTS.fetch_add(1, Ordering::Relaxed)
}
