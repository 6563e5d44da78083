//! A thread of the host that looks at a request again and again does not make its tasks wait, and changes nothing.

use std::time::Duration;

use super::harness::{bytes, get, moved, ok, server, World, SEEDS, URL};
use crate::client::host_side::event_flags;
use crate::client::{HeadKind, RequestConfig, Status};
use crate::net::scripted::Op;

/// Goal: whatever comes is told whole and in order, however often the host has the lock when it comes; and no task
/// waits for the lock. Method: the same answers without, with a host that has it through most turns, on the thread that
/// runs the tasks (who waited would wait for ever), and with one that has it at most looks.
#[test]
fn a_held_lock_changes_nothing() {
    let long: String = (0..60_000).map(|n| char::from(b'a' + (n % 23) as u8)).collect();
    let chunked = format!(
        "HTTP/1.1 103 E\r\nX: y\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{long}\r\n\
         0\r\nT: u\r\n\r\n",
        long.len()
    );
    let cut = |text: &str| text.as_bytes().chunks(9_999).flat_map(|part| [bytes(part), Op::WouldBlock]).collect();
    let small = RequestConfig { body_buffer_bytes: Some(1_000), ..get(URL) };
    let cases: Vec<(RequestConfig, Vec<Vec<Op>>)> = vec![
        (get(URL), vec![vec![ok("x")]]),
        (get(URL), vec![vec![ok(&long)]]),
        (small.clone(), vec![vec![ok(&long)]]),
        (small, vec![cut(&chunked)]),
        (get(URL), vec![cut(&chunked)]),
        (get(URL), vec![vec![moved(302, "/b", "away")], vec![moved(307, "/c", "")], vec![ok("there")]]),
        (get(URL), vec![vec![bytes(format!("HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n{long}")), Op::Eof]]),
        (get(URL), vec![vec![bytes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nz")]]),
        (get(URL), vec![vec![bytes("HTTP/1.1 200 OK\r\nA : b\r\n\r\n")]]),
    ];
    for seed in SEEDS {
        for (at, (config, answers)) in cases.iter().enumerate() {
            let [free, held, busy] = [(0, 0), (2, 0), (0, 2)].map(|(held, busy)| {
                let mut world = World::new(seed);
                world.held = held;
                world.net.plan(server(answers.clone()));
                let request = world.start(config.clone());
                request.set_busy(busy);
                let outcome = world.finish(&request);
                let event = world.host.next_event().expect("an event");
                assert_eq!(world.host.next_event(), None);
                assert!(event.flags & event_flags::DONE != 0);
                world.settle();
                let heads =
                    [HeadKind::Final, HeadKind::Trailers, HeadKind::Interim(0), HeadKind::Hop(0), HeadKind::Hop(1)]
                        .map(|kind| outcome.shared.head(kind).map(|head| (head.status, head.url.clone())));
                let info = outcome.info;
                let counts = (info.hops, info.interim_count, info.body_received, info.body_total, event.flags);
                (outcome.states, outcome.text, outcome.body, heads, counts, outcome.shared.url())
            });
            for other in [held, busy] {
                let seen = |outcome: &(_, _, _, _, _, _)| format!("{:?} {:?} {:?}", outcome.0, outcome.3, outcome.4);
                assert!(free == other, "seed {seed}, case {at}:\n{}\n{}", seen(&free), seen(&other));
            }
        }
    }
}

/// Goal: a task that finds the host at the lock waits until it has left, however long that takes, and does not look
/// again meanwhile. Method: a host that has it for a second, at any moment of a request's life, and at its end.
#[test]
fn a_held_lock_costs_no_polls() {
    let answer = || {
        vec![
            Op::AdvanceMs(5),
            bytes("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n"),
            Op::AdvanceMs(5),
            bytes("abc"),
            Op::AdvanceMs(5),
            bytes("def"),
        ]
    };
    for seed in SEEDS {
        for at in 0..20 {
            let mut world = World::new(seed);
            world.net.plan(server(vec![answer()]));
            let request = world.start(get(URL));
            world.sim.advance(Duration::from_millis(at));
            let polls = {
                let _held = request.hold();
                let before = request.polls();
                world.sim.advance(Duration::from_secs(1));
                request.polls() - before
            };
            assert!(polls <= 4, "{polls} polls after {at} ms");
            let outcome = world.finish(&request);
            assert_eq!((outcome.status, &outcome.body[..]), (Status::Ok, &b"abcdef"[..]), "{}", outcome.text);
        }
    }
}

/// Goal: a body is whole also if the host had the lock when its first bytes came, or when nothing came: that leaves no
/// hole in its buffer. Method: a body of several pieces of memory in small parts, read at its end; the host is at
/// the lock again and again, from the start or some part on, for one part or until the end.
#[test]
fn what_comes_late_leaves_no_hole() {
    let body = "0123456789".repeat(25_000);
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    for seed in SEEDS {
        for (busy, after, briefly) in (0..24u32).map(|case| (case % 2 + 1, case / 4, case / 2 % 2 == 1)) {
            let mut world = World::new(seed);
            let (head, rest) = answer.as_bytes().split_at(answer.len() - body.len());
            let parts = std::iter::once(head).chain(rest.chunks(3_001));
            world.script(parts.flat_map(|part| [bytes(part), Op::AdvanceMs(1)]).collect());
            let request = world.start(get(URL));
            world.sim.advance(Duration::from_millis(after.into()));
            request.set_busy(busy);
            if briefly {
                world.sim.advance(Duration::from_millis(1));
                request.set_busy(0);
            }
            world.sim.advance(Duration::from_secs(1));
            assert!(request.is_terminal());
            let mut seen = vec![0; body.len() + 1];
            let count = request.read(&mut seen);
            assert_eq!(count, Ok(body.len()), "seed {seed}, {busy} of 3 after {after} ms, briefly: {briefly}");
            assert!(seen.starts_with(body.as_bytes()));
        }
    }
}

/// Goal: a host that is at the lock when a phase's time is over costs the peer nothing that it sent in time; one that
/// sent nothing has still run out of it, and the request's own time runs in any case. Method: hold the lock past the
/// timeout.
#[test]
fn a_held_lock_is_not_the_peers_delay() {
    let limit = Some(Duration::from_millis(100));
    for seed in SEEDS {
        for (rest, total, expected) in [
            (Some("cdef"), None, Status::Ok),
            (None, None, Status::TimeoutIdle),
            (Some("cdef"), limit, Status::TimeoutTotal),
        ] {
            let mut world = World::new(seed);
            let mut ops = vec![bytes("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nab"), Op::AdvanceMs(50)];
            ops.extend(rest.map(bytes));
            world.script(ops);
            let request = world.start(RequestConfig { idle_timeout: limit, total_timeout: total, ..get(URL) });
            world.sim.advance(Duration::from_millis(20));
            let held = request.hold();
            world.sim.advance(Duration::from_secs(1));
            drop(held);
            assert_eq!(world.finish(&request).status, expected, "seed {seed}");
        }
    }
}
