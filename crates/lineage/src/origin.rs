//! What a version of a model was made by and from, one step deep: for whoever decides whether it may be used.

use vault::db::{DbError, Reader};

use crate::record::{node_id, version_name};
use crate::{NodeKind, Relation, Trust};

/// The run that made a version, and what that run used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The run, and whose word it is that it made the version.
    pub run: Option<(String, Trust)>,
    /// What the run used.
    pub uses: Vec<Used>,
}

/// Something that a run used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Used {
    /// What it is.
    pub kind: NodeKind,
    /// Its name.
    pub name: String,
    /// Whose word it is.
    pub trust: Trust,
    /// How it was used: a dataset's context.
    pub detail: String,
}

/// The origin of a version, as far as it is known. An observed run counts before a claimed one.
///
/// # Errors
/// [`DbError`] of the engine.
pub fn of_version(reader: &mut Reader<'_>, workspace: &str, model_id: &str, number: i64) -> Result<Origin, DbError> {
    let version = node_id(workspace, NodeKind::ModelVersion, &version_name(model_id, number));
    let mut made_by = neighbours(reader, &version, Relation::Generated)?;
    for logged in neighbours(reader, &version, Relation::Derived)?.into_iter().filter(|used| used.kind == NodeKind::LoggedModel) {
        let node = node_id(workspace, NodeKind::LoggedModel, &logged.name);
        made_by.extend(neighbours(reader, &node, Relation::Generated)?);
    }
    let runs = made_by.into_iter().filter(|used| used.kind == NodeKind::Run);
    let Some(run) = runs.max_by_key(|used| used.trust == Trust::Observed) else { return Ok(Origin::default()) };
    let uses = neighbours(reader, &node_id(workspace, NodeKind::Run, &run.name), Relation::Used)?;
    Ok(Origin { run: Some((run.name, run.trust)), uses })
}

fn neighbours(reader: &mut Reader<'_>, node: &str, relation: Relation) -> Result<Vec<Used>, DbError> {
    let sql = "SELECT n.kind, n.name, e.trust, e.detail FROM lineage_edge e JOIN lineage_node n ON n.id = e.to_node
               WHERE e.from_node = $1 AND e.relation = $2 ORDER BY e.id";
    reader.query(sql, &[node.into(), relation.word().into()], |row| {
        Ok(Used {
            kind: NodeKind::parse(&row.text(0)?).ok_or(DbError::Shape(0))?,
            name: row.text(1)?,
            trust: Trust::parse(&row.text(2)?),
            detail: row.text(3)?,
        })
    })
}
