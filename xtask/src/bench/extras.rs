//! The rest: start-up to the end of a first HTTPS request, the library's size, and how long it takes to build.

use std::path::Path;
use std::time::Instant;

use serde_json::{json, Value};

use super::clients::{Client, Job, Libraries};
use super::run::{median, sample};
use super::server::Nginx;
use super::CLIENT_CORE;
use crate::util::{cargo, Log, Stop};

/// A program that makes one HTTPS request and ends: with one authority to trust, and with the system's.
pub fn start_up(clients: &[Client], nginx: &Nginx, quick: bool) -> Result<Value, Stop> {
    let names = ["valtron", "valtron-multi", "curl-socket", "reqwest", "ureq"];
    let clients: Vec<_> = clients.iter().filter(|client| names.contains(&client.name)).collect();
    let mut rows = Vec::new();
    for (trust, file) in [("one authority", Some(&nginx.ca_file)), ("the system's bundle", nginx.ca_bundle.as_ref())] {
        let Some(file) = file else {
            println!("the system has no bundle of authorities");
            continue;
        };
        println!("\nstart-up and one HTTPS request, trusting {trust}");
        let job = Job { url: format!("{}/small", nginx.https), total: 1, concurrency: 1, ca_file: Some(file.clone()) };
        let mut walls = vec![Vec::new(); clients.len()];
        let mut cpus = vec![Vec::new(); clients.len()];
        for _ in 0..if quick { 7 } else { 31 } {
            for (at, client) in clients.iter().enumerate() {
                let began = Instant::now();
                let sample = sample(client, CLIENT_CORE, &job)?;
                walls[at].push(began.elapsed().as_secs_f64() * 1e3);
                cpus[at].push(sample.cpu_s * 1e3);
            }
        }
        for ((client, walls), cpus) in clients.iter().zip(walls).zip(cpus) {
            let (wall, cpu) = (median(walls), median(cpus));
            println!("  {:<14} {wall:>7.2} ms wall with its process, {cpu:>7.2} ms CPU", client.name);
            rows.push(json!({ "client": client.name, "trust": trust, "wall_ms": wall, "cpu_ms": cpu }));
        }
    }
    Ok(Value::Array(rows))
}

pub fn sizes(libraries: &Libraries, log: &mut Log, out: &Path) -> Result<Value, Stop> {
    let mut sizes = serde_json::Map::new();
    println!("\nsize of the library, stripped");
    for (name, library) in [("single", &libraries.single), ("multi", &libraries.multi)] {
        let stripped = out.join("stripped.so");
        log.run(crate::util::words("strip --strip-unneeded -o").arg(&stripped).arg(library.file()))?;
        let bytes = std::fs::metadata(&stripped)?.len();
        println!("  {name:<14} {bytes} bytes");
        sizes.insert(name.to_owned(), bytes.into());
    }
    Ok(Value::Object(sizes))
}

/// A release build from nothing, dependencies already fetched.
pub fn build_seconds(log: &mut Log, out: &Path) -> Result<Value, Stop> {
    let target = out.join("clean");
    let _ = std::fs::remove_dir_all(&target);
    let began = Instant::now();
    log.run(cargo("build --release --lib -j2 --target-dir").arg(&target))?;
    let seconds = began.elapsed().as_secs_f64();
    println!("\na clean release build with two jobs: {seconds:.1} s");
    Ok(seconds.into())
}
