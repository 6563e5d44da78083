//! What is asked of the clients, and the running of it.

use std::path::Path;

use serde_json::{json, Value};

use super::clients::{Client, Job};
use super::counts;
use super::results;
use super::run::{median, sample, Sample};
use super::server::{Nginx, LARGE_BYTES, SMALL_BYTES};
use super::{Options, CLIENT_CORE};
use crate::util::Stop;

pub struct Scenario {
    pub name: &'static str,
    pub title: &'static str,
    pub https: bool,
    pub download: bool,
    pub concurrency: u64,
    /// Requests of one timed run.
    total: u64,
    rounds: usize,
    /// Requests of the two runs that are counted; none where counting would take too long.
    counted: Option<[u64; 2]>,
}

pub fn all(quick: bool) -> Vec<Scenario> {
    let small = |name, title, https, concurrency, total: u64, counted| Scenario {
        name,
        title,
        https,
        download: false,
        concurrency,
        total: if quick { (total / 5).max(8 * concurrency) } else { total },
        rounds: if quick { 3 } else { 5 },
        counted,
    };
    let download = |name, title, https| Scenario {
        name,
        title,
        https,
        download: true,
        concurrency: 1,
        total: if quick { 4 } else { 6 },
        rounds: if quick { 3 } else { 5 },
        counted: Some([1, 5]),
    };
    vec![
        small("http-1", "1 KiB over HTTP, 1 connection", false, 1, 20_000, Some([200, 1200])),
        small("http-64", "1 KiB over HTTP, 64 connections", false, 64, 120_000, Some([500, 1500])),
        small("http-1000", "1 KiB over HTTP, 1,000 connections", false, 1000, 120_000, Some([4000, 20_000])),
        small("http-10000", "1 KiB over HTTP, 10,000 connections", false, 10_000, 220_000, None),
        small("https-64", "1 KiB over HTTPS, 64 connections", true, 64, 40_000, Some([300, 900])),
        download("download-http", "256 MiB over HTTP", false),
        download("download-https", "256 MiB over HTTPS", true),
    ]
}

/// What the scenario's unit is: a request, or a MiB.
fn per_run(scenario: &Scenario, sample: &Sample) -> f64 {
    if scenario.download {
        let mib = sample.steady_requests * (LARGE_BYTES >> 20) as f64;
        return sample.steady_cpu_s * 1e3 / mib;
    }
    sample.cpu_us_per_request()
}

pub fn measure(
    scenario: &Scenario,
    clients: &[Client],
    nginx: &Nginx,
    options: &Options,
    out: &Path,
) -> Result<Value, Stop> {
    let clients: Vec<&Client> = clients.iter().filter(|client| takes_part(client, scenario)).collect();
    let job = job(scenario, nginx);
    println!("\n{}: {} runs of {} requests each", scenario.title, scenario.rounds, job.total);
    let load = results::load();
    let mut samples: Vec<Vec<Sample>> = vec![Vec::new(); clients.len()];
    let mut broken: Vec<Option<String>> = vec![None; clients.len()];
    for _ in 0..scenario.rounds {
        for (at, client) in clients.iter().enumerate() {
            if broken[at].is_some() {
                continue;
            }
            match sample(client, CLIENT_CORE, &job) {
                Ok(sample) => {
                    check_bytes(scenario, client, &sample, job.total)?;
                    samples[at].push(sample);
                }
                // A peer that cannot do this is a result, too.
                Err(stop) => broken[at] = Some(String::from(stop)),
            }
        }
    }
    let reference = clients.iter().position(|client| client.name == reference_name(scenario)).unwrap_or(0);
    let mut rows = Vec::new();
    for (at, client) in clients.iter().enumerate() {
        if let Some(why) = &broken[at] {
            println!("  {why}");
            rows.push(json!({ "client": client.name, "failed": why }));
            continue;
        }
        let mut row = row(scenario, &samples[at], &samples[reference]);
        row["client"] = client.name.into();
        row["about"] = client.about.into();
        if let (Some([fewer, more]), false) = (scenario.counted, options.no_counts) {
            let url = job.url.replace("/large", "/medium");
            let job = Job { url, total: more, ..job.clone() };
            match counts::count(client, &job, fewer, out, scenario.download) {
                Ok(counts) => {
                    row["syscalls"] = json!(counts.syscalls);
                    row["syscalls_by_name"] = json!(counts.syscalls_by_name);
                    row["instructions"] = json!(counts.instructions);
                    row["instructions_by_thread"] = json!(counts.instructions_by_thread);
                }
                Err(stop) => println!("  not counted: {}", String::from(stop)),
            }
        }
        rows.push(row);
    }
    Ok(json!({
        "name": scenario.name,
        "title": scenario.title,
        "unit": if scenario.download { "MiB" } else { "request" },
        "reference": reference_name(scenario),
        "rounds": scenario.rounds,
        "requests": job.total,
        "quick": options.quick,
        "load": load,
        "rows": rows,
    }))
}

fn row(scenario: &Scenario, samples: &[Sample], reference: &[Sample]) -> Value {
    let cpu: Vec<f64> = samples.iter().map(|sample| per_run(scenario, sample)).collect();
    let pairs = samples.iter().zip(reference);
    let ratios = pairs.map(|(own, other)| per_run(scenario, own) / per_run(scenario, other)).collect();
    let wall = samples.iter().map(|sample| sample.steady_wall_s / sample.steady_requests).collect();
    let whole = samples.iter().map(|sample| sample.cpu_s * 1e6 / (sample.steady_requests.max(1.0))).collect();
    json!({
        "cpu": median(cpu.clone()),
        "cpu_least": cpu.iter().copied().fold(f64::INFINITY, f64::min),
        "cpu_most": cpu.iter().copied().fold(0.0, f64::max),
        "ratio": median(ratios),
        "wall_us_per_request": median(wall) * 1e6,
        "cpu_with_start_us": median(whole),
        "rss_kib": median(samples.iter().map(|sample| sample.max_rss_kib).collect()),
    })
}

fn takes_part(client: &Client, scenario: &Scenario) -> bool {
    (client.does_https || !scenario.https)
        && scenario.concurrency <= client.concurrency_max
        && (scenario.download || !client.downloads_only)
}

/// Beside whom the ratios are taken.
fn reference_name(scenario: &Scenario) -> &'static str {
    if scenario.https {
        "curl-socket"
    } else {
        "floor"
    }
}

fn job(scenario: &Scenario, nginx: &Nginx) -> Job {
    let base = if scenario.https { &nginx.https } else { &nginx.http };
    Job {
        url: format!("{base}/{}", if scenario.download { "large" } else { "small" }),
        total: scenario.total,
        concurrency: scenario.concurrency,
        ca_file: scenario.https.then(|| nginx.ca_file.clone()),
    }
}

/// A client that drops bytes would look fast.
fn check_bytes(scenario: &Scenario, client: &Client, sample: &Sample, total: u64) -> Result<(), Stop> {
    let each = if scenario.download { LARGE_BYTES } else { SMALL_BYTES };
    if sample.bytes == (each * total) as f64 {
        return Ok(());
    }
    crate::util::failed(format!("{}: {} bytes came, not {}", client.name, sample.bytes, each * total))
}
