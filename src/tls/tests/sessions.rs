//! Handshakes, bytes and ends.

use rcgen::KeyPair;

use super::bench::{config, params, Authority, Buffers, Pair};
use crate::net::Io;
use crate::tls::{HandshakeKind, Plain, TlsConfig, TlsError, TlsSettings, TlsVersion, Trust};

/// Goal: a handshake, a request and an answer; and each flight is one write of the socket.
#[test]
fn a_full_handshake() {
    let authority = Authority::new();
    let server = authority.server(&["example.test"], |_| {});
    let mut pair = Pair::new(&authority.settings(), "example.test", &server);
    assert!(pair.client.is_handshaking());
    assert_eq!(pair.client.write_plain(b"too early"), 0);
    pair.run().expect("a handshake");
    assert!(!pair.client.is_handshaking() && pair.client.alpn_ok());
    assert_eq!(pair.client.handshake_kind(), Some(HandshakeKind::Full));
    assert_eq!(pair.client.protocol_version(), Some(TlsVersion::Tls13));
    assert_eq!(pair.wire.writes, 2);
    assert_eq!(pair.client.write_plain(b"question"), 8);
    assert!(pair.client.wants_write());
    pair.server_says(b"answer");
    let (plain, end) = pair.run().expect("an answer");
    assert_eq!((&plain[..], end), (&b"answer"[..], Plain::NeedMore));
    pair.client.release_buffers();
    pair.server_says(b"more");
    assert_eq!(pair.run().expect("an answer").0, b"more");
}

/// Goal: part of a record counts as input, so that a connection does not go idle with it. Method: an answer without its
/// last byte.
#[test]
fn part_of_a_record_is_input() {
    let authority = Authority::new();
    let server = authority.server(&["example.test"], |_| {});
    let mut pair = Pair::new(&authority.settings(), "example.test", &server);
    pair.run().expect("a handshake");
    assert!(!pair.client.holds_input());
    pair.server_says(b"answer");
    while pair.serve() {}
    let last = pair.wire.to_client.pop_back().expect("a byte");
    pair.client.pull(&mut pair.wire).expect("bytes");
    assert!(pair.client.holds_input() && !pair.client.wants_step() && !pair.client.has_plaintext());
    pair.wire.to_client.push_back(last);
    assert_eq!(pair.run().expect("an answer").0, b"answer");
    assert!(!pair.client.holds_input());
}

/// Goal: the second connection resumes, also through a clone of the settings, in both versions.
#[test]
fn resumption() {
    let versions = [(&rustls::version::TLS12, TlsVersion::Tls12), (&rustls::version::TLS13, TlsVersion::Tls13)];
    for (version, name) in versions {
        let key = KeyPair::generate().expect("a key");
        let certificate = params(&["example.test"]).self_signed(&key).expect("a certificate");
        let server = config(certificate.der().clone(), &key, &[version]);
        let off = TlsConfig { trust: Trust::PemOnly, verify_off: true, ..TlsConfig::default() };
        let settings = TlsSettings::new(off).expect("settings");
        for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
            let mut pair = Pair::new(&settings.clone(), "example.test", &server);
            pair.run().expect("a handshake");
            assert_eq!(pair.client.protocol_version(), Some(name));
            assert_eq!(pair.client.handshake_kind(), Some(kind));
        }
    }
}

/// Goal: how the bytes are cut up changes nothing. Method: the same exchange, one byte a read.
#[test]
fn split_invariance() {
    let authority = Authority::new();
    let server = authority.server(&["example.test"], |_| {});
    let settings = authority.settings();
    let text = vec![b'x'; 40_000];
    for at_once in [0, 1, 4, 5, 6, 1000] {
        let mut pair = Pair::new(&settings, "example.test", &server);
        pair.wire.at_once = at_once;
        pair.run().expect("a handshake");
        pair.server_says(&text);
        pair.server.send_close_notify();
        let (plain, end) = pair.run().expect("an answer");
        assert_eq!(end, Plain::CleanEnd);
        assert!(plain == text, "{at_once}");
    }
}

/// Goal: a handshake whose steps wait for their turn holds what the peer sent and no large buffer, and so does one that
/// waits for the rest of a record. Method: the server's flight at once, and in pieces.
#[test]
fn a_waiting_handshake_is_small() {
    let authority = Authority::new();
    let server = authority.server(&["example.test"], |_| {});
    for piece in [0, 1, 100] {
        let mut pair = Pair::new(&authority.settings(), "example.test", &server);
        pair.wire.at_once = piece;
        pair.run().expect("a handshake");
        assert!((1..4096).contains(&pair.largest_inbox), "{} bytes in pieces of {piece}", pair.largest_inbox);
    }
}

/// Goal: a step takes one record, so that a poll can stop after it; and it takes no more while plaintext waits.
#[test]
fn a_step_is_one_record() {
    let authority = Authority::new();
    let server = authority.server(&["example.test"], |_| {});
    let mut pair = Pair::new(&authority.settings(), "example.test", &server);
    pair.run().expect("a handshake");
    pair.server_says(b"one");
    pair.serve();
    pair.server_says(b"two");
    pair.serve();
    let reads = pair.wire.reads;
    assert!(matches!(pair.client.pull(&mut pair.wire), Ok(Io::Done(_))));
    assert!(matches!(pair.client.pull(&mut pair.wire), Ok(Io::Done(_))));
    assert_eq!(pair.wire.reads, reads + 1, "whole records wait: no call is made");
    let mut buffer = [0; 64];
    pair.client.step().expect("a record");
    assert!(pair.client.has_plaintext() && !pair.client.wants_step() && !pair.client.wants_pull());
    pair.client.step().expect("nothing");
    assert_eq!(pair.client.read_plain(&mut buffer), Plain::Bytes(3));
    assert!(!pair.client.has_plaintext() && pair.client.wants_step());
    assert_eq!(pair.client.read_plain(&mut buffer), Plain::NeedMore);
    pair.client.step().expect("a record");
    assert_eq!(pair.client.read_plain(&mut buffer), Plain::Bytes(3));
    assert_eq!(&buffer[..3], b"two");
}

/// Goal: a reader with little room gets each byte once, and a writer is not held up by plaintext that waits. Method: a
/// record read in pieces, with a question between them.
#[test]
fn small_reads_and_a_write_between() {
    let authority = Authority::new();
    let server = authority.server(&["example.test"], |_| {});
    let mut pair = Pair::new(&authority.settings(), "example.test", &server);
    pair.run().expect("a handshake");
    pair.server_says(b"abcdefgh");
    pair.serve();
    pair.client.pull(&mut pair.wire).expect("bytes");
    pair.client.step().expect("a record");
    assert_eq!(pair.client.write_plain(b"question"), 8);
    pair.client.release_buffers();
    let mut buffer = [0; 3];
    let mut plain = Vec::new();
    while let Plain::Bytes(count) = pair.client.read_plain(&mut buffer) {
        plain.extend_from_slice(&buffer[..count]);
        assert_eq!(pair.client.write_plain(b"?"), 1);
    }
    assert_eq!(plain, b"abcdefgh");
    assert!(!pair.client.has_plaintext());
}

/// Goal: a message of the handshake may go over several records, and be longer than the inbox has room for. Method: a
/// certificate with very many names, in reads of different sizes.
#[test]
fn a_long_certificate() {
    let authority = Authority::new();
    let names: Vec<String> = (0..2_035).map(|at| format!("a-long-name-{at:05}.example.test")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let server = authority.server(&names, |_| {});
    for at_once in [0, 1000, 20_000] {
        let mut pair = Pair::new(&authority.settings(), names[0], &server);
        pair.wire.at_once = at_once;
        pair.run().expect("a handshake");
        pair.server_says(b"answer");
        assert_eq!(pair.run().expect("an answer").0, b"answer");
        assert!(!pair.client.holds_input());
    }
}

/// Goal: an end without close_notify is never taken for a clean one, whether between records or inside one.
#[test]
fn truncated_ends() {
    let authority = Authority::new();
    let server = authority.server(&["example.test"], |_| {});
    let settings = authority.settings();
    for cut in [0, 1, 10] {
        let mut pair = Pair::new(&settings, "example.test", &server);
        pair.run().expect("a handshake");
        pair.server_says(b"first");
        pair.serve();
        pair.server_says(b"second");
        pair.serve();
        let whole = pair.wire.to_client.len();
        pair.wire.to_client.truncate(whole - cut);
        pair.wire.ended = true;
        let (plain, end) = pair.run().expect("plaintext");
        assert_eq!(end, Plain::TruncatedEnd);
        assert_eq!(plain, if cut == 0 { &b"firstsecond"[..] } else { b"first" });
    }
}

/// Goal: what a server that speaks no TLS answers is told, from its first byte on; silence and a close are told apart
/// from it.
#[test]
fn not_tls() {
    let settings = Authority::new().settings();
    let first = |bytes: &[u8], at_once| {
        let mut wire = Buffers { to_client: bytes.to_vec().into(), ended: true, at_once, ..Buffers::default() };
        let mut client = settings.session("example.test").expect("a session");
        loop {
            client.pull(&mut wire).expect("bytes");
            if client.wants_step() {
                break client.step().expect_err("an error");
            }
        }
    };
    let http = b"HTTP/1.1 400 Bad Request\r\n\r\n";
    assert_eq!(first(http, 0), TlsError::NotTls("it answered with plain HTTP".to_owned()));
    assert_eq!(first(http, 1), TlsError::NotTls("it began with \"H\"".to_owned()));
    assert_eq!(first(b"\x80\x01", 0), TlsError::NotTls("it began with the byte 128".to_owned()));
    assert_eq!(first(b"", 0), TlsError::ClosedInHandshake);
    assert_eq!(first(&[22, 3, 3, 0, 50, 2], 0), TlsError::ClosedInHandshake);
    let alert = first(&[21, 3, 3, 0, 2, 2, 40], 0);
    assert_eq!(alert.alert(), Some(40));
    assert_eq!(alert.to_string(), "the server sent the TLS alert handshake_failure (40)");
    // A record longer than is legal must be refused, not waited for.
    assert!(matches!(first(&[22, 3, 3, 0xff, 0xff, 0], 0), TlsError::PeerMisbehaved(_)));
}

/// Goal: what may wait to be sent is bounded, and room comes back when it is pushed.
#[test]
fn writing_is_bounded() {
    let authority = Authority::new();
    let server = authority.server(&["example.test"], |_| {});
    let mut pair = Pair::new(&authority.settings(), "example.test", &server);
    pair.run().expect("a handshake");
    let block = vec![0; 1 << 20];
    let mut taken = 0;
    for _ in 0..10 {
        taken += pair.client.write_plain(&block);
    }
    assert!(taken > 16 * 1024 && taken <= 64 * 1024, "{taken}");
    assert!(matches!(pair.client.push(&mut pair.wire), Ok(Io::Done(_))));
    assert!(!pair.client.wants_write());
    assert!(pair.client.write_plain(&block) > 0);
}

/// Goal: our close_notify is sent, and the server sees a clean end.
#[test]
fn close_notify_is_sent() {
    let authority = Authority::new();
    let server = authority.server(&["example.test"], |_| {});
    let mut pair = Pair::new(&authority.settings(), "example.test", &server);
    pair.run().expect("a handshake");
    pair.client.close_notify();
    pair.run().expect("a push");
    assert!(pair.server.process_new_packets().expect("a state").peer_has_closed());
}
