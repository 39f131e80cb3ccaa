//! The candidate as an attacker sees it: every query is counted against a budget, every answer is checked.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use crate::{AdversaryError, Predict, Predictions, Rows, Watch};

/// Rows that a model is asked about at once: bounds the memory of an answer.
pub const ASK_ROW_COUNT_MAX: usize = 2_048;

/// Why an attack got no further answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Its queries are used up.
    Queries,
    /// The run's time is.
    Time,
    /// The caller asked to stop.
    Cancelled,
    /// The model gave no answer, or one that is none.
    Model(String),
}

impl Stop {
    /// Whether what was measured until then still counts.
    pub(crate) const fn is_budget(&self) -> bool {
        matches!(self, Self::Queries | Self::Time)
    }

    pub(crate) fn words(&self) -> String {
        match self {
            Self::Queries => "the budget of queries was used up".to_owned(),
            Self::Time => "the time was used up".to_owned(),
            Self::Cancelled => "it was cancelled".to_owned(),
            Self::Model(what) => what.clone(),
        }
    }
}

impl From<Stop> for AdversaryError {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Cancelled => Self::Cancelled,
            other => Self::Model(other.words()),
        }
    }
}

/// A model that is asked within a budget.
pub(crate) struct Oracle<'a> {
    model: &'a dyn Predict,
    classes: usize,
    watch: &'a Watch<'a>,
    time_max: Duration,
    used: Cell<u64>,
    limit: Cell<u64>,
    form: RefCell<Option<std::mem::Discriminant<Predictions>>>,
}

impl<'a> Oracle<'a> {
    pub(crate) const fn new(model: &'a dyn Predict, classes: usize, time_max: Duration, watch: &'a Watch<'a>) -> Self {
        Self { model, classes, watch, time_max, used: Cell::new(0), limit: Cell::new(0), form: RefCell::new(None) }
    }

    /// Queries asked so far.
    pub(crate) fn used(&self) -> u64 {
        self.used.get()
    }

    /// Queries that may still be asked.
    pub(crate) fn left(&self) -> u64 {
        self.limit.get().saturating_sub(self.used.get())
    }

    /// From now on so many queries may be asked.
    pub(crate) fn allow(&self, queries: u64) {
        self.limit.set(self.used.get().saturating_add(queries));
    }

    pub(crate) const fn watch(&self) -> &Watch<'a> {
        self.watch
    }

    /// Asks about rows, all or none of them.
    pub(crate) fn ask(&self, rows: &Rows) -> Result<Predictions, Stop> {
        if rows.count() as u64 > self.left() {
            return Err(Stop::Queries);
        }
        let width = rows.width();
        let mut all: Option<Predictions> = None;
        for values in rows.values().chunks(ASK_ROW_COUNT_MAX * width.max(1)) {
            if self.watch.stopped() {
                return Err(Stop::Cancelled);
            }
            if (self.watch.elapsed)() >= self.time_max {
                return Err(Stop::Time);
            }
            let part = Rows::new(width, values.to_vec()).map_err(|error| Stop::Model(error.to_string()))?;
            self.used.set(self.used.get() + part.count() as u64);
            let answers = self.model.predict(&part).map_err(|error| Stop::Model(error.to_string()))?;
            if let Some(fault) = answers.fault(part.count(), self.classes) {
                return Err(Stop::Model(fault));
            }
            let form = std::mem::discriminant(&answers);
            let same = *self.form.borrow_mut().get_or_insert(form) == form;
            let joined = match all.as_mut() {
                Some(all) => all.append(answers),
                None => {
                    all = Some(answers);
                    true
                }
            };
            if !(same && joined) {
                return Err(Stop::Model("the model changed the form of its answers".to_owned()));
            }
        }
        all.ok_or_else(|| Stop::Model("no row was asked".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PredictError;
    use crate::testing::{logistic, watched};

    fn check(stop: bool, seconds: u64, model: &dyn Predict, rows: usize, wanted: Option<&Stop>) {
        watched(stop, seconds, |watch| {
            let oracle = Oracle::new(model, 2, Duration::from_secs(10), watch);
            oracle.allow(5_000);
            let answered = oracle.ask(&Rows::new(1, vec![1.0; rows]).unwrap());
            assert_eq!(answered.as_ref().err(), wanted);
            if let Ok(answers) = answered {
                assert_eq!((answers.count(), oracle.used(), oracle.left()), (rows, rows as u64, 5_000 - rows as u64));
            }
        });
    }

    /// Answers classes at first, probabilities later.
    struct Fickle(Cell<bool>);

    impl Predict for Fickle {
        fn predict(&self, rows: &Rows) -> Result<Predictions, PredictError> {
            match self.0.replace(false) {
                true => Ok(Predictions::Labels(vec![0; rows.count()])),
                false => Ok(Predictions::Probabilities { classes: 2, values: [1.0, 0.0].repeat(rows.count()) }),
            }
        }
    }

    #[test]
    fn queries_time_and_form_are_kept() {
        let victim = logistic(vec![1.0], 0.0);
        check(false, 0, &victim, 4_999, None);
        check(false, 0, &victim, 5_001, Some(&Stop::Queries));
        check(false, 10, &victim, 1, Some(&Stop::Time));
        check(true, 0, &victim, 1, Some(&Stop::Cancelled));
        let changed = Stop::Model("the model changed the form of its answers".to_owned());
        check(false, 0, &Fickle(Cell::new(true)), 3_000, Some(&changed));
        let odd = crate::testing::Binary(|_| 7.0);
        let words = "a row's answers are no probabilities: each 0 to 1, together 1".to_owned();
        check(false, 0, &odd, 1, Some(&Stop::Model(words)));
    }
}
