//! How many unread bytes of a body are kept: what the host said, or, if it said nothing, what suits the way in which it
//! takes them.
//!
//! A host that polls once a frame and takes all that came gets one buffer a frame: the frame rate would be its speed
//! limit. So a buffer that was full, stayed full for [`FULL_FOR_LONG`] and was then emptied becomes [`GROWTH`]
//! times as large when it is full again. A host that takes bytes as they come never leaves it full for so long, and one
//! that is slow does not empty it.

use std::time::Duration;

use super::config::{BODY_BUFFER_BYTES, BODY_BUFFER_GROWN_BYTES_MAX};
use crate::valtron::time::Instant;

/// Longer than a host needs that takes the bytes and comes back; shorter than a frame at 120 a second.
const FULL_FOR_LONG: Duration = Duration::from_millis(4);

/// Few frames until a download has its speed, and little memory for one that needs not much more.
const GROWTH: usize = 4;

/// See the module.
#[derive(Debug)]
pub(super) struct BodyCapacity {
    bytes: usize,
    /// Since when it is full.
    full_since: Instant,
    is_full: bool,
    /// By the host.
    is_fixed: bool,
    /// It was full for long.
    was_full_for_long: bool,
    /// Since it was full the host has taken all there was.
    emptied: bool,
}

impl BodyCapacity {
    /// So many bytes, at least one, or the library's choice.
    pub fn new(fixed: Option<usize>) -> Self {
        Self {
            bytes: fixed.map_or(BODY_BUFFER_BYTES, |bytes| bytes.max(1)),
            full_since: Instant::default(),
            is_full: false,
            is_fixed: fixed.is_some(),
            was_full_for_long: false,
            emptied: false,
        }
    }

    /// In bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// What it has grown by.
    pub fn growth(&self) -> usize {
        match self.is_fixed {
            true => 0,
            false => self.bytes - BODY_BUFFER_BYTES,
        }
    }

    /// The buffer is gone: what it had grown by, once.
    pub fn shrink(&mut self) -> usize {
        let growth = self.growth();
        self.bytes -= growth;
        growth
    }

    /// The host took the last byte.
    pub fn note_emptied(&mut self) {
        self.emptied = true;
    }

    /// There is room.
    pub fn note_room(&mut self, now: Instant) {
        if std::mem::replace(&mut self.is_full, false) {
            self.was_full_for_long = now.since(self.full_since) >= FULL_FOR_LONG;
        }
    }

    /// It is full. `grant` is asked for more memory, if more would help. True: there is room again.
    pub fn note_full(&mut self, now: Instant, grant: impl FnOnce(usize) -> bool) -> bool {
        if self.is_full {
            return false;
        }
        let helps = std::mem::take(&mut self.was_full_for_long) && std::mem::take(&mut self.emptied);
        let more = self.bytes.saturating_mul(GROWTH).min(BODY_BUFFER_GROWN_BYTES_MAX).saturating_sub(self.bytes);
        if helps && !self.is_fixed && more > 0 && grant(more) {
            self.bytes += more;
            return true;
        }
        self.emptied = false;
        self.is_full = true;
        self.full_since = now;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Duration = Duration::from_millis(16);
    const SOON: Duration = Duration::from_millis(1);

    /// Fills it once a frame, `frames` times; the host takes all of it, or not.
    fn frames(capacity: &mut BodyCapacity, frames: u32, pause: Duration, empties: bool, granted: bool) {
        let mut now = Instant::default();
        for _ in 0..frames {
            while capacity.note_full(now, |_| granted) {}
            if empties {
                capacity.note_emptied();
            }
            now = now.after(pause);
            capacity.note_room(now);
        }
    }

    /// Goal: it grows for a host that takes all once a frame, up to its bound; not for one that comes back soon, that
    /// leaves bytes, or that said what it wants; nor without a grant.
    #[test]
    fn grows_for_frames() {
        let mut grown = BodyCapacity::new(None);
        frames(&mut grown, 3, FRAME, true, true);
        assert_eq!(grown.bytes(), BODY_BUFFER_BYTES * 16);
        frames(&mut grown, 100, FRAME, true, true);
        assert_eq!(
            (grown.bytes(), grown.growth()),
            (BODY_BUFFER_GROWN_BYTES_MAX, BODY_BUFFER_GROWN_BYTES_MAX - BODY_BUFFER_BYTES)
        );
        let mut fixed = BodyCapacity::new(Some(1_000));
        frames(&mut fixed, 100, FRAME, true, true);
        assert_eq!((fixed.bytes(), fixed.growth()), (1_000, 0));
        for (pause, empties, granted) in [(SOON, true, true), (FRAME, false, true), (FRAME, true, false)] {
            let mut same = BodyCapacity::new(None);
            frames(&mut same, 100, pause, empties, granted);
            assert_eq!((same.bytes(), same.growth()), (BODY_BUFFER_BYTES, 0));
        }
    }
}
