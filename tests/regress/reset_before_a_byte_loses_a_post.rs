//! A POST on a reused connection that took no byte of it and then died was reported lost, though it never went out.

use valtron_http::client::Status;
use valtron_http::net::scripted::Op;

use crate::world::{bytes, get, post, World, OK};

#[test]
fn it_goes_over_a_new_connection() {
    let request = "GET / HTTP/1.1\r\nHost: 10.0.0.1\r\nAccept: */*\r\n\r\n".len();
    for end in [Op::Eof, Op::Reset] {
        let mut world = World::new(0);
        world.script(vec![Op::AcceptWrite(request), Op::ExpectWrite(request), bytes(OK), Op::AdvanceMs(5), end]);
        world.script(vec![Op::ExpectWrite(100), bytes(OK)]);
        world.start(get());
        world.advance(1);
        let shared = world.start(post(100));
        world.advance(10);
        assert_eq!((shared.is_terminal(), shared.info().status), (true, Status::Ok));
        assert_eq!(world.net.opened().len(), 2);
    }
}
