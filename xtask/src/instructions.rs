//! Instructions, counted exactly: what a keep-alive request may cost in the release library. Not time, so a busy
//! machine changes nothing.

use crate::build::{library, Executor};
use crate::site::Site;
use crate::util::{failed, out_dir, words, Log, Step, Stop};

/// What is counted: how the program drives, where and for what it asks, and what one request may cost. About 3 % above
/// what was measured: the compiler may change, and a change of ours that costs more is one to look at. No two heads of
/// `hello` are the same; all of `same` are.
const CASES: [(&str, &str, &str, u64); 5] = [
    ("perform", "VALTRON_SITE_HTTP", "hello", 17_000),
    ("events", "VALTRON_SITE_HTTP", "hello", 16_350),
    ("events", "VALTRON_SITE_HTTPS", "hello", 22_600),
    ("events", "VALTRON_SITE_HTTP", "same", 12_800),
    ("events", "VALTRON_SITE_HTTPS", "same", 19_000),
];

/// Requests of a short and of a long run; the difference is what the requests alone cost.
const RUNS: [u64; 2] = [100, 1100];

pub fn run(log: &mut Log, site: &Site) -> Step {
    crate::tools::require("valgrind")?;
    let library = library(log, Executor::Single, "release")?;
    let program = crate::syscalls::compile(log, "keep_alive", &library)?;
    let mut over = Vec::new();
    for (mode, key, path, ceiling) in CASES {
        let url = format!("{}/{path}", crate::syscalls::site_url(site, key)?);
        let scheme = url.split(':').next().unwrap_or_default();
        let file = out_dir().join(format!("instructions-{mode}-{scheme}-{path}.callgrind"));
        let [few, many] = RUNS.map(|count| {
            let mut command = words("valgrind --quiet --tool=callgrind");
            command.arg(format!("--callgrind-out-file={}", file.display())).arg(&program).arg(&url);
            command.arg(count.to_string()).args([mode, "0", &crate::syscalls::site_url(site, "VALTRON_SITE_CA")?]);
            log.run(command.env("LD_LIBRARY_PATH", &library.dir))?;
            total(&std::fs::read_to_string(&file)?).ok_or(Stop::Failed("callgrind counted nothing".to_owned()))
        });
        let each = (many? - few?) / (RUNS[1] - RUNS[0]);
        log.line(&format!("{mode} {scheme} {path}: {each} instructions a request, at most {ceiling}"));
        if each > ceiling {
            over.push(format!("{mode} {scheme} {path}: {each}, at most {ceiling}"));
        }
    }
    match over.is_empty() {
        true => Ok(()),
        false => failed(format!("instructions a request: {}", over.join("; "))),
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
