//! `retraining.fetch`: the retrainer takes a job's code.
//!
//! INVARIANT: bytes are given out only if the whole folder still is what the specification says.

use std::path::{Component, Path, PathBuf};

use artifacts::{Manifest, Owner, Place, files_below};
use bytes::Bytes;
use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Problem, hex, sha256};
use vault::db::Reader;

use crate::types::conflict;
use crate::{Job, Retrain};

/// Takes the code of a job, whole and checked.
pub struct FetchCode {
    /// The room.
    pub room: Retrain,
    /// The job.
    pub job: Job,
}

impl Operation for FetchCode {
    const ACTION: Action = super::FETCH;
    type Output = Vec<(PathBuf, Bytes)>;

    fn target(&self) -> Target {
        Target::ModelVersion(self.job.spec.model.clone(), self.job.spec.version.to_string())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Self::Output, Problem> {
        let code = &self.job.spec.code;
        let place = Place::of(Owner::Run(code.run_id.clone()), Some(&code.path))?;
        let files = self.room.db().read(&permit, move |reader: &mut Reader<'_>| files_below(reader, &place)).await?;
        let manifest = Manifest::of(files.iter().map(|file| file.entry.clone()).collect());
        let changed = || conflict("the code is not what it was when the job was asked for; ask for the job again");
        if hex(&manifest.digest) != code.manifest_sha256 {
            return Err(changed());
        }
        let mut all = Vec::with_capacity(files.len());
        for file in &files {
            let bytes = self.room.0.artifacts.bytes_of(&permit, file, 0..file.entry.size_bytes).await?;
            if sha256(&bytes) != file.entry.sha256 {
                return Err(changed());
            }
            all.push((below(&file.entry.path)?, bytes));
        }
        let outcome = Outcome::done().resource(self.job.id.clone()).with("code_sha256", code.manifest_sha256.clone());
        self.room.db().write(&permit, move |_| Ok(((), outcome))).await?;
        Ok(all)
    }
}

/// A path that leads below the folder that it is put in. It was checked when it was stored, and is again before it touches a disk.
fn below(path: &str) -> Result<PathBuf, Problem> {
    let plain = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
    if !plain || path.is_empty() {
        return Err(Problem::internal("the code has a path that leads elsewhere", "not below the folder"));
    }
    Ok(PathBuf::from(path))
}
