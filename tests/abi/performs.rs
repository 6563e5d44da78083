//! What `perform` leaves behind: executors that nobody drives.

use super::*;
use std::time::Duration;

/// A server for one connection: answers so, then tells when the peer hung up.
fn server(answer: &'static [u8]) -> (String, std::sync::mpsc::Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (gone, over) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let (mut peer, _) = listener.accept().unwrap();
        let mut buffer = [0; 4096];
        assert!(peer.read(&mut buffer).unwrap() > 0);
        peer.write_all(answer).unwrap();
        while peer.read(&mut buffer).is_ok_and(|count| count > 0) {}
        let _ = gone.send(());
    });
    (url, over)
}

const LONG: Duration = Duration::from_secs(20);

/// Goal: a performed request that is freed in its middle hangs up at once, though nobody drives its executor any more.
#[test]
fn a_freed_one_hangs_up() {
    let client = TestClient::new();
    let (url, over) = server(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx");
    let (mut request, mut info) = (0, init!(valtron_request_info));
    // SAFETY: see above.
    unsafe {
        let status = valtron_client_perform(client.0, &get(&url), VALTRON_UNTIL_HEAD, 20_000, &mut request, &mut info);
        assert_eq!(status, VALTRON_OK);
        valtron_request_free(client.0, request);
    }
    over.recv_timeout(LONG).expect("the connection is closed");
}

/// Goal: an idle connection of `perform` grows old like any other while the host drives the client.
#[test]
fn an_idle_one_grows_old() {
    let client = TestClient::with(valtron_client_config {
        idle_timeout_ms: 50,
        worker_threads: -1,
        ..init!(valtron_client_config)
    });
    let (url, over) = server(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
    let (mut request, mut info) = (0, init!(valtron_request_info));
    let mut waits = 0;
    // SAFETY: see above.
    unsafe {
        let status = valtron_client_perform(client.0, &get(&url), 0, 20_000, &mut request, &mut info);
        assert_eq!(status, VALTRON_OK);
        while over.try_recv().is_err() {
            // One wait is enough, and it does not sleep past the deadline.
            waits += 1;
            assert!(waits < 10, "it is still open");
            let status = valtron_client_wait(client.0, 1_000, null_mut());
            assert!(status == VALTRON_OK || status == VALTRON_E_WAIT_TIMEOUT);
        }
        valtron_request_free(client.0, request);
    }
}
