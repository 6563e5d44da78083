//! hyper over tokio's current-thread runtime: one task and one connection each, without a pool. HTTP only.

use std::rc::Rc;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{handshake, SendRequest};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use valtron_http_peers::{stop, Args, Tally};

type Failure = Box<dyn std::error::Error>;

fn main() {
    let args = Args::read();
    let tally = Rc::new(Tally::new(&args));
    let uri: Uri = args.url.parse().unwrap_or_else(|error| stop(&format!("{}: {error}", args.url)));
    if uri.scheme_str() != Some("http") {
        stop("this client speaks http only");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let tasks: Vec<_> = (0..args.concurrency)
            .map(|_| {
                let (tally, uri) = (tally.clone(), uri.clone());
                tokio::task::spawn_local(async move { connection(&tally, &uri).await })
            })
            .collect();
        let mut kept = Vec::new();
        for task in tasks {
            kept.push(task.await.expect("no task panics"));
        }
        // Here the connections are still open: their senders are in `kept`.
        tally.finish();
    });
}

/// Makes requests over one connection while there are any to make; over a new one after a failure.
async fn connection(tally: &Tally, uri: &Uri) -> Option<SendRequest<Empty<Bytes>>> {
    let mut sender = None;
    while tally.next() {
        match one(&mut sender, uri).await {
            Ok(bytes) => tally.ok(bytes),
            Err(error) => {
                sender = None;
                tally.failed(error);
            }
        }
    }
    sender
}

async fn one(sender: &mut Option<SendRequest<Empty<Bytes>>>, uri: &Uri) -> Result<u64, Failure> {
    let host = uri.authority().ok_or("a URL with a host")?.as_str();
    let sender = match sender {
        Some(sender) => sender,
        None => {
            let stream = TcpStream::connect(host).await?;
            stream.set_nodelay(true)?;
            let (made, connection) = handshake(TokioIo::new(stream)).await?;
            tokio::task::spawn_local(connection);
            sender.insert(made)
        }
    };
    sender.ready().await?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::get(path).header("host", host).header("user-agent", "bench").body(Empty::new())?;
    let response = sender.send_request(request).await?;
    if response.status() != 200 {
        return Err(format!("status {}", response.status()).into());
    }
    let (mut body, mut bytes) = (response.into_body(), 0);
    while let Some(frame) = body.frame().await {
        bytes += frame?.data_ref().map_or(0, |data| data.len() as u64);
    }
    Ok(bytes)
}
