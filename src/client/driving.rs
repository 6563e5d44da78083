//! The calls that drive: poll, wait, perform, shutdown. Here, and nowhere else, the host's callback runs: on the
//! thread that called, with no lock held.

use std::io::ErrorKind;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use super::config::RequestConfig;
use super::error::{HttpClientError, Phase};
use super::executor::execute_task;
use super::facade::{Client, Drive, Driven, Inner, Passenger, PollInfo};
#[cfg(feature = "multi")]
use super::host_side::Passengers;
use super::questions::Pumped;
use super::request::{until_flags, RequestInfo, RequestShared, Stop};
use super::status::Status;
use crate::valtron::time::Instant;
use crate::valtron::{Executor, Turn};

/// How long a waiting call runs ready tasks between two looks at its sockets and at the host's events.
const SLICE: Duration = Duration::from_millis(1);

/// What a call does that finds another thread driving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Busy {
    /// Answers so. Once it drives itself, it rides when another takes over.
    Answer,
    /// Waits with it, and drives on when the other lets go.
    Ride,
}

/// Why a drive ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    Reached,
    Time,
}

impl Client {
    /// Runs what is ready, within a budget (zero: one turn), and never blocks.
    pub fn poll(&self, budget: Duration) -> Result<PollInfo, Status> {
        self.0.usable()?;
        let tended = self.0.tend_spare_lanes(1, self.0.clock_now());
        let mut turn = match &self.0.drive {
            Drive::Inline(driven) => self.0.poll_driven(driven, budget, tended)?,
            #[cfg(feature = "multi")]
            Drive::Workers { driver, host_poller, .. } => {
                let _driving = Seat::new(try_driver(driver)?, &self.0.host.passengers);
                let begun = self.0.clock_now();
                // Takes the signal away before the host looks at what it told of: the handle is readable again only
                // for what comes later.
                let _ = host_poller.wait(Some(Duration::ZERO), &mut Vec::new());
                self.0.hitches.count(tended + self.0.clock_now().since(begun));
                Turn::default()
            }
        };
        turn.work_left |= self.0.pump_now().left;
        self.0.usable()?;
        Ok(self.0.poll_info(turn))
    }

    /// Drives until there is an event, a wakeup, or the time is over; a signal ends it.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<PollInfo, Status> {
        self.0.usable()?;
        let inner = &self.0;
        let something = || inner.host.events_ready() > 0 || inner.host.desk.unpulled() > 0;
        let done = || something() || inner.woken.swap(false, Ordering::SeqCst);
        let turn = match &inner.drive {
            Drive::Inline(driven) => inner.drive_until(driven, timeout, Busy::Answer, &done)?.1,
            #[cfg(feature = "multi")]
            Drive::Workers { .. } => {
                inner.watch_until(timeout, Busy::Answer, &done)?;
                Turn::default()
            }
        };
        Ok(inner.poll_info(turn))
    }

    /// Drives (zero: only looks) and answers how a request stands.
    pub fn request_poll(&self, request: u64, budget: Duration) -> Result<RequestInfo, Status> {
        self.0.usable()?;
        let shared = self.0.host.find(request)?;
        if !budget.is_zero() {
            let bound = self.0.bound_to(request);
            let driven = match (&bound, &self.0.drive) {
                (Some(driven), _) => Some(driven),
                (None, Drive::Inline(driven)) => Some(driven),
                #[cfg(feature = "multi")]
                (None, Drive::Workers { .. }) => None,
            };
            if let Some(driven) = driven {
                match self.0.poll_driven(driven, budget, Duration::ZERO) {
                    Ok(_) => {}
                    Err(Status::Busy) => return Ok(shared.info()),
                    Err(status) => return Err(status),
                }
            }
            self.0.pump_now();
            self.0.usable()?;
            self.0.settle(request, &shared);
        }
        Ok(shared.info())
    }

    /// Drives until a request is over, or got as far as `until`, or the time is over. The information comes whenever
    /// the handle is good.
    pub fn request_wait(&self, request: u64, until: u32, timeout: Option<Duration>) -> (Status, Option<RequestInfo>) {
        if let Err(status) = self.0.usable() {
            return (status, None);
        }
        let shared = match self.0.host.find(request) {
            Ok(shared) => shared,
            Err(status) => return (status, None),
        };
        if until & !until_flags::ALL != 0 {
            return (Status::EnumRange, None);
        }
        let status = self.0.wait_for(&shared, until, timeout);
        (status, Some(shared.info()))
    }

    /// Makes a request and drives it on this thread, on an executor of its own. `Err`: it was never made.
    pub fn perform(
        &self,
        config: RequestConfig<'_>,
        until: u32,
        timeout: Option<Duration>,
    ) -> Result<(u64, Status, RequestInfo), HttpClientError> {
        if until & !until_flags::ALL != 0 {
            return Err(HttpClientError::plain(Status::EnumRange, Phase::None));
        }
        let driven = self.0.lend()?;
        let (plan, shared) = match self.new_request(config, true) {
            Ok(made) => made,
            Err(error) => {
                self.0.spare(driven);
                return Err(error);
            }
        };
        let handle = shared.handle();
        if !plan.idempotent {
            // It cannot be sent again if its connection turns out dead: look for the dead first.
            if let Some(executor) = driven.try_executor().ok().as_mut().and_then(|place| place.as_mut()) {
                executor.run_once(Duration::ZERO);
            }
        }
        self.0.bind(handle, &driven);
        execute_task(std::slice::from_ref(&driven.lane), shared.clone(), plan);
        let status = self.0.wait_for(&shared, until, timeout);
        Ok((handle, status, shared.info()))
    }

    /// Ends all requests, each with its terminal event, then the threads; waits no longer than `timeout`.
    pub fn shutdown(&self, timeout: Option<Duration>) -> Result<(), Status> {
        if self.0.closed.load(Ordering::SeqCst) {
            return Err(Status::Shutdown);
        }
        let inner = &self.0;
        inner.host.close();
        let requests = inner.host.requests();
        for shared in &requests {
            shared.request_stop(Stop::Shutdown);
        }
        let start = inner.clock_now();
        let left = |now: Instant| timeout.map(|timeout| timeout.saturating_sub(now.since(start)));
        let over = || requests.iter().all(|shared| shared.is_terminal() || shared.stop() == Some(Stop::Freed));
        for driven in inner.bound_lanes() {
            // One that another thread drives ends there.
            let _ = inner.drive_until(&driven, Some(Duration::ZERO), Busy::Answer, &over);
        }
        let outcome = match &inner.drive {
            Drive::Inline(driven) => {
                // Requests of other threads' performs end in lanes of their own.
                let _told = inner.board_lane(driven)?;
                inner.drive_until(driven, left(inner.clock_now()), Busy::Ride, &over).map(|(reason, _)| reason)
            }
            #[cfg(feature = "multi")]
            Drive::Workers { .. } => inner.watch_until(left(inner.clock_now()), Busy::Ride, &over),
        };
        match outcome {
            Ok(Reason::Reached) => {}
            Ok(Reason::Time) => return Err(Status::WaitTimeout),
            Err(status) => return Err(status),
        }
        inner.drop_spare_lanes();
        #[cfg(feature = "multi")]
        if let Drive::Workers { workers, .. } = &inner.drive {
            let mut workers = crate::synca::sync::lock(workers);
            workers.stop();
            if !workers.join(left(inner.clock_now())) {
                return Err(Status::WaitTimeout);
            }
        }
        for lane in inner.lanes() {
            lane.context.pool.clear();
        }
        if !inner.resolver_pool().close(left(inner.clock_now())) {
            return Err(Status::WaitTimeout);
        }
        Ok(())
    }
}

impl Driven {
    fn try_executor(&self) -> Result<MutexGuard<'_, Option<Executor>>, Status> {
        match self.executor.try_lock() {
            Ok(guard) => Ok(guard),
            Err(std::sync::TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
            Err(std::sync::TryLockError::WouldBlock) => Err(Status::Busy),
        }
    }
}

impl Inner {
    /// One poll of an executor: turns and the host's answers, until nothing is left or the budget is spent, of which
    /// some may be `spent` before.
    fn poll_driven(&self, driven: &Arc<Driven>, budget: Duration, mut spent: Duration) -> Result<Turn, Status> {
        let mut start = None;
        // No budget at all is one whole turn.
        let least = budget.min(Duration::from_nanos(1));
        loop {
            let mut turn = {
                let mut place = driven.try_executor()?;
                let executor = place.as_mut().ok_or(Status::Shutdown)?;
                let turn = executor.run_once(budget.saturating_sub(spent).max(least));
                spent += self.clock_now().since(turn.begun);
                turn
            };
            let start = *start.get_or_insert(turn.begun);
            self.host.flush();
            self.host.passengers.wake();
            let Pumped { answered, left } = self.pump_now();
            self.leave(driven)?;
            // What callbacks take is not in the budget, but has an end.
            let late = || self.clock_now().since(start) >= budget.saturating_mul(4);
            if answered == 0 || spent >= budget || late() {
                self.hitches.count(spent);
                // Who was answered has work; the deadlines are those of before.
                turn.work_left |= answered > 0 || left;
                return Ok(turn);
            }
        }
    }

    /// Turns and waits until `done` or the time is over.
    fn drive_until(
        &self,
        driven: &Arc<Driven>,
        timeout: Option<Duration>,
        mut busy: Busy,
        done: &dyn Fn() -> bool,
    ) -> Result<(Reason, Turn), Status> {
        // The clock costs as much as a hundred instructions: a turn tells when it began and ended.
        let mut start = None;
        let mut looked = false;
        let mut passenger = None;
        loop {
            let turn = {
                let mut place = match driven.try_executor() {
                    Ok(place) => place,
                    Err(Status::Busy) if busy == Busy::Ride => {
                        let now = self.clock_now();
                        let start = *start.get_or_insert(now);
                        let left = timeout.map(|timeout| timeout.saturating_sub(now.since(start)));
                        if let Some(reason) = self.ride(&mut passenger, left, done)? {
                            return Ok((reason, Turn::default()));
                        }
                        continue;
                    }
                    Err(status) => return Err(status),
                };
                busy = Busy::Ride;
                let executor = place.as_mut().ok_or(Status::Shutdown)?;
                // Without a look: the wait below is the look, so that a request costs one.
                let look = self.look_first.swap(false, Ordering::SeqCst);
                if look {
                    executor.run_once(SLICE)
                } else {
                    executor.run_ready(SLICE)
                }
            };
            let start = *start.get_or_insert(turn.begun);
            self.host.flush();
            self.host.passengers.wake();
            let tended = self.tend_spare_lanes(usize::MAX, turn.ended);
            let asked = self.pump_all();
            self.leave(driven)?;
            if done() {
                return Ok((Reason::Reached, turn));
            }
            let now = if asked || !tended.is_zero() { self.clock_now() } else { turn.ended };
            let left = match timeout {
                None => None,
                Some(timeout) => {
                    let left = timeout.saturating_sub(now.since(start));
                    if left.is_zero() && looked {
                        return Ok((Reason::Time, turn));
                    }
                    Some(left)
                }
            };
            let waited = {
                let mut place = match driven.try_executor() {
                    Err(Status::Busy) => continue,
                    place => place?,
                };
                let executor = place.as_mut().ok_or(Status::Shutdown)?;
                executor.wait_from(now, sooner(left, self.until_tending()))
            };
            self.host.passengers.wake();
            looked = true;
            self.leave(driven)?;
            match waited {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => return Err(Status::Interrupted),
                Err(_) => return Err(Status::System),
            }
        }
    }

    /// Another thread drives: waits until something happened. An answer, if the wait is over.
    fn ride<'a>(
        &'a self,
        passenger: &mut Option<Passenger<'a>>,
        left: Option<Duration>,
        done: &dyn Fn() -> bool,
    ) -> Result<Option<Reason>, Status> {
        self.open()?;
        if done() {
            return Ok(Some(Reason::Reached));
        }
        if left.is_some_and(|left| left.is_zero()) {
            return Ok(Some(Reason::Time));
        }
        match passenger {
            // The other one may have let go before it knew of us: try again first.
            None => *passenger = Some(self.board()?),
            Some(passenger) => passenger.wait(left)?,
        }
        Ok(None)
    }

    /// The same as [`drive_until`](Self::drive_until), where others drive.
    #[cfg(feature = "multi")]
    fn watch_until(
        &self,
        timeout: Option<Duration>,
        mut busy: Busy,
        done: &dyn Fn() -> bool,
    ) -> Result<Reason, Status> {
        let Drive::Workers { host_poller, driver, .. } = &self.drive else { return Err(Status::Internal) };
        let start = self.clock_now();
        let mut woken = Vec::new();
        let mut passenger = None;
        loop {
            let left = timeout.map(|timeout| timeout.saturating_sub(self.clock_now().since(start)));
            let _driving = match try_driver(driver) {
                Ok(driving) => Seat::new(driving, &self.host.passengers),
                Err(Status::Busy) if busy == Busy::Ride => {
                    if let Some(reason) = self.ride(&mut passenger, left, done)? {
                        return Ok(reason);
                    }
                    continue;
                }
                Err(status) => return Err(status),
            };
            busy = Busy::Ride;
            self.asleep.store(true, Ordering::SeqCst);
            let asked = self.host.desk.has_unasked();
            if asked {
                drop(_driving);
                self.asleep.store(false, Ordering::SeqCst);
                self.pump_all();
                self.open()?;
                if done() {
                    return Ok(Reason::Reached);
                }
                // A worker counts a question before it lays it down: should it be stopped between, it is let on.
                std::thread::yield_now();
                continue;
            }
            if done() {
                self.asleep.store(false, Ordering::SeqCst);
                return Ok(Reason::Reached);
            }
            let left = timeout.map(|timeout| timeout.saturating_sub(self.clock_now().since(start)));
            if left.is_some_and(|left| left.is_zero()) {
                self.asleep.store(false, Ordering::SeqCst);
                return Ok(Reason::Time);
            }
            self.tend_spare_lanes(usize::MAX, self.clock_now());
            let waited = host_poller.wait(sooner(left, self.until_tending()), &mut woken);
            self.asleep.store(false, Ordering::SeqCst);
            drop(_driving);
            self.open()?;
            match waited {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => return Err(Status::Interrupted),
                Err(_) => return Err(Status::System),
            }
        }
    }

    /// Drives whatever carries the request until it got as far as `until`.
    fn wait_for(&self, shared: &Arc<RequestShared>, until: u32, timeout: Option<Duration>) -> Status {
        let handle = shared.handle();
        if until & until_flags::BODY == 0 {
            shared.decline_offer();
        }
        let done = || {
            shared.reached(until)
                || shared.stop() == Some(Stop::Freed)
                || (until & until_flags::SPAWN != 0 && self.host.desk.unpulled() > 0)
        };
        let outcome = match (self.bound_to(handle), &self.drive) {
            (Some(driven), _) => self.drive_until(&driven, timeout, Busy::Ride, &done).map(|(reason, _)| reason),
            (None, Drive::Inline(driven)) => {
                self.drive_until(driven, timeout, Busy::Ride, &done).map(|(reason, _)| reason)
            }
            #[cfg(feature = "multi")]
            (None, Drive::Workers { .. }) => self.watch_until(timeout, Busy::Ride, &done),
        };
        self.settle(handle, shared);
        match outcome {
            Ok(Reason::Reached) if shared.stop() == Some(Stop::Freed) => Status::HandleStale,
            Ok(Reason::Reached) => Status::Ok,
            Ok(Reason::Time) => Status::WaitTimeout,
            Err(status) => status,
        }
    }

    /// A performed request that is over gives its lane back.
    fn settle(&self, request: u64, shared: &RequestShared) {
        if shared.is_silent() && shared.is_terminal() {
            if let Some(driven) = self.unbind(request) {
                self.spare(driven);
            }
        }
    }

    /// For who may wait: all new questions are put to the host. False: there was none.
    fn pump_all(&self) -> bool {
        if !self.host.desk.has_unasked() {
            return false;
        }
        while self.pump().left {
            self.host.desk.wait_for_turn();
        }
        true
    }

    /// For a poll: what it cannot come at is for the next one, and a host that sleeps on its handle is to know.
    fn pump_now(&self) -> Pumped {
        let pumped = self.pump();
        if pumped.left && self.handle_used.load(Ordering::SeqCst) {
            self.interrupt();
        }
        pumped
    }

    /// Puts new questions to the host, those that it can come at.
    fn pump(&self) -> Pumped {
        if !self.host.desk.has_unasked() {
            return Pumped::default();
        }
        self.host.desk.pump(self.spawn_callback.as_ref(), |asker| asker.raise_spawn())
    }

    /// After the executor was let go: if the client was closed meanwhile, perhaps by a callback, this driver cleans
    /// up.
    fn leave(&self, driven: &Driven) -> Result<(), Status> {
        if self.closed.load(Ordering::SeqCst) {
            driven.dispose();
            return Err(Status::Shutdown);
        }
        Ok(())
    }

    fn poll_info(&self, turn: Turn) -> PollInfo {
        let (live, _) = self.host.counts();
        PollInfo {
            work_left: turn.work_left,
            next_deadline: turn.next_deadline.map(|at| at.since(self.clock_now())),
            events_ready: self.host.events_ready() as u32,
            spawns_ready: self.host.desk.unpulled() as u32,
            requests_live: live as u32,
        }
    }
}

fn sooner(a: Option<Duration>, b: Option<Duration>) -> Option<Duration> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// The right to wait for the workers; who gives it up tells those who wait for it.
#[cfg(feature = "multi")]
struct Seat<'a> {
    guard: Option<MutexGuard<'a, ()>>,
    passengers: &'a Passengers,
}

#[cfg(feature = "multi")]
impl<'a> Seat<'a> {
    fn new(guard: MutexGuard<'a, ()>, passengers: &'a Passengers) -> Self {
        Self { guard: Some(guard), passengers }
    }
}

#[cfg(feature = "multi")]
impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.guard = None;
        self.passengers.wake();
    }
}

#[cfg(feature = "multi")]
fn try_driver(driver: &std::sync::Mutex<()>) -> Result<MutexGuard<'_, ()>, Status> {
    match driver.try_lock() {
        Ok(guard) => Ok(guard),
        Err(std::sync::TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
        Err(std::sync::TryLockError::WouldBlock) => Err(Status::Busy),
    }
}
