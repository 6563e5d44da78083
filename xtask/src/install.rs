//! The library where other programs find it: `lib`, `include`, and what pkg-config and CMake read.

use std::path::Path;

use crate::build::{library, Executor, Library};
use crate::util::{failed, root, Log, Step, Stop};

pub fn run(args: &[&str]) -> Result<(), String> {
    let [prefix] = args else { return Err("install needs one argument, the prefix".into()) };
    if prefix.is_empty() || prefix.starts_with('-') {
        return Err(format!("install needs a folder, not {prefix:?}"));
    }
    let prefix = std::path::absolute(prefix).map_err(|error| format!("{prefix}: {error}"))?;
    let library = library(&mut Log::terminal(), Executor::Single, "release")?;
    install(&library, &prefix).map_err(|stop| format!("{}: {}", prefix.display(), String::from(stop)))?;
    println!("installed under {}", prefix.display());
    Ok(())
}

/// `prefix` is absolute: the pkg-config file names it.
pub fn install(library: &Library, prefix: &Path) -> Step {
    let (lib, bindings) = (prefix.join("lib"), root().join("bindings/c"));
    let cmake = lib.join("cmake/valtron_http");
    for folder in [&prefix.join("include"), &lib.join("pkgconfig"), &cmake] {
        std::fs::create_dir_all(folder)?;
    }
    replace(&library.file(), &lib.join(crate::symbols::SONAME))?;
    let name = lib.join("libvaltron_http.so");
    let _ = std::fs::remove_file(&name);
    std::os::unix::fs::symlink(crate::symbols::SONAME, name)?;
    replace(&crate::header::path(), &prefix.join("include/valtron_http.h"))?;
    replace(&bindings.join("valtron_http.hpp"), &prefix.join("include/valtron_http.hpp"))?;
    let version = version()?;
    let fill = |name: &str, folder: &Path| -> std::io::Result<()> {
        let text = std::fs::read_to_string(bindings.join(format!("{name}.in")))?
            .replace("@PREFIX@", &prefix.display().to_string())
            .replace("@LIBDIR@", "${prefix}/lib")
            .replace("@VERSION@", &version);
        std::fs::write(folder.join(name), text)
    };
    fill("valtron_http.pc", &lib.join("pkgconfig"))?;
    fill("valtron_httpConfig.cmake", &cmake)?;
    fill("valtron_httpConfigVersion.cmake", &cmake)?;
    Ok(())
}

/// A program that runs keeps the file it has mapped: the new one is another.
fn replace(from: &Path, to: &Path) -> std::io::Result<()> {
    let _ = std::fs::remove_file(to);
    std::fs::copy(from, to).map(drop)
}

/// As the header says it; the tests hold the header to the crate's version.
fn version() -> Result<String, Stop> {
    let header = std::fs::read_to_string(crate::header::path())?;
    let line = header.lines().find_map(|line| line.strip_prefix("#define VALTRON_VERSION \""));
    match line.and_then(|rest| rest.strip_suffix('"')) {
        Some(version) => Ok(version.to_owned()),
        None => failed("the header has no VALTRON_VERSION"),
    }
}
