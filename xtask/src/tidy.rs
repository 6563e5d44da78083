//! The project's own rules, as far as a program can hold them: borders between layers, sizes, forbidden words.

use crate::util::root;

mod code;

use code::{code_only, crate_imports, has_word};

pub fn run() -> Result<(), String> {
    let found = check_tree();
    if found.is_empty() {
        println!("tidy");
        return Ok(());
    }
    Err(format!("{}\n{} findings", found.join("\n"), found.len()))
}

pub fn check_tree() -> Vec<String> {
    let root = root();
    let mut found = Vec::new();
    for folder in ["src", "tests", "benches", "fuzz", "examples", "bindings", "xtask", "docs", ".ci"] {
        for path in crate::util::files(folder, "") {
            let name = path.strip_prefix(&root).unwrap_or(&path).to_string_lossy().into_owned();
            check_path(&name, &path, &mut found);
        }
    }
    for entry in std::fs::read_dir(&root).into_iter().flatten().flatten() {
        if entry.path().is_file() {
            check_path(&entry.file_name().to_string_lossy(), &entry.path(), &mut found);
        }
    }
    found
}

fn check_path(name: &str, path: &std::path::Path, found: &mut Vec<String>) {
    let known = [".rs", ".c", ".h", ".hpp", ".py", ".js", ".md", ".toml", ".sh", ".conf", ".supp", ".ci/run"];
    let generated = ["/target/", "/corpus/", "/artifacts/", "__pycache__"].iter().any(|part| name.contains(part));
    if generated || !known.iter().any(|ending| name.ends_with(ending)) {
        return;
    }
    match std::fs::read_to_string(path) {
        Ok(text) => found.extend(check(name, &text)),
        Err(error) => found.push(format!("{name}: {error}")),
    }
}

/// What is wrong with one file; `name` is its path in the project, with `/`.
fn check(name: &str, text: &str) -> Vec<String> {
    let mut findings = Findings { name, found: Vec::new() };
    check_text(&mut findings, text);
    if name.ends_with(".rs") {
        let code = code_only(text);
        check_rust(&mut findings, text, &code);
        check_layers(&mut findings, &code);
        if name.starts_with("src/ffi/") {
            check_documented(&mut findings, text);
        }
    }
    findings.found
}

struct Findings<'a> {
    name: &'a str,
    found: Vec<String>,
}

impl Findings<'_> {
    fn add(&mut self, line: usize, what: impl std::fmt::Display) {
        self.found.push(format!("{}:{}: {what}", self.name, line + 1));
    }

    fn is_in(&self, places: &[&str]) -> bool {
        places.iter().any(|place| self.name == *place || (place.ends_with('/') && self.name.starts_with(place)))
    }
}

fn check_text(findings: &mut Findings, text: &str) {
    let is_code = [".rs", ".c", ".h", ".py", ".js"].iter().any(|ending| findings.name.ends_with(ending));
    for (number, line) in text.lines().enumerate() {
        // rustfmt keeps Rust to its width; nothing does that for the others.
        let most = if findings.name.ends_with(".rs") { LINE_CHARS_MAX } else { OTHER_LINE_CHARS_MAX };
        if is_code && line.chars().count() > most {
            findings.add(number, format!("line longer than {most}"));
        }
        if line.ends_with([' ', '\t']) && !findings.name.ends_with(".md") {
            findings.add(number, "white space at the end of the line");
        }
        if findings.name != "xtask/src/tidy.rs" {
            for word in BANNED.iter().filter(|word| line.contains(**word)) {
                findings.add(number, format!("banned: {word}"));
            }
        }
    }
    if !text.is_empty() && !text.ends_with('\n') {
        findings.add(text.lines().count() - 1, "no newline at the end");
    }
}

fn check_rust(findings: &mut Findings, text: &str, code: &str) {
    let lines = text.lines().count();
    if lines > FILE_LINES_MAX {
        findings.add(lines - 1, format!("file longer than {FILE_LINES_MAX} lines"));
    }
    let in_library = findings.name.starts_with("src/");
    let in_tests = findings.name.starts_with("tests/");
    if in_library && !text.starts_with("//!") {
        findings.add(0, "a module begins with //! that says what it is");
    }
    for (number, line) in code.lines().enumerate() {
        if (in_library || in_tests) && line.contains("Instant::now") && !findings.is_in(&["src/valtron/clock.rs"]) {
            findings.add(number, "the clock is read in src/valtron/clock.rs only");
        }
        if (in_library || in_tests) && line.contains("thread::sleep") {
            findings.add(number, "no sleeping");
        }
        if !in_library {
            continue;
        }
        if has_word(line, "unsafe") && !findings.is_in(UNSAFE_IN) && !line.contains("unsafe_") {
            findings.add(number, "unsafe outside src/ffi/, src/valtron/poller/, src/net/descriptor.rs");
        }
        for name in ["todo!", "unimplemented!", "dbg!", "println!", "eprintln!", "print!", "eprint!"] {
            if has_word(line, name) {
                findings.add(number, format!("{name} in the library"));
            }
        }
        if (is_static(line) || has_word(line, "thread_local!")) && !findings.is_in(PROCESS_WIDE) {
            findings.add(number, "process-wide state outside src/ffi/process.rs");
        }
        let c_word = ["extern \"", "no_mangle", "export_name"].iter().any(|word| line.contains(word));
        if c_word && !findings.is_in(&["src/ffi/"]) {
            findings.add(number, "C outside src/ffi/");
        }
        let executor = findings.is_in(&["src/synca/", "src/valtron/"]) && !findings.is_in(&["src/synca/sync.rs"]);
        let atomic = line.contains("std::sync::atomic") || line.contains("core::sync::atomic");
        let grouped = line.contains("std::sync::{") && has_word(line, "atomic");
        if executor && (atomic || grouped) {
            findings.add(number, "atomics come from synca::sync");
        }
    }
}

fn check_layers(findings: &mut Findings, code: &str) {
    let Some((layer, allowed)) = LAYERS.iter().find(|(layer, _)| findings.is_in(&[layer])) else { return };
    for (number, module) in crate_imports(code) {
        let is_layer = LAYERS.iter().any(|(other, _)| other.trim_end_matches('/').ends_with(&format!("/{module}")));
        if is_layer && !allowed.contains(&module.as_str()) {
            findings.add(number, format!("{layer} must not know {module}"));
        }
    }
}

/// Each exported function has a doc comment right above it, attributes between them allowed.
fn check_documented(findings: &mut Findings, text: &str) {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    for (number, line) in lines.iter().enumerate() {
        let exported = line.starts_with("pub ") && line.contains("extern \"C\" fn");
        let in_macro = line.contains("fn valtron_") && !line.starts_with("//");
        if !(exported || in_macro) {
            continue;
        }
        let above = lines[..number].iter().rev().find(|line| !line.starts_with("#[") && !line.ends_with(")]"));
        if !above.is_some_and(|line| line.starts_with("///")) {
            findings.add(number, "an exported function without documentation");
        }
    }
}

fn is_static(line: &str) -> bool {
    let line = line.trim_start();
    let line = line.strip_prefix("pub").map_or(line, |rest| rest.trim_start_matches(|c| c != ' ').trim_start());
    line.starts_with("static ")
}

const LINE_CHARS_MAX: usize = 120;
const OTHER_LINE_CHARS_MAX: usize = 132;
/// Where process-wide state may stand; `src/ffi/process.rs` lists all of it.
const PROCESS_WIDE: &[&str] = &[
    "src/process.rs",
    "src/ffi/process.rs",
    "src/ffi/allocator.rs",
    "src/ffi/names.rs",
    // The tests' faults, in builds that nobody ships.
    "src/ffi/faults.rs",
];
const FILE_LINES_MAX: usize = 600;

const UNSAFE_IN: &[&str] = &["src/ffi/", "src/valtron/poller/", "src/net/descriptor.rs"];

/// Layer, and which of the others it may import.
const LAYERS: &[(&str, &[&str])] = &[
    ("src/synca/", &["synca"]),
    ("src/valtron/", &["valtron", "synca"]),
    ("src/proto/", &["proto"]),
    ("src/proxy/", &["proxy", "proto"]),
    ("src/net/", &["net", "valtron", "synca"]),
    ("src/tls/", &["tls", "net", "valtron", "synca"]),
    ("src/client/", &["client", "tls", "net", "proxy", "proto", "valtron", "synca"]),
    ("src/ffi/", &["ffi", "client", "tls", "net", "proxy", "proto", "valtron", "synca"]),
];

/// Unfinished work, and paths of somebody's own machine.
const BANNED: &[&str] =
    &["TODO", "FIXME", "XXX", "WIP", "/home/", "/root/", concat!("/", "work", "/"), "/tmp/", "lorem ipsum"];

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: each rule fires on its smallest violation and stays quiet beside it. Method: pairs of literal files.
    fn hits(name: &str, code: &str) -> usize {
        check(name, &format!("//! About.\n{code}\n")).len()
    }

    #[test]
    fn layers() {
        assert_eq!(hits("src/valtron/a.rs", "use crate::synca::Entry;"), 0);
        assert_eq!(hits("src/valtron/a.rs", "use crate::net::Net;"), 1);
        assert_eq!(hits("src/valtron/a.rs", "use crate::{\n    synca::Entry,\n    client::{a, b},\n};"), 1);
        assert_eq!(hits("src/proto/a.rs", "fn a() { crate::valtron::now() }"), 1);
        assert_eq!(hits("src/proto/a.rs", "//! See [`crate::valtron`]."), 0);
        assert_eq!(hits("src/client/a.rs", "use crate::ffi::x;"), 1);
    }

    #[test]
    fn c_and_unsafe() {
        assert_eq!(hits("src/client/a.rs", "pub extern \"C\" fn a() {}"), 1);
        assert_eq!(hits("src/client/a.rs", "unsafe { a() }"), 1);
        assert_eq!(hits("src/client/a.rs", "// unsafe\nlet a = \"unsafe\";"), 0);
        assert_eq!(hits("src/net/descriptor.rs", "unsafe { a() }"), 0);
        assert_eq!(hits("src/ffi/a.rs", "/// Doc.\n#[no_mangle]\npub unsafe extern \"C\" fn valtron_a() {}"), 0);
        assert_eq!(hits("src/ffi/a.rs", "#[no_mangle]\npub unsafe extern \"C\" fn valtron_a() {}"), 1);
    }

    #[test]
    fn clock_atomics_statics() {
        assert_eq!(hits("src/valtron/a.rs", "let a = Instant::now();"), 1);
        assert_eq!(hits("src/valtron/clock.rs", "let a = Instant::now();"), 0);
        assert_eq!(hits("tests/a.rs", "std::thread::sleep(a);"), 1);
        assert_eq!(hits("src/valtron/a.rs", "use std::sync::atomic::AtomicBool;"), 1);
        assert_eq!(hits("src/valtron/a.rs", "use std::sync::{atomic::AtomicBool, Arc};"), 1);
        assert_eq!(hits("src/synca/sync.rs", "pub use std::sync::{atomic, Arc};"), 0);
        assert_eq!(hits("src/net/a.rs", "pub(crate) static A: u8 = 0;"), 1);
        assert_eq!(hits("src/net/a.rs", "fn a(b: &'static str) {}"), 0);
        assert_eq!(hits("src/ffi/process.rs", "static A: u8 = 0;"), 0);
    }

    #[test]
    fn sizes_and_words() {
        assert_eq!(hits("src/net/a.rs", &"a".repeat(121)), 1);
        assert_eq!(hits("src/net/a.rs", &"é".repeat(120)), 0);
        assert_eq!(hits("src/net/a.rs", &"\n".repeat(600)), 1);
        assert_eq!(hits("src/net/a.rs", "todo!()"), 1);
        assert_eq!(hits("src/net/a.rs", "// TODO"), 1);
        assert_eq!(hits("src/net/a.rs", "let a = 1; "), 1);
        assert_eq!(check("src/net/a.rs", "fn a() {}\n").len(), 1);
    }
}
