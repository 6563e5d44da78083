//! The std-or-loom facade: every atomic and lock of `synca` and `valtron` comes from here, so that loom can model
//! them. `Arc` is std's in either case: loom's has no `Weak` and no trait objects, and nothing here is ordered by a
//! count of references. So is `OnceLock`, which loom has not.

#[cfg(loom)]
pub use loom::sync::{atomic, Mutex, MutexGuard};
#[cfg(not(loom))]
pub use std::sync::{atomic, Mutex, MutexGuard};
pub use std::sync::{Arc, OnceLock, Weak};

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

/// Locks if nobody holds it, and never waits.
#[cfg(not(loom))]
pub fn try_lock<T: ?Sized>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(std::sync::TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(std::sync::TryLockError::WouldBlock) => None,
    }
}

/// The same.
#[cfg(loom)]
pub fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    mutex.try_lock().ok()
}
