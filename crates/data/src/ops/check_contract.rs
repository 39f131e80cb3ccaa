//! `datasets.check`: a contract that somebody writes is read, compared with the one in force, and tried on the newest version, before it is set. Both is the
//! worker's work: this process parses no contract.
//!
//! It tells of data what setting the contract and inspecting again would tell, so it is for those who may set one.

use std::sync::Arc;

use gate::{Action, BoxFuture, Operation, Outcome, Permit, Target};
use inspection::{ContractJob, ContractReading, Finding, InspectionError, ReadRequest, RuleView, Screen};
use kernel::{Kind, Problem, hex, sha256};
use tokio::sync::SemaphorePermit;
use vault::db::Reader;
use vault::objects::StoredObject;

use super::contract::dataset_id;
use crate::limits::{CONTRACT_BYTES_MAX, CONTRACT_CHECK_COUNT_MAX, CONTRACT_CHECK_SECONDS_MAX};
use crate::runner::Watch;
use crate::store::{files, versions};
use crate::types::{DocumentKind, VersionName, no_version};
use crate::{Data, Inspect};

/// Reads a contract and compares it with the one in force. No data is looked at.
pub struct LintContract {
    /// The room.
    pub room: Data,
    /// The data set.
    pub dataset: String,
    /// The contract (ODCS YAML).
    pub contract: String,
}

impl Operation for LintContract {
    const ACTION: Action = super::CHECK;
    type Output = ContractReading;

    fn target(&self) -> Target {
        Target::Dataset(self.dataset.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<ContractReading, Problem> {
        let (id, room) = (dataset_id(&permit)?, self.room);
        bounded(&self.contract)?;
        let inspector = room.checker()?;
        let _turn = room.turn_to_check()?;
        let read = move |reader: &mut Reader<'_>| Ok(files::document(reader, &id, DocumentKind::Contract)?);
        let in_force: Option<StoredObject> = room.db().read(&permit, read).await?;
        let in_force = match in_force {
            Some(object) => Some(String::from_utf8_lossy(&room.whole(&permit, &object).await?).into_owned()),
            None => None,
        };
        let digest = hex(&sha256(self.contract.as_bytes()));
        let reading = inspector.contract(&ContractJob { contract_yaml: self.contract, in_force }).await.map_err(problem)?;
        let outcome = Outcome::done().with("contract_sha256", digest).with("fault_count", reading.faults.len());
        permit.defer_outcome().settle(&outcome);
        Ok(reading)
    }
}

/// Tries a contract on the newest version.
pub struct TryContract {
    /// The room.
    pub room: Data,
    /// The data set.
    pub dataset: String,
    /// The contract (ODCS YAML).
    pub contract: String,
}

/// What a contract says of a version.
#[derive(Clone, Debug, PartialEq)]
pub struct Tried {
    /// The version's number.
    pub number: i64,
    /// Its rows.
    pub row_count: u64,
    /// Its rules, as far as they are shown.
    pub rules: Vec<RuleView>,
    /// What does not hold, or could not be judged, the gravest first. Values that may be personal are masked.
    pub findings: Vec<Finding>,
}

impl Operation for TryContract {
    const ACTION: Action = super::CHECK;
    type Output = Tried;

    fn target(&self) -> Target {
        Target::Dataset(self.dataset.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Tried, Problem> {
        let (id, room) = (dataset_id(&permit)?, self.room);
        bounded(&self.contract)?;
        let inspector = room.checker()?;
        let _turn = room.turn_to_check()?;
        let newest = move |reader: &mut Reader<'_>| Ok(versions::find(reader, &id, &VersionName::Latest)?);
        let newest = room.db().read(&permit, newest).await?;
        let subject = room.subject(&permit, newest.ok_or_else(no_version)?).await?;
        let mut job = room.job(&permit, &subject).await?;
        let digest = hex(&sha256(self.contract.as_bytes()));
        job.contract_yaml = Some(self.contract);
        // What may be personal is looked for, so that it is masked; the profile is what some rules are judged by.
        job.screens = vec![Screen::Format, Screen::Profile, Screen::Personal, Screen::Validity];
        job.limits.wall_seconds_max = job.limits.wall_seconds_max.min(CONTRACT_CHECK_SECONDS_MAX);
        job.limits.cpu_seconds_max = job.limits.cpu_seconds_max.min(CONTRACT_CHECK_SECONDS_MAX.saturating_mul(2));
        let watch = Watch::new();
        job.sql = room.sql_answers(&permit, &job, &subject.tables(), &watch).await.map_err(problem)?;
        let objects: Vec<StoredObject> = subject.all_files().map(|(_, object)| object.clone()).collect();
        let read = |request: ReadRequest| -> BoxFuture<'_, Result<bytes::Bytes, Problem>> {
            Box::pin(room.bytes(&permit, &objects, request))
        };
        let report = inspector.inspect(&job, &read, &|_| {}, Box::pin(std::future::pending())).await.map_err(problem)?;
        let told = |finding: &Finding| matches!(finding.screen, Screen::Validity | Screen::Format);
        let tried = Tried {
            number: subject.version.number.unwrap_or_default(),
            row_count: report.summary.row_count,
            findings: report.findings.into_iter().filter(told).collect(),
            rules: report.view.rules,
        };
        let broken = tried.rules.iter().filter(|rule| rule.holds == Some(false)).count();
        let outcome = Outcome::done().with("contract_sha256", digest).with("version", tried.number).with("broken_count", broken);
        permit.defer_outcome().settle(&outcome);
        Ok(tried)
    }
}

fn bounded(contract: &str) -> Result<(), Problem> {
    if contract.trim().is_empty() || contract.len() > CONTRACT_BYTES_MAX {
        return Err(Problem::new(Kind::TooLarge, format!("a contract has 1 to {CONTRACT_BYTES_MAX} bytes")));
    }
    Ok(())
}

/// What the worker says of a contract is for whoever wrote it.
fn problem(error: InspectionError) -> Problem {
    match error {
        InspectionError::Failed(why) => Problem::invalid(format!("the contract was not checked: {why}")),
        InspectionError::TooLong(seconds) => Problem::new(
            Kind::TooLarge,
            format!("the check was stopped after {seconds} s; set the contract, and the next inspection checks it without hurry"),
        ),
        other => other.into(),
    }
}

impl Data {
    fn checker(&self) -> Result<Arc<dyn Inspect>, Problem> {
        let missing =
            "contracts are not checked here: `strongroom-inspect` is not there; install it, or name it in `data.inspector`";
        self.0.inspector.clone().ok_or_else(|| Problem::unavailable(missing))
    }

    fn turn_to_check(&self) -> Result<SemaphorePermit<'_>, Problem> {
        let busy =
            |_| Problem::new(Kind::TooMany, format!("{CONTRACT_CHECK_COUNT_MAX} contracts are checked at once; try again soon"));
        self.0.check_slots.try_acquire().map_err(busy)
    }
}
