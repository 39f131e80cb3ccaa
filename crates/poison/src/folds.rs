//! Answers out of fold: each row's from a model that has not seen its part of the rows.

use rayon::prelude::*;

use crate::PoisonError;
use crate::random::Random;
use crate::table::Matrix;

/// Parts of the rows.
pub(crate) const FOLD_COUNT: usize = 5;

/// Class probabilities of each row. `answer` learns from the first rows and answers for the second, one list a row.
///
/// # Errors
/// What `answer` says; the first of them.
pub(crate) fn out_of_fold(
    row_count: usize,
    classes: usize,
    random: &mut Random,
    answer: impl Fn(usize, &[u32], &[u32]) -> Result<Vec<Vec<f32>>, PoisonError> + Sync,
) -> Result<Matrix, PoisonError> {
    let folds = Folds::new(row_count, random);
    let mut probabilities = Matrix::zeros(row_count, classes);
    folds.fill(0, &mut probabilities, answer)?;
    Ok(probabilities)
}

/// The same where it is worth it: `helps` is asked with the first fold's rows and their answers, and without its yes the
/// others are not learnt.
///
/// # Errors
/// What `answer` says; the first of them.
pub(crate) fn out_of_fold_if(
    row_count: usize,
    classes: usize,
    random: &mut Random,
    helps: impl FnOnce(&[u32], &Matrix) -> bool,
    answer: impl Fn(usize, &[u32], &[u32]) -> Result<Vec<Vec<f32>>, PoisonError> + Sync,
) -> Result<Option<Matrix>, PoisonError> {
    let folds = Folds::new(row_count, random);
    let own = folds.rows(0);
    let answers = answer(0, &folds.others(0), own)?;
    let first = Matrix::new(classes, answers.into_iter().flatten().collect())?;
    if !helps(own, &first) {
        return Ok(None);
    }
    let mut probabilities = Matrix::zeros(row_count, classes);
    for (index, answer) in own.iter().zip(first.iter()) {
        probabilities.row_mut(*index as usize).copy_from_slice(answer);
    }
    folds.fill(1, &mut probabilities, answer)?;
    Ok(Some(probabilities))
}

/// The rows in random order, in parts.
struct Folds {
    order: Vec<u32>,
    size: usize,
}

impl Folds {
    fn new(row_count: usize, random: &mut Random) -> Self {
        let mut order: Vec<u32> = (0..u32::try_from(row_count).unwrap_or(u32::MAX)).collect();
        random.shuffle(&mut order);
        Self { order, size: row_count.div_ceil(FOLD_COUNT).max(1) }
    }

    fn rows(&self, fold: usize) -> &[u32] {
        self.order.chunks(self.size).nth(fold).unwrap_or(&[])
    }

    fn others(&self, fold: usize) -> Vec<u32> {
        let apart = self.order.chunks(self.size).enumerate().filter(|(other, _)| *other != fold);
        apart.flat_map(|(_, rows)| rows.iter().copied()).collect()
    }

    /// The answers of all folds from this one on.
    fn fill(
        &self,
        from: usize,
        probabilities: &mut Matrix,
        answer: impl Fn(usize, &[u32], &[u32]) -> Result<Vec<Vec<f32>>, PoisonError> + Sync,
    ) -> Result<(), PoisonError> {
        let count = self.order.len().div_ceil(self.size);
        let answers: Vec<Result<Vec<Vec<f32>>, PoisonError>> =
            (from..count).into_par_iter().map(|fold| answer(fold, &self.others(fold), self.rows(fold))).collect();
        for (fold, answers) in (from..count).zip(answers) {
            for (index, own) in self.rows(fold).iter().zip(answers?) {
                for (value, answer) in probabilities.row_mut(*index as usize).iter_mut().zip(own) {
                    *value = answer;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_answers_for_the_rows_that_it_has_not_seen() {
        let found = out_of_fold(103, 2, &mut Random::new(1, 1), |_, others, own| {
            assert_eq!(others.len() + own.len(), 103);
            assert!(own.iter().all(|index| !others.contains(index)));
            Ok(own.iter().map(|index| vec![*index as f32, 1.0]).collect())
        });
        let found = found.unwrap();
        assert!((0..103).all(|index| found.row(index) == [index as f32, 1.0]));
    }

    #[test]
    fn what_does_not_help_on_the_first_part_is_not_learnt_on_the_others() {
        let asked = std::sync::atomic::AtomicUsize::new(0);
        let run = |helps: bool| {
            let answer = |_: usize, _: &[u32], own: &[u32]| {
                asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                Ok(own.iter().map(|index| vec![*index as f32]).collect())
            };
            let judge = |rows: &[u32], first: &Matrix| {
                assert!(rows.len() == 21 && rows.iter().zip(first.iter()).all(|(index, own)| own == [*index as f32]));
                helps
            };
            out_of_fold_if(103, 1, &mut Random::new(1, 1), judge, answer).unwrap()
        };
        assert!(run(false).is_none());
        assert_eq!(asked.load(std::sync::atomic::Ordering::Relaxed), 1);
        assert!((0..103).all(|index| run(true).unwrap().row(index) == [index as f32]));
    }

    #[test]
    fn an_error_of_one_model_is_the_answer() {
        let refuse = |fold: usize, _: &[u32], own: &[u32]| {
            if fold == 3 { Err(PoisonError::Cancelled) } else { Ok(vec![vec![1.0]; own.len()]) }
        };
        assert_eq!(out_of_fold(50, 1, &mut Random::new(1, 1), refuse).unwrap_err(), PoisonError::Cancelled);
    }
}
