//! From nothing to a connection that the request may write to.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Outcome;
use crate::client::actions::{HttpClientAction, ResolveAction, TlsUpgradeAction};
use crate::client::connection::Connection;
use crate::client::dial::{DialLimits, ResolveTask};
use crate::client::error::{HttpClientError, Phase};
use crate::client::request::Milestone;
use crate::client::status::Status;
use crate::client::task::{
    ChildLink, Connecting, Core, HttpRequestState, Init, Machine, Move, Role, SendingRequest, TlsHandshake, Upload,
};
use crate::client::upgrade::TlsUpgradeTask;
use crate::net::{Net, Socket};
use crate::proto::HeadReader;
use crate::synca::oneshot::{self, Received};

impl<N: Net> Core<N> {
    pub(in crate::client) fn enter(&mut self, state: HttpRequestState, limit: Option<Duration>) {
        let now = self.context.net.now();
        self.shared.enter(&state, now);
        self.deadline = limit.map(|limit| now.after(limit));
    }

    pub(in crate::client) fn reach(&self, milestone: Milestone) {
        self.shared.reach(milestone, self.context.net.now());
    }

    /// A connection from the pool, or the start of a new one; `fresh`: since the pool's turned out dead.
    pub(in crate::client) fn connect(&mut self, fresh: bool) -> Outcome<N> {
        if fresh {
            self.context.host.connections_reused.fetch_sub(1, Ordering::Relaxed);
        }
        self.enter(HttpRequestState::Connecting, None);
        self.reach(Milestone::Queued);
        let origin = self.plan.target.origin().clone();
        if !fresh {
            if let Some(connection) = self.context.pool.take(&origin, self.context.net.now()) {
                self.context.host.connections_reused.fetch_add(1, Ordering::Relaxed);
                return self.send_over(connection);
            }
        }
        if let Some(address) = self.plan.target.address() {
            let now = self.context.net.now();
            self.deadline = self.plan.terms.timeouts.connect.map(|limit| now.after(limit));
            let address = SocketAddr::new(address, origin.port);
            let socket = self.context.net.connect(address).map_err(|error| HttpClientError::connect(error, address))?;
            return Ok(Move::To(Machine::Connecting(Connecting::Direct(socket))));
        }
        let (sender, receiver) = oneshot::channel();
        if let Some(waker) = &self.waker {
            receiver.set_waker(waker.clone());
        }
        let limits =
            DialLimits { resolve: self.plan.terms.timeouts.resolve, connect: self.plan.terms.timeouts.connect };
        let task = ResolveTask::new(self.context.clone(), self.shared.clone(), origin, limits, sender);
        let action = HttpClientAction::Resolve(ResolveAction::new(task));
        Ok(Move::Spawn(Machine::Connecting(Connecting::Dialing(receiver)), action))
    }

    fn connected(&mut self, socket: N::Socket) -> Outcome<N> {
        self.reach(Milestone::Connected);
        self.context.host.connections_opened.fetch_add(1, Ordering::Relaxed);
        let origin = self.plan.target.origin().clone();
        if !origin.secure {
            return self.send_over(Connection::plain(origin, socket));
        }
        self.enter(HttpRequestState::TlsHandshake, None);
        let (sender, answer) = oneshot::channel();
        if let Some(waker) = &self.waker {
            answer.set_waker(waker.clone());
        }
        let (context, shared) = (self.context.clone(), self.shared.clone());
        let task = TlsUpgradeTask::new(context, shared, origin, self.plan.terms.timeouts.tls, socket, sender);
        let action = HttpClientAction::TlsUpgrade(TlsUpgradeAction::new(task));
        Ok(Move::Spawn(Machine::TlsHandshake(TlsHandshake { answer }), action))
    }

    fn send_over(&mut self, connection: Box<Connection<N>>) -> Outcome<N> {
        self.shared.note_connection(connection.reused(), connection.tls_resumed());
        self.enter(HttpRequestState::SendingRequest, self.plan.terms.timeouts.send);
        let head = self.plan.take_head(&self.context.user_agent)?;
        let upload = Upload { head, head_sent: 0, body_sent: 0 };
        let state = SendingRequest { connection, upload, reader: HeadReader::new() };
        Ok(Move::To(Machine::SendingRequest(state)))
    }
}

impl Init {
    pub(in crate::client) fn step<N: Net>(self, core: &mut Core<N>) -> Outcome<N> {
        if let Role::Child(_) = &core.role {
            if let Some(undecided) = ChildLink::step(core)? {
                return Ok(undecided);
            }
        }
        core.connect(false)
    }
}

impl<N: Net> Connecting<N> {
    pub(in crate::client) fn step(self, core: &mut Core<N>) -> Outcome<N> {
        match self {
            Connecting::Direct(mut socket) => match socket.connected() {
                Ok(true) => core.connected(socket),
                Ok(false) => Ok(Move::Wait(Machine::Connecting(Connecting::Direct(socket)))),
                Err(error) => {
                    let origin = core.plan.target.origin();
                    Err(match core.plan.target.address() {
                        Some(address) => HttpClientError::connect(error, SocketAddr::new(address, origin.port)),
                        None => HttpClientError::connect(error, format!("{}:{}", origin.host, origin.port)),
                    })
                }
            },
            Connecting::Dialing(receiver) => match receiver.try_recv() {
                Received::Value(Ok(socket)) => core.connected(socket),
                Received::Value(Err(error)) => Err(error),
                Received::Empty => Ok(Move::Wait(Machine::Connecting(Connecting::Dialing(receiver)))),
                Received::Closed => Err(HttpClientError::plain(Status::Internal, Phase::Connect)),
            },
        }
    }
}

impl<N: Net> TlsHandshake<N> {
    pub(in crate::client) fn step(self, core: &mut Core<N>) -> Outcome<N> {
        match self.answer.try_recv() {
            Received::Value(Ok((socket, session))) => {
                core.reach(Milestone::Tls);
                let origin = core.plan.target.origin().clone();
                core.send_over(Connection::secure(origin, socket, session))
            }
            Received::Value(Err(error)) => Err(error),
            Received::Empty => Ok(Move::Wait(Machine::TlsHandshake(self))),
            Received::Closed => Err(HttpClientError::plain(Status::Internal, Phase::Tls)),
        }
    }
}
