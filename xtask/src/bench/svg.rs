//! Bar charts as SVG: horizontal bars, one a client, the number at its end.

use std::fmt::Write;

pub struct Bar {
    pub label: String,
    pub value: f64,
    pub colour: &'static str,
}

pub const OURS: &str = "#2563a8";
pub const FLOOR: &str = "#8a8f98";
pub const PEER: &str = "#c9782f";

/// A chart with one bar for each value, from 0; `unit` says what the numbers are.
pub fn bars(title: &str, unit: &str, bars: &[Bar]) -> String {
    let most = bars.iter().map(|bar| bar.value).fold(0.0, f64::max);
    let height = TOP + bars.len() * ROW + 10;
    let mut svg = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" font-family=\"sans-serif\" font-size=\"13\" role=\"img\">\n<title>{0}</title>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"12\" y=\"22\" font-size=\"15\" font-weight=\"bold\" fill=\"#1a1a1a\">{0}</text>\n\
         <text x=\"12\" y=\"40\" fill=\"#555555\">{1}; less is better</text>",
        escaped(title),
        escaped(unit)
    );
    for (at, bar) in bars.iter().enumerate() {
        let top = TOP + at * ROW;
        let length = if most > 0.0 { bar.value / most * (WIDTH - LEFT - RIGHT) as f64 } else { 0.0 };
        let text = top + 15;
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{text}\" text-anchor=\"end\" fill=\"#1a1a1a\">{}</text>\n\
             <rect x=\"{LEFT}\" y=\"{top}\" width=\"{length:.1}\" height=\"{}\" fill=\"{}\"/>\n\
             <text x=\"{:.1}\" y=\"{text}\" fill=\"#1a1a1a\">{}</text>",
            LEFT - 8,
            escaped(&bar.label),
            ROW - 6,
            bar.colour,
            LEFT as f64 + length + 6.0,
            short(bar.value)
        );
    }
    svg.push_str("</svg>\n");
    svg
}

/// Three digits are enough to compare.
pub fn short(value: f64) -> String {
    let places = match value.abs() {
        value if value >= 100.0 => 0,
        value if value >= 10.0 => 1,
        value if value >= 1.0 => 2,
        _ => 3,
    };
    format!("{value:.places$}")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

const WIDTH: usize = 720;
const LEFT: usize = 130;
const RIGHT: usize = 80;
const TOP: usize = 54;
const ROW: usize = 26;

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the longest bar fills the width, the others are in proportion. Method: two bars.
    #[test]
    fn bars_are_in_proportion() {
        let bar = |label: &str, value| Bar { label: label.into(), value, colour: PEER };
        let svg = bars("a < b", "us", &[bar("x", 20.0), bar("y", 5.0)]);
        assert!(svg.contains("<title>a &lt; b</title>"));
        let full = WIDTH - LEFT - RIGHT;
        assert!(svg.contains(&format!("width=\"{full}.0\"")), "{svg}");
        assert!(svg.contains(&format!("width=\"{:.1}\"", full as f64 / 4.0)), "{svg}");
        assert_eq!((short(1234.5), short(12.345), short(0.1234)), ("1234".into(), "12.3".into(), "0.123".into()));
    }
}
