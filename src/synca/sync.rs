//! The std-or-loom facade: every atomic and lock of `synca` and `valtron` comes from here, so that loom can model
//! them.

#[cfg(loom)]
pub use loom::sync::{atomic, Arc, Mutex, MutexGuard};
#[cfg(not(loom))]
pub use std::sync::{atomic, Arc, Mutex, MutexGuard, Weak};

/// Locks, and goes on after a panic elsewhere: the data behind our locks is valid between any two statements, and a
/// panic is reported on its own path.
#[cfg(not(loom))]
pub fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// The same; loom's lock holds sized values only.
#[cfg(loom)]
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
