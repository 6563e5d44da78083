//! The TLS sessions that a client's connections resume.

use std::fmt;
use std::sync::{Arc, Mutex};

use rustls::client::{
    ClientSessionMemoryCache, ClientSessionStore, Resumption, Tls12ClientSessionValue, Tls13ClientSessionValue,
};
use rustls::pki_types::ServerName;
use rustls::NamedGroup;

use crate::synca::sync::try_lock;

/// Sessions that a client remembers, one lock for all. Connections of several threads share it, polls among them, and
/// none waits for another: what one of them holds at that moment looks empty to the others, and what they bring is
/// forgotten. The price is a whole handshake where a short one would have done, once in a long while.
struct Sessions {
    /// Taken before the memory's own lock, so that nobody meets anybody there.
    gate: Mutex<()>,
    memory: ClientSessionMemoryCache,
}

/// Remembers up to `max` sessions.
pub(super) fn resumption(max: usize) -> Resumption {
    let memory = ClientSessionMemoryCache::new(max);
    Resumption::store(Arc::new(Sessions { gate: Mutex::new(()), memory }))
}

impl Sessions {
    fn memory<R>(&self, ask: impl FnOnce(&ClientSessionMemoryCache) -> R) -> Option<R> {
        let _gate = try_lock(&self.gate)?;
        Some(ask(&self.memory))
    }
}

// rustls asks for it and nobody prints it; derived, it would bring all of the memory's text into the library.
impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sessions")
    }
}

impl ClientSessionStore for Sessions {
    fn set_kx_hint(&self, name: ServerName<'static>, group: NamedGroup) {
        self.memory(|memory| memory.set_kx_hint(name, group));
    }

    fn kx_hint(&self, name: &ServerName<'_>) -> Option<NamedGroup> {
        self.memory(|memory| memory.kx_hint(name)).flatten()
    }

    fn set_tls12_session(&self, name: ServerName<'static>, session: Tls12ClientSessionValue) {
        self.memory(|memory| memory.set_tls12_session(name, session));
    }

    fn tls12_session(&self, name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.memory(|memory| memory.tls12_session(name)).flatten()
    }

    fn remove_tls12_session(&self, name: &ServerName<'static>) {
        self.memory(|memory| memory.remove_tls12_session(name));
    }

    fn insert_tls13_ticket(&self, name: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        self.memory(|memory| memory.insert_tls13_ticket(name, ticket));
    }

    fn take_tls13_ticket(&self, name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.memory(|memory| memory.take_tls13_ticket(name)).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synca::sync::lock;

    /// Goal: whoever comes while another thread is at the sessions waits for nothing, and later finds what was there.
    /// Method: hold the gate, and look.
    #[test]
    fn nobody_waits() {
        let sessions = Sessions { gate: Mutex::new(()), memory: ClientSessionMemoryCache::new(8) };
        let name = ServerName::try_from("a.test").expect("a name");
        sessions.set_kx_hint(name.clone(), NamedGroup::X25519);
        let gate = lock(&sessions.gate);
        sessions.set_kx_hint(name.clone(), NamedGroup::secp256r1);
        sessions.remove_tls12_session(&name);
        assert!(sessions.kx_hint(&name).is_none() && sessions.tls12_session(&name).is_none());
        assert!(sessions.take_tls13_ticket(&name).is_none());
        drop(gate);
        assert_eq!(sessions.kx_hint(&name), Some(NamedGroup::X25519));
    }
}
