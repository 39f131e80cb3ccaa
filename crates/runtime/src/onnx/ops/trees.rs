//! `TreeEnsembleClassifier`, `TreeEnsembleRegressor` (versions 1 and 3) and `TreeEnsemble` (version 5).

mod read;

use super::post::Post;
use super::{Inputs, Loaded, Request, chosen};
use crate::forest::{ABOVE_LEFT, BELOW_LEFT, EQUAL_LEFT, Forest, MISSING_LEFT, Piece};
use crate::link::{Real, argmax};
use crate::{LoadError, PredictError, Tensor, Values};

/// A forest in the file's precision.
pub(super) enum Ensemble {
    F32(Forest<f32, f32>),
    F64(Forest<f64, f64>),
}

/// What is done with a sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Aggregate {
    Sum,
    Average,
}

pub(super) fn load(request: &mut Request<'_>) -> Result<Loaded, LoadError> {
    match request.op {
        "TreeEnsembleClassifier" => classifier(request),
        "TreeEnsembleRegressor" => regressor(request),
        _ => ensemble(request),
    }
}

fn classifier(request: &mut Request<'_>) -> Result<Loaded, LoadError> {
    let labels = request.attributes.labels("classlabels_strings", "classlabels_int64s")?;
    let post = Post::named(&request.attributes.text("post_transform", "NONE")?)?;
    let base = read::base(request)?;
    let leaves = read::leaves(request, "class")?;
    let positive = leaves.all_positive();
    let single = leaves.only_target();
    let count = labels.len();
    let layout = match (count, single) {
        (2, Some(0)) if base.len() <= 1 && matches!(post, Post::None | Post::Logistic) => {
            if positive {
                Layout::Probability(post)
            } else {
                Layout::Margin(post)
            }
        }
        (3.., _) if base.is_empty() || base.len() == count => Layout::PerClass(post),
        _ => return Err(LoadError::unsupported("an ONNX tree classifier of this layout of classes and base values")),
    };
    let targets = if count == 2 { 1 } else { count };
    let trees = read::trees(request, leaves, targets)?;
    let start = if base.is_empty() { vec![0.0; targets] } else { base };
    let classes = labels.clone();
    let run = move |inputs: &Inputs<'_>| {
        let input = inputs.get(0)?;
        let sums = trees.sums(input, &start, inputs)?;
        let rows = sums.len() / targets;
        inputs.room(rows, count)?;
        let (places, scores) = layout.outcome(sums, targets);
        Ok(vec![chosen(&labels, &places)?, Tensor::new(vec![rows, count], Values::F32(scores))?])
    };
    Ok(Loaded::new(run).classifier(&classes))
}

/// How sums become classes.
#[derive(Clone, Copy)]
enum Layout {
    /// Two classes, one sum of positive weights: above one half is the second, whatever the transform makes of it.
    Probability(Post),
    /// Two classes, one sum: its sign.
    Margin(Post),
    /// A sum per class.
    PerClass(Post),
}

impl Layout {
    fn outcome(self, mut sums: Vec<f32>, targets: usize) -> (Vec<usize>, Vec<f32>) {
        match self {
            Self::Probability(post) => {
                let places = sums.iter().map(|sum| usize::from(*sum > 0.5)).collect();
                let row = |sum: &f32| if post == Post::None { [1.0 - *sum, *sum] } else { both(*sum, post) };
                (places, sums.iter().flat_map(row).collect())
            }
            Self::Margin(post) => {
                let places = sums.iter().map(|sum| usize::from(*sum > 0.0)).collect();
                (places, sums.iter().flat_map(|sum| both(*sum, post)).collect())
            }
            Self::PerClass(post) => {
                let mut places = Vec::with_capacity(sums.len() / targets.max(1));
                for row in sums.chunks_exact_mut(targets.max(1)) {
                    places.push(argmax(row));
                    post.apply(row);
                }
                (places, sums)
            }
        }
    }
}

/// A margin for both classes.
fn both(sum: f32, post: Post) -> [f32; 2] {
    let mut row = [-sum, sum];
    post.apply(&mut row);
    row
}

fn regressor(request: &mut Request<'_>) -> Result<Loaded, LoadError> {
    let aggregate = match request.attributes.text("aggregate_function", "SUM")?.as_str() {
        "SUM" => Aggregate::Sum,
        "AVERAGE" => Aggregate::Average,
        other => return Err(LoadError::unsupported(format!("ONNX's aggregate function `{}`", other.escape_default()))),
    };
    if request.attributes.text("post_transform", "NONE")? != "NONE" {
        return Err(LoadError::unsupported("an ONNX tree regressor with a post-transform"));
    }
    let targets = request.attributes.integer("n_targets", 1);
    let targets = usize::try_from(targets).map_err(|_| LoadError::invalid("ONNX: a negative number of targets"))?;
    let base = read::base(request)?;
    if !base.is_empty() && base.len() != targets {
        return Err(LoadError::invalid(format!("ONNX: {} base values for {targets} targets", base.len())));
    }
    let leaves = read::leaves(request, "target")?;
    let trees = read::trees(request, leaves, targets)?;
    Ok(regression(trees, base, targets, aggregate))
}

fn ensemble(request: &mut Request<'_>) -> Result<Loaded, LoadError> {
    let aggregate = match request.attributes.integer("aggregate_function", 1) {
        0 => Aggregate::Average,
        1 => Aggregate::Sum,
        other => return Err(LoadError::unsupported(format!("ONNX's aggregate function {other}"))),
    };
    if request.attributes.integer("post_transform", 0) != 0 {
        return Err(LoadError::unsupported("an ONNX tree ensemble with a post-transform"));
    }
    let targets = request.attributes.integer("n_targets", 1);
    let targets = usize::try_from(targets).map_err(|_| LoadError::invalid("ONNX: a negative number of targets"))?;
    let trees = read::ensemble(request, targets)?;
    Ok(regression(trees, Vec::new(), targets, aggregate))
}

fn regression(trees: Ensemble, base: Vec<f32>, targets: usize, aggregate: Aggregate) -> Loaded {
    let divisor = if aggregate == Aggregate::Average { trees.tree_count().max(1) as f32 } else { 1.0 };
    Loaded::one(move |inputs| {
        let mut sums = trees.sums(inputs.get(0)?, &vec![0.0; targets], inputs)?;
        if divisor != 1.0 {
            sums.iter_mut().for_each(|sum| *sum /= divisor);
        }
        if !base.is_empty() {
            for row in sums.chunks_exact_mut(targets) {
                row.iter_mut().zip(&base).for_each(|(sum, base)| *sum += base);
            }
        }
        let rows = sums.len() / targets;
        Tensor::new(vec![rows, targets], Values::F32(sums))
    })
}

impl Ensemble {
    fn tree_count(&self) -> usize {
        match self {
            Self::F32(forest) => forest.tree_count(),
            Self::F64(forest) => forest.tree_count(),
        }
    }

    /// The sums of every row, from `start`.
    fn sums(&self, input: &Tensor, start: &[f32], inputs: &Inputs<'_>) -> Result<Vec<f32>, PredictError> {
        match self {
            Self::F32(forest) => sums(forest, input, start, inputs),
            Self::F64(forest) => {
                let start: Vec<f64> = start.iter().map(|value| f64::from(*value)).collect();
                Ok(sums(forest, input, &start, inputs)?.into_iter().map(|sum| sum as f32).collect())
            }
        }
    }
}

fn sums<T: Real>(forest: &Forest<T, T>, input: &Tensor, start: &[T], inputs: &Inputs<'_>) -> Result<Vec<T>, PredictError>
where
    f32: crate::forest::Against<T>,
    f64: crate::forest::Against<T>,
{
    let (rows, width) = input.rows_and_columns();
    if width < forest.feature_count() {
        return Err(PredictError::model(format!("its trees ask for {} columns, there are {width}", forest.feature_count())));
    }
    let mut sums = Vec::with_capacity(inputs.room(rows, start.len())?);
    for _ in 0..rows {
        sums.extend_from_slice(start);
    }
    match input.values() {
        Values::F32(values) => forest.add_rows(values, width, &mut sums),
        Values::F64(values) => forest.add_rows(values, width, &mut sums),
        other => forest.add_rows(&other.to_f32()?, width, &mut sums),
    }
    Ok(sums)
}

/// Which way a comparison goes left, by the name that version 1 uses and the number that version 5 does.
fn mode(name: &[u8], number: Option<i64>) -> Result<Option<u8>, LoadError> {
    Ok(Some(match (name, number) {
        (b"LEAF", None) => return Ok(None),
        (b"BRANCH_LEQ", None) | (_, Some(0)) => BELOW_LEFT | EQUAL_LEFT,
        (b"BRANCH_LT", None) | (_, Some(1)) => BELOW_LEFT,
        (b"BRANCH_GTE", None) | (_, Some(2)) => ABOVE_LEFT | EQUAL_LEFT,
        (b"BRANCH_GT", None) | (_, Some(3)) => ABOVE_LEFT,
        (b"BRANCH_EQ", None) | (_, Some(4)) => EQUAL_LEFT,
        // What is missing equals nothing.
        (b"BRANCH_NEQ", None) | (_, Some(5)) => ABOVE_LEFT | BELOW_LEFT | MISSING_LEFT,
        _ => return Err(LoadError::unsupported(format!("the ONNX branch mode `{}` {number:?}", name.escape_ascii()))),
    }))
}

/// A split by a value that can be compared.
fn split<T: Real, W>(feature: i64, threshold: T, flags: u8, left: usize, right: usize) -> Result<Piece<T, W>, LoadError> {
    let feature = u32::try_from(feature).map_err(|_| LoadError::invalid(format!("ONNX: a split by feature {feature}")))?;
    if threshold.wide().is_nan() {
        return Err(LoadError::invalid("ONNX: a split by a missing number"));
    }
    Ok(Piece::Split { feature, threshold, flags, left, right })
}
