//! Keeps the host's signals on the host's threads.

use std::mem::MaybeUninit;
use std::ptr;

/// A crash handler must run on the thread that faults (blocked, the kernel kills instead), and a profiler's tick must
/// see the work.
const LEFT_OPEN: [i32; 8] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGILL,
    libc::SIGABRT,
    libc::SIGTRAP,
    libc::SIGSYS,
    libc::SIGPROF,
];

/// Blocks signals on this thread while it lives. A thread started meanwhile inherits that for good, with no moment
/// between in which a signal of the host could land there.
pub(crate) struct SignalsBlocked {
    before: libc::sigset_t,
    // The mask belongs to the thread, so must this.
    not_send: std::marker::PhantomData<*const ()>,
}

impl SignalsBlocked {
    pub(crate) fn new() -> Self {
        let mut set = MaybeUninit::uninit();
        let mut before = MaybeUninit::uninit();
        // SAFETY: `sigfillset` fills `set` before it is used; all numbers are signals; `pthread_sigmask` reads `set`
        // and fills `before`, and fails only for an unknown first argument.
        let before = unsafe {
            libc::sigfillset(set.as_mut_ptr());
            for signal in LEFT_OPEN {
                libc::sigdelset(set.as_mut_ptr(), signal);
            }
            libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), before.as_mut_ptr());
            before.assume_init()
        };
        Self { before, not_send: std::marker::PhantomData }
    }
}

impl Drop for SignalsBlocked {
    fn drop(&mut self) {
        // SAFETY: `before` was filled by `new`; a null last argument asks for nothing back.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.before, ptr::null_mut()) };
    }
}
