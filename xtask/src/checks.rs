//! The steps that are one command or a few.

use std::process::Command;

use crate::build::{library, Executor, EXECUTORS};
use crate::site::Site;
use crate::tools;
use crate::util::{cargo, failed, out_dir, root, skipped, words, Log, Step};

pub fn fmt(log: &mut Log) -> Step {
    log.run(&mut cargo("fmt --all --check"))
}

pub fn clippy(log: &mut Log) -> Step {
    for features in ["", "--features multi", "--features multi,faults"] {
        log.run(&mut cargo(&format!("clippy --workspace --all-targets {features} -- -D warnings")))?;
    }
    Ok(())
}

pub fn rustdoc(log: &mut Log) -> Step {
    for features in ["", "--features multi"] {
        let mut command = cargo(&format!("doc --no-deps --package valtron_http {features}"));
        log.run(command.env("RUSTDOCFLAGS", "-D warnings"))?;
    }
    Ok(())
}

pub fn header_drift(_: &mut Log) -> Step {
    crate::header::check_committed().or_else(failed)
}

/// The header alone in a file, in each language it promises.
pub fn header_compiles(log: &mut Log) -> Step {
    tools::require("gcc")?;
    tools::require("g++")?;
    if !std::fs::read_to_string(crate::header::path()).is_ok_and(|header| crate::header::declares_api(&header)) {
        return failed("include/valtron_http.h declares nothing");
    }
    let alone = out_dir().join("header.c");
    std::fs::write(&alone, "#include \"valtron_http.h\"\ntypedef int valtron_header_alone;\n")?;
    for compiler in ["gcc -x c -std=c99", "gcc -x c -std=c11", "g++ -x c++ -std=c++17"] {
        let mut command = words(&format!("{compiler} -Wall -Wextra -Wpedantic -Werror -Iinclude -fsyntax-only"));
        log.run(command.arg(&alone))?;
    }
    Ok(())
}

pub fn symbols(log: &mut Log) -> Step {
    for executor in EXECUTORS {
        crate::symbols::check(&library(log, executor, "dev")?.file())?;
    }
    Ok(())
}

pub fn soname(log: &mut Log) -> Step {
    crate::symbols::check_soname(&library(log, Executor::Single, "dev")?.file())
}

pub fn rust_tests(log: &mut Log, executor: Executor, site: &Site) -> Step {
    if crate::util::files("tests", ".rs").is_empty() {
        return failed("tests/ holds no integration test");
    }
    let features = if executor == Executor::Multi { "--features multi,faults" } else { "--features faults" };
    let mut command = cargo(&format!("test --package valtron_http {features}"));
    log.run(command.envs(site.env.iter().map(|(key, value)| (key, value))))
}

pub fn xtask_tests(log: &mut Log) -> Step {
    log.run(&mut cargo("test --package xtask"))
}

pub fn loom(log: &mut Log) -> Step {
    let command = |rest: &str| {
        let mut command = cargo("test --package valtron_http --lib loom");
        command.arg("--target-dir").arg(out_dir().join("loom-target")).args(rest.split_whitespace());
        command.env("RUSTFLAGS", "--cfg loom").env("LOOM_MAX_PREEMPTIONS", "3");
        command
    };
    log.run(&mut command("--no-run"))?;
    // A filter that matches nothing would pass.
    if !crate::util::output(&mut command("-- --list"))?.contains(": test") {
        return failed("no loom test");
    }
    log.run(&mut command(""))
}

/// The poller of the other systems, on this one: its own tests, the executor's and those of the sockets.
pub fn polling(log: &mut Log) -> Step {
    let command = |rest: &str| {
        let mut command = cargo(rest);
        command.env("CARGO_TARGET_DIR", out_dir().join("polling-target")).env("RUSTFLAGS", "--cfg valtron_polling");
        command
    };
    log.run(&mut command("clippy --package valtron_http --all-targets -- -D warnings"))?;
    log.run(&mut command("test --package valtron_http --lib -- valtron:: net::"))
}

pub fn python(log: &mut Log, site: &Site) -> Step {
    tools::require("python3")?;
    let venv = out_dir().join("venv");
    let python = venv.join("bin/python");
    if !python.exists() && log.run(words("python3 -m venv").arg(&venv)).is_err() {
        return skipped("python3 has no venv");
    }
    if log.run(Command::new(&python).args(["-c", "import pytest"])).is_err() {
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "pytest>=8,<9"]);
        if log.run(&mut pip).is_err() {
            return skipped("pytest is not installed, and could not be");
        }
    }
    for executor in EXECUTORS {
        let library = library(log, executor, "dev")?;
        let mut command = Command::new(&python);
        command.args(["-m", "pytest", "-q", "-p", "no:cacheprovider", "bindings/python/tests"]);
        command.env("PYTHONPATH", root().join("bindings/python")).env("PYTHONDONTWRITEBYTECODE", "1");
        command.env("VALTRON_HTTP_LIB", library.file()).env("VALTRON_EXECUTOR", executor.name());
        command.envs(site.env.iter().map(|(key, value)| (key, value)));
        log.run(&mut command)?;
    }
    Ok(())
}

pub fn fuzz(log: &mut Log) -> Step {
    if !root().join("fuzz/Cargo.toml").exists() {
        return failed("no fuzz/Cargo.toml");
    }
    tools::require_cargo(log, "fuzz")?;
    for target in fuzz_targets()? {
        let mut command = tools::unstable_cargo();
        command.args(["fuzz", "run", &target, "--", "-max_total_time=5", "-timeout=10"]);
        log.run(&mut command)?;
    }
    Ok(())
}

pub fn deny(log: &mut Log) -> Step {
    tools::require_cargo(log, "deny")?;
    log.run(&mut cargo("deny --workspace --all-features check licenses bans sources"))
}

pub fn tidy(log: &mut Log) -> Step {
    let found = crate::tidy::check_tree();
    for line in &found {
        log.line(line);
    }
    if found.is_empty() {
        return Ok(());
    }
    failed(format!("{} findings", found.len()))
}

/// The fuzz targets that there are: each a file.
fn fuzz_targets() -> Result<Vec<String>, crate::util::Stop> {
    let names: Vec<String> = crate::util::files("fuzz/fuzz_targets", ".rs")
        .iter()
        .filter_map(|file| file.file_stem().map(|stem| stem.to_string_lossy().into_owned()))
        .collect();
    if names.is_empty() {
        return failed("fuzz/fuzz_targets holds no target").map(|()| names);
    }
    Ok(names)
}
