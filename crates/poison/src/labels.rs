//! The label screen: members' out-of-fold probabilities, pooled, and how doubtful each label is.

use crate::PoisonError;
use crate::boost;
use crate::forest;
use crate::fourier;
use crate::joint::{Joint, Pair, doubts};
use crate::knn::{Neighbours, votes};
use crate::pool::{Pooled, helps, pool};
use crate::sparse;
use crate::table::Matrix;
use crate::views::Views;
use crate::watch::Watch;

/// Trees of the forest.
const TREE_COUNT: usize = 150;

/// What the label screen found.
pub(crate) struct Screened {
    /// Pooled out-of-fold probabilities.
    pub(crate) probabilities: Matrix,
    /// How doubtful each label is, 0 to 1.
    pub(crate) doubts: Vec<f32>,
    /// Flips that go one way.
    pub(crate) pairs: Vec<Pair>,
    /// The members and their weights.
    pub(crate) members: Vec<(&'static str, f32)>,
}

/// Labels and what the members learn from.
pub(crate) struct Task<'a> {
    pub(crate) views: &'a Views,
    pub(crate) neighbours: &'a Neighbours,
    pub(crate) labels: &'a [u32],
    pub(crate) classes: usize,
    /// The caller's own out-of-sample probabilities.
    pub(crate) given: Option<&'a Matrix>,
    pub(crate) seed: u64,
}

/// Each class's share of the rows.
pub(crate) fn shares(labels: &[u32], classes: usize) -> Vec<f32> {
    let mut shares = vec![0.0; classes];
    for label in labels {
        crate::at::add(&mut shares, *label as usize, 1.0 / labels.len() as f32);
    }
    shares
}

/// The members that learn smooth functions: neighbours, then kernels. They hardly learn a trigger, trees do.
///
/// # Errors
/// `Cancelled` when the watch says so.
pub(crate) fn smooth(task: &Task<'_>, watch: &Watch<'_>) -> Result<[Matrix; 2], PoisonError> {
    let shares = shares(task.labels, task.classes);
    watch.stage("kernel discriminants")?;
    let kernel = fourier::Task {
        points: &task.views.points,
        labels: task.labels,
        shares: &shares,
        features: fourier::feature_count(task.labels.len()),
        seed: task.seed,
    };
    Ok([votes(task.neighbours, task.labels, &shares), fourier::out_of_fold(&kernel, watch)?])
}

/// Screens the labels with the smooth members and all others that suit the data.
///
/// # Errors
/// `Cancelled` when the watch says so.
pub(crate) fn screen(task: &Task<'_>, smooth: [Matrix; 2], watch: &Watch<'_>) -> Result<Screened, PoisonError> {
    let shares = shares(task.labels, task.classes);
    watch.stage("trees")?;
    let forest =
        forest::Task { bins: &task.views.bins, labels: task.labels, shares: &shares, trees: TREE_COUNT, seed: task.seed };
    let [neighbours, kernels] = smooth;
    let mut names = vec!["nearest neighbours", "random trees", "kernel discriminants"];
    let mut members = vec![neighbours, forest::out_of_bag(&forest, watch)?, kernels];
    if let Some(rounds) = boost::rounds(&task.views.bins, task.classes).filter(|_| task.views.tabular) {
        watch.stage("boosted trees")?;
        // Dear, and of no use where distances or single trees tell all: one part of the rows shows it.
        let helps = |rows: &[u32], first: &Matrix| helps(&members, (rows, first), task.labels);
        let boosted = boost::out_of_fold(&task.views.bins, task.labels, task.classes, (rounds, task.seed), helps, watch)?;
        if let Some(boosted) = boosted {
            names.push("boosted trees");
            members.push(boosted);
        }
    }
    for (name, tokens, penalty) in [
        ("linear text classifier", &task.views.tokens, sparse::PAIR_PENALTY),
        ("linear word classifier", &task.views.words, sparse::WORD_PENALTY),
    ] {
        if let Some(tokens) = tokens
            && (tokens.width() + 1) * task.classes <= sparse::WEIGHT_COUNT_MAX
        {
            watch.stage(name)?;
            names.push(name);
            members.push(sparse::out_of_fold(tokens, task.labels, task.classes, (penalty, task.seed), watch)?);
        }
    }
    if let Some(given) = task.given {
        names.push("given probabilities");
        members.push(given.clone());
    }
    watch.stage("pooling")?;
    let Pooled { probabilities, even, weights } = pool(&members, task.labels, task.seed);
    drop(members);
    let joint = Joint::confident(task.labels, &even);
    let pairs = joint.pairs();
    let doubts = if pairs.is_empty() {
        doubts(task.labels, &probabilities, None)
    } else {
        doubts(task.labels, &even, Some(&joint.noise(&pairs)))
    };
    Ok(Screened { probabilities, doubts, pairs, members: names.into_iter().zip(weights).collect() })
}
