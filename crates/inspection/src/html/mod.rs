//! The report as one page that needs nothing else: no scripts, no outside resources, no inline style; charts are SVG.
//!
//! INVARIANT: nothing from the data reaches the page unescaped. Held by `html::tests::hostile_names_stay_text`.

pub mod charts;
mod sections;
#[cfg(test)]
mod tests;
mod text;
mod trials;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::finding::Severity;
use crate::report::InspectionReport;
use text::{Escaped, bytes, count, instant, seconds};

const STYLE: &str = include_str!("style.css");

/// The report as one self-contained page. Its policy allows its own style sheet, by digest, and nothing else.
#[must_use]
pub fn html(report: &InspectionReport) -> String {
    let title = format!("{}@{}", report.dataset, report.version);
    let style_digest = STANDARD.encode(kernel::sha256(STYLE.as_bytes()));
    let parts = [
        head(report, &title),
        sections::screens(report),
        sections::findings(report),
        trials::gates(&report.view),
        trials::attacks(&report.view),
        sections::poisoning(&report.view),
        sections::rules(report),
        sections::drift(report),
        sections::columns(&report.view),
        sections::origin(report),
    ];
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-{style_digest}'; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"referrer\" content=\"no-referrer\">\n\
         <title>Inspection of {}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n{}</main>\n</body>\n</html>\n",
        Escaped(&title),
        parts.concat(),
    )
}

fn head(report: &InspectionReport, title: &str) -> String {
    let summary = &report.summary;
    let (class, verdict) = match report.worst() {
        None => ("fine", "Nothing was found"),
        Some(Severity::Info) => ("fine", "Nothing that needs attention"),
        Some(Severity::Warning) => ("warning", "Someone should look"),
        Some(Severity::Error) => ("error", "Not fit for training as it is"),
        Some(Severity::Critical) => ("critical", "Dangerous to train on"),
    };
    let took_us = u64::try_from(report.ended_us.saturating_sub(report.started_us)).unwrap_or(0);
    let numbers = [
        ("rows", count(summary.row_count)),
        ("columns", count(summary.column_count)),
        ("files", count(report.files.len() as u64)),
        ("size", bytes(summary.size_bytes)),
        ("suspect rows", count(summary.suspect_row_count)),
        ("took", seconds(took_us)),
    ];
    let numbers: String = numbers.iter().map(|(name, value)| format!("<div><dt>{name}</dt><dd>{value}</dd></div>")).collect();
    let classes: String = summary
        .classes
        .iter()
        .map(|class| format!("<span class=\"tag personal\">{}</span>", Escaped(&class.replace('_', " "))))
        .collect();
    let tallies = [
        ("critical", summary.critical_count),
        ("error", summary.error_count),
        ("warning", summary.warning_count),
        ("info", summary.info_count),
    ];
    let tallies: String = tallies
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(word, number)| format!("<span class=\"tag {word}\">{} {word}</span>", count(*number)))
        .collect();
    format!(
        "<header class=\"{class}\">\n<p class=\"over\">Inspection report</p>\n<h1>{}</h1>\n<p class=\"verdict\">{verdict}</p>\n\
         <p>{tallies}{classes}</p>\n<dl class=\"numbers\">{numbers}</dl>\n<p class=\"when\">{}</p>\n</header>\n",
        Escaped(title),
        instant(report.ended_us),
    )
}
