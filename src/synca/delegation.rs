//! [`DelegationMutex`]: a lock to which one posts requests instead of waiting for it.

use super::sync::atomic::{AtomicBool, Ordering};
use super::sync::{lock, try_lock, Mutex, MutexGuard};
use super::ShardedQueue;

/// A state that serves requests.
pub trait Serve {
    /// What is asked of it.
    type Request;
    /// What is then to be done with no lock held.
    type Effect;

    /// Does what is asked.
    fn serve(&mut self, request: Self::Request) -> Self::Effect;
}

/// A lock whose holder does the others' work, too (Hendler et al., "Flat Combining", 2010). Threads may wait for it;
/// a poll posts its request and goes on. A request is served at once, unless somebody holds the lock: then by that one,
/// when it lets go. Requests that are posted while the lock is held may change places.
pub struct DelegationMutex<T: Serve> {
    posted: ShardedQueue<T::Request>,
    /// Something is posted. Changed and looked at by swaps alone, one chain: of a poster's swap and its look at the
    /// lock after it, and a holder's release and its own swap after that, either the look finds the lock free, or the
    /// holder's swap sees what was posted. Cleared only with the lock held.
    pending: AtomicBool,
    state: Mutex<T>,
}

impl<T: Serve> DelegationMutex<T> {
    /// A lock around `state`.
    pub fn new(state: T) -> Self {
        Self { posted: ShardedQueue::default(), pending: AtomicBool::new(false), state: Mutex::new(state) }
    }

    /// For a thread that may wait: `work` under the lock, after all that was posted before. Then what was posted
    /// meanwhile is served, and each `effect` is done here, with the lock let go.
    pub fn with<R>(&self, work: impl FnOnce(&mut T) -> R, effect: impl FnMut(T::Effect)) -> R {
        self.with_held(lock(&self.state), work, effect)
    }

    /// The same if nobody holds the lock.
    pub fn try_with<R>(&self, work: impl FnOnce(&mut T) -> R, effect: impl FnMut(T::Effect)) -> Option<R> {
        Some(self.with_held(try_lock(&self.state)?, work, effect))
    }

    fn with_held<R>(
        &self,
        mut state: MutexGuard<'_, T>,
        work: impl FnOnce(&mut T) -> R,
        mut effect: impl FnMut(T::Effect),
    ) -> R {
        let effects = if self.is_pending() { self.serve(&mut state) } else { Vec::new() };
        let result = work(&mut state);
        drop(state);
        effects.into_iter().for_each(&mut effect);
        if self.is_pending() {
            self.settle(effect);
        }
        result
    }

    /// Never waits for a holder. Each `effect` of what is served here, perhaps for others, is done here.
    pub fn post(&self, request: T::Request, effect: impl FnMut(T::Effect)) {
        self.posted.push(request);
        self.pending.swap(true, Ordering::SeqCst);
        self.settle(effect);
    }

    fn is_pending(&self) -> bool {
        self.pending.fetch_or(false, Ordering::SeqCst)
    }

    fn serve(&self, state: &mut T) -> Vec<T::Effect> {
        self.pending.swap(false, Ordering::SeqCst);
        let mut posted = Vec::new();
        // What lies in a part of the queue in which somebody pushes at this moment is for that one.
        self.posted.drain(&mut posted);
        posted.into_iter().map(|request| state.serve(request)).collect()
    }

    fn settle(&self, mut effect: impl FnMut(T::Effect)) {
        // Held: whoever holds it comes here afterwards.
        while let Some(mut state) = try_lock(&self.state) {
            let effects = self.serve(&mut state);
            drop(state);
            effects.into_iter().for_each(&mut effect);
            if !self.is_pending() {
                return;
            }
        }
    }
}
