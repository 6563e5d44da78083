//! Timed runs: client and server on a core each, the clients in turns, medians and paired ratios.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::clients::{Client, Job};
use crate::util::{failed, Stop};

/// What one run of a client said at its end.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    pub bytes: f64,
    pub cpu_s: f64,
    pub max_rss_kib: f64,
    /// Of these three the part after the connections were made.
    pub steady_requests: f64,
    pub steady_cpu_s: f64,
    pub steady_wall_s: f64,
}

impl Sample {
    pub fn cpu_us_per_request(&self) -> f64 {
        self.steady_cpu_s * 1e6 / self.steady_requests
    }
}

pub fn sample(client: &Client, core: usize, job: &Job) -> Result<Sample, Stop> {
    let mut command = client.command("", job);
    pin(&mut command, core);
    let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let sample = parse(&text, job.total);
    match sample {
        Some(sample) if output.status.success() => Ok(sample),
        _ => failed(format!(
            "{} {} x {}: {}, {} {}",
            client.name,
            job.url,
            job.concurrency,
            output.status,
            text.trim(),
            String::from_utf8_lossy(&output.stderr).trim()
        )),
    }
}

/// The client's line, if all requests ended well.
fn parse(text: &str, total: u64) -> Option<Sample> {
    let value: Value = serde_json::from_str(text.trim()).ok()?;
    let number = |name: &str| value.get(name).and_then(Value::as_f64);
    if number("ok")? != total as f64 || number("failed")? != 0.0 {
        return None;
    }
    let (cpu_s, wall_s) = (number("cpu_s")?, number("wall_s")?);
    Some(Sample {
        bytes: number("bytes")?,
        cpu_s,
        max_rss_kib: number("max_rss_kib")?,
        steady_requests: total as f64 - number("warm_ok")?,
        steady_cpu_s: cpu_s - number("warm_cpu_s")?,
        steady_wall_s: wall_s - number("warm_wall_s")?,
    })
}

/// Keeps the command on one core.
pub fn pin(command: &mut Command, core: usize) {
    // SAFETY: between fork and exec only sched_setaffinity is called, which is a plain system call.
    unsafe {
        command.pre_exec(move || {
            let mut set: libc::cpu_set_t = std::mem::zeroed();
            libc::CPU_SET(core, &mut set);
            match libc::sched_setaffinity(0, std::mem::size_of::<libc::cpu_set_t>(), &set) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            }
        });
    }
}

/// Lets this process and its children open as many files as the system allows.
pub fn raise_file_limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls get a valid struct.
    unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit);
        limit.rlim_cur = limit.rlim_max;
        libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
    }
    limit.rlim_cur
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        len if len % 2 == 1 => values[len / 2],
        len => (values[len / 2 - 1] + values[len / 2]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the steady part is what comes after the warm-up, and a run with a failure is none. Method: literal lines.
    #[test]
    fn lines_of_clients() {
        let line = r#"{"ok": 10, "failed": 0, "bytes": 70, "wall_s": 2.0, "cpu_s": 1.5, "max_rss_kib": 9,
            "warm_cpu_s": 0.5, "warm_wall_s": 1.5, "warm_ok": 2}"#;
        let sample = parse(line, 10).unwrap();
        assert_eq!((sample.steady_requests, sample.steady_cpu_s, sample.steady_wall_s), (8.0, 1.0, 0.5));
        assert_eq!(sample.cpu_us_per_request(), 125000.0);
        assert!(parse(line, 11).is_none());
        assert!(parse(&line.replace("\"failed\": 0", "\"failed\": 1"), 10).is_none());
        assert!(parse("", 10).is_none());
    }

    #[test]
    fn medians() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
    }
}
