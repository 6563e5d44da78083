//! Memory as a slope: resident size at two numbers of connections; the difference is what one connection costs.
//!
//! Over HTTP the server is this program: it holds all answers back until as many requests have come as there are to be
//! connections, so that each has one of its own. Over HTTPS it is nginx, and the client's sockets are counted.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::{json, Value};

use super::clients::{Client, Job};
use super::server::Nginx;
use crate::util::{failed, Server, Stop};

/// What the connections are in the middle of when the memory is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Answered; kept for the next request.
    Idle,
    /// The request was sent, nothing has come.
    Waiting,
    /// The head and 1 KiB of a longer body have come.
    Receiving,
    /// Idle, over TLS.
    IdleTls,
}

const STATES: [(State, &str, &str); 4] = [
    (State::Idle, "idle", "an idle connection, HTTP"),
    (State::Waiting, "waiting", "a request in flight, HTTP, before its answer"),
    (State::Receiving, "receiving", "a request in flight, HTTP, 1 KiB into a 1 MiB body"),
    (State::IdleTls, "idle-tls", "an idle connection, HTTPS"),
];

/// Clients that can hold thousands of connections.
const CLIENTS: [&str; 6] = ["floor", "valtron", "valtron-multi", "curl-socket", "hyper", "reqwest"];

pub fn measure(clients: &[Client], nginx: &Nginx, quick: bool) -> Result<Value, Stop> {
    let mut rows = Vec::new();
    for (state, name, about) in STATES {
        let counts: [u64; 2] = match (state == State::IdleTls, quick) {
            (false, false) => [1000, 5000],
            (true, false) => [500, 2000],
            (_, true) => [200, 1000],
        };
        println!("\nmemory of {about}, from {} to {} connections", counts[0], counts[1]);
        for client in clients.iter().filter(|client| CLIENTS.contains(&client.name)) {
            // The floor looks at its server before it begins; and TLS is not for everyone.
            if client.name == "floor" || (state == State::IdleTls && !client.does_https) {
                continue;
            }
            let mut points = Vec::new();
            for count in counts {
                points.push(hold(client, nginx, state, count)?);
            }
            let [few, many] = [points[0], points[1]];
            let slope = (many.0 - few.0) * 1024.0 / (many.1 - few.1);
            println!("  {:<14} {:>8.0} bytes each  ({} and {} KiB)", client.name, slope, few.0, many.0);
            rows.push(json!({
                "state": name, "about": about, "client": client.name, "bytes_each": slope,
                "connections": [few.1, many.1], "rss_kib": [few.0, many.0],
            }));
        }
    }
    Ok(Value::Array(rows))
}

/// Resident KiB of the client, and its connections.
fn hold(client: &Client, nginx: &Nginx, state: State, count: u64) -> Result<(f64, f64), Stop> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let (url, total, ca_file) = match state {
        State::IdleTls => (format!("{}/small", nginx.https), 2 * count, Some(nginx.ca_file.clone())),
        _ => (format!("http://127.0.0.1:{}/", listener.local_addr()?.port()), count, None),
    };
    let mut command = client.command("", &Job { url, total, concurrency: count, ca_file });
    command.env("BENCH_HOLD", "1").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    // Not its words: those that are looked at in flight lose their server, and complain.
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut process = Server(command.spawn()?);
    let held = if state == State::IdleTls { Vec::new() } else { gather(&listener, &mut process.0, count)? };
    for mut stream in &held {
        match state {
            State::Waiting | State::IdleTls => {}
            State::Idle => stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?,
            State::Receiving => {
                let mut answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n".to_vec();
                answer.resize(answer.len() + 1024, b'a');
                stream.write_all(&answer)?;
            }
        }
    }
    if matches!(state, State::Idle | State::IdleTls) {
        // Its line says that all answers were read.
        let mut line = String::new();
        if let Some(stdout) = &mut process.0.stdout {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        if !line.contains("\"failed\": 0") {
            return failed(format!("{}: {line}", client.name));
        }
    } else {
        settle(process.0.id())?;
    }
    let id = process.0.id();
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse().ok());
    let Some(rss) = rss else {
        return failed(format!("{} has no resident size", client.name));
    };
    let sockets = sockets(id)?;
    if sockets < count as f64 * 0.9 {
        return failed(format!("{}: {sockets} connections, not {count}", client.name));
    }
    Ok((rss, sockets))
}

/// Accepts so many connections, each with a request.
fn gather(listener: &TcpListener, client: &mut Child, count: u64) -> Result<Vec<TcpStream>, Stop> {
    listener.set_nonblocking(true)?;
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut streams = Vec::new();
    while streams.len() < count as usize {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                stream.set_read_timeout(Some(Duration::from_secs(60)))?;
                streams.push(stream);
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                if Instant::now() > deadline || client.try_wait()?.is_some() {
                    return failed(format!("only {} of {count} connections came", streams.len()));
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(error) => return Err(error.into()),
        }
    }
    for mut stream in &streams {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut bytes = [0; 2048];
            match stream.read(&mut bytes)? {
                0 => return failed("a connection was closed"),
                count => request.extend_from_slice(&bytes[..count]),
            }
        }
    }
    Ok(streams)
}

/// Waits until the process has used no CPU for a while: it has dealt with all that came.
fn settle(id: u32) -> Result<(), Stop> {
    let used = || -> Result<String, Stop> {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
        Ok(stat.split_whitespace().skip(13).take(2).collect::<Vec<_>>().join(" "))
    };
    let (mut last, mut same) = (used()?, 0);
    for _ in 0..600 {
        std::thread::sleep(Duration::from_millis(100));
        let now = used()?;
        same = if now == last { same + 1 } else { 0 };
        if same == 4 {
            return Ok(());
        }
        last = now;
    }
    failed("the client does not come to rest")
}

fn sockets(id: u32) -> Result<f64, Stop> {
    let files = std::fs::read_dir(format!("/proc/{id}/fd"))?.flatten();
    let links = files.filter_map(|file| std::fs::read_link(file.path()).ok());
    Ok(links.filter(|link| link.to_string_lossy().starts_with("socket:")).count() as f64)
}
