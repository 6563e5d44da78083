//! The head with which a URL answered a GET last, parsed; of good answers, see [`LastAnswer::keep`]. A server that is
//! asked often sends the same bytes until the second that its `Date` names is over; to compare them costs a fraction of
//! what parsing them does, and the hosts that look at both get the same memory.

use std::sync::{Arc, Mutex};

use super::heads::HeadRecord;
use crate::proto::{Framing, Limits};
use crate::synca::sync::try_lock;

/// A longer head is not remembered: there is one for each URL asked for lately, and its table of fields with it.
const REMEMBERED_HEAD_BYTES_MAX: usize = 4 * 1024;

/// What a head came to, as an answer to a GET.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The head.
    pub record: Arc<HeadRecord>,
    /// What it says about the body and the connection.
    pub framing: Framing,
    /// Within which it was parsed.
    pub limits: Limits,
}

/// See the module. Nobody waits for the lock: to parse a head again is cheaper.
#[derive(Debug, Default)]
pub struct LastAnswer(Mutex<Option<Answer>>);

impl LastAnswer {
    /// The answer with which `received` begins, if it is the last one's, byte for byte.
    pub fn find(&self, received: &[u8], limits: &Limits) -> Option<Answer> {
        let last = try_lock(&self.0)?;
        let answer = last.as_ref()?;
        // It ends with a blank line, so what begins with it is this head and no longer one.
        (received.starts_with(answer.record.block.bytes()) && *limits == answer.limits).then(|| answer.clone())
    }

    /// Remembers it, if it is a good one (2xx), no long one, and sets no cookie.
    pub fn keep(&self, answer: &Answer) {
        let record = &answer.record;
        // A cookie is a secret, which is kept no longer than its request.
        let keeps = record.block.bytes().len() <= REMEMBERED_HEAD_BYTES_MAX && record.block.get("set-cookie").is_none();
        let Some(mut last) = try_lock(&self.0).filter(|_| keeps && (200..300).contains(&record.status)) else { return };
        let forgotten = last.replace(answer.clone());
        // Outside the lock: it may be the last of its head.
        drop(last);
        drop(forgotten);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{response_framing, HeadReader, HeadStep};
    use crate::synca::sync::lock;

    fn answer(head: &str, limits: &Limits) -> Answer {
        let Ok(HeadStep::Complete { head, .. }) = HeadReader::new().parse(head.as_bytes(), limits) else {
            panic!("no head: {head:?}");
        };
        let framing = response_framing("GET", &head).expect("a body");
        Answer { record: Arc::new(HeadRecord::new(head, "http://a/".into())), framing, limits: *limits }
    }

    /// Goal: only the same bytes are the same head, whatever follows them. Method: a head, then pieces of it, others
    /// that differ in a byte or go on, and the same behind a body.
    #[test]
    fn byte_for_byte() {
        let last = LastAnswer::default();
        let limits = Limits::default();
        let head = "HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 2\r\n\r\n";
        assert!(last.find(head.as_bytes(), &limits).is_none());
        let kept = answer(head, &limits);
        last.keep(&kept);
        for rest in ["", "h", "hi", head] {
            let found = last.find(format!("{head}{rest}").as_bytes(), &limits).expect("the same head");
            assert!(Arc::ptr_eq(&found.record, &kept.record) && found.framing == kept.framing);
        }
        for end in 0..head.len() {
            assert!(last.find(&head.as_bytes()[..end], &limits).is_none());
            let mut other = head.as_bytes().to_vec();
            other[end] ^= 0x20;
            assert!(last.find(&other, &limits).is_none());
        }
        let longer = format!("{}X: y\r\n\r\n", &head[..head.len() - 2]);
        assert!(last.find(longer.as_bytes(), &limits).is_none());
        let tighter = Limits { header_count_max: 1, ..limits };
        assert!(last.find(head.as_bytes(), &tighter).is_none());
    }

    /// Goal: a head whose folded line was unfolded is found only by bytes that mean the same. Method: the received form
    /// and the unfolded one.
    #[test]
    fn folded_lines() {
        let last = LastAnswer::default();
        let limits = Limits::default();
        let folded = "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n";
        last.keep(&answer(folded, &limits));
        assert!(last.find(folded.as_bytes(), &limits).is_none());
        let plain = folded.replace("\r\n c", "   c");
        let found = last.find(plain.as_bytes(), &limits).expect("the same bytes");
        assert_eq!(found.record.block, answer(&plain, &limits).record.block);
    }

    /// Goal: one head is kept, the last; no secrets, no long heads, no redirects and errors. Method: one of each after
    /// one that is.
    #[test]
    fn what_is_not_remembered() {
        let last = LastAnswer::default();
        let limits = Limits::default();
        let plain = "HTTP/1.1 200 OK\r\n\r\n";
        let long = format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "x".repeat(REMEMBERED_HEAD_BYTES_MAX));
        let others = [
            "HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\n\r\n",
            "HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n",
            "HTTP/1.1 404 Not Found\r\n\r\n",
            "HTTP/1.1 103 Early Hints\r\n\r\n",
            &long,
        ];
        last.keep(&answer(plain, &limits));
        for other in others {
            last.keep(&answer(other, &limits));
            assert!(last.find(other.as_bytes(), &limits).is_none(), "{other}");
            assert!(last.find(plain.as_bytes(), &limits).is_some(), "{other}");
        }
        let next = "HTTP/1.1 204 No Content\r\n\r\n";
        last.keep(&answer(next, &limits));
        assert!(last.find(next.as_bytes(), &limits).is_some() && last.find(plain.as_bytes(), &limits).is_none());
    }

    /// Goal: nobody waits for who looks at the same moment. Method: ask and keep while the lock is held.
    #[test]
    fn a_held_lock_is_passed_by() {
        let last = LastAnswer::default();
        let limits = Limits::default();
        let head = "HTTP/1.1 200 OK\r\n\r\n";
        last.keep(&answer(head, &limits));
        let held = lock(&last.0);
        last.keep(&answer(head, &limits));
        assert!(last.find(head.as_bytes(), &limits).is_none());
        drop(held);
        assert!(last.find(head.as_bytes(), &limits).is_some());
    }
}
