//! `cargo xtask test`: every step in order, a table at the end.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::build::{Executor, Sanitizer};
use crate::site::Site;
use crate::util::{out_dir, Log, Step, Stop};
use crate::{c_tests, checks, game, instructions, interop, syscalls, tools, wasm};

type Run = fn(&mut Log, &Site) -> Step;

const STEPS: &[(&str, Run)] = &[
    ("tools", |log, _| tools::install(log)),
    ("fmt", |log, _| checks::fmt(log)),
    ("clippy", |log, _| checks::clippy(log)),
    ("rustdoc", |log, _| checks::rustdoc(log)),
    ("header-drift", |log, _| checks::header_drift(log)),
    ("header-compiles", |log, _| checks::header_compiles(log)),
    ("symbols", |log, _| checks::symbols(log)),
    ("soname", |log, _| checks::soname(log)),
    ("tidy", |log, _| checks::tidy(log)),
    ("xtask-tests", |log, _| checks::xtask_tests(log)),
    ("rust-single", |log, site| checks::rust_tests(log, Executor::Single, site)),
    ("rust-multi", |log, site| checks::rust_tests(log, Executor::Multi, site)),
    ("polling", |log, _| checks::polling(log)),
    ("loom", |log, _| checks::loom(log)),
    ("c", |log, site| c_tests::run(log, site, None)),
    ("c-asan", |log, site| c_tests::run(log, site, Some(Sanitizer::Address))),
    ("c-tsan", |log, site| c_tests::run(log, site, Some(Sanitizer::Thread))),
    ("c-valgrind", c_tests::valgrind),
    ("syscalls", syscalls::run),
    ("instructions", instructions::run),
    ("game-loop", game::run),
    ("python", checks::python),
    ("interop", interop::run),
    ("fuzz", |log, _| checks::fuzz(log)),
    ("wasm", |log, _| wasm::check(log)),
    ("deny", |log, _| checks::deny(log)),
];

pub fn run(args: &[&str]) -> Result<(), String> {
    let chosen = choose(args)?;
    if args.contains(&"--list") {
        chosen.iter().for_each(|(name, _)| println!("{name}"));
        return Ok(());
    }
    let dir = out_dir();
    std::fs::create_dir_all(&dir).map_err(|error| error.to_string())?;
    let site = Site::start(&dir.join(format!("site-{}", std::process::id())))
        .map_err(|error| format!("the site does not start: {error}"))?;
    let strict = std::env::var("CI").is_ok_and(|value| value == "true");
    let mut rows = Vec::new();
    for (name, step) in chosen {
        let path = dir.join(format!("{name}.log"));
        let begun = Instant::now();
        announce(name);
        let mut log = Log::file(&path).map_err(|error| error.to_string())?;
        let mut result = step(&mut log, &site);
        if let (true, Err(Stop::Skipped(why))) = (strict, &result) {
            result = Err(Stop::Failed(format!("skipped, which CI does not allow: {why}")));
        }
        let row = Row { name, result, took: begun.elapsed() };
        println!("{}", row.line());
        if matches!(row.result, Err(Stop::Failed(_))) {
            print!("{}", tail(&path));
        }
        rows.push(row);
    }
    let _ = std::fs::remove_dir_all(&site.dir);
    summary(&rows)
}

/// Says that a step begins: some take minutes. On a terminal the line gives way to the step's result.
fn announce(name: &str) {
    let mut out = std::io::stdout();
    let end = if out.is_terminal() { "\r" } else { "\n" };
    // Output that goes nowhere is no reason to fail.
    let _ = write!(out, "{name:<16} runs{end}").and_then(|()| out.flush());
}

struct Row {
    name: &'static str,
    result: Step,
    took: Duration,
}

impl Row {
    fn line(&self) -> String {
        let (word, why) = match &self.result {
            Ok(()) => ("ok", ""),
            Err(Stop::Failed(why)) => ("FAILED", why.as_str()),
            Err(Stop::Skipped(why)) => ("SKIPPED", why.as_str()),
        };
        format!("{:<16} {word:<8} {:>6.1} s  {why}", self.name, self.took.as_secs_f64()).trim_end().to_string()
    }
}

fn summary(rows: &[Row]) -> Result<(), String> {
    println!();
    rows.iter().for_each(|row| println!("{}", row.line()));
    let count = |matches: fn(&Step) -> bool| rows.iter().filter(|row| matches(&row.result)).count();
    let failed = count(|result| matches!(result, Err(Stop::Failed(_))));
    let skipped = count(|result| matches!(result, Err(Stop::Skipped(_))));
    println!("\n{} passed, {failed} failed, {skipped} skipped", rows.len() - failed - skipped);
    if failed > 0 {
        // The last plain line is said already.
        std::process::exit(1);
    }
    Ok(())
}

fn choose(args: &[&str]) -> Result<Vec<(&'static str, Run)>, String> {
    let known = |flag: &&&str| !matches!(**flag, "--list" | "--only");
    let only = args.iter().position(|arg| *arg == "--only");
    let Some(at) = only else {
        return match args.iter().find(known) {
            Some(other) => Err(format!("unknown argument {other}")),
            None => Ok(STEPS.to_vec()),
        };
    };
    let names: Vec<&str> = args.get(at + 1).ok_or("--only needs the names of steps")?.split(',').collect();
    if let Some(name) = names.iter().find(|name| !STEPS.iter().any(|(step, _)| step == *name)) {
        return Err(format!("no step {name}; see --list"));
    }
    Ok(STEPS.iter().filter(|(step, _)| names.contains(step)).copied().collect())
}

/// The end of a log, where a failure is, and where the rest lies.
fn tail(path: &std::path::Path) -> String {
    let text = std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let end = &lines[lines.len().saturating_sub(TAIL_LINES)..];
    let indented: String = end.iter().map(|line| format!("    {line}\n")).collect();
    format!("  the last {} of {} lines of {}:\n{indented}", end.len(), lines.len(), path.display())
}

const TAIL_LINES: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a mistyped step never silently runs nothing. Method: choose by good and bad names.
    #[test]
    fn only_known_steps() {
        assert_eq!(choose(&[]).unwrap().len(), STEPS.len());
        assert_eq!(choose(&["--only", "fmt,tidy"]).unwrap().len(), 2);
        assert!(choose(&["--only", "fmt,tody"]).is_err());
        assert!(choose(&["--only"]).is_err());
        assert!(choose(&["fmt"]).is_err());
    }

    /// Goal: a failure shows the end of its log, not all of it, and says where the rest is. Method: a long log.
    #[test]
    fn the_end_of_a_log() {
        let path = std::env::temp_dir().join(format!("xtask-log-{}", std::process::id()));
        std::fs::write(&path, (1..=100).map(|line| format!("line {line}\n")).collect::<String>()).unwrap();
        let shown = tail(&path);
        std::fs::remove_file(&path).unwrap();
        let whole = format!("  the last 60 of 100 lines of {}:\n    line 41\n", path.display());
        assert!(shown.starts_with(&whole) && shown.ends_with("    line 100\n"), "{shown}");
        assert_eq!(shown.lines().count(), 61);
    }
}
