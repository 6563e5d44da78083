//! Names and messages with a NUL at the end. The client's tables have none; these are made of them when first asked
//! for, and stay.

use std::ffi::{CStr, CString};
use std::sync::OnceLock;

use super::types::valtron_status;
use crate::client::Status;

static STATUSES: OnceLock<Vec<(valtron_status, CString, CString)>> = OnceLock::new();

/// In the order of their numbers.
const STATES: [&CStr; 10] = [
    c"INIT",
    c"CONNECTING",
    c"TLS_HANDSHAKE",
    c"SENDING_REQUEST",
    c"RECEIVING_INTRO",
    c"RECEIVING_HEADERS",
    c"RECEIVING_BODY",
    c"AWAITING_REDIRECT",
    c"DONE",
    c"ERROR",
];

/// Name and message.
pub(super) fn of_status(status: valtron_status) -> (&'static CStr, &'static CStr) {
    let table = STATUSES.get_or_init(|| {
        let c = |text: &str| CString::new(text).unwrap_or_default();
        Status::ALL.iter().map(|status| (*status as valtron_status, c(status.name()), c(status.message()))).collect()
    });
    match table.iter().find(|row| row.0 == status) {
        Some((_, name, message)) => (name, message),
        None => (c"VALTRON_E_UNKNOWN", c"a status that this version of the library does not have"),
    }
}

pub(super) fn of_state(state: i32) -> &'static CStr {
    usize::try_from(state).ok().and_then(|index| STATES.get(index)).copied().unwrap_or(c"UNKNOWN")
}
