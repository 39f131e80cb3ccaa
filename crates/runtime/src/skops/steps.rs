//! Transformers.

use super::node::Node;
use crate::{Limits, LoadError, PredictError};

/// One transformer, acting on rows of a known width.
#[derive(Debug)]
pub(super) enum Step {
    /// (x - first) / second, for each column.
    Standard(Vec<f64>, Vec<f64>),
    /// x · scale + offset, within bounds if there are any.
    Range { scale: Vec<f64>, offset: Vec<f64>, bounds: Option<(f64, f64)> },
    /// What is missing becomes the column's value.
    Impute(Vec<f64>),
    /// Each row is divided by its norm.
    Normalize(Norm),
    /// (x - mean) · components.
    Project { mean: Vec<f64>, components: Vec<f64> },
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Norm {
    L1,
    L2,
    Max,
}

pub(super) fn load(node: Node<'_>, width: usize) -> Result<Step, LoadError> {
    let (module, class) = node.class();
    let column = |name: &str| -> Result<Vec<f64>, LoadError> {
        let (_, list) = node.get(name)?.floats()?;
        if list.len() == width {
            Ok(list)
        } else {
            Err(LoadError::invalid(format!("skops: `{name}` has {} columns", list.len())))
        }
    };
    let column_if = |flag: &str, name: &str, default: f64| {
        if node.flag(flag)? { column(name) } else { Ok(vec![default; width]) }
    };
    Ok(match (module, class) {
        ("sklearn.preprocessing._data", "StandardScaler") => {
            Step::Standard(column_if("with_mean", "mean_", 0.0)?, column_if("with_std", "scale_", 1.0)?)
        }
        ("sklearn.preprocessing._data", "RobustScaler") => {
            Step::Standard(column_if("with_centering", "center_", 0.0)?, column_if("with_scaling", "scale_", 1.0)?)
        }
        ("sklearn.preprocessing._data", "MaxAbsScaler") => {
            if node.find("clip").is_some_and(|clip| clip.plain().is_ok_and(|clip| clip == true)) {
                return Err(LoadError::unsupported("skops: a MaxAbsScaler that clips"));
            }
            Step::Standard(vec![0.0; width], column("scale_")?)
        }
        ("sklearn.preprocessing._data", "MinMaxScaler") => {
            let bounds = if node.flag("clip")? {
                match node.get("feature_range")?.items()?.as_slice() {
                    [low, high] => Some((low.number()?, high.number()?)),
                    _ => return Err(LoadError::invalid("skops: a range is no pair")),
                }
            } else {
                None
            };
            Step::Range { scale: column("scale_")?, offset: column("min_")?, bounds }
        }
        ("sklearn.preprocessing._data", "Normalizer") => Step::Normalize(match node.word("norm")?.as_str() {
            "l1" => Norm::L1,
            "l2" => Norm::L2,
            "max" => Norm::Max,
            other => return Err(LoadError::unsupported(format!("skops: the norm `{}`", other.escape_default()))),
        }),
        ("sklearn.impute._base", "SimpleImputer") => imputer(node, width)?,
        ("sklearn.decomposition._pca", "PCA") => projection(node, width)?,
        _ => return Err(LoadError::unsupported(format!("skops: `{}.{}`", module.escape_default(), class.escape_default()))),
    })
}

fn imputer(node: Node<'_>, width: usize) -> Result<Step, LoadError> {
    let missing = node.get("missing_values")?;
    // NaN is not JSON; skops writes it as Python does.
    let is_nan = missing.value.get("content").and_then(serde_json::Value::as_str) == Some("NaN");
    let (_, statistics) = node.get("statistics_")?.floats()?;
    let plain = !node.flag("add_indicator")? && statistics.len() == width && !statistics.iter().any(|value| value.is_nan());
    if !is_nan || !plain {
        return Err(LoadError::unsupported("skops: an imputer of other values than NaN, with indicators or of empty columns"));
    }
    Ok(Step::Impute(statistics))
}

fn projection(node: Node<'_>, width: usize) -> Result<Step, LoadError> {
    if node.flag("whiten")? {
        return Err(LoadError::unsupported("skops: a PCA that whitens"));
    }
    let (shape, components) = node.get("components_")?.floats()?;
    let (_, mean) = node.get("mean_")?.floats()?;
    if shape.len() != 2 || shape.get(1) != Some(&width) || shape.first() == Some(&0) || mean.len() != width {
        return Err(LoadError::invalid("skops: a PCA of another width"));
    }
    Ok(Step::Project { mean, components })
}

impl Step {
    pub(super) const fn width_after(&self, width: usize) -> usize {
        match self {
            Self::Project { mean, components } => match components.len().checked_div(mean.len()) {
                Some(width) => width,
                None => 0,
            },
            _ => width,
        }
    }

    pub(super) fn apply(&self, mut rows: Vec<f64>, width: usize, limits: &Limits) -> Result<Vec<f64>, PredictError> {
        match self {
            Self::Standard(offset, scale) => {
                for row in rows.chunks_exact_mut(width) {
                    for ((value, offset), scale) in row.iter_mut().zip(offset).zip(scale) {
                        *value = (*value - offset) / scale;
                    }
                }
            }
            Self::Range { scale, offset, bounds } => {
                for row in rows.chunks_exact_mut(width) {
                    for ((value, offset), scale) in row.iter_mut().zip(offset).zip(scale) {
                        *value = *value * scale + offset;
                        match bounds {
                            Some((low, _)) if *value < *low => *value = *low,
                            Some((_, high)) if *value > *high => *value = *high,
                            _ => {}
                        }
                    }
                }
            }
            Self::Impute(statistics) => {
                for row in rows.chunks_exact_mut(width) {
                    for (value, statistic) in row.iter_mut().zip(statistics) {
                        if value.is_nan() {
                            *value = *statistic;
                        }
                    }
                }
            }
            Self::Normalize(norm) => {
                for row in rows.chunks_exact_mut(width) {
                    let norm = norm.of(row);
                    if norm != 0.0 {
                        row.iter_mut().for_each(|value| *value /= norm);
                    }
                }
            }
            Self::Project { mean, components } => {
                let after = self.width_after(width);
                if (rows.len() / width.max(1)).saturating_mul(after) > limits.tensor_elements_max {
                    return Err(PredictError::TooLarge { what: "the model's values", limit: limits.tensor_elements_max as u64 });
                }
                let mut projected = Vec::with_capacity(rows.len() / width.max(1) * after);
                for row in rows.chunks_exact(width) {
                    for component in components.chunks_exact(width) {
                        let sum = row.iter().zip(mean).zip(component).map(|((value, mean), part)| (value - mean) * part).sum();
                        projected.push(sum);
                    }
                }
                return Ok(projected);
            }
        }
        Ok(rows)
    }
}

impl Norm {
    fn of(self, row: &[f64]) -> f64 {
        match self {
            Self::L1 => row.iter().map(|value| value.abs()).sum(),
            Self::L2 => row.iter().map(|value| value * value).sum::<f64>().sqrt(),
            Self::Max => row.iter().map(|value| value.abs()).fold(0.0, f64::max),
        }
    }
}
