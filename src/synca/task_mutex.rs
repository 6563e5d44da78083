//! [`TaskMutex`]: a lock between threads that may wait and tasks that never do.

use std::ops::{Deref, DerefMut};

use super::sync::atomic::{AtomicBool, Ordering};
use super::sync::{lock, try_lock, Mutex, MutexGuard};
use super::TaskWaker;

/// A lock that a thread waits for, and a task only tries. A task that finds it held asks to be woken, so it need not
/// look again and again for as long as the holder takes, which may be long if the system has taken its processor away.
pub struct TaskMutex<T: ?Sized> {
    /// A task waits. Changed by swaps alone, one chain of changes: of a waiter's swap and its look at the lock after
    /// it, and a holder's release and its own swap after that, either the look finds the lock free, or the holder's
    /// swap sees the waiter.
    wanted: AtomicBool,
    /// Who waits; held for moments.
    waiter: Mutex<Option<TaskWaker>>,
    value: Mutex<T>,
}

impl<T> TaskMutex<T> {
    /// A lock around `value`.
    pub fn new(value: T) -> Self {
        Self { wanted: AtomicBool::new(false), waiter: Mutex::new(None), value: Mutex::new(value) }
    }
}

/// The lock's methods, for sized values alone where loom's lock knows no others.
macro_rules! methods {
    ($($bounds:tt)*) => {
        impl<T $($bounds)*> TaskMutex<T> {
            /// Waits for the lock. Its release wakes a task that waits for it.
            pub fn lock(&self) -> TaskMutexGuard<'_, T> {
                TaskMutexGuard { guard: lock(&self.value), _release: Release(self) }
            }

            /// For a task: the lock if it is free. Tasks of one executor share it, so its release wakes nobody.
            pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
                try_lock(&self.value)
            }

            /// For a task that found the lock held: true if it is woken when the lock is free, false if that is so
            /// already. Of several tasks the last one is kept, and the one before it is woken.
            pub fn wake_when_free(&self, waker: &TaskWaker) -> bool {
                // Whoever holds this has released the lock and wakes a waiter.
                let Some(mut waiter) = try_lock(&self.waiter) else { return false };
                let before = waiter.replace(waker.clone());
                drop(waiter);
                before.filter(|before| before.entry() != waker.entry()).into_iter().for_each(|before| before.wake());
                self.wanted.swap(true, Ordering::SeqCst);
                let held = try_lock(&self.value).is_none();
                if !held {
                    self.wanted.swap(false, Ordering::SeqCst);
                }
                held
            }

            fn wake(&self) {
                let waiter = lock(&self.waiter).take();
                waiter.into_iter().for_each(|waker| waker.wake());
            }
        }

        /// The lock, held by a thread that may wait.
        pub struct TaskMutexGuard<'a, T $($bounds)*> {
            // Dropped first.
            guard: MutexGuard<'a, T>,
            _release: Release<'a, T>,
        }

        /// What is to be done when the lock has been released.
        struct Release<'a, T $($bounds)*>(&'a TaskMutex<T>);

        impl<T $($bounds)*> Drop for Release<'_, T> {
            fn drop(&mut self) {
                if self.0.wanted.swap(false, Ordering::SeqCst) {
                    self.0.wake();
                }
            }
        }

        impl<T $($bounds)*> Deref for TaskMutexGuard<'_, T> {
            type Target = T;

            fn deref(&self) -> &T {
                &self.guard
            }
        }

        impl<T $($bounds)*> DerefMut for TaskMutexGuard<'_, T> {
            fn deref_mut(&mut self) -> &mut T {
                &mut self.guard
            }
        }
    };
}

#[cfg(not(loom))]
methods!(: ?Sized);
#[cfg(loom)]
methods!();
