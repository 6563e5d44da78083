//! The embedded test site: HTTP and HTTPS on 127.0.0.1, every port chosen by the system, every certificate new.
//!
//! - `VALTRON_SITE_HTTP`: the routes of `routes.rs`, plain.
//! - `VALTRON_SITE_HTTPS`: the same under a leaf for localhost, signed by the authority of `VALTRON_SITE_CA` (PEM).
//! - `VALTRON_SITE_EXPIRED`, `_NOT_YET_VALID`, `_WRONG_HOST`, `_UNKNOWN_CA`, `_SELF_SIGNED`: the same under a leaf
//!   that must be refused.
//! - `VALTRON_SITE_PLAIN_ON_TLS`: an `https:` URL behind which plain HTTP is spoken.
//! - `VALTRON_SITE_STALL_TLS`: accepts and then says nothing.
//! - `VALTRON_SITE_TRUNCATED_TLS`: `/length`, `/chunked`, `/close`: TLS that ends mid-body without close_notify.
//!
//! One blocking thread a connection: simple, and unlike the client under test in every way.

pub mod certs;
mod conn;
mod routes;
mod smuggle;

use std::collections::HashMap;
use std::io::{self, Read};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use certs::{Authority, Leaf, Validity, LOCAL_NAMES};

/// A running site. Its threads end with the process.
pub struct Site {
    pub env: Vec<(&'static str, String)>,
    /// `ca.pem`, `localhost.pem` and `localhost.key`, for servers of other makes.
    pub dir: PathBuf,
}

/// What all connections of a site share.
pub struct Shared {
    pub http: String,
    pub https: String,
    pub accepted: AtomicU64,
    pub counts: Mutex<HashMap<String, u64>>,
    /// The connections that are served, by number.
    pub streams: Mutex<HashMap<u64, TcpStream>>,
}

#[derive(Clone)]
enum Kind {
    Plain,
    Tls(Arc<rustls::ServerConfig>),
    PlainOnTls,
    Stall,
    Truncated(Arc<rustls::ServerConfig>),
}

impl Site {
    pub fn start(dir: &Path) -> io::Result<Site> {
        std::fs::create_dir_all(dir)?;
        let authority = Authority::new("valtron_http test authority");
        let good = authority.leaf(&LOCAL_NAMES, Validity::Now);
        let ca = dir.join("ca.pem");
        std::fs::write(&ca, &authority.pem)?;
        std::fs::write(dir.join("localhost.pem"), &good.certificate_pem)?;
        std::fs::write(dir.join("localhost.key"), &good.key_pem)?;

        let (http, https) = (listen()?, listen()?);
        let shared = Arc::new(Shared {
            http: format!("http://127.0.0.1:{}", port(&http)),
            https: format!("https://localhost:{}", port(&https)),
            accepted: AtomicU64::new(0),
            counts: Mutex::new(HashMap::new()),
            streams: Mutex::new(HashMap::new()),
        });
        let mut env = vec![
            ("VALTRON_SITE_HTTP", shared.http.clone()),
            ("VALTRON_SITE_HTTPS", shared.https.clone()),
            ("VALTRON_SITE_CA", ca.display().to_string()),
        ];
        serve(http, Kind::Plain, &shared);
        serve(https, Kind::Tls(good.config.clone()), &shared);
        let tls = |leaf: Leaf| Kind::Tls(leaf.config);
        let further = [
            ("VALTRON_SITE_EXPIRED", tls(authority.leaf(&LOCAL_NAMES, Validity::Over))),
            ("VALTRON_SITE_NOT_YET_VALID", tls(authority.leaf(&LOCAL_NAMES, Validity::NotBegun))),
            ("VALTRON_SITE_WRONG_HOST", tls(authority.leaf(&["elsewhere.invalid"], Validity::Now))),
            ("VALTRON_SITE_UNKNOWN_CA", tls(Authority::new("a stranger").leaf(&LOCAL_NAMES, Validity::Now))),
            ("VALTRON_SITE_SELF_SIGNED", tls(Leaf::self_signed(&LOCAL_NAMES))),
            ("VALTRON_SITE_PLAIN_ON_TLS", Kind::PlainOnTls),
            ("VALTRON_SITE_STALL_TLS", Kind::Stall),
            ("VALTRON_SITE_TRUNCATED_TLS", Kind::Truncated(good.config)),
        ];
        for (name, kind) in further {
            let listener = listen()?;
            env.push((name, format!("https://localhost:{}", port(&listener))));
            serve(listener, kind, &shared);
        }
        Ok(Site { env, dir: dir.to_path_buf() })
    }

    pub fn value(&self, name: &str) -> &str {
        self.env.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value)
    }
}

/// `cargo xtask site`: prints the variables and runs until stdin closes.
pub fn run() -> Result<(), String> {
    let dir = crate::util::out_dir().join(format!("site-{}", std::process::id()));
    let site = Site::start(&dir).map_err(|error| format!("the site does not start: {error}"))?;
    for (key, value) in &site.env {
        println!("{key}={value}");
    }
    let mut sink = [0; 256];
    while io::stdin().read(&mut sink).is_ok_and(|count| count > 0) {}
    let _ = std::fs::remove_dir_all(dir);
    Ok(())
}

impl Shared {
    pub fn streams(&self) -> MutexGuard<'_, HashMap<u64, TcpStream>> {
        self.streams.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

fn listen() -> io::Result<TcpListener> {
    TcpListener::bind(("127.0.0.1", 0))
}

fn port(listener: &TcpListener) -> u16 {
    listener.local_addr().map_or(0, |address| address.port())
}

fn serve(listener: TcpListener, kind: Kind, shared: &Arc<Shared>) {
    let shared = shared.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let id = shared.accepted.fetch_add(1, Ordering::SeqCst) + 1;
            let (kind, shared) = (kind.clone(), shared.clone());
            std::thread::spawn(move || {
                if let Ok(stream) = stream.try_clone() {
                    shared.streams().insert(id, stream);
                }
                // A peer that goes away is no news: clients under test do it on purpose.
                let _ = connection(stream, kind, shared.clone(), id);
                shared.streams().remove(&id);
            });
        }
    });
}

fn connection(mut stream: TcpStream, kind: Kind, shared: Arc<Shared>, id: u64) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let tcp = stream.try_clone()?;
    match kind {
        Kind::Stall => io::copy(&mut stream, &mut io::sink()).map(drop),
        Kind::PlainOnTls => conn::plain_on_tls(stream),
        Kind::Plain => conn::serve(Box::new(stream), tcp, shared, false, id),
        Kind::Tls(config) => conn::serve(Box::new(tls(config, stream)?), tcp, shared, true, id),
        Kind::Truncated(config) => conn::truncated(Box::new(tls(config, stream)?), tcp, shared, id),
    }
}

fn tls(
    config: Arc<rustls::ServerConfig>,
    stream: TcpStream,
) -> io::Result<rustls::StreamOwned<rustls::ServerConnection, TcpStream>> {
    let connection = rustls::ServerConnection::new(config).map_err(io::Error::other)?;
    Ok(rustls::StreamOwned::new(connection, stream))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    /// Goal: the routes say on the wire what their table promises. Method: raw requests over a plain socket.
    fn exchange(site: &Site, request: &str) -> String {
        let address = site.value("VALTRON_SITE_HTTP").strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn close(site: &Site, path: &str) -> String {
        exchange(site, &format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"))
    }

    #[test]
    fn routes_answer_as_documented() {
        let dir = std::env::temp_dir().join(format!("valtron-site-test-{}", std::process::id()));
        let site = Site::start(&dir).unwrap();
        assert!(close(&site, "/hello").ends_with("\r\n\r\nhello, world\n"));
        assert!(close(&site, "/chunked/3").contains("transfer-encoding: chunked"));
        assert!(close(&site, "/trailers").contains("\r\n0\r\nX-Checksum: "));
        assert!(close(&site, "/status/418").starts_with("HTTP/1.1 418 "));
        assert!(close(&site, "/204").ends_with("\r\n\r\n"));
        assert!(close(&site, "/interim").starts_with("HTTP/1.1 103 "));
        assert!(close(&site, "/redirect/307?to=%2Fhello%3Fa").contains("location: /hello?a\r\n"));
        assert!(close(&site, "/truncated/length").chars().count() < 700);
        assert!(close(&site, "/hangup/999999").ends_with("\r\n\r\nnone\n"));
        assert!(close(&site, "/nowhere").starts_with("HTTP/1.1 404 "));
        for name in smuggle::names() {
            assert!(close(&site, &format!("/smuggle/{name}")).len() > 5, "{name}");
        }
        let two = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\nPOST /echo HTTP/1.1\r\nHost: a\r\n\
                   Content-Length: 3\r\nConnection: close\r\n\r\nabc";
        let answer = exchange(&site, two);
        assert!(
            answer.contains("hello, world\n")
                && answer.ends_with(
                    "POST /echo\r\nHost: a\r\n\
                   Content-Length: 3\r\nConnection: close\r\n\r\nabc"
                ),
            "{answer}"
        );
        std::fs::remove_dir_all(dir).unwrap();
    }
}
