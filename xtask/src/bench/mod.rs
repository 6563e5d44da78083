//! `cargo xtask bench`: what a request costs, beside other clients and beside the least that is possible.
//!
//! Every number is of the client's process. Timed runs go in turns (A B C, A B C, ...), so that a change of the
//! machine's mood meets all alike; ratios are taken within a turn. Counts of system calls and instructions come from
//! runs of their own. Results are kept in `target/bench/results.json`, from which `--report` makes
//! `docs/performance.md`; with `--only` it measures that part first, and leaves the page's other half alone.

mod clients;
mod counts;
mod extras;
mod frames;
mod memory;
mod profile;
mod report;
mod results;
mod run;
mod scenarios;
mod server;
mod svg;
mod targets;

use std::path::PathBuf;

use crate::util::{root, Log, Stop};

#[derive(Default)]
pub struct Options {
    pub quick: bool,
    pub no_counts: bool,
    pub build_time: bool,
    pub profile: bool,
    pub report: bool,
    pub serve: bool,
    pub only: Option<String>,
}

impl Options {
    /// Each part of `--only` means something that can be measured.
    fn check(&self) -> Result<(), String> {
        let scenarios = scenarios::all(self.quick).into_iter().map(|scenario| scenario.name);
        let names: Vec<_> = scenarios.chain(["memory", "start-up", "size"]).chain(frames::NAMES).collect();
        for part in self.only.iter().flat_map(|only| only.split(',')) {
            let one = Self { only: Some(part.to_owned()), ..Self::default() };
            if !names.iter().any(|name| one.wants(name)) {
                return Err(format!("nothing is called {part:?}: {}", names.join(", ")));
            }
        }
        Ok(())
    }

    fn wants(&self, name: &str) -> bool {
        self.only.as_deref().is_none_or(|only| {
            only.split(',').any(|part| {
                let rest = name.strip_prefix(part);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
            })
        })
    }
}

pub fn run(args: &[&str]) -> Result<(), String> {
    let mut options = Options::default();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match *arg {
            "--quick" => options.quick = true,
            "--no-counts" => options.no_counts = true,
            "--only" => options.only = Some(args.next().ok_or("--only wants a name")?.to_string()),
            "--build-time" => options.build_time = true,
            "--profile" => options.profile = true,
            "--report" => options.report = true,
            "--serve" => options.serve = true,
            other => return Err(format!("unknown argument {other}")),
        }
    }
    options.check()?;
    measure(&options).map_err(String::from)
}

fn measure(options: &Options) -> Result<(), Stop> {
    let out = out_dir()?;
    let results_file = out.join("results.json");
    let wants_frames = frames::NAMES.iter().any(|name| options.wants(name));
    let scenarios: Vec<_> =
        scenarios::all(options.quick).into_iter().filter(|scenario| options.wants(scenario.name)).collect();
    let wants_peers = !scenarios.is_empty() || options.wants("memory") || options.wants("start-up");
    let halves = report::Halves { requests: wants_peers || options.wants("size"), frames: wants_frames };
    if options.report && options.only.is_none() {
        return report::write(&results::Results::load(&results_file), &halves);
    }
    let mut log = Log::file(&out.join("build.log"))?;
    crate::tools::install_for_bench(&mut log)?;
    if options.profile {
        return profile::run(&mut log, &server::Nginx::start(SERVER_CORE, &out)?, &out);
    }
    if options.serve {
        return serve(&server::Nginx::start(SERVER_CORE, &out)?);
    }
    println!("building (log: target/bench/build.log)");
    let libraries = clients::libraries(&mut log, &out)?;
    let clients = if wants_peers { clients::build(&mut log, &out, &libraries)? } else { Vec::new() };
    let files = run::raise_file_limit();
    let mut results = results::Results::load(&results_file);
    results.all["machine"] = results::machine();
    let nginx = server::Nginx::start(SERVER_CORE, &out)?;
    for scenario in scenarios {
        if scenario.concurrency + FILES_SPARE > files {
            println!("{}: needs more open files than the {files} allowed", scenario.name);
            continue;
        }
        let mut measured = scenarios::measure(&scenario, &clients, &nginx, options, &out)?;
        results.put(&mut measured);
        results.save()?;
        results::print(&measured);
    }
    if options.wants("memory") {
        results.all["memory"] = memory::measure(&clients, &nginx, options.quick)?;
    }
    if options.wants("start-up") {
        results.all["start_up"] = extras::start_up(&clients, &nginx, options.quick)?;
    }
    if options.wants("size") {
        results.all["size_bytes"] = extras::sizes(&libraries, &mut log, &out)?;
    }
    if options.build_time {
        results.all["build_seconds"] = extras::build_seconds(&mut log, &out)?;
    }
    results.save()?;
    let bench = frames::Bench { libraries: &libraries, nginx: &nginx, quick: options.quick, out: &out };
    for name in frames::NAMES.into_iter().filter(|name| options.wants(name)) {
        frames::measure(name, &bench, &mut results.all, &mut log)?;
        results.save()?;
    }
    match options.report {
        true => report::write(&results, &halves),
        false => Ok(()),
    }
}

/// The server alone, for a client or profiler started by hand.
fn serve(nginx: &server::Nginx) -> Result<(), Stop> {
    println!("{}/small {}/large {}/small {}", nginx.http, nginx.http, nginx.https, nginx.ca_file.display());
    println!("without resumption: {}/frame", nginx.fresh);
    println!("runs until standard input ends");
    let mut sink = [0; 256];
    while std::io::Read::read(&mut std::io::stdin(), &mut sink)? > 0 {}
    Ok(())
}

fn out_dir() -> Result<PathBuf, Stop> {
    let out = root().join("target/bench");
    std::fs::create_dir_all(&out)?;
    Ok(out)
}

/// The last two cores of a machine with two; what else runs there disturbs both sides alike.
const SERVER_CORE: usize = 0;
const CLIENT_CORE: usize = 1;
/// Files that a client has open besides its connections.
const FILES_SPARE: u64 = 64;
