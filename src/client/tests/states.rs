//! The state of a request, as the host reads it.

use std::time::Duration;

use crate::client::error::{HttpClientError, Phase};
use crate::client::host_side::HostSide;
use crate::client::request::RequestShared;
use crate::client::status::Status;
use crate::client::task::HttpRequestState;
use crate::valtron::time::Instant;

/// Goal: the last state carries the whole error, and nothing comes after it, although another task of the request may
/// not know yet. Method: by hand.
#[test]
fn the_end_carries_the_error_and_stays() {
    let host = HostSide::new(1, Box::new(|| {}));
    let now = Instant::default();
    let made = host.insert(|handle| RequestShared::new(handle, 0, false, now, "http://a.test/".into(), Some(1), &host));
    let shared = made.expect("a slot");
    shared.enter(&HttpRequestState::Connecting, now);
    assert_eq!((shared.info().state, shared.phase(), shared.error()), (1, Phase::Connect, None));
    let error = HttpClientError::new(Status::ConnectRefused, Phase::Connect, "nobody there");
    shared.finish(Err(error.clone()), now.after(Duration::from_secs(1))).expect("nobody has the lock");
    shared.enter(&HttpRequestState::TlsHandshake, now);
    shared.finish_now(Ok(()), now);
    assert_eq!(shared.error(), Some(error));
    let info = shared.info();
    assert_eq!((info.state, info.status, info.terminal), (9, Status::ConnectRefused, true));
    assert_eq!(shared.trace().iter().map(|entry| entry.state).collect::<Vec<_>>(), [0, 1, 9]);
}
