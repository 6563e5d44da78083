//! A poll keeps its budget: what polls cost a program that draws frames, how much a transfer gets out of a few
//! milliseconds a frame, and how long the steps take that nothing can cut.

mod download;
mod game;
mod page;
mod steps;

pub use page::{split, write};

use std::path::Path;

use serde_json::Value;

use super::clients::Libraries;
use super::server::Nginx;
use crate::util::{Log, Stop};

/// What one measurement of frames is given.
pub struct Bench<'a> {
    pub libraries: &'a Libraries,
    pub nginx: &'a Nginx,
    pub quick: bool,
    pub out: &'a Path,
}

pub const NAMES: [&str; 3] = ["frames-loop", "frames-download", "frames-steps"];

/// One of `NAMES`; what was measured before stays for the others.
pub fn measure(name: &str, bench: &Bench, all: &mut Value, log: &mut Log) -> Result<(), Stop> {
    match name {
        "frames-loop" => all["frames"]["loop"] = game::measure(bench, log)?,
        "frames-download" => all["frames"]["download"] = download::measure(bench, log)?,
        _ => all["frames"]["steps"] = steps::measure(bench, log)?,
    }
    Ok(())
}

/// The smallest value that so many thousandths of all do not exceed. The values ascend, and there is one.
fn permille(ascending: &[f64], thousandths: usize) -> f64 {
    let at = (ascending.len() * thousandths).div_ceil(1000).max(1) - 1;
    ascending.get(at).copied().unwrap_or(f64::NAN)
}

/// p50, p99, p99.9 and maximum, and how many there were.
fn spread(mut values: Vec<f64>) -> Value {
    values.sort_by(f64::total_cmp);
    serde_json::json!({
        "p50": permille(&values, 500),
        "p90": permille(&values, 900),
        "p99": permille(&values, 990),
        "p999": permille(&values, 999),
        "max": permille(&values, 1000),
        "count": values.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: percentiles are values that occurred. Method: the numbers to 1000, and a single one.
    #[test]
    fn percentiles() {
        let told = spread((1..=1000).rev().map(f64::from).collect());
        assert_eq!((&told["p50"], &told["p99"], &told["p999"]), (&500.0.into(), &990.0.into(), &999.0.into()));
        assert_eq!((&told["max"], &told["count"]), (&1000.0.into(), &1000.into()));
        assert_eq!(permille(&[7.0], 500), 7.0);
    }
}
