//! What the library promises itself, and how it stands.

use std::fmt::Write;

use serde_json::Value;

use super::report::{rows, text};
use super::svg::short;

/// One promise: a measured value and its bound; a value that was not measured is `None`.
struct Target {
    what: String,
    value: Option<f64>,
    most: Option<f64>,
    unit: &'static str,
}

/// The table of all targets, as Markdown.
pub fn table(all: &Value) -> String {
    let mut out = String::from("| target | at most | measured | |\n|---|---:|---:|---|\n");
    for target in targets(all) {
        let shown = |value: Option<f64>| value.map_or("-".to_owned(), |value| short(value) + target.unit);
        let verdict = match (target.value, target.most) {
            (Some(value), Some(most)) if value <= most => "met",
            (Some(_), Some(_)) => "**missed**",
            _ => "not measured",
        };
        // Writing to a String cannot fail.
        let _ = writeln!(out, "| {} | {} | {} | {verdict} |", target.what, shown(target.most), shown(target.value));
    }
    out
}

fn targets(all: &Value) -> Vec<Target> {
    let mut list = Vec::new();
    let mut add = |what: String, value, most, unit| list.push(Target { what, value, most, unit });
    for name in ["http-1", "http-64", "http-1000", "http-10000"] {
        let title = title(all, name);
        add(format!("{title}: × floor"), field(all, name, "valtron", "ratio"), Some(1.25), "");
        let hyper = field(all, name, "hyper", "cpu");
        add(format!("{title}: below hyper"), field(all, name, "valtron", "cpu"), hyper, " µs");
    }
    for peer in ["curl-socket", "curl-poll", "reqwest"] {
        let what = format!("{}: below {peer}", title(all, "https-64"));
        add(what, field(all, "https-64", "valtron", "cpu"), field(all, "https-64", peer, "cpu"), " µs");
    }
    for client in ["valtron", "valtron-peek"] {
        let what = format!("{}, {client}: × floor", title(all, "download-http"));
        add(what, field(all, "download-http", client, "ratio"), Some(1.10), "");
        let what = format!("{}, {client}: at or below libcurl", title(all, "download-https"));
        let peer =
            least(field(all, "download-https", "curl-socket", "cpu"), field(all, "download-https", "curl-64k", "cpu"));
        add(what, field(all, "download-https", client, "cpu"), peer, " ms");
    }
    for (state, most) in [("idle", 8.0), ("waiting", 16.0), ("receiving", 16.0)] {
        let all_rows = all["memory"].as_array().into_iter().flatten();
        let row = all_rows.filter(|row| row["state"] == state).find(|row| row["client"] == "valtron");
        let about = row.map_or(state, |row| text(&row["about"]));
        let value = row.and_then(|row| row["bytes_each"].as_f64()).map(|bytes| bytes / 1024.0);
        add(format!("memory of {about}"), value, Some(most), " KiB");
    }
    for name in ["http-64", "http-1000", "http-10000"] {
        let single = field(all, name, "valtron", "cpu");
        let ratio = field(all, name, "valtron-multi", "cpu").zip(single).map(|(multi, single)| multi / single);
        add(format!("{}: multi × single", title(all, name)), ratio, Some(1.3), "");
    }
    for row in all["frames"]["download"]["rows"].as_array().into_iter().flatten() {
        // Those that keep to the budget.
        let name = text(&row["name"]);
        if name.starts_with("poll") || name.ends_with("buffer") {
            add(format!("256 MiB in frames, {name}: × floor"), row["ratio"].as_f64(), Some(1.2), "");
        }
    }
    let size = all["size_bytes"]["single"].as_f64().map(|bytes| bytes / 1e6);
    add("size of the library, stripped".into(), size, Some(2.5), " MB");
    add("clean release build, two jobs".into(), all["build_seconds"].as_f64(), Some(90.0), " s");
    list
}

fn scenario<'a>(all: &'a Value, name: &str) -> Option<&'a Value> {
    all["scenarios"].as_array()?.iter().find(|scenario| scenario["name"] == name)
}

fn title(all: &Value, name: &str) -> String {
    scenario(all, name).map_or(name, |scenario| text(&scenario["title"])).to_owned()
}

fn field(all: &Value, name: &str, client: &str, field: &str) -> Option<f64> {
    rows(scenario(all, name)?).find(|row| row["client"] == client)?[field].as_f64()
}

fn least(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    /// Goal: a target is met, missed or not measured. Method: results with two clients in one scenario.
    #[test]
    fn verdicts() {
        let all = json!({ "scenarios": [{ "name": "http-64", "title": "64", "rows": [
            { "client": "valtron", "ratio": 1.3, "cpu": 10.0 }, { "client": "hyper", "cpu": 11.0 },
        ] }], "frames": { "download": { "rows": [
            { "name": "floor", "ratio": 1.0 }, { "name": "one poll, 16 MiB buffer", "ratio": 1.25 },
        ] } } });
        let table = super::table(&all);
        assert!(table.contains("| 64: × floor | 1.25 | 1.30 | **missed** |"), "{table}");
        assert!(table.contains("| 64: below hyper | 11.0 µs | 10.0 µs | met |"), "{table}");
        assert!(table.contains("| 256 MiB in frames, one poll, 16 MiB buffer: × floor | 1.20 | 1.25 | **missed** |"));
        assert!(!table.contains("frames, floor"), "{table}");
        assert!(table.contains("| http-1: × floor | 1.25 | - | not measured |"), "{table}");
    }
}
