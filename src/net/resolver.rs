//! Name look-ups on a small pool of threads, since the system's look-up blocks.
//!
//! Threads start at the first look-up, one for each that waits while none is idle, up to a limit; they end after a
//! time without work. Nobody ever joins them: a stuck `getaddrinfo` must not hold up the host's exit. They own
//! nothing but the queue.

use std::collections::VecDeque;
use std::net::ToSocketAddrs;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{descriptor, LookupError, LookupResult, Resolver};
use crate::synca::oneshot;
use crate::synca::sync::lock;

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
    /// Look-ups that wait for a thread.
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
    state: Mutex<State>,
    work: Condvar,
    /// A thread has ended.
    ended: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Job>,
    threads: usize,
    idle: usize,
    started: u64,
    abandoned: u64,
    closed: bool,
}

struct Job {
    host: String,
    port: u16,
    answer: oneshot::Sender<LookupResult>,
}

impl ResolverPool {
    /// A pool with the system's resolver and the usual number of threads, none of them started.
    pub fn system() -> Self {
        Self::new(Arc::new(SystemResolver), RESOLVER_THREADS)
    }

    /// A pool of at most `threads_max` threads; with none, every look-up answers [`LookupError::NoResolver`].
    pub fn new(resolver: Arc<dyn Resolver>, threads_max: usize) -> Self {
        let shared = Arc::new(Shared { state: Mutex::default(), work: Condvar::new(), ended: Condvar::new() });
        Self(Arc::new(Owner { shared, resolver, threads_max, forked: AtomicBool::new(false) }))
    }

    /// Queues a look-up; never blocks. Dropping the receiver abandons it.
    pub fn lookup(&self, host: &str, port: u16) -> oneshot::Receiver<LookupResult> {
        let (answer, receiver) = oneshot::channel();
        let job = Job { host: host.to_owned(), port, answer };
        if let Err((job, error)) = self.0.submit(job) {
            // Nobody but us holds the receiver yet.
            let _ = job.answer.send(Err(error));
        }
        receiver
    }

    /// The look-up itself, for a thread of the caller that may block.
    pub fn resolver(&self) -> Arc<dyn Resolver> {
        self.0.resolver.clone()
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

    /// What it has done and has.
    pub fn stats(&self) -> ResolverStats {
        let state = lock(&self.0.shared.state);
        ResolverStats {
            started: state.started,
            abandoned: state.abandoned,
            threads: state.threads,
            queued: state.queue.len(),
        }
    }
}

impl Owner {
    fn submit(&self, job: Job) -> Result<(), (Job, LookupError)> {
        if self.threads_max == 0 {
            return Err((job, LookupError::NoResolver));
        }
        let mut dropped = Vec::new();
        let mut state = lock(&self.shared.state);
        if state.closed {
            return Err((job, LookupError::NoResolver));
        }
        if state.queue.len() >= RESOLVER_QUEUE_MAX {
            state.drop_abandoned(&mut dropped);
        }
        if state.queue.len() >= RESOLVER_QUEUE_MAX {
            return Err((job, LookupError::Busy));
        }
        state.queue.push_back(job);
        // One idle thread takes one job: with more jobs than idle threads another thread is wanted.
        if state.queue.len() <= state.idle || state.threads >= self.threads_max {
            self.shared.work.notify_one();
            return Ok(());
        }
        state.threads += 1;
        drop(state);
        if self.start_thread() {
            return Ok(());
        }
        let mut state = lock(&self.shared.state);
        state.threads -= 1;
        // The other threads will come to it; with none, nobody would.
        match state.threads {
            0 => match state.queue.pop_back() {
                Some(job) => Err((job, LookupError::Failed("no thread can be started".to_owned()))),
                None => Ok(()),
            },
            _ => Ok(()),
        }
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
            std::mem::take(&mut state.queue)
        };
        self.shared.work.notify_all();
        // Outside the lock: each drop wakes a task.
        drop(queue);
    }
}

impl Shared {
    fn work_on(&self, resolver: &dyn Resolver) {
        while let Some(job) = self.next_job() {
            let outcome = catch_unwind(AssertUnwindSafe(|| resolver.resolve_blocking(&job.host, job.port)));
            let outcome = outcome.unwrap_or_else(|_| Err(LookupError::Failed("the resolver panicked".to_owned())));
            // Whoever gave up meanwhile does not want it.
            let _ = job.answer.send(outcome);
        }
    }

    /// The next look-up that somebody waits for. `None`: the thread has been counted out and ends.
    fn next_job(&self) -> Option<Job> {
        let mut dropped = Vec::new();
        let mut state = lock(&self.state);
        loop {
            while let Some(job) = state.queue.pop_front() {
                if !job.answer.is_closed() {
                    state.started += 1;
                    return Some(job);
                }
                state.abandoned += 1;
                dropped.push(job);
            }
            let (next, timed_out) = if state.closed { (state, true) } else { self.idle(state) };
            state = next;
            if timed_out && state.queue.is_empty() {
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

impl State {
    fn drop_abandoned(&mut self, dropped: &mut Vec<Job>) {
        for job in std::mem::take(&mut self.queue) {
            if job.answer.is_closed() {
                self.abandoned += 1;
                dropped.push(job);
            } else {
                self.queue.push_back(job);
            }
        }
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

/// Look-ups that may wait for a thread; more answer [`LookupError::Busy`].
pub const RESOLVER_QUEUE_MAX: usize = 1024;

/// A thread without work ends after this.
pub const RESOLVER_IDLE: Duration = Duration::from_secs(10);

/// Stack of one thread: the system's look-up loads plug-ins that are not written for small stacks.
const RESOLVER_STACK_BYTES: usize = 512 * 1024;

#[cfg(test)]
#[path = "resolver_tests.rs"]
mod tests;
