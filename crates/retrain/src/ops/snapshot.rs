//! `retraining.snapshot`: the code among a run's artifacts, as it is now.

use artifacts::{Manifest, Owner, Place, files_below};
use gate::{Action, Operation, Permit, Target};
use kernel::{Kind, Problem, hex};
use vault::db::Reader;

use crate::limits::{CODE_BYTES_MAX, CODE_FILE_COUNT_MAX, PROJECT_BYTES_MAX};
use crate::types::{CodeFile, CodeSpec, Snapshot};
use crate::{Retrain, entry};

/// The file that says how a folder's code is started.
const PROJECT_FILE: &str = "MLproject";

/// Looks at a folder among the artifacts of a run.
pub struct SnapshotCode {
    /// The room.
    pub room: Retrain,
    /// The run.
    pub run_id: String,
    /// The folder; empty for all artifacts.
    pub path: String,
}

impl Operation for SnapshotCode {
    const ACTION: Action = super::SNAPSHOT;
    type Output = Snapshot;

    fn target(&self) -> Target {
        Target::Run(self.run_id.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Snapshot, Problem> {
        let missing = || Problem::not_found("there is no such run here");
        permit.facts().experiment.filter(|_| permit.facts().exists).ok_or_else(missing)?;
        let place = Place::of(Owner::Run(self.run_id.clone()), Some(&self.path))?;
        let files = self.room.db().read(&permit, move |reader: &mut Reader<'_>| files_below(reader, &place)).await?;
        let manifest = Manifest::of(files.iter().map(|file| file.entry.clone()).collect());
        let (count, size_bytes) = (manifest.entries.len(), manifest.size_bytes());
        if count == 0 {
            let shown = entry::shown(&self.path);
            return Err(Problem::not_found(format!(
                "the run has no code: there is nothing below `{shown}` among its artifacts; log the code there with \
                 `mlflow.log_artifacts(DIR, 'code')`, or give a folder with --code"
            )));
        }
        if count > CODE_FILE_COUNT_MAX || size_bytes > CODE_BYTES_MAX {
            let message = format!(
                "the code is {count} files of {size_bytes} bytes; at most {CODE_FILE_COUNT_MAX} files of {CODE_BYTES_MAX} bytes are run"
            );
            return Err(Problem::new(Kind::TooLarge, message));
        }
        let project = match files.iter().find(|file| file.entry.path == PROJECT_FILE) {
            Some(file) if file.entry.size_bytes <= PROJECT_BYTES_MAX => {
                let bytes = self.room.0.artifacts.bytes_of(&permit, file, 0..file.entry.size_bytes).await?;
                std::str::from_utf8(&bytes).ok().and_then(entry::project)
            }
            _ => None,
        };
        let file = |entry: &artifacts::ManifestEntry| CodeFile {
            path: entry.path.clone(),
            size_bytes: entry.size_bytes,
            sha256: hex(&entry.sha256),
        };
        let code = CodeSpec {
            run_id: self.run_id,
            path: self.path,
            manifest_sha256: hex(&manifest.digest),
            files: manifest.entries.iter().map(file).collect(),
        };
        Ok(Snapshot { code, project })
    }
}
