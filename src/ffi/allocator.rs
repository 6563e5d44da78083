//! Memory from the host. The library's allocator asks the host's functions, once they are set, and the system until
//! then; which of the two is settled by the first allocation and never changes, so that no block is ever given back
//! to the wrong one.

use super::pointers::input;
use super::types::*;
use crate::client::Status;

/// Makes the library take all its memory from *allocator*, which is copied: for the whole process and for ever.
///
/// Before any other call of the library, from one thread. Blocks on nothing. Errors: VALTRON_E_NULL_CONFIG,
/// _STRUCT_SIZE, _NULL_CALLBACK, _TOO_LATE after any other call, _UNSUPPORTED without VALTRON_FEATURE_ALLOCATOR.
#[no_mangle]
pub unsafe extern "C" fn valtron_set_allocator(allocator: *const valtron_allocator) -> valtron_status {
    // Not through ffi_fn!, which would count it as a call; nothing in here can panic.
    // SAFETY: the caller promises that it is NULL or good for its struct_size.
    super::code(unsafe { input(allocator, UNSET) }.and_then(|allocator| set(&allocator)))
}

const UNSET: valtron_allocator = valtron_allocator {
    struct_size: size_of::<valtron_allocator>(),
    user: std::ptr::null_mut(),
    allocate: None,
    reallocate: None,
    deallocate: None,
};

#[cfg(not(feature = "allocator"))]
fn set(_: &valtron_allocator) -> Result<(), Status> {
    Err(Status::Unsupported)
}

#[cfg(feature = "allocator")]
use hook::set;

#[cfg(feature = "allocator")]
mod hook {
    use std::alloc::{GlobalAlloc, Layout, System};
    use std::cell::UnsafeCell;
    use std::ffi::c_void;
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::super::process;
    use super::*;

    /// Nothing was allocated yet.
    const OPEN: u8 = 0;
    /// The host's functions are being written down.
    const SETTING: u8 = 1;
    /// For ever the system's.
    const SYSTEM: u8 = 2;
    /// For ever the host's.
    const HOST: u8 = 3;

    static CHOICE: AtomicU8 = AtomicU8::new(OPEN);
    static TABLE: Table = Table(UnsafeCell::new(None));

    #[derive(Clone, Copy)]
    struct Functions {
        user: *mut c_void,
        allocate: unsafe extern "C" fn(*mut c_void, usize, usize) -> *mut c_void,
        reallocate: unsafe extern "C" fn(*mut c_void, *mut c_void, usize, usize, usize) -> *mut c_void,
        deallocate: unsafe extern "C" fn(*mut c_void, *mut c_void, usize, usize),
    }

    struct Table(UnsafeCell<Option<Functions>>);

    // SAFETY: written once, by the thread that moved CHOICE from OPEN to SETTING; read by others only after it moved to
    // HOST.
    unsafe impl Sync for Table {}

    struct Allocator;

    #[global_allocator]
    static GLOBAL: Allocator = Allocator;

    pub(super) fn set(allocator: &valtron_allocator) -> Result<(), Status> {
        let functions = Functions {
            user: allocator.user,
            allocate: allocator.allocate.ok_or(Status::NullCallback)?,
            reallocate: allocator.reallocate.ok_or(Status::NullCallback)?,
            deallocate: allocator.deallocate.ok_or(Status::NullCallback)?,
        };
        // Memory that is out already, e.g. of a Rust program around us, is the system's and must go back there.
        if process::called() || CHOICE.compare_exchange(OPEN, SETTING, Ordering::SeqCst, Ordering::SeqCst).is_err() {
            return Err(Status::TooLate);
        }
        // SAFETY: only the thread that moved CHOICE comes here, and nobody reads before HOST.
        unsafe { *TABLE.0.get() = Some(functions) };
        CHOICE.store(HOST, Ordering::SeqCst);
        Ok(())
    }

    /// The host's functions, if it is them; else the system's from now on.
    #[inline]
    fn host() -> Option<Functions> {
        loop {
            // Acquire: pairs with the store of HOST, before which the table was written.
            match CHOICE.load(Ordering::Acquire) {
                SYSTEM => return None,
                // SAFETY: nobody writes after HOST.
                HOST => return unsafe { *TABLE.0.get() },
                OPEN => _ = CHOICE.compare_exchange(OPEN, SYSTEM, Ordering::SeqCst, Ordering::SeqCst),
                // Another thread is a few instructions from HOST.
                _ => std::hint::spin_loop(),
            }
        }
    }

    // SAFETY: both sources keep the contract, the host's by its promise, and a block goes back where it came from,
    // since the choice is settled before the first one.
    unsafe impl GlobalAlloc for Allocator {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            match host() {
                // SAFETY: the layout is the caller's, as promised to us.
                None => unsafe { System.alloc(layout) },
                // SAFETY: the host promises functions that can be called so.
                Some(f) => unsafe { (f.allocate)(f.user, layout.size(), layout.align()).cast() },
            }
        }

        unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
            match host() {
                // SAFETY: as above; the block is from the same source.
                None => unsafe { System.dealloc(block, layout) },
                // SAFETY: as above.
                Some(f) => unsafe { (f.deallocate)(f.user, block.cast(), layout.size(), layout.align()) },
            }
        }

        unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
            if host().is_none() {
                // SAFETY: as above. Large zeroed blocks come from the kernel as they are.
                return unsafe { System.alloc_zeroed(layout) };
            }
            // SAFETY: as above; the block is layout.size() bytes.
            unsafe {
                let block = self.alloc(layout);
                if !block.is_null() {
                    block.write_bytes(0, layout.size());
                }
                block
            }
        }

        unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
            match host() {
                // SAFETY: as above.
                None => unsafe { System.realloc(block, layout, new_size) },
                // SAFETY: as above.
                Some(f) => unsafe {
                    (f.reallocate)(f.user, block.cast(), layout.size(), layout.align(), new_size).cast()
                },
            }
        }
    }
}
