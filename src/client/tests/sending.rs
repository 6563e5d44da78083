//! Requests on their way out: large bodies, answers that come early, answers in between.

use std::time::Duration;

use super::harness::{bytes, get, ok, post, server, World, HEADED, PLAIN, SEEDS, URL};
use crate::client::{RequestConfig, Status};
use crate::net::scripted::{Op, Plan as Wire};

/// Bytes of a POST's head before a body of so many.
fn head_bytes(body: usize) -> usize {
    format!("POST / HTTP/1.1\r\nHost: 10.0.0.1\r\nContent-Length: {body}\r\nAccept: */*\r\n\r\n").len()
}

/// Goal: a body goes out whole through windows of any size.
#[test]
fn windows() {
    let body: Vec<u8> = (0..50_000_u32).map(|at| at as u8).collect();
    for seed in SEEDS {
        for (window, length) in [(1, 20), (7, 500), (1_000, 50_000), (16_384, 50_000)] {
            let mut world = World::new(seed);
            let total = head_bytes(length) + length;
            let mut ops = Vec::new();
            for _ in 0..=total / window {
                ops.extend([Op::AcceptWrite(window), Op::AdvanceMs(1)]);
            }
            ops.extend([Op::AcceptAll, Op::ExpectWrite(total), ok("x")]);
            world.script(ops);
            let outcome = world.run(post(URL, &body[..length]));
            assert_eq!((outcome.status, &outcome.states[..]), (Status::Ok, PLAIN), "{window}");
            assert_eq!(outcome.info.body_sent, length as u64);
            let written = world.net.written(0);
            assert!(written.ends_with(&body[..length]));
            assert_eq!(written.len(), total);
        }
    }
}

/// Goal: an interim response in the middle of an upload does not end it. Method: the server asks for more with a 100
/// and a 103, cut at every byte, and answers only once it has everything.
#[test]
fn an_interim_response_does_not_end_an_upload() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nA: b\r\n\r\n";
    for cut in 1..interim.len() {
        let mut world = World::new(cut as u64);
        world.script(vec![
            Op::AcceptWrite(1_000),
            Op::ExpectWrite(1_000),
            bytes(&interim[..cut]),
            Op::AdvanceMs(1),
            bytes(&interim[cut..]),
            Op::AdvanceMs(5),
            Op::AcceptAll,
            Op::ExpectWrite(head_bytes(100_000) + 100_000),
            ok("x"),
        ]);
        let outcome = world.run(post(URL, &[7; 100_000]));
        assert_eq!(outcome.status, Status::Ok, "{}", outcome.text);
        assert!(outcome.states.ends_with("headers sending intro headers body done"), "{}", outcome.states);
        assert_eq!((outcome.info.interim_count, outcome.info.body_sent), (2, 100_000));
        assert_eq!(world.context.pool.len(), 1);
        world.settle();
    }
}

/// Goal: a final answer before the request is out is taken, the rest is not sent, and the connection is not kept; also
/// when not even the head is out, and when the peer then hangs up.
#[test]
fn an_early_answer() {
    let answer = "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno";
    for seed in SEEDS {
        for window in [0, 10, 1_000] {
            for end in [None, Some(Op::Eof)] {
                for cut in [1, 20, answer.len()] {
                    let mut world = World::new(seed);
                    let mut ops = vec![Op::AcceptWrite(window), Op::ExpectWrite(window), Op::AdvanceMs(1)];
                    ops.extend([bytes(&answer[..cut]), Op::AdvanceMs(1), bytes(&answer[cut..])]);
                    ops.extend(end.clone());
                    world.script(ops);
                    let outcome = world.run(post(URL, &[7; 100_000]));
                    assert_eq!((outcome.status, &outcome.states[..]), (Status::Ok, PLAIN), "{window}");
                    assert_eq!((outcome.info.http_status, &outcome.body[..]), (413, &b"no"[..]));
                    assert_eq!((world.net.written(0).len(), world.net.is_closed(0)), (window, true));
                    world.settle();
                }
            }
        }
    }
}

/// Goal: a peer that closes its side or resets while it is sent to: what it left behind is still read.
#[test]
fn the_peer_goes_while_it_is_sent_to() {
    for seed in SEEDS {
        for end in [Op::Eof, Op::Reset] {
            let mut world = World::new(seed);
            world.script(vec![Op::AcceptWrite(1_000), Op::ExpectWrite(1_000), Op::AdvanceMs(1), end.clone()]);
            let outcome = world.run(post(URL, &[7; 100_000]));
            assert_eq!(outcome.status, Status::ConnectionLost, "{}", outcome.states);
            assert!(outcome.info.task_polls <= 10);
            world.settle();
        }
        let mut world = World::new(seed);
        let left = bytes("HTTP/1.1 400 Bad\r\nContent-Length: 2\r\n\r\nno");
        world.script(vec![Op::AcceptWrite(1_000), Op::ExpectWrite(1_000), Op::AdvanceMs(1), left, Op::Reset]);
        let outcome = world.run(post(URL, &[7; 100_000]));
        assert_eq!((outcome.status, outcome.info.http_status), (Status::Ok, 400), "{}", outcome.states);
    }
}

/// Goal: an address that gives its connection late costs no polls; nor do a hundred.
#[test]
fn waiting_is_free() {
    for seed in SEEDS {
        let mut world = World::new(seed);
        let all: Vec<_> = (0..100)
            .map(|_| {
                let answer = vec![Op::ExpectWrite(1), Op::AdvanceMs(300), ok("x")];
                world.net.plan(Wire::After(20, Box::new(Wire::Script(answer))));
                world.start(get(URL))
            })
            .collect();
        for shared in &all {
            let outcome = world.finish(shared);
            assert_eq!((outcome.status, &outcome.states[..]), (Status::Ok, PLAIN));
            assert!(outcome.info.task_polls <= 10, "{}", outcome.info.task_polls);
        }
        assert_eq!(world.sim.now().as_nanos(), 320_000_000);
    }
}

/// Goal: a full buffer parks the producer: it is not polled, the socket is not read, and the idle clock stands. Then
/// reading goes on where it was.
#[test]
fn back_pressure() {
    let body = "0123456789".repeat(2_000);
    for seed in SEEDS {
        for capacity in [1, 100, 4_096] {
            for framed in [true, false] {
                let mut world = World::new(seed);
                let answer = match framed {
                    true => format!("HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n{body}"),
                    false => {
                        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4e20\r\n{body}\r\n0\r\n\r\n")
                    }
                };
                world.script(vec![bytes(&answer[..80]), Op::AdvanceMs(1), bytes(&answer[80..])]);
                let idle_timeout = Some(Duration::from_millis(100));
                let config = RequestConfig { body_buffer_bytes: Some(capacity), idle_timeout, ..get(URL) };
                let shared = world.start(config);
                world.sim.advance(Duration::from_secs(1));
                let polls = shared.info().task_polls;
                assert_eq!(shared.info().body_buffered, capacity as u64, "no more is taken than is room for");
                world.sim.advance(Duration::from_secs(100));
                assert_eq!((shared.info().task_polls, shared.is_terminal()), (polls, false));
                let outcome = world.finish(&shared);
                assert_eq!((outcome.status, outcome.body.len()), (Status::Ok, body.len()), "{}", outcome.text);
                assert!(outcome.body == body.as_bytes());
                assert_eq!(outcome.states, format!("{HEADED} body done"));
                world.settle();
            }
        }
    }
}

/// Goal: a host that asks for large pieces before the head is there gets every byte. Method: more than one receive
/// buffer at once, small reads and large mixed.
#[test]
fn reads_past_the_buffer() {
    let body = "0123456789".repeat(30_000);
    for seed in SEEDS {
        for (first, then) in [(20_000, 20_000), (20_000, 1_000), (1_000, 40_000), (400_000, 400_000)] {
            let mut world = World::new(seed);
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            world.script(vec![Op::ExpectWrite(1), Op::AdvanceMs(1), bytes(format!("{head}{body}"))]);
            let shared = world.start(get(URL));
            let mut into = vec![0; first];
            assert_eq!(shared.read(&mut into), Err(Status::WouldBlock));
            world.reads = then;
            let outcome = world.finish(&shared);
            assert_eq!((outcome.status, outcome.body.len()), (Status::Ok, body.len()));
            assert!(outcome.body == body.as_bytes());
            assert_eq!(outcome.info.body_received, body.len() as u64);
            world.settle();
        }
    }
}

/// Goal: a host that once read past the buffer and then no more learns of the end all the same, whatever lies before
/// it. Method: large reads as long as a byte is owed, then none; only framing, an end, or silence is left.
#[test]
fn a_reader_past_the_buffer_that_stops() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    let length = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n";
    let cases = [
        (vec![bytes(chunked), Op::AdvanceMs(50), bytes("0\r\n\r\n")], Status::Ok, 60),
        (vec![bytes(length), Op::AdvanceMs(50), bytes("hello"), Op::AdvanceMs(50), bytes("more")], Status::Ok, 120),
        (
            vec![bytes(length), Op::AdvanceMs(50), bytes("hello"), Op::AdvanceMs(50), Op::Eof],
            Status::BodyTruncated,
            120,
        ),
        (vec![bytes(length), Op::AdvanceMs(50), bytes("hello")], Status::TimeoutIdle, 600),
    ];
    for seed in SEEDS {
        for (ops, status, millis) in &cases {
            for reads in [0, 1, 2] {
                let mut world = World::new(seed);
                world.reads = 0;
                world.script(ops.clone());
                let idle_timeout = Some(Duration::from_millis(500));
                let shared = world.start(RequestConfig { idle_timeout, ..get(URL) });
                let (reader, mut left) = (shared.clone(), reads);
                world.acts = Box::new(move |_| {
                    let mut into = vec![0; 64 * 1024];
                    while left > 0 && reader.read(&mut into).is_ok() {
                        left -= 1;
                    }
                });
                let mut into = vec![0; 64 * 1024];
                let _ = shared.read(&mut into);
                let outcome = world.finish(&shared);
                assert_eq!(outcome.status, *status, "{reads}: {}", outcome.text);
                assert!(outcome.took <= Duration::from_millis(*millis), "{reads}: {:?}", outcome.took);
                world.acts = Box::new(|_| {});
                world.settle();
            }
        }
    }
}

/// Goal: what is remembered of a URL never shows: each request says what it was told to say, whatever was asked before.
/// Method: requests for two URLs that differ in method, fields and body, in turn over one connection; under the last
/// one it turns out dead, so that the same head goes out again over another.
#[test]
fn each_request_sends_its_own_head() {
    let other = "http://10.0.0.1/other?a#b";
    let with = |url: &str, name: &str, value: &str| RequestConfig {
        headers: vec![(name.as_bytes().to_vec(), value.as_bytes().to_vec())],
        ..get(url)
    };
    let called = |method: &'static str, url: &str| RequestConfig { method: method.into(), ..get(url) };
    let all: Vec<(RequestConfig, &str, &str)> = vec![
        (get(URL), "GET /", "Accept: */*"),
        (get(URL), "GET /", "Accept: */*"),
        (with(URL, "A", "1"), "GET /", "A: 1\r\nAccept: */*"),
        (with(URL, "A", "2"), "GET /", "A: 2\r\nAccept: */*"),
        (get(other), "GET /other?a", "Accept: */*"),
        (called("HEAD", URL), "HEAD /", "Accept: */*"),
        (with(other, "accept", "b"), "GET /other?a", "accept: b"),
        (get(other), "GET /other?a", "Accept: */*"),
        (called("DELETE", other), "DELETE /other?a", "Accept: */*"),
        (post(URL, b""), "POST /", "Accept: */*\r\nContent-Length: 0"),
        (RequestConfig { method: "GET".into(), ..post(URL, b"") }, "GET /", "Accept: */*\r\nContent-Length: 0"),
        (get(other), "GET /other?a", "Accept: */*"),
        (get(URL), "GET /", "Accept: */*"),
    ];
    let head = |line: &str, fields: &str| format!("{line} HTTP/1.1\r\nHost: 10.0.0.1\r\n{fields}\r\n\r\n");
    for seed in SEEDS {
        let mut world = World::new(seed);
        let answers = all[1..].iter().map(|_| vec![bytes("HTTP/1.1 204 N\r\n\r\n")]).chain([vec![Op::Reset]]);
        world.net.plan(server(answers.collect()));
        world.script(vec![bytes("HTTP/1.1 204 N\r\n\r\n")]);
        for (config, _, _) in &all {
            assert_eq!(world.run(config.clone()).status, Status::Ok);
        }
        let heads: String = all.iter().map(|(_, line, fields)| head(line, fields)).collect();
        assert_eq!(String::from_utf8_lossy(&world.net.written(0)), heads);
        assert_eq!(String::from_utf8_lossy(&world.net.written(1)), head("GET /", "Accept: */*"));
    }
}
