//! A host that polls once a frame: what it gets of a large body is not capped by the number of its frames.

use std::time::Duration;

use super::harness::{bytes, get, World, URL};
use crate::client::config::BODY_BUFFER_BYTES;
use crate::client::request::RequestShared;
use crate::client::RequestConfig;
use crate::net::scripted::Op;

const FRAME: Duration = Duration::from_millis(16);

/// An answer of so many MiB that lies in the socket at once, whole, with a pattern that shows where a byte belongs.
fn large(mebibytes: usize, chunked: bool) -> (Vec<u8>, Op) {
    let body: Vec<u8> = (0..mebibytes << 20).map(|at| (at ^ at >> 8 ^ at >> 16) as u8).collect();
    let mut answer = match chunked {
        false => format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes(),
        true => b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(),
    };
    if chunked {
        for chunk in body.chunks(99_991) {
            answer.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            answer.extend_from_slice(chunk);
            answer.extend_from_slice(b"\r\n");
        }
        answer.extend_from_slice(b"0\r\n\r\n");
    } else {
        answer.extend_from_slice(&body);
    }
    (body, bytes(answer))
}

/// All that is there, by reads that are too small to go to the socket.
fn take(shared: &RequestShared, into: &mut Vec<u8>) {
    let mut part = [0; 8_192];
    while let Ok(count @ 1..) = shared.read(&mut part) {
        into.extend_from_slice(&part[..count]);
    }
}

/// Goal: the buffer of a host that takes all of it once a frame grows, and the bytes are the right ones; one whose size
/// the host has said does not; and what it grew by is given back at the body's end. Method: a body that takes 32 frames
/// by the first buffer.
#[test]
fn a_body_takes_few_frames() {
    for (seed, chunked, fixed) in [(0, false, false), (1, true, false), (2, false, true)] {
        let (body, answer) = large(8, chunked);
        let mut world = World::new(seed);
        world.script(vec![answer]);
        let body_buffer_bytes = fixed.then_some(BODY_BUFFER_BYTES);
        let shared = world.start(RequestConfig { body_buffer_bytes, ..get(URL) });
        let (mut got, mut frames, mut grown) = (Vec::new(), 0, 0);
        while !shared.is_terminal() {
            world.sim.advance(FRAME);
            take(&shared, &mut got);
            frames += 1;
            grown = world.host.buffer_growth().max(grown);
        }
        assert!(got == body, "{} bytes", got.len());
        // 256 KiB, then four times as much, twice.
        let expected = if fixed { (32, 0) } else { (4, 15 * BODY_BUFFER_BYTES) };
        assert_eq!((frames, grown), expected);
        // It was read to its end: others may grow, though the request is still there.
        assert_eq!((world.host.buffer_growth(), shared.read(&mut [0; 1])), (0, Ok(0)));
        world.host.remove(shared.handle()).expect("a request").free();
        world.sim.advance(FRAME);
        drop(shared);
        assert_eq!(world.host.buffer_growth(), 0);
    }
}
