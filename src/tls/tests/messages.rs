//! What a person reads.

use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::pki_types::{ServerName, UnixTime};
use rustls::{
    AlertDescription, CertificateError, ContentType, Error, ExtendedKeyPurpose, HandshakeType, InvalidMessage,
    OtherError, PeerIncompatible, PeerMisbehaved,
};

use super::bench::{config, params, Authority, Pair};
use crate::tls::{fault, TlsError};

/// Why a message is not one for people, if so: it shows how a Rust value is printed.
fn flaw(message: &str) -> Option<&'static str> {
    let bytes = message.as_bytes();
    let pairs = || bytes.windows(2);
    if pairs().any(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase()) {
        return Some("a name in mixed capitals");
    }
    if pairs().any(|pair| pair[0].is_ascii_alphanumeric() && pair[1] == b'(') {
        return Some("a value in the brackets of its type");
    }
    if message.contains(['{', '}', '[', ']']) || message.contains("::") || message.contains("None") {
        return Some("the inside of a value");
    }
    if message.trim() != message || message.ends_with(':') || message.contains("  ") || message.contains(": :") {
        return Some("an empty place");
    }
    None
}

/// Goal: the check is one. Method: what messages once said, and what they say now.
#[test]
fn flaws_are_seen() {
    for bad in [
        "Other(OtherError(CaUsedAsEndEntity))",
        "the certificate is not for a.test but for DnsName(\"localhost\")",
        "unexpected: got Handshake when expecting [ApplicationData]",
        "no protocol in common: NoCipherSuitesInCommon",
        "incompatible: ",
    ] {
        assert!(flaw(bad).is_some(), "{bad}");
    }
    assert_eq!(flaw("the server sent the TLS alert handshake_failure (40)"), None);
}

/// Goal: every fault of rustls that a peer can bring about, or that can come out of it at all, is said in words.
/// Method: a table of its errors, one of each shape at least, through the one mapping.
#[test]
fn every_fault_is_a_sentence() {
    let name = ServerName::try_from("example.test").expect("a name");
    let time = UnixTime::since_unix_epoch(Duration::from_secs(1_000_000_000));
    let certificate = |fault| Error::InvalidCertificate(fault);
    let webpki = |fault| certificate(CertificateError::Other(OtherError(Arc::new(fault))));
    let presented = [
        vec!["DnsName(\"a.test\")".to_owned(), "IpAddress(127.0.0.1)".to_owned(), "Unsupported(0x81)".to_owned()],
        vec!["DirectoryName".to_owned(), "UniformResourceIdentifier(\"https://a.test/\")".to_owned()],
        Vec::new(),
    ];
    let mut faults: Vec<Error> = presented
        .into_iter()
        .map(|presented| CertificateError::NotValidForNameContext { expected: name.clone(), presented })
        .map(certificate)
        .collect();
    faults.extend((0..=255).map(|code| Error::AlertReceived(AlertDescription::from(code))));
    faults.extend([
        certificate(CertificateError::BadEncoding),
        certificate(CertificateError::ExpiredContext { time, not_after: time }),
        certificate(CertificateError::NotValidYetContext { time, not_before: time }),
        certificate(CertificateError::Revoked),
        certificate(CertificateError::UnhandledCriticalExtension),
        certificate(CertificateError::UnknownIssuer),
        certificate(CertificateError::UnknownRevocationStatus),
        certificate(CertificateError::ExpiredRevocationListContext { time, next_update: time }),
        certificate(CertificateError::BadSignature),
        certificate(CertificateError::UnsupportedSignatureAlgorithmContext {
            signature_algorithm_id: vec![1, 2],
            supported_algorithms: Vec::new(),
        }),
        certificate(CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext {
            signature_algorithm_id: vec![1],
            public_key_algorithm_id: vec![2],
        }),
        certificate(CertificateError::InvalidPurpose),
        certificate(CertificateError::InvalidPurposeContext {
            required: ExtendedKeyPurpose::ServerAuth,
            presented: vec![ExtendedKeyPurpose::ClientAuth, ExtendedKeyPurpose::Other(vec![1, 3, 6])],
        }),
        certificate(CertificateError::InvalidOcspResponse),
        certificate(CertificateError::ApplicationVerificationFailure),
        webpki(webpki::Error::CaUsedAsEndEntity),
        webpki(webpki::Error::MaximumSignatureChecksExceeded),
        webpki(webpki::Error::NameConstraintViolation),
        webpki(webpki::Error::UnsupportedCertVersion),
        Error::NoCertificatesPresented,
        Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13),
        Error::PeerIncompatible(PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig),
        Error::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon),
        Error::PeerIncompatible(PeerIncompatible::NoKxGroupsInCommon),
        Error::PeerIncompatible(PeerIncompatible::Tls12NotOfferedOrEnabled),
        Error::PeerIncompatible(PeerIncompatible::ServerRejectedEncryptedClientHello(None)),
        Error::NoApplicationProtocol,
        Error::PeerMisbehaved(PeerMisbehaved::SelectedUnofferedKxGroup),
        Error::PeerMisbehaved(PeerMisbehaved::AttemptedDowngradeToTls12WhenTls13IsSupported),
        Error::PeerMisbehaved(PeerMisbehaved::TooManyWarningAlertsReceived),
        Error::InvalidMessage(InvalidMessage::MissingData("ServerHello")),
        Error::InvalidMessage(InvalidMessage::DuplicateExtension(7)),
        Error::InvalidMessage(InvalidMessage::InvalidCcs),
        Error::InappropriateMessage {
            expect_types: vec![ContentType::Handshake],
            got_type: ContentType::ApplicationData,
        },
        Error::InappropriateHandshakeMessage {
            expect_types: vec![HandshakeType::Finished],
            got_type: HandshakeType::Unknown(99),
        },
        Error::DecryptError,
        Error::EncryptError,
        Error::PeerSentOversizedRecord,
        Error::UnsupportedNameType,
        Error::HandshakeNotComplete,
        Error::FailedToGetCurrentTime,
        Error::FailedToGetRandomBytes,
        Error::General("no more keys".to_owned()),
        Error::BadMaxFragmentSize,
    ]);
    for error in faults {
        let message = fault::of(error.clone()).to_string();
        assert_eq!(flaw(&message), None, "{message} ({error:?})");
    }
}

/// Goal: the same of what real peers bring about, word for word. Method: a server with each fault, over a real
/// handshake, or bytes that are none.
#[test]
fn what_real_peers_bring_about() {
    let authority = Authority::new();
    let settings = authority.settings();
    let said = |host: &str, server: &_| {
        let message = Pair::new(&settings, host, server).run().expect_err("a refusal").to_string();
        assert_eq!(flaw(&message), None, "{message}");
        message
    };
    let own = |change: &dyn Fn(&mut rcgen::CertificateParams)| authority.server(&["example.test", "127.0.0.1"], change);
    assert_eq!(
        said("127.0.0.2", &own(&|_| {})),
        "the server's certificate is not for 127.0.0.2 but for example.test, 127.0.0.1"
    );
    let clients = own(&|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]);
    assert_eq!(
        said("example.test", &clients),
        "the server's certificate is not acceptable: it is not for servers but for client authentication"
    );
    let nameless = authority.server(&[], |_| {});
    assert_eq!(said("example.test", &nameless), "the server's certificate is not for example.test");
    let mut other_protocol = (*own(&|_| {})).clone();
    other_protocol.alpn_protocols = vec![b"h2".to_vec()];
    assert_eq!(
        said("example.test", &Arc::new(other_protocol)),
        "the server sent the TLS alert no_application_protocol (120)"
    );
    let key = KeyPair::generate().expect("a key");
    let mut stranger = params(&["example.test"]);
    stranger.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let stranger = stranger.self_signed(&key).expect("a certificate");
    let stranger = config(stranger.der().clone(), &key, rustls::ALL_VERSIONS);
    assert_eq!(said("example.test", &stranger), "the server's certificate is self-signed and not trusted");
}

/// Goal: the texts around those of rustls are sentences as well. Method: each error with a short text.
#[test]
fn every_error_is_a_sentence() {
    let text = || "a reason".to_owned();
    for error in [
        TlsError::CertificateExpired,
        TlsError::CertificateNotYetValid,
        TlsError::WrongHost { expected: "a.test".to_owned(), presented: Vec::new() },
        TlsError::UnknownIssuer,
        TlsError::SelfSigned,
        TlsError::OtherCertificate(text()),
        TlsError::NotTls(text()),
        TlsError::ClosedInHandshake,
        TlsError::NoCommonProtocol(text()),
        TlsError::PeerIncompatible(text()),
        TlsError::PeerMisbehaved(text()),
        TlsError::PemInvalid(text()),
        TlsError::NoTrust(text()),
        TlsError::BadServerName,
        TlsError::NoMemory,
        TlsError::Unavailable,
        TlsError::Internal(text()),
    ] {
        assert_eq!(flaw(&error.to_string()), None, "{error}");
    }
}
