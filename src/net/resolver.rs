//! Name look-ups on a small pool of threads, since the system's look-up blocks.
//!
//! Threads start at the first look-up, one for each that waits while none is idle, up to a limit; they end after a
//! time without work. Nobody ever joins them: a stuck `getaddrinfo` must not hold up the host's exit. They own
//! nothing but the queue and the names found lately, see `names.rs`.

use std::net::ToSocketAddrs;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::names::{Known, Waiter, Wanted, Wish};
use super::{descriptor, LookupError, LookupResult, Resolver};
use crate::synca::oneshot;
use crate::synca::sync::lock;
use crate::valtron::time::Clock;

/// The operating system's look-up.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve_blocking(&self, host: &str, port: u16) -> LookupResult {
        match (host, port).to_socket_addrs() {
            Ok(addresses) => {
                let addresses: Vec<_> = addresses.collect();
                if addresses.is_empty() {
                    return Err(LookupError::NotFound(format!("{host}: the name has no address")));
                }
                Ok(addresses)
            }
            Err(error) => Err(failure(host, &error)),
        }
    }
}

/// What the pool has done and has; a snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResolverStats {
    /// Look-ups that a thread began.
    pub started: u64,
    /// Look-ups that were dropped from the queue because nobody waited for them any more.
    pub abandoned: u64,
    /// Threads alive.
    pub threads: usize,
    /// Names that wait for a thread.
    pub queued: usize,
}

/// The pool; a clone is the same pool. When the last clone goes, idle threads end, busy ones after their look-up.
#[derive(Clone)]
pub struct ResolverPool(Arc<Owner>);

struct Owner {
    shared: Arc<Shared>,
    resolver: Arc<dyn Resolver>,
    threads_max: usize,
    forked: AtomicBool,
}

struct Shared {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    /// Changed under the lock, read without it: a host that asks for them must not hold up a poll that looks up a name.
    started: AtomicU64,
    abandoned: AtomicU64,
    work: Condvar,
    /// A thread has ended.
    ended: Condvar,
}

#[derive(Default)]
struct State {
    wanted: Wanted,
    known: Known,
    threads: usize,
    idle: usize,
    closed: bool,
}

/// The resolver for a thread of the caller: it knows what the pool knows, and tells it what it found.
struct Shortcut {
    shared: Arc<Shared>,
    resolver: Arc<dyn Resolver>,
}

impl Resolver for Shortcut {
    fn resolve_blocking(&self, host: &str, port: u16) -> LookupResult {
        if let Some(addresses) = lock(&self.shared.state).known.find(host, port, self.shared.clock.read()) {
            return Ok(addresses);
        }
        let found = self.resolver.resolve_blocking(host, port)?;
        lock(&self.shared.state).known.keep(host, &found, self.shared.clock.read());
        Ok(found)
    }
}

impl ResolverPool {
    /// A pool with the system's resolver and the usual number of threads, none of them started.
    pub fn system(clock: Arc<dyn Clock>) -> Self {
        Self::new(Arc::new(SystemResolver), RESOLVER_THREADS, clock)
    }

    /// A pool of at most `threads_max` threads; with none, only names found lately are answered, all others with
    /// [`LookupError::NoResolver`]. `clock` tells how old an answer is.
    pub fn new(resolver: Arc<dyn Resolver>, threads_max: usize, clock: Arc<dyn Clock>) -> Self {
        let (state, started, abandoned, work, ended) = Default::default();
        let shared = Arc::new(Shared { clock, state, started, abandoned, work, ended });
        Self(Arc::new(Owner { shared, resolver, threads_max, forked: AtomicBool::new(false) }))
    }

    /// Queues a look-up, unless the name was found lately, or is wanted already; never blocks. Dropping the receiver
    /// abandons it.
    pub fn lookup(&self, host: &str, port: u16) -> oneshot::Receiver<LookupResult> {
        let (answer, receiver) = oneshot::channel();
        // Outside the lock: telling wakes a task.
        for (waiter, result) in self.0.submit(host, port, answer) {
            waiter.tell(&result);
        }
        receiver
    }

    /// The name is to be looked up anew, whoever asks next.
    pub fn forget(&self, host: &str) {
        lock(&self.0.shared.state).known.forget(host);
    }

    /// The look-up itself, for a thread of the caller that may block.
    pub fn resolver(&self) -> Arc<dyn Resolver> {
        Arc::new(Shortcut { shared: self.0.shared.clone(), resolver: self.0.resolver.clone() })
    }

    /// Takes no more look-ups, abandons the queued ones, and waits up to `timeout` (`None`: without limit) for the
    /// threads to end. False: some still run; a look-up that hangs cannot be stopped.
    pub fn close(&self, timeout: Option<Duration>) -> bool {
        self.0.close();
        let shared = &self.0.shared;
        let state = lock(&shared.state);
        let alive = |state: &mut State| state.threads > 0;
        let threads = match timeout {
            None => shared.ended.wait_while(state, alive).unwrap_or_else(PoisonError::into_inner).threads,
            Some(timeout) => {
                let waited = shared.ended.wait_timeout_while(state, timeout, alive);
                waited.unwrap_or_else(PoisonError::into_inner).0.threads
            }
        };
        threads == 0
    }

    /// Only in the child of a fork, where the pool's threads do not exist and may have held its lock: dropping it now
    /// does nothing.
    pub fn set_forked(&self) {
        self.0.forked.store(true, Ordering::SeqCst);
    }

    /// Look-ups started and abandoned so far.
    pub fn counts(&self) -> (u64, u64) {
        let shared = &self.0.shared;
        (shared.started.load(Ordering::SeqCst), shared.abandoned.load(Ordering::SeqCst))
    }

    /// What it has done and has.
    pub fn stats(&self) -> ResolverStats {
        let (started, abandoned) = self.counts();
        let state = lock(&self.0.shared.state);
        ResolverStats { started, abandoned, threads: state.threads, queued: state.wanted.queued() }
    }
}

impl Owner {
    /// Who is to be told what at once: the one who asks, if the answer is known, or those for whom no thread starts.
    fn submit(&self, host: &str, port: u16, answer: oneshot::Sender<LookupResult>) -> Vec<(Waiter, LookupResult)> {
        let waiter = Waiter::new(port, answer);
        let mut dropped = Vec::new();
        let mut state = lock(&self.shared.state);
        if let Some(addresses) = state.known.find(host, port, self.shared.clock.read()) {
            return vec![(waiter, Ok(addresses))];
        }
        if self.threads_max == 0 || state.closed {
            return vec![(waiter, Err(LookupError::NoResolver))];
        }
        let wish = match state.wanted.add(host, waiter) {
            Wish::Full(waiter) => {
                self.shared.abandoned.fetch_add(state.wanted.drop_abandoned(&mut dropped), Ordering::SeqCst);
                state.wanted.add(host, waiter)
            }
            wish => wish,
        };
        match wish {
            Wish::Full(waiter) => return vec![(waiter, Err(LookupError::Busy))],
            Wish::Joined => return Vec::new(),
            Wish::Queued => {}
        }
        // One idle thread takes one name: with more names than idle threads another thread is wanted.
        if state.wanted.queued() <= state.idle || state.threads >= self.threads_max {
            self.shared.work.notify_one();
            return Vec::new();
        }
        state.threads += 1;
        drop(state);
        if self.start_thread() {
            return Vec::new();
        }
        let mut state = lock(&self.shared.state);
        state.threads -= 1;
        if state.threads > 0 {
            // The other threads will come to it; with none, nobody would.
            return Vec::new();
        }
        let failed = || Err(LookupError::Failed("no thread can be started".to_owned()));
        state.wanted.take_last().into_iter().map(|waiter| (waiter, failed())).collect()
    }

    fn start_thread(&self) -> bool {
        let (shared, resolver) = (self.shared.clone(), self.resolver.clone());
        let builder = std::thread::Builder::new().name("valtron-resolve".to_owned()).stack_size(RESOLVER_STACK_BYTES);
        descriptor::with_signals_blocked(|| builder.spawn(move || shared.work_on(&*resolver))).is_ok()
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        if self.forked.load(Ordering::SeqCst) {
            return;
        }
        self.close();
    }
}

impl Owner {
    fn close(&self) {
        let queue = {
            let mut state = lock(&self.shared.state);
            state.closed = true;
            state.wanted.drop_queued()
        };
        self.shared.work.notify_all();
        // Outside the lock: each drop wakes a task.
        drop(queue);
    }
}

impl Shared {
    fn work_on(&self, resolver: &dyn Resolver) {
        while let Some((host, port)) = self.next_name() {
            let outcome = catch_unwind(AssertUnwindSafe(|| resolver.resolve_blocking(&host, port)));
            let outcome = outcome.unwrap_or_else(|_| Err(LookupError::Failed("the resolver panicked".to_owned())));
            let waiters = self.keep(&host, &outcome);
            waiters.into_iter().for_each(|waiter| waiter.tell(&outcome));
        }
    }

    /// What is found is remembered; a failure is not. Returns who waits for it.
    fn keep(&self, host: &str, outcome: &LookupResult) -> Vec<Waiter> {
        let mut state = lock(&self.state);
        if let Ok(addresses) = outcome {
            state.known.keep(host, addresses, self.clock.read());
        }
        state.wanted.take(host)
    }

    /// The next name that somebody waits for. `None`: the thread has been counted out and ends.
    fn next_name(&self) -> Option<(String, u16)> {
        let mut dropped = Vec::new();
        let mut state = lock(&self.state);
        loop {
            let (next, abandoned) = state.wanted.next(&mut dropped);
            self.abandoned.fetch_add(abandoned, Ordering::SeqCst);
            if next.is_some() {
                self.started.fetch_add(1, Ordering::SeqCst);
                return next;
            }
            let (next, timed_out) = if state.closed { (state, true) } else { self.idle(state) };
            state = next;
            if timed_out && state.wanted.queued() == 0 {
                state.threads -= 1;
                self.ended.notify_all();
                return None;
            }
        }
    }

    fn idle<'a>(&'a self, mut state: MutexGuard<'a, State>) -> (MutexGuard<'a, State>, bool) {
        state.idle += 1;
        let (mut state, wait) = self.work.wait_timeout(state, RESOLVER_IDLE).unwrap_or_else(PoisonError::into_inner);
        state.idle -= 1;
        (state, wait.timed_out())
    }
}

/// std reports `getaddrinfo`'s failures as text, which the system made from the code and its locale: so it is
/// compared with the text that the system makes of the codes that mean "no such name" (RFC 3493 section 6.1).
fn failure(host: &str, error: &std::io::Error) -> LookupError {
    let text = error.to_string();
    #[cfg(unix)]
    let not_found = {
        #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
        let codes = [libc::EAI_NONAME, libc::EAI_NODATA];
        #[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
        let codes = [libc::EAI_NONAME];
        codes.into_iter().any(|code| text.ends_with(&descriptor::lookup_text(code)))
    };
    // WSAHOST_NOT_FOUND and WSANO_DATA.
    #[cfg(not(unix))]
    let not_found = matches!(error.raw_os_error(), Some(11001 | 11004));
    if not_found {
        LookupError::NotFound(format!("{host}: {text}"))
    } else {
        LookupError::Failed(format!("{host}: {text}"))
    }
}

/// Look-ups that run at once. One dead name server holds a thread for many seconds; four leave room for the others.
pub const RESOLVER_THREADS: usize = 4;

/// A thread without work ends after this.
pub const RESOLVER_IDLE: Duration = Duration::from_secs(10);

/// Stack of one thread: the system's look-up loads plug-ins that are not written for small stacks.
const RESOLVER_STACK_BYTES: usize = 512 * 1024;

#[cfg(test)]
#[path = "resolver_tests.rs"]
mod tests;
