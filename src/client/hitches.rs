//! How long polls took, and what took longest: for a host that has frames to keep.
//!
//! Wall time, read from the clock that a turn reads anyway: it costs no call into the kernel. It includes what the OS
//! gave to others meanwhile; `CLOCK_THREAD_CPUTIME_ID` would not, and would cost a system call at every step.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What a step of a task was about. The numbers are part of the C API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
#[allow(missing_docs)] // as in the C API
pub enum StepKind {
    None = 0,
    Start = 1,
    Resolve = 2,
    TlsStart = 3,
    TlsHandshake = 4,
    Send = 5,
    Head = 6,
    Body = 7,
    Redirect = 8,
    Idle = 9,
}

/// Classes of polls by duration: class i holds those shorter than 16 << i microseconds, the last one all longer ones.
/// So the classes end at 16 us (a poll that found nothing) and begin at 262 ms (a frame that everybody saw).
pub const POLL_CLASSES: usize = 16;

/// The counts of one client. Each number stands for itself, so the order of the writes does not matter.
#[derive(Debug, Default)]
pub struct Hitches {
    polls: AtomicU64,
    longest_ns: AtomicU64,
    classes: [AtomicU64; POLL_CLASSES],
}

/// A look at them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // as in the C API
pub struct HitchReport {
    pub polls: u64,
    pub longest_poll: Duration,
    pub poll_classes: [u64; POLL_CLASSES],
    pub longest_step: Duration,
    pub longest_step_kind: u32,
}

impl Hitches {
    /// A poll took so long, the host's callbacks not counted.
    pub fn count(&self, took: Duration) {
        self.polls.fetch_add(1, Ordering::Relaxed);
        self.longest_ns.fetch_max(took.as_nanos() as u64, Ordering::Relaxed);
        self.classes[class(took)].fetch_add(1, Ordering::Relaxed);
    }

    /// The longest so far.
    pub fn longest(&self) -> Duration {
        Duration::from_nanos(self.longest_ns.load(Ordering::Relaxed))
    }

    /// What was counted; `reset`: and from here on anew.
    pub fn report(&self, reset: bool) -> HitchReport {
        let take = |count: &AtomicU64| match reset {
            true => count.swap(0, Ordering::Relaxed),
            false => count.load(Ordering::Relaxed),
        };
        HitchReport {
            polls: take(&self.polls),
            longest_poll: Duration::from_nanos(take(&self.longest_ns)),
            poll_classes: std::array::from_fn(|class| take(&self.classes[class])),
            longest_step: Duration::ZERO,
            longest_step_kind: StepKind::None as u32,
        }
    }
}

fn class(took: Duration) -> usize {
    let sixteenths = took.as_micros() / 16;
    let bits = (u128::BITS - sixteenths.leading_zeros()) as usize;
    bits.min(POLL_CLASSES - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the borders of the classes, and that a reset takes everything.
    #[test]
    fn classes() {
        let at = |micros| class(Duration::from_micros(micros));
        assert_eq!((at(0), at(15), at(16), at(31), at(32), at(63), at(64)), (0, 0, 1, 1, 2, 2, 3));
        assert_eq!((at((16 << 14) - 1), at(16 << 14), class(Duration::MAX)), (14, 15, 15));
        let hitches = Hitches::default();
        hitches.count(Duration::from_micros(20));
        hitches.count(Duration::from_micros(3));
        let report = hitches.report(true);
        assert_eq!((report.polls, report.longest_poll.as_micros()), (2, 20));
        assert_eq!(report.poll_classes[..3], [1, 1, 0]);
        assert_eq!(hitches.report(false), HitchReport::default());
    }
}
