//! How long the steps take that nothing can cut: `benches/steps.c` through the C ABI, `benches/parts.rs` without it.

use std::fmt::Write;
use std::process::Command;

use serde_json::{json, Value};

use super::page::circumstances;
use super::{spread, Bench};
use crate::bench::report::{rows, text};
use crate::bench::results::{self, number};
use crate::bench::run::pin;
use crate::bench::{clients, CLIENT_CORE};
use crate::util::{cargo, failed, Log, Stop};

pub fn measure(bench: &Bench, log: &mut Log) -> Result<Value, Stop> {
    let program = bench.out.join("steps");
    clients::compile_with(log, "steps", &program, Some(&bench.libraries.single), &[])?;
    let parts = |what: &str| {
        let mut command = cargo("bench --bench parts --target-dir");
        command.arg(bench.out.join("parts")).args(what.split_whitespace());
        command
    };
    log.run(&mut parts("--no-run"))?;
    println!("\nsteps that nothing can cut: CPU microseconds");
    let load = results::load();
    let nginx = bench.nginx;
    let mut command = Command::new(&program);
    command.args([&nginx.http, &nginx.https, &nginx.fresh]).arg(&nginx.ca_file);
    command.arg(nginx.ca_bundle.as_deref().unwrap_or("-".as_ref())).args(bench.quick.then_some("quick"));
    pin(&mut command, CLIENT_CORE);
    let mut lines = crate::util::output(&mut command)?;
    let mut command = parts("");
    pin(&mut command, CLIENT_CORE);
    lines.push_str(&crate::util::output(&mut command)?);
    let mut list = Vec::new();
    for line in lines.lines().filter(|line| line.starts_with('{')) {
        list.push(row(line)?);
    }
    name_jobs(&mut list);
    for row in &list {
        println!(
            "  {:<60} p50 {:>7} p99 {:>7} max {:>7} of {}",
            title(row),
            number(&row["us"]["p50"], 1),
            number(&row["us"]["p99"], 1),
            number(&row["us"]["max"], 1),
            number(&row["us"]["count"], 0)
        );
    }
    for (group, _) in GROUPS {
        if !list.iter().any(|row| row["group"] == group) {
            return failed(format!("no step of the kind {group:?} was measured"));
        }
    }
    Ok(json!({ "machine": results::machine(), "load": load, "quick": bench.quick, "rows": list }))
}

/// One line of the programs, its samples summed up.
fn row(line: &str) -> Result<Value, Stop> {
    let mut row: Value = serde_json::from_str(line).map_err(|error| Stop::Failed(format!("{error} in {line:.80}")))?;
    let samples: Vec<f64> = row["us"].as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
    if samples.is_empty() {
        return failed(format!("no samples in {line:.80}"));
    }
    row["us"] = spread(samples);
    Ok(row)
}

/// The records of TLS 1.3 as OpenSSL sends them. Of another server's only the numbers are told.
fn name_jobs(list: &mut [Value]) {
    for group in ["job", "job, any certificate"] {
        let of_group = || list.iter().filter(|row| row["group"] == group && text(&row["name"]).starts_with("step "));
        if of_group().count() != JOBS.len() {
            continue;
        }
        for row in list.iter_mut().filter(|row| row["group"] == group) {
            let at = text(&row["name"]).strip_prefix("step ").and_then(|number| number.parse::<usize>().ok());
            if let Some(name) = at.and_then(|at| JOBS.get(at)) {
                row["name"] = (*name).into();
            }
        }
    }
}

fn title(row: &Value) -> String {
    let mut name = text(&row["name"]).to_owned();
    if row["group"] == "job, any certificate" {
        name = format!("verification off: {}", name.replace("the chain checked, then the signature", "the signature"));
    }
    match row["bytes_each"].as_f64() {
        Some(bytes) => format!("{name} ({:.0} KiB each on average)", (bytes / 1024.0).max(1.0)),
        None => name,
    }
}

pub fn section(part: &Value) -> String {
    let mut out = format!("\n### Indivisible steps\n\n{STEPS}\n\n{}.\n", circumstances(part));
    for (group, about) in GROUPS {
        let _ = write!(out, "\n{about}\n\n| | p50 | p99 | max | times |\n|---|---:|---:|---:|---:|\n");
        for row in rows(part).filter(|row| row["group"] == group) {
            let us = ["p50", "p99", "max"].map(|name| number(&row["us"][name], 1)).join(" | ");
            let _ = writeln!(out, "| {} | {us} | {} |", title(row), number(&row["us"]["count"], 0));
        }
    }
    out
}

/// The groups of the programs' lines, in the order of the page, and what each is.
const GROUPS: [(&str, &str); 5] = [
    (
        "turn",
        "Turns: polls with a budget of 0 and one request, so one step, named after the step's kind \
         (`valtron_hitches.longest_step_kind`), with the look at the poller and the system calls of the step in it. \
         A kept connection is taken from the pool, a new one is made; a redirect's new request is a start of its own:",
    ),
    (
        "job",
        "A TLS 1.3 handshake cut into its steps, as a host gets them that takes them as jobs (`valtron_job_run`): one \
         record each, the cryptography alone. Inside a poll each is at most one step. The server's certificate is \
         signed by the trusted authority itself; what an intermediate one costs besides, the last table shows:",
    ),
    (
        "job, any certificate",
        "The same with `tls_verify_off`: what is missing is the check of the chain, not that of the signature:",
    ),
    (
        "call",
        "Calls outside polls, and the longest turn of a client's first request: the certificates that a client trusts \
         are loaded when it is made, and in no poll:",
    ),
    (
        "part",
        "What the steps consist of: the kernel's copy of 64 KiB, and parts of the library in memory, without a \
         socket (`benches/parts.rs`):",
    ),
];

const JOBS: [&str; 7] = [
    "client hello: keys made",
    "server hello: key agreement",
    "change cipher spec, ignored",
    "encrypted extensions",
    "certificate, kept",
    "certificate verify: the chain checked, then the signature",
    "finished",
];

const STEPS: &str = "A poll stops after its budget and at most one step more, so the longest step is what a frame can \
lose beyond its budget. Numbers are CPU microseconds of the thread, by `benches/steps.c` against nginx on loopback, \
where a send also pays for what the kernel does at the receiver; nothing of other programs is in them but cold caches \
and interrupts. What a freed request left unread is given back inside `valtron_request_free`, not in a poll, and takes \
the longer the more it is: do not give a large buffer to a body that may be thrown away.";

#[cfg(test)]
mod tests {
    use super::*;

    fn line(group: &str, name: &str) -> String {
        format!(r#"{{"group": "{group}", "name": "{name}", "us": [3.0, 1.0, 2.0], "bytes_each": 2048}}"#)
    }

    /// Goal: a line becomes a row of the table, and one without samples is an error. Method: literal lines.
    #[test]
    fn lines_become_rows() {
        let part = json!({ "rows": [row(&line("turn", "body")).unwrap()] });
        let told = section(&part);
        assert!(told.contains("| body (2 KiB each on average) | 2.0 | 3.0 | 3.0 | 3 |"), "{told}");
        assert!(row(r#"{"group": "turn", "name": "x", "us": []}"#).is_err());
        assert!(row("{").is_err());
    }

    /// Goal: steps of a handshake are named only if all are known. Method: seven steps, then one.
    #[test]
    fn jobs_are_named() {
        let steps = |count: usize| -> Vec<Value> {
            (0..count).map(|at| row(&line("job", &format!("step {at}"))).unwrap()).collect()
        };
        let (mut known, mut other) = (steps(7), steps(1));
        known.push(row(&line("job", "all steps of a handshake")).unwrap());
        name_jobs(&mut known);
        name_jobs(&mut other);
        assert_eq!((text(&known[6]["name"]), text(&other[0]["name"])), ("finished", "step 0"));
        assert_eq!(text(&known[7]["name"]), "all steps of a handshake");
    }
}
