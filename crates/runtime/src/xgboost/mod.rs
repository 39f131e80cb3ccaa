//! XGBoost's own files, JSON and UBJ (version 1.0 and later): `gbtree`, `dart` and `gblinear`.
//!
//! Features are 32-bit floats, NaN is missing, `x < threshold` goes left, sums are 32-bit.

mod file;
mod ubj;

use self::file::{Booster, File, Learner, Tree, Trees};
use crate::forest::{BELOW_LEFT, Forest, MISSING_LEFT, Piece, SET_RIGHT};
use crate::link::Link;
use crate::{Batch, DataType, Limits, LoadError, Outputs, Port, PredictError, Predicts, Signature};

/// A booster, ready to be asked.
#[derive(Debug)]
pub(crate) struct Xgboost {
    core: Core,
    /// What the sums start from, per target.
    base: Vec<f32>,
    link: Link,
    /// Whether the objective is one of which `predict` gives classes.
    tells_classes: bool,
    signature: Signature,
    limits: Limits,
}

#[derive(Debug)]
enum Core {
    Trees(Forest<f32, f32>),
    /// `weights[feature × targets + target]`, the biases last.
    Linear(Vec<f32>),
}

impl Xgboost {
    pub(crate) fn load_json(bytes: &[u8], limits: &Limits) -> Result<Self, LoadError> {
        let file: File = serde_json::from_slice(bytes).map_err(|error| LoadError::invalid(format!("XGBoost JSON: {error}")))?;
        Self::of(file, limits)
    }

    pub(crate) fn load_ubj(bytes: &[u8], limits: &Limits) -> Result<Self, LoadError> {
        let mut ubj = ubj::Ubj::new(bytes, limits.nesting_max);
        let file: File = serde::Deserialize::deserialize(&mut ubj)
            .map_err(|error: ubj::Error| LoadError::invalid(format!("XGBoost UBJ: {error}")))?;
        if !ubj.at_end() {
            return Err(LoadError::invalid("XGBoost UBJ: there are bytes behind the model"));
        }
        Self::of(file, limits)
    }

    fn of(file: File, limits: &Limits) -> Result<Self, LoadError> {
        let File { learner, version } = file;
        let classes = learner.number("num_class", 0)?;
        let targets = learner.number("num_target", 1)?.max(classes).max(1);
        let features = learner.number("num_feature", 0)?;
        if targets > limits.width_max || features > limits.width_max || features == 0 {
            return Err(LoadError::TooLarge { what: "features or classes (or none)", limit: limits.width_max as u64 });
        }
        let (link, probability_base) = link_of(&learner.objective.name)?;
        // What its base score means before version 3 was not compared.
        if learner.objective.name == "binary:logitraw" && version.first().is_none_or(|major| *major < 3) {
            return Err(LoadError::unsupported("the XGBoost objective `binary:logitraw` before version 3"));
        }
        let base = base_of(&learner, targets, probability_base)?;
        // The library adds the first class's base score to all of them.
        if learner.gradient_booster.name == "gblinear" && base.iter().any(|score| Some(score) != base.first()) {
            return Err(LoadError::unsupported("a linear XGBoost booster with a base score for each class"));
        }
        let tells_classes = matches!(learner.objective.name.as_str(), "multi:softmax" | "binary:hinge");
        let core = match learner.gradient_booster {
            Booster { name, model: Some(model), .. } if name == "gblinear" => linear(model.weights, features, targets)?,
            Booster { name, model: Some(model), .. } if name == "gbtree" => {
                trees(model, None, features, targets, learner.attributes.iterations()?, limits)?
            }
            Booster { name, gbtree: Some(inner), weight_drop, .. } if name == "dart" => {
                let model = inner.model.ok_or_else(|| LoadError::invalid("a dart booster without trees"))?;
                trees(model, Some(&weight_drop), features, targets, learner.attributes.iterations()?, limits)?
            }
            other => return Err(LoadError::unsupported(format!("the XGBoost booster `{}`", other.name))),
        };
        let mut input = Port::matrix("input", DataType::F32, features);
        if !learner.feature_names.is_empty() {
            if learner.feature_names.len() != features {
                return Err(LoadError::invalid(format!("{} feature names for {features} features", learner.feature_names.len())));
            }
            input.columns = learner.feature_names;
        }
        let signature = Signature { inputs: vec![input], outputs: link.ports::<f32>(targets), classes: Vec::new() };
        Ok(Self { core, base, link, tells_classes, signature, limits: *limits })
    }

    /// What `Booster.predict` gives.
    pub(crate) const fn booster_predicts(&self) -> Predicts {
        if self.tells_classes { Predicts::Labels } else { self.link.predicts() }
    }

    pub(crate) const fn signature(&self) -> &Signature {
        &self.signature
    }

    pub(crate) fn predict(&self, batch: &Batch) -> Result<Outputs, PredictError> {
        let Some(port) = self.signature.inputs.first() else { return Err(PredictError::model("it has no input")) };
        let rows = batch.matrix_for::<f32>(port, &self.limits)?;
        let (width, targets) = (port.shape.get(1).copied().flatten().unwrap_or(1), self.base.len());
        if batch.rows().saturating_mul(targets) > self.limits.tensor_elements_max {
            return Err(PredictError::TooLarge { what: "the predictions", limit: self.limits.tensor_elements_max as u64 });
        }
        let mut sums = Vec::with_capacity(batch.rows() * targets);
        for _ in 0..batch.rows() {
            sums.extend_from_slice(&self.base);
        }
        match &self.core {
            Core::Trees(forest) => forest.add_rows(&rows, width, &mut sums),
            Core::Linear(weights) => {
                for (row, sums) in rows.chunks_exact(width).zip(sums.chunks_exact_mut(targets)) {
                    add_linear(row, weights, sums);
                }
            }
        }
        self.link.outputs(sums, batch.rows(), targets)
    }
}

fn add_linear(row: &[f32], weights: &[f32], sums: &mut [f32]) {
    let (features, bias) = weights.split_at(row.len() * sums.len());
    for (sum, bias) in sums.iter_mut().zip(bias) {
        *sum += bias;
    }
    for (value, weights) in row.iter().zip(features.chunks_exact(sums.len().max(1))) {
        // What is missing adds nothing.
        if !value.is_nan() {
            for (sum, weight) in sums.iter_mut().zip(weights) {
                *sum += value * weight;
            }
        }
    }
}

/// The link of an objective, and whether its base score is a probability.
fn link_of(name: &str) -> Result<(Link, bool), LoadError> {
    Ok(match name {
        "reg:squarederror" | "reg:linear" | "reg:squaredlogerror" | "reg:pseudohubererror" | "reg:absoluteerror" => {
            (Link::Identity, false)
        }
        "rank:pairwise" | "rank:ndcg" | "rank:map" | "reg:quantileerror" | "binary:logitraw" => (Link::Identity, false),
        "reg:logistic" => (Link::Logistic, true),
        "binary:logistic" => (Link::Binary(1.0), true),
        "binary:hinge" => (Link::Hinge, false),
        "multi:softprob" | "multi:softmax" => (Link::Softmax, false),
        "count:poisson" | "reg:gamma" | "reg:tweedie" | "survival:cox" | "survival:aft" => (Link::Exp, false),
        _ => return Err(LoadError::unsupported(format!("the XGBoost objective `{name}`"))),
    })
}

/// The base score is stored as a user would see it; the sums start from its margin.
fn base_of(learner: &Learner, targets: usize, probability: bool) -> Result<Vec<f32>, LoadError> {
    let given = learner.param("base_score").unwrap_or("0.5");
    let numbers: Result<Vec<f32>, _> = given.trim_matches(['[', ']']).split(',').map(|number| number.trim().parse()).collect();
    let mut numbers = numbers.map_err(|_| LoadError::invalid(format!("the base score `{given}`")))?;
    if let ([only], true) = (numbers.as_slice(), targets > 1) {
        numbers = vec![*only; targets];
    }
    if numbers.len() != targets || numbers.iter().any(|number| !number.is_finite()) {
        return Err(LoadError::invalid(format!("the base score `{given}` for {targets} targets")));
    }
    let logarithm = matches!(
        learner.objective.name.as_str(),
        "count:poisson" | "reg:gamma" | "reg:tweedie" | "survival:cox" | "survival:aft"
    );
    for number in &mut numbers {
        if probability {
            if !(*number > 0.0 && *number < 1.0) {
                return Err(LoadError::invalid(format!("the base score `{given}` is no probability")));
            }
            *number = -(1.0 / *number - 1.0).ln();
        } else if logarithm {
            if *number <= 0.0 {
                return Err(LoadError::invalid(format!("the base score `{given}` is not positive")));
            }
            *number = number.ln();
        }
    }
    Ok(numbers)
}

fn linear(weights: Vec<f32>, features: usize, targets: usize) -> Result<Core, LoadError> {
    if Some(weights.len()) != (features + 1).checked_mul(targets) {
        return Err(LoadError::invalid(format!("{} weights for {features} features and {targets} targets", weights.len())));
    }
    Ok(Core::Linear(weights))
}

fn trees(
    model: Trees,
    drops: Option<&[f32]>,
    features: usize,
    targets: usize,
    iterations: Option<usize>,
    limits: &Limits,
) -> Result<Core, LoadError> {
    if model.cats.as_ref().is_some_and(file::Cats::recodes) {
        return Err(LoadError::unsupported("an XGBoost model that recodes its categories"));
    }
    if model.tree_info.len() != model.trees.len() || drops.is_some_and(|drops| drops.len() != model.trees.len()) {
        return Err(LoadError::invalid("the number of trees is not that of their classes or weights"));
    }
    let used = used_trees(&model, iterations, targets)?;
    let mut forest = Forest::new(targets, *limits)?;
    for (number, (tree, target)) in model.trees.iter().zip(&model.tree_info).enumerate().take(used) {
        let target = u32::try_from(*target).map_err(|_| LoadError::invalid("a tree of a negative class"))?;
        let scale = match drops {
            None => 1.0,
            Some(drops) => drops.get(number).copied().unwrap_or(1.0),
        };
        add_tree(&mut forest, tree, target, scale, features)?;
    }
    Ok(Core::Trees(forest))
}

/// How many trees the best iteration of an early stop leaves.
fn used_trees(model: &Trees, iterations: Option<usize>, targets: usize) -> Result<usize, LoadError> {
    let Some(iterations) = iterations else { return Ok(model.trees.len()) };
    let found = if model.iteration_indptr.is_empty() {
        let parallel = model.gbtree_model_param.get("num_parallel_tree").and_then(|text| text.parse::<usize>().ok()).unwrap_or(1);
        iterations.checked_mul(targets).and_then(|trees| trees.checked_mul(parallel.max(1)))
    } else {
        model.iteration_indptr.get(iterations).copied().and_then(|end| usize::try_from(end).ok())
    };
    found.filter(|end| *end <= model.trees.len()).ok_or_else(|| LoadError::invalid("its best iteration has no trees"))
}

fn add_tree(forest: &mut Forest<f32, f32>, tree: &Tree, target: u32, scale: f32, features: usize) -> Result<(), LoadError> {
    if tree.leaf_width() > 1 {
        return Err(LoadError::unsupported("an XGBoost tree with several values in a leaf"));
    }
    let short = || LoadError::invalid("a tree's lists have different lengths");
    forest.add_tree(tree.left_children.len(), 0, |id| {
        let left = *tree.left_children.get(id).ok_or_else(short)?;
        let right = *tree.right_children.get(id).ok_or_else(short)?;
        let threshold = *tree.split_conditions.get(id).ok_or_else(short)?;
        if left == -1 && right == -1 {
            return Ok(Piece::Leaf(vec![(target, threshold * scale)]));
        }
        let child = |child: i32| usize::try_from(child).map_err(|_| LoadError::invalid("a tree has one child below zero"));
        let (left, right) = (child(left)?, child(right)?);
        let feature = u32::try_from(*tree.split_indices.get(id).ok_or_else(short)?).map_err(|_| short())?;
        if feature as usize >= features {
            return Err(LoadError::invalid(format!("a split by feature {feature} of {features}")));
        }
        let missing = if tree.default_left.get(id).ok_or_else(short)?.0 { MISSING_LEFT } else { 0 };
        match tree.split_type.get(id).copied().unwrap_or(0) {
            0 if threshold.is_nan() => Err(LoadError::invalid("a split by a missing number")),
            0 => Ok(Piece::Split { feature, threshold, flags: BELOW_LEFT | missing, left, right }),
            1 => Ok(Piece::Categories { feature, words: tree.categories_of(id)?, flags: SET_RIGHT | missing, left, right }),
            other => Err(LoadError::unsupported(format!("the XGBoost split type {other}"))),
        }
    })
}

#[cfg(test)]
mod tests;
