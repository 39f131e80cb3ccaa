//! Does it hold to its contract?

use std::collections::BTreeMap;

use contract::{
    CheckOptions, Checker, Contract, ContractReport, Evidence, RuleReport, Severity as RuleSeverity, Source, SqlResult, Status,
};
use inspection::{Example, Finding, JobSpec, QueryValue, RuleView, Screen, Severity, VIEW_COLUMN_COUNT_MAX, catalogue};
use profile::Profile;
use tables::{DataFile, Format, Table};

use super::draft::Draft;
use super::mask::may_show;
use super::others::{self, Keys, Other};
use super::pass::Seen;
use super::profiling::masked;

/// Rules that get a finding of their own.
const RULE_FINDING_COUNT_MAX: usize = 200;

/// Reads the contract, if there is one.
pub(super) fn read(job: &JobSpec, draft: &mut Draft<'_>) -> Option<Contract> {
    if !job.wants(Screen::Validity) {
        return None;
    }
    match Contract::from_yaml(job.contract_yaml.as_deref()?) {
        Ok(reading) => {
            for warning in reading.warnings.iter().take(RULE_FINDING_COUNT_MAX) {
                let detail = format!("the contract, at `{}`: {}", warning.at, warning.problem);
                draft.find(Finding::new(&catalogue::CONTRACT_NOTE, detail));
            }
            Some(reading.contract)
        }
        Err(error) => {
            draft.find(Finding::new(&catalogue::CONTRACT_INVALID, error.to_string()));
            draft.ran(Screen::Validity);
            None
        }
    }
}

/// A contract with the keys of other tables that its rules need.
pub(super) struct Promises {
    pub contract: Contract,
    pub keys: Keys,
    /// Which of its tables this is.
    pub table: Option<String>,
}

impl Promises {
    pub(super) fn of(job: &JobSpec, contract: Contract, given: (&[DataFile], &[Other]), draft: &mut Draft<'_>) -> Self {
        let keys = others::keys(job, &contract, given, draft);
        let table = contract.table_of(&job.dataset).map(str::to_owned);
        Self { contract, keys, table }
    }
}

/// Makes the checker.
pub(super) fn start(job: &JobSpec, promises: &Promises, table: &Table) -> Result<Checker, String> {
    let source = match table.format() {
        Format::Csv => Source::Csv,
        Format::JsonLines => Source::Json,
        Format::Parquet | Format::ArrowIpc | Format::Npy | Format::Images => Source::Typed,
    };
    let previous = job.reference.as_ref().and_then(|reference| reference.profile.parse::<Profile>().ok());
    let options = CheckOptions {
        source,
        now_micros: job.now_us,
        seed: job.seed,
        previous_rows: previous.map(|profile| profile.row_count),
        keys: promises.keys.clone(),
    };
    Checker::new(&promises.contract, promises.table.as_deref(), table.schema(), options).map_err(|error| error.to_string())
}

/// Turns the answers into findings; without a contract, proposes one.
pub(super) fn conclude(
    seen: Seen<Checker>,
    contract: Option<&Contract>,
    profile: Option<&Profile>,
    job: &JobSpec,
    draft: &mut Draft<'_>,
) {
    if !job.wants(Screen::Validity) {
        return;
    }
    let checker = match seen {
        Some(Ok(checker)) => checker,
        Some(Err(error)) => return draft.failed(Screen::Validity, &error),
        None if job.contract_yaml.is_some() => return,
        None => return propose(profile, job, draft),
    };
    let answers = sql_results(&checker, job);
    let mut report = checker.finish_with(&Evidence { profile, sql: Some(&answers) });
    for rule in &mut report.rules {
        if !rule.columns.iter().all(|column| may_show(column, draft.personal_columns.as_ref())) {
            for example in &mut rule.examples {
                example.value = example.value.as_deref().map(personal::mask);
            }
        }
    }
    findings(&report, draft);
    // Where the data does not hold to its contract, one to which it would hold is proposed too, to be compared with it.
    if let (true, Some(contract), Some(profile)) = (report.failed > 0, contract, profile) {
        let table = contract.table_of(&job.dataset).unwrap_or(&job.dataset);
        draft.report().contract_proposal = contract::propose(&masked(profile, draft), table, Some(contract)).to_yaml().ok();
    }
    draft.view().rules = report.rules.iter().take(VIEW_COLUMN_COUNT_MAX).filter_map(picture).collect();
    let section = draft.section(Screen::Validity, &report);
    draft.report().contract = section;
    draft.ran(Screen::Validity);
}

/// What the queries of SQL rules gave: this program runs none, who asks it has them run before.
fn sql_results(checker: &Checker, job: &JobSpec) -> BTreeMap<String, SqlResult> {
    let result = |rule: &str| match (job.sql.values.get(rule), &job.sql.fault) {
        (Some(QueryValue::Value(value)), _) => Some(SqlResult::Value(*value)),
        (Some(QueryValue::Failed(why)), _) | (None, Some(why)) => Some(SqlResult::Failed(why.clone())),
        (None, None) => None,
    };
    let rules = checker.queries("").into_iter().map(|query| query.rule);
    rules.filter_map(|rule| result(&rule).map(|result| (rule, result))).collect()
}

fn findings(report: &ContractReport, draft: &mut Draft<'_>) {
    let mut left = RULE_FINDING_COUNT_MAX;
    for rule in &report.rules {
        let (kind, severity) = match (rule.status, rule.severity) {
            (Status::Passed | Status::Note, _) => continue,
            (Status::Failed, RuleSeverity::Error) => (&catalogue::VIOLATED, Severity::Error),
            (Status::Failed, RuleSeverity::Warning) => (&catalogue::VIOLATED_MINOR, Severity::Warning),
            (Status::Failed, RuleSeverity::Info) => (&catalogue::VIOLATED_NOTE, Severity::Info),
            (Status::NotRun, _) => (&catalogue::RULE_NOT_RUN, Severity::Warning),
        };
        let Some(fewer) = left.checked_sub(1) else { break };
        left = fewer;
        let column = match rule.columns.as_slice() {
            [only] => Some(only.as_str()),
            _ => None,
        };
        let examples =
            rule.examples.iter().map(|example| Example::of(example.row, column, example.value.clone().unwrap_or_default()));
        let named = rule.description.as_ref().map(|text| format!(" ({text})")).unwrap_or_default();
        let mut finding = Finding::new(kind, format!("{}{named}: {}", rule.rule, rule.message)).severity(severity);
        finding = finding.columns(rule.columns.iter().cloned()).examples(examples);
        if rule.violations > 0 {
            finding = finding.rows(rule.violations);
        }
        if !rule.remedy.is_empty() {
            finding.remedy.clone_from(&rule.remedy);
        }
        draft.find(finding);
    }
    if report.not_run == 0 && report.failed == 0 && report.rules.is_empty() {
        draft.find(Finding::new(&catalogue::RULE_NOT_RUN, "the contract has no rules for this table"));
    }
}

fn picture(rule: &RuleReport) -> Option<RuleView> {
    let holds = match rule.status {
        Status::Passed => Some(true),
        Status::Failed => Some(false),
        Status::NotRun => None,
        Status::Note => return None,
    };
    let column = (!rule.columns.is_empty()).then(|| rule.columns.join(", "));
    let detail = if rule.status == Status::Passed {
        rule.measured.map_or_else(String::new, |measured| format!("{measured}"))
    } else {
        rule.message.clone()
    };
    Some(RuleView { rule: format!("{} {}", rule.kind, rule.expected), column, holds, detail })
}

fn propose(profile: Option<&Profile>, job: &JobSpec, draft: &mut Draft<'_>) {
    draft.skipped(Screen::Validity, "there is no contract");
    let Some(profile) = profile else { return };
    // From what may be shown: a proposal names values and ranges.
    let proposed = contract::propose(&masked(profile, draft), &job.dataset, None);
    match proposed.to_yaml() {
        Ok(yaml) => {
            draft.find(Finding::new(
                &catalogue::CONTRACT_MISSING,
                "no contract was given; one is proposed from the data, for review",
            ));
            draft.report().contract_proposal = Some(yaml);
        }
        Err(error) => draft.find(Finding::new(
            &catalogue::CONTRACT_MISSING,
            format!("no contract was given, and none can be proposed: {error}"),
        )),
    }
}
