//! Redirects over the wire: what is sent where, how far they go, what becomes of connections.

use std::time::Duration;

use super::harness::{bytes, get, moved, ok, post, server, World, HEADED, SEEDS, URL};
use crate::client::questions::SpawnKind;
use crate::client::request::{HeadKind, Stop};
use crate::client::{Decision, Phase, RequestConfig, Status};
use crate::net::scripted::{Op, Plan as Wire};

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("text")
}

/// Goal: which method and body follow which status, as written. Method: 3xx on one connection, the rest on another.
#[test]
fn methods_and_bodies() {
    for (status, method, next, body) in [
        (301, "POST", "GET", ""),
        (302, "POST", "GET", ""),
        (303, "POST", "GET", ""),
        (303, "PUT", "GET", ""),
        (302, "PUT", "PUT", "data"),
        (307, "POST", "POST", "data"),
        (308, "PATCH", "PATCH", "data"),
    ] {
        for seed in SEEDS {
            let mut world = World::new(seed);
            world.script(vec![Op::ExpectWrite(1), moved(status, "http://10.0.0.2/b", "")]);
            world.script(vec![Op::ExpectWrite(1), ok("x")]);
            let mut config = RequestConfig { method: method.to_owned().into(), ..post(URL, b"data") };
            for (name, value) in [("Authorization", "s"), ("Cookie", "s"), ("Content-Type", "t"), ("X-Kept", "k")] {
                config.headers.push((name.into(), value.into()));
            }
            let outcome = world.run(config);
            assert_eq!(outcome.states, format!("{HEADED} redirect {HEADED} body done"));
            assert_eq!((outcome.info.hops, outcome.info.http_status, &outcome.body[..]), (1, 200, &b"x"[..]));
            assert_eq!(outcome.shared.head(HeadKind::Hop(0)).expect("a hop").status, status);
            let first = text(world.net.written(0));
            assert!(first.starts_with(&format!("{method} / HTTP/1.1\r\nHost: 10.0.0.1\r\n")), "{first}");
            assert!(first.contains("Authorization: s\r\n") && first.ends_with("\r\n\r\ndata"), "{first}");
            let second = text(world.net.written(1));
            assert!(second.starts_with(&format!("{next} /b HTTP/1.1\r\nHost: 10.0.0.2\r\n")), "{second}");
            assert!(second.contains("X-Kept: k\r\n") && second.ends_with(&format!("\r\n\r\n{body}")), "{second}");
            assert_eq!(second.contains("Content-Type"), !body.is_empty(), "{second}");
            assert!(!second.contains("Authorization") && !second.contains("Cookie"), "{second}");
            world.settle();
        }
    }
}

/// Goal: an error names the host that it came from, once, also when the request began with another. Method: the second
/// of two hosts refuses, answers nonsense, or ends too early.
#[test]
fn errors_name_the_host_they_came_from() {
    let nonsense = |bytes: &[u8]| Wire::Script(vec![Op::ExpectWrite(1), Op::Bytes(bytes.to_vec()), Op::Eof]);
    for (second, text) in [
        (Wire::Refuse(1), "10.0.0.2:80: connection refused"),
        (nonsense(b""), "10.0.0.2: the peer closed the connection without an answer"),
        // Its end comes together with it, before it was looked at.
        (nonsense(b"\x15\x03\x03\x00\x02\x02\x32"), "10.0.0.2: the peer speaks TLS on a plain-HTTP port"),
        (nonsense(b"x\r\n\r\n"), "10.0.0.2: the answer is not HTTP/1.x: byte 0 does not fit `HTTP/`"),
        (
            nonsense(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"),
            "10.0.0.2: the stream ended after 1 of 9 body bytes",
        ),
    ] {
        let mut world = World::new(0);
        world.script(vec![Op::ExpectWrite(1), moved(302, "http://10.0.0.2/b", "")]);
        world.net.plan(second);
        assert_eq!(world.get(URL).text, text);
        world.settle();
    }
}

/// Goal: the limit is ten; one more is an error, and none hands back the first 3xx.
#[test]
fn the_limit() {
    let hops = |count: usize| server((0..count).map(|at| vec![moved(302, &format!("/{at}"), "body")]).collect());
    for seed in SEEDS {
        let mut world = World::new(seed);
        world.net.plan(hops(11));
        let outcome = world.get(URL);
        assert_eq!((outcome.status, outcome.phase), (Status::TooManyRedirects, Phase::Redirect));
        assert_eq!(outcome.info.hops, 10);
        assert_eq!(outcome.states, format!("{}{HEADED} error", format!("{HEADED} redirect ").repeat(10)));
        assert_eq!(world.net.opened().len(), 1);
        world.settle();

        let mut world = World::new(seed);
        let mut answers: Vec<_> = (0..10).map(|at| vec![moved(302, &format!("/{at}"), "body")]).collect();
        answers.push(vec![ok("end")]);
        world.net.plan(server(answers));
        let outcome = world.get(URL);
        assert_eq!((outcome.status, &outcome.body[..], outcome.info.hops), (Status::Ok, &b"end"[..], 10));
        assert_eq!(&*outcome.shared.url(), "http://10.0.0.1/9");
        assert_eq!((world.net.opened().len(), world.context.pool.len()), (1, 1));
        world.settle();

        let mut world = World::new(seed);
        world.net.plan(hops(1));
        let outcome = world.run(RequestConfig { redirects_max: None, ..get(URL) });
        assert_eq!((outcome.status, outcome.info.http_status, &outcome.body[..]), (Status::Ok, 302, &b"body"[..]));
        assert_eq!(outcome.states, format!("{HEADED} body done"));
        let outcome = World::new(seed).run(RequestConfig { redirects_max: Some(0), ..get(URL) });
        assert_eq!(outcome.status, Status::ConnectRefused);
    }
}

/// Goal: a small body is read away and its connection serves the child; a large, slow or endless one costs its
/// connection and nothing else.
#[test]
fn bodies_of_redirects() {
    let large = "x".repeat(70_000);
    let slow =
        vec![bytes("HTTP/1.1 302 M\r\nLocation: /b\r\nContent-Length: 4\r\n\r\nbo"), Op::AdvanceMs(500), bytes("dy")];
    let late = vec![
        bytes("HTTP/1.1 302 M\r\nLocation: /b\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nbo\r\n"),
        Op::AdvanceMs(50),
        bytes("0\r\n\r\n"),
    ];
    let endless = vec![bytes("HTTP/1.1 302 M\r\nLocation: /b\r\n\r\nxx")];
    let broken = vec![bytes("HTTP/1.1 302 M\r\nLocation: /b\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")];
    let cut = vec![bytes("HTTP/1.1 302 M\r\nLocation: /b\r\nContent-Length: 9\r\n\r\nzz"), Op::Eof];
    let excess = vec![moved(302, "/b", ""), ok("not this")];
    let cases = [
        (vec![moved(302, "/b", "body")], 1, 0),
        (vec![moved(302, "/b", &large[..60_000])], 1, 0),
        (late, 1, 50),
        (vec![moved(302, "/b", &large)], 2, 0),
        (slow, 2, 100),
        (endless, 2, 0),
        (broken, 2, 0),
        (cut, 2, 0),
        (excess, 2, 0),
    ];
    for seed in SEEDS {
        for (answer, connections, took) in &cases {
            let mut world = World::new(seed);
            world.net.plan(server(vec![answer.clone(), vec![ok("end")]]));
            world.net.plan(server(vec![vec![ok("end")]]));
            let outcome = world.get(URL);
            assert_eq!((outcome.status, &outcome.body[..]), (Status::Ok, &b"end"[..]), "{answer:?}");
            assert_eq!(outcome.states, format!("{HEADED} redirect {HEADED} body done"));
            assert_eq!(world.net.opened().len(), *connections, "{answer:?}");
            assert_eq!(outcome.took.as_millis(), *took, "{answer:?}");
            assert_eq!(outcome.info.connection_reused, *connections == 1);
            world.settle();
        }
    }
}

/// Goal: the child's failure is the request's, once.
#[test]
fn a_failing_child() {
    for seed in SEEDS {
        let mut world = World::new(seed);
        world.script(vec![moved(302, "http://10.0.0.2/", "")]);
        world.net.plan(Wire::Refuse(5));
        let outcome = world.get(URL);
        assert_eq!((outcome.status, outcome.phase), (Status::ConnectRefused, Phase::Connect));
        assert_eq!(outcome.states, format!("{HEADED} redirect init connecting error"));
        world.settle();
    }
}

/// Goal: a redirect has no work to take: to take it is to let it run, at once.
#[test]
fn a_taken_redirect_runs() {
    for decision in [Decision::Take, Decision::Run] {
        for seed in SEEDS {
            let mut world = World::asking(seed, SpawnKind::Redirect as u32);
            world.net.plan(server(vec![vec![moved(302, "/b", "body")], vec![ok("end")]]));
            let callback: crate::client::SpawnCallback = Box::new(move |_, _| decision);
            world.acts = Box::new(move |host| {
                host.desk.pump(Some(&callback), |_| {});
            });
            let outcome = world.get(URL);
            assert_eq!((outcome.status, outcome.took.as_millis()), (Status::Ok, 0));
            assert_eq!(outcome.states, format!("{HEADED} redirect {HEADED} body done"));
            assert_eq!((world.net.opened().len(), world.host.desk.jobs_taken()), (1, 0));
            world.settle();
        }
    }
}

/// Goal: a question that nobody answers is a yes after its time.
#[test]
fn an_unanswered_redirect_runs() {
    for seed in SEEDS {
        let mut world = World::asking(seed, SpawnKind::Redirect as u32);
        world.net.plan(server(vec![vec![moved(302, "/b", "body")], vec![ok("end")]]));
        world.acts = Box::new(|host| {
            host.desk.pump(None, |_| {});
        });
        let outcome = world.get(URL);
        assert_eq!((outcome.status, outcome.took.as_millis()), (Status::Ok, 1_000));
        assert_eq!(world.host.desk.unpulled(), 0);
        world.settle();
    }
}

/// Goal: a redirect that the host thinks about, or whose body is read away, ends as any other phase does, and its child
/// with it.
#[test]
fn stops_while_redirecting() {
    let slow = vec![bytes("HTTP/1.1 302 M\r\nLocation: /b\r\nContent-Length: 4\r\n\r\nbo"), Op::AdvanceMs(500)];
    for seed in SEEDS {
        for ask in [0, SpawnKind::Redirect as u32] {
            for (stop, status) in [(Stop::Cancelled, Status::Cancelled), (Stop::Shutdown, Status::Shutdown)] {
                let mut world = World::asking(seed, ask);
                world.net.plan(server(vec![slow.clone()]));
                let shared = world.start(get(URL));
                let outcome = world.stop_after(&shared, Duration::from_millis(50), stop);
                assert_eq!((outcome.status, outcome.phase), (status, Phase::Redirect));
                assert_eq!(outcome.states, format!("{HEADED} redirect error"));
                world.settle();
                assert!(world.net.is_closed(0));
                assert_eq!(world.sim.executor().task_count(), 0);
            }
            let mut world = World::asking(seed, ask);
            world.net.plan(server(vec![slow.clone()]));
            let total_timeout = Some(Duration::from_millis(50));
            let outcome = world.run(RequestConfig { total_timeout, ..get(URL) });
            assert_eq!((outcome.status, outcome.phase), (Status::TimeoutTotal, Phase::Redirect));
            assert_eq!((outcome.took.as_millis(), &outcome.text[..9]), (50, "10.0.0.1:"));
            world.settle();
            assert_eq!(world.sim.executor().task_count(), 0);
        }
    }
}
