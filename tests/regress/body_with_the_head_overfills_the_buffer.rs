//! Body bytes that came in one read with the head went past the bound of the buffer, up to a whole receive buffer.

use valtron_http::client::RequestConfig;

use crate::world::{bytes, get, World, OK};

#[test]
fn the_bound_holds() {
    let mut world = World::new(0);
    world.script(vec![bytes(OK)]);
    let shared = world.start(RequestConfig { body_buffer_bytes: Some(2), ..get() });
    world.advance(1);
    assert_eq!(shared.info().body_buffered, 2);
}
