//! reqwest with rustls, over tokio's current-thread runtime.

use std::rc::Rc;

use reqwest::{Certificate, Client};
use valtron_http_peers::{Args, Tally};

fn main() {
    let args = Args::read();
    let tally = Rc::new(Tally::new(&args));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let client = client(&args);
        let tasks: Vec<_> = (0..args.concurrency)
            .map(|_| {
                let (tally, client, url) = (tally.clone(), client.clone(), args.url.clone());
                tokio::task::spawn_local(async move {
                    while tally.next() {
                        match one(&client, &url).await {
                            Ok(bytes) => tally.ok(bytes),
                            Err(error) => tally.failed(format!("{error:?}")),
                        }
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("no task panics");
        }
        tally.finish();
    });
}

fn client(args: &Args) -> Client {
    let mut builder = Client::builder().pool_max_idle_per_host(args.concurrency as usize).no_proxy();
    if let Some(pem) = args.pem() {
        let certificates = Certificate::from_pem_bundle(&pem).expect("PEM");
        builder = builder.tls_certs_only(certificates);
    }
    builder.build().expect("a client")
}

async fn one(client: &Client, url: &str) -> Result<u64, reqwest::Error> {
    let mut response = client.get(url).send().await?.error_for_status()?;
    let mut bytes = 0;
    while let Some(chunk) = response.chunk().await? {
        bytes += chunk.len() as u64;
    }
    Ok(bytes)
}
