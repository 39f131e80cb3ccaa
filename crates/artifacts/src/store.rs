//! All SQL of artifacts. That of multipart uploads is in [`uploads`].

pub(crate) mod uploads;

use std::collections::BTreeMap;

use kernel::{Kind, Micros, Problem};
use vault::db::{Bind, DbError, Reader, Row, Writer};
use vault::keys::ObjectKey;
use vault::objects::{OBJECT_COLUMNS, ObjectId, StoredObject, digest, stored_outside, unsigned};

pub(crate) use vault::objects::signed;

use crate::config::{DELETE_COUNT_MAX, LIST_COUNT_MAX};
use crate::types::Home;
use crate::{ArtifactPath, ListedEntry, ManifestEntry, Owner};

/// Rows that one step of a listing looks at.
const LIST_STEP_COUNT: i64 = 512;

/// What is known of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFacts {
    /// Its id, which changes when it is written anew.
    pub id: String,
    /// Its size.
    pub size_bytes: u64,
    /// SHA-256 of its bytes.
    pub sha256: [u8; 32],
    /// The multipart upload that it came by.
    pub upload_id: Option<String>,
}

/// A file to be.
pub(crate) struct NewFile<'a> {
    pub(crate) id: &'a str,
    pub(crate) owner: &'a Owner,
    pub(crate) path: &'a ArtifactPath,
    pub(crate) home: &'a Home,
    pub(crate) size_bytes: u64,
    pub(crate) sha256: &'a [u8; 32],
    pub(crate) upload_id: Option<&'a str>,
    pub(crate) at: Micros,
    pub(crate) by: &'a str,
    /// The id of the token that it is written with.
    pub(crate) token: Option<&'a str>,
}

/// The file at `path`, if there is one.
///
/// # Errors
/// `Unavailable` or `Internal` of the database.
pub fn find(reader: &mut Reader<'_>, owner: &Owner, path: &ArtifactPath) -> Result<Option<FileFacts>, Problem> {
    let sql = "SELECT id, size_bytes, sha256, upload_id FROM artifact WHERE owner_kind = $1 AND owner_id = $2 AND path = $3";
    let binds = [owner.kind_word().into(), owner.id().into(), path.as_str().into()];
    Ok(reader.query_one(sql, &binds, file_from)?)
}

fn file_from(row: &Row<'_>) -> Result<FileFacts, DbError> {
    Ok(FileFacts { id: row.text(0)?, size_bytes: unsigned(row, 1)?, sha256: digest(row, 2)?, upload_id: row.opt_text(3)? })
}

/// The objects of a file, in order.
pub(crate) fn parts(reader: &mut Reader<'_>, artifact_id: &str) -> Result<Vec<StoredObject>, Problem> {
    let sql = format!("SELECT {OBJECT_COLUMNS} FROM artifact_part WHERE artifact_id = $1 ORDER BY part_number");
    Ok(reader.query(&sql, &[artifact_id.into()], |row| StoredObject::from_row(row, 0))?)
}

pub(crate) fn manifest_entries(reader: &mut Reader<'_>, owner: &Owner) -> Result<Vec<ManifestEntry>, Problem> {
    let sql = "SELECT path, size_bytes, sha256 FROM artifact WHERE owner_kind = $1 AND owner_id = $2 ORDER BY path";
    Ok(reader.query(sql, &[owner.kind_word().into(), owner.id().into()], |row| {
        Ok(ManifestEntry { path: row.text(0)?, size_bytes: unsigned(row, 1)?, sha256: digest(row, 2)? })
    })?)
}

/// The id and entry of each file at and below `root` (empty: all of the owner's), by path; one more than `count` tells of more.
pub(crate) fn files_below(
    reader: &mut Reader<'_>,
    owner: &Owner,
    root: &str,
    count: usize,
) -> Result<Vec<(String, ManifestEntry)>, Problem> {
    // `0` is the character behind `/`: what is below a folder sorts between the two.
    let (start, end) = (format!("{root}/"), format!("{root}0"));
    let sql = "SELECT id, path, size_bytes, sha256 FROM artifact WHERE owner_kind = $1 AND owner_id = $2
               AND ($3 = '' OR path = $3 OR (path >= $4 AND path < $5)) ORDER BY path LIMIT $6";
    let limit = i64::try_from(count.saturating_add(1)).unwrap_or(i64::MAX);
    let binds = [owner.kind_word().into(), owner.id().into(), root.into(), (&start).into(), (&end).into(), limit.into()];
    Ok(reader.query(sql, &binds, |row| {
        Ok((row.text(0)?, ManifestEntry { path: row.text(1)?, size_bytes: unsigned(row, 2)?, sha256: digest(row, 3)? }))
    })?)
}

/// The entries of a folder. The rows below a subfolder are not walked: the next look-up begins behind it.
pub(crate) fn list(reader: &mut Reader<'_>, owner: &Owner, folder: Option<&ArtifactPath>) -> Result<Vec<ListedEntry>, Problem> {
    let prefix = folder.map(|folder| format!("{}/", folder.as_str())).unwrap_or_default();
    // `0` is the character behind `/`: what is below a folder sorts between the two.
    let end = folder.map(|folder| format!("{}0", folder.as_str()));
    let sql = "SELECT path, size_bytes FROM artifact
               WHERE owner_kind = $1 AND owner_id = $2 AND path >= $3 AND ($4 = '' OR path < $4)
               ORDER BY path LIMIT $5";
    let mut entries: Vec<ListedEntry> = Vec::new();
    let mut from = prefix.clone();
    loop {
        let binds = [
            owner.kind_word().into(),
            owner.id().into(),
            from.as_str().into(),
            end.as_deref().unwrap_or_default().into(),
            LIST_STEP_COUNT.into(),
        ];
        let rows = reader.query(sql, &binds, |row| Ok((row.text(0)?, unsigned(row, 1)?)))?;
        let is_last = i64::try_from(rows.len()).unwrap_or(LIST_STEP_COUNT) < LIST_STEP_COUNT;
        for (path, size_bytes) in rows {
            if path.as_str() < from.as_str() {
                continue;
            }
            let below = path.get(prefix.len()..).unwrap_or_default();
            match below.split_once('/') {
                Some((name, _)) => {
                    from = format!("{prefix}{name}0");
                    entries.push(ListedEntry { path: format!("{prefix}{name}"), size_bytes: None });
                }
                None => {
                    // No path holds a control character, so nothing stands between the two.
                    from = format!("{path}\u{1}");
                    entries.push(ListedEntry { path, size_bytes: Some(size_bytes) });
                }
            }
            if entries.len() > LIST_COUNT_MAX {
                let message = format!("the folder has more than {LIST_COUNT_MAX} entries; list a folder below it");
                return Err(Problem::new(Kind::TooLarge, message));
            }
        }
        if is_last {
            entries.sort_by(|a, b| a.path.cmp(&b.path));
            return Ok(entries);
        }
    }
}

/// Puts a file in its place, instead of the one before. Gives the objects that nothing names any more.
pub(crate) fn put_file(writer: &mut Writer<'_>, file: &NewFile<'_>, parts: &[StoredObject]) -> Result<Vec<ObjectId>, Problem> {
    guard_maker(writer, file.owner, file.token)?;
    check_place(writer, file.owner, file.path)?;
    let (_, old) = delete(writer, file.owner, Some(file.path))?;
    writer.execute(
        "INSERT INTO artifact (id, owner_kind, owner_id, path, workspace, experiment, size_bytes, sha256, upload_id, created_at, created_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        &[
            file.id.into(),
            file.owner.kind_word().into(),
            file.owner.id().into(),
            file.path.as_str().into(),
            file.home.workspace.as_str().into(),
            file.home.experiment.into(),
            signed(file.size_bytes)?.into(),
            Bind::Bytes(file.sha256),
            file.upload_id.into(),
            file.at.0.into(),
            file.by.into(),
        ],
    )?;
    let mut rows = Vec::with_capacity(parts.len());
    for (number, part) in (1_i64..).zip(parts) {
        let mut row = vec![file.id.into(), number.into()];
        row.extend(part.keep(writer)?);
        rows.push(row);
    }
    writer.execute_many(
        "INSERT INTO artifact_part (artifact_id, part_number, object_id, workspace, size_bytes, sha256, wrapped_key, key_version)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        rows,
    )?;
    Ok(old)
}

/// What a job of the server's made stays as its program wrote it.
fn guard_maker(reader: &mut Reader<'_>, owner: &Owner, token: Option<&str>) -> Result<(), Problem> {
    match owner {
        Owner::Run(id) => retention::guard_run(reader, id, token),
        Owner::LoggedModel(id) => retention::guard_logged_model(reader, id, token),
        Owner::Trace(_) => Ok(()),
    }
}

/// A file does not stand where a folder is, nor below a file: a client could not download both.
pub(crate) fn check_place(reader: &mut Reader<'_>, owner: &Owner, path: &ArtifactPath) -> Result<(), Problem> {
    for folder in path.folders() {
        let folder = ArtifactPath::parse(folder)?;
        if find(reader, owner, &folder)?.is_some() {
            return Err(Problem::new(Kind::Conflict, "Invalid path: a folder of it is a file already; choose another name"));
        }
    }
    if has_files_below(reader, owner, path)? {
        return Err(Problem::new(Kind::Conflict, "Invalid path: it is a folder already; choose another name"));
    }
    Ok(())
}

fn has_files_below(reader: &mut Reader<'_>, owner: &Owner, folder: &ArtifactPath) -> Result<bool, Problem> {
    let (start, end) = (format!("{}/", folder.as_str()), format!("{}0", folder.as_str()));
    let sql = format!("SELECT 1 FROM artifact WHERE {IN_RANGE} LIMIT 1");
    let binds = [owner.kind_word().into(), owner.id().into(), start.as_str().into(), end.as_str().into()];
    Ok(reader.query_one(&sql, &binds, |row| row.int(0))?.is_some())
}

/// Takes away all files of an owner that goes itself, in its own transaction. The sweep takes their objects away later.
///
/// # Errors
/// `TooLarge` where there are too many of them; `Unavailable` or `Internal` of the database.
pub fn forget(writer: &mut Writer<'_>, owner: &Owner) -> Result<usize, Problem> {
    writer.execute(
        "DELETE FROM artifact_upload_part WHERE upload_id IN (SELECT id FROM artifact_upload WHERE owner_kind = $1 AND owner_id = $2)",
        &[owner.kind_word().into(), owner.id().into()],
    )?;
    writer.execute(
        "DELETE FROM artifact_upload WHERE owner_kind = $1 AND owner_id = $2",
        &[owner.kind_word().into(), owner.id().into()],
    )?;
    Ok(delete(writer, owner, None)?.0)
}

/// Takes away a file, or a folder with all below it, or everything. Gives how many files, and their objects.
pub(crate) fn delete(
    writer: &mut Writer<'_>,
    owner: &Owner,
    path: Option<&ArtifactPath>,
) -> Result<(usize, Vec<ObjectId>), Problem> {
    // What is below a folder, then the file itself: one of the two is empty, as no file stands where a folder is.
    let ranges = match path {
        Some(path) => {
            let path = path.as_str();
            vec![(format!("{path}/"), format!("{path}0")), (path.to_owned(), format!("{path}\u{1}"))]
        }
        // No path holds that character.
        None => vec![(String::new(), char::MAX.to_string())],
    };
    let mut objects = Vec::new();
    let mut count = 0_usize;
    for (start, end) in &ranges {
        let binds = [owner.kind_word().into(), owner.id().into(), start.as_str().into(), end.as_str().into()];
        let sql = format!("SELECT count(*) FROM artifact WHERE {IN_RANGE}");
        let found = writer.query_one(&sql, &binds, |row| row.int(0))?.unwrap_or(0);
        count = count.saturating_add(usize::try_from(found).unwrap_or(usize::MAX));
        if count > DELETE_COUNT_MAX {
            let message = format!("the folder holds more than {DELETE_COUNT_MAX} files; delete the folders below it first");
            return Err(Problem::new(Kind::TooLarge, message));
        }
        let parts = format!("artifact_id IN (SELECT id FROM artifact WHERE {IN_RANGE})");
        let ids = writer.query(&format!("SELECT object_id FROM artifact_part WHERE {parts}"), &binds, |row| row.text(0))?;
        let ids = ids.iter().map(|id| ObjectId::parse(id)).collect::<Result<Vec<_>, _>>()?;
        retention::guard_objects(writer, &ids)?;
        objects.extend(ids);
        writer.execute(&format!("DELETE FROM artifact_part WHERE {parts}"), &binds)?;
        writer.execute(&format!("DELETE FROM artifact WHERE {IN_RANGE}"), &binds)?;
    }
    Ok((count, objects))
}

const IN_RANGE: &str = "owner_kind = $1 AND owner_id = $2 AND path >= $3 AND path < $4";

/// The tables whose rows name objects: those of this room, and those of others, whose objects are looked after here too.
pub(crate) const OBJECT_TABLES: [&str; 8] = [
    "artifact_part",
    "artifact_upload_part",
    "bucket_part",
    "bucket_upload_part",
    "data_file",
    "data_document",
    "model_document",
    "prediction_batch",
];

/// Those whose every object is verified by itself: of an artifact the joined bytes are.
pub(crate) fn single_object_tables() -> impl Iterator<Item = &'static str> {
    OBJECT_TABLES.into_iter().filter(|table| *table != "artifact_part")
}

/// Every object that a row names and that is stored outside the database.
///
/// # Errors
/// As the database's.
pub fn known_objects(reader: &mut Reader<'_>) -> Result<std::collections::HashSet<String>, Problem> {
    let mut known = std::collections::HashSet::new();
    for table in OBJECT_TABLES {
        reader.for_each(&format!("SELECT object_id FROM {table} WHERE {}", stored_outside(table)), &[], |row| {
            known.insert(row.text(0)?);
            Ok(())
        })?;
    }
    Ok(known)
}

/// Small objects that no row names.
pub(crate) fn small_orphans(reader: &mut Reader<'_>) -> Result<Vec<ObjectId>, Problem> {
    vault::objects::small_orphans(reader, &OBJECT_TABLES)
}

/// The next files, by id.
pub(crate) fn files_after(reader: &mut Reader<'_>, after: &str, count: i64) -> Result<Vec<FileFacts>, Problem> {
    let sql = "SELECT id, size_bytes, sha256, upload_id FROM artifact WHERE id > $1 ORDER BY id LIMIT $2";
    Ok(reader.query(sql, &[after.into(), count.into()], file_from)?)
}

/// Whether there is a file of this id.
pub(crate) fn is_file(reader: &mut Reader<'_>, id: &str) -> Result<bool, Problem> {
    Ok(reader.query_one("SELECT 1 FROM artifact WHERE id = $1", &[id.into()], |row| row.int(0))?.is_some())
}

/// Whether a row names this object.
pub(crate) fn is_object_named(reader: &mut Reader<'_>, id: &str) -> Result<bool, Problem> {
    for table in OBJECT_TABLES {
        let sql = format!("SELECT 1 FROM {table} WHERE object_id = $1");
        if reader.query_one(&sql, &[id.into()], |row| row.int(0))?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Objects of a workspace whose keys are wrapped by an older version.
pub(crate) fn objects_before_key(
    reader: &mut Reader<'_>,
    table: &str,
    workspace: &str,
    version: i64,
    count: i64,
) -> Result<Vec<StoredObject>, Problem> {
    let sql = format!("SELECT {OBJECT_COLUMNS} FROM {table} WHERE workspace = $1 AND key_version < $2 LIMIT $3");
    Ok(reader.query(&sql, &[workspace.into(), version.into(), count.into()], |row| StoredObject::from_row(row, 0))?)
}

/// Whether an object of the workspace has its key wrapped by an older version.
pub(crate) fn is_any_before_key(reader: &mut Reader<'_>, workspace: &str, version: i64) -> Result<bool, Problem> {
    for table in OBJECT_TABLES {
        let sql = format!("SELECT 1 FROM {table} WHERE workspace = $1 AND key_version < $2 LIMIT 1");
        if reader.query_one(&sql, &[workspace.into(), version.into()], |row| row.int(0))?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// How many have.
pub(crate) fn count_before_key(reader: &mut Reader<'_>, workspace: &str, version: i64) -> Result<u64, Problem> {
    let mut count = 0_u64;
    for table in OBJECT_TABLES {
        let sql = format!("SELECT COUNT(*) FROM {table} WHERE workspace = $1 AND key_version < $2");
        let found = reader.query_one(&sql, &[workspace.into(), version.into()], |row| row.int(0))?;
        count = count.saturating_add(found.and_then(|found| u64::try_from(found).ok()).unwrap_or(0));
    }
    Ok(count)
}

/// How many objects each version of each workspace's key wraps the keys of.
pub(crate) fn objects_by_key(reader: &mut Reader<'_>) -> Result<BTreeMap<(String, i64), u64>, Problem> {
    let mut counts = BTreeMap::new();
    for table in OBJECT_TABLES {
        let sql = format!("SELECT workspace, key_version, COUNT(*) FROM {table} GROUP BY workspace, key_version");
        reader.for_each(&sql, &[], |row| {
            let count: &mut u64 = counts.entry((row.text(0)?, row.int(1)?)).or_default();
            *count = count.saturating_add(u64::try_from(row.int(2)?).unwrap_or(0));
            Ok(())
        })?;
    }
    Ok(counts)
}

/// Keeps a new wrapping, unless the row went or changed meanwhile.
pub(crate) fn rewrap(writer: &mut Writer<'_>, table: &str, object: &StoredObject, key: &ObjectKey) -> Result<u64, Problem> {
    let sql = format!("UPDATE {table} SET wrapped_key = $1, key_version = $2 WHERE object_id = $3 AND key_version = $4");
    let binds = [Bind::Bytes(&key.wrapped), key.version.into(), object.id.as_str().into(), object.key.version.into()];
    Ok(writer.execute(&sql, &binds)?)
}
