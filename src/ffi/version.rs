//! What this library is, asked at run time. The header's macros stand in `preamble.h`; a test holds both to
//! `Cargo.toml`.

use std::ffi::{c_char, CStr};

use super::codes::*;
use super::names;
use super::types::*;

const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
    Ok(version) => version,
    Err(_) => panic!("a version holds no NUL"),
};

/// `VALTRON_ABI_VERSION` of the preamble.
const ABI_VERSION: u32 = 1;

/// The library's version, "major.minor.patch". Static, NUL-terminated. Any thread. Blocks on nothing, cannot fail.
#[no_mangle]
pub unsafe extern "C" fn valtron_version() -> *const c_char {
    ffi_fn!(value { VERSION.as_ptr() })
}

/// The library's VALTRON_ABI_VERSION. If it differs from the header's, the two do not fit together. Any thread.
/// Blocks on nothing, cannot fail.
#[no_mangle]
pub unsafe extern "C" fn valtron_abi_version() -> u32 {
    ffi_fn!(value { ABI_VERSION })
}

/// What this build can do: VALTRON_FEATURE_ values, or-ed. Any thread. Blocks on nothing, cannot fail.
#[no_mangle]
pub unsafe extern "C" fn valtron_features() -> u64 {
    ffi_fn!(value {
        let with = |on: bool, feature: u64| if on { feature } else { 0 };
        VALTRON_FEATURE_TLS
            | with(cfg!(feature = "multi"), VALTRON_FEATURE_MULTI)
            | with(cfg!(feature = "allocator"), VALTRON_FEATURE_ALLOCATOR)
            | with(cfg!(feature = "faults"), VALTRON_FEATURE_FAULTS)
    })
}

/// The name of *status*, e.g. "VALTRON_E_BUSY"; of an unknown one "VALTRON_E_UNKNOWN". Static, NUL-terminated. Any
/// thread. Blocks on nothing, cannot fail.
#[no_mangle]
pub unsafe extern "C" fn valtron_status_name(status: valtron_status) -> *const c_char {
    ffi_fn!(value { names::of_status(status).0.as_ptr() })
}

/// What *status* means, in one sentence; of a caller's mistake it names the argument. Static, NUL-terminated,
/// English. Any thread. Blocks on nothing, cannot fail.
#[no_mangle]
pub unsafe extern "C" fn valtron_status_message(status: valtron_status) -> *const c_char {
    ffi_fn!(value { names::of_status(status).1.as_ptr() })
}

/// The name of a VALTRON_STATE_ value, e.g. "RECEIVING_BODY"; of an unknown one "UNKNOWN". Static, NUL-terminated.
/// Any thread. Blocks on nothing, cannot fail.
#[no_mangle]
pub unsafe extern "C" fn valtron_state_name(state: i32) -> *const c_char {
    ffi_fn!(value { names::of_state(state).as_ptr() })
}
