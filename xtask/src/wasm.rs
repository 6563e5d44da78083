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
    let linker = tools::require("wasm-ld-19").map(|()| tools::find("wasm-ld-19").unwrap_or_default())?;
    let mut command = tools::cargo_with_std_sources()?;
    command.args(["rustc", "--lib", "--crate-type", "rlib", "--release", "-Zbuild-std=std,panic_abort"]);
    command.args(["--target", "wasm32-unknown-unknown"]).arg("--target-dir").arg(target_dir);
    command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker).env("RUSTFLAGS", "-C linker-flavor=wasm-ld");
    log.run(&mut command)
}
