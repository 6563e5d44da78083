//! What threads share: generational keys, wakers, one-shot channels, locks that a poll never waits for. Atomics and
//! locks come from [`sync`], which is std or loom.

mod bell;
mod chunks;
mod delegation;
mod entry;
#[cfg(all(test, loom))]
mod loom_tests;
pub mod oneshot;
mod sharded;
pub mod sync;
mod task_mutex;
mod waker;

pub use bell::Bell;
pub use chunks::Chunks;
pub use delegation::{DelegationMutex, Serve};
pub use entry::{Entry, EntryList};
pub use sharded::ShardedQueue;
pub use task_mutex::{TaskMutex, TaskMutexGuard};
pub use waker::{TaskWaker, WakeQueue};
