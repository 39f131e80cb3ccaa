//! Why something changed: what happened shortly before, and which rows it is about. A ranking, not a proof.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::grid::Reference;
use crate::rows::SeenRow;

/// How long before a change an event is looked at.
pub const LOOK_BACK_US: i64 = 24 * 3_600 * 1_000_000;
/// The half-life of suspicion: what happened an hour before is half as suspect as what happened in the same minute.
const HALF_LIFE_US: f64 = 3_600.0 * 1e6;
/// A change's beginning is known to some minutes: an event so shortly after it may still be its cause.
const SLACK_US: i64 = 5 * 60 * 1_000_000;
/// Rows of a segment that tell something.
const SEGMENT_ROWS_MIN: usize = 20;
/// How much of the change must be gone without a segment for it to be named.
const EXPLAINED_MIN: f64 = 0.3;
/// Rows of a segment among all, beyond which it explains nothing.
const SHARE_MAX: f64 = 0.9;
/// Causes that are named.
const CAUSE_COUNT_MAX: usize = 5;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// What.
    pub kind: EventKind,
    /// When, in microseconds.
    pub at_us: i64,
    /// To what, as people name it.
    pub subject: String,
    /// In words.
    pub words: String,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// Another version began to answer.
    Deploy,
    /// An alias was moved, or the endpoint was changed.
    AliasMove,
    /// A new version of data that the model stands on.
    DataVersion,
    /// A contract was changed.
    Contract,
    /// A caller asked for the first time.
    NewCaller,
    /// The server was started, perhaps as another release.
    Restart,
}

impl EventKind {
    /// How often such an event is the reason, before anything else is known.
    const fn prior(self) -> f64 {
        match self {
            Self::Deploy => 1.0,
            Self::AliasMove => 0.9,
            Self::NewCaller => 0.7,
            Self::DataVersion => 0.6,
            Self::Contract => 0.5,
            Self::Restart => 0.4,
        }
    }
}

/// Rows that have something in common.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// What: `caller`, or a column.
    pub column: String,
    /// Its value: a caller's id, or what the cell holds.
    pub value: String,
    /// The share of the change that is gone without these rows.
    pub explained: f64,
    /// Their share of the rows before.
    pub share_before: f64,
    /// Their share of the rows since.
    pub share_since: f64,
}

/// A likely cause.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cause {
    /// How likely beside the others: all of an alert's add up to 1.
    pub weight: f64,
    /// In words.
    pub words: String,
    /// The event, if it is one.
    pub event: Option<Event>,
    /// The rows, if it is about some.
    pub segment: Option<Segment>,
}

/// Ranks what may have caused a change that began at `since_us`.
#[must_use]
pub fn rank(since_us: i64, events: &[Event], segments: &[Segment]) -> Vec<Cause> {
    let mut causes = Vec::new();
    for event in events {
        let before_us = since_us.saturating_sub(event.at_us);
        if !(-SLACK_US..=LOOK_BACK_US).contains(&before_us) {
            continue;
        }
        let age = before_us.max(0) as f64;
        let mut weight = event.kind.prior() * 0.5_f64.powf(age / HALF_LIFE_US);
        // A new caller whose rows explain the change is more than two coincidences.
        let own = segments.iter().find(|segment| event.kind == EventKind::NewCaller && segment.value == event.subject);
        weight *= own.map_or(1.0, |segment| 1.0 + 4.0 * segment.explained);
        causes.push(Cause { weight, words: event.words.clone(), event: Some(event.clone()), segment: own.cloned() });
    }
    for segment in segments {
        if causes.iter().any(|cause| cause.segment.as_ref() == Some(segment)) {
            continue;
        }
        let words = format!(
            "{:.0} % of the change is gone without the rows whose {} is {}; their share went from {:.1} % to {:.1} %",
            100.0 * segment.explained,
            segment.column,
            segment.value,
            100.0 * segment.share_before,
            100.0 * segment.share_since
        );
        causes.push(Cause { weight: segment.explained, words, event: None, segment: Some(segment.clone()) });
    }
    causes.sort_by(|left, right| right.weight.total_cmp(&left.weight));
    causes.truncate(CAUSE_COUNT_MAX);
    let total: f64 = causes.iter().map(|cause| cause.weight).sum();
    causes.iter_mut().for_each(|cause| cause.weight /= total.max(f64::MIN_POSITIVE));
    causes
}

impl Segment {
    /// The segments, of one caller or one cell of another column, without whose rows the change of column `target` shrinks most.
    #[must_use]
    pub fn explaining(reference: &Reference, target: usize, before: &[&SeenRow], since: &[&SeenRow]) -> Vec<Self> {
        let whole = apart(target, before, since, |_| false);
        if whole <= 0.0 {
            return Vec::new();
        }
        let mut segments = Vec::new();
        let mut callers: BTreeMap<&str, usize> = BTreeMap::new();
        for row in since {
            *callers.entry(row.caller.as_str()).or_default() += 1;
        }
        for (caller, count) in callers.iter().filter(|(_, count)| **count >= SEGMENT_ROWS_MIN) {
            let is_of = |row: &SeenRow| row.caller == **caller;
            segments.push(Self::of("caller".to_owned(), (*caller).to_owned(), whole, target, (before, since, *count), is_of));
        }
        for (place, column) in reference.columns.iter().enumerate().filter(|(place, _)| *place != target) {
            for cell in 0..column.grid.cell_count() {
                let is_of = |row: &SeenRow| row.cells.get(place).is_some_and(|own| usize::from(*own) == cell);
                let count = since.iter().filter(|row| is_of(row)).count();
                if count >= SEGMENT_ROWS_MIN {
                    let value = column.grid.describe(cell);
                    segments.push(Self::of(format!("`{}`", column.name), value, whole, target, (before, since, count), is_of));
                }
            }
        }
        // Without most of the rows of either side little is left to differ: that is no explanation.
        let leaves_some = |segment: &Self| segment.share_since < SHARE_MAX && segment.share_before < SHARE_MAX;
        segments.retain(|segment| segment.explained >= EXPLAINED_MIN && leaves_some(segment));
        segments.sort_by(|left, right| right.explained.total_cmp(&left.explained));
        segments.truncate(CAUSE_COUNT_MAX);
        segments
    }

    fn of(
        column: String,
        value: String,
        whole: f64,
        target: usize,
        (before, since, count): (&[&SeenRow], &[&SeenRow], usize),
        is_of: impl Fn(&SeenRow) -> bool,
    ) -> Self {
        let without = apart(target, before, since, &is_of);
        let count_before = before.iter().filter(|row| is_of(row)).count();
        Self {
            column,
            value,
            explained: (1.0 - without / whole).clamp(0.0, 1.0),
            share_before: count_before as f64 / before.len().max(1) as f64,
            share_since: count as f64 / since.len().max(1) as f64,
        }
    }
}

/// The total variation between the rows before and since, those left out that `is_out` names; less what chance makes of it.
fn apart(target: usize, before: &[&SeenRow], since: &[&SeenRow], is_out: impl Fn(&SeenRow) -> bool) -> f64 {
    let mut counts: BTreeMap<u8, (f64, f64)> = BTreeMap::new();
    let (mut total_before, mut total_since) = (0.0, 0.0);
    for row in before.iter().filter(|row| !is_out(row)) {
        counts.entry(row.cells.get(target).copied().unwrap_or(0)).or_default().0 += 1.0;
        total_before += 1.0;
    }
    for row in since.iter().filter(|row| !is_out(row)) {
        counts.entry(row.cells.get(target).copied().unwrap_or(0)).or_default().1 += 1.0;
        total_since += 1.0;
    }
    if total_before < 1.0 || total_since < 1.0 {
        return 0.0;
    }
    let apart = counts.values().map(|(was, is)| {
        let (was, is) = (was / total_before, is / total_since);
        let share = f64::midpoint(was, is);
        let chance = (2.0 / std::f64::consts::PI * share * (1.0 - share) * (1.0 / total_before + 1.0 / total_since)).sqrt();
        ((was - is).abs() - chance).max(0.0)
    });
    0.5 * apart.sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::{ColumnReference, Grid};

    const HOUR: i64 = 3_600_000_000;

    fn event(kind: EventKind, at_us: i64, subject: &str) -> Event {
        Event { kind, at_us, subject: subject.to_owned(), words: format!("{subject} happened") }
    }

    fn reference() -> Reference {
        let column = |name: &str| ColumnReference {
            name: name.to_owned(),
            grid: Grid::Names(vec!["a".to_owned(), "b".to_owned()]),
            counts: vec![50, 50, 0, 0],
            range: None,
        };
        Reference { origin: String::new(), columns: vec![column("plan"), column("country")] }
    }

    fn rows(count: usize, caller: &str, cells: impl Fn(usize) -> [u8; 2]) -> Vec<SeenRow> {
        (0..count).map(|at| SeenRow { at_us: 0, caller: caller.to_owned(), cells: cells(at).to_vec() }).collect()
    }

    #[test]
    fn the_deploy_just_before_is_the_first_suspect() {
        let events = [
            event(EventKind::DataVersion, 5 * HOUR, "data"),
            event(EventKind::Deploy, 9 * HOUR, "version 3"),
            event(EventKind::Deploy, 2 * HOUR, "version 2"),
            event(EventKind::Deploy, 11 * HOUR, "version 4, later"),
            event(EventKind::Restart, -20 * HOUR, "long ago"),
        ];
        let causes = rank(10 * HOUR, &events, &[]);
        let names: Vec<&str> = causes.iter().map(|cause| cause.words.as_str()).collect();
        assert_eq!(names, ["version 3 happened", "data happened", "version 2 happened"]);
        assert!((causes.iter().map(|cause| cause.weight).sum::<f64>() - 1.0).abs() < 1e-9 && causes[0].weight > 0.8);
        assert!(rank(0, &[], &[]).is_empty());
    }

    #[test]
    fn the_caller_whose_rows_changed_is_named() {
        let before = rows(1_000, "old", |at| [(at % 2) as u8, (at / 2 % 2) as u8]);
        let mut since = before.clone();
        since.extend(rows(400, "new", |at| [1, (at % 2) as u8]));
        let (before, since): (Vec<&SeenRow>, Vec<&SeenRow>) = (before.iter().collect(), since.iter().collect());
        let segments = Segment::explaining(&reference(), 0, &before, &since);
        assert_eq!((segments[0].column.as_str(), segments[0].value.as_str()), ("caller", "new"), "{segments:?}");
        assert!(segments[0].explained > 0.9 && segments[0].share_before == 0.0);
        assert!(
            segments.iter().all(|segment| segment.value != "old"),
            "whoever was there before brought nothing new: {segments:?}"
        );
        let causes = rank(HOUR, &[event(EventKind::NewCaller, HOUR, "new"), event(EventKind::Deploy, 0, "v")], &segments);
        assert_eq!(causes[0].segment.as_ref(), Some(&segments[0]), "{causes:?}");
        assert_eq!(causes[0].event.as_ref().unwrap().kind, EventKind::NewCaller);
    }

    #[test]
    fn the_value_whose_rows_changed_is_named() {
        let before = rows(1_000, "c", |at| [(at % 2) as u8, (at / 2 % 2) as u8]);
        // Where the country is `b`, everybody now has plan `b`.
        let since = rows(1_000, "c", |at| if at / 2 % 2 == 1 { [1, 1] } else { [(at % 2) as u8, 0] });
        let (before, since): (Vec<&SeenRow>, Vec<&SeenRow>) = (before.iter().collect(), since.iter().collect());
        let segments = Segment::explaining(&reference(), 0, &before, &since);
        assert_eq!((segments[0].column.as_str(), segments[0].value.as_str()), ("`country`", "`b`"), "{segments:?}");
        assert!(Segment::explaining(&reference(), 0, &before, &before).is_empty());
        let words = &rank(0, &[], &segments)[0].words;
        assert!(words.contains("of the change is gone without the rows whose `country` is `b`"), "{words}");
    }
}
