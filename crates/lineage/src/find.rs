//! Finding what a name outside the graph means here: a version of a model, data with a digest, a person.
//!
//! INVARIANT: no name that comes here holds a NUL, which PostgreSQL would refuse: `Root::parse`, `version_in` and the reader of events take none.
//! Held by the tests of `root`, `record::data` and `wire`'s `openlineage::parse`.

use std::collections::BTreeSet;

use vault::db::{Bind, DbError, Reader, Row};

use crate::record::{data_version_name, node_key, version_name};
use crate::types::NodeKind;

/// The longest digest that is looked for; the index holds no longer ones.
const DIGEST_BYTES_MAX: usize = 128;
/// Things with one digest that a walk begins at.
pub(crate) const FOUND_COUNT_MAX: usize = 1_000;

/// A node of a workspace: its kind and name. It may not be in the graph yet.
pub(crate) type Thing = (NodeKind, String);

/// The key of a thing.
pub(crate) fn key_of(workspace: &str, (kind, name): &Thing) -> String {
    node_key(workspace, *kind, name)
}

/// A version of a registered model, by number, `@alias` or `latest`.
pub(crate) fn model_version(
    reader: &mut Reader<'_>,
    workspace: &str,
    model: &str,
    version: &str,
) -> Result<Option<Thing>, DbError> {
    let sql = "SELECT m.model_id, v.version FROM registered_model m JOIN model_version v ON v.model_id = m.model_id
               WHERE m.workspace_id = $1 AND m.name = $2 AND v.deleted = 0";
    let (condition, bind) = match (version.strip_prefix('@'), version.parse::<i64>()) {
        (Some(alias), _) => {
            let by_alias = "AND v.version = (SELECT a.version FROM registered_model_alias a
                            WHERE a.model_id = m.model_id AND a.alias = $3)";
            (by_alias, Some(Bind::from(alias)))
        }
        (None, Ok(number)) => ("AND v.version = $3", Some(Bind::from(number))),
        (None, Err(_)) if version == "latest" => ("ORDER BY v.version DESC LIMIT 1", None),
        (None, Err(_)) => return Ok(None),
    };
    let binds: Vec<Bind<'_>> = [Bind::from(workspace), Bind::from(model)].into_iter().chain(bind).collect();
    let found = reader.query_one(&format!("{sql} {condition}"), &binds, |row| Ok((row.text(0)?, row.int(1)?)))?;
    Ok(found.map(|(id, number)| (NodeKind::ModelVersion, version_name(&id, number))))
}

/// A logged model of this workspace.
pub(crate) fn logged_model(reader: &mut Reader<'_>, workspace: &str, id: &str) -> Result<Option<Thing>, DbError> {
    let sql = "SELECT l.model_id FROM logged_model l JOIN experiment e ON e.experiment_id = l.experiment_id
               WHERE l.model_id = $1 AND e.workspace_id = $2";
    let found = reader.query_one(sql, &[id.into(), workspace.into()], |row| row.text(0))?;
    Ok(found.map(|id| (NodeKind::LoggedModel, id)))
}

/// A committed version of a data set of this workspace, by number or `latest`.
pub(crate) fn data_version(
    reader: &mut Reader<'_>,
    workspace: &str,
    dataset: &str,
    version: &str,
) -> Result<Option<Thing>, DbError> {
    let sql = "SELECT v.number FROM data_set d JOIN data_version v ON v.dataset_id = d.dataset_id
               WHERE d.workspace = $1 AND d.name = $2 AND v.number IS NOT NULL";
    let (condition, number) = match version.parse::<i64>() {
        Ok(number) => ("AND v.number = $3", Some(Bind::from(number))),
        Err(_) if version == "latest" => ("ORDER BY v.number DESC LIMIT 1", None),
        Err(_) => return Ok(None),
    };
    let binds: Vec<Bind<'_>> = [Bind::from(workspace), Bind::from(dataset)].into_iter().chain(number).collect();
    let found = reader.query_one(&format!("{sql} {condition}"), &binds, |row| row.int(0))?;
    Ok(found.map(|number| (NodeKind::DataVersion, data_version_name(dataset, number))))
}

/// The newest versions of a registered model, by its internal id.
pub(crate) fn versions_of(reader: &mut Reader<'_>, workspace: &str, id: &str) -> Result<Vec<Thing>, DbError> {
    let limit = i64::try_from(FOUND_COUNT_MAX).unwrap_or(i64::MAX);
    let sql = "SELECT v.version FROM registered_model m JOIN model_version v ON v.model_id = m.model_id
               WHERE m.model_id = $1 AND m.workspace_id = $2 ORDER BY v.version DESC LIMIT $3";
    let numbers = reader.query(sql, &[id.into(), workspace.into(), limit.into()], |row| row.int(0))?;
    Ok(numbers.into_iter().map(|number| (NodeKind::ModelVersion, version_name(id, number))).collect())
}

/// Committed versions of data sets, by the id of one version or of a data set; of that the newest.
pub(crate) fn data_by_id(reader: &mut Reader<'_>, workspace: &str, id: &str) -> Result<Vec<Thing>, DbError> {
    let limit = i64::try_from(FOUND_COUNT_MAX).unwrap_or(i64::MAX);
    let mut found = Vec::new();
    for column in ["version_id", "dataset_id"] {
        let sql = format!(
            "SELECT d.name, v.number FROM data_version v JOIN data_set d ON d.dataset_id = v.dataset_id
             WHERE v.{column} = $1 AND d.workspace = $2 AND v.number IS NOT NULL ORDER BY v.number DESC LIMIT $3"
        );
        let binds = [id.into(), workspace.into(), limit.into()];
        found.extend(reader.query(&sql, &binds, |row| Ok(data_version_name(&row.text(0)?, row.int(1)?)))?);
    }
    Ok(found.into_iter().map(|name| (NodeKind::DataVersion, name)).collect())
}

/// The principal of a name.
pub(crate) fn person(reader: &mut Reader<'_>, name: &str) -> Result<Option<Thing>, DbError> {
    let sql = "SELECT id FROM principal WHERE name = $1";
    let found = reader.query_one(sql, &[name.into()], |row| row.text(0))?;
    Ok(found.map(|id| (NodeKind::Person, id)))
}

/// What has a SHA-256 digest here: data versions by their manifest or one of their files, runs, logged models and versions by one of
/// their files, and nodes that a client gave the digest.
pub(crate) fn by_sha256(reader: &mut Reader<'_>, workspace: &str, sha256: [u8; 32]) -> Result<Vec<Thing>, DbError> {
    let limit = i64::try_from(FOUND_COUNT_MAX).unwrap_or(i64::MAX);
    let mut found = data_of(reader, workspace, &sha256, limit)?;
    let sql = "SELECT DISTINCT owner_kind, owner_id FROM artifact WHERE workspace = $1 AND sha256 = $2
               ORDER BY owner_kind, owner_id LIMIT $3";
    let binds = [workspace.into(), sha256.as_slice().into(), limit.into()];
    for (kind, id) in reader.query(sql, &binds, |row| Ok((row.text(0)?, row.text(1)?)))? {
        match kind.as_str() {
            "run" => found.push((NodeKind::Run, id)),
            "logged_model" => found.push((NodeKind::LoggedModel, id)),
            _ => {}
        }
    }
    let hex = kernel::hex(&sha256);
    found.extend(by_digest(reader, workspace, &hex)?);
    found.extend(by_digest(reader, workspace, &format!("sha256:{hex}"))?);
    found.sort();
    found.dedup();
    found.truncate(FOUND_COUNT_MAX);
    Ok(found)
}

/// Versions of data sets whose manifest, or one of whose files, has this digest.
pub(crate) fn data_of(reader: &mut Reader<'_>, workspace: &str, sha256: &[u8], limit: i64) -> Result<Vec<Thing>, DbError> {
    let by_manifest = "SELECT d.name, v.number FROM data_version v JOIN data_set d ON d.dataset_id = v.dataset_id
                       WHERE v.workspace = $1 AND v.manifest_sha256 = $2 AND v.number IS NOT NULL ORDER BY d.name, v.number LIMIT $3";
    let by_file = "SELECT DISTINCT d.name, v.number FROM data_file f JOIN data_version v ON v.version_id = f.version_id
                   JOIN data_set d ON d.dataset_id = v.dataset_id
                   WHERE f.workspace = $1 AND f.sha256 = $2 AND v.number IS NOT NULL ORDER BY d.name, v.number LIMIT $3";
    let mut found = Vec::new();
    for sql in [by_manifest, by_file] {
        let binds = [workspace.into(), sha256.into(), limit.into()];
        let names = reader.query(sql, &binds, |row| Ok(data_version_name(&row.text(0)?, row.int(1)?)))?;
        found.extend(names.into_iter().map(|name| (NodeKind::DataVersion, name)));
    }
    Ok(found)
}

/// Nodes that were given this digest.
pub(crate) fn by_digest(reader: &mut Reader<'_>, workspace: &str, digest: &str) -> Result<Vec<Thing>, DbError> {
    if digest.is_empty() || digest.len() > DIGEST_BYTES_MAX {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT kind, name FROM lineage_node WHERE workspace = $1 AND digest = $2 AND LENGTH(digest) <= {DIGEST_BYTES_MAX}
         ORDER BY id LIMIT {FOUND_COUNT_MAX}"
    );
    reader.query(&sql, &[workspace.into(), digest.into()], |row| {
        Ok((NodeKind::parse(&row.text(0)?).ok_or(DbError::Shape(0))?, row.text(1)?))
    })
}

/// The digest in `sha256:<64 hex digits>`, or in the digits alone.
#[must_use]
pub fn sha256_in(text: &str) -> Option<[u8; 32]> {
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    (digits.len() == 64).then(|| kernel::parse_hex(&digits.to_ascii_lowercase()))??.try_into().ok()
}

/// Commits by their hash or the beginning of it.
pub(crate) fn commits(reader: &mut Reader<'_>, workspace: &str, hash: &str) -> Result<Vec<Thing>, DbError> {
    let exact: Vec<Thing> = by_digest(reader, workspace, hash)?.into_iter().filter(|(kind, _)| *kind == NodeKind::Code).collect();
    let is_hex = hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !exact.is_empty() || !is_hex || hash.len() >= DIGEST_BYTES_MAX {
        return Ok(exact);
    }
    let low = hash.to_ascii_lowercase();
    // `g` comes after every hexadecimal digit.
    let high = format!("{low}g");
    let sql = format!(
        "SELECT name FROM lineage_node WHERE workspace = $1 AND digest >= $2 AND digest < $3 AND LENGTH(digest) <= {DIGEST_BYTES_MAX}
         AND kind = 'code' AND name LIKE 'git:%' ORDER BY id LIMIT {FOUND_COUNT_MAX}"
    );
    let binds = [workspace.into(), (&low).into(), (&high).into()];
    reader.query(&sql, &binds, |row| Ok((NodeKind::Code, row.text(0)?)))
}

/// An endpoint, and the version of a model that it answers with now.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// Its name.
    pub name: String,
    /// The version's node name: internal id of the model, number.
    pub version: String,
}

/// The endpoints that answer with one of these models, by internal id.
pub(crate) fn endpoints_of(reader: &mut Reader<'_>, workspace: &str, models: &BTreeSet<&str>) -> Result<Vec<Endpoint>, DbError> {
    let models: serde_json::Map<String, serde_json::Value> =
        models.iter().map(|model| ((*model).to_owned(), serde_json::Value::from(0))).collect();
    let sql = format!(
        "{ENDPOINT} CROSS JOIN json_each($2) AS k {OF_ALIAS} WHERE e.workspace = $1 AND e.model_id = k.key ORDER BY e.name"
    );
    let document = serde_json::Value::Object(models).to_string();
    let found = reader.query(&sql, &[workspace.into(), (&document).into()], endpoint_from_row)?;
    Ok(found.into_iter().flatten().collect())
}

/// The endpoint of a name.
pub(crate) fn endpoint(reader: &mut Reader<'_>, workspace: &str, name: &str) -> Result<Option<Endpoint>, DbError> {
    let sql = format!("{ENDPOINT} {OF_ALIAS} WHERE e.workspace = $1 AND e.name = $2");
    Ok(reader.query_one(&sql, &[workspace.into(), name.into()], endpoint_from_row)?.flatten())
}

/// The endpoint of an id.
pub(crate) fn endpoint_by_id(reader: &mut Reader<'_>, workspace: &str, id: &str) -> Result<Option<Endpoint>, DbError> {
    let sql = format!("{ENDPOINT} {OF_ALIAS} WHERE e.workspace = $1 AND e.endpoint_id = $2");
    Ok(reader.query_one(&sql, &[workspace.into(), id.into()], endpoint_from_row)?.flatten())
}

const ENDPOINT: &str = "SELECT e.name, e.model_id, e.choice, a.version FROM endpoint AS e";
const OF_ALIAS: &str = "LEFT JOIN registered_model_alias AS a ON a.model_id = e.model_id AND '@' || a.alias = e.choice";

/// None where the alias points nowhere.
fn endpoint_from_row(row: &Row<'_>) -> Result<Option<Endpoint>, DbError> {
    let number = row.opt_int(3)?.or_else(|| row.text(2).ok()?.parse().ok());
    let (name, model) = (row.text(0)?, row.text(1)?);
    Ok(number.map(|number| Endpoint { name, version: version_name(&model, number) }))
}
