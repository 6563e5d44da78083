//! Receive buffers that sessions lend and give back.
//!
//! A session needs one while bytes lie in it, which is for moments: a connection that waits holds none. So ten thousand
//! connections share a few, and none is zeroed twice.

use std::sync::{Arc, Mutex};

use super::TlsError;
use crate::synca::sync::try_lock;

/// See the module. One for each executor, lest two of them meet at its lock; a host that reads
/// on another thread may be there, and nobody waits for it. A clone is one reference.
#[derive(Clone, Debug, Default)]
pub(super) struct Inboxes(Arc<Mutex<Vec<Vec<u8>>>>);

impl Inboxes {
    /// A buffer of [`INBOX_BYTES`]; its content means nothing.
    pub(super) fn take(&self) -> Result<Vec<u8>, TlsError> {
        if let Some(spare) = try_lock(&self.0).and_then(|mut spares| spares.pop()) {
            return Ok(spare);
        }
        let mut inbox = Vec::new();
        inbox.try_reserve_exact(INBOX_BYTES).map_err(|_| TlsError::NoMemory)?;
        inbox.resize(INBOX_BYTES, 0);
        Ok(inbox)
    }

    /// Takes a buffer back.
    pub(super) fn give(&self, inbox: Vec<u8>) {
        // One that had to grow was for one handshake.
        if inbox.len() != INBOX_BYTES {
            return;
        }
        if let Some(mut spares) = try_lock(&self.0).filter(|spares| spares.len() < SPARES_MAX) {
            spares.push(inbox);
        }
    }
}

/// What one read of the socket may bring: three full records, so that a download does not pay a system call for each.
pub(super) const INBOX_BYTES: usize = 64 * 1024;

/// Buffers kept: one serves a thread, and some more serve jobs and sessions in whose inbox part of a record waits.
const SPARES_MAX: usize = 4;
