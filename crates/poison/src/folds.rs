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
    let mut order: Vec<u32> = (0..u32::try_from(row_count).unwrap_or(u32::MAX)).collect();
    random.shuffle(&mut order);
    let folds: Vec<&[u32]> = order.chunks(row_count.div_ceil(FOLD_COUNT).max(1)).collect();
    let answers: Vec<Result<Vec<Vec<f32>>, PoisonError>> = folds
        .par_iter()
        .enumerate()
        .map(|(fold, own)| {
            let apart = folds.iter().enumerate().filter(|(other, _)| *other != fold);
            let others: Vec<u32> = apart.flat_map(|(_, rows)| rows.iter().copied()).collect();
            answer(fold, &others, own)
        })
        .collect();
    let mut probabilities = Matrix::zeros(row_count, classes);
    for (fold, answers) in folds.iter().zip(answers) {
        for (index, own) in fold.iter().zip(answers?) {
            for (value, answer) in probabilities.row_mut(*index as usize).iter_mut().zip(own) {
                *value = answer;
            }
        }
    }
    Ok(probabilities)
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
    fn an_error_of_one_model_is_the_answer() {
        let refuse = |fold: usize, _: &[u32], own: &[u32]| {
            if fold == 3 { Err(PoisonError::Cancelled) } else { Ok(vec![vec![1.0]; own.len()]) }
        };
        assert_eq!(out_of_fold(50, 1, &mut Random::new(1, 1), refuse).unwrap_err(), PoisonError::Cancelled);
    }
}
