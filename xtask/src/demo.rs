//! `cargo xtask demo [URL]`: what a newcomer runs first.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::build::{library, Executor, Library};
use crate::site::Site;
use crate::util::{out_dir, root, Log, Stop};

pub fn run(args: &[&str]) -> Result<(), String> {
    if args.len() > 1 || args.iter().any(|url| url.starts_with('-')) {
        return Err(format!("demo takes a URL or nothing, not {args:?}"));
    }
    let mut log = Log::terminal();
    heading("Building the library");
    let library = library(&mut log, Executor::Single, "release")?;
    heading("Checking the header against the source");
    crate::header::check_committed()?;
    println!("include/valtron_http.h is up to date");
    heading("Compiling examples/c/fetch.c");
    let program = compile_fetch(&mut log, &library, &out_dir().join("fetch"))?;

    let (urls, ca, _site) = match args.first() {
        Some(url) => (vec![url.to_string()], None, None),
        None => {
            let dir = out_dir().join(format!("site-{}", std::process::id()));
            let site = Site::start(&dir).map_err(|error| format!("the site does not start: {error}"))?;
            let (http, https) = (site.value("VALTRON_SITE_HTTP"), site.value("VALTRON_SITE_HTTPS"));
            let urls = vec![
                format!("{http}/hello"),
                format!("{https}/hello"),
                format!("{http}/chain"),
                format!("{https}/bytes/33554432"),
                format!("{http}/slow?ms=300"),
            ];
            (urls, Some(PathBuf::from(site.value("VALTRON_SITE_CA"))), Some(site))
        }
    };
    let mut failures = Vec::new();
    for url in &urls {
        let commands = [("C", Command::new(&program)), ("Python", python_fetch(&library))];
        for (language, mut command) in commands {
            heading(&format!("{language}: {url}"));
            if language == "Python" {
                println!("with PYTHONPATH=bindings/python in the environment:");
            }
            command.arg(url);
            if let Some(ca) = &ca {
                command.arg("--ca-file").arg(ca);
            }
            if let Err(stop) = log.run(&mut command) {
                failures.push(format!("{language}: {url}: {}", String::from(stop)));
            }
        }
    }
    if let Some(site) = &_site {
        let _ = std::fs::remove_dir_all(&site.dir);
    }
    heading("Result");
    println!("{} fetches, {} failed", urls.len() * 2, failures.len());
    if failures.is_empty() {
        return Ok(());
    }
    Err(failures.join("\n"))
}

pub fn compile_fetch(log: &mut Log, library: &Library, program: &Path) -> Result<PathBuf, Stop> {
    let mut command = crate::util::words("gcc -std=gnu11 -O2 -g -Wall -Wextra -Iinclude examples/c/fetch.c");
    crate::c_tests::link(&mut command, library);
    log.run(command.arg("-o").arg(program))?;
    Ok(program.to_path_buf())
}

pub fn python_fetch(library: &Library) -> Command {
    let mut command = Command::new("python3");
    command.arg("examples/python/fetch.py").env("PYTHONPATH", root().join("bindings/python"));
    command.env("VALTRON_HTTP_LIB", library.file()).env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

fn heading(text: &str) {
    println!("\n== {text} ==");
}
