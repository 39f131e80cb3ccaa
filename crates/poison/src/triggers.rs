//! The trigger screen: two rounds of the association scan over every kind of cells, then a trial of what stands out.

use crate::PoisonError;
use crate::at::{at, put};
use crate::cells::{COLUMN_COUNT_MAX, CellKind, Cells};
use crate::forest;
use crate::fourier;
use crate::input::Input;
use crate::labels::shares;
use crate::phrases::phrases;
use crate::pool::pool;
use crate::report::Trigger;
use crate::sparse;
use crate::stamps;
use crate::standing::Standing;
use crate::table::{Matrix, Tokens};
use crate::trigger::{
    Found, SAME_ROWS_MIN, SUPPORT_MIN, TRIGGER_COUNT_MAX, expectation, gather, gather_odd, row_marks, stands, threshold,
};
use crate::verify::{AttackSuccess, Trials};
use crate::views::{Views, views};
use crate::watch::Watch;

/// Trees and random features of the second round's models: the first round has more.
const TREE_COUNT: usize = 32;
const FEATURE_COUNT: usize = 512;
/// The part of the threshold that a cell needs in the first round, whose models may have learnt the trigger; the second
/// round, whose models do not see the cell, asks for the whole.
const NOMINATION: f32 = 0.5;
/// Rows of a trigger that are listed.
const LISTED_ROW_COUNT_MAX: usize = 10_000;
/// Rows of a trigger look like another class if models without its cells give its label less than this,
const EXPECTED_MAX: f32 = 0.25;
/// or less than this part of the label's own share.
const EXPECTED_SHARE: f32 = 0.8;
/// What a value of which its column gives no account needs in the second round: there are few of them to choose from.
const ODD_THRESHOLD: f32 = 4.0;
/// Rows with such a value are from everywhere if models without it give its label hardly more than the label's own share: whoever stamps rows
/// at random stamps rows of that class too.
const STRAY_EXPECTED_SHARE: f32 = 1.3;

/// What the screen found.
pub(crate) struct Triggers {
    /// Each row's greatest z of a cell with its own label; rows of verified triggers above all others.
    pub(crate) marks: Vec<f32>,
    /// Triggers, the most striking first.
    pub(crate) reported: Vec<Trigger>,
    /// Rows of verified and of suspected triggers with the trigger's place in `reported`.
    pub(crate) suspects: Vec<(u32, usize)>,
    /// Triggers whose rows look like another class, and of which a surrogate learnt something, but too little to be verified.
    pub(crate) suspected_count: usize,
    /// The least threshold of all kinds.
    pub(crate) score_min: f32,
}

/// Scans every kind of cells.
pub(crate) fn scan_triggers(
    input: &Input,
    labels: &[u32],
    probabilities: &Matrix,
    seed: u64,
    watch: &Watch<'_>,
) -> Result<Triggers, PoisonError> {
    watch.stage("trigger scan")?;
    let classes = probabilities.columns();
    let mut kinds: Vec<Cells> =
        Cells::all(input, seed).into_iter().filter(|cells| cells.width() * classes <= sparse::WEIGHT_COUNT_MAX * 4).collect();
    let shares = shares(labels, classes);
    let mut thresholds = Vec::with_capacity(kinds.len());
    let (mut first, mut odd) = (Vec::new(), Vec::new());
    let mut marks = vec![0.0; labels.len()];
    for (kind, cells) in kinds.iter().enumerate() {
        watch.check()?;
        let sums = cells.sums(labels, probabilities);
        let least = threshold((cells, &sums), labels, probabilities, seed, watch)?;
        crate::trigger::keep_greatest(&mut marks, &row_marks(cells, &sums, labels));
        first.extend(gather((kind, cells), &sums, labels, probabilities, NOMINATION * least));
        odd.extend(gather_odd(kind, cells, labels, &shares));
        thresholds.push(least);
    }
    first.extend(odd.iter().cloned());
    let of_words = kinds.iter().enumerate().find(|(_, cells)| cells.kind == CellKind::Word);
    if let (Some(of_words), Some(texts)) = (of_words, &input.texts) {
        first.extend(phrases(of_words, &texts.words, labels, &shares, watch)?);
    }
    let stamped = add_stamps(input, labels, &shares, &mut kinds, seed, watch)?;
    first.extend(stamped.triggers.iter().cloned());
    let mut found: Vec<Found> = Vec::new();
    let mut refitted = None;
    if !first.is_empty() {
        watch.stage("trigger scan, second round")?;
        let second = refit(input, labels, (&kinds, &first, &stamped.hidden), classes, seed, watch)?;
        marks.fill(0.0);
        for (kind, cells) in kinds.iter().enumerate().take(thresholds.len()) {
            let sums = cells.sums(labels, &second);
            crate::trigger::keep_greatest(&mut marks, &row_marks(cells, &sums, labels));
            found.extend(gather((kind, cells), &sums, labels, &second, at(&thresholds, kind)));
            let own = odd.iter().filter(|trigger| trigger.kind == kind);
            let again = own.filter_map(|trigger| stands(trigger, &sums, ODD_THRESHOLD));
            again.for_each(|trigger| add_odd(&mut found, trigger));
        }
        refitted = Some(second);
    }
    found.sort_by(|left, right| right.z.total_cmp(&left.z));
    found.truncate(TRIGGER_COUNT_MAX);
    if let Some(refitted) = &refitted {
        stamped.add_surprising(&kinds, labels, refitted, &mut found);
    }
    let mut screen = Triggers {
        marks,
        reported: Vec::new(),
        suspects: Vec::new(),
        suspected_count: 0,
        score_min: thresholds.iter().copied().fold(f32::MAX, f32::min),
    };
    let mut trials: Vec<Option<Trials<'_>>> = kinds.iter().map(|_| None).collect();
    for trigger in &found {
        let (Some(cells), Some(refitted)) = (kinds.get(trigger.kind), &refitted) else { continue };
        watch.stage("trying a trigger on a model")?;
        let expected = expectation(trigger, refitted);
        // A cell whose rows look like its label is an ordinary property of the class, and one that alone decides the label
        // leaves nothing that could speak against it: no model need be asked.
        let standing = Standing::of(trigger, labels, refitted);
        let share = at(&shares, trigger.class);
        let is_stamp = trigger.kind >= thresholds.len();
        let unaccounted = is_stamp || is_odd(trigger, &odd);
        let foreign = expected < EXPECTED_MAX.max(EXPECTED_SHARE * share) && standing.foreign()
            || unaccounted && expected < STRAY_EXPECTED_SHARE * share && standing.stray(f64::from(share));
        // Two properties that together tell a class are what interactions look like in any clean table; and what looks like
        // its label was no stamp.
        if trigger.least > 1 && !foreign && (is_stamp || !unaccounted) {
            continue;
        }
        let attack = match trials.get_mut(trigger.kind).filter(|_| foreign) {
            None => None,
            Some(known) => {
                let trials = match known.take() {
                    Some(known) => known,
                    None => Trials::new(cells, labels, classes, seed, watch)?,
                };
                known.insert(trials).verify(trigger, watch)?
            }
        };
        let is_planted = foreign && trigger.rows.len() >= SUPPORT_MIN as usize;
        let verified = is_planted && attack.as_ref().is_some_and(AttackSuccess::verified);
        // Where no surrogate is affordable, nothing speaks against it.
        let suspected = is_planted && !verified && attack.as_ref().is_none_or(AttackSuccess::taught);
        if verified {
            rank_first(&mut screen.marks, trigger, refitted);
        }
        if verified || suspected {
            let place = screen.reported.len();
            screen.suspects.extend(trigger.rows.iter().map(|index| (*index, place)));
        }
        screen.suspected_count += usize::from(suspected);
        screen.reported.push(Trigger {
            kind: cells.kind,
            cells: trigger.cells.iter().map(|cell| cells.name(*cell, input)).collect(),
            label: input.labels.as_ref().and_then(|labels| labels.names.get(trigger.class)).cloned().unwrap_or_default(),
            z: trigger.z,
            threshold: if unaccounted { ODD_THRESHOLD } else { at(&thresholds, trigger.kind) },
            expected,
            row_count: trigger.rows.len() as u64,
            rows: trigger.rows.iter().take(LISTED_ROW_COUNT_MAX).map(|index| u64::from(*index)).collect(),
            attack,
            verified,
        });
    }
    Ok(screen)
}

/// What was nominated as stamped on images.
#[derive(Default)]
struct Stamped {
    triggers: Vec<Found>,
    /// Values of an image that the second round's models do not see for it.
    hidden: Vec<usize>,
}

impl Stamped {
    /// Adds those at which the second round's models are surprised, in place of what was found of the same rows.
    fn add_surprising(&self, kinds: &[Cells], labels: &[u32], refitted: &Matrix, found: &mut Vec<Found>) {
        for trigger in &self.triggers {
            let Some(cells) = kinds.get(trigger.kind) else { continue };
            let surprising = stamps::surprising(cells, trigger, labels, refitted);
            let Some(stamp) = surprising.filter(|trigger| trigger.z > ODD_THRESHOLD) else { continue };
            let is_part = |other: &Found| SAME_ROWS_MIN * other.rows.len() as f32 <= stamp.rows.len() as f32;
            found.retain(|other| !(other.shares(stamp.class, &stamp.rows) && is_part(other)));
            found.push(stamp);
        }
    }
}

/// Looks for stamps on images, and adds a kind of cells for what is found: no model but the second round's is asked about it.
fn add_stamps(
    input: &Input,
    labels: &[u32],
    shares: &[f32],
    kinds: &mut Vec<Cells>,
    seed: u64,
    watch: &Watch<'_>,
) -> Result<Stamped, PoisonError> {
    let Some(images) = input.images.as_ref().filter(|images| images.image_len() <= COLUMN_COUNT_MAX) else {
        return Ok(Stamped::default());
    };
    let stamps = stamps::stamps(images, labels, shares, seed, watch)?;
    if stamps.is_empty() {
        return Ok(Stamped::default());
    }
    let Some(cells) = Cells::stamped(images, &stamps, seed) else { return Ok(Stamped::default()) };
    let triggers = stamps::triggers(kinds.len(), &cells, &stamps, labels);
    kinds.push(cells);
    Ok(Stamped { triggers, hidden: stamps::touched(images, &stamps) })
}

/// Whether a trigger has a cell of which its column gives no account.
fn is_odd(trigger: &Found, odd: &[Found]) -> bool {
    let same = |other: &&Found| other.kind == trigger.kind && other.class == trigger.class;
    odd.iter().filter(same).any(|other| other.cells.iter().any(|cell| trigger.cells.contains(cell)))
}

/// Adds one that was found by its odd cells, unless its rows were found already.
fn add_odd(found: &mut Vec<Found>, trigger: Found) {
    if !found.iter().any(|other| other.kind == trigger.kind && other.shares(trigger.class, &trigger.rows)) {
        found.push(trigger);
    }
}

/// Ranks a verified trigger's rows above all others, those first that look least like the label: natural cells of large data
/// sets reach any z, but no model unlearns them.
fn rank_first(marks: &mut [f32], trigger: &Found, refitted: &Matrix) {
    let greatest = marks.iter().copied().fold(0.0, f32::max);
    for index in &trigger.rows {
        let index = *index as usize;
        let foreign = 1.0 - at(refitted.row(index), trigger.class);
        put(marks, index, greatest + trigger.z * foreign);
    }
}

/// Out-of-fold probabilities of models that do not see the found cells.
fn refit(
    input: &Input,
    labels: &[u32],
    (kinds, found, hidden): (&[Cells], &[Found], &[usize]),
    classes: usize,
    seed: u64,
    watch: &Watch<'_>,
) -> Result<Matrix, PoisonError> {
    let (mut columns, mut words): (Vec<usize>, Vec<u32>) = (hidden.to_vec(), Vec::new());
    for trigger in found {
        let Some(cells) = kinds.get(trigger.kind) else { continue };
        match cells.kind {
            CellKind::Column | CellKind::Pixel => columns.extend(trigger.cells.iter().filter_map(|cell| cells.column(*cell))),
            CellKind::Word => words.extend(&trigger.cells),
            CellKind::Patch => {}
        }
    }
    columns.sort_unstable();
    columns.dedup();
    words.sort_unstable();
    let reduced = input.texts.as_ref().filter(|_| !words.is_empty()).map(|texts| without(&texts.words, &words));
    let views = match reduced {
        None => views(input, &columns, seed),
        Some(words) => {
            let texts = crate::input::Texts { words, names: Vec::new() };
            let changed = Input {
                features: input.features.clone(),
                embeddings: input.embeddings.clone(),
                images: input.images.clone(),
                texts: Some(texts),
                ..Input::default()
            };
            views(&changed, &columns, seed)
        }
    };
    members(&views, labels, classes, seed, watch)
}

fn members(views: &Views, labels: &[u32], classes: usize, seed: u64, watch: &Watch<'_>) -> Result<Matrix, PoisonError> {
    let shares = shares(labels, classes);
    let mut members = Vec::new();
    if views.bins.columns() > 0 {
        let task = forest::Task { bins: &views.bins, labels, shares: &shares, trees: TREE_COUNT, seed };
        members.push(forest::out_of_bag(&task, watch)?);
    }
    if views.points.columns() > 0 {
        let task = fourier::Task { points: &views.points, labels, shares: &shares, features: FEATURE_COUNT, seed };
        members.push(fourier::out_of_fold(&task, watch)?);
    }
    if let Some(tokens) = views.tokens.as_ref().filter(|tokens| (tokens.width() + 1) * classes <= sparse::WEIGHT_COUNT_MAX) {
        members.push(sparse::out_of_fold(tokens, labels, classes, (sparse::PAIRS, seed), watch)?);
    }
    Ok(pool(&members, labels, seed).probabilities)
}

fn without(words: &Tokens, left_out: &[u32]) -> Tokens {
    let mut kept = Tokens::new(words.width());
    for index in 0..words.rows() {
        let row = words.row(index).map(|(token, count)| (u32::try_from(token).unwrap_or(u32::MAX), count));
        kept.push(row.filter(|(token, _)| left_out.binary_search(token).is_err()));
    }
    kept
}
