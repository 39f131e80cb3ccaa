//! `HopSkipJump` (Chen, Jordan and Wainwright 2020): the nearest row with another answer, by asking for classes only.
//!
//! For tables: measured columns are moved along the estimated gradient, categories are taken from a true row of another
//! answer and put back one by one as far as the answer allows; immutable columns and missing values stay; every row asked
//! about is one that could be. The step and the size of the probe follow the source for the L2 distance.

use poison::Random;

use super::Trial;
use super::space::Space;
use crate::at::{add, at, narrow, put};
use crate::oracle::Stop;
use crate::report::{AttackKind, AttackReport, Curve, Point};
use crate::stats::{quantile, quantile_interval, share_interval};
use crate::{Predictions, Rows};

/// True rows of another answer that are tried as a start, and random ones where none will do.
const START_COUNT: usize = 5;
const RANDOM_START_COUNT: usize = 32;
/// Categories that are tried to be put back.
const CATEGORY_TRY_COUNT_MAX: usize = 16;
/// Probes of the first gradient; the source's choice.
const PROBE_COUNT: f64 = 100.0;
/// The boundary is found to this share of the distance.
const BOUNDARY_PRECISION: f64 = 1e-3;
const HALVING_COUNT_MAX: u32 = 20;
const ROUND_COUNT_MAX: u32 = 64;
/// Distances whose success is shown as a curve, in multiples of the configured one.
const CURVE: [f64; 5] = [0.25, 0.5, 1.0, 2.0, 4.0];

/// A row with another answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Turned {
    pub(crate) row: Vec<f64>,
    /// How far its measured columns were moved.
    pub(crate) distance: f64,
    /// How many categories were changed.
    pub(crate) categories: u32,
}

/// Attacks rows that the model answers right.
pub(crate) fn run(trial: &Trial<'_>) -> Result<AttackReport, Stop> {
    let config = &trial.config.evasion;
    let report = AttackReport::new(AttackKind::HopSkipJump, trial.config.seed, config.limits);
    if trial.truth.classes() < 2 {
        return Ok(report.not_applicable("evasion is tried on classifiers: a regressor has no boundary to cross"));
    }
    if trial.data.features.iter().all(|feature| feature.immutable) {
        return Ok(report.not_applicable("no column can be changed by who asks"));
    }
    let space = Space::new(&trial.data.features, trial.data.image, &trial.rows);
    let mut found: Vec<(u32, Option<Turned>)> = Vec::new();
    let mut cut_short = None;
    for row in trial.right_rows(0x686f_7073).into_iter().take(config.rows as usize) {
        let original = trial.rows.row(row as usize);
        if space.measured(original).is_empty() && space.categories(original).is_empty() {
            continue;
        }
        let allowance = u64::from(config.queries_per_row);
        // A row with fewer queries than the others would count as safer than it is.
        if trial.oracle.left() < allowance {
            cut_short = Some(Stop::Queries);
            break;
        }
        match Hop::new(trial, &space, row, allowance).attack() {
            Ok(turned) => found.push((row, turned)),
            Err(stop) if stop.is_budget() => {
                cut_short = Some(stop);
                break;
            }
            Err(stop) => return Err(stop),
        }
    }
    Ok(summarise(trial, report, &found, cut_short))
}

fn summarise(trial: &Trial<'_>, mut report: AttackReport, found: &[(u32, Option<Turned>)], stop: Option<Stop>) -> AttackReport {
    let config = &trial.config.evasion;
    report.cut_short = stop.is_some();
    if found.is_empty() {
        let why = stop.map_or_else(|| "no row that the model answers right could be moved".to_owned(), |stop| stop.words());
        return report.not_run(why);
    }
    // A row that did not turn is as far as can be.
    let far = |turned: &Option<Turned>| match turned {
        Some(turned) if turned.categories <= config.categories_max => turned.distance,
        _ => f64::INFINITY,
    };
    let mut distances: Vec<f64> = found.iter().map(|(_, turned)| far(turned)).collect();
    distances.sort_by(f64::total_cmp);
    let (count, confidence) = (found.len() as f64, trial.config.confidence);
    let share = |epsilon: f64| {
        let hits = distances.iter().filter(|distance| **distance <= epsilon).count() as f64;
        Point { x: epsilon, y: hits / count, interval: Some(share_interval(hits, count, confidence)) }
    };
    let unit = if trial.data.image.is_some() { "of the pixels' range" } else { "standard deviations" };
    let own = share(config.epsilon);
    let reached: Vec<f64> = distances.iter().copied().filter(|distance| distance.is_finite()).collect();
    let median = quantile(&reached, 0.5);
    let mut nearest: Vec<&(u32, Option<Turned>)> = found.iter().collect();
    nearest.sort_by(|left, right| far(&left.1).total_cmp(&far(&right.1)));
    report.rows = trial.named(nearest.iter().take(20).map(|(row, _)| *row as usize));
    report.curves.push(Curve {
        name: format!("share of turned rows by distance ({unit})"),
        points: CURVE.map(|factor| share(factor * config.epsilon)).to_vec(),
    });
    let mut report = report.measured(&format!("share of rows turned within {} {unit}", config.epsilon), own.y, own.interval);
    if !reached.is_empty() {
        report = report.and(
            &format!("median distance of turned rows ({unit})"),
            median,
            Some(quantile_interval(&reached, 0.5, confidence)),
        );
    }
    report = report.and("rows attacked", count, None).and("rows turned at any distance", reached.len() as f64, None);
    let at_all = match reached.len() {
        0 => "none turned at all".to_owned(),
        turned => format!("{turned} turned at all, at a median distance of {median:.3}"),
    };
    report.summary = format!("{:.0} % of {count} rows turned within {} {unit}; {at_all}", 100.0 * own.y, config.epsilon);
    report.advice =
        "Rows near the boundary turn with little: train with such rows and their true labels, check inputs against the \
                     ranges of the training data, limit queries per caller, and answer classes without scores."
            .to_owned();
    report
}

/// The attack on one row.
struct Hop<'a> {
    trial: &'a Trial<'a>,
    space: &'a Space,
    original: &'a [f64],
    label: u32,
    measured: Vec<usize>,
    /// Queries are left while more than this many are.
    floor: u64,
    random: Random,
    best: Option<Turned>,
}

impl<'a> Hop<'a> {
    fn new(trial: &'a Trial<'a>, space: &'a Space, row: u32, allowance: u64) -> Self {
        let original = trial.rows.row(row as usize);
        Self {
            trial,
            space,
            original,
            label: trial.answers.label(row as usize),
            measured: space.measured(original),
            floor: trial.oracle.left().saturating_sub(allowance),
            random: Random::new(trial.config.seed, 0x686f_7000 + (u64::from(row) << 32)),
            best: None,
        }
    }

    fn left(&self) -> u64 {
        self.trial.oracle.left().saturating_sub(self.floor)
    }

    /// The nearest turned row found within the allowance; none if no row turned.
    fn attack(mut self) -> Result<Option<Turned>, Stop> {
        match self.search() {
            Ok(()) => Ok(self.best),
            // Its own allowance is used up: what was found counts.
            Err(Stop::Queries) => Ok(self.best),
            Err(stop) => Err(stop),
        }
    }

    fn search(&mut self) -> Result<(), Stop> {
        let Some(start) = self.start()? else { return Ok(()) };
        let start = self.without_categories(start)?;
        // The start's categories with the original's numbers.
        let mut anchor = start.clone();
        self.measured.iter().for_each(|column| put(&mut anchor, *column, at(self.original, *column)));
        if self.measured.is_empty() || (self.changed_categories(&anchor) > 0 && self.turns(&anchor)?) {
            return Ok(());
        }
        let mut point = self.boundary_towards(&anchor, &start)?;
        for round in 1..=ROUND_COUNT_MAX {
            let distance = self.space.distance(&anchor, &point, &self.measured);
            if distance <= 0.0 {
                break;
            }
            let Some(direction) = self.gradient(&point, distance, round)? else { break };
            let Some(stepped) = self.step(&point, &direction, distance / f64::from(round).sqrt())? else { continue };
            point = self.boundary_towards(&anchor, &stepped)?;
        }
        Ok(())
    }

    /// Whether the valid row nearest to this one has another answer. Keeps the best.
    fn turns(&mut self, row: &[f64]) -> Result<bool, Stop> {
        Ok(self.ask(vec![row.to_vec()])?.first().copied().unwrap_or(false))
    }

    fn ask(&mut self, points: Vec<Vec<f64>>) -> Result<Vec<bool>, Stop> {
        if points.len() as u64 > self.left() {
            return Err(Stop::Queries);
        }
        let mut rows = Rows::empty(self.original.len(), points.len());
        points.into_iter().for_each(|point| rows.push(&self.space.valid(point, &self.measured)));
        let answers: Predictions = self.trial.oracle.ask(&rows)?;
        let turned: Vec<bool> = (0..rows.count()).map(|row| answers.label(row) != self.label).collect();
        for (row, _) in rows.iter().zip(&turned).filter(|(_, turned)| **turned) {
            let distance = self.space.distance(self.original, row, &self.measured);
            let categories = self.changed_categories(row);
            // Fewer categories first: a changed category is a change that people see.
            let rank = |turned: &Turned| (turned.categories, turned.distance);
            if self.best.as_ref().is_none_or(|best| (categories, distance) < rank(best)) {
                self.best = Some(Turned { row: row.to_vec(), distance, categories });
            }
        }
        Ok(turned)
    }

    fn changed_categories(&self, row: &[f64]) -> u32 {
        narrow(
            self.space
                .categories(self.original)
                .into_iter()
                .filter(|column| at(row, *column) != at(self.original, *column))
                .count(),
        )
    }

    /// A row with another answer: true rows first, the nearest before others, then random ones.
    fn start(&mut self) -> Result<Option<Vec<f64>>, Stop> {
        let trial = self.trial;
        let categories = self.space.categories(self.original);
        let apart = |row: &[f64]| {
            let changed = categories.iter().filter(|column| at(row, **column) != at(self.original, **column)).count();
            let distance = self.space.distance(self.original, row, &self.measured);
            changed as f64 + if distance.is_nan() { f64::MAX } else { distance }
        };
        let others = (0..trial.rows.count()).filter(|row| trial.answers.label(*row) != self.label);
        let mut others: Vec<(f64, usize)> = others.map(|row| (apart(trial.rows.row(row)), row)).collect();
        others.sort_by(|left, right| left.0.total_cmp(&right.0).then(left.1.cmp(&right.1)));
        let movable: Vec<usize> = self.measured.iter().chain(&categories).copied().collect();
        let graft = |other: &[f64]| {
            let mut row = self.original.to_vec();
            for column in &movable {
                let value = at(other, *column);
                put(&mut row, *column, if value.is_nan() { at(self.original, *column) } else { value });
            }
            row
        };
        let near: Vec<Vec<f64>> = others.iter().take(START_COUNT).map(|(_, row)| graft(trial.rows.row(*row))).collect();
        if let Some(start) = self.first_turned(near)? {
            return Ok(Some(start));
        }
        let mut random = Vec::with_capacity(RANDOM_START_COUNT);
        for _ in 0..RANDOM_START_COUNT {
            let mut row = self.original.to_vec();
            for column in &movable {
                let (low, high) = self.space.range(*column);
                let value = low + (high - low) * f64::from(self.random.unit());
                put(&mut row, *column, if categories.contains(column) { value.round() } else { value });
            }
            random.push(row);
        }
        self.first_turned(random)
    }

    fn first_turned(&mut self, rows: Vec<Vec<f64>>) -> Result<Option<Vec<f64>>, Stop> {
        if rows.is_empty() {
            return Ok(None);
        }
        let turned = self.ask(rows.clone())?;
        Ok(rows.into_iter().zip(turned).find(|(_, turned)| *turned).map(|(row, _)| row))
    }

    /// Puts the original's categories back where the answer stays turned.
    fn without_categories(&mut self, mut start: Vec<f64>) -> Result<Vec<f64>, Stop> {
        let categories = self.space.categories(self.original);
        let changed = categories.into_iter().filter(|column| at(&start, *column) != at(self.original, *column));
        for column in changed.take(CATEGORY_TRY_COUNT_MAX).collect::<Vec<usize>>() {
            let mut back = start.clone();
            put(&mut back, column, at(self.original, column));
            if self.turns(&back)? {
                start = back;
            }
        }
        Ok(start)
    }

    /// The turned point nearest to the anchor on the way to a turned one.
    fn boundary_towards(&mut self, anchor: &[f64], turned: &[f64]) -> Result<Vec<f64>, Stop> {
        let blend = |share: f64| -> Vec<f64> {
            anchor
                .iter()
                .zip(turned)
                .map(|(from, to)| if from == to || from.is_nan() { *from } else { from + share * (to - from) })
                .collect()
        };
        let (mut low, mut high) = (0.0, 1.0);
        while high - low > BOUNDARY_PRECISION {
            let middle = 0.5 * (low + high);
            if self.turns(&blend(middle))? { high = middle } else { low = middle }
        }
        Ok(blend(high))
    }

    /// The direction of the boundary's normal, estimated from random probes around a point of it; none at the budget's end.
    fn gradient(&mut self, point: &[f64], distance: f64, round: u32) -> Result<Option<Vec<f64>>, Stop> {
        let width = self.measured.len();
        let count = (PROBE_COUNT * f64::from(round).sqrt()).min(self.left() as f64) as usize;
        if count < 2 {
            return Ok(None);
        }
        // The source's δ for θ = d^(−3/2), held back in few dimensions, where it would reach beyond the boundary's bends.
        let size = distance * (1.0 / width as f64).min(0.2);
        let (mut probes, mut moves) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for _ in 0..count {
            let direction: Vec<f64> = (0..width).map(|_| f64::from(self.random.normal())).collect();
            let length = direction.iter().map(|value| value * value).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
            let mut probe = point.to_vec();
            for (column, value) in self.measured.iter().zip(&direction) {
                // A whole number must move by a whole step to be seen.
                let reach = (size * self.space.scale(*column)).max(self.space.step(*column));
                add(&mut probe, *column, reach * value / length);
            }
            let probe = self.space.valid(probe, &self.measured);
            moves.push(
                self.measured
                    .iter()
                    .map(|column| (at(&probe, *column) - at(point, *column)) / self.space.scale(*column))
                    .collect::<Vec<f64>>(),
            );
            probes.push(probe);
        }
        let signs: Vec<f64> = self.ask(probes)?.into_iter().map(|turned| if turned { 1.0 } else { -1.0 }).collect();
        let mean = signs.iter().sum::<f64>() / count as f64;
        // All probes on one side: their mean says where it is.
        let baseline = if mean.abs() < 1.0 { mean } else { 0.0 };
        let mut sum = vec![0.0; width];
        for (sign, direction) in signs.iter().zip(&moves) {
            sum.iter_mut().zip(direction).for_each(|(sum, value)| *sum += (sign - baseline) * value);
        }
        let length = sum.iter().map(|value| value * value).sum::<f64>().sqrt();
        Ok((length > 0.0).then(|| sum.into_iter().map(|value| value / length).collect()))
    }

    /// A turned point along a direction; the step is halved until one is found.
    fn step(&mut self, point: &[f64], direction: &[f64], size: f64) -> Result<Option<Vec<f64>>, Stop> {
        let mut size = size;
        for _ in 0..HALVING_COUNT_MAX {
            let mut stepped = point.to_vec();
            for (column, value) in self.measured.iter().zip(direction) {
                add(&mut stepped, *column, size * self.space.scale(*column) * value);
            }
            let stepped = self.space.valid(stepped, &self.measured);
            if self.turns(&stepped)? {
                return Ok(Some(stepped));
            }
            size *= 0.5;
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attack::tried;
    use crate::report::Verdict;
    use crate::testing::{Binary, Hidden, blobs, logistic};
    use crate::{EvaluationData, FeatureKind, Predict, SuiteConfig};

    fn config(rows: u32, queries_per_row: u32) -> SuiteConfig {
        let mut config = SuiteConfig { seed: 11, ..SuiteConfig::default() };
        (config.evasion.rows, config.evasion.queries_per_row) = (rows, queries_per_row);
        config
    }

    /// The turned row of each attacked row.
    fn turned(model: &dyn Predict, data: &EvaluationData, config: &SuiteConfig) -> Vec<(u32, Turned)> {
        tried(model, data, config, |trial| {
            let space = Space::new(&data.features, data.image, &trial.rows);
            let rows = trial.right_rows(1).into_iter().take(config.evasion.rows as usize);
            rows.map(|row| {
                let hop = Hop::new(trial, &space, row, u64::from(config.evasion.queries_per_row));
                Ok((trial.numbers[row as usize], hop.attack()?.expect("a row that turns")))
            })
            .collect()
        })
    }

    /// How far the attack's distance lies above the closed form of a linear model, in standard deviations, at the median.
    fn check_linear(width: usize, queries: u32, excess_max: f64) {
        let weights: Vec<f64> = (0..width).map(|column| 0.5 + (column % 3) as f64).collect();
        let data = blobs(600, width, 3.0, 5);
        let space = Space::new(&data.features, None, &data.rows);
        let victim = logistic(weights.clone(), 0.3);
        let found = turned(&Hidden(&victim), &data, &config(12, queries));
        let scaled: f64 =
            weights.iter().enumerate().map(|(column, weight)| (weight * space.scale(column)).powi(2)).sum::<f64>().sqrt();
        let mut excesses: Vec<f64> = found
            .iter()
            .map(|(row, turned)| {
                let score: f64 = data.rows.row(*row as usize).iter().zip(&weights).map(|(value, weight)| value * weight).sum();
                let least = (score + 0.3).abs() / scaled;
                assert!(turned.distance >= least * 0.999, "{} is nearer than possible: {least}", turned.distance);
                turned.distance / least - 1.0
            })
            .collect();
        excesses.sort_by(f64::total_cmp);
        let median = quantile(&excesses, 0.5);
        assert!(median < excess_max, "{width} columns, {queries} queries: {median:.4} over the least distance");
    }

    #[test]
    fn it_comes_close_to_the_least_distance_of_a_linear_model() {
        check_linear(4, 1_500, 0.02);
        check_linear(10, 3_000, 0.03);
    }

    #[test]
    fn what_it_finds_is_a_row_that_could_be() {
        let mut data = blobs(400, 5, 3.0, 7);
        data.features[0].immutable = true;
        data.features[1].kind = FeatureKind::Integer { least: -3.0, greatest: 3.0 };
        data.features[2].kind = FeatureKind::Category(vec!["a".to_owned(), "b".to_owned(), "c".to_owned()]);
        data.features[3].kind = FeatureKind::Number { least: -2.0, greatest: 2.0 };
        let values = data.rows.iter().flat_map(|row| {
            let category = f64::from(u8::from(row[2] > -1.0)) + f64::from(u8::from(row[2] > 1.0));
            [row[0], row[1].round().clamp(-3.0, 3.0), category, row[3].clamp(-2.0, 2.0), row[4]]
        });
        data.rows = Rows::new(5, values.collect()).unwrap();
        data.training = None;
        let victim = Binary(|row: &[f64]| {
            let score = row[0] + row[1] + (row[2] - 1.0) + row[3] + row[4];
            if score > 0.0 { 0.9 } else { 0.1 }
        });
        for (row, turned) in turned(&victim, &data, &config(15, 1_000)) {
            let original = data.rows.row(row as usize);
            assert_eq!(turned.row[0], original[0], "immutable");
            for (feature, value) in data.features.iter().zip(&turned.row) {
                assert!(feature.kind.allows(*value), "{} of {}", value, feature.name);
            }
            assert!(victim.0(&turned.row) > 0.5 || victim.0(original) > 0.5);
            assert_ne!(victim.0(&turned.row), victim.0(original));
        }
    }

    #[test]
    fn where_nobody_can_change_anything_there_is_nothing_to_try() {
        let mut data = blobs(100, 3, 3.0, 3);
        data.features.iter_mut().for_each(|feature| feature.immutable = true);
        let report = tried(&logistic(vec![1.0; 3], 0.0), &data, &config(5, 200), run);
        assert_eq!((report.verdict, report.measure), (Verdict::NotApplicable, None), "{}", report.summary);
        data.features[1].immutable = false;
        assert_ne!(tried(&logistic(vec![1.0; 3], 0.0), &data, &config(5, 200), run).verdict, Verdict::NotApplicable);
    }

    #[test]
    fn a_missing_value_stays_and_categories_alone_can_turn() {
        let mut data = blobs(200, 2, 3.0, 7);
        data.features[1].kind = FeatureKind::Category(vec!["a".to_owned(), "b".to_owned()]);
        let values = data
            .rows
            .iter()
            .zip(data.truth.labels())
            .flat_map(|(row, label)| [if row[0] > 2.0 { f64::NAN } else { row[0] }, f64::from(*label)]);
        data.rows = Rows::new(2, values.collect()).unwrap();
        data.training = None;
        let victim = Binary(|row: &[f64]| if row[1] > 0.5 { 0.8 } else { 0.2 });
        for (row, turned) in turned(&victim, &data, &config(30, 200)) {
            assert_eq!((turned.distance, turned.categories), (0.0, 1));
            assert_eq!(turned.row[0].is_nan(), data.rows.row(row as usize)[0].is_nan());
        }
    }

    #[test]
    fn a_near_boundary_refuses_and_a_far_one_is_clear() {
        let run = |apart: f64, model: &dyn Predict| tried(model, &blobs(400, 3, apart, 3), &config(25, 300), run);
        let far = run(8.0, &logistic(vec![1.0; 3], 0.0));
        assert_eq!((far.verdict, far.framework.owasp[0].as_str()), (Verdict::Clear, "ML01:2023"), "{}", far.summary);
        // A model whose answer hangs on tiny differences.
        let brittle = Binary(|row: &[f64]| if (row[0] * 40.0).sin() > 0.0 { 0.9 } else { 0.1 });
        let near = run(3.0, &brittle);
        assert_eq!(near.verdict, Verdict::Refuse, "{}", near.summary);
        assert!(near.queries == 0 && near.measure.unwrap().interval.unwrap().low > 0.75 && near.curves.len() == 1);
    }

    #[test]
    fn a_model_that_never_turns_is_clear_and_a_budget_ends_it() {
        let constant = Binary(|_| 0.1);
        let report = tried(&constant, &blobs(100, 3, 3.0, 3), &config(5, 200), run);
        assert!(report.summary.ends_with("; none turned at all"), "{}", report.summary);
        assert_eq!((report.verdict, report.measure.map(|measure| measure.value)), (Verdict::Clear, Some(0.0)));
        let mut poor = config(30, 1_000);
        poor.queries_max = 900;
        let report = tried(&logistic(vec![1.0; 3], 0.0), &blobs(300, 3, 3.0, 3), &poor, run);
        assert!(
            report.cut_short || report.more.iter().any(|more| more.name == "rows attacked" && more.value < 30.0),
            "{report:?}"
        );
    }
}
