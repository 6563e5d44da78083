//! Answers that begin as the last one of their URL did.

use super::harness::{bytes, get, Outcome, Setup, World, SEEDS, URL};
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

/// All that a host sees of it, but times and how often it was polled.
fn seen(outcome: &Outcome) -> String {
    let head = outcome.shared.head(HeadKind::Final);
    let head = head.map(|head| (head.status, head.version_minor, head.url.clone(), head.block.clone(), head.reason));
    let interim = outcome.shared.head(HeadKind::Interim(0)).map(|head| head.block.clone());
    let trailers = outcome.shared.head(HeadKind::Trailers).map(|head| head.block.clone());
    let (info, times) = (&outcome.info, outcome.info.times.map(|time| time.is_some()));
    format!(
        "{} {:?} {:?} {} {:?} {head:?} {interim:?} {trailers:?} {} {} {:?} {times:?}",
        outcome.states,
        outcome.status,
        outcome.phase,
        outcome.text,
        String::from_utf8_lossy(&outcome.body),
        info.http_status,
        info.http_minor,
        info.body_total,
    )
}

fn ask(world: &mut World, config: RequestConfig<'_>, answer: &str, cut: usize) -> Outcome {
    let (first, second) = answer.split_at(cut.min(answer.len()));
    let pieces = [bytes(first), Op::WouldBlock, bytes(second), Op::Eof];
    world.script(pieces.into_iter().filter(|op| !matches!(op, Op::Bytes(none) if none.is_empty())).collect());
    world.run(config)
}

/// Goal: what a URL answered before shows in nothing that a host sees of its next answer. Method: each answer after
/// each other, whole and in pieces, under GET, HEAD and a tighter limit, beside the same in a world without a past.
#[test]
fn the_past_does_not_show() {
    let configs = [
        RequestConfig { redirects_max: None, ..get(URL) },
        RequestConfig { redirects_max: None, method: "HEAD".into(), ..get(URL) },
        RequestConfig { redirects_max: None, headers_max: 1, ..get(URL) },
        RequestConfig { redirects_max: None, head_bytes_max: 36, ..get(URL) },
    ];
    let world = |seed| World::with(Setup { seed, idle_max: 0, ..Setup::default() });
    for (config, cut) in configs.iter().flat_map(|config| [usize::MAX, 20, 38].map(|cut| (config, cut))) {
        for (seed, answer) in SEEDS.cycle().zip(ANSWERS) {
            let expected = seen(&ask(&mut world(seed), config.clone(), answer, cut));
            for before in ANSWERS {
                let mut world = world(seed);
                for _ in 0..2 {
                    ask(&mut world, configs[0].clone(), before, usize::MAX);
                }
                let outcome = ask(&mut world, config.clone(), answer, cut);
                assert_eq!(seen(&outcome), expected, "{answer:?} after {before:?}, cut at {cut}");
                world.settle();
            }
        }
    }
}

/// Goal: the same head is the same memory from the second such answer on, and only then. Method: compare addresses.
#[test]
fn the_same_head_is_shared() {
    let mut world = World::with(Setup { idle_max: 0, ..Setup::default() });
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
