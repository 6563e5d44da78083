//! The network of a host that has its own: wasm32, or an engine with a transport of its own.
