//! What other rooms' rows say of endpoints, models and data.

use std::collections::BTreeSet;

use kernel::Micros;
use lineage::NodeKind;
use vault::db::{Bind, DbError, Reader};
use watch::{Event, EventKind};

/// An endpoint, as it stands.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) endpoint: String,
    pub(crate) workspace: String,
    pub(crate) name: String,
    pub(crate) model_id: String,
    pub(crate) model: Option<String>,
    pub(crate) choice: String,
    pub(crate) changed_at: Micros,
}

/// Endpoints: of all workspaces, or of one; of all models, or of these.
pub(crate) fn endpoints(
    reader: &mut Reader<'_>,
    workspace: Option<&str>,
    models: Option<&[String]>,
) -> Result<Vec<Place>, DbError> {
    let mut binds: Vec<Bind<'_>> = Vec::new();
    let mut narrowed = String::new();
    if let Some(workspace) = workspace {
        binds.push(workspace.into());
        narrowed.push_str("WHERE e.workspace = $1");
    }
    if let Some(models) = models {
        let places: Vec<String> = models
            .iter()
            .map(|model| {
                binds.push(model.into());
                format!("${}", binds.len())
            })
            .collect();
        narrowed.push_str(&format!(" AND e.model_id IN ({})", places.join(", ")));
    }
    let sql = format!(
        "SELECT e.endpoint_id, e.workspace, e.name, e.model_id, m.name, e.choice, e.changed_at FROM endpoint e
         LEFT JOIN registered_model m ON m.model_id = e.model_id {narrowed} ORDER BY e.workspace, e.name"
    );
    reader.query(&sql, &binds, |row| {
        Ok(Place {
            endpoint: row.text(0)?,
            workspace: row.text(1)?,
            name: row.text(2)?,
            model_id: row.text(3)?,
            model: row.opt_text(4)?,
            choice: row.text(5)?,
            changed_at: Micros(row.int(6)?),
        })
    })
}

/// Data sets behind a model whose new versions are looked at.
const DATA_SET_COUNT_MAX: usize = 50;

/// A version of a model, as records name it: the model's id and the number.
pub(crate) fn version_of(version: &str) -> Option<(&str, i64)> {
    let (model, number) = version.rsplit_once('/')?;
    Some((model, number.parse().ok()?))
}

/// What was committed since a moment of the data sets that these versions of a model were trained on, as far as lineage knows.
/// Other data of the workspace has nothing to do with them.
pub(crate) fn data_events<'a>(
    reader: &mut Reader<'_>,
    workspace: &str,
    versions: impl Iterator<Item = &'a String>,
    since: Micros,
) -> Result<Vec<Event>, DbError> {
    let mut trained_on = BTreeSet::new();
    for (model, number) in versions.filter_map(|version| version_of(version)) {
        let origin = lineage::origin_of_version(reader, workspace, model, number)?;
        let data = origin.uses.iter().filter(|used| used.kind == NodeKind::DataVersion);
        trained_on.extend(data.filter_map(|used| Some(used.name.rsplit_once('/')?.0.to_owned())));
    }
    if trained_on.is_empty() {
        return Ok(Vec::new());
    }
    let mut binds: Vec<Bind<'_>> = vec![workspace.into(), since.0.into()];
    let mut places = Vec::new();
    for dataset in trained_on.iter().take(DATA_SET_COUNT_MAX) {
        binds.push(dataset.into());
        places.push(format!("${}", binds.len()));
    }
    let sql = format!(
        "SELECT d.name, v.number, v.committed_at FROM data_version v JOIN data_set d ON d.dataset_id = v.dataset_id
         WHERE v.workspace = $1 AND v.committed_at >= $2 AND v.number IS NOT NULL AND d.name IN ({})
         ORDER BY v.committed_at DESC LIMIT 20",
        places.join(", ")
    );
    reader.query(&sql, &binds, |row| {
        let (name, number) = (row.text(0)?, row.int(1)?);
        let words = format!("version {number} of the data set `{name}` was committed");
        Ok(Event { kind: EventKind::DataVersion, at_us: row.int(2)?, subject: format!("{name}@{number}"), words })
    })
}

/// Data sets that are held back and told of at most; one more is read, to say that there are more.
pub(crate) const HELD_BACK_COUNT_MAX: usize = 100;

/// Data sets of a workspace whose newest version may not be used: name, number, state.
pub(crate) fn held_back(reader: &mut Reader<'_>, workspace: &str) -> Result<Vec<(String, i64, String)>, DbError> {
    let sql = "SELECT d.name, v.number, v.state FROM data_set d JOIN data_version v ON v.dataset_id = d.dataset_id
               WHERE d.workspace = $1 AND v.number = d.last_number AND v.state IN ('refused', 'quarantined')
               ORDER BY d.name LIMIT $2";
    let count = i64::try_from(HELD_BACK_COUNT_MAX).unwrap_or(i64::MAX).saturating_add(1);
    reader.query(sql, &[workspace.into(), count.into()], |row| Ok((row.text(0)?, row.int(1)?, row.text(2)?)))
}
