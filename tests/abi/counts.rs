//! What the interface counts.

use super::*;

/// Goal: a request that ended is not counted as live any more, freed or not. Method: one that is refused, looked at
/// before and after its end, and one freed before its end.
#[test]
fn ended_requests_are_not_live() {
    let client = TestClient::new();
    let live = || {
        let (mut info, mut stats) = (init!(valtron_poll_info), init!(valtron_stats));
        // SAFETY: see above.
        unsafe {
            assert_eq!(valtron_client_poll(client.0, 0, &mut info), VALTRON_OK);
            assert_eq!(valtron_client_stats(client.0, &mut stats), VALTRON_OK);
        }
        assert_eq!(u64::from(info.requests_live), stats.requests_live);
        stats.requests_live
    };
    let url = server(b"HTTP/1.1 204 No\r\n\r\n");
    let ((_, ends), (_, freed)) = (client.create(&get(&url)), client.create(&get("http://localhost:1/")));
    let mut info = init!(valtron_request_info);
    // SAFETY: see above.
    unsafe {
        valtron_request_free(client.0, freed);
        assert_eq!(valtron_request_wait(client.0, ends, 0, 10_000, &mut info), VALTRON_OK);
    }
    assert_eq!((info.terminal, live()), (1, 0));
    // SAFETY: see above.
    unsafe {
        let (mut performed, config) = (0, get(&url));
        let client = client.0;
        assert_eq!(valtron_client_perform(client, &config, 0, 10_000, &mut performed, &mut info), VALTRON_OK);
        assert_eq!(info.terminal, 1);
    }
    assert_eq!(live(), 0);
    // Nobody accepts, so no worker ends it before it is looked at.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let (_, waits) = client.create(&get(&format!("http://{}/", silent.local_addr().unwrap())));
    let mut stats = init!(valtron_stats);
    // SAFETY: see above.
    unsafe {
        valtron_client_stats(client.0, &mut stats);
        assert_eq!(stats.requests_live, 1);
        valtron_request_free(client.0, waits);
        valtron_client_stats(client.0, &mut stats);
    }
    assert_eq!((stats.requests_live, stats.requests_created), (0, 4));
}
