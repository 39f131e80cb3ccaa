//! A column's verdict, from what its name says and what was counted in its values.

use std::collections::BTreeMap;

use super::header::{Header, Need};
use super::report::{ColumnReport, Evidence, KindReport};
use super::values::{KindCount, Values};
use crate::kind::Kind;
use crate::scan::DRAWN_BASE;

/// A column whose texts have more words than this on average holds sentences.
const FREE_TEXT_WORDS: f64 = 4.5;
/// A kind that the name promises must be found in this share of the cells.
const FOUND_SHARE_MIN: f64 = 0.3;
/// A kind that fills whole cells, without the name's promise, in this share.
const WHOLE_SHARE_MIN: f64 = 0.3;
/// A check digit lets one number in ten pass by chance; a column where nearly all pass is no chance.
const CHECKED_SHARE_MIN: f64 = 0.95;
const CHECKED_COUNT_MIN: u64 = 30;
/// Where the name promises the kind, its check digit need only confirm it: three pass by chance once in a thousand.
const PROMISED_COUNT_MIN: u64 = 3;
/// A word list must know this share of the cells.
const LISTED_SHARE_MIN: f64 = 0.4;
/// Of any few words some are given names too, as colours, months and titles are. So where a column repeats few texts, and its own name
/// does not speak of people, more of them must be names; where its name speaks of goods, films or flowers, they are theirs.
const FEW_DISTINCT_MAX: f64 = 32.0;
const FEW_REPEATS_MIN: f64 = 10.0;
const FEW_LISTED_SHARE_MIN: f64 = 0.65;
/// Of sentences, this share must hold a name before a single odd capital counts.
const NAMED_SHARE_MIN: f64 = 0.02;
/// Of sentences, this share must hold a password that reads like words before it is thought to be somebody's.
const PASSWORD_SHARE_MIN: f64 = 0.01;
/// Of texts of Chinese, Japanese or Korean letters, this share must begin as names do, among so many different ones.
const LETTERS_SHARE_MIN: f64 = 0.7;
const LETTERS_DISTINCT_MIN: f64 = 10.0;
/// A column that a name calls one of origins names one in this share of its texts, or has so few codes.
const ORIGIN_SHARE_MIN: f64 = 0.1;
const ORIGIN_CODE_MAX: f64 = 20.0;
/// Numbers of both signs below this were standardised: in units they were measured in, they would be greater.
const STANDARDISED_MAX: f64 = 10.0;
/// Codes of persons differ from row to row.
const CODES_DISTINCT_MIN: f64 = 0.05;

/// What was gathered for one kind.
struct Case {
    score: f64,
    cell_count: u64,
    sampled: bool,
    evidence: Vec<Evidence>,
    examples: Vec<String>,
    first_row: Option<u64>,
}

/// Everything about one column that the rules ask for.
struct Judge<'a> {
    values: &'a Values,
    cases: BTreeMap<Kind, Case>,
    free_text: bool,
}

/// The report of a column.
pub fn column(path: String, header: &Header, values: &Values) -> ColumnReport {
    let words = values.word_count as f64 / values.sampled.max(1) as f64;
    let mut judge = Judge { values, cases: BTreeMap::new(), free_text: words > FREE_TEXT_WORDS };
    judge.by_patterns();
    judge.by_check_digits(header);
    judge.by_samples(header);
    judge.by_letters(header);
    judge.by_header(header);
    let free_text = judge.free_text;
    let cells = values.count.max(1) as f64;
    let kinds = judge.cases.into_iter().map(|(kind, case)| KindReport {
        kind,
        score: (case.score.min(1.0) * 1_000.0).round() / 1_000.0,
        cell_count: case.cell_count,
        share: case.cell_count as f64 / cells,
        sampled: case.sampled,
        evidence: case.evidence,
        examples: case.examples,
        first_row: case.first_row,
    });
    ColumnReport::of(path, free_text, values.count, kinds.collect())
}

impl Judge<'_> {
    /// Whether the cells are bare numbers, of which some look like anything by chance.
    const fn is_numeric(&self) -> bool {
        self.values.integers > 0 || self.values.floats > 0
    }

    fn by_patterns(&mut self) {
        if self.is_numeric() {
            return;
        }
        for (kind, found) in &self.values.kinds {
            let share = found.values as f64 / self.values.texts.max(1) as f64;
            let whole = found.whole as f64 / self.values.texts.max(1) as f64;
            let inside = found.values.saturating_sub(found.whole);
            // Whole cells must be many, unless each is certain by itself; inside sentences each one counts.
            let counts = inside > 0 && !is_common_in_text(*kind, share) && !self.is_example(*kind, found, share);
            if whole >= WHOLE_SHARE_MIN || found.certain > 0 || counts {
                self.add(*kind, f64::from(found.score).mul_add(0.8, 0.2 * share.min(1.0)), found, found.values, Evidence::Values);
            }
        }
    }

    /// Whether sentences that have a password here and there show what one looks like: it reads like words, and few of them have one.
    fn is_example(&self, kind: Kind, found: &KindCount, share: f64) -> bool {
        self.free_text && kind == Kind::Password && found.score < DRAWN_BASE && share < PASSWORD_SHARE_MIN
    }

    fn by_check_digits(&mut self, header: &Header) {
        let promised = header.says.map(|(kind, _, _)| kind);
        for (kind, count) in &self.values.checked {
            let share = *count as f64 / self.values.sampled.max(1) as f64;
            let needed = if promised == Some(*kind) { PROMISED_COUNT_MIN } else { CHECKED_COUNT_MIN };
            if share >= CHECKED_SHARE_MIN && *count >= needed && self.values.distinct() >= needed as f64 {
                let count = self.scaled(*count);
                let found = self.values.kinds.get(kind).cloned().unwrap_or_default();
                self.add(*kind, 0.8, &found, count, Evidence::Values);
            }
        }
    }

    fn by_samples(&mut self, header: &Header) {
        if self.is_numeric() {
            return;
        }
        let sampled = self.values.sampled.max(1) as f64;
        // One word may be a given name and a family name; the column is what more of its words are.
        // The recogniser calls it a person; single words are one of the two before that.
        let single = self.values.single_words as f64 / sampled > 0.5;
        let share_of = |kind: Kind| {
            let share = self.values.sampled_kinds.get(&kind).map_or(0.0, |found| found.whole as f64 / sampled);
            if single && kind == Kind::Person { share / 2.0 } else { share }
        };
        let rivals = [Kind::GivenName, Kind::Surname, Kind::Place, Kind::Person];
        let of_people = matches!(header.says, Some((Kind::GivenName | Kind::Surname | Kind::Person, _, _)));
        let distinct = self.values.distinct();
        let few = !of_people && distinct <= FEW_DISTINCT_MAX && sampled >= distinct * FEW_REPEATS_MIN;
        let best = rivals.into_iter().max_by(|a, b| share_of(*a).total_cmp(&share_of(*b)));
        // A day of the week says something in a sentence, not as a column.
        for (kind, found) in self.values.sampled_kinds.iter().filter(|(kind, _)| **kind != Kind::Weekday) {
            let share = found.values as f64 / sampled;
            let whole = found.whole as f64 / sampled;
            let recognised = matches!(kind, Kind::Person | Kind::Place | Kind::Address | Kind::Organisation | Kind::Nationality);
            // A disease inside of a sentence is somebody's; a sentence that begins with its name may be about anything.
            let of_somebody = matches!(kind, Kind::Diagnosis | Kind::Medication);
            let inside = found.values.saturating_sub(found.whole);
            if of_somebody && inside >= 2 && inside as f64 / sampled >= NAMED_SHARE_MIN {
                let score = 0.5 + 0.4 * (inside as f64 / sampled).min(1.0);
                self.add(*kind, score, found, self.scaled(inside), Evidence::Dictionary);
            }
            let enough = if self.free_text {
                recognised && share >= NAMED_SHARE_MIN && found.values >= 2
            } else {
                let named = matches!(kind, Kind::GivenName | Kind::Surname | Kind::Person);
                let least = if few && named { FEW_LISTED_SHARE_MIN } else { LISTED_SHARE_MIN };
                let things = few && named && header.of_things;
                whole >= least && !things && distinct >= 2.0 && (!rivals.contains(kind) || best == Some(*kind))
            };
            if enough {
                let evidence = if self.free_text { Evidence::Recogniser } else { Evidence::Dictionary };
                let score = if self.free_text { 0.5 + 0.4 * share.min(1.0) } else { 0.4 + 0.5 * whole.min(1.0) };
                let count = self.scaled(found.values);
                self.add(*kind, score, found, count, evidence);
            }
        }
    }

    /// Chinese, Japanese and Korean names, of which no list knows the given ones: most texts begin as they do, and there are many.
    fn by_letters(&mut self, header: &Header) {
        let share = self.values.like_names as f64 / self.values.sampled.max(1) as f64;
        if share >= LETTERS_SHARE_MIN && self.values.distinct() >= LETTERS_DISTINCT_MIN && !header.of_things {
            let found = self.values.sampled_kinds.get(&Kind::Person).cloned().unwrap_or_default();
            self.add(Kind::Person, 0.4 + 0.5 * share.min(1.0), &found, self.scaled(self.values.like_names), Evidence::Dictionary);
        }
    }

    fn by_header(&mut self, header: &Header) {
        let Some((kind, need, score)) = header.says else { return };
        if self.values.count == 0 || !self.meets(kind, need) {
            return;
        }
        if kind == Kind::PersonId && self.cases.keys().any(|found| found.identifier().is_some()) {
            return;
        }
        let known = self.values.kinds.get(&kind).or_else(|| self.values.sampled_kinds.get(&kind)).cloned().unwrap_or_default();
        let count = if need == Need::Found { self.found(kind) } else { self.values.count };
        self.add(kind, score, &known, count, Evidence::Header);
    }

    /// Cells that hold the kind, by patterns or scaled from the sample.
    fn found(&self, kind: Kind) -> u64 {
        let exact = self
            .values
            .kinds
            .get(&kind)
            .map_or(0, |found| if self.is_numeric() { self.scaled(found.values) } else { found.values });
        let sampled = self.values.sampled_kinds.get(&kind).map_or(0, |found| self.scaled(found.values));
        exact.max(sampled)
    }

    fn meets(&self, kind: Kind, need: Need) -> bool {
        let values = self.values;
        let sampled = values.sampled.max(1) as f64;
        let share = self.found(kind) as f64 / values.count.max(1) as f64;
        let names = [Kind::GivenName, Kind::Surname, Kind::Person, Kind::Place];
        match need {
            Need::Found => share >= FOUND_SHARE_MIN,
            Need::Names => {
                let listed =
                    names.iter().any(|kind| self.found(*kind) as f64 / values.count.max(1) as f64 >= FOUND_SHARE_MIN / 2.0);
                let worded =
                    values.digitless as f64 / sampled > 0.8 && (values.single_words + values.few_words) as f64 / sampled > 0.8;
                listed || (worded && values.texts > 0)
            }
            Need::SmallNumbers => {
                (self.is_numeric() && values.number_min >= 0.0 && values.number_max <= 130.0)
                    || (!self.is_numeric() && values.small_numbers as f64 / sampled > 0.8)
            }
            Need::Dates => values.dates > 0 || values.texts > 0 || values.integers > 0,
            Need::Codes => {
                values.floats == 0 && values.sampled > 0 && values.distinct() >= (sampled * CODES_DISTINCT_MIN).clamp(2.0, 50.0)
            }
            Need::Short => values.floats == 0 && !self.free_text,
            Need::Streets => {
                let several = values.like_addresses as f64 / sampled > 0.5;
                let numbered = (values.digitless as f64) < 0.5 * sampled;
                !self.is_numeric() && (share >= FOUND_SHARE_MIN / 2.0 || (several && (numbered || !self.free_text)))
            }
            Need::Origin if self.is_numeric() => {
                values.number_min >= 0.0 && values.number_max <= ORIGIN_CODE_MAX && values.distinct() <= ORIGIN_CODE_MAX
            }
            Need::Origin => values.like_origins as f64 / sampled >= ORIGIN_SHARE_MIN,
            Need::Measures => !(values.number_min < 0.0 && values.number_max < STANDARDISED_MAX),
            Need::Nothing => true,
        }
    }

    /// A count of the sample, scaled to all cells.
    fn scaled(&self, count: u64) -> u64 {
        let all = self.values.texts.max(self.values.count);
        if self.values.sampled == 0 || self.values.sampled >= all {
            return count;
        }
        (count as f64 * all as f64 / self.values.sampled as f64).round() as u64
    }

    fn add(&mut self, kind: Kind, score: f64, found: &KindCount, cell_count: u64, evidence: Evidence) {
        let sampled = evidence != Evidence::Values && self.values.sampled < self.values.count;
        let case = self.cases.entry(kind).or_insert_with(|| Case {
            score: 0.0,
            cell_count: 0,
            sampled,
            evidence: Vec::new(),
            examples: Vec::new(),
            first_row: None,
        });
        // Evidence of another sort adds what is left of the doubt.
        case.score = 1.0 - (1.0 - case.score.min(1.0)) * (1.0 - score.min(1.0));
        case.cell_count = case.cell_count.max(cell_count);
        case.sampled &= sampled;
        if !case.evidence.contains(&evidence) {
            case.evidence.push(evidence);
        }
        if case.examples.is_empty() {
            case.examples = found.examples.iter().map(|(_, example)| example.clone()).collect();
            case.first_row = found.examples.first().map(|(row, _)| *row);
        }
    }
}

/// Kinds that stand in sentences by chance: a year with a dot, a figure. A few of them say nothing.
fn is_common_in_text(kind: Kind, share: f64) -> bool {
    matches!(kind, Kind::Date | Kind::Url | Kind::PostalCode | Kind::Age) && share < WHOLE_SHARE_MIN / 3.0
}
