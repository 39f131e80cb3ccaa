//! From what rules have seen to their answers.

use profile::Profile;

use super::found::{Example, Found};
use super::ready::Ready;
use super::report::{RuleReport, Status, broken, remedy};
use super::state::{Keys, Moments, State};
use super::{CheckOptions, Evidence, SqlResult};
use crate::rules::{Aggregate, Check, Measured, Rule};

/// Digits behind the point of a percentage that is compared, as the standard's own command line tool has them.
const PERCENT_STEPS: f64 = 1e6;

/// What all rules of a table share at the end.
pub(crate) struct Table<'a> {
    pub(crate) rows: u64,
    pub(crate) columns: usize,
    pub(crate) options: &'a CheckOptions,
    pub(crate) evidence: &'a Evidence<'a>,
}

/// What was measured for a rule.
struct Measure {
    value: f64,
    violations: u64,
    checked: u64,
    examples: Vec<Example>,
    /// False if only a sample was looked at: then what holds is not known to hold.
    certain: bool,
}

/// The answer for a rule before it has words.
enum Answer {
    Measured(Measure),
    Settled(Result<(), String>),
    NotRun(String),
    Note(&'static str),
}

fn number(value: f64) -> Answer {
    Answer::Measured(Measure { value, violations: 0, checked: 0, examples: Vec::new(), certain: true })
}

fn numbered(value: Option<f64>, why_not: &str) -> Answer {
    value.map_or_else(|| Answer::NotRun(why_not.to_owned()), number)
}

#[expect(clippy::cast_precision_loss, reason = "counts of rows are below 2^53")]
const fn float(count: u64) -> f64 {
    count as f64
}

fn share(part: u64, of: u64) -> f64 {
    if of == 0 { 0.0 } else { float(part) / float(of) }
}

fn percent(part: u64, of: u64) -> f64 {
    (share(part, of) * 100.0 * PERCENT_STEPS).round() / PERCENT_STEPS
}

impl Table<'_> {
    /// The report of a rule.
    pub(crate) fn answer(&self, ready: Ready) -> RuleReport {
        let Ready { rule, state, .. } = ready;
        let answer = self.look(&rule, state);
        let expected = expected(&rule);
        let mut report = RuleReport {
            columns: rule.columns.clone(),
            rule: rule.id,
            kind: rule.kind.to_owned(),
            description: rule.description,
            severity: rule.severity,
            status: Status::NotRun,
            measured: None,
            expected,
            violations: 0,
            checked: self.rows,
            examples: Vec::new(),
            message: String::new(),
            remedy: String::new(),
        };
        match answer {
            Answer::Note(note) => {
                report.status = Status::Note;
                report.message = note.to_owned();
            }
            Answer::NotRun(reason) => {
                report.message = format!("not checked: {reason}");
                report.remedy = "correct the rule, give what it needs, or take it out".to_owned();
            }
            Answer::Settled(Ok(())) => {
                report.status = Status::Passed;
                report.message = "holds".to_owned();
            }
            Answer::Settled(Err(problem)) => {
                report.status = Status::Failed;
                report.message = match report.kind.as_str() {
                    "type" | "physicalType" => format!("{} should be {}, but {problem}", names(&report.columns), report.expected),
                    _ => problem,
                };
                report.remedy = remedy(&report.kind).to_owned();
            }
            Answer::Measured(measure) => {
                let holds = rule.tolerance.operators.iter().all(|operator| operator.holds(measure.value));
                put(&mut report, measure, holds, rule.tolerance.measured);
            }
        }
        report
    }

    fn look(&self, rule: &Rule, state: State) -> Answer {
        match state {
            State::Settled(settled) => Answer::Settled(settled),
            State::NotRun(reason) => Answer::NotRun(reason),
            State::Note => Answer::Note(match rule.check {
                Check::PhysicalType(_) => "the stored type's name is not known here, so it was not compared",
                _ => "for people to look at",
            }),
            State::Count => self.count(rule),
            State::Rows { found, present, .. } => self.rows(rule, found, present),
            State::Keys(keys) => self.keys(rule, keys),
            State::Known { found, skipped, .. } => {
                let certain = skipped == 0;
                let (violations, checked) = (found.count, self.rows);
                let value =
                    if rule.tolerance.measured == Measured::Rows { float(violations) } else { percent(violations, checked) };
                Answer::Measured(Measure { value, violations, checked, examples: found.into_examples(), certain })
            }
            State::Age { edge_ns: None, .. } => Answer::Settled(Err(format!("{} has no time", names(&rule.columns)))),
            #[expect(clippy::cast_precision_loss, reason = "an age in seconds")]
            State::Age { edge_ns: Some(edge), .. } => number((i128::from(self.options.now_micros) * 1_000 - edge) as f64 / 1e9),
            State::Moments(moments) => self.moments(rule, &moments),
            State::Contains { masks } => {
                let missing = masks.iter().filter(|(_, there)| !there).count();
                let problem = format!("{missing} of {} values never occur in {}", masks.len(), names(&rule.columns));
                Answer::Settled(if missing == 0 { Ok(()) } else { Err(problem) })
            }
            State::Labels { too_many: true, .. } => Answer::NotRun(format!(
                "there are more than {} labels: balance is for classes, not for numbers or texts",
                crate::LABEL_COUNT_MAX
            )),
            State::Labels { counts, .. } => {
                let all: u64 = counts.values().map(|(count, _)| count).sum();
                let rarest = counts.values().min_by_key(|(count, shown)| (*count, shown.clone()));
                let Some((least, shown)) = rarest else { return Answer::NotRun("there is no label".to_owned()) };
                let examples = vec![Example { row: None, value: Some(shown.clone()) }];
                Answer::Measured(Measure { value: share(*least, all), violations: 0, checked: all, examples, certain: true })
            }
            State::Top { counts, total } => number(share(counts.values().copied().max().unwrap_or(0), total)),
        }
    }

    fn count(&self, rule: &Rule) -> Answer {
        match &rule.check {
            Check::RowCount => number(float(self.rows)),
            Check::ColumnCount => number(float(self.columns as u64)),
            Check::RowCountChange => match self.options.previous_rows {
                None => Answer::Note("there is no version before: nothing can have changed"),
                Some(0) => number(if self.rows == 0 { 0.0 } else { 1.0 }),
                Some(before) => number(float(self.rows.abs_diff(before)) / float(before)),
            },
            Check::Sql(_) => match self.evidence.sql.and_then(|results| results.get(&rule.id)) {
                Some(SqlResult::Value(value)) => number(*value),
                Some(SqlResult::Failed(problem)) => Answer::NotRun(format!("the query failed: {problem}")),
                None => Answer::NotRun("the query was not run".to_owned()),
            },
            Check::Aggregate(Aggregate::Quantile(rank)) => {
                let column = rule.columns.first().map(String::as_str).unwrap_or_default();
                match self.evidence.profile {
                    None => Answer::NotRun("quantiles need the profile of the data".to_owned()),
                    Some(profile) => numbered(quantile(profile, column, *rank), "the profile has no quantiles of this column"),
                }
            }
            _ => Answer::NotRun("nothing was measured".to_owned()),
        }
    }

    fn rows(&self, rule: &Rule, found: Found, present: u64) -> Answer {
        let violations = found.count;
        let null_test = matches!(rule.check, Check::Row(crate::rules::RowTest::NotNull | crate::rules::RowTest::NotMissing(_)));
        // A share of what is there: for rules about nulls that is every row.
        let checked = if rule.tolerance.measured == Measured::HoldingShare && !null_test { present } else { self.rows };
        let value = match (rule.tolerance.measured, &rule.check) {
            (_, Check::Aggregate(Aggregate::PresentShare)) => 1.0 - share(violations, self.rows),
            (Measured::PercentOfRows, _) => percent(violations, self.rows),
            (Measured::HoldingShare, _) if checked == 0 => 1.0,
            (Measured::HoldingShare, _) => share(checked.saturating_sub(violations), checked),
            _ => float(violations),
        };
        Answer::Measured(Measure { value, violations, checked, examples: found.into_examples(), certain: true })
    }

    fn keys(&self, rule: &Rule, keys: Keys) -> Answer {
        let (distinct, repeated, certain) = (keys.distinct(), keys.repeated(), keys.is_exact());
        // Every key has one first row; the others repeat it. In a sample, only what was found is known.
        let surplus = if certain { keys.keyed.saturating_sub(distinct) } else { repeated };
        let value = match (&rule.check, rule.tolerance.measured) {
            (Check::Aggregate(Aggregate::Distinct), _) => float(distinct),
            (Check::Aggregate(_), _) => share(distinct, keys.keyed),
            (_, Measured::PercentOfRows) => percent(surplus, self.rows),
            _ => float(repeated),
        };
        let aggregate = matches!(rule.check, Check::Aggregate(_));
        let (violations, examples) = if aggregate { (0, Vec::new()) } else { (surplus, keys.found.into_examples()) };
        Answer::Measured(Measure { value, violations, checked: self.rows, examples, certain })
    }

    fn moments(&self, rule: &Rule, moments: &Moments) -> Answer {
        let Check::Aggregate(aggregate) = rule.check else { return Answer::NotRun("nothing was measured".to_owned()) };
        if moments.count == 0 {
            return Answer::NotRun("the column has no numbers".to_owned());
        }
        match aggregate {
            Aggregate::Mean => number(moments.mean),
            Aggregate::Sum => number(moments.sum()),
            Aggregate::Minimum => number(moments.minimum),
            Aggregate::Maximum => number(moments.maximum),
            Aggregate::StandardDeviation => numbered(moments.standard_deviation(), "one value has no deviation"),
            _ => Answer::NotRun("nothing was measured".to_owned()),
        }
    }
}

fn put(report: &mut RuleReport, measure: Measure, holds: bool, measured: Measured) {
    report.measured = Some(measure.value);
    report.violations = measure.violations;
    if measure.checked > 0 || measure.violations > 0 {
        report.checked = measure.checked;
    }
    report.examples = measure.examples;
    if !holds {
        report.status = Status::Failed;
        let about = if measured == Measured::Value || measure.violations == 0 {
            format!("{} is {}", subject(report), measure.value)
        } else {
            broken(&report.kind, &names(&report.columns), report.violations, report.checked)
        };
        report.message = format!("{about}; allowed is {}", report.expected);
        report.remedy = remedy(&report.kind).to_owned();
    } else if measure.certain {
        report.status = Status::Passed;
        report.message = "holds".to_owned();
    } else {
        report.message = format!(
            "not certain: there are more than {} keys, and a sample of them holds; found broken, it would be certain",
            crate::UNIQUE_KEYS_MAX
        );
        report.remedy = "check the key with an `sql` rule, or split the table".to_owned();
    }
}

fn subject(report: &RuleReport) -> String {
    match report.kind.as_str() {
        "rowCount" => "the number of rows".to_owned(),
        "rowCountChange" => "the change of the number of rows".to_owned(),
        "freshness" | "latency" => format!("the age in seconds of the newest {}", names(&report.columns)),
        "retention" => format!("the age in seconds of the oldest {}", names(&report.columns)),
        "labelBalance" => format!("the share of the rarest label of {}", names(&report.columns)),
        "nearConstant" => format!("the share of the most frequent value of {}", names(&report.columns)),
        "sql" => "the query's value".to_owned(),
        _ => format!("what was measured of {}", names(&report.columns)),
    }
}

fn names(columns: &[String]) -> String {
    match columns {
        [] => "the table".to_owned(),
        some => some.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
    }
}

/// What may be measured, in words.
fn expected(rule: &Rule) -> String {
    let operators: Vec<String> = rule.tolerance.operators.iter().map(|operator| operator.words()).collect();
    let numbers = operators.join(" and ");
    match (&rule.check, rule.tolerance.measured) {
        (Check::Present, _) => "there".to_owned(),
        (Check::Type { logical, .. }, _) => logical.word().to_owned(),
        (Check::PhysicalType(name), _) => name.clone(),
        (Check::Text | Check::Impossible(_) | Check::Columns { .. } | Check::Contains(_), _) => String::new(),
        (Check::Age { .. }, _) => format!("{numbers} seconds"),
        (Check::Duplicates, Measured::Rows) => format!("{numbers} repeated keys"),
        (_, Measured::Rows) => format!("{numbers} rows"),
        (_, Measured::PercentOfRows) => format!("{numbers} percent of the rows"),
        (_, Measured::HoldingShare) => format!("{numbers} of the values that are there"),
        (_, Measured::Value) => numbers,
    }
}

/// A quantile from a profile, between the two nearest that it has.
fn quantile(profile: &Profile, column: &str, rank: f64) -> Option<f64> {
    let numbers = profile.columns.iter().find(|found| found.name == column)?.numbers.as_ref()?;
    let at = |rank: f64| (rank.clamp(0.0, 1.0) * 1e9).round();
    let mut points: Vec<(f64, f64)> = numbers.quantiles.iter().map(|known| (at(known.share), known.value)).collect();
    points.extend(numbers.minimum.map(|value| (at(0.0), value)));
    points.extend(numbers.maximum.map(|value| (at(1.0), value)));
    points.sort_by(|one, two| one.0.total_cmp(&two.0));
    let rank = at(rank);
    let below = points.iter().rev().find(|(share, _)| *share <= rank)?;
    let above = points.iter().find(|(share, _)| *share >= rank)?;
    let width = above.0 - below.0;
    Some(if width > 0.0 { below.1 + (above.1 - below.1) * (rank - below.0) / width } else { below.1 })
}

/// A query with the table's and the column's names in it, quoted where they must be. Quotes that the writer put around a
/// placeholder go away.
pub(crate) fn filled_in(query: &str, table: &str, column: Option<&str>) -> String {
    let mut out = query.to_owned();
    let names = ["object", "table", "model", "schema"].map(|word| (word, Some(table)));
    let columns = ["property", "column", "field"].map(|word| (word, column));
    for (word, name) in names.into_iter().chain(columns) {
        let Some(name) = name else { continue };
        let quoted = identifier(name);
        for around in [format!("\"${{{word}}}\""), format!("\"{{{word}}}\""), format!("${{{word}}}"), format!("{{{word}}}")] {
            out = out.replace(&around, &quoted);
        }
    }
    out
}

/// A name as SQL reads it as it stands.
fn identifier(name: &str) -> String {
    let part = |part: &str| {
        let plain = part.starts_with(|one: char| one.is_ascii_lowercase() || one == '_')
            && part.chars().all(|one| one.is_ascii_lowercase() || one.is_ascii_digit() || one == '_');
        if plain { part.to_owned() } else { format!("\"{}\"", part.replace('"', "\"\"")) }
    };
    name.split('.').map(part).collect::<Vec<_>>().join(".")
}
