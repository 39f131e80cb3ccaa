//! `objects.verify` and `objects.sweep`: every object is read and checked; what nothing names is taken away.

use std::sync::Arc;
use std::time::Duration;

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Kind, Micros, Problem};
use vault::objects::Swept;

use crate::config::{ORPHAN_AGE_MIN, UPLOAD_AGE_MAX, VERIFY_BATCH_COUNT};
use crate::store::{self, uploads};
use crate::{Artifacts, FileFacts};

/// Damaged objects that a report names; the rest is counted.
const DAMAGED_COUNT_MAX: usize = 1_000;
/// Stale uploads that one sweep takes away.
const STALE_COUNT_MAX: i64 = 1_000;

/// Reads every object that a row names, whole, and checks it against its row.
pub struct VerifyObjects {
    /// The room.
    pub room: Artifacts,
}

/// What a verification found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Objects that were read.
    pub checked_count: u64,
    /// Their plain bytes.
    pub checked_bytes: u64,
    /// Artifacts, files and documents of data sets, and parts of open uploads that are missing or damaged, or whose rows were changed.
    pub damaged_count: u64,
    /// Those whose workspace's key was destroyed: nobody can read them, and nobody is meant to.
    pub destroyed_count: u64,
    /// The ids of the first that are damaged.
    pub damaged: Vec<String>,
}

impl Operation for VerifyObjects {
    const ACTION: Action = Action::read("objects.verify");
    type Output = VerifyReport;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<VerifyReport, Problem> {
        let mut report = VerifyReport::default();
        self.room.verify_files(&permit, &mut report).await?;
        for table in store::single_object_tables() {
            self.room.verify_objects(&permit, table, &mut report).await?;
        }
        let outcome = Outcome::done()
            .with("checked_count", store::signed(report.checked_count)?)
            .with("damaged_count", store::signed(report.damaged_count)?);
        permit.defer_outcome().settle(&outcome);
        Ok(report)
    }
}

impl VerifyReport {
    fn damaged(&mut self, id: &str, problem: &Problem) {
        if problem.kind() == Kind::Gone {
            self.destroyed_count += 1;
            return;
        }
        self.damaged_count += 1;
        tracing::error!(id, %problem, "an artifact or one of its objects is damaged");
        if self.damaged.len() < DAMAGED_COUNT_MAX {
            self.damaged.push(id.to_owned());
        }
    }
}

impl Artifacts {
    async fn verify_files(&self, permit: &Permit<VerifyObjects>, report: &mut VerifyReport) -> Result<(), Problem> {
        let mut after = String::new();
        loop {
            let from = after.clone();
            let batch = self.db.read(permit, move |reader| store::files_after(reader, &from, VERIFY_BATCH_COUNT)).await?;
            let Some(last) = batch.last() else {
                return Ok(());
            };
            after.clone_from(&last.id);
            for file in batch {
                let id = file.id.clone();
                if let Err(problem) = self.verify_file(permit, &file, report).await? {
                    let still = self.db.read_point(permit, move |reader| store::is_file(reader, &id)).await?;
                    // A file that was deleted or written anew meanwhile is not missing.
                    if still {
                        report.damaged(&file.id, &problem);
                    }
                }
            }
        }
    }

    /// The inner result is what was found, the outer one whether it could be found out.
    async fn verify_file(
        &self,
        permit: &Permit<VerifyObjects>,
        file: &FileFacts,
        report: &mut VerifyReport,
    ) -> Result<Result<(), Problem>, Problem> {
        let id = file.id.clone();
        let parts = self.db.read_point(permit, move |reader| store::parts(reader, &id)).await;
        let parts = match found(parts)? {
            Ok(parts) => parts,
            Err(problem) => return Ok(Err(problem)),
        };
        for part in &parts {
            report.checked_count += 1;
            report.checked_bytes = report.checked_bytes.saturating_add(part.size_bytes);
            if let Err(problem) = found(self.objects.verify(permit, part).await)? {
                return Ok(Err(problem));
            }
        }
        let size_bytes = parts.iter().fold(0_u64, |sum, part| sum.saturating_add(part.size_bytes));
        let hashed = match found(self.hash_of(permit, &parts).await)? {
            Ok(hashed) => hashed,
            Err(problem) => return Ok(Err(problem)),
        };
        if size_bytes != file.size_bytes || hashed != file.sha256 {
            return Ok(Err(Problem::internal("an artifact's row is not what its objects hold", "size or digest differs")));
        }
        Ok(Ok(()))
    }

    async fn verify_objects(
        &self,
        permit: &Permit<VerifyObjects>,
        table: &'static str,
        report: &mut VerifyReport,
    ) -> Result<(), Problem> {
        let mut after = String::new();
        loop {
            let from = after.clone();
            let batch =
                self.db.read(permit, move |reader| uploads::objects_after(reader, table, &from, VERIFY_BATCH_COUNT)).await?;
            let Some(last) = batch.last() else {
                return Ok(());
            };
            after = last.id.as_str().to_owned();
            for object in batch {
                report.checked_count += 1;
                report.checked_bytes = report.checked_bytes.saturating_add(object.size_bytes);
                if let Err(problem) = found(self.objects.verify(permit, &object).await)? {
                    let id = object.id.as_str().to_owned();
                    if self.db.read_point(permit, move |reader| store::is_object_named(reader, &id)).await? {
                        report.damaged(object.id.as_str(), &problem);
                    }
                }
            }
        }
    }
}

/// Damage is a finding; a store that is down is not.
fn found<T>(result: Result<T, Problem>) -> Result<Result<T, Problem>, Problem> {
    match result {
        Err(problem) if !matches!(problem.kind(), Kind::Internal | Kind::Gone) => Err(problem),
        finding => Ok(finding),
    }
}

/// Takes away uploads that nobody went on with, and objects that no row names, once they are old enough that their row
/// cannot be on its way.
pub struct SweepObjects {
    /// The room.
    pub room: Artifacts,
}

impl Operation for SweepObjects {
    const ACTION: Action = Action::write("objects.sweep");
    type Output = Swept;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Swept, Problem> {
        self.room.sweep(&permit, ORPHAN_AGE_MIN).await
    }
}

/// As [`SweepObjects`], however young they are: only before anybody can write, as the only server on its store.
pub struct SweepAtStart {
    /// The room.
    pub room: Artifacts,
}

impl Operation for SweepAtStart {
    const ACTION: Action = SweepObjects::ACTION;
    type Output = Swept;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Swept, Problem> {
        self.room.sweep(&permit, Duration::ZERO).await
    }
}

impl Artifacts {
    async fn sweep<O: ?Sized>(&self, permit: &Permit<O>, older_than: Duration) -> Result<Swept, Problem> {
        let age = i64::try_from(UPLOAD_AGE_MAX.as_micros()).unwrap_or(i64::MAX);
        let before = Micros(permit.entry().at.0.saturating_sub(age));
        // Rows are read before files are listed: an object that gets its row meanwhile is younger than `older_than`.
        let read = |reader: &mut vault::db::Reader<'_>| Ok((store::known_objects(reader)?, store::small_orphans(reader)?));
        let (known, small) = self.db.read(permit, read).await?;
        let mut swept = self.objects.sweep(permit, Arc::new(known), older_than).await?;
        swept.orphan_count += small.len();
        let stale = move |writer: &mut vault::db::Writer<'_>| {
            let ids = uploads::stale(writer, before, STALE_COUNT_MAX)?;
            let mut objects = small;
            for id in &ids {
                objects.extend(uploads::remove(writer, id)?);
            }
            let outcome = Outcome::done()
                .with("unfinished_count", swept.unfinished_count)
                .with("orphan_count", swept.orphan_count)
                .with("stale_upload_count", ids.len());
            Ok(((swept, objects), outcome))
        };
        self.objects.commit(&self.db, permit, Vec::new(), stale).await
    }
}
