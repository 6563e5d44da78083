//! The shared library. Its functions stand in `src/ffi` of the root; naming that crate exports them.

#[cfg(not(any(loom, target_arch = "wasm32")))]
pub use rlib::ffi;
