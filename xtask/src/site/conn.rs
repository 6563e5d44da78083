//! One connection of the site: reads requests, keeps the connection alive, and ends it in the way a route asks for.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;

use super::{routes, Shared};

pub trait Stream: Read + Write + Send {
    /// Says goodbye in the transport's own way, where it has one.
    fn goodbye(&mut self) {}
}

impl Stream for TcpStream {}

impl Stream for rustls::StreamOwned<rustls::ServerConnection, TcpStream> {
    fn goodbye(&mut self) {
        self.conn.send_close_notify();
        let _ = self.flush();
    }
}

/// How a connection goes on after an answer.
#[derive(PartialEq, Eq, Debug)]
pub enum After {
    KeepAlive,
    /// An orderly end: close_notify under TLS.
    Close,
    /// Says nothing more; ends when the peer does.
    Stall,
}

pub struct Request {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The number of the connection, from 1, and of the request on it.
    pub connection: u64,
    pub number: u64,
    pub secure: bool,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or("")
    }

    pub fn query(&self, name: &str) -> Option<String> {
        let (_, query) = self.target.split_once('?')?;
        let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.filter(|(key, _)| *key == name).map(|(_, value)| percent_decode(value)).next()
    }
}

pub fn serve(
    mut stream: Box<dyn Stream>,
    tcp: TcpStream,
    shared: Arc<Shared>,
    secure: bool,
    connection: u64,
) -> io::Result<()> {
    let mut buffer = Vec::new();
    let mut number = 0;
    while let Some(mut request) = read_request(&mut stream, &mut buffer)? {
        number += 1;
        (request.connection, request.number, request.secure) = (connection, number, secure);
        let mut after = routes::answer(&mut stream, &request, &shared)?;
        stream.flush()?;
        let close = request.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        if after == After::KeepAlive && close {
            after = After::Close;
        }
        match after {
            After::KeepAlive => {}
            After::Close => break,
            After::Stall => return io::copy(&mut stream, &mut io::sink()).map(drop),
        }
    }
    stream.goodbye();
    tcp.shutdown(Shutdown::Write)
}

/// What a plain server says to a ClientHello.
pub fn plain_on_tls(mut stream: TcpStream) -> io::Result<()> {
    if stream.read(&mut [0; 16 * 1024])? > 0 {
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")?;
    }
    stream.shutdown(Shutdown::Write)?;
    // Read to the end, so that the answer is not lost to a reset.
    io::copy(&mut stream, &mut io::sink()).map(drop)
}

/// Half of a body, then the end of TCP without close_notify.
pub fn truncated(mut stream: Box<dyn Stream>, tcp: TcpStream, _: Arc<Shared>, _: u64) -> io::Result<()> {
    let Some(request) = read_request(&mut stream, &mut Vec::new())? else { return Ok(()) };
    let framing = match request.path() {
        "/close" => "connection: close\r\n\r\n",
        "/chunked" => "transfer-encoding: chunked\r\n\r\n3e8\r\n",
        _ => "content-length: 1000\r\n\r\n",
    };
    stream.write_all(format!("HTTP/1.1 200 OK\r\n{framing}").as_bytes())?;
    stream.write_all(&routes::pattern(0, 500))?;
    stream.flush()?;
    tcp.shutdown(Shutdown::Both)
}

fn read_request(stream: &mut Box<dyn Stream>, buffer: &mut Vec<u8>) -> io::Result<Option<Request>> {
    let head_end = loop {
        if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        if buffer.len() > HEAD_BYTES_MAX {
            return Err(io::Error::other("request head too large"));
        }
        if !fill(stream, buffer)? {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&buffer[..head_end]).into_owned();
    buffer.drain(..head_end + 4);
    let mut lines = head.split("\r\n");
    let mut first = lines.next().unwrap_or("").split(' ');
    let (method, target) = (first.next().unwrap_or("").to_string(), first.next().unwrap_or("").to_string());
    let split = |line: &str| line.split_once(':').map(|(key, value)| (key.to_string(), value.trim().to_string()));
    let headers = lines.filter_map(split).collect();
    let mut request = Request { method, target, headers, body: Vec::new(), connection: 0, number: 0, secure: false };
    if request.header("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue")) {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        stream.flush()?;
    }
    if request.header("transfer-encoding").is_some() {
        request.body = read_chunked(stream, buffer)?;
    } else {
        let length = request.header("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
        request.body = take(stream, buffer, length)?;
    }
    Ok(Some(request))
}

fn read_chunked(stream: &mut Box<dyn Stream>, buffer: &mut Vec<u8>) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = take_line(stream, buffer)?;
        let digits = line.split(';').next().unwrap_or("").trim();
        let length = usize::from_str_radix(digits, 16).map_err(io::Error::other)?;
        if length == 0 {
            while !take_line(stream, buffer)?.is_empty() {}
            return Ok(body);
        }
        body.extend(take(stream, buffer, length)?);
        take_line(stream, buffer)?;
    }
}

fn take_line(stream: &mut Box<dyn Stream>, buffer: &mut Vec<u8>) -> io::Result<String> {
    loop {
        if let Some(at) = buffer.windows(2).position(|window| window == b"\r\n") {
            let line = String::from_utf8_lossy(&buffer[..at]).into_owned();
            buffer.drain(..at + 2);
            return Ok(line);
        }
        if buffer.len() > HEAD_BYTES_MAX || !fill(stream, buffer)? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

fn take(stream: &mut Box<dyn Stream>, buffer: &mut Vec<u8>, length: usize) -> io::Result<Vec<u8>> {
    if length > BODY_BYTES_MAX {
        return Err(io::Error::other("request body too large"));
    }
    while buffer.len() < length {
        if !fill(stream, buffer)? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(buffer.drain(..length).collect())
}

fn fill(stream: &mut Box<dyn Stream>, buffer: &mut Vec<u8>) -> io::Result<bool> {
    let mut piece = [0; 16 * 1024];
    let count = match stream.read(&mut piece) {
        // How rustls tells an end without close_notify.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => 0,
        other => other?,
    };
    buffer.extend_from_slice(&piece[..count]);
    Ok(count > 0)
}

fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let hex = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

const HEAD_BYTES_MAX: usize = 1 << 20;
const BODY_BYTES_MAX: usize = 256 << 20;
