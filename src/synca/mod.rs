//! What threads share: generational keys, wakers, one-shot channels. Atomics and locks come from [`sync`], which is
//! std or loom.

mod bell;
mod chunks;
mod entry;
#[cfg(all(test, loom))]
mod loom_tests;
pub mod oneshot;
mod sharded;
pub mod sync;
mod waker;

pub use bell::Bell;
pub use chunks::Chunks;
pub use entry::{Entry, EntryList};
pub use sharded::ShardedQueue;
pub use waker::{TaskWaker, WakeQueue};
