//! Where a walk begins: the words of a person for a thing, and the nodes that they mean.

use gate::Target;
use kernel::Problem;
use vault::db::{DbError, Reader};

use crate::claim::Named;
use crate::find::{self, Thing};
use crate::record::claims::own_thing;
use crate::record::{RUN_NAMESPACE, version_name};
use crate::store::number_of;
use crate::types::NodeKind;
use crate::walk::Direction;

/// The longest subject.
const SUBJECT_BYTES_MAX: usize = 4_096;
/// The shortest beginning of a commit that is looked for.
const COMMIT_CHARS_MIN: usize = 7;
/// Colons at which `NAMESPACE:NAME` may be parted.
const COLON_COUNT_MAX: usize = 16;

/// Where a walk begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Root {
    /// A version of a registered model: its name; number, `@alias` or `latest`.
    ModelVersion(String, String),
    /// A run, by id.
    Run(String),
    /// A logged model, by id.
    LoggedModel(String),
    /// A version of a data set, by name and number or `latest`; and a row of it.
    Data(String, String, Option<String>),
    /// Whatever has this SHA-256 digest.
    File([u8; 32]),
    /// A person or service, by the account's name; or an owner that events name.
    Person(String),
    /// A commit, by its hash or the beginning of it.
    Commit(String),
    /// An endpoint, by name: the version that it answers with now.
    Endpoint(String),
    /// A job of OpenLineage, as `NAMESPACE:NAME`.
    Job(String),
    /// A dataset of OpenLineage, as `NAMESPACE:NAME`.
    Dataset(String),
    /// Versions of a registered model, by its internal id, as the log names it: all of them, or one number.
    ModelId(String, Option<i64>),
    /// A version of a data set by its id, or all versions of a data set by its own.
    DataId(String),
    /// An endpoint, by id.
    EndpointId(String),
}

/// How subjects are written, for messages.
const FORMS: &str = "`MODEL@ALIAS`, `MODEL/VERSION`, `run:ID`, `logged-model:ID`, `data:NAME/VERSION` (and `#ROW`), `file:SHA256`, \
                     `person:NAME`, `commit:HASH`, `endpoint:NAME`, `job:NAMESPACE:NAME` or `dataset:NAMESPACE:NAME`; by \
                     the ids of the log `model-id:ID`, `model-id:ID/VERSION`, `data-id:ID` or `endpoint-id:ID`";

impl Root {
    /// Reads a subject.
    ///
    /// # Errors
    /// `Invalid` for what is none.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let shown = || text.chars().take(200).collect::<String>();
        let wrong = || Problem::invalid(format!("`{}` names nothing that lineage knows; write {FORMS}", shown()));
        if text.is_empty() || text.len() > SUBJECT_BYTES_MAX || text.contains('\0') {
            return Err(wrong());
        }
        let Some((word, rest)) = text.split_once(':').filter(|(_, rest)| !rest.is_empty()) else { return Ok(model(text)) };
        Ok(match word {
            "run" => Self::Run(rest.to_owned()),
            "logged-model" => Self::LoggedModel(rest.to_owned()),
            "model" => model(rest),
            "models" => match rest.strip_prefix('/') {
                Some(name) if name.contains(['/', '@']) => model(name),
                Some(id) => Self::LoggedModel(id.to_owned()),
                None => return Err(wrong()),
            },
            "data" => data(rest),
            "datasets" => data(rest.strip_prefix('/').unwrap_or(rest)),
            "file" | "sha256" => Self::File(find::sha256_in(rest).ok_or_else(|| {
                Problem::invalid(format!("a file is named by its SHA-256, 64 hexadecimal digits, not by `{}`", shown()))
            })?),
            "person" => Self::Person(rest.to_owned()),
            "commit" if rest.len() >= COMMIT_CHARS_MIN => Self::Commit(rest.to_owned()),
            "commit" => return Err(Problem::invalid(format!("a commit takes at least {COMMIT_CHARS_MIN} letters of its hash"))),
            "endpoint" => Self::Endpoint(rest.to_owned()),
            "job" => Self::Job(rest.to_owned()),
            "dataset" => Self::Dataset(rest.to_owned()),
            "model-id" => match rest.split_once('/') {
                Some((id, number)) => Self::ModelId(id.to_owned(), Some(number.parse().map_err(|_| wrong())?)),
                None => Self::ModelId(rest.to_owned(), None),
            },
            "data-id" => Self::DataId(rest.to_owned()),
            "endpoint-id" => Self::EndpointId(rest.to_owned()),
            _ => return Err(wrong()),
        })
    }

    /// What a walk in this direction is judged as. What stems from a thing may lie anywhere in its workspace.
    #[must_use]
    pub fn target(&self, direction: Direction) -> Target {
        match self {
            _ if direction == Direction::Down => Target::Workspace,
            Self::ModelVersion(model, version) => Target::ModelVersion(model.clone(), version.clone()),
            Self::Run(id) => Target::Run(id.clone()),
            Self::LoggedModel(id) => Target::LoggedModel(id.clone()),
            Self::Data(name, version, _) => Target::DatasetVersion(name.clone(), version.clone()),
            Self::File(_)
            | Self::Person(_)
            | Self::Commit(_)
            | Self::Endpoint(_)
            | Self::Job(_)
            | Self::Dataset(_)
            | Self::ModelId(..)
            | Self::DataId(_)
            | Self::EndpointId(_) => Target::Workspace,
        }
    }

    /// The numbers of its nodes. None of them if it is not in the graph.
    pub(crate) fn numbers(&self, reader: &mut Reader<'_>, workspace: &str) -> Result<Vec<i64>, DbError> {
        let mut numbers = Vec::new();
        for thing in self.things(reader, workspace)? {
            let number = number_of(reader, &find::key_of(workspace, &thing))?;
            numbers.extend(number.filter(|number| !numbers.contains(number)));
        }
        Ok(numbers)
    }

    fn things(&self, reader: &mut Reader<'_>, workspace: &str) -> Result<Vec<Thing>, DbError> {
        Ok(match self {
            Self::ModelVersion(model, version) => find::model_version(reader, workspace, model, version)?.into_iter().collect(),
            Self::Run(id) => vec![(NodeKind::Run, id.clone()), (NodeKind::Run, id.to_ascii_lowercase().replace('-', ""))],
            Self::LoggedModel(id) => vec![(NodeKind::LoggedModel, id.clone())],
            Self::Data(name, version, _) => find::data_version(reader, workspace, name, version)?.into_iter().collect(),
            Self::File(sha256) => find::by_sha256(reader, workspace, *sha256)?,
            Self::Person(name) => {
                let owner = (NodeKind::Owner, name.clone());
                find::person(reader, name)?.into_iter().chain([owner]).collect()
            }
            Self::Endpoint(name) => {
                let endpoint = find::endpoint(reader, workspace, name)?;
                endpoint.map(|endpoint| (NodeKind::ModelVersion, endpoint.version)).into_iter().collect()
            }
            // The graph knows it also when it is deleted.
            Self::ModelId(id, Some(number)) => vec![(NodeKind::ModelVersion, version_name(id, *number))],
            Self::ModelId(id, None) => find::versions_of(reader, workspace, id)?,
            Self::DataId(id) => find::data_by_id(reader, workspace, id)?,
            Self::EndpointId(id) => {
                let endpoint = find::endpoint_by_id(reader, workspace, id)?;
                endpoint.map(|endpoint| (NodeKind::ModelVersion, endpoint.version)).into_iter().collect()
            }
            Self::Commit(hash) => find::commits(reader, workspace, hash)?,
            Self::Job(name) => {
                let mut things: Vec<Thing> = parted(name).map(|named| (NodeKind::Job, named.joined())).collect();
                let run = name.strip_prefix(RUN_NAMESPACE).and_then(|rest| rest.strip_prefix(":runs:/"));
                things.extend(run.map(|id| (NodeKind::Run, id.to_owned())));
                things
            }
            Self::Dataset(name) => {
                let described = name.strip_prefix(RUN_NAMESPACE).and_then(|rest| rest.strip_prefix(':'));
                let mut things: Vec<Thing> = described.map(|name| (NodeKind::Dataset, name.to_owned())).into_iter().collect();
                for named in parted(name) {
                    things.extend(own_thing(reader, workspace, &named)?);
                    things.push((NodeKind::Dataset, named.joined()));
                }
                things
            }
        })
    }

    /// When nothing here has that name.
    pub(crate) fn missing(&self) -> Problem {
        Problem::not_found(match self {
            Self::ModelVersion(..) | Self::ModelId(..) => "there is no such version of a model",
            Self::Run(_) | Self::LoggedModel(_) => "the lineage of this workspace knows no such run or logged model",
            Self::Data(..) | Self::DataId(_) => "the lineage of this workspace knows no such version of a data set",
            Self::File(_) => "nothing in this workspace has a file, a manifest or a node with this digest",
            Self::Person(_) => "the lineage of this workspace knows nothing of this person",
            Self::Commit(_) => "no run of this workspace is said to have used this commit",
            Self::Endpoint(_) | Self::EndpointId(_) => {
                "there is no such endpoint in this workspace, or it answers with no version now"
            }
            Self::Job(_) | Self::Dataset(_) => "no event of this workspace has told of this name",
        })
    }
}

/// Every way to part `NAMESPACE:NAME`: both may hold colons, and only one of them is in the graph as a rule.
fn parted(text: &str) -> impl Iterator<Item = Named> + '_ {
    let colons = text.match_indices(':').take(COLON_COUNT_MAX);
    colons.filter_map(|(at, _)| Some(Named { namespace: text.get(..at)?.to_owned(), name: text.get(at + 1..)?.to_owned() }))
}

fn model(text: &str) -> Root {
    if let Some((name, alias)) = text.rsplit_once('@') {
        return Root::ModelVersion(name.to_owned(), format!("@{alias}"));
    }
    match text.rsplit_once('/') {
        Some((name, version)) if !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit()) => {
            Root::ModelVersion(name.to_owned(), version.to_owned())
        }
        _ => Root::ModelVersion(text.to_owned(), "latest".to_owned()),
    }
}

fn data(text: &str) -> Root {
    let (text, row) = text.split_once('#').map_or((text, None), |(text, row)| (text, Some(row.to_owned())));
    let (name, version) = text.rsplit_once(['/', '@']).unwrap_or((text, "latest"));
    Root::Data(name.to_owned(), version.to_owned(), row)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_read() {
        let version = |name: &str, number: &str| Root::ModelVersion(name.to_owned(), number.to_owned());
        let cases = [
            ("churn", version("churn", "latest")),
            ("churn@best", version("churn", "@best")),
            ("a/b/3", version("a/b", "3")),
            ("models:/churn/3", version("churn", "3")),
            ("models:/m-1", Root::LoggedModel("m-1".to_owned())),
            ("run:r1", Root::Run("r1".to_owned())),
            ("data:d/3#row=17", Root::Data("d".to_owned(), "3".to_owned(), Some("row=17".to_owned()))),
            ("data:d", Root::Data("d".to_owned(), "latest".to_owned(), None)),
            ("person:ann", Root::Person("ann".to_owned())),
            ("model-id:abc", Root::ModelId("abc".to_owned(), None)),
            ("model-id:abc/3", Root::ModelId("abc".to_owned(), Some(3))),
            ("data-id:d1", Root::DataId("d1".to_owned())),
            ("endpoint-id:e1", Root::EndpointId("e1".to_owned())),
            ("commit:abcdef0", Root::Commit("abcdef0".to_owned())),
            ("job:s3://x:y", Root::Job("s3://x:y".to_owned())),
        ];
        for (text, root) in cases {
            assert_eq!(Root::parse(text).unwrap(), root, "{text}");
        }
        assert_eq!(Root::parse(&format!("file:{}", "0A".repeat(32))).unwrap(), Root::File([10; 32]));
        for bad in ["", "file:12", "commit:abc", "what:x", "run:\0", "model-id:a/x"] {
            assert!(Root::parse(bad).is_err(), "{bad}");
        }
        let parts: Vec<_> = parted("a:b:c").map(|named| (named.namespace, named.name)).collect();
        assert_eq!(parts, [("a".to_owned(), "b:c".to_owned()), ("a:b".to_owned(), "c".to_owned())]);
    }
}
