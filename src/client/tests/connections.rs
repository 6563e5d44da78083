//! Connections: which are kept, which are trusted again, and the race for a new one.

use std::net::SocketAddr;
use std::time::Duration;

use super::harness::{bytes, get, ok, post, server, Setup, World, PLAIN, SEEDS, URL};
use crate::client::{RequestConfig, Status};
use crate::net::scripted::{Lookup, Op, Plan as Wire};
use crate::valtron::time::Instant;

/// Goal: a whole answer leaves its connection for the next request, whatever frames the body.
#[test]
fn reuse() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n";
    let answers = [
        ok("x"),
        bytes(chunked),
        bytes("HTTP/1.1 204 N\r\n\r\n"),
        bytes("HTTP/1.1 304 N\r\nContent-Length: 9\r\n\r\n"),
    ];
    for seed in SEEDS {
        let mut world = World::new(seed);
        world.net.plan(server(answers.iter().cloned().map(|answer| vec![answer]).collect()));
        for at in 0..answers.len() {
            let outcome = world.get(URL);
            assert_eq!((outcome.status, &outcome.states[..]), (Status::Ok, PLAIN));
            assert_eq!((outcome.info.connection_reused, world.context.pool.len()), (at > 0, 1));
        }
        assert_eq!(world.net.opened().len(), 1);
        // Another origin is another connection.
        world.script(vec![ok("x")]);
        assert!(!world.get("http://10.0.0.1:81/").info.connection_reused);
    }
}

/// Goal: what may not be kept is closed at once, and the next request opens anew.
#[test]
fn not_kept() {
    let close = "HTTP/1.1 200 OK\r\nConnection: keep-alive, Close\r\nContent-Length: 1\r\n\r\nx";
    let old = "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx";
    let asked = RequestConfig { headers: vec![(b"Connection".to_vec(), b"close".to_vec())], ..get(URL) };
    let cases = [
        (get(URL), vec![bytes(close)]),
        (get(URL), vec![bytes(old)]),
        (asked, vec![ok("x")]),
        // Bytes behind the answer, with it and after it.
        (get(URL), vec![ok("x"), ok("evil")]),
        (get(URL), vec![ok("x"), Op::WouldBlock, ok("evil")]),
        (get(URL), vec![ok("x"), Op::AdvanceMs(1), ok("evil")]),
        (get(URL), vec![ok("x"), Op::Eof]),
        (get(URL), vec![ok("x"), Op::AdvanceMs(1), Op::Eof]),
        (get(URL), vec![ok("x"), Op::AdvanceMs(1), Op::Reset]),
    ];
    for seed in SEEDS {
        for (config, answer) in &cases {
            let mut world = World::new(seed);
            world.net.plan(server(vec![answer.clone(), vec![ok("y")]]));
            world.net.plan(server(vec![vec![ok("y")]]));
            assert_eq!(&world.run(config.clone()).body, b"x");
            world.settle();
            assert!(world.net.is_closed(0), "{answer:?}");
            let outcome = world.get(URL);
            assert_eq!((outcome.status, &outcome.body[..]), (Status::Ok, &b"y"[..]));
            assert_eq!((outcome.info.connection_reused, world.net.opened().len()), (false, 2));
        }
    }
}

/// Goal: idle connections grow old, and no more are kept than allowed.
#[test]
fn bounds_of_the_pool() {
    for seed in SEEDS {
        let idle_timeout = Some(Duration::from_secs(5));
        let mut world = World::with(Setup { seed, idle_max: 2, idle_timeout, ..Setup::default() });
        for last in 1..=3 {
            world.script(vec![ok("x")]);
            world.get(&format!("http://10.0.0.{last}/"));
            world.sim.advance(Duration::from_secs(1));
        }
        assert_eq!(world.context.pool.len(), 2);
        assert!(world.net.is_closed(0) && !world.net.is_closed(1));
        world.sim.advance(Duration::from_millis(3_500));
        assert!(world.net.is_closed(1) && !world.net.is_closed(2));
        world.sim.advance(Duration::from_secs(1));
        assert!(world.net.is_closed(2) && world.context.pool.is_empty());
        assert_eq!(world.sim.executor().task_count(), 0);
        let mut world = World::with(Setup { seed, idle_max: 0, ..Setup::default() });
        world.script(vec![ok("x")]);
        world.get(URL);
        assert!(world.net.is_closed(0));
    }
}

/// Goal: to close an idle connection nobody looks through the others to the same origin, whoever closes it: the pool
/// that is full, the peer, or time. Method: count what is looked at, of many that go each way.
#[test]
fn an_end_is_no_search() {
    const MANY: usize = 240;
    let idle_timeout = Some(Duration::from_secs(5));
    let mut world = World::with(Setup { idle_max: MANY / 2, idle_timeout, ..Setup::default() });
    let mut all = Vec::new();
    for at in 0..MANY {
        // Every other one is closed by its peer.
        let end = if at % 2 == 0 { vec![Op::AdvanceMs(1_000), Op::Eof] } else { Vec::new() };
        world.script([vec![ok("x")], end].concat());
        all.push(world.start(get(URL)));
    }
    world.sim.advance(Duration::from_millis(10));
    assert_eq!((all.iter().filter(|one| one.is_terminal()).count(), world.context.pool.len()), (MANY, MANY / 2));
    world.sim.advance(Duration::from_millis(1_500));
    assert!((1..MANY / 2).contains(&world.context.pool.len()));
    world.sim.advance(Duration::from_secs(10));
    assert!(world.context.pool.is_empty());
    assert!(world.context.pool.looked_at() <= 3 * MANY, "{} for {MANY}", world.context.pool.looked_at());
}

/// Goal: many connections that grow old or die at once are closed step by step, few at a time: the steps of a poll are
/// short. Method: one turn after another, in which only the pool has something to do.
#[test]
fn many_ends_take_many_steps() {
    const MANY: usize = 50;
    for dies in [false, true] {
        let idle_timeout = Some(Duration::from_secs(5));
        let mut world = World::with(Setup { idle_max: MANY, idle_timeout, ..Setup::default() });
        let mut all = Vec::new();
        for _ in 0..MANY {
            let end = if dies { vec![Op::AdvanceMs(1_000), Op::Eof] } else { Vec::new() };
            world.script([vec![ok("x")], end].concat());
            all.push(world.start(get(URL)));
        }
        world.sim.advance(Duration::from_millis(10));
        assert_eq!((all.iter().filter(|one| one.is_terminal()).count(), world.context.pool.len()), (MANY, MANY));
        let time = if dies { 1_000 } else { 5_000 };
        world.sim.clock().set(Instant::default().after(Duration::from_millis(time)));
        let (mut turns, mut most) = (0, 0);
        while !world.context.pool.is_empty() {
            let before = world.context.pool.len();
            world.sim.executor().run_once(Duration::ZERO);
            most = most.max(before - world.context.pool.len());
            turns += 1;
            assert!(turns < 3 * MANY);
        }
        assert!((1..=8).contains(&most), "{most} at once, dies: {dies}");
        world.sim.advance(Duration::from_millis(10));
        assert_eq!(world.sim.executor().task_count(), 0);
    }
}

/// Goal: a request that finds many connections too old closes none of them itself: they are closed few at a time.
/// Method: one turn after another, from a time at which all are too old and nobody has looked yet.
#[test]
fn a_request_leaves_old_connections_to_the_pool() {
    const MANY: usize = 50;
    for seed in SEEDS {
        let idle_timeout = Some(Duration::from_secs(5));
        let mut world = World::with(Setup { seed, idle_max: MANY, idle_timeout, ..Setup::default() });
        for _ in 0..MANY {
            world.script(vec![ok("x")]);
            world.start(get(URL));
        }
        world.sim.advance(Duration::from_millis(10));
        assert_eq!(world.context.pool.len(), MANY);
        world.sim.clock().set(Instant::default().after(Duration::from_secs(6)));
        world.script(vec![Op::AdvanceMs(1_000), ok("y")]);
        let request = world.start(get(URL));
        for _ in 0..3 * MANY {
            let before = world.context.pool.len();
            let turn = world.sim.executor().run_once(Duration::ZERO);
            let closed = before - world.context.pool.len();
            assert!(closed <= 8 * turn.polls as usize, "{closed} in {} steps", turn.polls);
        }
        assert!(world.context.pool.is_empty());
        assert_eq!(&world.finish(&request).body[..], b"y");
    }
}

/// Goal: a reused connection that dies under a request: GET goes again once, POST does not, and what never went out
/// always goes. Method: the peer dies before it takes a byte, after it took some, or after all.
#[test]
fn death_of_a_reused_connection() {
    let again = "init connecting sending intro connecting sending intro headers body done";
    let gone = "init connecting sending intro error";
    let retried = "init connecting sending connecting sending intro headers body done";
    for seed in SEEDS {
        for end in [Op::Eof, Op::Reset] {
            for (config, states, connections) in
                [(get(URL), again, 2), (post(URL, b"data"), gone, 1), (post(URL, b""), gone, 1)]
            {
                let mut world = World::new(seed);
                let mut turns = 0;
                let end = end.clone();
                world.net.plan(Wire::Server(Box::new(move |received: &[u8]| {
                    turns += usize::from(!received.is_empty());
                    match (turns, received.is_empty()) {
                        (_, true) => Vec::new(),
                        (1, _) => vec![ok("x")],
                        _ => vec![Op::AdvanceMs(3), end.clone()],
                    }
                })));
                for _ in 0..2 {
                    world.net.plan(server(vec![vec![ok("y")]]));
                }
                world.get(URL);
                let outcome = world.run(config);
                assert_eq!(outcome.states, states);
                let counted = world.host.connections_reused.load(std::sync::atomic::Ordering::Relaxed);
                assert_eq!(counted, u64::from(connections == 1), "one that was dead served nobody");
                assert_eq!(outcome.status == Status::Ok, connections == 2);
                assert_eq!(world.net.opened().len(), connections);
                world.settle();
            }
            // Nothing went out: the socket takes no byte, then it dies.
            let mut world = World::new(seed);
            let full = get(URL);
            let first = "GET / HTTP/1.1\r\nHost: 10.0.0.1\r\nAccept: */*\r\n\r\n".len();
            world.script(vec![Op::AcceptWrite(first), Op::ExpectWrite(first), ok("x"), Op::AdvanceMs(10), end.clone()]);
            world.net.plan(Wire::Server(Box::new(|received: &[u8]| match received.ends_with(b"data") {
                true => vec![ok("y")],
                false => Vec::new(),
            })));
            world.run(full);
            assert_eq!(world.net.written(0).len(), first, "the first request fills the window exactly");
            let outcome = world.run(post(URL, b"data"));
            assert_eq!((outcome.status, &outcome.body[..]), (Status::Ok, &b"y"[..]), "{}", outcome.states);
            assert!(outcome.states == retried || outcome.states == again, "{}", outcome.states);
        }
        // Twice dead is dead: the second connection is new.
        let mut world = World::new(seed);
        world.net.plan(server(vec![vec![ok("x")], vec![Op::Eof]]));
        world.net.plan(server(vec![vec![Op::Eof]]));
        world.net.plan(server(vec![vec![ok("y")]]));
        world.get(URL);
        assert_eq!(world.get(URL).status, Status::ConnectionLost);
        assert_eq!(world.net.opened().len(), 2);
        // A byte of an answer: it was alive.
        let mut world = World::new(seed);
        world.net.plan(server(vec![vec![ok("x")], vec![bytes("H"), Op::Eof]]));
        world.get(URL);
        assert_eq!(world.get(URL).status, Status::ConnectionLost);
        assert_eq!(world.net.opened().len(), 1);
    }
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// Goal: RFC 8305: families take turns, a silent address gets 250 ms, a refusing one none, and the first failure is
/// the one told.
#[test]
fn happy_eyeballs() {
    let (a6, b6, a4, b4) = ("[2001:db8::1]:80", "[2001:db8::2]:80", "192.0.2.1:80", "192.0.2.2:80");
    let refuse = |ms| Wire::Refuse(ms);
    let good = || Wire::Script(vec![ok("x")]);
    let hole = || Wire::BlackHole;
    let late = |ms| Wire::After(ms, Box::new(Wire::Script(vec![ok("x")])));
    type Plans = Vec<(&'static str, Wire)>;
    let cases = || -> Vec<(Plans, Status, u64, Vec<&'static str>)> {
        vec![
            (vec![(a6, hole()), (a4, good())], Status::Ok, 250, vec![a6, a4]),
            (vec![(a6, refuse(0)), (a4, good())], Status::Ok, 0, vec![a6, a4]),
            (vec![(a6, refuse(30)), (a4, good())], Status::Ok, 30, vec![a6, a4]),
            (vec![(a6, late(300)), (a4, hole())], Status::Ok, 300, vec![a6, a4]),
            (vec![(a6, hole()), (a4, hole()), (b6, late(40))], Status::Ok, 540, vec![a6, a4, b6]),
            (vec![(a6, hole()), (a4, refuse(10)), (b6, good())], Status::Ok, 260, vec![a6, a4, b6]),
            (
                vec![(a6, refuse(5)), (a4, Wire::Fail(crate::net::NetErrorKind::Unreachable)), (b6, refuse(5))],
                Status::ConnectRefused,
                15,
                vec![a6, b6, b4],
            ),
            (
                vec![(a6, Wire::Fail(crate::net::NetErrorKind::Unreachable)), (a4, refuse(5)), (b6, refuse(5))],
                Status::ConnectUnreachable,
                15,
                vec![a4, b6, b4],
            ),
            (
                vec![(a6, hole()), (a4, hole()), (b6, hole()), (b4, hole())],
                Status::TimeoutConnect,
                10_000,
                vec![a6, a4, b6, b4],
            ),
        ]
    };
    for seed in SEEDS {
        for (plans, status, took, opened) in cases() {
            let mut world = World::new(seed);
            let list = [a6, b6, a4, b4].map(address).to_vec();
            world.net.name("a.test", Lookup::Addresses(list));
            for (at, plan) in plans {
                world.net.plan_for(address(at), plan);
            }
            world.net.plan_for(address(b4), Wire::Refuse(5));
            let outcome = world.get("http://a.test/");
            assert_eq!(outcome.status, status, "{}", outcome.text);
            assert_eq!(outcome.took, Duration::from_millis(took), "{status:?}");
            let tried: Vec<_> = world.net.opened();
            let opened: Vec<_> = opened.into_iter().map(address).collect();
            // An attempt that failed in the call itself never opened.
            let tried: Vec<_> = tried.into_iter().filter(|one| opened.contains(one)).collect();
            assert_eq!(tried, opened);
            world.settle();
            let left = (0..world.net.opened().len()).filter(|index| !world.net.is_closed(*index)).count();
            assert_eq!(left, usize::from(status == Status::Ok), "the losers are closed");
        }
    }
}
