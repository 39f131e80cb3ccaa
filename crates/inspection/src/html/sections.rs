//! The page's sections, each from the part of the report that it shows. A section without content is left out.

use super::charts;
use super::text::{Escaped, bytes, count, percent};
use crate::finding::{Example, Finding};
use crate::report::{InspectionReport, ScreenState};
use crate::view::{ColumnView, SuspectView, VIEW_COLUMN_COUNT_MAX, VIEW_ROW_COUNT_MAX, View};

/// Files that the page lists; the JSON has all.
const FILE_SHOWN_COUNT_MAX: usize = 50;

pub(super) fn screens(report: &InspectionReport) -> String {
    let items: String = report
        .screens
        .iter()
        .map(|(screen, state)| {
            let worst = report.findings.iter().filter(|finding| finding.screen == *screen).map(|finding| finding.severity).max();
            let (class, word, why) = match state {
                ScreenState::Ran => {
                    (worst.map_or("fine", |worst| worst.word()), worst.map_or("nothing found", |worst| worst.word()), "")
                }
                ScreenState::Partial(why) => ("warning", "in part", why.as_str()),
                ScreenState::Skipped(why) => ("skipped", "not run", why.as_str()),
                ScreenState::Failed(why) => ("error", "failed", why.as_str()),
            };
            format!("<li class=\"{class}\"><b>{}</b><span>{word}</span><small>{}</small></li>", screen.word(), Escaped(why))
        })
        .collect();
    section("Screens", "", &format!("<ul class=\"screens\">{items}</ul>"))
}

pub(super) fn findings(report: &InspectionReport) -> String {
    if report.findings.is_empty() {
        return String::new();
    }
    let cards: String = report.findings.iter().map(finding).collect();
    let dropped = report.summary.dropped_count;
    let more = if dropped == 0 { String::new() } else { format!("<p>{} milder findings are not shown.</p>", count(dropped)) };
    section("Findings", "gravest first; each with what to do", &format!("{cards}{more}"))
}

fn finding(finding: &Finding) -> String {
    let columns: String = finding.columns.iter().map(|name| format!("<code>{}</code> ", Escaped(name))).collect();
    let rows = finding.row_count.map_or_else(String::new, |rows| format!("<span>{} rows</span>", count(rows)));
    let references: String = finding.references.iter().map(|id| format!("<span class=\"tag\">{}</span>", Escaped(id))).collect();
    let examples: String = finding.examples.iter().map(example).collect();
    let examples = if examples.is_empty() {
        String::new()
    } else {
        format!(
            "<details><summary>Examples</summary><table><tr><th>row</th><th>column</th><th>value</th></tr>{examples}</table></details>"
        )
    };
    format!(
        "<article class=\"finding {word}\"><h3><span class=\"tag {word}\">{word}</span> <span class=\"title\">{title}</span></h3>\n<p>{detail}</p>\n\
         <p class=\"meta\"><code class=\"id\">{id}</code> {columns}{rows}{references}</p>\n<p class=\"remedy\">{remedy}</p>{examples}</article>\n",
        word = finding.severity.word(),
        title = Escaped(&finding.title),
        detail = Escaped(&finding.detail),
        id = Escaped(&finding.id),
        remedy = Escaped(&finding.remedy),
    )
}

fn example(example: &Example) -> String {
    format!(
        "<tr><td class=\"number\">{}</td><td>{}</td><td>{}</td></tr>",
        example.row.map_or_else(String::new, count),
        Escaped(example.column.as_deref().unwrap_or_default()),
        Escaped(example.value.as_deref().unwrap_or_default()),
    )
}

pub(super) fn poisoning(view: &View) -> String {
    let Some(poisoning) = &view.poisoning else { return String::new() };
    let lead = format!(
        "{} of {} rows are suspect ({})",
        count(poisoning.suspect_count),
        count(poisoning.row_count),
        percent(poisoning.suspect_share)
    );
    let chart = if poisoning.scores.is_empty() { String::new() } else { charts::scores(poisoning) };
    let suspects = rows("The most suspect rows", &poisoning.suspects);
    let poisonable = rows("The rows that sway a model most: guarded from now on", &view.poisonable);
    section("Poisoning", &lead, &format!("<div class=\"chart\">{chart}</div>{suspects}{poisonable}"))
}

fn rows(title: &str, rows: &[SuspectView]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let lines: String = rows
        .iter()
        .take(VIEW_ROW_COUNT_MAX)
        .map(|row| {
            format!(
                "<tr><td class=\"number\">{}</td><td class=\"number\">{:.3}</td><td>{}</td></tr>",
                count(row.row),
                row.score,
                Escaped(&row.reason)
            )
        })
        .collect();
    format!("<details><summary>{title}</summary><table><tr><th>row</th><th>score</th><th>why</th></tr>{lines}</table></details>")
}

pub(super) fn rules(report: &InspectionReport) -> String {
    let rules = &report.view.rules;
    if rules.is_empty() {
        return String::new();
    }
    let held = rules.iter().filter(|rule| rule.holds == Some(true)).count();
    let lines: String = rules
        .iter()
        .take(VIEW_COLUMN_COUNT_MAX)
        .map(|rule| {
            let (class, word) = match rule.holds {
                Some(true) => ("fine", "holds"),
                Some(false) => ("error", "broken"),
                None => ("warning", "not run"),
            };
            format!(
                "<tr><td><span class=\"tag {class}\">{word}</span></td><td><code>{}</code></td><td>{}</td><td>{}</td></tr>",
                Escaped(rule.column.as_deref().unwrap_or_default()),
                Escaped(&rule.rule),
                Escaped(&rule.detail)
            )
        })
        .collect();
    let lead = format!("{held} of {} rules hold", rules.len());
    section("Contract", &lead, &format!("<table><tr><th></th><th>column</th><th>rule</th><th>observed</th></tr>{lines}</table>"))
}

pub(super) fn drift(report: &InspectionReport) -> String {
    let columns = &report.view.drift;
    if columns.is_empty() {
        return String::new();
    }
    let drifted = columns.iter().filter(|column| column.drifted).count();
    let against = report.reference.as_deref().unwrap_or("the reference");
    let lead = format!("against {against}: {drifted} of {} columns changed", columns.len());
    let shown = columns.get(..columns.len().min(VIEW_ROW_COUNT_MAX)).unwrap_or_default();
    let details: String = shown
        .iter()
        .filter(|column| column.drifted)
        .map(|column| format!("<li><code>{}</code> {}</li>", Escaped(&column.column), Escaped(&column.detail)))
        .collect();
    let segments: String = report
        .view
        .segments
        .iter()
        .take(VIEW_ROW_COUNT_MAX)
        .map(|segment| {
            // A number that a worker sent may be none.
            let share = if segment.explained_share.is_finite() { segment.explained_share.clamp(0.0, 1.0) * 100.0 } else { 0.0 };
            format!("<li><code>{}</code> {share:.0} %: {}</li>", Escaped(&segment.segment), Escaped(&segment.detail))
        })
        .collect();
    let explained = if segments.is_empty() { String::new() } else { format!("<h3>Where it comes from</h3><ul>{segments}</ul>") };
    section("Drift", &lead, &format!("<div class=\"chart\">{}</div><ul>{details}</ul>{explained}", charts::drift(shown)))
}

pub(super) fn columns(view: &View) -> String {
    if view.columns.is_empty() {
        return String::new();
    }
    let cards: String = view.columns.iter().take(VIEW_COLUMN_COUNT_MAX).map(column).collect();
    let lead = match view.column_hidden_count {
        0 => String::new(),
        hidden => format!("{} more are in the JSON", count(hidden)),
    };
    section("Columns", &lead, &format!("<div class=\"cards\">{cards}</div>"))
}

fn column(column: &ColumnView) -> String {
    let total = column.bars.iter().map(|bar| bar.count).fold(0_u64, u64::saturating_add);
    let chart = match (column.bars.is_empty(), column.is_histogram) {
        (true, _) => String::new(),
        (false, true) => charts::histogram(&column.bars),
        (false, false) => charts::values(&column.bars, total),
    };
    let role = column.role.as_ref().map_or_else(String::new, |role| format!("<span class=\"tag role\">{}</span>", Escaped(role)));
    let personal: String =
        column.personal.iter().map(|kind| format!("<span class=\"tag personal\">{}</span>", Escaped(kind))).collect();
    let distinct = column.distinct_count.map_or_else(String::new, |distinct| format!(" · {} distinct", count(distinct)));
    let facts: String = column
        .facts
        .iter()
        .map(|(name, value)| format!("<div><dt>{}</dt><dd>{}</dd></div>", Escaped(name), Escaped(value)))
        .collect();
    format!(
        "<article class=\"card\"><h3>{}</h3><p class=\"meta\">{}{distinct}{role}{personal}</p>\
         <p class=\"gaps\">{}<span>{} missing</span></p>{chart}<dl>{facts}</dl></article>\n",
        Escaped(&column.name),
        Escaped(&column.kind),
        charts::filled(column.null_share),
        percent(column.null_share),
    )
}

pub(super) fn origin(report: &InspectionReport) -> String {
    let confinement = &report.confinement;
    let confined = if confinement.is_complete() {
        format!(
            "no files and no network (Landlock {}), allowed system calls only (seccomp), limited memory and time",
            confinement.landlock_abi
        )
    } else {
        format!("NOT fully confined: {confinement:?}")
    };
    let facts = [
        ("format", report.view.format.clone()),
        ("manifest", format!("sha256:{}", report.manifest_sha256)),
        ("contract", report.contract_sha256.as_ref().map_or_else(|| "none".to_owned(), |digest| format!("sha256:{digest}"))),
        ("inspector", format!("{} · seed {}", report.worker_version, report.seed)),
        ("confined", confined),
        ("cost", format!("{} ms of processor time, {} at the most", report.cpu_ms, bytes(report.memory_peak_bytes))),
    ];
    let facts: String =
        facts.iter().map(|(name, value)| format!("<div><dt>{name}</dt><dd>{}</dd></div>", Escaped(value))).collect();
    let notes: String =
        report.view.notes.iter().take(VIEW_ROW_COUNT_MAX).map(|note| format!("<li>{}</li>", Escaped(note))).collect();
    let notes = if notes.is_empty() { notes } else { format!("<ul>{notes}</ul>") };
    let lines: String = report
        .files
        .iter()
        .take(FILE_SHOWN_COUNT_MAX)
        .map(|file| {
            format!(
                "<tr><td>{}</td><td class=\"number\">{}</td><td><code>{}</code></td></tr>",
                Escaped(&file.path),
                bytes(file.size_bytes),
                Escaped(&file.sha256)
            )
        })
        .collect();
    let hidden = report.files.len().saturating_sub(FILE_SHOWN_COUNT_MAX);
    let more = if hidden == 0 { String::new() } else { format!("<p>{} more files are in the JSON.</p>", count(hidden as u64)) };
    let files = format!(
        "<details><summary>Files</summary><table><tr><th>path</th><th>size</th><th>SHA-256</th></tr>{lines}</table>{more}</details>"
    );
    section("What was inspected, and how", "", &format!("<dl class=\"origin\">{facts}</dl>{notes}{files}"))
}

pub(super) fn section(title: &str, lead: &str, body: &str) -> String {
    format!("<section>\n<h2>{title} <small>{}</small></h2>\n{body}\n</section>\n", Escaped(lead))
}
