//! The shared library. Its functions stand in `src/ffi` of the root; naming that crate exports them.

pub use rlib::ffi;
