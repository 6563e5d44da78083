//! `include/valtron_http.h` from `src/ffi`, by cbindgen as a library: no macro expansion, no other crate looked at.

use std::path::PathBuf;

use crate::util::root;

pub fn run(args: &[&str]) -> Result<(), String> {
    let fresh = generate()?;
    if args.contains(&"--check") {
        return check(&fresh);
    }
    let path = path();
    std::fs::create_dir_all(root().join("include")).map_err(|error| error.to_string())?;
    std::fs::write(&path, fresh).map_err(|error| format!("{}: {error}", path.display()))?;
    println!("wrote {}", path.display());
    Ok(())
}

pub fn check_committed() -> Result<(), String> {
    check(&generate()?)
}

pub fn path() -> PathBuf {
    root().join("include/valtron_http.h")
}

/// Whether a header is more than its preamble.
pub fn declares_api(header: &str) -> bool {
    header.contains("valtron_client_create(")
}

fn generate() -> Result<String, String> {
    let mut config = cbindgen::Config::from_file(root().join("cbindgen.toml"))?;
    // What no Rust item can say: conventions, the thread table, macros.
    let preamble = root().join("src/ffi/preamble.h");
    let preamble = std::fs::read_to_string(&preamble).map_err(|error| format!("{}: {error}", preamble.display()))?;
    config.after_includes = Some(preamble);
    // cbindgen follows the `mod` lines, in their order.
    let builder = cbindgen::Builder::new().with_config(config).with_src(root().join("src/ffi/mod.rs"));
    let bindings = builder.generate().map_err(|error| format!("cbindgen: {error}"))?;
    let mut text = Vec::new();
    bindings.write(&mut text);
    String::from_utf8(text).map_err(|error| error.to_string())
}

fn check(fresh: &str) -> Result<(), String> {
    let committed = std::fs::read_to_string(path()).map_err(|error| format!("{}: {error}", path().display()))?;
    if !declares_api(fresh) {
        return Err("src/ffi declares nothing yet".into());
    }
    if committed == fresh {
        return Ok(());
    }
    let mut lines = committed.lines().zip(fresh.lines()).enumerate();
    let at = lines.find(|(_, (old, new))| old != new);
    let shown =
        at.map_or(String::new(), |(line, (old, new))| format!("\nfirst at line {}:\n- {old}\n+ {new}", line + 1));
    Err(format!("include/valtron_http.h differs from src/ffi; run `cargo xtask header`{shown}"))
}
