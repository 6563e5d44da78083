//! A step is bounded, whatever the peer sends: the budget of a poll is kept to one step.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use super::harness::{bytes, server, World, SEEDS, URL};
use super::tls::{ok as secure_ok, serve, Act, Authority, SECURE};
use crate::client::Status;
use crate::net::scripted::{Op, Plan as Wire};

/// Goal: a head in many small records is many steps. Method: the smallest records that rustls makes, all in one read.
#[test]
fn a_head_in_small_records() {
    let authority = Authority::new();
    let mut config = (*authority.server()).clone();
    config.max_fragment_size = Some(RECORD);
    let config = Arc::new(config);
    let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\nContent-Length: 1\r\n\r\nx", "y".repeat(20_000));
    for seed in SEEDS {
        let mut world = authority.world(seed, 0);
        let answer = vec![Act::Say(long.clone().into_bytes())];
        world.net.plan(serve(&config, 100_000, b"\r\n\r\n", vec![answer]));
        let outcome = world.get(SECURE);
        assert_eq!((outcome.status, &outcome.body[..]), (Status::Ok, &b"x"[..]), "{}", outcome.text);
        let records = long.len() / RECORD;
        assert!(outcome.info.task_polls as usize > records / 4, "{}", outcome.info.task_polls);
    }
}

const RECORD: usize = 64;

/// Goal: records without data are a step each, before the head and inside the body.
#[test]
fn records_without_data() {
    let authority = Authority::new();
    let mut config = (*authority.server()).clone();
    config.send_tls13_tickets = 100;
    // Else many tickets share a record.
    config.max_fragment_size = Some(RECORD);
    let config = Arc::new(config);
    for seed in SEEDS {
        let mut world = authority.world(seed, 0);
        world.net.plan(serve(&config, 1 << 20, b"\r\n\r\n", vec![secure_ok("x")]));
        let outcome = world.get(SECURE);
        assert_eq!((outcome.status, &outcome.body[..]), (Status::Ok, &b"x"[..]), "{}", outcome.text);
        assert!(outcome.info.task_polls > 100, "{}", outcome.info.task_polls);
    }
}

/// Goal: a body in chunks of one byte is many steps, and comes whole.
#[test]
fn small_chunks() {
    let chunks = 20_000;
    let body = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n", "1\r\nz\r\n".repeat(chunks));
    for seed in SEEDS {
        for together in [false, true] {
            let mut world = World::new(seed);
            let (head, rest) = body.split_at(if together { 0 } else { 47 });
            let ops = [head, rest].into_iter().filter(|part| !part.is_empty()).map(bytes).collect();
            world.net.plan(server(vec![ops]));
            let outcome = world.get(URL);
            assert_eq!((outcome.status, outcome.body.len()), (Status::Ok, chunks), "{}", outcome.text);
            assert!(outcome.info.task_polls > 20, "{}", outcome.info.task_polls);
        }
    }
}

/// Goal: RFC 9112 section 9.8: a TLS connection is closed with close_notify, be it the pool's, one that may not be
/// reused, or one whose request was given up.
#[test]
fn close_notify() {
    let authority = Authority::new();
    let config = authority.server();
    let close = Act::Say(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx".to_vec());
    for seed in SEEDS {
        for answer in [Some(secure_ok("x")), Some(vec![close.clone()]), None] {
            let mut world = authority.world(seed, 0);
            let told = Arc::new(AtomicBool::new(false));
            let given_up = answer.is_none();
            let Wire::Server(mut inner) = serve(&config, 100_000, b"\r\n\r\n", vec![answer.unwrap_or_default()]) else {
                unreachable!()
            };
            let note = told.clone();
            // Its own reading of the client's records: the last one is an alert of two bytes, encrypted.
            world.net.plan(Wire::Server(Box::new(move |received: &[u8]| {
                note.fetch_or(received.len() == ALERT, Ordering::SeqCst);
                let ops: Vec<Op> = inner(received);
                ops
            })));
            let shared = world.start(super::harness::get(SECURE));
            if given_up {
                let stop = crate::client::request::Stop::Cancelled;
                world.stop_after(&shared, std::time::Duration::from_millis(50), stop);
            } else {
                assert_eq!(world.finish(&shared).status, Status::Ok);
            }
            world.settle();
            world.context.pool.clear();
            assert!(world.net.is_closed(0) && told.load(Ordering::SeqCst), "{given_up}");
        }
    }
}

/// Record header, level and description, content type, authentication tag (RFC 8446 section 5.2).
const ALERT: usize = 5 + 2 + 1 + 16;
