//! ureq, which blocks: one thread per request in flight, one agent for all.

use std::io::Read;

use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig};
use ureq::Agent;
use valtron_http_peers::{Args, Tally};

fn main() {
    let args = Args::read();
    let tally = Tally::new(&args);
    let agent = agent(&args);
    std::thread::scope(|scope| {
        for _ in 0..args.concurrency {
            scope.spawn(|| {
                let mut buffer = vec![0; 65536];
                while tally.next() {
                    match one(&agent, &args.url, &mut buffer) {
                        Ok(bytes) => tally.ok(bytes),
                        Err(error) => tally.failed(error),
                    }
                }
            });
        }
    });
    tally.finish();
}

fn agent(args: &Args) -> Agent {
    let most = args.concurrency as usize;
    let mut config = Agent::config_builder().max_idle_connections(most).max_idle_connections_per_host(most).proxy(None);
    if let Some(pem) = args.pem() {
        let certificates = ureq::tls::parse_pem(&pem).filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        });
        let certificates: Vec<Certificate<'static>> = certificates.collect();
        config = config.tls_config(TlsConfig::builder().root_certs(RootCerts::from(certificates)).build());
    }
    config.build().new_agent()
}

fn one(agent: &Agent, url: &str, buffer: &mut [u8]) -> Result<u64, ureq::Error> {
    let response = agent.get(url).call()?;
    let (mut reader, mut bytes) = (response.into_body().into_reader(), 0);
    loop {
        match reader.read(buffer)? {
            0 => return Ok(bytes),
            count => bytes += count as u64,
        }
    }
}
