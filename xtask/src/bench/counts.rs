//! Exact counts: system calls by strace, instructions by callgrind. Two runs of different length each; their
//! difference is what the requests alone cost.

use std::path::Path;
use std::process::Stdio;

use super::clients::{Client, Job};
use super::server::MEDIUM_BYTES;
use crate::util::{failed, Stop};

/// What a request costs; a MiB of a download.
pub struct Counts {
    pub syscalls: Option<f64>,
    /// The calls that make up most, the most frequent first: name and calls per request.
    pub syscalls_by_name: Vec<(String, f64)>,
    pub instructions: Option<f64>,
    /// The same by thread, of a program that has several: the host's first.
    pub instructions_by_thread: Vec<f64>,
}

/// `job.total` is the longer run's; the shorter one makes `fewer` requests.
pub fn count(client: &Client, job: &Job, fewer: u64, out: &Path, is_download: bool) -> Result<Counts, Stop> {
    let short = Job { total: fewer, ..job.clone() };
    let requests = (job.total - fewer) as f64;
    let per = if is_download { requests * (MEDIUM_BYTES >> 20) as f64 } else { requests };

    let (few, many) = (strace(client, &short, out)?, strace(client, job, out)?);
    let mut by_name: Vec<(String, f64)> = many
        .iter()
        .map(|(name, calls)| {
            let before = few.iter().find(|(other, _)| other == name).map_or(0.0, |(_, calls)| *calls);
            (name.clone(), (calls - before) / per)
        })
        .collect();
    let total = by_name.iter().map(|(_, calls)| calls).sum::<f64>();
    let contention =
        by_name.iter().position(|(name, _)| name == "futex").map_or(0.0, |at| by_name.remove(at).1.max(0.0));
    by_name.retain(|(_, calls)| *calls >= 0.005);
    by_name.sort_by(|a, b| b.1.total_cmp(&a.1));
    by_name.truncate(6);

    let (few, many) = (callgrind(client, &short, out)?, callgrind(client, job, out)?);
    let few = few.into_iter().chain(std::iter::repeat(0.0));
    let mut threads: Vec<_> = many.into_iter().zip(few).map(|(many, few)| (many - few) / per).collect();
    let instructions = threads.iter().sum::<f64>();
    if threads.len() == 1 {
        threads.clear();
    }
    // Waits for locks and their ends, of which a program with one thread has none to speak of.
    if contention >= 0.005 || !threads.is_empty() {
        by_name.push(("futex".to_owned(), contention));
    }
    // What runs of one length differ by, in connections and in how much a read finds, does not cancel.
    let counted = |count: f64| Some(count).filter(|count| *count > 0.0);
    Ok(Counts {
        syscalls: counted(total),
        syscalls_by_name: by_name,
        instructions: counted(instructions),
        instructions_by_thread: threads,
    })
}

fn strace(client: &Client, job: &Job, out: &Path) -> Result<Vec<(String, f64)>, Stop> {
    let file = out.join("strace.txt");
    run(client, &format!("strace -f -c -o {}", file.display()), job)?;
    let text = std::fs::read_to_string(file)?;
    let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let calls: Vec<_> = lines
        .filter_map(|fields| {
            let calls: f64 = fields.get(3)?.parse().ok()?;
            fields.last().filter(|name| **name != "total").map(|name| (name.to_string(), calls))
        })
        .collect();
    if calls.is_empty() {
        return failed("strace counted nothing");
    }
    Ok(calls)
}

/// Instructions of each thread, in the order in which they began.
fn callgrind(client: &Client, job: &Job, out: &Path) -> Result<Vec<f64>, Stop> {
    let dir = out.join("callgrind");
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir)?;
    let tool = "valgrind --tool=callgrind --separate-threads=yes --callgrind-out-file=";
    run(client, &format!("{tool}{}", dir.join("threads").display()), job)?;
    let mut files: Vec<_> =
        std::fs::read_dir(&dir)?.map(|file| file.map(|file| file.path())).collect::<Result<_, _>>()?;
    files.sort();
    let mut threads = Vec::new();
    for file in files {
        threads.extend(crate::instructions::total(&std::fs::read_to_string(file)?).map(|count| count as f64));
    }
    match threads.is_empty() {
        true => failed("callgrind counted nothing"),
        false => Ok(threads),
    }
}

fn run(client: &Client, prefix: &str, job: &Job) -> Result<(), Stop> {
    let mut command = client.command(prefix, job);
    let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let last: Vec<_> = text.lines().rev().take(3).collect();
    failed(format!("{prefix} {} x {}: {}: {}", client.name, job.concurrency, output.status, last.join(" | ")))
}
