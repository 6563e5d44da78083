//! One TLS connection: bytes in, bytes out, and one record at a time between them.

use std::io::{Read, Write};

use rustls::{ClientConnection, HandshakeKind as Kind, ProtocolVersion};

use super::inboxes::Inboxes;
use super::settings::ALPN_HTTP_1_1;
use super::{fault, HandshakeKind, Plain, TlsError, TlsIo, TlsVersion};
use crate::net::{Io, Socket};

/// One TLS connection, as client. It owns no socket: the one given to `pull` and `push` must always be the same.
///
/// The first error is final; `push` still sends the alert that tells the peer why.
#[derive(Debug)]
pub struct TlsSession {
    connection: ClientConnection,
    /// Where inboxes come from.
    inboxes: Inboxes,
    /// Bytes of the network; `inbox[consumed..filled]` is not yet given to rustls. Empty while there are none.
    inbox: Vec<u8>,
    consumed: usize,
    filled: usize,
    /// Bytes for the network; `outbox[sent..]` is not yet sent.
    outbox: Vec<u8>,
    sent: usize,
    plaintext_bytes: usize,
    seen_end: bool,
    peer_closed: bool,
    seen_record: bool,
    failed: Option<TlsError>,
}

impl TlsSession {
    pub(super) fn new(mut connection: ClientConnection, inboxes: Inboxes) -> Self {
        connection.set_buffer_limit(Some(OUTBOX_BYTES_MAX));
        Self {
            connection,
            inboxes,
            inbox: Vec::new(),
            consumed: 0,
            filled: 0,
            outbox: Vec::new(),
            sent: 0,
            plaintext_bytes: 0,
            seen_end: false,
            peer_closed: false,
            seen_record: false,
            failed: None,
        }
    }

    /// Moves bytes from the network into the session: one read of the socket, no cryptography. `Done(0)` is the end
    /// of the stream. While whole records wait for [`Self::step`], it reads nothing and says how many bytes there
    /// are.
    pub fn pull<S: Socket>(&mut self, socket: &mut S) -> Result<Io, TlsIo> {
        if self.seen_end {
            return Ok(Io::Done(0));
        }
        if self.whole_record() != 0 {
            return Ok(Io::Done(self.filled - self.consumed));
        }
        if self.inbox.is_empty() {
            self.inbox = self.inboxes.take()?;
        }
        // Less than one record is left, so there is room for another one behind it.
        self.inbox.copy_within(self.consumed..self.filled, 0);
        self.filled -= self.consumed;
        self.consumed = 0;
        let outcome = socket.read(&mut self.inbox[self.filled..])?;
        match outcome {
            Io::Done(got) => {
                self.filled += got;
                self.seen_end = got == 0;
            }
            // The caller is about to wait.
            Io::WouldBlock => self.release_inbox(),
        }
        Ok(outcome)
    }

    /// The CPU part: takes one record, no more. Does nothing if there is no whole record, or while plaintext waits to
    /// be read.
    pub fn step(&mut self) -> Result<(), TlsError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let outcome = self.step_once();
        if let Err(error) = &outcome {
            self.failed = Some(error.clone());
            self.consumed = self.filled;
        }
        outcome
    }

    fn step_once(&mut self) -> Result<(), TlsError> {
        let ahead = &self.inbox[self.consumed..self.filled];
        if !self.seen_record && !ahead.is_empty() && !looks_like_tls(ahead) {
            return Err(fault::not_tls(ahead));
        }
        let whole = self.whole_record();
        if whole == 0 {
            // Checked before the caller waits for more bytes that will never come.
            let cut = self.seen_end && self.connection.is_handshaking();
            return if cut { Err(TlsError::ClosedInHandshake) } else { Ok(()) };
        }
        if self.has_plaintext() || self.peer_closed {
            return Ok(());
        }
        self.seen_record = true;
        let mut record = &self.inbox[self.consumed..self.consumed + whole];
        // rustls takes a few kilobytes at a time; each read moves at least one byte, so this ends.
        while !record.is_empty() {
            match self.connection.read_tls(&mut record) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => return Err(TlsError::PeerMisbehaved(error.to_string())),
            }
        }
        self.consumed += whole;
        let state = self.connection.process_new_packets().map_err(fault::of)?;
        self.plaintext_bytes = state.plaintext_bytes_to_read();
        self.peer_closed = state.peer_has_closed();
        Ok(())
    }

    /// Moves bytes from the session to the network: all that is there goes into one write of the socket. `Done(0)`:
    /// nothing was there. What the socket did not take is kept; [`Self::wants_write`] tells.
    pub fn push<S: Socket>(&mut self, socket: &mut S) -> Result<Io, TlsIo> {
        if self.sent == self.outbox.len() {
            self.outbox.clear();
            self.sent = 0;
        }
        while self.connection.wants_write() {
            // A vector takes everything; an error could only be rustls' own.
            match self.connection.write_tls(&mut self.outbox) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => return Err(TlsError::Internal(error.to_string()).into()),
            }
        }
        if self.outbox.len() == self.sent {
            return Ok(Io::Done(0));
        }
        let outcome = socket.write(&self.outbox[self.sent..])?;
        if let Io::Done(taken) = outcome {
            self.sent += taken;
        }
        Ok(outcome)
    }

    /// Copies out plaintext. `into` must not be empty.
    pub fn read_plain(&mut self, into: &mut [u8]) -> Plain {
        debug_assert!(!into.is_empty(), "no room would look like the end");
        match self.connection.reader().read(into) {
            Ok(0) => Plain::CleanEnd,
            Ok(count) => {
                self.plaintext_bytes = self.plaintext_bytes.saturating_sub(count);
                Plain::Bytes(count)
            }
            Err(_) if self.seen_end && self.whole_record() == 0 => Plain::TruncatedEnd,
            Err(_) => Plain::NeedMore,
        }
    }

    /// Encrypts as much of `from` as the outgoing buffer has room for, and says how much; zero until the handshake is
    /// done.
    pub fn write_plain(&mut self, from: &[u8]) -> usize {
        let room = OUTBOX_BYTES_MAX.saturating_sub(self.outbox.len() - self.sent);
        if self.is_handshaking() || self.failed.is_some() || room == 0 {
            return 0;
        }
        self.connection.writer().write(&from[..from.len().min(room)]).unwrap_or(0)
    }

    /// Tells the peer that we are done; the alert still has to be pushed.
    pub fn close_notify(&mut self) {
        self.connection.send_close_notify();
    }

    /// Gives the memory of empty buffers back; for a connection that goes idle.
    pub fn release_buffers(&mut self) {
        self.release_inbox();
        if self.sent == self.outbox.len() {
            self.outbox.clear();
            self.outbox.shrink_to(OUTBOX_BYTES_KEPT);
            self.sent = 0;
        }
    }

    fn release_inbox(&mut self) {
        if self.consumed == self.filled {
            self.inboxes.give(std::mem::take(&mut self.inbox));
            self.consumed = 0;
            self.filled = 0;
        }
    }

    /// The handshake is not done yet.
    pub fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// There is something to push.
    pub fn wants_write(&self) -> bool {
        self.sent < self.outbox.len() || self.connection.wants_write()
    }

    /// Bytes of the network are needed: no whole record and no plaintext is here.
    pub fn wants_pull(&self) -> bool {
        !self.seen_end && !self.has_plaintext() && !self.wants_step() && !self.peer_closed && self.failed.is_none()
    }

    /// [`Self::step`] would do something, or fail.
    pub fn wants_step(&self) -> bool {
        if self.failed.is_some() {
            return false;
        }
        let ahead = &self.inbox[self.consumed..self.filled];
        let foreign = !self.seen_record && !ahead.is_empty() && !looks_like_tls(ahead);
        let cut = self.seen_end && self.connection.is_handshaking();
        foreign || cut || self.whole_record() != 0 && !self.has_plaintext() && !self.peer_closed
    }

    /// Decrypted bytes wait to be read.
    pub fn has_plaintext(&self) -> bool {
        self.plaintext_bytes > 0
    }

    /// The peer's side of the socket has ended.
    pub fn seen_end(&self) -> bool {
        self.seen_end
    }

    /// Bytes of the network are here that no step has taken yet, be it part of a record.
    pub fn holds_input(&self) -> bool {
        self.consumed < self.filled
    }

    /// The peer chose HTTP/1.1, or chose nothing, which means the same here.
    pub fn alpn_ok(&self) -> bool {
        self.connection.alpn_protocol().is_none_or(|chosen| chosen == ALPN_HTTP_1_1)
    }

    /// How the handshake went; `None` until that is known.
    pub fn handshake_kind(&self) -> Option<HandshakeKind> {
        self.connection.handshake_kind().map(|kind| match kind {
            Kind::Resumed => HandshakeKind::Resumed,
            Kind::Full | Kind::FullWithHelloRetryRequest => HandshakeKind::Full,
        })
    }

    /// The version; `None` until that is known.
    pub fn protocol_version(&self) -> Option<TlsVersion> {
        match self.connection.protocol_version()? {
            ProtocolVersion::TLSv1_2 => Some(TlsVersion::Tls12),
            ProtocolVersion::TLSv1_3 => Some(TlsVersion::Tls13),
            _ => None,
        }
    }

    /// The bytes of the first record if it is here as a whole, else zero. A record too long to be legal counts as
    /// whole as soon as the inbox cannot hold it, so that rustls sees and refuses it.
    fn whole_record(&self) -> usize {
        let ahead = &self.inbox[self.consumed..self.filled];
        let Some(&[high, low]) = ahead.get(3..RECORD_HEADER_BYTES) else { return 0 };
        let whole = RECORD_HEADER_BYTES + usize::from(u16::from_be_bytes([high, low]));
        if whole > RECORD_BYTES_MAX {
            return RECORD_HEADER_BYTES;
        }
        if ahead.len() >= whole {
            whole
        } else {
            0
        }
    }
}

impl Drop for TlsSession {
    fn drop(&mut self) {
        self.inboxes.give(std::mem::take(&mut self.inbox));
    }
}

/// The first bytes could begin a record: a known content type (RFC 8446 section 5.1) and major version 3.
fn looks_like_tls(first: &[u8]) -> bool {
    matches!(first, [20..=23] | [20..=23, 3, ..])
}

/// Content type, version, length (RFC 8446 section 5.1).
const RECORD_HEADER_BYTES: usize = 5;

/// The longest legal record: 2^14 bytes plus the 2048 that TLS 1.2 allows for expansion (RFC 5246 section 6.2.3).
const RECORD_BYTES_MAX: usize = RECORD_HEADER_BYTES + (1 << 14) + 2048;

/// What may wait to be sent; a writer that finds no room waits for the socket.
const OUTBOX_BYTES_MAX: usize = 64 * 1024;

/// What an idle session keeps of its outbox: room for the head of a common request, encrypted.
const OUTBOX_BYTES_KEPT: usize = 1_024;
