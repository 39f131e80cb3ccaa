//! scikit-learn's trees and their ensembles.

use super::head::{Core, Head, labels};
use super::node::Node;
use super::npy::Array;
use crate::forest::{BELOW_LEFT, EQUAL_LEFT, Forest, MISSING_LEFT, Piece, floor_f32};
use crate::link::Link;
use crate::{Limits, LoadError, Values};

/// What scikit-learn keeps away from 0 and 1 when it takes a logarithm of class shares.
const SHARE_MIN: f64 = f32::EPSILON as f64;

type Loaded = (Head, Option<Values>);

pub(super) fn load(node: Node<'_>, width: usize, limits: &Limits) -> Result<Loaded, LoadError> {
    let (module, class) = node.class();
    match (module, class) {
        ("sklearn.tree._classes", "DecisionTreeClassifier" | "ExtraTreeClassifier") => {
            average(node, &[node], true, width, limits)
        }
        ("sklearn.tree._classes", "DecisionTreeRegressor" | "ExtraTreeRegressor") => average(node, &[node], false, width, limits),
        ("sklearn.ensemble._forest", "RandomForestClassifier" | "ExtraTreesClassifier") => {
            average(node, &node.get("estimators_")?.items()?, true, width, limits)
        }
        ("sklearn.ensemble._forest", "RandomForestRegressor" | "ExtraTreesRegressor") => {
            average(node, &node.get("estimators_")?.items()?, false, width, limits)
        }
        ("sklearn.ensemble._gb", "GradientBoostingClassifier") => gradient(node, true, width, limits),
        ("sklearn.ensemble._gb", "GradientBoostingRegressor") => gradient(node, false, width, limits),
        (HISTOGRAM, "HistGradientBoostingClassifier") => histogram(node, true, width, limits),
        (HISTOGRAM, "HistGradientBoostingRegressor") => histogram(node, false, width, limits),
        _ => Err(LoadError::unsupported(format!("skops: `{}.{}`", module.escape_default(), class.escape_default()))),
    }
}

const HISTOGRAM: &str = "sklearn.ensemble._hist_gradient_boosting.gradient_boosting";

fn average(node: Node<'_>, trees: &[Node<'_>], classifies: bool, width: usize, limits: &Limits) -> Result<Loaded, LoadError> {
    let labels = if classifies { Some(labels(node)?) } else { None };
    let targets = labels.as_ref().map_or(1, Values::len);
    let mut forest = Forest::new(targets, *limits)?;
    for tree in trees {
        add_tree(&mut forest, *tree, Leaves::Targets { count: targets, shares: classifies }, width)?;
    }
    if trees.is_empty() {
        return Err(LoadError::invalid("skops: a forest without trees"));
    }
    Ok((Head::new(Core::Average { forest, classifies }, Link::Identity, targets, false), labels))
}

/// What a leaf's values are.
#[derive(Clone, Copy)]
enum Leaves {
    /// One for each target; shares of classes, which older versions kept as counts.
    Targets { count: usize, shares: bool },
    /// One for a single target, multiplied.
    One { target: u32, factor: f64 },
}

fn add_tree(forest: &mut Forest<f32, f64>, estimator: Node<'_>, leaves: Leaves, width: usize) -> Result<(), LoadError> {
    let tree = estimator.get("tree_")?;
    if tree.class() != ("sklearn.tree._tree", "Tree") {
        return Err(LoadError::unsupported("skops: a tree of another class"));
    }
    let (shape, values) = tree.get("values")?.floats()?;
    let per_node = match (shape.as_slice(), leaves) {
        ([_, 1, per_node], Leaves::Targets { count, .. }) if *per_node == count => count,
        ([_, 1, 1], Leaves::One { .. }) => 1,
        _ => return Err(LoadError::unsupported("skops: trees of several outputs")),
    };
    tree.get("nodes")?.records(|nodes| {
        let lists = Lists::of(nodes, ["left_child", "right_child", "feature", "threshold", "missing_go_to_left"])?;
        if values.len() != nodes.len().saturating_mul(per_node) {
            return Err(LoadError::invalid("skops: a tree's values are not as many as its nodes"));
        }
        forest.add_tree(nodes.len(), 0, |id| {
            if lists.left(id)? < 0.0 {
                return leaf(values.get(id * per_node..(id + 1) * per_node).unwrap_or_default(), leaves);
            }
            let (feature, threshold, missing) = lists.split(id, width)?;
            let flags = BELOW_LEFT | EQUAL_LEFT | missing;
            Ok(Piece::Split {
                feature,
                threshold: floor_f32(threshold),
                flags,
                left: lists.child(0, id)?,
                right: lists.child(1, id)?,
            })
        })
    })
}

fn leaf(values: &[f64], leaves: Leaves) -> Result<Piece<f32, f64>, LoadError> {
    Ok(Piece::Leaf(match leaves {
        Leaves::One { target, factor } => values.iter().map(|value| (target, value * factor)).collect(),
        Leaves::Targets { shares, .. } => {
            let sum: f64 = values.iter().sum();
            let divisor = if shares && sum > 0.0 && (sum - 1.0).abs() > 1e-9 { sum } else { 1.0 };
            // What adds nothing is left out.
            let list = values.iter().enumerate().filter(|(_, value)| **value != 0.0);
            list.map(|(target, value)| (target as u32, value / divisor)).collect()
        }
    }))
}

/// Lists of a tree's nodes: left, right, feature, threshold, missing goes left.
struct Lists([Vec<f64>; 4], Option<Vec<f64>>);

impl Lists {
    fn of(nodes: &Array<'_>, names: [&str; 5]) -> Result<Self, LoadError> {
        let [left, right, feature, threshold, missing] = names;
        let list =
            |name| nodes.column(name)?.ok_or_else(|| LoadError::invalid(format!("skops: a tree's nodes have no `{name}`")));
        Ok(Self([list(left)?, list(right)?, list(feature)?, list(threshold)?], nodes.column(missing)?))
    }

    fn at(&self, list: usize, id: usize) -> Result<f64, LoadError> {
        let found = self.0.get(list).and_then(|list| list.get(id)).copied();
        found.ok_or_else(|| LoadError::invalid("skops: a tree names a node that it does not have"))
    }

    fn left(&self, id: usize) -> Result<f64, LoadError> {
        self.at(0, id)
    }

    fn child(&self, side: usize, id: usize) -> Result<usize, LoadError> {
        let child = self.at(side, id)?;
        if child >= 0.0 && child <= f64::from(u32::MAX) {
            Ok(child as usize)
        } else {
            Err(LoadError::invalid("skops: a child below zero"))
        }
    }

    fn split(&self, id: usize, width: usize) -> Result<(u32, f64, u8), LoadError> {
        let (feature, threshold) = (self.at(2, id)?, self.at(3, id)?);
        if !(feature >= 0.0 && feature < width as f64) || threshold.is_nan() {
            return Err(LoadError::invalid(format!("skops: a split by feature {feature} of {width} at {threshold}")));
        }
        let missing = self.1.as_ref().and_then(|list| list.get(id)).is_some_and(|flag| *flag != 0.0);
        Ok((feature as u32, threshold, if missing { MISSING_LEFT } else { 0 }))
    }
}

fn gradient(node: Node<'_>, classifies: bool, width: usize, limits: &Limits) -> Result<Loaded, LoadError> {
    let loss = node.word("loss")?;
    let labels = if classifies { Some(labels(node)?) } else { None };
    let classes = labels.as_ref().map_or(1, Values::len);
    let targets = if classes == 2 { 1 } else { classes };
    let link = match (loss.as_str(), classes) {
        ("log_loss" | "deviance", 2) => Link::Binary(1.0),
        ("log_loss" | "deviance", 3..) => Link::Softmax,
        ("exponential", 2) => Link::Binary(2.0),
        ("squared_error" | "ls" | "absolute_error" | "lad" | "huber" | "quantile", 1) => Link::Identity,
        _ => return Err(LoadError::unsupported(format!("skops: the loss `{}`", loss.escape_default()))),
    };
    let base = base(node.get("init_")?, link, targets)?;
    let factor = node.get("learning_rate")?.number()?;
    let mut forest = Forest::new(targets, *limits)?;
    // An array of objects is a list of its rows.
    for stage in node.get("estimators_")?.items()? {
        let stage = stage.items()?;
        if stage.len() != targets {
            return Err(LoadError::invalid("skops: a stage has more or fewer trees than classes"));
        }
        for (target, tree) in stage.into_iter().enumerate() {
            add_tree(&mut forest, tree, Leaves::One { target: target as u32, factor }, width)?;
        }
    }
    Ok((Head::new(Core::Sum32 { forest, base }, link, targets, true), labels))
}

/// What gradient boosting starts from: the classes' shares or a constant, before the link.
fn base(init: Node<'_>, link: Link, targets: usize) -> Result<Vec<f64>, LoadError> {
    match init.class() {
        ("sklearn.dummy", "DummyClassifier") if init.word("strategy")? == "prior" => {
            let (_, shares) = init.get("class_prior_")?.floats()?;
            let shares: Vec<f64> = shares.into_iter().map(|share| share.clamp(SHARE_MIN, 1.0 - SHARE_MIN)).collect();
            match (link, shares.as_slice()) {
                (Link::Binary(scale), [_, second]) => Ok(vec![(second / (1.0 - second)).ln() / scale]),
                (Link::Softmax, all) if all.len() == targets => {
                    let mean = all.iter().map(|share| share.ln()).sum::<f64>() / targets as f64;
                    Ok(all.iter().map(|share| share.ln() - mean).collect())
                }
                _ => Err(LoadError::invalid("skops: the classes' shares are not those of its classes")),
            }
        }
        ("sklearn.dummy", "DummyRegressor") if link == Link::Identity => Ok(vec![init.get("constant_")?.number()?]),
        _ if init.plain().is_ok_and(|plain| plain == "zero") => Ok(vec![0.0; targets]),
        (module, class) => Err(LoadError::unsupported(format!(
            "skops: boosting that starts from `{}.{}`",
            module.escape_default(),
            class.escape_default()
        ))),
    }
}

fn histogram(node: Node<'_>, classifies: bool, width: usize, limits: &Limits) -> Result<Loaded, LoadError> {
    if ["is_categorical_", "_preprocessor"].iter().any(|name| node.find(name).is_some_and(|found| !found.is_none())) {
        return Err(LoadError::unsupported("skops: histogram boosting with categories"));
    }
    let loss = node.word("loss")?;
    let labels = if classifies { Some(labels(node)?) } else { None };
    let classes = labels.as_ref().map_or(1, Values::len);
    let targets = if classes == 2 { 1 } else { classes };
    let link = match (loss.as_str(), classes) {
        ("log_loss", 2) => Link::Binary(1.0),
        ("log_loss", 3..) => Link::Softmax,
        ("squared_error" | "absolute_error" | "quantile", 1) => Link::Identity,
        ("poisson" | "gamma", 1) => Link::Exp,
        _ => return Err(LoadError::unsupported(format!("skops: the loss `{}`", loss.escape_default()))),
    };
    let (_, base) = node.get("_baseline_prediction")?.floats()?;
    if base.len() != targets {
        return Err(LoadError::invalid("skops: the baseline is not that of its classes"));
    }
    let mut forest = Forest::new(targets, *limits)?;
    for stage in node.get("_predictors")?.items()? {
        let stage = stage.items()?;
        if stage.len() != targets {
            return Err(LoadError::invalid("skops: a stage has more or fewer trees than classes"));
        }
        for (target, tree) in stage.into_iter().enumerate() {
            tree.get("nodes")?.records(|nodes| add_histogram(&mut forest, nodes, target as u32, width))?;
        }
    }
    Ok((Head::new(Core::Sum64 { forest, base }, link, targets, false), labels))
}

fn add_histogram(forest: &mut Forest<f64, f64>, nodes: &Array<'_>, target: u32, width: usize) -> Result<(), LoadError> {
    let lists = Lists::of(nodes, ["left", "right", "feature_idx", "num_threshold", "missing_go_to_left"])?;
    let more = Lists::of(nodes, ["value", "is_leaf", "is_categorical", "value", "is_leaf"])?;
    forest.add_tree(nodes.len(), 0, |id| {
        if more.at(1, id)? != 0.0 {
            return Ok(Piece::Leaf(vec![(target, more.at(0, id)?)]));
        }
        if more.at(2, id)? != 0.0 {
            return Err(LoadError::unsupported("skops: histogram boosting with categories"));
        }
        let (feature, threshold, missing) = lists.split(id, width)?;
        let flags = BELOW_LEFT | EQUAL_LEFT | missing;
        Ok(Piece::Split { feature, threshold, flags, left: lists.child(0, id)?, right: lists.child(1, id)? })
    })
}
