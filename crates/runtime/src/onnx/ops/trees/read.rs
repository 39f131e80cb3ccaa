//! The lists that describe trees.

use std::collections::HashMap;

use super::super::Request;
use super::{Ensemble, mode, split};
use crate::forest::{Forest, MISSING_LEFT, Piece};
use crate::link::Real;
use crate::{Limits, LoadError, Tensor, Values};

fn lengths() -> LoadError {
    LoadError::invalid("ONNX: a tree ensemble's lists have different lengths")
}

/// Base values, as floats.
pub(super) fn base(request: &mut Request<'_>) -> Result<Vec<f32>, LoadError> {
    let (floats, tensor) = (request.attributes.floats("base_values"), request.attributes.tensor("base_values_as_tensor"));
    match tensor {
        None => Ok(floats),
        Some(tensor) => tensor.values().to_f32().map_err(|_| LoadError::invalid("ONNX: base values that are no numbers")),
    }
}

/// A list of floats, or the tensor that replaces it.
fn numbers(request: &mut Request<'_>, name: &str) -> Result<Values, LoadError> {
    let (floats, tensor) = (request.attributes.floats(name), request.attributes.tensor(&format!("{name}_as_tensor")));
    Ok(match tensor.map(Tensor::into_values) {
        None => Values::F32(floats),
        Some(values @ (Values::F32(_) | Values::F64(_))) => values,
        Some(_) => return Err(LoadError::invalid(format!("ONNX: `{name}` are no floats"))),
    })
}

/// What leaves add, as the file lists it.
pub(super) struct Leaves {
    trees: Vec<i64>,
    nodes: Vec<i64>,
    targets: Vec<i64>,
    weights: Values,
}

pub(super) fn leaves(request: &mut Request<'_>, word: &str) -> Result<Leaves, LoadError> {
    let leaves = Leaves {
        trees: request.attributes.integers(&format!("{word}_treeids")),
        nodes: request.attributes.integers(&format!("{word}_nodeids")),
        targets: request.attributes.integers(&format!("{word}_ids")),
        weights: numbers(request, &format!("{word}_weights"))?,
    };
    let count = leaves.trees.len();
    if leaves.nodes.len() != count || leaves.targets.len() != count || leaves.weights.len() != count {
        return Err(lengths());
    }
    Ok(leaves)
}

impl Leaves {
    pub(super) fn all_positive(&self) -> bool {
        match &self.weights {
            Values::F32(weights) => weights.iter().all(|weight| *weight >= 0.0),
            Values::F64(weights) => weights.iter().all(|weight| *weight >= 0.0),
            _ => false,
        }
    }

    /// The target of all leaves, if there is but one.
    pub(super) fn only_target(&self) -> Option<i64> {
        let first = *self.targets.first()?;
        self.targets.iter().all(|target| *target == first).then_some(first)
    }
}

/// A list of versions 1 and 3.
struct Nodes<'a> {
    trees: Vec<i64>,
    ids: Vec<i64>,
    features: Vec<i64>,
    modes: Vec<&'a [u8]>,
    left: Vec<i64>,
    right: Vec<i64>,
    missing_left: Vec<i64>,
}

pub(super) fn trees(request: &mut Request<'_>, leaves: Leaves, targets: usize) -> Result<Ensemble, LoadError> {
    request.attributes.skip("nodes_hitrates");
    request.attributes.skip("nodes_hitrates_as_tensor");
    let nodes = Nodes {
        trees: request.attributes.integers("nodes_treeids"),
        ids: request.attributes.integers("nodes_nodeids"),
        features: request.attributes.integers("nodes_featureids"),
        modes: request.attributes.take("nodes_modes").map_or_else(Vec::new, |attribute| attribute.texts),
        left: request.attributes.integers("nodes_truenodeids"),
        right: request.attributes.integers("nodes_falsenodeids"),
        missing_left: request.attributes.integers("nodes_missing_value_tracks_true"),
    };
    let count = nodes.trees.len();
    let lists = [nodes.ids.len(), nodes.features.len(), nodes.modes.len(), nodes.left.len(), nodes.right.len()];
    if lists.iter().any(|length| *length != count) || !(nodes.missing_left.is_empty() || nodes.missing_left.len() == count) {
        return Err(lengths());
    }
    match (numbers(request, "nodes_values")?, &leaves.weights) {
        (Values::F32(values), Values::F32(weights)) => {
            nodes.forest(&values, &leaves, weights, targets, request.limits).map(Ensemble::F32)
        }
        (Values::F64(values), Values::F64(weights)) => {
            nodes.forest(&values, &leaves, weights, targets, request.limits).map(Ensemble::F64)
        }
        _ => Err(LoadError::unsupported("an ONNX tree ensemble of two precisions")),
    }
}

impl Nodes<'_> {
    fn forest<T: Real>(
        &self,
        values: &[T],
        leaves: &Leaves,
        weights: &[T],
        targets: usize,
        limits: &Limits,
    ) -> Result<Forest<T, T>, LoadError> {
        if values.len() != self.trees.len() {
            return Err(lengths());
        }
        let mut places = HashMap::with_capacity(self.trees.len());
        for (place, (tree, id)) in self.trees.iter().zip(&self.ids).enumerate() {
            if places.insert((*tree, *id), place).is_some() {
                return Err(LoadError::invalid(format!("ONNX: node {id} of tree {tree} is given twice")));
            }
        }
        let mut said: HashMap<usize, Vec<(u32, T)>> = HashMap::new();
        for (((tree, node), target), weight) in leaves.trees.iter().zip(&leaves.nodes).zip(&leaves.targets).zip(weights) {
            let place =
                places.get(&(*tree, *node)).ok_or_else(|| LoadError::invalid("ONNX: a leaf's weight without its leaf"))?;
            let target = u32::try_from(*target).map_err(|_| LoadError::invalid("ONNX: a negative target"))?;
            said.entry(*place).or_default().push((target, *weight));
        }
        let roots = self.roots(&places)?;
        let mut forest = Forest::new(targets, *limits)?;
        let mut reached = 0;
        for (tree, root) in roots {
            // Places count over all trees, but a tree is only as large as itself: ids are made its own.
            let local = self.local(tree, root)?;
            forest.add_tree(local.len(), 0, |id| {
                reached += 1;
                let place = *local.get(id).ok_or_else(lengths)?;
                self.piece(place, values, &mut said, |child| {
                    let place =
                        places.get(&(tree, child)).ok_or_else(|| LoadError::invalid("ONNX: a child that does not exist"))?;
                    // A tree's places lie in one run, in the order of the file.
                    local_place(&local, *place)
                })
            })?;
        }
        if reached != self.trees.len() || !said.is_empty() {
            return Err(LoadError::invalid("ONNX: a tree ensemble has nodes that nothing leads to"));
        }
        Ok(forest)
    }

    /// The places of a tree's nodes, the root first, the others ascending.
    fn local(&self, tree: i64, root: usize) -> Result<Vec<usize>, LoadError> {
        let start = self.trees.partition_point(|known| *known < tree);
        let run = self.trees.get(start..).unwrap_or_default().iter().take_while(|known| **known == tree).count();
        let mut local = vec![root];
        local.extend((start..start + run).filter(|place| *place != root));
        Ok(local)
    }

    /// The one node of each tree that is nobody's child.
    fn roots(&self, places: &HashMap<(i64, i64), usize>) -> Result<Vec<(i64, usize)>, LoadError> {
        if !self.trees.is_sorted() {
            return Err(LoadError::unsupported("an ONNX tree ensemble whose trees are mixed"));
        }
        let mut child = vec![false; self.trees.len()];
        for (place, tree) in self.trees.iter().enumerate() {
            if self.modes.get(place).is_some_and(|mode| *mode == b"LEAF") {
                continue;
            }
            for id in [self.left.get(place), self.right.get(place)].into_iter().flatten() {
                if let Some(child) = places.get(&(*tree, *id)).and_then(|place| child.get_mut(*place)) {
                    *child = true;
                }
            }
        }
        let mut roots: Vec<(i64, usize)> = Vec::new();
        for (place, (tree, child)) in self.trees.iter().zip(child).enumerate() {
            if child {
                continue;
            }
            if roots.last().is_some_and(|(last, _)| last == tree) {
                return Err(LoadError::invalid(format!("ONNX: tree {tree} has two roots")));
            }
            roots.push((*tree, place));
        }
        Ok(roots)
    }

    fn piece<T: Real>(
        &self,
        place: usize,
        values: &[T],
        said: &mut HashMap<usize, Vec<(u32, T)>>,
        child: impl Fn(i64) -> Result<usize, LoadError>,
    ) -> Result<Piece<T, T>, LoadError> {
        let at = |list: &[i64]| list.get(place).copied().ok_or_else(lengths);
        let Some(flags) = mode(self.modes.get(place).copied().unwrap_or_default(), None)? else {
            return Ok(Piece::Leaf(said.remove(&place).unwrap_or_default()));
        };
        let missing = if self.missing_left.get(place).is_some_and(|tracks| *tracks != 0) { MISSING_LEFT } else { 0 };
        let threshold = *values.get(place).ok_or_else(lengths)?;
        split(at(&self.features)?, threshold, flags | missing, child(at(&self.left)?)?, child(at(&self.right)?)?)
    }
}

/// The index of `place` in a list of the root and then ascending places.
fn local_place(local: &[usize], place: usize) -> Result<usize, LoadError> {
    let (root, rest) = local.split_first().ok_or_else(lengths)?;
    if *root == place {
        return Ok(0);
    }
    rest.binary_search(&place).map(|found| found + 1).map_err(|_| LoadError::invalid("ONNX: a child of another tree"))
}

/// Version 5: inner nodes and leaves in lists of their own.
pub(super) fn ensemble(request: &mut Request<'_>, targets: usize) -> Result<Ensemble, LoadError> {
    request.attributes.skip("nodes_hitrates");
    if request.attributes.tensor("membership_values").is_some() {
        return Err(LoadError::unsupported("an ONNX tree ensemble with splits by membership"));
    }
    let Some(Values::I64(modes)) = request.attributes.tensor("nodes_modes").map(Tensor::into_values) else {
        return Err(LoadError::invalid("ONNX: a tree ensemble without modes"));
    };
    let lists = Five {
        modes,
        features: request.attributes.integers("nodes_featureids"),
        left: request.attributes.integers("nodes_truenodeids"),
        left_is_leaf: request.attributes.integers("nodes_trueleafs"),
        right: request.attributes.integers("nodes_falsenodeids"),
        right_is_leaf: request.attributes.integers("nodes_falseleafs"),
        missing_left: request.attributes.integers("nodes_missing_value_tracks_true"),
        targets: request.attributes.integers("leaf_targetids"),
        roots: request.attributes.integers("tree_roots"),
    };
    let (splits, weights) = (request.attributes.tensor("nodes_splits"), request.attributes.tensor("leaf_weights"));
    match (splits.map(Tensor::into_values), weights.map(Tensor::into_values)) {
        (Some(Values::F32(splits)), Some(Values::F32(weights))) => {
            lists.forest(&splits, &weights, targets, request.limits).map(Ensemble::F32)
        }
        (Some(Values::F64(splits)), Some(Values::F64(weights))) => {
            lists.forest(&splits, &weights, targets, request.limits).map(Ensemble::F64)
        }
        _ => Err(LoadError::unsupported("an ONNX tree ensemble of this precision")),
    }
}

struct Five {
    modes: Vec<i64>,
    features: Vec<i64>,
    left: Vec<i64>,
    left_is_leaf: Vec<i64>,
    right: Vec<i64>,
    right_is_leaf: Vec<i64>,
    missing_left: Vec<i64>,
    targets: Vec<i64>,
    roots: Vec<i64>,
}

impl Five {
    /// Nodes count first, leaves behind them. All trees share one numbering, so each may only reach what is its own.
    fn forest<T: Real>(&self, splits: &[T], weights: &[T], targets: usize, limits: &Limits) -> Result<Forest<T, T>, LoadError> {
        let inner = self.modes.len();
        let lists = [&self.features, &self.left, &self.left_is_leaf, &self.right, &self.right_is_leaf];
        if lists.iter().any(|list| list.len() != inner) || splits.len() != inner || weights.len() != self.targets.len() {
            return Err(lengths());
        }
        let mut reached = vec![false; inner + weights.len()];
        let mut forest = Forest::new(targets, *limits)?;
        for root in &self.roots {
            let root = usize::try_from(*root).ok().filter(|root| *root < inner).ok_or_else(lengths)?;
            // A tree's nodes follow its root in the file; what lies before it belongs to others.
            let mut local: HashMap<usize, usize> = HashMap::from([(root, 0)]);
            let mut ids = vec![root];
            let mut next = 0;
            while let Some(id) = ids.get(next).copied() {
                next += 1;
                if std::mem::replace(reached.get_mut(id).ok_or_else(lengths)?, true) {
                    return Err(LoadError::invalid("ONNX: two ways lead to a node"));
                }
                for child in self.children(id, inner, weights.len())?.into_iter().flatten() {
                    if local.insert(child, ids.len()).is_some() {
                        return Err(LoadError::invalid("ONNX: two ways lead to a node"));
                    }
                    ids.push(child);
                }
            }
            forest.add_tree(ids.len(), 0, |id| self.piece(*ids.get(id).ok_or_else(lengths)?, splits, weights, &local))?;
        }
        Ok(forest)
    }

    /// The two children; one where both are the same leaf, none of a leaf.
    fn children(&self, id: usize, inner: usize, leaves: usize) -> Result<[Option<usize>; 2], LoadError> {
        if id >= inner {
            return Ok([None, None]);
        }
        let child = |list: &[i64], leaf: &[i64]| -> Result<usize, LoadError> {
            let place = list.get(id).and_then(|place| usize::try_from(*place).ok()).ok_or_else(lengths)?;
            let is_leaf = leaf.get(id).is_some_and(|flag| *flag != 0);
            let bound = if is_leaf { leaves } else { inner };
            if place >= bound {
                return Err(LoadError::invalid("ONNX: a child that does not exist"));
            }
            Ok(if is_leaf { inner + place } else { place })
        };
        let (left, right) = (child(&self.left, &self.left_is_leaf)?, child(&self.right, &self.right_is_leaf)?);
        Ok(if left == right && left >= inner { [Some(left), None] } else { [Some(left), Some(right)] })
    }

    fn piece<T: Real>(
        &self,
        id: usize,
        splits: &[T],
        weights: &[T],
        local: &HashMap<usize, usize>,
    ) -> Result<Piece<T, T>, LoadError> {
        let inner = self.modes.len();
        let leaf = |place: usize| -> Result<Piece<T, T>, LoadError> {
            let target = self.targets.get(place).and_then(|target| u32::try_from(*target).ok()).ok_or_else(lengths)?;
            Ok(Piece::Leaf(vec![(target, *weights.get(place).ok_or_else(lengths)?)]))
        };
        if let Some(place) = id.checked_sub(inner) {
            return leaf(place);
        }
        let find = |child: usize| local.get(&child).copied().ok_or_else(lengths);
        match self.children(id, inner, weights.len())? {
            [Some(only), None] => leaf(only.saturating_sub(inner)),
            [Some(left), Some(right)] => {
                let flags = mode(b"", self.modes.get(id).copied())?.unwrap_or_default();
                let missing = if self.missing_left.get(id).is_some_and(|tracks| *tracks != 0) { MISSING_LEFT } else { 0 };
                let feature = self.features.get(id).copied().ok_or_else(lengths)?;
                split(feature, *splits.get(id).ok_or_else(lengths)?, flags | missing, find(left)?, find(right)?)
            }
            _ => Err(lengths()),
        }
    }
}
