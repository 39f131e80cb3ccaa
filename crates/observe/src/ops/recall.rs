//! `observe.recall`: the watcher looks up what a version was trained on, so that what it is asked can be compared with it.

use data::ReadableVersion;
use futures_util::StreamExt;
use gate::{Action, Operation, Outcome, Permit, Target};
use inspection::InspectionReport;
use kernel::{Kind, Problem};
use lineage::NodeKind;
use vault::db::Reader;
use vault::objects::Objects;
use watch::Reference;

use crate::Observe;
use crate::collector::Key;
use crate::store::places::version_of;

/// A report is at most so long.
const REPORT_BYTES_MAX: u64 = 256 << 20;

/// Gives a version what it was trained on, if lineage knows of data that was inspected here.
pub struct RecallTraining {
    /// The room.
    pub room: Observe,
    /// The endpoint's id.
    pub endpoint: String,
    /// The version, as records name it.
    pub version: String,
}

impl Operation for RecallTraining {
    const ACTION: Action = super::RECALL;
    /// Whether something was found.
    type Output = bool;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<bool, Problem> {
        let (now, key): (_, Key) = (permit.entry().at, (self.endpoint, self.version));
        let wanted = key.clone();
        let find = move |reader: &mut Reader<'_>| trained_on(reader, &wanted, now);
        let found = self.room.db().read(&permit, find).await?;
        let reference = match found {
            Some(version) => reference_of(&self.room.0.objects, &permit, &version).await?,
            None => None,
        };
        let is_found = reference.is_some();
        self.room.0.collector.set_trained(&key, reference);
        permit.defer_outcome().settle(&Outcome::done().with("found", if is_found { "yes" } else { "no" }));
        Ok(is_found)
    }
}

/// The data that the version of an endpoint was trained on: the first that was inspected here.
fn trained_on(
    reader: &mut Reader<'_>,
    (endpoint, version): &Key,
    now: kernel::Micros,
) -> Result<Option<ReadableVersion>, Problem> {
    let sql = "SELECT workspace FROM endpoint WHERE endpoint_id = $1";
    let workspace = reader.query_one(sql, &[endpoint.into()], |row| row.text(0))?;
    let (Some(workspace), Some((model, number))) = (workspace, version_of(version)) else { return Ok(None) };
    let origin = lineage::origin_of_version(reader, &workspace, model, number)?;
    for used in origin.uses.iter().filter(|used| used.kind == NodeKind::DataVersion) {
        let Some((dataset, number)) = used.name.rsplit_once('/') else { continue };
        let Ok(number) = number.parse() else { continue };
        let found = data::readable(reader, &workspace, dataset, number, now)?;
        if let Some(version) = found.filter(|version| version.report.is_some()) {
            return Ok(Some(version));
        }
    }
    Ok(None)
}

async fn reference_of<O: ?Sized>(
    objects: &Objects,
    permit: &Permit<O>,
    version: &ReadableVersion,
) -> Result<Option<Reference>, Problem> {
    let Some(report) = &version.report else { return Ok(None) };
    if report.size_bytes > REPORT_BYTES_MAX {
        return Err(Problem::new(Kind::TooLarge, "the report of the training data is too long to be compared with"));
    }
    let mut body = objects.open(permit, report, 0..report.size_bytes).await?;
    let mut bytes = Vec::new();
    while let Some(part) = body.next().await {
        bytes.extend_from_slice(&part?);
    }
    let unreadable = |error| Problem::internal("the report of the training data cannot be read", error);
    let report: InspectionReport = serde_json::from_slice(&bytes).map_err(unreadable)?;
    let Some(section) = report.profile else { return Ok(None) };
    // A later release may write another profile: then there is none to compare with.
    let profile: Option<profile::Profile> = section.parse().ok();
    let origin = format!("the data that it was trained on, `{}@{}`", version.dataset, version.number);
    Ok(profile.map(|profile| Reference::of_profile(&profile, &origin)))
}
