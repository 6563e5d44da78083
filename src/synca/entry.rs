//! Generational keys: an [`Entry`] names one occupant of one slot; after that occupant leaves, the key is stale for
//! ever.

/// A key into an [`EntryList`]. The generation makes a stale key answer `None` instead of another occupant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Entry {
    index: u32,
    generation: u32,
}

impl Entry {
    /// A key from its two halves, for callers that carry it as a number.
    pub fn new(index: u32, generation: u32) -> Self {
        Self { index, generation }
    }

    /// The slot.
    pub fn index(self) -> u32 {
        self.index
    }

    /// Which occupant of the slot, counted from 1.
    pub fn generation(self) -> u32 {
        self.generation
    }
}

/// A slab whose keys are generational. A slot whose generation is spent is retired, never reused.
#[derive(Debug)]
pub struct EntryList<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
    len: usize,
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    value: Option<T>,
}

impl<T> Default for EntryList<T> {
    fn default() -> Self {
        Self { slots: Vec::new(), free: Vec::new(), len: 0 }
    }
}

impl<T> EntryList<T> {
    /// An empty list; allocates nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a value in a free slot and returns its key.
    pub fn insert(&mut self, value: T) -> Entry {
        self.len += 1;
        if let Some(index) = self.free.pop() {
            let slot = &mut self.slots[index as usize];
            slot.generation += 1;
            slot.value = Some(value);
            return Entry { index, generation: slot.generation };
        }
        let index = self.slots.len() as u32;
        self.slots.push(Slot { generation: 1, value: Some(value) });
        Entry { index, generation: 1 }
    }

    /// Takes the value out; the key and its copies are stale from now on.
    pub fn remove(&mut self, entry: Entry) -> Option<T> {
        let slot = self.slots.get_mut(entry.index as usize)?;
        if slot.generation != entry.generation {
            return None;
        }
        let value = slot.value.take()?;
        self.len -= 1;
        if slot.generation < u32::MAX {
            self.free.push(entry.index);
        }
        Some(value)
    }

    /// The value under a live key.
    pub fn get_mut(&mut self, entry: Entry) -> Option<&mut T> {
        let slot = self.slots.get_mut(entry.index as usize)?;
        if slot.generation == entry.generation {
            slot.value.as_mut()
        } else {
            None
        }
    }

    /// The value under a live key.
    pub fn get(&self, entry: Entry) -> Option<&T> {
        let slot = self.slots.get(entry.index as usize)?;
        if slot.generation == entry.generation {
            slot.value.as_ref()
        } else {
            None
        }
    }

    /// Occupied slots.
    pub fn len(&self) -> usize {
        self.len
    }

    /// No slot is occupied.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All live keys with their values.
    pub fn iter(&self) -> impl Iterator<Item = (Entry, &T)> {
        self.slots.iter().enumerate().filter_map(|(index, slot)| {
            let entry = Entry { index: index as u32, generation: slot.generation };
            slot.value.as_ref().map(|value| (entry, value))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a key outlives its occupant without ever naming another one. Method: insert, remove, insert again, use
    /// the old key.
    #[test]
    fn a_stale_key_names_nothing() {
        let mut list = EntryList::new();
        let first = list.insert("a");
        assert_eq!(list.remove(first), Some("a"));
        let second = list.insert("b");
        assert_eq!(first.index(), second.index());
        assert_eq!(list.get(first), None);
        assert_eq!(list.remove(first), None);
        assert_eq!(list.get(second), Some(&"b"));
        assert_eq!(list.len(), 1);
    }
}
