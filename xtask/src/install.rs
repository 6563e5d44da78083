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
    let (version, escaped) = (version()?, for_pkg_config(prefix)?);
    let fill = |name: &str, folder: &Path| -> std::io::Result<()> {
        let text = std::fs::read_to_string(bindings.join(format!("{name}.in")))?
            .replace("@PREFIX@", &escaped)
            .replace("@LIBDIR@", "${prefix}/lib")
            .replace("@VERSION@", &version);
        std::fs::write(folder.join(name), text)
    };
    fill("valtron_http.pc", &lib.join("pkgconfig"))?;
    fill("valtron_httpConfig.cmake", &cmake)?;
    fill("valtron_httpConfigVersion.cmake", &cmake)?;
    Ok(())
}

/// A path as the value of a variable in a pkg-config file: with a backslash before what would end or quote a word of
/// the flags, or begin a comment.
fn for_pkg_config(path: &Path) -> Result<String, Stop> {
    let Some(path) = path.to_str().filter(|path| !path.contains(['$', '\n', '\r'])) else {
        return failed(
            "a prefix with a dollar sign, a line break or bytes that are no UTF-8 has no form in pkg-config",
        );
    };
    let mut escaped = String::new();
    for letter in path.chars() {
        if " \t\"'\\#".contains(letter) {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    Ok(escaped)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: whatever the prefix is called, pkg-config and a shell after it see that name. Method: the letters that
    /// mean something to one of them.
    #[test]
    fn prefixes_are_escaped() {
        let escaped = |path: &str| for_pkg_config(Path::new(path)).ok();
        assert_eq!(escaped("/usr/local").as_deref(), Some("/usr/local"));
        assert_eq!(escaped("/opt/a b\tc").as_deref(), Some("/opt/a\\ b\\\tc"));
        assert_eq!(escaped("/Bob's \"own\" #1\\2").as_deref(), Some("/Bob\\'s\\ \\\"own\\\"\\ \\#1\\\\2"));
        assert_eq!((escaped("/a$b"), escaped("/a\nb")), (None, None));
    }
}
