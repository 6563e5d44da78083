//! rustls' errors as ours.

use rustls::{CertificateError, Error, PeerIncompatible};

use super::verify::SelfSigned;
use super::TlsError;

/// The one mapping.
pub(super) fn of(error: Error) -> TlsError {
    match error {
        Error::InvalidCertificate(fault) => certificate(fault),
        Error::NoCertificatesPresented => TlsError::OtherCertificate("the server sent none".to_owned()),
        Error::AlertReceived(alert) => TlsError::AlertReceived { code: u8::from(alert), name: format!("{alert:?}") },
        Error::PeerIncompatible(
            what @ (PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::NoCipherSuitesInCommon
            | PeerIncompatible::NoKxGroupsInCommon),
        ) => TlsError::NoCommonProtocol(format!("{what:?}")),
        Error::NoApplicationProtocol => TlsError::NoCommonProtocol(error.to_string()),
        Error::PeerIncompatible(what) => TlsError::PeerIncompatible(format!("{what:?}")),
        Error::PeerMisbehaved(what) => TlsError::PeerMisbehaved(format!("{what:?}")),
        Error::InvalidMessage(_)
        | Error::InappropriateMessage { .. }
        | Error::InappropriateHandshakeMessage { .. }
        | Error::DecryptError
        | Error::PeerSentOversizedRecord => TlsError::PeerMisbehaved(error.to_string()),
        Error::UnsupportedNameType => TlsError::BadServerName,
        other => TlsError::Internal(other.to_string()),
    }
}

fn certificate(fault: CertificateError) -> TlsError {
    match fault {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => TlsError::CertificateExpired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => TlsError::CertificateNotYetValid,
        CertificateError::NotValidForName => TlsError::WrongHost { expected: String::new(), presented: Vec::new() },
        CertificateError::NotValidForNameContext { expected, presented } => {
            TlsError::WrongHost { expected: expected.to_str().into_owned(), presented }
        }
        CertificateError::UnknownIssuer => TlsError::UnknownIssuer,
        CertificateError::Other(other) if other.0.is::<SelfSigned>() => TlsError::SelfSigned,
        other => TlsError::OtherCertificate(other.to_string()),
    }
}

/// What bytes that are not TLS look like, in words for a log: the first line of an answer is safe to show, other
/// bytes are counted.
pub(super) fn not_tls(first: &[u8]) -> TlsError {
    if first.starts_with(b"HTTP/") {
        return TlsError::NotTls("it answered with plain HTTP".to_owned());
    }
    let shown = &first[..first.len().min(SHOWN_BYTES)];
    if shown.iter().all(|byte| byte.is_ascii_graphic() || matches!(byte, b' ' | b'\r' | b'\n')) {
        return TlsError::NotTls(format!("it began with {:?}", String::from_utf8_lossy(shown)));
    }
    TlsError::NotTls(format!("it began with byte {}", first.first().copied().unwrap_or(0)))
}

/// How much of an unexpected answer is quoted.
const SHOWN_BYTES: usize = 16;
