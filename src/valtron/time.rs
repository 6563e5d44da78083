//! Time as a number: nanoseconds since the origin of a [`Clock`]. Our own type, since `std::time::Instant` cannot be
//! made on wasm32 nor by a simulator.

use std::time::Duration;

use crate::synca::sync::atomic::{AtomicU64, Ordering};
use crate::synca::sync::Arc;

/// A point in monotonic time, in nanoseconds since its clock's origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(u64);

impl Instant {
    /// `nanos` after the origin.
    pub fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the origin.
    pub fn as_nanos(self) -> u64 {
        self.0
    }

    /// This plus a duration; stops at the end of time instead of wrapping.
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// How long after `earlier` this is; zero if it is not.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// The turn's `now`: set once a turn by the executor, read by every task of that turn.
#[derive(Clone, Debug, Default)]
pub struct TurnClock(Arc<AtomicU64>);

impl TurnClock {
    /// The present turn's time.
    pub fn now(&self) -> Instant {
        Instant(self.0.load(Ordering::SeqCst))
    }

    /// The executor sets the turn's time; it never goes back.
    pub fn set(&self, now: Instant) {
        self.0.fetch_max(now.0, Ordering::SeqCst);
    }
}

/// Where an executor reads the time: the machine's clock, a simulator's, or the host's on wasm32.
pub trait Clock: Send + Sync {
    /// Now. Monotonic.
    fn read(&self) -> Instant;
}
