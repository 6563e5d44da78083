//! Slots for requests, found by index without a lock that others need: a thread that looks one request up never waits
//! for one that looks up another, or makes one.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock};

use crate::client::request::RequestShared;

/// Slots of the first chunk; each further chunk has twice as many as the one before. None ever moves.
const FIRST_CHUNK: usize = 64;
/// Enough for more than 2^20 slots.
const CHUNKS: usize = 15;

/// A place for one request after another.
#[derive(Default)]
pub struct Slot {
    /// Held for a look or a change, by those who use the same slot.
    pub place: Mutex<Place>,
    /// It stands in the list of those with events, at most once: so that list never outgrows the slots.
    pub listed: AtomicBool,
}

/// Who is in a slot.
#[derive(Default)]
pub struct Place {
    /// Which occupant, counted from 1.
    pub generation: u32,
    pub request: Option<Arc<RequestShared>>,
}

/// All slots.
#[derive(Default)]
pub struct Slots {
    chunks: [OnceLock<Box<[Slot]>>; CHUNKS],
}

impl Slots {
    /// The slot, if its chunk was made.
    pub fn get(&self, index: usize) -> Option<&Slot> {
        let (chunk, at) = locate(index)?;
        self.chunks[chunk].get()?.get(at)
    }

    /// The slot, made if need be. `None`: there is no such index.
    pub fn make(&self, index: usize) -> Option<&Slot> {
        let (chunk, at) = locate(index)?;
        let make = || (0..FIRST_CHUNK << chunk).map(|_| Slot::default()).collect();
        self.chunks[chunk].get_or_init(make).get(at)
    }

    /// All that were made.
    pub fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.chunks.iter().filter_map(OnceLock::get).flat_map(|chunk| chunk.iter())
    }
}

/// The chunk of an index and the place in it.
fn locate(index: usize) -> Option<(usize, usize)> {
    let chunk = (index / FIRST_CHUNK + 1).ilog2() as usize;
    (chunk < CHUNKS).then(|| (chunk, index - FIRST_CHUNK * ((1 << chunk) - 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: every index has one place. Method: those at the seams of chunks, and the last.
    #[test]
    fn chunks_follow_each_other() {
        assert_eq!([0, 63, 64, 191, 192].map(locate), [(0, 0), (0, 63), (1, 0), (1, 127), (2, 0)].map(Some));
        assert!(locate((1 << 20) - 1).is_some_and(|(chunk, at)| at < FIRST_CHUNK << chunk));
        assert_eq!(locate(usize::MAX / 2), None);
        let slots = Slots::default();
        assert!(slots.get(70).is_none() && slots.make(70).is_some() && slots.get(64).is_some());
        assert!(slots.get(0).is_none() && slots.iter().count() == 2 * FIRST_CHUNK);
    }
}
