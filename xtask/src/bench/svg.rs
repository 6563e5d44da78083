//! Charts as SVG: horizontal bars, one a client, the number at its end; and curves over a logarithmic scale.

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
    let mut svg = head(title, &format!("{unit}; less is better"), height);
    for (at, bar) in bars.iter().enumerate() {
        let top = TOP + at * ROW;
        let length = if most > 0.0 { bar.value / most * (WIDTH - LEFT - RIGHT) as f64 } else { 0.0 };
        let text = top + 15;
        // Writing to a String cannot fail, here and below.
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

fn head(title: &str, unit: &str, height: usize) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" font-family=\"sans-serif\" font-size=\"13\" role=\"img\">\n<title>{0}</title>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"12\" y=\"22\" font-size=\"15\" font-weight=\"bold\" fill=\"#1a1a1a\">{0}</text>\n\
         <text x=\"12\" y=\"40\" fill=\"#555555\">{1}</text>\n",
        escaped(title),
        escaped(unit)
    )
}

/// One line of [`curves`].
pub struct Curve {
    pub label: String,
    /// One for each name of the horizontal axis; above 0.
    pub values: Vec<f64>,
    pub colour: &'static str,
}

/// Lines over named places, the vertical scale in powers of ten.
pub fn curves(title: &str, unit: &str, names: &[&str], curves: &[Curve]) -> String {
    let values = || curves.iter().flat_map(|curve| curve.values.iter().copied()).filter(|value| *value > 0.0);
    let low = values().fold(f64::INFINITY, f64::min).log10().floor();
    let high = values().fold(0.0, f64::max).log10().ceil();
    if !low.is_finite() || !high.is_finite() {
        return String::new();
    }
    let span = (high - low).max(1.0);
    let bottom = (TOP + PLOT) as f64;
    let y = |value: f64| bottom - (value.max(10f64.powf(low)).log10() - low) / span * PLOT as f64;
    let x = |at: usize| (PLOT_LEFT + at * (WIDTH - PLOT_LEFT - RIGHT - 40) / (names.len() - 1).max(1)) as f64;
    let mut svg = head(title, unit, TOP + PLOT + 34);
    for power in low as i32..=high as i32 {
        let at = y(10f64.powi(power));
        let _ = writeln!(
            svg,
            "<line x1=\"{PLOT_LEFT}\" y1=\"{at:.1}\" x2=\"{}\" y2=\"{at:.1}\" stroke=\"#dddddd\"/>\n\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#555555\">{}</text>",
            x(names.len() - 1),
            PLOT_LEFT - 8,
            at + 4.0,
            10f64.powi(power)
        );
    }
    for (at, name) in names.iter().enumerate() {
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#1a1a1a\">{}</text>",
            x(at),
            bottom + 20.0,
            escaped(name)
        );
    }
    // Labels stand at the lines' ends, and give way to each other.
    let mut ends: Vec<(f64, &Curve)> =
        curves.iter().filter_map(|curve| curve.values.last().map(|value| (y(*value), curve))).collect();
    ends.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut free = 0.0f64;
    for (at, curve) in ends {
        let points: Vec<String> =
            curve.values.iter().enumerate().map(|(at, value)| format!("{:.1},{:.1}", x(at), y(*value))).collect();
        let text = (at + 4.0).max(free);
        free = text + 15.0;
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\"/>\n\
             <text x=\"{:.1}\" y=\"{text:.1}\" fill=\"{1}\">{} {}</text>",
            points.join(" "),
            curve.colour,
            x(names.len() - 1) + 8.0,
            escaped(&curve.label),
            short(curve.values.last().copied().unwrap_or(0.0))
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
const PLOT: usize = 260;
const PLOT_LEFT: usize = 70;

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

    /// Goal: a value ten times as large stands a power of ten higher, and labels do not lie upon each other. Method:
    /// two curves that end at one value.
    #[test]
    fn curves_are_logarithmic() {
        let curve = |label: &str, values: &[f64]| Curve { label: label.into(), values: values.to_vec(), colour: OURS };
        let svg = curves("t", "us", &["p50", "max"], &[curve("x", &[10.0, 100.0]), curve("y", &[1.0, 100.0])]);
        let bottom = TOP + PLOT;
        let (middle, top) = (bottom - PLOT / 2, TOP);
        assert!(svg.contains(&format!("points=\"{PLOT_LEFT}.0,{middle}.0 ")), "{svg}");
        assert!(svg.contains(&format!("points=\"{PLOT_LEFT}.0,{bottom}.0 ")), "{svg}");
        assert!(svg.contains(&format!(",{top}.0\"")), "{svg}");
        assert!(svg.contains(&format!("y=\"{}.0\" fill", top + 4)), "{svg}");
        assert!(svg.contains(&format!("y=\"{}.0\" fill", top + 19)), "{svg}");
        assert_eq!(curves("t", "us", &["p50"], &[]), "");
    }
}
