//! System calls, counted exactly: what a keep-alive request costs, and that no poll makes a call that can block.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::build::{library_for_tests, Executor, Library};
use crate::site::Site;
use crate::util::{failed, out_dir, root, words, Log, Step, Stop};

/// Two runs of these lengths: their difference is what the requests alone cost.
const RUNS: [u64; 2] = [100, 1100];

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
    let library = library_for_tests(log, Executor::Single, None)?;
    keep_alive(log, site, &library)?;
    polls(log, site, &library)
}

fn keep_alive(log: &mut Log, site: &Site, library: &Library) -> Step {
    let program = compile(log, "keep_alive", library)?;
    let url = format!("{}/hello", site_url(site, "VALTRON_SITE_HTTP")?);
    for mode in ["perform", "events"] {
        let counts = RUNS.map(|count| {
            let file = out_dir().join(format!("syscalls-{mode}-{count}.txt"));
            let mut command = words("strace -f -c -o");
            command.arg(&file).arg(&program).arg(&url).arg(count.to_string()).arg(mode);
            log.run(&mut command)?;
            summary(&std::fs::read_to_string(&file)?)
        });
        let [few, many] = counts;
        let (few, many) = (few?, many?);
        let requests = RUNS[1] - RUNS[0];
        let mut spent: BTreeMap<&str, u64> = BTreeMap::new();
        for (name, count) in &many {
            let more = count.saturating_sub(few.get(name).copied().unwrap_or(0));
            if more > 0 {
                spent.insert(name, more);
            }
        }
        log.line(&format!("{mode}: {requests} requests cost {spent:?}"));
        let expected = BTreeMap::from([("epoll_wait", requests), ("recvfrom", requests), ("sendto", requests)]);
        if spent != expected {
            return failed(format!("{mode}: {requests} keep-alive requests cost {spent:?}, not {expected:?}"));
        }
    }
    Ok(())
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
/// make and free requests, and to look at the same one. One call of so many may wait there; none in a poll, and none at
/// all where no other thread is in the client.
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
        if poll_waits > 0 || other_waits > if alone { 0 } else { calls / CALLS_PER_LOCK_WAIT } {
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

/// The counts of `strace -c`, by name.
fn summary(text: &str) -> Result<BTreeMap<String, u64>, Stop> {
    let mut counts = BTreeMap::new();
    for line in text.lines() {
        let fields: Vec<_> = line.split_whitespace().collect();
        if let (Some(Ok(calls)), Some(name)) = (fields.get(3).map(|field| field.parse()), fields.last()) {
            if *name != "total" {
                counts.insert((*name).to_owned(), calls);
            }
        }
    }
    if counts.is_empty() {
        return failed("strace counted nothing").map(|()| counts);
    }
    Ok(counts)
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
