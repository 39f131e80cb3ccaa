//! Trees, laid out for walking: both children of a node lie side by side behind it, a leaf names its contributions.

use crate::link::Real;
use crate::{Limits, LoadError};

/// Rows that share one pass over the trees, so that a tree's nodes stay in the cache.
const BLOCK_ROWS: usize = 64;
/// Rows that walk through a tree together.
const LANES: usize = 8;

/// A smaller value goes left.
pub(crate) const BELOW_LEFT: u8 = 1;
/// An equal value goes left.
pub(crate) const EQUAL_LEFT: u8 = 2;
/// A missing value goes left.
pub(crate) const MISSING_LEFT: u8 = 4;
/// A greater value goes left.
pub(crate) const ABOVE_LEFT: u8 = 8;
/// Values as good as zero are missing.
pub(crate) const ZERO_IS_MISSING: u8 = 16;
/// The value is a category; those in the node's set go left, others right.
pub(crate) const SET: u8 = 32;
/// Of a set: those in it go right, others left, and those that cannot be categories go left.
pub(crate) const SET_RIGHT: u8 = 64;
const LEAF: u8 = 128;
const SPECIAL: u8 = ZERO_IS_MISSING | SET;

/// LightGBM's bound of what is as good as zero.
pub(crate) const ZERO_BOUND: f64 = 1e-35_f32 as f64;

/// How a feature is compared with a threshold, in the wider type of both.
pub(crate) trait Against<T>: Copy {
    const MISSING: Self;
    /// One of `BELOW_LEFT`, `EQUAL_LEFT`, `ABOVE_LEFT`, `MISSING_LEFT`.
    fn against(self, threshold: T) -> u8;
    fn number(self) -> f64;
}

macro_rules! against {
    ($feature:ident, $threshold:ident, $wide:ident) => {
        impl Against<$threshold> for $feature {
            const MISSING: Self = $feature::NAN;
            #[inline]
            fn against(self, threshold: $threshold) -> u8 {
                let (feature, threshold) = ($wide::from(self), $wide::from(threshold));
                u8::from(feature < threshold)
                    | (u8::from(feature == threshold) << 1)
                    | (u8::from(feature.is_nan()) << 2)
                    | (u8::from(feature > threshold) << 3)
            }
            fn number(self) -> f64 {
                f64::from(self)
            }
        }
    };
}
against!(f32, f32, f32);
against!(f32, f64, f64);
against!(f64, f32, f64);
against!(f64, f64, f64);

#[derive(Clone, Copy, Debug, Default)]
struct Node<T> {
    threshold: T,
    /// Of a leaf: how many contributions.
    feature: u32,
    /// The left child; the right one is behind it. Of a leaf: the first contribution.
    next: u32,
    flags: u8,
}

/// The ids of the left and the right child in the file.
type Children = (usize, usize);

/// A node as a file describes it.
pub(crate) enum Piece<T, W> {
    Split {
        feature: u32,
        threshold: T,
        flags: u8,
        left: usize,
        right: usize,
    },
    /// Categories as a bit set, with flags besides `SET`.
    Categories {
        feature: u32,
        words: Vec<u32>,
        flags: u8,
        left: usize,
        right: usize,
    },
    /// What it adds to which target.
    Leaf(Vec<(u32, W)>),
}

/// Trees with thresholds of `T` and leaves of `W`.
#[derive(Clone, Debug)]
pub(crate) struct Forest<T, W> {
    nodes: Vec<Node<T>>,
    roots: Vec<u32>,
    contributions: Vec<(u32, W)>,
    sets: Vec<(u32, u32)>,
    words: Vec<u32>,
    targets: usize,
    feature_count: usize,
    nowhere: Node<T>,
    limits: Limits,
}

impl<T: Real, W: Real> Forest<T, W> {
    /// No trees yet, for sums of `targets` values.
    pub(crate) fn new(targets: usize, limits: Limits) -> Result<Self, LoadError> {
        if targets == 0 || targets > limits.width_max {
            return Err(LoadError::TooLarge { what: "targets of its trees", limit: limits.width_max as u64 });
        }
        Ok(Self {
            nodes: Vec::new(),
            roots: Vec::new(),
            contributions: Vec::new(),
            sets: Vec::new(),
            words: Vec::new(),
            targets,
            feature_count: 0,
            nowhere: Node { flags: LEAF, ..Node::default() },
            limits,
        })
    }

    /// Adds the tree whose node `id` of `count` is `piece(id)`.
    ///
    /// # Errors
    /// If a child does not exist, a node is reached twice, a target does not exist, or the tree is too large or too deep.
    pub(crate) fn add_tree(
        &mut self,
        count: usize,
        root: usize,
        mut piece: impl FnMut(usize) -> Result<Piece<T, W>, LoadError>,
    ) -> Result<(), LoadError> {
        if self.nodes.len().saturating_add(count) > self.limits.tree_node_count_max {
            return Err(LoadError::TooLarge { what: "tree nodes", limit: self.limits.tree_node_count_max as u64 });
        }
        let mut seen = vec![false; count];
        let base = self.nodes.len();
        self.roots.push(place(base)?);
        self.nodes.push(Node::default());
        let mut open = vec![(root, base, 0_usize)];
        while let Some((id, slot, depth)) = open.pop() {
            if depth > self.limits.tree_depth_max {
                return Err(LoadError::TooLarge { what: "levels in a tree", limit: self.limits.tree_depth_max as u64 });
            }
            let seen = seen.get_mut(id).ok_or_else(|| LoadError::invalid(format!("a tree names node {id} of {count}")))?;
            if std::mem::replace(seen, true) {
                return Err(LoadError::invalid(format!("node {id} of a tree has two ways to it")));
            }
            let (node, children) = self.laid(piece(id)?)?;
            if let Some(cell) = self.nodes.get_mut(slot) {
                *cell = node;
            }
            if let Some((left, right)) = children {
                let first = self.nodes.len() - 2;
                open.push((right, first + 1, depth + 1));
                open.push((left, first, depth + 1));
            }
        }
        Ok(())
    }

    /// A node in its final form, with room made for its children.
    fn laid(&mut self, piece: Piece<T, W>) -> Result<(Node<T>, Option<Children>), LoadError> {
        let (feature, threshold, flags, left, right) = match piece {
            Piece::Leaf(list) => {
                let next = place(self.contributions.len())?;
                let feature = place(list.len())?;
                if let Some((target, _)) = list.iter().find(|(target, _)| *target as usize >= self.targets) {
                    return Err(LoadError::invalid(format!("a leaf names target {target} of {}", self.targets)));
                }
                self.contributions.extend(list);
                return Ok((Node { threshold: T::default(), feature, next, flags: LEAF }, None));
            }
            Piece::Split { feature, threshold, flags, left, right } => (feature, threshold, flags, left, right),
            Piece::Categories { feature, words, flags, left, right } => {
                let set = self.sets.len();
                // Exact up to 2^24 sets in 32-bit floats.
                if set >= 1 << 24 {
                    return Err(LoadError::TooLarge { what: "splits by category", limit: 1 << 24 });
                }
                if self.words.len().saturating_add(words.len()) > self.limits.tree_node_count_max {
                    return Err(LoadError::TooLarge { what: "categories", limit: self.limits.tree_node_count_max as u64 });
                }
                self.sets.push((place(self.words.len())?, place(words.len())?));
                self.words.extend(words);
                (feature, T::of(set as f64), flags | SET, left, right)
            }
        };
        if feature as usize >= self.limits.width_max {
            return Err(LoadError::TooLarge { what: "features", limit: self.limits.width_max as u64 });
        }
        self.feature_count = self.feature_count.max(feature as usize + 1);
        let next = place(self.nodes.len())?;
        self.nodes.extend([Node::default(), Node::default()]);
        Ok((Node { threshold, feature, next, flags }, Some((left, right))))
    }

    /// The least width of rows that no split lies beyond.
    pub(crate) const fn feature_count(&self) -> usize {
        self.feature_count
    }

    pub(crate) const fn tree_count(&self) -> usize {
        self.roots.len()
    }

    pub(crate) const fn targets(&self) -> usize {
        self.targets
    }

    /// The child that a row goes to.
    #[inline]
    fn child<X: Against<T>>(&self, node: &Node<T>, row: &[X]) -> &Node<T> {
        let value = row.get(node.feature as usize).copied().unwrap_or(X::MISSING);
        let left =
            if node.flags & SPECIAL == 0 { value.against(node.threshold) & node.flags != 0 } else { self.special(node, value) };
        self.nodes.get(node.next as usize + usize::from(!left)).unwrap_or(&self.nowhere)
    }

    /// The leaf that a row ends in. Ends: children lie behind their parent.
    #[inline]
    fn leaf<X: Against<T>>(&self, root: u32, row: &[X]) -> &Node<T> {
        let mut node = self.nodes.get(root as usize).unwrap_or(&self.nowhere);
        while node.flags & LEAF == 0 {
            node = self.child(node, row);
        }
        node
    }

    /// The leaves of `LANES` rows, walked side by side: the processor waits for several nodes at once.
    #[inline]
    fn leaves<X: Against<T>>(&self, root: u32, rows: &[X], width: usize) -> [&Node<T>; LANES] {
        let mut nodes = [self.nodes.get(root as usize).unwrap_or(&self.nowhere); LANES];
        let mut open = true;
        while open {
            open = false;
            for (node, row) in nodes.iter_mut().zip(rows.chunks_exact(width)) {
                if node.flags & LEAF == 0 {
                    *node = self.child(node, row);
                    open = true;
                }
            }
        }
        nodes
    }

    #[cold]
    fn special<X: Against<T>>(&self, node: &Node<T>, value: X) -> bool {
        let number = value.number();
        if node.flags & SET == 0 {
            if number.abs() <= ZERO_BOUND || number.is_nan() {
                return node.flags & MISSING_LEFT != 0;
            }
            return value.against(node.threshold) & node.flags != 0;
        }
        if number.is_nan() {
            return node.flags & MISSING_LEFT != 0;
        }
        let inverted = node.flags & SET_RIGHT != 0;
        // Fractions are cut towards zero; XGBoost takes no negative number as a category, not even -0.5.
        let least = if inverted { number < 0.0 } else { number <= -1.0 };
        if least || number >= 4_294_967_296.0 {
            return inverted;
        }
        let category = number as u32;
        let (start, count) = self.sets.get(node.threshold.wide() as usize).copied().unwrap_or_default();
        let word = category / 32;
        let found =
            word < count && self.words.get(start as usize + word as usize).is_some_and(|bits| bits >> (category % 32) & 1 == 1);
        found != inverted
    }

    /// What a leaf says.
    #[inline]
    fn said(&self, leaf: &Node<T>) -> &[(u32, W)] {
        self.contributions.get(leaf.next as usize..leaf.next as usize + leaf.feature as usize).unwrap_or_default()
    }

    /// Adds every tree to `sums`, which holds `targets` values per row of `width` features. In the trees' order for each
    /// row, so that sums are rounded as the libraries round them.
    pub(crate) fn add_rows<X: Against<T>>(&self, rows: &[X], width: usize, sums: &mut [W]) {
        let (width, targets) = (width.max(1), self.targets);
        for (rows, sums) in rows.chunks(width * BLOCK_ROWS).zip(sums.chunks_mut(targets * BLOCK_ROWS)) {
            for root in &self.roots {
                for (rows, sums) in rows.chunks(width * LANES).zip(sums.chunks_mut(targets * LANES)) {
                    if rows.len() == width * LANES {
                        let leaves = self.leaves(*root, rows, width);
                        leaves.iter().zip(sums.chunks_exact_mut(targets)).for_each(|(leaf, sums)| add(self.said(leaf), sums));
                        continue;
                    }
                    for (row, sums) in rows.chunks_exact(width).zip(sums.chunks_exact_mut(targets)) {
                        add(self.said(self.leaf(*root, row)), sums);
                    }
                }
            }
        }
    }
}

#[inline]
fn add<W: Real>(said: &[(u32, W)], sums: &mut [W]) {
    for (target, weight) in said {
        if let Some(sum) = sums.get_mut(*target as usize) {
            *sum += *weight;
        }
    }
}

fn place(index: usize) -> Result<u32, LoadError> {
    u32::try_from(index).map_err(|_| LoadError::TooLarge { what: "tree nodes", limit: u64::from(u32::MAX) })
}

/// The greatest 32-bit float that is not above: `x <= value` and `x <= floor_f32(value)` say the same of 32-bit floats.
pub(crate) fn floor_f32(value: f64) -> f32 {
    let near = value as f32;
    if f64::from(near) > value { near.next_down() } else { near }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Small = Vec<(u32, f32, usize, usize)>;

    /// Nodes as (feature, threshold, left, right); left = right = 0 is a leaf of the threshold's value.
    fn forest(nodes: &Small, limits: Limits) -> Result<Forest<f32, f32>, LoadError> {
        let mut forest = Forest::new(1, limits)?;
        forest.add_tree(nodes.len(), 0, |id| {
            let (feature, threshold, left, right) = nodes[id];
            Ok(if left == 0 && right == 0 {
                Piece::Leaf(vec![(0, threshold)])
            } else {
                Piece::Split { feature, threshold, flags: BELOW_LEFT | MISSING_LEFT, left, right }
            })
        })?;
        Ok(forest)
    }

    fn sum(forest: &Forest<f32, f32>, row: &[f32]) -> f32 {
        let mut sums = [0.0];
        forest.add_rows(row, row.len(), &mut sums);
        sums[0]
    }

    #[test]
    fn a_row_finds_its_leaf() {
        let nodes = vec![(1, 0.5, 2, 1), (0, 7.0, 0, 0), (0, 2.0, 3, 4), (0, 8.0, 0, 0), (0, 9.0, 0, 0)];
        let forest = forest(&nodes, Limits::default()).unwrap();
        assert_eq!(forest.feature_count(), 2);
        assert_eq!(sum(&forest, &[0.0, 0.5]), 7.0);
        assert_eq!(sum(&forest, &[1.0, 0.4]), 8.0);
        assert_eq!(sum(&forest, &[2.0, 0.4]), 9.0);
        assert_eq!(sum(&forest, &[3.0, f32::NAN]), 9.0);
    }

    #[test]
    fn a_tree_that_is_no_tree_is_refused() {
        let limits = Limits { tree_depth_max: 3, ..Limits::default() };
        for (name, nodes) in [
            ("a cycle", vec![(0, 0.5, 1, 2), (0, 0.5, 0, 2), (0, 1.0, 0, 0)]),
            ("a node of two parents", vec![(0, 0.5, 1, 2), (0, 0.5, 2, 3), (0, 1.0, 0, 0), (0, 1.0, 0, 0)]),
            ("a child out of range", vec![(0, 0.5, 1, 9), (0, 1.0, 0, 0)]),
            ("twice the same child", vec![(0, 0.5, 1, 1), (0, 1.0, 0, 0)]),
            ("no node at all", vec![]),
            ("a feature out of range", vec![(u32::MAX, 0.5, 1, 2), (0, 1.0, 0, 0), (0, 1.0, 0, 0)]),
        ] {
            assert!(forest(&nodes, limits).is_err(), "{name}");
        }
        let deep: Small =
            (0..11).map(|id| if id % 2 == 0 && id < 10 { (0, 0.5, id + 1, id + 2) } else { (0, 1.0, 0, 0) }).collect();
        assert!(forest(&deep, Limits::default()).is_ok());
        assert!(matches!(forest(&deep, limits), Err(LoadError::TooLarge { .. })));
        let small = Limits { tree_node_count_max: 4, ..Limits::default() };
        assert!(matches!(forest(&deep, small), Err(LoadError::TooLarge { .. })));
    }

    #[test]
    fn categories_go_where_their_set_says() {
        let mut forest = Forest::<f32, f32>::new(1, Limits::default()).unwrap();
        for flags in [0, SET_RIGHT | MISSING_LEFT] {
            forest
                .add_tree(3, 0, |id| {
                    Ok(match id {
                        0 => Piece::Categories { feature: 0, words: vec![0b1010, 1], flags, left: 1, right: 2 },
                        id => Piece::Leaf(vec![(0, if id == 1 { 1.0 } else { 0.0 })]),
                    })
                })
                .unwrap();
        }
        let left = |tree: usize, value: f32| forest.said(forest.leaf(forest.roots[tree], &[value]))[0].1 == 1.0;
        for (value, inside) in [(1.0, true), (3.9, true), (32.0, true), (0.0, false), (-0.5, false), (64.0, false), (1e9, false)]
        {
            assert_eq!(left(0, value), inside, "{value}");
            assert_eq!(left(1, value), !inside, "{value}");
        }
        assert!(!left(0, -3.0) && left(1, -3.0) && !left(0, f32::NAN) && left(1, f32::NAN) && left(1, 1e30));
    }

    #[test]
    fn thresholds_are_rounded_down() {
        let below = 0.1_f64;
        assert!(f64::from(floor_f32(below)) <= below);
        assert_eq!(floor_f32(0.5), 0.5);
        assert_eq!(floor_f32(f64::INFINITY), f32::INFINITY);
    }

    #[test]
    fn a_batch_is_its_rows() {
        let nodes = vec![(0, 0.5, 1, 2), (0, 1.0, 0, 0), (0, 2.0, 0, 0)];
        let forest = forest(&nodes, Limits::default()).unwrap();
        let rows: Vec<f32> = (0..1000_u16).map(|row| f32::from(row % 3)).collect();
        let mut sums = vec![0.0; 1000];
        forest.add_rows(&rows, 1, &mut sums);
        for (value, sum) in rows.iter().zip(sums) {
            assert_eq!(sum, if *value < 0.5 { 1.0 } else { 2.0 });
        }
    }
}
