//! Requests: what a host asks for, and the tasks that do it.
//!
//! Three files are what all others serve: [`actions`], [`task`] and [`executor`].

pub mod actions;
mod body_buffer;
mod body_capacity;
mod body_stream;
pub mod config;
mod connection;
mod context;
mod dial;
#[cfg(not(target_arch = "wasm32"))]
mod driving;
mod error;
pub mod executor;
#[cfg(not(target_arch = "wasm32"))]
mod facade;
mod heads;
mod hitches;
mod host_side;
mod job;
mod last_answer;
mod mapping;
mod phases;
mod plan;
mod pool;
mod questions;
mod recent;
mod redirects;
mod request;
mod status;
mod target;
pub mod task;
mod upgrade;
mod work;

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests;

pub use config::{Body, BodyBytes, ClientConfig, CopiedBody, RequestConfig, REQUESTS_MAX_LIMIT};
pub use context::Context;
pub use error::{Argument, HttpClientError, Phase};
#[cfg(not(target_arch = "wasm32"))]
pub use facade::{Client, ClientStats, PollInfo};
pub use hitches::{HitchReport, StepKind, POLL_CLASSES};
pub use host_side::{event_flags, Event, HostSide};
pub use job::Job;
pub use plan::Plan;
pub use pool::Pool;
pub use questions::{Decision, SpawnCallback, SpawnInfo, SpawnKind};
pub use request::{until_flags, HeadKind, HeadRecord, RequestInfo, RequestShared, TraceEntry};
pub use status::Status;
pub use target::{Origin, Target};
