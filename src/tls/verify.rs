//! Certificate verifiers: one that names faults more exactly than webpki, and one that accepts any certificate.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_name, WebPkiServerVerifier};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature, CryptoProvider};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme};

/// webpki's verdict, with two exceptions. Where it says that the issuer is unknown, a look at the certificate tells
/// whether it names itself as issuer. And a certificate that was itself given as trusted may be an authority's: so
/// are those that openssl makes for development.
pub(super) struct NamedFaults {
    inner: Arc<WebPkiServerVerifier>,
    roots: Arc<RootCertStore>,
    /// The certificates given by the user, whole.
    given: Vec<CertificateDer<'static>>,
}

impl NamedFaults {
    pub(super) fn new(
        inner: Arc<WebPkiServerVerifier>,
        roots: Arc<RootCertStore>,
        given: Vec<CertificateDer<'static>>,
    ) -> Self {
        Self { inner, roots, given }
    }

    /// It names itself as issuer, and we do not trust that name.
    fn is_untrusted_self(&self, certificate: &[u8]) -> bool {
        let subject = self_issued(certificate);
        subject.is_some_and(|subject| !self.roots.roots.iter().any(|root| root.subject.as_ref() == subject))
    }
}

// As in `sessions.rs`: asked for, and never printed.
impl fmt::Debug for NamedFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NamedFaults")
    }
}

impl ServerCertVerifier for NamedFaults {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict = self.inner.verify_server_cert(end_entity, intermediates, name, ocsp, now);
        match verdict {
            // Nobody but the user vouches for it, so no chain is left to look at. webpki looks at the time before it
            // sees an authority, and at the name last. That the peer holds the key, the handshake's signature shows.
            Err(Error::InvalidCertificate(CertificateError::Other(ref fault)))
                if is_authority(fault) && self.given.iter().any(|given| given == end_entity) =>
            {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            // A self-signed certificate that is marked as a CA fails as `Other`: a CA must not be a server.
            Err(Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::Other(_)))
                if self.is_untrusted_self(end_entity) =>
            {
                Err(Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(SelfSigned)))))
            }
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// Accepts any certificate, but still checks that the peer holds its key: what is accepted is an unknown peer, not a
/// broken handshake.
pub(super) struct AnyCertificate(Arc<CryptoProvider>);

impl AnyCertificate {
    pub(super) fn new(provider: Arc<CryptoProvider>) -> Self {
        Self(provider)
    }
}

impl fmt::Debug for AnyCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnyCertificate")
    }
}

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// What webpki says of an authority's certificate that a server presents as its own.
pub(super) fn is_authority(fault: &OtherError) -> bool {
    matches!(fault.0.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
}

/// The mark that [`NamedFaults`] leaves in an error.
#[derive(Debug)]
pub(super) struct SelfSigned;

impl fmt::Display for SelfSigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("self-signed")
    }
}

impl std::error::Error for SelfSigned {}

/// The subject, if it is the issuer too, byte for byte (RFC 5280 section 4.1.2). Used for the text of an error, never
/// to trust.
fn self_issued(certificate: &[u8]) -> Option<&[u8]> {
    let (_, certificate, _) = element(certificate)?;
    let (_, mut tbs, _) = element(certificate)?;
    if let Some((CONTEXT_0, _, rest)) = element(tbs) {
        tbs = rest;
    }
    let (_, _serial, rest) = element(tbs)?;
    let (_, _algorithm, rest) = element(rest)?;
    let (_, issuer, rest) = element(rest)?;
    let (_, _validity, rest) = element(rest)?;
    let (_, subject, _) = element(rest)?;
    (issuer == subject).then_some(subject)
}

/// The tag of the version field, which alone is optional before the names.
const CONTEXT_0: u8 = 0xa0;

/// One DER element: tag, contents, and what follows it. `None` if it is not whole.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let mut length = usize::from(first);
    if first & 0x80 != 0 {
        let count = usize::from(first & 0x7f);
        if count == 0 || count > 3 {
            return None;
        }
        let digits = rest.get(..count)?;
        length = digits.iter().fold(0, |sum, &digit| (sum << 8) | usize::from(digit));
        rest = &rest[count..];
    }
    Some((tag, rest.get(..length)?, &rest[length..]))
}

#[cfg(test)]
mod tests {
    use super::element;

    /// Goal: no bytes make the reader panic or run past the end. Method: every prefix of an element, and lengths that
    /// lie.
    #[test]
    fn elements_are_bounded() {
        let whole = [0x30, 0x81, 0x03, 1, 2, 3, 9];
        assert_eq!(element(&whole), Some((0x30, &whole[3..6], &whole[6..])));
        for end in 0..6 {
            assert_eq!(element(&whole[..end]), None);
        }
        assert_eq!(element(&[0x30, 0x80]), None);
        assert_eq!(element(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
    }
}
