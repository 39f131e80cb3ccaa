//! The label screen: members' out-of-fold probabilities, pooled, and how doubtful each label is.

use crate::PoisonError;
use crate::boost;
use crate::forest;
use crate::fourier;
use crate::joint::{Joint, Pair, doubts};

use crate::pool::{Pooled, help, pool};
use crate::random::Random;
use crate::sparse;
use crate::table::Matrix;
use crate::views::Views;
use crate::watch::Watch;

/// Rows by which it is judged whether a member helps.
const JUDGED_ROW_COUNT_MAX: usize = 2_000;
/// The part of the surprise that further members must take away to be worth their time: those that see a text's directions,
/// and boosted trees. Of the latter little counts: where many labels are wrong, most of the surprise is theirs.
const DIRECTIONS_HELP_MIN: f64 = 0.02;
const BOOSTED_HELP_MIN: f64 = 0.005;
/// Trees of the forest.
const TREE_COUNT: usize = 100;

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
    pub(crate) labels: &'a [u32],
    pub(crate) classes: usize,
    /// The caller's own out-of-sample probabilities.
    pub(crate) given: Option<&'a Matrix>,
    pub(crate) seed: u64,
}

/// Linear classifiers of texts: of words and pairs of words, and of words alone.
fn linear(task: &Task<'_>, watch: &Watch<'_>) -> Result<(Vec<&'static str>, Vec<Matrix>), PoisonError> {
    let (mut names, mut members) = (Vec::new(), Vec::new());
    for (name, tokens, effort) in [
        ("linear text classifier", &task.views.tokens, sparse::PAIRS),
        ("linear word classifier", &task.views.words, sparse::WORDS),
    ] {
        if let Some(tokens) = tokens
            && (tokens.width() + 1) * task.classes <= sparse::WEIGHT_COUNT_MAX
        {
            watch.stage(name)?;
            names.push(name);
            members.push(sparse::out_of_fold(tokens, task.labels, task.classes, (effort, task.seed), watch)?);
        }
    }
    Ok((names, members))
}

/// Each class's share of the rows.
pub(crate) fn shares(labels: &[u32], classes: usize) -> Vec<f32> {
    let mut shares = vec![0.0; classes];
    for label in labels {
        crate::at::add(&mut shares, *label as usize, 1.0 / labels.len() as f32);
    }
    shares
}

/// Kernel discriminants, out of fold. With neighbours they are the members that learn smooth functions: these hardly learn a
/// trigger, trees do.
///
/// # Errors
/// `Cancelled` when the watch says so.
pub(crate) fn kernels(task: &Task<'_>, watch: &Watch<'_>) -> Result<Matrix, PoisonError> {
    watch.stage("kernel discriminants")?;
    let kernel = fourier::Task {
        points: &task.views.points,
        labels: task.labels,
        shares: &shares(task.labels, task.classes),
        features: fourier::feature_count(task.labels.len()),
        seed: task.seed,
    };
    fourier::out_of_fold(&kernel, watch)
}

/// Screens the labels with all members that suit the data. Kernels are given where they are known already.
///
/// # Errors
/// `Cancelled` when the watch says so.
pub(crate) fn screen(
    task: &Task<'_>,
    (neighbours, known_kernels): (Matrix, Option<Matrix>),
    watch: &Watch<'_>,
) -> Result<Screened, PoisonError> {
    let (mut names, mut members) = linear(task, watch)?;
    let needless = !members.is_empty() && !task.views.beside_texts && {
        let judged = Random::new(task.seed, 0x6e65_6564).sample(task.labels.len(), JUDGED_ROW_COUNT_MAX);
        help(&members, (&judged, &neighbours.chosen(&judged)), task.labels) < DIRECTIONS_HELP_MIN
    };
    names.push("nearest neighbours");
    members.push(neighbours);
    // Neighbours, trees and kernels see the same few directions of texts. Where the first say nothing that words do not, the
    // dearer others do not either.
    if !needless {
        watch.stage("trees")?;
        let shares = shares(task.labels, task.classes);
        let forest =
            forest::Task { bins: &task.views.bins, labels: task.labels, shares: &shares, trees: TREE_COUNT, seed: task.seed };
        names.extend(["random trees", "kernel discriminants"]);
        members.push(forest::out_of_bag(&forest, watch)?);
        members.push(known_kernels.map_or_else(|| kernels(task, watch), Ok)?);
    }
    if let Some(rounds) = boost::rounds(&task.views.bins, task.classes).filter(|_| task.views.tabular) {
        watch.stage("boosted trees")?;
        // Dear, and of no use where distances or single trees tell all: one part of the rows shows it.
        let helps = |rows: &[u32], first: &Matrix| help(&members, (rows, first), task.labels) >= BOOSTED_HELP_MIN;
        let boosted = boost::out_of_fold(&task.views.bins, task.labels, task.classes, (rounds, task.seed), helps, watch)?;
        if let Some(boosted) = boosted {
            names.push("boosted trees");
            members.push(boosted);
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
