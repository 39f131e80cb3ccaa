//! `sources.*`: the register of trusted sources.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Problem, random_id};

use crate::limits::{PATTERN_BYTES_MAX, PROVENANCE_BYTES_MAX};
use crate::store::sources;
use crate::{Data, DatasetName, SourceKey, TrustedSource, rules};

/// Purposes of one source.
const PURPOSE_COUNT_MAX: usize = 64;

/// Lists the register.
pub struct ListSources {
    /// The room.
    pub room: Data,
}

impl Operation for ListSources {
    const ACTION: Action = super::SOURCES_LIST;
    type Output = Vec<TrustedSource>;

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<Vec<TrustedSource>, Problem> {
        if *permit.scope() != gate::Scope::Workspace {
            return Ok(Vec::new());
        }
        let workspace = permit.workspace()?.to_owned();
        self.room.db().read(&permit, move |reader| Ok(sources::list(reader, &workspace)?)).await
    }
}

/// What a new source shall be.
#[derive(Clone, Debug)]
pub struct NewSource {
    /// Its name, of the shape of a data set's.
    pub name: String,
    /// The addresses it covers.
    pub pattern: String,
    /// What else must hold.
    pub key: SourceKey,
    /// Whose data it is.
    pub data_owner: String,
    /// Under which licence.
    pub licence: String,
    /// What it may be used for; empty for everything.
    pub purposes: Vec<String>,
}

/// Adds a source. Versions that are inspected from now on are held against it.
pub struct AddSource {
    /// The room.
    pub room: Data,
    /// What it shall be.
    pub source: NewSource,
}

impl Operation for AddSource {
    const ACTION: Action = super::SOURCES_ADD;
    type Output = TrustedSource;

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<TrustedSource, Problem> {
        let NewSource { name, pattern, key, data_owner, licence, purposes } = self.source;
        let name = DatasetName::parse(&name)?.as_str().to_owned();
        rules::line("pattern", &pattern, PATTERN_BYTES_MAX)?;
        if pattern.bytes().all(|byte| byte == b'*') {
            return Err(Problem::invalid("a pattern of nothing but `*` would trust every address; name the source's"));
        }
        rules::line("owner", &data_owner, PROVENANCE_BYTES_MAX)?;
        rules::line("licence", &licence, PROVENANCE_BYTES_MAX)?;
        if purposes.len() > PURPOSE_COUNT_MAX {
            return Err(Problem::invalid(format!("a source has at most {PURPOSE_COUNT_MAX} purposes")));
        }
        purposes.iter().try_for_each(|purpose| rules::line("purpose", purpose, PROVENANCE_BYTES_MAX))?;
        let (added_at, added_by) = (permit.entry().at, permit.caller().id.clone());
        let source = TrustedSource { id: random_id(), name, pattern, key, data_owner, licence, purposes, added_at, added_by };
        let workspace = permit.workspace()?.to_owned();
        let added = self.room.db().write(&permit, move |writer| {
            sources::add(writer, &workspace, &source)?;
            let outcome = Outcome::done().resource(source.id.clone());
            Ok((source, outcome))
        });
        added.await
    }
}

/// Takes a source off the register. What was admitted by it stays admitted.
pub struct RemoveSource {
    /// The room.
    pub room: Data,
    /// Its name.
    pub name: String,
}

impl Operation for RemoveSource {
    const ACTION: Action = super::SOURCES_REMOVE;
    type Output = ();

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        let (workspace, name) = (permit.workspace()?.to_owned(), self.name);
        let removed = self.room.db().write(&permit, move |writer| {
            let id = sources::remove(writer, &workspace, &name)?;
            let id = id.ok_or_else(|| Problem::not_found("there is no trusted source of this name"))?;
            Ok(((), Outcome::done().resource(id)))
        });
        removed.await
    }
}
