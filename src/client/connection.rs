//! A connection: a socket, TLS over it or not, and bytes that came too early. A request holds it as an exclusive
//! lease.

use super::error::{HttpClientError, Phase};
use super::status::Status;
use super::target::Origin;
use crate::net::{Io, Net, NetError, Socket};
use crate::tls::{HandshakeKind, Plain, TlsIo, TlsSession};
use crate::valtron::{Interest, SocketKey, Wait};

/// What one read from a connection came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Read {
    /// So many bytes, more than none.
    Bytes(usize),
    /// Wait as [`Connection::wait_read`] says.
    WouldBlock,
    /// TLS had something to say that is no data: give way to others, then read again.
    Again,
    /// The peer is done. Over TLS: it said so.
    End,
    /// Over TLS: the peer hung up without close_notify; what is missing is unknown (RFC 8446 section 6.1).
    TruncatedEnd,
}

/// Why a read or write failed.
#[derive(Debug)]
pub enum ConnectionError {
    /// The socket.
    Net(NetError),
    /// The TLS stream.
    Tls(crate::tls::TlsError),
}

impl ConnectionError {
    /// As a request's error.
    pub fn into_error(self, host: &str, phase: Phase) -> HttpClientError {
        match self {
            ConnectionError::Net(error) => HttpClientError::lost(error, phase),
            ConnectionError::Tls(error) => HttpClientError::tls(&error, host, phase),
        }
    }
}

impl From<NetError> for ConnectionError {
    fn from(error: NetError) -> Self {
        Self::Net(error)
    }
}

impl From<TlsIo> for ConnectionError {
    fn from(error: TlsIo) -> Self {
        match error {
            TlsIo::Net(error) => Self::Net(error),
            TlsIo::Tls(error) => Self::Tls(error),
        }
    }
}

impl<N: Net> Drop for Connection<N> {
    /// Tells a TLS peer that nothing more comes, as far as the socket takes it at once: "Clients MUST send a closure
    /// alert before closing the connection" (RFC 9112 section 9.8).
    fn drop(&mut self) {
        let Transport::Tls(socket, session) = &mut self.transport else { return };
        if !session.seen_end() {
            session.close_notify();
            let _ = session.push(socket);
        }
    }
}

enum Transport<S> {
    Plain(S),
    Tls(S, Box<TlsSession>),
}

/// See the module. It is made in a box: it outlives its requests, and moves through the states of each.
pub struct Connection<N: Net> {
    origin: Origin,
    transport: Transport<N::Socket>,
    /// It served a request before.
    reused: bool,
    tls_resumed: bool,
}

impl<N: Net> Connection<N> {
    /// Over a connected socket.
    pub fn plain(origin: Origin, socket: N::Socket) -> Box<Self> {
        Box::new(Self { origin, transport: Transport::Plain(socket), reused: false, tls_resumed: false })
    }

    /// Over a finished handshake.
    pub fn secure(origin: Origin, socket: N::Socket, session: Box<TlsSession>) -> Box<Self> {
        let tls_resumed = session.handshake_kind() == Some(HandshakeKind::Resumed);
        Box::new(Self { origin, transport: Transport::Tls(socket, session), reused: false, tls_resumed })
    }

    /// Reads what is there, decrypted.
    pub fn read(&mut self, into: &mut [u8]) -> Result<Read, ConnectionError> {
        match &mut self.transport {
            Transport::Plain(socket) => Ok(match socket.read(into)? {
                Io::Done(0) => Read::End,
                Io::Done(count) => Read::Bytes(count),
                Io::WouldBlock => Read::WouldBlock,
            }),
            Transport::Tls(socket, session) => read_tls(socket, session, into),
        }
    }

    /// Takes bytes to send; over TLS they may wait in the session: see [`flush`](Self::flush).
    pub fn write(&mut self, from: &[u8]) -> Result<Io, ConnectionError> {
        match &mut self.transport {
            Transport::Plain(socket) => Ok(socket.write(from)?),
            Transport::Tls(socket, session) => {
                if session.wants_write() && session.push(socket)? == Io::WouldBlock {
                    return Ok(Io::WouldBlock);
                }
                let count = session.write_plain(from);
                session.push(socket)?;
                Ok(if count == 0 && !from.is_empty() { Io::WouldBlock } else { Io::Done(count) })
            }
        }
    }

    /// Sends what waits in the TLS session. True: all of it went.
    pub fn flush(&mut self) -> Result<bool, ConnectionError> {
        match &mut self.transport {
            Transport::Plain(_) => Ok(true),
            Transport::Tls(socket, session) => {
                while session.wants_write() {
                    if session.push(socket)? == Io::WouldBlock {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
        }
    }

    /// What a reader waits for. TLS has the last word on direction: it may have to send before more comes.
    pub fn wait_read(&self) -> Wait {
        let interest = match &self.transport {
            Transport::Tls(_, session) if session.wants_write() => Interest::Both,
            _ => Interest::Read,
        };
        Wait::io(self.key(), interest)
    }

    /// What a writer waits for: room, or an answer that comes early.
    pub fn wait_write(&self) -> Wait {
        Wait::io(self.key(), Interest::Both)
    }

    /// The socket's key.
    pub fn key(&self) -> SocketKey {
        self.socket().key()
    }

    /// Something (bytes, an end, an error) is there to read, as far as is known without asking the OS.
    pub fn readable_hint(&self) -> bool {
        let buffered = matches!(&self.transport, Transport::Tls(_, session) if session.has_plaintext());
        buffered || self.socket().readable_hint()
    }

    /// Nothing of the last response is left in it, and nothing waits to be sent.
    pub fn is_clean(&self) -> bool {
        match &self.transport {
            Transport::Plain(_) => true,
            Transport::Tls(_, session) => !session.has_plaintext() && !session.wants_write() && !session.holds_input(),
        }
    }

    /// Bytes came that nobody has looked at: a ticket that followed the answer, say.
    pub fn holds_input(&self) -> bool {
        matches!(&self.transport, Transport::Tls(_, session) if session.holds_input())
    }

    /// For a connection that serves no request: takes in what its peer says by itself. False: it must go, since its
    /// peer is done, or sent what no request asked for.
    ///
    /// TLS has things to say that are no data, also between requests: session tickets and new keys (RFC 8446 section
    /// 4.6). They are taken record by record; a part of one may stay behind, see [`is_clean`](Self::is_clean).
    pub fn tend(&mut self) -> bool {
        match &mut self.transport {
            // An event may be about what was read already, so the answer is the OS's.
            Transport::Plain(socket) => matches!(socket.read(&mut [0]), Ok(Io::WouldBlock)),
            Transport::Tls(socket, session) => tend_tls(socket, session),
        }
    }

    /// Gives up the memory of buffers with nothing in them; for a connection that goes idle.
    pub fn release_buffers(&mut self) {
        if let Transport::Tls(_, session) = &mut self.transport {
            session.release_buffers();
        }
    }

    /// Whose it is.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// It served a request before.
    pub fn reused(&self) -> bool {
        self.reused
    }

    /// Marks it as about to serve another request.
    pub fn set_reused(&mut self) {
        self.reused = true;
    }

    /// Its handshake was shortened by an earlier session.
    pub fn tls_resumed(&self) -> bool {
        self.tls_resumed
    }

    fn socket(&self) -> &N::Socket {
        match &self.transport {
            Transport::Plain(socket) | Transport::Tls(socket, _) => socket,
        }
    }
}

/// One decrypted piece: plaintext that waits comes before the network is asked. At most one record is taken, for a peer
/// may send any number of them without a byte of data.
fn read_tls<S: Socket>(socket: &mut S, session: &mut TlsSession, into: &mut [u8]) -> Result<Read, ConnectionError> {
    let mut stepped = false;
    loop {
        match session.read_plain(into) {
            Plain::Bytes(count) => return Ok(Read::Bytes(count)),
            Plain::CleanEnd => return Ok(Read::End),
            Plain::TruncatedEnd => return Ok(Read::TruncatedEnd),
            Plain::NeedMore if stepped => return Ok(Read::Again),
            Plain::NeedMore => {}
        }
        if !session.wants_step() {
            if session.wants_write() {
                // An answer of TLS itself that did not fit before: the reader waits for room, too, and uses it.
                // If it fails, the read below tells what there still is to tell.
                let _ = session.push(socket);
            }
            if session.pull(socket)? == Io::WouldBlock {
                return Ok(Read::WouldBlock);
            }
            continue;
        }
        session.step().map_err(ConnectionError::Tls)?;
        stepped = true;
        if session.wants_write() {
            // Key updates and the like; what does not fit goes with the next write.
            session.push(socket)?;
        }
    }
}

/// See [`Connection::tend`].
fn tend_tls<S: Socket>(socket: &mut S, session: &mut TlsSession) -> bool {
    for _ in 0..IDLE_RECORDS_MAX {
        if session.wants_step() {
            if session.step().is_err() || session.wants_write() && session.push(socket).is_err() {
                return false;
            }
            continue;
        }
        // What holds up a step without being one for the network: plaintext, or the peer's end.
        if !session.wants_pull() {
            return false;
        }
        match session.pull(socket) {
            Ok(Io::WouldBlock) => return true,
            Ok(Io::Done(0)) | Err(_) => return false,
            Ok(Io::Done(_)) => {}
        }
    }
    false
}

/// Records and reads that an idle connection may cost at once; servers send two to four tickets.
const IDLE_RECORDS_MAX: usize = 16;

/// The status of a connection that ended where it must not.
pub fn lost(phase: Phase, text: &str) -> HttpClientError {
    HttpClientError::new(Status::ConnectionLost, phase, text)
}
