//! Square (Andriushchenko et al. 2020): random squares of an image are set to the ends of what is allowed (L∞), and kept
//! where the model gets less sure. It asks for scores.

use poison::Random;

use super::Trial;
use super::space::Space;
use crate::at::{at, narrow, put};
use crate::oracle::Stop;
use crate::report::{AttackKind, AttackReport};
use crate::stats::{quantile, quantile_interval, share_interval};
use crate::{ImageShape, Predictions, Rows};

/// The share of the image that the first squares cover.
const FIRST_SHARE: f64 = 0.3;
/// Where in its course the share is halved, in ten-thousandths of all queries: the source's schedule.
const HALVED_AT: [f64; 8] = [10.0, 50.0, 200.0, 500.0, 1_000.0, 2_000.0, 4_000.0, 6_000.0];

/// Attacks images that the model answers right.
pub(crate) fn run(trial: &Trial<'_>) -> Result<AttackReport, Stop> {
    let config = &trial.config.evasion;
    let report = AttackReport::new(AttackKind::Square, trial.config.seed, config.limits);
    let Some(image) = trial.data.image else {
        return Ok(report.not_applicable("it is for images; tables are tried by HopSkipJump"));
    };
    if !trial.answers.has_probabilities() {
        return Ok(report.not_applicable("it needs scores; without them HopSkipJump is tried"));
    }
    let space = Space::new(&trial.data.features, trial.data.image, &trial.rows);
    let rows: Vec<u32> = trial.right_rows(0x7371_7561).into_iter().take(config.rows as usize).collect();
    if rows.is_empty() {
        return Ok(report.not_run("the model answers no held-back image right".to_owned()));
    }
    let mut attacked: Vec<Attacked> = rows.iter().map(|row| Attacked::new(trial, *row)).collect();
    let mut random = Random::new(trial.config.seed, 0x7371_7561 + 1);
    let mut cut_short = false;
    for query in 0..config.queries_per_row {
        let open: Vec<usize> =
            (0..attacked.len()).filter(|place| attacked.get(*place).is_some_and(|own| own.turned.is_none())).collect();
        if open.is_empty() {
            break;
        }
        let share = f64::from(query) / f64::from(config.queries_per_row.max(1));
        let mut rows = Rows::empty(trial.rows.width(), open.len());
        for own in open.iter().filter_map(|place| attacked.get(*place)) {
            rows.push(&own.candidate(trial, &space, image, (query == 0, share), &mut random));
        }
        match trial.oracle.ask(&rows) {
            Ok(answers) => {
                for (answer, place) in open.iter().enumerate() {
                    if let Some(own) = attacked.get_mut(*place) {
                        own.keep(rows.row(answer), &answers, answer, query + 1);
                    }
                }
            }
            Err(stop) if stop.is_budget() => {
                cut_short = true;
                break;
            }
            Err(stop) => return Err(stop),
        }
    }
    Ok(summarise(trial, report, &attacked, cut_short))
}

fn summarise(trial: &Trial<'_>, mut report: AttackReport, attacked: &[Attacked], cut_short: bool) -> AttackReport {
    let (config, confidence) = (&trial.config.evasion, trial.config.confidence);
    let mut queries: Vec<f64> = attacked.iter().filter_map(|own| own.turned).map(f64::from).collect();
    queries.sort_by(f64::total_cmp);
    let (hits, count) = (queries.len() as f64, attacked.len() as f64);
    report.cut_short = cut_short;
    report.rows = trial.named(attacked.iter().filter(|own| own.turned.is_some()).take(20).map(|own| own.row as usize));
    let name = format!("share of images turned by changing no value by more than {} of its range", config.image_epsilon);
    let mut report = report.measured(&name, hits / count.max(1.0), Some(share_interval(hits, count, confidence)));
    if hits > 0.0 {
        report =
            report.and("median queries to turn one", quantile(&queries, 0.5), Some(quantile_interval(&queries, 0.5, confidence)));
    }
    report.summary = format!("{hits} of {count} images turned within {} queries each", config.queries_per_row);
    report.advice =
        "Train with such images and their true labels, answer classes without scores, smooth or compress inputs, and limit \
                     queries per caller: near-equal queries in a row are a sign of this attack."
            .to_owned();
    report
}

/// The attack on one image.
struct Attacked {
    row: u32,
    label: u32,
    /// The best image so far, and how sure the model is of it: its own class less the next one.
    best: Vec<f64>,
    margin: f64,
    /// Queries until it turned.
    turned: Option<u32>,
}

impl Attacked {
    fn new(trial: &Trial<'_>, row: u32) -> Self {
        let label = trial.answers.label(row as usize);
        Self { row, label, best: trial.rows.row(row as usize).to_vec(), margin: f64::INFINITY, turned: None }
    }

    /// The best image with one more square; at first with stripes.
    fn candidate(
        &self,
        trial: &Trial<'_>,
        space: &Space,
        image: ImageShape,
        (first, share): (bool, f64),
        random: &mut Random,
    ) -> Vec<f64> {
        let original = trial.rows.row(self.row as usize);
        let mut candidate = self.best.clone();
        let mut set = |x: usize, y: usize, channel: usize, up: bool| {
            let place = (y * image.width + x) * image.channels + channel;
            let reach = trial.config.evasion.image_epsilon * space.scale(place);
            put(&mut candidate, place, at(original, place) + if up { reach } else { -reach });
        };
        if first {
            for x in 0..image.width {
                for channel in 0..image.channels {
                    let up = random.bits() & 1 == 0;
                    (0..image.height).for_each(|y| set(x, y, channel, up));
                }
            }
        } else {
            let halvings = HALVED_AT.iter().filter(|place| share * 10_000.0 > **place).count();
            let area = FIRST_SHARE * 0.5_f64.powi(i32::try_from(halvings).unwrap_or(0)) * (image.width * image.height) as f64;
            let side = (area.sqrt().round() as usize).clamp(1, image.width.min(image.height));
            let (left, top) = (random.below(image.width - side + 1), random.below(image.height - side + 1));
            for channel in 0..image.channels {
                let up = random.bits() & 1 == 0;
                (top..top + side).for_each(|y| (left..left + side).for_each(|x| set(x, y, channel, up)));
            }
        }
        let columns: Vec<usize> = (0..candidate.len()).collect();
        space.valid(candidate, &columns)
    }

    fn keep(&mut self, candidate: &[f64], answers: &Predictions, answer: usize, query: u32) {
        let probabilities = answers.probabilities(answer);
        let others = probabilities.iter().enumerate().filter(|(class, _)| narrow(*class) != self.label);
        let margin = at(probabilities, self.label as usize) - others.map(|(_, value)| *value).fold(0.0, f64::max);
        if margin < self.margin {
            self.margin = margin;
            self.best = candidate.to_vec();
        }
        if answers.label(answer) != self.label {
            self.turned = Some(query);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attack::tried;
    use crate::report::Verdict;
    use crate::testing::{Binary, Hidden, classes, numbers};
    use crate::{EvaluationData, FeatureKind, Predict, SuiteConfig};

    /// Images of 8 × 8: bright ones are of the second class.
    fn images() -> EvaluationData {
        let mut random = Random::new(3, 3);
        let labels: Vec<u32> = (0..100).map(|row| row % 2).collect();
        let values: Vec<f64> = labels
            .iter()
            .flat_map(|label| [f64::from(*label); 64])
            .map(|label| 0.35 + 0.3 * label + 0.05 * f64::from(random.unit()))
            .collect();
        let mut features = numbers(64);
        features.iter_mut().for_each(|feature| feature.kind = FeatureKind::Number { least: 0.0, greatest: 1.0 });
        let image = Some(ImageShape { width: 8, height: 8, channels: 1 });
        EvaluationData {
            features,
            image,
            rows: Rows::new(64, values).unwrap(),
            truth: classes(labels),
            training: None,
            triggers: Vec::new(),
        }
    }

    fn check(model: &dyn Predict, epsilon: f64, wanted: Verdict) -> AttackReport {
        let mut config = SuiteConfig { seed: 4, ..SuiteConfig::default() };
        (config.evasion.rows, config.evasion.queries_per_row, config.evasion.image_epsilon) = (20, 200, epsilon);
        let report = tried(model, &images(), &config, run);
        assert_eq!(report.verdict, wanted, "{}", report.summary);
        report
    }

    /// Sure by the mean brightness: it turns where the mean moves by 0.15, so an ε below that cannot turn it.
    fn by_brightness(row: &[f64]) -> f64 {
        let mean = row.iter().sum::<f64>() / 64.0;
        1.0 / (1.0 + (-20.0 * (mean - 0.525)).exp())
    }

    #[test]
    fn it_turns_what_can_be_turned_and_nothing_else() {
        let turned = check(&Binary(by_brightness), 0.25, Verdict::Refuse);
        assert!(turned.measure.unwrap().value > 0.9 && turned.more[0].value > 1.0);
        check(&Binary(by_brightness), 0.1, Verdict::Clear);
    }

    #[test]
    fn it_needs_images_and_scores() {
        check(&Hidden(&Binary(by_brightness)), 0.1, Verdict::NotApplicable);
        let table = crate::testing::blobs(50, 3, 3.0, 1);
        let report = tried(&Binary(|_| 0.1), &table, &SuiteConfig::default(), run);
        assert_eq!(report.verdict, Verdict::NotApplicable);
    }
}
