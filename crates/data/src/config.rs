//! The section `[data]` of the configuration.

use std::collections::BTreeMap;
use std::path::PathBuf;

use kernel::Problem;
use serde::{Deserialize, Serialize};

use crate::limits::FILE_BYTES_MAX;

/// `[data]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataConfig {
    /// The largest file that is taken.
    pub file_bytes_max: u64,
    /// The policy of the verdict (TOML); without one, the policy that is built in.
    pub verdict: Option<PathBuf>,
    /// Policies of single workspaces, by their names; the others have `verdict`.
    pub verdict_by_workspace: BTreeMap<String, PathBuf>,
    /// Whether an inspection without objections admits a version by itself; else a reviewer does.
    pub admit_automatically: bool,
    /// The inspection's worker; `strongroom-inspect` beside the server's own program, if none is named.
    pub inspector: Option<PathBuf>,
    /// The worker that runs SQL; `strongroom-query` beside the server's own program, if none is named.
    pub query: Option<PathBuf>,
    /// How long a query of a caller may take.
    pub query_seconds_max: u64,
    /// How long an inspection may take.
    pub inspection_seconds_max: u64,
    /// How much memory its worker may take.
    pub inspection_memory_bytes_max: u64,
    /// Lets a worker run that this system cannot confine. The bytes it parses may come from anybody.
    pub allow_insecure_unsandboxed: bool,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            file_bytes_max: FILE_BYTES_MAX,
            verdict: None,
            verdict_by_workspace: BTreeMap::new(),
            admit_automatically: true,
            inspector: None,
            query: None,
            query_seconds_max: 60,
            inspection_seconds_max: 7_200,
            inspection_memory_bytes_max: 2 << 30,
            allow_insecure_unsandboxed: false,
        }
    }
}

impl DataConfig {
    /// Refuses values under which nothing could be committed or inspected.
    ///
    /// # Errors
    /// `Invalid`, naming the key.
    pub fn check(&self) -> Result<(), Problem> {
        let zero = [
            ("file_bytes_max", self.file_bytes_max),
            ("query_seconds_max", self.query_seconds_max),
            ("inspection_seconds_max", self.inspection_seconds_max),
            ("inspection_memory_bytes_max", self.inspection_memory_bytes_max),
        ];
        match zero.iter().find(|(_, value)| *value == 0) {
            Some((key, _)) => Err(Problem::invalid(format!("`data.{key}` is 0; it must be more"))),
            None => Ok(()),
        }
    }
}
