//! Servers of other makes: nginx, Python, Node, OpenSSL; fetched by both examples' code paths, in both executors.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::build::{library, EXECUTORS};
use crate::site::Site;
use crate::tools;
use crate::util::{failed, out_dir, root, skipped, words, Log, Server, Step, Stop};

/// Where a server is reached, and whether it is a full one (OpenSSL's is HTTP/1.0 and serves files only).
struct Target {
    name: &'static str,
    base: String,
}

pub fn run(log: &mut Log, site: &Site) -> Step {
    let dir = out_dir().join("interop");
    let files = dir.join("root");
    std::fs::create_dir_all(&files)?;
    std::fs::write(files.join("small.txt"), "hello, world\n")?;
    let large: Vec<u8> = (0..3 * 1024 * 1024 + 17).map(|i: u32| (i % 251) as u8).collect();
    std::fs::write(files.join("large.bin"), large)?;

    let mut servers = Vec::new();
    let mut targets = Vec::new();
    let mut missing = Vec::new();
    for start in [nginx, python, node, openssl] {
        match start(log, &dir, site, &mut targets) {
            Ok(server) => servers.push(server),
            Err(Stop::Skipped(why)) => missing.push(why),
            Err(stop) => return Err(stop),
        }
    }
    let ca = PathBuf::from(site.value("VALTRON_SITE_CA"));
    let mut problems = Vec::new();
    for executor in EXECUTORS {
        let library = library(log, executor, "dev")?;
        let program = dir.join(format!("fetch-{}", executor.name()));
        let program = crate::demo::compile_fetch(log, &library, &program)?;
        for target in &targets {
            for file in ["small.txt", "large.bin"] {
                let url = format!("{}/{file}", target.base);
                let mut c = Command::new(&program);
                c.arg(&url).arg("--ca-file").arg(&ca);
                let mut python = Command::new("python3");
                python.arg("tests/interop/driver.py").arg(&url).arg(files.join(file)).arg(&ca);
                python.env("PYTHONPATH", root().join("bindings/python")).env("PYTHONDONTWRITEBYTECODE", "1");
                python.env("VALTRON_HTTP_LIB", library.file());
                for (language, mut command) in [("C", c), ("Python", python)] {
                    if log.run(&mut command).is_err() {
                        problems.push(format!("{} {file} {language} {}", target.name, executor.name()));
                    }
                }
            }
        }
    }
    drop(servers);
    if tools::require("openssl").is_ok() {
        problems.extend(close_notify(log, &files, site)?);
    }
    if !problems.is_empty() {
        return failed(problems.join("; "));
    }
    if !missing.is_empty() {
        return skipped(missing.join("; "));
    }
    Ok(())
}

/// How TLS connections end, by OpenSSL's own account.
fn close_notify(log: &mut Log, files: &Path, site: &Site) -> Result<Vec<String>, Stop> {
    let mut problems = Vec::new();
    for executor in EXECUTORS {
        let library = library(log, executor, "dev")?;
        let mut command = Command::new("python3");
        command.arg("tests/interop/close_notify.py").arg(files);
        command.args(["localhost.pem", "localhost.key", "ca.pem"].map(|name| site.dir.join(name)));
        command.env("PYTHONPATH", root().join("bindings/python")).env("PYTHONDONTWRITEBYTECODE", "1");
        command.env("VALTRON_HTTP_LIB", library.file());
        if log.run(&mut command).is_err() {
            problems.push(format!("close_notify {}", executor.name()));
        }
    }
    Ok(problems)
}

fn nginx(log: &mut Log, dir: &Path, site: &Site, targets: &mut Vec<Target>) -> Result<Server, Stop> {
    tools::require("nginx")?;
    let (http, https) = (free_port()?, free_port()?);
    let template = std::fs::read_to_string(root().join("tests/interop/nginx.conf"))?;
    let config = dir.join("nginx.conf");
    let text = template
        .replace("@DIR@", &dir.display().to_string())
        .replace("@HTTP@", &http.to_string())
        .replace("@HTTPS@", &https.to_string())
        .replace("@CERT@", &site.dir.join("localhost.pem").display().to_string())
        .replace("@KEY@", &site.dir.join("localhost.key").display().to_string());
    std::fs::write(&config, text)?;
    let mut command = Command::new(tools::find("nginx").unwrap_or_else(|| "nginx".into()));
    command.arg("-p").arg(dir).arg("-c").arg(config).args(["-e", "stderr"]);
    let server = started(log, &mut command, &[http, https])?;
    targets.push(Target { name: "nginx http", base: format!("http://127.0.0.1:{http}") });
    targets.push(Target { name: "nginx https", base: format!("https://localhost:{https}") });
    Ok(server)
}

fn python(log: &mut Log, dir: &Path, _: &Site, targets: &mut Vec<Target>) -> Result<Server, Stop> {
    tools::require("python3")?;
    let port = free_port()?;
    let mut command = words(&format!("python3 -m http.server {port} --bind 127.0.0.1 --protocol HTTP/1.1 --directory"));
    let server = started(log, command.arg(dir.join("root")), &[port])?;
    targets.push(Target { name: "python http.server", base: format!("http://127.0.0.1:{port}") });
    Ok(server)
}

fn node(log: &mut Log, dir: &Path, _: &Site, targets: &mut Vec<Target>) -> Result<Server, Stop> {
    tools::require("node")?;
    let port = free_port()?;
    let mut command = words("node tests/interop/server.js");
    let server = started(log, command.arg(port.to_string()).arg(dir.join("root")), &[port])?;
    targets.push(Target { name: "node http", base: format!("http://127.0.0.1:{port}") });
    Ok(server)
}

fn openssl(log: &mut Log, dir: &Path, site: &Site, targets: &mut Vec<Target>) -> Result<Server, Stop> {
    tools::require("openssl")?;
    let port = free_port()?;
    // -WWW serves files of its working folder, which is where `env -C` puts it.
    let mut command = words("env -C");
    command.arg(dir.join("root")).args(["openssl", "s_server", "-quiet", "-WWW", "-accept"]);
    command.arg(format!("127.0.0.1:{port}"));
    command.arg("-cert").arg(site.dir.join("localhost.pem")).arg("-key").arg(site.dir.join("localhost.key"));
    let server = started(log, &mut command, &[port])?;
    targets.push(Target { name: "openssl s_server", base: format!("https://localhost:{port}") });
    Ok(server)
}

/// Starts a server and waits until it listens; a port taken in between shows as an early end.
fn started(log: &mut Log, command: &mut Command, ports: &[u16]) -> Result<Server, Stop> {
    let mut server = Server(log.spawn(command)?);
    let deadline = Instant::now() + Duration::from_secs(10);
    while !ports.iter().all(|port| TcpStream::connect(("127.0.0.1", *port)).is_ok()) {
        if let Some(status) = server.0.try_wait()? {
            return failed(format!("{:?} ended at once: {status}", command.get_program()));
        }
        if Instant::now() > deadline {
            return failed(format!("{:?} does not listen", command.get_program()));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(server)
}

fn free_port() -> Result<u16, Stop> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
