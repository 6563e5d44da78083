//! The steps of each state of a request; the states themselves, and who follows whom, stand in [`task`](super::task).

mod connecting;
mod receiving;
mod receiving_body;
mod redirecting;
mod sending;

use super::error::HttpClientError;
use super::task::Move;

/// A step's outcome.
type Outcome<N> = Result<Move<N>, HttpClientError>;

/// Reads per step, lest one download hold up the rest. A read is one receive buffer, or one TLS record.
pub(super) const READS_PER_STEP_MAX: usize = 4;
