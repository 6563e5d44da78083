//! Instructions, counted exactly: what a keep-alive request and a MiB of a body may cost in the release library. Not
//! time, so a busy machine changes nothing, or little.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::build::{library, Executor, Library};
use crate::site::Site;
use crate::util::{failed, out_dir, words, Log, Step, Stop};

/// What is counted: how the program drives, where and for what it asks, and what one request may cost. About 3 % above
/// what was measured: the compiler may change, and a change of ours that costs more is one to look at. No two heads of
/// `hello` are the same; all of `same` are.
const CASES: [(&str, &str, &str, u64); 5] = [
    ("perform", "VALTRON_SITE_HTTP", "hello", 16_950),
    ("events", "VALTRON_SITE_HTTP", "hello", 16_250),
    ("events", "VALTRON_SITE_HTTPS", "hello", 22_600),
    ("events", "VALTRON_SITE_HTTP", "same", 12_700),
    ("events", "VALTRON_SITE_HTTPS", "same", 18_850),
];

/// A MiB of a body: the scheme, how the host takes the bytes, and what it may cost. It depends on how much each read
/// finds: over HTTP 12,400 to 20,000 were seen for `read` and 30,700 to 37,600 for `peek`;
/// over HTTPS 5.3 to 5.4 million.
const DOWNLOADS: [(&str, &str, u64); 4] = [
    ("VALTRON_SITE_HTTP", "read", 40_000),
    ("VALTRON_SITE_HTTP", "peek", 60_000),
    ("VALTRON_SITE_HTTPS", "read", 6_000_000),
    ("VALTRON_SITE_HTTPS", "peek", 6_000_000),
];

/// MiB of a short and of a long body.
const BODIES: [u64; 2] = [16, 48];

/// Requests of a short and of a long run; the difference is what the requests alone cost.
const RUNS: [u64; 2] = [100, 1100];

pub fn run(log: &mut Log, site: &Site) -> Step {
    crate::tools::require("valgrind")?;
    let library = library(log, Executor::Single, "release")?;
    let [requests, bodies] = ["keep_alive", "download"].map(|name| crate::syscalls::compile(log, name, &library));
    let (requests, bodies) = (requests?, bodies?);
    let ca = crate::syscalls::site_url(site, "VALTRON_SITE_CA")?;
    let mut over = Vec::new();
    let mut check = |log: &mut Log, what: String, each: u64, ceiling: u64| {
        log.line(&format!("{what}: {each} instructions, at most {ceiling}"));
        if each > ceiling {
            over.push(format!("{what}: {each}, at most {ceiling}"));
        }
    };
    for (mode, key, path, ceiling) in CASES {
        let url = format!("{}/{path}", crate::syscalls::site_url(site, key)?);
        let [few, many] = RUNS.map(|count| {
            let mut command = counted(&requests, &library);
            count_run(log, command.arg(&url).arg(count.to_string()).args([mode, "0", &ca]))
        });
        let scheme = url.split(':').next().unwrap_or_default();
        let each = many?.saturating_sub(few?) / (RUNS[1] - RUNS[0]);
        check(log, format!("{mode} {scheme} {path}, a request"), each, ceiling);
    }
    for (key, way, ceiling) in DOWNLOADS {
        let base = crate::syscalls::site_url(site, key)?;
        let [few, many] = BODIES.map(|mib| {
            let bytes = (mib << 20).to_string();
            let mut command = counted(&bodies, &library);
            count_run(log, command.arg(format!("{base}/bytes/{bytes}")).args([way, "0", &bytes, &ca]))
        });
        let scheme = base.split(':').next().unwrap_or_default();
        let each = many?.saturating_sub(few?) / (BODIES[1] - BODIES[0]);
        check(log, format!("{way} {scheme}, a MiB"), each, ceiling);
    }
    match over.is_empty() {
        true => Ok(()),
        false => failed(format!("instructions: {}", over.join("; "))),
    }
}

fn counted(program: &Path, library: &Library) -> Command {
    let mut command = words("valgrind --quiet --tool=callgrind");
    command.arg(format!("--callgrind-out-file={}", counts().display())).arg(program);
    command.env("LD_LIBRARY_PATH", &library.dir);
    command
}

fn count_run(log: &mut Log, command: &mut Command) -> Result<u64, Stop> {
    log.run(command)?;
    total(&std::fs::read_to_string(counts())?).ok_or(Stop::Failed("callgrind counted nothing".to_owned()))
}

fn counts() -> PathBuf {
    out_dir().join("instructions.callgrind")
}

/// The line `summary:` or `totals:` of callgrind's output.
pub fn total(text: &str) -> Option<u64> {
    let mut lines = text.lines().rev();
    lines.find_map(|line| line.strip_prefix("summary: ").or(line.strip_prefix("totals: ")))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    /// Goal: the count is found. Method: literal lines of the tool.
    #[test]
    fn finds_the_total() {
        assert_eq!(super::total("events: Ir\nfn=(1)\n0 5\n\ntotals: 1234\n"), Some(1234));
        assert_eq!(super::total("events: Ir\n"), None);
    }
}
