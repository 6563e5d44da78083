//! `valtron_http`: HTTP for programs that own their main loop.
//!
//! The product is a C-ABI shared library (`include/valtron_http.h`); this crate is its source. The Rust modules are
//! public for the project's own tests, fuzz targets and benchmarks and carry no promise of stability: the promise is
//! the C header.
//!
//! Layers, lowest first; each imports only what stands above it in this list:
//!
//! - [`synca`]: generational keys, wakers, one-shot channels, the std-or-loom facade.
//! - [`valtron`]: the executor of iterators. Knows nothing of HTTP.
//! - [`proto`]: HTTP/1.1 as bytes in, bytes out. No sockets, no clock, no threads.
//! - [`net`]: sockets, name look-ups, the `Net` seam and its scripted double.
//! - [`tls`]: rustls behind one door.
//! - [`client`]: requests, connections, the pool, redirects, the actions a request spawns.
//! - `ffi`: the only `extern "C"`.
#![warn(missing_docs)]

#[cfg(not(loom))]
pub mod client;
#[cfg(not(any(loom, target_arch = "wasm32")))]
pub mod ffi;
#[cfg(not(loom))]
pub mod net;
#[cfg(not(loom))]
mod process;
#[cfg(not(loom))]
pub mod proto;
pub mod synca;
#[cfg(not(loom))]
pub mod tls;
pub mod valtron;
