//! How the host reads a body: copied, in place, or straight from the socket.

use super::{Inner, RequestShared};
use crate::client::body_buffer::BodyBuffer;
use crate::client::status::Status;
use crate::synca::{TaskMutex, TaskMutexGuard, TaskWaker};

/// A read with at least so much room goes straight to the socket: below, the copy is cheaper than a system call.
const DIRECT_READ_BYTES_MIN: usize = 16 * 1024;

/// What one read brings straight from the socket at most. A fast peer could feed a larger buffer for as long as it
/// likes.
const DIRECT_READ_BYTES_MAX: usize = 1 << 20;
/// Reads without a byte of body before a direct read leaves it to the task: framing, or records of TLS itself.
const VAIN_READS_MAX: u32 = 16;

/// What the producer is to do with body bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intake {
    /// Bring up to so many.
    Room(usize),
    /// Wait: the buffer is full.
    Full,
    /// Wait: the host will take them from the socket.
    Direct,
}

/// What a direct read came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direct {
    /// So many body bytes; framing alone gives none.
    Bytes(usize),
    /// The producer must go on.
    Nothing,
}

/// A body that can be read past the buffer.
pub trait DirectBody: Send {
    /// Reads what lies in the socket, once. `into` is not empty; behind the body bytes it may be scribbled on.
    fn read_direct(&mut self, into: &mut [u8]) -> Direct;

    /// It is over, or broken: the producer must see to it.
    fn needs_task(&self) -> bool;
}

impl RequestShared {
    /// Copies body bytes out; a large buffer takes them straight from the socket once the library's own buffer is
    /// empty.
    pub fn read(&self, into: &mut [u8]) -> Result<usize, Status> {
        let mut inner = self.inner();
        inner.direct = into.len() >= DIRECT_READ_BYTES_MIN;
        if !inner.body.is_empty() {
            return self.read_buffered(inner, into);
        }
        let stream = inner.stream.clone().filter(|_| inner.direct && !inner.body_ended);
        let Some(stream) = stream else {
            let waits = !inner.direct && std::mem::replace(&mut inner.direct_ready, false);
            let wake = inner.producer.clone().filter(|_| waits);
            let outcome = inner.nothing_to_read().map(|()| 0);
            let _emptied = self.take_emptied(&mut inner);
            drop(inner);
            wake.into_iter().for_each(|waker| waker.wake());
            return outcome;
        };
        drop(inner);
        self.read_direct(&stream, into)
    }

    /// Copies what is in the buffer, a piece under each lock: the producer may be the thread that polls.
    fn read_buffered<'a>(&'a self, first: TaskMutexGuard<'a, Inner>, into: &mut [u8]) -> Result<usize, Status> {
        let (mut held, mut total) = (Some(first), 0);
        loop {
            let (count, wake, _emptied) = {
                let inner = &mut *held.take().unwrap_or_else(|| self.inner());
                let count = inner.body.read(&mut into[total..]);
                if count == 0 && total == 0 && !into.is_empty() {
                    // Another thread took it: that is no end.
                    return inner.nothing_to_read().map(|()| 0);
                }
                (count, inner.take_starved(), self.take_emptied(inner))
            };
            wake.into_iter().for_each(|waker| waker.wake());
            total += count;
            if count == 0 || total == into.len() {
                return Ok(total);
            }
        }
    }

    /// The stream is locked before the request, as the producer does it, so that no byte overtakes another.
    fn read_direct(&self, stream: &TaskMutex<dyn DirectBody>, into: &mut [u8]) -> Result<usize, Status> {
        let mut stream = stream.lock();
        {
            let inner = self.inner();
            if !inner.body.is_empty() {
                return self.read_buffered(inner, into);
            }
            if inner.body_ended {
                return inner.nothing_to_read().map(|()| 0);
            }
        }
        let limit = into.len().min(DIRECT_READ_BYTES_MAX);
        let (mut total, mut dry, mut in_vain) = (0, false, 0);
        while total < limit && !dry {
            match stream.read_direct(&mut into[total..limit]) {
                Direct::Bytes(0) => {
                    in_vain += 1;
                    dry = stream.needs_task() || in_vain == VAIN_READS_MAX;
                }
                Direct::Bytes(count) => total += count,
                Direct::Nothing => dry = true,
            }
        }
        let needs_task = stream.needs_task();
        drop(stream);
        let wake = {
            let mut inner = self.inner();
            inner.body_received += total as u64;
            inner.direct_progress |= total > 0;
            // Dry, over, or broken: the producer takes over.
            if dry && std::mem::replace(&mut inner.direct_ready, false) || needs_task {
                inner.producer.clone()
            } else {
                None
            }
        };
        wake.into_iter().for_each(|waker| waker.wake());
        if total == 0 {
            return Err(Status::WouldBlock);
        }
        Ok(total)
    }

    /// Body bytes in place, until the next consume, read or free.
    pub fn peek(&self) -> Result<(*const u8, usize), Status> {
        let (outcome, wake, _emptied) = {
            let mut inner = self.inner();
            // Bytes in place are the producer's to bring.
            inner.direct = false;
            let parked = std::mem::replace(&mut inner.direct_ready, false);
            let wake = inner.producer.clone().filter(|_| parked);
            let bytes = inner.body.peek();
            let outcome = match bytes.is_empty() {
                true => inner.nothing_to_read().map(|()| (bytes.as_ptr(), 0)),
                false => Ok((bytes.as_ptr(), bytes.len())),
            };
            (outcome, wake, self.take_emptied(&mut inner))
        };
        wake.into_iter().for_each(|waker| waker.wake());
        outcome
    }

    /// Drops body bytes.
    pub fn consume(&self, count: usize) -> Result<(), Status> {
        let (wake, _emptied) = {
            let mut inner = self.inner();
            if !inner.body.consume(count) {
                return Err(Status::NotConsumed);
            }
            (inner.take_starved(), self.take_emptied(&mut inner))
        };
        wake.into_iter().for_each(|waker| waker.wake());
        Ok(())
    }

    /// The buffer of a large body that was read to its end, to be dropped without the lock. A small one waits for the
    /// free.
    fn take_emptied(&self, inner: &mut Inner) -> Option<BodyBuffer> {
        let over = inner.body_ended && inner.body.is_empty() && inner.body.has_grown();
        over.then(|| {
            self.return_growth(inner);
            std::mem::take(&mut inner.body)
        })
    }
}

impl Inner {
    /// An empty buffer means: the end, an error, or wait.
    pub(super) fn nothing_to_read(&self) -> Result<(), Status> {
        match (&self.error, self.body_ended) {
            (Some(error), _) => Err(error.status),
            (None, true) => Ok(()),
            (None, false) => Err(Status::WouldBlock),
        }
    }

    /// The producer's waker, if it waits for room and there is enough again: half the buffer, so that a slow reader
    /// does not cause one wake per byte.
    pub(super) fn take_starved(&mut self) -> Option<TaskWaker> {
        if self.body.is_empty() {
            self.capacity.note_emptied();
        }
        if self.starved && self.body.len() * 2 <= self.capacity.bytes() {
            self.starved = false;
            self.producer.clone()
        } else {
            None
        }
    }
}
