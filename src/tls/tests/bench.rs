//! A server in memory, a socket that is two buffers, and certificates.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::sync::Arc;

use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ServerConfig, ServerConnection, SupportedProtocolVersion};

use crate::net::{Io, NetError, Socket};
use crate::synca::Entry;
use crate::tls::{Plain, TlsConfig, TlsError, TlsIo, TlsSession, TlsSettings, Trust};
use crate::valtron::SocketKey;

/// A certificate authority.
pub(super) struct Authority {
    pub(super) certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(super) fn new() -> Self {
        Self::named("an authority for tests")
    }

    pub(super) fn named(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    pub(super) fn settings(&self) -> TlsSettings {
        let pem = self.certificate.pem();
        let config = TlsConfig { trust: Trust::PemOnly, extra_ca_pem: Some(pem.as_bytes()), verify_off: false };
        TlsSettings::new(config).expect("settings")
    }

    /// A server for names, after `change` had its way with the certificate.
    pub(super) fn server(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Arc<ServerConfig> {
        let mut params = params(names);
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        config(certificate.der().clone(), &key, rustls::ALL_VERSIONS)
    }
}

pub(super) fn params(names: &[&str]) -> CertificateParams {
    CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).expect("names")
}

pub(super) fn config(
    certificate: CertificateDer<'static>,
    key: &KeyPair,
    versions: &[&'static SupportedProtocolVersion],
) -> Arc<ServerConfig> {
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("a certificate");
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

/// A server that presents a certificate without holding its key.
pub(super) fn impostor(certificate: CertificateDer<'static>, key: &KeyPair) -> Arc<ServerConfig> {
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let key = ring::sign::any_supported_type(&key).expect("a key");
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(rustls::ALL_VERSIONS)
        .expect("versions")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(CertifiedKey::new(vec![certificate], key))));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

/// The client's socket: what the server sent and what it was sent.
#[derive(Default)]
pub(super) struct Buffers {
    pub(super) to_client: VecDeque<u8>,
    pub(super) to_server: Vec<u8>,
    pub(super) ended: bool,
    /// Bytes a read may bring; 0: all.
    pub(super) at_once: usize,
    pub(super) reads: usize,
    pub(super) writes: usize,
}

impl Socket for Buffers {
    fn key(&self) -> SocketKey {
        SocketKey(Entry::new(0, 1))
    }

    fn connected(&mut self) -> Result<bool, NetError> {
        Ok(true)
    }

    fn read(&mut self, into: &mut [u8]) -> Result<Io, NetError> {
        self.reads += 1;
        if self.to_client.is_empty() {
            return Ok(if self.ended { Io::Done(0) } else { Io::WouldBlock });
        }
        let limit = if self.at_once == 0 { into.len() } else { self.at_once.min(into.len()) };
        Ok(Io::Done(self.to_client.read(&mut into[..limit]).expect("a deque")))
    }

    fn write(&mut self, from: &[u8]) -> Result<Io, NetError> {
        self.writes += 1;
        self.to_server.extend_from_slice(from);
        Ok(Io::Done(from.len()))
    }

    fn readable_hint(&self) -> bool {
        !self.to_client.is_empty()
    }
}

/// A client and a server, joined.
pub(super) struct Pair {
    pub(super) client: TlsSession,
    pub(super) server: ServerConnection,
    pub(super) wire: Buffers,
    pub(super) steps: usize,
    /// What the client held between two calls while it shook hands.
    pub(super) largest_inbox: usize,
}

impl Pair {
    pub(super) fn new(settings: &TlsSettings, host: &str, server: &Arc<ServerConfig>) -> Self {
        let client = settings.session(host).expect("a session");
        let server = ServerConnection::new(server.clone()).expect("a server");
        Self { client, server, wire: Buffers::default(), steps: 0, largest_inbox: 0 }
    }

    /// The client moves on until it can only wait; then the server answers; until neither has anything to say. Gives
    /// the plaintext.
    pub(super) fn run(&mut self) -> Result<(Vec<u8>, Plain), TlsError> {
        let mut plain = Vec::new();
        for _ in 0..100_000 {
            let mut buffer = [0; 700];
            if self.client.is_handshaking() {
                self.largest_inbox = self.largest_inbox.max(self.client.inbox_bytes());
            }
            match self.client.read_plain(&mut buffer) {
                Plain::Bytes(count) => {
                    plain.extend_from_slice(&buffer[..count]);
                    continue;
                }
                Plain::NeedMore => {}
                end => return Ok((plain, end)),
            }
            if self.client.wants_step() {
                self.steps += 1;
                self.client.step()?;
            } else if self.client.wants_write() {
                self.client.push(&mut self.wire).map_err(fault)?;
            } else if self.client.wants_pull() && self.client.pull(&mut self.wire).map_err(fault)? != Io::WouldBlock {
            } else if !self.serve() {
                return Ok((plain, Plain::NeedMore));
            }
        }
        panic!("it never rests");
    }

    /// The server takes and gives what there is. False: nothing.
    pub(super) fn serve(&mut self) -> bool {
        let mut moved = !self.wire.to_server.is_empty();
        let sent = std::mem::take(&mut self.wire.to_server);
        let mut sent = &sent[..];
        while !sent.is_empty() {
            self.server.read_tls(&mut sent).expect("bytes");
            // Its view of a refused handshake is not what is tested.
            let _ = self.server.process_new_packets();
        }
        while self.server.wants_write() {
            moved = true;
            self.server.write_tls(&mut self.wire.to_client).expect("a deque");
        }
        moved
    }

    pub(super) fn server_says(&mut self, text: &[u8]) {
        self.server.writer().write_all(text).expect("room");
    }
}

fn fault(error: TlsIo) -> TlsError {
    match error {
        TlsIo::Tls(error) => error,
        TlsIo::Net(error) => panic!("{error}"),
    }
}
