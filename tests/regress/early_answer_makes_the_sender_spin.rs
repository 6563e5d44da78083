//! A peer that spoke before it had taken the whole head: the task waited for a socket that was ready and never read.
//! The simulator's rule of polls is the check.

use valtron_http::client::Status;
use valtron_http::net::scripted::Op;

use crate::world::{bytes, get, World, OK};

#[test]
fn the_answer_is_taken() {
    let mut world = World::new(0);
    world.script(vec![Op::AcceptWrite(10), Op::ExpectWrite(10), bytes(OK)]);
    let shared = world.start(get());
    world.advance(1);
    let info = shared.info();
    assert_eq!((info.terminal, info.status, info.http_status), (true, Status::Ok, 200));
}
