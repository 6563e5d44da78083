//! A host that asked for a large piece before the head was there never got the body: the task left the bytes that came
//! with the head to a read past the buffer, which could not see them. Each woke the other for ever.

use valtron_http::client::Status;
use valtron_http::net::scripted::Op;

use crate::world::{bytes, get, World};

#[test]
fn the_body_comes() {
    let mut world = World::new(0);
    let body = "x".repeat(100_000);
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    world.script(vec![Op::ExpectWrite(1), Op::AdvanceMs(1), bytes(&answer)]);
    let shared = world.start(get());
    let mut into = vec![0; 20_000];
    assert_eq!(shared.read(&mut into), Err(Status::WouldBlock));
    let mut count = 0;
    for _ in 0..50 {
        world.advance(1);
        count += shared.read(&mut into).unwrap_or(0);
    }
    assert_eq!((count, shared.is_terminal()), (body.len(), true));
}
