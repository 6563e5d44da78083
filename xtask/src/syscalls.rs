//! System calls, counted exactly: what a keep-alive request costs, and that no poll makes a call that can block.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::build::{library_for_tests, Executor, Library, EXECUTORS};
use crate::site::Site;
use crate::util::{failed, out_dir, root, words, Log, Step, Stop};

/// Requests that are counted.
const REQUESTS: u64 = 1000;

/// Calls that a poll may make: none of them can block. `epoll_wait`, `futex`, `socket` and `write` are looked at more
/// closely.
const HARMLESS: [&str; 22] = [
    "sendto",
    "recvfrom",
    "connect",
    "getsockopt",
    "setsockopt",
    "getpeername",
    "fcntl",
    "epoll_ctl",
    "close",
    "mmap",
    "munmap",
    "mprotect",
    "brk",
    "madvise",
    "mremap",
    "getrandom",
    "rt_sigprocmask",
    "clone3",
    "clone",
    "sched_getaffinity",
    "rt_sigaction",
    "rseq",
];

pub fn run(log: &mut Log, site: &Site) -> Step {
    crate::tools::require("strace")?;
    let mut libraries = Vec::new();
    for executor in EXECUTORS {
        libraries.push(library_for_tests(log, executor, None)?);
    }
    keep_alive(log, site, &libraries)?;
    downloads(log, site, &libraries[0])?;
    polls(log, site, &libraries[0])
}

/// How the requests of one trace are driven.
struct KeepAlive {
    executor: Executor,
    mode: &'static str,
    workers: u32,
}

/// In the `multi` build without workers, and in `perform` always, the host's thread does all, as in the other build.
const KEEP_ALIVE: [KeepAlive; 6] = [
    KeepAlive { executor: Executor::Single, mode: "perform", workers: 0 },
    KeepAlive { executor: Executor::Single, mode: "events", workers: 0 },
    KeepAlive { executor: Executor::Multi, mode: "perform", workers: 2 },
    KeepAlive { executor: Executor::Multi, mode: "events", workers: 0 },
    KeepAlive { executor: Executor::Multi, mode: "events", workers: 1 },
    KeepAlive { executor: Executor::Multi, mode: "events", workers: 2 },
];

/// A request over a kept connection costs one `sendto`, one `recvfrom` and at most one `epoll_wait`, and no other call,
/// over TLS, too.
fn keep_alive(log: &mut Log, site: &Site, libraries: &[Library]) -> Step {
    let mut wrong = Vec::new();
    for (executor, library) in EXECUTORS.into_iter().zip(libraries) {
        let program = compile(log, "keep_alive", library)?;
        for run in KEEP_ALIVE.iter().filter(|run| run.executor == executor) {
            for key in ["VALTRON_SITE_HTTP", "VALTRON_SITE_HTTPS"] {
                let url = format!("{}/hello", site_url(site, key)?);
                let scheme = url.split(':').next().unwrap_or_default();
                let name = format!("{}-{}-{}-{scheme}", executor.name(), run.mode, run.workers);
                let file = out_dir().join(format!("syscalls-{name}.txt"));
                let mut command = words("strace -f -o");
                command.arg(&file).arg(&program).arg(&url).arg(REQUESTS.to_string()).arg(run.mode);
                command.arg(run.workers.to_string()).arg(site_url(site, "VALTRON_SITE_CA")?);
                log.run(&mut command)?;
                let spent = between_marks(&std::fs::read_to_string(&file)?).map_err(Stop::Failed)?;
                log.line(&format!("{name}: {REQUESTS} requests cost {spent:?}"));
                let handed_over = run.mode == "events" && run.workers > 0;
                wrong.extend(too_much(&spent, REQUESTS, handed_over).map(|what| format!("{name}: {what}")));
            }
        }
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => failed(wrong.join("; ")),
    }
}

/// Of a body, what is counted: from here on it flows.
const STEADY_FROM_MIB: u64 = 16;
const STEADY_TO_MIB: u64 = 80;

/// Scheme, how the host takes the bytes, and how many calls a MiB may cost: 16 to 19 were seen over HTTP, 21 to 34 over
/// HTTPS. A read finds what is there, and where the peer is slow that is one of its writes, 64 of records in a MiB,
/// after a wait. More than that is a read too many.
const DOWNLOADS: [(&str, &str, u64); 4] = [
    ("VALTRON_SITE_HTTP", "read", 64),
    ("VALTRON_SITE_HTTP", "peek", 64),
    ("VALTRON_SITE_HTTPS", "read", 128),
    ("VALTRON_SITE_HTTPS", "peek", 128),
];

/// A body that flows costs reads, waits, and nothing else; over TLS a block of memory for each record, for which the
/// allocator may ask the system.
fn downloads(log: &mut Log, site: &Site, library: &Library) -> Step {
    let program = compile(log, "download", library)?;
    let mut wrong = Vec::new();
    for (key, way, most) in DOWNLOADS {
        let url = format!("{}/bytes/{}", site_url(site, key)?, (STEADY_TO_MIB + 16) << 20);
        let name = format!("download-{way}-{}", url.split(':').next().unwrap_or_default());
        let file = out_dir().join(format!("syscalls-{name}.txt"));
        let mut command = words("strace -f -o");
        command.arg(&file).arg(&program).args([&url, way]);
        command.args([STEADY_FROM_MIB << 20, STEADY_TO_MIB << 20].map(|bytes| bytes.to_string()));
        log.run(command.arg(site_url(site, "VALTRON_SITE_CA")?))?;
        let spent = between_marks(&std::fs::read_to_string(&file)?).map_err(Stop::Failed)?;
        let each = spent.values().sum::<u64>() as f64 / (STEADY_TO_MIB - STEADY_FROM_MIB) as f64;
        log.line(&format!("{name}: {each:.1} calls a MiB, at most {most}: {spent:?}"));
        let allowed: &[&str] = match key {
            "VALTRON_SITE_HTTP" => &["recvfrom", "epoll_wait"],
            _ => &["recvfrom", "epoll_wait", "brk", "mmap", "munmap"],
        };
        let others: Vec<_> = spent.keys().filter(|name| !allowed.contains(&name.as_str())).collect();
        if each > most as f64 || !others.is_empty() {
            wrong.push(format!("{name}: {each:.1} calls a MiB, at most {most}; besides reads and waits {others:?}"));
        }
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => failed(wrong.join("; ")),
    }
}

/// What `requests` may not have cost. One that is handed over to a worker and back costs, besides, a `write` for each
/// sleeper that is woken, and the look of the woken one: the worker for the new request, the host for what a step
/// brought. How many do sleep is up to the scheduler. A worker gives way once before it sleeps.
fn too_much(spent: &BTreeMap<String, u64>, requests: u64, handed_over: bool) -> Option<String> {
    let writes = spent.get("write").copied().unwrap_or(0);
    let bounds = |name: &str| match (name, handed_over) {
        ("sendto" | "recvfrom", _) => (requests, requests),
        ("epoll_wait", false) => (0, requests),
        // A thread may be on its way into one at either mark.
        ("epoll_wait", true) => (0, requests + writes + 4),
        ("write" | "sched_yield", true) => (0, requests * 4),
        // A lock that the other thread holds just then: 0 to 309 calls were seen for a thousand requests.
        ("futex", true) => (0, requests),
        // Memory that another thread gives back than the one that took it: no part of a request.
        ("mmap" | "munmap" | "madvise" | "mprotect" | "brk", true) => (0, requests / 100),
        _ => (0, 0),
    };
    let names = spent.keys().map(String::as_str).chain(["sendto", "recvfrom"]);
    let off = names.filter_map(|name| {
        let count = spent.get(name).copied().unwrap_or(0);
        let (least, most) = bounds(name);
        (count < least || count > most).then(|| format!("{count} {name}, not {least} to {most}"))
    });
    let off: BTreeSet<_> = off.collect();
    (!off.is_empty()).then(|| off.into_iter().collect::<Vec<_>>().join(", "))
}

/// The calls of all threads between the marks, by name.
fn between_marks(trace: &str) -> Result<BTreeMap<String, u64>, String> {
    let mut counts = BTreeMap::new();
    let lines = trace.lines().skip_while(|line| !line.contains("\"begin\"")).skip(1);
    for line in lines {
        if line.contains("\"end\"") {
            return Ok(counts);
        }
        let call = line.split_once(char::is_whitespace).map_or("", |(_, call)| call.trim_start());
        // The rest of a call that was counted where it began, a signal, the end of a thread.
        if call.starts_with("<...") || call.starts_with("---") || call.starts_with("+++") {
            continue;
        }
        *counts.entry(call.split('(').next().unwrap_or_default().to_owned()).or_default() += 1;
    }
    Err("the trace lacks a mark".into())
}

/// What is polled, and how it must end.
const POLLED: [(&str, &str); 7] = [
    ("OK", "/hello"),
    ("OK", "/chain"),
    ("OK", "/bytes/1000000"),
    ("OK", "/slow?ms=100"),
    ("TIMEOUT_FIRST_BYTE", "/stall/head"),
    ("TIMEOUT_FIRST_BYTE", "/stall/headers"),
    ("TIMEOUT_IDLE", "/stall/body"),
];

/// The stalled ones take half a second of polls each, all at once; a trace with fewer calls shows nothing.
const CALLS_MIN: usize = 1_000;
const POLLS_MIN: usize = 300;

/// Between polls the thread makes calls of its own beside those of the other thread, which hold a lock for moments: to
/// make and free requests, and to look at the same one. One call of so many may wait there, and none where no other
/// thread of the host is in the client. In a poll none may, ever.
const CALLS_PER_LOCK_WAIT: usize = 100;

fn polls(log: &mut Log, site: &Site, library: &Library) -> Step {
    let program = compile(log, "polls", library)?;
    let (http, https) = (site_url(site, "VALTRON_SITE_HTTP")?, site_url(site, "VALTRON_SITE_HTTPS")?);
    let mut all = Vec::new();
    for (status, path) in POLLED {
        all.push(format!("{status}={http}{path}"));
        // From https back to http.
        let status = if path == "/chain" { "OK|INSECURE_REDIRECT" } else { status };
        all.push(format!("{status}={https}{path}"));
    }
    all.push(format!("TIMEOUT_TLS={}/", site_url(site, "VALTRON_SITE_STALL_TLS")?));
    all.push("CONNECT_REFUSED=http://127.0.0.1:1/".to_owned());
    all.push("NAME_NOT_FOUND|NAME_FAILED=http://no-such-name.invalid/".to_owned());
    let mut beside = vec!["--beside".to_owned(), format!("{http}/bytes/50000000")];
    beside.extend(all.iter().filter(|argument| !argument.contains("/chain")).cloned());
    for (name, arguments) in [("polls", all), ("polls-beside-another-thread", beside)] {
        let file = out_dir().join(format!("syscalls-{name}.txt"));
        let mut command = words("strace -f -o");
        command.arg(&file).arg(&program).args(&arguments);
        log.run(&mut command)?;
        let trace = std::fs::read_to_string(&file)?;
        let found = blocking(&trace).map_err(Stop::Failed)?;
        let Found { polls, calls, futexes, poll_waits, other_waits, .. } = found;
        log.line(&format!(
            "{name}: {calls} calls of the polling thread, {futexes} of them futex; lock waits: {poll_waits} in {polls} \
             polls, {other_waits} between them"
        ));
        let alone = arguments[0] != "--beside";
        let allowed = if alone { 0 } else { calls / CALLS_PER_LOCK_WAIT };
        if poll_waits > 0 || other_waits > allowed {
            return failed(format!("{name}: a lock was waited for {poll_waits} times in polls, {other_waits} between"));
        }
        if !found.bad.is_empty() {
            return failed(format!(
                "{name}: the polling thread made calls that can block:\n{}",
                found.bad[..found.bad.len().min(20)].join("\n")
            ));
        }
        if calls < CALLS_MIN || polls < POLLS_MIN {
            return failed(format!("{name}: only {calls} calls and {polls} polls were traced"));
        }
    }
    Ok(())
}

#[derive(Debug, Default, PartialEq)]
struct Found {
    calls: usize,
    futexes: usize,
    polls: usize,
    /// Waits for a lock that another thread held, in a poll.
    poll_waits: usize,
    /// The same between polls.
    other_waits: usize,
    bad: Vec<String>,
}

/// Looks at every call of the thread that wrote the marks, between the marks.
fn blocking(trace: &str) -> Result<Found, String> {
    let Some(thread) = trace.lines().find(|line| line.contains("\"begin\"")).and_then(|l| l.split_whitespace().next())
    else {
        return Err("the trace holds no mark".into());
    };
    let mut found = Found::default();
    let mut in_poll = false;
    let own = trace.lines().filter(|line| line.split_whitespace().next() == Some(thread));
    for line in own.skip_while(|line| !line.contains("\"begin\"")).skip(1) {
        if line.contains("\"end\"") {
            return Ok(found);
        }
        if line.contains("\"poll\"") || line.contains("\"polled\"") {
            in_poll = line.contains("\"poll\"");
            found.polls += usize::from(in_poll);
            continue;
        }
        // strace pads to columns.
        let call = line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ");
        if call.starts_with("<...") {
            // The rest of a call that was judged where it began; only a wait's timeout shows here.
            if call.contains("epoll_wait resumed") && !call.contains(", 0) = ") {
                found.bad.push(line.to_owned());
            }
            continue;
        }
        let name = call.split('(').next().unwrap_or_default();
        found.calls += 1;
        let fine = match name {
            "epoll_wait" => call.contains(", 0) = ") || call.contains("<unfinished"),
            "futex" => {
                found.futexes += 1;
                // A wake cannot block; a wait is one for a lock that somebody holds, judged by the caller.
                let waits = usize::from(call.contains("FUTEX_WAIT") && !call.contains("EAGAIN"));
                *if in_poll { &mut found.poll_waits } else { &mut found.other_waits } += waits;
                true
            }
            "socket" => call.contains("SOCK_NONBLOCK"),
            // Eight bytes: the poller's own eventfd, which never fills.
            "write" => call.contains(", 8) = 8") || call.contains(", 8 <unfinished"),
            other => HARMLESS.contains(&other),
        };
        if !fine {
            found.bad.push(line.to_owned());
        }
    }
    Err("the trace does not end with its mark".into())
}

pub fn compile(log: &mut Log, name: &str, library: &Library) -> Result<PathBuf, Stop> {
    let program = out_dir().join(format!("traced-{name}"));
    let mut command = words("gcc -std=c11 -O1 -Wall -Wextra -Werror -Iinclude");
    command.arg(root().join(Path::new("tests/c/traced")).join(format!("{name}.c"))).arg("-o").arg(&program);
    crate::c_tests::link(&mut command, library);
    log.run(&mut command)?;
    Ok(program)
}

pub fn site_url(site: &Site, key: &str) -> Result<String, Stop> {
    match site.env.iter().find(|(name, _)| *name == key) {
        Some((_, value)) => Ok(value.clone()),
        None => failed(format!("the site does not tell {key}")).map(|()| String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: calls of all threads count, once each, and only between the marks. Method: a trace of literal lines.
    #[test]
    fn counts_calls_between_marks() {
        let trace = [
            "7 sendto(4, ...) = 9",
            r#"7 write(-1, "begin", 5) = -1 EBADF"#,
            "7   sendto(4, ...) = 9",
            "8 recvfrom(4 <unfinished ...>",
            "7 epoll_wait(4, [], 1024, 0)       = 0",
            "8 <... recvfrom resumed>) = 1",
            "7 --- SIGCHLD ---",
            r#"7 write(-1, "end", 3) = -1 EBADF"#,
            "7 close(4) = 0",
        ];
        let spent = between_marks(&trace.join("\n")).unwrap();
        assert_eq!(format!("{spent:?}"), r#"{"epoll_wait": 1, "recvfrom": 1, "sendto": 1}"#);
        assert!(between_marks(&trace[..5].join("\n")).is_err());
        assert_eq!(too_much(&spent, 1, false), None);
        assert_eq!(too_much(&spent, 2, false).unwrap(), "1 recvfrom, not 2 to 2, 1 sendto, not 2 to 2");
        let none = BTreeMap::new();
        assert!(too_much(&none, 1, false).is_some());
        let more = BTreeMap::from([("sendto", 1), ("recvfrom", 1), ("write", 3)].map(|(k, n)| (k.to_owned(), n)));
        assert_eq!(too_much(&more, 1, false).unwrap(), "3 write, not 0 to 0");
        assert_eq!(too_much(&more, 1, true), None);
    }

    /// Goal: a wait with a timeout, a blocking socket and a sleep are found. Method: a trace of literal lines.
    #[test]
    fn finds_calls_that_can_block() {
        let trace = [
            r#"7 write(-1, "begin", 5) = -1 EBADF"#,
            "7 epoll_wait(4, [], 1024, 0)       = 0",
            "8 nanosleep({}) = 0",
            "7 epoll_wait(4, [], 1024, 5) = 0",
            "7 socket(AF_INET, SOCK_STREAM, 0) = 9",
            "7 nanosleep({}, NULL) = 0",
            "7 futex(0x1, FUTEX_WAKE_PRIVATE, 1) = 1",
            "7 futex(0x1, FUTEX_WAIT_PRIVATE, 2, NULL) = -1 EAGAIN",
            r#"7 write(-1, "poll", 4) = -1 EBADF"#,
            "7 futex(0x1, FUTEX_WAIT_PRIVATE, 2, NULL <unfinished ...>",
            r#"7 write(-1, "polled", 6) = -1 EBADF"#,
            "7 futex(0x1, FUTEX_WAIT_PRIVATE, 2, NULL) = 0",
            r#"7 write(-1, "end", 3) = -1 EBADF"#,
            "7 poll([], 1, 9) = 0",
        ]
        .join("\n");
        let found = blocking(&trace).unwrap();
        assert_eq!((found.calls, found.futexes, found.bad.len()), (8, 4, 3), "{found:?}");
        assert_eq!((found.polls, found.poll_waits, found.other_waits), (1, 1, 1));
        assert!(blocking("7 write(-1, \"begin\", 5)").is_err());
    }
}
