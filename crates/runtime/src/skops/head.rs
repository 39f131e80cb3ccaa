//! Estimators: linear ones here, trees in `trees`.

use super::node::Node;
use super::trees;
use crate::forest::Forest;
use crate::link::{Link, argmax, sigmoid};
use crate::{DataType, Limits, LoadError, Outputs, Port, PredictError, Role, Tensor, Values};

/// The end of a pipeline.
#[derive(Debug)]
pub(super) struct Head {
    core: Core,
    link: Link,
    /// Sums per row.
    targets: usize,
    /// scikit-learn would refuse missing values.
    complete: bool,
}

#[derive(Debug)]
pub(super) enum Core {
    /// A row of coefficients for each target, and its intercept.
    Linear { coefficients: Vec<f64>, intercepts: Vec<f64>, kind: Kind },
    /// Trees that compare in 32 bits: shares of classes or values, averaged.
    Average { forest: Forest<f32, f64>, classifies: bool },
    /// Trees that compare in 32 bits, summed from the base values.
    Sum32 { forest: Forest<f32, f64>, base: Vec<f64> },
    /// Trees that compare in 64 bits, summed from the base values.
    Sum64 { forest: Forest<f64, f64>, base: Vec<f64> },
}

/// What is done with a linear model's sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// By the link.
    Linked,
    /// Each class's own logistic function, divided by their sum.
    OneAgainstRest,
}

pub(super) fn load(node: Node<'_>, width: usize, limits: &Limits) -> Result<(Head, Option<Values>), LoadError> {
    let (module, class) = node.class();
    let regression = || Ok((linear(node, width, Kind::Linked, Link::Identity)?, None));
    match (module, class) {
        ("sklearn.linear_model._base", "LinearRegression")
        | ("sklearn.linear_model._ridge", "Ridge" | "RidgeCV")
        | ("sklearn.linear_model._coordinate_descent", "Lasso" | "LassoCV" | "ElasticNet" | "ElasticNetCV")
        | ("sklearn.svm._classes", "LinearSVR")
        | ("sklearn.linear_model._stochastic_gradient", "SGDRegressor")
        | ("sklearn.linear_model._huber", "HuberRegressor")
        | ("sklearn.linear_model._bayes", "BayesianRidge") => regression(),
        ("sklearn.linear_model._logistic", "LogisticRegression" | "LogisticRegressionCV") => logistic(node, width),
        _ => trees::load(node, width, limits),
    }
}

/// The class labels of a classifier of one output.
pub(super) fn labels(node: Node<'_>) -> Result<Values, LoadError> {
    let labels = node.get("classes_")?.labels()?;
    if labels.len() < 2 { Err(LoadError::unsupported("skops: a classifier of one class")) } else { Ok(labels) }
}

fn logistic(node: Node<'_>, width: usize) -> Result<(Head, Option<Values>), LoadError> {
    if let Some(multi) = node.find("multi_class")
        && !matches!(multi.plain()?.as_str(), Some("auto" | "deprecated"))
    {
        return Err(LoadError::unsupported("skops: a logistic regression with `multi_class`"));
    }
    let labels = labels(node)?;
    let head = match (labels.len(), node.word("solver")?.as_str()) {
        (2, _) => linear(node, width, Kind::Linked, Link::Binary(1.0))?,
        (_, "liblinear") => linear(node, width, Kind::OneAgainstRest, Link::Softmax)?,
        _ => linear(node, width, Kind::Linked, Link::Softmax)?,
    };
    let rows = if labels.len() == 2 { 1 } else { labels.len() };
    if head.targets != rows {
        return Err(LoadError::invalid("skops: a logistic regression's coefficients are not those of its classes"));
    }
    Ok((head, Some(labels)))
}

fn linear(node: Node<'_>, width: usize, kind: Kind, link: Link) -> Result<Head, LoadError> {
    let (shape, coefficients) = node.get("coef_")?.floats()?;
    let targets = match shape.as_slice() {
        [columns] if *columns == width => 1,
        [targets, columns] if *columns == width => *targets,
        _ => return Err(LoadError::invalid(format!("skops: coefficients of the shape {shape:?} for {width} columns"))),
    };
    let given = node.get("intercept_")?;
    let intercepts = match given.floats() {
        Ok((_, list)) if list.len() == targets => list,
        Ok((_, list)) if list.len() == 1 => vec![list.first().copied().unwrap_or(0.0); targets],
        _ => vec![given.number()?; targets],
    };
    if targets == 0 {
        return Err(LoadError::invalid("skops: a linear model without targets"));
    }
    Ok(Head { core: Core::Linear { coefficients, intercepts, kind }, link, targets, complete: true })
}

impl Head {
    pub(super) const fn new(core: Core, link: Link, targets: usize, complete: bool) -> Self {
        Self { core, link, targets, complete }
    }

    pub(super) fn ports(&self) -> Vec<Port> {
        match &self.core {
            Core::Average { classifies: true, .. } => {
                let probabilities = Port::matrix("probabilities", DataType::F64, self.targets).with_role(Role::Probabilities);
                vec![Port::list("label", DataType::I64, Role::Label), probabilities]
            }
            _ => self.link.ports::<f64>(self.targets),
        }
    }

    pub(super) fn predict(&self, rows: &[f64], width: usize, count: usize, limits: &Limits) -> Result<Outputs, PredictError> {
        if count.saturating_mul(self.targets) > limits.tensor_elements_max {
            return Err(PredictError::TooLarge { what: "the predictions", limit: limits.tensor_elements_max as u64 });
        }
        if self.complete && rows.iter().any(|value| !value.is_finite()) {
            return Err(PredictError::input("a value is missing or infinite, which this model does not take"));
        }
        match &self.core {
            Core::Linear { coefficients, intercepts, kind } => {
                let mut sums = Vec::with_capacity(count * self.targets);
                for row in rows.chunks_exact(width) {
                    for (coefficients, intercept) in coefficients.chunks_exact(width).zip(intercepts) {
                        let sum: f64 = row.iter().zip(coefficients).map(|(value, coefficient)| value * coefficient).sum();
                        sums.push(sum + intercept);
                    }
                }
                match kind {
                    Kind::Linked => self.link.outputs(sums, count, self.targets),
                    Kind::OneAgainstRest => shares(one_against_rest(sums, self.targets), count, self.targets),
                }
            }
            Core::Average { forest, classifies } => {
                let mut sums = vec![0.0; count * self.targets];
                forest.add_rows(&narrow(rows)?, width, &mut sums);
                let trees = forest.tree_count().max(1) as f64;
                sums.iter_mut().for_each(|sum| *sum /= trees);
                if *classifies { shares(sums, count, self.targets) } else { self.link.outputs(sums, count, self.targets) }
            }
            Core::Sum32 { forest, base } => {
                let mut sums = base.repeat(count);
                forest.add_rows(&narrow(rows)?, width, &mut sums);
                self.link.outputs(sums, count, self.targets)
            }
            Core::Sum64 { forest, base } => {
                let mut sums = base.repeat(count);
                forest.add_rows(rows, width, &mut sums);
                self.link.outputs(sums, count, self.targets)
            }
        }
    }
}

/// Rows as trees see them. What is finite must stay so.
fn narrow(rows: &[f64]) -> Result<Vec<f32>, PredictError> {
    let mut narrow = Vec::with_capacity(rows.len());
    for value in rows {
        let short = *value as f32;
        if short.is_infinite() {
            return Err(PredictError::input("a value is too large for 32 bits, which this model does not take"));
        }
        narrow.push(short);
    }
    Ok(narrow)
}

fn one_against_rest(mut scores: Vec<f64>, targets: usize) -> Vec<f64> {
    for row in scores.chunks_exact_mut(targets) {
        row.iter_mut().for_each(|score| *score = sigmoid(*score));
        let sum: f64 = row.iter().sum();
        row.iter_mut().for_each(|score| *score /= sum);
    }
    scores
}

/// Outputs where the sums are probabilities already.
fn shares(sums: Vec<f64>, count: usize, targets: usize) -> Result<Outputs, PredictError> {
    let labels = sums.chunks_exact(targets.max(1)).map(|row| argmax(row) as i64).collect();
    let mut outputs = Outputs::default();
    outputs.push("label", Role::Label, Tensor::new(vec![count], Values::I64(labels))?);
    outputs.push("probabilities", Role::Probabilities, Tensor::new(vec![count, targets], Values::F64(sums))?);
    Ok(outputs)
}
