//! The states a request passes, exactly, for good ends and each kind of bad one.

use std::time::Duration;

use super::harness::{bytes, get, moved, ok, post, server, states, World, HEADED, PLAIN, SEEDS, URL};
use crate::client::questions::SpawnKind;
use crate::client::request::Stop;
use crate::client::{Decision, Phase, RequestConfig, Status};
use crate::net::scripted::{Lookup, Op, Plan as Wire};
use crate::net::{LookupError, NetErrorKind};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Goal: the plain course, over an address and over a name. Method: every order of tasks that the seeds give.
#[test]
fn plain() {
    for seed in SEEDS {
        let mut world = World::new(seed);
        world.net.name("a.test", Lookup::After(7, Box::new(Lookup::Addresses(vec!["10.0.0.2:0".parse().unwrap()]))));
        for (url, host) in [(URL, "10.0.0.1"), ("http://a.test/", "a.test")] {
            world.script(vec![Op::ExpectWrite(10), Op::AdvanceMs(5), ok("hello")]);
            let outcome = world.get(url);
            assert_eq!((outcome.status, &outcome.states[..], &outcome.body[..]), (Status::Ok, PLAIN, &b"hello"[..]));
            assert_eq!(outcome.info.http_status, 200);
            let index = world.net.opened().len() - 1;
            let head = format!("GET / HTTP/1.1\r\nHost: {host}\r\nAccept: */*\r\n\r\n");
            assert_eq!(String::from_utf8(world.net.written(index)).unwrap(), head);
            world.settle();
        }
        assert_eq!(world.net.looked_up(), ["a.test"]);
    }
}

/// Goal: interim responses are told and do not end the request.
#[test]
fn interim_responses() {
    let early = "HTTP/1.1 103 Early\r\nLink: </a>\r\n\r\nHTTP/1.1 102 P\r\n\r\n";
    let whole = format!("{early}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    for cut in 1..whole.len() {
        let mut world = World::new(cut as u64);
        world.script(vec![bytes(&whole[..cut]), Op::WouldBlock, bytes(&whole[cut..])]);
        let outcome = world.get(URL);
        let states = format!("{HEADED} intro headers intro headers body done");
        assert_eq!((outcome.states, &outcome.body[..]), (states, &b"hi"[..]), "{cut}");
        assert_eq!(outcome.info.interim_count, 2);
    }
}

/// Goal: what fails before a connection stands.
#[test]
fn failures_before_the_connection() {
    type Prepare = fn(&World);
    let cases: [(Prepare, &str, Status, Phase, u64); 9] = [
        (|_| {}, "http://nowhere.test/", Status::NameNotFound, Phase::Resolve, 0),
        (
            |w| w.net.name("a.test", Lookup::Error(LookupError::Failed("x".into()))),
            "http://a.test/",
            Status::NameFailed,
            Phase::Resolve,
            0,
        ),
        (
            |w| w.net.name("a.test", Lookup::Addresses(Vec::new())),
            "http://a.test/",
            Status::NameNotFound,
            Phase::Resolve,
            0,
        ),
        (
            |w| w.net.name("a.test", Lookup::Error(LookupError::NoResolver)),
            "http://a.test/",
            Status::NoResolver,
            Phase::Resolve,
            0,
        ),
        (|w| w.net.name("a.test", Lookup::Never), "http://a.test/", Status::TimeoutResolve, Phase::Resolve, 10_000),
        (|w| w.net.plan(Wire::Refuse(3)), URL, Status::ConnectRefused, Phase::Connect, 3),
        (|w| w.net.plan(Wire::BlackHole), URL, Status::TimeoutConnect, Phase::Connect, 10_000),
        (|w| w.net.plan(Wire::Fail(NetErrorKind::Unreachable)), URL, Status::ConnectUnreachable, Phase::Connect, 0),
        (|w| w.net.plan(Wire::Fail(NetErrorKind::Exhausted)), URL, Status::NoDescriptors, Phase::Connect, 0),
    ];
    for seed in SEEDS {
        for (prepare, url, status, phase, took) in cases {
            let mut world = World::new(seed);
            prepare(&world);
            let outcome = world.get(url);
            assert_eq!((outcome.status, outcome.phase), (status, phase), "{}", outcome.text);
            assert_eq!(outcome.states, "init connecting error");
            assert_eq!(outcome.took, ms(took));
            world.settle();
        }
    }
}

/// Goal: a failed connect names its address, in the form that a URL has it.
#[test]
fn a_refused_address_is_named() {
    for (url, text) in [(URL, "10.0.0.1:80: connection refused"), ("http://[::1]:81/", "[::1]:81: connection refused")]
    {
        let mut world = World::new(0);
        world.net.plan(Wire::Refuse(1));
        assert_eq!(world.get(url).text, text);
        world.net.plan(Wire::Refuse(1));
        world.net.name("a.test", Lookup::Addresses(vec!["[::1]:0".parse().unwrap()]));
        assert_eq!(world.get("http://a.test:81/").text, "a.test: [::1]:81: connection refused");
    }
}

/// Goal: what a server can do wrong in its head. Method: each answer whole, then cut at every byte: status, trace and
/// text stay the same.
#[test]
fn bad_heads() {
    let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(200));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(9));
    let interims = "HTTP/1.1 100 Continue\r\n\r\n".repeat(4);
    let headed = |rest: &str| format!("HTTP/1.1 200 OK\r\n{rest}\r\n\r\n");
    let cases = [
        ("SSH-2.0-x\r\n".to_owned(), "intro", Status::NotHttp),
        ("\x16\x03\x01\x00\x05".to_owned(), "intro", Status::TlsOnPlainPort),
        ("\r\nHTTP/1.1 200 OK\r\n\r\n".to_owned(), "intro", Status::NotHttp),
        ("HTTP/2.0 200 OK\r\n\r\n".to_owned(), "intro", Status::NotHttp),
        ("HTTP/1.1 2x0 OK\r\n\r\n".to_owned(), "intro", Status::HeadMalformed),
        (headed("a b: c"), "intro headers", Status::HeadMalformed),
        (headed("a : c"), "intro headers", Status::HeadMalformed),
        (headed("Content-Length: 1\r\nContent-Length: 2"), "intro headers", Status::FramingConflict),
        (headed("Content-Length: 1\r\nTransfer-Encoding: chunked"), "intro headers", Status::FramingConflict),
        (headed("Transfer-Encoding: gzip"), "intro headers", Status::FramingConflict),
        ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(), "intro headers", Status::FramingConflict),
        (headed("Content-Length: -1"), "intro headers", Status::LengthMalformed),
        (headed("Content-Length: 99999999999999999999"), "intro headers", Status::LengthMalformed),
        ("HTTP/1.1 101 Switching\r\n\r\n".to_owned(), "intro headers", Status::UnaskedUpgrade),
        (long, "intro headers", Status::HeadTooLarge),
        (format!("HTTP/1.1 200 {}", "x".repeat(200)), "intro", Status::HeadTooLarge),
        (many, "intro headers", Status::TooManyHeaders),
        (interims, "intro headers intro headers intro headers intro headers", Status::TooManyInterim),
        ("HTTP/1.1 302 M\r\nLocation: ftp://x/\r\n\r\n".to_owned(), "intro headers", Status::BadRedirect),
        ("HTTP/1.1 302 M\r\nLocation: /a\r\nLocation: /b\r\n\r\n".to_owned(), "intro headers", Status::BadRedirect),
    ];
    for (answer, states, status) in cases {
        let mut first = None;
        for cut in 1..answer.len() {
            let mut world = World::new(cut as u64);
            let mut ops = vec![bytes(&answer[..cut]), Op::WouldBlock, bytes(&answer[cut..])];
            if cut % 2 == 0 {
                // A peer that gives up behind its nonsense does not hide it.
                ops.insert(0, Op::ExpectWrite(1));
                ops.push(Op::Reset);
            }
            world.script(ops);
            let limits = RequestConfig { head_bytes_max: 150, headers_max: 8, interim_max: 3, ..get(URL) };
            let outcome = world.run(limits);
            assert_eq!(outcome.status, status, "{answer:?} cut at {cut}: {}", outcome.text);
            assert_eq!(outcome.states, format!("init connecting sending {states} error"), "{answer:?} cut at {cut}");
            assert_eq!(outcome.text, *first.get_or_insert(outcome.text.clone()), "{answer:?} cut at {cut}");
            assert!(world.net.is_closed(0));
            world.settle();
        }
    }
}

/// Goal: an answer that ends early is never taken for a whole one. Method: each good answer, cut off at every byte.
#[test]
fn truncated_answers() {
    let by_length = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x\r\nhello\r\n0\r\nT: v\r\n\r\n";
    for answer in [by_length, chunked] {
        for end in [Op::Eof, Op::Reset] {
            let head = answer.find("\r\n\r\n").unwrap() + 4;
            let line = answer.find("\r\n").unwrap() + 2;
            for cut in 1..answer.len() {
                let mut world = World::new(cut as u64);
                world.script(vec![Op::ExpectWrite(1), bytes(&answer[..cut]), Op::WouldBlock, end.clone()]);
                let outcome = world.get(URL);
                let (states, status) = match cut {
                    _ if cut < line => ("intro error", Status::ConnectionLost),
                    _ if cut < head => ("intro headers error", Status::ConnectionLost),
                    _ if end == Op::Eof => ("intro headers body error", Status::BodyTruncated),
                    _ => ("intro headers body error", Status::ConnectionLost),
                };
                assert_eq!(outcome.status, status, "{cut} {end:?} {}", outcome.text);
                assert_eq!(outcome.states, format!("init connecting sending {states}"), "{cut} {end:?}");
                assert!(b"hello".starts_with(&outcome.body));
            }
        }
    }
}

/// Goal: each body arrives whole, however it is framed and cut. Method: cut at every byte, small reads and large.
#[test]
fn bodies_survive_every_cut() {
    let until_close = "HTTP/1.0 200 OK\r\n\r\nhello";
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x\r\nhello\r\n0\r\nT: v\r\n\r\n";
    for (answer, close) in [(until_close, true), (chunked, false)] {
        for cut in 1..answer.len() {
            for seed in [0, 1] {
                let mut world = World::new(seed);
                let mut ops = vec![bytes(&answer[..cut]), Op::WouldBlock, Op::AdvanceMs(1), bytes(&answer[cut..])];
                ops.extend(close.then_some(Op::Eof));
                world.script(ops);
                let outcome = world.get(URL);
                assert_eq!(
                    (&outcome.states[..], &outcome.body[..]),
                    (PLAIN, &b"hello"[..]),
                    "{answer} {cut} {seed} {}",
                    outcome.text
                );
                assert_eq!(world.context.pool.len(), usize::from(!close));
            }
        }
    }
}

/// Goal: each phase's own timeout, to the millisecond, with its number and its phase.
#[test]
fn timeouts_by_phase() {
    let limits = || RequestConfig {
        send_timeout: Some(ms(30)),
        first_byte_timeout: Some(ms(50)),
        idle_timeout: Some(ms(70)),
        ..post(URL, &[7; 100_000])
    };
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n";
    let cases = [
        // Progress restarts the clock.
        (vec![Op::AcceptWrite(500), Op::AdvanceMs(20), Op::AcceptWrite(500)], "", Status::TimeoutSend, Phase::Send, 50),
        (vec![Op::AdvanceMs(100)], " intro", Status::TimeoutFirstByte, Phase::FirstByte, 50),
        // An interim response does not.
        (
            vec![Op::AdvanceMs(20), bytes("HTTP/1.1 100 C\r\n\r\n")],
            " intro headers intro",
            Status::TimeoutFirstByte,
            Phase::FirstByte,
            50,
        ),
        (vec![Op::AdvanceMs(20), bytes(&head[..20])], " intro headers", Status::TimeoutFirstByte, Phase::FirstByte, 50),
        (
            vec![bytes(head), Op::AdvanceMs(60), bytes("1"), Op::AdvanceMs(60), bytes("2")],
            " intro headers body",
            Status::TimeoutIdle,
            Phase::Body,
            190,
        ),
    ];
    for (ops, states, status, phase, took) in cases {
        for seed in SEEDS {
            let mut world = World::new(seed);
            let mut ops = ops.clone();
            if status != Status::TimeoutSend {
                ops.insert(0, Op::ExpectWrite(100_000));
            }
            world.script(ops);
            let outcome = world.run(limits());
            assert_eq!(
                (outcome.status, outcome.phase, outcome.took),
                (status, phase, ms(took)),
                "{} {seed}",
                outcome.states
            );
            assert_eq!(outcome.states, format!("init connecting sending{states} error"));
            assert_eq!(outcome.text, format!("10.0.0.1: {}", status.message()));
            world.settle();
        }
    }
}

/// A request that stands still in each of its phases, and that phase.
fn stalled(phase: Phase, world: &mut World) -> RequestConfig<'static> {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx";
    match phase {
        Phase::Resolve => {
            world.net.name("a.test", Lookup::Never);
            return get("http://a.test/");
        }
        Phase::Connect => world.net.plan(Wire::BlackHole),
        Phase::Send => world.script(vec![Op::AcceptWrite(9)]),
        Phase::FirstByte => world.script(vec![]),
        Phase::Body => world.script(vec![bytes(head)]),
        _ => {
            world.net.plan(server(vec![vec![moved(302, "/", "")], vec![bytes(head)]]));
        }
    }
    get(URL)
}

const STALLS: [(Phase, &str); 6] = [
    (Phase::Resolve, "init connecting"),
    (Phase::Connect, "init connecting"),
    (Phase::Send, "init connecting sending"),
    (Phase::FirstByte, "init connecting sending intro"),
    (Phase::Body, "init connecting sending intro headers body"),
    (Phase::Redirect, "init connecting sending intro headers redirect init connecting sending intro headers body"),
];

/// Goal: the total time ends a request wherever it is, to the millisecond, and says where it was.
#[test]
fn the_total_time_in_each_phase() {
    for seed in SEEDS {
        for (phase, states) in STALLS {
            let mut world = World::new(seed);
            let config = stalled(phase, &mut world);
            let outcome = world.run(RequestConfig { total_timeout: Some(ms(500)), ..config });
            assert_eq!((outcome.status, outcome.took), (Status::TimeoutTotal, ms(500)));
            assert_eq!(outcome.states, format!("{states} error"));
            let phase = match phase {
                Phase::Resolve => Phase::Connect,
                Phase::Redirect => Phase::Body,
                other => other,
            };
            assert_eq!(outcome.phase, phase);
            world.settle();
        }
    }
}

/// Goal: cancel, shutdown and free end a request at once wherever it is, and leave no task and no open connection.
#[test]
fn stops_in_each_phase() {
    let stops = [(Stop::Cancelled, Status::Cancelled), (Stop::Shutdown, Status::Shutdown)];
    for (stop, status) in stops.into_iter().chain([(Stop::Freed, Status::Cancelled)]) {
        for seed in SEEDS {
            for (phase, states) in STALLS {
                let mut world = World::new(seed);
                let config = stalled(phase, &mut world);
                let shared = world.start(config);
                let outcome = world.stop_after(&shared, ms(300), stop);
                assert_eq!(outcome.status, status);
                assert_eq!(outcome.states, format!("{states} error"));
                let phase = match phase {
                    Phase::Resolve => Phase::Connect,
                    Phase::Redirect => Phase::Body,
                    other => other,
                };
                assert_eq!(outcome.phase, phase, "{stop:?} {seed}");
                world.settle();
                assert!((0..world.net.opened().len()).all(|index| world.net.is_closed(index)));
            }
        }
    }
}

/// Goal: a request stopped before its first step does nothing at all.
#[test]
fn stopped_before_it_began() {
    let mut world = World::new(0);
    let shared = world.start(get(URL));
    let outcome = world.stop_after(&shared, Duration::ZERO, Stop::Cancelled);
    assert!(outcome.states.ends_with("error"));
    let shared = world.start(get(URL));
    shared.request_stop(Stop::Cancelled);
    assert_eq!(world.finish(&shared).states, "init error");
}

/// Goal: what TLS would say in a build without it.
#[test]
fn no_tls() {
    let mut world = World::new(0);
    world.script(vec![]);
    let outcome = world.get("https://10.0.0.1/");
    assert_eq!((outcome.status, outcome.phase), (Status::TlsUnavailable, Phase::Tls));
    assert_eq!(outcome.states, "init connecting tls error");
}

/// Goal: a denied redirect is the answer, with its body; denied by callback and by id.
#[test]
fn a_denied_redirect() {
    for seed in SEEDS {
        for by_id in [false, true] {
            let mut world = World::asking(seed, SpawnKind::Redirect as u32);
            world.script(vec![moved(302, "/next", "body"), Op::AdvanceMs(9)]);
            let callback: crate::client::SpawnCallback = Box::new(|info, _| {
                assert_eq!((info.http_status, &*info.text), (302, "http://10.0.0.1/next"));
                Decision::Deny
            });
            world.acts = Box::new(move |host| {
                if !by_id {
                    host.desk.pump(Some(&callback), |_| panic!("it was answered"));
                    return;
                }
                host.desk.pump(None, |_| {});
                while let Some(info) = host.desk.next() {
                    assert_eq!(host.desk.decide(info.spawn_id, Decision::Later).err(), Some(Status::Decision));
                    assert!(host.desk.decide(info.spawn_id, Decision::Deny).unwrap().is_none());
                    assert_eq!(host.desk.decide(info.spawn_id, Decision::Run).err(), Some(Status::NoSpawn));
                }
            });
            let outcome = world.get(URL);
            assert_eq!(outcome.states, format!("{HEADED} redirect body done"));
            assert_eq!((outcome.info.http_status, outcome.info.body_total), (302, Some(4)));
            assert_eq!((&outcome.body[..], outcome.info.hops), (&b"body"[..], 0));
            // Its connection serves again.
            assert_eq!(world.context.pool.len(), 1);
            world.settle();
        }
    }
}

/// Goal: after the end there is one terminal event, and nothing moves any more.
#[test]
fn one_terminal_event() {
    let mut world = World::new(0);
    world.script(vec![ok("x")]);
    let outcome = world.get(URL);
    let mut terminal = 0;
    while let Some(event) = world.host.next_event() {
        terminal += usize::from(event.flags & crate::client::event_flags::DONE != 0);
    }
    assert_eq!(terminal, 1);
    outcome.shared.request_stop(Stop::Cancelled);
    world.settle();
    assert_eq!(states(&outcome.shared), PLAIN);
    assert!(world.host.next_event().is_none());
}
