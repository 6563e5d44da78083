//! What a host may see of a request without its lock. The tasks of a request write it; all of them run on one
//! executor, so there is one writer at a time.
//!
//! Orderings: the state and the length of the trace are stored with `Release` and loaded with `Acquire`, so that
//! whoever sees one sees what was stored before; the rest is `Relaxed`. Nobody sleeps for want of a store here: what
//! ends a wait is the event, which is raised after it.

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering};
use std::sync::OnceLock;
use std::time::Duration;

use super::{Milestone, TraceEntry};
use crate::client::error::{HttpClientError, Phase};
use crate::client::status::Status;
use crate::client::task::HttpRequestState;

/// State changes kept per request: ten states for each of a dozen hops; a longer trace keeps its beginning and its
/// latest entry.
const TRACE_ENTRIES_MAX: usize = 128;
/// Room for a plain request, over TLS or not; the rest is allocated when it is needed.
const TRACE_ENTRIES_FIRST: usize = 8;

/// Bits of a packed entry: 4 of state, 12 of hop, 48 of microseconds, which is nine years.
const STATE_BITS: u32 = 4;
const HOP_BITS: u32 = 12;

/// See the module.
pub(super) struct Progress {
    /// A number of the C API. Stored last of what belongs to it: who sees the end sees all of it.
    state: AtomicI32,
    status: AtomicI32,
    http_status: AtomicI32,
    pub(super) hop: AtomicU32,
    /// Nanoseconds since the request was made; all ones: not yet.
    times: [AtomicU64; 8],
    pub(super) body_sent: AtomicU64,
    pub(super) connection_reused: AtomicBool,
    pub(super) tls_resumed: AtomicBool,
    trace_len: AtomicU32,
    trace: [AtomicU64; TRACE_ENTRIES_FIRST],
    trace_rest: OnceLock<Box<[AtomicU64]>>,
}

impl Default for Progress {
    fn default() -> Self {
        let progress = Self {
            state: AtomicI32::new(0),
            status: AtomicI32::new(0),
            http_status: AtomicI32::new(0),
            hop: AtomicU32::new(0),
            times: std::array::from_fn(|_| AtomicU64::new(u64::MAX)),
            body_sent: AtomicU64::new(0),
            connection_reused: AtomicBool::new(false),
            tls_resumed: AtomicBool::new(false),
            trace_len: AtomicU32::new(0),
            trace: std::array::from_fn(|_| AtomicU64::new(0)),
            trace_rest: OnceLock::new(),
        };
        progress.enter(HttpRequestState::Init.code(), Duration::ZERO);
        progress
    }
}

impl Progress {
    pub(super) fn enter(&self, state: i32, since: Duration) {
        let hop = self.hop.load(Ordering::Relaxed).min((1 << HOP_BITS) - 1);
        let entry = (since.as_micros() as u64) << (STATE_BITS + HOP_BITS)
            | u64::from(hop) << STATE_BITS
            | u64::from(state as u32);
        let len = self.trace_len.load(Ordering::Relaxed) as usize;
        if let Some(place) = self.entry(len.min(TRACE_ENTRIES_MAX - 1)) {
            place.store(entry, Ordering::Relaxed);
        }
        if len < TRACE_ENTRIES_MAX {
            self.trace_len.store(len as u32 + 1, Ordering::Release);
        }
        self.state.store(state, Ordering::Release);
    }

    fn entry(&self, at: usize) -> Option<&AtomicU64> {
        match at.checked_sub(TRACE_ENTRIES_FIRST) {
            None => self.trace.get(at),
            Some(at) => {
                let more = || (TRACE_ENTRIES_FIRST..TRACE_ENTRIES_MAX).map(|_| AtomicU64::new(0)).collect();
                self.trace_rest.get_or_init(more).get(at)
            }
        }
    }

    pub(super) fn reach(&self, milestone: Milestone, since: Duration) {
        self.times[milestone as usize].store(since.as_nanos() as u64, Ordering::Relaxed);
    }

    pub(super) fn set_http_status(&self, status: u16) {
        self.http_status.store(i32::from(status), Ordering::Relaxed);
    }

    /// The last state.
    pub(super) fn end(&self, error: Option<&HttpClientError>, since: Duration) {
        let (state, status) = match error {
            None => (HttpRequestState::DONE, Status::Ok),
            Some(error) => (HttpRequestState::ERROR, error.status),
        };
        self.status.store(status as i32, Ordering::Relaxed);
        self.reach(Milestone::Done, since);
        self.enter(state, since);
    }

    pub(super) fn state(&self) -> i32 {
        self.state.load(Ordering::Acquire)
    }

    pub(super) fn is_terminal(&self) -> bool {
        self.state() >= HttpRequestState::DONE
    }

    pub(super) fn phase(&self) -> Phase {
        HttpRequestState::phase_of(self.state())
    }

    pub(super) fn status(&self) -> Status {
        Status::from_code(self.status.load(Ordering::Relaxed)).unwrap_or(Status::Internal)
    }

    pub(super) fn http_status(&self) -> i32 {
        self.http_status.load(Ordering::Relaxed)
    }

    pub(super) fn times(&self) -> [Option<Duration>; 8] {
        std::array::from_fn(|at| match self.times[at].load(Ordering::Relaxed) {
            u64::MAX => None,
            nanos => Some(Duration::from_nanos(nanos)),
        })
    }

    pub(super) fn trace(&self) -> Vec<TraceEntry> {
        let len = self.trace_len.load(Ordering::Acquire) as usize;
        let packed = (0..len).filter_map(|at| self.entry(at)).map(|entry| entry.load(Ordering::Relaxed));
        packed
            .map(|entry| TraceEntry {
                at: Duration::from_micros(entry >> (STATE_BITS + HOP_BITS)),
                state: (entry & ((1 << STATE_BITS) - 1)) as i32,
                hop: (entry >> STATE_BITS) as u32 & ((1 << HOP_BITS) - 1),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a long trace keeps its beginning and its latest entry, and a hop too many for its bits does not spoil the
    /// rest. Method: enter more states than it holds.
    #[test]
    fn a_long_trace() {
        let progress = Progress::default();
        for n in 1..300u32 {
            progress.hop.store(n * 100, Ordering::SeqCst);
            progress.enter((n % 8) as i32, Duration::from_micros(u64::from(n)));
        }
        let trace = progress.trace();
        assert_eq!(trace.len(), TRACE_ENTRIES_MAX);
        assert_eq!(trace[0], TraceEntry { at: Duration::ZERO, state: 0, hop: 0 });
        assert_eq!(trace[13], TraceEntry { at: Duration::from_micros(13), state: 5, hop: 1_300 });
        assert_eq!(trace[127], TraceEntry { at: Duration::from_micros(299), state: 3, hop: 4_095 });
        assert!(!progress.is_terminal());
        progress.end(Some(&HttpClientError::plain(Status::Cancelled, Phase::Body)), Duration::from_secs(1));
        assert_eq!((progress.status(), progress.state(), progress.is_terminal()), (Status::Cancelled, 9, true));
        assert_eq!(progress.times()[Milestone::Done as usize], Some(Duration::from_secs(1)));
    }
}
