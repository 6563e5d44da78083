//! The machine's clock: the one file that asks it.

#[cfg(target_arch = "wasm32")]
pub use host::HostClock;
#[cfg(not(target_arch = "wasm32"))]
pub use system::SystemClock;

#[cfg(not(target_arch = "wasm32"))]
mod system {
    use super::super::time::{Clock, Instant};

    /// The machine's monotonic clock, counted from this object's creation. Executors that exchange points in time
    /// share one.
    #[derive(Clone, Copy, Debug)]
    pub struct SystemClock {
        origin: std::time::Instant,
    }

    impl SystemClock {
        /// A clock that starts at zero now.
        pub fn new() -> Self {
            Self { origin: std::time::Instant::now() }
        }
    }

    impl Default for SystemClock {
        fn default() -> Self {
            Self::new()
        }
    }

    impl Clock for SystemClock {
        /// Served by the vDSO on Linux: it does not enter the kernel, so it may be read after every step.
        fn read(&self) -> Instant {
            let since = self.origin.elapsed();
            // Five hundred years do not overflow.
            Instant::from_nanos(since.as_secs() * 1_000_000_000 + u64::from(since.subsec_nanos()))
        }
    }
}

#[cfg(target_arch = "wasm32")]
mod host {
    use super::super::time::{Clock, Instant, TurnClock};

    /// A clock that the host sets: wasm32 has none of its own.
    #[derive(Clone, Debug, Default)]
    pub struct HostClock(TurnClock);

    impl HostClock {
        /// A clock at zero.
        pub fn new() -> Self {
            Self::default()
        }

        /// The host says what time it is; the clock never goes back.
        pub fn set(&self, now: Instant) {
            self.0.set(now);
        }
    }

    impl Clock for HostClock {
        fn read(&self) -> Instant {
            self.0.now()
        }
    }
}
