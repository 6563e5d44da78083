//! The shapes of TLS where there is none. [`TlsSettings`] cannot be made, so the rest is never reached.

use std::convert::Infallible;

use super::{HandshakeKind, Plain, TlsConfig, TlsError, TlsIo, TlsVersion};
use crate::net::{Io, Socket};

/// See the module; cannot be made in this build.
#[derive(Clone, Debug)]
pub struct TlsSettings(Infallible);

impl TlsSettings {
    /// Always [`TlsError::Unavailable`].
    pub fn new(_config: TlsConfig<'_>) -> Result<Self, TlsError> {
        Err(TlsError::Unavailable)
    }

    /// Never reached.
    pub fn for_executor(&self) -> Self {
        match self.0 {}
    }

    /// Never reached.
    pub fn session(&self, _host: &str) -> Result<TlsSession, TlsError> {
        match self.0 {}
    }
}

/// See the module; cannot be made in this build.
#[derive(Debug)]
pub struct TlsSession(Infallible);

impl TlsSession {
    /// Never reached.
    pub fn pull<S: Socket>(&mut self, _socket: &mut S) -> Result<Io, TlsIo> {
        match self.0 {}
    }

    /// Never reached.
    pub fn step(&mut self) -> Result<(), TlsError> {
        match self.0 {}
    }

    /// Never reached.
    pub fn push<S: Socket>(&mut self, _socket: &mut S) -> Result<Io, TlsIo> {
        match self.0 {}
    }

    /// Never reached.
    pub fn read_plain(&mut self, _into: &mut [u8]) -> Plain {
        match self.0 {}
    }

    /// Never reached.
    pub fn write_plain(&mut self, _from: &[u8]) -> usize {
        match self.0 {}
    }

    /// Never reached.
    pub fn close_notify(&mut self) {
        match self.0 {}
    }

    /// Never reached.
    pub fn release_buffers(&mut self) {
        match self.0 {}
    }

    /// Never reached.
    pub fn is_handshaking(&self) -> bool {
        match self.0 {}
    }

    /// Never reached.
    pub fn wants_write(&self) -> bool {
        match self.0 {}
    }

    /// Never reached.
    pub fn wants_pull(&self) -> bool {
        match self.0 {}
    }

    /// Never reached.
    pub fn wants_step(&self) -> bool {
        match self.0 {}
    }

    /// Never reached.
    pub fn has_plaintext(&self) -> bool {
        match self.0 {}
    }

    /// Never reached.
    pub fn seen_end(&self) -> bool {
        match self.0 {}
    }

    /// Never reached.
    pub fn holds_input(&self) -> bool {
        match self.0 {}
    }

    /// Never reached.
    pub fn alpn_ok(&self) -> bool {
        match self.0 {}
    }

    /// Never reached.
    pub fn handshake_kind(&self) -> Option<HandshakeKind> {
        match self.0 {}
    }

    /// Never reached.
    pub fn protocol_version(&self) -> Option<TlsVersion> {
        match self.0 {}
    }
}
