//! Builds the library in each of its forms, and lays it where its tests find it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::tools;
use crate::util::{cargo, out_dir, root, Log, Stop};

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Executor {
    Single,
    Multi,
}

pub const EXECUTORS: [Executor; 2] = [Executor::Single, Executor::Multi];

impl Executor {
    pub fn name(self) -> &'static str {
        match self {
            Executor::Single => "single",
            Executor::Multi => "multi",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sanitizer {
    Address,
    Thread,
}

impl Sanitizer {
    pub fn name(self) -> &'static str {
        match self {
            Sanitizer::Address => "address",
            Sanitizer::Thread => "thread",
        }
    }
}

/// A built library: a folder with `libvaltron_http.so` and the name its SONAME asks for.
pub struct Library {
    pub dir: PathBuf,
}

impl Library {
    pub fn file(&self) -> PathBuf {
        self.dir.join("libvaltron_http.so")
    }
}

/// As a host would have it: `profile` is `dev` or `release`.
pub fn library(log: &mut Log, executor: Executor, profile: &str) -> Result<Library, Stop> {
    let mut command = cargo(&format!("build --lib --profile {profile}"));
    features(&mut command, executor, false);
    log.run(&mut command)?;
    let built = root().join("target").join(if profile == "dev" { "debug" } else { profile });
    lay(&built, &format!("{}-{profile}", executor.name()))
}

/// With the injected faults that tests of the ABI use.
pub fn library_for_tests(log: &mut Log, executor: Executor, sanitizer: Option<Sanitizer>) -> Result<Library, Stop> {
    let Some(sanitizer) = sanitizer else {
        let mut command = cargo("build --lib");
        features(&mut command, executor, true);
        log.run(&mut command)?;
        return lay(&root().join("target/debug"), &format!("{}-faults", executor.name()));
    };
    let target_dir = out_dir().join(format!("{}-target", sanitizer.name()));
    let mut command = match sanitizer {
        Sanitizer::Address => {
            let mut command = tools::unstable_cargo();
            command.env("RUSTFLAGS", "-Zsanitizer=address -Cunsafe-allow-abi-mismatch=sanitizer");
            command
        }
        // A lock of a standard library without instrumentation hands data over unseen by the tool, which then reports
        // it. The run-time library is the host's.
        Sanitizer::Thread => {
            let mut command = tools::cargo_with_std_sources()?;
            command.env("RUSTFLAGS", "-Zsanitizer=thread -Zexternal-clangrt").arg("-Zbuild-std=std,panic_unwind");
            command
        }
    };
    command.args(["build", "--lib", "--target", TARGET]).arg("--target-dir").arg(&target_dir);
    features(&mut command, executor, true);
    log.run(&mut command)?;
    lay(&target_dir.join(TARGET).join("debug"), &format!("{}-{}", executor.name(), sanitizer.name()))
}

fn features(command: &mut Command, executor: Executor, faults: bool) {
    let mut list = Vec::new();
    if executor == Executor::Multi {
        list.push("multi");
    }
    if faults {
        list.push("faults");
    }
    if !list.is_empty() {
        command.arg("--features").arg(list.join(","));
    }
}

/// The next build overwrites cargo's file, so each form gets a folder of its own.
fn lay(built: &Path, name: &str) -> Result<Library, Stop> {
    let dir = out_dir().join("lib").join(name);
    std::fs::create_dir_all(&dir)?;
    let library = Library { dir };
    let _ = std::fs::remove_file(library.file());
    std::fs::copy(built.join("libvaltron_http.so"), library.file())?;
    let soname = library.dir.join(crate::symbols::SONAME);
    let _ = std::fs::remove_file(&soname);
    std::os::unix::fs::symlink("libvaltron_http.so", soname)?;
    Ok(library)
}

const TARGET: &str = "x86_64-unknown-linux-gnu";
