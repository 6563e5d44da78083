//! Name look-ups on a small pool of threads, since the system's look-up blocks.
//!
//! Threads start at the first look-up, one for each that waits while none is idle, up to a limit; they end after a
//! time without work. Nobody ever joins them: a stuck `getaddrinfo` must not hold up the host's exit. They own
//! nothing but the queue and the names found lately, see `names.rs`. A poll that wants a name waits for none of them.

use std::net::ToSocketAddrs;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread::{self, Thread};
use std::time::Duration;

use super::names::{Known, Waiter, Wanted, Wish};
use super::{descriptor, LookupError, LookupResult, Resolver};
use crate::synca::{oneshot, DelegationMutex, Serve};
use crate::valtron::time::{Clock, Instant};

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
    forked: AtomicBool,
}

struct Shared {
    clock: Arc<dyn Clock>,
    resolver: Arc<dyn Resolver>,
    /// A poll only posts requests to it.
    state: DelegationMutex<State>,
}

struct State {
    clock: Arc<dyn Clock>,
    wanted: Wanted,
    known: Known,
    started: u64,
    abandoned: u64,
    threads_max: usize,
    threads: usize,
    /// Threads without work; the last one is the warmest.
    idle: Vec<Thread>,
    /// Who waits for the last thread to end.
    closers: Vec<Thread>,
    closed: bool,
}

/// What a poll wants.
enum Request {
    Lookup(String, Waiter),
    Forget(String),
    NoThread,
}

/// What is to be done about it with no lock held: telling and dropping waiters wakes tasks.
#[derive(Default)]
struct Effect {
    answers: Vec<(Waiter, LookupResult)>,
    dropped: Vec<Waiter>,
    woken: Vec<Thread>,
    starts_thread: bool,
}

impl Effect {
    fn answer(waiter: Waiter, result: LookupResult) -> Self {
        Self { answers: vec![(waiter, result)], ..Self::default() }
    }
}

impl Serve for State {
    type Request = Request;
    type Effect = Effect;

    fn serve(&mut self, request: Request) -> Effect {
        match request {
            Request::Lookup(host, waiter) => self.want(host, waiter),
            Request::Forget(host) => {
                self.known.forget(&host);
                Effect::default()
            }
            Request::NoThread => self.no_thread(),
        }
    }
}

impl State {
    fn want(&mut self, host: String, waiter: Waiter) -> Effect {
        if let Some(addresses) = self.known.find(&host, waiter.port(), self.clock.read()) {
            return Effect::answer(waiter, Ok(addresses));
        }
        if self.threads_max == 0 || self.closed {
            return Effect::answer(waiter, Err(LookupError::NoResolver));
        }
        let mut effect = Effect::default();
        let wish = match self.wanted.add(&host, waiter, &mut effect.dropped) {
            Wish::Full(waiter) => {
                self.abandoned += self.wanted.drop_abandoned(&mut effect.dropped);
                self.wanted.add(&host, waiter, &mut effect.dropped)
            }
            wish => wish,
        };
        match wish {
            Wish::Full(waiter) => effect.answers.push((waiter, Err(LookupError::Busy))),
            Wish::Joined => {}
            // One name, one thread: an idle one, or a new one, or the first that is done with another name.
            Wish::Queued => {
                effect.woken.extend(self.idle.pop());
                effect.starts_thread = effect.woken.is_empty() && self.threads < self.threads_max;
                self.threads += usize::from(effect.starts_thread);
            }
        }
        effect
    }

    fn no_thread(&mut self) -> Effect {
        self.threads -= 1;
        // The other threads will come to what is queued.
        if self.threads > 0 {
            return Effect::default();
        }
        let failure = Err(LookupError::Failed("no thread can be started".to_owned()));
        let answers = self.wanted.drop_queued().into_iter().map(|waiter| (waiter, failure.clone())).collect();
        Effect { answers, woken: std::mem::take(&mut self.closers), ..Effect::default() }
    }

    /// What a thread without work does. Told to sleep, it is among the idle.
    fn next_name(&mut self, me: &Thread, idle_until: Instant, dropped: &mut Vec<Waiter>) -> Next {
        // Still there, it was not woken for a name; but it may take one that was queued meanwhile.
        self.idle.retain(|thread| thread.id() != me.id());
        let (next, abandoned) = self.wanted.next(dropped);
        self.abandoned += abandoned;
        if let Some((host, port)) = next {
            self.started += 1;
            return Next::Name(host, port);
        }
        if self.closed || self.clock.read() >= idle_until {
            self.threads -= 1;
            return Next::End(if self.threads == 0 { std::mem::take(&mut self.closers) } else { Vec::new() });
        }
        self.idle.push(me.clone());
        Next::Sleep
    }
}

enum Next {
    Name(String, u16),
    Sleep,
    /// The thread has been counted out; who waited for that.
    End(Vec<Thread>),
}

/// The resolver for a thread of the caller: it knows what the pool knows, and tells it what it found.
struct Shortcut(Arc<Shared>);

impl Resolver for Shortcut {
    fn resolve_blocking(&self, host: &str, port: u16) -> LookupResult {
        if let Some(addresses) = self.0.with(|state| state.known.find(host, port, state.clock.read())) {
            return Ok(addresses);
        }
        let found = self.0.resolver.resolve_blocking(host, port)?;
        self.0.with(|state| state.known.keep(host, &found, state.clock.read()));
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
        let state = State {
            clock: clock.clone(),
            wanted: Wanted::default(),
            known: Known::default(),
            started: 0,
            abandoned: 0,
            threads_max,
            threads: 0,
            idle: Vec::new(),
            closers: Vec::new(),
            closed: false,
        };
        let shared = Arc::new(Shared { clock, resolver, state: DelegationMutex::new(state) });
        Self(Arc::new(Owner { shared, forked: AtomicBool::new(false) }))
    }

    /// Queues a look-up, unless the name was found lately, or is wanted already; never blocks, and waits for no lock.
    /// Dropping the receiver abandons it.
    pub fn lookup(&self, host: &str, port: u16) -> oneshot::Receiver<LookupResult> {
        let (answer, receiver) = oneshot::channel();
        self.0.shared.post(Request::Lookup(host.to_owned(), Waiter::new(port, answer)));
        receiver
    }

    /// The name is to be looked up anew, whoever asks next. Waits for no lock.
    pub fn forget(&self, host: &str) {
        self.0.shared.post(Request::Forget(host.to_owned()));
    }

    /// The look-up itself, for a thread of the caller that may block.
    pub fn resolver(&self) -> Arc<dyn Resolver> {
        Arc::new(Shortcut(self.0.shared.clone()))
    }

    /// Takes no more look-ups, abandons the queued ones, and waits up to `timeout` (`None`: without limit) for the
    /// threads to end. False: some still run; a look-up that hangs cannot be stopped.
    pub fn close(&self, timeout: Option<Duration>) -> bool {
        self.0.close();
        let shared = &self.0.shared;
        let until = timeout.map(|timeout| shared.clock.read().after(timeout));
        let me = thread::current();
        loop {
            let ended = shared.with(|state| {
                state.closers.retain(|closer| closer.id() != me.id());
                state.closers.extend((state.threads > 0).then(|| me.clone()));
                state.threads == 0
            });
            if ended {
                return true;
            }
            match until.map(|until| until.since(shared.clock.read())) {
                None => thread::park(),
                Some(Duration::ZERO) => {
                    shared.with(|state| state.closers.retain(|closer| closer.id() != me.id()));
                    return false;
                }
                Some(left) => thread::park_timeout(left),
            }
        }
    }

    /// Only in the child of a fork, where the pool's threads do not exist and may have held its lock: dropping it now
    /// does nothing.
    pub fn set_forked(&self) {
        self.0.forked.store(true, Ordering::SeqCst);
    }

    /// What it has done and has. Waits for the pool's lock.
    pub fn stats(&self) -> ResolverStats {
        self.0.shared.with(|state| ResolverStats {
            started: state.started,
            abandoned: state.abandoned,
            threads: state.threads,
            queued: state.wanted.queued(),
        })
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
        let (queue, idle) = self.shared.with(|state| {
            state.closed = true;
            (state.wanted.drop_queued(), std::mem::take(&mut state.idle))
        });
        idle.iter().for_each(Thread::unpark);
        // Outside the lock: each drop wakes a task.
        drop(queue);
    }
}

impl Shared {
    fn with<R>(self: &Arc<Self>, work: impl FnOnce(&mut State) -> R) -> R {
        self.state.with(work, |effect| self.effect(effect))
    }

    fn post(self: &Arc<Self>, request: Request) {
        self.state.post(request, |effect| self.effect(effect));
    }

    fn effect(self: &Arc<Self>, effect: Effect) {
        effect.answers.into_iter().for_each(|(waiter, result)| waiter.tell(&result));
        effect.woken.iter().for_each(Thread::unpark);
        if effect.starts_thread && !self.start_thread() {
            self.no_thread();
        }
    }

    /// The thread that was counted could not be started, as a poll finds out.
    fn no_thread(self: &Arc<Self>) {
        self.post(Request::NoThread);
    }

    fn start_thread(self: &Arc<Self>) -> bool {
        let shared = self.clone();
        let builder = thread::Builder::new().name("valtron-resolve".to_owned()).stack_size(RESOLVER_STACK_BYTES);
        descriptor::with_signals_blocked(|| builder.spawn(move || shared.work_on())).is_ok()
    }

    fn work_on(self: &Arc<Self>) {
        while let Some((host, port)) = self.next_name() {
            let outcome = catch_unwind(AssertUnwindSafe(|| self.resolver.resolve_blocking(&host, port)));
            let outcome = outcome.unwrap_or_else(|_| Err(LookupError::Failed("the resolver panicked".to_owned())));
            let waiters = self.keep(&host, &outcome);
            waiters.into_iter().for_each(|waiter| waiter.tell(&outcome));
        }
    }

    /// What is found is remembered; a failure is not. Returns who waits for it.
    fn keep(self: &Arc<Self>, host: &str, outcome: &LookupResult) -> Vec<Waiter> {
        self.with(|state| {
            if let Ok(addresses) = outcome {
                state.known.keep(host, addresses, state.clock.read());
            }
            state.wanted.take(host)
        })
    }

    /// The next name that somebody waits for. `None`: the thread has been counted out and ends.
    fn next_name(self: &Arc<Self>) -> Option<(String, u16)> {
        let me = thread::current();
        let idle_until = self.clock.read().after(RESOLVER_IDLE);
        loop {
            // Dropped outside the lock.
            let mut dropped = Vec::new();
            match self.with(|state| state.next_name(&me, idle_until, &mut dropped)) {
                Next::Name(host, port) => return Some((host, port)),
                Next::Sleep => thread::park_timeout(idle_until.since(self.clock.read())),
                Next::End(closers) => {
                    closers.iter().for_each(Thread::unpark);
                    return None;
                }
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

/// A thread without work ends after this.
pub const RESOLVER_IDLE: Duration = Duration::from_secs(10);

/// Stack of one thread: the system's look-up loads plug-ins that are not written for small stacks.
const RESOLVER_STACK_BYTES: usize = 512 * 1024;

#[cfg(test)]
#[path = "resolver_tests.rs"]
mod tests;
