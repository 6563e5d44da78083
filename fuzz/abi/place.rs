//! Places for outputs that tell whether and how far they were written.

use std::marker::PhantomData;
use std::mem::size_of;

use valtron_http::ffi::{valtron_status, VALTRON_OK};

const PATTERN: u64 = 0xa5a5_a5a5_a5a5_a5a5;
/// Room behind, for a caller whose struct is larger than the library's.
const TAIL_BYTES: usize = 128;

/// Room for `count` values, `stride` bytes from one to the next.
pub struct Place<T> {
    words: Vec<u64>,
    stride: usize,
    size: Option<usize>,
    kind: PhantomData<T>,
}

impl<T: Copy> Place<T> {
    /// One value.
    pub fn plain() -> Self {
        Self::array(size_of::<T>(), 1)
    }

    /// One struct that says its size.
    pub fn sized(size: usize) -> Self {
        let mut place = Self::plain();
        place.size = Some(size);
        place.words[0] = size as u64;
        place
    }

    /// A stride that will be refused gets no room of its own.
    pub fn array(stride: usize, count: usize) -> Self {
        let bytes = if stride > 4096 { 0 } else { stride * count } + size_of::<T>() + TAIL_BYTES;
        Self { words: vec![PATTERN; bytes.div_ceil(8)], stride, size: None, kind: PhantomData }
    }

    pub fn pointer(&mut self) -> *mut T {
        self.words.as_mut_ptr().cast()
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: any word is eight bytes.
        unsafe { std::slice::from_raw_parts(self.words.as_ptr().cast(), self.words.len() * 8) }
    }

    /// As it was before the call.
    pub fn untouched(&self) -> bool {
        let from = usize::from(self.size.is_some());
        self.size.is_none_or(|size| self.words[0] == size as u64) && self.words[from..].iter().all(|w| *w == PATTERN)
    }

    /// Written by a call that succeeded, and not beyond what the caller said.
    pub fn value(&self) -> T {
        if let Some(size) = self.size {
            assert_eq!(self.words[0], size as u64, "struct_size was written");
        }
        self.values(1)[0]
    }

    /// The first `count` elements; the gaps between them and all behind is as it was.
    pub fn values(&self, count: usize) -> Vec<T> {
        let (bytes, size) = (self.bytes(), size_of::<T>());
        for at in 0..count {
            let end = if at + 1 == count { bytes.len() } else { (at + 1) * self.stride };
            assert!(bytes[at * self.stride + size..end].iter().all(|byte| *byte == PATTERN as u8), "written beyond");
        }
        // SAFETY: the library wrote them, and they are numbers and pointers; they may lie unaligned.
        (0..count).map(|at| unsafe { bytes[at * self.stride..].as_ptr().cast::<T>().read_unaligned() }).collect()
    }

    /// The value, if the call succeeded.
    pub fn after(&self, status: valtron_status) -> Option<T> {
        if status == VALTRON_OK {
            return Some(self.value());
        }
        assert!(self.untouched(), "an output was written by a call that answered {status}");
        None
    }
}
