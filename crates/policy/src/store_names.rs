//! How things are called, by their ids alone: one statement over the tables of all kinds.

use std::collections::{BTreeMap, BTreeSet};

use vault::db::{Bind, DbError, Reader, Row};

/// What can have a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum NamedKind {
    Account,
    Workspace,
    Experiment,
    Run,
    LoggedModel,
    Model,
    Dataset,
    DatasetVersion,
    Endpoint,
}

impl NamedKind {
    const ALL: [Self; 9] = [
        Self::Account,
        Self::Workspace,
        Self::Experiment,
        Self::Run,
        Self::LoggedModel,
        Self::Model,
        Self::Dataset,
        Self::DatasetVersion,
        Self::Endpoint,
    ];

    /// The word in the statement.
    const fn word(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Workspace => "workspace",
            Self::Experiment => "experiment",
            Self::Run => "run",
            Self::LoggedModel => "logged_model",
            Self::Model => "model",
            Self::Dataset => "dataset",
            Self::DatasetVersion => "dataset_version",
            Self::Endpoint => "endpoint",
        }
    }
}

/// Something of a known id, with what decides who may know its name.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) kind: NamedKind,
    pub(crate) id: String,
    pub(crate) name: String,
    /// The id of its workspace; empty for an account.
    pub(crate) workspace: String,
    /// The id of the experiment, model or data set that it is judged as; empty for what is none of these.
    pub(crate) judged_as: String,
    /// The least tier of a device from which its workspace may be read.
    pub(crate) least_tier: u8,
}

/// `$1` are ids that are texts, `$2` those that are numbers, each as the keys of a JSON object.
const NAMED: &str = "
    SELECT n.kind, n.id, n.name, n.workspace, n.judged_as,
           CAST(COALESCE((SELECT MAX(r.tier) FROM device_rule AS r WHERE r.workspace_id = n.workspace AND r.data_class = ''), 0) AS BIGINT)
    FROM (
        SELECT CAST('account' AS TEXT) AS kind, t.id AS id, t.name AS name, CAST('' AS TEXT) AS workspace, CAST('' AS TEXT) AS judged_as
        FROM json_each($1) AS k CROSS JOIN principal AS t WHERE t.id = k.key
        UNION ALL
        SELECT 'workspace', t.id, t.name, t.id, '' FROM json_each($1) AS k CROSS JOIN workspace AS t WHERE t.id = k.key
        UNION ALL
        SELECT 'run', t.run_id, t.name, e.workspace_id, CAST(e.experiment_id AS TEXT)
        FROM json_each($1) AS k CROSS JOIN run AS t JOIN experiment AS e ON e.experiment_id = t.experiment_id WHERE t.run_id = k.key
        UNION ALL
        SELECT 'logged_model', t.model_id, t.name, e.workspace_id, CAST(e.experiment_id AS TEXT)
        FROM json_each($1) AS k CROSS JOIN logged_model AS t JOIN experiment AS e ON e.experiment_id = t.experiment_id
        WHERE t.model_id = k.key
        UNION ALL
        SELECT 'model', t.model_id, t.name, t.workspace_id, t.model_id
        FROM json_each($1) AS k CROSS JOIN registered_model AS t WHERE t.model_id = k.key
        UNION ALL
        SELECT 'dataset', t.dataset_id, t.name, t.workspace, t.dataset_id
        FROM json_each($1) AS k CROSS JOIN data_set AS t WHERE t.dataset_id = k.key
        UNION ALL
        SELECT 'dataset_version', t.version_id, CASE WHEN t.number IS NULL THEN d.name ELSE d.name || '@' || CAST(t.number AS TEXT) END,
               d.workspace, d.dataset_id
        FROM json_each($1) AS k CROSS JOIN data_version AS t JOIN data_set AS d ON d.dataset_id = t.dataset_id WHERE t.version_id = k.key
        UNION ALL
        SELECT 'endpoint', t.endpoint_id, t.name, t.workspace, t.model_id
        FROM json_each($1) AS k CROSS JOIN endpoint AS t WHERE t.endpoint_id = k.key
        UNION ALL
        SELECT 'experiment', CAST(t.experiment_id AS TEXT), t.name, t.workspace_id, CAST(t.experiment_id AS TEXT)
        FROM json_each($2) AS k CROSS JOIN experiment AS t WHERE t.experiment_id = CAST(k.key AS BIGINT)
    ) AS n";

/// What these ids are of. A version of a registered model, `MODEL/NUMBER`, is called by its model's name and that number. What is there no more
/// is not in the answer.
pub(crate) fn named(reader: &mut Reader<'_>, ids: &BTreeSet<String>) -> Result<Vec<Named>, DbError> {
    let (mut texts, mut numbers) = (serde_json::Map::new(), serde_json::Map::new());
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for id in ids.iter().filter(|id| !id.contains('\0')) {
        let key = match id.split_once('/') {
            Some((model, number)) => {
                versions.entry(model).or_default().push(number);
                model
            }
            None => id.as_str(),
        };
        let is_number = key.parse::<i64>().is_ok_and(|number| number.to_string() == key);
        let keys = if is_number { &mut numbers } else { &mut texts };
        keys.insert(key.to_owned(), serde_json::Value::from(0));
    }
    let (texts, numbers) = (serde_json::Value::Object(texts).to_string(), serde_json::Value::Object(numbers).to_string());
    let mut found = reader.query(NAMED, &[Bind::from(&texts), Bind::from(&numbers)], read)?;
    let mut of_versions = Vec::new();
    for model in found.iter().filter(|one| one.kind == NamedKind::Model) {
        for number in versions.get(model.id.as_str()).into_iter().flatten() {
            let (id, name) = (format!("{}/{number}", model.id), format!("{}/{number}", model.name));
            of_versions.push(Named { id, name, ..model.clone() });
        }
    }
    found.append(&mut of_versions);
    Ok(found)
}

fn read(row: &Row<'_>) -> Result<Named, DbError> {
    let word = row.text(0)?;
    Ok(Named {
        kind: NamedKind::ALL.into_iter().find(|kind| kind.word() == word).ok_or(DbError::Shape(0))?,
        id: row.text(1)?,
        name: row.text(2)?,
        workspace: row.text(3)?,
        judged_as: row.text(4)?,
        // A tier that cannot be read is one that nobody has.
        least_tier: u8::try_from(row.int(5)?).unwrap_or(u8::MAX),
    })
}
