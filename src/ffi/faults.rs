//! Panics on demand, for the tests of the interface. Only under the feature `faults`; not in the header.

use std::sync::atomic::{AtomicU32, Ordering};

static PANIC_IN: AtomicU32 = AtomicU32::new(0);

/// Makes the `nth` call with a client from now on panic; 1 is the next one, 0 takes it back. Process-wide.
///
/// cbindgen:ignore
#[no_mangle]
pub unsafe extern "C" fn valtron_test_panic(nth: u32) {
    ffi_fn!(value { PANIC_IN.store(nth, Ordering::SeqCst) })
}

/// Panics if it is this call's turn.
pub(super) fn strike() {
    let counted_down = PANIC_IN.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
    if counted_down == Ok(1) {
        panic!("a panic as ordered");
    }
}
