//! One piece of CPU work or one look-up that the host may take: asked about, decided, run as a job, taken back when
//! it comes too late. The two actions that can be taken share this little machine.

use std::sync::{Arc, Mutex};

use super::context::{Ask, Context};
use super::job::Work;
use super::questions::{Decision, Question};
use super::request::RequestShared;
use crate::net::Net;
use crate::synca::sync::lock;
use crate::synca::TaskWaker;
use crate::valtron::time::Instant;
use crate::valtron::Wait;

/// Work with a result.
pub struct Offered<T> {
    result: Arc<Mutex<Option<T>>>,
    question: Question,
    deadline: Instant,
    decided: bool,
}

/// What became of it.
pub enum Offer<T> {
    /// Wait so.
    Pending(Wait),
    /// A job did it.
    Done(T),
    /// The host lets the library do it from now on; here is the work, as yet undone.
    Run(Work, Arc<Mutex<Option<T>>>),
    /// The job was not started in time; here is the work.
    Expired(Work, Arc<Mutex<Option<T>>>),
    /// The host refused.
    Denied,
    /// The job ended without a result: it panicked.
    Broken,
}

/// Puts `work` to the host.
pub fn offer<N: Net, T: Send + 'static>(
    context: &Context<N>,
    request: &Arc<RequestShared>,
    ask: Ask,
    waker: &TaskWaker,
    work: impl FnOnce() -> T + Send + 'static,
) -> Offered<T> {
    let result = Arc::new(Mutex::new(None));
    let place = result.clone();
    let work: Work = Box::new(move || {
        let value = work();
        *lock(&place) = Some(value);
    });
    let question = context.ask(request, ask, Some(work), waker);
    Offered { result, question, deadline: context.net.now().after(context.spawn_timeout), decided: false }
}

impl<T> Offered<T> {
    /// Looks at it.
    pub fn poll<N: Net>(&mut self, context: &Context<N>) -> Offer<T> {
        let now = context.net.now();
        let decision = match self.question.decision() {
            Some(decision) => decision,
            None if now >= self.deadline => self.question.expire(),
            None => return Offer::Pending(Wait::until(self.deadline).or_external()),
        };
        let job = self.question.job();
        match decision {
            Decision::Deny => Offer::Denied,
            Decision::Run | Decision::Later => match job.reclaim() {
                Some(work) => Offer::Run(work, self.result.clone()),
                None => Offer::Broken,
            },
            Decision::Take => {
                if !std::mem::replace(&mut self.decided, true) {
                    self.deadline = now.after(context.job_timeout);
                }
                if job.is_done() {
                    return lock(&self.result).take().map_or(Offer::Broken, Offer::Done);
                }
                if job.started() {
                    return Offer::Pending(Wait::EXTERNAL);
                }
                if now < self.deadline {
                    return Offer::Pending(Wait::until(self.deadline).or_external());
                }
                match job.reclaim() {
                    Some(work) => {
                        context.count_expired();
                        Offer::Expired(work, self.result.clone())
                    }
                    // Started at this very moment.
                    None => Offer::Pending(Wait::EXTERNAL),
                }
            }
        }
    }
}

/// Runs work here and now.
pub fn run_here<T>(work: Work, result: &Mutex<Option<T>>) -> Option<T> {
    work();
    lock(result).take()
}
