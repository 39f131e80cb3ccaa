//! The simulated attacks.

pub(crate) mod extraction;
pub(crate) mod hop;
pub(crate) mod membership;
pub(crate) mod poisoning;
pub(crate) mod search;
mod space;
pub(crate) mod square;
pub(crate) mod trigger;

use crate::oracle::{Oracle, Stop};
use crate::{EvaluationData, Predictions, Rows, SuiteConfig, Truth};

/// What every attack starts from: a sample of the held-back rows with their truth and the model's answers.
pub(crate) struct Trial<'a> {
    pub(crate) data: &'a EvaluationData,
    pub(crate) config: &'a SuiteConfig,
    pub(crate) oracle: &'a Oracle<'a>,
    /// The sampled rows.
    pub(crate) rows: Rows,
    /// Their numbers in the held-back data.
    pub(crate) numbers: Vec<u32>,
    pub(crate) truth: Truth,
    pub(crate) answers: Predictions,
}

impl<'a> Trial<'a> {
    /// Samples rows and asks about them.
    pub(crate) fn new(data: &'a EvaluationData, config: &'a SuiteConfig, oracle: &'a Oracle<'a>) -> Result<Self, Stop> {
        // Half of the queries at most: the rest is for the attacks.
        let affordable = usize::try_from(oracle.left() / 2).unwrap_or(usize::MAX);
        let count = (config.rows_max as usize).min(affordable).max(1);
        let numbers = poison::Random::new(config.seed, 0x7472_6961).sample(data.rows.count(), count);
        let rows = data.rows.chosen(&numbers);
        let answers = oracle.ask(&rows)?;
        let truth = chosen(&data.truth, &numbers);
        Ok(Self { data, config, oracle, rows, numbers, truth, answers })
    }

    /// Rows that the model answers right, in a seeded order.
    fn right_rows(&self, purpose: u64) -> Vec<u32> {
        let right = |row: &u32| self.truth.labels().get(*row as usize) == Some(&self.answers.label(*row as usize));
        let mut rows: Vec<u32> = (0..crate::at::narrow(self.rows.count())).filter(right).collect();
        poison::Random::new(self.config.seed, purpose).shuffle(&mut rows);
        rows
    }

    /// The numbers of these rows in the held-back data.
    fn named(&self, rows: impl Iterator<Item = usize>) -> Vec<u64> {
        rows.map(|row| u64::from(crate::at::at(&self.numbers, row))).collect()
    }
}

/// The truth of some rows.
pub(crate) fn chosen(truth: &Truth, rows: &[u32]) -> Truth {
    match truth {
        Truth::Classes { of_rows, names } => {
            let of_rows = rows.iter().map(|row| crate::at::at(of_rows, *row as usize)).collect();
            Truth::Classes { of_rows, names: names.clone() }
        }
        Truth::Numbers(numbers) => Truth::Numbers(rows.iter().map(|row| crate::at::at(numbers, *row as usize)).collect()),
    }
}

/// Runs an attack on data: what the tests of every attack do.
#[cfg(test)]
pub(crate) fn tried<T>(
    model: &dyn crate::Predict,
    data: &EvaluationData,
    config: &SuiteConfig,
    attack: impl FnOnce(&Trial<'_>) -> Result<T, Stop>,
) -> T {
    crate::testing::quiet(|watch| {
        let oracle = Oracle::new(model, data.truth.classes(), std::time::Duration::from_secs(60), watch);
        oracle.allow(config.queries_max);
        data.check().unwrap();
        let trial = Trial::new(data, config, &oracle).unwrap();
        attack(&trial).unwrap()
    })
}
