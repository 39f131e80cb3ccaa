//! What is known of where a version comes from, as findings. What is not known is said.

use data::DatasetName;
use gate::{DataState, Target};
use inspection::{Finding, catalogue};
use kernel::{Micros, Problem};
use lineage::{NodeKind, Origin, Trust};
use serde::Serialize;
use vault::db::Reader;

/// Files of a model that say in what environment it runs.
const ENVIRONMENT_FILES: [&str; 3] = ["requirements.txt", "conda.yaml", "python_env.yaml"];

/// What a report says of a version's origin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Known {
    /// The run that made it.
    run: Option<Told>,
    /// The code that the run used.
    code: Vec<Told>,
    /// The versions of data sets here that the run read, with their state.
    data: Vec<DataTold>,
    /// Data that the client described, which lies elsewhere.
    other_data: Vec<Told>,
    /// Whether the model's files say what it needs to run.
    environment: bool,
    /// How much of run, code, data and environment is known, of 4.
    known_count: u8,
    /// How much of it the server itself saw, of 4.
    observed_count: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Told {
    name: String,
    trust: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct DataTold {
    name: String,
    trust: &'static str,
    context: String,
    state: Option<&'static str>,
}

/// Looks the origin up.
pub(crate) fn look_up(
    reader: &mut Reader<'_>,
    workspace: &str,
    origin: &Origin,
    paths: &[String],
    now: Micros,
) -> Result<Known, Problem> {
    let told = |name: &str, trust: Trust| Told { name: name.to_owned(), trust: trust.word() };
    let mut known = Known { run: origin.run.as_ref().map(|(run, trust)| told(run, *trust)), ..Known::default() };
    for used in &origin.uses {
        match used.kind {
            NodeKind::Code => known.code.push(told(&used.name, used.trust)),
            NodeKind::Dataset => known.other_data.push(told(&used.name, used.trust)),
            NodeKind::DataVersion => {
                let state = state_of(reader, workspace, &used.name, now)?;
                known.data.push(DataTold {
                    name: used.name.replacen('/', "@", 1),
                    trust: used.trust.word(),
                    context: used.detail.clone(),
                    state: state.map(DataState::word),
                });
            }
            _ => {}
        }
    }
    known.environment = ENVIRONMENT_FILES.iter().any(|name| paths.iter().any(|path| path == name));
    let is_observed = |trust: &str| trust == Trust::Observed.word();
    let parts =
        [known.run.is_some(), !known.code.is_empty(), !(known.data.is_empty() && known.other_data.is_empty()), known.environment];
    let observed = [
        known.run.as_ref().is_some_and(|run| is_observed(run.trust)),
        known.code.iter().any(|code| is_observed(code.trust)),
        known.data.iter().any(|data| is_observed(data.trust)),
        // The files were read by the server itself.
        known.environment,
    ];
    let count = |parts: [bool; 4]| parts.iter().fold(0_u8, |sum, part| sum.saturating_add(u8::from(*part)));
    (known.known_count, known.observed_count) = (count(parts), count(observed));
    Ok(known)
}

fn state_of(reader: &mut Reader<'_>, workspace: &str, name: &str, now: Micros) -> Result<Option<DataState>, Problem> {
    let Some((dataset, number)) = name.rsplit_once('/') else { return Ok(None) };
    if DatasetName::parse(dataset).is_err() {
        return Ok(None);
    }
    let target = Target::DatasetVersion(dataset.to_owned(), number.to_owned());
    let facts = data::locate(reader, workspace, &target, now)?;
    Ok(facts.filter(|facts| facts.exists).and_then(|facts| facts.data).map(|data| data.state))
}

impl Known {
    /// What a policy can weigh.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut find = |kind, detail: String| findings.push(Finding::new(kind, detail));
        if self.run.is_none() {
            find(&catalogue::RUN_UNKNOWN, "no run is known to have made these files".to_owned());
        }
        if self.code.is_empty() {
            find(&catalogue::CODE_UNKNOWN, "its run names no git commit, entry point or digest of its code".to_owned());
        }
        if self.data.is_empty() && self.other_data.is_empty() {
            find(&catalogue::DATA_UNKNOWN, "its run names no data".to_owned());
        }
        if !self.environment {
            find(&catalogue::ENVIRONMENT_UNKNOWN, format!("there is none of {}", ENVIRONMENT_FILES.join(", ")));
        }
        for data in &self.data {
            match data.state {
                Some("admitted") => {}
                Some("refused") => find(&catalogue::DATA_REFUSED, format!("its run read `{}`, which is refused", data.name)),
                Some(state) => find(&catalogue::DATA_NOT_ADMITTED, format!("its run read `{}`, which is {state}", data.name)),
                None => find(&catalogue::DATA_NOT_ADMITTED, format!("its run read `{}`, which is not there", data.name)),
            }
        }
        findings
    }
}
