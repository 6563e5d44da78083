//! Linux: bare epoll and an eventfd.
//!
//! Each socket is added once, edge-triggered and for everything, and never modified: its bits live in [`Readiness`],
//! so waiting for it is a look at those and costs no system call. An edge is reported again only after the socket was
//! found empty (or full): the owner clears a bit exactly when the OS said so.
//!
//! Register a socket after `connect` was called on it: one that never connected reports a hang-up.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use super::slots::Slots;
use super::{Poller, Readiness, Source, WatchList};
use crate::synca::sync::atomic::{AtomicBool, Ordering};
use crate::synca::sync::{lock, Arc, Mutex};
use crate::synca::Entry;
use crate::valtron::wait::{Interest, SocketKey};

/// Events taken per call; more stay with the kernel, which hands out the rest first the next time.
const EVENTS_MAX: usize = 128;

/// The eventfd's token. No key has it: generations count from 1 and this index never comes to be.
const NOTIFIED: u64 = u64::MAX;

/// A poller over epoll.
pub struct EpollPoller {
    epoll: OwnedFd,
    event: OwnedFd,
    slots: Mutex<Slots>,
    forked: AtomicBool,
}

impl EpollPoller {
    /// A poller with nothing registered.
    pub fn new() -> io::Result<Self> {
        // SAFETY: takes a flag, returns a descriptor or an error.
        let epoll = owned(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: takes a count and flags, returns a descriptor or an error.
        let event = owned(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
        let poller = Self { epoll, event, slots: Mutex::default(), forked: AtomicBool::new(false) };
        // Edge-triggered: each write is an edge, so nobody ever needs to read it.
        poller.control(libc::EPOLL_CTL_ADD, poller.event.as_raw_fd(), libc::EPOLLIN | libc::EPOLLET, NOTIFIED)?;
        Ok(poller)
    }

    /// The descriptors it owns: epoll, eventfd. For a child process that closes them and does nothing else.
    pub fn os_descriptors(&self) -> [i32; 2] {
        [self.epoll.as_raw_fd(), self.event.as_raw_fd()]
    }

    fn control(&self, operation: i32, fd: RawFd, events: i32, token: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: events as u32, u64: token };
        // SAFETY: `event` outlives the call, which only reads it.
        let result = unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), operation, fd, &mut event) };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }
}

impl Poller for EpollPoller {
    fn register(&self, source: Source) -> io::Result<(SocketKey, Arc<Readiness>)> {
        let Source::Os(number) = source else { return Err(io::ErrorKind::Unsupported.into()) };
        let fd = RawFd::try_from(number).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        // Known before the OS reports it.
        let (key, readiness) = lock(&self.slots).insert(source);
        let events = libc::EPOLLIN | libc::EPOLLPRI | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLET;
        if let Err(error) = self.control(libc::EPOLL_CTL_ADD, fd, events, token(key)) {
            lock(&self.slots).remove(key);
            return Err(error);
        }
        Ok((key, readiness))
    }

    fn deregister(&self, key: SocketKey) {
        let removed = lock(&self.slots).remove(key);
        let Some(Source::Os(number)) = removed.map(|slot| slot.source) else { return };
        // The child of a fork shares the epoll set with its parent: what it removed would be gone there too.
        if !self.forked.load(Ordering::SeqCst) {
            // It fails only if the caller closed the socket first, and then the kernel has forgotten it.
            let _ = self.control(libc::EPOLL_CTL_DEL, number as RawFd, 0, 0);
        }
    }

    fn arm(&self, key: SocketKey, interest: Interest, waiter: Entry) -> bool {
        lock(&self.slots).arm(key, interest, waiter)
    }

    fn disarm(&self, key: SocketKey, waiter: Entry) {
        lock(&self.slots).disarm(key, waiter);
    }

    fn watch(&self, key: SocketKey, list: &Arc<WatchList>) -> bool {
        lock(&self.slots).watch(key, list)
    }

    fn wait(&self, timeout: Option<Duration>, woken: &mut Vec<Entry>) -> io::Result<usize> {
        // Not filled with zeros first: that would cost more than the events, and push other things out of the cache.
        let mut events = [const { MaybeUninit::<libc::epoll_event>::uninit() }; EVENTS_MAX];
        // SAFETY: `events` has room for `EVENTS_MAX` elements during the call.
        let result = unsafe {
            libc::epoll_wait(
                self.epoll.as_raw_fd(),
                events.as_mut_ptr().cast(),
                EVENTS_MAX as i32,
                milliseconds(timeout),
            )
        };
        let Ok(taken) = usize::try_from(result) else { return Err(io::Error::last_os_error()) };
        let mut count = 0;
        let mut slots = None;
        for event in &events[..taken] {
            // SAFETY: the call above wrote so many.
            let event = unsafe { event.assume_init_ref() };
            let (bits, token) = (readiness_bits(event.events), event.u64);
            if token != NOTIFIED {
                let slots = slots.get_or_insert_with(|| lock(&self.slots));
                count += usize::from(slots.deliver(key(token), bits, woken));
            }
        }
        Ok(count)
    }

    fn notify(&self) {
        let one = 1u64.to_ne_bytes();
        // SAFETY: `one` is valid for eight bytes, which the call only reads. It could fail only by overflow, after 2^64
        // calls.
        unsafe { libc::write(self.event.as_raw_fd(), one.as_ptr().cast(), one.len()) };
    }

    fn handle(&self) -> Option<i64> {
        Some(i64::from(self.epoll.as_raw_fd()))
    }

    fn descriptors(&self) -> Vec<i32> {
        self.os_descriptors().to_vec()
    }

    fn set_forked(&self) {
        self.forked.store(true, Ordering::SeqCst);
    }
}

fn owned(fd: RawFd) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the OS has just given us this descriptor; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Rounded up: a wait that ends before its deadline would be made again, for nothing.
fn milliseconds(timeout: Option<Duration>) -> i32 {
    match timeout {
        None => -1,
        Some(timeout) => i32::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX),
    }
}

fn readiness_bits(events: u32) -> u32 {
    let has = |flags: i32| events & flags as u32 != 0;
    let mut bits = 0;
    if has(libc::EPOLLIN) {
        bits |= Readiness::READ;
    }
    if has(libc::EPOLLPRI) {
        // What follows the mark may be there without `EPOLLIN`.
        bits |= Readiness::READ | Readiness::URGENT;
    }
    if has(libc::EPOLLOUT) {
        bits |= Readiness::WRITE;
    }
    if has(libc::EPOLLRDHUP) {
        bits |= Readiness::READ | Readiness::CLOSED;
    }
    if has(libc::EPOLLHUP | libc::EPOLLERR) {
        bits |= Readiness::READ | Readiness::WRITE | Readiness::CLOSED;
    }
    bits
}

fn token(key: SocketKey) -> u64 {
    u64::from(key.0.index()) << 32 | u64::from(key.0.generation())
}

fn key(token: u64) -> SocketKey {
    SocketKey(Entry::new((token >> 32) as u32, token as u32))
}
