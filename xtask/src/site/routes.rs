//! What the site answers.
//!
//! | route | answer |
//! |---|---|
//! | `/`, `/hello`, `/same` | a small page; `hello, world\n`; the same with a head that never differs |
//! | `/echo`, `/auth-echo`, `/cookie-echo` | the request as text; one header of it, or `(none)` |
//! | `/bytes/N`, `/chunked/N`, `/close/N` | N bytes by length, in chunks, until close; byte i is i mod 251 |
//! | `/trailers` | chunked, with two trailer fields |
//! | `/slow?ms=M`, `/drip?n=N&ms=M` | after M ms; N bytes with M ms before each |
//! | `/stall/head`, `/stall/headers`, `/stall/body` | stops before, within, after the head, for ever |
//! | `/redirect/CODE?to=URL` | a redirect; `/chain` (relative, absolute, then https `/hello`), `/loop` |
//! | `/status/N`, `/204`, `/304`, `/head` | statuses; the last three have no body (`/head` under HEAD) |
//! | `/interim`, `/interim-forever` | 103 then 200; 1xx without end |
//! | `/truncated/length`, `/truncated/chunked` | half a body, then the end |
//! | `/huge-head`, `/many-headers` | a head of 4 MiB in one field; 20 000 fields |
//! | `/smuggle/NAME`, `/excess` | contradictory framing (`smuggle.rs`); bytes after a response |
//! | `/hangup/N`, `/cut/N` | ends connection N (a response's `x-connection`): in order, without close_notify |
//! | `/connections`, `/count/ID` | connections accepted so far; how often this path was asked |

use std::io::{self, Write};
use std::net::Shutdown;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::conn::{After, Request, Stream};
use super::{smuggle, Shared};

/// A head that nothing changes.
const SAME_HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 13\r\n\r\n";

pub fn answer(out: &mut Box<dyn Stream>, request: &Request, shared: &Shared) -> io::Result<After> {
    let path = request.path();
    let (first, rest) = path[1.min(path.len())..].split_once('/').unwrap_or((&path[1.min(path.len())..], ""));
    match first {
        "" => text(out, request, "200 OK", "", "<!doctype html><title>site</title><p>It works.</p>\n"),
        "hello" => text(out, request, "200 OK", "", "hello, world\n"),
        "same" => {
            let body = if request.method == "HEAD" { "" } else { "hello, world\n" };
            out.write_all(format!("{SAME_HEAD}{body}").as_bytes())?;
            Ok(After::KeepAlive)
        }
        "echo" => text(out, request, "200 OK", "", &echo(request)),
        "auth-echo" => text(out, request, "200 OK", "", request.header("authorization").unwrap_or("(none)")),
        "cookie-echo" => text(out, request, "200 OK", "", request.header("cookie").unwrap_or("(none)")),
        "bytes" => bytes(out, request, number(rest)),
        "chunked" => chunked(out, request, number(rest), ""),
        "trailers" => chunked(out, request, 1000, "X-Checksum: abc\r\nX-Last: yes\r\n"),
        "close" => until_close(out, request, number(rest)),
        "slow" => {
            pause(request);
            text(out, request, "200 OK", "", "slow, but here\n")
        }
        "drip" => drip(out, request),
        "stall" => stall(out, rest),
        "redirect" => {
            let to = request.query("to").unwrap_or_else(|| "/hello".into());
            redirect(out, request, rest, &to)
        }
        "chain" => match rest {
            "" => redirect(out, request, "302", "/chain/2"),
            "2" => redirect(out, request, "301", &format!("{}/chain/3", shared.http)),
            _ => redirect(out, request, "307", &format!("{}/hello", shared.https)),
        },
        "loop" => redirect(out, request, "302", "/loop"),
        "status" => text(out, request, &format!("{rest} Status"), "", "a status\n"),
        "204" => raw(out, request, "HTTP/1.1 204 No Content\r\n", ""),
        "304" => raw(out, request, "HTTP/1.1 304 Not Modified\r\ncontent-length: 13\r\netag: \"a\"\r\n", ""),
        "head" => text(out, request, "200 OK", "", "hello, world\n"),
        "interim" => {
            out.write_all(b"HTTP/1.1 103 Early Hints\r\nlink: </style.css>; rel=preload\r\n\r\n")?;
            text(out, request, "200 OK", "", "after hints\n")
        }
        "interim-forever" => loop {
            out.write_all(&b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".repeat(64))?;
        },
        "truncated" => truncated(out, request, rest),
        "huge-head" => {
            let field = format!("x-huge: {}\r\n", "a".repeat(4 << 20));
            text(out, request, "200 OK", &field, "huge\n")
        }
        "many-headers" => {
            let fields: String = (0..20_000).map(|i| format!("x-{i}: a\r\n")).collect();
            text(out, request, "200 OK", &fields, "many\n")
        }
        "smuggle" => smuggle::answer(out, rest),
        "excess" => {
            text(out, request, "200 OK", "", "hello, world\n")?;
            out.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged")?;
            Ok(After::KeepAlive)
        }
        "hangup" => hang_up(out, request, shared, number(rest), Shutdown::Read),
        "cut" => hang_up(out, request, shared, number(rest), Shutdown::Both),
        "connections" => text(out, request, "200 OK", "", &shared.accepted.load(Ordering::SeqCst).to_string()),
        "count" => {
            let mut counts = shared.counts.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            let count = counts.entry(rest.to_string()).or_insert(0);
            *count += 1;
            let body = count.to_string();
            drop(counts);
            text(out, request, "200 OK", "", &body)
        }
        _ => text(out, request, "404 Not Found", "", "no such page\n"),
    }
}

/// Byte i of every body is i mod 251: a prime, so that no power-of-two mistake hides.
pub fn pattern(from: u64, count: usize) -> Vec<u8> {
    (from..from + count as u64).map(|i| (i % 251) as u8).collect()
}

fn common(request: &Request) -> String {
    format!("x-connection: {}\r\nx-request: {}\r\n", request.connection, request.number)
}

fn text(out: &mut Box<dyn Stream>, request: &Request, status: &str, fields: &str, body: &str) -> io::Result<After> {
    let head = format!("HTTP/1.1 {status}\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n{fields}", body.len());
    raw(out, request, &head, body)
}

fn raw(out: &mut Box<dyn Stream>, request: &Request, head: &str, body: &str) -> io::Result<After> {
    let body = if request.method == "HEAD" { "" } else { body };
    // One write: a small answer is one segment and one TLS record.
    out.write_all(format!("{head}{}\r\n{body}", common(request)).as_bytes())?;
    Ok(After::KeepAlive)
}

fn redirect(out: &mut Box<dyn Stream>, request: &Request, code: &str, to: &str) -> io::Result<After> {
    text(out, request, &format!("{code} Redirect"), &format!("location: {to}\r\n"), "elsewhere\n")
}

fn echo(request: &Request) -> String {
    let mut text = format!("{} {}\r\n", request.method, request.target);
    for (name, value) in &request.headers {
        text += &format!("{name}: {value}\r\n");
    }
    text + "\r\n" + &String::from_utf8_lossy(&request.body)
}

fn bytes(out: &mut Box<dyn Stream>, request: &Request, count: u64) -> io::Result<After> {
    raw(out, request, &format!("HTTP/1.1 200 OK\r\ncontent-length: {count}\r\n"), "")?;
    if request.method != "HEAD" {
        pieces(count, |piece| out.write_all(piece))?;
    }
    Ok(After::KeepAlive)
}

fn chunked(out: &mut Box<dyn Stream>, request: &Request, count: u64, trailers: &str) -> io::Result<After> {
    raw(out, request, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n", "")?;
    if request.method == "HEAD" {
        return Ok(After::KeepAlive);
    }
    pieces(count, |piece| {
        out.write_all(format!("{:x}\r\n", piece.len()).as_bytes())?;
        out.write_all(piece)?;
        out.write_all(b"\r\n")
    })?;
    out.write_all(format!("0\r\n{trailers}\r\n").as_bytes())?;
    Ok(After::KeepAlive)
}

fn until_close(out: &mut Box<dyn Stream>, request: &Request, count: u64) -> io::Result<After> {
    raw(out, request, "HTTP/1.1 200 OK\r\nconnection: close\r\n", "")?;
    pieces(count, |piece| out.write_all(piece))?;
    Ok(After::Close)
}

/// Another connection ends. Its own thread sees an end of input and says goodbye, if there is still a way out.
fn hang_up(
    out: &mut Box<dyn Stream>,
    request: &Request,
    shared: &Shared,
    connection: u64,
    how: Shutdown,
) -> io::Result<After> {
    let found = shared.streams().get(&connection).is_some_and(|stream| stream.shutdown(how).is_ok());
    text(out, request, "200 OK", "", if found { "gone\n" } else { "none\n" })
}

fn drip(out: &mut Box<dyn Stream>, request: &Request) -> io::Result<After> {
    let count = request.query("n").map_or(10, |value| number(&value));
    raw(out, request, &format!("HTTP/1.1 200 OK\r\ncontent-length: {count}\r\n"), "")?;
    for i in 0..count {
        pause(request);
        out.write_all(&pattern(i, 1))?;
        out.flush()?;
    }
    Ok(After::KeepAlive)
}

fn stall(out: &mut Box<dyn Stream>, phase: &str) -> io::Result<After> {
    out.write_all(match phase {
        "head" => b"",
        "headers" => &b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\nx-half: "[..],
        _ => b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf",
    })?;
    Ok(After::Stall)
}

fn truncated(out: &mut Box<dyn Stream>, request: &Request, framing: &str) -> io::Result<After> {
    match framing {
        "chunked" => {
            raw(out, request, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n", "")?;
            out.write_all(b"3e8\r\n")?;
        }
        _ => raw(out, request, "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n", "").map(drop)?,
    }
    out.write_all(&pattern(0, 500))?;
    Ok(After::Close)
}

fn pieces(count: u64, mut write: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    // One period past the piece, so that a piece may begin at any phase of the pattern.
    let source = pattern(0, PIECE_BYTES + 251);
    let mut done = 0;
    while done < count {
        let phase = (done % 251) as usize;
        let length = PIECE_BYTES.min((count - done) as usize);
        write(&source[phase..phase + length])?;
        done += length as u64;
    }
    Ok(())
}

fn pause(request: &Request) {
    let ms = request.query("ms").map_or(100, |value| number(&value));
    std::thread::sleep(Duration::from_millis(ms));
}

fn number(text: &str) -> u64 {
    text.parse().unwrap_or(0)
}

const PIECE_BYTES: usize = 64 * 1024;
