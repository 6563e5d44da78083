//! The live descriptors of one client, readable without a lock.
//!
//! After a fork the child has one thread; a lock that another thread of the parent held stays locked there for ever.
//! The child must still close the client's descriptors, or the peers never see the connections end. So they are
//! written down in slots that only grow in number, and whoever swaps a descriptor out of its slot, the socket's drop
//! or the child, is the one that closes it.

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering};
use std::sync::OnceLock;

use super::descriptor;

/// See the module. One per client, shared by all its executors.
#[derive(Debug)]
pub struct DescriptorLedger {
    segments: [OnceLock<Box<[Slot]>>; SEGMENTS],
    /// Slots handed out at least once.
    used: AtomicU32,
    /// The top of the stack of free slots: a tag in the high half, against a stack that changed and changed back, and
    /// the slot plus one.
    free: AtomicU64,
    forked: AtomicBool,
}

#[derive(Debug)]
struct Slot {
    descriptor: AtomicI32,
    /// The free slot below this one, plus one.
    below: AtomicU32,
}

impl Default for DescriptorLedger {
    fn default() -> Self {
        Self::new()
    }
}

impl DescriptorLedger {
    /// An empty ledger; allocates nothing.
    pub const fn new() -> Self {
        Self {
            segments: [const { OnceLock::new() }; SEGMENTS],
            used: AtomicU32::new(0),
            free: AtomicU64::new(0),
            forked: AtomicBool::new(false),
        }
    }

    /// Writes a descriptor down.
    pub fn add(&self, descriptor: i32) -> u32 {
        let index = self.pop_free().unwrap_or_else(|| self.used.fetch_add(1, Ordering::SeqCst));
        let (segment, at) = place(index);
        let slots = self.segments[segment].get_or_init(|| {
            let slot = || Slot { descriptor: AtomicI32::new(NONE), below: AtomicU32::new(0) };
            (0..FIRST_SEGMENT_SLOTS << segment).map(|_| slot()).collect()
        });
        slots[at].descriptor.store(descriptor, Ordering::SeqCst);
        index
    }

    /// Strikes a descriptor out. True: the caller closes it. False: that has been done already.
    pub fn remove(&self, index: u32) -> bool {
        let Some(slot) = self.slot(index) else { return false };
        let ours = slot.descriptor.swap(NONE, Ordering::SeqCst) != NONE;
        if ours {
            self.push_free(index, slot);
        }
        ours
    }

    /// Only in the child of a fork: from now on sockets of this client are closed and nothing else. Takes no lock.
    pub fn set_forked(&self) {
        self.forked.store(true, Ordering::SeqCst);
    }

    /// [`Self::set_forked`] was called.
    pub fn is_forked(&self) -> bool {
        self.forked.load(Ordering::SeqCst)
    }

    /// Only in the child of a fork: closes every descriptor. Takes no lock and frees no memory.
    pub fn close_all(&self) {
        self.set_forked();
        for index in 0..self.used.load(Ordering::SeqCst) {
            let Some(slot) = self.slot(index) else { continue };
            let descriptor = slot.descriptor.swap(NONE, Ordering::SeqCst);
            if descriptor != NONE {
                descriptor::close(descriptor);
            }
        }
    }

    /// The descriptors written down now; for tests and leak checks.
    pub fn live(&self) -> Vec<i32> {
        let used = self.used.load(Ordering::SeqCst);
        let descriptors = (0..used).filter_map(|index| Some(self.slot(index)?.descriptor.load(Ordering::SeqCst)));
        descriptors.filter(|descriptor| *descriptor != NONE).collect()
    }

    fn slot(&self, index: u32) -> Option<&Slot> {
        let (segment, at) = place(index);
        self.segments[segment].get()?.get(at)
    }

    fn pop_free(&self) -> Option<u32> {
        let mut top = self.free.load(Ordering::SeqCst);
        loop {
            let index = (top as u32).checked_sub(1)?;
            let below = self.slot(index)?.below.load(Ordering::SeqCst);
            match self.free.compare_exchange(top, retag(top, below), Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return Some(index),
                Err(seen) => top = seen,
            }
        }
    }

    fn push_free(&self, index: u32, slot: &Slot) {
        let mut top = self.free.load(Ordering::SeqCst);
        loop {
            slot.below.store(top as u32, Ordering::SeqCst);
            match self.free.compare_exchange(top, retag(top, index + 1), Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return,
                Err(seen) => top = seen,
            }
        }
    }
}

fn retag(top: u64, link: u32) -> u64 {
    ((top >> 32).wrapping_add(1) << 32) | u64::from(link)
}

/// Which segment, and where in it: segments double in size.
fn place(index: u32) -> (usize, usize) {
    let shifted = u64::from(index) + FIRST_SEGMENT_SLOTS as u64;
    let segment = shifted.ilog2() - FIRST_SEGMENT_SLOTS.ilog2();
    (segment as usize, (shifted - ((FIRST_SEGMENT_SLOTS as u64) << segment)) as usize)
}

/// No descriptor has this number.
const NONE: i32 = -1;

/// Most clients have fewer connections than this.
const FIRST_SEGMENT_SLOTS: usize = 64;

/// Enough for every `u32`.
const SEGMENTS: usize = 28;

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a forked child survives a ledger that names a descriptor it does not have. Method: a number that is open
    /// nowhere.
    #[test]
    fn closes_what_is_not_open() {
        let ledger = DescriptorLedger::new();
        ledger.add(1_000_000);
        ledger.close_all();
        assert!(ledger.live().is_empty());
    }

    /// Goal: slots are distinct, reused, and closed by exactly one. Method: numbers that are no open descriptors,
    /// past two segments.
    #[test]
    fn a_descriptor_is_struck_out_once() {
        let ledger = DescriptorLedger::new();
        let slots: Vec<u32> = (0..500).map(|number| ledger.add(1_000_000 + number)).collect();
        assert_eq!(ledger.live().len(), 500);
        assert!(ledger.remove(slots[7]));
        assert!(!ledger.remove(slots[7]));
        assert_eq!(ledger.add(5), slots[7]);
        assert!(!ledger.remove(100_000));
        assert_eq!(place(0), (0, 0));
        assert_eq!(place(64), (1, 0));
        assert!(place(u32::MAX).0 < SEGMENTS);
    }

    /// Goal: concurrent owners never share a slot. Method: threads add and remove; each sees its own number until it
    /// strikes it out.
    #[test]
    fn slots_are_not_shared() {
        let ledger = DescriptorLedger::new();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let ledger = &ledger;
                scope.spawn(move || {
                    for round in 0..2_000 {
                        let number = 1_000_000 + thread * 10_000 + round;
                        let slot = ledger.add(number);
                        assert_eq!(ledger.slot(slot).map(|slot| slot.descriptor.load(Ordering::SeqCst)), Some(number));
                        assert!(ledger.remove(slot));
                    }
                });
            }
        });
        assert!(ledger.live().is_empty());
        assert!(ledger.used.load(Ordering::SeqCst) <= 4);
    }

    /// Goal: a child closes what is open, once. Method: a real socket pair; closing one end is seen at the other.
    #[cfg(unix)]
    #[test]
    fn close_all_closes() {
        use std::io::Read;
        use std::os::fd::IntoRawFd;
        use std::os::unix::net::UnixStream;
        let (mut kept, given) = UnixStream::pair().expect("a pair");
        let ledger = DescriptorLedger::new();
        let slot = ledger.add(given.into_raw_fd());
        ledger.close_all();
        assert!(ledger.is_forked());
        assert!(!ledger.remove(slot));
        assert_eq!(kept.read(&mut [0]).expect("end of stream"), 0);
    }
}
