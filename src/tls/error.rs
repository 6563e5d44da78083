//! What can go wrong with TLS, told apart so that a reader of a log knows whom to blame.

use std::fmt;

use crate::net::NetError;

/// Why a TLS connection cannot be made or used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsError {
    /// The certificate's time is over.
    CertificateExpired,
    /// The certificate's time has not begun; often the clock of this machine is wrong.
    CertificateNotYetValid,
    /// The certificate is for other names.
    WrongHost {
        /// The name that was asked for.
        expected: String,
        /// The names in the certificate, as far as they are known.
        presented: Vec<String>,
    },
    /// Nobody we trust has signed the certificate.
    UnknownIssuer,
    /// The certificate vouches for itself and is not trusted.
    SelfSigned,
    /// Any other fault of the certificate.
    OtherCertificate(String),
    /// The peer does not speak TLS; the text says what its first bytes look like.
    NotTls(String),
    /// The peer closed the connection in the middle of the handshake.
    ClosedInHandshake,
    /// The peer refused us with an alert (RFC 8446 section 6).
    AlertReceived {
        /// The number of the alert.
        code: u8,
        /// Its name.
        name: String,
    },
    /// No protocol version or application protocol in common.
    NoCommonProtocol(String),
    /// The peer lacks something that we require.
    PeerIncompatible(String),
    /// The peer broke the protocol.
    PeerMisbehaved(String),
    /// A certificate file or block that we were given cannot be used; the text says which block.
    PemInvalid(String),
    /// There is nothing to trust: the system has no readable certificates, or none were given.
    NoTrust(String),
    /// The host is neither a DNS name nor an address.
    BadServerName,
    /// There is no memory for a buffer.
    NoMemory,
    /// This build has no TLS.
    Unavailable,
    /// Our own fault, or the random generator's.
    Internal(String),
}

impl TlsError {
    /// The number of the alert that the peer sent, if it sent one.
    pub fn alert(&self) -> Option<u8> {
        match self {
            Self::AlertReceived { code, .. } => Some(*code),
            _ => None,
        }
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CertificateExpired => f.write_str("the server's certificate has expired"),
            Self::CertificateNotYetValid => {
                f.write_str("the server's certificate is not valid yet (is this machine's clock right?)")
            }
            Self::WrongHost { expected, presented } if presented.is_empty() => {
                write!(f, "the server's certificate is not for {expected}")
            }
            Self::WrongHost { expected, presented } => {
                write!(f, "the server's certificate is not for {expected} but for {}", presented.join(", "))
            }
            Self::UnknownIssuer => f.write_str("the server's certificate is signed by nobody we trust"),
            Self::SelfSigned => f.write_str("the server's certificate is self-signed and not trusted"),
            Self::OtherCertificate(text) => write!(f, "the server's certificate is not acceptable: {text}"),
            Self::NotTls(text) => write!(f, "the server does not speak TLS on this port: {text}"),
            Self::ClosedInHandshake => f.write_str("the server closed the connection during the TLS handshake"),
            Self::AlertReceived { code, name } => write!(f, "the server sent the TLS alert {name} ({code})"),
            Self::NoCommonProtocol(text) => write!(f, "no TLS protocol in common with the server: {text}"),
            Self::PeerIncompatible(text) => write!(f, "the server's TLS is incompatible: {text}"),
            Self::PeerMisbehaved(text) => write!(f, "the server broke the TLS protocol: {text}"),
            Self::PemInvalid(text) => write!(f, "the given certificates cannot be used: {text}"),
            Self::NoTrust(text) => write!(f, "there are no trusted certificates: {text}"),
            Self::BadServerName => f.write_str("the host is not a name that TLS can check"),
            Self::NoMemory => f.write_str("no memory for a TLS buffer"),
            Self::Unavailable => f.write_str("this build has no TLS"),
            Self::Internal(text) => write!(f, "TLS failed inside: {text}"),
        }
    }
}

impl std::error::Error for TlsError {}

/// Why bytes could not be moved between a TLS session and its socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsIo {
    /// The socket failed.
    Net(NetError),
    /// The session failed.
    Tls(TlsError),
}

impl From<NetError> for TlsIo {
    fn from(error: NetError) -> Self {
        Self::Net(error)
    }
}

impl From<TlsError> for TlsIo {
    fn from(error: TlsError) -> Self {
        Self::Tls(error)
    }
}
