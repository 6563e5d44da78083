//! The operating system's errors as [`NetError`].

use std::fmt;
use std::io;

use super::{NetError, NetErrorKind};

impl NetError {
    /// An error without a number of the OS: of a script, or of a host's transport.
    pub fn of_kind(kind: NetErrorKind) -> Self {
        Self { kind, errno: 0 }
    }

    /// The OS's error. What matters is who can mend it: the peer, the network, or this machine.
    pub(crate) fn from_io(error: io::Error) -> Self {
        let errno = error.raw_os_error().unwrap_or(0);
        let kind = match error.kind() {
            _ if is_exhausted(errno) => NetErrorKind::Exhausted,
            io::ErrorKind::ConnectionRefused => NetErrorKind::Refused,
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown => {
                NetErrorKind::Unreachable
            }
            io::ErrorKind::TimedOut => NetErrorKind::TimedOut,
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => NetErrorKind::Reset,
            io::ErrorKind::BrokenPipe | io::ErrorKind::NotConnected => NetErrorKind::BrokenPipe,
            // A connect finds no local port: the ports to this peer are used up.
            io::ErrorKind::AddrNotAvailable | io::ErrorKind::AddrInUse | io::ErrorKind::OutOfMemory => {
                NetErrorKind::Exhausted
            }
            io::ErrorKind::PermissionDenied => NetErrorKind::Denied,
            _ => NetErrorKind::Other,
        };
        Self { kind, errno }
    }
}

impl fmt::Display for NetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            NetErrorKind::Refused => "nobody listens at the address",
            NetErrorKind::Unreachable => "the network or host is unreachable",
            NetErrorKind::TimedOut => "the system gave up connecting",
            NetErrorKind::Reset => "the peer cut the connection",
            NetErrorKind::BrokenPipe => "the peer closed the connection before everything was sent",
            NetErrorKind::Exhausted => "no more descriptors, ports or memory",
            NetErrorKind::Denied => "the system forbids it",
            NetErrorKind::Other => "the socket failed",
        })?;
        match self.errno {
            0 => Ok(()),
            errno => write!(f, " (OS error {errno})"),
        }
    }
}

impl std::error::Error for NetError {}

#[cfg(unix)]
fn is_exhausted(errno: i32) -> bool {
    matches!(errno, libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM)
}

/// WSAEMFILE, WSAENOBUFS.
#[cfg(not(unix))]
fn is_exhausted(errno: i32) -> bool {
    matches!(errno, 10024 | 10055)
}
