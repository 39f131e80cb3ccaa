//! `LinearClassifier` and `LinearRegressor`.

use super::post::Post;
use super::{Inputs, Loaded, Request, chosen};
use crate::link::argmax;
use crate::{LoadError, PredictError, Tensor, Values};

pub(super) fn load(request: &mut Request<'_>) -> Result<Loaded, LoadError> {
    let coefficients = request.attributes.floats("coefficients");
    let mut intercepts = request.attributes.floats("intercepts");
    let post = Post::named(&request.attributes.text("post_transform", "NONE")?)?;
    let classifies = request.op == "LinearClassifier";
    let labels = if classifies {
        request.attributes.skip("multi_class");
        Some(request.attributes.labels("classlabels_strings", "classlabels_ints")?)
    } else {
        None
    };
    let targets = match &labels {
        Some(labels) => labels.len(),
        None => usize::try_from(request.attributes.integer("targets", 1)).unwrap_or(0),
    };
    if targets == 0
        || targets > request.limits.width_max
        || coefficients.is_empty()
        || !coefficients.len().is_multiple_of(targets)
    {
        return Err(LoadError::invalid(format!("ONNX: {} coefficients for {targets} targets", coefficients.len())));
    }
    if labels.is_some() && (intercepts.len() != targets || targets < 2) {
        return Err(LoadError::unsupported("an ONNX linear classifier without one row of coefficients for each class"));
    }
    if labels.is_none() && intercepts.is_empty() {
        intercepts = vec![0.0; targets];
    }
    if intercepts.len() != targets || (labels.is_none() && post != Post::None) {
        return Err(LoadError::unsupported("an ONNX linear regressor with a post-transform or too few intercepts"));
    }
    let Some(labels) = labels else {
        return Ok(Loaded::one(move |inputs| {
            let (rows, scores) = scores(inputs, &coefficients, &intercepts)?;
            Tensor::new(vec![rows, targets], Values::F32(scores))
        }));
    };
    let classes = labels.clone();
    let run = move |inputs: &Inputs<'_>| {
        let (rows, mut scores) = scores(inputs, &coefficients, &intercepts)?;
        let mut places = Vec::with_capacity(rows);
        for row in scores.chunks_exact_mut(targets) {
            places.push(argmax(row));
            post.apply(row);
        }
        Ok(vec![chosen(&labels, &places)?, Tensor::new(vec![rows, targets], Values::F32(scores))?])
    };
    Ok(Loaded::new(run).classifier(&classes))
}

/// Every row against every target's coefficients.
fn scores(inputs: &Inputs<'_>, coefficients: &[f32], intercepts: &[f32]) -> Result<(usize, Vec<f32>), PredictError> {
    let input = inputs.get(0)?;
    let (rows, width) = input.rows_and_columns();
    if width.checked_mul(intercepts.len()) != Some(coefficients.len()) || width == 0 {
        return Err(PredictError::model(format!("it has {} coefficients, there are {width} columns", coefficients.len())));
    }
    let converted;
    let values = if let Values::F32(values) = input.values() {
        values
    } else {
        converted = input.values().to_f32()?;
        &converted
    };
    let mut scores = Vec::with_capacity(inputs.room(rows, intercepts.len())?);
    for row in values.chunks_exact(width) {
        for (coefficients, intercept) in coefficients.chunks_exact(width).zip(intercepts) {
            scores.push(dot(row, coefficients) + intercept);
        }
    }
    Ok((rows, scores))
}

/// In 64 bits, rounded once.
pub(super) fn dot(left: &[f32], right: &[f32]) -> f32 {
    left.iter().zip(right).map(|(left, right)| f64::from(*left) * f64::from(*right)).sum::<f64>() as f32
}
