//! `observe.judge`: the watcher looks at everything that was seen, opens what is wrong and closes what is over.

use std::collections::BTreeMap;

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Micros, Problem, random_id};
use vault::db::Reader;
use watch::{Cause, Event, EventKind, Segment, Tally, rank};

use crate::judge::{self, Finding, MINUTE_US, Seen};
use crate::limits::JUDGED_MINUTES;
use crate::store::alerts::{self, Raised};
use crate::store::places::{self, Place};
use crate::store::{minutes, news};
use crate::types::{Act, Alert, AlertState, Detail, News, Severity};
use crate::{Observe, ObserveConfig};

/// Columns whose rows are searched for segments.
const EXPLAINED_COLUMN_COUNT: usize = 1;
/// A caller counts as new if it was first seen so long after the first of all.
const NEW_CALLER_MINUTES: i64 = 30;
/// Looks after which what is not found any more is over.
const GONE_AFTER_LOOKS: i64 = 3;
/// The kind of an alert about an endpoint that cannot answer.
const UNABLE: &str = "unable";

/// Judges.
pub struct Judge {
    /// The room.
    pub room: Observe,
    /// The server that asks: whose own gauges are judged.
    pub source: String,
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// Endpoints that were looked at.
    pub endpoint_count: usize,
    /// Alerts that were opened.
    pub opened_count: usize,
    /// Alerts that were closed.
    pub resolved_count: usize,
}

/// An alert that is to be raised.
struct Due {
    fingerprint: String,
    alert: Alert,
    remedies: Vec<(String, String, Act)>,
}

/// What is known of an endpoint, read.
struct Read {
    place: Place,
    versions: BTreeMap<String, BTreeMap<i64, Tally>>,
    /// The version that answers now.
    version: String,
    reference: Option<watch::Reference>,
    labelled: watch::Confusion,
    burned: BTreeMap<u32, (u64, u64)>,
    events: Vec<Event>,
}

impl Operation for Judge {
    const ACTION: Action = super::JUDGE;
    type Output = Judged;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Judged, Problem> {
        let now = permit.entry().at;
        let config = self.room.0.config.clone();
        let places = self.room.db().read(&permit, |reader| Ok(places::endpoints(reader, None, None)?)).await?;
        let (mut due, mut judged) = (Vec::new(), Judged::default());
        for place in places {
            let obstacle = self.room.0.obstacle.clone();
            let look = move |reader: &mut Reader<'_>| {
                let why = obstacle.map(|look| look(reader, &place.endpoint)).transpose()?.flatten();
                Ok((why.map(|why| unable(&place, &why, now)), read(reader, place, now)?))
            };
            let (unable, read) = self.room.db().read(&permit, look).await?;
            due.extend(unable);
            let Some(read) = read else { continue };
            judged.endpoint_count += 1;
            let (collector, config) = (self.room.collector(), config.clone());
            // Windows are many: not on the threads that answer requests.
            let judging = tokio::task::spawn_blocking(move || {
                let segments = |column: &str, since: Micros| {
                    collector.segments(&(read.place.endpoint.clone(), read.version.clone()), column, since.0)
                };
                alerts_of(&read, &config, now, segments)
            });
            due.extend(judging.await.map_err(|broken| Problem::internal("judging an endpoint broke off", broken))?);
        }
        let (source, limit) = (self.source, config.disk_free_share_min);
        let since = now.0.div_euclid(MINUTE_US).saturating_sub(360);
        let free =
            self.room.db().read(&permit, move |reader| Ok(minutes::gauge(reader, "disk_free_share", &source, since)?)).await?;
        due.extend(judge::disk_ahead(&free, limit, now).map(|finding| of_server(finding, now)));
        let (targets, by) = (self.room.targets(), permit.caller().id.clone());
        let gone_before = now.plus_secs(-GONE_AFTER_LOOKS * i64::try_from(config.every_s).unwrap_or(60));
        let written = self.room.db().write(&permit, move |writer| {
            for one in &due {
                let raised = Raised { fingerprint: &one.fingerprint, alert: &one.alert, remedies: &one.remedies };
                if let Some(id) = alerts::raise(writer, &raised)? {
                    judged.opened_count += 1;
                    news::add(writer, &targets, &id, News::Firing, now)?;
                }
            }
            for id in alerts::resolve_gone(writer, gone_before, now, &by)? {
                judged.resolved_count += 1;
                news::add(writer, &targets, &id, News::Resolved, now)?;
            }
            let outcome = Outcome::done().with("endpoints", judged.endpoint_count).with("opened", judged.opened_count);
            Ok((judged, outcome.with("resolved", judged.resolved_count)))
        });
        written.await
    }
}

fn read(reader: &mut Reader<'_>, place: Place, now: Micros) -> Result<Option<Read>, Problem> {
    let minute = now.0.div_euclid(MINUTE_US);
    let versions = minutes::of_endpoint(reader, &place.endpoint, minute.saturating_sub(JUDGED_MINUTES))?;
    let named = versions.keys().find(|version| !version.is_empty()).or_else(|| versions.keys().next());
    let Some(version) = minutes::answering(&versions).or(named).cloned() else {
        return Ok(None);
    };
    let key = (place.endpoint.as_str(), version.as_str());
    let reference = minutes::reference(reader, key)?;
    let labelled = minutes::labelled(reader, key, now.plus_secs(-judge::LABELLED_SECS))?;
    let mut burned = BTreeMap::new();
    for window in judge::burn_windows() {
        burned.insert(window, minutes::burned(reader, &place.endpoint, minute.saturating_sub(i64::from(window)))?);
    }
    let mut events = places::data_events(reader, &place.workspace, versions.keys(), now.plus_secs(-2 * 86_400))?;
    events.extend(own_events(&place, &versions));
    Ok(Some(Read { place, versions, version, reference, labelled, burned, events }))
}

/// The first minute in which a version answered. What was refused before a version was chosen is counted under none.
fn first_answer(minutes: &BTreeMap<i64, Tally>) -> Option<i64> {
    minutes.iter().find(|(_, tally)| tally.answered > 0).map(|one| *one.0)
}

/// What is known to have happened to an endpoint: versions and callers that came, and changes of its choice.
fn own_events(place: &Place, versions: &BTreeMap<String, BTreeMap<i64, Tally>>) -> Vec<Event> {
    let mut events = Vec::new();
    let firsts: Vec<(i64, &String)> = versions.iter().filter_map(|(version, all)| Some((first_answer(all)?, version))).collect();
    let start = firsts.iter().map(|one| one.0).min().unwrap_or(0);
    for (first, version) in firsts.into_iter().filter(|one| one.0 > start) {
        let words = format!("version {} began to answer", number_of(version));
        events.push(Event { kind: EventKind::Deploy, at_us: first * MINUTE_US, subject: number_of(version).to_owned(), words });
    }
    if place.changed_at.0 > start * MINUTE_US {
        let words = format!("the endpoint was told to answer with {}", place.choice);
        let subject = place.choice.clone();
        events.push(Event { kind: EventKind::AliasMove, at_us: place.changed_at.0, subject, words });
    }
    let mut callers: BTreeMap<&str, i64> = BTreeMap::new();
    for (minute, tally) in versions.values().flatten() {
        for caller in tally.callers.keys() {
            let first = callers.entry(caller).or_insert(*minute);
            *first = (*first).min(*minute);
        }
    }
    for (caller, first) in callers.into_iter().filter(|one| one.1 > start + NEW_CALLER_MINUTES) {
        let words = format!("the caller {caller} asked for the first time");
        events.push(Event { kind: EventKind::NewCaller, at_us: first * MINUTE_US, subject: caller.to_owned(), words });
    }
    events
}

fn number_of(version: &str) -> &str {
    version.rsplit_once('/').map_or(version, |(_, number)| number)
}

fn alerts_of(read: &Read, config: &ObserveConfig, now: Micros, segments: impl Fn(&str, Micros) -> Vec<Segment>) -> Vec<Due> {
    let empty = BTreeMap::new();
    let seen = Seen {
        minutes: read.versions.get(&read.version).unwrap_or(&empty),
        reference: read.reference.as_ref(),
        labelled: &read.labelled,
        burned: &|window| read.burned.get(&window).copied().unwrap_or_default(),
        now,
    };
    let all = judge::findings(&seen, config).into_iter().map(|finding| {
        let columns = finding.columns.iter().take(EXPLAINED_COLUMN_COUNT);
        let about: Vec<Segment> = columns.flat_map(|column| segments(&column.column, finding.began_at)).collect();
        let causes = rank(finding.began_at.0, &read.events, &about);
        let remedies = remedies(read, &finding, &causes);
        let mut origin = Vec::new();
        if let Some(model) = read.place.model.as_ref().filter(|_| !read.version.is_empty()) {
            origin.push(format!("strongroom lineage show {model}/{}", number_of(&read.version)));
        }
        let detail =
            Detail { subject: read.place.name.clone(), causes, columns: finding.columns, origin, numbers: finding.numbers };
        let alert = Alert {
            id: random_id(),
            workspace: read.place.workspace.clone(),
            endpoint: Some(read.place.endpoint.clone()),
            model: Some(read.place.model_id.clone()),
            kind: finding.kind.to_owned(),
            severity: finding.severity,
            state: AlertState::Open,
            headline: format!("`{}`: {}", read.place.name, finding.headline),
            began_at: finding.began_at,
            opened_at: now,
            seen_at: now,
            crosses_at: finding.crosses_at,
            certainty: finding.certainty,
            detail,
            acknowledged: None,
            resolved: None,
        };
        Due { fingerprint: format!("{}/{}", read.place.endpoint, alert.kind), alert, remedies }
    });
    all.collect()
}

fn of_server(finding: Finding, now: Micros) -> Due {
    let detail = Detail { subject: "server".to_owned(), numbers: finding.numbers, ..Detail::default() };
    let words = "make room: old minutes, traces and artifacts that no run names are swept daily".to_owned();
    let alert = Alert {
        severity: finding.severity,
        began_at: finding.began_at,
        crosses_at: finding.crosses_at,
        certainty: finding.certainty,
        ..plain(finding.kind, finding.headline, detail, now)
    };
    let fingerprint = format!("server/{}", alert.kind);
    Due { fingerprint, alert, remedies: vec![(words, String::new(), Act::ByHand)] }
}

/// An endpoint that cannot answer, whether or not anybody asks it.
fn unable(place: &Place, why: &str, now: Micros) -> Due {
    let name = &place.name;
    let detail = Detail { subject: name.clone(), ..Detail::default() };
    let alert = Alert {
        workspace: place.workspace.clone(),
        endpoint: Some(place.endpoint.clone()),
        model: Some(place.model_id.clone()),
        ..plain(UNABLE, format!("`{name}`: it cannot answer: {why}"), detail, now)
    };
    let words = format!("see what stands against it, mend that, or let `{name}` answer with another version");
    let remedies = vec![(words, format!("strongroom endpoint show {name}"), Act::ByHand)];
    Due { fingerprint: format!("{}/{UNABLE}", place.endpoint), alert, remedies }
}

/// A critical alert of the server that begins now.
fn plain(kind: &str, headline: String, detail: Detail, now: Micros) -> Alert {
    Alert {
        id: random_id(),
        workspace: String::new(),
        endpoint: None,
        model: None,
        kind: kind.to_owned(),
        severity: Severity::Critical,
        state: AlertState::Open,
        headline,
        began_at: now,
        opened_at: now,
        seen_at: now,
        crosses_at: None,
        certainty: None,
        detail,
        acknowledged: None,
        resolved: None,
    }
}

/// What can be done, the best first.
fn remedies(read: &Read, finding: &Finding, causes: &[Cause]) -> Vec<(String, String, Act)> {
    let mut all = Vec::new();
    let mut add = |words: String, command: Option<String>, act: Act| {
        all.push((words, command.unwrap_or_else(|| act.command()), act));
    };
    let kinds: Vec<EventKind> = causes.iter().filter_map(|cause| Some(cause.event.as_ref()?.kind)).collect();
    let (name, version) = (&read.place.name, number_of(&read.version));
    let before = previous(read);
    let is_by_deploy = matches!(kinds.first(), Some(EventKind::Deploy | EventKind::AliasMove));
    if let (Some(before), Some(model)) = (&before, &read.place.model)
        && (is_by_deploy || matches!(finding.kind, "errors" | "latency" | "accuracy" | "expected-accuracy" | "drift"))
    {
        let command = format!("strongroom endpoint update {name} --model {model}/{before}");
        let words = format!("let `{name}` answer with version {before} again, as before");
        add(words, Some(command), Act::RollBack { endpoint: name.clone(), version: before.clone() });
    }
    if let Some(event) = causes.iter().filter_map(|cause| cause.event.as_ref()).find(|event| event.kind == EventKind::DataVersion)
        && let Some((dataset, number)) = event.subject.rsplit_once('@')
        && matches!(finding.kind, "drift" | "accuracy" | "expected-accuracy" | "calibration" | "data-quality")
    {
        let act = Act::RefuseData { dataset: dataset.to_owned(), version: number.to_owned() };
        add(format!("keep version {number} of the data set `{dataset}` out"), None, act);
    }
    if let Some(caller) = causes.iter().filter_map(|cause| cause.segment.as_ref()).find(|segment| segment.column == "caller") {
        let words = format!("slow the caller {} down for an hour, and ask who it is", caller.value);
        add(words, None, Act::Throttle { endpoint: name.clone(), caller: caller.value.clone() });
    }
    if let Some(model) = read.place.model.clone()
        && matches!(finding.kind, "drift" | "accuracy" | "expected-accuracy" | "calibration" | "accuracy-ahead")
    {
        let words = format!("train `{model}` again on newer data; the new version goes through quarantine");
        add(words, None, Act::Retrain { model, version: version.to_owned() });
    }
    if finding.kind == "data-quality" {
        let words = "tell the callers what does not fit, or tighten the contract of the data that they take it from".to_owned();
        add(words, Some("strongroom data contract --help".to_owned()), Act::ByHand);
    }
    all
}

/// The version that answered before the one that does now.
fn previous(read: &Read) -> Option<String> {
    let began = first_answer(read.versions.get(&read.version)?)?;
    let others = read.versions.iter().filter(|(version, _)| **version != read.version);
    let before = others.filter_map(|(version, minutes)| {
        let mut answered = minutes.range(..=began).filter(|(_, tally)| tally.answered > 0);
        Some((*answered.next_back()?.0, version))
    });
    before.max().map(|one| number_of(one.1).to_owned())
}
