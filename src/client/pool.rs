//! Idle connections of one executor. They are watched: one that dies, or that speaks unasked, is closed at once.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use foldhash::fast::RandomState;

use super::connection::Connection;
use super::hitches::StepKind;
use super::target::Origin;
use crate::net::Net;
use crate::synca::sync::{lock, try_lock};
use crate::synca::{Entry, EntryList, TaskWaker};
use crate::valtron::poller::WatchList;
use crate::valtron::time::Instant;
use crate::valtron::{NoAction, SocketKey, TaskIterator, TaskStatus, Wait};

struct Idle<N: Net> {
    connection: Box<Connection<N>>,
    since: Instant,
}

/// The idle connections to one origin, the one used last at the end. One that leaves from between stays until it is at
/// the end or most are of its kind, so that nobody looks for its place.
#[derive(Default)]
struct OriginList {
    entries: Vec<Entry>,
    /// Those that are idle still.
    live: usize,
}

struct Inner<N: Net> {
    idle: EntryList<Idle<N>>,
    by_origin: HashMap<Origin, OriginList, RandomState>,
    by_key: HashMap<SocketKey, Entry, RandomState>,
    /// Oldest first; what is not idle any more stays until it is at the front or most are of its kind.
    by_age: VecDeque<(Instant, Entry)>,
    /// The task that looks after them runs.
    attended: bool,
    /// Entries looked at to find those that are idle still.
    #[cfg(test)]
    looked_at: usize,
}

/// See the module. Cheap to clone.
pub struct Pool<N: Net> {
    inner: Arc<Mutex<Inner<N>>>,
    watch: Arc<WatchList>,
    idle_max: usize,
    idle_timeout: Option<Duration>,
}

impl<N: Net> Clone for Pool<N> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            watch: self.watch.clone(),
            idle_max: self.idle_max,
            idle_timeout: self.idle_timeout,
        }
    }
}

impl<N: Net> Pool<N> {
    /// An empty pool.
    pub fn new(idle_max: usize, idle_timeout: Option<Duration>) -> Self {
        Self {
            inner: Arc::new(Mutex::new(Inner {
                idle: EntryList::new(),
                by_origin: HashMap::default(),
                by_key: HashMap::default(),
                by_age: VecDeque::new(),
                attended: false,
                #[cfg(test)]
                looked_at: 0,
            })),
            watch: Arc::new(WatchList::default()),
            idle_max,
            idle_timeout,
        }
    }

    /// The connection to `origin` that was used last, if one is alive as far as is known. Last in, first out: the
    /// rest may grow old.
    pub fn take(&self, origin: &Origin, now: Instant) -> Option<Box<Connection<N>>> {
        let mut dead = Vec::new();
        let found = {
            let mut inner = lock(&self.inner);
            loop {
                let Some(entry) = inner.by_origin.get(origin).and_then(|list| list.entries.last().copied()) else {
                    break None;
                };
                let old = |since| self.idle_timeout.is_some_and(|timeout| now.since(since) >= timeout);
                if inner.idle.get(entry).is_some_and(|idle| old(idle.since)) {
                    // So are those that were used before it: they are the pool's own task's to close.
                    break None;
                }
                let removed = inner.remove(entry);
                #[cfg(test)]
                {
                    inner.looked_at += 1;
                }
                if let Some(list) = inner.by_origin.get_mut(origin) {
                    list.entries.pop();
                    list.live -= usize::from(removed.is_some());
                }
                let Some(mut idle) = removed else { continue };
                let connection = &mut idle.connection;
                let fit = (!connection.readable_hint() || connection.tend()) && connection.is_clean();
                if !fit {
                    dead.push(idle);
                    continue;
                }
                idle.connection.set_reused();
                break Some(idle.connection);
            }
        };
        drop(dead);
        found
    }

    /// Keeps a connection for the next request. Returns a task to be spawned if nobody looks after the pool yet.
    pub fn put(&self, net: &N, mut connection: Box<Connection<N>>, now: Instant) -> Option<PoolTask<N>> {
        if self.idle_max == 0 {
            return None;
        }
        let key = connection.key();
        let readable = net.watch(key, &self.watch);
        if (readable || connection.holds_input()) && !connection.tend() || !connection.is_clean() {
            // Bytes or an end are there already: nothing says whose answer they would be.
            return None;
        }
        connection.release_buffers();
        let mut inner = lock(&self.inner);
        let mut evicted = None;
        // Asked each time, so that what is not idle any more is forgotten as fast as it comes.
        while let Some((_, oldest)) = inner.oldest().filter(|_| inner.idle.len() >= self.idle_max) {
            evicted = inner.unlink(oldest);
        }
        inner.forget_origins();
        let origin = connection.origin().clone();
        let entry = inner.idle.insert(Idle { connection, since: now });
        let list = inner.by_origin.entry(origin).or_default();
        list.entries.push(entry);
        list.live += 1;
        inner.by_key.insert(key, entry);
        inner.by_age.push_back((now, entry));
        let start = !std::mem::replace(&mut inner.attended, true);
        drop(inner);
        drop(evicted);
        start.then(|| PoolTask { pool: self.clone(), keys: Vec::new(), now: net.clone() })
    }

    /// Closes all idle connections.
    pub fn clear(&self) {
        let dropped = {
            let mut inner = lock(&self.inner);
            inner.by_origin.clear();
            inner.by_key.clear();
            inner.by_age.clear();
            std::mem::take(&mut inner.idle)
        };
        drop(dropped);
    }

    /// Idle connections.
    pub fn len(&self) -> usize {
        lock(&self.inner).idle.len()
    }

    /// What a task does that looks after it on another thread, for as long as the result lives.
    #[cfg(test)]
    pub fn hold(&self) -> impl Sized + '_ {
        lock(&self.inner)
    }

    /// Entries looked at so far to find those that are idle still.
    #[cfg(test)]
    pub fn looked_at(&self) -> usize {
        lock(&self.inner).looked_at
    }

    /// No idle connections; or somebody is busy with them just now. Waits for nobody.
    pub fn seems_empty(&self) -> bool {
        try_lock(&self.inner).is_none_or(|inner| inner.idle.is_empty())
    }

    /// No idle connections.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<N: Net> Inner<N> {
    /// Takes an entry out of all but `by_origin` and `by_age`.
    fn remove(&mut self, entry: Entry) -> Option<Idle<N>> {
        let idle = self.idle.remove(entry)?;
        self.by_key.remove(&idle.connection.key());
        Some(idle)
    }

    /// Since when the oldest is idle, and which it is.
    fn oldest(&mut self) -> Option<(Instant, Entry)> {
        if self.by_age.len() > AGES_MIN + 2 * self.idle.len() {
            self.by_age.retain(|(_, entry)| self.idle.get(*entry).is_some());
        }
        while let Some((since, entry)) = self.by_age.front().copied() {
            if self.idle.get(entry).is_some() {
                return Some((since, entry));
            }
            self.by_age.pop_front();
        }
        None
    }

    /// Drops the lists of origins without idle connections, once they are the most: a list that empties for the time of
    /// a request is kept.
    fn forget_origins(&mut self) {
        if self.by_origin.len() > ORIGINS_KEPT + 2 * self.idle.len() {
            self.by_origin.retain(|_, list| list.live > 0);
        }
    }

    /// Takes an entry out of everything.
    fn unlink(&mut self, entry: Entry) -> Option<Idle<N>> {
        let removed = self.remove(entry)?;
        let origin = removed.connection.origin();
        if let Some(list) = self.by_origin.get_mut(origin) {
            list.live -= 1;
            if list.live == 0 {
                self.by_origin.remove(origin);
            } else if list.entries.len() > LEFT_MIN + 2 * list.live {
                #[cfg(test)]
                {
                    self.looked_at += list.entries.len();
                }
                list.entries.retain(|entry| self.idle.get(*entry).is_some());
            }
        }
        Some(removed)
    }
}

/// Origins remembered though they have no idle connection; more are forgotten all at once.
const ORIGINS_KEPT: usize = 64;

/// So many ages are carried along though their connections are not idle any more.
const AGES_MIN: usize = 64;

/// So many that left are carried along in the list of an origin.
const LEFT_MIN: usize = 8;

/// Connections that one step looks at or closes: each costs some system calls.
const LOOKS_PER_STEP_MAX: usize = 8;

/// Looks after a pool: closes what died and what grew old.
pub struct PoolTask<N: Net> {
    pool: Pool<N>,
    keys: Vec<SocketKey>,
    now: N,
}

impl<N: Net> TaskIterator for PoolTask<N> {
    type Ready = ();
    type Pending = Wait;
    type Spawner = NoAction;

    fn started(&mut self, waker: &TaskWaker) {
        self.pool.watch.set_waker(waker.clone());
    }

    fn label(&self) -> u32 {
        StepKind::Idle as u32
    }

    fn next(&mut self) -> Option<TaskStatus<(), Wait, NoAction>> {
        let now = self.now.now();
        self.pool.watch.drain(&mut self.keys);
        let mut closed = Vec::new();
        let (deadline, more) = {
            let mut inner = lock(&self.pool.inner);
            let first = self.keys.len().saturating_sub(LOOKS_PER_STEP_MAX);
            for key in self.keys.drain(first..) {
                let Some(entry) = inner.by_key.get(&key).copied() else { continue };
                let Some(idle) = inner.idle.get_mut(entry) else { continue };
                if idle.connection.tend() {
                    idle.connection.release_buffers();
                } else {
                    closed.extend(inner.unlink(entry));
                }
            }
            let mut more = !self.keys.is_empty();
            let deadline = loop {
                let (Some((since, entry)), Some(timeout)) = (inner.oldest(), self.pool.idle_timeout) else {
                    break None;
                };
                if now.since(since) < timeout {
                    break Some(since.after(timeout));
                }
                if closed.len() >= LOOKS_PER_STEP_MAX {
                    more = true;
                    break None;
                }
                closed.extend(inner.unlink(entry));
            };
            if inner.idle.is_empty() {
                // The next put starts another.
                inner.attended = false;
                return None;
            }
            (deadline, more)
        };
        drop(closed);
        if more {
            return Some(TaskStatus::Init);
        }
        Some(TaskStatus::Pending(Wait::EXTERNAL.no_later_than(deadline)))
    }
}
