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

impl<T: Serve + Default> Default for DelegationMutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

/// How the posted requests are taken.
type Drain<R> = fn(&ShardedQueue<R>, &mut Vec<R>);

impl<T: Serve> DelegationMutex<T> {
    /// A lock around `state`.
    pub fn new(state: T) -> Self {
        Self { posted: ShardedQueue::default(), pending: AtomicBool::new(false), state: Mutex::new(state) }
    }

    /// For a thread that may wait: `work` under the lock, after all that was posted before. Then what was posted
    /// meanwhile is served, and each `effect` is done here, with the lock let go.
    pub fn with<R>(&self, work: impl FnOnce(&mut T) -> R, effect: impl FnMut(T::Effect)) -> R {
        let mut state = lock(&self.state);
        // Not asked by `pending`: it was cleared by who left something lying for a poster that has not set it yet.
        let effects = match self.has_posted() {
            true => self.serve(&mut state, ShardedQueue::drain_all),
            false => Vec::new(),
        };
        self.with_held(state, effects, work, effect)
    }

    /// The same if nobody holds the lock, and without waiting: what lies beside something that is posted at this very
    /// moment may not be served before, and then [`has_posted`](Self::has_posted).
    pub fn try_with<R>(&self, work: impl FnOnce(&mut T) -> R, effect: impl FnMut(T::Effect)) -> Option<R> {
        let mut state = try_lock(&self.state)?;
        let effects = if self.is_pending() { self.serve(&mut state, ShardedQueue::drain) } else { Vec::new() };
        Some(self.with_held(state, effects, work, effect))
    }

    /// Something is posted and not served yet.
    pub fn has_posted(&self) -> bool {
        !self.posted.is_empty()
    }

    /// What a thread does that posts at this moment, for as long as the result lives.
    #[cfg(all(test, not(loom)))]
    pub fn hold_posting(&self) -> impl Sized + '_ {
        self.posted.hold(1)
    }

    fn with_held<R>(
        &self,
        mut state: MutexGuard<'_, T>,
        effects: Vec<T::Effect>,
        work: impl FnOnce(&mut T) -> R,
        mut effect: impl FnMut(T::Effect),
    ) -> R {
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

    fn serve(&self, state: &mut T, drain: Drain<T::Request>) -> Vec<T::Effect> {
        self.pending.swap(false, Ordering::SeqCst);
        let mut posted = Vec::new();
        drain(&self.posted, &mut posted);
        posted.into_iter().map(|request| state.serve(request)).collect()
    }

    fn settle(&self, mut effect: impl FnMut(T::Effect)) {
        // Held: whoever holds it comes here afterwards.
        while let Some(mut state) = try_lock(&self.state) {
            // What lies in a part of the queue in which somebody pushes at this moment is for that one.
            let effects = self.serve(&mut state, ShardedQueue::drain);
            drop(state);
            effects.into_iter().for_each(&mut effect);
            if !self.is_pending() {
                return;
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Served(Vec<u32>);

    impl Serve for Served {
        type Request = u32;
        type Effect = ();

        fn serve(&mut self, request: u32) {
            self.0.push(request);
        }
    }

    /// Goal: who may wait finds all served that was posted before, whoever posts at the same moment. Method: one
    /// request is posted while the lock is held, and left lying by the holder, since another thread pushes beside it.
    #[test]
    fn what_was_posted_before_is_served_first() {
        let mutex = DelegationMutex::new(Served::default());
        let pushing = mutex.with(
            |_| {
                mutex.post(1, |()| {});
                mutex.hold_posting()
            },
            |()| {},
        );
        drop(pushing);
        assert_eq!(mutex.with(|served| served.0.clone(), |()| {}), [1]);
    }
}
