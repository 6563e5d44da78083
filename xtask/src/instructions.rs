//! Instructions, counted exactly: what a keep-alive request may cost in the release library. Not time, so a busy
//! machine changes nothing.

use std::path::Path;

use crate::build::{library, Executor, Library};
use crate::site::Site;
use crate::util::{failed, out_dir, words, Log, Step, Stop};

/// What is counted: how the program drives, the path, two runs of these lengths, whose difference is what the requests
/// alone cost, and what one of them may cost. About 5 % above what was measured: the compiler may change, and a
/// change of ours that costs more is one to look at.
const CASES: [(&str, &str, [u64; 2], u64); 2] =
    [("perform", "/hello", [100, 1100], 26_000), ("events", "/hello", [100, 1100], 25_000)];

pub fn run(log: &mut Log, site: &Site) -> Step {
    crate::tools::require("valgrind")?;
    let library = library(log, Executor::Single, "release")?;
    let program = crate::syscalls::compile(log, "keep_alive", &library)?;
    let base = crate::syscalls::site_url(site, "VALTRON_SITE_HTTP")?;
    let mut over = Vec::new();
    for (mode, path, runs, ceiling) in CASES {
        let url = format!("{base}{path}");
        let counts = runs.map(|count| instructions(log, &program, &library, &url, count, mode));
        let [few, many] = counts;
        let each = (many? - few?) / (runs[1] - runs[0]);
        log.line(&format!("{mode} {path}: {each} instructions a request, at most {ceiling}"));
        if each > ceiling {
            over.push(format!("{mode} {path}: {each}, at most {ceiling}"));
        }
    }
    match over.is_empty() {
        true => Ok(()),
        false => failed(format!("instructions a request: {}", over.join("; "))),
    }
}

fn instructions(
    log: &mut Log,
    program: &Path,
    library: &Library,
    url: &str,
    count: u64,
    mode: &str,
) -> Result<u64, Stop> {
    let file = out_dir().join("instructions.callgrind");
    let mut command = words("valgrind --quiet --tool=callgrind");
    command.arg(format!("--callgrind-out-file={}", file.display())).arg(program).arg(url).arg(count.to_string());
    log.run(command.arg(mode).env("LD_LIBRARY_PATH", &library.dir))?;
    let text = std::fs::read_to_string(&file)?;
    match total(&text) {
        Some(total) => Ok(total),
        None => failed("callgrind counted nothing").map(|()| 0),
    }
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
