//! What is behind a `valtron_client` pointer.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::callbacks::Releases;
use super::process;
use super::types::valtron_client;
use crate::client::{Client, ClientConfig, HttpClientError, SpawnInfo, Status};
use crate::synca::sync::lock;

/// A client and the process it was made in.
pub(super) struct Held {
    inner: Arc<Inner>,
    forks: u64,
}

/// What a call works with. One that drives has a reference of its own, so that a callback in it can free the client.
pub(super) struct Inner {
    pub(super) client: Client,
    pub(super) releases: Arc<Releases>,
    pub(super) texts: Texts,
}

impl Held {
    /// For the host, which gives it back to [`free`](Self::free).
    pub(super) fn create(config: ClientConfig) -> Result<*mut valtron_client, HttpClientError> {
        process::set_up();
        let client = Client::create(config)?;
        let inner = Arc::new(Inner { client, releases: Arc::default(), texts: Texts::default() });
        Ok(Box::into_raw(Box::new(valtron_client(Self { inner, forks: process::forks() }))))
    }

    /// # Safety
    /// `client` is NULL or from [`create`](Self::create), not freed yet.
    pub(super) unsafe fn shared(client: *const valtron_client) -> Result<Arc<Inner>, Status> {
        // SAFETY: promised to us, and it lives until the reference is counted.
        Ok(unsafe { Self::checked(client)? }.clone())
    }

    /// # Safety
    /// `client` is NULL or from [`create`](Self::create), and not freed while the result is used: in a call in which no
    /// callback runs.
    pub(super) unsafe fn checked<'a>(client: *const valtron_client) -> Result<&'a Arc<Inner>, Status> {
        // SAFETY: promised to us.
        let held = &unsafe { client.as_ref() }.ok_or(Status::NullClient)?.0;
        if held.forks != process::forks() {
            return Err(Status::Forked);
        }
        Ok(&held.inner)
    }

    /// # Safety
    /// As for [`checked`](Self::checked), and nobody uses it any more but calls that are around this one on this
    /// thread's stack.
    pub(super) unsafe fn free(client: *mut valtron_client) {
        if client.is_null() {
            return;
        }
        // SAFETY: promised to us.
        let held = unsafe { Box::from_raw(client) }.0;
        if held.forks != process::forks() {
            // The parent's threads are not here, and its locks may be held for ever: close descriptors, leave the rest
            // alone.
            held.inner.client.abandon_after_fork();
            std::mem::forget(held.inner);
            return;
        }
        let releases = held.inner.releases.clone();
        held.inner.client.close();
        drop(held);
        releases.close();
    }
}

/// The texts of questions that the host pulled: it may look at them until it decides, and the library's own copy may
/// go before that.
///
/// Each knows its request, so that those of questions never decided go with it.
#[derive(Default)]
pub(super) struct Texts {
    maps: Mutex<TextMaps>,
    /// There ever were any.
    used: AtomicBool,
}

#[derive(Default)]
struct TextMaps {
    by_spawn: HashMap<u64, SpawnInfo>,
    by_request: HashMap<u64, Vec<u64>>,
}

impl Texts {
    /// Keeps the text, which stays where it is.
    pub(super) fn keep(&self, spawn: SpawnInfo) -> SpawnInfo {
        self.used.store(true, Ordering::SeqCst);
        let mut maps = lock(&self.maps);
        if maps.by_spawn.insert(spawn.spawn_id, spawn.clone()).is_none() {
            maps.by_request.entry(spawn.request).or_default().push(spawn.spawn_id);
        }
        spawn
    }

    pub(super) fn forget_spawn(&self, spawn_id: u64) {
        let mut maps = lock(&self.maps);
        let Some(spawn) = maps.by_spawn.remove(&spawn_id) else { return };
        if let Some(ids) = maps.by_request.get_mut(&spawn.request) {
            ids.retain(|id| *id != spawn_id);
            if ids.is_empty() {
                maps.by_request.remove(&spawn.request);
            }
        }
    }

    pub(super) fn forget_request(&self, request: u64) {
        if !self.used.load(Ordering::SeqCst) {
            return;
        }
        let mut maps = lock(&self.maps);
        for id in maps.by_request.remove(&request).unwrap_or_default() {
            maps.by_spawn.remove(&id);
        }
    }
}
