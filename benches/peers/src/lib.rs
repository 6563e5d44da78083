//! What the peers share: their arguments, `URL TOTAL CONCURRENCY [CA_FILE]`, and the one line of JSON at the end.

use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Mutex;
use std::time::Instant;

pub struct Args {
    pub url: String,
    pub total: u64,
    pub concurrency: u64,
    pub ca_file: Option<String>,
}

impl Args {
    pub fn read() -> Args {
        let args: Vec<String> = std::env::args().collect();
        let number = |at: usize| args.get(at).and_then(|text| text.parse().ok()).filter(|number| *number > 0);
        let (Some(url), Some(total), Some(concurrency)) = (args.get(1), number(2), number(3)) else {
            eprintln!("usage: {} URL TOTAL CONCURRENCY [CA_FILE]", args[0]);
            std::process::exit(2);
        };
        Args { url: url.clone(), total, concurrency, ca_file: args.get(4).cloned() }
    }

    /// What the CA file holds, if there is one.
    pub fn pem(&self) -> Option<Vec<u8>> {
        self.ca_file.as_ref().map(|file| match std::fs::read(file) {
            Ok(pem) => pem,
            Err(error) => stop(&format!("{file}: {error}")),
        })
    }
}

/// Ends the program: it cannot do what it was asked for.
pub fn stop(why: &str) -> ! {
    eprintln!("{why}");
    std::process::exit(1);
}

/// Counts what the requests came to.
pub struct Tally {
    /// Requests still to be begun.
    left: AtomicU64,
    ok: AtomicU64,
    failed: AtomicU64,
    bytes: AtomicU64,
    warm_at: u64,
    began: Instant,
    /// CPU seconds, wall seconds and requests at the time when the connections were made.
    warm: Mutex<(f64, f64, u64)>,
}

impl Tally {
    pub fn new(args: &Args) -> Tally {
        Tally {
            left: AtomicU64::new(args.total),
            ok: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            // As in bench.h: each connection has had two answers by then, on average.
            warm_at: if args.total >= 4 * args.concurrency { 2 * args.concurrency } else { 0 },
            began: Instant::now(),
            warm: Mutex::new((0.0, 0.0, 0)),
        }
    }

    /// Whether one more request is to be made.
    pub fn next(&self) -> bool {
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }

    pub fn ok(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let ok = self.ok.fetch_add(1, Ordering::Relaxed) + 1;
        if ok == self.warm_at {
            *self.warm.lock().unwrap() = (cpu_s(), self.began.elapsed().as_secs_f64(), ok);
        }
    }

    pub fn failed(&self, why: impl std::fmt::Display) {
        if self.failed.fetch_add(1, Ordering::Relaxed) == 0 {
            eprintln!("{why}");
        }
    }

    /// Prints the line; then, if `BENCH_HOLD` is set, stays with all connections open until stdin closes. Ends the
    /// program if a request failed, as the C clients end: what counts system calls looks at nothing else.
    pub fn finish(&self) {
        let (warm_cpu, warm_wall, warm_ok) = *self.warm.lock().unwrap();
        println!(
            "{{\"ok\": {}, \"failed\": {}, \"bytes\": {}, \"wall_s\": {:.6}, \"cpu_s\": {:.6}, \"max_rss_kib\": {}, \
             \"warm_cpu_s\": {warm_cpu:.6}, \"warm_wall_s\": {warm_wall:.6}, \"warm_ok\": {warm_ok}}}",
            self.ok.load(Ordering::Relaxed),
            self.failed.load(Ordering::Relaxed),
            self.bytes.load(Ordering::Relaxed),
            self.began.elapsed().as_secs_f64(),
            cpu_s(),
            rss_max_kib(),
        );
        if std::env::var_os("BENCH_HOLD").is_some() {
            let _ = std::io::stdin().read(&mut [0; 1]);
        }
        if self.failed.load(Ordering::Relaxed) > 0 {
            std::process::exit(1);
        }
    }
}

/// The largest resident size of this program. Not ru_maxrss: that begins with the size of whoever started it.
fn rss_max_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|text| text.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// User and system time of all threads.
fn cpu_s() -> f64 {
    // SAFETY: all fields of rusage are numbers, and getrusage fills them.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}
