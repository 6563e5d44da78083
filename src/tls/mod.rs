//! rustls behind one door: no type of rustls leaves this folder.
//!
//! [`TlsSettings`] is what all connections of a client share: whom to trust, and the sessions to resume.
//! [`TlsSession`] is one connection. It moves bytes and computes in separate calls, so that a caller with a budget
//! can stop between any two of them:
//!
//! ```text
//! socket --pull--> bytes --step--> plaintext --read_plain--> caller
//! socket <--push-- bytes <-------------------- write_plain <-- caller
//! ```
//!
//! `pull` and `push` make at most one system call and do no cryptography; `step` takes one record and makes no system
//! call. The order that never waits in vain is: read plaintext; else `step` if [`TlsSession::wants_step`]; else
//! `push` if it wants to write; else `pull`; only then wait for the socket.
//!
//! On wasm32 there is no rustls; the same types exist there and every constructor answers [`TlsError::Unavailable`].

mod error;
#[cfg(not(target_arch = "wasm32"))]
mod fault;
#[cfg(not(target_arch = "wasm32"))]
mod inboxes;
#[cfg(not(target_arch = "wasm32"))]
mod pem;
#[cfg(not(target_arch = "wasm32"))]
mod session;
#[cfg(not(target_arch = "wasm32"))]
mod sessions;
#[cfg(not(target_arch = "wasm32"))]
mod settings;
#[cfg(target_arch = "wasm32")]
mod unavailable;
#[cfg(not(target_arch = "wasm32"))]
mod verify;
#[cfg(not(target_arch = "wasm32"))]
mod words;

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests;

pub use error::{TlsError, TlsIo};
#[cfg(not(target_arch = "wasm32"))]
pub use session::TlsSession;
#[cfg(not(target_arch = "wasm32"))]
pub use settings::TlsSettings;
#[cfg(target_arch = "wasm32")]
pub use unavailable::{TlsSession, TlsSettings};

/// Whose certificates are trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Trust {
    /// Mozilla's list, as built into the library.
    #[default]
    Bundled,
    /// The operating system's list, read once when the settings are made.
    System,
    /// Only the certificates given with [`TlsConfig::extra_ca_pem`].
    PemOnly,
}

/// How [`TlsSettings`] are made.
#[derive(Clone, Copy, Debug, Default)]
pub struct TlsConfig<'a> {
    /// The base of trust.
    pub trust: Trust,
    /// Certificates trusted besides, in PEM.
    pub extra_ca_pem: Option<&'a [u8]>,
    /// Accepts any certificate. The connection is then encrypted, but to whom is anybody's guess.
    pub verify_off: bool,
}

/// What [`TlsSession::read_plain`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plain {
    /// So many bytes.
    Bytes(usize),
    /// Nothing yet: step, or pull, or wait.
    NeedMore,
    /// The peer said that it is done (close_notify); nothing is missing.
    CleanEnd,
    /// The stream ended without the peer's close_notify: bytes may be missing, by accident or by attack.
    TruncatedEnd,
}

/// How a handshake went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandshakeKind {
    /// With certificates.
    Full,
    /// From a session of an earlier connection.
    Resumed,
}

/// The version in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersion {
    /// RFC 5246.
    Tls12,
    /// RFC 8446.
    Tls13,
}
