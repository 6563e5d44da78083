//! Lanes of `perform` between two calls of it. Nobody drives them; so whoever drives anything looks after them.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use super::{Driven, Inner};
use crate::client::error::HttpClientError;
use crate::synca::sync::{lock, try_lock};
use crate::valtron::time::Instant;

/// Executors kept for `perform` between two calls; more threads than this at once make and drop their own.
const SPARE_LANES_MAX: usize = 64;

/// How often lanes that nobody drives are looked after, in calls that drive others.
const TEND_INTERVAL: Duration = Duration::from_secs(1);
/// The same at most, when deadlines of idle connections come thick.
const TEND_INTERVAL_MIN: Duration = Duration::from_millis(10);

/// See the module.
#[derive(Default)]
pub(super) struct Spare {
    /// Last in, first out: the last one's connections are the warmest.
    lanes: Mutex<Vec<Arc<Driven>>>,
    /// When they are looked after again, in nanoseconds of the client's clock. Made later, and sooner by a lane that
    /// comes, under the lock of `lanes`.
    tend_at: AtomicU64,
    /// So many of them were looked after since that time came.
    tended: AtomicUsize,
    /// There was ever one.
    used: AtomicBool,
}

impl Spare {
    /// All of them, for as long as the result lives.
    pub(super) fn lanes(&self) -> MutexGuard<'_, Vec<Arc<Driven>>> {
        lock(&self.lanes)
    }

    /// It is time to look after them.
    #[cfg(test)]
    pub(super) fn make_due(&self) {
        self.tend_at.store(0, Ordering::SeqCst);
        self.tended.store(0, Ordering::SeqCst);
    }
}

impl Driven {
    /// When it wants to be driven.
    fn due(&self) -> Option<Instant> {
        self.lane.executor.next_deadline()
    }

    /// It has idle connections, or something else to do sooner or later.
    fn is_worth_a_turn(&self) -> bool {
        !self.lane.context.pool.seems_empty() || self.due().is_some()
    }
}

impl Inner {
    /// An executor for one call of `perform`.
    pub fn lend(&self) -> Result<Arc<Driven>, HttpClientError> {
        if let Some(driven) = self.spare.lanes().pop() {
            return Ok(driven);
        }
        let driven = self.maker.driven(&self.host)?;
        if !self.spare.used.swap(true, Ordering::SeqCst) {
            // Who sleeps already knew of none.
            self.interrupt();
        }
        Ok(driven)
    }

    /// Keeps a lane for the next `perform`.
    pub fn spare(&self, driven: Arc<Driven>) {
        if self.closed.load(Ordering::SeqCst) {
            return;
        }
        let mut lanes = self.spare.lanes();
        if lanes.len() < SPARE_LANES_MAX {
            if let Some(at) = driven.due() {
                self.spare.tend_at.fetch_min(at.as_nanos(), Ordering::Relaxed);
            }
            lanes.push(driven);
        }
    }

    /// Drops the lanes that nobody uses.
    pub fn drop_spare_lanes(&self) {
        let lanes = std::mem::take(&mut *self.spare.lanes());
        drop(lanes);
    }

    /// Looks after the lanes that nobody drives, now and then: idle connections that died or grew old are closed. Every
    /// driving call does this; without one, no thread of ours would have the time. It looks after `most` lanes, and the
    /// next call goes on with the others: a poll has a budget. `begun` is the present time. Returns how long it took.
    pub fn tend_spare_lanes(&self, most: usize, begun: Instant) -> Duration {
        if begun.as_nanos() < self.spare.tend_at.load(Ordering::Relaxed) {
            return Duration::ZERO;
        }
        let mut driven_any = false;
        for _ in 0..most {
            let Some(driven) = self.next_to_tend(begun) else { break };
            driven.tend(Duration::ZERO);
            driven_any = true;
        }
        if driven_any {
            // Another thread may have been lent one of them meanwhile, and waits for it.
            self.host.passengers.wake();
        }
        self.clock_now().since(begun)
    }

    /// `None`: all of them were looked after, or another thread has them at this moment and the next call looks again.
    fn next_to_tend(&self, now: Instant) -> Option<Arc<Driven>> {
        let lanes = try_lock(&self.spare.lanes)?;
        let first = self.spare.tended.load(Ordering::Relaxed);
        let next = (first..lanes.len()).find(|at| lanes[*at].is_worth_a_turn());
        self.spare.tended.store(next.map_or(0, |at| at + 1), Ordering::Relaxed);
        if next.is_none() {
            let at = now.after(TEND_INTERVAL);
            let at = lanes.iter().filter_map(|driven| driven.due()).min().map_or(at, |due| due.min(at));
            // Not sooner than this: a lane that another thread holds keeps its deadline.
            let at = at.max(now.after(TEND_INTERVAL_MIN));
            self.spare.tend_at.store(at.as_nanos(), Ordering::Relaxed);
        }
        next.map(|at| lanes[at].clone())
    }

    /// How long a driving call may sleep before it looks after the lanes that nobody drives.
    pub fn until_tending(&self) -> Option<Duration> {
        if !self.spare.used.load(Ordering::SeqCst) {
            return None;
        }
        let due = self.spare.lanes().iter().filter_map(|driven| driven.due()).min();
        let now = self.clock_now();
        // No connection grows old sooner that another thread's call puts into a lane from now on, or hardly so.
        let later = self.maker.idle_timeout.map(|timeout| now.after(timeout.max(TEND_INTERVAL)));
        let at = due.into_iter().chain(later).min()?;
        Some(at.max(now.after(TEND_INTERVAL_MIN)).since(now))
    }
}
