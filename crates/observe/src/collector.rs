//! Counts what is seen, in memory, until it is written down. A sample costs a lock of its own endpoint and some additions.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use watch::{Baseline, Column, Observer, Reference, RowLog, Sample, Tally, Verdict};

use crate::limits::{KEPT_ROWS_MAX, LIVE_COUNT_MAX, WAITING_MINUTES_MAX, WAITING_PREDICTIONS_MAX};

const MINUTE_US: i64 = 60_000_000;
/// The column that stands for what the model says.
pub(crate) const PREDICTION: &str = "(prediction)";

/// An endpoint's id and a version's.
pub(crate) type Key = (String, String);

/// Counts what is seen.
#[derive(Default)]
pub struct Collector {
    live: RwLock<HashMap<Key, Arc<Mutex<Live>>>>,
}

/// What is counted of one version behind one endpoint.
#[derive(Default)]
struct Live {
    workspace: String,
    last_us: i64,
    /// All since the server started, for metrics.
    total: Tally,
    minutes: BTreeMap<i64, Tally>,
    reference: Option<Arc<Reference>>,
    /// Whether the reference is still to be written down.
    is_new: bool,
    baseline: Option<Baseline>,
    /// What it was trained on: none as long as nobody has looked, an empty one where nothing is known.
    trained: Option<Reference>,
    /// Whether the first rows have been learnt.
    is_learnt: bool,
    rows: RowLog,
    predictions: Vec<Kept>,
}

/// A row's prediction that a label may come for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Kept {
    pub(crate) prediction: String,
    pub(crate) place: i64,
    pub(crate) at_us: i64,
    pub(crate) predicted: String,
    pub(crate) sure: Option<f64>,
}

/// What is taken out to be written down.
#[derive(Clone, Debug, Default)]
pub(crate) struct Waiting {
    pub(crate) workspace: String,
    pub(crate) minutes: BTreeMap<i64, Tally>,
    pub(crate) reference: Option<Arc<Reference>>,
    pub(crate) predictions: Vec<Kept>,
}

impl Observer for Collector {
    fn sample(&self, sample: &Sample<'_>) {
        self.of(sample.endpoint, sample.version).lock().add(sample);
    }
}

impl Collector {
    fn of(&self, endpoint: &str, version: &str) -> Arc<Mutex<Live>> {
        let key = (endpoint.to_owned(), version.to_owned());
        if let Some(live) = self.live.read().get(&key) {
            return Arc::clone(live);
        }
        let mut all = self.live.write();
        if all.len() >= LIVE_COUNT_MAX {
            // Only what has nothing left to be written down makes room.
            let idle = all.iter().filter_map(|(key, live)| {
                let live = live.lock();
                (live.minutes.is_empty() && live.predictions.is_empty()).then(|| (live.last_us, key.clone()))
            });
            if let Some((_, key)) = idle.min() {
                all.remove(&key);
            }
        }
        Arc::clone(all.entry(key).or_default())
    }

    /// What was counted since the server started.
    pub(crate) fn totals(&self) -> Vec<(Key, Tally)> {
        self.live.read().iter().map(|(key, live)| (key.clone(), live.lock().total.clone())).collect()
    }

    /// Versions of which nobody knows yet what they were compared with, or trained on.
    pub(crate) fn unknown(&self) -> Vec<Key> {
        let is_unknown = |live: &Live| live.reference.is_none() && live.trained.is_none();
        self.live.read().iter().filter(|(_, live)| is_unknown(&live.lock())).map(|(key, _)| key.clone()).collect()
    }

    /// Says what a version was trained on; nothing where that is not known.
    pub(crate) fn set_trained(&self, key: &Key, trained: Option<Reference>) {
        self.of(&key.0, &key.1).lock().trained = Some(trained.unwrap_or_default());
    }

    /// Gives a version its reference, unless it has one.
    pub(crate) fn set_reference(&self, key: &Key, reference: Reference) {
        let live = self.of(&key.0, &key.1);
        let mut live = live.lock();
        if live.reference.is_none() {
            live.reference = Some(Arc::new(reference));
        }
    }

    /// Takes all that waits to be written down.
    pub(crate) fn take(&self) -> Vec<(Key, Waiting)> {
        let all: Vec<(Key, Arc<Mutex<Live>>)> =
            self.live.read().iter().map(|(key, live)| (key.clone(), Arc::clone(live))).collect();
        let taken = all.into_iter().filter_map(|(key, live)| {
            let mut live = live.lock();
            let waiting = Waiting {
                workspace: live.workspace.clone(),
                minutes: std::mem::take(&mut live.minutes),
                reference: live.reference.clone().filter(|_| live.is_new),
                predictions: std::mem::take(&mut live.predictions),
            };
            live.is_new = false;
            let is_empty = waiting.minutes.is_empty() && waiting.predictions.is_empty() && waiting.reference.is_none();
            (!is_empty).then_some((key, waiting))
        });
        taken.collect()
    }

    /// Puts back what could not be written down.
    pub(crate) fn put_back(&self, taken: Vec<(Key, Waiting)>) {
        for (key, waiting) in taken {
            let live = self.of(&key.0, &key.1);
            let mut live = live.lock();
            live.workspace = waiting.workspace;
            live.is_new |= waiting.reference.is_some();
            for (minute, tally) in waiting.minutes {
                live.minutes.entry(minute).or_default().merge(&tally);
            }
            live.fold_minutes();
            let room = WAITING_PREDICTIONS_MAX.saturating_sub(live.predictions.len());
            live.predictions.extend(waiting.predictions.into_iter().take(room));
        }
    }

    /// The rows around a moment, explained against the column `target`.
    pub(crate) fn segments(&self, key: &Key, target: &str, at_us: i64) -> Vec<watch::Segment> {
        let Some(live) = self.live.read().get(key).cloned() else { return Vec::new() };
        let live = live.lock();
        let Some(reference) = live.reference.clone() else { return Vec::new() };
        let Some(place) = reference.place(target) else { return Vec::new() };
        let (before, since) = live.rows.around(at_us);
        watch::Segment::explaining(&reference, place, &before, &since)
    }
}

impl Live {
    fn add(&mut self, sample: &Sample<'_>) {
        if self.workspace.is_empty() {
            sample.workspace.clone_into(&mut self.workspace);
        }
        self.last_us = self.last_us.max(sample.at_us);
        // What the model says is watched as a column is.
        let said = sample.predicted.map(|values| Column { name: PREDICTION, values, first: 0, stride: 1 });
        let columns: Vec<Column<'_>> = sample.columns.iter().copied().chain(said).collect();
        let sample = Sample { columns: &columns, ..*sample };
        if sample.verdict == Verdict::Answered {
            self.learn(&sample);
            if let Some(reference) = &self.reference {
                self.rows.add(&sample, reference);
            }
        }
        let reference = self.reference.clone();
        self.minutes.entry(sample.at_us.div_euclid(MINUTE_US)).or_default().add(&sample, reference.as_deref());
        self.fold_minutes();
        self.total.add(&Sample { columns: &[], predicted: None, ..sample }, None);
        self.keep(&sample);
    }

    /// What it is compared with: what it was trained on, for the columns of that that it is asked; else, and for what it says, the
    /// first rows.
    fn learn(&mut self, sample: &Sample<'_>) {
        if let (None, Some(trained)) = (&self.reference, &self.trained) {
            let is_asked = |column: &&watch::ColumnReference| sample.columns.iter().any(|own| own.name == column.name);
            let columns: Vec<watch::ColumnReference> = trained.columns.iter().filter(is_asked).cloned().collect();
            if !columns.is_empty() {
                self.reference = Some(Arc::new(Reference { origin: trained.origin.clone(), columns }));
                self.is_new = true;
            }
        }
        if self.reference.as_ref().is_some_and(|reference| reference.place(PREDICTION).is_some()) || self.is_learnt {
            return;
        }
        let baseline = self.baseline.get_or_insert_default();
        baseline.add(sample.columns, sample.row_count);
        if !baseline.is_full() {
            return;
        }
        let Some(baseline) = self.baseline.take() else { return };
        let first = baseline.finish("the first rows that this version was asked");
        (self.is_learnt, self.is_new) = (true, true);
        self.reference = Some(Arc::new(match &self.reference {
            None => first,
            Some(known) => {
                let mut whole = Reference::clone(known);
                whole.columns.extend(first.columns.into_iter().filter(|column| column.name == PREDICTION));
                whole
            }
        }));
    }

    /// Older minutes are merged: a count is never lost, only when it was.
    fn fold_minutes(&mut self) {
        while self.minutes.len() > WAITING_MINUTES_MAX {
            let Some((_, oldest)) = self.minutes.pop_first() else { return };
            if let Some(mut next) = self.minutes.first_entry() {
                next.get_mut().merge(&oldest);
            }
        }
    }

    fn keep(&mut self, sample: &Sample<'_>) {
        let (Some(prediction), Some(predicted), Verdict::Answered) = (sample.prediction, sample.predicted, sample.verdict) else {
            return;
        };
        // A number that a regression predicts is not right or wrong: no label is compared with it.
        if !sample.predicts_classes {
            return;
        }
        let room = WAITING_PREDICTIONS_MAX.saturating_sub(self.predictions.len()).min(KEPT_ROWS_MAX);
        for row in 0..sample.row_count.min(room) {
            let Some(name) = predicted.name(row) else { continue };
            let sure = sample.probabilities.and_then(|chances| {
                let own = (0..chances.width).filter_map(|at| chances.values.number(row * chances.width + at));
                own.max_by(f64::total_cmp)
            });
            let place = i64::try_from(row).unwrap_or(i64::MAX);
            self.predictions.push(Kept { prediction: prediction.to_owned(), place, at_us: sample.at_us, predicted: name, sure });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use watch::{CallerClass, Values};

    fn ask(collector: &Collector, at_us: i64, values: &[f64]) {
        let columns = [Column { name: "x", values: Values::F64(values), first: 0, stride: 1 }];
        let classes = vec![String::from("yes"); values.len()];
        collector.sample(&Sample { at_us, row_count: values.len(), ..sample(&columns, &classes) });
    }

    fn sample<'a>(columns: &'a [Column<'a>], said: &'a [String]) -> Sample<'a> {
        Sample {
            at_us: 0,
            workspace: "w",
            endpoint: "e",
            version: "m/1",
            prediction: Some("p"),
            caller: "c",
            caller_class: CallerClass::Service,
            row_count: said.len(),
            latency_us: 10,
            verdict: Verdict::Answered,
            columns,
            classes: &[],
            predicted: Some(Values::Text(said)),
            predicts_classes: true,
            probabilities: None,
        }
    }

    #[test]
    fn what_cannot_be_written_is_kept() {
        let collector = Collector::default();
        for minute in 0..300 {
            ask(&collector, minute * MINUTE_US, &[1.0, 2.0]);
            let taken = collector.take();
            collector.put_back(taken);
        }
        let (key, waiting) = collector.take().remove(0);
        assert_eq!((key.0.as_str(), key.1.as_str(), waiting.minutes.len()), ("e", "m/1", WAITING_MINUTES_MAX));
        assert_eq!(waiting.minutes.values().map(|tally| tally.rows).sum::<u64>(), 600);
        assert_eq!((waiting.predictions.len(), waiting.predictions[1].place), (600, 1));
        assert!(collector.take().is_empty());
        assert_eq!(collector.totals()[0].1.rows, 600);
    }

    #[test]
    fn a_regressions_numbers_wait_for_no_label() {
        let collector = Collector::default();
        let said = [0.5, 1.5];
        ask(&collector, 0, &[1.0]);
        let regression = Sample { predicted: Some(Values::F64(&said)), predicts_classes: false, ..sample(&[], &[]) };
        collector.sample(&Sample { row_count: 2, ..regression });
        let (_, waiting) = collector.take().remove(0);
        assert_eq!((waiting.predictions.len(), waiting.minutes[&0].rows), (1, 3));
    }

    #[test]
    fn the_first_rows_become_the_reference_unless_there_is_a_better_one() {
        let collector = Collector::default();
        let values: Vec<f64> = (0..watch::limits::BASELINE_ROWS).map(|at| at as f64).collect();
        ask(&collector, 0, &values);
        let (_, waiting) = collector.take().remove(0);
        let reference = waiting.reference.unwrap();
        assert_eq!(reference.columns.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["x", PREDICTION]);
        collector.set_reference(&("e".to_owned(), "m/1".to_owned()), Reference::default());
        assert!(collector.unknown().is_empty());
        ask(&collector, MINUTE_US, &[1.0]);
        assert_eq!(collector.take()[0].1.minutes[&1].cells.len(), 2);
    }

    #[test]
    fn what_it_was_trained_on_comes_first() {
        let collector = Collector::default();
        let key = ("e".to_owned(), "m/1".to_owned());
        let column = |name: &str| watch::ColumnReference {
            name: name.to_owned(),
            grid: watch::Grid::Numbers(vec![0.5]),
            counts: vec![10, 10, 0, 0],
            range: None,
        };
        let trained = Reference { origin: "d@1".to_owned(), columns: vec![column("x"), column("label")] };
        ask(&collector, 0, &[1.0]);
        assert_eq!(collector.unknown(), std::slice::from_ref(&key));
        collector.set_trained(&key, Some(trained));
        assert!(collector.unknown().is_empty());
        ask(&collector, 0, &[1.0]);
        let reference = collector.take().remove(0).1.reference.unwrap();
        assert_eq!((reference.origin.as_str(), reference.columns.len(), reference.columns[0].name.as_str()), ("d@1", 1, "x"));
        // What it says is learnt from the first rows.
        ask(&collector, 0, &vec![1.0; watch::limits::BASELINE_ROWS]);
        let reference = collector.take().remove(0).1.reference.unwrap();
        assert_eq!(reference.columns.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["x", PREDICTION]);
    }

    #[test]
    fn endpoints_that_are_idle_make_room() {
        let collector = Collector::default();
        for at in 0..LIVE_COUNT_MAX + 10 {
            let _ = collector.of(&at.to_string(), "m/1");
        }
        assert_eq!(collector.live.read().len(), LIVE_COUNT_MAX);
    }
}
