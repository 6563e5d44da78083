//! URLs that were asked for lately, checked. Most programs ask for a few, again and again.

use std::sync::{Arc, Mutex};

use super::error::HttpClientError;
use super::target::Target;
use crate::synca::sync::try_lock;

/// URLs remembered by one client.
const REMEMBERED_URLS_MAX: usize = 16;
/// A longer URL is not remembered; long ones are mostly asked for once.
const REMEMBERED_URL_BYTES_MAX: usize = 2 * 1024;

/// See the module. Nobody waits for the lock: to check a URL again is cheaper.
#[derive(Default)]
pub struct Recent(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// In no order.
    urls: Vec<Url>,
    /// Which of them goes first, once there are as many as may be.
    oldest: usize,
}

struct Url {
    /// How it ends: URLs of one kind mostly differ there, so that few are compared as a whole.
    end: u64,
    /// As it was given.
    text: Arc<str>,
    target: Target,
}

impl Recent {
    /// What `url` comes to, and whether that was known. The same text always comes to the same.
    pub fn target(&self, url: &str) -> Result<(Target, bool), HttpClientError> {
        if let Some(target) = self.find(url) {
            return Ok((target, true));
        }
        let target = Target::parse(url)?;
        self.remember(url, &target);
        Ok((target, false))
    }

    fn find(&self, url: &str) -> Option<Target> {
        let known = try_lock(&self.0)?;
        let end = end(url);
        known.urls.iter().find(|one| one.end == end && *one.text == *url).map(|one| one.target.clone())
    }

    fn remember(&self, url: &str, target: &Target) {
        let text = target.text();
        // A secret is kept no longer than its request.
        if url.len() > REMEMBERED_URL_BYTES_MAX || text.len() > REMEMBERED_URL_BYTES_MAX || target.has_credentials() {
            return;
        }
        let text = if url == &**text { text.clone() } else { Arc::from(url) };
        let entry = Url { end: end(url), text, target: target.clone() };
        let Some(mut known) = try_lock(&self.0) else { return };
        let forgotten = if known.urls.len() < REMEMBERED_URLS_MAX {
            known.urls.push(entry);
            None
        } else {
            let at = known.oldest;
            known.oldest = (at + 1) % REMEMBERED_URLS_MAX;
            known.urls.get_mut(at).map(|place| std::mem::replace(place, entry))
        };
        // Outside the lock: it may be the last of its target.
        drop(known);
        drop(forgotten);
    }
}

fn end(url: &str) -> u64 {
    url.as_bytes().last_chunk().map_or(0, |end| u64::from_ne_bytes(*end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{Argument, Status};
    use crate::synca::sync::lock;

    impl Recent {
        fn asked_before(&self, url: &str) -> bool {
            let (target, asked_before) = self.target(url).expect("a URL");
            let alone = Target::parse(url).expect("a URL");
            assert_eq!((target.text(), target.display()), (alone.text(), alone.display()));
            assert_eq!((target.origin(), target.address()), (alone.origin(), alone.address()));
            let parts = |target: &Target| [target.host_field(), target.request_target()].map(str::to_owned);
            assert_eq!(parts(&target), parts(&alone));
            asked_before
        }
    }

    /// Goal: a URL is known from the second time on, and comes to what it comes to alone; others, however alike, are
    /// not taken for it. Method: pairs that differ in one thing.
    #[test]
    fn alike_is_not_the_same() {
        let recent = Recent::default();
        let urls = [
            "http://a/",
            "https://a/",
            "http://a",
            "http://a:80/",
            "http://a:81/",
            "http://A/",
            "http://a/#f",
            "http://a/#g",
            "http://a/?",
            "http://a/%41",
            "http://a/A",
            "http://\u{fc}/",
            "http://xn--tda/",
        ];
        for url in urls {
            assert!(!recent.asked_before(url), "{url}");
        }
        for url in urls {
            assert!(recent.asked_before(url), "{url}");
        }
    }

    /// Goal: no more are kept than may be; the oldest goes. Method: one more than there is room for.
    #[test]
    fn the_oldest_is_forgotten() {
        let recent = Recent::default();
        let url = |at: usize| format!("http://a/{at}");
        for at in 0..=REMEMBERED_URLS_MAX {
            assert!(!recent.asked_before(&url(at)));
        }
        for at in 1..=REMEMBERED_URLS_MAX {
            assert!(recent.asked_before(&url(at)));
        }
        assert!(!recent.asked_before(&url(0)) && !recent.asked_before(&url(1)) && recent.asked_before(&url(3)));
        assert_eq!(lock(&recent.0).urls.len(), REMEMBERED_URLS_MAX);
    }

    /// Goal: secrets, long URLs and what is none are not kept. Method: ask twice; the length also of what the URL
    /// becomes.
    #[test]
    fn what_is_not_remembered() {
        let recent = Recent::default();
        let long = format!("http://a/{}", "x".repeat(REMEMBERED_URL_BYTES_MAX));
        let longer_inside = format!("http://a/{}", "\u{fc}".repeat(REMEMBERED_URL_BYTES_MAX / 3));
        for url in ["http://u:p@a/", "http://u@a/", &long, &longer_inside] {
            assert!(!recent.asked_before(url) && !recent.asked_before(url), "{url}");
        }
        for _ in 0..2 {
            let error = recent.target("http:/a").expect_err("no URL");
            assert_eq!((error.status, error.argument), (Status::UrlSyntax, Argument::Url));
        }
        assert!(lock(&recent.0).urls.is_empty());
    }

    /// Goal: nobody waits for who looks at the same moment. Method: ask while the lock is held.
    #[test]
    fn a_held_lock_is_passed_by() {
        let recent = Recent::default();
        assert!(!recent.asked_before("http://a/"));
        let held = lock(&recent.0);
        assert!(!recent.asked_before("http://a/") && !recent.asked_before("http://b/"));
        drop(held);
        assert!(recent.asked_before("http://a/") && !recent.asked_before("http://b/"));
    }
}
