//! Against a real rustls server in memory, through byte buffers.

mod bench;
mod certificates;
mod messages;
mod sessions;
