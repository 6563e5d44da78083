//! Waiting as data: what a pending task waits for. It can be printed, compared and simulated.

use super::time::Instant;
use crate::synca::Entry;

/// A socket known to a poller. Generational: never a file descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SocketKey(pub Entry);

/// Which direction of a socket must become ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Bytes to read, end of stream, or an error.
    Read,
    /// Room to write, a finished connect, or an error.
    Write,
    /// Either.
    Both,
}

/// What a pending task waits for: whichever of these comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Wait {
    /// A socket becomes ready.
    pub io: Option<(SocketKey, Interest)>,
    /// A point in time.
    pub deadline: Option<Instant>,
    /// A [`TaskWaker`](crate::synca::TaskWaker) is called: a look-up's answer, room in a sink, a finished child or
    /// job, cancel.
    pub external: bool,
}

impl Wait {
    /// Only a waker.
    pub const EXTERNAL: Wait = Wait { io: None, deadline: None, external: true };

    /// A socket.
    pub fn io(key: SocketKey, interest: Interest) -> Self {
        Self { io: Some((key, interest)), ..Self::default() }
    }

    /// A point in time.
    pub fn until(deadline: Instant) -> Self {
        Self { deadline: Some(deadline), ..Self::default() }
    }

    /// This, and a waker too.
    pub fn or_external(mut self) -> Self {
        self.external = true;
        self
    }

    /// This, but no longer than `deadline`; the earlier of two deadlines counts.
    pub fn no_later_than(mut self, deadline: Option<Instant>) -> Self {
        self.deadline = match (self.deadline, deadline) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        self
    }

    /// Nothing can end this wait but asking again: a spin. A bug of the task, caught by the executor.
    pub fn is_empty(&self) -> bool {
        self.io.is_none() && self.deadline.is_none() && !self.external
    }
}
