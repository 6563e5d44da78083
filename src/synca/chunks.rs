//! [`Chunks`]: a table that grows, whose entries never move, so that one is found without a lock.

use super::sync::OnceLock;

/// Entries of the first chunk; each further chunk has twice as many as the one before.
const FIRST_CHUNK: usize = 64;
/// Enough for more than 2^20 entries.
const CHUNKS: usize = 15;

/// See the module. An entry begins as its default and is never removed.
pub struct Chunks<T> {
    chunks: [OnceLock<Box<[T]>>; CHUNKS],
}

impl<T> Default for Chunks<T> {
    fn default() -> Self {
        Self { chunks: std::array::from_fn(|_| OnceLock::new()) }
    }
}

impl<T: Default> Chunks<T> {
    /// The entry, if its chunk was made.
    pub fn get(&self, index: usize) -> Option<&T> {
        let (chunk, at) = locate(index)?;
        self.chunks[chunk].get()?.get(at)
    }

    /// The entry, made if need be. `None`: there is no such index.
    pub fn make(&self, index: usize) -> Option<&T> {
        let (chunk, at) = locate(index)?;
        let make = || (0..FIRST_CHUNK << chunk).map(|_| T::default()).collect();
        self.chunks[chunk].get_or_init(make).get(at)
    }

    /// All that were made, in order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
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
        let table = Chunks::<u32>::default();
        assert!(table.get(70).is_none() && table.make(70).is_some() && table.get(64).is_some());
        assert!(table.get(0).is_none() && table.iter().count() == 2 * FIRST_CHUNK);
    }
}
