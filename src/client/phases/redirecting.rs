//! A redirect: the parent's wait, and the child's beginning.
//!
//! The child is lifted at once and asks the host, if the host wants to be asked. Only when the verdict is to follow
//! does the parent let go of the response: it reads the rest of a small body away, so that the connection serves
//! again, perhaps the child itself. A denied redirect is an answer like any other, and its body is still unread.

use std::sync::Arc;
use std::time::Duration;

use super::Outcome;
use crate::client::actions::{HttpClientAction, RedirectAction};
use crate::client::body_stream::{Arrived, BodyStream};
use crate::client::context::Ask;
use crate::client::error::{HttpClientError, Phase};
use crate::client::questions::SpawnKind;
use crate::client::request::HeadRecord;
use crate::client::status::Status;
use crate::client::task::{
    AwaitingRedirect, ChildLink, Core, HttpRequestState, HttpRequestTask, Init, Machine, Move, Plan, RedirectStage,
    Role, Verdict,
};
use crate::client::work::{offer, Offer};
use crate::net::Net;
use crate::synca::oneshot::{self, Received};
use crate::valtron::Wait;

/// Bytes of a redirect's body read away to keep its connection; more costs more than a new connection.
const DRAIN_BYTES_MAX: usize = 64 * 1024;
/// How long the rest of such a body may take to come.
const DRAIN_TIME_MAX: Duration = Duration::from_millis(100);

impl<N: Net> Core<N> {
    /// `plan` would follow `head`: a child is made for it.
    pub(in crate::client) fn redirect(&mut self, body: BodyStream<N>, head: Arc<HeadRecord>, plan: Plan) -> Outcome<N> {
        self.enter(HttpRequestState::AwaitingRedirect, None);
        let (verdict_sender, verdict) = oneshot::channel();
        let (go, go_receiver) = oneshot::channel();
        let (completion_sender, completion) = oneshot::channel();
        if let Some(waker) = &self.waker {
            verdict.set_waker(waker.clone());
            completion.set_waker(waker.clone());
        }
        let link = Box::new(ChildLink {
            verdict: Some(verdict_sender),
            go: go_receiver,
            completion: Some(completion_sender),
            question: None,
            asked: false,
            http_status: head.status,
            hop: Some(head.clone()),
        });
        let child = HttpRequestTask::with_role(self.context.clone(), self.shared.clone(), plan, Role::Child(link));
        let stage = RedirectStage::Deciding(body);
        let state = Box::new(AwaitingRedirect { stage, verdict, go: Some(go), completion, head });
        let action = HttpClientAction::Redirect(RedirectAction::new(child));
        Ok(Move::Spawn(Machine::AwaitingRedirect(state), action))
    }
}

impl<N: Net> AwaitingRedirect<N> {
    pub(in crate::client) fn step(mut self: Box<Self>, core: &mut Core<N>) -> Outcome<N> {
        match std::mem::replace(&mut self.stage, RedirectStage::Following) {
            RedirectStage::Deciding(body) => match self.verdict.try_recv() {
                Received::Empty => {
                    self.stage = RedirectStage::Deciding(body);
                    Ok(Move::Wait(Machine::AwaitingRedirect(self)))
                }
                Received::Value(Verdict::Denied) => {
                    let total = body.decoder.remaining();
                    core.receive_body(body, self.head, total)
                }
                Received::Value(Verdict::Follow) => {
                    let now = core.context.net.now();
                    core.deadline = Some(now.after(DRAIN_TIME_MAX));
                    self.stage = RedirectStage::Draining { body, left: DRAIN_BYTES_MAX };
                    Ok(Move::To(Machine::AwaitingRedirect(self)))
                }
                Received::Closed => childless(&self.completion),
            },
            RedirectStage::Draining { mut body, left } => {
                let hopeless = body.keep_alive.is_err()
                    || body.decoder.remaining().is_some_and(|rest| rest > left as u64)
                    || core.deadline.is_some_and(|deadline| core.context.net.now() >= deadline);
                if body.decoder.is_done() {
                    body.leave(core);
                } else if !hopeless && left > 0 {
                    let mut count = 0;
                    let arrived = body.take(&core.context.net, left, &mut |bytes| {
                        count = bytes.len();
                        Ok(())
                    });
                    match arrived {
                        Ok(Arrived::Again) => {
                            // Costs as a byte does, so that it ends.
                            self.stage = RedirectStage::Draining { body, left: left - 1 };
                            return Ok(Move::Yield(Machine::AwaitingRedirect(self)));
                        }
                        Ok(Arrived::Nothing) => {
                            self.stage = RedirectStage::Draining { body, left };
                            return Ok(Move::Wait(Machine::AwaitingRedirect(self)));
                        }
                        Ok(Arrived::Bytes) => {
                            self.stage = RedirectStage::Draining { body, left: left.saturating_sub(count.max(1)) };
                            return Ok(Move::Yield(Machine::AwaitingRedirect(self)));
                        }
                        // The redirect stands; only its connection is lost.
                        Err(_) => drop(body),
                    }
                } else {
                    drop(body);
                }
                core.deadline = None;
                if let Some(go) = self.go.take() {
                    let _ = go.send(());
                }
                self.stage = RedirectStage::Following;
                Ok(Move::To(Machine::AwaitingRedirect(self)))
            }
            RedirectStage::Following => match self.completion.try_recv() {
                Received::Empty => {
                    self.stage = RedirectStage::Following;
                    Ok(Move::Wait(Machine::AwaitingRedirect(self)))
                }
                Received::Value(Ok(())) => Ok(Move::Finish),
                Received::Value(Err(error)) => Err(error),
                Received::Closed => childless(&self.completion),
            },
        }
    }
}

/// The child is gone without a verdict or a completion: it was stopped, or it panicked.
fn childless<N: Net>(completion: &oneshot::Receiver<Result<(), HttpClientError>>) -> Outcome<N> {
    match completion.try_recv() {
        Received::Value(Err(error)) => Err(error),
        _ => Err(HttpClientError::plain(Status::Internal, Phase::Redirect)),
    }
}

impl ChildLink {
    /// The child's first moves: ask, tell the parent, wait until it has let go. `None`: go on and connect.
    pub(in crate::client) fn step<N: Net>(core: &mut Core<N>) -> Result<Option<Move<N>>, HttpClientError> {
        let wait = || Ok(Some(Move::Wait(Machine::Init(Init { wait: Wait::EXTERNAL }))));
        let Role::Child(link) = &mut core.role else { return Ok(None) };
        if link.verdict.is_some() {
            if !link.asked && core.context.asks(SpawnKind::Redirect) {
                let Some(waker) = &core.waker else { return Ok(None) };
                let ask = Ask {
                    spawn_id: core.context.host.desk.new_id(),
                    kind: SpawnKind::Redirect,
                    step: 0,
                    http_status: i32::from(link.http_status),
                    port: u32::from(core.plan.target.origin().port),
                    text: core.plan.target.display(),
                };
                link.question = Some(offer(&core.context, &core.shared, ask, waker, || ()));
            }
            link.asked = true;
            let denied = match link.question.as_mut().map(|question| question.poll(&core.context)) {
                Some(Offer::Pending(wait)) => {
                    return Ok(Some(Move::Wait(Machine::Init(Init { wait }))));
                }
                Some(Offer::Denied) => true,
                _ => false,
            };
            link.question = None;
            let verdict = if denied { Verdict::Denied } else { Verdict::Follow };
            if let Some(sender) = link.verdict.take() {
                let _ = sender.send(verdict);
            }
            if denied {
                return Ok(Some(Move::Vanish));
            }
            return wait();
        }
        match link.go.try_recv() {
            Received::Empty => wait(),
            Received::Value(()) => {
                let (url, now) = (core.plan.target.display(), core.context.net.now());
                if let Some(head) = link.hop.take() {
                    core.shared.add_hop(head, url, now);
                }
                Ok(None)
            }
            Received::Closed => Err(HttpClientError::plain(Status::Cancelled, Phase::Redirect)),
        }
    }
}
