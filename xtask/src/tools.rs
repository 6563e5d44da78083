//! Finds the programs the steps need, and on Debian as root installs what is missing.

use std::path::PathBuf;
use std::process::Command;

use crate::util::{cargo, failed, skipped, words, Log, Step, Stop};

/// Program, Debian package.
const NEEDED: &[(&str, &str)] = &[
    ("gcc", "gcc"),
    ("g++", "g++"),
    ("nm", "binutils"),
    ("readelf", "binutils"),
    ("pkg-config", "pkg-config"),
    ("cmake", "cmake"),
    ("make", "make"),
    ("python3", "python3"),
    ("nginx", "nginx-light"),
    ("node", "nodejs"),
    ("openssl", "openssl"),
    ("strace", "strace"),
    ("valgrind", "valgrind"),
    // The game loop's window, and a screen for it.
    ("sdl2-config", "libsdl2-dev"),
    ("xvfb-run", "xvfb"),
    ("xauth", "xauth"),
    // A compiler with the sources of its standard library, for ThreadSanitizer and wasm32.
    ("/usr/bin/rustc", "rustc-web"),
    ("/usr/bin/cargo", "cargo-web"),
    (STD_SOURCES, "rust-web-src"),
    ("wasm-ld-19", "lld-19"),
];

/// What `bench` needs besides: a compiler, the server, libcurl's headers.
const FOR_BENCH: &[(&str, &str)] = &[
    ("gcc", "gcc"),
    ("nginx", "nginx-light"),
    ("strace", "strace"),
    ("valgrind", "valgrind"),
    ("curl-config", "libcurl4-openssl-dev"),
    // The game loop, a screen for it, and what makes its pictures small.
    ("sdl2-config", "libsdl2-dev"),
    ("xvfb-run", "xvfb"),
    ("xauth", "xauth"),
    ("python3", "python3"),
];

/// All that `bench` needs is there afterwards.
pub fn install_for_bench(log: &mut Log) -> Step {
    let packages = missing(FOR_BENCH);
    if packages.is_empty() {
        return Ok(());
    }
    if !may_install() {
        return skipped(format!("missing: {}", packages.join(" ")));
    }
    apt(log, "update")?;
    apt(log, &format!("install -y --no-install-recommends {}", packages.join(" ")))
}

/// The step `tools`: everything there, or the names of what is not.
pub fn install(log: &mut Log) -> Step {
    let mut packages = missing(NEEDED);
    if python_lacks_venv() {
        packages.extend(["python3-venv", "python3-pip"]);
    }
    if packages.is_empty() {
        return Ok(());
    }
    if !may_install() {
        return skipped(format!("missing: {}", packages.join(" ")));
    }
    apt(log, "update")?;
    // One at a time: a package this system does not know must not keep the others away.
    for package in &packages {
        if apt(log, &format!("install -y --no-install-recommends {package}")).is_err() {
            log.line(&format!("not installed: {package}"));
        }
    }
    let left = missing(NEEDED);
    if left.is_empty() {
        return Ok(());
    }
    failed(format!("still missing: {}", left.join(" ")))
}

/// The program, or a skip that names it.
pub fn require(program: &str) -> Step {
    if find(program).is_some() {
        return Ok(());
    }
    skipped(format!("{program} is not installed"))
}

pub fn find(program: &str) -> Option<PathBuf> {
    if program.starts_with('/') {
        return Some(PathBuf::from(program)).filter(|path| path.exists());
    }
    // Debian keeps servers in sbin, which a user's PATH may lack.
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    path.split(':').map(|folder| PathBuf::from(folder).join(program)).find(|file| file.is_file())
}

/// A cargo subcommand, installed from source when it is missing; without optimisation, which takes longest.
pub fn require_cargo(log: &mut Log, subcommand: &str) -> Step {
    let program = format!("cargo-{subcommand}");
    let home = std::env::var("CARGO_HOME").unwrap_or_else(|_| std::env::var("HOME").unwrap_or_default() + "/.cargo");
    if find(&program).is_some() || PathBuf::from(home).join("bin").join(&program).exists() {
        return Ok(());
    }
    log.run(&mut cargo(&format!("install --locked --debug {program}")))
        .or_else(|_| skipped(format!("{program} is not installed, and could not be")))
}

pub fn nightly() -> bool {
    crate::util::output(&mut words("rustup toolchain list")).is_ok_and(|list| list.contains("nightly"))
}

/// A cargo that takes `-Z` flags: the nightly, else this one told to.
pub fn unstable_cargo() -> Command {
    if nightly() {
        // The proxy, not $CARGO: only the proxy understands +nightly.
        let mut command = words("cargo +nightly");
        command.env_remove("CARGO").env_remove("RUSTC").env_remove("RUSTUP_TOOLCHAIN");
        return command;
    }
    let mut command = cargo("");
    command.env("RUSTC_BOOTSTRAP", "1");
    command
}

/// Debian's cargo for its own compiler, which takes `-Z` flags here and comes with the sources of its standard library,
/// so that this can be built anew: for another target, or with other flags.
pub fn cargo_with_std_sources() -> Result<Command, Stop> {
    for file in ["/usr/bin/cargo", "/usr/bin/rustc", STD_SOURCES] {
        require(file)?;
    }
    let mut command = words("/usr/bin/cargo");
    for name in ["CARGO", "RUSTC", "RUSTUP_TOOLCHAIN", "CARGO_HOME"] {
        command.env_remove(name);
    }
    // The build scripts of dependencies look for the compiler, too.
    let path = format!("/usr/bin:{}", std::env::var("PATH").unwrap_or_default());
    command.env("PATH", path).env("RUSTC", "/usr/bin/rustc").env("RUSTC_BOOTSTRAP", "1");
    Ok(command)
}

fn missing(list: &[(&str, &'static str)]) -> Vec<&'static str> {
    let mut packages: Vec<_> =
        list.iter().filter(|(program, _)| find(program).is_none()).map(|(_, package)| *package).collect();
    packages.dedup();
    packages
}

fn python_lacks_venv() -> bool {
    crate::util::output(Command::new("python3").args(["-c", "import venv, ensurepip"])).is_err()
}

fn may_install() -> bool {
    // SAFETY: geteuid has no arguments and cannot fail.
    let root = unsafe { libc::geteuid() } == 0;
    root && find("apt-get").is_some()
}

fn apt(log: &mut Log, what: &str) -> Result<(), Stop> {
    log.run(words(&format!("apt-get -q {what}")).env("DEBIAN_FRONTEND", "noninteractive"))
}

const STD_SOURCES: &str = "/usr/lib/rustlib/src/rust/library/std";
