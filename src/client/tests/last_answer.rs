//! Answers that begin as the last one of their URL did.

use super::harness::{bytes, get, Outcome, World, SEEDS, URL};
use crate::client::{HeadKind, RequestConfig, Status};
use crate::net::scripted::Op;

/// Whole and broken ones; some begin alike, some end alike.
const ANSWERS: [&str; 16] = [
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nho",
    "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi!",
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: y\r\n\r\nhi",
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh",
    "HTTP/1.1 200 OK\r\n\r\nuntil the end",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nT: t\r\n\r\n",
    "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\nfolded",
    "HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 2\r\n\r\nhi",
    "HTTP/1.1 204 No Content\r\n\r\n",
    "HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 2\r\n\r\nhi",
    "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nhi",
    "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
    "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",
    "HTTP/1.1 101 Switching Protocols\r\n\r\n",
];

/// Its end shows only where its connection ends.
fn lasts(answer: &str) -> bool {
    answer.ends_with("until the end") || answer.ends_with("folded")
}

/// All that a host sees of it, but times and how often it was polled; and whether its connection was kept.
fn seen(world: &World, outcome: &Outcome) -> String {
    let head = outcome.shared.head(HeadKind::Final);
    let head = head.map(|head| (head.status, head.version_minor, head.url.clone(), head.block.clone(), head.reason));
    let interim = outcome.shared.head(HeadKind::Interim(0)).map(|head| head.block.clone());
    let trailers = outcome.shared.head(HeadKind::Trailers).map(|head| head.block.clone());
    let (info, times) = (&outcome.info, outcome.info.times.map(|time| time.is_some()));
    format!(
        "{} {:?} {:?} {} {:?} {head:?} {interim:?} {trailers:?} {} {} {:?} {times:?}, {} kept",
        outcome.states,
        outcome.status,
        outcome.phase,
        outcome.text,
        String::from_utf8_lossy(&outcome.body),
        info.http_status,
        info.http_minor,
        info.body_total,
        world.context.pool.len(),
    )
}

/// One request over a connection of its own, of whose body the peer takes so much.
fn ask(world: &mut World, config: RequestConfig<'_>, answer: &str, cut: usize) -> Outcome {
    world.context.pool.clear();
    let (first, second) = answer.split_at(cut.min(answer.len()));
    let window = if config.body.is_some() { vec![Op::AcceptWrite(1_000), Op::ExpectWrite(1_000)] } else { Vec::new() };
    let pieces = [bytes(first), Op::WouldBlock, bytes(second)];
    let pieces = pieces.into_iter().filter(|op| !matches!(op, Op::Bytes(none) if none.is_empty()));
    // One that is cut short is no good without an end either.
    let end = lasts(answer) || [ANSWERS[4], ANSWERS[5]].contains(&answer) || config.method == "HEAD";
    world.script(window.into_iter().chain(pieces).chain(end.then_some(Op::Eof)).collect());
    world.run(config)
}

/// Goal: what a URL answered before shows in nothing that a host sees of its next answer, nor in what becomes of the
/// connection. Method: each answer after each other, whole and in pieces, under GET, HEAD, tighter limits, a wish to
/// close, and an upload that the peer does not wait for, beside the same in a world without a past.
#[test]
fn the_past_does_not_show() {
    let plain = RequestConfig { redirects_max: None, ..get(URL) };
    let configs = [
        plain.clone(),
        RequestConfig { method: "HEAD".into(), ..plain.clone() },
        RequestConfig { headers_max: 1, ..plain.clone() },
        RequestConfig { head_bytes_max: 36, ..plain.clone() },
        RequestConfig { headers: vec![(b"Connection".to_vec(), b"close".to_vec())], ..plain.clone() },
        RequestConfig { body: Some(std::sync::Arc::new(vec![0; 100_000])), ..plain.clone() },
    ];
    for (config, cut) in configs.iter().flat_map(|config| [usize::MAX, 20, 38].map(|cut| (config, cut))) {
        for (seed, answer) in SEEDS.cycle().zip(ANSWERS) {
            let mut fresh = World::new(seed);
            let outcome = ask(&mut fresh, config.clone(), answer, cut);
            let expected = seen(&fresh, &outcome);
            // Both ways occur.
            if answer == ANSWERS[1] && config.method == "GET" && outcome.status == Status::Ok {
                let closes = config.body.is_some() || !config.headers.is_empty();
                assert_eq!(expected.ends_with("1 kept"), !closes);
            }
            // As others asked before, or as this one did.
            for (before, primer) in ANSWERS.iter().flat_map(|before| [(before, &plain), (before, config)]) {
                let mut world = World::new(seed);
                for _ in 0..2 {
                    ask(&mut world, primer.clone(), before, usize::MAX);
                }
                let outcome = ask(&mut world, config.clone(), answer, cut);
                assert_eq!(seen(&world, &outcome), expected, "{answer:?} after {before:?}, cut at {cut}");
                world.settle();
            }
        }
    }
}

/// Goal: what a request is answered that says who asks is not kept for another. Method: the same answer with each such
/// field, then without.
#[test]
fn answers_to_secrets_are_not_kept() {
    for name in ["Authorization", "cookie", "Proxy-Authorization"] {
        let mut world = World::new(0);
        let secret = RequestConfig { headers: vec![(name.into(), b"x".to_vec())], ..get(URL) };
        let heads = [&secret, &secret, &secret, &get(URL), &get(URL)].map(|config| {
            ask(&mut world, config.clone(), ANSWERS[0], usize::MAX).shared.head(HeadKind::Final).expect("a head")
        });
        let shared: Vec<_> = heads.windows(2).map(|two| std::sync::Arc::ptr_eq(&two[0], &two[1])).collect();
        assert_eq!(shared, [false, false, false, true], "{name}");
    }
}

/// Goal: the same head is the same memory from the second such answer on, and only then. Method: compare addresses.
#[test]
fn the_same_head_is_shared() {
    let mut world = World::new(0);
    let mut next = |answer| {
        let outcome = ask(&mut world, get(URL), answer, usize::MAX);
        assert_eq!(outcome.status, Status::Ok);

        outcome.shared.head(HeadKind::Final).expect("a head")
    };
    let heads = [0, 0, 1, 2, 2, 1].map(|at| next(ANSWERS[at]));
    let same = |a: usize, b: usize| std::sync::Arc::ptr_eq(&heads[a], &heads[b]);
    assert!(!same(0, 1) && same(1, 2) && !same(2, 3) && same(3, 4) && !same(4, 5));
    assert_eq!(heads[5].block, heads[0].block);
}
