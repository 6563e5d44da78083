//! One scripted connection: ops become segments with a time, segments become reads.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{Op, Plan, Server};
use crate::net::{Io, NetError, NetErrorKind, Socket};
use crate::synca::sync::lock;
use crate::valtron::poller::{Poller, Readiness};
use crate::valtron::sim::SimPoller;
use crate::valtron::time::{Instant, TurnClock};
use crate::valtron::SocketKey;

/// Both ends of one connection.
pub(super) struct Wire {
    poller: Arc<SimPoller>,
    key: SocketKey,
    connect: Connect,
    server: Option<Server>,
    /// Not yet turned into segments: after an [`Op::ExpectWrite`] that has not come true.
    ops: VecDeque<Op>,
    /// When the last segment is visible.
    cursor: Instant,
    incoming: VecDeque<Segment>,
    /// Room for writes that comes at a time; `None` is all the room there is.
    grants: VecDeque<(Instant, Option<usize>)>,
    room: Option<usize>,
    pub(super) written: Vec<u8>,
    pub(super) dropped: bool,
}

enum Connect {
    At(Instant),
    RefusedAt(Instant),
    Never,
}

struct Segment {
    at: Instant,
    what: What,
}

enum What {
    Bytes(VecDeque<u8>),
    Block,
    Eof,
    Reset,
}

impl Wire {
    pub(super) fn new(poller: Arc<SimPoller>, key: SocketKey, now: Instant, plan: Plan) -> Self {
        let mut wire = Self {
            poller,
            key,
            connect: Connect::Never,
            server: None,
            ops: VecDeque::new(),
            cursor: now,
            incoming: VecDeque::new(),
            grants: VecDeque::new(),
            room: None,
            written: Vec::new(),
            dropped: false,
        };
        wire.begin(plan);
        wire
    }

    fn begin(&mut self, mut plan: Plan) {
        while let Plan::After(ms, then) = plan {
            self.cursor = self.cursor.after(Duration::from_millis(ms));
            plan = *then;
        }
        match plan {
            Plan::Script(ops) => self.ops.extend(ops),
            Plan::Server(mut server) => {
                self.ops.extend(server(&[]));
                self.server = Some(server);
            }
            Plan::Refuse(ms) => {
                let at = self.cursor.after(Duration::from_millis(ms));
                self.connect = Connect::RefusedAt(at);
                self.poller.set_ready_at(at, self.key, Readiness::READ | Readiness::WRITE | Readiness::CLOSED);
                return;
            }
            // `Fail` has been answered by the connect itself.
            Plan::BlackHole | Plan::Fail(_) | Plan::After(..) => return,
        }
        self.connect = Connect::At(self.cursor);
        self.poller.set_ready_at(self.cursor, self.key, Readiness::WRITE);
        self.unfold();
    }

    /// Turns ops into segments, up to one that waits for the client.
    fn unfold(&mut self) {
        while let Some(op) = self.ops.pop_front() {
            let what = match op {
                Op::ExpectWrite(bytes) if self.written.len() < bytes => {
                    self.ops.push_front(op);
                    return;
                }
                Op::ExpectWrite(_) => continue,
                Op::AdvanceMs(ms) => {
                    self.cursor = self.cursor.after(Duration::from_millis(ms));
                    continue;
                }
                Op::AcceptWrite(bytes) => {
                    self.grant(Some(bytes));
                    continue;
                }
                Op::AcceptAll => {
                    self.grant(None);
                    continue;
                }
                Op::Bytes(bytes) => What::Bytes(bytes.into()),
                Op::WouldBlock => What::Block,
                Op::Eof => What::Eof,
                Op::Reset => What::Reset,
            };
            // Behind a block the edge waits until the client has run into it.
            if !self.incoming.iter().any(|segment| matches!(segment.what, What::Block)) {
                self.announce(self.cursor, &what);
            }
            self.incoming.push_back(Segment { at: self.cursor, what });
        }
    }

    fn grant(&mut self, room: Option<usize>) {
        self.grants.push_back((self.cursor, room));
        self.poller.set_ready_at(self.cursor, self.key, Readiness::WRITE);
    }

    fn announce(&self, at: Instant, what: &What) {
        let bits = match what {
            What::Block => return,
            What::Bytes(bytes) if bytes.is_empty() => return,
            What::Bytes(_) => Readiness::READ,
            What::Eof => Readiness::READ | Readiness::CLOSED,
            What::Reset => Readiness::READ | Readiness::WRITE | Readiness::CLOSED,
        };
        self.poller.set_ready_at(at, self.key, bits);
    }

    /// The client found nothing to read: a block that it ran into is over, and what follows up to the next one is
    /// announced.
    fn pass_block(&mut self, now: Instant) {
        if !self.incoming.front().is_some_and(|front| front.at <= now && matches!(front.what, What::Block)) {
            return;
        }
        self.incoming.pop_front();
        for segment in self.incoming.iter().take_while(|segment| !matches!(segment.what, What::Block)) {
            self.announce(segment.at.max(now), &segment.what);
        }
    }

    fn read(&mut self, now: Instant, into: &mut [u8]) -> Result<Io, NetError> {
        let mut got = 0;
        while got < into.len() {
            let Some(front) = self.incoming.front_mut().filter(|front| front.at <= now) else { break };
            match &mut front.what {
                What::Bytes(bytes) => {
                    let count = bytes.len().min(into.len() - got);
                    for (to, byte) in into[got..].iter_mut().zip(bytes.drain(..count)) {
                        *to = byte;
                    }
                    got += count;
                    if bytes.is_empty() {
                        self.incoming.pop_front();
                    }
                }
                What::Reset if got == 0 => return Err(NetError::of_kind(NetErrorKind::Reset)),
                What::Eof if got == 0 => return Ok(Io::Done(0)),
                What::Reset | What::Eof | What::Block => break,
            }
        }
        if got < into.len() {
            self.pass_block(now);
        }
        Ok(if got == 0 { Io::WouldBlock } else { Io::Done(got) })
    }

    fn write(&mut self, now: Instant, from: &[u8]) -> Result<Io, NetError> {
        if self.incoming.iter().any(|segment| segment.at <= now && matches!(segment.what, What::Reset)) {
            return Err(NetError::of_kind(NetErrorKind::Reset));
        }
        while let Some((_, grant)) = self.grants.front().filter(|(at, _)| *at <= now) {
            self.room = grant.map(|bytes| self.room.unwrap_or(0) + bytes);
            self.grants.pop_front();
        }
        let taken = self.room.unwrap_or(usize::MAX).min(from.len());
        if taken == 0 && !from.is_empty() {
            return Ok(Io::WouldBlock);
        }
        self.room = self.room.map(|room| room - taken);
        self.written.extend_from_slice(&from[..taken]);
        // What the peer does because of this write comes after it.
        self.cursor = self.cursor.max(now);
        if let Some(server) = &mut self.server {
            self.ops.extend(server(&from[..taken]));
        }
        self.unfold();
        Ok(Io::Done(taken))
    }
}

/// The client's end of a scripted connection. Its bookkeeping of readiness is that of the system's sockets.
pub struct ScriptedSocket {
    wire: Arc<Mutex<Wire>>,
    clock: TurnClock,
    key: SocketKey,
    readiness: Arc<Readiness>,
}

impl ScriptedSocket {
    pub(super) fn new(wire: Arc<Mutex<Wire>>, clock: TurnClock, key: SocketKey, readiness: Arc<Readiness>) -> Self {
        Self { wire, clock, key, readiness }
    }
}

impl Socket for ScriptedSocket {
    fn key(&self) -> SocketKey {
        self.key
    }

    fn connected(&mut self) -> Result<bool, NetError> {
        let now = self.clock.now();
        match lock(&self.wire).connect {
            Connect::At(at) => Ok(at <= now),
            Connect::RefusedAt(at) if at <= now => Err(NetError::of_kind(NetErrorKind::Refused)),
            Connect::RefusedAt(_) | Connect::Never => Ok(false),
        }
    }

    fn read(&mut self, into: &mut [u8]) -> Result<Io, NetError> {
        debug_assert!(!into.is_empty(), "no room would look like the end of the stream");
        let (bits, ticket) = self.readiness.load();
        if bits & (Readiness::READ | Readiness::CLOSED) == 0 {
            return Ok(Io::WouldBlock);
        }
        let outcome = lock(&self.wire).read(self.clock.now(), into)?;
        match outcome {
            Io::WouldBlock => self.readiness.clear(Readiness::READ | Readiness::CLOSED, ticket),
            Io::Done(got) if got > 0 && got < into.len() && bits & Readiness::CLOSED == 0 => {
                self.readiness.clear(Readiness::READ, ticket);
            }
            Io::Done(_) => {}
        }
        Ok(outcome)
    }

    fn write(&mut self, from: &[u8]) -> Result<Io, NetError> {
        let (bits, ticket) = self.readiness.load();
        if bits & Readiness::WRITE == 0 {
            return Ok(Io::WouldBlock);
        }
        let outcome = lock(&self.wire).write(self.clock.now(), from)?;
        if outcome == Io::WouldBlock || matches!(outcome, Io::Done(taken) if taken < from.len()) {
            self.readiness.clear(Readiness::WRITE, ticket);
        }
        Ok(outcome)
    }

    fn readable_hint(&self) -> bool {
        self.readiness.load().0 & (Readiness::READ | Readiness::CLOSED) != 0
    }
}

impl Drop for ScriptedSocket {
    fn drop(&mut self) {
        let poller = {
            let mut wire = lock(&self.wire);
            wire.dropped = true;
            wire.poller.clone()
        };
        poller.deregister(self.key);
    }
}
