//! Charts as SVG: plain shapes with classes, coloured by the page's style sheet. What a client wrote is escaped in them.

use super::text::{Escaped, approximate, count, percent};
use crate::view::{BAR_COUNT_MAX, Bar, DriftView, PoisonView};

/// Size of a small chart, in pixels at normal size.
const SMALL: (f64, f64) = (260.0, 64.0);
/// Size of the chart of scores.
const WIDE: (f64, f64) = (640.0, 150.0);
/// Room below a chart for its labels.
const AXIS: f64 = 16.0;
/// Values that a list of bars shows.
const VALUE_COUNT_MAX: usize = 6;

/// Ranges in order: one bar each, first and last labelled.
#[must_use]
pub fn histogram(bars: &[Bar]) -> String {
    let highest = highest(bars);
    let (width, height) = SMALL;
    let shapes = columns(bars, SMALL, |bar| approximate(bar.count) / highest, |_, _| "bar");
    let ends = match (bars.first(), bars.last()) {
        (Some(first), Some(last)) => format!(
            "<text x=\"0\" y=\"{y}\">{}</text><text x=\"{width}\" y=\"{y}\" class=\"end\">{}</text>",
            Escaped(edge(&first.label, 0)),
            Escaped(edge(&last.label, 1)),
            y = height + AXIS - 4.0,
        ),
        _ => String::new(),
    };
    svg((width, height + AXIS), "histogram", &format!("{shapes}{ends}"))
}

/// Separate values: a list of bars with their shares of `total`.
#[must_use]
pub fn values(bars: &[Bar], total: u64) -> String {
    const LINE: f64 = 15.0;
    let shown = bars.get(..bars.len().min(VALUE_COUNT_MAX)).unwrap_or_default();
    let highest = highest(shown);
    let mut shapes = String::new();
    let mut y = 0.0;
    for bar in shown {
        let length = approximate(bar.count) / highest * 96.0;
        let share = if total == 0 { 0.0 } else { approximate(bar.count) / approximate(total) };
        let label: String = bar.label.chars().take(18).collect();
        shapes.push_str(&format!(
            "<g><title>{full}: {number}</title><text x=\"0\" y=\"{text_y}\">{label}</text>\
             <rect class=\"bar\" x=\"118\" y=\"{bar_y}\" width=\"{length:.1}\" height=\"9\" rx=\"1.5\"/>\
             <text x=\"260\" y=\"{text_y}\" class=\"end\">{share}</text></g>",
            full = Escaped(&bar.label),
            number = count(bar.count),
            text_y = y + 11.0,
            label = Escaped(&label),
            bar_y = y + 3.0,
            share = percent(share),
        ));
        y += LINE;
    }
    svg((SMALL.0, y.max(LINE)), "most frequent values", &shapes)
}

/// How much of a column is there.
#[must_use]
pub fn filled(null_share: f64) -> String {
    let there = (1.0 - null_share.clamp(0.0, 1.0)) * 100.0;
    let shapes = format!(
        "<rect class=\"gap\" width=\"100\" height=\"6\" rx=\"3\"/><rect class=\"good\" width=\"{there:.2}\" height=\"6\" rx=\"3\"/>"
    );
    svg((100.0, 6.0), "share of values that are there", &shapes)
}

/// Effect size of each column, drifted ones marked.
#[must_use]
pub fn drift(columns: &[DriftView]) -> String {
    const LINE: f64 = 20.0;
    let largest = columns.iter().map(|column| finite(column.effect)).fold(0.1, f64::max);
    let mut shapes = String::new();
    let mut y = 0.0;
    for column in columns {
        let class = if column.drifted { "hot" } else { "bar" };
        let name: String = column.column.chars().take(26).collect();
        shapes.push_str(&format!(
            "<g><title>{full}: {detail}</title><text x=\"0\" y=\"{text_y}\">{name}</text>\
             <rect class=\"{class}\" x=\"180\" y=\"{bar_y}\" width=\"{length:.1}\" height=\"11\" rx=\"2\"/>\
             <text x=\"640\" y=\"{text_y}\" class=\"end\">{statistic} {effect:.3}, p {p:.2e}</text></g>",
            full = Escaped(&column.column),
            detail = Escaped(&column.detail),
            text_y = y + 13.0,
            name = Escaped(&name),
            bar_y = y + 3.0,
            length = finite(column.effect) / largest * 250.0 + 1.0,
            statistic = Escaped(&column.statistic),
            effect = finite(column.effect),
            p = finite(column.p_value),
        ));
        y += LINE;
    }
    svg((WIDE.0, y.max(LINE)), "effect size by column", &shapes)
}

/// Rows by score, on a logarithmic axis: the few suspect ones matter, not the many good ones.
#[must_use]
pub fn scores(view: &PoisonView) -> String {
    let (width, height) = WIDE;
    let tallest = highest(&view.scores).ln_1p();
    let threshold = view.threshold.map(|threshold| threshold.clamp(0.0, 1.0));
    let bar_count = approximate(view.scores.len().max(1) as u64);
    let class = |_: &Bar, place: f64| {
        if threshold.is_some_and(|threshold| (place + 0.5) / bar_count >= threshold) { "hot" } else { "bar" }
    };
    let shapes = columns(&view.scores, WIDE, |bar| approximate(bar.count).ln_1p() / tallest.max(f64::MIN_POSITIVE), class);
    let line = threshold.map_or_else(String::new, |threshold| {
        let x = threshold * width;
        format!("<line class=\"mark\" x1=\"{x:.1}\" y1=\"0\" x2=\"{x:.1}\" y2=\"{height}\"/><text x=\"{:.1}\" y=\"10\" class=\"end\">suspect from {threshold:.2}</text>", x - 5.0)
    });
    let axis = format!(
        "<text x=\"0\" y=\"{y}\">0: ordinary</text><text x=\"{width}\" y=\"{y}\" class=\"end\">1: suspect</text>",
        y = height + AXIS - 3.0
    );
    svg((width, height + AXIS), "rows by score of suspicion, logarithmic", &format!("{shapes}{line}{axis}"))
}

fn columns(bars: &[Bar], size: (f64, f64), share: impl Fn(&Bar) -> f64, class: impl Fn(&Bar, f64) -> &'static str) -> String {
    let (width, height) = size;
    let shown = bars.get(..bars.len().min(BAR_COUNT_MAX)).unwrap_or_default();
    let step = width / approximate(shown.len().max(1) as u64);
    let mut shapes = String::new();
    let mut place = 0.0;
    for bar in shown {
        // A bar that stands for something is never too low to be seen.
        let tall = if bar.count == 0 { 0.0 } else { (finite(share(bar)) * height).clamp(1.5, height) };
        shapes.push_str(&format!(
            "<rect class=\"{class}\" x=\"{x:.2}\" y=\"{y:.2}\" width=\"{w:.2}\" height=\"{tall:.2}\"><title>{label}: {number}</title></rect>",
            class = class(bar, place),
            x = place * step,
            y = height - tall,
            w = (step - 1.0).max(0.5),
            label = Escaped(&bar.label),
            number = count(bar.count),
        ));
        place += 1.0;
    }
    shapes
}

/// The lower (0) or upper (1) end of a label such as `0.5 – 1.0`.
fn edge(label: &str, end: usize) -> &str {
    label.split(" – ").nth(end).unwrap_or(label)
}

fn highest(bars: &[Bar]) -> f64 {
    approximate(bars.iter().map(|bar| bar.count).max().unwrap_or(0).max(1))
}

const fn finite(number: f64) -> f64 {
    if number.is_finite() { number } else { 0.0 }
}

fn svg(size: (f64, f64), label: &str, shapes: &str) -> String {
    let (width, height) = size;
    format!(
        "<svg viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\" aria-label=\"{label}\">{shapes}</svg>"
    )
}
