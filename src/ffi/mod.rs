//! The C interface.
mod types;
mod codes;
mod version;
mod allocator;
mod client;
mod request;
mod action;
