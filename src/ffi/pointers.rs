//! The caller's pointers, checked for NULL and size before anything follows them. Of each, the constructor is where
//! the caller's promise is needed; what comes after is safe.

use std::marker::PhantomData;
use std::mem::{align_of, offset_of, size_of};
use std::ptr::{copy_nonoverlapping, NonNull};

use super::types::*;
use crate::client::Status;

/// Sizes above this come from uninitialised memory.
const STRUCT_SIZE_MAX: usize = 64 * 1024;

/// A `repr(C)` struct that may grow in later versions.
pub(super) trait Grows: Copy {
    /// Its size in the first version: smaller is a mistake.
    const FIRST_SIZE: usize;

    /// As an element of an array: tells how many bytes were filled.
    fn set_filled(&mut self, _bytes: usize) {}
}

/// One that says its own size.
///
/// # Safety
/// It is `repr(C)` and begins with `struct_size: usize`, and whatever a C program may have left in its other fields
/// is a valid value for Rust: numbers, raw pointers, optional function pointers.
pub(super) unsafe trait Versioned: Grows {}

// Where all fields belong to the first version it is as long as the struct; where some were added since, it ends before
// the first of them.
macro_rules! versioned {
    ($($name:ident $([before $added:ident])?)*) => {$(
        impl Grows for $name { const FIRST_SIZE: usize = first_size!($name $($added)?); }
        // SAFETY: see the definition.
        unsafe impl Versioned for $name {}
    )*};
}

macro_rules! first_size {
    ($name:ident) => {
        size_of::<$name>()
    };
    ($name:ident $added:ident) => {
        offset_of!($name, $added)
    };
}

versioned! {
    valtron_error_detail valtron_client_config [before error]
    valtron_request_config valtron_poll_info valtron_request_info valtron_head
    valtron_stats valtron_hitches valtron_allocator
}

macro_rules! elements {
    ($($name:ident)*) => {$(
        impl Grows for $name {
            const FIRST_SIZE: usize = size_of::<$name>();
            fn set_filled(&mut self, bytes: usize) { self.struct_size = bytes; }
        }
    )*};
}

elements! { valtron_event valtron_spawn }

impl Grows for valtron_trace_entry {
    const FIRST_SIZE: usize = size_of::<Self>();
}

impl Grows for valtron_header {
    const FIRST_SIZE: usize = size_of::<Self>();
}

/// A place for one plain result.
pub(super) struct Out<T>(NonNull<T>);

/// # Safety
/// `place` is NULL or good for writing a `T` until the call ends.
pub(super) unsafe fn out<T>(place: *mut T) -> Result<Out<T>, Status> {
    NonNull::new(place).map(Out).ok_or(Status::NullOutput)
}

/// # Safety
/// As for [`out`].
pub(super) unsafe fn optional_out<T>(place: *mut T) -> Option<Out<T>> {
    NonNull::new(place).map(Out)
}

impl<T> Out<T> {
    pub(super) fn put(self, value: T) {
        // SAFETY: promised to the constructor.
        unsafe { self.0.as_ptr().write_unaligned(value) }
    }
}

/// A place for a struct, as long as its caller knows it.
pub(super) struct OutStruct<T> {
    place: Option<NonNull<T>>,
    size: usize,
}

/// # Safety
/// `place` is NULL, or its `struct_size` can be read and that many bytes written until the call ends.
pub(super) unsafe fn out_struct<T: Versioned>(place: *mut T) -> Result<OutStruct<T>, Status> {
    let place = NonNull::new(place).ok_or(Status::NullOutput)?;
    // SAFETY: promised to us.
    let size = unsafe { struct_size(place)? };
    Ok(OutStruct { place: Some(place), size })
}

/// # Safety
/// As for [`out_struct`].
pub(super) unsafe fn optional_out_struct<T: Versioned>(place: *mut T) -> Result<OutStruct<T>, Status> {
    if place.is_null() {
        return Ok(OutStruct { place: None, size: 0 });
    }
    // SAFETY: promised to us.
    unsafe { out_struct(place) }
}

impl<T: Versioned> OutStruct<T> {
    /// Writes what the caller has room for; `struct_size` stays as it is.
    pub(super) fn put(self, value: &T) {
        let Some(place) = self.place else { return };
        let from = (value as *const T).cast::<u8>();
        let (skip, end) = (size_of::<usize>(), self.size.min(size_of::<T>()));
        // SAFETY: promised to the constructor; `end` is at least FIRST_SIZE, and both lie within their structs.
        unsafe { copy_nonoverlapping(from.add(skip), place.as_ptr().cast::<u8>().add(skip), end - skip) }
    }
}

/// # Safety
/// `place` begins with a readable `usize`.
unsafe fn struct_size<T: Versioned>(place: NonNull<T>) -> Result<usize, Status> {
    // SAFETY: promised to us; `Versioned` says that the size comes first.
    let size = unsafe { place.as_ptr().cast::<usize>().read_unaligned() };
    if (T::FIRST_SIZE..=STRUCT_SIZE_MAX).contains(&size) {
        Ok(size)
    } else {
        Err(Status::StructSize)
    }
}

/// The caller's struct; fields it does not know yet are those of `default`.
///
/// # Safety
/// `from` is NULL, or its `struct_size` and that many bytes can be read.
pub(super) unsafe fn input<T: Versioned>(from: *const T, default: T) -> Result<T, Status> {
    let from = NonNull::new(from.cast_mut()).ok_or(Status::NullConfig)?;
    let mut value = default;
    // SAFETY: promised to us; of what comes in, `Versioned` says that any value is valid.
    unsafe {
        let size = struct_size(from)?.min(size_of::<T>());
        // No compiler ends a struct elsewhere: half a pointer of a size made up is not followed.
        let size = size - size % align_of::<T>();
        copy_nonoverlapping(from.as_ptr().cast::<u8>(), (&raw mut value).cast::<u8>(), size);
    }
    Ok(value)
}

/// An array to fill.
pub(super) struct ArrayOut<T> {
    first: *mut u8,
    stride: usize,
    cap: usize,
    element: PhantomData<T>,
}

/// # Safety
/// `first` is NULL or good for writing `cap` elements, `stride` bytes from one to the next, until the call ends.
pub(super) unsafe fn array_out<T: Grows>(first: *mut T, stride: usize, cap: usize) -> Result<ArrayOut<T>, Status> {
    if first.is_null() && cap > 0 {
        return Err(Status::NullBuffer);
    }
    checked_stride::<T>(stride)?;
    Ok(ArrayOut { first: first.cast(), stride, cap, element: PhantomData })
}

impl<T: Grows> ArrayOut<T> {
    /// For so many elements there is room.
    pub(super) fn cap(&self) -> usize {
        self.cap
    }

    /// Writes what `next` yields until one of the two is exhausted; how many.
    pub(super) fn fill(self, mut next: impl FnMut() -> Option<T>) -> usize {
        let bytes = self.stride.min(size_of::<T>());
        for index in 0..self.cap {
            let Some(mut value) = next() else { return index };
            value.set_filled(bytes);
            // SAFETY: promised to the constructor, since index < cap and bytes <= stride.
            unsafe { copy_nonoverlapping((&raw const value).cast::<u8>(), self.first.add(index * self.stride), bytes) }
        }
        self.cap
    }
}

/// The elements of a caller's array, one after another; fields that it does not know yet are those of `default`.
///
/// # Safety
/// `first` is NULL or good for reading `count` elements, `stride` bytes from one to the next; any bytes are a valid
/// `T`.
pub(super) unsafe fn array_in<T: Grows>(
    first: *const T,
    stride: usize,
    count: usize,
    default: T,
) -> Result<Vec<T>, Status> {
    if count == 0 {
        return Ok(Vec::new());
    }
    if first.is_null() {
        return Err(Status::NullBuffer);
    }
    // Whose elements are longer has to say so: this is what the first programs meant by 0.
    let stride = if stride == 0 { T::FIRST_SIZE } else { stride };
    checked_stride::<T>(stride)?;
    let bytes = stride.min(size_of::<T>());
    let mut elements = Vec::new();
    elements.try_reserve_exact(count).map_err(|_| Status::NoMemory)?;
    elements.extend((0..count).map(|index| {
        let mut element = default;
        let from = first.cast::<u8>().wrapping_add(index * stride);
        // SAFETY: promised to us, since index < count and bytes <= stride.
        unsafe { copy_nonoverlapping(from, (&raw mut element).cast::<u8>(), bytes) }
        element
    }));
    Ok(elements)
}

fn checked_stride<T: Grows>(stride: usize) -> Result<(), Status> {
    if (T::FIRST_SIZE..=STRUCT_SIZE_MAX).contains(&stride) {
        Ok(())
    } else {
        Err(Status::Stride)
    }
}

/// A caller's bytes, to be read.
///
/// # Safety
/// `start` is NULL or good for reading `len` bytes, which stay as they are for `'a`.
pub(super) unsafe fn bytes<'a>(start: *const u8, len: usize) -> Result<&'a [u8], Status> {
    match (start.is_null(), len) {
        (_, 0) => Ok(&[]),
        (true, _) => Err(Status::NullBuffer),
        (false, len) if len > isize::MAX as usize => Err(Status::LimitRange),
        // SAFETY: promised to us.
        (false, len) => Ok(unsafe { std::slice::from_raw_parts(start, len) }),
    }
}

/// A caller's buffer, to be written.
///
/// # Safety
/// `start` is NULL or good for writing `cap` bytes that nobody else touches for `'a`.
pub(super) unsafe fn buffer_out<'a>(start: *mut u8, cap: usize) -> Result<&'a mut [u8], Status> {
    match (start.is_null(), cap) {
        (_, 0) => Ok(&mut []),
        (true, _) => Err(Status::NullBuffer),
        // No object is larger; so much room can be said and still be right.
        // SAFETY: promised to us.
        (false, cap) => Ok(unsafe { std::slice::from_raw_parts_mut(start, cap.min(isize::MAX as usize)) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A struct as it will be in a later version: its first one ended before `added`.
    #[repr(C)]
    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Grown {
        struct_size: usize,
        old: u64,
        added: u64,
    }

    impl Grows for Grown {
        const FIRST_SIZE: usize = std::mem::offset_of!(Grown, added);
        fn set_filled(&mut self, bytes: usize) {
            self.struct_size = bytes;
        }
    }
    // SAFETY: see the definition.
    unsafe impl Versioned for Grown {}

    /// What an older program has of it.
    #[repr(C)]
    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Older {
        struct_size: usize,
        old: u64,
    }

    const OLD: usize = size_of::<Older>();
    const NEW: Grown = Grown { struct_size: size_of::<Grown>(), old: 1, added: 2 };

    /// Goal: of an older program's struct nothing beyond its end is written. Method: one with a guard behind it.
    #[test]
    fn older_outputs_are_written_to_their_end() {
        let mut place = (Older { struct_size: OLD, old: 0 }, 77_u64);
        // SAFETY: as long as it says.
        unsafe { out_struct((&raw mut place).cast::<Grown>()) }.unwrap().put(&NEW);
        assert_eq!(place, (Older { struct_size: OLD, old: 1 }, 77));
        place.0.struct_size = OLD - 1;
        // SAFETY: as above.
        assert!(matches!(unsafe { out_struct((&raw mut place).cast::<Grown>()) }, Err(Status::StructSize)));
    }

    /// Goal: of an older program's struct nothing beyond its end is read. Method: one with a guard behind it.
    #[test]
    fn older_inputs_are_read_to_their_end() {
        let place = (Older { struct_size: OLD, old: 9 }, 77_u64);
        // SAFETY: as long as it says.
        let value = unsafe { input((&raw const place).cast::<Grown>(), NEW) }.unwrap();
        assert_eq!(value, Grown { struct_size: OLD, old: 9, added: 2 });
    }

    /// Goal: arrays of an older program are read and written element by element. Method: its stride, two elements, and
    /// a guard behind them.
    #[test]
    fn older_arrays_keep_their_stride() {
        let mut place = ([Older { struct_size: 0, old: 5 }, Older { struct_size: 0, old: 6 }], 77_u64);
        let first = (&raw mut place).cast::<Grown>();
        // 0 is what the first programs had.
        for stride in [OLD, 0] {
            // SAFETY: good for that many.
            let values = unsafe { array_in(first, stride, 2, NEW) }.unwrap();
            assert_eq!(values.iter().map(|value| (value.old, value.added)).collect::<Vec<_>>(), [(5, 2), (6, 2)]);
        }
        // SAFETY: as above.
        let array = unsafe { array_out(first, OLD, 2) }.unwrap();
        assert_eq!(array.fill(|| Some(NEW)), 2);
        assert_eq!(place, ([Older { struct_size: OLD, old: 1 }; 2], 77));
        // SAFETY: as above.
        assert!(matches!(unsafe { array_out(first, OLD - 1, 2) }, Err(Status::Stride)));
    }
}
