//! The names of metrics.

use serde::{Deserialize, Serialize};

/// A number that says how good answers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// The share of right answers.
    Accuracy,
    /// The mean over classes of the share of right answers.
    BalancedAccuracy,
    /// The harmonic mean of precision and recall.
    F1,
    /// The area under the receiver's curve.
    Auc,
    /// The mean negative logarithm of the true class's probability.
    LogLoss,
    /// The mean squared error of probabilities.
    Brier,
    /// The expected calibration error: how far confidence and accuracy lie apart.
    CalibrationError,
    /// The root of the mean squared error.
    Rmse,
    /// The mean absolute error.
    Mae,
    /// The share of the variance that is explained.
    R2,
}

impl Metric {
    /// Its name, as in a gate file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::BalancedAccuracy => "balanced_accuracy",
            Self::F1 => "f1",
            Self::Auc => "auc",
            Self::LogLoss => "log_loss",
            Self::Brier => "brier",
            Self::CalibrationError => "calibration_error",
            Self::Rmse => "rmse",
            Self::Mae => "mae",
            Self::R2 => "r2",
        }
    }

    /// Whether more is better.
    #[must_use]
    pub const fn more_is_better(self) -> bool {
        matches!(self, Self::Accuracy | Self::BalancedAccuracy | Self::F1 | Self::Auc | Self::R2)
    }

    /// The least and the greatest that it can be.
    #[must_use]
    pub const fn range(self) -> (f64, f64) {
        match self {
            Self::Accuracy | Self::BalancedAccuracy | Self::F1 | Self::Auc | Self::Brier | Self::CalibrationError => (0.0, 1.0),
            Self::LogLoss | Self::Rmse | Self::Mae => (0.0, f64::INFINITY),
            Self::R2 => (f64::NEG_INFINITY, 1.0),
        }
    }

    /// Whether it is of numbers rather than of classes.
    #[must_use]
    pub const fn of_numbers(self) -> bool {
        matches!(self, Self::Rmse | Self::Mae | Self::R2)
    }

    /// Whether it needs probabilities.
    #[must_use]
    pub const fn of_probabilities(self) -> bool {
        matches!(self, Self::Auc | Self::LogLoss | Self::Brier | Self::CalibrationError)
    }
}
