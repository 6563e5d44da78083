//! A host that took a redirect, which is to let it run, had to run a job without work or wait for its time to pass.

use valtron_http::client::{SpawnKind, Status};

use crate::world::{bytes, get, World, OK};

#[test]
fn it_runs_at_once() {
    let mut world = World::new(SpawnKind::Redirect as u32);
    world.script(vec![bytes("HTTP/1.1 302 F\r\nLocation: http://10.0.0.2/\r\nContent-Length: 0\r\n\r\n")]);
    world.script(vec![bytes(OK)]);
    let shared = world.start(get());
    world.advance(10);
    let info = shared.info();
    assert_eq!((info.terminal, info.status, info.hops), (true, Status::Ok, 1));
}
