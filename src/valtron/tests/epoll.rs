//! What only epoll does: a handle for the host's loop, and restraint after a fork.

use super::os::{os_executor, pair, register};
use super::*;
use crate::valtron::poller::{EpollPoller, Poller, Source};
use std::io::{self, Write};
use std::os::fd::AsRawFd;

fn readable(poller: &EpollPoller) -> bool {
    // The epoll descriptor of one poller, looked at through another: what a host's loop does.
    let outer = EpollPoller::new().unwrap();
    outer.register(Source::Os(poller.handle().unwrap())).unwrap();
    outer.wait(Some(Duration::ZERO), &mut Vec::new()).unwrap() > 0
}

/// Goal: while a host sleeps on the handle, it is readable exactly when a call has work. Method: wake and spawn
/// between two turns.
#[test]
fn a_host_that_waits_on_the_handle_is_told() {
    let (mut executor, poller) = os_executor();
    let handle = executor.handle();
    handle.spawn(erased(from_fn(|| None)));
    executor.run_once(LONG);
    handle.spawn(erased(from_fn(|| None)));
    assert!(!readable(&poller), "a host that only polls pays no call");
    handle.set_host_waits(true);
    assert!(readable(&poller));
    executor.run_once(LONG);
    assert!(!readable(&poller));
    handle.spawn(erased(from_fn(|| Some(TaskStatus::Init))));
    assert!(readable(&poller));
    assert!(executor.run_once(Duration::ZERO).work_left);
    assert!(readable(&poller), "work was left");
}

/// Goal: in the child of a fork nothing is taken out of the set shared with the parent. Method: after the mark, a
/// deregistered socket's events still come (and find nobody).
#[test]
fn a_forked_poller_leaves_the_set_alone() {
    let poller = EpollPoller::new().unwrap();
    let (ours, mut theirs) = pair();
    let (key, _) = register(&poller, &ours);
    poller.set_forked();
    poller.deregister(key);
    let again = poller.register(Source::Os(i64::from(ours.as_raw_fd())));
    assert_eq!(again.map(|_| ()).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    theirs.write_all(b"x").unwrap();
    assert_eq!(poller.wait(Some(Duration::ZERO), &mut Vec::new()).unwrap(), 0);
    assert!(poller.os_descriptors().iter().all(|fd| *fd > 2));
}
