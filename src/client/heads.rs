//! Response heads as a host gets them.

use std::sync::Arc;

use crate::proto::{HeadBlock, ResponseHead, Span};

/// One response head, as handed to the host.
#[derive(Debug)]
pub struct HeadRecord {
    /// The status.
    pub status: u16,
    /// HTTP/1.x.
    pub version_minor: u8,
    /// Names and values.
    pub block: HeadBlock,
    /// Where in the block's bytes the reason phrase is.
    pub reason: Span,
    /// Where it came from.
    pub url: Arc<str>,
}

impl HeadRecord {
    /// From a parsed head.
    pub fn new(head: ResponseHead, url: Arc<str>) -> Self {
        Self { status: head.status, version_minor: head.version_minor, reason: head.reason, block: head.block, url }
    }
}

/// Which head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadKind {
    /// Of the final response.
    Final,
    /// Of its trailers.
    Trailers,
    /// Of an interim response, from 0.
    Interim(usize),
    /// Of a redirect that was followed, from 0.
    Hop(usize),
}

impl HeadKind {
    /// From the number in the C API.
    pub fn from_code(code: i32) -> Option<Self> {
        match code {
            0 => Some(Self::Final),
            1 => Some(Self::Trailers),
            0x1_0000..=0x1_ffff => Some(Self::Interim((code - 0x1_0000) as usize)),
            0x2_0000..=0x2_ffff => Some(Self::Hop((code - 0x2_0000) as usize)),
            _ => None,
        }
    }
}
