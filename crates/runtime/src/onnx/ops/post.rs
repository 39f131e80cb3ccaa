//! What `ai.onnx.ml` calls post-transforms.

use crate::LoadError;
use crate::link::softmax;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Post {
    None,
    Logistic,
    Softmax,
    /// Softmax over what is not zero.
    SoftmaxZero,
}

impl Post {
    pub(super) fn named(name: &str) -> Result<Self, LoadError> {
        Ok(match name {
            "NONE" => Self::None,
            "LOGISTIC" => Self::Logistic,
            "SOFTMAX" => Self::Softmax,
            "SOFTMAX_ZERO" => Self::SoftmaxZero,
            other => return Err(LoadError::unsupported(format!("ONNX's post-transform `{}`", other.escape_default()))),
        })
    }

    /// In place over one row of at least two scores.
    pub(super) fn apply(self, row: &mut [f32]) {
        match self {
            Self::None => {}
            Self::Logistic => row.iter_mut().for_each(|score| *score = logistic(*score)),
            Self::Softmax => softmax(row),
            Self::SoftmaxZero => {
                let max = row.iter().copied().fold(f32::MIN, f32::max);
                let mut sum = 0.0;
                for score in &mut *row {
                    if score.abs() > 1e-7 {
                        *score = (*score - max).exp();
                        sum += *score;
                    } else {
                        *score *= (-max).exp();
                    }
                }
                row.iter_mut().for_each(|score| *score /= sum);
            }
        }
    }
}

/// The logistic function, symmetric in its rounding.
pub(super) fn logistic(score: f32) -> f32 {
    let above = 1.0 / (1.0 + (-score.abs()).exp());
    if score < 0.0 { 1.0 - above } else { above }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transforms_are_those_of_the_specification() {
        let mut row = [1.0, 0.0, 1.0];
        Post::SoftmaxZero.apply(&mut row);
        assert_eq!(row, [0.5, 0.0, 0.5]);
        let mut row = [0.0, 100.0];
        Post::Logistic.apply(&mut row);
        assert_eq!(row, [0.5, 1.0]);
        assert!(Post::named("PROBIT").is_err());
    }
}
