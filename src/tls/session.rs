//! One TLS connection: bytes in, bytes out, and one record at a time between them.
//!
//! It is driven through the unbuffered interface of rustls, which decrypts a record where it lies in the inbox and
//! encrypts into the outbox. Of the inbox, three parts follow each other:
//!
//! ```text
//! ..plain.. | consumed .. given | .. filled
//!  stashed       held by rustls      not seen by rustls yet
//! ```
//!
//! rustls holds bytes only while a message of the handshake goes over several records: it keeps places in the buffer,
//! not a copy, so those bytes come first in the next call.

use std::fmt;
use std::ops::Range;

use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, WriteTraffic};
use rustls::{HandshakeKind as Kind, ProtocolVersion};

use super::inboxes::{Inboxes, INBOX_BYTES};
use super::settings::ALPN_HTTP_1_1;
use super::{fault, HandshakeKind, Plain, TlsError, TlsIo, TlsVersion};
use crate::net::{Io, Socket};

/// One TLS connection, as client. It owns no socket: the one given to `pull` and `push` must always be the same.
///
/// The first error is final; `push` still sends the alert that tells the peer why.
pub struct TlsSession {
    connection: UnbufferedClientConnection,
    /// Where inboxes come from.
    inboxes: Inboxes,
    /// Bytes of the network; see the module. Empty while there are none.
    inbox: Vec<u8>,
    /// Plaintext that lies in the inbox, in the place of its record.
    plain: Range<usize>,
    /// Plaintext that lies in rustls.
    unread: usize,
    consumed: usize,
    given: usize,
    filled: usize,
    /// Bytes for the network; `outbox[sent..]` is not yet sent.
    outbox: Vec<u8>,
    sent: usize,
    seen_end: bool,
    peer_closed: bool,
    seen_record: bool,
    failed: Option<TlsError>,
}

impl TlsSession {
    pub(super) fn new(connection: UnbufferedClientConnection, inboxes: Inboxes) -> Self {
        Self {
            connection,
            inboxes,
            inbox: Vec::new(),
            plain: 0..0,
            unread: 0,
            consumed: 0,
            given: 0,
            filled: 0,
            outbox: Vec::new(),
            sent: 0,
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
        if self.whole_record() != 0 || self.has_plaintext() {
            return Ok(Io::Done(self.filled - self.consumed));
        }
        if self.inbox.len() < INBOX_BYTES {
            // One that was cut to size has done its work.
            self.release_inbox();
        }
        if self.inbox.is_empty() {
            self.inbox = self.inboxes.take()?;
        }
        self.inbox.copy_within(self.consumed..self.filled, 0);
        self.given -= self.consumed;
        self.filled -= self.consumed;
        self.consumed = 0;
        self.make_room()?;
        let outcome = socket.read(&mut self.inbox[self.filled..])?;
        match outcome {
            Io::Done(got) => {
                self.filled += got;
                self.seen_end = got == 0;
            }
            // The caller is about to wait.
            Io::WouldBlock => self.release_inbox(),
        }
        if self.is_handshaking() && !self.inbox.is_empty() {
            self.fit_inbox()?;
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
            self.fail(error.clone());
        }
        outcome
    }

    fn fail(&mut self, error: TlsError) {
        self.failed = Some(error);
        self.consumed = self.filled;
        self.given = self.filled;
    }

    fn step_once(&mut self) -> Result<(), TlsError> {
        let ahead = &self.inbox[self.given..self.filled];
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
        self.encode()?;
        self.given += whole;
        self.process(|_, _| Ok(()))
    }

    /// Lets rustls go on with what it was given until it has no more use for it, or has plaintext; `write` is called if
    /// it is ready to encrypt.
    fn process(
        &mut self,
        write: impl FnOnce(WriteTraffic<'_, ClientConnectionData>, &mut Vec<u8>) -> Result<(), TlsError>,
    ) -> Result<(), TlsError> {
        // Each turn takes something away that rustls wanted: bytes to send, a flag, the end of the peer.
        loop {
            let status = self.connection.process_tls_records(&mut self.inbox[self.consumed..self.given]);
            self.consumed += status.discard;
            match status.state.map_err(fault::of)? {
                ConnectionState::ReadTraffic(traffic) => {
                    self.unread = traffic.peek_len().map_or(0, usize::from);
                    return Ok(());
                }
                ConnectionState::EncodeTlsData(mut data) => encode_into(&mut self.outbox, |room| data.encode(room))?,
                ConnectionState::TransmitTlsData(data) => data.done(),
                ConnectionState::PeerClosed => self.peer_closed = true,
                ConnectionState::WriteTraffic(traffic) => return write(traffic, &mut self.outbox),
                _ => return Ok(()),
            }
        }
    }

    /// Moves to the outbox what rustls has for the network. Also after an error: no byte of the inbox is looked at.
    fn encode(&mut self) -> Result<(), TlsError> {
        while self.connection.wants_write() {
            match self.connection.process_tls_records(&mut []).state.map_err(fault::of)? {
                ConnectionState::EncodeTlsData(mut data) => encode_into(&mut self.outbox, |room| data.encode(room))?,
                // Plaintext comes first.
                _ => break,
            }
        }
        Ok(())
    }

    /// Moves bytes from the session to the network: all that is there goes into one write of the socket. `Done(0)`:
    /// nothing was there. What the socket did not take is kept; [`Self::wants_write`] tells.
    pub fn push<S: Socket>(&mut self, socket: &mut S) -> Result<Io, TlsIo> {
        if self.sent == self.outbox.len() {
            self.outbox.clear();
            self.sent = 0;
        }
        if self.connection.wants_write() {
            self.stash();
            self.encode()?;
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
        if self.unread > into.len() {
            self.stash();
        }
        if self.unread > 0 {
            return Plain::Bytes(self.take_unread(|bytes, _| into[..bytes.len()].copy_from_slice(bytes)));
        }
        if !self.plain.is_empty() {
            let count = into.len().min(self.plain.len());
            into[..count].copy_from_slice(&self.inbox[self.plain.start..self.plain.start + count]);
            self.plain.start += count;
            return Plain::Bytes(count);
        }
        if self.peer_closed {
            Plain::CleanEnd
        } else if self.seen_end && self.whole_record() == 0 {
            Plain::TruncatedEnd
        } else {
            Plain::NeedMore
        }
    }

    /// Takes the plaintext out of rustls and says how much it was. It comes from one record, the last that was given.
    fn take_unread(&mut self, put: impl FnOnce(&[u8], &mut [u8])) -> usize {
        self.unread = 0;
        let Ok(ConnectionState::ReadTraffic(mut traffic)) = self.connection.process_tls_records(&mut []).state else {
            return 0;
        };
        let Some(Ok(record)) = traffic.next_record() else { return 0 };
        put(record.payload, &mut self.inbox[..self.consumed]);
        record.payload.len()
    }

    /// Puts plaintext from rustls in the place of its record, which was longer: for a reader with less room than that,
    /// and because rustls neither encodes nor encrypts before it is gone.
    fn stash(&mut self) {
        if self.unread > 0 {
            let end = self.consumed;
            let count = self.take_unread(|bytes, place| place[end - bytes.len()..].copy_from_slice(bytes));
            self.plain = end - count..end;
        }
    }

    /// Encrypts as much of `from` as the outgoing buffer has room for, and says how much; zero until the handshake is
    /// done.
    pub fn write_plain(&mut self, from: &[u8]) -> usize {
        let room = OUTBOX_BYTES_MAX.saturating_sub(self.outbox.len() - self.sent);
        if self.is_handshaking() || self.failed.is_some() || room == 0 {
            return 0;
        }
        let from = &from[..from.len().min(room)];
        let mut taken = 0;
        self.stash();
        let outcome = self.process(|mut traffic, outbox| {
            encrypt_into(outbox, |room| traffic.encrypt(from, room))?;
            taken = from.len();
            Ok(())
        });
        if let Err(error) = outcome {
            self.fail(error);
        }
        taken
    }

    /// Tells the peer that we are done; the alert still has to be pushed. Does nothing before the handshake is done.
    pub fn close_notify(&mut self) {
        if self.is_handshaking() || self.failed.is_some() {
            return;
        }
        self.stash();
        let outcome = self.process(|mut traffic, outbox| encrypt_into(outbox, |room| traffic.queue_close_notify(room)));
        if let Err(error) = outcome {
            self.fail(error);
        }
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
        if self.consumed == self.filled && !self.has_plaintext() {
            self.inboxes.give(std::mem::take(&mut self.inbox));
            self.plain = 0..0;
            self.consumed = 0;
            self.given = 0;
            self.filled = 0;
        }
    }

    /// Between the steps of a handshake come those of others: what waits for them, some thousand bytes, lies in a
    /// buffer of its size, lest a thousand handshakes at once hold a thousand large ones.
    fn fit_inbox(&mut self) -> Result<(), TlsError> {
        let mut fitting = Vec::new();
        fitting.try_reserve_exact(self.filled).map_err(|_| TlsError::NoMemory)?;
        fitting.extend_from_slice(&self.inbox[..self.filled]);
        self.inboxes.give(std::mem::replace(&mut self.inbox, fitting));
        Ok(())
    }

    /// Less than one record is left behind what rustls holds, so there is room for another one, but for a message of
    /// the handshake that is about as long as the inbox. rustls refuses one of more than 64 KiB, so this ends.
    fn make_room(&mut self) -> Result<(), TlsError> {
        let wanted = self.given + RECORD_BYTES_MAX;
        if wanted > self.inbox.len() {
            let more = wanted - self.inbox.len();
            self.inbox.try_reserve_exact(more).map_err(|_| TlsError::NoMemory)?;
            self.inbox.resize(wanted, 0);
        }
        Ok(())
    }

    /// The buffer it holds.
    #[cfg(test)]
    pub(super) fn inbox_bytes(&self) -> usize {
        self.inbox.capacity()
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
        let ahead = &self.inbox[self.given..self.filled];
        let foreign = !self.seen_record && !ahead.is_empty() && !looks_like_tls(ahead);
        let cut = self.seen_end && self.connection.is_handshaking();
        foreign || cut || self.whole_record() != 0 && !self.has_plaintext() && !self.peer_closed
    }

    /// Decrypted bytes wait to be read.
    pub fn has_plaintext(&self) -> bool {
        self.unread > 0 || !self.plain.is_empty()
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
        let ahead = &self.inbox[self.given..self.filled];
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

impl fmt::Debug for TlsSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let received = self.filled - self.consumed;
        f.debug_struct("TlsSession").field("received", &received).field("failed", &self.failed).finish_non_exhaustive()
    }
}

impl Drop for TlsSession {
    fn drop(&mut self) {
        self.inboxes.give(std::mem::take(&mut self.inbox));
    }
}

/// Lets rustls write behind what is in the outbox. What it wants is asked with no room at all; only its own fault could
/// make it refuse the room that it asked for.
fn encode_into(
    outbox: &mut Vec<u8>,
    mut encode: impl FnMut(&mut [u8]) -> Result<usize, EncodeError>,
) -> Result<(), TlsError> {
    write_into(outbox, |room| {
        encode(room).map_err(|error| match error {
            EncodeError::InsufficientSize(size) => Ok(size.required_size),
            EncodeError::AlreadyEncoded => Err(TlsError::Internal(error.to_string())),
        })
    })
}

fn encrypt_into(
    outbox: &mut Vec<u8>,
    mut encrypt: impl FnMut(&mut [u8]) -> Result<usize, EncryptError>,
) -> Result<(), TlsError> {
    write_into(outbox, |room| {
        encrypt(room).map_err(|error| match error {
            EncryptError::InsufficientSize(size) => Ok(size.required_size),
            EncryptError::EncryptExhausted => Err(TlsError::Internal(error.to_string())),
        })
    })
}

fn write_into(
    outbox: &mut Vec<u8>,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, Result<usize, TlsError>>,
) -> Result<(), TlsError> {
    let len = outbox.len();
    let written = match write(&mut []) {
        Ok(written) => written,
        Err(wanted) => {
            let wanted = wanted?;
            outbox.try_reserve(wanted).map_err(|_| TlsError::NoMemory)?;
            outbox.resize(len + wanted, 0);
            let refused = || TlsError::Internal("a buffer of the size asked for is too small".to_owned());
            write(&mut outbox[len..]).map_err(|error| error.err().unwrap_or_else(refused))?
        }
    };
    outbox.truncate(len + written);
    Ok(())
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
