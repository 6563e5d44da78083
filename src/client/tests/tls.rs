//! https against a real server of TLS in memory.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{date_time_ymd, BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection};

use super::harness::{get, post, Setup, World, HEADED, SEEDS, URL};
use crate::client::questions::SpawnKind;
use crate::client::{Phase, RequestConfig, Status};
use crate::net::scripted::{Op, Plan as Wire};
use crate::tls::{TlsConfig, TlsSettings, Trust};

pub(super) const SECURE: &str = "https://10.0.0.1/";
pub(super) const HEADED_TLS: &str = "init connecting tls sending intro headers";

/// A certificate authority that the client trusts.
pub(super) struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(super) fn new() -> Self {
        Self::named("an authority for tests")
    }

    fn named(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    pub(super) fn world(&self, seed: u64, ask: u32) -> World {
        let trust =
            TlsConfig { trust: Trust::PemOnly, extra_ca_pem: Some(self.pem.as_bytes()), ..TlsConfig::default() };
        World::with(Setup { seed, ask, tls: Some(TlsSettings::new(trust).expect("settings")), ..Setup::default() })
    }

    pub(super) fn server(&self) -> Arc<ServerConfig> {
        self.server_for("10.0.0.1", |_| {})
    }

    fn server_for(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Arc<ServerConfig> {
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .expect("a certificate");
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Arc::new(config)
    }
}

/// What the server does about a request.
#[derive(Clone)]
pub(super) enum Act {
    Say(Vec<u8>),
    Notify,
    /// New keys, and the client is to answer with its own.
    NewKeys,
    Op(Op),
}

fn say(text: &str) -> Act {
    Act::Say(text.as_bytes().to_vec())
}

pub(super) fn ok(body: &str) -> Vec<Act> {
    vec![say(&format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()))]
}

/// Each time the plaintext ends as `ending`, the next of `answers` follows. `piece`: bytes a read may bring.
pub(super) fn serve(config: &Arc<ServerConfig>, piece: usize, ending: &'static [u8], answers: Vec<Vec<Act>>) -> Wire {
    let mut connection = ServerConnection::new(config.clone()).expect("a server");
    let (mut answers, mut plain) = (answers.into_iter(), Vec::new());
    Wire::Server(Box::new(move |mut received: &[u8]| {
        let mut ops = Vec::new();
        while !received.is_empty() {
            connection.read_tls(&mut received).expect("bytes");
            // What it thinks of a client that refuses it is not what is tested.
            if connection.process_new_packets().is_err() {
                return Vec::new();
            }
        }
        let mut buffer = [0; 4_096];
        while let Ok(count @ 1..) = connection.reader().read(&mut buffer) {
            plain.extend_from_slice(&buffer[..count]);
        }
        let mut acts = vec![];
        if plain.ends_with(ending) {
            plain.clear();
            acts = answers.next().unwrap_or_default();
        }
        flush(&mut connection, piece, &mut ops);
        for act in acts {
            match act {
                Act::Say(text) => connection.writer().write_all(&text).expect("room"),
                Act::Notify => connection.send_close_notify(),
                Act::NewKeys => connection.refresh_traffic_keys().expect("keys"),
                Act::Op(op) => ops.push(op),
            }
            flush(&mut connection, piece, &mut ops);
        }
        ops
    }))
}

fn flush(connection: &mut ServerConnection, piece: usize, ops: &mut Vec<Op>) {
    let mut out = Vec::new();
    while connection.wants_write() {
        connection.write_tls(&mut out).expect("a vector");
    }
    for part in out.chunks(piece) {
        ops.push(Op::Bytes(part.to_vec()));
        if piece < 1_000 {
            ops.push(Op::WouldBlock);
        }
    }
}

const END: &[u8] = b"\r\n\r\n";

/// Goal: https, from the first flight to the reuse of its connection, and the resumption of its session.
#[test]
fn https() {
    let authority = Authority::new();
    let server = authority.server();
    for seed in SEEDS {
        for piece in [7, 100_000] {
            let mut world = authority.world(seed, 0);
            let close = vec![say("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx"), Act::Notify];
            world.net.plan(serve(&server, piece, END, vec![ok("hello"), close]));
            world.net.plan(serve(&server, piece, END, vec![ok("again")]));
            let outcome = world.get(SECURE);
            assert_eq!((outcome.status, &outcome.body[..]), (Status::Ok, &b"hello"[..]), "{}", outcome.text);
            assert_eq!(outcome.states, format!("{HEADED_TLS} body done"));
            assert_eq!((outcome.info.connection_reused, outcome.info.tls_resumed), (false, false));
            let outcome = world.get(SECURE);
            assert_eq!((outcome.status, outcome.info.connection_reused), (Status::Ok, true), "{piece}");
            assert_eq!(outcome.states, format!("{HEADED} body done"));
            let outcome = world.get(SECURE);
            assert_eq!((outcome.status, &outcome.body[..]), (Status::Ok, &b"again"[..]));
            assert_eq!((outcome.info.connection_reused, outcome.info.tls_resumed), (false, true));
            world.settle();
        }
    }
}

/// Goal: a redirect from http to https, and back only where that is allowed.
#[test]
fn across_schemes() {
    let authority = Authority::new();
    let server = authority.server();
    for seed in SEEDS {
        let mut world = authority.world(seed, 0);
        world.script(vec![super::harness::moved(301, SECURE, "")]);
        world.net.plan(serve(&server, 100_000, END, vec![ok("safe")]));
        let outcome = world.get(URL);
        assert_eq!((outcome.status, &outcome.body[..]), (Status::Ok, &b"safe"[..]));
        assert_eq!(outcome.states, format!("{HEADED} redirect {HEADED_TLS} body done"));
        world.settle();
        let down = || vec![say("HTTP/1.1 302 M\r\nLocation: http://10.0.0.1/\r\nContent-Length: 0\r\n\r\n")];
        for allowed in [false, true] {
            let mut world = authority.world(seed, 0);
            world.net.plan(serve(&server, 100_000, END, vec![down()]));
            world.script(vec![super::harness::ok("plain")]);
            let config = RequestConfig { redirect_downgrade_allowed: allowed, ..get(SECURE) };
            let outcome = world.run(config);
            if allowed {
                assert_eq!((outcome.status, &outcome.body[..]), (Status::Ok, &b"plain"[..]));
                assert_eq!(outcome.states, format!("{HEADED_TLS} redirect {HEADED} body done"));
            } else {
                assert_eq!((outcome.status, outcome.phase), (Status::InsecureRedirect, Phase::Redirect));
                assert_eq!(outcome.states, format!("{HEADED_TLS} error"));
            }
        }
    }
}

/// Goal: each kind of refusal has its own status, and all end in the same state.
#[test]
fn failures() {
    let authority = Authority::new();
    let stranger = Authority::named("a stranger");
    let expired = |params: &mut CertificateParams| {
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
    };
    let early = |params: &mut CertificateParams| {
        params.not_before = date_time_ymd(4000, 1, 1);
        params.not_after = date_time_ymd(4001, 1, 1);
    };
    let of = |config| serve(&config, 100_000, END, vec![ok("x")]);
    let script = |ops| Wire::Script(ops);
    let http = Op::Bytes(b"HTTP/1.1 400 Bad\r\n\r\n".to_vec());
    let alert = Op::Bytes(vec![21, 3, 3, 0, 2, 2, 40]);
    for seed in SEEDS {
        let cases = [
            (of(authority.server_for("10.0.0.1", expired)), Status::TlsExpired, 0),
            (of(authority.server_for("10.0.0.1", early)), Status::TlsNotYetValid, 0),
            (of(authority.server_for("10.0.0.2", |_| {})), Status::TlsWrongHost, 0),
            (of(stranger.server()), Status::TlsUnknownCa, 0),
            (script(vec![Op::ExpectWrite(1), http.clone()]), Status::TlsNotTls, 0),
            (script(vec![Op::ExpectWrite(1), alert.clone()]), Status::TlsAlert, 0),
            (script(vec![Op::ExpectWrite(1), Op::Eof]), Status::TlsClosed, 0),
            (script(vec![Op::ExpectWrite(1), Op::Reset]), Status::TlsClosed, 0),
            (script(vec![Op::Reset]), Status::TlsClosed, 0),
            (script(vec![]), Status::TimeoutTls, 10_000),
            (script(vec![Op::AcceptWrite(20)]), Status::TimeoutTls, 10_000),
        ];
        for (plan, status, took) in cases {
            let mut world = authority.world(seed, 0);
            world.net.plan(plan);
            let outcome = world.get(SECURE);
            assert_eq!((outcome.status, outcome.phase), (status, Phase::Tls), "{}", outcome.text);
            assert_eq!(outcome.states, "init connecting tls error");
            assert_eq!(outcome.took, Duration::from_millis(took));
            assert!(outcome.info.task_polls <= 20, "{}", outcome.info.task_polls);
            world.settle();
            assert!(world.net.is_closed(0));
        }
    }
}

/// Goal: an end without close_notify is a truncation, whatever the framing says of the rest; with it, an end is an end.
#[test]
fn ends() {
    let authority = Authority::new();
    let server = authority.server();
    let (until_close, length) = ("HTTP/1.1 200 OK\r\n\r\nhello", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello");
    let cases = [
        (vec![say(until_close), Act::Notify], Status::Ok),
        (vec![say(until_close), Act::Notify, Act::Op(Op::Eof)], Status::Ok),
        (vec![say(until_close), Act::Op(Op::Eof)], Status::BodyTruncated),
        (vec![say(until_close), Act::Op(Op::Reset)], Status::ConnectionLost),
        (vec![say(length), Act::Notify], Status::BodyTruncated),
        (vec![say(length), Act::Op(Op::Eof)], Status::BodyTruncated),
    ];
    for seed in SEEDS {
        for piece in [3, 100_000] {
            for (acts, status) in &cases {
                let mut world = authority.world(seed, 0);
                world.net.plan(serve(&server, piece, END, vec![acts.clone()]));
                let outcome = world.get(SECURE);
                assert_eq!((outcome.status, &outcome.body[..]), (*status, &b"hello"[..]), "{}", outcome.text);
                let end = if *status == Status::Ok { "done" } else { "error" };
                assert_eq!(outcome.states, format!("{HEADED_TLS} body {end}"));
                assert_eq!(world.context.pool.len(), 0);
            }
        }
    }
}

/// Goal: a connection that says close_notify, or anything, while idle is closed, and what came is no answer.
#[test]
fn idle_ends() {
    let authority = Authority::new();
    let server = authority.server();
    let evil = Act::Say(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil".to_vec());
    for seed in SEEDS {
        for extra in [Act::Notify, evil.clone(), Act::Op(Op::Eof)] {
            for wait in [vec![], vec![Act::Op(Op::AdvanceMs(1))]] {
                let mut world = authority.world(seed, 0);
                let acts = [ok("x"), wait, vec![extra.clone()]].concat();
                world.net.plan(serve(&server, 100_000, END, vec![acts, ok("no")]));
                world.net.plan(serve(&server, 100_000, END, vec![ok("y")]));
                assert_eq!(world.get(SECURE).body, b"x");
                world.settle();
                let outcome = world.get(SECURE);
                assert_eq!((outcome.status, &outcome.body[..]), (Status::Ok, &b"y"[..]));
                assert!(world.net.is_closed(0));
            }
        }
    }
}

/// Goal: messages of TLS itself leave an idle connection as good as it was. Method: new keys, with the answer or after
/// it, in one piece or in many; the next request needs both sides' new keys.
#[test]
fn idle_talk_of_tls() {
    let authority = Authority::new();
    let server = authority.server();
    for seed in SEEDS {
        for piece in [1, 7, 100_000] {
            for wait in [vec![], vec![Act::Op(Op::AdvanceMs(1))]] {
                let mut world = authority.world(seed, 0);
                let acts = [ok("x"), wait, vec![Act::NewKeys]].concat();
                world.net.plan(serve(&server, piece, END, vec![acts, ok("y")]));
                assert_eq!(world.get(SECURE).body, b"x");
                world.settle();
                let outcome = world.get(SECURE);
                assert_eq!((outcome.status, &outcome.body[..]), (Status::Ok, &b"y"[..]), "{}", outcome.text);
                assert!(outcome.info.connection_reused);
            }
        }
    }
}

/// Goal: messages of TLS itself do not end an upload. Method: the server's session tickets, which follow the handshake
/// at once, meet a request body that the socket takes slowly.
#[test]
fn session_tickets_do_not_end_an_upload() {
    let authority = Authority::new();
    let server = authority.server();
    let mut body = vec![7; 200_000];
    body.extend_from_slice(b"the end");
    for seed in SEEDS {
        let mut world = authority.world(seed, 0);
        let Wire::Server(mut inner) = serve(&server, 100_000, b"the end", vec![ok("x")]) else { unreachable!() };
        world.net.plan(Wire::Server(Box::new(move |bytes: &[u8]| {
            let mut ops = inner(bytes);
            if bytes.is_empty() {
                ops.push(Op::AcceptWrite(1_500));
            }
            // Room comes after what is said.
            ops.extend([Op::AdvanceMs(1), Op::AcceptWrite(bytes.len().max(1_000))]);
            ops
        })));
        let outcome = world.run(post(SECURE, &body));
        assert_eq!((outcome.status, &outcome.body[..]), (Status::Ok, &b"x"[..]), "{}", outcome.text);
        assert_eq!(outcome.states, format!("{HEADED_TLS} body done"));
        assert_eq!(outcome.info.body_sent, body.len() as u64);
    }
}

/// Goal: TLS may have to send while an answer is read; where it cannot, the reader waits for room and does not spin.
#[test]
fn new_keys_while_nothing_can_be_sent() {
    let authority = Authority::new();
    let server = authority.server();
    let answer = vec![
        say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"),
        Act::Op(Op::AcceptWrite(0)),
        Act::Op(Op::AdvanceMs(5)),
        Act::NewKeys,
        Act::Op(Op::AdvanceMs(300)),
        Act::Op(Op::AcceptAll),
        Act::Op(Op::AdvanceMs(300)),
        say("hello"),
    ];
    for seed in SEEDS {
        let mut world = authority.world(seed, 0);
        world.net.plan(serve(&server, 100_000, END, vec![answer.clone()]));
        let outcome = world.get(SECURE);
        assert_eq!((outcome.status, &outcome.body[..]), (Status::Ok, &b"hellohello"[..]), "{}", outcome.text);
        assert!(outcome.info.task_polls <= 30, "{}", outcome.info.task_polls);
    }
}

/// Goal: cancel and the total time end a handshake, whoever has its step.
#[test]
fn stops() {
    let authority = Authority::new();
    for seed in SEEDS {
        for ask in [0, SpawnKind::TlsUpgrade as u32] {
            let mut world = authority.world(seed, ask);
            world.script(vec![]);
            let shared = world.start(get(SECURE));
            let stop = crate::client::request::Stop::Cancelled;
            let outcome = world.stop_after(&shared, Duration::from_millis(300), stop);
            assert_eq!((outcome.status, outcome.phase), (Status::Cancelled, Phase::Tls));
            assert_eq!(outcome.states, "init connecting tls error");
            world.settle();
            assert!(world.net.is_closed(0));
            world.script(vec![]);
            let total_timeout = Some(Duration::from_millis(500));
            let outcome = world.run(RequestConfig { total_timeout, ..get(SECURE) });
            assert_eq!((outcome.status, outcome.phase), (Status::TimeoutTotal, Phase::Tls));
            assert_eq!(outcome.took.as_millis(), 500);
            world.settle();
        }
    }
}
