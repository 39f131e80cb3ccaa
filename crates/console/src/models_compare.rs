//! Versions of models side by side: how they stand, where they come from, how they were trained, what was found in one and not in the other, how they
//! do slice by slice.

use std::collections::BTreeMap;

use admission::ops::{Findings, ShowStanding, Shown};
use data::FoundFinding;
use gate::{Operation, Visitor};
use http::Method;
use inspection::InspectionReport;
use kernel::{Problem, hex};
use tracking::Run;
use tracking::ops::GetRun;
use wire::{Answer, Chosen, Door};

use crate::Rooms;
use crate::board::{Cell, bytes, called, if_allowed};
use crate::findings::Report;
use crate::model_report::{attack_name, attack_verdict, outcome, with_interval};
use crate::models::{address, report};
use crate::page::{moment, page_in};
use crate::query::Query;
use crate::runs_compare::{CompareTemplate, Line, Part, Value, exact, lines};
use crate::trial::{Interval, Told, Trial};
use crate::version::effect_words;

const PAGE: &str = "/console/compare/models";
const VERSION_COUNT_MAX: usize = 4;
/// What stands first of how versions stand; the rest goes by its name.
const FIRST: [&str; 4] = ["State", "Verdict", "May be promoted", "Its maker's signature"];
/// Characters of a digest that tell two files apart for people.
const DIGEST_CHARS: usize = 16;

/// One of the versions.
struct Side {
    shown: Shown,
    findings: Vec<FoundFinding>,
    report: Option<InspectionReport>,
    /// What is said of a report that is too large for a page.
    unread: Option<(&'static str, String)>,
    trial: Trial,
    run: Option<Run>,
}

type Lines = BTreeMap<String, Value>;

/// Adds the page.
pub fn routes(door: &mut Door, rooms: &Rooms) {
    let rooms = rooms.clone();
    door.choice(Method::GET, PAGE, &[ShowStanding::ACTION, Findings::ACTION, GetRun::ACTION], move |inbound| {
        let (rooms, query) = (rooms.clone(), Query::of(inbound)?);
        let chosen = chosen(&query)?;
        Ok(Chosen::verbs(move |visitor| Box::pin(async move { page(visitor, rooms, chosen, query).await })))
    });
}

/// The versions that an address names, each once, as name and version.
fn chosen(query: &Query) -> Result<Vec<(String, String)>, Problem> {
    let mut all: Vec<(String, String)> = Vec::new();
    let named = [query.all("left"), query.all("right"), query.all("version")].concat();
    for text in named {
        let (name, version) =
            text.rsplit_once('/').ok_or_else(|| Problem::invalid("a version is named MODEL/NUMBER, such as `churn/3`"))?;
        let one = (name.to_owned(), version.to_owned());
        if !all.contains(&one) {
            all.push(one);
        }
    }
    if all.len() < 2 || all.len() > VERSION_COUNT_MAX {
        return Err(Problem::invalid(format!("choose 2 to {VERSION_COUNT_MAX} versions; {} were chosen", all.len())));
    }
    Ok(all)
}

async fn side(visitor: &Visitor, rooms: &Rooms, name: String, version: String) -> Result<Side, Problem> {
    let room = rooms.admission.clone();
    let show = ShowStanding { room: room.clone(), name: name.clone(), version: version.clone() };
    let shown = visitor.call(show).await?;
    let found = visitor.call(Findings { room: room.clone(), name: name.clone(), version: version.clone() }).await?;
    let has_report = shown.inspection.as_ref().is_some_and(|inspection| inspection.report_sha256.is_some());
    let report = if has_report { report(visitor, room, name, version).await? } else { Report::None };
    let (report, unread) = report.into_parts();
    let trial = report.as_ref().map(Trial::of).unwrap_or_default();
    let run_id = trial.origin.as_ref().and_then(|origin| origin.run.as_ref()).map(|run| run.name.clone());
    let run = match run_id {
        // Who may see the model may not see the run that made it.
        Some(run_id) => if_allowed(visitor, GetRun { room: rooms.tracking.clone(), run_id }).await?,
        None => None,
    };
    Ok(Side { shown, findings: found.findings, report, unread, trial, run })
}

async fn page(visitor: &Visitor, rooms: Rooms, chosen: Vec<(String, String)>, query: Query) -> Result<Answer, Problem> {
    let is_all = query.get("show") == Some("all");
    let mut sides = Vec::with_capacity(chosen.len());
    for (name, version) in chosen {
        sides.push(side(visitor, &rooms, name, version).await?);
    }
    let at = visitor.at();
    let parts = vec![
        Part::of("standing", "How they stand", verdict_first(lines(&sides, |side| standing(side, at))), is_all),
        Part::of("found", "What was found", lines(&sides, found), is_all),
        Part::of("slices", "Gates, slice by slice", lines(&sides, slices), is_all),
        Part::of("attacks", "Attacks that were tried", lines(&sides, attacks), is_all),
        Part::of("origin", "Where they come from", lines(&sides, origin), is_all),
        Part::of("params", "Parameters of their runs", lines(&sides, params), is_all),
        Part::of("metrics", "Metrics of their runs", lines(&sides, metrics), is_all),
        Part::of("files", "Their files", lines(&sides, files), is_all),
    ];
    let column = |side: &Side| {
        let one = &side.shown.standing;
        Cell::link(format!("{}/{}", one.name, one.subject.number), address(&one.name, one.subject.number))
    };
    let parts = parts.into_iter().map(|part| part.cut(sides.len(), &query, PAGE)).collect::<Result<_, _>>()?;
    let other = if is_all { query.without("show") } else { query.with("show", "all") };
    let (title, columns) = (format!("{} versions side by side", sides.len()), sides.iter().map(column).collect());
    page_in(visitor.workspace(), &CompareTemplate { title, columns, parts, all: other.at(PAGE), is_all })
}

fn standing(side: &Side, now: kernel::Micros) -> Lines {
    let Shown { standing: one, inspection, obstacle, has_files, .. } = &side.shown;
    let promotable = match obstacle {
        Some(why) => format!("no: {why}"),
        None if *has_files => "yes".to_owned(),
        None => "yes, unseen: it has no files here, and the configuration lets such versions be promoted".to_owned(),
    };
    let signature = side.trial.signature.as_ref().map_or_else(
        || "not known".to_owned(),
        |signature| match (&signature.signer, signature.state.as_str()) {
            (Some(signer), "holds") => format!("holds, by {}", signer.trusted_as),
            (_, "refused") => "does not hold".to_owned(),
            (_, "unsure") => "not checked".to_owned(),
            _ => "none".to_owned(),
        },
    );
    let all = [
        ("State", one.state_at(now).word().to_owned()),
        ("Verdict", one.verdict.map_or_else(|| "none yet".to_owned(), |verdict| verdict.word().to_owned())),
        ("May be promoted", promotable),
        ("Waiver until", one.waiver_until.map_or_else(|| "none".to_owned(), moment)),
        ("Registered", moment(one.submitted_at)),
        ("By", called(one.submitter_name.as_ref(), &one.submitter)),
        ("Size", format!("{} in {} files", bytes(one.size_bytes), one.file_count)),
        ("Gate file", one.gate_revision.map_or_else(|| "none".to_owned(), |revision| format!("revision {revision}"))),
        ("Champion then", side.trial.gates.champion.clone().unwrap_or_else(|| "none".to_owned())),
        ("Its maker's signature", signature),
        ("Inspection", inspection.as_ref().map_or("none", |inspection| inspection.state.word()).to_owned()),
        ("Manifest", one.manifest_sha256.map(|digest| hex(&digest)).unwrap_or_default()),
    ];
    all.into_iter().chain(side.unread.clone()).map(|(name, value)| (name.to_owned(), value.into())).collect()
}

/// What somebody looks for first stands first.
fn verdict_first(mut all: Vec<Line>) -> Vec<Line> {
    let place = |name: &str| FIRST.iter().position(|first| *first == name).unwrap_or(FIRST.len());
    all.sort_by_key(|line| place(&line.name));
    all
}

/// By what it is, not by its words: those hold numbers that are never the same twice.
fn found(side: &Side) -> Lines {
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    for found in &side.findings {
        let line = all.entry(format!("{} ({})", found.finding.title, found.finding.id)).or_default();
        if line.is_empty() {
            *line = format!("{}: {}", effect_words(&found.effect), found.finding.detail);
        } else if !line.ends_with(", and more") {
            line.push_str(", and more");
        }
    }
    all.into_iter().map(|(name, words)| (name, words.into())).collect()
}

/// A number with where it lies, with all digits.
fn exact_interval(value: f64, interval: Option<Interval>) -> String {
    let ends = interval.map(|one| format!(" ({} to {})", exact(one.low), exact(one.high))).unwrap_or_default();
    format!("{}{ends}", exact(value))
}

fn slices(side: &Side) -> Lines {
    let mut all = Lines::new();
    for of in side.trial.gates.comparisons() {
        for row in &of.rows {
            let judged = outcome(&row.outcome).text;
            let shown = format!("{}, {judged}", with_interval(Some(row.value), row.interval));
            let value = Value { exact: format!("{}, {judged}", exact_interval(row.value, row.interval)), shown };
            all.insert(format!("{} on {} where {}", of.measure, of.data, row.slice), value);
        }
    }
    all
}

fn attacks(side: &Side) -> Lines {
    let tried = side.trial.attacks.iter().flat_map(|all| &all.attacks);
    let line = |attack: &crate::trial::Attack| {
        let verdict = attack_verdict(&attack.verdict).text;
        let value = match &attack.measure {
            None => verdict.into(),
            Some(measure) => Value {
                shown: format!("{verdict}: {}", with_interval(Some(measure.value), measure.interval)),
                exact: format!("{verdict}: {}", exact_interval(measure.value, measure.interval)),
            },
        };
        (attack_name(attack), value)
    };
    tried.map(line).collect()
}

fn origin(side: &Side) -> Lines {
    let Some(origin) = &side.trial.origin else { return Lines::new() };
    let joined = |all: &[Told]| {
        let each = all.iter().map(|one| match &one.state {
            Some(state) => format!("{} ({}, {state})", one.name, one.trust),
            None => format!("{} ({})", one.name, one.trust),
        });
        each.collect::<Vec<_>>().join(", ")
    };
    let run = origin.run.as_ref().map(|run| format!("{} ({})", run.name, run.trust)).unwrap_or_default();
    let all = [
        ("Run", run),
        ("Code", joined(&origin.code)),
        ("Data", joined(&origin.data)),
        ("Data elsewhere", joined(&origin.other_data)),
        ("Its packages are named", if origin.environment { "yes" } else { "no" }.to_owned()),
    ];
    all.into_iter()
        .map(|(name, value)| (name.to_owned(), if value.is_empty() { "not known".to_owned() } else { value }.into()))
        .collect()
}

fn params(side: &Side) -> Lines {
    side.run.iter().flat_map(|run| &run.data.params).map(|one| (one.key.clone(), one.value.clone().into())).collect()
}

fn metrics(side: &Side) -> Lines {
    side.run.iter().flat_map(|run| &run.data.metrics).map(|one| (one.key.clone(), one.value.into())).collect()
}

fn files(side: &Side) -> Lines {
    let inspected = side.report.iter().flat_map(|report| &report.files);
    let digest = |text: &str| text.chars().take(DIGEST_CHARS).collect::<String>();
    let value = |file: &inspection::FileSpec| Value {
        shown: format!("{} bytes, SHA-256 {}…", file.size_bytes, digest(&file.sha256)),
        exact: format!("{} bytes, SHA-256 {}", file.size_bytes, file.sha256),
    };
    inspected.map(|file| (file.path.clone(), value(file))).collect()
}
