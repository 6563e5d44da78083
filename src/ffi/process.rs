//! Everything that is process-wide. The list is complete, and the header names what a host can notice of it:
//!
//! - the count of forks, kept by a `pthread_atfork` handler, set up with the first client;
//! - the panic hook, chained with the first client: silent for threads inside this library, else the hook there was
//!   before. In a shared library the hook is the library's own, since its copy of the standard library is;
//! - whether any call was made, and the allocator's choice (`allocator.rs`);
//! - the strings of `names.rs`;
//! - the counter of client tags, which is `client`'s.

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Once;

static CALLED: AtomicBool = AtomicBool::new(false);
static FORKS: AtomicU64 = AtomicU64::new(0);
static SET_UP: Once = Once::new();

thread_local! {
    /// How many guards of [`quiet_panics`] this thread has. No destructor: it must not hold up an unload.
    static QUIET: Cell<u32> = const { Cell::new(0) };
}

/// A call of the C interface was made.
pub(super) fn note_call() {
    // Read first: a store by every call of every thread would move the cache line about.
    if !CALLED.load(Ordering::SeqCst) {
        CALLED.store(true, Ordering::SeqCst);
    }
}

/// A call was made before.
#[cfg(feature = "allocator")]
pub(super) fn called() -> bool {
    CALLED.load(Ordering::SeqCst)
}

/// How many forks lie between the first client and this process. A client or job with another number belongs to an
/// ancestor.
pub(super) fn forks() -> u64 {
    FORKS.load(Ordering::SeqCst)
}

/// Before the first client.
pub(super) fn set_up() {
    SET_UP.call_once(|| {
        #[cfg(unix)]
        watch_forks();
        chain_panic_hook();
    });
}

#[cfg(unix)]
fn watch_forks() {
    unsafe extern "C" fn in_child() {
        // All that a child of a threaded process may do: no lock, no allocation.
        FORKS.fetch_add(1, Ordering::SeqCst);
    }
    // SAFETY: the handler is async-signal-safe and stays mapped: the library is linked with `-z nodelete`.
    // It fails for want of memory only; then a child is not told apart, as with a library that does not look.
    unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
}

fn chain_panic_hook() {
    if std::thread::panicking() {
        // Hooks cannot be changed by a panicking thread; then panics of ours are printed.
        return;
    }
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if QUIET.try_with(Cell::get).unwrap_or(0) == 0 {
            before(info);
        }
    }));
}

/// While it lives, panics of this thread are not printed. Not `Send`.
pub(crate) struct Quiet(PhantomData<*const ()>);

/// For the calls of a host, and for the library's own threads.
pub(crate) fn quiet_panics() -> Quiet {
    let _ = QUIET.try_with(|count| count.set(count.get() + 1));
    Quiet(PhantomData)
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let _ = QUIET.try_with(|count| count.set(count.get() - 1));
    }
}
