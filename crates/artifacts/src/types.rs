//! Whose artifacts, and which.

use gate::{Permit, Target};
use kernel::Problem;

use crate::ArtifactPath;

/// An id of a run, a model or a trace: no longer than this.
const OWNER_ID_BYTES_MAX: usize = 64;

/// Whose artifacts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// A run's, by its id.
    Run(String),
    /// A logged model's, by its id.
    LoggedModel(String),
    /// A trace's, by its id.
    Trace(String),
}

impl Owner {
    /// The word in rows and records.
    #[must_use]
    pub const fn kind_word(&self) -> &'static str {
        match self {
            Self::Run(_) => "run",
            Self::LoggedModel(_) => "logged_model",
            Self::Trace(_) => "trace",
        }
    }

    /// The id.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Run(id) | Self::LoggedModel(id) | Self::Trace(id) => id,
        }
    }

    /// Where its artifacts are, in MLflow's words.
    #[must_use]
    pub fn root_uri(&self, experiment: i64) -> String {
        match self {
            Self::Run(id) => format!("mlflow-artifacts:/{experiment}/{id}/artifacts"),
            Self::LoggedModel(id) => format!("mlflow-artifacts:/{experiment}/models/{id}/artifacts"),
            Self::Trace(id) => format!("mlflow-artifacts:/{experiment}/traces/{id}/artifacts"),
        }
    }

    /// What the gate looks up.
    #[must_use]
    pub fn target(&self) -> Target {
        match self {
            Self::Run(id) => Target::Run(id.clone()),
            Self::LoggedModel(id) => Target::LoggedModel(id.clone()),
            Self::Trace(id) => Target::Trace(id.clone()),
        }
    }
}

/// One place among the artifacts: a file, a folder, or the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The experiment that the client named; none where it named only the owner.
    pub experiment: Option<i64>,
    /// Whose.
    pub owner: Owner,
    /// Where, below the owner's root; none for the root itself.
    pub path: Option<ArtifactPath>,
}

/// A place whose owner is known to exist.
pub(crate) struct Home {
    pub(crate) workspace: String,
    pub(crate) experiment: i64,
}

impl Place {
    /// A place of an owner, with `path` as a client gives it beside the owner's id: empty or absent for the root.
    ///
    /// # Errors
    /// `Invalid` for an id or a path that is not one.
    pub fn of(owner: Owner, path: Option<&str>) -> Result<Self, Problem> {
        check_owner_id(owner.id())?;
        let path = path.filter(|path| !path.is_empty()).map(ArtifactPath::parse).transpose()?;
        Ok(Self { experiment: None, owner, path })
    }

    /// A place as `mlflow-artifacts:/` writes it: `EXPERIMENT/RUN/artifacts/PATH`,
    /// `EXPERIMENT/models/MODEL/artifacts/PATH` or `EXPERIMENT/traces/TRACE/artifacts/PATH`, decoded once.
    ///
    /// # Errors
    /// `Invalid` for anything else.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let (experiment, rest) = text.split_once('/').ok_or_else(not_a_place)?;
        let experiment = parse_experiment(experiment)?;
        let (kind, rest) = ["models/", "traces/"]
            .into_iter()
            .find_map(|kind| rest.strip_prefix(kind).map(|rest| (kind, rest)))
            .unwrap_or(("", rest));
        let (id, rest) = rest.split_once('/').ok_or_else(not_a_place)?;
        let owner = match kind {
            "models/" => Owner::LoggedModel(id.to_owned()),
            "traces/" => Owner::Trace(id.to_owned()),
            _ => Owner::Run(id.to_owned()),
        };
        check_owner_id(owner.id())?;
        let path = match rest.strip_prefix("artifacts").ok_or_else(not_a_place)? {
            "" | "/" => None,
            path => Some(ArtifactPath::parse(path.strip_prefix('/').ok_or_else(not_a_place)?)?),
        };
        Ok(Self { experiment: Some(experiment), owner, path })
    }

    /// The path, where the verb needs one.
    pub(crate) fn file(&self) -> Result<&ArtifactPath, Problem> {
        self.path.as_ref().ok_or_else(|| Problem::invalid("Invalid path: name a file below the artifact root"))
    }

    /// The place is there for this caller: its owner exists, and in the experiment that the client named.
    pub(crate) fn home<O: ?Sized>(&self, permit: &Permit<O>) -> Result<Home, Problem> {
        let facts = permit.facts();
        let experiment = facts.experiment.filter(|_| facts.exists);
        let named = self.experiment.or(experiment);
        match experiment {
            Some(experiment) if named == Some(experiment) => Ok(Home { workspace: permit.workspace()?.to_owned(), experiment }),
            _ => Err(Problem::not_found(format!("there is no {} `{}` here", self.owner.kind_word(), self.owner.id()))),
        }
    }
}

/// Decimal, without sign or leading zeros: one experiment has one spelling.
fn parse_experiment(text: &str) -> Result<i64, Problem> {
    let canonical = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| canonical).ok_or_else(not_a_place)
}

fn check_owner_id(id: &str) -> Result<(), Problem> {
    let plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if id.is_empty() || id.len() > OWNER_ID_BYTES_MAX || !plain || matches!(id, "models" | "traces") {
        return Err(not_a_place());
    }
    Ok(())
}

fn not_a_place() -> Problem {
    Problem::invalid(
        "Invalid path: artifacts are at `EXPERIMENT_ID/RUN_ID/artifacts/PATH`, `EXPERIMENT_ID/models/MODEL_ID/artifacts/PATH` or \
         `EXPERIMENT_ID/traces/TRACE_ID/artifacts/PATH`",
    )
}

/// One entry of a listed folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedEntry {
    /// Its path below the owner's root.
    pub path: String,
    /// Its size; none for a folder.
    pub size_bytes: Option<u64>,
}

impl ListedEntry {
    /// Whether it is a folder.
    #[must_use]
    pub const fn is_folder(&self) -> bool {
        self.size_bytes.is_none()
    }

    /// Its last segment.
    #[must_use]
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Option<ArtifactPath> {
        Some(ArtifactPath::parse(text).unwrap())
    }

    #[test]
    fn places_are_read_as_mlflow_writes_them() {
        let run = "3f2a";
        let run_place = |path| Place { experiment: Some(7), owner: Owner::Run(run.to_owned()), path };
        assert_eq!(Place::parse("7/3f2a/artifacts").unwrap(), run_place(None));
        assert_eq!(Place::parse("7/3f2a/artifacts/").unwrap(), run_place(None));
        assert_eq!(Place::parse("7/3f2a/artifacts/a/b.txt").unwrap(), run_place(path("a/b.txt")));
        let model = Place::parse("0/models/m-1/artifacts/MLmodel").unwrap();
        assert_eq!(model, Place { experiment: Some(0), owner: Owner::LoggedModel("m-1".to_owned()), path: path("MLmodel") });
        let trace = Place::parse("0/traces/tr-1/artifacts/traces.json").unwrap();
        assert_eq!(trace, Place { experiment: Some(0), owner: Owner::Trace("tr-1".to_owned()), path: path("traces.json") });
        let artifacts_in_name = Place::parse("7/3f2a/artifacts/artifacts/x").unwrap();
        assert_eq!(artifacts_in_name, run_place(path("artifacts/x")));
    }

    #[test]
    fn anything_else_is_no_place() {
        for bad in [
            "",
            "/",
            "7",
            "7/",
            "7/run",
            "7/run/",
            "7/run/artifact",
            "7/run/artifactsx",
            "7/run/artifacts//x",
            "/7/run/artifacts/x",
            "01/run/artifacts",
            "+1/run/artifacts",
            "-1/run/artifacts",
            "1 /run/artifacts",
            "x/run/artifacts",
            "99999999999999999999/run/artifacts",
            "7/../artifacts/x",
            "7/./artifacts/x",
            "7//artifacts/x",
            "7/run%2f/artifacts/x",
            "7/ru n/artifacts/x",
            "7/models/artifacts/x",
            "7/models/../artifacts/x",
            "7/models//artifacts/x",
            "7/models/m-1/x",
            "7/run/other/artifacts/x",
            "7/run/artifacts/../../x",
            "7/models/models/artifacts/x",
            "7/traces/artifacts/x",
            "7/traces/../artifacts/x",
            "7/traces/models/artifacts/x",
            "7/run\0/artifacts/x",
            "7/run/artifacts\0/x",
            "7\\run\\artifacts\\x",
        ] {
            assert!(Place::parse(bad).is_err(), "{bad:?}");
        }
        assert!(Place::of(Owner::Run("..".to_owned()), None).is_err());
        assert!(Place::of(Owner::Run("a".repeat(65)), None).is_err());
        assert_eq!(Place::of(Owner::Run("a".to_owned()), Some("")).unwrap().path, None);
    }
}
