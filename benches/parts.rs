//! What the indivisible steps consist of, each part alone and without a socket: CPU time of one record of TLS, of the
//! check of a certificate chain, of one head. Each line of the output is a part with all its samples, in microseconds,
//! as those of `benches/steps.c` are.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::client::danger::ServerCertVerifier;
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{RootCertStore, ServerConfig, ServerConnection};
use valtron_http::net::{Io, NetError, Socket};
use valtron_http::proto::{HeadReader, HeadStep, Limits};
use valtron_http::synca::Entry;
use valtron_http::tls::{Plain, TlsConfig, TlsSession, TlsSettings, Trust};
use valtron_http::valtron::SocketKey;

fn main() {
    // `cargo test --all-targets` runs this, too, and `cargo bench` gives arguments of its own.
    let runs = if std::env::args().any(|arg| arg == "--bench") { 5000 } else { 20 };
    let chain = Chain::new();
    records(&chain, runs);
    chains(&chain, runs);
    heads(runs);
}

/// A root, an authority below it, and a server's certificate: ECDSA with P-256, as most of the web's are.
struct Chain {
    root_pem: String,
    root: CertificateDer<'static>,
    middle: CertificateDer<'static>,
    leaf: CertificateDer<'static>,
    key: KeyPair,
}

impl Chain {
    fn new() -> Self {
        let authority = |name: &str| {
            let mut params = CertificateParams::new(Vec::new()).expect("no names");
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.distinguished_name.push(rcgen::DnType::CommonName, name);
            params
        };
        let (root_key, middle_key) = (KeyPair::generate().expect("a key"), KeyPair::generate().expect("a key"));
        let root = authority("root").self_signed(&root_key).expect("a certificate");
        let root_issuer = Issuer::new(authority("root"), root_key);
        let middle = authority("middle").signed_by(&middle_key, &root_issuer).expect("a certificate");
        let middle_issuer = Issuer::new(authority("middle"), middle_key);
        let key = KeyPair::generate().expect("a key");
        let names = CertificateParams::new(vec![HOST.to_owned()]).expect("a name");
        let leaf = names.signed_by(&key, &middle_issuer).expect("a certificate");
        let (root_pem, root) = (root.pem(), root.der().clone());
        Self { root_pem, root, middle: middle.der().clone(), leaf: leaf.der().clone(), key }
    }

    fn server(&self) -> ServerConnection {
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).expect("a key");
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(rustls::ALL_VERSIONS)
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![self.leaf.clone(), self.middle.clone()], key)
            .expect("a certificate");
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        ServerConnection::new(Arc::new(config)).expect("a server")
    }
}

/// One record of 16 KiB each way, by the library's own session.
fn records(chain: &Chain, runs: usize) {
    let config = TlsConfig { trust: Trust::PemOnly, extra_ca_pem: Some(chain.root_pem.as_bytes()), verify_off: false };
    let settings = TlsSettings::new(config).expect("settings");
    let mut client = settings.session(HOST).expect("a session");
    let mut server = chain.server();
    let mut wire = Wire::default();
    for _ in 0..100 {
        settle(&mut client, &mut server, &mut wire);
    }
    assert!(!client.is_handshaking(), "no handshake came about");
    let suite = server.negotiated_cipher_suite().map_or(String::new(), |suite| format!("{:?}", suite.suite()));
    let plain = vec![b'x'; RECORD_BYTES];
    let mut into = vec![0; RECORD_BYTES];
    let (mut decrypt, mut copy, mut encrypt) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..runs {
        server.writer().write_all(&plain).expect("room");
        while server.wants_write() {
            server.write_tls(&mut wire.to_client).expect("a deque");
        }
        while !client.wants_step() {
            client.pull(&mut wire).expect("bytes");
        }
        decrypt.push(timed(|| client.step().expect("a record")));
        let mut got = 0;
        copy.push(timed(|| got = read(&mut client, &mut into)));
        assert_eq!((got, &into), (RECORD_BYTES, &plain), "not one record");
        let mut taken = 0;
        encrypt.push(timed(|| taken = client.write_plain(&plain)));
        assert_eq!(taken, RECORD_BYTES);
        settle(&mut client, &mut server, &mut wire);
    }
    print(&format!("one record of 16 KiB decrypted ({suite})"), &decrypt);
    print("its plaintext copied out", &copy);
    print("one record of 16 KiB encrypted", &encrypt);
}

fn read(client: &mut TlsSession, into: &mut [u8]) -> usize {
    let mut got = 0;
    while got < into.len() {
        match client.read_plain(&mut into[got..]) {
            Plain::Bytes(count) => got += count,
            _ => break,
        }
    }
    got
}

/// Everything that is under way arrives.
fn settle(client: &mut TlsSession, server: &mut ServerConnection, wire: &mut Wire) {
    while client.wants_write() {
        client.push(wire).expect("room");
    }
    let sent = std::mem::take(&mut wire.to_server);
    let mut sent = &sent[..];
    let mut sink = [0; 4096];
    while !sent.is_empty() {
        server.read_tls(&mut sent).expect("bytes");
        server.process_new_packets().expect("a record");
        while matches!(server.reader().read(&mut sink), Ok(count) if count > 0) {}
    }
    while server.wants_write() {
        server.write_tls(&mut wire.to_client).expect("a deque");
    }
    while !wire.to_client.is_empty() || client.wants_step() {
        client.pull(wire).expect("bytes");
        client.step().expect("a record");
    }
}

/// What the library asks of webpki, with Mozilla's list among the trusted.
fn chains(chain: &Chain, runs: usize) {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    roots.add(chain.root.clone()).expect("a root");
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().expect("a verifier");
    let name = ServerName::try_from(HOST).expect("a name");
    let now = UnixTime::now();
    let middle = [chain.middle.clone()];
    let times: Vec<f64> = (0..runs)
        .map(|_| {
            timed(|| {
                verifier.verify_server_cert(&chain.leaf, &middle, &name, &[], now).expect("a good chain");
            })
        })
        .collect();
    print("a certificate chain checked (P-256, one intermediate)", &times);
}

fn heads(runs: usize) {
    let limits = Limits::default();
    for fields in [8, 64] {
        let mut head = b"HTTP/1.1 200 OK\r\n".to_vec();
        for field in 0..fields {
            head.extend_from_slice(format!("x-field-number-{field}: a value of some length, {field}\r\n").as_bytes());
        }
        head.extend_from_slice(b"\r\n");
        let times: Vec<f64> = (0..runs)
            .map(|_| {
                timed(|| {
                    let step = HeadReader::new().parse(&head, &limits).expect("a good head");
                    assert!(matches!(step, HeadStep::Complete { .. }));
                })
            })
            .collect();
        print(&format!("a head of {fields} fields parsed"), &times);
    }
}

/// The client's socket: two buffers.
#[derive(Default)]
struct Wire {
    to_client: VecDeque<u8>,
    to_server: Vec<u8>,
}

impl Socket for Wire {
    fn key(&self) -> SocketKey {
        SocketKey(Entry::new(0, 1))
    }

    fn connected(&mut self) -> Result<bool, NetError> {
        Ok(true)
    }

    fn read(&mut self, into: &mut [u8]) -> Result<Io, NetError> {
        if self.to_client.is_empty() {
            return Ok(Io::WouldBlock);
        }
        Ok(Io::Done(self.to_client.read(into).expect("a deque")))
    }

    fn write(&mut self, from: &[u8]) -> Result<Io, NetError> {
        self.to_server.extend_from_slice(from);
        Ok(Io::Done(from.len()))
    }

    fn readable_hint(&self) -> bool {
        !self.to_client.is_empty()
    }
}

/// CPU time of this thread, in microseconds.
fn timed(work: impl FnOnce()) -> f64 {
    let before = cpu_us();
    work();
    cpu_us() - before
}

fn cpu_us() -> f64 {
    let mut at = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes to `at` only, which lives.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut at) };
    at.tv_sec as f64 * 1e6 + at.tv_nsec as f64 / 1e3
}

fn print(name: &str, times: &[f64]) {
    let times: Vec<String> = times.iter().map(|time| format!("{time:.2}")).collect();
    println!("{{\"group\": \"part\", \"name\": \"{name}\", \"us\": [{}]}}", times.join(","));
}

const HOST: &str = "game.example";
const RECORD_BYTES: usize = 16384;
