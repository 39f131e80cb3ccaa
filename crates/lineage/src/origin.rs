//! What a version of a model was made by and from, one step deep: for whoever decides whether it may be used.

use vault::db::{DbError, Reader};

use crate::record::{node_key, version_name};
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

impl Used {
    /// As it is known behind a step of this trust: whoever only claims the step claims all that it leads to.
    fn behind(self, step: Trust) -> Self {
        let trust = if step == Trust::Claimed { Trust::Claimed } else { self.trust };
        Self { trust, ..self }
    }
}

/// The origin of a version, as far as it is known. An observed run counts before a claimed one.
///
/// # Errors
/// [`DbError`] of the engine.
pub fn of_version(reader: &mut Reader<'_>, workspace: &str, model_id: &str, number: i64) -> Result<Origin, DbError> {
    let version = node_key(workspace, NodeKind::ModelVersion, &version_name(model_id, number));
    let mut made_by = neighbours(reader, &version, Relation::Generated)?;
    for logged in neighbours(reader, &version, Relation::Derived)?.into_iter().filter(|used| used.kind == NodeKind::LoggedModel) {
        let node = node_key(workspace, NodeKind::LoggedModel, &logged.name);
        let runs = neighbours(reader, &node, Relation::Generated)?;
        made_by.extend(runs.into_iter().map(|run| run.behind(logged.trust)));
    }
    let runs = made_by.into_iter().filter(|used| used.kind == NodeKind::Run);
    // What is known better counts before what was only said, and what was said first before what somebody says later.
    let Some(run) = runs.min_by_key(|used| std::cmp::Reverse(used.trust)) else { return Ok(Origin::default()) };
    let all = neighbours(reader, &node_key(workspace, NodeKind::Run, &run.name), Relation::Used)?;
    // What the server had done says all that it also saw.
    let is_executed = |kind: NodeKind, name: &str| {
        all.iter().any(|used| used.trust == Trust::Executed && used.kind == kind && used.name == name)
    };
    let keep = |used: &&Used| used.trust == Trust::Executed || !is_executed(used.kind, &used.name);
    let uses = all.iter().filter(keep).map(|used| used.clone().behind(run.trust)).collect();
    Ok(Origin { run: Some((run.name, run.trust)), uses })
}

fn neighbours(reader: &mut Reader<'_>, node: &str, relation: Relation) -> Result<Vec<Used>, DbError> {
    let sql = "SELECT n.kind, n.name, e.trust, e.detail FROM lineage_node f JOIN lineage_edge e ON e.from_node = f.id
               JOIN lineage_node n ON n.id = e.to_node WHERE f.key = $1 AND e.relation = $2 ORDER BY e.at, n.key, e.detail";
    reader.query(sql, &[node.into(), relation.word().into()], |row| {
        Ok(Used {
            kind: NodeKind::parse(&row.text(0)?).ok_or(DbError::Shape(0))?,
            name: crate::claim::shown(row.text(1)?),
            trust: Trust::parse(&row.text(2)?),
            detail: row.text(3)?,
        })
    })
}
