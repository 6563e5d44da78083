//! The results: kept as JSON, printed as tables.

use std::path::{Path, PathBuf};

use serde_json::{json, Value};

use super::scenarios;
use crate::util::Stop;

pub struct Results {
    file: PathBuf,
    pub all: Value,
}

impl Results {
    /// What was measured before, so that a part can be measured anew.
    pub fn load(file: &Path) -> Results {
        let before = std::fs::read_to_string(file).ok().and_then(|text| serde_json::from_str(&text).ok());
        Results { file: file.to_path_buf(), all: before.unwrap_or_else(|| json!({ "scenarios": [] })) }
    }

    /// Takes a scenario's results in, in place of older ones. Counts, which are exact, stay if there are no new ones.
    pub fn put(&mut self, scenario: &mut Value) {
        if let Some(list) = self.all["scenarios"].as_array_mut() {
            match list.iter_mut().find(|old| old["name"] == scenario["name"]) {
                Some(old) => {
                    keep_counts(scenario, old);
                    *old = scenario.clone();
                }
                None => list.push(scenario.clone()),
            }
            let order: Vec<_> = scenarios::all(false).iter().map(|scenario| scenario.name).collect();
            list.sort_by_key(|scenario| order.iter().position(|name| scenario["name"] == *name));
        }
    }

    pub fn save(&self) -> Result<(), Stop> {
        let text = serde_json::to_string_pretty(&self.all).map_err(|error| Stop::Failed(error.to_string()))?;
        Ok(std::fs::write(&self.file, text + "\n")?)
    }
}

fn keep_counts(scenario: &mut Value, old: &Value) {
    for row in scenario["rows"].as_array_mut().into_iter().flatten() {
        let mut old_rows = old["rows"].as_array().into_iter().flatten();
        let Some(old_row) = old_rows.find(|old_row| old_row["client"] == row["client"]) else { continue };
        for field in ["syscalls", "syscalls_by_name", "instructions", "instructions_by_thread"] {
            if row[field].is_null() && !old_row[field].is_null() {
                row[field] = old_row[field].clone();
            }
        }
    }
}

/// One scenario's table.
pub fn print(scenario: &Value) {
    let cpu = if scenario["unit"] == "MiB" { "CPU ms/MiB" } else { "CPU us" };
    let ratio = format!("x {}", scenario["reference"].as_str().unwrap_or_default());
    println!(
        "  {:<14} {cpu:>10} {:>15} {ratio:>13} {:>8} {:>9} {:>9} {:>13}",
        "client", "least..most", "wall us", "RSS KiB", "syscalls", "instructions"
    );
    for row in scenario["rows"].as_array().into_iter().flatten() {
        let name = row["client"].as_str().unwrap_or_default();
        if !row["failed"].is_null() {
            println!("  {name:<14} failed");
            continue;
        }
        let range = format!("{}..{}", number(&row["cpu_least"], 2), number(&row["cpu_most"], 2));
        println!(
            "  {name:<14} {:>10} {range:>15} {:>13} {:>8} {:>9} {:>9} {:>13}",
            number(&row["cpu"], 2),
            number(&row["ratio"], 2),
            number(&row["wall_us_per_request"], 1),
            number(&row["rss_kib"], 0),
            number(&row["syscalls"], 2),
            number(&row["instructions"], 0),
        );
    }
}

/// A number with so many places, or a dash.
pub fn number(value: &Value, places: usize) -> String {
    match value.as_f64() {
        Some(number) => format!("{number:.places$}"),
        None => "-".to_owned(),
    }
}

/// Where the numbers come from.
pub fn machine() -> Value {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu_info = read("/proc/cpuinfo");
    let field = |name: &str| {
        let line = cpu_info.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split(": ").nth(1)).unwrap_or("unknown").to_owned()
    };
    json!({
        "processor": field("model name"),
        "cores": std::thread::available_parallelism().map_or(0, |count| count.get()),
        "kernel": read("/proc/sys/kernel/osrelease").trim().split('-').next().unwrap_or_default(),
    })
}

/// How many programs wanted to run during the last minute, ours included.
pub fn load() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a scenario measured anew replaces the old one, but for counts that were not made anew. Method: two puts.
    #[test]
    fn counts_stay() {
        let mut results = Results { file: PathBuf::new(), all: json!({ "scenarios": [] }) };
        let scenario = |name: &str, cpu: f64| json!({ "name": name, "rows": [{ "client": "floor", "cpu": cpu }] });
        let mut counted = scenario("https-64", 5.0);
        counted["rows"][0]["syscalls"] = json!(2.0);
        results.put(&mut counted);
        results.put(&mut scenario("http-64", 4.0));
        results.put(&mut scenario("https-64", 6.0));
        let list = &results.all["scenarios"];
        assert_eq!((&list[0]["name"], &list[1]["name"]), (&json!("http-64"), &json!("https-64")));
        assert_eq!((&list[1]["rows"][0]["cpu"], &list[1]["rows"][0]["syscalls"]), (&json!(6.0), &json!(2.0)));
    }
}
