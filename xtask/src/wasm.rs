//! Builds the crate's rlib for wasm32-unknown-unknown: `valtron`, `proto` and `client` must not need an OS.

use crate::tools;
use crate::util::{output, words, Log, Step};

pub fn check(log: &mut Log) -> Step {
    // A toolchain with the target's standard library needs nothing else.
    let has_target = output(&mut words("rustc --print target-libdir --target wasm32-unknown-unknown"))
        .is_ok_and(|dir| std::path::Path::new(dir.trim()).is_dir());
    let target_dir = crate::util::out_dir().join("wasm-target");
    if has_target {
        let mut command = crate::util::cargo("rustc --lib --crate-type rlib --target wasm32-unknown-unknown");
        return log.run(command.arg("--target-dir").arg(target_dir));
    }
    // Debian's compiler brings the sources of the standard library instead.
    for program in ["/usr/bin/cargo", "/usr/bin/rustc", "wasm-ld-19"] {
        tools::require(program)?;
    }
    let mut command = words(
        "/usr/bin/cargo rustc --lib --crate-type rlib --release -Zbuild-std=std,panic_abort \
         --target wasm32-unknown-unknown",
    );
    command.arg("--target-dir").arg(target_dir);
    let path = format!("/usr/bin:{}", std::env::var("PATH").unwrap_or_default());
    for name in ["CARGO", "RUSTC", "RUSTUP_TOOLCHAIN", "CARGO_HOME"] {
        command.env_remove(name);
    }
    command
        .env("PATH", path)
        .env("RUSTC", "/usr/bin/rustc")
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", tools::find("wasm-ld-19").unwrap_or_default())
        .env("RUSTFLAGS", "-C linker-flavor=wasm-ld");
    log.run(&mut command)
}
