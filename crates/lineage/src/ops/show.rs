//! The way back from a version of a model to its code, its data and its author.

use gate::{Action, Operation, Permit, Target};
use kernel::Problem;

use crate::{Graph, Lineage, store};

/// Shows what a version of a model stems from.
#[derive(Clone)]
pub struct Show {
    /// The room.
    pub room: Lineage,
    /// The model's name.
    pub model: String,
    /// The version's number, `@` and an alias, or `latest`.
    pub version: String,
}

impl Operation for Show {
    const ACTION: Action = super::LINEAGE_READ;
    type Output = Graph;

    fn target(&self) -> Target {
        Target::ModelVersion(self.model.clone(), self.version.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Graph, Problem> {
        let shown = |text: &str| text.chars().take(500).collect::<String>();
        let missing = || {
            Problem::not_found(format!("Model Version (name={}, version={}) not found", shown(&self.model), shown(&self.version)))
        };
        let facts = permit.facts();
        let id = facts.id.as_deref().filter(|_| facts.exists).ok_or_else(missing)?;
        let (model_id, number) = id
            .rsplit_once('/')
            .and_then(|(model, number)| Some((model.to_owned(), number.parse::<i64>().ok()?)))
            .ok_or_else(missing)?;
        let workspace = permit.workspace()?.to_owned();
        let found =
            self.room.db.read(&permit, move |reader| Ok(store::lineage_of(reader, &workspace, &model_id, number)?)).await?;
        found.ok_or_else(missing)
    }
}
