//! The other side: listeners on this host that never block, served by the one thread there is between two calls.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsRawFd;

/// More connections than this are refused by their reset.
const CONNECTIONS_MAX: usize = 8;

pub struct Server {
    listeners: [TcpListener; 2],
    connections: RefCell<Vec<TcpStream>>,
}

impl Server {
    pub fn new() -> Self {
        let listener = || {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            listener.set_nonblocking(true).expect("non-blocking");
            listener
        };
        Self { listeners: [listener(), listener()], connections: RefCell::default() }
    }

    pub fn port(&self, which: usize) -> u16 {
        self.listeners[which % 2].local_addr().expect("bound").port()
    }

    pub fn accept(&self) {
        for listener in &self.listeners {
            while let Ok((stream, _)) = listener.accept() {
                // Closed by a reset, so that no run leaves ports in TIME_WAIT to the next ones.
                let linger = libc::linger { l_onoff: 1, l_linger: 0 };
                let size = size_of::<libc::linger>() as libc::socklen_t;
                // SAFETY: the descriptor is open, and the option of that size.
                let set = unsafe {
                    let option = (&raw const linger).cast();
                    libc::setsockopt(stream.as_raw_fd(), libc::SOL_SOCKET, libc::SO_LINGER, option, size)
                };
                assert_eq!(set, 0);
                stream.set_nonblocking(true).expect("non-blocking");
                let mut connections = self.connections.borrow_mut();
                if connections.len() < CONNECTIONS_MAX {
                    connections.push(stream);
                }
            }
        }
    }

    /// Reads what came, everywhere.
    pub fn read(&self) {
        let mut buffer = [0; 16 * 1024];
        for stream in self.connections.borrow_mut().iter_mut() {
            while let Ok(1..) = stream.read(&mut buffer) {}
        }
    }

    /// What does not fit is lost.
    pub fn write(&self, which: u8, bytes: &[u8]) {
        let mut connections = self.connections.borrow_mut();
        let count = connections.len();
        if count > 0 {
            let _ = connections[usize::from(which) % count].write(bytes);
        }
    }

    pub fn end(&self, which: u8) {
        let connections = self.connections.borrow();
        if !connections.is_empty() {
            let _ = connections[usize::from(which) % connections.len()].shutdown(Shutdown::Write);
        }
    }

    pub fn reset(&self, which: u8) {
        let mut connections = self.connections.borrow_mut();
        let count = connections.len();
        if count > 0 {
            connections.swap_remove(usize::from(which) % count);
        }
    }

    pub fn clear(&self) {
        self.accept();
        self.connections.borrow_mut().clear();
    }
}

/// `@` and `%` stand for the two ports.
pub const PARTS: &[&str] = &[
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nT: v\r\n\r\n",
    "HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:%/c\r\nContent-Length: 5\r\n\r\nhello",
    "HTTP/1.1 307 Temporary\r\nLocation: http://localhost:@/d\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 302 Found\r\nLocation: https://127.0.0.1:%/\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n",
    "HTTP/1.1 200 OK\r\n\r\nuntil the end",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.1 103 Early\r\nLink: x\r\n\r\n",
    "HTTP/1.1 204 No\r\n\r\n",
    "HTTP/1.1 304 Not\r\n\r\n",
    "HTTP/1.1 101 Switching\r\n\r\n",
    "HTTP/1.1 302 Found\r\nLocation: ftp://x\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.1 404\r\n",
    "Location: http://127.0.0.1:@/e\r\n",
    "Content-Length: 5\r\n",
    "Transfer-Encoding: chunked\r\n",
    "X: y\r\n",
    "\r\n",
    "hello",
    "5\r\nhello\r\n",
    "0\r\n\r\n",
    "0\r\nT: v\r\n\r\n",
    "SSH-2.0-x\r\n",
    // TLS: an alert, the head of a handshake record, a record of no known kind.
    "\x15\x03\x03\0\x02\x02\x28",
    "\x16\x03\x03\0\x04\x02\0\0\0",
    "\x17\x03\x03\0\x01x",
];

impl Server {
    pub fn part(&self, which: u8, part: u8) {
        let text = PARTS[usize::from(part) % PARTS.len()];
        if !text.contains(['@', '%']) {
            return self.write(which, text.as_bytes());
        }
        let text = text.replace('@', &self.port(0).to_string()).replace('%', &self.port(1).to_string());
        self.write(which, text.as_bytes());
    }

    /// Bytes of the input. Without the letter l no header of theirs is a Location: none leads away from this host.
    pub fn raw(&self, which: u8, bytes: &[u8]) {
        let safe: Vec<u8> = bytes.iter().map(|byte| if matches!(byte, b'l' | b'L') { b'k' } else { *byte }).collect();
        self.write(which, &safe);
    }
}
