//! A large body within frames: how long 256 MiB take at 20 frames a second and 2 milliseconds of each, beside a bare
//! receive loop with the same frames and the same budget.

use std::path::Path;
use std::process::Command;

use serde_json::{json, Value};

use super::Bench;
use crate::bench::clients;
use crate::bench::results;
use crate::bench::run::{median, pin};
use crate::bench::server::LARGE_BYTES;
use crate::bench::CLIENT_CORE;
use crate::util::{failed, Log, Stop};

struct Mode {
    name: &'static str,
    about: &'static str,
    args: [&'static str; 2],
}

const MODES: [Mode; 7] = [
    Mode { name: "floor", about: "recv until the budget is over", args: ["floor", ""] },
    Mode { name: "floor, once", about: "recv until the socket is empty", args: ["floor-once", ""] },
    Mode { name: "poll and read", about: "in turns until the budget is over", args: ["read", "0"] },
    Mode { name: "poll, peek, consume", about: "in turns until the budget is over", args: ["peek", "0"] },
    Mode { name: "one poll, 16 MiB buffer", about: "then all that it brought is taken", args: ["once", "16777216"] },
    Mode {
        name: "one poll, default buffer",
        about: "the same with the buffer that the library chooses, 256 KiB at first",
        args: ["once", "0"],
    },
    Mode {
        name: "one poll, then read",
        about: "until nothing comes, **outside the budget**",
        args: ["once-read", "0"],
    },
];

pub fn measure(bench: &Bench, log: &mut Log) -> Result<Value, Stop> {
    let program = bench.out.join("frames-download");
    clients::compile_with(log, "frames", &program, Some(&bench.libraries.single), &[])?;
    let rounds = if bench.quick { 1 } else { 3 };
    println!("\n256 MiB over HTTP in frames: {FRAME_US} us each, {BUDGET_US} us of them to spend; {rounds} turns");
    let load = results::load();
    let mut runs: Vec<Vec<Value>> = vec![Vec::new(); MODES.len()];
    for _ in 0..rounds {
        for (mode, runs) in MODES.iter().zip(&mut runs) {
            runs.push(run(bench, mode, &program)?);
        }
    }
    let walls = |runs: &[Value]| -> Vec<f64> { runs.iter().filter_map(|run| run["wall_s"].as_f64()).collect() };
    let floor = walls(&runs[0]);
    let mut rows = Vec::new();
    for (mode, runs) in MODES.iter().zip(&runs) {
        let all = |name: &str| runs.iter().filter_map(|run| run[name].as_f64()).collect::<Vec<_>>();
        let ratios = walls(runs).iter().zip(&floor).map(|(own, floor)| own / floor).collect();
        let row = json!({
            "name": mode.name,
            "about": mode.about,
            "wall_s": median(walls(runs)),
            "ratio": median(ratios),
            "frames": median(all("frames")),
            "cpu_s": median(all("cpu_s")),
            "wall_p50_us": median(all("wall_p50_us")),
            "wall_max_us": all("wall_max_us").into_iter().fold(0.0, f64::max),
            "cpu_p50_us": median(all("cpu_p50_us")),
            "cpu_max_us": all("cpu_max_us").into_iter().fold(0.0, f64::max),
        });
        println!(
            "  {:<26} {:>7} s   x floor {:>6}   {:>5} frames; CPU us of each p50 {:>6} max {:>6}, wall {:>6} {:>6}",
            mode.name,
            results::number(&row["wall_s"], 2),
            results::number(&row["ratio"], 2),
            results::number(&row["frames"], 0),
            results::number(&row["cpu_p50_us"], 0),
            results::number(&row["cpu_max_us"], 0),
            results::number(&row["wall_p50_us"], 0),
            results::number(&row["wall_max_us"], 0),
        );
        rows.push(row);
    }
    Ok(json!({
        "machine": results::machine(), "load": load, "quick": bench.quick, "rounds": rounds, "frame_us": FRAME_US,
        "budget_us": BUDGET_US, "rows": rows,
    }))
}

fn run(bench: &Bench, mode: &Mode, program: &Path) -> Result<Value, Stop> {
    let mut command = Command::new(program);
    command.arg(mode.args[0]).arg(format!("{}/large", bench.nginx.http)).arg(LARGE_BYTES.to_string());
    command.args([FRAME_US.to_string(), BUDGET_US.to_string()]);
    command.args(Some(mode.args[1]).filter(|buffer| !buffer.is_empty()));
    pin(&mut command, CLIENT_CORE);
    let text = crate::util::output(&mut command)?;
    let told: Value =
        serde_json::from_str(text.trim()).map_err(|error| Stop::Failed(format!("{error} in {text:?}")))?;
    if told["bytes"] != LARGE_BYTES {
        return failed(format!("{}: {} bytes came", mode.name, told["bytes"]));
    }
    Ok(told)
}

const FRAME_US: u32 = 50_000;
const BUDGET_US: u32 = 2000;
