//! HTTP/1.1 as bytes in, bytes out (RFC 9110, RFC 9112): no sockets, no clock, no threads.
//!
//! ```text
//! RequestHead::encode ---> bytes to send
//!
//! bytes received ---> HeadReader ---> ResponseHead ---> response_framing ---> BodyDecoder ---> body bytes, trailers
//!                         ^ 1xx: again |                        |
//!                         `------------'                        `---> keep the connection, or why not
//! ```
//!
//! Three rules hold everywhere:
//! - *Short input is never an error.* Too few bytes give "need more"; only the end of the stream can make them wrong.
//! - *How the bytes were cut does not matter.* Any split of the same bytes gives the same result.
//! - *Where leniency lets two readers disagree, there is none.* A contradiction about where a message ends is an
//!   error.
//!
//! One exchange, in full:
//!
//! ```
//! use valtron_http::proto::{
//!     response_framing, BodyDecoder, BodyKind, HeadReader, HeadStep, Limits, RequestBody, RequestHead,
//! };
//!
//! let limits = Limits::default();
//! let request = RequestHead {
//!     method: "GET",
//!     target: "/score?level=3",
//!     host: "game.example",
//!     headers: &[(b"Accept", b"text/plain")],
//!     own: &[],
//!     body: RequestBody::None,
//! };
//! let mut sent = Vec::new();
//! request.encode(&mut sent)?;
//! assert_eq!(sent, b"GET /score?level=3 HTTP/1.1\r\nHost: game.example\r\nAccept: text/plain\r\n\r\n");
//!
//! // Half a head is not an error.
//! let received = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n";
//! let mut reader = HeadReader::new();
//! assert_eq!(reader.parse(&received[..20], &limits)?, HeadStep::NeedMore);
//! let HeadStep::Complete { used, head } = reader.parse(received, &limits)? else { panic!("the head is complete") };
//! assert_eq!(head.status, 200);
//!
//! let framing = response_framing("GET", &head)?;
//! assert_eq!(framing.body, BodyKind::Chunked);
//! let mut decoder = BodyDecoder::new(framing.body, &limits);
//! let mut rest = &received[used..];
//! let mut body = Vec::new();
//! while !decoder.is_done() {
//!     let step = decoder.decode(rest)?;
//!     body.extend_from_slice(&rest[step.data]);
//!     rest = &rest[step.used..];
//! }
//! decoder.finish()?;
//! assert_eq!(body, b"hello!");
//!
//! // Nothing is left over and nothing speaks against it: the connection may serve the next request.
//! assert!(rest.is_empty() && framing.keep_alive.is_ok());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod block;
mod body;
mod chunked;
mod encode;
mod error;
mod framing;
mod head;
mod limits;
mod method;
#[cfg(test)]
mod tests;

pub use block::{Field, HeadBlock, Span};
pub use body::{BodyDecoder, BodyStep};
pub use encode::{
    encode_chunk_head, validate_header, HeaderFault, RequestBody, RequestHead, RequestHeadError, CHUNK_END, LAST_CHUNK,
};
pub use error::{Fault, ProtocolError};
pub use framing::{redirect_location, response_framing, BodyKind, CloseReason, Framing};
pub use head::{HeadReader, HeadStep, ResponseHead};
pub use limits::Limits;
pub use method::{expects_body, is_idempotent, is_token};
