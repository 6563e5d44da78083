//! What a request fails with: a [`Status`], and everything known about it.

use std::fmt;
use std::ops::{Deref, DerefMut};

use super::status::Status;
use crate::net::{LookupError, NetError, NetErrorKind};
use crate::proto::ProtocolError;
use crate::tls::TlsError;

/// Where in a request's life something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(i32)]
pub enum Phase {
    /// Outside a request's life.
    #[default]
    None = 0,
    /// Waiting for a connection slot.
    Queue = 1,
    /// Looking up the host name.
    Resolve = 2,
    /// Connecting.
    Connect = 3,
    /// The TLS handshake.
    Tls = 4,
    /// Sending the request.
    Send = 5,
    /// Waiting for the response's head, and reading it.
    FirstByte = 6,
    /// Reading the body.
    Body = 7,
    /// Following a redirect.
    Redirect = 8,
}

impl Phase {
    /// Its name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Phase::None => "setup",
            Phase::Queue => "queue",
            Phase::Resolve => "resolve",
            Phase::Connect => "connect",
            Phase::Tls => "tls",
            Phase::Send => "send",
            Phase::FirstByte => "first byte",
            Phase::Body => "body",
            Phase::Redirect => "redirect",
        }
    }
}

/// Which argument of a call was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(i32)]
#[allow(missing_docs)] // each is named after the argument
pub enum Argument {
    #[default]
    None = 0,
    Client = 1,
    Config = 2,
    Url = 3,
    Method = 4,
    Headers = 5,
    Body = 6,
    Timeout = 7,
    Limit = 8,
    Enum = 9,
    Output = 10,
    Handle = 11,
    Reserved = 12,
    CaPem = 13,
    UserAgent = 14,
}

/// Why a call was refused or a request failed. One pointer: most requests succeed, and each has room for an error in
/// several places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpClientError(Box<Particulars>);

/// What is known of an error.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Particulars {
    /// The number a host switches on.
    pub status: Status,
    /// Where in the request's life.
    pub phase: Phase,
    /// Which argument, if the caller erred.
    pub argument: Argument,
    /// Which element of an array argument.
    pub argument_index: Option<usize>,
    /// The OS's number, 0 if it has nothing to do with it.
    pub os_errno: i32,
    /// The TLS alert received, if one was.
    pub tls_alert: Option<u8>,
    /// Of a truncated body: what came, and what was due where known.
    pub received: Option<u64>,
    /// See `received`.
    pub expected: Option<u64>,
    /// One sentence with the particulars.
    pub text: String,
    /// The text begins with the host, or an address of it.
    names_host: bool,
}

impl HttpClientError {
    /// An error with a text of its own.
    pub fn new(status: Status, phase: Phase, text: impl Into<String>) -> Self {
        Self(Box::new(Particulars {
            status,
            phase,
            argument: Argument::None,
            argument_index: None,
            os_errno: 0,
            tls_alert: None,
            received: None,
            expected: None,
            text: text.into(),
            names_host: false,
        }))
    }

    /// An error that its status describes fully.
    pub fn plain(status: Status, phase: Phase) -> Self {
        Self::new(status, phase, status.message())
    }

    /// A caller's mistake in `argument`.
    pub fn argument(status: Status, argument: Argument, text: impl Into<String>) -> Self {
        let mut this = Self::new(status, Phase::None, text);
        this.argument = argument;
        this
    }

    /// The same, of one element of an array.
    pub fn at_index(mut self, index: usize) -> Self {
        self.argument_index = Some(index);
        self
    }

    /// What went wrong with `host`, said at the front once: the request that passes an error on may have been
    /// redirected from another host.
    pub(super) fn of_host(mut self, host: &str) -> Self {
        // An address of IPv6 is the host without its brackets.
        let begins_with_it = match self.text.strip_prefix('[') {
            Some(rest) => rest.strip_prefix(host).is_some_and(|rest| rest.starts_with(']')),
            None => self.text.strip_prefix(host).is_some_and(|rest| rest.starts_with(':')),
        };
        if !self.names_host && !begins_with_it {
            self.text = format!("{host}: {}", self.text);
        }
        self.names_host = true;
        self
    }

    /// A failed connect to `address`.
    pub fn connect(error: NetError, address: impl fmt::Display) -> Self {
        let status = match error.kind {
            NetErrorKind::Refused => Status::ConnectRefused,
            NetErrorKind::Unreachable => Status::ConnectUnreachable,
            NetErrorKind::TimedOut => Status::ConnectTimedOut,
            NetErrorKind::Exhausted => Status::NoDescriptors,
            _ => Status::ConnectFailed,
        };
        let mut this = Self::new(status, Phase::Connect, format!("{address}: {}", status.message()));
        this.os_errno = error.errno;
        this
    }

    /// A connection that died in `phase`.
    pub fn lost(error: NetError, phase: Phase) -> Self {
        let mut this = Self::plain(Status::ConnectionLost, phase);
        this.os_errno = error.errno;
        this
    }

    /// A failed look-up of `host`.
    pub fn lookup(error: LookupError, host: &str) -> Self {
        let (status, why) = match error {
            LookupError::NotFound(why) => (Status::NameNotFound, why),
            LookupError::NoResolver => (Status::NoResolver, Status::NoResolver.message().to_owned()),
            LookupError::Busy => (Status::NoResolver, "too many look-ups wait already".to_owned()),
            LookupError::Failed(why) => (Status::NameFailed, why),
        };
        Self::new(status, Phase::Resolve, why).of_host(host)
    }

    /// What the peer's bytes were guilty of.
    pub fn protocol(error: ProtocolError, phase: Phase) -> Self {
        let status = super::mapping::protocol_status(&error);
        let mut this = Self::new(status, phase, error.to_string());
        if let ProtocolError::BodyTruncated { received, expected } = error {
            this.received = Some(received);
            this.expected = expected;
        }
        this
    }

    /// A failed handshake with `host`, or a broken TLS stream later on.
    pub fn tls(error: &TlsError, host: &str, phase: Phase) -> Self {
        let mut this = Self::new(super::mapping::tls_status(error), phase, format!("{host}: {error}"));
        this.tls_alert = error.alert();
        this
    }
}

impl Deref for HttpClientError {
    type Target = Particulars;

    fn deref(&self) -> &Particulars {
        &self.0
    }
}

impl DerefMut for HttpClientError {
    fn deref_mut(&mut self) -> &mut Particulars {
        &mut self.0
    }
}

impl fmt::Display for HttpClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.phase {
            Phase::None => f.write_str(&self.text),
            phase => write!(f, "{}: {}", phase.name(), self.text),
        }
    }
}

impl std::error::Error for HttpClientError {}
