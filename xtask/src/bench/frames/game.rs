//! The game loop of `examples/c/game_loop.c`: sixty frames a second, sixty-four HTTPS downloads under way, each with a
//! handshake of its own; this library in each of its modes, and libcurl's multi interface, in turns.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{json, Value};

use super::{spread, Bench};
use crate::bench::results;
use crate::util::{failed, words, Log, Step, Stop};

/// One program and mode.
struct Variant {
    name: &'static str,
    about: &'static str,
    mode: &'static str,
    program: PathBuf,
}

pub fn measure(bench: &Bench, log: &mut Log) -> Result<Value, Stop> {
    let out = bench.out.join("frames");
    std::fs::create_dir_all(&out)?;
    let variants = build(bench, log, &out)?;
    let (rounds, frames) = if bench.quick { (2, 600) } else { (3, 2000) };
    println!("\na game's frames: {rounds} turns of {frames} frames each, {DOWNLOADS} HTTPS downloads under way");
    let load = results::load();
    let mut runs: Vec<Vec<Value>> = vec![Vec::new(); variants.len()];
    for _ in 0..rounds {
        for (variant, runs) in variants.iter().zip(&mut runs) {
            runs.push(run(bench, variant, frames, &out)?);
        }
    }
    let mut rows = Vec::new();
    for (variant, runs) in variants.iter().zip(&runs) {
        picture(&out, variant.name)?;
        let row = row(variant, runs);
        print(&row);
        rows.push(row);
    }
    Ok(json!({
        "machine": results::machine(), "load": load, "quick": bench.quick, "rounds": rounds, "frames": frames,
        "downloads": DOWNLOADS, "budget_us": BUDGET_US, "rows": rows,
    }))
}

fn build(bench: &Bench, log: &mut Log, out: &Path) -> Result<Vec<Variant>, Stop> {
    let program = |name: &str| out.join(format!("game_loop-{name}"));
    let (single, multi, curl) = (program("single"), program("multi"), program("curl"));
    let own = "examples/c/game_downloads.c";
    crate::game::compile(log, own, &single, Some(&bench.libraries.single))?;
    crate::game::compile(log, own, &multi, Some(&bench.libraries.multi))?;
    crate::game::compile(log, "benches/game_curl.c", &curl, None)?;
    let variant = |name, mode, program: &Path, about| Variant { name, about, mode, program: program.to_path_buf() };
    Ok(vec![
        variant("inline", "inline", &single, "the single build, handshakes computed inside polls"),
        variant("taken", "taken", &single, "the single build, handshakes taken by two job threads of the game"),
        variant("multi", "workers", &multi, "the build with worker threads, which drive; a poll only collects"),
        variant("libcurl", "inline", &curl, "curl_multi_perform, which knows no budget and calls back with bodies"),
    ])
}

fn run(bench: &Bench, variant: &Variant, frames: u32, out: &Path) -> Result<Value, Stop> {
    let mut command = words("xvfb-run --auto-servernum");
    command.arg(&variant.program).arg(format!("{}/frame", bench.nginx.fresh)).arg(&bench.nginx.ca_file);
    command.args(["--mode", variant.mode, "--json", "--samples", "--frames", &frames.to_string()]);
    command.args(["--downloads", &DOWNLOADS.to_string(), "--budget", &BUDGET_US.to_string(), "--screenshot"]);
    // What the machine has for pictures must not matter.
    command.arg(out.join(format!("{}.bmp", variant.name))).env("SDL_RENDER_DRIVER", "software");
    let text = crate::util::output(&mut command)?;
    // The dynamic linker's and the screen's own lines may come before.
    let line = text.lines().find(|line| line.starts_with('{')).unwrap_or_default();
    let told: Value = serde_json::from_str(line).map_err(|error| Stop::Failed(format!("{error} in {text:?}")))?;
    let complete = SAMPLES.iter().all(|name| samples(&told, name).count() == frames as usize);
    if !complete || told["failed"] != 0 || told["done"].as_u64().unwrap_or(0) == 0 {
        return failed(format!("{}: frames or downloads are missing: {}", variant.name, told["done"]));
    }
    Ok(told)
}

fn samples<'a>(told: &'a Value, name: &str) -> impl Iterator<Item = f64> + 'a {
    told[name].as_array().into_iter().flatten().filter_map(Value::as_f64)
}

fn row(variant: &Variant, runs: &[Value]) -> Value {
    let all = |name| spread(runs.iter().flat_map(|run| samples(run, name)).collect());
    let sum = |name: &str| runs.iter().filter_map(|run| run[name].as_f64()).sum::<f64>();
    json!({
        "name": variant.name,
        "about": variant.about,
        "library": runs[0]["library"],
        "poll_cpu_us": all(SAMPLES[0]),
        "poll_wall_us": all(SAMPLES[1]),
        "net_cpu_us": all(SAMPLES[2]),
        "frames": sum("frames"),
        "late_frames": sum("late_frames"),
        // A resumed session is no full handshake; the server resumes none.
        "handshakes": sum("done") - sum("resumed"),
        "bytes": sum("bytes"),
        "wall_s": sum("wall_s"),
    })
}

fn print(row: &Value) {
    let shown = |name: &str| {
        let numbers = ["p50", "p99", "p999", "max"].map(|part| results::number(&row[name][part], 0));
        numbers.map(|number| format!("{number:>6}")).join(" ")
    };
    println!(
        "  {:<8} poll CPU us {}   wall us {}   {} frames, {} late, {} handshakes, {:.0} MB",
        row["name"].as_str().unwrap_or_default(),
        shown("poll_cpu_us"),
        shown("poll_wall_us"),
        results::number(&row["frames"], 0),
        results::number(&row["late_frames"], 0),
        results::number(&row["handshakes"], 0),
        row["bytes"].as_f64().unwrap_or(0.0) / 1e6,
    );
}

/// The bitmap of the last run as PNG, which browsers show and which is a fiftieth in size.
fn picture(out: &Path, name: &str) -> Step {
    let (bitmap, png) = (out.join(format!("{name}.bmp")), out.join(format!("{name}.png")));
    crate::game::look_at(&std::fs::read(&bitmap)?).map_err(Stop::Failed)?;
    let mut command = Command::new("python3");
    command.arg(crate::util::root().join("benches/png.py")).arg(&bitmap).arg(&png).stdin(Stdio::null());
    match command.status()?.success() {
        true => Ok(()),
        false => failed(format!("{} was not written", png.display())),
    }
}

const DOWNLOADS: u32 = 64;
const BUDGET_US: u32 = 2000;
const SAMPLES: [&str; 3] = ["poll_cpu_samples_us", "poll_wall_samples_us", "net_cpu_samples_us"];
