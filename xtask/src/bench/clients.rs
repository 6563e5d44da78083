//! The programs that are measured, and how each is built and called.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::build::Library;
use crate::util::{cargo, root, words, Log, Step, Stop};

/// One way to make requests.
pub struct Client {
    pub name: &'static str,
    /// What it is, for the legend of a report.
    pub about: &'static str,
    pub program: PathBuf,
    env: &'static [(&'static str, &'static str)],
    pub does_https: bool,
    /// More requests in flight than these are not asked of it.
    pub concurrency_max: u64,
    /// Only compared where bodies are large.
    pub downloads_only: bool,
}

/// What a client needs to be told.
#[derive(Clone)]
pub struct Job {
    pub url: String,
    pub total: u64,
    pub concurrency: u64,
    pub ca_file: Option<PathBuf>,
}

impl Client {
    /// The client's own words at the end of `prefix`, e.g. of `strace -c`.
    pub fn command(&self, prefix: &str, job: &Job) -> Command {
        let mut command = if prefix.is_empty() {
            Command::new(&self.program)
        } else {
            let mut command = words(prefix);
            command.arg(&self.program);
            command
        };
        command.arg(&job.url).arg(job.total.to_string()).arg(job.concurrency.to_string()).args(&job.ca_file);
        command.envs(self.env.iter().copied()).stdin(Stdio::null()).current_dir(root());
        command
    }
}

/// Both builds of the library as a host gets it.
pub struct Libraries {
    pub single: Library,
    pub multi: Library,
}

pub fn libraries(log: &mut Log, out: &Path) -> Result<Libraries, Stop> {
    Ok(Libraries {
        single: library(log, &out.join("lib-single"), &[])?,
        multi: library(log, &out.join("lib-multi"), &["--features", "multi"])?,
    })
}

pub fn build(log: &mut Log, out: &Path, libraries: &Libraries) -> Result<Vec<Client>, Stop> {
    let floor = compile(log, out, "floor", "floor", None, &[])?;
    let curl = compile(log, out, "curl", "curl", None, &["-lcurl"])?;
    let single = compile(log, out, "valtron", "valtron-single", Some(&libraries.single), &[])?;
    let multi = compile(log, out, "valtron", "valtron-multi", Some(&libraries.multi), &[])?;
    let peers = peers(log, out)?;
    let client = |name, about, program: &Path, env| Client {
        name,
        about,
        program: program.to_path_buf(),
        env,
        does_https: true,
        concurrency_max: u64::MAX,
        downloads_only: false,
    };
    let mut clients = vec![
        client("floor", "a raw epoll program: sends fixed bytes, counts the answer's", &floor, &[]),
        client("valtron", "the single build: wait, then events in batches; read", &single, &[]),
        client("valtron-poll", "the single build: poll from an epoll loop", &single, &[("BENCH_DRIVE", "poll")]),
        client("valtron-peek", "the single build: peek and consume", &single, &[("BENCH_READ", "peek")]),
        client("valtron-multi", "the multi build with its default of workers", &multi, &[]),
        client("curl-socket", "libcurl, curl_multi_socket_action with epoll", &curl, &[("BENCH_DRIVE", "socket")]),
        client("curl-poll", "libcurl, curl_multi_poll", &curl, &[("BENCH_DRIVE", "poll")]),
        client("curl-64k", "libcurl with the floor's buffer size", &curl, &[("BENCH_BUFFER", "65536")]),
        client("hyper", "hyper, tokio's current-thread runtime, no pool", &peers.join("hyper"), &[]),
        client("reqwest", "reqwest with rustls, current-thread runtime", &peers.join("reqwest"), &[]),
        client("ureq", "ureq, one thread per request in flight", &peers.join("ureq"), &[]),
    ];
    for client in &mut clients {
        match client.name {
            "floor" | "hyper" => client.does_https = false,
            "valtron-peek" | "curl-64k" => client.downloads_only = true,
            "ureq" => client.concurrency_max = 64,
            // It looks at every connection each time, so that this many take minutes.
            "curl-poll" => client.concurrency_max = 1000,
            _ => {}
        }
    }
    Ok(clients)
}

/// The release build in a target folder of its own, so that the builds do not undo each other.
pub fn library(log: &mut Log, target: &Path, args: &[&str]) -> Result<Library, Stop> {
    let mut command = cargo("build --release --lib --target-dir");
    log.run(command.arg(target).args(args))?;
    let library = Library { dir: target.join("release") };
    let soname = library.dir.join(crate::symbols::SONAME);
    let _ = std::fs::remove_file(&soname);
    std::os::unix::fs::symlink("libvaltron_http.so", soname)?;
    Ok(library)
}

fn compile(
    log: &mut Log,
    out: &Path,
    source: &str,
    name: &str,
    library: Option<&Library>,
    with: &[&str],
) -> Result<PathBuf, Stop> {
    let program = out.join(name);
    compile_with(log, source, &program, library, with)?;
    Ok(program)
}

pub fn compile_with(log: &mut Log, source: &str, program: &Path, library: Option<&Library>, with: &[&str]) -> Step {
    let mut command = words("gcc -std=gnu11 -O2 -g -Wall -Wextra -Werror -Iinclude -Ibenches");
    command.arg(format!("benches/{source}.c")).arg("-o").arg(program);
    if let Some(library) = library {
        crate::c_tests::link(&mut command, library);
    }
    log.run(command.args(with))
}

/// The Rust clients: a crate outside the workspace, so that its dependencies stay out of the library's lock file.
fn peers(log: &mut Log, out: &Path) -> Result<PathBuf, Stop> {
    let target = out.join("peers");
    let mut command = cargo("build --release --locked --manifest-path benches/peers/Cargo.toml --target-dir");
    log.run(command.arg(&target))?;
    Ok(target.join("release"))
}
