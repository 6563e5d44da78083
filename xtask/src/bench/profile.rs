//! `--profile`: where the instructions of a keep-alive request go, by function; a build with symbols under callgrind.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::server::Nginx;
use crate::util::{failed, words, Log, Stop};

const REQUESTS: u64 = 10_000;
const CONCURRENCY: u64 = 64;
const LINES: usize = 40;

pub fn run(log: &mut Log, nginx: &Nginx, out: &Path) -> Result<(), Stop> {
    let program = build(log, out)?;
    let data = out.join("profile.callgrind");
    let mut command = words("valgrind --tool=callgrind --compress-strings=no --compress-pos=no");
    command.arg(format!("--callgrind-out-file={}", data.display())).arg(program);
    command.arg(format!("{}/small", nginx.http)).args([REQUESTS.to_string(), CONCURRENCY.to_string()]);
    log.run(&mut command)?;
    for (name, option) in [("self", "--inclusive=no"), ("inclusive", "--inclusive=yes")] {
        let mut command = Command::new("callgrind_annotate");
        command.args([option, "--auto=no", "--threshold=99.9"]).arg(&data).stdin(Stdio::null());
        let output = command.output()?;
        if !output.status.success() {
            return failed(format!("callgrind_annotate: {}", output.status));
        }
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        std::fs::write(out.join(format!("profile-{name}.txt")), &text)?;
        println!("\ninstructions per request, {name} (all: target/bench/profile-{name}.txt)");
        for (count, function) in functions(&text).into_iter().take(LINES) {
            println!("  {:>8} {function}", count / REQUESTS);
        }
    }
    Ok(())
}

/// The release build, but with symbols, in a target folder of its own; and the client linked to it.
fn build(log: &mut Log, out: &Path) -> Result<PathBuf, Stop> {
    let symbols = ["--config", "profile.release.debug=1", "--config", "profile.release.strip=\"none\""];
    let library = super::clients::library(log, &out.join("profile"), &symbols)?;
    let program = out.join("valtron-profile");
    super::clients::compile_with(log, "valtron", &program, Some(&library), &[])?;
    Ok(program)
}

/// Lines such as `1,234,567 (12.3%)  file.rs:function [object]`, summed by function, since inlined code stands under
/// the files it came from; the largest first.
fn functions(text: &str) -> Vec<(u64, String)> {
    let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
    for (count, function) in text.lines().filter_map(line) {
        *sums.entry(function).or_default() += count;
    }
    let mut sums: Vec<_> = sums.into_iter().map(|(function, count)| (count, function.to_owned())).collect();
    sums.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    sums
}

fn line(line: &str) -> Option<(u64, &str)> {
    let (count, rest) = line.trim_start().split_once(' ')?;
    let count = count.replace(',', "").parse().ok()?;
    let (percent, place) = rest.trim_start().strip_prefix('(')?.split_once(')')?;
    let place = place.split(" [").next().unwrap_or_default().trim();
    let function = place.split_once(':').map_or(place, |(_, function)| function);
    percent.ends_with('%').then_some((count, function))
}

#[cfg(test)]
mod tests {
    /// Goal: counts and names are found, and summed, among the tool's other lines. Method: literal lines of its output.
    #[test]
    fn lines_of_the_tool() {
        let text = "Ir\n----\n1,234 (100.0%)  PROGRAM TOTALS\n\n \
                    56 (4.5%)  /a/b/c.rs:x::y'2 [/l/z.so]\n 7 (0.5%)  /a/d.rs:x::y'2\n";
        assert_eq!(super::functions(text), [(1234, "PROGRAM TOTALS".to_owned()), (63, "x::y'2".to_owned())]);
    }
}
