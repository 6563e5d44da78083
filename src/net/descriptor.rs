//! The only `unsafe` of `net`: three calls for which std has no safe form.

/// Closes a descriptor that the caller has taken out of the [ledger](super::DescriptorLedger).
///
/// It may not be open: a fork copies the descriptors first and the memory after, so the ledger of the child can name a
/// socket that another thread of the parent opened in between. `OwnedFd` would take that for a bug and abort.
pub(super) fn close(descriptor: i32) {
    #[cfg(unix)]
    {
        // SAFETY: the ledger gives each descriptor away once, and its socket gave up closing it: nobody else owns it.
        // One that is not open is refused, which is as good.
        unsafe { libc::close(descriptor) };
    }
    // Elsewhere nothing forks, and nothing is in a ledger.
    #[cfg(not(unix))]
    let _ = descriptor;
}

/// The system's words for a failure of `getaddrinfo`, to tell failures apart that std reports as text only.
#[cfg(unix)]
pub(super) fn lookup_text(code: i32) -> String {
    // SAFETY: `gai_strerror` answers every code with a static string that ends in NUL.
    let text = unsafe { std::ffi::CStr::from_ptr(libc::gai_strerror(code)) };
    text.to_string_lossy().into_owned()
}

/// Runs `start` with this thread's signals blocked: a thread that it starts inherits that, with no moment in which a
/// signal of the host could land there. Faults stay open, since a blocked one kills without the host's handler.
#[cfg(unix)]
pub(super) fn with_signals_blocked<R>(start: impl FnOnce() -> R) -> R {
    use std::mem::MaybeUninit;
    struct Restore(libc::sigset_t);
    impl Drop for Restore {
        fn drop(&mut self) {
            // SAFETY: the set was filled by the OS; a null last argument asks for nothing back.
            unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.0, std::ptr::null_mut()) };
        }
    }
    let mut set = MaybeUninit::uninit();
    let mut before = MaybeUninit::uninit();
    // SAFETY: `sigfillset` fills `set` before it is used; `pthread_sigmask` reads it, fills `before`, and fails only
    // for an unknown first argument.
    let _restore = unsafe {
        libc::sigfillset(set.as_mut_ptr());
        for signal in
            [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGABRT, libc::SIGTRAP, libc::SIGSYS]
        {
            libc::sigdelset(set.as_mut_ptr(), signal);
        }
        libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), before.as_mut_ptr());
        Restore(before.assume_init())
    };
    start()
}

/// Elsewhere there are no signals.
#[cfg(not(unix))]
pub(super) fn with_signals_blocked<R>(start: impl FnOnce() -> R) -> R {
    start()
}
