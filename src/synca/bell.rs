//! [`Bell`]: tells whoever waits, and waits for nobody to do so.

use super::sync::atomic::{AtomicBool, Ordering};
use super::sync::{lock, try_lock, Mutex};

/// A place for one who can be told of things, such as a poller to notify. Many may ring at once: of two, one rings for
/// both.
pub struct Bell<T> {
    hung: Mutex<Option<T>>,
    /// Another one wanted to ring while somebody did. Changed by swaps alone: of one that rings and looks at the lock
    /// after its swap, and one that lets go and swaps after that, either the look finds the lock free, or the swap the
    /// wish.
    again: AtomicBool,
}

impl<T> Default for Bell<T> {
    fn default() -> Self {
        Self { hung: Mutex::new(None), again: AtomicBool::new(false) }
    }
}

impl<T> Bell<T> {
    /// From now on it rings; and what was there before. Whoever hangs one looks for what it waits for afterwards: a
    /// ring at this very moment is passed over.
    pub fn hang(&self, told: T) -> Option<T> {
        lock(&self.hung).replace(told)
    }

    /// It rings no more.
    pub fn take(&self) -> Option<T> {
        lock(&self.hung).take()
    }

    /// Tells, if there is someone to be told. Whoever has the lock because it rings, rings again for those who came
    /// meanwhile.
    pub fn ring(&self, tell: impl Fn(&T)) {
        loop {
            if let Some(hung) = try_lock(&self.hung) {
                hung.iter().for_each(&tell);
                drop(hung);
                if !self.again.swap(false, Ordering::SeqCst) {
                    return;
                }
            } else {
                self.again.swap(true, Ordering::SeqCst);
                // Let go since, the lock may have been let go too early to see that.
                if try_lock(&self.hung).is_none() {
                    return;
                }
            }
        }
    }

    /// For tests: the lock, as if somebody were at it.
    #[cfg(all(test, not(loom)))]
    pub fn hold(&self) -> impl Drop + '_ {
        lock(&self.hung)
    }
}
