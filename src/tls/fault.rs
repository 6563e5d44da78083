//! rustls' errors as ours, and in words: what rustls shows of most of them is the name of a Rust type.

use rustls::{CertificateError, Error, ExtendedKeyPurpose, PeerIncompatible};

use super::verify::{is_authority, SelfSigned};
use super::words::{alert_name, spelled, spelled_text};
use super::TlsError;

/// The one mapping.
pub(super) fn of(error: Error) -> TlsError {
    match error {
        Error::InvalidCertificate(fault) => certificate(fault),
        Error::NoCertificatesPresented => TlsError::OtherCertificate("the server sent none".to_owned()),
        Error::AlertReceived(alert) => TlsError::AlertReceived { code: u8::from(alert), name: alert_name(alert) },
        Error::PeerIncompatible(what) => incompatible(&what),
        Error::NoApplicationProtocol => TlsError::NoCommonProtocol("it does not speak HTTP/1.1".to_owned()),
        Error::PeerMisbehaved(what) => TlsError::PeerMisbehaved(spelled(&what)),
        Error::InvalidMessage(what) => TlsError::PeerMisbehaved(format!("a message is malformed: {}", spelled(&what))),
        Error::InappropriateMessage { got_type, .. } => out_of_turn(&got_type),
        Error::InappropriateHandshakeMessage { got_type, .. } => out_of_turn(&got_type),
        Error::DecryptError => TlsError::PeerMisbehaved("a record cannot be decrypted".to_owned()),
        Error::PeerSentOversizedRecord => TlsError::PeerMisbehaved("a record is too long".to_owned()),
        Error::UnsupportedNameType => TlsError::BadServerName,
        Error::General(text) => TlsError::Internal(text),
        other => TlsError::Internal(spelled(&other)),
    }
}

fn out_of_turn(got: &impl std::fmt::Debug) -> TlsError {
    TlsError::PeerMisbehaved(format!("a message came out of turn: {}", spelled(got)))
}

fn incompatible(what: &PeerIncompatible) -> TlsError {
    let in_common = match what {
        PeerIncompatible::ServerDoesNotSupportTls12Or13 => "it speaks neither TLS 1.2 nor TLS 1.3",
        PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig => "it chose a version that is switched off here",
        PeerIncompatible::NoCipherSuitesInCommon => "no cipher suite is known to both",
        PeerIncompatible::NoKxGroupsInCommon => "no group for the key exchange is known to both",
        other => return TlsError::PeerIncompatible(spelled(other)),
    };
    TlsError::NoCommonProtocol(in_common.to_owned())
}

fn certificate(fault: CertificateError) -> TlsError {
    let why = match fault {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => return TlsError::CertificateExpired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            return TlsError::CertificateNotYetValid;
        }
        CertificateError::NotValidForName => {
            return TlsError::WrongHost { expected: String::new(), presented: Vec::new() };
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            let presented = presented.iter().map(|name| presented_name(name)).collect();
            return TlsError::WrongHost { expected: expected.to_str().into_owned(), presented };
        }
        CertificateError::UnknownIssuer => return TlsError::UnknownIssuer,
        CertificateError::Other(other) if other.0.is::<SelfSigned>() => return TlsError::SelfSigned,
        CertificateError::Other(other) if is_authority(&other) => "it belongs to an authority, not to a server".into(),
        CertificateError::Other(other) => match other.0.downcast_ref::<webpki::Error>() {
            Some(fault) => spelled(fault),
            None => other.to_string(),
        },
        CertificateError::BadEncoding => "it is not encoded as X.509 demands".to_owned(),
        CertificateError::Revoked => "it was revoked".to_owned(),
        CertificateError::UnhandledCriticalExtension => "a critical extension of it is not known".to_owned(),
        CertificateError::BadSignature => "a signature made with it is wrong".to_owned(),
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "a signature uses an algorithm that is not supported".to_owned()
        }
        CertificateError::InvalidPurpose => "it is not for servers".to_owned(),
        CertificateError::InvalidPurposeContext { presented, .. } => purposes(&presented),
        other => spelled(&other),
    };
    TlsError::OtherCertificate(why)
}

fn purposes(presented: &[ExtendedKeyPurpose]) -> String {
    if presented.is_empty() {
        return "it is not for servers".to_owned();
    }
    let list: Vec<String> = presented.iter().map(|purpose| purpose.to_string()).collect();
    format!("it is not for servers but for {}", list.join(" and "))
}

/// A name in a certificate without its kind: webpki gives `DnsName("localhost")`. What has no value is its kind alone.
fn presented_name(shown: &str) -> String {
    let Some((kind, value)) = shown.split_once('(') else { return format!("a {}", spelled_text(shown)) };
    let value = value.strip_suffix(')').unwrap_or(value);
    match kind {
        "DnsName" | "IpAddress" | "UniformResourceIdentifier" => value.trim_matches('"').to_owned(),
        _ => "a name of another kind".to_owned(),
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
    TlsError::NotTls(format!("it began with the byte {}", first.first().copied().unwrap_or(0)))
}

/// How much of an unexpected answer is quoted.
const SHOWN_BYTES: usize = 16;
