//! The half of `docs/performance.md` that is about frames.

use std::fmt::Write;
use std::path::Path;

use serde_json::Value;

use crate::bench::report::{rows, text};
use crate::bench::results::number;
use crate::bench::svg::{curves, Curve, FLOOR, OURS, PEER};
use crate::util::{root, Stop};

const HEADING: &str = "\n## A poll keeps its budget\n";

/// The page's other half, and this one.
pub fn split(page: &str) -> (&str, &str) {
    page.split_at(page.find(HEADING).unwrap_or(page.len()))
}

/// This half, with its pictures; `None` if nothing was measured.
pub fn write(frames: &Value, charts: &Path) -> Result<Option<String>, Stop> {
    if frames.is_null() {
        return Ok(None);
    }
    let mut page = format!("{HEADING}\n{INTRO}");
    if !frames["loop"].is_null() {
        page.push_str(&game(&frames["loop"]));
        std::fs::write(charts.join("frames.svg"), chart(&frames["loop"]))?;
        for row in rows(&frames["loop"]) {
            let png = format!("{}.png", text(&row["name"]));
            std::fs::copy(root().join("target/bench/frames").join(&png), charts.join(format!("game-{png}")))?;
        }
    }
    if !frames["download"].is_null() {
        page.push_str(&download(&frames["download"]));
    }
    if !frames["steps"].is_null() {
        page.push_str(&super::steps::section(&frames["steps"]));
    }
    Ok(Some(page))
}

/// Where and how a table was measured; without a full stop.
pub fn circumstances(part: &Value) -> String {
    let machine = &part["machine"];
    let mut out = format!(
        "Measured on: {}, {} cores, Linux {}",
        text(&machine["processor"]),
        number(&machine["cores"], 0),
        text(&machine["kernel"])
    );
    if part["quick"] == true {
        out.push_str(", with `--quick`, which is noisier");
    }
    if let Some(load) = part["load"].as_f64().filter(|load| *load > LOAD_QUIET) {
        let _ = write!(out, "; other programs wanted the processor at the same time (load {load:.1} before it began)");
    }
    out
}

fn spread(row: &Value, name: &str) -> String {
    ["p50", "p99", "p999", "max"].map(|part| number(&row[name][part], 0)).join(" | ")
}

fn game(part: &Value) -> String {
    let mut out = format!(
        "\n### Sixty frames a second, {} downloads with handshakes\n\n{GAME}\n\n{}; {} turns of {} frames.\n\n",
        number(&part["downloads"], 0),
        circumstances(part),
        number(&part["rounds"], 0),
        number(&part["frames"], 0),
    );
    for row in rows(part) {
        let _ = writeln!(out, "- `{}`: {}, {}", text(&row["name"]), text(&row["library"]), text(&row["about"]));
    }
    out.push_str("\n![CPU time of a poll by percentile](performance/frames.svg)\n\nThe poll, in microseconds:\n\n");
    out.push_str("| | CPU p50 | p99 | p99.9 | max | wall p50 | p99 | p99.9 | max |\n|---|");
    out.push_str(&"---:|".repeat(8));
    for row in rows(part) {
        let (cpu, wall) = (spread(row, "poll_cpu_us"), spread(row, "poll_wall_us"));
        let _ = write!(out, "\n| {} | {cpu} | {wall} |", text(&row["name"]));
    }
    out.push_str("\n\n");
    out.push_str(GAME_NET);
    out.push_str("\n\n| | CPU p50 | p99 | p99.9 | max | frames | late | handshakes | a second | MB |\n|---|");
    out.push_str(&"---:|".repeat(9));
    for row in rows(part) {
        let value = |name: &str| row[name].as_f64().unwrap_or(f64::NAN);
        let _ = write!(
            out,
            "\n| {} | {} | {} | {} | {} | {:.0} | {:.1} |",
            text(&row["name"]),
            spread(row, "net_cpu_us"),
            number(&row["frames"], 0),
            number(&row["late_frames"], 0),
            number(&row["handshakes"], 0),
            value("handshakes") / value("wall_s"),
            value("bytes") / 1e6,
        );
    }
    out.push_str("\n\n");
    out.push_str(PICTURES);
    for row in rows(part) {
        let name = text(&row["name"]);
        let _ = write!(out, "\n\n`{name}`:\n\n![the game loop, {name}](performance/game-{name}.png)");
    }
    out.push('\n');
    out
}

fn chart(part: &Value) -> String {
    const PARTS: [&str; 5] = ["p50", "p90", "p99", "p999", "max"];
    const COLOURS: [&str; 4] = [OURS, "#3c9d5d", "#8553a8", PEER];
    let mut list: Vec<Curve> = rows(part)
        .zip(COLOURS)
        .map(|(row, colour)| Curve {
            label: text(&row["name"]).to_owned(),
            values: PARTS.iter().filter_map(|name| row["poll_cpu_us"][*name].as_f64()).collect(),
            colour,
        })
        .collect();
    let budget = part["budget_us"].as_f64().unwrap_or(f64::NAN);
    list.push(Curve { label: "the budget".into(), values: vec![budget; PARTS.len()], colour: FLOOR });
    let names = ["p50", "p90", "p99", "p99.9", "max"];
    curves(
        "CPU time of a poll",
        "microseconds, logarithmic, by percentile of the frames; less is better",
        &names,
        &list,
    )
}

fn download(part: &Value) -> String {
    let value = |name: &str| part[name].as_f64().unwrap_or(f64::NAN);
    let mut out = format!(
        "\n### 256 MiB in frames\n\nOne body of 256 MiB over HTTP, at {:.0} frames a second, of which the network has \
         {:.0} ms each; the rest of a frame the program sleeps. {DOWNLOAD}\n\n{}; {} {}; wall time is the median, a \
         ratio the median of the ratios within a turn.\n\n\
         | | | wall s | × floor | frames | network's part of a frame: CPU µs p50 | max | wall µs \
         p50 | max |\n|---|---|---:|---:|---:|---:|---:|---:|---:|\n",
        1e6 / value("frame_us"),
        value("budget_us") / 1e3,
        circumstances(part),
        number(&part["rounds"], 0),
        if part["rounds"] == 1 { "turn" } else { "turns" },
    );
    for row in rows(part) {
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            text(&row["name"]),
            text(&row["about"]),
            number(&row["wall_s"], 2),
            number(&row["ratio"], 2),
            number(&row["frames"], 0),
            number(&row["cpu_p50_us"], 0),
            number(&row["cpu_max_us"], 0),
            number(&row["wall_p50_us"], 0),
            number(&row["wall_max_us"], 0),
        );
    }
    out
}

/// Client and server run, and what measured before may still count.
const LOAD_QUIET: f64 = 3.0;

const INTRO: &str = "Everything below is measured anew, and this part of the page written anew, by `cargo xtask bench \
--only frames --report`; `--only frames-loop`, `frames-download` or `frames-steps` does one part, `--quick` takes a \
fraction of the time. The server is nginx on loopback, its worker kept on one core. CPU is \
`CLOCK_THREAD_CPUTIME_ID` of the thread that polls: what other programs on the machine do is not in it. Wall time is \
what a frame loses, and has everything in it.\n";

const GAME: &str =
    "`examples/c/game_loop.c` draws a scene and polls once a frame with a budget of 2 ms. The downloads are of 64 KiB \
over HTTPS, each over a new connection with a full handshake, and when one ends the next begins. libcurl runs in the \
very same loop (`benches/game_curl.c`). All four take turns; what is told is of all frames of all turns, the first \
ones included. The budget is of wall time, so a poll that is interrupted computes less. It may exceed its budget by \
one step and by what surrounds the steps; how long the steps are is told further down. By hand: `cargo xtask bench \
--serve`, then the program in `target/bench/frames/`, e.g. under `xvfb-run`.";

const GAME_NET: &str =
    "The poll and the taking of what came, together: libcurl hands bodies over inside its call, this \
library after it. A late frame is one that was not done within its sixtieth of a second, the drawing included, which \
the processor does here, and the screen's server and nginx share two cores with it.";

const PICTURES: &str =
    "The last frame of each (`--screenshot`, turned into PNG by `benches/png.py`): blue is CPU time \
of a poll, grey what else passed on the wall, red a poll of more than the budget and half a millisecond; the yellow \
line is the budget.";

const DOWNLOAD: &str =
    "The floor is a bare receive loop with the same frames and the same budget (`benches/frames.c`), in two forms: \
one goes on until the budget is over, the other ends its frame when the socket is empty, as a single poll does. \
A single poll a frame brings at most what the body's buffer holds; the library's own choice of its size grows \
for such a host. What a poll brings lies in that buffer until it is over, in memory that the processor no longer \
has at hand, where poll and read in turns use the same few pages again and again: that is the difference. \
`valtron_request_read` with a buffer of 16 KiB or more receives from the socket itself and knows no budget: who \
reads until nothing is left gets the body fast and loses the frame, as the last row shows; look at the clock \
between reads.";

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the other half of the page stays as it is. Method: a page with both halves, and one with only the first.
    #[test]
    fn halves() {
        let page = format!("# Performance\n\nnumbers\n{HEADING}\nmore");
        assert_eq!(split(&page), ("# Performance\n\nnumbers\n", &page[23..]));
        assert_eq!(split("# Performance\n"), ("# Performance\n", ""));
    }

    /// Goal: a table says of how many bytes and handshakes it tells, and what is missing is a dash. Method: one row.
    #[test]
    fn rows_of_the_game() {
        let part = serde_json::json!({ "downloads": 64, "rounds": 1, "frames": 9, "load": 9.0, "rows": [{
            "name": "inline", "library": "valtron_http", "about": "x", "poll_cpu_us": { "p50": 1.4, "max": 2000 },
            "handshakes": 50, "wall_s": 2.0, "bytes": 3.2e6,
        }] });
        let told = game(&part);
        assert!(told.contains("| inline | 1 | - | - | 2000 | - | - | - | - |"), "{told}");
        assert!(told.contains("| 50 | 25 | 3.2 |") && told.contains("(load 9.0"), "{told}");
        assert!(told.contains("(performance/game-inline.png)"));
    }
}
