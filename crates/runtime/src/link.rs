//! From a sum of leaves to a prediction.

use crate::{DataType, Outputs, Port, PredictError, Predicts, Role, Tensor, Values};

/// A float type that sums and links are computed in.
pub(crate) trait Real:
    Copy + Default + PartialOrd + std::ops::AddAssign + std::ops::Mul<Output = Self> + Send + Sync + std::fmt::Debug + 'static
{
    const TYPE: DataType;
    const ONE: Self;
    fn exp(self) -> Self;
    fn ln_1p(self) -> Self;
    fn minus(self, other: Self) -> Self;
    fn over(self, other: Self) -> Self;
    fn of(value: f64) -> Self;
    fn wide(self) -> f64;
    fn values(list: Vec<Self>) -> Values;
    fn view(values: &Values) -> Option<&[Self]>;
    fn convert(values: &Values) -> Result<Vec<Self>, PredictError>;
}

macro_rules! real {
    ($name:ident, $type:ident, $convert:ident) => {
        impl Real for $name {
            const TYPE: DataType = DataType::$type;
            const ONE: Self = 1.0;
            fn exp(self) -> Self {
                self.exp()
            }
            fn ln_1p(self) -> Self {
                self.ln_1p()
            }
            fn minus(self, other: Self) -> Self {
                self - other
            }
            fn over(self, other: Self) -> Self {
                self / other
            }
            fn of(value: f64) -> Self {
                value as Self
            }
            fn wide(self) -> f64 {
                f64::from(self)
            }
            fn values(list: Vec<Self>) -> Values {
                Values::$type(list)
            }
            fn view(values: &Values) -> Option<&[Self]> {
                if let Values::$type(list) = values { Some(list) } else { None }
            }
            fn convert(values: &Values) -> Result<Vec<Self>, PredictError> {
                values.$convert()
            }
        }
    };
}
real!(f32, F32, to_f32);
real!(f64, F64, to_f64);

/// What is done to the sums of a booster.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Link {
    /// Nothing.
    Identity,
    /// e^x
    Exp,
    /// x·|x|, the inverse of a signed square root.
    SignedSquare,
    /// ln(1 + e^x)
    Softplus,
    /// 1 / (1 + e^(-k·x)) of a regression.
    Logistic,
    /// Two classes: the probability of the second is the logistic function of k·x.
    Binary(f64),
    /// Two classes, by the sign alone.
    Hinge,
    /// One class per sum: softmax.
    Softmax,
    /// One class per sum, each logistic with k, not normalised.
    EachLogistic(f64),
}

pub(crate) fn sigmoid<W: Real>(value: W) -> W {
    let mut below = W::default().minus(value).exp();
    below += W::ONE;
    W::ONE.over(below)
}

/// In place over one row.
pub(crate) fn softmax<W: Real>(row: &mut [W]) {
    let Some(mut max) = row.first().copied() else { return };
    for value in &*row {
        if *value > max {
            max = *value;
        }
    }
    let mut sum = W::default();
    for value in &mut *row {
        *value = value.minus(max).exp();
        sum += *value;
    }
    for value in row {
        *value = value.over(sum);
    }
}

/// The first greatest value's place.
pub(crate) fn argmax<W: PartialOrd>(row: &[W]) -> usize {
    let mut best = 0;
    let mut best_value = row.first();
    for (place, value) in row.iter().enumerate().skip(1) {
        if best_value.is_some_and(|best_value| value > best_value) {
            best = place;
            best_value = Some(value);
        }
    }
    best
}

impl Link {
    pub(crate) const fn classifies(self) -> bool {
        matches!(self, Self::Binary(_) | Self::Hinge | Self::Softmax | Self::EachLogistic(_))
    }

    /// What a booster gives that is asked as it is.
    pub(crate) const fn predicts(self) -> Predicts {
        match self {
            Self::Binary(_) => Predicts::SecondChance,
            Self::Softmax | Self::EachLogistic(_) => Predicts::Chances,
            _ => Predicts::Labels,
        }
    }

    /// The outputs' ports for `targets` sums per row.
    pub(crate) fn ports<W: Real>(self, targets: usize) -> Vec<Port> {
        if self.classifies() {
            let classes = if matches!(self, Self::Binary(_) | Self::Hinge) { 2 } else { targets };
            let probabilities = Port::matrix("probabilities", W::TYPE, classes).with_role(Role::Probabilities);
            return vec![Port::list("label", DataType::I64, Role::Label), probabilities];
        }
        if targets == 1 {
            return vec![Port::list("predictions", W::TYPE, Role::Value)];
        }
        vec![Port::matrix("predictions", W::TYPE, targets)]
    }

    /// The outputs of `rows` rows of `targets` sums.
    pub(crate) fn outputs<W: Real>(self, mut sums: Vec<W>, rows: usize, targets: usize) -> Result<Outputs, PredictError> {
        let mut outputs = Outputs::default();
        let (labels, probabilities, classes) = match self {
            Self::Binary(scale) => {
                let ones: Vec<W> = sums.iter().map(|sum| sigmoid(*sum * W::of(scale))).collect();
                binary(&ones)
            }
            Self::Hinge => {
                let ones: Vec<W> = sums.iter().map(|sum| if *sum > W::default() { W::ONE } else { W::default() }).collect();
                binary(&ones)
            }
            Self::Softmax | Self::EachLogistic(_) => {
                let mut labels = Vec::with_capacity(rows);
                for row in sums.chunks_exact_mut(targets.max(1)) {
                    if let Self::EachLogistic(scale) = self {
                        row.iter_mut().for_each(|value| *value = sigmoid(*value * W::of(scale)));
                    } else {
                        softmax(row);
                    }
                    labels.push(argmax(row) as i64);
                }
                (labels, sums, targets)
            }
            _ => {
                sums.iter_mut().for_each(|sum| *sum = self.of_regression(*sum));
                let shape = if targets == 1 { vec![rows] } else { vec![rows, targets] };
                outputs.push("predictions", Role::Value, Tensor::new(shape, W::values(sums))?);
                return Ok(outputs);
            }
        };
        outputs.push("label", Role::Label, Tensor::new(vec![rows], Values::I64(labels))?);
        outputs.push("probabilities", Role::Probabilities, Tensor::new(vec![rows, classes], W::values(probabilities))?);
        Ok(outputs)
    }

    fn of_regression<W: Real>(self, sum: W) -> W {
        match self {
            Self::Exp => sum.exp(),
            Self::SignedSquare if sum < W::default() => W::default().minus(sum * sum),
            Self::SignedSquare => sum * sum,
            Self::Softplus => sum.exp().ln_1p(),
            Self::Logistic => sigmoid(sum),
            _ => sum,
        }
    }
}

/// Labels and both probabilities from those of the second class.
fn binary<W: Real>(ones: &[W]) -> (Vec<i64>, Vec<W>, usize) {
    let half = W::of(0.5);
    let labels = ones.iter().map(|one| i64::from(*one > half)).collect();
    let both = ones.iter().flat_map(|one| [W::ONE.minus(*one), *one]).collect();
    (labels, both, 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_the_textbooks() {
        let mut row = [1.0_f64, 2.0, 3.0];
        softmax(&mut row);
        assert!((row[2] - 0.665_240_955_774_821_6).abs() < 1e-12);
        assert!((sigmoid(0.0_f32) - 0.5).abs() < 1e-7);
        assert_eq!(argmax(&[1.0, 3.0, 3.0]), 1);
        let outputs = Link::Binary(1.0).outputs(vec![-1.0_f64, 2.0], 2, 1).unwrap();
        assert_eq!(outputs.labels(), Some(&Values::I64(vec![0, 1])));
        assert_eq!(outputs.probabilities().unwrap().shape(), &[2, 2]);
        let outputs = Link::SignedSquare.outputs(vec![-2.0_f64, 3.0], 2, 1).unwrap();
        assert_eq!(outputs.value().unwrap().values(), &Values::F64(vec![-4.0, 9.0]));
    }

    #[test]
    fn extremes_do_not_become_nan() {
        let mut row = [1e30_f32, -1e30];
        softmax(&mut row);
        assert_eq!(row, [1.0, 0.0]);
        assert_eq!(sigmoid(-1e30_f32), 0.0);
    }
}
