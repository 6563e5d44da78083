//! What all TLS connections of a client share.

use std::sync::Arc;

use rustls::client::{UnbufferedClientConnection, WebPkiServerVerifier};
use rustls::crypto::{ring, CryptoProvider};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};

use super::inboxes::Inboxes;
use super::session::TlsSession;
use super::verify::{AnyCertificate, NamedFaults};
use super::{fault, pem, sessions, TlsConfig, TlsError, Trust};

/// Whom to trust, and the sessions to resume; shared by all connections of a client. A clone is two references.
#[derive(Clone, Debug)]
pub struct TlsSettings {
    config: Arc<ClientConfig>,
    inboxes: Inboxes,
}

impl TlsSettings {
    /// Reads the certificates. With [`Trust::System`] this reads files, so it belongs to the making of a client.
    pub fn new(config: TlsConfig<'_>) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(fault::of)?;
        // Even with verification off a bad PEM is told: the caller believes that it matters.
        let (roots, given) = roots(&config)?;
        let builder = if config.verify_off {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate::new(provider)))
        } else {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier(roots, given, provider)?))
        };
        let mut client = builder.with_no_client_auth();
        client.alpn_protocols = vec![ALPN_HTTP_1_1.to_vec()];
        client.resumption = sessions::resumption(RESUMED_SESSIONS_MAX);
        Ok(Self { config: Arc::new(client), inboxes: Inboxes::default() })
    }

    /// The same trust and the same sessions to resume, with receive buffers of its own; for one executor.
    pub fn for_executor(&self) -> Self {
        Self { config: self.config.clone(), inboxes: Inboxes::default() }
    }

    /// A session with `host`: a DNS name or an address, with or without brackets. It makes a key share, which costs
    /// CPU time: callers count it as a step.
    pub fn session(&self, host: &str) -> Result<TlsSession, TlsError> {
        let name = server_name(host)?;
        let connection = UnbufferedClientConnection::new(self.config.clone(), name).map_err(fault::of)?;
        Ok(TlsSession::new(connection, self.inboxes.clone()))
    }
}

fn server_name(host: &str) -> Result<ServerName<'static>, TlsError> {
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').ok_or(TlsError::BadServerName)?,
        // The root's dot is not part of a name in a certificate (RFC 6066 section 3).
        None => host.strip_suffix('.').unwrap_or(host),
    };
    ServerName::try_from(host.to_owned()).map_err(|_| TlsError::BadServerName)
}

/// Whom to trust; and apart from the rest, what the user gave.
fn roots(config: &TlsConfig<'_>) -> Result<(RootCertStore, Vec<CertificateDer<'static>>), TlsError> {
    let mut roots = RootCertStore::empty();
    match config.trust {
        Trust::Bundled => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Trust::System => {
            let found = rustls_native_certs::load_native_certs();
            let (added, _) = roots.add_parsable_certificates(found.certs);
            if added == 0 {
                let why = found.errors.first().map_or_else(|| "the system has none".to_owned(), ToString::to_string);
                return Err(TlsError::NoTrust(why));
            }
        }
        Trust::PemOnly if config.extra_ca_pem.is_none() && !config.verify_off => {
            return Err(TlsError::NoTrust("only given certificates are trusted, and none are given".to_owned()));
        }
        Trust::PemOnly => {}
    }
    let given = match config.extra_ca_pem {
        Some(text) => pem::add_to(&mut roots, text)?,
        None => Vec::new(),
    };
    Ok((roots, given))
}

fn verifier(
    roots: RootCertStore,
    given: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
) -> Result<NamedFaults, TlsError> {
    let roots = Arc::new(roots);
    WebPkiServerVerifier::builder_with_provider(roots.clone(), provider)
        .build()
        .map(|inner| NamedFaults::new(inner, roots, given))
        .map_err(|error| TlsError::NoTrust(error.to_string()))
}

/// The only protocol spoken inside.
pub(super) const ALPN_HTTP_1_1: &[u8] = b"http/1.1";

/// Sessions kept for resumption by one client; rustls keeps eight a server, so this is 64 servers. Each is about a
/// kilobyte.
const RESUMED_SESSIONS_MAX: usize = 512;
