//! A 1xx in the middle of an upload was taken for the answer: the rest of the body was never sent, and both sides
//! waited for the other.

use valtron_http::client::Status;
use valtron_http::net::scripted::Op;

use crate::world::{bytes, post, World, OK};

#[test]
fn the_upload_goes_on() {
    let mut world = World::new(0);
    world.script(vec![
        Op::AcceptWrite(500),
        Op::ExpectWrite(500),
        bytes("HTTP/1.1 100 Continue\r\n\r\n"),
        Op::AdvanceMs(1),
        Op::AcceptAll,
        Op::ExpectWrite(50_000),
        bytes(OK),
    ]);
    let shared = world.start(post(50_000));
    world.advance(5);
    let info = shared.info();
    assert_eq!((info.terminal, info.status, info.body_sent), (true, Status::Ok, 50_000));
}
