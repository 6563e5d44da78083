//! A request over a real socket, end to end, through the Rust API that the C ABI wraps.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use valtron_http::client::{Client, ClientConfig, RequestConfig, Status};

/// Serves `answers` on one connection each; gives back what it read.
fn serve(answers: Vec<&'static [u8]>) -> (String, std::thread::JoinHandle<Vec<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        let mut requests = Vec::new();
        let (mut stream, _) = listener.accept().unwrap();
        for answer in answers {
            let mut request = Vec::new();
            let mut part = [0; 4096];
            while !request.windows(4).any(|w| w == b"\r\n\r\n") {
                let n = stream.read(&mut part).unwrap();
                assert!(n > 0, "the client hung up");
                request.extend_from_slice(&part[..n]);
            }
            requests.push(request);
            stream.write_all(answer).unwrap();
        }
        requests
    });
    (url, thread)
}

fn read_all(client: &Client, request: u64) -> Vec<u8> {
    let mut body = Vec::new();
    let mut part = [0; 1000];
    loop {
        match client.request_read(request, &mut part).unwrap() {
            0 => return body,
            n => body.extend_from_slice(&part[..n]),
        }
    }
}

/// Goal: two requests in a row share a connection, driven by `perform`. Method: a server that accepts once.
#[test]
fn perform_twice_over_one_connection() {
    let ok: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    let (url, server) = serve(vec![ok, ok]);
    let client = Client::create(ClientConfig::default()).unwrap();
    for _ in 0..2 {
        let config = RequestConfig { url: url.as_str().into(), ..RequestConfig::default() };
        let (request, status, info) = client.perform(config, 0, Some(Duration::from_secs(10))).unwrap();
        assert_eq!(status, Status::Ok);
        assert_eq!((info.status, info.http_status), (Status::Ok, 200));
        assert_eq!(read_all(&client, request), b"hello");
        let states: Vec<i32> = client.request_trace(request).unwrap().iter().map(|entry| entry.state).collect();
        assert_eq!(states, [0, 1, 3, 4, 5, 6, 8]);
        assert!(info.task_polls <= 4, "{}", info.task_polls);
        client.request_free(request);
    }
    assert_eq!(server.join().unwrap().len(), 2);
}

/// Goal: the event-driven way. Method: create, wait, take the event, read.
#[test]
fn create_wait_event() {
    let (url, server) = serve(vec![b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"]);
    let client = Client::create(ClientConfig::default()).unwrap();
    let config = RequestConfig { url: url.into(), user_data: 7, ..RequestConfig::default() };
    let request = client.request_create(config).unwrap();
    let mut done = 0;
    while done == 0 {
        client.wait(Some(Duration::from_secs(10))).unwrap();
        while let Some(event) = client.events(1)() {
            assert_eq!((event.request, event.user_data), (request, 7));
            done += u32::from(event.flags & 4 != 0);
        }
    }
    assert_eq!(done, 1);
    assert_eq!(read_all(&client, request), b"hello");
    server.join().unwrap();
    assert_eq!(client.shutdown(Some(Duration::from_secs(10))), Ok(()));
}

/// Goal: a name is looked up, and the first address that answers wins. Method: `localhost`.
#[test]
fn a_name_is_looked_up() {
    let (url, server) = serve(vec![b"HTTP/1.1 204 No Content\r\n\r\n"]);
    let client = Client::create(ClientConfig::default()).unwrap();
    let url = url.replace("127.0.0.1", "localhost");
    let config = RequestConfig { url: url.into(), ..RequestConfig::default() };
    let (request, status, info) = client.perform(config, 0, Some(Duration::from_secs(10))).unwrap();
    assert_eq!((status, info.status, info.http_status), (Status::Ok, Status::Ok, 204));
    let sent = server.join().unwrap();
    assert!(sent[0].starts_with(b"GET / HTTP/1.1\r\nHost: localhost:"));
    assert!(info.task_polls <= 10, "{}", info.task_polls);
    client.request_free(request);
}

/// Goal: a large buffer takes the body straight from the socket, all of it, in order, and the connection serves
/// again. Method: a body of a few MiB, by length and in chunks, read with a buffer over the threshold and with a
/// small one in between.
#[test]
fn large_reads_bypass_the_buffer() {
    const BODY: usize = 3 << 20;
    let body: Vec<u8> = (0..BODY).map(|n| ((n * 31) >> 3) as u8).collect();
    let mut by_length = format!("HTTP/1.1 200 OK\r\nContent-Length: {BODY}\r\n\r\n").into_bytes();
    by_length.extend_from_slice(&body);
    let mut chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for part in body.chunks(70_001) {
        chunked.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
        chunked.extend_from_slice(part);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    let (url, server) = serve(vec![by_length.leak(), chunked.leak()]);
    let client = Client::create(ClientConfig::default()).unwrap();
    for round in 0..2 {
        let config = RequestConfig { url: url.as_str().into(), ..RequestConfig::default() };
        let (request, status, _) = client.perform(config, 1, Some(Duration::from_secs(10))).unwrap();
        assert_eq!(status, Status::Ok);
        let mut got = Vec::new();
        let mut part = vec![0; 100_000];
        loop {
            let room = if got.len() % 5 == 4 { 1_000 } else { part.len() };
            match client.request_read(request, &mut part[..room]) {
                Ok(0) => break,
                Ok(n) => got.extend_from_slice(&part[..n]),
                Err(Status::WouldBlock) => {
                    let (status, _) = client.request_wait(request, 2, Some(Duration::from_secs(10)));
                    assert_eq!(status, Status::Ok);
                }
                Err(other) => panic!("{other:?}"),
            }
        }
        assert!(got == body, "round {round}: {} bytes", got.len());
        assert_eq!(client.request_info(request).unwrap().body_received, BODY as u64);
        client.request_free(request);
    }
    assert_eq!(server.join().unwrap().len(), 2);
}
