//! LightGBM's text files (version 3 and 4).
//!
//! Features, thresholds and sums are 64-bit; `x <= threshold` goes left; each split has its own rule of what is missing.

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::forest::{BELOW_LEFT, EQUAL_LEFT, Forest, MISSING_LEFT, Piece, ZERO_BOUND, ZERO_IS_MISSING};
use crate::link::Link;
use crate::{Batch, DataType, Limits, LoadError, Outputs, Port, PredictError, Predicts, Signature};

/// A booster, ready to be asked.
#[derive(Debug)]
pub(crate) struct Lightgbm {
    forest: Forest<f64, f64>,
    /// What sums are divided by: 1, or the number of iterations of a random forest.
    divisor: f64,
    link: Link,
    signature: Signature,
    limits: Limits,
}

type Fields<'a> = BTreeMap<&'a str, &'a str>;

impl Lightgbm {
    pub(crate) fn load(bytes: &[u8], limits: &Limits) -> Result<Self, LoadError> {
        let text = std::str::from_utf8(bytes).map_err(|_| LoadError::invalid("LightGBM: the file is not UTF-8"))?;
        let (text, tail) =
            text.split_once("\nend of trees").ok_or_else(|| LoadError::invalid("LightGBM: the file ends too early"))?;
        if let Some(line) = tail.lines().find_map(|line| line.strip_prefix("pandas_categorical:"))
            && !matches!(line.trim(), "null" | "[]")
        {
            return Err(LoadError::unsupported("a LightGBM model that recodes a data frame's categories"));
        }
        let mut blocks = text.split("\nTree=");
        let head = fields(blocks.next().unwrap_or_default());
        if !head.contains_key("tree") {
            return Err(LoadError::invalid("LightGBM: the first line is not `tree`"));
        }
        if !matches!(head.get("version"), Some(&("v3" | "v4"))) {
            return Err(LoadError::unsupported(format!("LightGBM's format {:?}", head.get("version"))));
        }
        let targets: usize = number(&head, "num_tree_per_iteration")?;
        let features = number::<usize>(&head, "max_feature_idx")?.saturating_add(1);
        if features > limits.width_max {
            return Err(LoadError::TooLarge { what: "features", limit: limits.width_max as u64 });
        }
        let mut forest = Forest::new(targets, *limits)?;
        for (place, block) in blocks.enumerate() {
            let block = block.split_once('\n').map_or("", |(_, rest)| rest);
            add_tree(&mut forest, &fields(block), (place % targets) as u32, features)?;
        }
        let iterations = forest.tree_count() / targets;
        if iterations * targets != forest.tree_count() {
            return Err(LoadError::invalid("LightGBM: an iteration lacks trees"));
        }
        let link = link_of(head.get("objective").copied().unwrap_or_default())?;
        if matches!(link, Link::Softmax | Link::EachLogistic(_)) != (targets > 1) {
            return Err(LoadError::invalid(format!("LightGBM: {targets} trees per iteration for its objective")));
        }
        let divisor = if head.contains_key("average_output") { iterations.max(1) as f64 } else { 1.0 };
        let mut input = Port::matrix("input", DataType::F64, features);
        input.columns = head.get("feature_names").map_or_else(Vec::new, |names| names.split(' ').map(str::to_owned).collect());
        if input.columns.len() != features {
            return Err(LoadError::invalid(format!("LightGBM: {} feature names for {features} features", input.columns.len())));
        }
        let signature = Signature { inputs: vec![input], outputs: link.ports::<f64>(targets), classes: Vec::new() };
        Ok(Self { forest, divisor, link, signature, limits: *limits })
    }

    /// What `Booster.predict` gives.
    pub(crate) const fn booster_predicts(&self) -> Predicts {
        self.link.predicts()
    }

    pub(crate) const fn signature(&self) -> &Signature {
        &self.signature
    }

    pub(crate) fn predict(&self, batch: &Batch) -> Result<Outputs, PredictError> {
        let Some(port) = self.signature.inputs.first() else { return Err(PredictError::model("it has no input")) };
        let mut rows = batch.matrix_for::<f64>(port, &self.limits)?;
        // The library's row reader drops what is as good as zero.
        if rows.iter().any(|value| *value != 0.0 && value.abs() <= ZERO_BOUND) {
            rows.to_mut().iter_mut().filter(|value| value.abs() <= ZERO_BOUND).for_each(|value| *value = 0.0);
        }
        let (width, targets) = (port.shape.get(1).copied().flatten().unwrap_or(1), self.forest.targets());
        if batch.rows().saturating_mul(targets) > self.limits.tensor_elements_max {
            return Err(PredictError::TooLarge { what: "the predictions", limit: self.limits.tensor_elements_max as u64 });
        }
        let mut sums = vec![0.0; batch.rows() * targets];
        self.forest.add_rows(&rows, width, &mut sums);
        if self.divisor != 1.0 {
            sums.iter_mut().for_each(|sum| *sum /= self.divisor);
        }
        self.link.outputs(sums, batch.rows(), targets)
    }
}

/// `key=value` lines; a line without `=` is a key of its own.
fn fields(block: &str) -> Fields<'_> {
    block.lines().map(|line| line.split_once('=').unwrap_or((line, ""))).collect()
}

fn number<T: FromStr>(fields: &Fields<'_>, name: &str) -> Result<T, LoadError> {
    let text = fields.get(name).ok_or_else(|| LoadError::invalid(format!("LightGBM: `{name}` is missing")))?;
    text.trim().parse().map_err(|_| LoadError::invalid(format!("LightGBM: `{name}` is `{}`", text.escape_default())))
}

/// A list of exactly `count` numbers.
fn list<T: FromStr>(fields: &Fields<'_>, name: &str, count: usize) -> Result<Vec<T>, LoadError> {
    let text = fields.get(name).copied().unwrap_or_default();
    let numbers: Result<Vec<T>, _> = text.split_ascii_whitespace().take(count.saturating_add(1)).map(str::parse).collect();
    match numbers {
        Ok(numbers) if numbers.len() == count => Ok(numbers),
        _ => Err(LoadError::invalid(format!("LightGBM: `{name}` does not hold {count} numbers"))),
    }
}

fn link_of(objective: &str) -> Result<Link, LoadError> {
    let mut words = objective.split(' ');
    let name = words.next().unwrap_or_default();
    let settings: Vec<&str> = words.collect();
    let sigmoid = || match settings.iter().find_map(|word| word.strip_prefix("sigmoid:")) {
        None => Ok(1.0),
        Some(text) => text.parse::<f64>().map_err(|_| LoadError::invalid("LightGBM: the objective's `sigmoid`")),
    };
    Ok(match name {
        "regression" | "regression_l2" if settings.contains(&"sqrt") => Link::SignedSquare,
        "regression" | "regression_l2" | "regression_l1" | "huber" | "fair" | "quantile" | "mape" | "lambdarank"
        | "rank_xendcg" => Link::Identity,
        "poisson" | "gamma" | "tweedie" => Link::Exp,
        "binary" => Link::Binary(sigmoid()?),
        "multiclass" => Link::Softmax,
        "multiclassova" => Link::EachLogistic(sigmoid()?),
        "cross_entropy" => Link::Logistic,
        "cross_entropy_lambda" => Link::Softplus,
        other => return Err(LoadError::unsupported(format!("LightGBM's objective `{}`", other.escape_default()))),
    })
}

struct Lists {
    features: Vec<u32>,
    thresholds: Vec<f64>,
    decisions: Vec<u8>,
    left: Vec<i32>,
    right: Vec<i32>,
    boundaries: Vec<usize>,
    words: Vec<u32>,
}

fn add_tree(forest: &mut Forest<f64, f64>, fields: &Fields<'_>, target: u32, features: usize) -> Result<(), LoadError> {
    if fields.get("is_linear").is_some_and(|value| value.trim() != "0") {
        return Err(LoadError::unsupported("a LightGBM tree with linear leaves"));
    }
    let leaves: usize = number(fields, "num_leaves")?;
    let values: Vec<f64> = list(fields, "leaf_value", leaves)?;
    let Some(splits) = leaves.checked_sub(1) else { return Err(LoadError::invalid("LightGBM: a tree without leaves")) };
    let categories: usize = number(fields, "num_cat")?;
    let lists = Lists {
        features: list(fields, "split_feature", splits)?,
        thresholds: list(fields, "threshold", splits)?,
        decisions: list(fields, "decision_type", splits)?,
        left: list(fields, "left_child", splits)?,
        right: list(fields, "right_child", splits)?,
        boundaries: if categories == 0 { vec![0] } else { list(fields, "cat_boundaries", categories.saturating_add(1))? },
        words: if categories == 0 { Vec::new() } else { all(fields, "cat_threshold")? },
    };
    if let Some(feature) = lists.features.iter().find(|feature| **feature as usize >= features) {
        return Err(LoadError::invalid(format!("LightGBM: a split by feature {feature} of {features}")));
    }
    // Inner nodes come first, leaves behind them: -1 is leaf 0.
    let root = if splits == 0 { 0 } else { leaves };
    forest.add_tree(leaves + splits, root, |id| match id.checked_sub(leaves) {
        None => Ok(Piece::Leaf(vec![(target, values.get(id).copied().unwrap_or_default())])),
        Some(split) => lists.piece(split, leaves),
    })
}

fn all<T: FromStr>(fields: &Fields<'_>, name: &str) -> Result<Vec<T>, LoadError> {
    let text = fields.get(name).copied().unwrap_or_default();
    let numbers: Result<Vec<T>, _> = text.split_ascii_whitespace().map(str::parse).collect();
    numbers.map_err(|_| LoadError::invalid(format!("LightGBM: `{name}` holds no numbers")))
}

impl Lists {
    fn piece(&self, split: usize, leaves: usize) -> Result<Piece<f64, f64>, LoadError> {
        let broken = || LoadError::invalid("LightGBM: a tree's lists have different lengths");
        let child = |list: &[i32]| -> Result<usize, LoadError> {
            let child = *list.get(split).ok_or_else(broken)?;
            // A leaf is written as its complement.
            usize::try_from(if child < 0 { i64::from(!child) } else { i64::from(child) + leaves as i64 }).map_err(|_| broken())
        };
        let (left, right) = (child(&self.left)?, child(&self.right)?);
        if self.left.get(split).is_some_and(|child| *child < 0 && left >= leaves)
            || self.right.get(split).is_some_and(|child| *child < 0 && right >= leaves)
        {
            return Err(LoadError::invalid("LightGBM: a tree names a leaf that it does not have"));
        }
        let feature = *self.features.get(split).ok_or_else(broken)?;
        let threshold = *self.thresholds.get(split).ok_or_else(broken)?;
        let decision = *self.decisions.get(split).ok_or_else(broken)?;
        if threshold.is_nan() {
            return Err(LoadError::invalid("LightGBM: a split by a missing number"));
        }
        if decision & 1 == 1 {
            let set = threshold as usize;
            let words = match (self.boundaries.get(set), self.boundaries.get(set + 1)) {
                (Some(start), Some(end)) => self.words.get(*start..*end).ok_or_else(broken)?.to_vec(),
                _ => return Err(LoadError::invalid("LightGBM: a split names categories that it does not have")),
            };
            return Ok(Piece::Categories { feature, words, flags: 0, left, right });
        }
        let default_left = decision & 2 != 0;
        let missing = match decision >> 2 & 3 {
            // A missing number counts as zero.
            0 if threshold >= 0.0 => MISSING_LEFT,
            0 => 0,
            1 if default_left => ZERO_IS_MISSING | MISSING_LEFT,
            1 => ZERO_IS_MISSING,
            2 if default_left => MISSING_LEFT,
            2 => 0,
            _ => return Err(LoadError::unsupported("a LightGBM split with an unknown kind of missing values")),
        };
        Ok(Piece::Split { feature, threshold, flags: BELOW_LEFT | EQUAL_LEFT | missing, left, right })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Values;

    const SMALL: &str = "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\nmax_feature_idx=1\n\
        objective=regression\nfeature_names=a b\nfeature_infos=x y\n\nTree=0\nnum_leaves=3\nnum_cat=1\nsplit_feature=0 1\n\
        threshold=0.5 0\ndecision_type=8 1\nleft_child=1 -1\nright_child=-3 -2\nleaf_value=1 2 3\ncat_boundaries=0 1\n\
        cat_threshold=6\nis_linear=0\nshrinkage=1\n\n\nend of trees\n\npandas_categorical:null\n";

    fn load(text: &str) -> Result<Lightgbm, LoadError> {
        Lightgbm::load(text.as_bytes(), &Limits::default())
    }

    #[test]
    fn rows_find_their_leaves() {
        let model = load(SMALL).unwrap();
        let rows = vec![0.5, 1.0, 0.5, 3.0, 0.6, 1.0, f64::NAN, 2.0, 0.0, f64::NAN];
        let batch = Batch::matrix(5, 2, Values::F64(rows)).unwrap();
        let outputs = model.predict(&batch).unwrap();
        assert_eq!(outputs.value().unwrap().values(), &Values::F64(vec![1.0, 2.0, 3.0, 3.0, 2.0]));
    }

    #[test]
    fn what_is_unknown_or_broken_is_refused() {
        for (from, to) in [
            ("version=v4", "version=v5"),
            ("objective=regression", "objective=mine"),
            ("objective=regression", "objective=multiclass num_class:3"),
            ("is_linear=0", "is_linear=1"),
            ("pandas_categorical:null", "pandas_categorical:[[\"a\"]]"),
            ("num_leaves=3", "num_leaves=0"),
            ("num_leaves=3", "num_leaves=99999999999"),
            ("num_leaves=3", "num_leaves=4"),
            ("left_child=1 -1", "left_child=0 -1"),
            ("left_child=1 -1", "left_child=1 -9"),
            ("left_child=1 -1", "left_child=7 -1"),
            ("right_child=-3 -2", "right_child=-3 -2147483648"),
            ("split_feature=0 1", "split_feature=0 2"),
            ("threshold=0.5 0", "threshold=0.5 7"),
            ("threshold=0.5 0", "threshold=nan 0"),
            ("decision_type=8 1", "decision_type=12 1"),
            ("cat_boundaries=0 1", "cat_boundaries=0 9"),
            ("max_feature_idx=1", "max_feature_idx=99999999"),
            ("num_tree_per_iteration=1", "num_tree_per_iteration=0"),
            ("end of trees", ""),
        ] {
            assert!(SMALL.contains(from), "{from}");
            assert!(load(&SMALL.replace(from, to)).is_err(), "{to}");
        }
    }
}
